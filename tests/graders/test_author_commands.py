"""`assay new`, `check`, `form` and `grade`, as an author types them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graders import forms
from tests.graders.author import assay, change, document, new_challenge
from tests.graders.calibrating import calibrating, calls
from tests.graders.folders import write_files
from web.settings import PROJECT

# ------------------------------------------------------------------------------------------------------- assay new


@pytest.mark.docker
def test_what_new_writes_passes_check_at_once(tmp_path: Path) -> None:
    made = assay("new", "first-steps", "--into", tmp_path)
    assert made.returncode == 0, made.stderr
    assert str(tmp_path / "first-steps" / "grader.py") in made.stdout.splitlines()
    assert f"./assay check {tmp_path / 'first-steps'}" in made.stderr
    checked = assay("check", tmp_path / "first-steps")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.endswith("first-steps is proved.\n")
    assert "RED" not in checked.stdout


def test_new_leaves_an_existing_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    ended = assay("new", "mine", "--into", tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{tmp_path / 'mine'}: there is one already" in ended.stderr
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    "slug", ["Mine", "two words", "../mine", "-mine", "a--b", "a" * 61, "", "mine/yours", "m\u00efne"]
)
def test_new_refuses_a_name_that_cannot_be_an_address(slug: str, tmp_path: Path) -> None:
    ended = assay("new", "--into", tmp_path, "--", slug)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "small letters, digits and single hyphens" in ended.stderr
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------ assay form


def test_form_writes_what_a_candidate_gets_and_prints_its_signature(tmp_path: Path) -> None:
    ended = assay("form", "warm-up", "--seed", "7", "--out", tmp_path / "7")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("cutoff ")
    brief = (tmp_path / "7" / "BRIEF.md").read_text()
    assert "{{" not in brief
    assert sorted(path.name for path in (tmp_path / "7").iterdir()) == [
        *("BRIEF.md", "README.md", "answer.md", "check.py", "evaluate.ipynb", "retrieval.json", "windows.py")
    ]
    again, other = (assay("form", "warm-up", "--seed", seed, "--out", tmp_path / f"{seed}b") for seed in ("7", "8"))
    assert again.stdout == ended.stdout != other.stdout
    assert (tmp_path / "7b" / "retrieval.json").read_bytes() == (tmp_path / "7" / "retrieval.json").read_bytes()


def test_form_does_not_write_into_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    for out in (tmp_path, tmp_path / "mine"):
        ended = assay("form", "warm-up", "--seed", "1", "--out", out)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "is there already, and not an empty folder" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_form_discards_what_is_unfit_and_remembers_it(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    first = {seed: forms.author_form(challenge, seed) for seed in map(str, range(1, 20))}
    seed = next(seed for seed, form in first.items() if form.reference == f"seed-{seed}-2")
    (tmp_path / "calls").unlink()
    said = f"form seed-{seed}: is discarded: gate 3: seed-{seed} tells nobody from nobody\n"
    for out in ("one", "two"):
        ended = assay("form", challenge.folder, "--seed", seed, "--out", tmp_path / out, ASSAY_STATE=str(tmp_path))
        assert (ended.returncode, ended.stdout) == (0, first[seed].signature + "\n"), ended.stderr
        assert ended.stderr == f"{said}1 files and the brief are in {tmp_path / out}\n"
    assert calls(tmp_path) == [f"seed-{seed}", f"seed-{seed}-2"]
    assert (tmp_path / "one" / "sum.py").read_bytes() == (tmp_path / "two" / "sum.py").read_bytes()


def test_form_takes_a_pack_of_private_files(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    write_files(tmp_path / "pack", {"sums/private/answers.json": "[8, 13]"})
    for most, more in ((5, ()), (13, ("--pack", tmp_path / "pack"))):
        words = ("--seed", "1", "--out", tmp_path / str(most), *more)
        assert assay("form", challenge.folder, *words, ASSAY_STATE=str(tmp_path)).returncode == 0
        assert f"to at most {most}." in (tmp_path / str(most) / "BRIEF.md").read_text()
    ended = assay("form", challenge.folder, "--seed", "1", "--out", tmp_path / "3", "--pack", tmp_path / "none")
    assert (ended.returncode, "does not exist" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [("form", "warm-up"), ("grade", "warm-up"), ("check",), ("grade", "no-such", "."), ("check", "nowhere")],
)
def test_wrong_arguments_are_two_and_a_sentence(arguments: tuple[str, ...]) -> None:
    ended = assay(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr
    assert "Traceback" not in ended.stderr


# ----------------------------------------------------------------------------------------------------- assay grade


@pytest.mark.docker
def test_grade_says_what_was_earned_and_why() -> None:
    solution = PROJECT / "challenges" / "warm-up" / "solutions" / "partial"
    ended = assay("grade", "warm-up", solution, "--seed", "1")
    assert ended.returncode == 0, ended.stderr
    assert "25 of 25   Ordinary texts are cut as described" in ended.stdout
    assert "expected ValueError" in ended.stdout
    assert "open of 10   Names a cause that explains both observations" in ended.stdout
    assert "to be judged by a model" in ended.stdout
    assert "Total: 56.4286 to 76.4286 of 100" in ended.stdout or "Total: 56.43 to 76.43 of 100" in ended.stdout


@pytest.mark.docker
def test_grade_prints_one_document(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    graded = document(assay("grade", challenge, challenge / "solutions" / "perfect", "--json"))
    assert graded.keys() >= {"challenge", "digest", "form", "findings", "failure", "total", "seconds"}
    assert (graded["challenge"], graded["failure"]) == ("first-steps", None)
    assert graded["total"] == {"low": 80, "high": 100, "max": 100}
    assert [finding["criterion"] for finding in graded["findings"] if finding["credit"] == 1] == ["ordinary", "special"]
    assert graded["findings"][0].keys() == {"criterion", "credit", "reason", "evidence"}


@pytest.mark.docker
def test_what_a_stranger_wrote_cannot_command_the_authors_terminal(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    said = 'reason=f"{also.reason}, counted as far as ordinary lists are"'
    change(challenge / "grader.py", said, 'reason=submission.text("notes.md") or "nothing"')
    (challenge / "solutions" / "naive" / "notes.md").write_text("\x1b]0;pwned\x07 \x1b[2J graded")
    ended = assay("grade", challenge, challenge / "solutions" / "naive")
    assert ended.returncode == 0, ended.stderr
    assert "\\x1b[2J graded" in ended.stdout
    assert "\x1b" not in ended.stdout


@pytest.mark.docker
def test_an_empty_folder_is_graded_and_it_says_what_is_missing(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    (tmp_path / "empty").mkdir()
    ended = assay("grade", challenge, tmp_path / "empty", "--json")
    assert (ended.returncode, document(ended)["total"]["low"]) == (0, 0)
    assert "median.py: is to be handed in, and is not there" in ended.stderr


def unfit(folder: Path, kind: str) -> str:
    """Make a folder that cannot be handed in, and say what is to be said about it."""
    match kind:
        case "too many files":
            for number in range(300):
                (folder / f"{number}.txt").touch()
            return "holds more than 200 files"
        case "too much":
            with (folder / "large.bin").open("wb") as file:
                file.truncate(1 << 40)
            return "holds more than 2048 kB"
        case "a link":
            (folder / "median.py").symlink_to("/etc/passwd")
            return "is a link or a special file"
        case "a linked folder":
            (folder / "all").symlink_to("/")
            return "is a link or a special file"
        case "a pipe":
            os.mkfifo(folder / "median.py")
            return "is a link or a special file"
        case _:
            (folder / os.fsdecode(b"\xff.py")).touch()
            return "not valid Unicode"


@pytest.mark.parametrize("kind", ["too many files", "too much", "a link", "a linked folder", "a pipe", "a name"])
def test_what_cannot_be_handed_in_is_told_in_one_sentence(kind: str, tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    (tmp_path / "submission").mkdir()
    sentence = unfit(tmp_path / "submission", kind)
    ended = assay("grade", challenge, tmp_path / "submission")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1 + ended.stderr.count("note: ")


@pytest.mark.docker
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('rows')", "grader.py:13: KeyError: 'rows'"),
        ("yield Finding(criterion='ordinary', credit=float('nan'), reason='who knows')", "credit"),
        ("yield Finding(criterion='ordinary', credit=1.5, reason='more than all')", "credit"),
        ("yield Finding(criterion='ordinary', credit=1, reason='good')", "special"),
        ("yield from [Finding(criterion='ordinary', credit=1, reason='good')] * 2", "ordinary"),
        ("yield Finding(criterion='reason', credit=1, reason='I liked it')", "reason"),
        ("yield from (Finding(criterion=f'c{n}', credit=1, reason='more') for n in iter(int, 1))", "c0"),
        ("yield 'ordinary'", "Finding"),
        ("return 1", "grade returns int"),
        ("while True:\n        pass", "5 s"),
    ],
)  # fmt: skip
def test_a_grader_that_breaks_its_contract_is_its_authors_to_mend(body: str, said: str, tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    grader = challenge / "grader.py"
    start, _, _ = grader.read_text().partition('    """One finding')
    grader.write_text(f"{start}    {body}\n")
    change(challenge / "challenge.toml", "grading_seconds = 60 ", "grading_seconds = 5 ")
    change(challenge / "challenge.toml", "seconds = 10", "seconds = 2")
    ended = assay("grade", challenge, challenge / "solutions" / "perfect", "--json")
    assert ended.returncode == 1, ended.stderr
    graded = document(ended)
    assert (graded["findings"], graded["total"], graded["failure"]["fault_of"]) == ([], None, "author")
    assert "grader.py" in graded["failure"]["message"]
    assert said in graded["failure"]["message"]
    assert graded["failure"]["message"] in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.docker
