"""Faults of prompts, citations, cache, security and monitoring: they fit the template, show, and can be mended."""

import json
import random
import sqlite3
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

Module = Callable[[str], ModuleType]

MODULES: Final = ("prompt", "cite", "cache", "security", "monitor")
SHOWN: Final = (  # with strata
    ("prompt", "PRM-1", "code"), ("prompt", "PRM-2", "code"), ("prompt", "PRM-2", "config"),
    ("prompt", "PRM-3", "code"), ("cite", "CIT-1", "code"), ("cache", "CCH-1", "code"), ("cache", "CCH-1", "state"),
    ("cache", "CCH-2", "code"), ("cache", "CCH-3", "config"), ("cache", "CCH-3", "code"), ("cache", "CCH-4", "state"),
    ("security", "SEC-1", "code"), ("security", "SEC-1", "feed"),
)  # fmt: skip
WATCHED: Final = (("monitor", "MON-1", "code"), ("monitor", "MON-2", "code"), ("monitor", "MON-2", "config"))
SEED: Final = 3
RESTORED: Final = 0.98


@pytest.fixture(scope="session")
def bench(module: Module) -> Any:
    """Three quarters of a world: in smaller ones a stratum is a handful of questions, and one of them decides."""
    return module("bench.signatures").Bench(module("world.world").Scale(products=24, tenants=6, share=0.75))


def faults(module: Module) -> list[Any]:
    return [fault for name in MODULES for fault in module(f"faults.{name}").FAULTS]


def fault_of(module: Module, where: str, key: str) -> Any:
    return next(fault for fault in module(f"faults.{where}").FAULTS if fault.key == key)


def test_all_variants_are_tested_here(module: Module) -> None:
    every = {(fault.key, str(variant.kind)) for fault in faults(module) for variant in fault.variants}
    assert every == {(key, kind) for _, key, kind in (*SHOWN, *WATCHED)}


@pytest.mark.parametrize("name", MODULES)
def test_every_edit_fits_the_template_exactly_once(module: Module, name: str) -> None:
    model, healthy = module("faults.model"), module("bench.signatures").template()
    for fault in module(f"faults.{name}").FAULTS:
        for variant in fault.variants:
            beside = variant.commit.beside if variant.commit else ()
            for edit in (*variant.edits, *beside):
                assert healthy[edit.path].decode().count(edit.old) == 1, (fault.key, edit)
            model.apply(healthy, (*variant.edits, *beside))


def test_variants_of_faults_that_do_not_exclude_each_other_compose_in_any_order(module: Module) -> None:
    model, healthy = module("faults.model"), module("bench.signatures").template()
    for one, other in combinations(faults(module), 2):
        if other.key in one.excludes:
            assert one.key in other.excludes
            continue
        for first in one.variants:
            for second in other.variants:
                there = model.apply(healthy, (*first.edits, *second.edits))
                assert there == model.apply(healthy, (*second.edits, *first.edits)), (one.key, other.key)
                for name in there:
                    if name.endswith(".py"):
                        compile(there[name], name, "exec")


def test_users_complain_in_two_or_three_ways_and_quote_what_they_asked_and_what_came(module: Module) -> None:
    for fault in faults(module):
        assert 2 <= len(fault.complaints) <= 3
        for complaint in fault.complaints:
            said = complaint.format(question="What is it?", answer="It is 88 C.")
            assert "{" not in said
        assert any("{question}" in one and "{answer}" in one for one in fault.complaints)


@pytest.mark.parametrize(("where", "key", "kind"), SHOWN)
def test_a_variant_alone_shows_in_its_strata_and_is_gone_when_it_is_mended(
    module: Module, bench: Any, where: str, key: str, kind: str
) -> None:
    found = bench.signature(fault_of(module, where, key), module("faults.model").Kind(kind), seeds=(SEED,))
    assert found.missed == (), str(found)
    assert 0.02 <= found.mean_drop <= 0.30, str(found)
    assert min(found.reference.values()) >= RESTORED, str(found)
    assert found.complaints == ()


def test_planted_answers_are_mixed_up_or_out_of_date_and_the_same_chance_plants_the_same(
    module: Module, bench: Any, tmp_path: Path
) -> None:
    cache, state = module("faults.cache"), bench.state(SEED)
    owners = {}
    for line in state["chunks.jsonl"].decode().splitlines():
        row = json.loads(line)
        owners[row["doc_id"]] = row["tenant"]
    module("bench.repository").write(tmp_path / "before", state)
    before = {key for key, *_ in stored(tmp_path / "before")}
    foreign = {}
    for poison in (cache.of_one_customer, cache.of_last_year):
        planted = []
        for place in ("one", "other"):
            module("bench.repository").write(tmp_path / place, state)
            poison(tmp_path / place, random.Random(4))
            planted.append(stored(tmp_path / place))
        assert planted[0] == planted[1]
        rows = [row for row in planted[0] if row[0] not in before]
        assert len(rows) > 60
        foreign[poison] = [owners[json.loads(reply)["citations"][0]] != tenant for _, tenant, _, reply in rows]
    assert any(foreign[cache.of_one_customer])
    assert not any(foreign[cache.of_last_year])


def stored(folder: Path) -> list[tuple[str, str, str, str]]:
    database = sqlite3.connect(folder / "answers.sqlite")
    try:
        return database.execute("SELECT key, tenant, question, reply FROM answers ORDER BY key").fetchall()
    finally:
        database.close()


def monitor(module: Module, tree: dict[str, bytes]) -> tuple[Any, Any]:
    """The monitor of a tree and its settings, as a package of their own."""
    with module("bench.repository").opened(tree) as desk:
        return desk.module("monitor"), desk.settings.monitoring


def hour(monitor: Any, name: str, abstained: float) -> Any:
    values = {"asks": 20, "cached_share": 0.2, "abstained_share": abstained, "cited_share": 1 - abstained}
    numbers = {"top_score": 9.0, "prompt_tokens": 800.0, "p95_ms": 300.0}
    return monitor.Hour(hour=name, **values, **numbers)


@pytest.mark.parametrize(("where", "key", "kind"), WATCHED)
def test_what_is_wrong_with_monitoring_hides_what_the_template_shows(
    module: Module, where: str, key: str, kind: str
) -> None:
    healthy = module("bench.signatures").template()
    variant = fault_of(module, where, key).variant(module("faults.model").Kind(kind))
    broken = module("faults.model").apply(healthy, variant.edits)
    shown = []
    for tree in (healthy, broken):
        there, settings = monitor(module, tree)
        if key == "MON-1":  # three of four are told nothing, and what was known before comes from the cache
            line = {"ts": "2026-03-02T08:00:00Z", "top_score": 9.0, "prompt_tokens": 1, "ms": 1.0, "cached": False}
            untold, told = line | {"abstained": True, "citations": []}, line | {"abstained": False, "citations": ["d"]}
            lines = [untold, untold, untold, told, *[told | {"cached": True}] * 12]
            shown.append(there.hourly(lines)[0].abstained_share > 0.7)
        else:  # a week as it should be, and since yesterday it is not
            well = [hour(there, f"2026-03-{day:02}T{at:02}:00", 0.1) for day in range(2, 9) for at in range(8, 18)]
            ill = [hour(there, f"2026-03-{day:02}T{at:02}:00", 0.6) for day in (9, 10) for at in range(8, 18)]
            shown.append(bool(there.alerts([*well, *ill], settings)))
    assert shown == [True, False]
