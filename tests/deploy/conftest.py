"""The production set, once for all tests here; afterwards the engine has nothing of it but images for the next time."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from sandbox.docker import Engine
from sandbox.settings import SandboxSettings
from tests.deploy import bases
from tests.deploy.production import Production, copied
from web.settings import PROJECT

TAG: Final = f"test-{hashlib.sha256(bytes(PROJECT)).hexdigest()[:6]}"  # of the images of this checkout

MakeSet = Callable[[], Production]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with Engine(SandboxSettings()) as engine:
        yield engine


@pytest.fixture(scope="session")
def make_set(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSet]:
    """Makes production sets that are not started yet, and takes them down in the end."""
    settings = SandboxSettings()
    built_on = bases.found_or_made(engine, settings, print)
    folder = copied(tmp_path_factory.mktemp("production"), bases.packages(engine, settings, print))
    subprocess.run(["sh", "deploy/secrets.sh"], cwd=folder, check=True)
    with ExitStack() as made:

        def make() -> Production:
            production = Production(engine, folder, built_on, TAG)
            made.callback(production.take_down)
            return production

        yield make


@pytest.fixture(scope="session")
def production(make_set: MakeSet) -> Production:
    production = make_set()
    production.build()
    production.compose("up", "-d")
    production.await_health()
    return production
