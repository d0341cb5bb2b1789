"""Faults of vectors, index, retrieval and ranking: each fits the published repository, is felt alone, can be mended."""

import importlib.util
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest

from tests.challenges.rag_overnight.edited import Module, Tree, compile_all, exclude_each_other, key_of

MODULES: Final = ("faults.embed", "faults.index", "faults.retrieve", "faults.rerank")
VARIANTS: Final = (
    "EMB-1 code", "EMB-1 state", "EMB-2 code", "EMB-3 code", "EMB-3 config", "EMB-3 state", "EMB-4 config",
    "EMB-4 state", "IDX-1 code", "IDX-1 state", "IDX-2 code", "IDX-2 state", "IDX-3 code", "IDX-4 code",
    "IDX-4 state", "RET-1 code", "RET-2 code", "RRK-1 code", "RRK-1 state", "RRK-2 code", "RRK-2 config",
)  # fmt: skip
STATES: Final = tuple(name for name in VARIANTS if name.endswith("state"))
COMMITTED: Final = tuple(name for name in VARIANTS if not name.endswith("state"))
# Together they hold all that is code or config, and no two that exclude each other.
STARTERS: Final = (
    ("EMB-1 code", "EMB-2 code", "IDX-1 code", "IDX-2 code", "RET-1 code", "RRK-1 code"),
    ("EMB-3 code", "IDX-3 code", "IDX-4 code", "RET-2 code", "RRK-2 code"),
    ("EMB-3 config", "RRK-2 config"),
    ("EMB-4 config",),
)
SEED: Final = 1
SCALE: Final = {"products": 16, "tenants": 6, "share": 0.5}
# In a smaller world a passage has fewer rivals. As many of them reach the re-ranker as in a whole one, by share.
POOLS: Final = (("pool", "32"), ("reranked", "26"))
LEAST_OWN: Final = 0.20  # by which one stratum of its own falls
LEAST_MEAN, MOST_MEAN = 0.02, 0.30  # by which all fall on average
RESTORED: Final = 0.98


class Worlds:
    """One world, yesterday's index of it, and what trees make of both."""

    def __init__(self, module: Module, healthy: Tree, apply: Callable[..., Tree]) -> None:
        self._signatures, self._running = module("bench.signatures"), module("bench.running")
        self._repository, self._apply = module("bench.repository"), apply
        scale = module("world.world").Scale(**SCALE)
        self._bench = self._signatures.Bench(scale=scale, healthy=with_smaller_pools(healthy))
        self._world, self._models = self._bench.world(SEED)

    def healthy(self) -> dict[str, float]:
        return self._strata((), self._bench.state(SEED))

    def with_fault(self, variant: Any) -> dict[str, float]:
        if variant.breaks:
            return self._strata(variant.edits, self._bench.state(SEED))
        return self._strata((), self.poisoned(variant))

    def mended(self, variant: Any, state: Tree) -> dict[str, float]:
        return self._strata(variant.edits, state)

    def poisoned(self, variant: Any) -> Tree:
        chance = random.Random(SEED)
        state: Tree = self._signatures.poisoned(self._bench.state(SEED), [(variant.poison, chance)])
        return state

    def ingested(self, edits: Iterable[Any], state: Tree) -> tuple[str, Tree]:
        """The hash of the manifest, and the index folder."""
        with tempfile.TemporaryDirectory() as place:
            index = Path(place)
            self._repository.write(index, state)
            with self._repository.opened(self._apply(self._bench.healthy, edits)) as desk:
                counts = desk.ingest(self._models.folder("corpus", self._world.corpus), index, self._models)
            files = [path for path in index.rglob("*") if path.is_file()]
            return counts["hash"], {path.relative_to(index).as_posix(): path.read_bytes() for path in files}

    def _strata(self, edits: Iterable[Any], state: Tree) -> dict[str, float]:
        if not edits and state is self._bench.state(SEED):
            run = self._bench.healthy_run(SEED)
        else:
            tree = self._apply(self._bench.healthy, edits)
            run = self._running.night(tree, self._world, state, models=self._models)
        assert run.complaints == ()
        strata: dict[str, float] = run.measures.strata
        return strata


def with_smaller_pools(tree: Tree) -> Tree:
    config = tree["config.toml"].decode()
    for name, number in POOLS:
        config, replaced = re.subn(rf"(?m)^{name} = \d+", f"{name} = {number}", config)
        assert replaced == 1, name
    return {**tree, "config.toml": config.encode()}


@pytest.fixture(scope="module")
def faults(module: Module) -> dict[str, Any]:
    return {fault.key: fault for name in MODULES for fault in module(name).FAULTS}


@pytest.fixture(scope="module")
def worlds(module: Module, healthy: Tree, apply: Callable[..., Tree]) -> Worlds:
    return Worlds(module, healthy, apply)


# ------------------------------------------------------------------------------------------------------------ as text


def test_all_variants_are_known_here(variants: dict[str, Any]) -> None:
    assert sorted(variants) == sorted(VARIANTS)
    assert sorted(name for names in STARTERS for name in names) == sorted(COMMITTED)
    assert len(STATES) >= 6


def test_faults_that_hide_each_other_say_so_both(faults: dict[str, Any]) -> None:
    for key, fault in faults.items():
        for other in fault.excludes:
            assert key in faults[other].excludes, (key, other)


