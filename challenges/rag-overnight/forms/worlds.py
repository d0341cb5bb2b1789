"""The worlds of a form: one that its candidate gets, and two that nobody sees.

    worlds = Worlds.of(form, site, dialects)
    worlds.dev, worlds.hidden           made when they are first asked for, and the same each time

How large they are and in which words they speak is private: a pack of an instance's own takes the place of ours.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graders import Form

from ..bench.models import LocalModels
from ..world.pack import Pack
from ..world.world import Scale, World, make_world
from .sites import Site

__all__ = ["DEV", "HIDDEN", "Place", "Worlds"]

DEV: Final = "dev"
HIDDEN: Final = ("h1", "h2")
PACK: Final = "pack.json"
SCALE: Final = "scale.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A world with the models that are asked in it."""

    name: str
    world: World
    models: LocalModels


@dataclass(frozen=True)
class Worlds:
    pack: Pack
    scale: Scale
    dialects: frozenset[str]
    chances: Mapping[str, bytes]  # by name of a world, what its chance comes from
    _made: dict[str, Place] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, form: Form, site: Site, dialects: frozenset[str]) -> "Worlds":
        pack = Pack.loads(form.read_private(PACK).decode())
        chances = {name: form.derive(f"world {name}") for name in (DEV, *HIDDEN)}
        return cls(site.pack(pack, form.random("words")), _scale(form), dialects, chances)

    @property
    def dev(self) -> Place:
        return self.place(DEV)

    @property
    def hidden(self) -> tuple[Place, ...]:
        return tuple(self.place(name) for name in HIDDEN)

    def place(self, name: str) -> Place:
        if name not in self._made:
            chance = random.Random(self.chances[name])  # noqa: S311  # derived from the form's secret seed
            world = make_world(chance, self.pack, self.scale, self.dialects)
            self._made[name] = Place(name, world, LocalModels(world.lexicon))
        return self._made[name]


def _scale(form: Form) -> Scale:
    if SCALE not in form.private:
        return Scale()
    given: Any = form.load_private(SCALE)
    return Scale(**given)
