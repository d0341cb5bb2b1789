"""Databases to test with, prepared once."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pydantic import SecretStr

from tests.web.postgres_server import postgres_server
from web.database import migrate
from web.models import Table
from web.settings import DatabaseSettings


def sqlite_settings(folder: Path) -> DatabaseSettings:
    return DatabaseSettings(_env_file=None, state=folder, database_url=SecretStr(""), database_url_file="")


@contextmanager
def sqlite_databases(folder: Path) -> Iterator[Callable[[Path], DatabaseSettings]]:
    """Gives a function that copies the prepared file into a folder."""
    migrate(sqlite_settings(folder))

    def copy(into: Path) -> DatabaseSettings:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "assay.db", into)
        return sqlite_settings(into)

    yield copy


class PostgresDatabases:
    """On one server of our own: one database that is emptied for each test, and new ones for tests that need one."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count(1)
        self._shared = self.create()
        migrate(self._shared)

    def create(self) -> DatabaseSettings:
        """Without tables."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        url = self._address.replace("/postgres?", f"/{name}?")
        return DatabaseSettings(
            _env_file=None, state=Path("/nowhere"), database_url=SecretStr(url), database_url_file=""
        )

    def emptied(self) -> DatabaseSettings:
        """With all tables, and no rows."""
        url = self._shared.database_url.get_secret_value()
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")  # no trigger looks, no key is followed
            for table in Table.metadata.tables:
                connection.execute(f"DELETE FROM {table}")
        return self._shared


@contextmanager
def postgres_databases() -> Iterator[PostgresDatabases]:
    with postgres_server() as address:
        yield PostgresDatabases(address)
