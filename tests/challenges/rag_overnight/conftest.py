"""The code of the challenge, loaded once for all its tests: each load makes modules of its own."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from graders.challenge.loading import load
from web.settings import PROJECT

FOLDER: Final[Path] = PROJECT / "challenges" / "rag-overnight"


@pytest.fixture(scope="session")
def module() -> Callable[[str], ModuleType]:
    """Gives modules of the challenge by name, as in module("world.pack"): all of one loading."""
    package = load(FOLDER, "rag-overnight", "world.world").__name__.removesuffix(".world.world")
    return lambda name: importlib.import_module(f"{package}.{name}")
