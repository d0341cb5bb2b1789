"""C: whom a program can reach. Nobody, but for a gateway's one socket.

The ids are those of `sandbox.md`, §3. After every test an honest program runs on the same engine (fixture `sandbox`).

| id | where it is |
|---|---|
| C7, C8, C9 | what the metered model provider allows and refuses: not here, a gateway is only a socket to the sandbox |
| C11 | nobody can give us an address to call back, so there is nothing to attack yet |
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from sandbox import Ending, Limits, Sandbox
from tests.hostile.attack import attack, command, program

pytestmark = pytest.mark.docker

SLOW: Final = Limits(seconds=30, memory_mb=128)
OUTSIDE: Final = (
    *("1.1.1.1", "8.8.8.8", "192.0.2.1", "2606:4700:4700::1111", "fe80::1"),
    *("169.254.169.254", "fd00:ec2::254", "100.100.100.200"),
    *("172.17.0.1", "172.17.0.2", "172.18.0.1", "10.0.0.1", "192.168.0.1", "192.168.65.2"),
    *("127.0.0.1", "127.0.0.53", "::1", "0.0.0.0"),
)
PORTS: Final = (22, 53, 80, 443, 2375, 2376, 5000, 5432, 6379, 8000)
NAMES: Final = (
    *("data.attacker.example", "localhost.localdomain", "host.docker.internal", "gateway.docker.internal"),
    *("metadata.google.internal", "redis", "postgres", "a" * 60 + ".attacker.example"),
)
# A probe that answers once the neighbour listens.
LISTENS: Final = """
import socket, sys
for _ in sys.stdin:
    while socket.socket().connect_ex(("127.0.0.1", 9002)):
        pass
    print("up", flush=True)
"""


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(2)
        try:
            while piece := self.request.recv(65536):
                self.request.sendall(b"gateway" if piece == b"?" else b"")
        except OSError:
            return


class Service(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def gateway(folder: Path) -> Iterator[Path]:
    """A service of ours on a unix socket, as the model provider will be."""
    path = folder / "gateway.sock"
    with Service(str(path), Echo) as server:
        path.chmod(0o666)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def test_nothing_outside_can_be_reached(sandbox: Sandbox) -> None:
    """C1, C2, C3, C4, B21: with services of the host at its loopback, at every address, at a name of no file."""
    abstract = f"\0assay-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as loopback,
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.socket(socket.AF_UNIX) as nameless,
    ):
        nameless.bind(abstract)
        nameless.listen()
        ports = [*PORTS, loopback.getsockname()[1], everywhere.getsockname()[1]]
        order = {
            "addresses": [(host, port) for host in OUTSIDE for port in ports],
            "names": NAMES,
            "sockets": [abstract, "/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"],
        }
        execution = attack(sandbox, "network/out", limits=SLOW, stdin=json.dumps(order).encode())
    assert execution.ok, execution
    assert json.loads(execution.stdout) == {
        "reached": [],
        "options": [],
        "addresses that are not ours": [],
        "interfaces": ["lo"],
        "routes": [],
        "engine": [],
    }


def test_two_rooms_cannot_meet(sandbox: Sandbox) -> None:
    """C5: neither at an address nor at a name nor at a file, while both are open."""
    files = program("network/neighbour")
    with sandbox.open(files=files, limits=SLOW) as one, sandbox.open(files=files, limits=SLOW) as other:
        one.serve(command("listen"))
        with one.probe(LISTENS) as probe:
            assert probe.ask(b"?", seconds=20).line == b"up"
        execution = other.run(command("knock"))
        assert one.stop().ending is Ending.STOPPED
    assert execution.ok, execution
    assert json.loads(execution.stdout) == []


def test_a_gateway_is_one_socket_and_stays_what_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    """C4, C8: no other port, no other file, and the next program in the room finds it as it was."""
    with (
        gateway(tmp_path) as path,
        sandbox.open(files=program("network/gateway"), limits=SLOW, gateways={8000: path}) as room,
    ):
        for _ in range(2):
            execution = room.run(command("8000"))
            assert execution.ok, execution
            assert json.loads(execution.stdout) == {
                "first": "gateway",
                "harm": [],
                "there": ["8000"],
                "other ports": [],
                "last": "gateway",
            }


def test_a_server_that_keeps_all_connections_of_a_gateway_harms_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    """C7: another room with a gateway to the same service is served meanwhile, and the first is stopped in order."""
    ask = "import socket\ns = socket.create_connection(('127.0.0.1', 8001))\ns.send(b'?')\nprint(s.recv(100))"
    with (
        gateway(tmp_path) as path,
        sandbox.open(files=program("network/held_gateway"), limits=SLOW, gateways={8000: path}) as greedy,
        sandbox.open(limits=SLOW, gateways={8001: path}) as modest,
    ):
        greedy.serve(command("8000"))
        assert modest.run(["python3", "-c", ask]).stdout == b"b'gateway'\n"
        assert greedy.stop().ending in (Ending.STOPPED, Ending.OUT_OF_MEMORY)


def test_a_room_without_a_gateway_has_no_trace_of_one(sandbox: Sandbox, tmp_path: Path) -> None:
    """C8"""
    look = "import os, socket; print(os.path.exists('/gateways'), socket.socket().connect_ex(('127.0.0.1', 8000)))"
    with gateway(tmp_path) as path, sandbox.open(limits=SLOW, gateways={8000: path}):
        assert sandbox.run(["python3", "-c", look]).stdout == b"False 111\n"
