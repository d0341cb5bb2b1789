"""Calls a function of the candidate's: arguments go into a room, values come out, comparison stays here.

    answers = calls.call("solution.py:add", [(1, 2), (-1, 1)], submission, sandbox)
    return [calls.credit(answers, [3, 0]).finding("adds")]

Every call is one fresh process, so that nothing but files can be carried from one to the next, and none sees the
arguments of another before its time. What it returned, that it raised, even that it ran: all of it is the candidate's
claim. It is worth something because it is compared out here, over arguments that the candidate could not know.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from graders import strict
from graders.contract import Submission
from graders.patience import Patience, longest
from graders.probes import program, run_program, serve_program
from sandbox import Ending, Execution, Limits, Probe, Room, Sandbox

__all__ = ["Answers", "Arguments", "Kind", "Outcome", "Raises", "call", "call_in", "credit"]

FUNCTION: Final = re.compile(r"\w[\w./-]*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
SETTLING: Final = 5.0  # seconds beyond the candidate's own for a probe of ours, which always answers
MOST_NESTED: Final = 110  # the program in the room goes 100 deep
UNASKED: Final = "it was not asked: the calls before took all the time there was"

Arguments = Sequence[Any] | Mapping[str, Any]  # by position, or by name


class Kind(StrEnum):
    VALUE = "value"
    RAISED = "raised"
    SILENT = "silent"  # no answer: it hung, died, was too large, or there is no such function
    UNREADABLE = "unreadable"  # an answer that is no plain JSON, or none of ours


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call."""

    kind: Kind
    value: Any = None
    exceptions: tuple[str, ...] = ()  # what it raised, and what that is a kind of
    reason: str = ""  # in words, unless there is a value
    cpu_seconds: float | None = None  # with interpreter and imports; None where a process is kept

    @property
    def text(self) -> str:
        return strict.shown(self.value) if self.kind is Kind.VALUE else f"{self.kind}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Answers:
    """One outcome for each call, in the order in which they were asked."""

    function: str
    arguments: tuple[Arguments, ...]
    outcomes: tuple[Outcome, ...]

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __getitem__(self, number: int) -> Outcome:
        return self.outcomes[number]


def call(
    function: str,
    arguments: Sequence[Arguments],
    submission: Submission,
    sandbox: Sandbox,
    *,
    seconds_each: float | None = None,
    seconds_all: float = 120,
    keep: bool = False,
) -> Answers:
    """Call `function` once for each of `arguments`, in one room.

    `function` is "module:name" or "folder/file.py:name". `seconds_each` are CPU seconds for one call, with start and
    imports; a third of the manifest's limits.seconds when not given. Once all calls together used `seconds_all`, or
    three times as much by the clock, the others are not asked. `keep`: one process takes all calls, one after another,
    and only wall time is counted: for functions that are slow to import.
    """
    _check(function, arguments)
    patience = Patience.within(submission.limits, seconds_each, seconds_all)
    lifetime = longest(seconds_all) + patience.wall_seconds + 60
    with sandbox.open(files=submission.files, limits=submission.limits, lifetime=lifetime) as room:
        return call_in(
            room,
            function,
            arguments,
            submission.limits,
            seconds_each=seconds_each,
            seconds_all=seconds_all,
            keep=keep,
        )


def call_in(
    room: Room,
    function: str,
    arguments: Sequence[Arguments],
    limits: Limits,
    *,
    seconds_each: float | None = None,
    seconds_all: float = 120,
    keep: bool = False,
) -> Answers:
    """The same in a room that is open already, with the limits that it was opened with."""
    _check(function, arguments)
    patience = Patience.within(limits, seconds_each, seconds_all)
    asked = _Kept(room, function, limits, patience) if keep else _Fresh(room, function, limits, patience)
    with closing(asked):
        outcomes = [Outcome(Kind.SILENT, reason=UNASKED) if patience.over else asked.ask(one) for one in arguments]
    return Answers(function, tuple(arguments), tuple(outcomes))


def _check(function: str, arguments: Sequence[Arguments]) -> None:
    if not FUNCTION.fullmatch(function) or ".." in function:
        raise ValueError(f'function: {function!r}: must be like "module:name" or "folder/file.py:name"')
    if not arguments:
        raise ValueError(f"{function}: arguments: there must be at least one call")
    for number, one in enumerate(arguments, 1):
        if isinstance(one, str | bytes) or not isinstance(one, Sequence | Mapping):
            what = f"{function}: arguments: call {number}: {one!r}"
            raise ValueError(f"{what}: must be a list, or a dict by name")  # noqa: TRY004  # as of all misuse


class _Fresh:
    """Every question to a process of its own."""

    def __init__(self, room: Room, function: str, limits: Limits, patience: Patience) -> None:
        self.room, self.function, self.limits, self.patience = room, function, limits, patience

    def ask(self, arguments: Arguments) -> Outcome:
        nonce = secrets.token_hex(8)
        order = _line({"id": nonce, "function": self.function, "arguments": arguments})
        command, stdin = run_program(order, "values", "functions", "call")
        execution = self.room.run(command, stdin=stdin, seconds=self.patience.wall_seconds)
        self.patience.charge(execution)
        if complaint := self.patience.complaint(execution) or _died(execution):
            return Outcome(Kind.SILENT, reason=complaint, cpu_seconds=execution.cpu_seconds)
        return _read(execution.stdout, nonce, execution.cpu_seconds)

    def close(self) -> None:
        """Nothing is left running."""


