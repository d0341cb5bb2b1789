"""The portal as real processes: it starts, says where, answers everybody, and stops when it is told to."""

import errno
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.web.conftest import made_of
from tests.web.databases import sqlite_settings
from tests.web.portal_process import PATIENCE, PortalProcess
from web import queue
from web.database import connect
from web.queue import Doorbell
from web.server import PortalUnavailable, serve, why_not

StartPortal = Callable[..., PortalProcess]


def test_it_answers_at_the_address_that_it_announces(portal: PortalProcess) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", portal.url)
    status, body = portal.get("/")
    assert status == 200
    assert b"<h1>" in body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_stops_well_when_it_is_told_to(portal: PortalProcess, number: signal.Signals) -> None:
    portal.get("/")
    assert portal.stop(number) == (0, "stopped\n", "")
    with pytest.raises(ConnectionRefusedError):
        portal.connect()


def test_ctrl_c_reaches_all_its_processes_and_is_no_error(portal: PortalProcess) -> None:
    os.killpg(portal.process.pid, signal.SIGINT)
    said, complained = portal.process.communicate(timeout=PATIENCE)
    assert (portal.process.returncode, said, complained) == (0, "stopped\n", "")


def test_a_port_that_is_taken_is_a_sentence(start_portal: StartPortal, portal: PortalProcess) -> None:
    second = start_portal(port=portal.port)
    assert second.url == ""
    _, complaint = second.process.communicate(timeout=PATIENCE)
    assert complaint == f"port {portal.port} is in use by another program; choose another with --port\n"
    assert portal.get()[0] == 200


def test_two_portals_run_side_by_side(start_portal: StartPortal, portal: PortalProcess) -> None:
    other = start_portal()
    assert other.port != portal.port
    assert other.stop()[0] == 0
    assert portal.get()[0] == 200


def test_a_port_is_free_again_as_soon_as_a_portal_has_stopped(start_portal: StartPortal, portal: PortalProcess) -> None:
    portal.get("/")
    assert portal.stop()[0] == 0
    assert start_portal(port=portal.port).url == portal.url


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "not an address"])
def test_an_address_of_another_machine_is_a_sentence(host: str, tmp_path: Path) -> None:
    database, bell = connect(sqlite_settings(tmp_path)), Doorbell(queue.connect("", tmp_path))
    with pytest.raises(PortalUnavailable, match="ASSAY_HOST"):
        serve(made_of(database, bell, tmp_path, host=host, port=0))


def test_a_port_that_is_not_permitted_is_a_sentence() -> None:
    reason = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert (
        why_not(reason, "127.0.0.1", 80) == "port 80 is not permitted to this user; choose one above 1023 with --port"
    )


def test_what_we_did_not_foresee_is_told_in_the_words_of_the_system() -> None:
    assert why_not(OSError(errno.ENOBUFS, "No buffer space"), "::1", 80) == "::1 port 80: No buffer space"


def test_clients_that_say_nothing_keep_nobody_waiting(start_portal: StartPortal) -> None:
    portal = start_portal(web_processes=1, web_threads=2)
    with ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(portal.connect())
        assert portal.get(timeout=4)[0] == 200


def test_a_client_that_sends_half_a_request_keeps_nobody_waiting(start_portal: StartPortal) -> None:
    portal = start_portal(web_processes=1, web_threads=2)
    with portal.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert portal.get(timeout=10)[0] == 200


