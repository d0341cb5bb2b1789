"""Eight faults for a form, each in one of its kinds, so that all of them go together.

blueprint = draw(chance, FAULTS)
blueprint.starter, blueprint.oracle, blueprint.tree(frozenset({"ING-1"}))
blueprint.signature                         "ACL-1:code CCH-2:state ..."
blueprint.dialects, blueprint.poisoned(state, chances)
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..bench.signatures import poisoned
from ..faults.model import Edit, Fault, Kind, Misfit, Variant, apply

__all__ = ["COUNT", "Blueprint", "Chosen", "admissible", "draw"]

COUNT: Final = 8
MONITOR: Final = "monitor"  # the stage of what is not scored by questions
# Alone they break so much that another repair beside them may cost points. They are in health-check bundles only.
OVERWHELMING: Final = frozenset({"PRM-1", "IDX-3"})
LEVELS: Final = (17, 17)  # the sum over a form, least and most
STAGES: Final = 6  # different ones, at least
LEAST_OF: Final[Sequence[tuple[int, frozenset[str]]]] = (
    (1, frozenset({"access", "cache"})),
    (2, frozenset({"ingest", "chunk"})),
    (1, frozenset({"embed", "index"})),
    (1, frozenset({"retrieve", "rerank"})),
    (1, frozenset({"prompt", "cite", "security"})),
)
NOT_IN_CODE: Final = 4  # variants of kind state or feed, at least
TRIES: Final = 20_000
KINDS_TRIED: Final = 40  # for one set of faults


@dataclass(frozen=True, slots=True)
class Chosen:
    fault: Fault
    variant: Variant

    @property
    def key(self) -> str:
        return self.fault.key


@dataclass(frozen=True)
class Blueprint:
    chosen: tuple[Chosen, ...]  # in the order of their keys
    healthy: Mapping[str, bytes]  # the published repository
    monitor: Chosen | None = None

    @property
    def everything(self) -> tuple[Chosen, ...]:
        """With what is wrong about monitoring."""
        return self.chosen if self.monitor is None else (*self.chosen, self.monitor)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(one.key for one in self.chosen)

    @property
    def signature(self) -> str:
        return " ".join(f"{one.key}:{one.variant.kind}" for one in self.everything)

    @property
    def dialects(self) -> frozenset[str]:
        return frozenset(one.variant.dialect for one in self.chosen if one.variant.dialect)

    @property
    def starter(self) -> dict[str, bytes]:
        return self.tree(frozenset())

    @property
    def oracle(self) -> dict[str, bytes]:
        return self.tree(frozenset(one.key for one in self.everything))

    @property
    def yesterdays(self) -> dict[str, bytes]:
        """What made the index when all was well: it knows all dialects."""
        return apply(self.healthy, _edits(one for one in self.chosen if one.variant.kind is Kind.FEED))

    def tree(self, mended: frozenset[str]) -> dict[str, bytes]:
        """The repository with these faults mended and all others live."""
        if unknown := sorted(mended - {one.key for one in self.everything}):
            raise ValueError(f"blueprint: {unknown[0]}: is none of its faults")
        return apply(self.healthy, _edits(one for one in self.everything if one.variant.breaks != (one.key in mended)))

    def poisoned(self, state: Mapping[str, bytes], chance_of: Callable[[str], random.Random]) -> dict[str, bytes]:
        """The index folder of a form's world, from one that is well. `chance_of` gives chance for a fault's key."""
        poisons = [(one.variant.poison, chance_of(one.key)) for one in self.chosen if one.variant.poison is not None]
        return poisoned(state, poisons)


def draw(chance: random.Random, faults: Sequence[Fault], healthy: Mapping[str, bytes]) -> Blueprint:
    """ValueError when there is no form in this pool."""
    pool = sorted(
        (one for one in faults if one.stage != MONITOR and one.key not in OVERWHELMING), key=lambda one: one.key
    )
    watching = sorted((one for one in faults if one.stage == MONITOR), key=lambda one: one.key)
    for _ in range(TRIES):
        drawn = sorted(chance.sample(pool, COUNT), key=lambda one: one.key)
        if not _admissible(drawn):
            continue
        for _ in range(KINDS_TRIED):
            chosen = tuple(_chosen(chance, one) for one in drawn)
            blueprint = Blueprint(chosen, healthy, _chosen(chance, chance.choice(watching)) if watching else None)
            if sum(not one.variant.breaks for one in chosen) >= NOT_IN_CODE and _compose(blueprint):
                return blueprint
    raise ValueError(f"forms: {TRIES} draws from {len(pool)} faults, and none of them is a form")


def _chosen(chance: random.Random, fault: Fault) -> Chosen:
    return Chosen(fault, chance.choice(fault.variants))


def admissible(faults: Iterable[Fault]) -> bool:
    """Whether these can be the faults of a form, in some of their kinds."""
    drawn = list(faults)
    possible = sum(any(not one.breaks for one in fault.variants) for fault in drawn)
    return len(drawn) == COUNT and possible >= NOT_IN_CODE and _admissible(drawn)


def _admissible(drawn: Sequence[Fault]) -> bool:
    keys = {one.key for one in drawn}
    stages = Counter(one.stage for one in drawn)
    return (
        LEVELS[0] <= sum(one.level for one in drawn) <= LEVELS[1]
        and len(stages) >= STAGES
        and all(sum(stages[stage] for stage in of) >= least for least, of in LEAST_OF)
        and all(keys.isdisjoint(one.excludes) for one in drawn)
    )


def _compose(blueprint: Blueprint) -> bool:
    """All edits at once: what goes together then goes together in every part."""
    try:
        apply(blueprint.healthy, _edits(blueprint.everything))
        _ = blueprint.starter, blueprint.oracle
    except Misfit:
        return False
    return True


def _edits(chosen: Iterable[Chosen]) -> list[Edit]:
    return [edit for one in chosen for edit in one.variant.edits]
