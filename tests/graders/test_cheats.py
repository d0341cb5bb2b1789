"""What the planted cheats are made of. Whether they earn anything is for the check of each challenge."""

import ast
import json
from typing import Any, Final

import nbformat
import pytest

from graders.author.cheats import CHEATS, Cheat, Material, plant

DELIVERABLES: Final = ("sums.py", "report.ipynb", "notes.md")


def notebook(*cells: str) -> bytes:
    made: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    for number, source in enumerate(cells):
        cell: dict[str, Any] = {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        made["cells"].append({**cell, "source": source.splitlines(keepends=True)})
    return json.dumps(made).encode()


STARTER: Final = {
    "sums.py": b"def add(one, other):\n    raise NotImplementedError\n",
    "check.py": b"from sums import add\n\nassert add(1, 2) == 3\nCASES = [((2, 2), 4), ((n, 1), 2)]\n",
    "report.ipynb": notebook("rows = [1, 2]", "total = None"),
    "notes.md": b"yours to write\n",
}
PERFECT: Final = {
    "sums.py": b"HOW = 'the way to do it'\n\ndef add(one, other):\n    return one + other\n\nclass Sum:\n    pass\n",
    "report.ipynb": notebook("rows = [1, 2]", "%time\ntotal = sum(rows)", "mean = total / 2"),
    "notes.md": b"A perfect note.\n",
}


def planted(**changed: Any) -> dict[str, Cheat]:
    cheats, _ = plant(Material(**{"starter": STARTER, "perfect": PERFECT, "deliverables": DELIVERABLES, **changed}))
    return {cheat.name: cheat for cheat in cheats}


def cells(cheat: Cheat) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(cheat.files["report.ipynb"])["cells"]]


@pytest.mark.parametrize("name", [recipe.name for recipe in CHEATS])
def test_a_cheat_holds_nothing_of_the_perfect_solution(name: str) -> None:
    whole = b"\n".join(planted()[name].files.values())
    assert b"the way to do it" not in whole
    assert b"one + other" not in whole
    assert b"sum(rows)" not in whole
    assert b"A perfect note" not in whole


@pytest.mark.parametrize("name", [recipe.name for recipe in CHEATS])
def test_what_a_cheat_does_not_touch_is_the_starters(name: str) -> None:
    files = planted()[name].files
    assert files["notes.md"] == STARTER["notes.md"]
    assert files["check.py"] == STARTER["check.py"]
    assert files["sums.py"] != STARTER["sums.py"]
    assert files["report.ipynb"] != STARTER["report.ipynb"]


@pytest.mark.parametrize("name", [recipe.name for recipe in CHEATS])
def test_a_cheat_is_valid_python_and_a_valid_notebook(name: str) -> None:
    files = planted()[name].files
    for file, content in files.items():
        if file.endswith(".py"):
            compile(content, file, "exec")
    nbformat.validate(json.loads(files["report.ipynb"]), version=4)


def test_it_answers_to_the_names_that_are_asked_for() -> None:
    tree = ast.parse(planted()["equal-to-everything"].files["sums.py"])
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {"add", "Sum"} <= defined
    (kept, cheating) = cells(planted()["equal-to-everything"])
    assert kept == "rows = [1, 2]"
    assert "\ntotal = answer(" in cheating
    assert "\nmean = answer(" in cheating


def test_an_answer_that_equals_everything_does() -> None:
    module: dict[str, Any] = {"__name__": "sums"}
    exec(planted()["equal-to-everything"].files["sums.py"], module)
    answers = [module["add"](1, 2) for _ in range(7)]
    assert all(answer == 3 and answer == "anything" for answer in answers)
    assert len({type(answer).__mro__[1] for answer in answers}) == 7


def test_a_replay_knows_the_starters_examples_and_otherwise_asks_back() -> None:
    module: dict[str, Any] = {"__name__": "sums"}
    exec(planted()["replay"].files["sums.py"], module)
    assert [module["add"](1, 2), module["add"](2, 2), module["add"](8, 1)] == [3, 4, 8]


def test_a_replay_writes_down_what_a_notebook_computed_on_the_candidates_own_rows() -> None:
    cheat = planted(computed={"report.ipynb": {"total": 3, "mean": 1.5}})["replay"]
    assert "total = answer((), 3)\nmean = answer((), 1.5)" in cells(cheat)[1]


def test_stored_outputs_show_values_and_compute_nothing() -> None:
    cheat = planted(computed={"report.ipynb": {"total": 3}})["stored-outputs"]
    book = json.loads(cheat.files["report.ipynb"])
    assert [cell["source"] for cell in book["cells"][1:]] == ["", ""]
    assert "total = 3" in book["cells"][1]["outputs"][0]["text"]


def test_without_a_notebook_the_cheats_of_notebooks_are_left_out_and_it_says_why() -> None:
    cheats, left_out = plant(Material(STARTER, {"sums.py": PERFECT["sums.py"]}, DELIVERABLES))
    assert left_out == {"stored-outputs": "there is no notebook to hand in"}
    assert len(cheats) == len(CHEATS) - 1


def test_with_neither_program_nor_notebook_nothing_is_planted() -> None:
    cheats, left_out = plant(Material(STARTER, {"notes.md": b"A perfect note.\n"}, DELIVERABLES))
    assert cheats == []
    assert left_out.keys() == {recipe.name for recipe in CHEATS}
    assert set(left_out.values()) == {"the perfect solution hands in no Python file and no notebook of its own"}
