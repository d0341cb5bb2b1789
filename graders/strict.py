"""Reads JSON that a candidate's program wrote, and compares it with what we expected. Both without mercy.

    answer = strict.loads(execution.stdout)            # NotStrict, with the reason, when it is no plain JSON
    if strict.same({"total": 3, "ratio": 0.5}, answer, tolerance=1e-9): ...
    rows = strict.records(answer, ids=["a", "b"], fields={"id": str, "score": float})

Why not `json.loads` and `==`: NaN is accepted there, and a NaN that is clamped may become full marks; of two keys of
one name the last wins; brackets that are nested deep enough are a RecursionError; True == 1 == 1.0. So size, depth
and count are bounded before anything is parsed, and two values are the same only when their types are.
"""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from graders.contract import Evidence, Finding, GradersError

__all__ = ["Comparison", "NotStrict", "Tolerance", "loads", "printable", "records", "same", "shown", "tally"]

DEEPEST: Final = 200  # the parser calls itself for every level
MOST_DIGITS: Final = 1000  # of one number; reading an integer takes the square of its digits
MOST_SHOWN: Final = 5  # mismatches that are told as evidence
LONGEST_SHOWN: Final = 600

# What counts in a JSON text. Possessive, so that a text without an end is not tried in every other way.
TOKENS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|["\[\]{},]|[0-9][0-9.eE+\-]*+', re.DOTALL)
UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


class NotStrict(GradersError):
    """It is not JSON as we take it. What a candidate's program says is theirs: catch this, and make it a finding."""


def loads(content: bytes, *, most_bytes: int = 1 << 20, most_depth: int = 32, most_items: int = 100_000) -> Any:
    """The value of a JSON text: plain, finite, every key once, within bounds."""
    text = bounded(content, most_bytes=most_bytes, most_depth=most_depth, most_items=most_items)
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        raise NotStrict(f"not JSON: {error.msg} at character {error.pos}") from None
    if "\\u" in text:  # the only way in for what cannot be stored
        _check_texts(value)
    return value


def bounded(content: bytes, *, most_bytes: int, most_depth: int, most_items: int) -> str:
    """The text of what may be JSON, small and flat enough for any parser; nothing here calls itself."""
    if not 1 <= most_depth <= DEEPEST:
        raise ValueError(f"most_depth: {most_depth}: must be between 1 and {DEEPEST}")
    if len(content) > most_bytes:
        raise NotStrict(f"too large: {len(content)} bytes, and {most_bytes} are allowed")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotStrict(f"not UTF-8: byte {error.start}") from None
    depth = items = 0
    for token in TOKENS.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
            items += 1
        elif sign in "]}":
            depth -= 1
        elif sign == ",":
            items += 1
        elif sign == '"':
            raise NotStrict(f"not JSON: a text without an end at character {token.start()}")
        elif sign[0] != '"' and len(sign) > MOST_DIGITS:
            raise NotStrict(f"a number of more than {MOST_DIGITS} digits")
        if depth > most_depth:
            raise NotStrict(f"nested more than {most_depth} levels deep")
        if items > most_items:
            raise NotStrict(f"more than {most_items} items")
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrict(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotStrict(f"{digits[:40]} is too large for a number")
    return number


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotStrict(f"the key {key[:60]!r} stands twice in one object")
        found[key] = value
    return found


def _check_texts(value: Any) -> None:
    """No database takes a NUL character, and nothing can encode half of a surrogate pair."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, str) and (found := UNSTORABLE.search(one)):
            raise NotStrict(f"a text with the character U+{ord(found[0]):04X}, which cannot be stored")


# ---------------------------------------------------------------------------------------------------- comparing


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers are the same when they differ by `absolute`, or by `relative` of the expected one; or less."""

    absolute: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"tolerance: {name}: {value!r} is no distance")

    def holds(self, expected: float, answer: float) -> bool:
        try:
            return abs(answer - expected) <= max(self.absolute, self.relative * abs(expected))
        except OverflowError:  # a whole number of hundreds of digits
            return False


def same(expected: Any, answer: Any, *, tolerance: float | Tolerance | None = None, unordered: bool = False) -> bool:
    """Whether `answer`, which `loads` has read, is what was expected.

    Types must be the same too: 1 is not 1.0, not True and not "1". With a tolerance, numbers are compared as numbers,
    whole or not; a bare number is an absolute one. Items of arrays are compared in order; with `unordered` those of
    the outermost may stand in any order. A tuple in `expected` stands for an array.
    """
    if tolerance is not None and not isinstance(tolerance, Tolerance):
        tolerance = Tolerance(absolute=tolerance)
    _check_expected(expected)
    if unordered and isinstance(expected, list | tuple):
        return type(answer) is list and _same_in_any_order(list(expected), answer, tolerance)
    return _same(expected, answer, tolerance)


def _same(expected: Any, answer: Any, tolerance: Tolerance | None) -> bool:
    if isinstance(expected, list | tuple):
        return (
            type(answer) is list
            and len(answer) == len(expected)
            and all(_same(one, other, tolerance) for one, other in zip(expected, answer, strict=True))
        )
    if isinstance(expected, dict):
        return (
            type(answer) is dict
            and answer.keys() == expected.keys()
            and all(_same(value, answer[key], tolerance) for key, value in expected.items())
        )
    if tolerance is not None and type(expected) in (int, float):
        return type(answer) in (int, float) and tolerance.holds(expected, answer)
    return type(answer) is type(expected) and bool(answer == expected)


def _same_in_any_order(expected: list[Any], answer: list[Any], tolerance: Tolerance | None) -> bool:
    if len(answer) != len(expected):
        return False
    numbers = all(type(value) in (int, float) for value in [*expected, *answer])
    if numbers and tolerance is not None:  # the smallest belongs to the smallest, or nothing fits
        return _same(sorted(expected), sorted(answer), tolerance)
    if tolerance is None:
        return sorted(map(_spelled, expected)) == sorted(map(_spelled, answer))
    left = list(answer)
    for value in expected:
        fitting = next((place for place, other in enumerate(left) if _same(value, other, tolerance)), None)
        if fitting is None:
            return False
        del left[fitting]
    return True


def _spelled(value: Any) -> str:
    """A text that two values have in common exactly when they are the same."""
    if type(value) is float:
        return repr(value + 0.0)  # there is one zero
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spelled, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_spelled(value[key])}" for key in sorted(value)) + "}"
    return json.dumps(value)


