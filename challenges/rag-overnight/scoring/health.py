"""Grades a health check by what it said about bundles that are healthy and bundles that are not.

    graded(bundles, {"b-01": [], "b-02": [{"stage": "embed", "severity": "error", "reason": "..."}], ...}).credit

Half of what a broken bundle is worth is for the alarm, half for the stage that it names. Alarms on healthy bundles are
taken off, so a check that always cries is worth as little as one that never does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .stages import stage_of

__all__ = ["Bundle", "Health", "graded"]

SEVERITIES: Final[Mapping[str, bool]] = {  # whether somebody is called
    "ok": False, "pass": False, "debug": False, "info": False, "notice": False,
    "low": False,
    "warn": True, "warning": True, "error": True, "critical": True, "fatal": True, "alert": True,
    "medium": True, "high": True,
}  # fmt: skip
FOR_THE_ALARM: Final = 0.5
FOR_THE_STAGE: Final = 0.5
MOST_STAGES: Final = 3  # that one bundle's alarms may name; who names all of them has found none
MOST_FINDINGS: Final = 200
LONGEST_WORD: Final = 100


@dataclass(frozen=True, slots=True)
class Bundle:
    """A snapshot that a check looks at."""

    name: str
    faulty: bool
    stage: str | None = None  # where its fault lies; None: in no single stage, and any will do


@dataclass(frozen=True, slots=True)
class Heard:
    """What the check said about one bundle."""

    bundle: Bundle
    alarmed: bool
    located: bool
    complaint: str = ""  # why its output says nothing


@dataclass(frozen=True, slots=True)
class Health:
    credit: float
    hits: float  # of broken bundles, with the stage counted in
    false_alarms: float  # of healthy bundles
    heard: tuple[Heard, ...]

    def of(self, *, faulty: bool) -> list[Heard]:
        return [one for one in self.heard if one.bundle.faulty is faulty]


def graded(bundles: Sequence[Bundle], outputs: Mapping[str, Any]) -> Health:
    """`outputs`: parsed JSON by the bundle's name; what is missing there gave none."""
    heard = tuple(_heard(bundle, outputs) for bundle in bundles)
    broken = [one for one in heard if one.bundle.faulty]
    healthy = [one for one in heard if not one.bundle.faulty]
    if not broken or not healthy:
        raise ValueError("health check: needs bundles that are broken and bundles that are not")
    hits = sum(FOR_THE_ALARM * one.alarmed + FOR_THE_STAGE * one.located for one in broken) / len(broken)
    false_alarms = sum(one.alarmed for one in healthy) / len(healthy)
    return Health(max(0.0, hits - false_alarms), hits, false_alarms, heard)


def _heard(bundle: Bundle, outputs: Mapping[str, Any]) -> Heard:
    if bundle.name not in outputs:
        return _broken(bundle, "it gave no output")
    found = outputs[bundle.name]
    if type(found) is not list:
        return _broken(bundle, "its output is no list")
    if len(found) > MOST_FINDINGS:
        return _broken(bundle, f"its output is a list of {len(found)}, and {MOST_FINDINGS} are the most")
    stages = []
    for one in found:
        if type(one) is not dict:
            return _broken(bundle, "its output holds something that is no object")
        severity = _word(one.get("severity"))
        if severity not in SEVERITIES:
            return _broken(bundle, "its output holds a severity that is none of ours")
        if SEVERITIES[severity]:
            stages.append(stage_of(_word(one.get("stage"))))
    few = len(set(stages)) <= MOST_STAGES
    located = bool(stages) and few and (bundle.stage is None or bundle.stage in stages)
    return Heard(bundle, alarmed=bool(stages), located=located)


def _broken(bundle: Bundle, complaint: str) -> Heard:
    """A check that breaks is no all-clear, and no alarm either: on every bundle it is the wrong one of both."""
    return Heard(bundle, alarmed=not bundle.faulty, located=False, complaint=complaint)


def _word(value: Any) -> str:
    return value.strip().casefold() if type(value) is str and len(value) <= LONGEST_WORD else ""
