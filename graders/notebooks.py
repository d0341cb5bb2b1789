"""Runs a candidate's notebook in a room, and takes values of variables out.

    executed = notebooks.execute("analysis.ipynb", submission, sandbox, values=["mean"], inject={"rows": hidden})
    return [notebooks.credit(executed, {"mean": 3.5}, tolerance=1e-6).finding("mean")]

The outputs that a file carries are dropped before anything else: they show what somebody wanted to be seen. Whatever
the file is and whatever its cells do becomes a value: `executed.failure` says which cell and why, `executed.missing`
why there is no value. The values are the candidate's claims; what makes them worth comparing is what was injected,
which a cell cannot have known. To ask twice with different input, open a room and call `execute_in` twice.

A kernel needs limits of at least 192 MB, 24 processes and about a second (see LEAST); more with pandas.
"""

import json
import keyword
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import nbformat

from graders import strict
from graders.contract import GradersError, Submission
from graders.probes import program, run_program
from sandbox import Ending, Execution, Limits, Room, Sandbox

__all__ = [
    "Cell",
    "Executed",
    "Notebook",
    "NotebookUnreadable",
    "Ran",
    "credit",
    "execute",
    "execute_in",
    "read",
    "text",
]

LEAST: Final = {"seconds": 5, "memory_mb": 192, "processes": 24, "output_kb": 16}
MOST_BYTES: Final = 10 << 20  # with outputs, which are not kept
MOST_ITEMS: Final = 500_000
MOST_DEPTH: Final = 60
MOST_CELLS: Final = 500
MOST_SOURCE: Final = 1 << 20  # characters of all cells
MOST_NESTED: Final = 110  # of a value; the program in the kernel goes 100 deep
KINDS: Final = ("code", "markdown", "raw")


class NotebookUnreadable(GradersError):
    """The file is no notebook that can be run. The candidate's: the message is one sentence for the reviewer."""


@dataclass(frozen=True, slots=True)
class Cell:
    kind: str  # code, markdown or raw
    source: str
    parameters: bool = False  # tagged so: what is injected comes after it, and replaces what it sets


@dataclass(frozen=True, slots=True)
class Notebook:
    """What a notebook says, without anything that it claims to have shown."""

    cells: tuple[Cell, ...]


# --------------------------------------------------------------------------------------------------------- reading


def read(content: bytes) -> Notebook:
    """The cells of a notebook in format 4; NotebookUnreadable, with a sentence, for everything else."""
    try:
        bounded = strict.bounded(content, most_bytes=MOST_BYTES, most_depth=MOST_DEPTH, most_items=MOST_ITEMS)
        said = json.loads(bounded, parse_constant=lambda _: None)  # Jupyter itself writes NaN into outputs
    except strict.NotStrict as error:
        raise NotebookUnreadable(f"the notebook is {error}") from None
    except ValueError:
        raise NotebookUnreadable("the notebook is no JSON: save it with Jupyter again") from None
    if type(said) is not dict or type(said.get("nbformat")) is not int:
        raise NotebookUnreadable("the file is JSON, and no notebook: it has no nbformat")
    if said["nbformat"] != 4:
        raise NotebookUnreadable(
            f"the notebook is of format {str(said['nbformat'])[:20]}: save it as format 4 with Jupyter"
        )
    language = _language(said.get("metadata"))
    if language != "python":
        raise NotebookUnreadable(f"the notebook is written in {language}: Python is needed")
    cells = said.get("cells")
    if type(cells) is not list:
        raise NotebookUnreadable("the notebook has no list of cells")
    if len(cells) > MOST_CELLS:
        raise NotebookUnreadable(f"the notebook has {len(cells)} cells, and {MOST_CELLS} are allowed")
    notebook = Notebook(tuple(_cell(number, cell) for number, cell in enumerate(cells, 1)))
    if sum(len(cell.source) for cell in notebook.cells) > MOST_SOURCE:
        raise NotebookUnreadable(f"the cells of the notebook have more than {MOST_SOURCE} characters")
    _validate(notebook)
    return notebook


def _language(metadata: Any) -> str:
    """As far as it is said. A notebook that says nothing of it is taken for Python, as Jupyter does."""
    for name, key in (("language_info", "name"), ("kernelspec", "language")):
        place = metadata.get(name) if type(metadata) is dict else None
        said = place.get(key) if type(place) is dict else None
        if type(said) is str:
            return strict.printable(said)[:40].lower()
    return "python"


