"""A probe: sends HTTP requests to a server in the room, all of a question at once, and measures.

A question is {"port", "seconds", "most_head", "most_body", "requests": [[base64 of the request, whether a body can
follow], ...], "until"}. With `until`, a number of seconds, it asks again and again until there is a reply below 500,
and stops early when nothing runs any more that could give one.

The answer is [{"status", "headers", "body", "first", "last", "silence"}, ...]. `silence` is the reason why there is
no whole reply; what came is there nevertheless. Each request leaves in one write, Nagle's delay and delayed
acknowledgement are switched off: otherwise 40 ms of waiting would be charged to the candidate. Whatever the server
does, every length has its bound, and the answer comes when `seconds` are over.
"""

import base64
import errno
import json
import os
import re
import selectors
import socket
import sys
import time
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from graders.probes.living import anything_runs  # stands before this text when it runs

PIECE = 1 << 16
MOST_HEADERS = 200
LONGEST_CHUNK_LINE = 200
PAUSE = 0.03  # between two looks whether the server is ready

STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?")
CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?")


class Over(Exception):
    """The reply is over. The words say why it is not whole; without words it is."""


class Reply:
    """Takes the bytes of one HTTP/1 reply as they come."""

    def __init__(self, has_body: bool, most_head: int, most_body: int) -> None:
        self.has_body, self.most_head, self.most_body = has_body, most_head, most_body
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.rest = bytearray()
        self.left: int | None = None  # of the body, or of the chunk; None: until the connection is closed
        self.chunked = self.trailing = False

    def take(self, piece: bytes) -> None:
        self.rest += piece
        while self.status is None:
            self.take_head()
        if self.chunked:
            self.take_chunks()
            return
        self.keep(self.rest if self.left is None else self.rest[: self.left])
        if self.left is not None:
            self.left -= min(len(self.rest), self.left)
        self.rest.clear()
        if self.left == 0:
            raise Over

    def end(self) -> None:
        """The other side has closed."""
        if self.status is None:
            raise Over("it closed the connection without a reply" if not self.rest else f"no HTTP: {shown(self.rest)}")
        if self.chunked or self.left is not None:
            raise Over(f"the body ended early, after {len(self.body)} bytes")
        raise Over

    def keep(self, piece: bytes | bytearray) -> None:
        self.body += piece[: self.most_body - len(self.body)]
        if len(self.body) == self.most_body and len(piece):
            raise Over(f"the body has {self.most_body} bytes or more: what follows was not read")

    def take_head(self) -> None:
        if not b"HTTP/".startswith(self.rest[:5]) and not self.rest.startswith(b"HTTP/"):
            raise Over(f"no HTTP: {shown(self.rest)}")
        head, end, rest = self.rest.partition(b"\r\n\r\n")
        if len(head) > self.most_head:
            raise Over(f"the headers are longer than {self.most_head} bytes")
        if not end:
            raise Incomplete
        first, *lines = head.split(b"\r\n")
        matched = STATUS.fullmatch(first)
        if matched is None:
            raise Over(f"no HTTP: {shown(first)}")
        self.rest = rest
        if not matched[1].startswith(b"1"):  # "continue" and the like come before the reply
            self.take_headers(lines)
            self.status = int(matched[1])
            self.choose_end()

    def take_headers(self, lines: list[bytearray]) -> None:
        if len(lines) > MOST_HEADERS:
            raise Over(f"more than {MOST_HEADERS} headers")
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or not (name + value).replace("\t", " ").isprintable() or name != name.strip():
                raise Over(f"no header: {shown(line)}")
            self.headers.append((name.lower(), value.strip()))

    def choose_end(self) -> None:
        codings = [value.lower() for name, value in self.headers if name == "transfer-encoding"]
        lengths = {value for name, value in self.headers if name == "content-length"}
        if not self.has_body or self.status in (204, 304):
            raise Over
        if codings:
            if codings != ["chunked"]:
                raise Over(f"a transfer-encoding that was not asked for: {', '.join(codings)[:100]}")
            self.chunked, self.left = True, 0
        elif lengths:
            length = lengths.pop()
            if lengths or not length.isascii() or not length.isdigit() or len(length) > 15:
                raise Over(f"a content-length that is none: {length[:100]}")
            self.left = int(length)

    def take_chunks(self) -> None:
        """`left` counts what is missing of a chunk and of the line's end behind it."""
        while True:
            if self.left:
                part = self.rest[: self.left]
                self.keep(part[: max(0, self.left - 2)])
                self.left -= len(part)
                del self.rest[: len(part)]
                if self.left:
                    return
            line, end, rest = self.rest.partition(b"\r\n")
            if len(line) > LONGEST_CHUNK_LINE:
                raise Over(f"no chunk: {shown(line)}")
            if not end:
                return
            self.rest = rest
            if self.trailing:
                if not line:
                    raise Over
                continue
            matched = CHUNK.fullmatch(line)
            if matched is None:
                raise Over(f"no chunk: {shown(line)}")
            size = int(matched[1], 16)
            self.left, self.trailing = (size + 2, False) if size else (0, True)


