"""Adds up points: rubric x findings gives a score. Pure, and never stored: a score is computed whenever it is shown.

What is open (no finding, or one without credit) counts as everything between nothing and its full points. So a score
is an interval, and judging one more criterion only ever makes it narrower.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Final

from graders.contract import Finding
from graders.rubric import Cap, Criterion, Kind, Manifest, Rubric

__all__ = ["BANDS", "AppliedCap", "CriterionScore", "PartScore", "Score", "band", "score", "spelled"]

MOST: Final = 100.0
MET: Final = 0.5  # below this a must criterion is not met, and a red flag is up
BANDS: Final = (("A", 80.0), ("B", 60.0), ("C", 40.0), ("D", 0.0))
DECIMALS: Final = 6  # 0.8 of 100 points is 80 and in band A, whatever binary fractions make of it


@dataclass(frozen=True, slots=True)
class CriterionScore:
    key: str
    kind: Kind
    credit: float | None
    low: float
    high: float
    max: float


@dataclass(frozen=True, slots=True)
class PartScore:
    """A section. `low` and `high` may be above `max` by what its bonus criteria earned."""

    key: str
    title: str
    low: float
    high: float
    max: float
    criteria: tuple[CriterionScore, ...]


@dataclass(frozen=True, slots=True)
class AppliedCap:
    """The total is at most `at_most`; unless `certain`, only if a criterion or a person says so."""

    criterion: str
    at_most: float
    reason: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Score:
    low: float
    high: float
    max: float
    parts: tuple[PartScore, ...]
    caps: tuple[AppliedCap, ...]
    open: tuple[str, ...]  # criteria that nobody has judged yet
    flags: tuple[str, ...]  # red flags that are up
    to_confirm: tuple[str, ...]  # criteria that a person has to look at: a must that is missed, a cap that needs it

    @property
    def is_provisional(self) -> bool:
        return self.low < self.high

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that the total may be in, the lowest first."""
        names = [name for name, _ in reversed(BANDS)]
        return tuple(names[names.index(band(self.low)) : names.index(band(self.high)) + 1])


def band(points: float) -> str:
    return next((name for name, least in BANDS if points >= least), BANDS[-1][0])


def score(
    manifest: Manifest, rubric: Rubric, findings: Iterable[Finding], confirmed: Collection[str] = frozenset()
) -> Score:
    """The score of one grading. `confirmed`: criteria whose finding a person has looked at and agrees with."""
    earned = _credits(rubric, findings)
    parts = tuple(
        _part(key, part.title, part.points, [_criterion(*one, earned) for one in _criteria_of(rubric, key)])
        for key, part in manifest.parts.items()
    )
    caps = tuple(found for cap in manifest.caps if (found := _applied(cap, earned, confirmed)) is not None)
    low, high = (min(MOST, fsum(ends)) for ends in ([part.low for part in parts], [part.high for part in parts]))
    return Score(
        low=round(min([low, *(cap.at_most for cap in caps)]), DECIMALS),
        high=round(min([high, *(cap.at_most for cap in caps if cap.certain)]), DECIMALS),
        max=MOST,
        parts=parts,
        caps=caps,
        open=tuple(key for key in rubric.criteria if earned[key] is None),
        flags=_missed(rubric, earned, Kind.RED_FLAG),
        to_confirm=_to_confirm(manifest, rubric, earned, confirmed),
    )


def _credits(rubric: Rubric, findings: Iterable[Finding]) -> dict[str, float | None]:
    earned: dict[str, float | None] = dict.fromkeys(rubric.criteria)
    judged = set()
    for finding in findings:
        if finding.criterion not in earned:
            raise ValueError(f"finding: {finding.criterion}: the rubric has no such criterion")
        if finding.criterion in judged:
            raise ValueError(f"finding: {finding.criterion}: there are two")
        judged.add(finding.criterion)
        earned[finding.criterion] = finding.credit
    return earned


def _criteria_of(rubric: Rubric, part: str) -> list[tuple[str, Criterion]]:
    return [(key, criterion) for key, criterion in rubric.criteria.items() if criterion.part == part]


def _criterion(key: str, criterion: Criterion, earned: Mapping[str, float | None]) -> CriterionScore:
    credit = earned[key]
    least, most = (0.0, 1.0) if credit is None else (credit, credit)
    points = criterion.points
    return CriterionScore(key, criterion.kind, credit, least * points, most * points, points)


def _part(key: str, title: str, points: float, criteria: list[CriterionScore]) -> PartScore:
    low, high = (
        round(fsum(ends), DECIMALS) for ends in ([one.low for one in criteria], [one.high for one in criteria])
    )
    return PartScore(key, title, low, high, points, tuple(criteria))


def _applied(cap: Cap, earned: Mapping[str, float | None], confirmed: Collection[str]) -> AppliedCap | None:
    credit = earned[cap.criterion]
    if credit is not None and credit >= cap.below:
        return None
    certain = credit is not None and (cap.confirmed_by == "nobody" or cap.criterion in confirmed)
    return AppliedCap(cap.criterion, cap.at_most, cap.reason, certain)


def _missed(rubric: Rubric, earned: Mapping[str, float | None], kind: Kind) -> tuple[str, ...]:
    return tuple(
        key
        for key, criterion in rubric.criteria.items()
        if criterion.kind is kind and (credit := earned[key]) is not None and credit < MET
    )


def _to_confirm(
    manifest: Manifest, rubric: Rubric, earned: Mapping[str, float | None], confirmed: Collection[str]
) -> tuple[str, ...]:
    capping = {
        cap.criterion
        for cap in manifest.caps
        if cap.confirmed_by == "person" and (credit := earned[cap.criterion]) is not None and credit < cap.below
    }
    due = {*_missed(rubric, earned, Kind.MUST), *capping}
    return tuple(key for key in rubric.criteria if key in due and key not in confirmed)


def spelled(low: float, high: float | None = None) -> str:
    """Points for somebody to read: both ends of what is open, and no more decimals than tell people apart."""
    ends = [f"{round(points, 2):g}" for points in (low, low if high is None else high)]
    return " to ".join(dict.fromkeys(ends))
