"""A whole Assay in a folder of its own, each process started by itself, so that each can be killed by itself.

The benchmarks and the crash tests use it. What runs here are the processes of production, started by the commands
of production; only the submissions are handed in without a portal.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import select

from graders.settings import GradersSettings
from graders.trees import FolderStore
from sandbox.settings import SandboxSettings
from sandbox.trust import RECORD, Trust
from web import gradings, queue, secrecy, valkey
from web.database import Database, connect, migrate, now
from web.lifeline import tied_to_me
from web.models import (
    Attempt,
    AttemptKind,
    ChallengeVersion,
    Form,
    FormState,
    Grading,
    Origin,
    Urgency,
    new_id,
)
from web.portal import make_secrets
from web.settings import PROJECT, DatabaseSettings, PortalSettings

CHALLENGES: Final = Path(__file__).resolve().parent / "challenges"
QUEUE: Final = "queue"  # the one process that is no command of ours
PORTAL: Final = "web"
START_SECONDS: Final = 60
PATIENCE_SECONDS: Final = 120
LOOK_AGAIN_SECONDS: Final = 0.02

Found = TypeVar("Found")


class RigBroken(Exception):
    """A process of the rig did not do what it is there for. The message holds its last words."""


def until(true: Callable[[], Found], what: str = "it", seconds: float = PATIENCE_SECONDS) -> Found:
    """What `true` gives as soon as it gives anything."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > deadline:
            raise RigBroken(f"{what}: did not happen within {seconds:g} seconds")
        time.sleep(LOOK_AGAIN_SECONDS)
    return found


