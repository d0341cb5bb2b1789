"""The sandbox as a grader sees it: the same promise, with somebody looking over its shoulder.

What is watched, and why:

- *Time.* A grader has `grading_seconds`, for its own work and for the programs that it runs. What the engine takes
  to make and remove rooms is counted apart: a slow host is not the author's fault. While a room is busy the grader's
  alarm is off, so that no exception of ours strikes in the middle of a conversation with the engine.
- *Limits.* The manifest's are the most that a room may have, so that an operator can tell from them what a host needs.
- *Faults.* SandboxUnavailable and a breach of these rules are kept: a grader that catches everything, and goes on as
  if the candidate had answered nothing, still ends with that fault and not with a score.
- *Evidence.* What was asked and what was said is written down, up to a size.
"""

import base64
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, Literal, NoReturn

from graders.contract import Exchange, GraderFailed
from sandbox import Answer, Execution, Limits, Probe, Room, Sandbox, SandboxMisused, SandboxUnavailable

__all__ = ["Allowance", "Overrun", "Record", "WatchedSandbox", "storable"]

MOST_EXCHANGES: Final = 200
MOST_CHARACTERS: Final = 300_000  # of all exchanges together
LONGEST_ASKED: Final = 2000
LONGEST_WORD: Final = 300
LONGEST_INPUT: Final = 600
LONGEST_ANSWER: Final = 6000  # bytes; base64 makes 8000 characters of them
LONGEST_COMPLAINT: Final = 3000
# A grader that swallowed the alarm hears it again: late at first, so that it can clean up, and then without pause.
AGAIN_SECONDS: Final = (5.0, 0.05)
OURS: Final = {__file__, contextmanager.__code__.co_filename}  # what goes in and out of a with-block of ours
UNSTORABLE: Final = {0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


def _first(frame: FrameType | None, without: Set[str]) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename in without:
        frame = frame.f_back
    return frame


def storable(text: str) -> str:
    """No database takes a NUL, and nothing can encode half of a surrogate pair; a candidate may send both."""
    return text.translate(UNSTORABLE)


class Overrun(BaseException):
    """The author's code had no time left. No Exception: `except Exception` in a grader must not swallow it."""


@dataclass(slots=True)
class Record:
    """What is written down about one grading, also when it fails."""

    exchanges: list[Exchange] = field(default_factory=list)
    exchanges_left_out: int = 0
    printed: str = ""
    seconds: dict[str, float] = field(default_factory=dict)  # by phase; together all the time that it took
    characters_left: int = MOST_CHARACTERS

    def note(self, exchange: Exchange) -> None:
        size = len(exchange.asked) + len(exchange.answer) + len(exchange.complaint)
        if len(self.exchanges) >= MOST_EXCHANGES or size > self.characters_left:
            self.exchanges_left_out += 1
            return
        self.characters_left -= size
        self.exchanges.append(exchange)


class Allowance:
    """The time of an author's code and of the programs that it runs, with an alarm for when it is over.

    The alarm is a signal, so there is one only in the main thread of a process. Elsewhere the time is looked at
    when a room is asked for something, and code that never asks is ended by nobody here.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.own = 0.0  # of the author's code
        self.programs = 0.0  # by the sandbox's clock
        self.busy = 0.0  # of conversations with rooms, programs included
        self.over = False
        self._clock = clock
        self._since = clock()
        self._conversations = 0  # several at once when a grader has threads
        self._armed = False
        self._owner: FrameType | None = None  # whose with-block it is
        self._ours: Set[str] = OURS
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        running = 0.0 if self._conversations else self._clock() - self._since
        return self.seconds - self.own - self.programs - running

    @contextmanager
    def running(self, *through: str) -> Iterator[None]:
        """The author's code runs in this block. `through`: files of ours that one goes in and out by."""
        alarmed = threading.current_thread() is threading.main_thread()
        kept = signal.signal(signal.SIGALRM, self._ring) if alarmed else None
        self._ours = OURS.union(through)
        self._owner = _first(sys._getframe(), self._ours)
        self._since = self._clock()
        self._armed = alarmed
        try:
            try:
                self._arm()
                yield
            finally:
                self._armed = False  # should the alarm strike right before this, then not again for seconds
        finally:
            self._armed = False
            if alarmed:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, kept)
            self._owner = None
            self.own += self._clock() - self._since

    @contextmanager
    def conversation(self) -> Iterator[None]:
        """The sandbox works in this block, and comes to an end by itself: no alarm, and no time of the author's."""
        with self._lock:
            self._conversations += 1
            if self._conversations == 1:
                self.own += self._lap()
                self._arm(0)
        try:
            yield
        finally:
            with self._lock:
                if self._conversations == 1:
                    self.busy += self._lap()
                self._conversations -= 1
                if not self._conversations:
                    self._arm()

    def charge(self, seconds: float) -> None:
        with self._lock:
            self.programs += seconds

    def check(self) -> None:
        if self.over or self.left <= 0:
            self.over = True
            raise Overrun

    def phases(self) -> dict[str, float]:
        return {"grader": self.own, "programs": self.programs, "rooms": max(0.0, self.busy - self.programs)}

    def _lap(self) -> float:
        since, self._since = self._since, self._clock()
        return self._since - since

    def _arm(self, seconds: float | None = None) -> None:
        if self._armed:
            left = AGAIN_SECONDS[False] if self.over else max(0.001, self.left)  # who is over cleans up
            signal.setitimer(signal.ITIMER_REAL, left if seconds is None else seconds)

    def _ring(self, _: int, struck: FrameType | None) -> None:
        if not self._armed or self._conversations:
            return
        within = self._is_within(struck)
        self._arm(AGAIN_SECONDS[self.over or not within])
        if within:
            self.over = True
            raise Overrun

    def _is_within(self, struck: FrameType | None) -> bool:
        """Whether the author's code runs, and not ours that goes in or out: raised between the end of the block and
        the first line of its `finally`, it would leave the alarm set, and strike somebody who has no part in it."""
        within = False
        while struck is not None and struck is not self._owner:
            within |= struck.f_code.co_filename not in self._ours
            struck = struck.f_back
        return within and struck is not None


