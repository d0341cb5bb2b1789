"""Loads a tree's package `ragdesk` beside all others, and forgets it again.

    with opened(tree) as desk:            the sources lie in a folder of their own meanwhile
        desk.ingest(corpus, index, models)
        desk.serve(index, models).ask({...})

The package has another name each time, so two trees never see each other's modules; so within it only relative imports
may be used. What is compiled is remembered by its text: most modules of two trees are the same.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

__all__ = ["PACKAGE", "Opened", "opened", "write"]

PACKAGE: Final = "ragdesk"
PREFIX: Final = "assay_bench_"
MOST_COMPILED: Final = 2000
_numbers = itertools.count(1)


class Opened:
    """The parts of a tree that are driven from outside. None of them needs a network."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self.settings = self.module("settings").load(folder)

    def ingest(self, corpus: Path, index: Path, models: Any, *, incremental: bool = False) -> dict[str, Any]:
        counts: dict[str, Any] = self.module("ingest").run(
            self.settings, corpus, index, models, incremental=incremental
        )
        return counts

    def serve(self, index: Path, models: Any) -> Any:
        return self.module("desk").Desk(self.settings, index, models)

    def module(self, name: str) -> ModuleType:
        """Another part of the tree, by its name below the package."""
        return importlib.import_module(f"{self._name}.{name}")


@contextmanager
def opened(tree: Mapping[str, bytes]) -> Iterator[Opened]:
    """Whatever the tree raises while it is loaded is raised here."""
    name = f"{PREFIX}{next(_numbers)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        write(folder, tree)
        finder = _Finder(name, folder)
        sys.meta_path.insert(0, finder)
        try:
            yield Opened(name, folder)
        finally:
            sys.meta_path.remove(finder)
            for one in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
                del sys.modules[one]


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for parent in sorted({(folder / name).parent for name in files}):
        parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name and not fullname.startswith(f"{self._name}."):
            return None
        place = self._folder.joinpath(PACKAGE, *fullname.split(".")[1:])
        if (place / "__init__.py").is_file():
            return importlib.util.spec_from_file_location(
                fullname, place / "__init__.py", loader=_Loader(fullname, str(place / "__init__.py")),
                submodule_search_locations=[str(place)],
            )  # fmt: skip
        if place.with_suffix(".py").is_file():
            file = str(place.with_suffix(".py"))
            return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(fullname, file))
        return None


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        return _compiled(self.get_data(self.path), fullname.partition(".")[2])


@lru_cache(MOST_COMPILED)
def _compiled(source: bytes, shown_as: str) -> CodeType:
    code: CodeType = compile(source, f"<{PACKAGE}.{shown_as}>", "exec", dont_inherit=True)
    return code
