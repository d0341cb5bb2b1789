"""The portal as an object, for pages; and as real processes on real ports, for the server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.portal_process import PortalProcess
from tests.web.valkey_server import ValkeyServer
from web import create_app
from web.settings import PortalSettings


@pytest.fixture
def app() -> Flask:
    return create_app(PortalSettings(_env_file=None))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def start_portal() -> Iterator[Callable[..., PortalProcess]]:
    """Starts portals on free ports, with settings like `web_threads=1`, and leaves none behind."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(PortalProcess(**settings))


@pytest.fixture
def portal(start_portal: Callable[..., PortalProcess]) -> PortalProcess:
    return start_portal()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A queue server on a socket that nobody else knows."""
    server = ValkeyServer(tmp_path / "valkey")
    yield server
    server.kill()
