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


@contextmanager
def postgres_server() -> Iterator[str]:
    """Give the address of a running server; afterwards nothing of it is left."""
    programs = find_postgres()
    assert programs is not None, "PostgreSQL's server programs are not here: `./assay test` installs them"
    # Not pytest's folder: nobody but its owner may pass there, and the server refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="assay-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    try:
        _run(user, programs / "initdb", "--pgdata", data, "--username", "assay", "--auth", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        log = folder / "log"
        _run(user, programs / "pg_ctl", "start", "--wait", "--pgdata", data, "--log", log, "--options", options)
        try:
            yield f"postgresql://assay@/postgres?host={folder}"
        finally:
            _run(user, programs / "pg_ctl", "stop", "--wait", "--pgdata", data, "--mode", "immediate")
    finally:
        shutil.rmtree(folder)


def _run(user: str | None, *command: str | Path) -> None:
    done = subprocess.run(
        command, user=user, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
