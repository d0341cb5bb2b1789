"""A room seen from outside: says to the warden what to run, and turns what comes back into Executions.

Knows nothing of containers: it is given the warden's stream, a way to start a second program, and a way to ask how
the container ended. Whatever the stream says is a claim of a machine that a candidate's program had to itself, so
every length is bounded here again.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sandbox import Answer, Ending, Execution, Limits, Probe, SandboxMisused, SandboxUnavailable, check_range
from sandbox.checks import check_order, check_word
from sandbox.wire import Closed, Stalled, Stream

GRACE: Final = 2.0  # seconds beyond a program's own before the room itself is ended; the warden's clock comes first
SETTLING: Final = 30.0  # seconds for what no program of the candidate can slow down: starting, taking files
PIECE: Final = 1 << 16
LONGEST_FRAME: Final = 1 << 17
LONGEST_LINE: Final = 1 << 20
MOST_NAMES: Final = 1 << 24  # bytes of names and refusals for one program: more than a thousand of the longest need
NAME_OVERHEAD: Final = 200  # what an empty file costs us
READY: Final = b"ready"

# The first line says that the engine could start the probe: its own complaint would come on the same stream. It is
# said only when asked: what comes together with the engine's answer to "start" is lost in the client's buffer.
# What it is to do comes through its stdin, since its command line can be read by every program in the room; and not
# a byte more is taken from there, so that the next is the first of the first question.
PROBE: Final = """
import os, sys
def exactly(size):
    words = b""
    while len(words) < size:
        words += os.read(0, size - len(words)) or sys.exit()
    return words
