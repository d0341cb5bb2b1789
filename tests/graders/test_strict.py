"""What a candidate's program says is read without mercy, and compared without mercy."""

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders import strict
from graders.strict import NotStrict, Tolerance, loads, printable, records, same, shown, tally

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abcü€😀 \n"),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("xyz"), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"NaN", "NaN is not a JSON number"),
        (b"[Infinity]", "Infinity is not"),
        (b"-Infinity", "-Infinity is not"),
        (b"1e999", "too large for a number"),
        (b'{"a": -1e400}', "too large for a number"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' stands twice"),
        (b'{"x": {"a": 1, "a": 1}}', "stands twice"),
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"1 2", "Extra data"),
        (b"{'a': 1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"01", "not JSON"),
        (b"1_000", "not JSON"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b"\xff", "not UTF-8: byte 0"),
        (b"\xed\xa0\x80", "not UTF-8"),
        (b'"\\ud800"', r"U\+D800"),
        (b'["\\u0000"]', r"U\+0000"),
        (b'{"a\\u0000": 1}', r"U\+0000"),
        (b'{"a": [["x", "\\udc00"]]}', r"U\+DC00"),
        (b'"a\nb"', "not JSON"),
        (b'"never ends', "a text without an end"),
        (b'"' + b"\\\\" * 100_000 + b"\\", "a text without an end"),
        (b'"' + b"a" * 500_000, "a text without an end"),
        (b"[" * 500_000, "nested more than 32 levels"),
        (b'{"a":' * 100_000, "nested more than 32 levels"),
        (b"[" * 33 + b"]" * 33, "nested more than 32 levels"),
        (b"9" * 1001, "more than 1000 digits"),
        (b"0." + b"9" * 500_000, "more than 1000 digits"),
        (b"[" + b"0," * 100_001 + b"0]", "more than 100000 items"),
        (b"[" + b"[]," * 60_000 + b"0]", "more than 100000 items"),
        (b" " * (1 << 20) + b"1", "too large: 1048577 bytes"),
        (b"\x80\x04K*.", "not UTF-8"),
    ],
)
def test_what_is_no_plain_json_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(NotStrict, match=reason):
        loads(content)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b" 1\n", 1),
        (b"-0.0", 0.0),
        (b'"1"', "1"),
        (b"true", True),
        (b"[" * 32 + b"]" * 32, None),
        (b'"[[[[[[{{{{ 1,2,3 \\" ]"', '[[[[[[{{{{ 1,2,3 " ]'),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"9" * 1000, 10**1000 - 1),
        (b"[1.5, null, {}]", [1.5, None, {}]),
    ],
)
def test_what_is_plain_json_is_taken(content: bytes, value: Any) -> None:
    assert value is None or loads(content) == value


@given(JSON)
def test_every_plain_value_is_read_as_it_was_written(value: Any) -> None:
    assert same(value, loads(json.dumps(value).encode()))


@given(st.binary(max_size=200) | st.text('[]{}",:0123456789eE+-.\\u truefalsn', max_size=60).map(str.encode))
def test_whatever_is_read_is_a_value_or_is_refused(content: bytes) -> None:
    with suppress(NotStrict):
        json.dumps(loads(content, most_depth=4, most_items=10), allow_nan=False).encode()


def test_bounds_are_the_authors_to_set() -> None:
    with pytest.raises(NotStrict, match="more than 2 items"):
        loads(b"[1, 2, 3]", most_items=2)
    with pytest.raises(NotStrict, match="5 bytes, and 4"):
        loads(b"12345", most_bytes=4)
    with pytest.raises(ValueError, match="most_depth"):
        loads(b"1", most_depth=100_000)


# Comparing


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        (1, 1.0), (1.0, 1), (1, True), (True, 1), (0, False), (False, 0), (1, "1"), ("1", 1), ("true", True),
        (None, False), (None, 0), (None, ""), (0, ""), ([], {}), ([1, 2], [2, 1]), ([1], [1, 1]), ([1, 1], [1]),
        ({"a": 1}, {"a": 1, "b": 2}), ({"a": 1}, {}), ({"a": 1}, {"a": 1.0}), ([[1]], [1]), ("é", "e\u0301"),
        (0.1 + 0.2, 0.3),
    ],
)  # fmt: skip
def test_two_values_that_only_look_alike_are_not_the_same(expected: Any, answer: Any) -> None:
    assert not same(expected, answer)


@pytest.mark.parametrize(
    ("expected", "answer"),
    [(0.0, -0.0), ((1, (2,)), [1, [2]]), ({"b": 1, "a": [None]}, {"a": [None], "b": 1}), ("", ""), (10**400, 10**400)],
)
def test_what_is_the_same_is_the_same(expected: Any, answer: Any) -> None:
    assert same(expected, answer)
    assert same(expected, answer, unordered=True)


