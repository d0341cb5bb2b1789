"""What an operator does from a terminal, on a real database. That the whole way works is in test_together."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from benchmarks.rig import CHALLENGES
from graders.author.cli import find_challenge
from graders.contract import Fault, Finding
from graders.settings import GradersSettings
from graders.trees import FolderStore
from graders.versions import Versions
from tests.web import world
from tests.web.fake_bell import FakeBell
from tests.web.worker_process import until
from web import gradings
from web.cli import status_of
from web.database import Database, connect
from web.models import ChallengeVersion, Grading, Submission
from web.operator import publish_all, publish_one
from web.relay import Relay
from web.settings import DatabaseSettings

WRONG = "grader.py: wrong\n\x1b[2J0 need a person"  # as an exception that quotes a candidate says it
SHOWN = "grader.py: wrong |  [2J0 need a person"


@dataclass
class Operator:
    """Somebody at a terminal of an installation of its own."""

    state: Path
    database: Database
    read: Callable[[], tuple[str, str]]

    def types(self, *words: str) -> tuple[int, str, str]:
        """Exit code, and what was printed to standard output and to standard error."""
        self.read()
        return (status_of(words), *self.read())

    def told(self, *words: str) -> Any:
        status, out, err = self.types(*words, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def operator(
    new_sqlite: Callable[[Path], DatabaseSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    settings = new_sqlite(tmp_path / "state")
    shutil.copytree(CHALLENGES, tmp_path / "challenges")
    monkeypatch.setenv("ASSAY_STATE", str(settings.state))
    monkeypatch.setenv("ASSAY_CHALLENGES", str(tmp_path / "challenges"))
    database = connect(settings)

    def read() -> tuple[str, str]:
        said = capsys.readouterr()
        return said.out, said.err

    yield Operator(settings.state, database, read)
    database.close()


def record(database: Database, grading: str, *, fails: bool = False, credit: float = 1.0, digest: str = "") -> None:
    """Play clock and worker for one grading."""
    with database.reading() as session:
        digest = session.get_one(Grading, grading).challenge_digest
    Relay(database, FakeBell(), world.SETTINGS).turn()
    fence = world.grading(database, grading).fence
    finding = Finding(criterion="right", credit=credit, reason="It was tried.")
    report = world.report(grading, fence, (finding,), digest)
    if fails:
        report = world.failure(grading, fence, Fault.AUTHOR, WRONG)
    with database.transaction() as session:
        gradings.record(session, report, world.SETTINGS)


def newest(database: Database) -> str:
    with database.reading() as session:
        return session.scalars(select(Grading.id).order_by(Grading.created_at.desc()).limit(1)).one()


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "main.py").write_text("print(42)")
    return folder


# ------------------------------------------------------------------------------------------------------ publishing


def test_publishing_keeps_the_version_its_starter_and_its_row(operator: Operator) -> None:
    status, out, _ = operator.types("publish")
    assert status == 0
    assert out.startswith("plain 1.0.0 ")
    assert out.endswith(" published\n")
    with operator.database.reading() as session:
        version = session.scalars(select(ChallengeVersion)).one()
    assert list(FolderStore(operator.state / "store").get(version.starter)) == ["main.py"]
    assert [path.name for path in GradersSettings().versions_folder.iterdir()] == [version.digest]
    assert operator.types("publish", "plain")[1].endswith(" is published already\n")


def test_what_is_published_is_what_was_kept_even_if_the_folder_changes_meanwhile(
    operator: Operator, tmp_path: Path
) -> None:
    settings = GradersSettings(_env_file=None)
    challenge = find_challenge("plain", settings)
    Versions(settings.versions_folder).keep(challenge)
    (tmp_path / "challenges" / "plain" / "starter" / "main.py").write_text("the author goes on working")
    publish_one(challenge, settings, operator.database)
    with operator.database.reading() as session:
        starter = session.get_one(ChallengeVersion, challenge.digest).starter
    kept = FolderStore(settings.store_folder).get(starter)
    assert kept == {"main.py": (CHALLENGES / "plain" / "starter" / "main.py").read_bytes()}


def test_a_version_that_is_damaged_keeps_no_other_from_being_published(operator: Operator, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "challenges" / "plain", tmp_path / "challenges" / "quiet")
    settings = GradersSettings(_env_file=None)
    kept = settings.versions_folder / Versions(settings.versions_folder).keep(find_challenge("plain", settings))
    (kept / "plain" / "brief.md").write_text("damaged")
    damaged, well = publish_all(settings, operator.database)
    assert damaged.startswith("plain: is not published: ")
    assert damaged.endswith("is damaged: remove it, and publish the challenge again")
    assert well.startswith("quiet ")


def test_a_challenge_with_mistakes_keeps_no_other_from_being_published(operator: Operator, tmp_path: Path) -> None:
    broken = shutil.copytree(tmp_path / "challenges" / "plain", tmp_path / "challenges" / "broken")
    (broken / "rubric.toml").write_text("criteria = 7")
    status, out, err = operator.types("publish")
    assert status == 1
    assert out.startswith("plain 1.0.0 ")
    assert err.startswith("assay: broken: is not published: ")
    assert "rubric.toml" in err
    assert "Traceback" not in err


def test_of_two_challenges_of_one_name_the_first_folder_has_it(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(tmp_path / "challenges", tmp_path / "other")
    (other / "plain" / "brief.md").write_text("Print 43.\n")
    monkeypatch.setenv("ASSAY_CHALLENGES", f"{tmp_path / 'other'}:{tmp_path / 'challenges'}")
    assert operator.types("publish")[0] == 0
    with operator.database.reading() as session:
        assert [version.brief for version in session.scalars(select(ChallengeVersion))] == ["Print 43.\n"]


def test_migrating_twice_is_well(operator: Operator) -> None:
    assert operator.types("migrate") == (0, "", "assay: the database is of this version\n")
    (operator.state / "assay.db").unlink()
    assert operator.types("migrate")[0] == 0
    assert operator.types("publish")[0] == 0


def test_a_database_that_was_never_prepared_is_a_sentence(operator: Operator, submission: Path) -> None:
    (operator.state / "assay.db").unlink()
    for words in (["publish"], ["gradings"], ["regrade", "list"], ["rehearse", "plain", str(submission)]):
        status, _, err = operator.types(*words)
        assert status == 3
        assert "run `assay up`, or `assay migrate`" in err


# ------------------------------------------------------------------------------------------------------- rehearsing


def test_a_rehearsal_tells_what_was_found(operator: Operator, submission: Path) -> None:
    operator.types("publish")
    answers: list[tuple[int, str, str]] = []
    rehearsal = Thread(target=lambda: answers.append(operator.types("rehearse", "plain", str(submission), "--json")))
    rehearsal.start()
    until(lambda: rows(operator.database))
    record(operator.database, newest(operator.database), credit=0.5)
    rehearsal.join(30)
    status, out, err = answers[0]
    told = json.loads(out)
    assert status == 0
    assert (told["challenge"], told["failure"], told["fence"]) == ("plain", None, 1)
    assert told["total"] == {"low": 50.0, "high": 50.0, "max": 100.0}
    assert told["findings"][0]["reason"] == "It was tried."
    assert err.startswith("assay: waits for a worker\n")


def test_a_rehearsal_that_fails_says_whose_fault_it_is(operator: Operator, submission: Path) -> None:
    operator.types("publish")
    answers: list[tuple[int, str, str]] = []
    rehearsal = Thread(target=lambda: answers.append(operator.types("rehearse", "plain", str(submission))))
    rehearsal.start()
    until(lambda: rows(operator.database))
    record(operator.database, newest(operator.database), fails=True)
    rehearsal.join(30)
    assert answers[0][:2] == (1, f"plain: not graded, by the fault of the author: {SHOWN}\n")


def rows(database: Database) -> int:
    with database.reading() as session:
        return len(session.scalars(select(Grading.id)).all())


def test_what_cannot_be_rehearsed_is_a_sentence_and_nothing_is_kept(operator: Operator, submission: Path) -> None:
    assert operator.types("rehearse", "plain", str(submission)) == (
        2, "", "assay: challenge: plain: is not published; nothing is: run `assay publish`\n"
    )  # fmt: skip
    operator.types("publish")
    assert "plain is" in operator.types("rehearse", "other", str(submission))[2]
    (submission / "link").symlink_to("/etc/passwd")
    status, _, err = operator.types("rehearse", "plain", str(submission))
    assert status in (1, 2)
    assert "is a link or a special file" in err
    with operator.database.reading() as session:
        assert session.scalars(select(Submission)).all() == []


# ------------------------------------------------------------------------------------------------- failed, regraded


def hand_in(operator: Operator) -> str:
    """A rehearsal's grading, without waiting for it."""
    with operator.database.reading() as session:
        digest = session.scalars(select(ChallengeVersion.digest).limit(1)).one()
    return world.hand_in(operator.database, digest=digest)[0]


