"""What a candidate may read about a grading: what each criterion earned, and why. Pure.

A finding is written for a reviewer, and its evidence names what was expected: whoever shows it gives hidden questions
away. So of the evidence only quotes of the candidate's own files are shown, and of the rubric only what the criteria
are called: what is looked at, examples of good and bad answers, and questions for the conversation stay with those who
judge. A red flag that is not up is not mentioned, and one that is up is a suspicion until a person has looked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from graders import scoring
from graders.contract import Evidence, Finding
from graders.rubric import Criterion, Kind, Manifest, Rubric
from graders.scoring import CriterionScore

__all__ = ["Credit", "Feedback", "Part", "Quote", "Row", "tell"]

MOST_QUOTES: Final = 3  # of one criterion
LEAST_QUOTED: Final = 12  # characters: an expected value may stand in the file by chance, a sentence does not
FULL: Final = 1 - 1e-9


class Credit(StrEnum):
    MET = "met"
    PARTLY = "partly met"
    NOT_MET = "not met"
    OPEN = "open"  # nobody has judged it yet, and that is no zero


@dataclass(frozen=True, slots=True)
class Quote:
    """From a file that the candidate handed in."""

    file: str
    line: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    title: str
    credit: Credit
    share: float | None
    low: float  # points that are earned; both ends when it is open
    high: float
    most: float
    is_bonus: bool
    reason: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    low: float
    high: float
    most: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Feedback:
    low: float
    high: float
    most: float
    parts: tuple[Part, ...]
    caps: tuple[str, ...]  # why the total is at most so much, each a sentence
    flags: tuple[str, ...]  # titles of what a person has to look at before it means anything
    open: int  # criteria


def tell(
    manifest: Manifest, rubric: Rubric, findings: Iterable[Finding], files: Mapping[str, bytes | None]
) -> Feedback:
    """`files`: what the candidate handed in, as far as findings quote it."""
    told = {finding.criterion: finding for finding in findings}
    score = scoring.score(manifest, rubric, told.values())
    scored = {key: one for key, one in rubric.criteria.items() if one.kind is not Kind.RED_FLAG}
    return Feedback(
        low=score.low,
        high=score.high,
        most=score.max,
        parts=tuple(
            Part(
                title=part.title,
                low=part.low,
                high=part.high,
                most=part.max,
                rows=tuple(
                    _row(one, scored[one.key], told.get(one.key), files) for one in part.criteria if one.key in scored
                ),
            )
            for part in score.parts
        ),
        caps=tuple(cap.reason for cap in score.caps if cap.certain),
        flags=tuple(rubric.criteria[key].title for key in score.flags),
        open=sum(key in scored for key in score.open),
    )


def _row(
    earned: CriterionScore, criterion: Criterion, finding: Finding | None, files: Mapping[str, bytes | None]
) -> Row:
    return Row(
        key=earned.key,
        title=criterion.title,
        credit=_credit(earned.credit),
        share=earned.credit,
        low=earned.low,
        high=earned.high,
        most=earned.max,
        is_bonus=criterion.kind is Kind.BONUS,
        reason=finding.reason if finding else "",
        quotes=_quotes(finding.evidence if finding else (), files),
    )


def _credit(credit: float | None) -> Credit:
    if credit is None:
        return Credit.OPEN
    if credit >= FULL:
        return Credit.MET
    return Credit.PARTLY if credit > 0 else Credit.NOT_MET


def _quotes(evidence: Iterable[Evidence], files: Mapping[str, bytes | None]) -> tuple[Quote, ...]:
    """Only what stands word for word in the file that it names: then the candidate knows it already."""
    own = [one for one in evidence if one.file and _stands_in(one.text, files.get(one.file))]
    return tuple(Quote(str(one.file), one.line, one.text) for one in own[:MOST_QUOTES])


def _stands_in(text: str, content: bytes | None) -> bool:
    said = text.strip().encode()
    return len(said) >= LEAST_QUOTED and content is not None and said in content
