"""The database as everything else sees it: transactions, time, forks, and what is said when it is away."""

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from tests.web.databases import sqlite_settings
from tests.web.postgres_server import postgres_server
from tests.web.world import begin, publish
from web.database import Database, DatabaseUnavailable, connect, lock, migrate, now
from web.models import Application, Person, Role
from web.settings import DatabaseSettings


def add_role(database: Database, title: str = "Engineer", at: datetime | None = None) -> str:
    with database.transaction() as session:
        role = Role(title=title, created_at=at or now(session))
        session.add(role)
    return role.id


def roles(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count(Role.id))) or 0


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    with suppress(RuntimeError), database.transaction() as session:
        session.add(Role(title="Engineer", created_at=now(session)))
        session.flush()
        raise RuntimeError
    assert roles(database) == 0
    add_role(database)
    assert roles(database) == 1


def test_a_look_keeps_nothing(database: Database) -> None:
    with database.reading() as session:
        session.add(Role(title="Engineer", created_at=now(session)))
        session.flush()
    assert roles(database) == 0


def test_a_look_waits_for_nobody_who_writes(database: Database) -> None:
    add_role(database)
    with database.transaction() as session:
        session.add(Role(title="Another", created_at=now(session)))
        session.flush()
        assert roles(database) == 1


def test_moments_come_back_as_they_were_with_their_zone(database: Database) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    added = add_role(database, at=moment)
    with database.reading() as session:
        back = session.get_one(Role, added).created_at
        assert (back, back.tzinfo) == (moment, UTC)
        assert session.scalar(select(Role.id).where(Role.created_at == moment)) == added
        assert session.scalar(select(Role.id).where(Role.created_at > moment)) is None


def test_a_moment_without_a_zone_is_a_mistake(database: Database) -> None:
    with pytest.raises(StatementError, match="needs its time zone"):
        add_role(database, at=datetime(2026, 3, 1))  # noqa: DTZ001


def test_time_is_asked_of_the_database(database: Database) -> None:
    with database.reading() as session:
        first = now(session)
        assert first.tzinfo is UTC
        assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)
    with database.transaction() as session:
        begun = now(session)
        session.execute(text("SELECT pg_sleep(0.01)" if database.engine.dialect.name == "postgresql" else "SELECT 1"))
        assert now(session) >= begun >= first


def test_asking_for_the_time_writes_nothing_unfinished(database: Database) -> None:
    with database.transaction() as session:
        role = Role(title="Engineer")
        session.add(role)
        role.created_at = now(session)
    assert roles(database) == 1


def test_what_refers_to_nothing_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(Application(person_id="nobody", role_id="nothing", created_at=now(session)))


def test_a_person_is_one_however_the_address_is_written(database: Database) -> None:
    with database.transaction() as session:
        session.add(Person(name="Ada", email=" Ada@Example.ORG", created_at=now(session)))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(Person(name="Ada", email="ada@example.org", created_at=now(session)))


def test_a_take_home_belongs_to_somebody(database: Database) -> None:
    with database.transaction() as session:
        publish(session)
        attempt = begin(session)
    with pytest.raises(IntegrityError, match="take_home_is_somebodys"), database.transaction() as session:
        session.execute(text("UPDATE attempts SET kind = 'take-home' WHERE id = :id"), {"id": attempt.id})


def test_writers_wait_for_each_other_and_none_is_lost(database: Database) -> None:
    def write() -> None:
        for _ in range(5):
            with database.transaction() as session:
                count = session.scalar(select(func.count(Role.id))) or 0
                session.add(Role(title=f"role {count}", created_at=now(session)))

    writers = [threading.Thread(target=write) for _ in range(5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert roles(database) == 25


def test_a_lock_lets_one_pass_at_a_time(database: Database) -> None:
    seen: list[int] = []

    def pass_through() -> None:
        with database.transaction() as session:
            lock(session, "gate")
            count = session.scalar(select(func.count(Role.id))) or 0
            seen.append(count)
            session.add(Role(title="r", created_at=now(session)))

    people = [threading.Thread(target=pass_through) for _ in range(5)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_a_fork_talks_over_a_connection_of_its_own(database: Database) -> None:
    add_role(database)
    inherited = database.engine.pool
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for _ in range(10):
                add_role(database, "from the child")
            os.write(theirs, b"its own" if database.engine.pool is not inherited else b"its parent's")
        finally:
            os._exit(0)
    os.close(theirs)
    for _ in range(10):
        add_role(database, "from the parent")
    os.waitpid(child, 0)
    assert os.read(ours, 20) == b"its own"
    os.close(ours)
    assert roles(database) == 21


# ------------------------------------------------------------------------------------------------------ when it is away


def test_a_database_of_another_version_says_what_to_do(empty_settings: DatabaseSettings) -> None:
    migrate(empty_settings)
    database = connect(empty_settings)
    with database.transaction() as session:
        session.execute(text("ALTER TABLE roles DROP COLUMN title"))
    with pytest.raises(DatabaseUnavailable, match="of another version of Assay"), database.reading() as session:
        session.scalars(select(Role)).all()
    database.close()


def test_a_database_that_was_never_prepared_says_what_to_do(empty_settings: DatabaseSettings) -> None:
    if empty_settings.database_url.get_secret_value() == "":
        empty_settings.state.mkdir()
    database = connect(empty_settings)
    with pytest.raises(DatabaseUnavailable, match=r"it was never prepared: run `assay up`"):
        roles(database)
    database.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    database = connect(sqlite_settings(tmp_path / "nowhere"))
    with pytest.raises(DatabaseUnavailable, match=r"nowhere/assay.db: unable to open database file: the folder has to"):
        roles(database)


def test_a_disk_that_is_full_loses_nothing_and_says_so(tmp_path: Path) -> None:
    settings = sqlite_settings(tmp_path)
    migrate(settings)
    database = connect(settings)
    add_role(database)
    with database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def fill() -> None:
        with database.transaction() as session:
            session.execute(text(f"PRAGMA max_page_count = {pages}"))  # as much as there is
            session.add_all(Role(title="x" * 200, created_at=now(session)) for _ in range(500))

    with pytest.raises(DatabaseUnavailable, match="disk is full: make room in its folder"):
        fill()
    database.close()
    again = connect(settings)
    assert roles(again) == 1
    add_role(again)
    again.close()


def end_in_the_middle(database: Database) -> None:
    with database.transaction() as session:
        session.add(Role(title="never", created_at=now(session)))
        session.flush()
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.postgres
def test_a_server_that_went_away_is_said_so_and_comes_back() -> None:
    with postgres_server() as address:
        url = SecretStr(address.replace("assay@", "assay:secret@"))
        settings = DatabaseSettings(_env_file=None, state=Path("/nowhere"), database_url=url, database_url_file="")
        migrate(settings)
        database = connect(settings)
        add_role(database)
        with pytest.raises(DatabaseUnavailable):
            end_in_the_middle(database)
        assert roles(database) == 1
    with pytest.raises(DatabaseUnavailable) as caught:
        roles(database)
    assert str(caught.value).startswith("database: postgresql+psycopg://assay:***@/postgres?host=")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    database.close()
