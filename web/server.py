"""Runs the portal with gunicorn: some processes, each with some threads.

`serve` listens itself, so that "in use" is said in our words and port 0 has a number. It forks the workers, gets
a first real answer from them, and only then announces the address. After SIGTERM, SIGINT or when the terminal is
closed, the requests under way come to their end and `serve` returns.
"""

import errno
import gc
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from types import FrameType
from typing import Any, Final
from urllib.parse import quote

import click
from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from web import create_app
from web.discretion import without_secret
from web.lifeline import tie_to
from web.outages import keep_beating
from web.portal import Portal
from web.settings import PortalSettings

ANSWER_SECONDS: Final = 10  # until we give up on our own first request
QUIET_SECONDS: Final = 30  # that a connection may stay without a byte before the kernel shows it to us
KILL_SECONDS: Final = 3  # after the grace, until a worker that is still there is killed
WAITING: Final = 512  # connections that wait for a thread


ARRIVED: Final = "X-ASSAY-ARRIVED"  # as gunicorn writes the name; web.arrival reads it
TO_WORKERS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class PortalUnavailable(Exception):
    """The portal could not start, or could not go on. The operator's to solve, and the message says how."""


def serve(
    portal: Portal,
    announce: Callable[[str], None] = click.echo,
    make_app: Callable[[Portal], Flask] = create_app,
) -> None:
    """Serve until told to stop; `announce` gets the address once, when the portal answers there."""
    settings = portal.settings
    app = make_app(portal)
    # What is loaded by now is there for good. Else the collector walks through all of it every few thousand requests,
    # and whoever holds the database meanwhile lets everybody wait for a tenth of a second.
    gc.collect()
    gc.freeze()
    listener = _listen(settings.host, settings.port)
    here, port = listener.getsockname()[:2]
    if here in ("0.0.0.0", "::"):  # noqa: S104  # we compare; nothing is bound here
        here = "::1" if ":" in here else "127.0.0.1"
    url = f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"

    caller = os.getpid()
    kept = {number: signal.getsignal(number) for number in (*Arbiter.SIGNALS, signal.SIGCHLD)}
    try:
        _Arbiter(_Gunicorn(settings, app, listener), (here, port), partial(announce, url)).run()
    except SystemExit as end:
        if os.getpid() != caller:
            # A worker is a fork of this very call: were it to go on, it would run our caller's cleanup too.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        if end.code:
            raise PortalUnavailable("the portal stopped; the lines above say why") from None
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise PortalUnavailable(f"{host} is not an address; choose another with ASSAY_HOST") from None
    listener = socket.socket(family, kind)
    try:
        # A port whose last connections are still fading away is free; one that a program listens on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A client that connects and says nothing waits in the kernel instead of in one of our threads.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, QUIET_SECONDS)
        listener.bind(address)
        listener.listen(WAITING)
    except OSError as error:
        listener.close()
        raise PortalUnavailable(why_not(error, host, port)) from None
    return listener


def why_not(error: OSError, host: str, port: int) -> str:
    """Why nobody can listen there, and what to do about it."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use by another program; choose another with --port"
        case errno.EACCES:
            return f"port {port} is not permitted to this user; choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine; choose another with ASSAY_HOST"
    return f"{host} port {port}: {error.strerror}"


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    """gunicorn's configuration, none of it from its own files, arguments or environment."""

    def __init__(self, settings: PortalSettings, app: Flask, listener: socket.socket) -> None:
        self.settings = settings
        self.app = app
        self.listening_on = listener.detach()  # gunicorn closes it
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "bind": f"fd://{self.listening_on}",
            "workers": self.settings.web_processes,
            "threads": self.settings.web_threads,
            "worker_class": _Worker,
            "graceful_timeout": self.settings.web_grace_seconds + KILL_SECONDS,
            "forwarded_allow_ips": self.settings.proxies,
            "control_socket_disable": True,  # it would sit in the home folder and take commands
            "logger_class": _Log,
            "loglevel": "error",
            "accesslog": "-" if self.settings.web_access_log else None,
            "access_log_format": "%(t)s %(h)s %(m)s %(U)s %(s)s %(B)s bytes %(M)s ms",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app


class _Arbiter(Arbiter):  # type: ignore[misc]
    """The process that starts workers, and starts another when one dies."""

    def __init__(self, gunicorn: _Gunicorn, address: tuple[str, int], announce: Callable[[], None]) -> None:
        super().__init__(gunicorn)
        self._address = address
        self._announce: Callable[[], None] | None = announce
        self._started_by_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def spawn_worker(self) -> None:
        """Fork a worker. A signal that arrives before it listens for signals has to wait and not be lost: the
        worker would not stop, and would be killed in the end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, TO_WORKERS)
        try:
            super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_WORKERS)

    def spawn_workers(self) -> None:
        super().spawn_workers()
        if self._announce and self._answers():
            self._announce()
            self._announce = None

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(*self._address, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # the worker is gone, and the main loop says so
        finally:
            connection.close()

    def handle_hup(self) -> None:
        """The terminal was closed. gunicorn would load itself anew and stay, with nobody to stop it."""
        if not self._started_by_nohup:
            self.handle_term()


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Answers requests, and ends those that take too long.

    gunicorn watches over the process and not over its threads: as many clients as there are threads, each
    sending half a request or reading an answer byte by byte, would keep everyone else out for ever.
    """

    def init_process(self) -> None:
        tie_to(self.ppid)  # it would hold the port for a while longer, and the next portal could not have it
        self._since: dict[Any, float] = {}
        wsgi.SERVER = "Assay"  # each answer would name the program, for which somebody may collect weaknesses
        self.cfg.set("graceful_timeout", self.app.settings.web_grace_seconds)  # in this process, and not in its parent
        portal = self.app.load().extensions.get("assay")
        if portal is not None:  # what it is compared to in benchmarks has no candidates
            Thread(target=keep_beating, args=(portal.database,), daemon=True, name="signs of life").start()
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_WORKERS)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C reaches a worker twice, from the terminal and from the arbiter. gunicorn's own way takes a lock
        here, in which a second signal finds itself waiting for the first."""
        self.handle_exit(sig, frame)

    def handle(self, conn: Any) -> Any:
        self._since[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._since[conn]

    def enqueue_req(self, conn: Any) -> None:
        """The first byte is there, and a thread may not be: a candidate's clock asks when it came."""
        conn.arrived = time.monotonic()
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        told = [header for header in req.headers if header[0] != ARRIVED]  # a candidate could write one, too
        req.headers = [*told, (ARRIVED, repr(conn.arrived))]
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """Called about once a second by the worker's main loop."""
        super().notify()
        overdue = time.monotonic() - self.app.settings.web_request_seconds
        for conn, since in list(self._since.items()):
            if since < overdue:
                with suppress(OSError):  # it ended in this moment
                    conn.sock.shutdown(socket.SHUT_RDWR)


class _Log(Logger):  # type: ignore[misc]
    def exception(self, said: str, *values: Any, **options: Any) -> None:
        """gunicorn names the address of a request that it failed at."""
        told = [without_secret(one.partition("?")[0]) if isinstance(one, str) else one for one in values]
        super().exception(said, *told, **options)

    def atoms(self, *request: Any) -> dict[str, Any]:
        """A line break in an address, %0A, would otherwise write a line of its own into the log; a key in it would
        let in whoever reads the log."""
        atoms: dict[str, Any] = super().atoms(*request)
        atoms["U"] = quote(without_secret(str(atoms["U"])), safe="/")
        return atoms
