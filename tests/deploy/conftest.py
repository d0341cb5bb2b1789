"""The production set, once for all tests here; afterwards the engine has nothing of it but images for the next time."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from sandbox import images
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
    names_before = names_of_rooms(engine)
    made = []

    def make() -> Production:
        made.append(Production(engine, folder, built_on, TAG))
        return made[-1]

    yield make
    for production in reversed(made):
        production.take_down()
    for name in names_of_rooms(engine) - names_before:
        engine.remove_image(name)
    assert [production.remains() for production in made if any(production.remains().values())] == []


def names_of_rooms(engine: Engine) -> set[str]:
    """The names that a set's service `images` has given to the sandbox's images."""
    mark = hashlib.sha256(b"/var/lib/assay/state").hexdigest()[:6]
    names = {name for image in engine.images(images.INPUTS) for name in engine.tags(image)}
    return {name for name in names if name.endswith(f"-{mark}")}


@pytest.fixture(scope="session")
def production(make_set: MakeSet) -> Production:
    production = make_set()
    production.build()
    production.compose("up", "-d")
    production.await_health()
    return production


@pytest.fixture(scope="session")
def graded(production: Production) -> dict[str, Any]:
    """What became of a submission that the set was handed."""
    return production.hand_in("perfect")
