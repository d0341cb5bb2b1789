"""A server of the candidate's, asked over HTTP by a probe. What it says is its claim, and never an exception."""

import socketserver
import threading
from pathlib import Path
from typing import Final

import pytest

from graders import driver
from graders.driver import Request
from sandbox import Ending, Limits, Sandbox
from tests.graders.made import submission

SERVER: Final = """
import http.server, json, os, socketserver, threading, time, urllib.request

meeting = threading.Barrier(8)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/raw":
            return self.raw(b"HTTP/1.1 200 OK\\r\\nX-A: 1\\r\\nx-a: 2\\r\\n\\r\\nuntil it closes")
        if self.path == "/chunks":
            return self.raw(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
                            b"5;x=y\\r\\nhello\\r\\n1\\r\\n!\\r\\n0\\r\\nTrailer: x\\r\\n\\r\\n")
        if self.path == "/continue":
            return self.raw(b"HTTP/1.1 103 Early Hints\\r\\nLink: x\\r\\n\\r\\nHTTP/1.0 204 No Content\\r\\n\\r\\n")
        if self.path == "/moved":
            return self.raw(b"HTTP/1.1 302 Found\\r\\nLocation: /here\\r\\nContent-Length: 0\\r\\n\\r\\n")
        if self.path == "/slow":
            self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\na")
            time.sleep(0.2)
            return self.raw(b"b")
        if self.path == "/meet":
            meeting.wait(10)
        if self.path == "/gateway":
            return self.say(200, urllib.request.urlopen("http://127.0.0.1:9000/").read())
        self.say(200, json.dumps({"path": self.path, "x": self.headers["X-Mine"]}).encode())

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()

    def do_POST(self):
        self.say(201, self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", self.headers.get("Content-Type", "text/plain"))
        self.end_headers()
        self.wfile.write(body)

    def raw(self, words):
        self.wfile.write(words)
        self.wfile.flush()
        self.close_connection = True

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 64

time.sleep(float(os.environ.get("START", "0")))
Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()
"""
COMMAND: Final = ["python3", "server.py"]
GIVEN: Final = submission({"server.py": SERVER, "fails.py": "1/0", "sleeps.py": "import time; time.sleep(300)"})


@pytest.mark.docker
def test_a_server_is_asked_once_it_is_ready(docker_sandbox: Sandbox) -> None:
    with driver.serving(COMMAND, GIVEN, docker_sandbox, environment={"START": "0.5"}, ready="/healthz") as server:
        assert server.failure == ""
        got = server.get("/items?a=1", headers={"X-Mine": "mine"})
        assert (got.status, got.ok, got.silence) == (200, True, "")
        assert got.json() == {"path": "/items?a=1", "x": "mine"}
        assert got.header("CONTENT-TYPE") == "text/plain"
        assert 0 < got.first_byte_seconds <= got.seconds
        posted = server.post("/items", json={"name": "ü"})
        assert (posted.status, posted.json(), posted.header("content-type")) == (201, {"name": "ü"}, "application/json")
        assert server.post("/items", b"\xff" * 50_000).body == b"\xff" * 50_000
        assert server.post("/items").body == b""
        assert server.post("/items", b"no json").json(otherwise="none") == "none"
        assert server.stop().ending is Ending.STOPPED
        assert server.get("/").silence == "it was stopped"


@pytest.mark.docker
def test_every_way_to_end_a_reply_is_understood(docker_sandbox: Sandbox) -> None:
    with driver.serving(COMMAND, GIVEN, docker_sandbox) as server:
        raw = server.get("/raw")
        assert (raw.body, raw.headers, raw.silence) == (b"until it closes", (("x-a", "1"), ("x-a", "2")), "")
        assert server.get("/chunks").body == b"hello!"
        assert [server.get("/continue").status, server.get("/moved").status] == [204, 302]  # nothing is followed
        head = server.ask([Request("HEAD", "/")])[0]
        assert (head.status, head.body, head.silence, head.header("content-length")) == (200, b"", "", "1000000")
        slow = server.get("/slow")
        assert (slow.body, slow.first_byte_seconds < slow.seconds) == (b"ab", True)


