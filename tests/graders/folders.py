"""A small challenge as a folder, to be broken in one place at a time."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Final

from graders.challenge import Challenge, read_challenge

MANIFEST: Final = """
title = "Sums"
summary = "Add two numbers."
version = "1.0.0"
minutes = 30
expert_minutes = [5, 10]
deliverables = ["sum.py", "notes.md"]
grading_seconds = 20

[parts.code]
title = "Code"
points = 80

[parts.notes]
title = "Notes"
points = 20
"""
RUBRIC: Final = """
[criteria.adds]
title = "It adds"
points = 50
judged_by = "tests"
part = "code"

[criteria.refuses]
title = "It refuses texts"
points = 30
judged_by = "tests"
part = "code"

[criteria.reason]
title = "Says why"
points = 20
judged_by = "model"
part = "notes"
deliverable = "notes.md"
asks = "Is there a reason?"
met = ["Because of rounding."]
not_met = ["It is better."]
"""
GRADER: Final = """
from graders import Finding

def grade(submission, sandbox):
    yield Finding(criterion="adds", credit=1, reason="it adds")
    yield Finding(criterion="refuses", credit=0.5, reason="it refuses some")
"""
EXPECT: Final = """
kind = "perfect"
total = [60, 80]
why = "It does all that tests look at."
"""


def write_files(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    """None removes a file."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())


def write_sums(folder: Path, files: Mapping[str, str | bytes | None] | None = None) -> Path:
    """The folder of the challenge `sums`, with `files` instead of some of its own."""
    place = folder / "sums"
    write_files(
        place,
        {
            "challenge.toml": MANIFEST,
            "rubric.toml": RUBRIC,
            "brief.md": "# Sums\n\nAdd.\n",
            "grader.py": GRADER,
            "starter/sum.py": "def add(a, b): ...\n",
            "starter/README.md": "Read the brief.\n",
            "private/answers.json": "[3, 5]\n",
            "solutions/good/sum.py": "def add(a, b): return a + b\n",
            "solutions/good/expect.toml": EXPECT,
        },
    )
    write_files(place, files or {})
    return place


def sums(folder: Path, files: Mapping[str, str | bytes | None] | None = None) -> Challenge:
    return read_challenge(write_sums(folder, files))
