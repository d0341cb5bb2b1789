"""Reads JSON strictly: what has another shape than it should is told as a sentence that says where.

top = members(json.loads(text), "pack", ("kinds", "fillers"))
texts(top["fillers"], "pack: fillers", least=40)
"""

import string
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Misshapen", "items", "members", "patterns", "text", "texts", "whole_number"]


class Misshapen(ValueError):
    """The sentence."""


def members(given: Any, where: str, names: Iterable[str]) -> dict[str, Any]:
    """An object with exactly these members."""
    if not isinstance(given, dict):
        raise Misshapen(f"{where}: must be an object")
    wanted = list(names)
    for name in wanted:
        if name not in given:
            raise Misshapen(f"{where}: {name}: is missing")
    for name in given:
        if name not in wanted:
            raise Misshapen(f"{where}: {name}: is not known")
    return given


def items(given: Any, where: str, least: int) -> list[Any]:
    if not isinstance(given, list):
        raise Misshapen(f"{where}: must be a list")
    if len(given) < least:
        raise Misshapen(f"{where}: {len(given)} given, {least} needed")
    return given


def text(given: Any, where: str) -> str:
    if not isinstance(given, str) or not given.strip() or given != given.strip() or not given.isprintable():
        raise Misshapen(f"{where}: must be a line of text without space around it")
    return given


def whole_number(given: Any, where: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise Misshapen(f"{where}: must be a whole number above 0")
    return given


def texts(given: Any, where: str, least: int) -> tuple[str, ...]:
    read = tuple(text(one, f"{where}: {place}") for place, one in enumerate(items(given, where, least), 1))
    for place, one in enumerate(read):
        if one in read[:place]:
            raise Misshapen(f"{where}: {place + 1}: {one!r} stands there twice")
    return read


def patterns(given: Any, where: str, least: int, slots: Sequence[str], free: Sequence[str] = ()) -> tuple[str, ...]:
    """Texts in which each of the slots, as in "{value}", stands once, and the free ones where they like."""
    read = texts(given, where, least)
    for place, one in enumerate(read, 1):
        try:
            named = [name for _, name, _, _ in string.Formatter().parse(one) if name is not None]
        except ValueError as cause:
            raise Misshapen(f"{where}: {place}: {cause}") from cause
        if sorted(name for name in named if name not in free) != sorted(slots):
            wanted = ", ".join(f"{{{name}}}" for name in slots) or "none"
            raise Misshapen(f"{where}: {place}: its slots must be {wanted}, each once")
    return read
