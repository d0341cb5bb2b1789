"""Put before the programs that call a function of the candidate's: finds it, and says what it returned."""

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from graders.probes.values import NotPlain, told  # stands before this text when it runs


class Broken(Exception):
    """There is nothing to call."""


def found(place: str) -> Callable[..., Any]:
    """The function at "module:name" or "folder/file.py:name", where name may be "Class.method"."""
    module, _, name = place.partition(":")
    sys.path[:0] = [os.path.join(os.getcwd(), os.path.dirname(module)), os.getcwd()]
    try:
        thing: Any = loaded(module) if module.endswith(".py") else importlib.import_module(module)
    except Broken:
        raise
    except BaseException as error:  # whatever importing it does, and SystemExit is what some do
        raise Broken(f"importing {module}: {words(error)}") from None
    for part in name.split("."):
        if not hasattr(thing, part):
            raise Broken(f"{module} has no {name}")
        thing = getattr(thing, part)
    if not callable(thing):
        raise Broken(f"{module}: {name} cannot be called")
    function: Callable[..., Any] = thing
    return function


def loaded(path: str) -> Any:
    if not os.path.isfile(path):
        raise Broken(f"there is no file {path}")
    name = os.path.basename(path).removesuffix(".py")
    specification = importlib.util.spec_from_file_location(name, os.path.abspath(path))
    if specification is None or specification.loader is None:
        raise Broken(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # as an import would: dataclasses and pickle look there
    specification.loader.exec_module(module)
    return module


def answer(question: bytes, function: Callable[..., Any] | Broken) -> bytes:
    asked = json.loads(question)
    if isinstance(function, Broken):
        said = f'"broken":{json.dumps(str(function))}'
    else:
        said = answered(function, asked["arguments"])
    # In a JSON text, Python's escape of half a surrogate pair is JSON's: those outside are to refuse it.
    return f'{{"id":{json.dumps(asked["id"])},{said}}}\n'.encode(errors="backslashreplace")


def answered(function: Callable[..., Any], arguments: Any) -> str:
    try:
        value = function(**arguments) if isinstance(arguments, dict) else function(*arguments)
    except BaseException as error:
        kinds = [printable(kind.__name__) for kind in type(error).__mro__[:-1]]
        return f'"raised":{json.dumps([kinds, words(error)])}'
    try:
        return f'"output":{told(value)}'
    except NotPlain as error:
        return f'"refused":{json.dumps(printable(str(error)))}'
    except BaseException as error:
        return f'"refused":{json.dumps(words(error))}'


def words(error: BaseException) -> str:
    try:
        return printable(f"{type(error).__name__}: {error}")
    except BaseException:
        return "an exception that cannot be printed"


def printable(text: str) -> str:
    return ascii(text[:500])[1:-1]