def test_what_a_grader_prints_is_shown_to_its_author_and_spoils_no_document(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    change(challenge / "grader.py", "    ordinary, special =", "    print('looking closely')\n    ordinary, special =")
    solution = challenge / "solutions" / "perfect"
    assert "looking closely" in assay("grade", challenge, solution).stdout
    assert document(assay("grade", challenge, solution, "--json"))["total"]["low"] == 80


def test_without_an_engine_grading_is_our_own_fault(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    away = {"ASSAY_DOCKER_HOST": "unix:///nowhere/engine"}
    ended = assay("grade", challenge, challenge / "solutions" / "perfect", "--json", **away)
    assert ended.returncode == 3
    assert document(ended)["failure"]["fault_of"] == "operator"
    assert "unix:///nowhere/engine: no Docker engine is there" in ended.stderr
    checked = assay("check", challenge, **away)
    assert (checked.returncode, checked.stdout) == (3, "")
    assert "unix:///nowhere/engine: no Docker engine is there" in checked.stderr


# ----------------------------------------------------------------------------------------------------- assay check


def test_a_folder_that_cannot_be_read_has_all_of_its_mistakes_told(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    change(challenge / "challenge.toml", "minutes = 30", "minuets = 30")
    change(challenge / "rubric.toml", "points = 50", "points = 40")
    ended = assay("check", challenge, "--json")
    proof = document(ended)
    assert (ended.returncode, proof["challenge"], proof["ok"], proof["solutions"]) == (1, "first-steps", False, [])
    assert any("challenge.toml: minuets" in sentence for sentence in proof["problems"])
    assert len(proof["problems"]) >= 2
    told = assay("check", challenge)
    assert (told.returncode, "Traceback" in told.stderr) == (1, False)
    assert all(sentence in told.stdout for sentence in proof["problems"])


# ------------------------------------------------------------------------------------------------------ the manual


@pytest.mark.docker
def test_the_manual_can_be_followed_word_for_word(tmp_path: Path) -> None:
    """Every command of docs/authors.md, in its order, by somebody who changes nothing."""
    manual = (PROJECT / "docs" / "authors.md").read_text()
    commands = re.findall(r"^\./assay (.*)$", manual, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["new", "check", "form", "grade"]
    for command in commands:
        words = command.replace("/tmp/", f"{tmp_path}/").replace("challenges/", f"{tmp_path}/challenges/").split()
        ended = assay(*words, ASSAY_CHALLENGES=str(tmp_path / "challenges"))
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    assert ended.stdout.endswith("Total: 0 to 20 of 100\nOpen: Says when a median is the better summary, and why\n")
    assert (tmp_path / "challenges" / "first-steps" / "README.md").read_text().startswith("# First steps, for")


def test_what_new_writes_is_clean_code(tmp_path: Path) -> None:
    challenge = new_challenge(tmp_path)
    rules = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    for words in (["check", "--ignore", "INP001"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *rules, str(challenge / "grader.py"), str(challenge / "starter")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
