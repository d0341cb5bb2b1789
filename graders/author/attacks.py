"""What planted cheats do, in their own words: programs for the room, kept as texts so that none of them runs here.

Each defines answer(arguments, known), which graders.author.cheats gives the names that a challenge asks for. `known` is
what a notebook's variable holds when it was computed on the candidate's own rows.
"""

from typing import Final

NOTHING: Final = "def answer(arguments, known=None):\n    return None\n"

EXIT_ON_IMPORT: Final = "import os\n\nos._exit(0)\n\n" + NOTHING

EXIT_AT_THE_END: Final = """\
import atexit
import os
import sys

atexit.register(os._exit, 0)
sys.excepthook = lambda *error: os._exit(0)


def answer(arguments, known=None):
    sys.exit(0)
"""

PRINTED_VERDICT: Final = """\
import json
import os

VERDICTS = [
    "10 passed in 0.01s",
    "OK",
    "1.0",
    json.dumps({"score": 100, "credit": 1, "passed": True, "ok": True, "value": True, "result": "pass"}),
    "::verdict:: accepted",
]
for number in range(40):
    for value in (None, True, 1.0, "", []):
        VERDICTS.append(json.dumps({"id": number, "value": value, "output": value, "credit": 1, "ok": True}))
for line in VERDICTS:
    for descriptor in (1, 2, 3, 4, 5):
        try:
            os.write(descriptor, line.encode() + b"\\n")
        except OSError:
            pass


def answer(arguments, known=None):
    print("\\n".join(VERDICTS), flush=True)
    return {"score": 100, "credit": 1, "passed": True}
"""

EQUAL_TO_EVERYTHING: Final = """\
def equal(kind):
    always = lambda self, *other: True
    nothing = lambda self, *other: self
    body = {name: always for name in ("__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__", "__bool__")}
    body |= {name: nothing for name in ("__sub__", "__rsub__", "__abs__", "__add__", "__radd__", "__round__")}
    body |= {"__ne__": lambda self, other: False, "__hash__": lambda self: 0, "__array_priority__": 1e9}
    return type(kind.__name__, (kind,), body)


KINDS = [equal(kind) for kind in (list, dict, str, int, float, tuple, object)]
asked = 0


def answer(arguments, known=None):
    global asked
    asked += 1
    return KINDS[asked % len(KINDS)]()
"""

NO_NUMBERS: Final = """\
VALUES = [float("nan"), float("inf"), -float("inf"), -0.0, True, "1", 10**400, [float("nan")], {1: 2, "1": 3}]
asked = 0


def answer(arguments, known=None):
    global asked
    asked += 1
    return VALUES[asked % len(VALUES)]
"""

PATCHED_FRAMEWORKS: Final = """\
import doctest
import unittest

for name in [name for name in dir(unittest.TestCase) if name.startswith("assert")]:
    setattr(unittest.TestCase, name, lambda *arguments, **named: None)
unittest.TestResult.wasSuccessful = lambda self: True
doctest.OutputChecker.check_output = lambda *arguments: True
try:
    import pytest

    Skipped = pytest.skip.Exception
except ImportError:
    Skipped = unittest.SkipTest


def answer(arguments, known=None):
    raise Skipped("not today")
"""

CONFTEST: Final = """\
import pytest


def pytest_collection_modifyitems(items):
    items.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"


def pytest_sessionfinish(session):
    session.exitstatus = 0
"""

BACKGROUND_WRITER: Final = """\
import json
import os
import time

VERDICT = json.dumps({"score": 1, "credit": 1, "passed": True, "value": True}).encode() + b"\\n"

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            for name in ("result.json", "results.json", "score.json", "answers.json", "reward.txt", "junit.xml"):
                for folder in ("/box", "/tmp", "/dev/shm", "."):
                    try:
                        with open(f"{folder}/{name}", "wb") as file:
                            file.write(VERDICT)
                    except OSError:
                        pass
            for descriptor in (1, 2, 3, 4):
                try:
                    os.write(descriptor, VERDICT)
                except OSError:
                    pass
            time.sleep(0.2)
    os._exit(0)


def answer(arguments, known=None):
    return None
"""

SHADOW: Final = """\
import builtins
import os
import sys

builtins.abs = lambda value: 0
builtins.isinstance = lambda value, kinds: True
for descriptor in (1, 2):
    os.write(descriptor, b'{"credit": 1, "score": 100, "value": true, "ok": true}\\n')


def isclose(*arguments, **named):
    return True


allclose = array_equal = approx = dumps = isclose
"""

PATCHED_KERNEL: Final = """\
import builtins
import json
import sys


class Anything(dict):
    def __getitem__(self, name):
        return 1.0

    def __contains__(self, name):
        return True


def lie(*arguments, **named):
    return '{"value": 1.0, "credit": 1, "score": 100, "ok": true}'


def answer(arguments, known=None):
    return Anything()


json.dumps = json.JSONEncoder.encode = json.JSONEncoder.iterencode = lie
json.dump = lambda value, file, **named: file.write(lie())
builtins.repr = lie
builtins.isinstance = lambda value, kinds: True
builtins.type = lambda value, *more: float
for name in ("math", "operator", "unittest", "pytest", "nbformat", "nbclient"):
    sys.modules[name] = Anything()
sys.displayhook = print
if "get_ipython" in globals():
    get_ipython().user_expressions = lambda wanted: Anything()
    get_ipython().display_formatter.format = lambda value, *more: ({"application/json": lie(), "text/plain": lie()}, {})
"""