program, *sys.argv[1:] = os.fsdecode(exactly(int(exactly(20)))).split("\\0")
print("ready", flush=True)
exec(compile(program, "probe", "exec"))
"""

REASONS: Final = {
    b"": Ending.EXITED,
    b"time": Ending.TIMED_OUT,
    b"output": Ending.TOO_MUCH_OUTPUT,
    b"sockets": Ending.OUT_OF_MEMORY,  # their buffers are memory that the kernel may not count
    b"stopped": Ending.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Demise:
    """How a container ended that ended before it was told to."""

    ending: Ending
    memory_exceeded: bool = False


@dataclass(slots=True)
class Record:
    """What is known so far of one program. Output and files are kept up to their limits, and counted beyond."""

    output_left: int
    files_left: int
    names_left: int = MOST_NAMES
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    files: dict[str, bytearray] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    ending: Ending = Ending.EXITED
    code: int = 0
    lasted: float = 0.0  # by the warden's clock
    cpu_seconds: float | None = None
    kills: int = 0
    failure: str = ""
    open_file: str = ""
    hear: Callable[[bytes], object] | None = None  # somebody who listens while it runs

    def execution(self) -> Execution:
        ending, code = self.ending, None
        if self.failure:
            ending = Ending.NOT_STARTED
        elif ending is Ending.EXITED:
            code = self.code if self.code >= 0 else 128 - self.code
            # 137 alone proves nothing: a program may kill itself. The cgroup counts what the kernel killed.
            if code == 137 and self.kills:
                ending, code = Ending.OUT_OF_MEMORY, None
        return self._as(ending, code, bool(self.kills) or ending is Ending.OUT_OF_MEMORY)

    def cut_off(self, demise: Demise) -> Execution:
        self.files.pop(self.open_file, None)  # its end may be missing
        return self._as(demise.ending, None, demise.memory_exceeded or bool(self.kills))

    def _as(self, ending: Ending, code: int | None, memory_exceeded: bool) -> Execution:
        seconds = 0.0
        if self.started is not None:
            # We may have been late to read that it began; nobody can make our clock run slower than the warden's.
            seconds = max(self.lasted, (self.ended or time.monotonic()) - self.started)
        return Execution(
            ending=ending,
            exit_code=code,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr) or self.failure.encode(),
            seconds=seconds,
            cpu_seconds=self.cpu_seconds,
            memory_exceeded=memory_exceeded,
            files={name: bytes(content) for name, content in self.files.items()},
            refused=dict(self.refused),
        )


class AttachedRoom:
    """The Room of every sandbox whose warden can be reached through a stream."""

    def __init__(
        self,
        warden: Stream,
        limits: Limits,
        lifetime: float,
        *,
        enter: Callable[[Sequence[str]], Stream],
        end: Callable[[], None],
        autopsy: Callable[[], Demise],
        starved: Callable[[], bool],
        settling: float = SETTLING,
    ) -> None:
        self._warden = warden
        self._limits = limits
        self._ends = time.monotonic() + lifetime
        self._enter = enter
        self._end = end
        self._autopsy = autopsy
        self._starved = starved
        self._settling = settling
        self._demise: Demise | None = None
        self._served: Record | None = None

    # what a caller sees

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        seconds: float | None = None,
        hear: Callable[[bytes], object] | None = None,
    ) -> Execution:
        self._must_be_idle()
        seconds = self._limits.seconds if seconds is None else seconds
        order = self._order(b"R", command, stdin, collect, seconds)
        record = self._record()
        record.hear = hear
        if self._demise is not None:
            return record.cut_off(self._demise)
        try:
            self._settle(record, order, b"s")
            try:
                self._follow(record, b"e", seconds + GRACE)
            except Stalled:
                return record.cut_off(self._take_down())
            self._settle(record, (), b"z")
        except Closed:
            return record.cut_off(self._find_demise(record))
        return record.execution()

    def serve(self, command: Sequence[str]) -> None:
        self._must_be_idle()
        order = self._order(b"S", command, b"", (), 0)
        self._served = self._record()
        if self._demise is not None:
            return
        try:
            self._settle(self._served, order, b"b")
        except Closed:
            self._find_demise(self._served)

    def stop(self) -> Execution:
        if self._served is None:
            raise SandboxMisused("stop: nothing is served in this room")
        record, self._served = self._served, None
        if self._demise is not None:
            return record.cut_off(self._demise)
        try:
            self._say(b"X")
            self._follow(record, b"z", self._settling)
        except Stalled:  # what is served may be at fault: it runs until it is ended
            return record.cut_off(self._take_down())
        except Closed:
            return record.cut_off(self._find_demise(record))
        return record.execution()

    @contextmanager
    def probe(self, program: str, *arguments: str) -> Iterator[Probe]:
        for word in (program, *arguments):
            check_word("probe", word)
        probe = AttachedProbe(self._limits.output_kb << 10)
        try:
            if self._demise is None:
                probe.begin(self._enter(("python3", "-I", "-c", PROBE)), (program, *arguments), self._starved)
        except Closed:
            self._find_demise()
        try:
            yield probe
        finally:
            probe.close()

    # what the sandbox that opened the room needs

    def take(self, files: Mapping[str, bytes]) -> None:
        """Send files in. Only before the first program: nothing of ours is written where a program has been."""
        try:
            for name, content in files.items():
                self._say(b"F", name.encode())
                for start in range(0, len(content), PIECE):
                    self._say(b"A", content[start : start + PIECE])
        except (Stalled, Closed) as error:
            raise SandboxUnavailable(f"files: the room did not take them: {self._words()}") from error

    # the conversation with the warden

    def _order(
        self, kind: bytes, command: Sequence[str], stdin: bytes, collect: Sequence[str], seconds: float
    ) -> list[tuple[bytes, bytes]]:
        check_order(command, stdin, collect, self._limits)
        if kind == b"R":
            check_range("seconds", seconds)
        head = (f"{seconds:.3f}", str(self._limits.output_kb << 10), str(self._limits.disk_mb << 20))
        fields = (*head, str(len(collect)), *collect, *command)
        order = b"\0".join(field.encode("utf-8", "surrogateescape") for field in fields)
        pieces = [(b"I", stdin[start : start + PIECE]) for start in range(0, len(stdin), PIECE)]
        return [*pieces, (kind, order)]

    def _settle(self, record: Record, order: Sequence[tuple[bytes, bytes]], until: bytes) -> None:
        """What no program of the candidate runs meanwhile, so that being late is our own failure."""
        try:
            for kind, payload in order:
                self._say(kind, payload)
            self._follow(record, until, self._settling)
        except Stalled:
            over = time.monotonic() >= self._ends
            self._take_down()
            if over:  # the room's own time, which a slow program may have used up
                raise Closed from None
            raise SandboxUnavailable(
                f"room: silent for {self._settling:g} s with nothing running: is the host overloaded?"
            ) from None

    def _say(self, kind: bytes, payload: bytes = b"") -> None:
        self._warden.write(kind + len(payload).to_bytes(4, "big") + payload, self._by(self._settling))

    def _follow(self, record: Record, until: bytes, patience: float) -> None:
        """Read what the warden says, up to and including `until`."""
        deadline = self._by(patience)
        while True:
            head = self._exactly(5, deadline)
            kind, length = head[:1], int.from_bytes(head[1:], "big")
            if length > LONGEST_FRAME:
                raise SandboxUnavailable(f"room: a message of {length} bytes: the warden does not say that")
            payload = self._exactly(length, deadline)
            try:
                self._note(record, kind, payload)
            except (ValueError, KeyError):
                raise SandboxUnavailable(f"room: {kind + payload[:60]!r}: the warden does not say that") from None
            if kind == until:
                return

    def _note(self, record: Record, kind: bytes, payload: bytes) -> None:
        if kind in (b"1", b"2"):
            kept = payload[: record.output_left]
            record.output_left -= len(kept)
            (record.stdout if kind == b"1" else record.stderr).extend(kept)
            if kept and record.hear is not None:
                record.hear(kept)
        elif kind == b"s":
            record.started = time.monotonic()
        elif kind == b"b":
            record.failure = payload.decode(errors="replace")
        elif kind == b"e":
            record.ended = time.monotonic()
            why, code, lasted, spent, kills, failure = payload.split(b"\0", 5)
            record.ending, record.code, record.kills = REASONS[why], int(code), int(kills)
            record.lasted = int(lasted) / 1e6
            record.cpu_seconds = int(spent) / 1e6 if int(spent) >= 0 else None
            record.failure = failure.decode(errors="replace")
        elif kind in (b"f", b"n") and record.names_left < len(payload):
            raise SandboxUnavailable("room: names without end: the warden does not say that")
        elif kind == b"f":
            record.names_left -= len(payload) + NAME_OVERHEAD
            record.open_file = payload.decode()
            record.files[record.open_file] = bytearray()
        elif kind == b"d":
            kept = payload[: record.files_left]
            record.files_left -= len(kept)
            record.files[record.open_file].extend(kept)
        elif kind == b"n":
            record.names_left -= len(payload) + NAME_OVERHEAD
            name, _, why_refused = payload.partition(b"\0")
            record.refused[_readable(name)] = why_refused.decode(errors="replace")
        elif kind == b"x":
            self._take_down()  # what was asked for meanwhile would be answered to the next question
            raise SandboxMisused(f"files: {payload.decode(errors='replace')}: the room could not take them")
        elif kind != b"z":
            raise SandboxUnavailable(f"room: {kind!r}: the warden does not say that")

    def _exactly(self, length: int, deadline: float) -> bytes:
        found = self._rest
        while len(found) < length:
            found += self._warden.read(deadline)
        self._rest = found[length:]
        return found[:length]

    _rest = b""  # of the last piece read, at most Stream.MOST_AT_ONCE

    def _by(self, patience: float) -> float:
        return min(time.monotonic() + patience, self._ends + GRACE)

    def _record(self) -> Record:
        return Record(self._limits.output_kb << 10, self._limits.disk_mb << 20)

    def _must_be_idle(self) -> None:
        if self._served is not None:
            raise SandboxMisused("room: a program is being served: stop it before the next one")

    def _words(self) -> str:
        return self._warden.stderr.decode(errors="replace").strip() or "it said nothing"

    # when the room itself comes to an end

    def _take_down(self) -> Demise:
        """The program's time is over and the warden could not say so: end everything, from outside."""
        self._demise = Demise(Ending.TIMED_OUT)
        self._end()
        return self._demise

    def _find_demise(self, record: Record | None = None) -> Demise:
        if record is not None and record.started is not None and record.ended is None:
            record.ended = time.monotonic()  # what follows takes time that is not the program's
        if self._demise is not None:
            return self._demise
        if self._warden.stderr:
            raise SandboxUnavailable(f"room: the warden failed: {self._words()}")
        self._demise = self._autopsy()
        return self._demise


