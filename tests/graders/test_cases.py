"""A program of the candidate's over stdin and stdout. What is expected stays out here."""

from typing import Any, Final

import pytest

from graders import cases
from graders.cases import Case, Compare, Run, exact, lines, tokens
from graders.strict import Tolerance
from sandbox import Ending, Limits, Sandbox
from tests.graders.made import submission

PROGRAM: Final = """
import os, sys, time
text = sys.stdin.read()
kind = sys.argv[1] if len(sys.argv) > 1 else ""
if kind == "spin":
    while True: pass
if kind == "sleep": time.sleep(300)
if kind == "burn":
    while time.process_time() < 0.6: pass
if kind == "fail": raise ValueError("no\\n\\x1bgood")
if kind == "flood":
    while True: print("x" * 1000)
if kind == "code": sys.exit(3)
sys.stdout.write(" ".join(sorted(text.split())) + "\\n")
"""
COMMAND: Final = ["python3", "sort.py"]
QUICK: Final = Limits(seconds=1.5)


@pytest.mark.docker
def test_every_case_is_compared_with_what_is_expected(docker_sandbox: Sandbox) -> None:
    asked = [Case("b a", "a b\n"), Case(b"c b a", "a b c"), Case("", "\n"), Case("x y", "y x")]
    played = cases.run(COMMAND, asked, submission({"sort.py": PROGRAM}), docker_sandbox)
    assert [run.complaint for run in played] == [""] * 4
    found = cases.credit(played)
    assert (found.right, found.asked, found.reason) == (3, 4, "3 of 4 cases right")
    assert found.evidence[0].text == r"x y: it said x y\n; expected y x"


@pytest.mark.docker
def test_a_case_that_ends_badly_or_late_is_not_right_and_the_next_is(docker_sandbox: Sandbox) -> None:
    said = "a b\n"
    kinds = ["spin", "sleep", "fail", "flood", "code", ""]
    asked = [Case("b a", said, [kind]) for kind in kinds]
    played = cases.run(COMMAND, asked, submission({"sort.py": PROGRAM}, QUICK), docker_sandbox)
    assert [run.complaint for run in played] == [
        "it did not end in 1.5 s",
        "it did not end in 1.5 s",
        r"it ended with exit code 1: \x1bgood",
        "it was ended: too much output",
        "it ended with exit code 3",
        "",
    ]
    assert cases.credit(played).right == 1
    assert cases.credit(played, compare=lambda *_: True).right == 1  # a comparison is not asked about the others


@pytest.mark.alone
@pytest.mark.docker
def test_processor_time_decides_and_not_the_clock_on_the_wall(docker_sandbox: Sandbox) -> None:
    """F26: what it printed in time is no answer when it cost too much; wall time alone is the backstop."""
    given = submission({"sort.py": PROGRAM}, Limits(seconds=6))
    played = cases.run(COMMAND, [Case("b a", "a b", ["burn"])], given, docker_sandbox, seconds_each=0.5)
    assert played[0].execution is not None
    assert played[0].execution.ending is Ending.EXITED
    assert "of CPU time, and 0.50 are allowed" in played[0].complaint
    assert cases.credit(played).fraction == 0
    assert cases.credit(cases.run(COMMAND, [Case("b a", "a b", ["burn"])], given, docker_sandbox)).fraction == 1


@pytest.mark.docker
def test_an_exit_code_may_be_expected(docker_sandbox: Sandbox) -> None:
    given = submission({"sort.py": PROGRAM})
    asked = [Case("b a", "", ["code"], exit_code=3), Case("b a", "a b", exit_code=3)]
    with docker_sandbox.open(files=given.files, limits=given.limits) as room:
        played = cases.run_in(room, COMMAND, asked, given.limits)
    assert [run.complaint for run in played] == ["", "it ended with exit code 0"]
    assert cases.credit(played).fraction == 0.5


@pytest.mark.docker
def test_a_program_that_is_not_there_earns_nothing(docker_sandbox: Sandbox) -> None:
    for command in (["./nosuch"], ["python3", "nosuch.py"]):
        found = cases.credit(cases.run(command, [Case("", "")] * 3, submission({}), docker_sandbox))
        assert (found.fraction, found.asked) == (0, 3)
        assert "No such file" in found.evidence[0].text


@pytest.mark.docker
def test_cases_after_the_time_for_all_are_not_started_and_not_right(docker_sandbox: Sandbox) -> None:
    given = submission({"sort.py": PROGRAM})
    played = cases.run(COMMAND, [Case("", "\n")] * 40, given, docker_sandbox, seconds_all=0.05)
    assert (len(played), played[39].execution) == (40, None)
    assert 0 < cases.credit(played).right < 40


@pytest.mark.docker
def test_no_case_is_the_authors_mistake(docker_sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="at least one"):
        cases.run(COMMAND, [], submission({}), docker_sandbox)


# Comparing


@pytest.mark.parametrize(
    ("compare", "expected", "said", "holds"),
    [
        (exact, "a\n", b"a\n", True),
        (exact, "a\n", b"a", False),
        (exact, b"\xff", b"\xff", True),
        (lines, "a b\nc\n", b"a b  \nc\n\n", True),
        (lines, "a\n", b"a\r\n", True),
        (lines, "a b", b"a  b", False),
        (lines, "a\nb", b"a b", False),
        (lines, "a", b" a", False),
        (lines, "", b"\n\n", True),
        (lines, "a", b"2 passed\na", False),
        (tokens(), "a b\nc", b"a\tb c \n", True),
        (tokens(), "a b", b"a", False),
        (tokens(), "a", b"a a", False),
        (tokens(), "1.0", b"1", False),
        (tokens(), "a", b"a\0", False),
        (tokens(0.01), "x 1.0", b"x 1.005", True),
        (tokens(0.01), "1", b"1.000", True),
        (tokens(0.01), "1", b"1.02", False),
        (tokens(Tolerance(relative=0.1)), "-100", b"-1.05e2", True),
        (tokens(1), "1", b"nan", False),
        (tokens(1), "1", b"inf", False),
        (tokens(1), "1", b"1e999", False),
        (tokens(1), "1e999", b"1e999", False),
        (tokens(1), "1000", b"1_000", False),
        (tokens(1), "1", "\u0661".encode(), False),
        (tokens(1), "1", b"True", False),
        (tokens(1), "1", b"0x1", False),
        (tokens(1), "1", b"1" * 5000, False),
        (tokens(1), "1", b"\xff", False),
        (tokens(1), "nan", b"nan", True),
        (cases.json(), {"a": [1]}, b' {"a": [1]}\n', True),
        (cases.json(), {"a": [1]}, b'{"a": [1.0]}', False),
        (cases.json(0.1), {"a": [1]}, b'{"a": [1.05]}', True),
        (cases.json(unordered=True), [1, 2], b"[2, 1]", True),
        (cases.json(), 1, b"", False),
        (cases.json(1), 1, b"NaN", False),
        (cases.json(), 1, b"1\n1", False),
        (cases.json(), 1, b"[" * 100_000, False),
        (cases.json(), {"a": 1}, b'{"a": 2, "a": 1}', False),
        (cases.json(), "é", b'"\xe9"', False),
    ],
)
def test_output_is_compared_as_bytes_words_or_values(compare: Compare, expected: Any, said: bytes, holds: bool) -> None:
    assert compare(expected, said) is holds


def test_what_was_not_started_is_told() -> None:
    played = cases.Played((Run(Case("in", "out"), None, cases.UNASKED),))
    assert "not started" in cases.credit(played).evidence[0].text