def test_faults_speak_of_stages_and_strata_that_there_are(module: Module, faults: dict[str, Any]) -> None:
    stages, weights = module("scoring.stages").STAGES, module("scoring.score").WEIGHTS
    for fault in faults.values():
        assert fault.stage in stages
        assert fault.level in (1, 2, 3)
        assert {name for name, _ in fault.detectors} <= set(weights)


def test_complaints_quote_a_question_and_what_came(faults: dict[str, Any]) -> None:
    for key, fault in faults.items():
        assert 2 <= len(fault.complaints) <= 3, key
        for complaint in fault.complaints:
            said = complaint.format(question="Which fuse?", answer="The documents do not tell.")
            assert "Which fuse?" in said, key
            assert "The documents do not tell." in said, key


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_fits_the_published_repository(
    name: str, variants: dict[str, Any], healthy: Tree, apply: Callable[..., Tree]
) -> None:
    edits = variants[name].edits
    for edit in edits:
        assert healthy[edit.path].decode().count(edit.old) == 1, (edit.path, edit.old)
    changed = apply(healthy, edits)
    assert {path for path in changed if changed[path] != healthy[path]} == {edit.path for edit in edits}
    compile_all(changed, {edit.path for edit in edits})


def test_variants_can_be_combined_in_any_order(
    faults: dict[str, Any], variants: dict[str, Any], healthy: Tree, apply: Callable[..., Tree]
) -> None:
    pairs = [pair for pair in combinations(VARIANTS, 2) if not exclude_each_other(faults, *pair)]
    assert len(pairs) > 150
    for pair in pairs:
        one, other = (variants[name].edits for name in pair)
        both = apply(healthy, [*one, *other])
        assert both == apply(healthy, [*other, *one]), pair
        compile_all(both, {edit.path for edit in (*one, *other)})


@pytest.mark.parametrize("names", STARTERS, ids=lambda names: ", ".join(names))
def test_the_repository_still_passes_its_own_tests(
    names: tuple[str, ...], tmp_path: Path, module: Module, variants: dict[str, Any], healthy: Tree,
    apply: Callable[..., Tree],
) -> None:  # fmt: skip
    edits = [edit for name in names for edit in variants[name].edits]
    module("bench.repository").write(tmp_path, apply(healthy, edits))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("name", COMMITTED)
def test_a_handful_of_documents_can_still_be_asked_about(
    name: str, tmp_path: Path, module: Module, variants: dict[str, Any], healthy: Tree, apply: Callable[..., Tree]
) -> None:
    """Over an index that the published repository made, twice, and then step by step."""
    repository = module("bench.repository")
    repository.write(tmp_path, healthy)
    spec = importlib.util.spec_from_file_location("toy_documents", tmp_path / "tests" / "toy.py")
    assert spec is not None
    assert spec.loader is not None
    toy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(toy)
    corpus, index, models = toy.write_corpus(tmp_path / "corpus"), tmp_path / "index", toy.ToyModels()
    with repository.opened(healthy) as desk:
        desk.ingest(corpus, index, models)
    with repository.opened(apply(healthy, variants[name].edits)) as desk:
        for incremental in (False, False, True):
            desk.ingest(corpus, index, models, incremental=incremental)
        reply = desk.serve(index, models).ask(toy.question())
    assert reply["retrieved"]
    assert isinstance(reply["answer"], str)


# ---------------------------------------------------------------------------------------------------------- as it acts


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_felt_where_it_says_and_not_everywhere(
    name: str, faults: dict[str, Any], variants: dict[str, Any], worlds: Worlds
) -> None:
    well, ill = worlds.healthy(), worlds.with_fault(variants[name])
    drops = {stratum: well[stratum] - ill[stratum] for stratum in well}
    detectors = faults[key_of(name)].detectors
    for stratum, least in detectors:
        assert drops[stratum] >= least, drops
    assert max(drops[stratum] for stratum, _ in detectors) >= LEAST_OWN, drops
    assert LEAST_MEAN <= sum(drops.values()) / len(drops) <= MOST_MEAN, drops


@pytest.mark.parametrize("name", STATES)
def test_a_poison_is_the_same_for_the_same_chance(name: str, variants: dict[str, Any], worlds: Worlds) -> None:
    assert worlds.poisoned(variants[name]) == worlds.poisoned(variants[name])


@pytest.mark.parametrize("name", STATES)
def test_what_was_poisoned_can_be_mended(name: str, variants: dict[str, Any], worlds: Worlds) -> None:
    """Also when nights have passed since, in which the published repository went on with it."""
    variant, well = variants[name], worlds.healthy()
    poisoned = worlds.poisoned(variant)
    _, nights_later = worlds.ingested((), poisoned)
    for state in (poisoned, nights_later):
        mended = worlds.mended(variant, state)
        assert {stratum: mended[stratum] for stratum in well if mended[stratum] < RESTORED * well[stratum]} == {}


@pytest.mark.parametrize("name", STATES)
def test_who_mends_has_the_same_index_whatever_lay_there(name: str, variants: dict[str, Any], worlds: Worlds) -> None:
    edits = variants[name].edits
    known, _ = worlds.ingested(edits, {})
    first, index = worlds.ingested(edits, worlds.poisoned(variants[name]))
    second, _ = worlds.ingested(edits, index)
    assert first == second == known
