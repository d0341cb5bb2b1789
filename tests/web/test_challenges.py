"""Publishing: what new attempts get, and when a number stands for what somebody has seen."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from graders.challenge import Challenge, read_challenge
from graders.trees import FolderStore
from tests.web.world import apply_for_role, begin
from web import audit, challenges, gradings
from web.database import Database
from web.errors import Refused
from web.models import AuditEvent, ChallengeVersion

MANIFEST: Final = """
title = "Windows"
summary = "Count what falls into a window."
version = "{version}"
minutes = 10
expert_minutes = [5, 10]
deliverables = ["windows.py"]
grading_seconds = 60

[parts.all]
title = "All of it"
points = 100
"""
RUBRIC: Final = """
[criteria.counts]
title = "It counts"
points = 60
judged_by = "tests"
part = "all"

[criteria.reasons]
title = "It says why"
points = 40
judged_by = "person"
part = "all"
asks = "Why it counts so."
"""
Write = Callable[..., Challenge]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a challenge's folder and reads it."""

    def write_(*, version: str = "1.0.0", starter: str = "", slug: str = "windows") -> Challenge:
        folder = tmp_path / "challenges" / slug
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "starter").mkdir(parents=True)
        (folder / "challenge.toml").write_text(MANIFEST.format(version=version))
        (folder / "rubric.toml").write_text(RUBRIC)
        (folder / "brief.md").write_text("Count.\n")
        (folder / "grader.py").write_text("def grade(submission, sandbox):\n    return []\n")
        (folder / "starter" / "windows.py").write_text(starter)
        return read_challenge(folder)

    return write_


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def publish(database: Database, challenge: Challenge, store: FolderStore) -> str:
    with database.transaction() as session:
        return challenges.publish(session, challenge, store).digest


def newest(database: Database, slug: str = "windows") -> str | None:
    with database.reading() as session:
        found = challenges.newest(session, slug)
        return found.digest if found else None


def count(database: Database, table: type[ChallengeVersion] | type[AuditEvent]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def give_attempt(database: Database, digest: str, *, rehearsal: bool = False) -> None:
    with database.transaction() as session:
        begin(session, digest, None if rehearsal else apply_for_role(session))


def test_what_is_published_can_be_read_back_and_its_starter_served(
    write: Write, store: FolderStore, database: Database
) -> None:
    challenge = write(starter="def count(): ...\n")
    publish(database, challenge, store)
    with database.reading() as session:
        version = challenges.newest(session, "windows")
        assert version is not None
        assert (version.digest, version.version, version.brief) == (challenge.digest, "1.0.0", "Count.\n")
        assert gradings.read_manifest(version) == challenge.manifest
        assert gradings.read_rubric(version) == challenge.rubric
        assert store.get(version.starter) == {"windows.py": b"def count(): ...\n"}
        assert audit.verify(session) is None


def test_to_publish_what_is_published_changes_nothing(write: Write, store: FolderStore, database: Database) -> None:
    first = publish(database, write(), store)
    assert publish(database, write(), store) == first
    assert (count(database, ChallengeVersion), count(database, AuditEvent)) == (1, 1)


def test_an_author_may_publish_other_content_until_somebody_has_an_attempt(
    write: Write, store: FolderStore, database: Database
) -> None:
    first = publish(database, write(), store)
    give_attempt(database, first, rehearsal=True)
    second = publish(database, write(starter="# better"), store)
    assert newest(database) == second != first
    give_attempt(database, second)
    with pytest.raises(Refused, match=r"windows: version 1\.0\.0: somebody has an attempt at it.*raise the version"):
        publish(database, write(starter="# better still"), store)
    assert newest(database) == second
    third = publish(database, write(version="1.0.1", starter="# better still"), store)
    assert newest(database) == third
    assert count(database, ChallengeVersion) == 3


def test_what_is_published_again_counts_again(write: Write, store: FolderStore, database: Database) -> None:
    first = publish(database, write(), store)
    for _ in range(3):
        other = publish(database, write(starter="# other"), store)
        assert newest(database) == other
        assert publish(database, write(), store) == first
        assert newest(database) == first
    assert count(database, ChallengeVersion) == 2


def test_one_may_go_back_to_what_somebody_has_seen(write: Write, store: FolderStore, database: Database) -> None:
    seen = publish(database, write(), store)
    publish(database, write(version="2.0.0", starter="# other"), store)
    give_attempt(database, seen)
    assert publish(database, write(), store) == seen
    assert newest(database) == seen


def test_challenges_do_not_stand_in_each_others_way(write: Write, store: FolderStore, database: Database) -> None:
    first = publish(database, write(), store)
    give_attempt(database, first)
    other = publish(database, write(slug="doors", starter="# other"), store)
    assert (newest(database), newest(database, "doors"), newest(database, "walls")) == (first, other, None)


def test_who_publishes_at_once_publishes_once(write: Write, store: FolderStore, database: Database) -> None:
    challenge = write()
    done: list[str] = []
    people = [threading.Thread(target=lambda: done.append(publish(database, challenge, store))) for _ in range(5)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert done == [challenge.digest] * 5
    assert (count(database, ChallengeVersion), count(database, AuditEvent)) == (1, 1)