def test_objects_that_lie_about_equality_are_not_the_same() -> None:
    """They cannot come through JSON; the comparison does not rely on that."""

    class Chameleon(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert not same(3, Chameleon(4))
    assert not same([3], [Chameleon(4)])
    assert not same(3, Chameleon(4), tolerance=1)


@pytest.mark.parametrize(
    ("expected", "answer", "tolerance", "holds"),
    [
        (1.0, 1.05, 0.1, True),
        (1.0, 1.2, 0.1, False),
        (1, 1.0, 0, True),
        (2.0, 2, 0.0, True),
        (1, True, 1, False),
        (1, "1", 1, False),
        (True, 1, 1, False),
        (100, 101, Tolerance(relative=0.01), True),
        (100, 102, Tolerance(relative=0.01), False),
        (0, 1e-9, Tolerance(relative=0.01), False),
        (0, 1e-9, Tolerance(1e-8, 0.01), True),
        (1.0, 10**400, 1e300, False),
        (1e308, -1e308, 1e308, False),
        ({"a": [1.0]}, {"a": [1.01]}, 0.1, True),
        ("a", "b", 1, False),
    ],
)
def test_a_tolerance_is_for_numbers_and_makes_them_one_kind(
    expected: Any, answer: Any, tolerance: float | Tolerance, holds: bool
) -> None:
    assert same(expected, answer, tolerance=tolerance) is holds


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf])
def test_no_tolerance_is_wide_enough_for_what_is_no_number(answer: float) -> None:
    """Such a number cannot come through JSON; clamping it would be full marks."""
    assert not same(1.0, answer, tolerance=Tolerance(absolute=1e308, relative=1.0))


@pytest.mark.parametrize(
    ("expected", "answer", "tolerance", "holds"),
    [
        ([1, 2, 2], [2, 1, 2], None, True),
        ([1, 2, 2], [1, 1, 2], None, False),
        ([1, 2], [True, 2], None, False),
        ([1, 2], [2.0, 1], None, False),
        ([0.0], [-0.0], None, True),
        ([[1, 2], [3]], [[3], [1, 2]], None, True),
        ([[1, 2]], [[2, 1]], None, False),
        ([{"a": 1, "b": 2}, {}], [{}, {"b": 2, "a": 1}], None, True),
        ([1.0, 2.0], [2.05, 0.95], 0.1, True),
        ([1.0, 1.1, 1.2], [1.1, 1.2, 1.3], 0.11, True),
        ([{"x": 1.0}, {"x": 5.0}], [{"x": 5.01}, {"x": 1.01}], 0.1, True),
        ([{"x": 1.0}, {"x": 5.0}], [{"x": 1.01}, {"x": 1.01}], 0.1, False),
        ([1, 2], {"1": 1}, None, False),
        ([1, 2], [1], None, False),
        (3, 3, None, True),
    ],
)
def test_items_may_stand_in_any_order_where_the_author_says_so(
    expected: Any, answer: Any, tolerance: float | None, holds: bool
) -> None:
    assert same(expected, answer, tolerance=tolerance, unordered=True) is holds


@pytest.mark.parametrize("expected", [math.nan, [math.inf], {1: 2}, {"a": {1, 2}}, b"bytes", object()])
def test_an_expected_value_that_no_answer_can_equal_is_the_authors_mistake(expected: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        same(expected, 1)


@pytest.mark.parametrize("amount", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_is_no_distance_is_the_authors_mistake(amount: float) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        same(1, 1, tolerance=amount)


# Records


def rows(*rows: Any) -> dict[Any, dict[str, Any]]:
    return records(list(rows), ids=[1, 2], fields={"id": int, "score": (int, float)})


def test_records_are_found_by_their_key() -> None:
    assert rows({"id": 2, "score": 0.5}, {"id": 1, "score": 1})[2]["score"] == 0.5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([{"id": 1, "score": 1}], "2 objects are needed, and these are 1"),
        ([{"id": 1, "score": 1}, {"id": 1, "score": 1}], "stands there twice"),
        ([{"id": 1, "score": 1}, {"id": 2, "score": 1}, {"id": 3, "score": 1}], "these are 3"),
        ([{"id": 1, "score": 1}, {"id": 3, "score": 1}], "id: 3 was not asked for"),
        ([{"id": 1, "score": 1}, {"id": 2}], "object 2: needs exactly the keys id, score"),
        ([{"id": 1, "score": 1}, {"id": 2, "score": 1, "x": 1}], "needs exactly"),
        ([{"id": 1, "score": 1}, {"id": 2, "score": "1"}], 'score: "1" is of the wrong type'),
        ([{"id": True, "score": 1}, {"id": 2, "score": 1}], "id: true is of the wrong type"),
        ([{"id": 1, "score": True}, {"id": 2, "score": 1}], "score: true is of the wrong type"),
        ([[1, 1], [2, 2]], "object 1: needs exactly"),
        ({"1": 0.5, "2": 0.5}, "an array of objects"),
    ],
)
def test_rows_that_repeat_are_missing_or_were_invented_are_refused(answer: Any, reason: str) -> None:
    """F38"""
    with pytest.raises(NotStrict, match=reason):
        records(answer, ids=[1, 2], fields={"id": int, "score": (int, float)})


# What a reviewer is told


def test_a_comparison_becomes_a_finding() -> None:
    finding = tally("calls", [None, "f(1): 2; expected 3", None, None]).finding("adds")
    assert (finding.credit, finding.reason) == (0.75, "3 of 4 calls right")
    assert [evidence.text for evidence in finding.evidence] == ["f(1): 2; expected 3"]


def test_only_the_first_mismatches_are_told() -> None:
    assert len(tally("calls", ["wrong" * 5000] * 40).evidence) == strict.MOST_SHOWN


def test_nothing_asked_is_nothing_right() -> None:
    """F13: no cases are not all cases."""
    with pytest.raises(ValueError, match="nothing was asked"):
        tally("calls", [])


@pytest.mark.parametrize(
    "text", ["\x1b[2Jgone", "a\nb\r", "\u202egpj.exe", "nul\0", "\ud800", "x" * 100_000, b"\xff\x00"]
)
def test_what_is_told_is_one_short_printable_line(text: str | bytes) -> None:
    line = printable(text)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 1000
    assert shown("1") != shown(1)
