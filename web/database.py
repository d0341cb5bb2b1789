"""The database: one way in, on SQLite and on PostgreSQL.

    database = connect(settings)
    with database.transaction() as session:
        ...

A transaction that writes owns the SQLite file from its beginning, so nothing that it has read is stale when it
writes. Time is asked of the database, since hosts disagree about it.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, ColumnElement, Connection, Engine, create_engine, event, func, make_url, text, type_coerce
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool, Pool

from web.errors import PortalError
from web.lifeline import take_lock
from web.models import Table
from web.models.columns import Moment
from web.settings import DatabaseSettings

__all__ = ["Database", "DatabaseUnavailable", "clock", "connect", "dialect_of", "lock", "migrate", "now"]

FILE: Final = "assay.db"
DRIVERS: Final = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
BUSY_SECONDS: Final = 15  # until we give up on a file that another process writes to
LOOK_AGAIN_SECONDS: Final = 0.001  # a save keeps the file for little longer
CONNECT_SECONDS: Final = 5
MIGRATING_SECONDS: Final = 300  # until we give up on another process that migrates
CLOCK: Final = "SELECT clock_timestamp()"
CLOCK_OF_SQLITE: Final = "SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseUnavailable(PortalError):
    """It does not answer, is full, or is not of this version. The operator's to solve; nothing was half written."""


class _Ways(NamedTuple):
    process: int
    engine: Engine
    writing: sessionmaker[Session]
    reading: sessionmaker[Session]
    turn: threading.Lock


class Database:
    def __init__(self, url: URL) -> None:
        self.url = url
        self._left_behind: list[Pool] = []
        self._ways = self._make_ways()

    def _make_ways(self) -> _Ways:
        engine = _engine(self.url)
        reading = engine.execution_options(reading=True)
        return _Ways(
            os.getpid(),
            engine,
            sessionmaker(engine, expire_on_commit=False),
            sessionmaker(reading, expire_on_commit=False, autoflush=False),
            threading.Lock(),
        )

    def _mine(self) -> _Ways:
        if self._ways.process != os.getpid():
            # Two processes cannot talk over one connection. What a fork inherited is kept and never touched: closing
            # it would say farewell in the parent's name. Statements that the parent has compiled are good here, too.
            self._left_behind.append(self._ways.engine.pool)
            self._ways.engine.dispose(close=False)
            self._ways = self._ways._replace(process=os.getpid(), turn=threading.Lock())
        return self._ways

    @property
    def engine(self) -> Engine:
        return self._mine().engine

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """All of it, or nothing."""
        ways = self._mine()
        with _told(self.url), self._turn(ways), ways.writing.begin() as session:
            yield session

    @contextmanager
    def _turn(self, ways: _Ways) -> Iterator[None]:
        """Only one writes to an SQLite file, so the threads of one process queue here. Were each to look for its turn
        in the file, those who wait would take the processor from the one who writes."""
        if ways.engine.dialect.name != "sqlite":
            yield
            return
        if not ways.turn.acquire(timeout=BUSY_SECONDS):
            raise DatabaseUnavailable(
                f"database: {self.url.render_as_string()}: one of us has been writing for too long"
            )
        try:
            yield
        finally:
            ways.turn.release()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One look, which keeps nobody from writing. What is changed in it is not kept."""
        with _told(self.url), self._mine().reading() as session:
            yield session

    def close(self) -> None:
        self._mine().engine.dispose()


def connect(settings: DatabaseSettings) -> Database:
    """Nothing is opened yet: that happens with the first transaction."""
    return Database(_url(settings))


def now(session: Session) -> datetime:
    """The database's time, which is the same for every process however its host's clock stands."""
    question = CLOCK_OF_SQLITE if session.get_bind().dialect.name == "sqlite" else CLOCK
    with session.no_autoflush:  # to ask for the time writes nothing
        told = session.scalars(text(question)).one()
    moment = datetime.fromisoformat(told) if isinstance(told, str) else told
    return moment.astimezone(UTC)


def clock(dialect: str) -> ColumnElement[datetime]:
    """The same as a column, for a statement that asks for something else besides. `dialect`: see dialect_of."""
    told = func.strftime("%Y-%m-%d %H:%M:%f", "now") if dialect == "sqlite" else func.clock_timestamp()
    return type_coerce(told, Moment()).label("at")


def dialect_of(session: Session) -> str:
    """`sqlite` or `postgresql`, by which statements are kept that are built once: to build one takes as long as to
    execute it."""
    return session.get_bind().dialect.name


def lock(session: Session, name: str) -> None:
    """Until the end of this transaction nobody else passes here. On SQLite, whoever writes has kept all others out."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"assay {name}"})


# --------------------------------------------------------------------------------------------------------- engines


