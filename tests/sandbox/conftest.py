"""A real engine and real rooms. Containers of this session carry a kind of their own, so that leftovers are ours."""

import secrets
from collections.abc import Iterator
from typing import Final

import pytest

from sandbox import Limits, Sandbox
from sandbox.container import KIND, Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

IMPLEMENTATIONS: Final = ["docker_sandbox"]  # the fixtures that give a Sandbox: each must keep the promise


@pytest.fixture(scope="session")
def settings() -> SandboxSettings:
    return SandboxSettings()


@pytest.fixture(scope="session")
def engine(settings: SandboxSettings) -> Iterator[Engine]:
    with Engine(settings) as engine:
        yield engine


@pytest.fixture(scope="session")
def kind() -> str:
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def docker_sandbox(engine: Engine, settings: SandboxSettings, kind: str) -> DockerSandbox:
    return DockerSandbox(engine, pinned(settings, "python"), settings, Owner(kind=kind))


@pytest.fixture(params=IMPLEMENTATIONS)
def sandbox(request: pytest.FixtureRequest, engine: Engine, kind: str) -> Iterator[Sandbox]:
    """What every test of the promise is given; afterwards an honest program still runs, and nothing is left."""
    sandbox: Sandbox = request.getfixturevalue(request.param)
    yield sandbox
    honest = sandbox.run(["python3", "-c", "print(6 * 7)"], limits=Limits(seconds=20))
    assert (honest.ok, honest.stdout) == (True, b"42\n"), f"the next candidate paid for it: {honest}"
    assert engine.containers([f"{KIND}={kind}"]) == []
