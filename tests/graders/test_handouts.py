"""Reference solutions: what each hands in on a form, also when it depends on the form."""

from pathlib import Path

import pytest

from graders.author.handouts import Handout, hand_out, handed_in
from graders.challenge import Challenge, Solution, read_challenge, read_solutions
from graders.contract import ChallengeInvalid, GraderFailed
from tests.graders.calibrating import calibrating
from tests.graders.folders import EXPECT, MANIFEST, sums

SOLVE = """
from ...faults import repaired
from .beside import NOTE


def solve(form, given):
    wanted = max(form.load_private("answers.json"))
    return {
        "sum.py": repaired(given["sum.py"]),
        "notes.md": f"{NOTE}: {wanted}, calibrated {form.calibration != ''}".encode(),
        "README.md": None,
        "never-there.md": None,
    }
"""
FAULTS = "def repaired(content):\n    return content + b' repaired'\n"


def solved(challenge: Challenge, handout: Handout | None = None) -> dict[str, bytes]:
    return handed_in(challenge, only(challenge), handout or hand_out(challenge, "1"))


def only(challenge: Challenge) -> Solution:
    (solution,) = (one for one in read_solutions(challenge) if one.name != "good")
    return solution


def solver(folder: Path, source: str) -> Challenge:
    return sums(folder, {"solutions/fix-all/solution.py": source, "solutions/fix-all/expect.toml": EXPECT})


def test_a_solution_lies_over_what_was_given(tmp_path: Path) -> None:
    challenge = sums(tmp_path)
    (solution,) = read_solutions(challenge)
    assert handed_in(challenge, solution, hand_out(challenge, "1")) == {
        "README.md": b"Read the brief.\n",
        "sum.py": b"def add(a, b): return a + b\n",
    }


def test_a_solution_may_depend_on_the_form_and_use_the_challenges_own_modules(tmp_path: Path) -> None:
    challenge = calibrating(
        tmp_path,
        {
            "faults.py": FAULTS,
            "solutions/fix-all/solution.py": SOLVE,
            "solutions/fix-all/beside.py": "NOTE = 'the most'\n",
            "solutions/fix-all/expect.toml": EXPECT,
            "solutions/fix-all/sum.py": "overlaid by what solve gives\n",
            "solutions/fix-all/extra.md": "laid over, too\n",
        },
    )
    for seed in ("1", "2"):
        handout = hand_out(challenge, seed)
        assert solved(challenge, handout) == {
            "beside.py": b"NOTE = 'the most'\n",
            "extra.md": b"laid over, too\n",
            "notes.md": b"the most: 5, calibrated True",
            "sum.py": handout.files["sum.py"] + b" repaired",
        }


def test_a_solution_may_remove_what_was_given(tmp_path: Path) -> None:
    challenge = solver(tmp_path, "def solve(form, given):\n    return dict.fromkeys(given)\n")
    assert solved(challenge) == {}


def test_a_solution_cannot_change_what_others_are_given(tmp_path: Path) -> None:
    challenge = solver(tmp_path, "def solve(form, given):\n    given.clear()\n    return {}\n")
    handout = hand_out(challenge, "1")
    assert solved(challenge, handout) == handout.files != {}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def solve(form, given):\n    return 1 / 0\n", "solutions/fix-all/solution.py:2: ZeroDivisionError: division"),
        ("def solve(form)\n", "solutions/fix-all/solution.py:1: SyntaxError"),
        ("def solve(form, given): return None", "solutions/fix-all/solution.py: solve returns NoneType: return a dict"),
        ("def solve(form, given): return {'a': 'x'}", "solutions/fix-all/solution.py: solve: 'a': a name must be text"),
        (
            "def solve(form, given): return {'../a': b''}",
            "solutions/fix-all/solution.py: solve: '../a': a name must be",
        ),
    ],
)
def test_what_a_solution_does_wrong_has_its_sentence(source: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(GraderFailed) as caught:
        solved(solver(tmp_path, source))
    assert str(caught.value).startswith(said)


def test_a_solution_that_misses_a_module_of_its_challenge_is_told_where_it_lies(tmp_path: Path) -> None:
    challenge = solver(tmp_path, "import faults\n\ndef solve(form, given): return {}\n")
    (challenge.folder / "faults.py").write_text(FAULTS)
    with pytest.raises(GraderFailed, match=r"lies beside grader\.py: write `from \.\.\. import faults`$"):
        solved(read_challenge(challenge.folder))


def test_a_solution_without_solve_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(
        ChallengeInvalid, match=r"solution\.py: solve: there is no such function: define solve\(form, gi"
    ):
        solved(solver(tmp_path, "made = 1\n"))


def test_a_deliverable_cannot_be_called_as_the_code_of_a_solution(tmp_path: Path) -> None:
    manifest = MANIFEST.replace('["sum.py", "notes.md"]', '["solution.py", "notes.md"]')
    challenge = sums(tmp_path, {"challenge.toml": manifest, "solutions/good/solution.py": "print(7)\n"})
    with pytest.raises(ChallengeInvalid, match=r"solutions/good/solution\.py: is a deliverable, and code"):
        read_solutions(challenge)
