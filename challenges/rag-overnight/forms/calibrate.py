"""Measures a form, and refuses those by which nobody should be judged.

calibration = calibrate(plan)                  scoring.score.Calibration, or FormUnfit
calibrate(plan, more=(tickets_reproduce,))     with gates that others have
calibration.to_json()
"""

from collections.abc import Sequence
from math import fsum
from typing import Final

from graders.equating import Curve

from ..scoring.score import Calibration, Economy, HiddenWorld
from ..scoring.witnesses import choose
from .gates import GATES, Gate, Lattice
from .plan import Plan

__all__ = ["calibrate", "rising"]

LEAST_RISE: Final = 0.5  # of the curve for each repair: where it lay flat, a starter would be worth a repair


def calibrate(plan: Plan, more: Sequence[Gate] = (), lattice: Lattice | None = None) -> Calibration:
    measured = lattice or Lattice(plan)
    for gate in (*GATES, *more):
        gate(plan, measured)
    return Calibration(
        worlds=tuple(
            HiddenWorld(noop=measured.strata(measured.none, place), oracle=measured.strata(measured.all, place))
            for place in measured.places
        ),
        curve=Curve(points=rising(_by_number(measured))),
        economy=_economy(measured),
        witnesses=_witnesses(plan, measured),
    )


def rising(scores: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """From the raw scores with 0, 1, 2, ... faults mended, a curve that rises with each of them.

    Where means fall they are pooled, which is the nearest curve that does not fall.
    """
    pools: list[tuple[float, int, int]] = []  # mean, weight, how many points
    for found in scores:
        pools.append((fsum(found) / len(found), len(found), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, weight, points), (other, more, others) = pools[-2:]
            pools[-2:] = [((one * weight + other * more) / (weight + more), weight + more, points + others)]
    means = [mean for mean, _, points in pools for _ in range(points)]
    last = len(means) - 1
    return tuple(LEAST_RISE * place + mean * (1 - LEAST_RISE * last / 100) for place, mean in enumerate(means))


def _by_number(lattice: Lattice) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in range(len(lattice.all) + 1)]
    for mended, place in lattice.nodes():
        found[len(mended)].append(min(100.0, max(0.0, lattice.raw(mended, place))))
    return found


def _economy(lattice: Lattice) -> Economy:
    whole = [lattice.run(lattice.all, place) for place in lattice.places]
    questions = sum(run.questions for run in whole)
    return Economy(
        prompt_tokens=sum(run.spent.prompt_tokens for run in whole) / questions,
        cost=sum(run.spent.cost for run in whole) / questions,
    )


def _witnesses(plan: Plan, lattice: Lattice) -> dict[str, tuple[str, ...]]:
    """Of all hidden worlds together: no question has the same id in two of them."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(sorted(plan.keys), ())
    for place in lattice.places:
        alone = {key: lattice.run(lattice.all - {key}, place).measures for key in found}
        mended = {
            key: lattice.run(frozenset({key}), place).measures for key in found if lattice.home(key).name == place.name
        }
        for key, names in choose(lattice.run(lattice.all, place).measures, alone, mended).items():
            found[key] += names
    return found
