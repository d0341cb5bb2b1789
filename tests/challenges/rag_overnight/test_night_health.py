"""Bundles for health checks: a good check tells the broken ones from the healthy ones, and a careless one does not."""

import csv
import importlib.util
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from web.settings import PROJECT

Module = Callable[[str], ModuleType]
Made = list[tuple[Any, dict[str, bytes]]]
Check = Callable[[str], list[dict[str, str]]]

FOLDER: Final = PROJECT / "challenges" / "rag-overnight"
SEEDS: Final = (1, 2)
LEAST_CREDIT: Final = 0.9
LEAST_LOCATED: Final = 0.75


@pytest.fixture(scope="module")
def made(module: Module) -> dict[int, Made]:
    health, every = module("night.health"), module("faults.catalogue").ALL
    pack = module("bench.signatures").demo_pack()
    return {seed: health.bundles(random.Random(seed), pack, every) for seed in SEEDS}


@pytest.fixture(scope="module")
def good() -> Iterator[Check]:
    yield from loaded(FOLDER / "solutions" / "perfect" / "healthcheck.py")


@pytest.fixture(scope="module")
def naive() -> Iterator[Check]:
    yield from loaded(FOLDER / "template" / "healthcheck.py")


def loaded(path: Path) -> Iterator[Check]:
    name = f"checked_{path.parent.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    yield sys.modules[name].check
    del sys.modules[name]


def graded(module: Module, bundles: Made, check: Check, folder: Path) -> Any:
    outputs = {}
    for number, (bundle, files) in enumerate(bundles):
        module("bench.repository").write(folder / str(number), files)
        outputs[bundle.name] = check(str(folder / str(number)))
    return module("scoring.health").graded([bundle for bundle, _ in bundles], outputs)


def test_there_are_twelve_and_the_eight_broken_ones_differ_in_stage(made: dict[int, Made]) -> None:
    for bundles in made.values():
        broken = [bundle for bundle, _ in bundles if bundle.faulty]
        assert len(bundles) == 12
        assert len({bundle.name for bundle, _ in bundles}) == 12
        assert len({bundle.stage for bundle in broken}) == len(broken) == 8


def test_a_bundle_holds_what_the_contract_says(made: dict[int, Made]) -> None:
    for _, files in made[SEEDS[0]]:
        assert {name.split("/")[0] for name in files} == {"corpus", "index", "logs", "config.toml"}
        for name in ("corpus/acl.jsonl", "corpus/feed.jsonl", "index/manifest.json", "index/ingest.log"):
            assert files[name]
        days = {row["hour"][:10] for row in csv.DictReader(files["logs/metrics.csv"].decode().splitlines())}
        nights = [json.loads(line) for line in files["index/ingest.log"].decode().splitlines()]
        asked = [json.loads(line)["ts"] for line in files["index/query.log.jsonl"].decode().splitlines()]
        assert len(days) == 14
        assert len([line for line in nights if line["event"] == "ingested"]) == 14
        assert asked == sorted(asked)
        assert max(days) == asked[-1][:10] == nights[-1]["at"][:10]


def test_nothing_in_a_bundle_says_whether_it_is_broken(made: dict[int, Made]) -> None:
    for bundles in made.values():
        for bundle, files in bundles:
            if bundle.faulty:
                key = bundle.name.split()[0].encode()
                assert not any(key in content for name, content in files.items() if name.endswith((".log", ".csv")))


def test_the_same_chance_makes_the_same_bundles(module: Module, made: dict[int, Made]) -> None:
    pack, every = module("bench.signatures").demo_pack(), module("faults.catalogue").ALL
    assert module("night.health").bundles(random.Random(SEEDS[0]), pack, every) == made[SEEDS[0]]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_check_finds_nearly_all_and_calls_nobody_in_vain(
    module: Module, made: dict[int, Made], good: Check, tmp_path: Path, seed: int
) -> None:
    found = graded(module, made[seed], good, tmp_path)
    alarmed = found.of(faulty=True)
    assert found.credit >= LEAST_CREDIT, found
    assert sum(one.located for one in alarmed) >= LEAST_LOCATED * len(alarmed), found


def test_counting_documents_is_worth_nothing(
    module: Module, made: dict[int, Made], naive: Check, tmp_path: Path
) -> None:
    assert graded(module, made[SEEDS[0]], naive, tmp_path).credit == 0


def test_crying_every_time_is_worth_nothing(module: Module, made: dict[int, Made], tmp_path: Path) -> None:
    def cry(_: str) -> list[dict[str, str]]:
        return [{"stage": "embed", "severity": "error", "reason": "something is wrong"}]

    assert graded(module, made[SEEDS[0]], cry, tmp_path).credit == 0


def test_every_fault_that_can_be_seen_is_one_that_there_is(module: Module) -> None:
    keyed = module("faults.catalogue").KEYED
    for key, kinds in module("night.health").VISIBLE.items():
        assert {variant.kind for variant in keyed[key].variants} & set(kinds), key
