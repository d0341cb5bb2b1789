"""The warm-up is what candidates meet first: its brief is true, its forms are fair, and it is proved."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from graders.challenge import read_challenge
from graders.challenge.loading import load
from graders.contract import Bundle, Form
from graders.forms import author_form, build
from web.settings import PROJECT

FOLDER: Final = PROJECT / "challenges" / "warm-up"
SEEDS: Final = ("1", "2", "3", "some-word")


def built(seed: str) -> tuple[Form, Bundle]:
    challenge = read_challenge(FOLDER)
    return build(challenge, author_form(challenge, seed))


@pytest.fixture(scope="module")
def grader() -> Any:
    return load(FOLDER, "warm-up", "grader")


def retrieval(bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle.files["retrieval.json"])
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_examples_of_the_brief_are_true(seed: str, grader: Any) -> None:
    examples = re.findall(r'\| `split\("([^"]*)", (\d), (\d)\)` \| `(\[.*\])` \|', built(seed)[1].brief)
    assert len(examples) == 3
    for text, size, overlap, windows in examples:
        assert grader.expected(text, int(size), int(overlap)) == json.loads(windows)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_brief_and_the_file_speak_of_one_cutoff(seed: str) -> None:
    bundle = built(seed)[1]
    assert f"a cutoff, here {retrieval(bundle)['cutoff']}," in bundle.brief


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rows_to_practise_on_hold_every_kind_of_question(seed: str) -> None:
    given = retrieval(built(seed)[1])

    def first(row: dict[str, Any]) -> int | None:
        return min((row["retrieved"].index(name) for name in row["relevant"] if name in row["retrieved"]), default=None)

    firsts = [first(row) for row in given["rows"]]
    assert any(not row["relevant"] for row in given["rows"])
    assert any(row["relevant"] and first(row) is None for row in given["rows"])
    assert any(one is not None and one >= given["cutoff"] for one in firsts)
    assert 0 in firsts
    assert all(len({*row[kind]}) == len(row[kind]) for row in given["rows"] for kind in ("relevant", "retrieved"))


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_of_the_rows_to_practise_on_are_wrong_on_the_rows_to_be_graded_on(seed: str, grader: Any) -> None:
    form, bundle = built(seed)
    given = retrieval(bundle)
    hidden = {"cutoff": given["cutoff"], "rows": grader.rows(form.random("rows to be graded on"), given["cutoff"])}
    measures: list[Callable[..., float]] = [grader.recall, grader.mrr]
    for measure in measures:
        assert abs(measure(**hidden) - measure(**given)) > 1e-3
        assert 0.05 < measure(**hidden) < 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_the_naive_way_is_wrong_about_some_ordinary_text(seed: str, grader: Any) -> None:
    asked = grader.ordinary_texts(built(seed)[0])

    def naive(text: str, size: int, overlap: int) -> list[str]:
        words = text.split()
        return [" ".join(words[start : start + size]) for start in range(0, len(words), size - overlap)]

    wrong = [one for one in asked if naive(*one) != grader.expected(*one)]
    assert 3 <= len(wrong) <= len(asked) - 3


def test_what_is_asked_differs_from_form_to_form_and_is_the_same_each_time(grader: Any) -> None:
    for ask in (grader.ordinary_texts, grader.special_cases, grader.refusals):
        first, again, other = (ask(built(seed)[0]) for seed in ("1", "1", "2"))
        assert first == again
        assert first != other


def test_the_examples_that_candidates_run_pass_with_the_perfect_solution_only(tmp_path: Path) -> None:
    for name, content in built("1")[1].files.items():
        (tmp_path / name).write_bytes(content)

    assert read_challenge(FOLDER).manifest.check == ("python3", "check.py")

    def run() -> tuple[int, str]:
        done = subprocess.run([sys.executable, "check.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()[-1]

    assert run() == (1, "0 of 6 examples")
    (tmp_path / "windows.py").write_bytes((FOLDER / "solutions" / "perfect" / "windows.py").read_bytes())
    assert run() == (0, "6 of 6 examples")


def test_its_code_has_no_type_error(tmp_path: Path) -> None:
    """A challenge's folder is no package by its name: it is looked at as one that is."""
    package = tmp_path / "warm_up"
    package.mkdir()
    for name in ("grader.py", "generator.py"):
        (package / name).write_bytes((FOLDER / name).read_bytes())
    (package / "__init__.py").touch()
    rules = ["--config-file", str(PROJECT / "pyproject.toml"), "--cache-dir", str(PROJECT / ".mypy_cache")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mypy", *rules, str(package)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.docker
def test_it_is_proved() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", "check", "challenges/warm-up", "--forms", "1", "--json"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    proof = json.loads(done.stdout)
    assert (done.returncode, proof["problems"], proof["ok"]) == (0, [], True)
    landed = {row["name"]: row["total"] for row in proof["solutions"] if row["form"] == "1"}
    assert landed["perfect"] == 80
    assert {landed[name] for name in landed if name.startswith("cheat-")} == {0}
    assert sum(name.startswith("cheat-") for name in landed) >= 5
    assert landed["never-ends"] == landed["wrong"] == 0
    assert proof["left_out"] == {}
    assert all(row["holds"] for row in proof["planted"])
