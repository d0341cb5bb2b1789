"""All that a form is made of, by its seed: faults, site, skin and worlds. Nothing is measured yet.

plan = Plan.of(form, FAULTS)
plan.starter, plan.oracle, plan.tree(frozenset({"ING-1"}))       as a candidate would see them
plan.state(plan.worlds.dev)                                      what lies in the index folder since last night
plan.locations("ING-1")                                          where that is in this form
plan.signature
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from graders import Form

from ..bench.running import first_state
from ..bench.signatures import template
from ..faults.model import Fault, apply
from .assembly import Blueprint, Chosen, draw
from .sites import Site
from .skins import Skin
from .worlds import Place, Worlds

__all__ = ["Plan", "versions"]


@dataclass(frozen=True)
class Plan:
    form: Form
    blueprint: Blueprint
    site: Site
    skin: Skin
    worlds: Worlds
    _states: dict[str, dict[str, bytes]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, form: Form, faults: Sequence[Fault], healthy: Mapping[str, bytes] | None = None) -> "Plan":
        published = template() if healthy is None else healthy
        blueprint = draw(form.random("faults"), faults, published)
        site = Site.draw(form.random("site"))
        skin = Skin.draw(form.random("skin"), versions(faults, published))
        return cls(form, blueprint, site, skin, Worlds.of(form, site, blueprint.dialects))

    @property
    def chosen(self) -> tuple[Chosen, ...]:
        return self.blueprint.chosen

    @property
    def keys(self) -> frozenset[str]:
        return self.blueprint.keys

    @property
    def signature(self) -> str:
        return self.blueprint.signature

    @cached_property
    def starter(self) -> dict[str, bytes]:
        return self.tree(frozenset())

    @cached_property
    def oracle(self) -> dict[str, bytes]:
        return self.tree(frozenset(one.key for one in self.blueprint.everything))

    def tree(self, mended: frozenset[str]) -> dict[str, bytes]:
        """The repository with these faults mended and all others live."""
        return self.skin.dressed(self.undressed(mended))

    def undressed(self, mended: frozenset[str]) -> dict[str, bytes]:
        """The same with the published names, in which it behaves alike."""
        return self.site.applied(self.blueprint.tree(mended), self.blueprint.healthy)

    def state(self, place: Place) -> dict[str, bytes]:
        """The index folder of a world after last night, before anybody ingests again."""
        if place.name not in self._states:
            yesterdays = self.site.applied(self.blueprint.yesterdays, self.blueprint.healthy)
            well = first_state(yesterdays, place.world, place.models)
            self._states[place.name] = self.blueprint.poisoned(
                well, lambda key: self.form.random(f"poison of {key} in {place.name}")
            )
        return self._states[place.name]

    def locations(self, key: str) -> tuple[str, ...]:
        """What an incident entry may name for a fault, as things are called in this form."""
        [chosen] = [one for one in self.blueprint.everything if one.key == key]
        return tuple(self.skin.location(one) for one in chosen.variant.locations)


def versions(faults: Sequence[Fault], healthy: Mapping[str, bytes]) -> Iterator[Mapping[str, bytes]]:
    """The published repository, and what each variant makes of it."""
    yield healthy
    for fault in faults:
        for variant in fault.variants:
            changed = apply(healthy, variant.edits)
            yield {path: content for path, content in changed.items() if content != healthy.get(path)}
            if variant.commit is not None and variant.commit.beside:
                beside = apply(healthy, variant.commit.beside)
                yield {path: content for path, content in beside.items() if content != healthy.get(path)}
