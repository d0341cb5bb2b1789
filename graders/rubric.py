"""What a challenge may say of itself: the shapes of challenge.toml, rubric.toml, interview.toml and expect.toml.

Pure data: reading the folder is graders.challenge, adding up points is graders.scoring.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from graders.contract import Key, Message, RoomLimits

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
Note = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)]  # a sentence that may be missing
PerhapsNothing = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)]


class Judge(StrEnum):
    TESTS = "tests"  # the challenge's grader
    MODEL = "model"  # an LLM, criterion by criterion; a person where none is configured
    PERSON = "person"


class Kind(StrEnum):
    CORE = "core"
    MUST = "must"  # core, and a person looks at it when it is not met
    BONUS = "bonus"  # its points are added, up to the challenge's total
    RED_FLAG = "red flag"  # has no points; credit 0 says that the flag is up, 1 that there is none


class Criterion(Message):
    title: Sentence
    points: float = Field(ge=0, le=100)
    judged_by: Judge
    part: Key
    kind: Kind = Kind.CORE
    asks: PerhapsNothing = Field("", description="What is looked at, for reviewer and judge.")
    evidence: PerhapsNothing = Field("", description="What has to be shown for the verdict.")
    deliverable: str = Field("", description="The file that a model or a person reads.")
    met: tuple[Sentence, ...] = ()
    not_met: tuple[Sentence, ...] = ()


class Rubric(Message):
    criteria: dict[Key, Criterion] = Field(min_length=1, max_length=200)


class Questions(Message):
    """interview.toml, under a criterion's name: what to ask whoever earned it, and whoever missed it."""

    earned: tuple[Sentence, ...] = ()
    missed: tuple[Sentence, ...] = ()


class Part(Message):
    """A section of the score, as candidates see it before they start."""

    title: Sentence
    points: float = Field(gt=0, le=100)


class Cap(Message):
    """The total is at most `at_most` while the credit of `criterion` is below `below`."""

    criterion: Key
    at_most: float = Field(ge=0, le=100)
    below: float = Field(0.5, gt=0, le=1)
    confirmed_by: Literal["nobody", "person"] = "nobody"  # person: until somebody looked, the total is an interval
    reason: Sentence


class SubmissionLimits(Message):
    files: int = Field(200, ge=1, le=5000)
    total_kb: int = Field(2048, ge=1, le=65536)


class Manifest(Message):
    """challenge.toml"""

    title: Sentence
    summary: Sentence
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    minutes: int = Field(ge=1, le=2880, description="On the candidate's clock.")
    expert_minutes: tuple[int, int] = Field(description="How long somebody who can do it needs: from, to.")
    deliverables: tuple[str, ...] = Field(min_length=1, description="Files or folders that are handed in.")
    image: Key = "python"
    grading_seconds: int = Field(300, ge=5, le=3600, description="The grader may take so long, all in all.")
    calibration_seconds: int = Field(300, ge=5, le=3600, description="Calibrating one form may take so long.")
    check: tuple[str, ...] = Field((), max_length=100, description="What candidates run to try their work; none: ().")
    check_seconds: int = Field(30, ge=1, le=600, description="That it may take, by the clock.")
    sidecars: tuple[Key, ...] = ()
    parts: dict[Key, Part] = Field(min_length=1)
    caps: tuple[Cap, ...] = ()
    limits: RoomLimits = RoomLimits()
    submission: SubmissionLimits = SubmissionLimits()


class Expectation(Message):
    """solutions/<name>/expect.toml: where a reference solution must land, and why."""

    kind: Literal["perfect", "good", "partial", "naive", "empty", "broken", "cheat"]
    total: tuple[float, float]
    why: Sentence
    criteria: dict[Key, tuple[float, float]] = Field({}, description="Bounds of single credits, where they matter.")
