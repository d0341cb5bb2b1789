"""A form is planned by its seed, measured in its hidden worlds, and refused when nobody should be judged by it."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from graders import Form, FormUnfit

Modules = Callable[[str], ModuleType]

PRIVATE: Final = Path(__file__).parents[3] / "challenges" / "rag-overnight" / "private"
EASY: Final = frozenset(("ACL-2", "CIT-1", "ING-1", "SEC-1"))  # whatever the world, these are seen
SMALL: Final = {"products": 8, "share": 0.15}


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Form:
    scale = tmp_path_factory.mktemp("private") / "scale.json"
    scale.write_text(json.dumps(SMALL))
    private = {"pack.json": PRIVATE / "pack.json", "scale.json": scale}
    return Form("rag-overnight", "1.0.0", "seed-1", b"1" * 32, private=private)


@pytest.fixture(scope="module")
def plan(module: Modules, form: Form) -> Any:
    return module("forms.plan").Plan.of(form, module("faults.catalogue").ALL)


@pytest.fixture(scope="module")
def easy(module: Modules, plan: Any) -> Any:
    """The same form with four faults, so that measuring it takes seconds."""
    assembly = module("forms.assembly")
    faults = sorted((one for one in module("faults.catalogue").ALL if one.key in EASY), key=lambda one: one.key)
    chosen = tuple(assembly.Chosen(one, one.variants[-1]) for one in faults)
    blueprint = assembly.Blueprint(chosen, plan.blueprint.healthy)
    worlds = module("forms.worlds").Worlds.of(plan.form, plan.site, blueprint.dialects)
    return replace(plan, blueprint=blueprint, worlds=worlds, _states={})


@pytest.fixture(scope="module")
def lattice(module: Modules, easy: Any) -> Any:
    return module("forms.gates").Lattice(easy, chains=1)


def test_a_plan_is_the_same_for_the_same_form_and_another_for_another(module: Modules, form: Form, plan: Any) -> None:
    of = module("forms.plan").Plan.of
    faults = module("faults.catalogue").ALL

    again, other = of(form, faults), of(replace(form, seed=b"2" * 32), faults)

    assert (again.signature, again.site, again.skin) == (plan.signature, plan.site, plan.skin)
    assert again.starter == plan.starter
    assert other.signature != plan.signature
    assert other.skin.names != plan.skin.names


def test_a_forms_worlds_differ_and_are_as_large_as_the_private_file_says(plan: Any) -> None:
    worlds = [plan.worlds.dev.world, *(place.world for place in plan.worlds.hidden)]

    assert len(worlds) == 3
    assert all(len(world.products) == SMALL["products"] for world in worlds)
    assert len({world.tenants for world in worlds}) == 3
    assert len({question.id for world in worlds for question in world.questions}) == sum(
        len(world.questions) for world in worlds
    )


def test_a_dressed_starter_behaves_as_the_undressed_one(module: Modules, plan: Any) -> None:
    night = module("bench.running").night
    place = plan.worlds.hidden[0]

    dressed, undressed = (
        night(tree, place.world, plan.state(place), models=place.models)
        for tree in (plan.starter, plan.undressed(frozenset()))
    )

    assert plan.starter.keys() != plan.undressed(frozenset()).keys()
    assert dressed.measures.strata == undressed.measures.strata
    assert dressed.measures.checks == undressed.measures.checks
    assert dressed.spent == undressed.spent


def test_the_state_is_poisoned_and_the_same_each_time(module: Modules, plan: Any, form: Form) -> None:
    place = plan.worlds.hidden[0]
    again = module("forms.plan").Plan.of(form, module("faults.catalogue").ALL)
    poisoned = [one for one in plan.chosen if one.variant.poison is not None]

    yesterdays = plan.site.applied(plan.blueprint.yesterdays, plan.blueprint.healthy)
    well = module("bench.running").first_state(yesterdays, place.world, place.models)

    assert again.state(again.worlds.hidden[0]) == plan.state(place)
    assert (plan.state(place) != well) == bool(poisoned)


@pytest.mark.parametrize("of", ["starter", "oracle"])
def test_the_smoke_tests_of_what_a_candidate_gets_pass(module: Modules, plan: Any, tmp_path: Path, of: str) -> None:
    """Gate 6, which needs pytest: so it is looked at here, and not whenever a form is made."""
    module("bench.repository").write(tmp_path, getattr(plan, of))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_bears_load_is_missed_by_whoever_takes_the_published_settings(module: Modules, plan: Any) -> None:
    night = module("bench.running").night
    healthy, site = plan.blueprint.healthy, plan.site
    scale = module("world.world").Scale(products=30, share=0.4)
    worlds = replace(plan.worlds, scale=scale, dialects=frozenset(), _made={})
    place = worlds.hidden[0]
    bearing = [one.name for one in site.settings if one.bears_load]

    def measured(tree: dict[str, bytes]) -> Any:
        return night(tree, place.world, {}, models=place.models).measures.strata

    whole, without = (
        measured(site.applied(healthy, healthy)),
        measured(site.without(*bearing).applied(healthy, healthy)),
    )

    lost = [whole[stratum] - without[stratum] for stratum in ("prose", "bulletin", "nearmiss", "fresh")]
    assert min(lost) >= 0.0
    assert sum(lost) >= 0.2


def test_a_form_that_is_fit_is_measured(module: Modules, easy: Any, lattice: Any) -> None:
    gates = module("forms.gates")
    for gate in (gates.runs, gates.shows, gates.pays):
        gate(easy, lattice)

    assert {len(mended) for mended, _ in lattice.nodes()} == {0, 1, 2, 3, 4}
    for place in lattice.places:
        assert -5 < lattice.raw(lattice.none, place) <= 0.0
        assert lattice.raw(lattice.all, place) == pytest.approx(100.0)


def test_a_calibration_has_what_a_score_is_made_of(
    module: Modules, easy: Any, lattice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates, calibrate, score = module("forms.gates"), module("forms.calibrate"), module("scoring.score")
    monkeypatch.setattr(calibrate, "GATES", (gates.runs, gates.shows, gates.pays))

    found = calibrate.calibrate(easy, lattice=lattice)

    assert score.Calibration.from_json(found.to_json()) == found
    assert len(found.worlds) == 2
    assert len(found.curve.points) == 5
    assert found.witnesses.keys() == EASY
    assert all(len(names) >= 4 for names in found.witnesses.values())
    assert found.economy.prompt_tokens > 100
    starter = [lattice.strata(lattice.none, place) for place in lattice.places]
    assert score.recovery(starter, found).credit == 0.0
    oracle = [lattice.strata(lattice.all, place) for place in lattice.places]
    assert score.recovery(oracle, found).credit == pytest.approx(1.0)


def test_a_gate_of_others_is_asked_as_well(
    module: Modules, easy: Any, lattice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate = module("forms.calibrate")
    monkeypatch.setattr(calibrate, "GATES", ())

    def tickets(_: Any, __: Any) -> None:
        raise FormUnfit("tickets: none reproduces")

    with pytest.raises(FormUnfit, match="tickets: none reproduces"):
        calibrate.calibrate(easy, more=(tickets,), lattice=lattice)


# ----------------------------------------------------------------------------------------------------- what is refused


class Told:
    """A lattice with two faults and measures of our own."""

    def __init__(self, module: Modules, strata: dict[frozenset[str], dict[str, float]]) -> None:
        names = ("prose", "table")
        place = module("forms.worlds").Place("h1", None, None)

        class Planned:
            keys = frozenset(("A-1", "B-1"))
            worlds = type("Worlds", (), {"hidden": (place,)})()
            form = type("Chance", (), {"random": staticmethod(lambda _: random.Random(1))})()
            chosen = tuple(
                type("Chosen", (), {"key": key, "fault": type("Fault", (), {"detectors": ((name, 0.2),)})(),
                     "variant": type("Variant", (), {"kind": "code"})()})()
                for key, name in zip(("A-1", "B-1"), names, strict=True)
            )  # fmt: skip

        self.plan = Planned()
        lattice = module("forms.gates").Lattice(self.plan)
        measures = module("scoring.measures").Measures
        usual = {"cite": 1.0, "noleak": 1.0, "nostale": 1.0}
        for mended, found in strata.items():
            right = {name: (round(20 * value), 20) for name, value in found.items()}
            measured = measures(
                strata={**usual, **found}, quality={}, right=right, checks={}, leaks=(), leaking=0, misses=(),
                asked=40, answered=40,
            )  # fmt: skip
            run = module("bench.running").Run(measured, (), 40, module("bench.models").Spent(1, 1, 1, 1), {})
            lattice._runs[(mended, "h1")] = run
        self.lattice = lattice


def told(module: Modules, **measures: tuple[float, float]) -> Told:
    """By which are mended: none, a, b or both; values of prose and table."""
    sets = {
        "none": frozenset[str](),
        "a": frozenset({"A-1"}),
        "b": frozenset({"B-1"}),
        "both": frozenset({"A-1", "B-1"}),
    }
    usual = {"none": (0.0, 0.2), "a": (0.7, 0.3), "b": (0.1, 0.9), "both": (1.0, 1.0)} | measures
    return Told(module, {sets[name]: dict(zip(("prose", "table"), pair, strict=True)) for name, pair in usual.items()})


def test_what_is_as_it_should_be_passes_every_gate(module: Modules) -> None:
    one = told(module, none=(0.0, 0.0))
    for gate in module("forms.gates").GATES:
        gate(one.plan, one.lattice)


@pytest.mark.parametrize(
    ("gate", "measures", "why"),
    [
        ("well", {"both": (0.9, 1.0)}, "well: prose in h1: 18 of 20"),
        ("ill", {"none": (0.6, 0.7)}, "ill: h1: the starter's mean over strata is 0.86"),
        ("shows", {"b": (0.9, 1.0)}, "shows: A-1:code alone lowers its own strata by 0.10"),
        (
            "shows",
            {"b": (0.0, 0.0)},
            "shows: A-1:code alone lowers its own strata by 1.00 at most and the mean by 0.400",
        ),
        ("pays", {"a": (0.0, 0.1)}, "repairs cost points: A-1 after 0 others in h1 costs"),
    ],
)
def test_what_is_not_is_refused(module: Modules, gate: str, measures: dict[str, tuple[float, float]], why: str) -> None:
    one = told(module, **measures)

    with pytest.raises(FormUnfit, match=why.replace("(", r"\(")):
        getattr(module("forms.gates"), gate)(one.plan, one.lattice)


def test_a_curve_rises_with_every_repair_and_pools_what_falls(module: Modules) -> None:
    rising = module("forms.calibrate").rising

    flat = rising([[0.0], [0.0, 0.0], [10.0, 6.0], [4.0], [100.0]])

    assert flat[0] == 0.0
    assert flat[-1] == pytest.approx(100.0)
    assert all(after - before >= 0.49 for before, after in pairwise(flat))
    assert flat[3] - flat[2] == pytest.approx(0.5)
    assert rising([[0.0], [40.0], [100.0]]) == pytest.approx((0.0, 0.5 + 40 * 0.99, 100.0))
