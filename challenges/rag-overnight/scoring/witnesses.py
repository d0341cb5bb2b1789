"""Tells from a candidate's replies which of a form's faults are still live.

When a form is made, the starter's parts are measured with one fault at a time. A check that fails then, passes in the
reference solution and is broken by no other fault is a *witness* of this one:

    chosen = choose(oracle, {"ING-1": with_only_ing_1, ...})      names of checks, of one hidden world
    states(chosen, [measures_of_the_candidate])                   {"ING-1": State.FIXED, ...}

Checks are finer than questions. A fault of citations leaves answers right, and one that shows other customers'
documents perhaps too; so what is cited and what leaks is looked at by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from .measures import Measures

__all__ = ["State", "choose", "states"]

MOST: Final = 24  # of one fault in one world
LEAST: Final = 4  # with fewer, one reply would decide
FIXED_FROM: Final = 0.7
LIVE_UP_TO: Final = 0.3
FACETS: Final = ("value", "cite", "leak")  # what is wrong about an answer is wrong about its citation too


class State(StrEnum):
    FIXED = "fixed"
    LIVE = "live"
    UNCLEAR = "unclear"


def choose(
    oracle: Measures, alone: Mapping[str, Measures], mended: Mapping[str, Measures] | None = None
) -> dict[str, tuple[str, ...]]:
    """`alone`: with only this fault live. `mended`, if known: with all live but this one; a check that passes even then
    is the better witness, since no other fault can hide the repair."""
    passing = {name for name, passed in oracle.checks.items() if passed}
    broken = {
        fault: {name for name in passing if not measured.checks.get(name, False)} for fault, measured in alone.items()
    }
    return {fault: _chosen(fault, broken, (mended or {}).get(fault)) for fault in alone}


def _chosen(fault: str, broken: Mapping[str, set[str]], mended: Measures | None) -> tuple[str, ...]:
    """Checks that no other fault breaks; those of others only as far as it takes to have enough."""

    def shared(name: str) -> int:
        return sum(name in others for other, others in broken.items() if other != fault)

    def preference(name: str) -> tuple[int, bool, str]:
        hidden = mended is not None and not mended.checks.get(name, False)
        return shared(name), hidden, name

    found = sorted(_plainest(broken[fault]), key=preference)
    own = sum(shared(name) == 0 for name in found)
    return tuple(found[: min(MOST, max(own, LEAST))])


def _plainest(names: Iterable[str]) -> list[str]:
    """One check of each question: a wrong value breaks the citation too, and would be counted twice."""
    first: dict[str, str] = {}
    for name in sorted(names, key=lambda one: FACETS.index(one.partition(":")[0])):
        first.setdefault(name.partition(":")[2], name)
    return list(first.values())


def states(witnesses: Mapping[str, Sequence[str]], measured: Iterable[Measures]) -> dict[str, State]:
    """Over all worlds. A question without a reply is no witness: a service that is down shows nothing about a fault."""
    checks: dict[str, bool] = {}
    for one in measured:
        checks |= one.checks
    return {fault: _state([checks[name] for name in names if name in checks]) for fault, names in witnesses.items()}


def _state(passed: Sequence[bool]) -> State:
    if len(passed) < LEAST:
        return State.UNCLEAR
    share = sum(passed) / len(passed)
    if share >= FIXED_FROM:
        return State.FIXED
    return State.LIVE if share <= LIVE_UP_TO else State.UNCLEAR