class AttachedProbe:
    def __init__(self, longest: int) -> None:
        self._stream: Stream | None = None
        self._longest = min(longest, LONGEST_LINE)
        self._rest = b""
        self._silence = "the room had ended"

    def begin(self, stream: Stream, words: Sequence[str], starved: Callable[[], bool]) -> None:
        self._stream, self._silence = stream, ""
        deadline = time.monotonic() + SETTLING
        content = os.fsencode("\0".join(words))
        try:
            stream.write(b"%020d" % len(content) + content, deadline)
            greeting = self._line(stream, deadline)
        except (Stalled, Closed):
            greeting = None
        if greeting != READY:
            complaint = (greeting or stream.stderr).decode(errors="replace").strip()
            if not starved():
                raise SandboxUnavailable(f"probe: it did not start: {complaint or 'no reason is given'}")
            self._silence = "the room was out of memory when the probe was to start"

    @property
    def stderr(self) -> bytes:
        return self._stream.stderr if self._stream is not None else b""

    def ask(self, question: bytes, *, seconds: float = 5) -> Answer:
        if b"\n" in question:
            raise SandboxMisused("probe: a question is one line")
        started = time.monotonic()
        line = None
        if self._stream is not None and not self._silence:
            try:
                self._stream.write(question + b"\n", started + seconds)
                line = self._line(self._stream, started + seconds)
            except Stalled:
                self._silence = f"no answer in {seconds:g} s"
            except Closed:
                self._silence = "the probe ended"
        return Answer(line, time.monotonic() - started, self._silence)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _line(self, stream: Stream, deadline: float) -> bytes | None:
        pieces, size, end = [], 0, b""
        while not end:
            piece, end, self._rest = (self._rest or stream.read(deadline)).partition(b"\n")
            pieces.append(piece)
            size += len(piece)
            if size > self._longest:
                self._silence = f"an answer longer than {self._longest} bytes"
                return None
        return b"".join(pieces)


def _readable(name: bytes) -> str:
    """A name that a program chose, as text that can be stored and encoded again."""
    return name.decode("utf-8", "backslashreplace")
