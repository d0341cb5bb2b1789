"""A challenge's folder: what is read, what is refused and with which sentence, and what its digest covers."""

import importlib.util
import marshal
import os
import pickle
import sys
from pathlib import Path

import pytest

from graders.challenge import (
    load_generator,
    load_grader,
    read_challenge,
    read_solutions,
    starter_files,
    unfit,
)
from graders.contract import ChallengeInvalid, Form, Submission
from graders.rubric import Judge, Kind, Manifest, Rubric
from sandbox import Limits, Sandbox
from tests.graders.folders import EXPECT, MANIFEST, RUBRIC, sums, write_files, write_sums
from web.settings import PROJECT

FORM = Form("sums", "1.0.0", "reference", b"s" * 32)


def problems(folder: Path, *packs: Path) -> tuple[str, ...]:
    with pytest.raises(ChallengeInvalid) as caught:
        read_challenge(folder, packs)
    return caught.value.problems


def only_problem(folder: Path, *packs: Path) -> str:
    found = problems(folder, *packs)
    assert len(found) == 1, found
    return found[0]


# What is read


def test_a_folder_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    challenge = sums(tmp_path, {"interview.toml": '[adds]\nearned = ["And three?"]\n'})
    assert (challenge.slug, challenge.manifest.title, challenge.manifest.minutes) == ("sums", "Sums", 30)
    assert challenge.manifest.expert_minutes == (5, 10)
    assert challenge.rubric.criteria["reason"].judged_by is Judge.MODEL
    assert challenge.rubric.criteria["adds"].kind is Kind.CORE
    assert challenge.brief == "# Sums\n\nAdd.\n"
    assert challenge.interview["adds"].earned == ("And three?",)
    assert challenge.private["answers.json"].read_text() == "[3, 5]\n"
    assert starter_files(challenge) == {"README.md": b"Read the brief.\n", "sum.py": b"def add(a, b): ...\n"}


def test_reading_runs_nothing_of_the_folder(tmp_path: Path) -> None:
    spoiled = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nraise SystemExit\n"
    challenge = sums(tmp_path, {"grader.py": spoiled, "generator.py": spoiled})
    read_solutions(challenge)
    assert not (challenge.folder / "ran").exists()


def test_the_warm_up_can_be_read_with_its_solutions() -> None:
    challenge = read_challenge(PROJECT / "challenges" / "warm-up")
    assert {solution.expect.kind for solution in read_solutions(challenge)} >= {"perfect", "partial", "cheat"}


@pytest.mark.parametrize("place", ["challenges/warm-up", "benchmarks/challenges/plain"])
def test_manifest_and_rubric_can_be_stored_and_read_again(place: str) -> None:
    read = read_challenge(PROJECT / place)
    assert Manifest.from_json(read.manifest.to_json()) == read.manifest
    assert Rubric.from_json(read.rubric.to_json()) == read.rubric


def test_a_folder_may_be_named_by_a_relative_path_or_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sums(tmp_path).digest
    (tmp_path / "other-name").symlink_to(tmp_path / "sums")
    assert read_challenge(tmp_path / "other-name").slug == "sums"
    monkeypatch.chdir(tmp_path / "sums")
    assert read_challenge(Path()).digest == digest


def test_a_solution_is_its_files_without_the_expectation(tmp_path: Path) -> None:
    (solution,) = read_solutions(sums(tmp_path))
    assert (solution.name, solution.files) == ("good", {"sum.py": b"def add(a, b): return a + b\n"})
    assert (solution.expect.kind, solution.expect.total) == ("perfect", (60, 80))


# What is refused