def test_what_failed_is_listed_until_somebody_sends_it_again(operator: Operator) -> None:
    operator.types("publish")
    failed, waiting = hand_in(operator), hand_in(operator)
    record(operator.database, failed, fails=True)
    told = operator.told("gradings")
    assert [(one["grading"], one["fault_of"], one["message"]) for one in told["failed"]] == [(failed, "author", WRONG)]
    assert sum(told["under_way"].values()) == 1
    assert operator.types("gradings")[1] == "under way: 1 sent\nneeding a person: 1\n"
    [line] = operator.types("gradings", "--failed")[1].splitlines()
    assert line.startswith(f"{failed}  plain  {told['failed'][0]['submission']}  ")
    assert line.endswith(f"the author's: {SHOWN}")
    status, again, _ = operator.types("gradings", "retry", failed)
    assert status == 0
    assert operator.told("gradings")["failed"] == []
    assert world.grading(operator.database, again.strip()).repeats_id == failed
    assert operator.types("gradings", "retry", failed)[0] == 2
    assert operator.types("gradings", "retry", waiting)[0] == 2


def test_no_error_commands_a_terminal(operator: Operator) -> None:
    assert operator.types("gradings", "retry", "\x1b[2J") == (2, "", "assay: grading \\x1b[2J: there is none\n")