class Incomplete(Exception):
    """The head is not all there yet."""


class Call:
    """One request on a connection of its own, from before the connection is made until the last byte."""

    def __init__(self, port: int, request: bytes, reply: Reply) -> None:
        self.request, self.reply = request, reply
        self.silence: str | None = None  # None while it goes on; empty when the reply is whole
        self.began = time.monotonic()
        self.first: float | None = None
        self.last = 0.0
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        refused = self.socket.connect_ex(("127.0.0.1", port))
        if refused not in (0, errno.EINPROGRESS):
            self.over(os.strerror(refused))

    def over(self, silence: str) -> None:
        self.silence, self.last = silence, time.monotonic() - self.began
        self.socket.close()

    def step(self) -> int:
        """Do what can be done without waiting, and say what is waited for next; 0 when it is over."""
        try:
            if self.request:
                self.request = self.request[self.socket.send(self.request) :]
                return selectors.EVENT_READ if not self.request else selectors.EVENT_WRITE
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # lasts for one reading
            piece = self.socket.recv(PIECE)
            if self.first is None:
                self.first = time.monotonic() - self.began
            if piece:
                self.reply.take(piece)
            else:
                self.reply.end()
        except (Incomplete, BlockingIOError):
            pass
        except Over as over:
            self.over(str(over))
            return 0
        except OSError as error:
            self.over(error.strerror or str(error))
            return 0
        return selectors.EVENT_WRITE if self.request else selectors.EVENT_READ

    def told(self) -> dict[str, Any]:
        return {
            "status": self.reply.status,
            "headers": self.reply.headers,
            "body": base64.b64encode(self.reply.body).decode(),
            "first": self.first if self.first is not None else self.last,
            "last": self.last,
            "silence": self.silence,
        }


def shown(words: bytes | bytearray) -> str:
    return ascii(bytes(words[:60]))[2:-1]


def exchange(question: dict[str, Any], deadline: float) -> list[Call]:
    """Send all requests, and follow them to their ends or to the deadline."""
    bounds = (question["most_head"], question["most_body"])
    calls = [
        Call(question["port"], base64.b64decode(request), Reply(has_body, *bounds))
        for request, has_body in question["requests"]
    ]
    with selectors.DefaultSelector() as waiting:
        for call in calls:
            if call.silence is None:
                waiting.register(call.socket, selectors.EVENT_WRITE, call)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                call = key.data
                descriptor = key.fileobj
                wanted = call.step()
                if not wanted:
                    waiting.unregister(descriptor)
                elif wanted != key.events:
                    waiting.modify(descriptor, wanted, call)
    for call in calls:
        if call.silence is None:
            call.over(f"no {'whole ' if call.first is not None else ''}reply in {question['seconds']:g} s")
    return calls


def asked_until_ready(question: dict[str, Any]) -> list[Call]:
    ends = time.monotonic() + question["until"]
    while True:
        gone = not anything_runs()  # asked before: what has ended meanwhile may have replied
        calls = exchange(question, min(ends, time.monotonic() + question["seconds"]))
        ready = all(call.reply.status is not None and call.reply.status < 500 for call in calls)
        if ready or gone or time.monotonic() >= ends:
            return calls
        time.sleep(PAUSE)


def main() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        if question["until"]:
            calls = asked_until_ready(question)
        else:
            calls = exchange(question, time.monotonic() + question["seconds"])
        print(json.dumps([call.told() for call in calls], ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