def _check_expected(value: Any) -> None:
    """An expected value that no answer can equal would mark everybody down: its author should hear of it."""
    if isinstance(value, list | tuple):
        for item in value:
            _check_expected(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError(f"expected: {key!r}: a key of a JSON object is a text")
            _check_expected(item)
    elif type(value) not in (str, int, float, bool, type(None)):
        raise ValueError(f"expected: {value!r}: {type(value).__name__} is no JSON type")
    elif type(value) is float and not math.isfinite(value):
        raise ValueError(f"expected: {value!r}: is no JSON number")


def records(
    answer: Any, *, ids: Collection[str | int], fields: Mapping[str, type | tuple[type, ...]], key: str = "id"
) -> dict[Any, dict[str, Any]]:
    """An array of objects by the value of `key`: exactly one for each of `ids`, each with exactly `fields`.

    A metric over rows that repeat, are missing or were invented measures nothing.
    """
    if key not in fields:
        raise ValueError(f"fields: {key!r}: is the key, and not among them")
    if type(answer) is not list:
        raise NotStrict(f"an array of objects is needed, and this is {shown(answer)[:60]}")
    wanted = set(ids)
    if len(answer) != len(wanted):
        raise NotStrict(f"{len(wanted)} objects are needed, and these are {len(answer)}")
    found: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(answer, 1):
        if type(row) is not dict or row.keys() != fields.keys():
            raise NotStrict(f"object {number}: needs exactly the keys {', '.join(fields)}")
        for name, kind in fields.items():
            if type(row[name]) not in (kind if isinstance(kind, tuple) else (kind,)):
                raise NotStrict(f"object {number}: {name}: {shown(row[name])[:60]} is of the wrong type")
        if row[key] not in wanted:
            raise NotStrict(f"object {number}: {key}: {shown(row[key])[:60]} was not asked for")
        if row[key] in found:
            raise NotStrict(f"object {number}: {key}: {shown(row[key])[:60]} stands there twice")
        found[row[key]] = row
    return found


# ------------------------------------------------------------------------------------------ what a reviewer is told


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many of the answers were right, and the first that were not. For reviewers: it names expected values."""

    right: int
    asked: int
    reason: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def fraction(self) -> float:
        return self.right / self.asked

    def finding(self, criterion: str) -> Finding:
        return Finding(criterion=criterion, credit=self.fraction, reason=self.reason, evidence=self.evidence)


def tally(what: str, mismatches: Sequence[str | None]) -> Comparison:
    """From one entry for each question: None when it was answered right, else what was wrong."""
    if not mismatches:
        raise ValueError(f"{what}: nothing was asked, so nothing can be right")
    wrong = [mismatch for mismatch in mismatches if mismatch is not None]
    right = len(mismatches) - len(wrong)
    evidence = tuple(Evidence(text=one[:4000]) for one in wrong[:MOST_SHOWN])
    return Comparison(right, len(mismatches), f"{right} of {len(mismatches)} {what} right", evidence)


def shown(value: Any) -> str:
    """A value as one short line of JSON."""
    return printable(json.dumps(value))


def printable(text: str | bytes) -> str:
    """What a candidate's program said, as one short line that can move no cursor and end no line."""
    if isinstance(text, bytes):
        text = text[: 4 * LONGEST_SHOWN].decode(errors="replace")
    clean = text[:LONGEST_SHOWN]
    if not (clean.isascii() and clean.isprintable()):
        clean = ascii(clean)[1:-1][:LONGEST_SHOWN]
    return clean if len(text) <= LONGEST_SHOWN else f"{clean}..."
