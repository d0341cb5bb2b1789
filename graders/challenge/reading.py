"""Reads the TOML files of a challenge, and puts every mistake in them into a sentence for the author."""

import ast
import difflib
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

__all__ = ["read_table", "read_text"]

Shape = TypeVar("Shape")

PLACE: Final = re.compile(r"(.*) \(at (.*)\)", re.DOTALL)
TWICE: Final = re.compile(r"Cannot declare (\(.*\)) twice")
KEY: Final = "[key]"  # how pydantic says that it speaks of a table's key, not of what stands there


def read_table(path: Path, name: str, shape: type[Shape], problems: list[str]) -> Shape | None:
    """What the file says, as `shape`; None when that is not possible, and then `problems` has the reasons."""
    text = read_text(path, name, problems)
    if text is None:
        return None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{name}: {_syntax(str(error))}")
        return None
    try:
        # By way of JSON, where strict models take an array for a tuple and a text for one of a list of words.
        return TypeAdapter(shape).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        problems += [f"{name}: {_fault(fault, shape)}" for fault in error.errors(include_url=False)]
        return None


def read_text(path: Path, name: str, problems: list[str]) -> str | None:
    try:
        content = path.read_bytes()
        if b"\0" not in content:
            return content.decode()
        problems.append(f"{name}: byte {content.index(0)} is NUL, which no database keeps: take it out")
    except (FileNotFoundError, IsADirectoryError):
        problems.append(f"{name}: there is no such file: write one")
    except UnicodeDecodeError as error:
        problems.append(f"{name}: byte {error.start} is not UTF-8: save it as UTF-8")
    return None


def _syntax(message: str) -> str:
    """The parser's own words, for the two mistakes that people make by copying."""
    found = PLACE.fullmatch(message)
    words, place = found.groups() if found else (message, "")
    if twice := TWICE.fullmatch(words):
        return f"{'.'.join(ast.literal_eval(twice[1]))}: stands there twice ({place}): rename one, or remove it"
    if words == "Cannot overwrite a value":
        return f"{place}: this key stands there twice: rename one, or remove it"
    return f"{place or 'the whole'}: {words}: this is not TOML"


def _fault(fault: Any, shape: Any) -> str:
    places = [str(step) for step in fault["loc"] if step != KEY]
    where = ".".join(places) or "the whole"
    if fault["type"] == "extra_forbidden":
        return f"{where}: there is no such key: {_advice(places[-1], _keys_at(shape, fault['loc'][:-1]))}"
    if fault["type"] == "missing":
        return f"{where}: is missing: add it"
    if fault["loc"] and fault["loc"][-1] == KEY:
        return f"{where}: is no name: write small letters and digits, with - or _ between them, 60 at most"
    words = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be").replace("should", "must")
    return f"{where}: {words[:1].lower()}{words[1:]}, and this is {_short(fault['input'])}"


def _advice(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"known here are {', '.join(known)}"


def _keys_at(shape: Any, steps: Sequence[str | int]) -> list[str]:
    """The keys that a table may have, by the way from the outermost one."""
    for step in steps:
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            shape = shape.model_fields[str(step)].annotation
        else:  # a table by names, or a list: step is the name, or the number
            shape = get_args(shape)[1 if get_origin(shape) is dict else 0]
    return list(shape.model_fields) if isinstance(shape, type) and issubclass(shape, BaseModel) else []


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
