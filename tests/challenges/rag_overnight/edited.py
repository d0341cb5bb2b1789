"""What the tests of faults have in common: a variant is called "ING-1 feed", and its edits are applied to a tree."""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

__all__ = ["Module", "Tree", "compile_all", "exclude_each_other", "key_of"]

Module = Callable[[str], ModuleType]
Tree = dict[str, bytes]


def key_of(name: str) -> str:
    return name.partition(" ")[0]


def exclude_each_other(faults: dict[str, Any], one: str, other: str) -> bool:
    return key_of(one) == key_of(other) or key_of(other) in faults[key_of(one)].excludes


def compile_all(tree: Tree, paths: Iterable[str]) -> None:
    for path in paths:
        if path.endswith(".py"):
            compile(tree[path], path, "exec", dont_inherit=True)
