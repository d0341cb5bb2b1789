"""Put before other programs for the room: says a value of the candidate's as JSON.

What it says is the candidate's claim, whoever says it. Arrays and numbers of numpy and the like become what they
look like, since honest programs return them; everything else that is no JSON is refused by its type's name.
"""

import json
from typing import Any

DEEPEST_VALUE = 100


class NotPlain(TypeError):
    """Its words are meant for people."""


def told(value: Any) -> str:
    """JSON text. NotPlain, or whatever the value itself raises, when there is none."""
    return json.dumps(plain(value, 0), ensure_ascii=False)


def plain(value: Any, depth: int) -> Any:
    if depth > DEEPEST_VALUE:
        raise NotPlain(f"nested more than {DEEPEST_VALUE} levels deep")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {named(key): plain(item, depth + 1) for key, item in value.items()}
    for spelling in ("tolist", "item"):  # of numpy, pandas, torch
        if callable(method := getattr(value, spelling, None)):
            return plain(method(), depth + 1)
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    raise NotPlain(f"{module}{kind.__qualname__} is not JSON")


def named(key: Any) -> str:
    """JSON's keys are texts. A whole number becomes one, since counting by number is common."""
    if hasattr(key, "item"):
        key = key.item()
    if isinstance(key, str):
        return str(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise NotPlain(f"a key of the type {type(key).__qualname__} is not JSON")
