"""Databases to test with: prepared once, and copied for each test."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pydantic import SecretStr

from tests.web.postgres_server import postgres_server
from web.database import migrate
from web.settings import DatabaseSettings

_numbers = itertools.count(1)


def sqlite_settings(folder: Path) -> DatabaseSettings:
    return DatabaseSettings(_env_file=None, state=folder, database_url=SecretStr(""), database_url_file="")


def postgres_settings(address: str, name: str) -> DatabaseSettings:
    url = address.replace("/postgres?", f"/{name}?")
    return DatabaseSettings(_env_file=None, state=Path("/nowhere"), database_url=SecretStr(url), database_url_file="")


@contextmanager
def sqlite_databases(folder: Path) -> Iterator[Callable[[Path], DatabaseSettings]]:
    """Gives a function that copies the prepared file into a folder."""
    migrate(sqlite_settings(folder))

    def copy(into: Path) -> DatabaseSettings:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "assay.db", into)
        return sqlite_settings(into)

    yield copy


@contextmanager
def postgres_databases() -> Iterator[Callable[..., DatabaseSettings]]:
    """Gives a function that makes a prepared database on a server of our own; `prepared=False` leaves it empty."""
    with postgres_server() as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE prepared")
        migrate(postgres_settings(address, "prepared"))

        def copy(*, prepared: bool = True) -> DatabaseSettings:
            name = f"test_{next(_numbers)}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {'prepared' if prepared else 'template0'}")
            return postgres_settings(address, name)

        yield copy