def test_every_mistake_is_found_at_once(tmp_path: Path) -> None:
    folder = write_sums(
        tmp_path,
        {
            "challenge.toml": MANIFEST.replace("minutes = 30", "minuts = 30").replace("points = 80", "points = 70"),
            "rubric.toml": RUBRIC.replace('part = "notes"', 'part = "memo"'),
            "interview.toml": "[ads]\nearned = []\n",
            "brief.md": "{{ }}",
            "grader.py": None,
        },
    )
    assert problems(folder) == (
        "challenge.toml: minutes: is missing: add it",
        "challenge.toml: minuts: there is no such key: did you mean minutes?",
        "grader.py: there is no such file: define grade(submission, sandbox) in it",
        "brief.md: line 1: {{ is no placeholder here: write {{ name }}, or take it out",
        "interview.toml: ads: there is no such criterion: rubric.toml has adds, refuses, reason",
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("minutes = 30", "minutes = ", "challenge.toml: line 5, column 11: Invalid value: this is not TOML"),
        (
            "minutes = 30",
            "minutes = 30\nminutes = 40",
            "challenge.toml: line 6, column 13: this key stands there twice: rename one, or remove it",
        ),
        ("minutes = 30", 'minutes = "30"', "challenge.toml: minutes: must be a valid integer"),
        ("minutes = 30", "minutes = 0", "challenge.toml: minutes: must be greater than or equal to 1, and this is 0"),
        ("minutes = 30", "minutes = true", "challenge.toml: minutes: must be a valid integer"),
        ('version = "1.0.0"', 'version = "1.0"', "challenge.toml: version: "),
        ("[5, 10]", "[5]", "challenge.toml: expert_minutes.1: is missing: add it"),
        ("[5, 10]", "[10, 5]", "challenge.toml: expert_minutes: 10 to 5, of 30 minutes: "),
        ("[5, 10]", "[5, 40]", "challenge.toml: expert_minutes: 5 to 40, of 30 minutes: "),
        ("points = 80", "points = nan", "challenge.toml: parts.code.points: "),
        ("points = 80", "titel = 3\npoints = 80", "challenge.toml: parts.code.titel: there is no such key: did"),
        ("[parts.code]", "[parts.'The Code']", "challenge.toml: parts.The Code: is no name: "),
        ('"sum.py", "notes.md"', '"../sum.py", "notes.md"', "challenge.toml: deliverables: files: '../sum.py': "),
        ('"sum.py", "notes.md"', '"notes.md", "notes.md"', "challenge.toml: deliverables: one stands there twice"),
        ("grading_seconds = 20", "grading_seconds = 10", "challenge.toml: grading_seconds: 10 s for everything, and "),
        ("grading_seconds", 'check = [""]\ngrading_seconds', "challenge.toml: check: command: "),
        ("grading_seconds", 'check = "sh x"\ngrading_seconds', "challenge.toml: check: must be a valid"),
        ("grading_seconds", "check_seconds = 0\ngrading_seconds", "challenge.toml: check_seconds: must be greater"),
        ("[parts.code]", "[limits]\nmemory_mb = 1\n[parts.code]", "challenge.toml: limits.memory_mb: 1 is not between"),
        ("[parts.code]", "[limits]\ncpus = 1000\n[parts.code]", "challenge.toml: limits.cpus: 1000.0 is not between"),
        ("[parts.code]", "[limits]\ndisk = 1\n[parts.code]", "challenge.toml: limits.disk: there is no"),
        ("[parts.code]", "[submission]\ntotal_kb = 65536\n[parts.code]", "challenge.toml: submission: 200 files of"),
        ("grading_seconds", 'sidecars = ["oracle"]\ngrading_seconds', "challenge.toml: sidecars: oracle: there"),
        ("grading_seconds", "x = 2026-01-01\ngrading_seconds", "challenge.toml: x: there is no such key: known here"),
        (
            "[parts.code]",
            '[[caps]]\ncriterion = "ads"\nat_most = 40\nreason = "No."\n[parts.code]',
            "challenge.toml: caps.0.criterion: ads: rubric.toml has no such criterion",
        ),
        (
            "[parts.code]",
            '[[caps]]\ncriterion = "adds"\natmost = 40\nat_most = 4\nreason = "No."\n[parts.code]',
            "challenge.toml: caps.0.atmost: there is no such key: did you mean at_most?",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_manifest_has_its_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert MANIFEST.count(old) >= 1
    found = problems(write_sums(tmp_path, {"challenge.toml": MANIFEST.replace(old, new, 1)}))
    assert any(one.startswith(sentence) for one in found), found


def test_parts_that_do_not_add_up_to_a_hundred_are_refused(tmp_path: Path) -> None:
    folder = write_sums(tmp_path, {"challenge.toml": MANIFEST.replace("points = 80", "points = 70")})
    assert problems(folder) == (
        "challenge.toml: parts: their points add up to 90: they must add up to 100",
        "rubric.toml: criteria: those of part code add up to 80 points, and challenge.toml gives the part 70: core and "
        "must criteria have to add up to it",
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "[criteria.refuses]",
            "[criteria.adds]",
            "rubric.toml: criteria.adds: stands there twice (line 8, column 15): rename one, or remove it",
        ),
        ("points = 50", "points = 40", "rubric.toml: criteria: those of part code add up to 70 points"),
        ("points = 50", "points = -5", "rubric.toml: criteria.adds.points: must be greater than or equal to 0"),
        ('part = "notes"', 'part = "memo"', "rubric.toml: criteria.reason.part: memo: challenge.toml has only code"),
        ("points = 50", 'kind = "red flag"\npoints = 50', "rubric.toml: criteria.adds.points: 50: a red flag has no"),
        ("points = 50", "points = 0", "rubric.toml: criteria.adds.points: 0: what earns nothing is a red flag"),
        ('"notes.md"', '"memo.md"', "rubric.toml: criteria.reason.deliverable: memo.md: is not handed in"),
        ('deliverable = "notes.md"\n', "", "rubric.toml: criteria.reason.deliverable: is missing"),
        ('asks = "Is there a reason?"\n', "", "rubric.toml: criteria.reason.asks: is missing"),
        ('not_met = ["It is better."]', "", "rubric.toml: criteria.reason.not_met: is missing"),
        ('judged_by = "model"', 'judged_by = "robot"', "rubric.toml: criteria.reason.judged_by: must be 'tests',"),
        ("[criteria.refuses]", "[criteria.Refuses]", "rubric.toml: criteria.Refuses: is no name: "),
    ],
)  # fmt: skip
def test_a_mistake_in_the_rubric_has_its_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert RUBRIC.count(old) >= 1
    found = problems(write_sums(tmp_path, {"rubric.toml": RUBRIC.replace(old, new, 1)}))
    assert any(one.startswith(sentence) for one in found), found


