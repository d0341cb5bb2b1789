"""Grades the warm-up: asks the function, runs the notebook on other rows, and compares out here."""

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from graders import Finding, Form, Submission, calls, notebooks, strict
from sandbox import Limits, Room, Sandbox

from .generator import cutoff_of, rows

WORDS: Final = (
    "agent", "answer", "batch", "cache", "chunk", "dense", "drift", "embed", "fusion", "graph", "index", "ingest",
    "judge", "label", "latency", "metric", "naïve", "offset", "parse", "query", "rank", "recall", "schema", "score",
    "shard", "sparse", "tenant", "token", "vector", "window", "über", "ölig",
)  # fmt: skip
BLANKS: Final = ("  ", "\t", "\n", " \n\n ", "\r\n")

Call = tuple[str, int, int]  # text, size, overlap


def grade(submission: Submission, sandbox: Sandbox) -> Iterator[Finding]:
    form, limits = submission.form, submission.limits
    retrieval: dict[str, Any] = {
        "cutoff": cutoff_of(form),
        "rows": rows(form.random("rows to be graded on"), cutoff_of(form)),
    }
    files = {**submission.files, "retrieval.json": json.dumps(retrieval).encode()}
    with sandbox.open(files=files, limits=limits) as room:
        ordinary = ask(room, limits, ordinary_texts(form))
        yield ordinary.finding("ordinary-texts")
        yield depending("special-cases", ordinary, ask(room, limits, special_cases(form)) if ordinary.right else None)
        yield depending("refusals", ordinary, ask(room, limits, refusals(form)) if ordinary.right else None)
        ran = run_notebook(room, submission)
    for name, value in {"recall": recall(**retrieval), "mrr": mrr(**retrieval)}.items():
        yield notebooks.credit(ran, {name: value}, tolerance=1e-6).finding(name)


# ----------------------------------------------------------------------------------------------------- the function


def ask(room: Room, limits: Limits, given: list[Call]) -> strict.Comparison:
    answers = calls.call_in(room, "windows.py:split", given, limits, seconds_each=1, seconds_all=5)
    return calls.credit(answers, [expected(*one) for one in given])


def expected(text: str, size: int, overlap: int) -> list[str] | calls.Raises:
    if size < 1 or not 0 <= overlap < size:
        return calls.Raises("ValueError")
    words, windows, start = text.split(), [], 0
    while start < len(words):
        windows.append(" ".join(words[start : start + size]))
        if start + size >= len(words):
            break
        start += size - overlap
    return windows


def ordinary_texts(form: Form) -> list[Call]:
    """Longer than one window. In every other one, a further step would begin within the last window."""
    chance = form.random("ordinary texts")
    made = []
    for number in range(12):
        size = chance.randint(3, 12)
        overlap = chance.randint(1, size - 2)
        step = size - overlap
        last = size if number % 2 else chance.randint(overlap + 1, size)  # words in the last window
        count = step * chance.randint(1, 4) + last
        made.append((some_text(chance, count), size, overlap if number % 5 else 0))
    return made


def special_cases(form: Form) -> list[Call]:
    chance = form.random("special cases")
    size = chance.randint(4, 9)
    spaced = chance.choice(BLANKS).join(chance.choices(WORDS, k=2 * size))
    return [
        ("", size, 1),
        (chance.choice(BLANKS), size, 0),
        (some_text(chance, 1), size, size - 1),
        (some_text(chance, size - 2), size, 2),
        (some_text(chance, size), size, size - 1),
        (some_text(chance, size + 1), size, size - 1),
        (some_text(chance, 3), 1, 0),
        (f" {spaced}\n", size, 1),
    ]


def refusals(form: Form) -> list[Call]:
    """One of them is no reason to refuse."""
    chance = form.random("refusals")
    text, size = some_text(chance, 12), chance.randint(3, 8)
    asked = [(text, 0, 0), (text, -size, 0), (text, size, size), (text, size, size + 2), (text, size, -1), ("", 0, 0)]
    return [*asked, (text, size, size - 1)]


def some_text(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


def depending(criterion: str, ordinary: strict.Comparison, found: strict.Comparison | None) -> Finding:
    """Whoever refuses everything, or finds no window anywhere, is right about some of these by accident."""
    if found is None:
        return Finding(criterion=criterion, credit=0, reason="not asked, since no ordinary text came out right")
    return Finding(
        criterion=criterion,
        credit=found.fraction * ordinary.fraction,
        reason=f"{found.reason}, counted as far as ordinary texts are ({ordinary.right} of {ordinary.asked})",
        evidence=found.evidence,
    )


# ----------------------------------------------------------------------------------------------------- the notebook


def run_notebook(room: Room, submission: Submission) -> notebooks.Executed:
    names = ["recall", "mrr"]
    try:
        notebook = notebooks.read(submission.files.get("evaluate.ipynb", b""))
    except notebooks.NotebookUnreadable as error:
        return notebooks.Executed(failure=str(error), missing=dict.fromkeys(names, str(error)))
    return notebooks.execute_in(room, notebook, submission.limits, values=names, cell_seconds=5)


def recall(cutoff: int, rows: list[dict[str, Any]]) -> float:
    asked = [row for row in rows if row["relevant"]]
    return sum(len({*row["relevant"]} & {*row["retrieved"][:cutoff]}) / len(row["relevant"]) for row in asked) / len(
        asked
    )


def mrr(cutoff: int, rows: list[dict[str, Any]]) -> float:
    asked = [row for row in rows if row["relevant"]]
    total = 0.0
    for row in asked:
        ranks = [rank for rank, name in enumerate(row["retrieved"][:cutoff], 1) if name in row["relevant"]]
        total += 1 / ranks[0] if ranks else 0
    return total / len(asked)
