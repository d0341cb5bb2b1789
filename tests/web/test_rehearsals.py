"""A recorder warms up on a report that never was."""

from pathlib import Path

from sqlalchemy import func, select

from tests.web import world
from tests.web.databases import sqlite_settings
from web import audit
from web.database import Database, connect
from web.models import Attempt, AuditEvent, Finding, Form, Grading, Snapshot, Submission
from web.rehearsals import warm_up


def rows(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Attempt, AuditEvent, Finding, Form, Grading, Snapshot, Submission)
        }


def test_nothing_of_it_is_ever_seen(database: Database) -> None:
    world.hand_in(database)
    before = rows(database)
    warm_up(database, world.SETTINGS)
    assert rows(database) == before
    with database.reading() as session:
        assert audit.verify(session) is None


def test_its_statements_are_compiled_and_it_leaves_no_connection(database: Database) -> None:
    world.hand_in(database)
    database.engine.clear_compiled_cache()
    warm_up(database, world.SETTINGS)
    compiled = {str(statement) for statement in database.engine._compiled_cache or {}}
    assert len(compiled) >= 8
    assert database.engine.pool.status().count("Connections in pool: 0") == 1


def test_without_a_challenge_or_a_database_there_is_nothing_to_warm_up_on(database: Database, tmp_path: Path) -> None:
    warm_up(database, world.SETTINGS)
    assert set(rows(database).values()) == {0}
    warm_up(connect(sqlite_settings(tmp_path / "nowhere")), world.SETTINGS)
