"""Asks a candidate's HTTP server, which runs in a room without a network.

    with driver.serving(["python3", "server.py"], submission, sandbox, ready="/healthz") as server:
        created = server.post("/items", json={"name": hidden})
        listed = server.get("/items")
        right = created.status == 201 and listed.json() == [{"name": hidden}]

Requests are made by a probe of ours in the room, under another user id, so times are measured where the server cannot
reach; what it replies is its own claim. A server that never gets ready, dies, floods or sends garbage is no exception:
every request has a Reply, and `silence` says why it is not whole.
"""

import base64
import json as json_module
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from graders import strict
from graders.contract import Submission
from graders.probes import program
from sandbox import Ending, Execution, Limits, Probe, Room, Sandbox

__all__ = ["Reply", "Request", "Server", "serving"]

LONGEST_LINE: Final = 1 << 20  # of a probe
LEAST_SHARE: Final = 4000  # bytes of it, for one reply
MOST_AT_ONCE: Final = 64
MOST_SENT: Final = 4 << 20
SETTLING: Final = 5.0  # seconds beyond the server's own for a probe of ours, which always answers

METHOD: Final = re.compile("[A-Z]+")
PATH: Final = re.compile("/[!-~]*")
HEADER: Final = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE: Final = re.compile("[ -~\t]*")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `json` is a value that becomes the body, with its content-type."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = ...

    def __post_init__(self) -> None:
        if not METHOD.fullmatch(self.method):
            raise ValueError(f"request: {self.method!r}: a method is written in capitals")
        if not PATH.fullmatch(self.path):
            raise ValueError(
                f"request: {self.path!r}: a path starts with / and is ASCII, percent-encoded, without spaces"
            )
        if self.json is not ... and self.body:
            raise ValueError(f"request: {self.path}: either a body or json, not both")
        for name, value in self.headers.items():
            if not HEADER.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
                raise ValueError(f"request: {self.path}: header {name!r}: {value!r}: is no header")

    def sent(self, port: int) -> bytes:
        body = self.body if self.json is ... else json_module.dumps(self.json, allow_nan=False).encode()
        headers = {"Host": f"127.0.0.1:{port}", "Connection": "close", "Accept": "*/*"}
        if self.json is not ...:
            headers["Content-Type"] = "application/json"
        if body or self.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(body))
        given = {name.lower() for name in self.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in given}
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (headers | dict(self.headers)).items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. All of it is the server's claim, but for the times and for `silence`."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()  # names in small letters, in the order in which they came
    body: bytes = b""
    first_byte_seconds: float = 0.0  # from before the connection was made
    seconds: float = 0.0  # until the last byte
    silence: str = ""  # why there is no whole reply

    @property
    def ok(self) -> bool:
        return not self.silence and self.status is not None and 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self, otherwise: Any = None) -> Any:
        """The body as strict.loads reads it; `otherwise` when it is no plain JSON, or not whole."""
        try:
            return strict.loads(self.body) if not self.silence else otherwise
        except strict.NotStrict:
            return otherwise


