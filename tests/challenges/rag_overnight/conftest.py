"""The code of the challenge, loaded once for all its tests: each load makes modules of its own."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from graders.challenge.loading import load
from web.settings import PROJECT

FOLDER: Final[Path] = PROJECT / "challenges" / "rag-overnight"


@pytest.fixture(scope="session")
def module() -> Callable[[str], ModuleType]:
    """Gives modules of the challenge by name, as in module("world.pack"): all of one loading."""
    package = load(FOLDER, "rag-overnight", "world.world").__name__.removesuffix(".world.world")
    return lambda name: importlib.import_module(f"{package}.{name}")


@pytest.fixture(scope="module")
def variants(faults: dict[str, Any]) -> dict[str, Any]:
    """Those of the faults that a file of tests has in its fixture `faults`."""
    return {f"{key} {variant.kind}": variant for key, fault in faults.items() for variant in fault.variants}


@pytest.fixture(scope="session")
def healthy(module: Callable[[str], ModuleType]) -> dict[str, bytes]:
    tree: dict[str, bytes] = module("bench.signatures").template()
    return tree


@pytest.fixture(scope="session")
def apply(module: Callable[[str], ModuleType]) -> Callable[..., dict[str, bytes]]:
    edit: Callable[..., dict[str, bytes]] = module("faults.model").apply
    return edit