def test_as_many_slow_clients_as_threads_are_shown_out(start_portal: StartPortal) -> None:
    portal = start_portal(web_processes=1, web_threads=2, web_request_seconds=1)
    with ExitStack() as slow:
        clients = [slow.enter_context(portal.connect()) for _ in range(6)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert portal.get()[0] == 200
        assert clients[0].recv(1) == b""
    assert portal.stop()[2] == ""


def test_a_client_that_sends_a_byte_now_and_then_is_shown_out_too(start_portal: StartPortal) -> None:
    portal = start_portal(web_processes=1, web_threads=1, web_request_seconds=1)
    with portal.connect() as dripping:
        dripping.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                dripping.sendall(b"a")
            except ConnectionError:
                break
            time.sleep(0.2)
        else:
            pytest.fail("the client still holds its thread")
    assert portal.get()[0] == 200


def test_a_client_that_never_finishes_does_not_keep_the_portal_from_stopping(start_portal: StartPortal) -> None:
    portal = start_portal(web_grace_seconds=1)
    with portal.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert portal.get()[0] == 200
        assert portal.stop() == (0, "stopped\n", "")


def test_it_stops_well_at_any_moment_of_its_start(start_portal: StartPortal) -> None:
    for moment in range(8):
        portal = start_portal(web_processes=4)
        time.sleep(moment * 0.02)
        os.killpg(portal.process.pid, signal.SIGINT if moment % 2 else signal.SIGTERM)
        said, complained = portal.process.communicate(timeout=PATIENCE)
        assert (portal.process.returncode, said, complained) == (0, "stopped\n", "")


def test_a_request_under_way_is_answered_before_the_portal_stops(portal: PortalProcess) -> None:
    with portal.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.5)  # until the worker has begun to read it
        portal.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        client.sendall(b"Connection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
    portal.process.communicate(timeout=PATIENCE)
    assert portal.process.returncode == 0


def test_when_the_portal_is_killed_its_workers_go_too(portal: PortalProcess) -> None:
    portal.process.kill()
    portal.process.communicate(timeout=PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            portal.connect().close()
        except ConnectionError:
            return
        time.sleep(0.2)
    pytest.fail("a worker still listens")


def test_a_worker_that_dies_is_replaced(start_portal: StartPortal) -> None:
    portal = start_portal(web_processes=1)
    children = Path(f"/proc/{portal.process.pid}/task/{portal.process.pid}/children")
    worker = int(children.read_text())
    os.kill(worker, signal.SIGKILL)
    assert portal.get()[0] == 200
    assert int(children.read_text()) != worker


REQUESTS = {
    b"nonsense\r\n\r\n": 400,
    b"GET / HTTP/9.9\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n": 400,
    b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n": 400,
    b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": 405,
    b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 10_000 + b"\r\n\r\n": 431,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\nConnection: close\r\n\r\n": 413,
    b"GET http://evil.example HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 404,
    b"GET //evil.example HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 404,
    b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 200,
}


@pytest.mark.parametrize(("request_bytes", "status"), REQUESTS.items(), ids=[str(i) for i in range(len(REQUESTS))])
def test_a_malformed_request_gets_a_clean_answer(portal: PortalProcess, request_bytes: bytes, status: int) -> None:
    with portal.connect() as client:
        client.sendall(request_bytes)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Traceback" not in answer
    assert portal.get()[0] == 200
    assert portal.stop()[2] == ""


def test_the_access_log_is_off_unless_it_is_asked_for(start_portal: StartPortal, portal: PortalProcess) -> None:
    portal.get("/")
    assert portal.stop()[1:] == ("stopped\n", "")
    talkative = start_portal(web_access_log=True)
    talkative.get("/?secret=1")
    lines = talkative.stop()[1].splitlines()
    assert any(re.fullmatch(r"\[.+\] 127\.0\.0\.1 GET / 200 \d+ bytes \d+ ms", line) for line in lines)
    assert "secret" not in "".join(lines)


def test_an_address_cannot_write_a_line_of_its_own_into_the_access_log(start_portal: StartPortal) -> None:
    portal = start_portal(web_access_log=True)
    portal.get("/a%0A[forged]%20line")
    lines = portal.stop()[1].splitlines()
    assert not [line for line in lines if line.startswith("[forged]")]
    assert any("/a%0A%5Bforged%5D%20line" in line for line in lines)


def test_ipv6_is_served_too(start_portal: StartPortal) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return  # this machine has no IPv6, so there is nothing to serve
    portal = start_portal(host="::1")
    assert portal.url.startswith("http://[::1]:")
