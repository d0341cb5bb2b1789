"""Runs a candidate's program where it can do no harm, and says what happened.

*What goes in may be read by the candidate; what comes out may be forged by the candidate.*  So inputs go in,
never answers; evidence comes out, never verdicts; time is measured where no program of the candidate can reach.

    with sandbox.open(files=submission) as room:
        built = room.run(["python3", "build.py"])
        room.serve(["python3", "server.py"])
        with room.probe(PROBE) as probe:
            answer = probe.ask(b'{"path": "/health"}')

`sandbox.run(...)` is the short form for one program in a room of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

__all__ = [
    "Answer",
    "Ending",
    "Execution",
    "Limits",
    "Probe",
    "Room",
    "Sandbox",
    "SandboxError",
    "SandboxMisused",
    "SandboxUnavailable",
]


class SandboxError(Exception):
    """The root of everything that this package raises."""


class SandboxUnavailable(SandboxError):
    """The sandbox itself failed: nothing is known about the candidate's program. The operator's fault."""


class SandboxMisused(SandboxError):
    """The caller asked for something that cannot be: a limit out of range, a file name that leaves the room."""


class Ending(StrEnum):
    """How a program came to its end. Each is a fact about the program, none is a fault of ours."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    TOO_MUCH_OUTPUT = "too much output"
    STOPPED = "stopped"  # a served program that was no longer needed
    NOT_STARTED = "not started"  # there is no such command, or it may not be executed


@dataclass(frozen=True, slots=True)
class Limits:
    """What one room may use. Files live in memory, so `disk_mb` is counted within `memory_mb`."""

    seconds: float = 10  # of wall time, for each program; the room itself has its own lifetime
    memory_mb: int = 256
    processes: int = 64  # threads count, as the kernel counts them
    output_kb: int = 256  # of stdout and stderr together, for each program
    disk_mb: int = 32  # in each of /box, /tmp and /dev/shm, and for each file
    cpus: float = 1.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            check_range(name, getattr(self, name))


def check_range(name: str, value: object) -> None:
    low, high = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise SandboxMisused(f"limits: {name}: {value!r} is not between {low:g} and {high:g}")
    if name not in FRACTIONS and not isinstance(value, int):
        raise SandboxMisused(f"limits: {name}: {value!r} is not a whole number")


RANGES: Final = {
    "seconds": (0.1, 3600),
    "memory_mb": (32, 65536),
    "processes": (1, 4096),
    "output_kb": (1, 65536),
    "disk_mb": (1, 16384),
    "cpus": (0.1, 64),
    "lifetime": (1, 86400),  # of a room, in seconds
}
FRACTIONS: Final = frozenset({"seconds", "cpus", "lifetime"})


@dataclass(frozen=True, slots=True)
class Execution:
    """What one program did, as far as can be told from outside.

    `stdout`, `stderr`, `files` and `exit_code` are the program's own words, but for the reason in `stderr` why it was
    not started; `ending` and `seconds` are ours.
    """

    ending: Ending
    exit_code: int | None  # 128 + n when signal n ended it; None unless `ending` is EXITED
    stdout: bytes
    stderr: bytes
    seconds: float  # wall time; by our clock, or by the warden's when we were late to look
    cpu_seconds: float | None = None  # of everything in the room while it ran; None: it could not be read
    memory_exceeded: bool = False  # some process was killed for memory, perhaps not the one that we started
    files: Mapping[str, bytes] = field(default_factory=dict)  # regular files that were asked for and are there
    refused: Mapping[str, str] = field(default_factory=dict)  # asked for, there, and not taken: name and why

    @property
    def ok(self) -> bool:
        return self.ending is Ending.EXITED and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe said to one question: one line, or None and the reason in `silence`."""

    line: bytes | None
    seconds: float
    silence: str = ""


class Probe(Protocol):
    """A program of ours in the room, under a uid that the candidate's programs can neither signal nor read."""

    @property
    def stderr(self) -> bytes:
        """The first kilobytes that the probe complained, for the author of the challenge."""

    def ask(self, question: bytes, *, seconds: float = 5) -> Answer:
        """Write `question` as one line to the probe, and read one line back.

        A probe that was silent once stays silent: after that its lines could belong to another question.
        """


class Room(Protocol):
    """A container that stays: files went in once, before any program ran; programs run one after another."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        seconds: float | None = None,
        hear: Callable[[bytes], object] | None = None,
    ) -> Execution:
        """Run `command` in /box to its end, end whatever it left running, then read the files in `collect`.

        A name in `collect` is a regular file, or a folder whose regular files are taken. `hear` is given what the
        program prints, of both streams and as it comes; it must return at once, since nothing is read meanwhile.
        """

    def serve(self, command: Sequence[str]) -> None:
        """Start `command` and leave it running. Output beyond `output_kb` is dropped, not punished."""

    def stop(self) -> Execution:
        """End the served program, if it has not ended by itself, and say what it did."""

    def probe(self, program: str, *arguments: str) -> AbstractContextManager[Probe]:
        """Start `program`, the text of a Python program, that reads questions from stdin line by line."""


class Sandbox(Protocol):
    """Every misbehaviour of a program is an `Execution`; only our own failure raises SandboxUnavailable."""

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
        """Run one program in a fresh room that holds `files` in /box, and take the room down."""

    def open(
        self,
        *,
        files: Mapping[str, bytes] = {},
        limits: Limits = Limits(),
        lifetime: float = 600,
        gateways: Mapping[int, Path] = {},
        environment: Mapping[str, str] = {},
    ) -> AbstractContextManager[Room]:
        """Open a room. `gateways` maps ports of the room's localhost to unix sockets of ours outside."""