class Server:
    """A candidate's server while it runs. One that never got ready says so to every request, at once."""

    def __init__(self, room: Room, limits: Limits, port: int, seconds: float) -> None:
        self.failure = ""  # why it cannot be asked
        self.execution: Execution | None = None  # how it ended, after stop()
        self._room = room
        self._port = port
        self._seconds = seconds
        self._longest = min(limits.output_kb << 10, LONGEST_LINE) - 1000
        self._most_at_once = min(MOST_AT_ONCE, self._longest // LEAST_SHARE)
        self._probing = ExitStack()
        self._probe: Probe | None = None

    def get(self, path: str, *, headers: Mapping[str, str] = {}, seconds: float | None = None) -> Reply:
        return self.ask([Request("GET", path, headers=headers)], seconds=seconds)[0]

    def post(
        self,
        path: str,
        body: bytes = b"",
        *,
        json: Any = ...,
        headers: Mapping[str, str] = {},
        seconds: float | None = None,
    ) -> Reply:
        return self.ask([Request("POST", path, body, headers, json)], seconds=seconds)[0]

    def ask(self, requests: Sequence[Request], *, seconds: float | None = None) -> list[Reply]:
        """Send all requests at the same time, each on its own connection, and give their replies in order."""
        return self._ask(requests, self._seconds if seconds is None else seconds, 0)

    def stop(self) -> Execution:
        """End it, if it has not ended by itself, and say what it did and printed."""
        if self.execution is None:
            self._probing.close()
            self.execution = self._room.stop()
            self.failure = self.failure or "it was stopped"
        return self.execution

    def _ask(self, requests: Sequence[Request], seconds: float, until: float) -> list[Reply]:
        if not 1 <= len(requests) <= self._most_at_once:
            raise ValueError(f"requests: {len(requests)}: between 1 and {self._most_at_once} can be sent at once")
        if not 0 < seconds <= 600:
            raise ValueError(f"seconds: {seconds:g}: must be above 0 and at most 600")
        sent = [request.sent(self._port) for request in requests]
        if sum(map(len, sent)) > MOST_SENT:
            raise ValueError(f"requests: together longer than {MOST_SENT} bytes")
        if self.failure:
            return [Reply(silence=self.failure)] * len(requests)
        share = self._longest // len(requests)
        question = {
            "port": self._port,
            "seconds": seconds,
            "until": until,
            "most_head": share // 8,  # spelled out as JSON it may be three times as long
            "most_body": share * 2 // 5,
            "requests": [
                (base64.b64encode(words).decode(), request.method != "HEAD")
                for words, request in zip(sent, requests, strict=True)
            ],
        }
        if self._probe is None:
            self._probe = self._probing.enter_context(self._room.probe(program("living", "http")))
        answer = self._probe.ask(json_module.dumps(question).encode(), seconds=(until or 0) + seconds + SETTLING)
        if answer.line is None:  # no memory was left for our probe: the next question gets a new one
            self._probe = None
            self._probing.close()
            return [Reply(silence=answer.silence)] * len(requests)
        return [_reply(one) for one in json_module.loads(answer.line)]

    def _wait_until_ready(self, path: str, seconds: float) -> None:
        [reply] = self._ask([Request("GET", path)], min(self._seconds, seconds), seconds)
        if reply.status is not None and reply.status < 500:
            return
        ended = self.stop()
        if ended.ending is Ending.STOPPED:
            self.failure = f"it was not ready in {seconds:g} s: GET {path}: {reply.silence or f'status {reply.status}'}"
        else:
            how = f"exit code {ended.exit_code}" if ended.ending is Ending.EXITED else str(ended.ending)
            last_words = strict.printable(ended.stderr.strip().rpartition(b"\n")[2])
            self.failure = f"it ended before it was ready ({how})" + (f": {last_words}" if last_words else "")


def _reply(said: Mapping[str, Any]) -> Reply:
    return Reply(
        status=said["status"],
        headers=tuple((name, value) for name, value in said["headers"]),
        body=base64.b64decode(said["body"]),
        first_byte_seconds=said["first"],
        seconds=said["last"],
        silence=said["silence"],
    )


@contextmanager
def serving(
    command: Sequence[str],
    submission: Submission,
    sandbox: Sandbox,
    *,
    port: int = 8000,
    ready: str = "/",
    seconds: float = 5,
    seconds_to_start: float = 20,
    lifetime: float = 300,
    gateways: Mapping[int, Path] = {},
    environment: Mapping[str, str] = {},
) -> Iterator[Server]:
    """Start `command` in a room that holds the submission, and wait until it replies.

    It is ready once GET `ready` on 127.0.0.1:`port` has a status below 500, which may take `seconds_to_start`; after
    that every request may take `seconds`. `lifetime` bounds everything together; `gateways` and `environment` are
    those of Sandbox.open.
    """
    if not 1024 <= port <= 65535:
        raise ValueError(f"port: {port}: must be between 1024 and 65535")
    if not 0 < seconds_to_start <= lifetime:
        raise ValueError(f"seconds_to_start: {seconds_to_start:g}: must be above 0 and at most the lifetime")
    with sandbox.open(
        files=submission.files,
        limits=submission.limits,
        lifetime=lifetime,
        gateways=gateways,
        environment=environment,
    ) as room:
        room.serve(command)
        server = Server(room, submission.limits, port, seconds)
        try:
            server._wait_until_ready(ready, seconds_to_start)
            yield server
        finally:
            server.stop()