class WatchedSandbox:
    """A Sandbox for one grading. What it is told to leave alone is `submission`: the files of the candidate."""

    def __init__(
        self,
        sandbox: Sandbox,
        most: Limits,
        allowance: Allowance,
        record: Record,
        submission: Mapping[str, bytes] = {},
    ) -> None:
        self.most = most
        self.record = record
        self.allowance = allowance
        self.fault: GraderFailed | SandboxUnavailable | None = None
        self._sandbox = sandbox
        self._submission = submission

    def run(
        self,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes] = {},
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        limits: Limits | None = None,
        environment: Mapping[str, str] = {},
    ) -> Execution:
        """As every sandbox does. Limits that are not given are the manifest's."""
        limits = self._allowed(limits)
        files, _ = self._made_way(files)
        with self.asking():
            execution = self._sandbox.run(
                command, files=files, stdin=stdin, collect=collect, limits=limits, environment=environment
            )
        self.note_run(command, stdin, execution)
        return execution

    @contextmanager
    def open(
        self,
        *,
        files: Mapping[str, bytes] = {},
        limits: Limits | None = None,
        lifetime: float = 600,
        gateways: Mapping[int, Path] = {},
        environment: Mapping[str, str] = {},
    ) -> Iterator[Room]:
        limits = self._allowed(limits)
        files, left_out = self._made_way(files)
        with ExitStack() as opened:  # entered before the alarm is on again: what is open is closed in any case
            began = self.allowance.busy
            with self.asking():
                room = opened.enter_context(
                    self._sandbox.open(
                        files=files, limits=limits, lifetime=lifetime, gateways=gateways, environment=environment
                    )
                )
            self._note_open(files, left_out, limits, self.allowance.busy - began)
            watched = WatchedRoom(self, room, limits)
            try:
                yield watched
            finally:
                with self.allowance.conversation():
                    opened.close()
                watched.note_served(None)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Every conversation with the sandbox goes through here. A fault is kept, and told again to who goes on."""
        if self.fault is not None:
            raise self.fault
        self.allowance.check()
        try:
            with self.allowance.conversation():
                yield
        except SandboxUnavailable as error:
            self.fault = error
            raise
        except SandboxMisused as error:
            self.refuse(str(error), error)
        except (OSError, MemoryError) as error:  # of this host, while it spoke with a room: no author can mend that
            self.fault = SandboxUnavailable(f"sandbox: {type(error).__name__}: {error}")
            raise self.fault from error

    def refuse(self, sentence: str, cause: SandboxMisused | None = None) -> NoReturn:
        self.fault = GraderFailed(sentence)
        raise self.fault from cause

    def note_run(self, command: Sequence[str], stdin: bytes, execution: Execution) -> None:
        self.allowance.charge(execution.seconds)
        self.record.note(_exchange("run", _order(command, stdin), execution))

    def _allowed(self, limits: Limits | None) -> Limits:
        if limits is None:
            return self.most
        for name, value in asdict(limits).items():
            most = getattr(self.most, name)
            if value > most:
                self.refuse(
                    f"limits: {name}: {value:g} is asked for, and challenge.toml allows {most:g}: "
                    "pass limits=submission.limits, or raise it there"
                )
        return limits

    def _made_way(self, files: Mapping[str, bytes]) -> tuple[Mapping[str, bytes], list[str]]:
        """Without the candidate's files that are where the grader puts its own.

        A candidate's file `input` would make a folder `input` impossible, and so decide that nobody is graded.
        """
        ours = {name for name, content in files.items() if self._submission.get(name) is not content}
        as_folders = tuple(f"{name}/" for name in ours)
        folders = {name[:cut] for name in ours for cut in range(len(name)) if name[cut] == "/"}
        in_the_way = [name for name in files if name not in ours and (name in folders or name.startswith(as_folders))]
        if not in_the_way:
            return files, []
        return {name: content for name, content in files.items() if name not in in_the_way}, in_the_way

    def _note_open(self, files: Mapping[str, bytes], left_out: list[str], limits: Limits, seconds: float) -> None:
        size = sum(map(len, files.values()))
        told = f"{len(files)} files, {size} bytes; " + ", ".join(f"{k} {v:g}" for k, v in asdict(limits).items())
        if left_out:
            told += f"; left out, since the grader has files in their place: {', '.join(left_out)}"
        self.record.note(Exchange(kind="open", asked=_cut(told), seconds=seconds))


class WatchedRoom:
    def __init__(self, watched: WatchedSandbox, room: Room, limits: Limits) -> None:
        self._watched = watched
        self._room = room
        self._limits = limits
        self._served: Sequence[str] | None = None

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        seconds: float | None = None,
        hear: Callable[[bytes], object] | None = None,
    ) -> Execution:
        if seconds is not None and seconds > self._limits.seconds:
            self._watched.refuse(
                f"run: seconds: {seconds:g} are asked for, and the room was opened for {self._limits.seconds:g}: "
                "ask for less, or raise limits.seconds in challenge.toml"
            )
        with self._watched.asking():
            execution = self._room.run(command, stdin=stdin, collect=collect, seconds=seconds, hear=hear)
        self._watched.note_run(command, stdin, execution)
        return execution

    def serve(self, command: Sequence[str]) -> None:
        with self._watched.asking():
            self._room.serve(command)
        self._served = command

    def stop(self) -> Execution:
        with self._watched.asking():
            execution = self._room.stop()
        self.note_served(execution)
        return execution

    def note_served(self, execution: Execution | None) -> None:
        """Once for each program that was served: when it was stopped, or with the room, and then nothing is known."""
        if self._served is not None:
            self._watched.record.note(_exchange("serve", _order(self._served, b""), execution))
        self._served = None

    @contextmanager
    def probe(self, program: str, *arguments: str) -> Iterator[Probe]:
        with ExitStack() as opened:
            with self._watched.asking():
                probe = opened.enter_context(self._room.probe(program, *arguments))
            try:
                yield WatchedProbe(self._watched, probe)
            finally:
                with self._watched.allowance.conversation():
                    opened.close()


class WatchedProbe:
    def __init__(self, watched: WatchedSandbox, probe: Probe) -> None:
        self._watched = watched
        self._probe = probe

    @property
    def stderr(self) -> bytes:
        return self._probe.stderr

    def ask(self, question: bytes, *, seconds: float = 5) -> Answer:
        with self._watched.asking():
            answer = self._probe.ask(question, seconds=seconds)
        self._watched.allowance.charge(answer.seconds)
        line = answer.line or b""
        self._watched.record.note(
            Exchange(
                kind="ask",
                asked=_cut(question.decode(errors="backslashreplace")),
                answer=_encoded(line, LONGEST_ANSWER),
                complaint=_encoded(answer.silence.encode(), LONGEST_COMPLAINT),
                seconds=answer.seconds,
                cut=len(line) > LONGEST_ANSWER,
            )
        )
        return answer


def _exchange(kind: Literal["run", "serve"], asked: str, execution: Execution | None) -> Exchange:
    if execution is None:
        return Exchange(kind=kind, asked=_cut(asked))
    said = execution.stdout
    for name, content in execution.files.items():
        said += f"\n--- {name}\n".encode() + content
    return Exchange(
        kind=kind,
        asked=_cut(asked),
        ending=execution.ending,
        exit_code=execution.exit_code,
        answer=_encoded(said, LONGEST_ANSWER),
        complaint=_encoded(execution.stderr, LONGEST_COMPLAINT),
        seconds=execution.seconds,
        cpu_seconds=execution.cpu_seconds,
        cut=len(said) > LONGEST_ANSWER or len(execution.stderr) > LONGEST_COMPLAINT,
    )


def _order(command: Sequence[str], stdin: bytes) -> str:
    """As somebody would type it. A program of ours comes after its question: so the beginning says what was asked."""
    words = shlex.join(word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}..." for word in command)
    return f"{words}\n{stdin[:LONGEST_INPUT].decode(errors='backslashreplace')}" if stdin else words


def _cut(text: str) -> str:
    return storable(text)[:LONGEST_ASKED]


def _encoded(content: bytes, most: int) -> str:
    return base64.b64encode(content[:most]).decode()
