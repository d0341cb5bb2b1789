"""A portal in processes of its own, as `serve` runs it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from web.portal import assemble, make_secrets
from web.server import PortalUnavailable, serve
from web.settings import DatabaseSettings, PortalSettings

where, settings = DatabaseSettings(_env_file=None), PortalSettings(_env_file=None)
try:
    make_secrets(settings, where)
    serve(assemble(settings, where))
except PortalUnavailable as reason:
    sys.exit(str(reason))
print("stopped", flush=True)
"""
PATIENCE = 30  # seconds until we give up on something that takes well under one


class PortalProcess:
    def __init__(self, **settings: Any) -> None:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        given = {f"ASSAY_{name.upper()}": str(value) for name, value in ({"port": 0} | settings).items()}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=PROJECT,
            env=outside | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self.url = self._announced()
        self.port = urlsplit(self.url).port or 0

    def _announced(self) -> str:
        """The address that the portal announces; empty when it ended without one."""
        assert self.process.stdout is not None
        too_late = Timer(PATIENCE, self.process.kill)
        too_late.start()
        try:
            return next((line.strip() for line in self.process.stdout if line.startswith("http")), "")
        finally:
            too_late.cancel()

    def get(self, path: str = "/healthz", *, timeout: float = PATIENCE) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Ask it to stop; returns its exit code and what it said since it announced itself."""
        self.process.send_signal(number)
        said, complained = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said, complained

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
