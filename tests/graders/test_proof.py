"""What the check finds: each test spoils a challenge that was proved, in one way that authors spoil theirs."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from graders.author.handouts import Handout, hand_out
from graders.author.proof import among, on_paper, try_forms
from graders.challenge import read_challenge, read_solutions
from sandbox.settings import SandboxSettings
from tests.graders.author import assay, change, document, new_challenge
from tests.graders.folders import write_files

GENERATOR = """\
import {module}
from graders import Bundle, Form


def generate(form: Form) -> Bundle:
    return Bundle(files={{"median.py": b"# %d" % {number}, "notes.md": b"yours"}}, values={{}}, signature="s")
"""


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    return new_challenge(tmp_path)


def handouts(challenge: Path, *seeds: str) -> dict[str, Handout]:
    return {seed: hand_out(read_challenge(challenge), seed) for seed in seeds}


# ------------------------------------------------------------------------------------------------ without an engine


def test_a_brief_has_to_name_every_deliverable(challenge: Path) -> None:
    change(challenge / "brief.md", "`notes.md`", "your notes")
    assert on_paper(read_challenge(challenge)) == [
        "brief.md: notes.md: is a deliverable, and the brief does not mention it"
    ]


def test_a_brief_has_to_say_what_counts_how_much(challenge: Path) -> None:
    change(challenge / "brief.md", "The function: 80 points", "The function: 70 points")
    (complaint,) = on_paper(read_challenge(challenge))
    assert complaint.startswith('brief.md: parts.function: no line says "The function" together with "80 points"')


def test_without_a_perfect_and_a_worthless_solution_nothing_is_proved(challenge: Path) -> None:
    for name in ("perfect", "naive", "cheat-exit"):
        change(challenge / "solutions" / name / "expect.toml", f'kind = "{name.split("-")[0]}"', 'kind = "partial"')
    complaints = among(read_solutions(read_challenge(challenge)))
    assert [complaint.split(":")[1].split(" (")[0] for complaint in complaints] == [
        " no perfect one",
        " no worthless one",
    ]


def test_a_cheat_may_not_be_expected_where_the_perfect_one_lands(challenge: Path) -> None:
    change(challenge / "solutions" / "cheat-exit" / "expect.toml", "total = [0, 0]", "total = [0, 90]")
    (complaint,) = among(read_solutions(read_challenge(challenge)))
    assert complaint == "solutions/cheat-exit/expect.toml: total: a cheat may land at 90, and so does a perfect one"


@pytest.mark.parametrize(
    ("module", "number", "said"),
    [
        ("os", "form.random('n').randint(0, 10**9)", []),
        ("time", "time.perf_counter_ns()", ["two builds differ in median.py"] * 2),
        ("os", "7", ["of 2 seeds two give the same form"]),
    ],
)
def test_forms_have_to_be_repeatable_and_their_own(module: str, number: str, said: list[str], challenge: Path) -> None:
    (challenge / "generator.py").write_text(GENERATOR.format(module=module, number=number))
    complaints = try_forms(read_challenge(challenge), handouts(challenge, "1", "2"))
    assert len(complaints) == len(said)
    assert all(sentence in complaint for sentence, complaint in zip(said, complaints, strict=True))


def test_what_is_private_may_not_be_in_what_candidates_get(challenge: Path) -> None:
    (challenge / "private").mkdir()
    (challenge / "private" / "answers.json").write_text('{"the hidden answers": [1, 2, 3]}\n')
    (challenge / "starter" / "old.json").write_text('[{"the hidden answers": [1, 2, 3]}]')
    change(challenge / "grader.py", "FUNCTION =", "CANARY = 'assay-canary-0123456789'\nFUNCTION =")
    change(challenge / "starter" / "README.md", "Complete", "assay-canary-0123456789 Complete")
    complaints = try_forms(read_challenge(challenge), handouts(challenge, "1"))
    assert complaints == [
        "form 1: canary assay-canary-0123456789: stands in the candidate's README.md",
        "form 1: private/answers.json: its content stands in the candidate's old.json",
    ]


# --------------------------------------------------------------------------------------------------- with an engine


def check(challenge: Path) -> Any:
    ended = assay("check", challenge, "--forms", "1", "--json")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return document(ended)


@pytest.mark.docker
def test_a_grader_that_believes_exit_codes_and_output_is_found_out(challenge: Path) -> None:
    (challenge / "grader.py").write_text(
        "from graders import Finding\n\n\n"
        "def grade(submission, sandbox):\n"
        '    command = ["python3", "-c", "import median; assert median.median([3, 1, 2]) == 2"]\n'
        "    done = sandbox.run(command, files=submission.files, limits=submission.limits)\n"
        '    yield Finding(criterion="ordinary", credit=float(done.ok), reason="its exit code")\n'
        '    yield Finding(criterion="special", credit=float(b"passed" in done.stdout), reason="its summary")\n'
    )
    problems = "\n".join(check(challenge)["problems"])
    assert "planted cheat exit-on-import, form 1: earns 50 points for nothing; look at ordinary" in problems
    assert "planted cheat printed-verdict, form 1: earns 30 points for nothing; look at special" in problems
    assert "solutions/cheat-exit, form 1: lands at 80, and 0 was expected" in problems
    assert "planted cheat replay" not in problems
    assert "solutions/perfect, form 1: lands at 50, and 80 was expected" in problems


@pytest.mark.docker
def test_a_grader_that_compares_in_the_candidates_process_is_found_out(challenge: Path) -> None:
    """The objects that equal everything are told the hidden answer, and say that it is theirs."""
    (challenge / "grader.py").write_text(
        "from graders import Finding\n\n"
        "TESTS = b'''\n"
        "from median import median\n"
        "assert median([3, 1, 2]) == 2\n"
        "print('all of them')\n"
        "'''\n\n\n"
        "def grade(submission, sandbox):\n"
        '    files = {**submission.files, "run.py": TESTS}\n'
        '    done = sandbox.run(["python3", "run.py"], files=files, limits=submission.limits)\n'
        '    right = b"all of them" in done.stdout\n'
        '    yield Finding(criterion="ordinary", credit=float(right), reason="tested")\n'
        '    yield Finding(criterion="special", credit=float(right), reason="tested")\n'
    )
    proof = check(challenge)
    assert {row["name"]: row["holds"] for row in proof["planted"]}["equal-to-everything"] is False
    assert any("planted cheat equal-to-everything, form 1: earns 80 points" in one for one in proof["problems"])


@pytest.mark.docker
def test_what_is_amiss_with_solutions_criteria_and_secrets_is_all_told(challenge: Path) -> None:
    grader = challenge / "grader.py"
    (challenge / "private").mkdir()
    (challenge / "private" / "lists.json").write_text('{"lists": "that only the grader knows"}')
    change(
        grader, "files=submission.files", 'files={**submission.files, "k.json": submission.read_private("lists.json")}'
    )
    change(grader, "from statistics import median", "import time\nfrom statistics import median")
    change(grader, 'reason=f"{also.reason}, counted', 'reason=f"{time.time()} {also.reason}, counted')
    change(grader, "credit=also.fraction * right.fraction", "credit=1")
    change(challenge / "solutions" / "naive" / "expect.toml", "total = [0, 25]", "total = [60, 70]")
    problems = check(challenge)["problems"]
    told = "\n".join(problems)
    assert "private/lists.json: its content stands in the room's file k.json" in problems
    assert "solutions/perfect, form 1: graded twice, it gets different findings for special" in told
    assert "rubric.toml: criteria.special: no solution misses it" in told
    assert "nothing at all, form 1: earns 30 points for nothing; look at special" in told
    assert "solutions/naive, form 1: lands at" in told
    assert "solutions: none lands at the bottom" in told


CALIBRATING = """\
import json
from pathlib import Path

