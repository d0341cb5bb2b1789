"""The portal as an object, for pages; and as real processes on real ports, for the server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient

from graders.trees import FolderStore
from tests.web.databases import PostgresDatabases, postgres_databases, sqlite_databases, sqlite_settings
from tests.web.portal_process import PortalProcess
from tests.web.valkey_server import ValkeyServer
from web import create_app, queue
from web.database import Database, connect
from web.portal import Portal
from web.queue import Doorbell
from web.settings import DatabaseSettings, PortalSettings


def made_of(database: Database, bell: Doorbell, folder: Path, **settings: Any) -> Portal:
    """A portal with the secrets of tests."""
    given = PortalSettings(_env_file=None, **settings)
    return Portal(given, database, bell, FolderStore(folder / "store"), session_secret="s" * 40, receipt_key="0a" * 32)


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """The portal alone, with settings like `web_request_kb=1`: there is neither a database nor a queue."""
    nowhere = tmp_path / "nowhere"
    database = connect(sqlite_settings(nowhere))
    bell = Doorbell(queue.connect("", nowhere))
    yield lambda **settings: create_app(made_of(database, bell, nowhere, **settings))
    database.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def start_portal() -> Iterator[Callable[..., PortalProcess]]:
    """Starts portals on free ports, with settings like `web_threads=1`, and leaves none behind."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(PortalProcess(**settings))


@pytest.fixture
def portal(start_portal: Callable[..., PortalProcess]) -> PortalProcess:
    return start_portal()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A queue server on a socket that nobody else knows."""
    server = ValkeyServer(tmp_path / "valkey")
    yield server
    server.kill()


BOTH: Final = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], DatabaseSettings]]:
    with sqlite_databases(tmp_path_factory.mktemp("prepared")) as copy:
        yield copy


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabases]:
    with postgres_databases() as databases:
        yield databases


@pytest.fixture(params=BOTH)
def database_settings(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """Of a database with all tables and no rows; each test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        copy: Callable[[Path], DatabaseSettings] = request.getfixturevalue("new_sqlite")
        return copy(tmp_path / "database")
    databases: PostgresDatabases = request.getfixturevalue("postgres")
    return databases.emptied()


@pytest.fixture(params=BOTH)
def empty_settings(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """Of a database without tables."""
    if request.param == "sqlite":
        return sqlite_settings(tmp_path / "database")
    databases: PostgresDatabases = request.getfixturevalue("postgres")
    return databases.create()


@pytest.fixture
def database(database_settings: DatabaseSettings) -> Iterator[Database]:
    opened = connect(database_settings)
    yield opened
    opened.close()
