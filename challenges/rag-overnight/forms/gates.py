"""What a form has to be like before somebody is judged by it. The cheap gates come first.

    lattice = Lattice(plan)
    for gate in GATES:
        gate(plan, lattice)             FormUnfit: which gate, and why
    lattice.raw(frozenset({"ING-1"}), place)

    runs        starter and reference solution ingest and serve without an exception
    well        the reference solution is right nearly everywhere
    ill         the starter is neither dead nor healthy
    shows       each fault alone is seen where it should be, and does not drown everything
    pays        mending a fault lowers the score next to never

A lattice is the form's measures with some of its faults mended. What is measured once is remembered.
"""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import fsum
from typing import Final

from graders import FormUnfit

from ..bench.running import Run, night
from ..scoring import score
from ..scoring.measures import CITE, NO_LEAK, NO_STALE
from .plan import Plan
from .worlds import Place

__all__ = ["GATES", "Gate", "Lattice", "ill", "pays", "runs", "shows", "well"]

CHAINS: Final = 3  # orders in which all faults are mended one by one
LEAST_WELL: Final = 0.98  # of a stratum; one question is forgiven in a small one
MEAN_ILL: Final = (0.30, 0.70)  # mean over the starter's strata
LEAST_OWN: Final = 0.20  # that one of its own strata falls by
MEAN_DROP: Final = (0.02, 0.33)  # of all strata
# One question of a stratum that is hardly damaged moves a raw score by three points, in one world.
SETBACK: Final = 3.0  # points of a raw score that a repair may cost
MOST_SETBACKS: Final = 0.05  # of all steps that were looked at
MOST_TOLD: Final = 4  # of them

Mended = frozenset[str]
Gate = Callable[[Plan, "Lattice"], None]


class Lattice:
    def __init__(self, plan: Plan, chains: int = CHAINS) -> None:
        self._plan = plan
        self._runs: dict[tuple[Mended, str], Run] = {}
        self.places = plan.worlds.hidden
        self.none: Mended = frozenset()
        self.all: Mended = plan.keys
        self._chains = _chains(plan.form.random("chains"), sorted(plan.keys), chains)

    def run(self, mended: Mended, place: Place) -> Run:
        key = (mended, place.name)
        if key not in self._runs:
            plan = self._plan
            self._runs[key] = night(plan.undressed(mended), place.world, plan.state(place), models=place.models)
        return self._runs[key]

    def strata(self, mended: Mended, place: Place) -> dict[str, float]:
        return self.run(mended, place).measures.strata

    def raw(self, mended: Mended, place: Place) -> float:
        """0 is the starter and 100 the reference solution."""
        try:
            return score.raw(
                self.strata(mended, place), self.strata(self.none, place), self.strata(self.all, place)
            )  # fmt: skip
        except ValueError as error:
            raise FormUnfit(f"pays: {error}") from None

    def drops(self, key: str) -> dict[str, float]:
        """What a fault takes from each stratum when it is the only one, mean over the hidden worlds."""
        whole = [self.strata(self.all, place) for place in self.places]
        alone = [self.strata(self.all - {key}, place) for place in self.places]
        count = len(self.places)
        return {
            name: fsum(one[name] - other[name] for one, other in zip(whole, alone, strict=True)) / count
            for name in whole[0]
        }

    def home(self, key: str) -> Place:
        """The world in which it is measured what mending a fault first is worth: half of them in each."""
        return self.places[sorted(self.all).index(key) % len(self.places)]

    def climb(self) -> None:
        """Measure all chains, each in one of the worlds in turn."""
        for place, chain in self._placed():
            for mended in chain:
                self.run(mended, place)

    def nodes(self) -> list[tuple[Mended, Place]]:
        """All that was measured, in an order of its own."""
        by_name = {place.name: place for place in self.places}
        known = sorted(self._runs, key=lambda one: (len(one[0]), sorted(one[0]), one[1]))
        return [(mended, by_name[name]) for mended, name in known]

    def steps(self) -> list[tuple[Mended, Mended, Place]]:
        """Pairs of nodes of one world that differ by one repair."""
        nodes = self.nodes()
        return [
            (before, after, place)
            for before, place in nodes
            for after, other in nodes
            if other.name == place.name and before < after and len(after) == len(before) + 1
        ]

    def _placed(self) -> list[tuple[Place, tuple[Mended, ...]]]:
        return [(self.places[number % len(self.places)], chain) for number, chain in enumerate(self._chains)]


