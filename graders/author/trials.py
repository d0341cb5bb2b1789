"""Grades many submissions of one challenge, side by side, each exactly as a worker would.

A grading wants the main thread of a process for itself: its time allowance is a signal. So each lane is a process,
with its own connection to the engine. What goes into the rooms is looked at on the way, for what must never be there.
"""

import multiprocessing
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from graders import grading
from graders.challenge import Challenge, read_challenge
from graders.contract import Finding, Form, GraderFailed, GradersError
from sandbox import Answer, Execution, Limits, Probe, Room, Sandbox, SandboxUnavailable
from sandbox.container import Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

__all__ = ["Landing", "SearchedSandbox", "Secrets", "Trial", "land", "rooms_for"]

CANARY: Final = re.compile(rb"assay-canary-[0-9A-Za-z-]{8,}")
SHORTEST_SECRET: Final = 24  # bytes; a private file that is shorter would be found everywhere


@dataclass(frozen=True, slots=True)
class Trial:
    """One submission to one form, which was built and calibrated before: lanes do neither."""

    kind: str  # solution, again, starter, nothing, cheat
    name: str
    seed: str
    form: Form
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Landing:
    """Where it landed: findings, or why there are none."""

    trial: Trial
    findings: tuple[Finding, ...] = ()
    seconds: float = 0
    failure: str = ""
    leaks: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------- what must not go into a room


class Secrets:
    """What a challenge keeps to itself: its private files, and canaries in whatever candidates do not get."""

    def __init__(self, challenge: Challenge) -> None:
        self.files = {f"private/{name}": path.read_bytes() for name, path in challenge.private.items()}
        kept = [*self.files.values(), *_code_of_its_own(challenge.folder)]
        self.canaries = {canary for content in kept for canary in CANARY.findall(content)}

    def found_in(self, name: str, content: bytes) -> list[str]:
        found = [
            f"{secret}: its content stands in {name}"
            for secret, kept in self.files.items()
            if len(kept.strip()) >= SHORTEST_SECRET and kept.strip() in content
        ]
        return found + [
            f"canary {canary.decode()}: stands in {name}" for canary in sorted(self.canaries) if canary in content
        ]


def _code_of_its_own(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "grader.py", folder / "generator.py") if path.is_file()]


class SearchedSandbox:
    """A sandbox that notes secrets on their way in. It changes nothing."""

    def __init__(self, sandbox: Sandbox, secrets: Secrets) -> None:
        self.sandbox = sandbox
        self.secrets = secrets
        self.leaks: dict[str, None] = {}

    def note(self, name: str, content: bytes) -> None:
        self.leaks.update(dict.fromkeys(self.secrets.found_in(name, content)))

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
        self._note_all(command, files, stdin, environment)
        return self.sandbox.run(
            command, files=files, stdin=stdin, collect=collect, limits=limits, environment=environment
        )

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
        self._note_all((), files, b"", environment)
        opened = self.sandbox.open(
            files=files, limits=limits, lifetime=lifetime, gateways=gateways, environment=environment
        )
        with opened as room:
            yield SearchedRoom(room, self)

    def _note_all(
        self, command: Sequence[str], files: Mapping[str, bytes], stdin: bytes, environment: Mapping[str, str]
    ) -> None:
        for name, content in files.items():
            self.note(f"the room's file {name}", content)
        for what, words in (("a command", command), ("the environment", environment.values())):
            self.note(what, "\n".join(words).encode(errors="surrogateescape"))
        self.note("a program's input", stdin)


class SearchedRoom:
    def __init__(self, room: Room, watcher: SearchedSandbox) -> None:
        self.room = room
        self.watcher = watcher

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        seconds: float | None = None,
        hear: Callable[[bytes], object] | None = None,
    ) -> Execution:
        self.watcher.note("a command", "\n".join(command).encode(errors="surrogateescape"))
        self.watcher.note("a program's input", stdin)
        return self.room.run(command, stdin=stdin, collect=collect, seconds=seconds, hear=hear)

    def serve(self, command: Sequence[str]) -> None:
        self.room.serve(command)

    def stop(self) -> Execution:
        return self.room.stop()

    @contextmanager
    def probe(self, program: str, *arguments: str) -> Iterator[Probe]:
        self.watcher.note("a probe", "\n".join([program, *arguments]).encode(errors="surrogateescape"))
        with self.room.probe(program, *arguments) as probe:
            yield SearchedProbe(probe, self.watcher)


class SearchedProbe:
    def __init__(self, probe: Probe, watcher: SearchedSandbox) -> None:
        self.probe = probe
        self.watcher = watcher

    @property
    def stderr(self) -> bytes:
        return self.probe.stderr

    def ask(self, question: bytes, *, seconds: float = 5) -> Answer:
        self.watcher.note("a probe's question", question)
        return self.probe.ask(question, seconds=seconds)


# ----------------------------------------------------------------------------------------------------------- grading


def rooms_for(engine: Engine, settings: SandboxSettings, image: str) -> DockerSandbox:
    rooms = DockerSandbox(engine, pinned(settings, image), settings, Owner(kind="author"))
    rooms.sweep()
    return rooms


@dataclass(slots=True)
class Lane:
    """What one process keeps between two gradings."""

    challenge: Challenge
    secrets: Secrets
    rooms: Sandbox

    def grade(self, trial: Trial) -> Landing:
        """A sandbox that failed is asked once more, as the queue would have a worker do."""
        try:
            return self._grade(trial)
        except SandboxUnavailable:
            return self._grade(trial)

    def _grade(self, trial: Trial) -> Landing:
        watcher = SearchedSandbox(self.rooms, self.secrets)
        try:
            graded = grading.grade(self.challenge, trial.files, trial.form, watcher)
        except GradersError as error:
            return Landing(trial, failure=str(error), leaks=tuple(watcher.leaks))
        return Landing(trial, graded.findings, sum(graded.seconds.values()), leaks=tuple(watcher.leaks))


_lane: list[Lane] = []  # of this process; empty but in those that land() starts


def _listen_to_signals() -> None:
    """Ctrl-C is our parent's to hear: it tells us with SIGTERM, and then what was begun is taken down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _grade(folder: Path, packs: Sequence[Path], settings: SandboxSettings, trial: Trial) -> Landing:
    if not _lane:
        challenge = read_challenge(folder, packs)
        rooms = rooms_for(Engine(settings), settings, challenge.manifest.image)  # open until the process ends
        _lane.append(Lane(challenge, Secrets(challenge), rooms))
    return _lane[0].grade(trial)


def land(
    challenge: Challenge,
    packs: Sequence[Path],
    trials: Iterable[Trial],
    settings: SandboxSettings,
    *,
    lanes: int,
    told: Callable[[Landing], None],
) -> list[Landing]:
    """Grade every trial, `lanes` at a time; in the order of `trials`."""
    processes = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(lanes, processes, _listen_to_signals)
    try:
        waiting = [pool.submit(_grade, challenge.folder, tuple(packs), settings, trial) for trial in trials]
        for done in as_completed(waiting):
            told(done.result())
        pool.shutdown()
        return [done.result() for done in waiting]
    except BrokenExecutor:
        raise GraderFailed(
            "grader.py: the process that graded was ended: by the grader, which has to return its findings instead, "
            "or by the machine for want of memory: try again with --at-once 1"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
            process.join(20)
