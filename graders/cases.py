"""Runs a candidate's program over stdin and stdout, once for each case, and compares out here what it said.

    played = cases.run(["python3", "sort.py"], [cases.Case("3 1 2\n", "1 2 3\n")], submission, sandbox)
    return [cases.credit(played, compare=cases.tokens()).finding("sorts")]

What is expected never enters the room. Every case is one fresh process; a case that ended badly or late is not right,
whatever was printed. How many cases there are is known before the first one runs, so none can be skipped.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graders import strict
from graders.contract import Submission
from graders.patience import Patience, longest
from sandbox import Execution, Limits, Room, Sandbox

__all__ = ["Case", "Compare", "Played", "Run", "credit", "exact", "json", "lines", "run", "run_in", "tokens"]

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
LONGEST_NUMBER: Final = 400
UNASKED: Final = "it was not started: the cases before took all the time there was"

Compare = Callable[[Any, bytes], bool]  # given what is expected and what was said


@dataclass(frozen=True, slots=True)
class Case:
    """One input, and what must be said to it: text or bytes, or a value where the comparison is `json`."""

    stdin: str | bytes
    expected: Any
    arguments: Sequence[str] = ()
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one case."""

    case: Case
    execution: Execution | None  # None: it was not started
    complaint: str  # why nothing that was said counts; empty when it does


@dataclass(frozen=True, slots=True)
class Played:
    """One run for each case, in the order of the cases."""

    runs: tuple[Run, ...]

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, number: int) -> Run:
        return self.runs[number]


def run(
    command: Sequence[str],
    cases: Sequence[Case],
    submission: Submission,
    sandbox: Sandbox,
    *,
    seconds_each: float | None = None,
    seconds_all: float = 120,
) -> Played:
    """Run `command`, and the arguments of each case, in one room that holds the submission.

    `seconds_each` are CPU seconds for one case; a third of the manifest's limits.seconds when not given. Once all
    cases together used `seconds_all`, or three times as much by the clock, the others are not started.
    """
    patience = Patience.within(submission.limits, seconds_each, seconds_all)
    lifetime = longest(seconds_all) + patience.wall_seconds + 60
    with sandbox.open(files=submission.files, limits=submission.limits, lifetime=lifetime) as room:
        return run_in(room, command, cases, submission.limits, seconds_each=seconds_each, seconds_all=seconds_all)


def run_in(
    room: Room,
    command: Sequence[str],
    cases: Sequence[Case],
    limits: Limits,
    *,
    seconds_each: float | None = None,
    seconds_all: float = 120,
) -> Played:
    """The same in a room that is open already, with the limits that it was opened with."""
    if not cases:
        raise ValueError("cases: there must be at least one")
    patience = Patience.within(limits, seconds_each, seconds_all)
    return Played(tuple(_played(room, command, case, patience) for case in cases))


def _played(room: Room, command: Sequence[str], case: Case, patience: Patience) -> Run:
    if patience.over:
        return Run(case, None, UNASKED)
    stdin = case.stdin.encode() if isinstance(case.stdin, str) else case.stdin
    execution = room.run([*command, *case.arguments], stdin=stdin, seconds=patience.wall_seconds)
    patience.charge(execution)
    complaint = patience.complaint(execution)
    if not complaint and execution.exit_code != case.exit_code:
        last_words = strict.printable(execution.stderr.strip().rpartition(b"\n")[2])
        complaint = f"it ended with exit code {execution.exit_code}" + (f": {last_words}" if last_words else "")
    return Run(case, execution, complaint)


# ---------------------------------------------------------------------------------------------------- comparing


def exact(expected: str | bytes, said: bytes) -> bool:
    """Byte for byte."""
    return said == (expected.encode() if isinstance(expected, str) else expected)


def lines(expected: str | bytes, said: bytes) -> bool:
    """Line for line; white space at the end of a line and of the whole does not count."""
    return _stripped(said) == _stripped(expected.encode() if isinstance(expected, str) else expected)


def _stripped(content: bytes) -> list[bytes]:
    return [line.rstrip() for line in content.rstrip().split(b"\n")]


def tokens(tolerance: float | strict.Tolerance | None = None) -> Compare:
    """Word for word; with a tolerance, where a number is expected, a number near it is enough."""
    near = strict.Tolerance(absolute=tolerance) if isinstance(tolerance, int | float) else tolerance

    def compare(expected: str | bytes, said: bytes) -> bool:
        wanted = (expected.encode() if isinstance(expected, str) else expected).split()
        words = said.split()
        return len(words) == len(wanted) and all(map(alike, wanted, words))

    def alike(wanted: bytes, word: bytes) -> bool:
        if near is None or (number := _number(wanted)) is None:
            return word == wanted
        answer = _number(word)
        return answer is not None and near.holds(number, answer)

    return compare


def _number(word: bytes) -> float | None:
    """Digits, and neither nan, inf nor what only Python takes for a number; a number so large is infinite."""
    text = word.decode("ascii", "replace")
    return float(text) if len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) else None


def json(tolerance: float | strict.Tolerance | None = None, unordered: bool = False) -> Compare:
    """All of stdout is one JSON value, read by strict.loads and compared by strict.same."""

    def compare(expected: Any, said: bytes) -> bool:
        try:
            answer = strict.loads(said, most_bytes=len(said) or 1, most_items=len(said) or 1)
        except strict.NotStrict:
            return False
        return strict.same(expected, answer, tolerance=tolerance, unordered=unordered)

    return compare


def credit(played: Played, *, compare: Compare = lines) -> strict.Comparison:
    """The fraction of cases in which what was said is what is expected, and what the first others said."""
    return strict.tally("cases", [_mismatch(one, compare) for one in played])


def _mismatch(one: Run, compare: Compare) -> str | None:
    if one.execution is not None and not one.complaint and compare(one.case.expected, one.execution.stdout):
        return None
    expected = one.case.expected if isinstance(one.case.expected, str | bytes) else strict.shown(one.case.expected)
    said = one.complaint or f"it said {strict.printable(one.execution.stdout if one.execution else b'')}"
    return f"{strict.printable(one.case.stdin)}: {said}; expected {strict.printable(expected)}"
