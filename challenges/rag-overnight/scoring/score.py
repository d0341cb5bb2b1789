"""From measures to credit for the recovery, on the scale of the form.

    calibration = Calibration(worlds=(HiddenWorld(noop=..., oracle=...), ...), curve=..., ...)   when a form is made
    found = recovery([measured_of_the_first_world.strata, None], calibration)                    None: never came up
    found.credit

A stratum counts by the share of its damage that was undone, wherever there was damage. Where there was none, nothing is
to be won, and what falls there is taken off: whoever mends one thing and breaks another has not recovered it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Annotated, Final

from pydantic import Field

from graders.contract import Message
from graders.equating import Curve

__all__ = ["WEIGHTS", "Calibration", "Economy", "HiddenWorld", "Recovery", "damaged", "raw", "recovery"]

# Paraphrases alone show whether the dense arm works: codes and names let the sparse one rescue all other strata.
WEIGHTS: Final[Mapping[str, float]] = {
    "prose": 1.0, "table": 1.0, "bulletin": 1.0, "error": 1.0, "para": 2.5, "tenant": 1.0, "forbidden": 1.0,
    "unans": 1.0, "nearmiss": 1.0, "xcache": 1.2, "fresh": 1.0, "inject": 1.0, "twin": 1.0,
    "cite": 1.0, "noleak": 1.5, "nostale": 1.0,
}  # fmt: skip
LEAST_DAMAGE: Final = 0.10  # below, noise would be divided by next to nothing
WORST: Final = -0.2  # of one damaged stratum, so that a single one cannot undo all others
FORGIVEN: Final = 0.03  # of an undamaged stratum: a question or two
FALL_OF_ONE: Final = 0.5  # an undamaged stratum that falls by this much takes off what a damaged one can win

Share = Annotated[float, Field(ge=0, le=1)]


class HiddenWorld(Message):
    """What the starter and the reference solution reach in one hidden world, by stratum."""

    noop: dict[str, Share]
    oracle: dict[str, Share]


class Economy(Message):
    """What the reference solution spends at the gateway for one question."""

    prompt_tokens: float = Field(gt=0)
    cost: float = Field(gt=0)


class Calibration(Message):
    """What is measured once, when a form is made."""

    worlds: tuple[HiddenWorld, ...] = Field(min_length=1)
    curve: Curve
    economy: Economy
    witnesses: dict[str, tuple[str, ...]]  # by fault: checks that tell whether it is live, see witnesses.py


@dataclass(frozen=True, slots=True)
class Recovery:
    credit: float
    raws: tuple[float, ...]  # by world
    equated: tuple[float, ...]


def damaged(noop: Mapping[str, float], oracle: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(name for name in WEIGHTS if name in noop and _damage(name, noop, oracle) >= LEAST_DAMAGE)


def _damage(name: str, noop: Mapping[str, float], oracle: Mapping[str, float]) -> float:
    return round(oracle[name] - noop[name], 9)  # 1 - 0.9 is a tenth, whatever binary fractions make of it


def raw(measured: Mapping[str, float], noop: Mapping[str, float], oracle: Mapping[str, float]) -> float:
    """100 is the reference solution and 0 the starter. It is less than 0 when more was broken than mended."""
    if noop.keys() != oracle.keys():
        raise ValueError("raw: starter and reference solution were measured in different strata")
    if unknown := sorted(noop.keys() - WEIGHTS.keys()):
        raise ValueError(f"raw: {unknown[0]}: is a stratum without a weight")
    to_recover = damaged(noop, oracle)
    if not to_recover:
        raise ValueError("raw: the starter is as good as the reference solution in every stratum: the form is unfit")
    won, lost = [], []
    for name, weight in WEIGHTS.items():
        if name not in noop:
            continue
        found = measured.get(name, 0.0)
        if name in to_recover:
            share = (found - noop[name]) / (oracle[name] - noop[name])
            won.append(weight * min(1.0, max(WORST, share)))
        else:
            lost.append(weight * max(0.0, oracle[name] - found - FORGIVEN) / FALL_OF_ONE)
    return 100 * (fsum(won) - fsum(lost)) / fsum(WEIGHTS[name] for name in to_recover)


def recovery(measured: Sequence[Mapping[str, float] | None], calibration: Calibration) -> Recovery:
    """One entry for each hidden world of the form, in order; None where the service did not come up at all."""
    if len(measured) != len(calibration.worlds):
        raise ValueError(f"recovery: {len(measured)} worlds were measured and {len(calibration.worlds)} calibrated")
    raws = tuple(
        0.0 if found is None else raw(found, world.noop, world.oracle)
        for found, world in zip(measured, calibration.worlds, strict=True)
    )
    equated = tuple(calibration.curve.equate(max(0.0, one)) for one in raws)
    return Recovery(credit=fsum(equated) / len(equated) / 100, raws=raws, equated=equated)