def test_bonus_points_come_on_top_of_a_part(tmp_path: Path) -> None:
    bonus = '[criteria.neat]\ntitle = "Neat"\npoints = 7\nkind = "bonus"\njudged_by = "tests"\npart = "code"\n'
    assert sums(tmp_path, {"rubric.toml": RUBRIC + bonus}).rubric.criteria["neat"].points == 7


def test_points_in_decimals_may_add_up(tmp_path: Path) -> None:
    tenths = RUBRIC.replace("points = 50", "points = 50.1").replace("points = 30", "points = 29.9")
    assert sums(tmp_path, {"rubric.toml": tenths}).rubric.criteria["adds"].points == 50.1


@pytest.mark.parametrize("name", ["challenge.toml", "rubric.toml", "brief.md", "grader.py"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    assert only_problem(write_sums(tmp_path, {name: None})).startswith(f"{name}: there is no such file: ")


def test_a_folder_without_anything_to_start_from_is_refused(tmp_path: Path) -> None:
    folder = write_sums(tmp_path, {"starter/sum.py": None, "starter/README.md": None})
    assert only_problem(folder).startswith("starter: there are no files in it")


def test_a_file_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    assert only_problem(write_sums(tmp_path, {"brief.md": b"Gr\xfc\xdfe"})) == (
        "brief.md: byte 2 is not UTF-8: save it as UTF-8"
    )


def test_a_brief_that_no_database_keeps_is_refused(tmp_path: Path) -> None:
    assert only_problem(write_sums(tmp_path, {"brief.md": b"Add\0"})) == (
        "brief.md: byte 3 is NUL, which no database keeps: take it out"
    )


def test_a_placeholder_that_nothing_fills_is_refused(tmp_path: Path) -> None:
    brief = {"brief.md": "Add.\n\n{{ company }} sums.\n"}
    assert only_problem(write_sums(tmp_path, brief)).startswith("brief.md: line 3: company: nothing gives it a value")
    generated = sums(tmp_path, {**brief, "generator.py": "def generate(form): ...\n"})
    assert generated.brief == "Add.\n\n{{ company }} sums.\n"


def test_links_and_devices_are_refused_and_never_followed(tmp_path: Path) -> None:
    folder = write_sums(tmp_path)
    (folder / "private" / "more").symlink_to("/etc/passwd")
    (folder / "starter" / "all").symlink_to("/etc")
    os.mkfifo(folder / "starter" / "pipe")
    assert sorted(problems(folder)) == [
        "private/more: is a link or a device: put a file there",
        "starter/all: is a link or a device: put a file there",
        "starter/pipe: is a link or a device: put a file there",
    ]


def test_a_starter_that_could_not_be_handed_in_is_refused(tmp_path: Path) -> None:
    small = MANIFEST + "[submission]\nfiles = 1\n"
    assert only_problem(write_sums(tmp_path, {"challenge.toml": small})).startswith("starter: 2 files of 0 kB are more")


def test_a_folder_whose_name_is_no_name_is_refused(tmp_path: Path) -> None:
    write_sums(tmp_path).rename(tmp_path / "Sums 2")
    assert only_problem(tmp_path / "Sums 2").startswith("Sums 2: the folder's name is the challenge's: ")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such folder" in only_problem(tmp_path / "sums")


def test_mistakes_survive_the_way_between_two_processes() -> None:
    error = pickle.loads(pickle.dumps(ChallengeInvalid("one: a", "two: b")))
    assert error.problems == ("one: a", "two: b")
    assert str(error) == "one: a\ntwo: b"


@pytest.mark.parametrize(
    ("expectation", "sentence"),
    [
        (None, "solutions/good/expect.toml: there is no such file"),
        (EXPECT.replace("[60, 80]", "[80, 60]"), "solutions/good/expect.toml: total: 80 to 60: must be from, to"),
        (EXPECT.replace("perfect", "superb"), "solutions/good/expect.toml: kind: must be 'perfect'"),
        (EXPECT + "[criteria]\nads = [0, 1]\n", "solutions/good/expect.toml: criteria.ads: rubric.toml has no such"),
        (EXPECT + "[criteria]\nadds = [0, 2]\n", "solutions/good/expect.toml: criteria.adds: 0 to 2: must be from, to"),
    ],
)
def test_a_mistake_in_an_expectation_has_its_sentence(tmp_path: Path, expectation: str | None, sentence: str) -> None:
    challenge = sums(tmp_path, {"solutions/good/expect.toml": expectation})
    with pytest.raises(ChallengeInvalid) as caught:
        read_solutions(challenge)
    assert caught.value.problems[0].startswith(sentence)


def test_a_solution_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    challenge = sums(tmp_path, {"solutions/stray.py": "", "solutions/README.md": "Why these."})
    with pytest.raises(ChallengeInvalid) as caught:
        read_solutions(challenge)
    assert [one.split(":")[0] for one in caught.value.problems] == ["solutions/stray.py"]


# Private packs


def test_a_pack_is_laid_over_the_private_files_and_the_later_one_wins(tmp_path: Path) -> None:
    write_files(tmp_path / "one", {"sums/private/answers.json": "[1]", "sums/private/more.json": "[2]"})
    write_files(tmp_path / "two", {"sums/private/more.json": "[3]", "other/private/answers.json": "[4]"})
    folder = write_sums(tmp_path)
    challenge = read_challenge(folder, [tmp_path / "one", tmp_path / "two"])
    assert {name: path.read_text() for name, path in challenge.private.items()} == {
        "answers.json": "[1]",
        "more.json": "[3]",
    }
    assert challenge.digest != read_challenge(folder).digest


def test_a_pack_with_files_elsewhere_than_below_private_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path / "pack", {"sums/privat/answers.json": "[1]", "sums/README.md": "What this is."})
    sentence = only_problem(write_sums(tmp_path), tmp_path / "pack")
    assert sentence.endswith("sums/privat/answers.json: a pack has files below private/ only: move it")


def test_a_pack_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such pack" in only_problem(write_sums(tmp_path), tmp_path / "pack")


# The digest


@pytest.mark.parametrize(
    "name",
    [
        "grader.py",
        "brief.md",
        "starter/sum.py",
        "starter/README.md",
        "private/answers.json",
        "lib/deep/new.py",
        "x.txt",
    ],
)
def test_whatever_can_change_a_score_or_is_seen_by_a_candidate_changes_the_digest(tmp_path: Path, name: str) -> None:
    before = sums(tmp_path).digest
    path = tmp_path / "sums" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("\n")
    assert read_challenge(tmp_path / "sums").digest != before


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "solutions/good/sum.py", "solutions/bad/sum.py", "__pycache__/grader.cpython-311.pyc",
        "lib/__pycache__/x.pyc", ".pytest_cache/v/x", "starter/.DS_Store", "grader.py~", ".grader.py.swp",
    ],
)  # fmt: skip
def test_what_is_beside_the_matter_leaves_the_digest_alone(tmp_path: Path, name: str) -> None:
    before = sums(tmp_path)
    write_files(tmp_path / "sums", {name: "something else"})
    after = read_challenge(tmp_path / "sums")
    assert (after.digest, list(after.files)) == (before.digest, list(before.files))


