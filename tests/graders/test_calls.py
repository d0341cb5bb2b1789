"""A function of the candidate's, called: honest ones here, hostile ones in tests/hostile/test_graders.py."""

import time
from typing import Any

import pytest

from graders import calls
from graders.calls import Answers, Kind, Raises
from graders.patience import Patience
from sandbox import Limits, Sandbox
from tests.graders.fake_sandbox import ended
from tests.graders.made import ROOMY, submission

pytestmark = pytest.mark.docker

SOLUTION = """
import sys
from dataclasses import dataclass
from enum import IntEnum

class Colour(IntEnum):
    RED = 1

class EmptyInput(ValueError):
    pass

@dataclass
class Point:
    x: int

count = 0

def add(a, b=1): return a + b
def same(value): return value
def prints(value):
    print("a line" * 10_000)
    print("[INFO] all right", file=sys.stderr)
    return value
def reads(): return input()
def counts():
    global count
    count += 1
    return count
def numbers():
    import numpy as np
    return {"a": np.float64(0.5), "b": np.arange(3), 3: np.int64(3), np.int64(4): np.bool_(True), "c": np.ones((1, 2))}
def series():
    import pandas as pd
    return pd.Series([1.5, 2.5])
def kinds(): return [(1, 2), Colour.RED, {"é": None}]
def odd(which): return {
    "set": {1}, "point": Point(1), "nan": float("nan"), "key": {1.5: 1}, "bytes": b"x", "generator": iter([]),
    "surrogate": "\\ud800", "deep": deep(), "itself": itself(),
}[which]
def deep():
    value = []
    for _ in range(10_000): value = [value]
    return value
def itself():
    value = []
    value.append(value)
    return value
def fails(value):
    raise EmptyInput(f"bad: {value}")
class Tools:
    @staticmethod
    def double(value): return 2 * value
constant = 3
"""

ADD = [(1, 2), {"a": 1}, {"b": 5, "a": 1}]


def ask(sandbox: Sandbox, function: str, arguments: list[Any], **more: Any) -> Answers:
    files = {
        "solution.py": SOLUTION,
        "tools/extra.py": "from . import near\n",
        "part/one.py": "import two\nf = two.f\n",
    }
    files |= {"part/two.py": "def f(): return 'found'\n", "json.py": "raise ValueError('shadows')\n"}
    files |= {"broken.py": "import nosuch\n", "syntax.py": "def f(:\n", "leaves.py": "import sys; sys.exit(0)\n"}
    return calls.call(function, arguments, submission(files), sandbox, **more)


@pytest.mark.parametrize("keep", [False, True])
def test_values_come_back_in_the_order_of_the_calls(docker_sandbox: Sandbox, keep: bool) -> None:
    answers = ask(docker_sandbox, "solution.py:add", ADD, keep=keep)
    assert [outcome.value for outcome in answers] == [3, 2, 6]
    assert {outcome.kind for outcome in answers} == {Kind.VALUE}
    assert calls.credit(answers, [3, 2, 6]).fraction == 1


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_printed_neither_disturbs_nor_counts(docker_sandbox: Sandbox, keep: bool) -> None:
    assert [outcome.value for outcome in ask(docker_sandbox, "solution:prints", [["x"], [None]], keep=keep)] == [
        "x",
        None,
    ]


def test_one_room_answers_for_several_functions(docker_sandbox: Sandbox) -> None:
    given = submission({"solution.py": SOLUTION})
    with docker_sandbox.open(files=given.files, limits=given.limits) as room:

        def value(function: str, *arguments: Any, keep: bool = False) -> Any:
            return calls.call_in(room, function, [arguments], given.limits, keep=keep)[0].value

        assert value("solution:Tools.double", 4) == 8
        assert value("solution.py:kinds") == [[1, 2], 1, {"é": None}]
        assert value("solution:numbers") == {"a": 0.5, "b": [0, 1, 2], "3": 3, "4": True, "c": [[1.0, 1.0]]}
        assert value("solution:series") == [1.5, 2.5]
        odd: Any
        for odd in ("", 'ü\n\t"\\', [], {}, 10**50, 1e-300, True, None, {"a": [{"b": []}]}):
            assert value("solution:same", odd, keep=True) == odd


