"""The attached stream, against the other end of a socket pair that says whatever it likes."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.wire import MOST_AT_ONCE, STDERR_KEPT, Closed, Stalled, Stream

OUT, ERR = 1, 2
PATIENCE = 20


def framed(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(content)) + content


@contextmanager
def attached() -> Iterator[tuple[Stream, socket.socket]]:
    here, there = socket.socketpair()
    with there:
        stream = Stream(here.makefile("rwb", buffering=0))
        here.close()  # as with the engine's client, only the file object keeps it open
        try:
            yield stream, there
        finally:
            stream.close()


@contextmanager
def without_end(there: socket.socket, content: bytes) -> Iterator[None]:
    """The other end says the same for ever, as fast as it is read."""

    def flood() -> None:
        with suppress(OSError):
            while True:
                there.sendall(content)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            there.shutdown(socket.SHUT_RDWR)
        thread.join()


def soon() -> float:
    return time.monotonic() + 0.1


def later() -> float:
    return time.monotonic() + PATIENCE


def all_of(stream: Stream) -> bytes:
    found = b""
    with suppress(Closed):
        while True:
            found += stream.read(later())
    return found


@given(said=st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.binary(max_size=300)), max_size=30))
def test_stdout_is_read_in_order_and_stderr_kept_apart(said: list[tuple[int, bytes]]) -> None:
    with attached() as (stream, there):
        there.sendall(b"".join(framed(kind, content) for kind, content in said))
        there.shutdown(socket.SHUT_WR)
        assert all_of(stream) == b"".join(content for kind, content in said if kind == OUT)
        assert stream.stderr == b"".join(content for kind, content in said if kind == ERR)[:STDERR_KEPT]


def test_a_piece_that_arrives_byte_by_byte_is_one_piece() -> None:
    content = framed(ERR, b"trouble") + framed(OUT, b"hello")
    with attached() as (stream, there):

        def dribble() -> None:
            for byte in content:
                there.sendall(bytes([byte]))
                time.sleep(0.001)
            there.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=dribble)
        thread.start()
        assert all_of(stream) == b"hello"
        thread.join()
        assert stream.stderr == b"trouble"


def test_a_length_of_four_gigabytes_is_only_a_claim() -> None:
    with attached() as (stream, there):
        there.sendall(struct.pack(">BxxxL", OUT, 0xFFFFFFFF) + b"hello")
        assert stream.read(later()) == b"hello"
        with pytest.raises(Stalled):
            stream.read(soon())


def test_no_more_is_read_at_once_than_fits() -> None:
    with attached() as (stream, there), without_end(there, framed(OUT, b"x" * 1_000_000)):
        for _ in range(50):
            assert len(stream.read(later())) <= MOST_AT_ONCE


@pytest.mark.parametrize("said", [b"", b"\x01\0\0", framed(ERR, b"only trouble"), framed(OUT, b"")])
def test_silence_is_told_at_the_deadline(said: bytes) -> None:
    with attached() as (stream, there):
        there.sendall(said)
        started = time.monotonic()
        with pytest.raises(Stalled):
            stream.read(soon())
        assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("said", [b"", b"\x01\0\0", framed(OUT, b"cut")[:-3], framed(ERR, b"cut")[:-1]])
def test_an_end_is_told_at_once_wherever_it_comes(said: bytes) -> None:
    with attached() as (stream, there):
        there.sendall(said)
        there.shutdown(socket.SHUT_WR)
        with pytest.raises(Closed):
            stream.read(time.monotonic() + 3600)


def test_complaints_without_end_are_no_reason_to_wait_longer() -> None:
    with attached() as (stream, there), without_end(there, framed(ERR, b"no" * 30_000)):
        started = time.monotonic()
        with pytest.raises(Stalled):
            stream.read(soon())
        assert time.monotonic() - started < PATIENCE
        assert len(stream.stderr) == STDERR_KEPT


def test_a_deadline_that_is_over_is_over_although_there_is_something_to_read() -> None:
    with attached() as (stream, there), without_end(there, framed(OUT, b"x" * 1000)):
        stream.read(later())
        with pytest.raises(Stalled):
            stream.read(time.monotonic())


def test_a_reader_that_is_slow_gets_everything() -> None:
    content = bytes(range(256)) * 20_000
    with attached() as (stream, there):
        received = bytearray()

        def read_slowly() -> None:
            while piece := there.recv(100_000):
                received.extend(piece)
                time.sleep(0.001)

        thread = threading.Thread(target=read_slowly)
        thread.start()
        stream.write(content, later())
        stream.close()
        thread.join()
        assert received == content


def test_a_reader_that_never_reads_is_given_up_at_the_deadline() -> None:
    with attached() as (stream, _), pytest.raises(Stalled):
        stream.write(bytes(50 << 20), soon())


def test_a_reader_that_is_gone_is_told_at_once() -> None:
    with attached() as (stream, there):
        there.close()
        with pytest.raises(Closed):
            stream.write(b"hello" * 100_000, time.monotonic() + 3600)


@pytest.mark.parametrize(
    "use", [lambda stream: stream.read(later()), lambda stream: stream.write(b"x", later())], ids=["read", "write"]
)
def test_a_closed_stream_is_an_end_like_any_other(use: Callable[[Stream], object]) -> None:
    with attached() as (stream, there):
        stream.close()
        stream.close()
        with pytest.raises(Closed):
            use(stream)
        assert there.recv(1) == b""  # and the other end knows
