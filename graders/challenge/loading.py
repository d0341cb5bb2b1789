"""Imports the code of a challenge: its own modules only, fresh each time, and from the text that its digest covers.

`grader.py` and what lies beside it become a package of their own: `from . import generator` works, nothing is added
to sys.path, and two challenges may each have a module of one name. Compiled files are neither read nor written: a
`__pycache__` that somebody left is not part of the digest, so it must not have a say.
"""

import importlib
import importlib.machinery
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

__all__ = ["load"]

PREFIX: Final = "assay_challenge_"
_numbers = itertools.count(1)


def load(folder: Path, slug: str, module: str) -> ModuleType:
    """Run a module of the challenge in `folder`. Whatever its code raises is raised here."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    package = ModuleType(f"{PREFIX}{slug.replace('-', '_')}_{next(_numbers)}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.{module}")


class _SourceLoader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder:
    """Finds what belongs to a challenge, and nothing else. Asked first: Python's own would read compiled files."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, _: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(PREFIX):
            return None
        for folder in path or ():
            finder = importlib.machinery.FileFinder(folder, (_SourceLoader, [".py"]))
            if (spec := finder.find_spec(name)) is not None:
                return spec if spec.loader is not None else _of_a_folder(name, spec)
        return None


def _of_a_folder(name: str, found: importlib.machinery.ModuleSpec) -> importlib.machinery.ModuleSpec:
    """A folder without __init__.py is a package too, as everywhere in Python."""
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = found.submodule_search_locations
    return spec