def test_every_call_is_a_fresh_process_unless_one_is_kept(docker_sandbox: Sandbox) -> None:
    assert [outcome.value for outcome in ask(docker_sandbox, "solution:counts", [[], [], []])] == [1, 1, 1]
    assert [outcome.value for outcome in ask(docker_sandbox, "solution:counts", [[], [], []], keep=True)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("nosuch.py:add", "there is no file nosuch.py"),
        ("nosuch:add", "importing nosuch: ModuleNotFoundError: No module named 'nosuch'"),
        ("broken:f", "importing broken: ModuleNotFoundError: No module named 'nosuch'"),
        ("broken.py:f", "importing broken.py: ModuleNotFoundError"),
        ("syntax.py:f", "importing syntax.py: SyntaxError"),
        ("leaves.py:f", "importing leaves.py: SystemExit"),
        ("solution.py:nosuch", "solution.py has no nosuch"),
        ("solution.py:Tools.nosuch", "solution.py has no Tools.nosuch"),
        ("solution:constant", "solution: constant cannot be called"),
    ],
)
def test_a_function_that_is_not_there_is_silent_and_says_why(
    docker_sandbox: Sandbox, function: str, reason: str
) -> None:
    for keep in (False, True):
        outcome = ask(docker_sandbox, function, [[]], keep=keep)[0]
        assert (outcome.kind, outcome.exceptions) == (Kind.SILENT, ())
        assert outcome.reason.startswith(reason)


def test_modules_find_their_neighbours_and_do_not_shadow_ours(docker_sandbox: Sandbox) -> None:
    assert ask(docker_sandbox, "part/one.py:f", [[]])[0].value == "found"


def test_what_is_not_json_is_named(docker_sandbox: Sandbox) -> None:
    reasons = {
        "set": "set is not JSON", "point": "solution.Point is not JSON", "nan": "NaN is not a JSON number",
        "key": "a key of the type float is not JSON", "bytes": "bytes is not JSON",
        "generator": "list_iterator is not JSON", "surrogate": "a text with the character U+D800",
        "deep": "nested more than 100", "itself": "nested more than 100",
    }  # fmt: skip
    for keep in (False, True):
        answers = ask(docker_sandbox, "solution:odd", [[name] for name in reasons], keep=keep)
        assert {outcome.kind for outcome in answers} == {Kind.UNREADABLE}
        for outcome, reason in zip(answers, reasons.values(), strict=True):
            assert outcome.reason.startswith(reason)


def test_an_exception_is_known_by_what_it_is_a_kind_of(docker_sandbox: Sandbox) -> None:
    answers = ask(docker_sandbox, "solution.py:fails", [["x\n\x1b"], ["y"]])
    assert answers[0].exceptions == ("EmptyInput", "ValueError", "Exception", "BaseException")
    assert answers[0].reason == r"EmptyInput: bad: x\n\x1b"
    assert calls.credit(answers, [Raises("ValueError"), Raises("KeyError")]).fraction == 0.5
    wrong = calls.credit(answers, [3, Raises("TypeError")])
    assert wrong.fraction == 0
    assert wrong.evidence[1].text == 'fails("y"): raised: EmptyInput: bad: y; expected TypeError'


def test_an_import_that_raises_is_not_a_function_that_raises(docker_sandbox: Sandbox) -> None:
    assert calls.credit(ask(docker_sandbox, "broken:f", [[]]), [Raises("ImportError")]).fraction == 0


def test_standard_input_is_empty(docker_sandbox: Sandbox) -> None:
    """The question comes through it, and is read before."""
    assert ask(docker_sandbox, "solution:reads", [[]])[0].exceptions[0] == "EOFError"


