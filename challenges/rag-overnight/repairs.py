"""What reference solutions hand in: they know the form, and mend as much of it as a person of their kind would.

    plan = Plan.of(form, ALL)
    files = {**tree(plan, given, mended), INCIDENT: incident(plan, named, mended), OWN_TEST: own_test(plan, mended)}

Only solutions use this. A candidate knows none of it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from .forms.assembly import Chosen
from .forms.plan import Plan

__all__ = ["INCIDENT", "OWN_TEST", "easiest", "generic_incident", "incident", "own_test", "tree"]

INCIDENT: Final = "incident.toml"
OWN_TEST: Final = "tests/test_repaired.py"
FIRST_REPAIR: Final = 40  # characters of a mended line, at least, by which a test knows it again

Files = dict[str, bytes | None]


def easiest(plan: Plan, count: int) -> list[str]:
    """The keys of so many faults, by their level. Of one level, chance of the form decides."""
    keys = sorted(plan.keys)
    plan.form.random("whom a solution mends first").shuffle(keys)
    levels = {one.key: one.fault.level for one in plan.chosen}
    return sorted(keys, key=lambda key: levels[key])[:count]


def tree(plan: Plan, given: Mapping[str, bytes], mended: Collection[str]) -> Files:
    """What differs from the starter when these faults are mended."""
    wanted = plan.tree(frozenset(mended))
    changed: Files = {name: content for name, content in wanted.items() if given.get(name) != content}
    return changed | {name: None for name in plan.starter if name not in wanted}


def incident(plan: Plan, named: Iterable[str], mended: Collection[str]) -> bytes:
    """An honest entry for each: stage, the first place, and the figure that moves."""
    by_key = {one.key: one for one in plan.chosen}
    return "\n".join(_entry(plan, by_key[key], key in mended) for key in named).encode()


def _entry(plan: Plan, chosen: Chosen, mended: bool) -> str:
    stratum, drop = chosen.fault.detectors[0]
    return _written(
        stage=chosen.fault.stage,
        location=plan.locations(chosen.key)[0],
        metric=stratum,
        before=round(max(0.0, 1 - drop - 0.1), 2),
        after=1.0,
        fix="What was wrong is as the contract wants it again, and a test holds it.",
        status="fixed" if mended else "not fixed",
    )


def generic_incident(entries: Sequence[tuple[str, str]]) -> bytes:
    """Stage and place, as somebody lists them who has measured nothing."""
    return "\n".join(
        _written(stage, location, "accuracy", 0.5, 0.9, "Checked and set right.", "fixed")
        for stage, location in entries
    ).encode()


def _written(stage: str, location: str, metric: str, before: float, after: float, fix: str, status: str) -> str:
    return "\n".join(
        (
            "[[cause]]",
            f"stage = {json.dumps(stage)}",
            f"location = {json.dumps(location)}",
            f"evidence = [{{metric = {json.dumps(metric)}, before = {before}, after = {after}}}]",
            f"fix = {json.dumps(fix)}",
            f"status = {json.dumps(status)}",
            "",
        )
    )


def own_test(plan: Plan, mended: Collection[str]) -> bytes:
    """Holds a line that a repair brought: it fails where that line is not there."""
    before, after = plan.starter, plan.tree(frozenset(mended))
    for name in sorted(after):
        if name not in before or before[name] == after[name]:
            continue
        there = set(before[name].decode().splitlines())
        new = [line for line in after[name].decode().splitlines() if line not in there and len(line) >= FIRST_REPAIR]
        if new:
            return (
                "from pathlib import Path\n\nREPOSITORY = Path(__file__).resolve().parent.parent\n\n\n"
                "def test_the_repair_is_still_there():\n"
                f"    text = (REPOSITORY / {name!r}).read_text(encoding='utf-8')\n"
                f"    assert {new[0]!r} in text\n"
            ).encode()
    raise ValueError(f"own test: none of {', '.join(sorted(mended))} brings a line of its own")
