"""The embedded server: a real one, on private sockets in folders of the tests' own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from web import valkey
from web.settings import PROJECT

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, and leaves none behind."""
    running: list[subprocess.Popen[bytes]] = []

    def one(folder: Path, program: Path | None = None) -> subprocess.Popen[bytes]:
        running.append(valkey.start(folder, program))
        return running[-1]

    yield one
    for server in running:
        server.kill()
        server.wait()


def say(folder: Path, *words: str) -> bytes:
    """One command in the server's own protocol; its answer."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(valkey.address(folder))
        door.sendall(f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words))
        return door.recv(1000)


def kept(folder: Path, *words: str) -> Path:
    """Say it, and wait until it is in the file: the server may put that off while the disk is busy."""
    assert say(folder, *words) == b"+OK\r\n"
    written = max((folder / "appendonlydir").glob("*.incr.aof"))
    while words[-1].encode() not in written.read_bytes():
        time.sleep(0.01)
    return written


def end(server: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGKILL) -> None:
    server.send_signal(number)
    server.wait()


def test_what_a_killed_server_was_told_is_there_when_it_starts_again(tmp_path: Path, start: Start) -> None:
    server = start(tmp_path)
    kept(tmp_path, "SET", "name", "Ada")
    end(server)
    start(tmp_path)
    assert say(tmp_path, "GET", "name") == b"$3\r\nAda\r\n"


def test_nobody_else_may_reach_the_server(tmp_path: Path, start: Start) -> None:
    start(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / valkey.SOCKET).stat().st_mode & 0o777 == 0o700
    assert say(tmp_path, "CONFIG", "GET", "port") == b"*2\r\n$4\r\nport\r\n$1\r\n0\r\n"


def test_a_folder_with_a_path_longer_than_a_socket_may_have_will_do(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / ("x" * 120) / "valkey"
    start(folder)
    assert say(folder, "PING") == b"+PONG\r\n"
    assert len(valkey.address(folder)) < 100


def test_a_file_whose_end_was_lost_is_read_up_to_there(tmp_path: Path, start: Start) -> None:
    server = start(tmp_path)
    kept(tmp_path, "SET", "first", "Ada")
    written = kept(tmp_path, "SET", "second", "Grace")
    end(server)
    os.truncate(written, written.stat().st_size - 5)
    start(tmp_path)
    assert say(tmp_path, "GET", "first") == b"$3\r\nAda\r\n"
    assert say(tmp_path, "GET", "second") == b"$-1\r\n"


def test_a_file_that_is_damaged_is_set_aside(tmp_path: Path, start: Start) -> None:
    server = start(tmp_path)
    written = kept(tmp_path, "SET", "name", "Ada")
    end(server)
    written.write_bytes(b"*9\r\nthis is no command\r\n" + written.read_bytes())
    start(tmp_path)
    assert say(tmp_path, "GET", "name") == b"$-1\r\n"
    assert [found.is_dir() for found in tmp_path.glob("appendonlydir.damaged-*")] == [True]


def test_two_servers_never_share_a_folder(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tmp_path)
    monkeypatch.setattr(valkey, "FREED_SECONDS", 0.2)
    with pytest.raises(valkey.ValkeyUnavailable, match="another server still uses this folder"):
        start(tmp_path)
    assert say(tmp_path, "PING") == b"+PONG\r\n"


def test_a_server_that_cannot_start_says_why(tmp_path: Path, start: Start) -> None:
    with pytest.raises(valkey.ValkeyUnavailable, match=r"sh did not start in .*: it left no word"):
        start(tmp_path, Path("/bin/sh"))
    (tmp_path / "appendonlydir").write_text("not a folder")
    with pytest.raises(valkey.ValkeyUnavailable, match=r"valkey-server did not start in .*appendonlydir"):
        start(tmp_path)


def test_a_machine_without_the_wheel_uses_the_server_on_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey.find_program() == own
    own.unlink()
    with pytest.raises(valkey.ValkeyUnavailable, match=r"no Valkey for this machine \(riscv64\): install"):
        valkey.find_program()


PARENT = """
import os, sys
from pathlib import Path
from web import valkey
server = valkey.start(Path(sys.argv[1]))
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path, start: Start) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert int(parent.stdout.readline()) > 0
    assert valkey.answers(tmp_path)
    parent.kill()
    parent.communicate()
    start(tmp_path)  # it waits until the first has let go of the folder
    assert say(tmp_path, "PING") == b"+PONG\r\n"