class Rig:
    """`grading-1`, `grading-2`, `recording`, `clock` and `queue` are names of processes; so is `clock-2`.

    `prefix` are words before each command, for instance those that enter another file system.
    """

    def __init__(self, state: Path, settings: Mapping[str, str] = {}, prefix: Sequence[str] = ()) -> None:
        self.state = state
        self.prefix = list(prefix)
        self.settings = {
            "ASSAY_STATE": str(state),
            "ASSAY_CHALLENGES": str(CHALLENGES),
            "ASSAY_LEASE_SECONDS": "10",
            "ASSAY_TRIES": "3",
            # Whatever stands in the environment or in .env: this rig is one machine, and keeps all it has to itself.
            **dict.fromkeys(
                ("ASSAY_DATABASE_URL", "ASSAY_DATABASE_URL_FILE", "ASSAY_REDIS_URL", "ASSAY_REDIS_URL_FILE",
                 "ASSAY_STORE", "ASSAY_VERSIONS", "ASSAY_PORTAL_URL", "ASSAY_PACKS"), ""
            ),
            **settings,
        }  # fmt: skip
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.database: Database = connect(self._database_settings())
        self.store = FolderStore(state / "store")
        self.logs = state.parent / f"{state.name}.logs"  # outside: they are kept when the state folder is full
        self._connection: Any = None

    def _database_settings(self) -> DatabaseSettings:
        return DatabaseSettings(
            _env_file=None, state=self.state, database_url=self.settings["ASSAY_DATABASE_URL"], database_url_file=""
        )

    def rooms(self) -> SandboxSettings:
        """The settings with which the workers make rooms."""
        told = {"ASSAY_DOCKER_HOST": host} if (host := self.settings.get("ASSAY_DOCKER_HOST")) else {}
        return SandboxSettings(state=self.state, **told)  # type: ignore[arg-type]  # other types than the field's

    @property
    def versions(self) -> Path:
        """Where the published versions of challenges are kept."""
        return GradersSettings(_env_file=None, state=self.state, versions="").versions_folder

    # ------------------------------------------------------------------------------------------------------ prepare

    def prepare(self, *, trusted: bool = True) -> None:
        """Tables, secrets, published challenges; and the sandbox's images as this checkout has them."""
        self.logs.mkdir(exist_ok=True)
        self.state.mkdir(exist_ok=True)
        built = SandboxSettings().state / "images.json"
        shutil.copy(built, self.state)
        if trusted:
            self.trust()
        migrate(self._database_settings())
        secrecy.make(self.state / "secrets" / "instance_secret")
        make_secrets(PortalSettings(_env_file=None), self._database_settings())
        self.call("publish")

    def trust(self) -> None:
        """Take the engine's promise for proved: `assay doctor` takes ten seconds, and has tests of its own."""
        told = {"at": time.time(), "subject": Trust(self.rooms())._subject()}
        (self.state / RECORD).write_text(json.dumps(told))

    # ---------------------------------------------------------------------------------------------------- processes

    def start(self, *names: str, wait: bool = True, command: Sequence[str] = ()) -> None:
        """Start processes by their names, and wait until each says that it is ready.

        `command`: what Python is told to run instead of the worker of this name.
        """
        for name in names:
            worker = ["-m", "web.cli", "worker", name.partition("-")[0]]
            self.running[name] = self._start_queue() if name == QUEUE else self._start(name, command or worker)
        for name in names if wait else ():
            until(partial(self._is_ready, name), f"{name}: being ready", START_SECONDS)

    @contextmanager
    def served(self, command: Sequence[str] = ("-m", "web.cli", "web")) -> Iterator[str]:
        """The address of the portal, or of another program that prints one; it stops at the end."""
        self.start(PORTAL, wait=False, command=command)
        said = self.logs / f"{PORTAL}.out"
        until(lambda: said.read_text().startswith("http") or self.running[PORTAL].poll() is not None, "the portal")
        url = said.read_text().partition("\n")[0].strip()
        if not url:
            raise RigBroken(self.words(PORTAL)[-2000:])
        try:
            yield url
        finally:
            self.stop(PORTAL)

    def _start_queue(self) -> subprocess.Popen[bytes]:
        return valkey.start(self.state / queue.EMBEDDED)

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.out").open("wb") as said, (self.logs / f"{name}.log").open("ab") as complained:
            return subprocess.Popen(
                self._command(*command),
                cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=said, stderr=complained, start_new_session=True,
                preexec_fn=tied_to_me(),  # whoever kills this process leaves none of its own running
            )  # fmt: skip

    def _command(self, *words: str) -> list[str]:
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        return [*self.prefix, "env", *settings, sys.executable, *words]

    def _is_ready(self, name: str) -> bool:
        if self.running[name].poll() is not None:
            raise RigBroken(f"{name}: ended with {self.running[name].returncode}: {self.words(name)[-2000:]}")
        return name == QUEUE or b"\n" in (self.logs / f"{name}.out").read_bytes()

    def call(self, *words: str) -> str:
        """Run a command to its end and give what it printed."""
        done = subprocess.run(
            self._command("-m", "web.cli", *words),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RigBroken(f"assay {' '.join(words)}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def words(self, name: str) -> str:
        """What it wrote to standard error, over all of its lives."""
        log = self.logs / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def pid(self, name: str) -> int:
        return self.running[name].pid

    def children(self, name: str) -> list[int]:
        """Processes that the named one started, for instance the horse of a worker."""
        try:
            told = Path(f"/proc/{self.pid(name)}/task/{self.pid(name)}/children").read_text()
        except OSError:
            return []
        return [int(child) for child in told.split()]

    def horse(self, name: str) -> int:
        """The process in which a worker does its work; waits until there is one."""
        return until(lambda: self.children(name), f"{name}: working")[0]

    def kill(self, *names: str) -> None:
        """SIGKILL, to the named processes alone: what they started is not told."""
        for name in names:
            self.running[name].kill()
        for name in names:
            self.running[name].wait()

    def restart(self, *names: str, wait: bool = True) -> None:
        self.kill(*names)
        self.start(*names, wait=wait)

    def lose_the_queue(self) -> None:
        """Kill the queue's server and remove all that it had written down."""
        self.kill(QUEUE)
        shutil.rmtree(self.state / queue.EMBEDDED / "appendonlydir")

    def stop(self, *names: str, seconds: float = 30) -> None:
        """SIGTERM, and wait; those who do not end are killed. The queue's server ends last."""
        asked = [self.running[name] for name in names or self.running if name != QUEUE]
        for process in asked:
            process.terminate()
        deadline = time.monotonic() + seconds
        for process in asked:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            process.kill()
            process.wait()
        if QUEUE in self.running and (not names or QUEUE in names):
            self.kill(QUEUE)

    def close(self) -> None:
        self.stop()
        self.database.close()

    # -------------------------------------------------------------------------------------------------- submissions

    @property
    def connection(self) -> Any:
        """A client of the queue's server."""
        if self._connection is None:
            self._connection = queue.connect("", self.state / queue.EMBEDDED)
        return self._connection

    def hand_in(
        self,
        files: Mapping[str, bytes],
        *,
        challenge: str = "plain",
        key: str = "first",
        urgency: Urgency = Urgency.NORMAL,
    ) -> str:
        """Somebody's submission, accepted: its id. When this returns it is committed."""
        tree = self.store.put(files)
        work = gradings.Work(tree, len(files), sum(map(len, files.values())), Origin.REHEARSAL)
        with self.database.transaction() as session:
            newest = select(ChallengeVersion).where(ChallengeVersion.slug == challenge)
            version = session.scalars(newest.order_by(ChallengeVersion.published_at.desc()).limit(1)).one()
            at = now(session)
            form = Form(challenge_digest=version.digest, reference=new_id(), state=FormState.ISSUED, created_at=at)
            session.add(form)
            session.flush()
            attempt = Attempt(
                kind=AttemptKind.REHEARSAL, challenge_digest=version.digest, form_id=form.id, started_at=at,
                created_at=at,
            )  # fmt: skip
            session.add(attempt)
            session.flush()
            submission = gradings.accept(session, attempt.id, work, key, urgency=urgency)
        return submission.id

    def gradings(self, submission: str) -> list[Grading]:
        with self.database.reading() as session:
            found = session.scalars(select(Grading).where(Grading.submission_id == submission))
            return list(found.all())

    def grading(self, submission: str) -> Grading:
        """The only grading of a submission."""
        (only,) = self.gradings(submission)
        return only

    def unfinished(self) -> int:
        with self.database.reading() as session:
            return len(session.scalars(select(Grading.id).where(Grading.finished_at.is_(None))).all())

    def drain(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until nothing is open any more."""
        until(lambda: not self.unfinished(), "all gradings: an end", seconds)


@contextmanager
def rig(state: Path, settings: Mapping[str, str] = {}, prefix: Sequence[str] = ()) -> Iterator[Rig]:
    """A rig with everything in it that its processes need; none of them is started yet."""
    made = Rig(state, settings, prefix)
    try:
        made.prepare()
        yield made
    finally:
        made.close()


def signal_one(process: int, number: signal.Signals = signal.SIGKILL) -> None:
    """To a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(process, number)