def test_a_renamed_file_and_a_renamed_challenge_have_another_digest(tmp_path: Path) -> None:
    before = sums(tmp_path).digest
    (tmp_path / "sums" / "starter" / "README.md").rename(tmp_path / "sums" / "starter" / "READ.md")
    renamed = read_challenge(tmp_path / "sums").digest
    (tmp_path / "sums").rename(tmp_path / "adds")
    assert len({before, renamed, read_challenge(tmp_path / "adds").digest}) == 3


def test_the_digest_depends_neither_on_the_place_nor_on_dates(tmp_path: Path) -> None:
    first, second = sums(tmp_path / "a"), write_sums(tmp_path / "b")
    for path in second.rglob("*"):
        os.utime(path, (0, 0))
    assert read_challenge(second).digest == first.digest


# Its code


class Nowhere:
    """Not asked for anything here."""


def graded(folder: Path) -> list[str]:
    challenge = read_challenge(folder)
    nowhere: Sandbox = Nowhere()  # type: ignore[assignment]
    return [finding.reason for finding in load_grader(challenge)(Submission({}, FORM), nowhere)]


def test_modules_beside_the_grader_can_be_imported_and_two_challenges_do_not_meet(tmp_path: Path) -> None:
    for place, word in (("a", "one"), ("b", "two")):
        grader = (
            "from graders import Finding\nfrom . import words\nfrom .lib.deep import more\n"
            "def grade(submission, sandbox):\n"
            "    from .lazy import last\n"
            "    yield Finding(criterion='adds', credit=1, reason=words.WORD + more() + last)\n"
        )
        write_sums(
            tmp_path / place,
            {
                "grader.py": grader,
                "words.py": f"WORD = {word!r}\n",
                "lib/deep.py": "def more(): return ' and more'\n",
                "lazy.py": "last = ' at last'\n",
            },
        )
    path = list(sys.path)
    assert graded(tmp_path / "a" / "sums") == ["one and more at last"]
    assert graded(tmp_path / "b" / "sums") == ["two and more at last"]
    assert sys.path == path
    assert "words" not in sys.modules


