"""A PostgreSQL of the tests' own: a fresh cluster in a temporary folder, reached through a unix socket there."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from web.machine import find_postgres


class PostgresServer:
    """It can be stopped in the middle of a transaction, and started again with what was committed."""

    def __init__(self, folder: Path) -> None:
        programs = find_postgres()
        assert programs is not None, "PostgreSQL's server programs are not here: `./assay test` installs them"
        self.address = f"postgresql://assay@/postgres?host={folder}"
        self._programs = programs
        self._folder = folder
        self._settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "--pgdata", self._data, "--username", "assay", "--auth", "trust", "--no-sync")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        log = self._folder / "log"
        self._run("pg_ctl", "start", "--wait", "--pgdata", self._data, "--log", log, "--options", self._settings)

    def stop(self) -> None:
        """As if it were killed: nobody is waited for, nothing is written down."""
        self._run("pg_ctl", "stop", "--wait", "--pgdata", self._data, "--mode", "immediate")

    def _run(self, program: str, *words: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            user=self._user, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A running server; afterwards nothing of it is left."""
    # Not pytest's folder: nobody but its owner may pass there, and the server refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="assay-postgres-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Give the address of a running server."""
    with running_postgres() as server:
        yield server.address
