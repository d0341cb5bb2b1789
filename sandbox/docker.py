"""The Docker sandbox. The only module that talks to the engine."""

import json
import logging
import math
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Self

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils import parse_repository_tag

from sandbox import Ending, Execution, Limits, Room, SandboxUnavailable, check_range
from sandbox.checks import check_environment, check_files, check_gateways, check_order
from sandbox.container import (
    DEADLINE,
    FENCE,
    GRADING,
    LIFETIME_OVER,
    ROOM,
    SECCOMP,
    SETUP_SECONDS,
    UIDS_A_ROOM,
    Owner,
    Plan,
)
from sandbox.room import AttachedRoom, Demise
from sandbox.settings import SandboxSettings
from sandbox.wire import Closed, Stalled, Stream

log = logging.getLogger(__name__)

OLDEST_API: Final = (1, 41)  # Docker Engine 20.10
PULL_SILENCE_SECONDS: Final = 60


class Engine:
    """One Docker engine. Everything that can go wrong with it is SandboxUnavailable."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.host = settings.docker_host
        with self._failing_as("connect"):
            _knock(settings)
            self.api: Any = docker.APIClient(  # half of its methods have no types
                base_url=settings.docker_host, version="auto", timeout=math.ceil(settings.docker_timeout)
            )
        spoken = tuple(int(part) for part in self.api.api_version.split("."))
        if spoken < OLDEST_API:
            self.close()
            raise SandboxUnavailable(
                f"connect: {self.host}: the engine speaks API {self.api.api_version}, older than 1.41: "
                "install Docker Engine 20.10 or newer"
            )

    def close(self) -> None:
        self.api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def version(self) -> dict[str, Any]:
        with self._failing_as("version"):
            return dict(self.api.version())

    def info(self) -> dict[str, Any]:
        with self._failing_as("info"):
            return dict(self.api.info())

    def time(self) -> float:
        """The engine's clock. Workers' clocks may be set or wrong, and a sweep by one of those would remove rooms
        that others are at work in."""
        with self._failing_as("ask the time"):
            told = self.api.get(f"{self.api.base_url}/_ping").headers.get("Date", "")
            return parsedate_to_datetime(told).timestamp()

    def image_id(self, reference: str) -> str | None:
        """The sha256 id of an image that this engine already has; it is never pulled."""
        with self._failing_as("inspect image"):
            try:
                return str(self.api.inspect_image(reference)["Id"])
            except ImageNotFound:
                return None

    def images(self, label: str) -> dict[str, dict[str, str]]:
        """The ids of all images that carry `label`, tagged or not, and what labels each has."""
        with self._failing_as("list images"):
            found = self.api.images(filters={"label": label})
            return {str(image["Id"]): dict(image["Labels"]) for image in found}

    def tags(self, image_id: str) -> list[str]:
        with self._failing_as("inspect image"):
            return list(self.api.inspect_image(image_id)["RepoTags"] or [])

    def tag(self, image_id: str, tag: str) -> None:
        repository, _, version = tag.rpartition(":")
        with self._failing_as("tag image"):
            self.api.tag(image_id, repository, version)

    def remove_image(self, image_id: str) -> bool:
        """Remove an image, or one of its tags, unless a container or another image needs it."""
        with self._failing_as("remove image"):
            try:
                self.api.remove_image(image_id)
            except APIError as error:
                if error.status_code not in (404, 409):
                    raise
                return False
            return True

    def pull(self, reference: str) -> bool:
        """Ask the registry for an image, when images are built and never when programs run.

        A registry that cannot be reached may keep the engine silent for minutes, and the client's own `pull` has no
        time limit: so the request is made here. It sends no login; such an image is pulled by hand before.
        """
        repository, tag = parse_repository_tag(reference)
        try:
            with self.api.post(
                f"{self.api.base_url}/v{self.api.api_version}/images/create",
                params={"fromImage": repository, "tag": tag or "latest"},  # without a tag: all there are
                timeout=PULL_SILENCE_SECONDS,
                stream=True,
            ) as answer:
                for _ in answer.iter_lines():
                    pass
        except requests.RequestException:
            return False
        return self.image_id(reference) is not None

    def import_image(self, tar: IO[bytes], tag: str, labels: dict[str, str]) -> str:
        """Make an image of one layer from the tar stream of a root file system."""
        with self._failing_as("import image"):
            changes = [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
            said = self.api.import_image_from_data(tar, repository=tag, changes=changes)
        found = self.image_id(tag)
        if found is None:
            raise SandboxUnavailable(f"import image: {tag}: the engine has no image of it: {said}")
        return found

    def build(
        self,
        context: IO[bytes],
        *,
        tag: str,
        arguments: dict[str, str],
        labels: dict[str, str],
        fresh: bool,
        progress: Callable[[str], None],
    ) -> str:
        """Build a Dockerfile in a tar stream without network; each line of the build goes to `progress`.

        `fresh`: do every step again, whatever the engine remembers of earlier builds.
        """
        with self._failing_as("build image"):
            lines = self.api.build(
                fileobj=context, custom_context=True, tag=tag, buildargs=arguments, labels=labels, nocache=fresh,
                network_mode="none", rm=True, forcerm=True, decode=True, timeout=1800,
            )  # fmt: skip
            for line in lines:
                if "error" in line:
                    raise SandboxUnavailable(f"build image: {tag}: {line['error'].strip()}")
                if text := str(line.get("stream", "")).strip():
                    progress(text)
        found = self.image_id(tag)
        if found is None:
            raise SandboxUnavailable(f"build image: {tag}: the build ended without an image")
        return found

    def create(self, name: str, config: Mapping[str, Any]) -> str | None:
        """Create a container. None when the name is taken, which is how rooms of one host agree on user ids."""
        with self._failing_as("create container"):
            try:
                return str(self.api.create_container_from_config(dict(config), name)["Id"])
            except APIError as error:
                if error.status_code == 409:
                    return None
                raise

    def attach(self, container: str) -> Stream:
        with self._failing_as("attach"):
            wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self.api.attach_socket(container, params=wanted)
            return Stream(attached)

    def start(self, container: str) -> None:
        with self._failing_as("start container"):
            self.api.start(container)

    def enter(self, container: str, command: Sequence[str], user: str) -> Stream:
        """Start a second program in a running container, under another uid."""
        with self._failing_as("enter container"):
            handle = self.api.exec_create(container, list(command), stdin=True, user=user, workdir="/")
            attached = self.api.exec_start(handle["Id"], socket=True)
            return Stream(attached)

    def state(self, container: str) -> dict[str, Any]:
        with self._failing_as("inspect container"):
            return dict(self.api.inspect_container(container)["State"])

    def wait(self, container: str, seconds: float) -> None:
        with self._failing_as("wait for container"):
            self.api.wait(container, timeout=math.ceil(seconds))

    def remove(self, container: str) -> None:
        with self._failing_as("remove container"):
            try:
                self.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # its removal is already in progress
                    raise

    def containers(self, labels: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """Ids and labels of all containers that carry `labels`, running or not."""
        with self._failing_as("list containers"):
            found = self.api.containers(all=True, filters={"label": list(labels)})
        return [(str(one["Id"]), dict(one["Labels"])) for one in found]

    @contextmanager
    def _failing_as(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (OSError, DockerException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise SandboxUnavailable(f"{doing}: {self.host}: {_advised(error)}") from error


def _knock(settings: SandboxSettings) -> None:
    """The operating system says best why a socket cannot be opened; the client would wrap it three times."""
    kind, path = settings.docker_host.split("://", 1)
    if kind == "unix":
        with closing(socket.socket(socket.AF_UNIX)) as door:
            door.settimeout(settings.docker_timeout)
            door.connect(path)


def _advised(error: Exception) -> str:
    """What went wrong and what to do about it. For most of it the engine has words and no codes."""
    for kind, advice in WHEN_CONNECTING.items():
        if isinstance(error, kind):
            return advice
    return next((advice for sign, advice in WHEN_ASKING.items() if sign in str(error)), str(error))


WHEN_CONNECTING: Final = {
    FileNotFoundError: "no Docker engine is there: install or start it; `./assay up` does both",
    ConnectionRefusedError: "no Docker engine answers: start it; `./assay up` does",
    PermissionError: "this user may not use the Docker engine: run as root, or join the group docker",
}
WHEN_ASKING: Final = {
    "Connection refused": "no Docker engine answers: start it",
    "no space left": "the engine's disk is full: free some, for instance with `docker system prune`",
    "nknown runtime": "the engine does not know this runtime: install it, or leave ASSAY_SANDBOX_RUNTIME empty",
    "API versions below": "the engine is too old: install Docker Engine 20.10 or newer",
    "No such image": "the image is not on this engine: run `assay images build`",
    "timed out": "the engine is too slow: is the machine overloaded? ASSAY_DOCKER_TIMEOUT is how long we wait",
}

KILLED: Final = 137
HEARSAY_SECONDS: Final = 3.0  # until the engine has heard why the kernel ended a program
SLOTS: Final = 7500  # rooms of one host at once


class DockerSandbox:
    """Rooms as containers of one image: no network, nothing writable but small file systems in memory."""

    def __init__(self, engine: Engine, image: str, settings: SandboxSettings, owner: Owner = Owner()) -> None:
        self.engine = engine
        self.image = image  # an id, sha256:..., so that nobody can put another image under a name
        self.settings = settings
        self.owner = owner
        self.seccomp = SECCOMP.read_text()

    def run(
        self,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes] = {},
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        limits: Limits = Limits(),
        environment: Mapping[str, str] = {},
    ) -> Execution:
        check_order(command, stdin, collect, limits)
        with self.open(
            files=files, limits=limits, lifetime=limits.seconds + SETUP_SECONDS, environment=environment
        ) as room:
            return room.run(command, stdin=stdin, collect=collect)

    @contextmanager
    def open(
        self,
        *,
        files: Mapping[str, bytes] = {},
        limits: Limits = Limits(),
        lifetime: float = 600,
        gateways: Mapping[int, Path] = {},
        environment: Mapping[str, str] = {},
    ) -> Iterator[Room]:
        check_range("lifetime", lifetime)
        check_files(files, limits)
        check_gateways(gateways)
        check_environment(environment)
        plan = Plan(
            self.image,
            self.seccomp,
            self.settings.sandbox_runtime,
            self.owner,
            limits,
            lifetime,
            gateways,
            environment,
            self.engine.time(),
        )
        try:
            container, uid = self._create(plan)
        except KeyboardInterrupt:  # while the engine was making it, perhaps
            for made, _ in self.engine.containers([f"{ROOM}={plan.mark}"]):
                self.engine.remove(made)
            raise
        streams: list[Stream] = []

        def enter(command: Sequence[str], user: int) -> Stream:
            try:
                stream = self.engine.enter(container, command, f"{user}:{user}")
            except SandboxUnavailable:
                if self.engine.state(container).get("Running"):
                    raise
                raise Closed from None
            streams.append(stream)
            return stream

        def end() -> None:
            for stream in streams:
                stream.close()
            try:
                self.engine.remove(container)
            except SandboxUnavailable as error:  # what the program did is known by now: a sweep removes the rest
                log.warning("room %s: left for a sweep: %s", container[:12], error)

        try:
            warden = self.engine.attach(container)
            streams.append(warden)
            self.engine.start(container)
            if gateways:
                _start_relay(enter, uid + 2, gateways)
            room = AttachedRoom(
                warden,
                limits,
                lifetime,
                enter=partial(enter, user=uid + 1),
                end=end,
                autopsy=partial(self._autopsy, container),
                starved=partial(self._was_starved, container),
            )
            room.take(files)
            yield room
        finally:
            end()

    def sweep(self, now: float | None = None) -> list[str]:
        """Remove what crashes left behind: containers past their deadline, and older tries of our grading."""
        removed = []
        now = self.engine.time() if now is None else now
        for container, labels in self.engine.containers([DEADLINE]):
            if self._is_left_over(labels, now):
                try:
                    self.engine.remove(container)
                except SandboxUnavailable as error:  # its worker hangs, perhaps: the others must not wait for it
                    log.warning("sweep: %s: %s", container, error)
                    continue
                removed.append(container)
        return removed

    def _is_left_over(self, labels: Mapping[str, str], now: float) -> bool:
        if _number(labels.get(DEADLINE, "")) < now:
            return True
        mine = bool(self.owner.grading) and labels.get(GRADING) == self.owner.grading
        return mine and _number(labels.get(FENCE, "")) < self.owner.fence

    def _create(self, plan: Plan) -> tuple[str, int]:
        for slot in random.sample(range(SLOTS), 20):
            uid = self.settings.sandbox_first_uid + UIDS_A_ROOM * slot
            # The name is the lock on these user ids: the engine takes each name once. With a uid of another
            # room a program could use up that room's processes, inotify watches and timers.
            container = self.engine.create(f"assay-{uid}", plan.configuration(uid))
            if container is not None:
                return container, uid
        raise SandboxUnavailable("create container: no free set of user ids: are there thousands of leftovers?")

    def _was_starved(self, container: str) -> bool:
        """Whether the kernel killed for memory in this room, perhaps a moment ago.

        The engine learns of the end of a program before it learns of the reason: a server that leaves a probe no
        memory to start with would look like a failure of ours.
        """
        deadline = time.monotonic() + HEARSAY_SECONDS
        while not (starved := bool(self.engine.state(container).get("OOMKilled"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        return starved

    def _autopsy(self, container: str) -> Demise:
        """Why a room ended before we ended it. What no program can bring about is our own failure."""
        self.engine.wait(container, self.settings.docker_timeout)
        state = self.engine.state(container)
        # The flag is also set when any other process of the room was killed for memory, at any time before.
        if state.get("ExitCode") == KILLED and self._was_starved(container):
            return Demise(Ending.OUT_OF_MEMORY, memory_exceeded=True)
        if state.get("ExitCode") == LIFETIME_OVER:
            return Demise(Ending.TIMED_OUT)
        raise SandboxUnavailable(
            f"room: ended with exit code {state.get('ExitCode')}: {state.get('Error') or 'the engine gives no reason'}"
        )


def _start_relay(enter: Callable[[Sequence[str], int], Stream], user: int, gateways: Mapping[int, Path]) -> None:
    complaint = "the room had ended"
    try:
        relay = enter(["python3", "-I", "/opt/assay/relay.py", *map(str, gateways)], user)
        try:
            relay.write(b"?\n", time.monotonic() + SETUP_SECONDS)
            relay.read(time.monotonic() + SETUP_SECONDS)
        finally:
            complaint = relay.stderr.decode(errors="replace")
    except (Stalled, Closed) as error:
        raise SandboxUnavailable(f"gateway: the relay did not start: {complaint}") from error


def _number(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
