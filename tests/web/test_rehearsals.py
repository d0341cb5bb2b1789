"""A recorder warms up on a report that never was; and the form on which an operator rehearses."""

from pathlib import Path

from sqlalchemy import func, select

from tests.web import world
from tests.web.databases import sqlite_settings
from web import audit
from web.database import Database, connect, now
from web.models import Attempt, AuditEvent, Finding, Form, FormState, Grading, Snapshot, Submission
from web.rehearsals import rehearse, warm_up


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


def rehearsed(database: Database) -> tuple[Form, Grading]:
    with database.transaction() as session:
        made = rehearse(session, "windows", world.work())
        attempt = session.get_one(Attempt, session.get_one(Submission, made.submission_id).attempt_id)
        return session.get_one(Form, attempt.form_id), session.get_one(Grading, made.grading_id)


def test_where_forms_are_calibrated_one_of_the_pool_is_rehearsed_on(database: Database) -> None:
    with database.transaction() as session:
        world.publish(session)
        at = now(session)
        for name, calibration in (("plain", None), ("ready", "{}")):
            session.add(
                Form(id=name, challenge_digest="a" * 64, reference=name, state=FormState.POOL, calibration=calibration,
                     created_at=at)
            )  # fmt: skip
    form, grading = rehearsed(database)
    assert (form.id, form.state, grading.grading_seconds) == ("ready", FormState.ISSUED, 60)
    own, longer = rehearsed(database)
    assert own.id not in ("plain", "ready")
    assert (own.state, longer.grading_seconds) == (FormState.ISSUED, 360)  # in which it may be calibrated, too