def _url(settings: DatabaseSettings) -> URL:
    given = settings.database_url.get_secret_value()
    if not given and settings.database_url_file:
        given = _read(settings.database_url_file)
    if not given:
        return URL.create(DRIVERS["sqlite"], database=str(settings.state.absolute() / FILE))
    try:
        url = make_url(given)
        kind = url.get_backend_name()
    except ArgumentError:
        raise DatabaseUnavailable("ASSAY_DATABASE_URL: is no address of a database; see docs/operations.md") from None
    if kind not in DRIVERS or (kind == "sqlite" and not url.database):
        raise DatabaseUnavailable(f"ASSAY_DATABASE_URL: {kind}: only sqlite:///PATH and postgresql://... are known")
    return url.set(drivername=DRIVERS[kind])


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise DatabaseUnavailable(f"ASSAY_DATABASE_URL_FILE: {path}: {error.strerror}") from None


def _engine(url: URL, *, migrating: bool = False) -> Engine:
    # A file is always there; a server may have gone and come back since somebody last asked it anything.
    pool: dict[str, Any] = (
        {"poolclass": NullPool} if migrating else {"pool_pre_ping": url.get_backend_name() != "sqlite"}
    )
    pool["hide_parameters"] = True  # an error of a statement goes into the log, and names and hashes with it
    if url.get_backend_name() == "postgresql":
        asked = {"connect_timeout": str(CONNECT_SECONDS)} | dict(url.query)
        return create_engine(url.set(query=asked), **pool)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **pool)
    event.listen(engine, "connect", _settle_sqlite_without_keys if migrating else _settle_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _settle_sqlite(connection: Any, _: object) -> None:
    _settle_sqlite_without_keys(connection, _)
    connection.execute("PRAGMA foreign_keys = ON")


def _settle_sqlite_without_keys(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say ourselves when a transaction begins
    connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("reading", False):
        connection.exec_driver_sql("BEGIN")
        return
    _wait_for_turn(connection)


def _wait_for_turn(connection: Connection) -> None:
    """Own the file. SQLite itself would look again after ever longer sleeps: the file lies idle between two writers,
    and whoever has waited longest waits on."""
    driver: Any = connection.connection.driver_connection
    too_late = time.monotonic() + BUSY_SECONDS
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < too_late:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY):
                    break
                time.sleep(LOOK_AGAIN_SECONDS)
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # says what is wrong as every other statement does
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


@contextmanager
def _told(url: URL) -> Iterator[None]:
    """What keeps us from the database becomes one sentence; what is wrong with a statement of ours stays as it is."""
    try:
        yield
    except DBAPIError as error:
        away = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
        if not away and getattr(error.orig, "sqlstate", "") not in OTHER_TABLES:
            raise
        cause = str(error.orig).partition("\n")[0].strip()
        raise DatabaseUnavailable(f"database: {url.render_as_string()}: {cause}{_advice(cause)}") from error


OTHER_TABLES: Final = ("42P01", "42703")  # no such table, no such column, as PostgreSQL says it
OTHER_VERSION: Final = ": its tables are of another version of Assay: run `assay migrate` of the newer one"
NEVER_PREPARED: Final = ": it was never prepared: run `assay up`, or `assay migrate`"
ADVICE: Final = {
    "column": OTHER_VERSION,
    "no such table": NEVER_PREPARED,
    "does not exist": NEVER_PREPARED,
    "database is locked": ": another process has been writing for too long",
    "disk is full": ": make room in its folder; what is open goes on by itself",
    "unable to open database file": ": the folder has to exist and to be ours to write to",
}


def _advice(cause: str) -> str:
    return next((advice for sign, advice in ADVICE.items() if sign in cause), "")


# ------------------------------------------------------------------------------------------------------- migrations


def migrate(settings: DatabaseSettings, *, to: str = "head") -> None:
    """Bring the tables to this version. Two processes may ask for it at once; the second finds it done."""
    url = _url(settings)
    script = ScriptDirectory(str(MIGRATIONS))
    with _alone(url), _told(url):
        engine = _engine(url, migrating=True)
        try:
            if engine.dialect.name == "sqlite":
                _write_ahead(engine)
            with engine.begin() as connection:
                _migrate(connection, script, to)
        finally:
            engine.dispose()


def _migrate(connection: Connection, script: ScriptDirectory, to: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('assay migrations'))"))
    current = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseUnavailable(
            f"database: {connection.engine.url.render_as_string()}: its tables are of revision {current}, which this "
            "version does not know: run the version of Assay that wrote it, or a newer one"
        )
    climb: Callable[..., Any] = script._upgrade_revs if to == "head" else script._downgrade_revs
    steps = EnvironmentContext(Config(), script, fn=lambda revision, _: climb(to, revision), destination_rev=to)
    with steps:
        steps.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
        steps.run_migrations()
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise DatabaseUnavailable(
            f"database: {connection.engine.url.render_as_string()}: rows refer to rows that are not there"
        )


def _write_ahead(engine: Engine) -> None:
    """Readers and one writer at a time: kept in the file, and so set only here."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


@contextmanager
def _alone(url: URL) -> Iterator[None]:
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(str(url.database))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)  # its companions get the same rights
    held = take_lock(path.with_name(f"{path.name}.migrating"), MIGRATING_SECONDS)
    if held is None:
        raise DatabaseUnavailable(f"database: {path}: another process has been migrating it for too long")
    try:
        yield
    finally:
        os.close(held)