class _Kept:
    """All questions to one process; to another after one that did not answer."""

    def __init__(self, room: Room, function: str, limits: Limits, patience: Patience) -> None:
        self.room, self.function, self.patience = room, function, patience
        self.most_bytes = min(limits.output_kb << 10, 1 << 20) // 2 - 100  # a text within the probe's own line
        self.serving = ExitStack()
        self.probe: Probe | None = None

    def ask(self, arguments: Arguments) -> Outcome:
        nonce = secrets.token_hex(8)
        seconds = self.patience.wall_seconds
        question = {"seconds": seconds, "line": _line({"id": nonce, "arguments": arguments}).decode()}
        self.probe = self.probe or self._begun()
        carried = self.probe.ask(_line(question), seconds=seconds + SETTLING)
        said = json.loads(carried.line) if carried.line is not None else {"silence": carried.silence}
        if "line" in said:
            return _read(said["line"].encode() + b"\n", nonce, None)
        ended = self._stopped()
        return Outcome(Kind.SILENT, reason=said["silence"] if ended.ending is Ending.STOPPED else _died(ended))

    def close(self) -> None:
        if self.probe is not None:
            self._stopped()

    def _begun(self) -> Probe:
        address = secrets.token_hex(16)
        self.room.serve(serve_program("values", "functions", "kept", arguments=[self.function, address]))
        return self.serving.enter_context(self.room.probe(program("living", "lines"), address, str(self.most_bytes)))

    def _stopped(self) -> Execution:
        self.probe = None
        self.serving.close()
        return self.room.stop()


def _line(question: Mapping[str, Any]) -> bytes:
    return json.dumps(question, allow_nan=False).encode()


def _died(execution: Execution) -> str:
    """Why a program that ended gave no answer; empty when it may have given one."""
    if execution.ok and execution.stdout:
        return ""
    how = f"exit code {execution.exit_code}" if execution.ending is Ending.EXITED else str(execution.ending)
    last_words = strict.printable(execution.stderr.strip().rpartition(b"\n")[2])
    return f"it ended without an answer ({how})" + (f": {last_words}" if last_words else "")


def _read(line: bytes, nonce: str, cpu_seconds: float | None) -> Outcome:
    """What the program in the room says of itself: one line, with the number of its question."""
    if line.count(b"\n") != 1 or not line.endswith(b"\n"):
        return Outcome(Kind.UNREADABLE, reason="more than one answer, or half of one", cpu_seconds=cpu_seconds)
    try:
        said = strict.loads(line, most_bytes=len(line), most_depth=MOST_NESTED, most_items=len(line))
    except strict.NotStrict as error:
        return Outcome(Kind.UNREADABLE, reason=str(error), cpu_seconds=cpu_seconds)
    match said:
        case {"id": str(number), "output": value} if number == nonce and len(said) == 2:
            return Outcome(Kind.VALUE, value, cpu_seconds=cpu_seconds)
        case {"id": str(number), "raised": [[*kinds], str(words)]} if number == nonce and len(said) == 2:
            if len(kinds) < 50 and all(type(kind) is str for kind in kinds):
                reason = strict.printable(words)
                return Outcome(Kind.RAISED, exceptions=tuple(kinds), reason=reason, cpu_seconds=cpu_seconds)
        case {"id": str(number), "refused": str(words)} if number == nonce:
            return Outcome(Kind.UNREADABLE, reason=strict.printable(words), cpu_seconds=cpu_seconds)
        case {"id": str(number), "broken": str(words)} if number == nonce:
            return Outcome(Kind.SILENT, reason=strict.printable(words), cpu_seconds=cpu_seconds)
    return Outcome(Kind.UNREADABLE, reason="not an answer to what was asked", cpu_seconds=cpu_seconds)


# ---------------------------------------------------------------------------------------------------- comparing


@dataclass(frozen=True, slots=True)
class Raises:
    """Stands among expected values for a call that must raise this, or a kind of it."""

    exception: str


def credit(
    answers: Answers,
    expected: Sequence[Any],
    *,
    tolerance: float | strict.Tolerance | None = None,
    unordered: bool = False,
    compare: Callable[[Any, Any], bool] | None = None,
) -> strict.Comparison:
    """The fraction of calls with the expected outcome, and what the first others said.

    `compare(expected, value)` replaces strict.same where that is not enough; it is given values, never a failure.
    """
    if len(expected) != len(answers):
        raise ValueError(f"{answers.function}: {len(expected)} values are expected of {len(answers)} calls")

    def right(outcome: Outcome, wanted: Any) -> bool:
        if isinstance(wanted, Raises):
            return outcome.kind is Kind.RAISED and wanted.exception in outcome.exceptions
        if outcome.kind is not Kind.VALUE:
            return False
        if compare is not None:
            return compare(wanted, outcome.value)
        return strict.same(wanted, outcome.value, tolerance=tolerance, unordered=unordered)

    name = answers.function.rpartition(":")[2]
    return strict.tally(
        f"calls of {name}",
        [
            None if right(outcome, wanted) else f"{_call(name, given)}: {outcome.text}; expected {_wanted(wanted)}"
            for given, outcome, wanted in zip(answers.arguments, answers.outcomes, expected, strict=True)
        ],
    )


def _call(name: str, given: Arguments) -> str:
    return f"{name}({strict.printable(json.dumps(given)[1:-1])})"


def _wanted(wanted: Any) -> str:
    return wanted.exception if isinstance(wanted, Raises) else strict.shown(wanted)
