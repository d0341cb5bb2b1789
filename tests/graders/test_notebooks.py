"""A candidate's notebook: read, run in a room, and values taken out of it."""

import json
from typing import Any, Final

import pytest

from graders import notebooks
from graders.notebooks import Cell, Executed, Notebook, NotebookUnreadable, Ran
from sandbox import Limits, Sandbox
from tests.graders.made import cell, notebook, submission

LEAST: Final = Limits(seconds=19.5, memory_mb=192, processes=24)


def run(sandbox: Sandbox, *cells: str | dict[str, Any], limits: Limits = LEAST, **more: Any) -> Executed:
    files: dict[str, str | bytes] = {"work.ipynb": notebook(*cells), "rows.csv": "a,b\n1,2\n"}
    return notebooks.execute("work.ipynb", submission(files, limits), sandbox, **{"values": ["x"], **more})


# Reading


def test_a_notebook_is_its_cells_and_not_what_it_claims_to_have_shown() -> None:
    content = notebook(cell(["a = 1\n", "a"], "code", "parameters"), cell("# title", "markdown"), cell("raw", "raw"))
    read = notebooks.read(content)
    assert read == Notebook((Cell("code", "a = 1\na", True), Cell("markdown", "# title"), Cell("raw", "raw")))
    assert notebooks.text(read) == "# cell 1 (code)\na = 1\na\n\n# cell 2 (markdown)\n# title\n\n# cell 3 (raw)\nraw\n"
    assert b"all right" in content
    assert "all right" not in repr(read) + notebooks.text(read)


def test_what_is_only_in_outputs_does_not_matter() -> None:
    shown = cell("1")
    shown["outputs"] = [{"output_type": "x", "data": {"application/json": [1.0, 2]}, "text": "\ud800\0"}]
    content = notebook(shown).replace(b"1.0", b"NaN")
    assert b"NaN" in content
    assert notebooks.read(content).cells == (Cell("code", "1"),)


@pytest.mark.parametrize("metadata", [{}, {"kernelspec": {"name": "x", "language": "python"}}, {"kernelspec": 3}, []])
def test_a_notebook_may_say_little_of_itself(metadata: Any) -> None:
    assert notebooks.read(notebook("1", metadata=metadata)).cells
    assert notebooks.read(notebook()).cells == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no JSON"),
        (b"print(1)", "is no JSON"),
        (notebook("1")[:-1], "is no JSON"),
        (notebook("1")[:200], "a text without an end"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"3", "no nbformat"),
        (b"[]", "no nbformat"),
        (b"{}", "no nbformat"),
        (notebook("1", nbformat=True), "no nbformat"),
        (notebook("1", nbformat="4"), "no nbformat"),
        (json.dumps({"nbformat": 3, "worksheets": []}).encode(), "of format 3: save it as format 4"),
        (notebook("1", nbformat=10**400), "of format 1000"),
        (notebook("1", metadata={"kernelspec": {"language": "R"}}), "written in r: Python"),
        (notebook("1", metadata={"language_info": {"name": "\x1b[2J"}}), "written in"),
        (notebook("1", cells={}), "no list of cells"),
        (notebook("1", cells=None), "no list of cells"),
        (notebook("1", cells=[3]), "cell 1: is no code"),
        (notebook("1", cells=[cell("1"), {}]), "cell 2: is no code"),
        (notebook("1", cells=[cell("1", "heading")]), "cell 1: is no code"),
        (notebook("1", cells=[cell("1") | {"cell_type": ["code"]}]), "cell 1: is no code"),
        (notebook(cell("1") | {"source": 3}), "cell 1: its source is no text"),
        (notebook(cell("1") | {"source": ["a", 3]}), "cell 1: its source is no text"),
        (notebook(cell("\ud800")), "cell 1: its source holds a character"),
        (notebook(cell("a\0")), "cell 1: its source holds a character"),
    ],
)
def test_what_is_no_notebook_is_refused_with_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(NotebookUnreadable, match=sentence):
        notebooks.read(content)


