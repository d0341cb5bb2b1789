"""The audit trail: what was noted is there, in order, and whoever changes it is seen."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tests.web.databases import PostgresDatabases
from web import audit
from web.database import Database, connect, now
from web.models import AuditEvent, Role


def note(database: Database, *actions: str) -> None:
    for action in actions:
        with database.transaction() as session:
            audit.note(session, "admin ada", action, "role", "1", said="ä \0 \" ' %s", number=1.0, none=None)


def events(database: Database) -> list[AuditEvent]:
    with database.reading() as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def broken_at(database: Database) -> int | None:
    with database.reading() as session:
        return audit.verify(session)


def tamper(database: Database, statement: str) -> None:
    """As somebody who owns the database can."""
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(statement))
            return
        kept = connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        for verb in ("UPDATE", "DELETE"):
            connection.execute(text(f"DROP TRIGGER audit_events_keep_{verb}"))
        connection.execute(text(statement))
        for trigger in kept:
            connection.execute(text(trigger))


def test_an_empty_trail_is_whole(database: Database) -> None:
    assert broken_at(database) is None


def test_what_is_noted_is_kept_in_order_with_its_moment(database: Database) -> None:
    note(database, "one", "two", "three")
    kept = events(database)
    assert [event.action for event in kept] == ["one", "two", "three"]
    assert [event.previous for event in kept[1:]] == [event.hash for event in kept[:-1]]
    with database.reading() as session:
        assert abs(now(session) - kept[-1].at) < timedelta(minutes=1)
    assert kept[0].details == {"said": "ä \0 \" ' %s", "number": 1.0, "none": None}
    assert broken_at(database) is None


def test_several_notes_of_one_transaction_are_all_kept(database: Database) -> None:
    with database.transaction() as session:
        for action in ("one", "two"):
            audit.note(session, "ada", action, "role", "1")
    with database.transaction() as session:
        audit.note(session, "ada", "three", "role", "1")
    assert [event.action for event in events(database)] == ["one", "two", "three"]
    assert broken_at(database) is None


def test_what_was_rolled_back_was_never_noted(database: Database) -> None:
    with suppress(RuntimeError), database.transaction() as session:
        audit.note(session, "ada", "never", "role", "1")
        raise RuntimeError
    with database.transaction() as session:
        audit.note(session, "ada", "dropped", "role", "1")
        session.rollback()
    assert events(database) == []


def test_a_note_belongs_to_its_transaction_even_when_the_session_goes_on(database: Database) -> None:
    with database.reading() as session:
        audit.note(session, "ada", "dropped", "role", "1")
        session.add(Role(title="Engineer", created_at=now(session)))
        session.flush()
        session.rollback()
        audit.note(session, "ada", "kept", "role", "1")
        session.commit()
    assert [event.action for event in events(database)] == ["kept"]


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events"])
def test_the_database_itself_refuses_to_change_or_forget(statement: str, database: Database) -> None:
    note(database, "one")
    with pytest.raises(DBAPIError, match="may only be added to"), database.engine.begin() as connection:
        connection.execute(text(statement))
    assert len(events(database)) == 1


@pytest.mark.postgres
def test_postgresql_does_not_empty_the_trail_either(postgres: PostgresDatabases) -> None:
    database = connect(postgres.emptied())
    note(database, "one")
    with pytest.raises(DBAPIError, match="may only be added to"), database.engine.begin() as connection:
        connection.execute(text("TRUNCATE audit_events"))
    database.close()


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'nobody'",
        "action = 'other'",
        "subject_kind = 'person'",
        "subject_id = '2'",
        "details = '{}'",
        "at = '2020-01-01 00:00:00'",
        "previous = hash",
        f"hash = '{'f' * 64}'",
    ],
)
def test_a_changed_event_is_found(change: str, database: Database) -> None:
    note(database, "one", "two", "three")
    middle = events(database)[1].id
    tamper(database, f"UPDATE audit_events SET {change} WHERE id = {middle}")
    assert broken_at(database) == middle


def test_a_removed_event_is_found(database: Database) -> None:
    note(database, "one", "two", "three")
    first, middle, last = (event.id for event in events(database))
    tamper(database, f"DELETE FROM audit_events WHERE id = {middle}")
    assert broken_at(database) == last
    tamper(database, f"DELETE FROM audit_events WHERE id = {first}")
    assert broken_at(database) == last


def test_two_events_that_change_places_are_found(database: Database) -> None:
    note(database, "one", "two", "three")
    first, middle, _ = (event.id for event in events(database))
    for old, new in ((first, 9999), (middle, first), (9999, middle)):
        tamper(database, f"UPDATE audit_events SET id = {new} WHERE id = {old}")
    assert broken_at(database) == first


def test_who_notes_at_once_makes_one_chain(database: Database) -> None:
    people = [threading.Thread(target=note, args=(database, *"abcde")) for _ in range(6)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(events(database)) == 30
    assert broken_at(database) is None