def _cell(number: int, cell: Any) -> Cell:
    kind = cell.get("cell_type") if type(cell) is dict else None
    if kind not in KINDS:
        raise NotebookUnreadable(f"cell {number}: is no code, markdown or raw cell")
    source = cell.get("source")
    if type(source) is list and all(type(line) is str for line in source):
        source = "".join(source)
    if type(source) is not str:
        raise NotebookUnreadable(f"cell {number}: its source is no text")
    if strict.UNSTORABLE.search(source):
        raise NotebookUnreadable(f"cell {number}: its source holds a character that is none")
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if type(metadata) is dict else None
    return Cell(kind, source, type(tags) is list and "parameters" in tags)


def _validate(notebook: Notebook) -> None:
    """The last word on what a notebook is belongs to Jupyter."""
    code: dict[str, Any] = {"outputs": [], "execution_count": None}
    cells: list[dict[str, Any]] = [
        {
            "cell_type": cell.kind,
            "id": f"cell-{number}",
            "metadata": {},
            "source": cell.source,
            **(code if cell.kind == "code" else {}),
        }
        for number, cell in enumerate(notebook.cells, 1)
    ]
    try:
        nbformat.validate({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    except nbformat.ValidationError as error:
        raise NotebookUnreadable(f"the notebook is not valid: {strict.printable(str(error.message))}") from None


def text(notebook: Notebook) -> str:
    """The notebook as one text, for a reviewer or a judge. What its cells printed is not in it."""
    return "\n".join(
        f"# cell {number} ({cell.kind})\n{cell.source.rstrip()}\n" for number, cell in enumerate(notebook.cells, 1)
    )


# ------------------------------------------------------------------------------------------------------- executing


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one cell, in the candidate's own words and cut; numbers count all cells of the file from 1."""

    number: int
    text: str
    error: str


@dataclass(frozen=True, slots=True)
class Executed:
    failure: str = ""  # why not all cells ran to their end
    cells: tuple[Ran, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)  # names that were asked for, and why there is no value
    execution: Execution | None = None  # None: it was never started


def execute(
    notebook: str | Notebook,
    submission: Submission,
    sandbox: Sandbox,
    *,
    values: Sequence[str],
    inject: Mapping[str, Any] = {},
    cell_seconds: float | None = None,
) -> Executed:
    """Run a notebook, given by its file's name or read before, beside all files of the submission.

    `inject` sets variables to JSON values: before the first cell, or after the one tagged `parameters`. A cell may take
    `cell_seconds` of wall time, and all together the manifest's limits.seconds, which is also what is meant without.
    """
    limits = submission.limits
    _check(limits, values, inject, cell_seconds)
    given = submission.files.get(notebook) if isinstance(notebook, str) else notebook
    with sandbox.open(files=submission.files, limits=limits, lifetime=limits.seconds + 60) as room:
        return execute_in(room, given, limits, values=values, inject=inject, cell_seconds=cell_seconds)


def execute_in(
    room: Room,
    notebook: bytes | Notebook | None,
    limits: Limits,
    *,
    values: Sequence[str],
    inject: Mapping[str, Any] = {},
    cell_seconds: float | None = None,
) -> Executed:
    """The same in a room that is open already, with the limits that it was opened with.

    The notebook is what `submission.files.get(name)` gives: a file's content, None when there is none.
    """
    _check(limits, values, inject, cell_seconds)
    try:
        opened = _opened(notebook)
    except NotebookUnreadable as error:
        return Executed(failure=str(error), missing=dict.fromkeys(values, str(error)))
    nonce = secrets.token_hex(8)
    order = {
        "id": nonce,
        "cells": list(_cells(opened, inject)),
        "names": list(values),
        "cell_seconds": cell_seconds or limits.seconds,
        # Both are texts within the lines that come out, so that a quarter may grow to a half.
        "most_text": limits.output_kb * 1024 // 4,
        "most_value": limits.output_kb * 1024 // 4 // max(1, len(values)),
        "shell": program("shell"),
        "teller": program("values"),
    }
    # Not longer than the notebook itself, which fits: a text of which everything is escaped would be three times that.
    line = json.dumps(order, allow_nan=False, ensure_ascii=False)
    command, stdin = run_program(line.encode(), "notebook")
    execution = room.run(command, stdin=stdin, seconds=limits.seconds)
    return _Report(nonce, values, execution).executed(limits)


def _opened(notebook: bytes | Notebook | None) -> Notebook:
    if notebook is None:
        raise NotebookUnreadable("there is no such notebook")
    return read(notebook) if isinstance(notebook, bytes) else notebook


def _check(limits: Limits, values: Iterable[str], inject: Mapping[str, Any], cell_seconds: float | None) -> None:
    for name, least in LEAST.items():
        if getattr(limits, name) < least:
            raise ValueError(f"limits.{name}: {getattr(limits, name):g}: a notebook's kernel needs {least} or more")
    for name in (*values, *inject):
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"notebook: {name!r}: is no name of a variable")
    if cell_seconds is not None and not 0 < cell_seconds <= limits.seconds:
        raise ValueError(f"cell_seconds: {cell_seconds:g}: must be above 0 and at most limits.seconds")


def _cells(notebook: Notebook, inject: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    """Number and source of what is run. What is injected counts to the cell that it follows."""
    injected = f"globals().update(__import__('json').loads({json.dumps(inject, allow_nan=False)!r}))"
    after = next((number for number, cell in enumerate(notebook.cells, 1) if cell.parameters), 0)
    if inject and not after:
        yield 0, injected
    for number, cell in enumerate(notebook.cells, 1):
        if cell.kind == "code" and cell.source.strip():
            yield number, cell.source
        if inject and number == after:
            yield number, injected


class _Report:
    """What the program in the room said, line by line; nothing that it could not have said is taken for anything."""

    def __init__(self, nonce: str, names: Sequence[str], execution: Execution) -> None:
        self.nonce, self.names, self.execution = nonce, names, execution
        self.began: int | None = None
        self.cells: list[Ran] = []
        self.values: dict[str, Any] = {}
        self.missing: dict[str, str] = {}
        self.done: str | None = None

    def executed(self, limits: Limits) -> Executed:
        *lines, _ = self.execution.stdout.split(b"\n")  # after the last end there is nothing, or half a line
        failure = ""
        for line in lines:
            if self.done is not None or not self._takes(line):
                failure = "it wrote into our report"
                break
        if failure or not self.execution.ok or self.done is None:
            failure = failure or self._complaint(limits)
            self.values, self.missing = {}, {}
        else:
            failure = self.done
        if failure and self.execution.memory_exceeded:
            failure += "; memory ran out"
        silent = {name: failure or "it said nothing of it" for name in self.names if name not in self.values}
        return Executed(failure, tuple(self.cells), self.values, silent | self.missing, self.execution)

    def _takes(self, line: bytes) -> bool:
        try:
            said = strict.loads(line, most_bytes=len(line), most_depth=3)
        except strict.NotStrict:
            return False
        match said:
            case {"id": self.nonce, "began": int(number)}:
                self.began = number
            case {"id": self.nonce, "ran": [int(number), str(words), str(error)]} if number == self.began:
                self.cells.append(Ran(number, words, error))
            case {"id": self.nonce, "value": [str(name), str(spelled)]} if self._is_open(name):
                self._take_value(name, spelled)
            case {"id": self.nonce, "missing": [str(name), str(reason)]} if self._is_open(name):
                self.missing[name] = strict.printable(reason)
            case {"id": self.nonce, "done": str(reason)}:
                self.done = strict.printable(reason)
            case _:
                return False
        return True

    def _is_open(self, name: str) -> bool:
        return name in self.names and name not in self.values and name not in self.missing

    def _take_value(self, name: str, spelled: str) -> None:
        content = spelled.encode()
        try:
            self.values[name] = strict.loads(
                content, most_bytes=len(content), most_depth=MOST_NESTED, most_items=len(content)
            )
        except strict.NotStrict as error:
            self.missing[name] = str(error)

    def _complaint(self, limits: Limits) -> str:
        """The program in the room did not come to its end: the kernel shares its memory, its time and its user."""
        where = f"cell {self.began}" if self.began is not None else "the kernel"
        match self.execution.ending:
            case Ending.TIMED_OUT:
                return f"{where}: it did not end in {limits.seconds:g} s"
            case Ending.EXITED:
                last_words = strict.printable(self.execution.stderr.strip().rpartition(b"\n")[2])
                return f"{where}: it ended the program that ran it" + (f": {last_words}" if last_words else "")
            case ending:
                return f"{where}: it was ended: {ending}"


# ------------------------------------------------------------------------------------------------------- comparing


def credit(
    executed: Executed,
    expected: Mapping[str, Any],
    *,
    tolerance: float | strict.Tolerance | None = None,
    unordered: bool = False,
) -> strict.Comparison:
    """The fraction of `expected`, by name, that the notebook said, and why the others are wrong."""

    def mismatch(name: str, wanted: Any) -> str | None:
        if name not in executed.values:
            return f"{name}: {executed.missing.get(name, 'was not asked for')}"
        said = executed.values[name]
        if strict.same(wanted, said, tolerance=tolerance, unordered=unordered):
            return None
        return f"{name}: {strict.shown(said)}; expected {strict.shown(wanted)}"

    return strict.tally("values", [mismatch(name, wanted) for name, wanted in expected.items()])
