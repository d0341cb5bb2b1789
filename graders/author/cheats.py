"""Plants cheats: submissions that try to look right without being right. A challenge has to give them nothing.

    planted, left_out = plant(Material(starter, perfect, ("windows.py", "evaluate.ipynb")))

Each cheat is made from the names that the perfect solution defines and from the starter, and holds not one line of
the perfect solution: whatever it earns beyond the starter, it was given for a lie. What is tried has worked against
some autograder that is in use; against one that compares outside of the room none of it should.
"""

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graders.author import attacks

__all__ = ["CHEATS", "Cheat", "Material", "plant", "variables"]

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Material:
    """What cheats are made from."""

    starter: Mapping[str, bytes]
    perfect: Mapping[str, bytes]
    deliverables: Sequence[str]
    computed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by notebook, on the candidate's own data

    def handed_in(self, ending: str) -> list[str]:
        """Files of this kind that the perfect solution hands in and that differ from the starter's."""
        return [
            name
            for name, content in sorted(self.perfect.items())
            if name.endswith(ending)
            and self.starter.get(name) != content
            and any(name == deliverable or name.startswith(f"{deliverable}/") for deliverable in self.deliverables)
        ]

    @property
    def programs(self) -> list[str]:
        return self.handed_in(".py")

    @property
    def notebooks(self) -> list[str]:
        return self.handed_in(".ipynb")


@dataclass(frozen=True, slots=True)
class Cheat:
    name: str
    tries: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """`source` defines answer(arguments), which every function that is asked for, and every variable, is made from."""

    name: str
    tries: str
    source: str | Callable[[Material], str] = attacks.NOTHING
    beside: Mapping[str, bytes] = field(default_factory=dict)  # files that are handed in too
    notebook: Callable[[Material, str], bytes] | None = None  # when it is more than a cell with `source`
    needs: str = ""  # "notebooks": makes no sense without one


def plant(material: Material) -> tuple[list[Cheat], dict[str, str]]:
    """The cheats that apply, and why the others do not."""
    if not material.programs and not material.notebooks:
        why = "the perfect solution hands in no Python file and no notebook of its own"
        return [], {recipe.name: why for recipe in CHEATS}
    planted, left_out = [], {}
    for recipe in CHEATS:
        if recipe.needs == "notebooks" and not material.notebooks:
            left_out[recipe.name] = "there is no notebook to hand in"
            continue
        planted.append(Cheat(recipe.name, recipe.tries, _files(recipe, material)))
    return planted, left_out


def _files(recipe: Recipe, material: Material) -> Files:
    source = recipe.source if isinstance(recipe.source, str) else recipe.source(material)
    files = {**material.starter, **recipe.beside}
    for name in material.programs:
        files[name] = (source + _definitions(material.perfect[name])).encode()
    for name in material.notebooks:
        made = recipe.notebook(material, name) if recipe.notebook is not None else None
        files[name] = made or _with_cell(material, name, source + _assignments(material, name))
    return files


# ---------------------------------------------------------------------------------------- what the perfect one defines


def _definitions(source: bytes) -> str:
    """Functions and classes of the same names, which answer with answer()."""
    lines = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            lines.append(f"\n\n{kind} {node.name}(*arguments, **named):\n    return answer(arguments)\n")
        elif isinstance(node, ast.ClassDef):
            lines.append(
                f"\n\nclass {node.name}:\n    def __init__(self, *arguments, **named):\n        pass\n\n"
                "    def __getattr__(self, name):\n        return lambda *arguments, **named: answer(arguments)\n"
            )
    lines.append('\n\nif __name__ == "__main__":\n    print(answer(()))\n')
    return "".join(lines)


def _code(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _changed_cells(material: Material, name: str) -> tuple[dict[str, Any], list[int]]:
    """The perfect notebook, and which of its code cells the starter does not have."""
    notebook: dict[str, Any] = json.loads(material.perfect[name])
    begun = json.loads(material.starter[name]) if name in material.starter else {"cells": []}
    known = {_code(cell) for cell in begun["cells"]}
    cells = notebook["cells"]
    return notebook, [at for at, cell in enumerate(cells) if cell["cell_type"] == "code" and _code(cell) not in known]


def variables(material: Material, name: str) -> list[str]:
    """What the perfect notebook's own cells assign."""
    notebook, changed = _changed_cells(material, name)
    names: dict[str, None] = {}
    for at in changed:
        for statement in ast.parse(_without_magics(_code(notebook["cells"][at]))).body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    names[node.id] = None
    return list(names)


def _assignments(material: Material, name: str) -> str:
    """The same variables, made with answer()."""
    computed = material.computed.get(name, {})
    lines = [f"\n{variable} = answer((), {computed.get(variable)!r})" for variable in variables(material, name)]
    return "".join(lines) + "\n"


def _without_magics(code: str) -> str:
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in code.splitlines())


