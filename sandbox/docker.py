"""The Docker sandbox. The only module that talks to the engine."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from sandbox import SandboxUnavailable
from sandbox.settings import SandboxSettings

OLDEST_API: Final = (1, 41)  # Docker Engine 20.10
PULL_SILENCE_SECONDS: Final = 60


class Engine:
    """One connection to one Docker engine. Everything that can go wrong there is SandboxUnavailable."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.host = settings.docker_host
        with self._failing_as("connect"):
            self.api = docker.APIClient(
                base_url=settings.docker_host, version="auto", timeout=int(settings.docker_timeout)
            )

    def version(self) -> dict[str, Any]:
        with self._failing_as("version"):
            return dict(self.api.version())

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

    def remove_image(self, image_id: str) -> bool:
        """Remove an image, unless a container or another image needs it."""
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
        try:
            with self.api.post(
                f"{self.api.base_url}/v{self.api.api_version}/images/create",
                params={"fromImage": reference},
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

    @contextmanager
    def _failing_as(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (DockerException, requests.RequestException, json.JSONDecodeError) as error:
            raise SandboxUnavailable(f"{doing}: {self.host}: {error}") from error