def test_answers_are_compared_as_their_author_says(docker_sandbox: Sandbox) -> None:
    answers = ask(docker_sandbox, "solution:same", [[1.001], [[2, 1]], ["Yes"]])
    assert calls.credit(answers, [1.0, [1, 2], "yes"]).fraction == 0
    assert calls.credit(answers, [1.0, [1, 2], "yes"], tolerance=0.01).right == 1
    assert calls.credit(answers, [1.0, [1, 2], "yes"], unordered=True).right == 1
    near = calls.credit(answers, [1.0, [1, 2], "yes"], compare=lambda wanted, said: str(wanted) in str(said).lower())
    assert near.right == 2
    assert calls.credit(answers, [1.0, [1, 2], "yes"]).evidence[2].text == 'same("Yes"): "Yes"; expected "yes"'


def test_calls_after_the_time_for_all_are_not_asked(docker_sandbox: Sandbox) -> None:
    answers = ask(docker_sandbox, "solution:add", [(1, 2)] * 50, seconds_all=0.05)
    assert answers[0].value == 3
    assert (len(answers), answers[49].kind) == (50, Kind.SILENT)
    assert "not asked" in answers[49].reason


def test_a_loaded_host_takes_no_call_from_anybody() -> None:
    """What a call used counts against the time for all, not how long it waited for a processor."""
    patience = Patience.within(ROOMY, 1, 1000)
    assert patience.ends > time.monotonic() + 2000
    patience.charge(ended(seconds=3000, cpu_seconds=999.0))
    patience.charge(ended(seconds=3000))
    assert not patience.over
    patience.charge(ended(cpu_seconds=1.0))
    assert patience.over


@pytest.mark.parametrize(
    ("function", "arguments", "more", "complaint"),
    [
        ("solution", [[]], {}, "function: 'solution'"),
        ("solution.add", [[]], {}, "function"),
        ("../x.py:f", [[]], {}, "function"),
        ("/box/x.py:f", [[]], {}, "function"),
        ("solution:f()", [[]], {}, "function"),
        ("-c:f", [[]], {}, "function"),
        ("solution:f", [], {}, "at least one call"),
        ("solution:f", ["text"], {}, "call 1: 'text'"),
        ("solution:f", [[1], 2], {}, "call 2: 2"),
        ("solution:f", [[float("nan")]], {}, "JSON"),
        ("solution:f", [[1]], {"seconds_each": -1}, "seconds_each: -1"),
        ("solution:f", [[1]], {"seconds_each": 4}, "seconds_each: 4"),
        ("solution:f", [[1]], {"seconds_all": 0}, "seconds_all: 0"),
    ],
)
def test_an_authors_mistake_is_a_clear_sentence(
    docker_sandbox: Sandbox, function: str, arguments: list[Any], more: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        ask(docker_sandbox, function, arguments, **more)


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.1, 3.3, 10.0, 9.7])
def test_a_third_of_the_limit_is_never_more_than_the_limit(seconds: float) -> None:
    patience = Patience.within(Limits(seconds=seconds), None, 60)
    assert patience.cpu_seconds < patience.wall_seconds <= seconds


def test_as_many_values_are_expected_as_were_asked(docker_sandbox: Sandbox) -> None:
    answers = ask(docker_sandbox, "solution:add", [(1, 2)])
    with pytest.raises(ValueError, match="2 values are expected of 1 calls"):
        calls.credit(answers, [3, 3])


def test_a_large_answer_needs_a_manifest_that_allows_it(docker_sandbox: Sandbox) -> None:
    for limits, kind in ((ROOMY, Kind.SILENT), (Limits(seconds=9, output_kb=2048), Kind.VALUE)):
        given = submission({"a.py": "def f(n): return list(range(n))"}, limits)
        outcome = calls.call("a:f", [[100_000]], given, docker_sandbox)[0]
        assert outcome.kind is kind