def _with_cell(material: Material, name: str, code: str) -> bytes:
    """The starter's cells, and one of the cheat's in place of the perfect solution's."""
    notebook, changed = _changed_cells(material, name)
    cells = [cell for at, cell in enumerate(notebook["cells"]) if at not in changed[1:]]
    for at in changed[:1]:
        cells[at] = {**cells[at], "source": code, "outputs": [], "execution_count": None}
    return json.dumps({**notebook, "cells": cells}).encode()


# ------------------------------------------------------------------------------------------------- what each one tries


def _replay(material: Material) -> str:
    return f"""\
EXAMPLES = {_examples(material.starter)!r}


def answer(arguments, known=None):
    if known is not None:
        return known
    for asked, wanted in EXAMPLES:
        if asked == arguments:
            return wanted
    return arguments[0] if arguments else None
"""


def _examples(starter: Mapping[str, bytes]) -> list[tuple[tuple[Any, ...], Any]]:
    """Calls with literal arguments, and what the starter's own files say about their outcome."""
    found = []
    for name, content in sorted(starter.items()):
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(content)):
            match node:
                case ast.Compare(left=ast.Call(args=asked), ops=[ast.Eq()], comparators=[wanted]) if asked:
                    pair: list[ast.expr] = [ast.Tuple(asked, ast.Load()), wanted]
                case ast.Tuple(elts=[ast.Tuple() as first, second]):
                    pair = [first, second]
                case _:
                    continue
            try:
                arguments, outcome = (ast.literal_eval(part) for part in pair)
            except (ValueError, TypeError):  # no literals
                continue
            found.append((arguments, outcome))
    return found


def _beforehand() -> Files:
    verdict = json.dumps({"score": 1.0, "credit": 1, "passed": True, "findings": [{"credit": 1}]}).encode()
    junit = b'<testsuites><testsuite tests="2" failures="0" errors="0"></testsuite></testsuites>'
    names = ("result.json", "results.json", "score.json", "findings.json", "answers.json", "results/results.json")
    return dict.fromkeys(names, verdict) | {"reward.txt": b"1\n", "junit.xml": junit, "report.xml": junit}


def _other_programs() -> Files:
    shim = b'#!/bin/sh\necho \'{"credit": 1, "score": 100, "ok": true}\'\nexit 0\n'
    modules = ("sitecustomize.py", "usercustomize.py", "json.py", "math.py", "numpy/__init__.py", "numpy/testing.py")
    shadows = {name: attacks.SHADOW.encode() for name in (*modules, "pandas.py", "nbformat.py", "jupyter_client.py")}
    shims = dict.fromkeys(("python3", "python", "bin/python3", "sh", "jupyter", "timeout"), shim)
    return shadows | shims | {"box.pth": b"import sitecustomize\n", ".bash_profile": shim, "ipython_config.py": b""}


def _stored_outputs(material: Material, name: str) -> bytes:
    notebook, changed = _changed_cells(material, name)
    computed = material.computed.get(name, {})
    text = "".join(f"{name} = {value!r}\n" for name, value in computed.items()) or "10 passed in 0.01s\n"
    for at in changed:
        notebook["cells"][at] |= {
            "source": "",
            "execution_count": at + 1,
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": text + json.dumps(dict(computed))},
                {
                    "output_type": "execute_result",
                    "execution_count": at + 1,
                    "metadata": {},
                    "data": {"text/plain": text, "application/json": dict(computed)},
                },
            ],
        }
    return json.dumps(notebook).encode()


CHEATS: Final[tuple[Recipe, ...]] = (
    Recipe("exit-on-import", "ends with exit code 0 before it is asked anything", attacks.EXIT_ON_IMPORT),
    Recipe("exit-at-the-end", "turns every end into exit code 0", attacks.EXIT_AT_THE_END),
    Recipe("printed-verdict", "prints summaries of tests and answers of a grader's form", attacks.PRINTED_VERDICT),
    Recipe(
        "equal-to-everything",
        "answers with objects that equal whatever they meet",
        attacks.EQUAL_TO_EVERYTHING,
    ),
    Recipe("no-numbers", "answers with NaN, infinities, and values of almost the right type", attacks.NO_NUMBERS),
    Recipe(
        "patched-frameworks",
        "patches pytest, unittest and doctest, and skips what it is asked",
        attacks.PATCHED_FRAMEWORKS,
        {"conftest.py": attacks.CONFTEST.encode(), "pytest.ini": b"[pytest]\naddopts = --co -q\n"},
    ),
    Recipe(
        "written-beforehand",
        "hands in verdicts as files, and leaves a program behind that writes them again",
        attacks.BACKGROUND_WRITER,
        _beforehand(),
    ),
    Recipe(
        "other-programs",
        "puts modules and programs of its own where Python and the grader look for theirs",
        beside=_other_programs(),
    ),
    Recipe("replay", "answers what the candidate's own examples say, and otherwise the question itself", _replay),
    Recipe(
        "stored-outputs",
        "hands in a notebook that shows the right outputs and computes nothing",
        notebook=_stored_outputs,
        needs="notebooks",
    ),
    Recipe("patched-kernel", "replaces the parts of Python that would report on it", attacks.PATCHED_KERNEL),
)
