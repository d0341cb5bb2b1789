"""HTTP/1.1 on a socket whose other side is hostile: what is read is bounded, what is answered is settled exactly once.

    bytes ─► Request ─► answer(request), at once ─► Reply ─► bytes, each when it is due ─► reply.settle(Delivery)

`answer` decides everything at the moment at which a request is whole, in one step that no other request can come
between. What is left to do here is to wait and to send, and to notice when nobody listens any more.

Bounded are: connections; a request's head and the time it may take; its body and the time that may take; the bodies
of all connections together; and how long the other side may leave an answer unread. Requests that are sent without
waiting for answers are answered one after another, and read no faster. A side that says that it will send no more has
gone: the relay in a room cannot tell a half-closed connection from a closed one.
"""

import asyncio
import http
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from .asking import Refusal
from .clock import Clock

__all__ = ["Delivery", "Piece", "Reply", "Request", "Server", "json_reply", "refused"]

MOST_CONNECTIONS: Final = 256  # the relay of a room carries 128
LONGEST_HEAD: Final = 16 << 10
MOST_HEADERS: Final = 64
LONGEST_BODY: Final = 4 << 20  # 200,000 tokens of context are at most 1 MB of English
MOST_HELD: Final = 48 << 20  # of bodies that are being read or answered, on all connections together
HEAD_SECONDS: Final = 75.0  # from the last answer to the end of the next head: a client keeps idle connections
BODY_SECONDS: Final = 30.0
UNREAD_SECONDS: Final = 30.0
LINGER_SECONDS: Final = 1.0  # for what is still on its way when we hang up; else the answer is lost with it
BACKLOG: Final = 512

REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,10}) (/[!-~]{0,2000}) HTTP/1\.([01])")
HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):([ -~\t\x80-\xff]*)")
LENGTH: Final = re.compile("[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str  # without a query
    headers: Mapping[str, str] = field(default_factory=dict)  # names in small letters
    body: bytes = b""
    keeps: bool = True  # the connection
    at: int = 0  # when it was whole: what we take to think about it is part of the latency that is played


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a reply."""

    complete: bool  # every byte was handed to the kernel
    at: int
    tokens: int  # of a stream, that were sent


@dataclass(frozen=True, slots=True)
class Piece:
    due: int
    content: bytes
    tokens: int = 0


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    due: int = 0  # by the clock; the past: at once
    pieces: tuple[Piece, ...] | None = None  # a stream, instead of a body
    silent: bool = False  # at the time when it is due, the connection ends without a byte
    cut: bool = False  # a stream ends after its pieces, and a body in its middle, without an end
    settle: Callable[[Delivery], None] | None = None


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(value, separators=(",", ":")).encode(), dict(headers or {}))


def refused(refusal: Refusal) -> Reply:
    return json_reply(refusal.body, refusal.status, refusal.headers)


class _Reader(asyncio.StreamReader):
    """Knows that the other side has gone as soon as it has, also while nobody reads."""

    def __init__(self) -> None:
        super().__init__(limit=LONGEST_HEAD)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


class _Ends(Exception):
    """The conversation is over; with a refusal, that is said first."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__()
        self.refusal = refusal


class Server:
    def __init__(
        self, answer: Callable[[Request], Reply], clock: Clock, count: Callable[[str], None] = lambda _: None
    ) -> None:
        self.failures: list[BaseException] = []  # of our own; no subject can cause one, and so each is a bug
        self._answer = answer
        self._clock = clock
        self._count = count  # of what never became a request
        self._talks: set[asyncio.Task[None]] = set()
        self._held = 0
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        self._server = await create(self._protocol, sock=listening, backlog=BACKLOG)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = _Reader()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
            self._talks.add(talk)
            talk.add_done_callback(self._ended)

        return asyncio.StreamReaderProtocol(reader, connected)

    def _ended(self, talk: asyncio.Task[None]) -> None:
        self._talks.discard(talk)
        if not talk.cancelled() and (error := talk.exception()) is not None:
            self.failures.append(error)

    # one connection

    async def _talk(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # so that drain() waits until the kernel has it all
        try:
            self._check_room()
            while await self._exchange(reader, writer):
                continue
        except _Ends as end:
            await self._hang_up(end.refusal, reader, writer)
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            writer.close()

    def _check_room(self) -> None:
        if len(self._talks) > 2 * MOST_CONNECTIONS:
            raise _Ends  # not even a word for the rest of a flood
        if len(self._talks) > MOST_CONNECTIONS:
            raise _Ends(_busy(f"more than {MOST_CONNECTIONS} connections at once"))

    async def _exchange(self, reader: _Reader, writer: asyncio.StreamWriter) -> bool:
        request, length = await self._read_head(reader)
        if self._held + length > MOST_HELD:
            raise _Ends(_busy("too much is being sent at once"))
        self._held += length
        try:
            if request.headers.get("expect", "").lower() == "100-continue" and length:
                await _send(writer, b"HTTP/1.1 100 Continue\r\n\r\n")
            request = await self._read_body(request, length, reader)
            reply = self._answer(request)
            return await self._deliver(request, reply, reader, writer)
        finally:
            self._held -= length

    async def _read_head(self, reader: _Reader) -> tuple[Request, int]:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError):
            raise _Ends from None
        except asyncio.LimitOverrunError:
            raise _Ends(Refusal(431, f"The head of your request is longer than {LONGEST_HEAD} bytes.")) from None
        first, *lines = head[:-4].split(b"\r\n")
        line = REQUEST_LINE.fullmatch(first)
        if line is None:
            raise _Ends(Refusal(400, "Your request does not begin with a line of HTTP/1.1."))
        headers = _headers(lines)
        if "transfer-encoding" in headers:
            raise _Ends(Refusal(411, "The body of a request needs a Content-Length."))
        length = headers.get("content-length", "0")
        if not LENGTH.fullmatch(length):
            raise _Ends(Refusal(400, "The Content-Length of your request is no length."))
        if int(length) > LONGEST_BODY:
            raise _Ends(Refusal(413, f"The body of your request is longer than {LONGEST_BODY} bytes."))
        keeps = headers.get("connection", "").lower() != "close" and line[3] == b"1"
        path, _, _ = line[2].decode().partition("?")
        return Request(line[1].decode(), path, headers, keeps=keeps), int(length)

    async def _read_body(self, request: Request, length: int, reader: _Reader) -> Request:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await reader.readexactly(length)
        except TimeoutError:
            raise _Ends(
                Refusal(408, f"The body of your request did not come within {BODY_SECONDS:g} seconds.")
            ) from None
        except asyncio.IncompleteReadError:
            raise _Ends from None
        return replace(request, body=body, at=self._clock.now())

    async def _deliver(self, request: Request, reply: Reply, reader: _Reader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        complete, tokens = False, 0
        try:
            if not await self._clock.wait(reply.due, reader.gone) or reply.silent:
                writer.transport.abort()
                return False
            keeps = request.keeps and not reply.cut
            head = _head(reply, keeps=keeps)
            if reply.pieces is None:
                body = b"" if request.method == "HEAD" else reply.body
                await _send(writer, head + (body[: len(body) // 2] if reply.cut else body))
            else:
                await _send(writer, head)
                for piece in reply.pieces:
                    if not await self._clock.wait(piece.due, reader.gone):
                        writer.transport.abort()
                        return False
                    await _send(writer, b"%x\r\n%b\r\n" % (len(piece.content), piece.content))
                    tokens += piece.tokens
                if not reply.cut:
                    await _send(writer, b"0\r\n\r\n")
            if reply.cut:
                writer.transport.abort()
            complete = not reply.cut
            return keeps
        finally:
            if reply.settle is not None:
                reply.settle(Delivery(complete, self._clock.now(), tokens))

    async def _hang_up(self, refusal: Refusal | None, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        """Say why, and take for a moment what is still being sent: a connection that is closed on unread bytes is
        reset, and the other side would not see the answer."""
        if refusal is None:
            return
        self._count(refusal.label)
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                reply = refused(refusal)
                await _send(writer, _head(reply, keeps=False) + reply.body)
                writer.write_eof()
                while await reader.read(1 << 16):
                    continue
        except (OSError, TimeoutError):
            writer.transport.abort()


def _busy(why: str) -> Refusal:
    return Refusal(503, f"The server is overloaded: {why}.", "overloaded", kind="server_error")


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MOST_HEADERS:
        raise _Ends(Refusal(431, f"Your request has more than {MOST_HEADERS} headers."))
    headers: dict[str, str] = {}
    for line in lines:
        found = HEADER.fullmatch(line)
        if found is None:
            raise _Ends(Refusal(400, "Your request has a line among its headers that is none."))
        name = found[1].decode().lower()
        if name in headers and name in ("content-length", "authorization"):
            raise _Ends(Refusal(400, f"Your request has {name} twice."))
        headers[name] = found[2].decode("latin-1").strip()
    return headers


def _head(reply: Reply, *, keeps: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {http.HTTPStatus(reply.status).phrase}", f"content-type: {reply.kind}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    lines.append("transfer-encoding: chunked" if reply.pieces is not None else f"content-length: {len(reply.body)}")
    if not keeps:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _send(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    async with asyncio.timeout(UNREAD_SECONDS):
        await writer.drain()
