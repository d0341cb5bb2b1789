"""Five habits that keep a repair repaired.

    marks = {Habit.IDEMPOTENT: Mark(kept=True), Habit.TESTS: Mark(kept=False, note="none of them fails on the starter")}
    graded({**marks, ...}, recovered=0.72)

Each was kept or not, each is worth as much as any other, and each needs a mark. They count when at least one fault in
eight is mended or so: what was handed out has some of them already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["LEAST_RECOVERY", "Habit", "Hygiene", "Mark", "graded"]

LEAST_RECOVERY: Final = 0.10


class Habit(StrEnum):
    """The words are those that a candidate reads."""

    IDEMPOTENT = "a second ingest leaves the same index"
    NO_REMAINS = "nothing of the broken nights is left in the state"
    TESTS = "tests of your own pass, and at least one fails on what you were given"
    INCREMENTAL = "an incremental ingest leaves the same index as a full one"
    CLEAN = "ingests and serves from the files as they were handed in"


@dataclass(frozen=True, slots=True)
class Mark:
    kept: bool
    note: str = ""  # why not, where it is known; a candidate may read it


@dataclass(frozen=True, slots=True)
class Hygiene:
    credit: float
    kept: tuple[Habit, ...]
    missed: tuple[tuple[Habit, str], ...]
    counted: bool


def graded(marks: Mapping[Habit, Mark], *, recovered: float) -> Hygiene:
    if missing := [habit.name for habit in Habit if habit not in marks]:
        raise ValueError(f"hygiene: {missing[0]}: has no mark")
    kept = tuple(habit for habit in Habit if marks[habit].kept)
    missed = tuple((habit, marks[habit].note) for habit in Habit if not marks[habit].kept)
    counted = recovered >= LEAST_RECOVERY
    return Hygiene(len(kept) / len(Habit) if counted else 0.0, kept, missed, counted)