def test_a_regrade_is_shown_before_it_counts(operator: Operator) -> None:
    operator.types("publish")
    record(operator.database, hand_in(operator), credit=0.25)
    status, out, err = operator.types("regrade", "start", "plain", "--reason", "the grader was mended")
    assert status == 0, err
    regrade = out.strip()
    assert "1 submissions" in err
    assert operator.told("regrade", "show", regrade)["state"] == "running"
    record(operator.database, newest(operator.database), credit=0.75)
    shown = operator.told("regrade", "show", regrade)
    assert (shown["state"], shown["compared"][0]["criteria"]) == ("ready", {"right": [0.25, 0.75]})
    assert operator.types("regrade", "show", regrade)[1].splitlines()[1:] == [
        "1 would change, by +50 in the mean and +50 at most",
        f"{shown['compared'][0]['submission']}  25 -> 75  right",
    ]
    assert operator.types("regrade", "apply", regrade)[0] == 0
    assert operator.types("regrade", "drop", regrade)[0] == 2
    assert [(one["state"], one["reason"]) for one in operator.told("regrade", "list")] == [
        ("applied", "the grader was mended")
    ]


def test_a_regrade_that_changes_nobody_says_so(operator: Operator) -> None:
    operator.types("publish")
    record(operator.database, hand_in(operator), credit=0.25)
    regrade = operator.types("regrade", "start", "plain", "--reason", "to be sure")[1].strip()
    record(operator.database, newest(operator.database), credit=0.25)
    assert operator.types("regrade", "show", regrade)[1].splitlines() == [
        "ready: 0 running, 0 failed, 1 compared",
        "nobody's score would change",
    ]


def test_a_regrade_of_nothing_is_a_sentence(operator: Operator) -> None:
    assert operator.types("regrade", "start", "plain", "--reason", "x")[0] == 2
    operator.types("publish")
    status, _, err = operator.types("regrade", "start", "plain", "--reason", "x")
    assert (status, err) == (2, "assay: regrade: plain: no submission was chosen\n")
    assert operator.types("regrade", "show", "nothing")[::2] == (2, "assay: regrade nothing: there is none\n")
