"""The attached streams of a container, read with a deadline and never further than is asked for.

The engine sends stdout and stderr through one socket, each piece behind eight bytes that say which and how long.
Nothing is read ahead: a program that floods its output fills the kernel's buffers and then waits, so the memory of
the worker does not grow with what a program says.
"""

import select
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Final

from sandbox import SandboxError

STDOUT: Final = 1
STDERR: Final = 2
MOST_AT_ONCE: Final = 1 << 16
STDERR_KEPT: Final = 8192


class Stalled(SandboxError):
    """The other end did not take or give a byte before the deadline."""


class Closed(SandboxError):
    """The other end is gone."""


class Stream:
    """One attached container or exec: bytes go to its stdin, its stdout is read, a little of stderr is kept."""

    def __init__(self, attached: Any) -> None:
        self._attached = attached  # kept, since the SDK closes the socket when this object of its is collected
        self._socket: socket.socket = attached._sock
        self._socket.setblocking(False)
        self._left = 0  # of the piece of stdout that has begun
        self.stderr = b""

    def write(self, content: bytes, deadline: float) -> None:
        rest = memoryview(content)
        while rest:
            self._wait(select.POLLOUT, deadline)
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Closed from error

    def read(self, deadline: float) -> bytes:
        """The next bytes of stdout, at most MOST_AT_ONCE."""
        while self._left == 0:
            kind, length = struct.unpack(">BxxxL", self._exactly(8, deadline))
            if kind == STDERR:
                self._skip(length, deadline)
            else:
                self._left = length
        piece = self._some(min(self._left, MOST_AT_ONCE), deadline)
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Before anything else is asked of the engine: with an attached client that no longer reads, an engine
        blocks in kill and in inspect of that container too."""
        with suppress(OSError):  # the other side may have closed it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._attached.close()  # while this object of the SDK's is open, closing the socket closes nothing
        self._socket.close()

    def _skip(self, length: int, deadline: float) -> None:
        while length:
            piece = self._some(min(length, MOST_AT_ONCE), deadline)
            self.stderr += piece[: STDERR_KEPT - len(self.stderr)]
            length -= len(piece)

    def _exactly(self, length: int, deadline: float) -> bytes:
        found = b""
        while len(found) < length:
            found += self._some(length - len(found), deadline)
        return found

    def _some(self, most: int, deadline: float) -> bytes:
        while True:
            self._wait(select.POLLIN, deadline)
            try:
                piece = self._socket.recv(most)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Closed from error
            if not piece:
                raise Closed
            return piece

    def _wait(self, event: int, deadline: float) -> None:
        """Also when there is always something to read, the deadline comes."""
        if self._socket.fileno() < 0:
            raise Closed
        polled = select.poll()
        polled.register(self._socket, event)
        while (left := deadline - time.monotonic()) > 0:
            if polled.poll(left * 1000):
                return
        raise Stalled