def runs(plan: Plan, lattice: Lattice) -> None:  # noqa: ARG001  # as of every gate
    for title, mended in (("reference solution", lattice.all), ("starter", lattice.none)):
        for place in lattice.places:
            for complaint in lattice.run(mended, place).complaints:
                raise FormUnfit(f"runs: {title} in {place.name}: {complaint}")


def well(plan: Plan, lattice: Lattice) -> None:  # noqa: ARG001
    for place in lattice.places:
        measures = lattice.run(lattice.all, place).measures
        for stratum, (right, count) in sorted(measures.right.items()):
            if right < min(count - 1, LEAST_WELL * count):
                raise FormUnfit(f"well: {stratum} in {place.name}: {right} of {count} with all faults mended")
        for stratum in (CITE, NO_LEAK, NO_STALE):
            if measures.strata[stratum] < LEAST_WELL:
                raise FormUnfit(f"well: {stratum} in {place.name}: {measures.strata[stratum]:.3f} with all mended")


def ill(plan: Plan, lattice: Lattice) -> None:  # noqa: ARG001
    for place in lattice.places:
        strata = lattice.strata(lattice.none, place)
        mean = fsum(strata.values()) / len(strata)
        if not MEAN_ILL[0] <= mean <= MEAN_ILL[1]:
            raise FormUnfit(f"ill: {place.name}: the starter's mean over strata is {mean:.2f}")


def shows(plan: Plan, lattice: Lattice) -> None:
    for chosen in plan.chosen:
        drops = lattice.drops(chosen.key)
        own = max(drops[stratum] for stratum, _ in chosen.fault.detectors)
        mean = fsum(drops.values()) / len(drops)
        if own < LEAST_OWN or not MEAN_DROP[0] <= mean <= MEAN_DROP[1]:
            raise FormUnfit(
                f"shows: {chosen.key}:{chosen.variant.kind} alone lowers its own strata by {own:.2f} at most "
                f"and the mean by {mean:.3f}"
            )


def pays(plan: Plan, lattice: Lattice) -> None:
    for key in sorted(plan.keys):
        lattice.run(frozenset({key}), lattice.home(key))
    lattice.climb()
    steps = lattice.steps()
    costs = [
        (lattice.raw(before, place) - lattice.raw(after, place), before, after, place) for before, after, place in steps
    ]
    setbacks = [one for one in costs if one[0] > SETBACK]
    if len(setbacks) > MOST_SETBACKS * len(steps):
        worst = sorted(setbacks, key=lambda one: -one[0])[:MOST_TOLD]
        told = [
            f"{''.join(after - before)} after {len(before)} others in {place.name} costs {cost:.0f}"
            for cost, before, after, place in worst
        ]
        raise FormUnfit(f"pays: {len(setbacks)} of {len(steps)} repairs cost points: {', '.join(told)}")


GATES: Final[Sequence[Gate]] = (runs, well, ill, shows, pays)


def _chains(chance: random.Random, keys: Sequence[str], count: int) -> tuple[tuple[Mended, ...], ...]:
    found = []
    for _ in range(count):
        order = chance.sample(keys, len(keys))
        sets = [frozenset(order[:mended]) for mended in range(len(order) + 1)]
        found.append(tuple(after for _, after in pairwise(sets)))
    return tuple(found)
