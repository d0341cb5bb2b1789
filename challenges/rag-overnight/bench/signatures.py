"""For who writes faults: what one of them does to each stratum, when nothing else is wrong.

    from ..bench.signatures import Bench, signature
    print(signature(FAULT, Kind.CODE, seeds=(1, 2)))        a row for each seed: reference, with the fault, the drop
    found = signature(FAULT, Kind.STATE, seeds=(1,))
    found.drops["para"], found.mean_drop, found.fits         whether a form may hold it (gate 3)

What is costly to make (worlds, vectors, yesterday's index) is made once for each seed and dialect.
"""

import random
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from pathlib import Path
from typing import Final

from ..faults.model import Fault, Kind, Poison, Variant, apply
from ..scoring.score import WEIGHTS
from ..world.pack import Pack
from ..world.world import Scale, World, make_world
from .models import LocalModels
from .repository import write
from .running import Run, first_state, night

__all__ = ["FOLDER", "Bench", "Signature", "demo_pack", "poisoned", "signature", "template"]

FOLDER: Final = Path(__file__).resolve().parent.parent
LEAST_OWN: Final = 0.20  # that one of its own strata has to fall by, alone
LEAST_MEAN: Final = 0.02
MOST_MEAN: Final = 0.30


def template() -> dict[str, bytes]:
    """The healthy repository."""
    folder = FOLDER / "template"
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in files if not any(part.startswith((".", "__pycache__")) for part in path.parts)]
    return {path.as_posix(): (folder / path).read_bytes() for path in kept}


def demo_pack() -> Pack:
    return Pack.loads((FOLDER / "private" / "pack.json").read_text(encoding="utf-8"))


def poisoned(state: Mapping[str, bytes], poisons: Iterable[tuple[Poison, random.Random]]) -> dict[str, bytes]:
    """The index folder after somebody was at it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        write(folder, state)
        for poison, chance in poisons:
            poison(folder, chance)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@dataclass(frozen=True, slots=True)
class Signature:
    fault: str
    kind: Kind
    reference: Mapping[str, float]  # by stratum, mean over the seeds
    alone: Mapping[str, float]
    detectors: tuple[tuple[str, float], ...]
    complaints: tuple[str, ...]

    @property
    def drops(self) -> dict[str, float]:
        return {name: self.reference[name] - self.alone[name] for name in self.reference}

    @property
    def mean_drop(self) -> float:
        return fsum(self.drops.values()) / len(self.drops)

    @property
    def missed(self) -> tuple[str, ...]:
        """Detectors that fall by less than they are said to."""
        return tuple(name for name, least in self.detectors if self.drops[name] < least - 1e-9)

    @property
    def fits(self) -> bool:
        own = max(self.drops[name] for name, _ in self.detectors)
        return not self.missed and own >= LEAST_OWN and LEAST_MEAN <= self.mean_drop <= MOST_MEAN

    def __str__(self) -> str:
        names = [name for name in WEIGHTS if name in self.reference]
        lines = [
            f"{self.fault} {self.kind}: mean drop {self.mean_drop:.3f}, "
            + ("fits" if self.fits else f"DOES NOT FIT{': too little of ' if self.missed else ''}")
            + ", ".join(self.missed),
            " " * 10 + " ".join(f"{name[:7]:>7}" for name in names),
        ]
        rows = (("healthy", self.reference), ("fault", self.alone), ("drop", self.drops))
        lines += [f"{title:<10}" + " ".join(f"{row[name]:>7.2f}" for name in names) for title, row in rows]
        return "\n".join([*lines, *(f"! {complaint}" for complaint in self.complaints)])


@dataclass
class Bench:
    """Worlds of numbered seeds, with what is known about them."""

    scale: Scale = Scale()  # noqa: RUF009  # frozen
    pack: Pack = field(default_factory=demo_pack)
    healthy: Mapping[str, bytes] = field(default_factory=template)
    finish: Callable[[dict[str, bytes]], dict[str, bytes]] = dict  # of every tree, such as with a site's settings
    _worlds: dict[tuple[int, frozenset[str]], tuple[World, LocalModels]] = field(default_factory=dict)
    _states: dict[tuple[int, frozenset[str]], dict[str, bytes]] = field(default_factory=dict)
    _references: dict[tuple[int, str], Run] = field(default_factory=dict)

    def world(self, seed: int, dialects: frozenset[str] = frozenset()) -> tuple[World, LocalModels]:
        key = (seed, dialects)
        if key not in self._worlds:
            world = make_world(_chance("world", seed), self.pack, self.scale, dialects)
            self._worlds[key] = world, LocalModels(world.lexicon)
        return self._worlds[key]

    def state(self, seed: int, variant: Variant | None = None) -> dict[str, bytes]:
        """Yesterday's index, before anybody poisons it."""
        dialects = _dialects(variant)
        key = (seed, dialects)
        if key not in self._states:
            world, models = self.world(seed, dialects)
            tree = self.tree(variant if dialects else None)
            self._states[key] = first_state(tree, world, models)
        return self._states[key]

    def tree(self, variant: Variant | None = None) -> dict[str, bytes]:
        return self.finish(apply(self.healthy, variant.edits if variant else ()))

    def healthy_run(self, seed: int) -> Run:
        key = (seed, "")
        if key not in self._references:
            world, models = self.world(seed)
            self._references[key] = night(self.tree(), world, self.state(seed), models=models)
        return self._references[key]

    def with_and_without(self, fault: Fault, kind: Kind, seed: int) -> tuple[Run, Run]:
        """The reference solution of a form with this fault alone, and its starter."""
        variant = fault.variant(kind)
        world, models = self.world(seed, _dialects(variant))
        state = self.state(seed, variant)
        changed = self.tree(variant)
        if variant.breaks:
            return self.healthy_run(seed), night(changed, world, state, models=models)
        if variant.poison is not None:
            state = poisoned(state, [(variant.poison, _chance(fault.key, seed))])
        mended = night(changed, world, state, models=models)
        return mended, night(self.tree(), world, state, models=models)

    def signature(self, fault: Fault, kind: Kind, seeds: Sequence[int] = (1,)) -> Signature:
        pairs = [self.with_and_without(fault, kind, seed) for seed in seeds]
        complaints = [
            f"{which}: {complaint}"
            for pair in pairs
            for which, run in zip(("mended", "with the fault"), pair, strict=True)
            for complaint in run.complaints
        ]
        reference, alone = ([pair[place].measures.strata for pair in pairs] for place in (0, 1))
        return Signature(fault.key, kind, _mean(reference), _mean(alone), fault.detectors, tuple(complaints))


_shared: dict[Scale, Bench] = {}


def signature(fault: Fault, kind: Kind, seeds: Sequence[int] = (1,), scale: Scale = Scale()) -> Signature:  # noqa: B008
    """The same with the demo pack and the template as they are, remembered between calls."""
    return _shared.setdefault(scale, Bench(scale)).signature(fault, kind, seeds)


def _dialects(variant: Variant | None) -> frozenset[str]:
    return frozenset((variant.dialect,)) if variant is not None and variant.dialect else frozenset()


def _chance(purpose: str, seed: int) -> random.Random:
    return random.Random(f"bench|{purpose}|{seed}")  # noqa: S311  # for authors: it hides nothing


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