def huge(kind: str) -> bytes:
    shown = cell("1")
    if kind == "bytes":
        shown["outputs"][0]["text"] = "x" * (57 << 20)
    elif kind == "cells":
        return notebook(*[cell("", "markdown")] * 100_000)
    elif kind == "more cells":
        return notebook(*[cell("", "raw")] * 501)
    elif kind == "items":
        shown["outputs"][0]["text"] = [0] * 600_000
    elif kind == "source":
        return notebook("1" * (2 << 20))
    else:
        return notebook("1").replace(b'"all right"', b"[" * 100_000 + b"]" * 100_000)
    return notebook(shown)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("bytes", "too large: 5976"),
        ("cells", "100000 cells|more than 500000 items|too large"),
        ("more cells", "501 cells, and 500 are allowed"),
        ("items", "more than 500000 items"),
        ("source", "more than 1048576 characters"),
        ("depth", "nested more than 60 levels"),
    ],
)
def test_a_notebook_without_measure_is_refused_before_it_is_parsed(kind: str, sentence: str) -> None:
    """D26"""
    with pytest.raises(NotebookUnreadable, match=sentence):
        notebooks.read(huge(kind))


# Executing


@pytest.mark.docker
def test_values_come_out_and_what_cells_said_is_kept_as_text(docker_sandbox: Sandbox) -> None:
    executed = run(
        docker_sandbox,
        cell("# title", "markdown"),
        "import pandas as pd\nrows = pd.read_csv('rows.csv')\nprint('\x1b[31mhello')\nrows.b",
        "",
        "x = {'b': rows.b, 'mean': rows.a.mean(), 'pair': (1, None)}",
        limits=Limits(seconds=20),
        values=["x"],
    )
    assert executed.values == {"x": {"b": [2], "mean": 1.0, "pair": [1, None]}}
    assert (executed.failure, executed.missing) == ("", {})
    assert [ran.number for ran in executed.cells] == [2, 4]
    assert executed.cells[0].text == "?[31mhello\n0    2\nName: b, dtype: int64\n"
    assert notebooks.credit(executed, {"x": {"b": [2], "mean": 1, "pair": [1, None]}}, tolerance=0).fraction == 1


@pytest.mark.docker
def test_what_is_injected_replaces_the_parameters_or_comes_first(docker_sandbox: Sandbox) -> None:
    """Two runs in one room, each with its own input."""
    given = submission({}, LEAST)
    first = notebooks.read(notebook("x = n * 2"))
    tagged = notebooks.read(notebook("import math", cell("n = 1", "code", "parameters"), "x = n * 2"))
    with docker_sandbox.open(limits=given.limits) as room:

        def x(which: Notebook, **inject: Any) -> Any:
            return notebooks.execute_in(room, which, given.limits, values=["x"], inject=inject).values.get("x")

        assert [x(first, n=21), x(first, n=[1, "ü'\"\\\n"])] == [42, [1, "ü'\"\\\n"] * 2]
        assert [x(tagged), x(tagged, n=21)] == [2, 42]
        assert x(first) is None  # nothing has remained of the runs before


@pytest.mark.docker
def test_a_cell_that_raises_stops_the_notebook_and_what_was_there_is_taken(docker_sandbox: Sandbox) -> None:
    executed = run(docker_sandbox, "x = 1", "y = 1 / 0", "z = 2", values=["x", "y", "z"])
    assert executed.failure == "cell 2: ZeroDivisionError: division by zero"
    assert executed.cells[1] == Ran(2, "", "ZeroDivisionError: division by zero")
    assert executed.values == {"x": 1}
    assert executed.missing == {name: f"NameError: name '{name}' is not defined" for name in "yz"}
    found = notebooks.credit(executed, {"x": 1, "y": 2})
    assert (found.fraction, found.evidence[0].text) == (0.5, "y: NameError: name 'y' is not defined")