def test_a_grader_is_fresh_each_time(tmp_path: Path) -> None:
    counting = "from graders import Finding\nseen = []\ndef grade(submission, sandbox):\n    seen.append(1)\n" + (
        "    yield Finding(criterion='adds', credit=1, reason=str(len(seen)))\n"
    )
    folder = write_sums(tmp_path, {"grader.py": counting})
    assert (graded(folder), graded(folder)) == (["1"], ["1"])


def test_compiled_code_is_neither_written_nor_believed(tmp_path: Path) -> None:
    """What a digest does not cover must not grade anybody."""
    grader = "from graders import Finding\nfrom .word import WORD\ndef grade(submission, sandbox):\n" + (
        "    yield Finding(criterion='adds', credit=1, reason=WORD)\n"
    )
    folder = write_sums(tmp_path, {"grader.py": grader, "word.py": "WORD = 'honest'\n"})
    assert graded(folder) == ["honest"]
    assert list(folder.rglob("*.pyc")) == []
    planted = compile("WORD = 'planted'", "word.py", "exec")
    cache = folder / "__pycache__" / f"word.{sys.implementation.cache_tag}.pyc"
    cache.parent.mkdir()
    look = (folder / "word.py").stat()
    head = importlib.util.MAGIC_NUMBER + bytes(4) + int(look.st_mtime).to_bytes(4, "little")
    cache.write_bytes(head + look.st_size.to_bytes(4, "little") + marshal.dumps(planted))
    assert graded(folder) == ["honest"]


def test_a_grader_without_grade_and_a_generator_without_generate_are_named(tmp_path: Path) -> None:
    challenge = sums(tmp_path, {"grader.py": "grade = 3\n", "generator.py": "def generat(form): ...\n"})
    with pytest.raises(ChallengeInvalid, match=r"^grader.py: grade: there is no such function: define grade\("):
        load_grader(challenge)
    with pytest.raises(ChallengeInvalid, match=r"^generator.py: generate: there is no such function"):
        load_generator(challenge)
    assert load_generator(sums(tmp_path / "other")) is None


# What enters a room


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"../x": b""}, "a name must be relative"),
        ({"a": b"", "a/b": b""}, "a file, and the folder of another file"),
        ({"nul\0": b""}, "a name must be relative"),
        ({"x" * 256: b""}, "the name is too long"),
        ({"half\ud800": b""}, "not valid Unicode"),
        ({"big": bytes(3 << 20)}, "more than disk_mb"),
        ({f"{number}/x": b"" for number in range(5000)}, "more than 8,000 files and folders"),
    ],
)
def test_files_that_no_room_takes_are_told_before_one_is_opened(files: dict[str, bytes], why: str) -> None:
    complaint = unfit(files, Limits(disk_mb=2))
    assert complaint is not None
    assert why in complaint


def test_nothing_and_odd_names_may_enter_a_room() -> None:
    assert unfit({}, Limits()) is None
    assert unfit({"-rf": b"", "new\nline": b"", "<img>": b"", "ü/日本.py": b""}, Limits()) is None