@pytest.mark.docker
def test_requests_of_one_question_are_there_at_the_same_time(docker_sandbox: Sandbox) -> None:
    """None of the eight is answered before all have come."""
    with driver.serving(COMMAND, GIVEN, docker_sandbox) as server:
        replies = server.ask([Request("GET", "/meet")] * 8)
        assert [reply.status for reply in replies] == [200] * 8
        paths = [f"/{number}" for number in range(60)]
        assert [reply.json()["path"] for reply in server.ask([Request("GET", path) for path in paths])] == paths


@pytest.mark.docker
@pytest.mark.parametrize(
    ("command", "failure"),
    [
        (["python3", "fails.py"], "it ended before it was ready (exit code 1): ZeroDivisionError: division by zero"),
        (["python3", "nosuch.py"], "it ended before it was ready (exit code 2): python3: can't open file"),
        (["./nosuch"], "it ended before it was ready (not started): No such file or directory"),
        (["python3", "sleeps.py"], "it was not ready in 1 s: GET /: "),
        (["sh", "-c", "PORT=8001 exec python3 server.py"], "it was not ready in 1 s: GET /: "),
    ],
)
def test_a_server_that_never_gets_ready_says_so_to_every_request(
    docker_sandbox: Sandbox, command: list[str], failure: str
) -> None:
    with driver.serving(command, GIVEN, docker_sandbox, seconds_to_start=1) as server:
        assert server.failure.startswith(failure)
        assert [reply.silence for reply in server.ask([Request("GET", "/")] * 3)] == [server.failure] * 3
        assert not server.get("/").ok
        assert server.execution is not None


@pytest.mark.docker
def test_a_server_reaches_a_gateway_of_ours(docker_sandbox: Sandbox, tmp_path: Path) -> None:
    class Gateway(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nfrom outside")

    tmp_path.chmod(0o755)
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "socket"), Gateway) as outside:
        (tmp_path / "socket").chmod(0o777)
        threading.Thread(target=outside.serve_forever, daemon=True).start()
        with driver.serving(COMMAND, GIVEN, docker_sandbox, gateways={9000: tmp_path / "socket"}) as server:
            assert server.get("/gateway").body == b"from outside"
        outside.shutdown()


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("get", "/", {}),
        ("GET", "index", {}),
        ("GET", "/a b", {}),
        ("GET", "/a\r\nX: y", {}),
        ("GET", "/ü", {}),
        ("GET", "http://elsewhere/", {}),
        ("POST", "/", {"body": b"x", "json": 1}),
        ("GET", "/", {"headers": {"X": "a\r\nY: b"}}),
        ("GET", "/", {"headers": {"X:": "a"}}),
    ],
)
def test_a_request_that_cannot_be_is_the_authors_mistake(method: str, path: str, more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="request"):
        Request(method, path, **more)  # type: ignore[arg-type]


@pytest.mark.docker
def test_an_authors_mistake_is_a_clear_sentence(docker_sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="port: 80"), driver.serving(COMMAND, GIVEN, docker_sandbox, port=80):
        pass
    with (
        pytest.raises(ValueError, match="seconds_to_start"),
        driver.serving(COMMAND, GIVEN, docker_sandbox, seconds_to_start=-1),
    ):
        pass
    small = submission({"server.py": SERVER}, Limits(seconds=9, output_kb=16))
    with driver.serving(COMMAND, small, docker_sandbox) as server:
        with pytest.raises(ValueError, match="requests: 0"):
            server.ask([])
        with pytest.raises(ValueError, match="between 1 and 3"):
            server.ask([Request("GET", "/")] * 4)
        with pytest.raises(ValueError, match="seconds: -1"):
            server.get("/", seconds=-1)
        with pytest.raises(ValueError, match="together longer"):
            server.post("/", b"x" * (5 << 20))
        with pytest.raises(ValueError, match="JSON"):
            server.post("/", json=float("nan"))
        assert server.get("/").ok