@pytest.mark.docker
def test_each_value_is_refused_for_itself(docker_sandbox: Sandbox) -> None:
    reasons = {
        "nan": "NaN is not a JSON number", "half": "a text with the character U+D800", "nul": "a text with the",
        "kinds": "NotPlain: set is not JSON", "long": "it is longer than", "deep": "NotPlain: nested more than 100",
        "nosuch": "NameError: name 'nosuch' is not defined",
    }  # fmt: skip
    source = """
    nan, half, nul, kinds, long, x = float("nan"), "\\ud800", "\\0", {1}, "x" * 1_000_000, [True, "ü\\n"]
    deep = []
    for _ in range(5000): deep = [deep]
    str = list = dict = type = repr = print = exec = globals = None
    """
    executed = run(docker_sandbox, "if True:" + source, values=["x", *reasons])
    assert executed.failure == ""
    assert executed.values == {"x": [True, "ü\n"]}
    assert executed.missing.keys() == reasons.keys()
    assert [name for name, reason in reasons.items() if not executed.missing[name].startswith(reason)] == []


@pytest.mark.docker
def test_shell_commands_work_in_a_room_without_terminals(docker_sandbox: Sandbox) -> None:
    executed = run(
        docker_sandbox, "n = 3\n!echo $n {n + 1}; ls", "x = !cat rows.csv", "%%bash\necho bash", "x = list(x)"
    )
    assert [ran.text for ran in executed.cells] == ["3 4\nrows.csv\nwork.ipynb\n", "", "bash\n", ""]
    assert executed.values == {"x": ["a,b", "1,2"]}


@pytest.mark.docker
def test_a_wrong_value_is_shown_beside_what_was_expected(docker_sandbox: Sandbox) -> None:
    found = notebooks.credit(run(docker_sandbox, "x = '3'"), {"x": 3})
    assert (found.fraction, found.evidence[0].text) == (0, 'x: "3"; expected 3')


@pytest.mark.docker
def test_a_notebook_that_fits_into_the_room_is_run_whatever_its_letters_are(docker_sandbox: Sandbox) -> None:
    """Escaped, these are three times as long as in the file, and more than a room takes."""
    source = f"x = len('{'é' * 500_000}')"
    content = json.dumps(json.loads(notebook(source)), ensure_ascii=False).encode()
    limits = Limits(seconds=19.5, memory_mb=192, processes=24, disk_mb=2)
    given = submission({"work.ipynb": content}, limits)
    executed = notebooks.execute("work.ipynb", given, docker_sandbox, values=["x"])
    assert executed.values == {"x": 500_000}, executed


@pytest.mark.parametrize(
    ("files", "failure"),
    [
        ({}, "there is no such notebook"),
        ({"work.ipynb": b"{"}, "the notebook is no JSON: save it with Jupyter again"),
    ],
)
@pytest.mark.docker
def test_a_notebook_that_cannot_be_read_is_no_exception(
    docker_sandbox: Sandbox, files: dict[str, bytes], failure: str
) -> None:
    executed = notebooks.execute("work.ipynb", submission(files), docker_sandbox, values=["x"])
    assert executed == Executed(failure, missing={"x": failure})
    assert notebooks.credit(executed, {"x": 1}).fraction == 0


@pytest.mark.docker
@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"limits": Limits(seconds=20, memory_mb=128)}, "limits.memory_mb: 128: a notebook's kernel needs 192"),
        ({"limits": Limits(seconds=20, processes=8)}, "limits.processes: 8"),
        ({"limits": Limits(seconds=1)}, "limits.seconds: 1"),
        ({"values": ["x.y"]}, "'x.y': is no name"),
        ({"values": ["x", "class"]}, "'class': is no name"),
        ({"inject": {"a b": 1}}, "'a b': is no name"),
        ({"inject": {"a": float("nan")}}, "JSON"),
        ({"cell_seconds": 21}, "cell_seconds: 21"),
        ({"cell_seconds": 0}, "cell_seconds: 0"),
    ],
)
def test_an_authors_mistake_is_a_clear_sentence(docker_sandbox: Sandbox, more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        run(docker_sandbox, "x = 1", **more)