from graders import Bundle, FormUnfit


def generate(form):
    number = form.random("number").randint(1, 10**9)
    given = Path(__file__).parent / "starter"
    files = {path.name: path.read_bytes() for path in given.iterdir() if path.is_file()}
    return Bundle(files=files | {"number.json": b"%d" % number}, signature=f"number {number}")


def calibrate(form):
    with Path(CALLS).open("a") as calls:
        calls.write(form.reference + "\\n")
    if form.reference == "seed-1":
        raise FormUnfit("gate 2: dull")
    return json.dumps(form.load_private("world.json"))
"""
SOLVE = """\
from ...generator import generate


def solve(form, given):
    assert given == generate(form).files
    assert form.calibration
    perfect = b"from statistics import median as right\\n\\n\\ndef median(numbers):\\n"
    perfect += b"    if not numbers:\\n        raise ValueError\\n    return right(numbers)\\n"
    return {"median.py": perfect, "number.json": None}
"""


@pytest.mark.docker
def test_a_challenge_that_calibrates_is_proved_on_forms_that_are_fit(challenge: Path, tmp_path: Path) -> None:
    """Its perfect solution depends on the form, and a pack makes its world smaller."""
    state, pack = tmp_path / "state", tmp_path / "pack"
    made = {
        "generator.py": CALIBRATING.replace("CALLS", repr(str(tmp_path / "calls"))),
        "private/world.json": '"a large world"',
        "solutions/perfect/solution.py": SOLVE,
        "solutions/perfect/median.py": None,
    }
    write_files(challenge, made)
    write_files(pack, {f"{challenge.name}/private/world.json": '"small"'})
    change(
        challenge / "grader.py",
        "    ordinary, special =",
        "    assert submission.form.calibration == '\"small\"', submission.form.calibration\n    ordinary, special =",
    )
    state.mkdir()
    shutil.copy(SandboxSettings().state / "images.json", state)
    for _ in range(2):
        ended = assay("check", challenge, "--forms", "2", "--json", "--pack", pack, ASSAY_STATE=str(state))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        proof = document(ended)
        assert {row["form"] for row in proof["solutions"]} == {"1", "2"}
        assert {row["total"] for row in proof["solutions"] if row["name"] == "perfect"} == {80}
        assert len(proof["planted"]) > 5  # cheats are made from what solve gave
        assert ended.stderr == "form seed-1: is discarded: gate 2: dull\n"
    assert (tmp_path / "calls").read_text().split() == ["seed-1", "seed-1-2", "seed-2"]


def test_a_private_file_may_not_stand_in_what_the_portal_keeps(challenge: Path, tmp_path: Path) -> None:
    write_files(
        challenge,
        {
            "generator.py": CALIBRATING.replace("CALLS", repr(str(tmp_path / "calls"))),
            "private/world.json": '"a world of some thirty letters"',
        },
    )
    assert try_forms(read_challenge(challenge), handouts(challenge, "1")) == [
        "form 1: private/world.json: its content stands in its calibration, which the portal keeps"
    ]


@pytest.mark.docker
def test_a_starter_that_earns_points_is_told_of(challenge: Path) -> None:
    change(
        challenge / "grader.py",
        "credit=also.fraction * right.fraction",
        'credit=float("median.py" in submission.files)',
    )
    told = "\n".join(check(challenge)["problems"])
    assert "starter, form 1: earns 30 points for nothing; look at special" in told
    assert "nothing at all" not in told


@pytest.mark.docker
def test_a_challenge_that_cannot_be_solved_is_not_proved(challenge: Path) -> None:
    change(
        challenge / "grader.py",
        "[median(numbers) for numbers in ordinary]",
        "[median(numbers) + 1 for numbers in ordinary]",
    )
    told = "\n".join(check(challenge)["problems"])
    assert "rubric.toml: criteria.ordinary: no solution earns it: perhaps nobody can" in told
    assert "form 1: the best solution lands at 0 of the 80 that tests can give" in told


@pytest.mark.docker
def test_a_grader_that_ends_the_process_is_told_of(challenge: Path) -> None:
    change(challenge / "grader.py", "FUNCTION =", "import os\n\nos._exit(0)\nFUNCTION =")
    (problem,) = check(challenge)["problems"]
    assert problem.startswith("grader.py: the process that graded was ended: by the grader, which has to return")
