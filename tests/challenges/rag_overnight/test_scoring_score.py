"""The starter is worth nothing, the reference solution everything, and in between all that counts matters."""

import random
from typing import Any

import pytest

from tests.challenges.rag_overnight.tiny_world import (
    STRATA,
    Module,
    Question,
    Service,
    abstaining,
    failing,
    measured,
    right,
    silent,
    wrong,
)

ALL = (*STRATA, "fresh", "cite", "noleak", "nostale")
BROKEN = ("prose", "table", "para", "tenant", "xcache", "fresh")  # what the starter of these tests cannot do


@pytest.fixture(name="score")
def _score(module: Module) -> Any:
    return module("scoring.score")


def calibration(score: Any, *worlds: tuple[dict[str, float], dict[str, float]], points: Any = (0, 10, 40, 100)) -> Any:
    return score.Calibration(
        worlds=tuple(score.HiddenWorld(noop=noop, oracle=oracle) for noop, oracle in worlds),
        curve=score.Curve(points=points),
        economy=score.Economy(prompt_tokens=400, cost=0.0002),
        witnesses={"ING-1": ("value:a", "value:b")},
    )


def by_hand(default: float = 1.0, **changes: float) -> dict[str, float]:
    return dict.fromkeys(ALL, default) | changes


def test_each_stratum_has_a_weight(score: Any) -> None:
    assert set(score.WEIGHTS) == set(ALL)
    assert min(score.WEIGHTS.values()) > 0


def test_the_starter_is_worth_nothing_and_the_reference_solution_everything(module: Module, score: Any) -> None:
    noop, oracle = measured(module, failing(*BROKEN)).strata, measured(module, right).strata
    assert score.raw(noop, noop, oracle) == 0
    assert score.raw(oracle, noop, oracle) == 100
    found = calibration(score, (noop, oracle), (noop, oracle))
    assert score.recovery([noop, noop], found).credit == 0
    assert score.recovery([oracle, oracle], found).credit == 1
    assert score.recovery([oracle, noop], found).credit == 0.5


def test_whatever_is_damaged_the_starter_is_worth_nothing_and_the_reference_everything(score: Any) -> None:
    chance = random.Random(11)
    for _ in range(200):
        oracle = {name: chance.uniform(0.9, 1.0) for name in ALL}
        noop = {name: value * chance.random() for name, value in oracle.items()}
        assert score.recovery([noop], calibration(score, (noop, oracle))).credit == 0
        assert score.recovery([oracle], calibration(score, (noop, oracle))).credit == 1


def test_mending_more_is_never_worth_less(score: Any) -> None:
    chance = random.Random(12)
    for _ in range(200):
        oracle, noop = by_hand(), {name: chance.random() for name in ALL}
        one = {name: chance.random() for name in ALL}
        better = {name: value + (1 - value) * chance.random() for name, value in one.items()}
        assert score.raw(better, noop, oracle) >= score.raw(one, noop, oracle)


def test_half_of_the_damage_undone_is_half_of_it(score: Any) -> None:
    noop = by_hand(prose=0.0, para=0.2)
    assert score.raw(by_hand(prose=0.5, para=0.6), noop, by_hand()) == pytest.approx(50)
    assert score.raw(by_hand(prose=1.0, para=0.2), noop, by_hand()) == pytest.approx(100 / 3.5)
    assert score.raw(by_hand(prose=0.0, para=1.0), noop, by_hand()) == pytest.approx(250 / 3.5)


@pytest.mark.parametrize("stratum", ALL)
def test_every_weight_matters(stratum: str, score: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, mending this stratum alone is worth nothing."""
    noop = by_hand(0.5)
    mended = score.raw(noop | {stratum: 1.0}, noop, by_hand())
    assert mended == pytest.approx(100 * score.WEIGHTS[stratum] / sum(score.WEIGHTS.values()))
    monkeypatch.setattr(score, "WEIGHTS", {**score.WEIGHTS, stratum: 0.0})
    assert score.raw(noop | {stratum: 1.0}, noop, by_hand()) == 0


@pytest.mark.parametrize("stratum", ALL)
def test_what_was_whole_and_falls_is_taken_off(stratum: str, score: Any) -> None:
    other = "prose" if stratum != "prose" else "table"
    noop = by_hand(**{other: 0.0})
    assert score.raw(by_hand(**{stratum: 0.97}), noop, by_hand()) == pytest.approx(100)
    weight = score.WEIGHTS[stratum] / score.WEIGHTS[other]
    assert score.raw(by_hand(**{stratum: 0.77}), noop, by_hand()) == pytest.approx(100 - 40 * weight)


def test_one_damaged_stratum_that_gets_worse_cannot_undo_all_others(score: Any) -> None:
    noop = by_hand(prose=0.5, table=0.5)
    assert score.raw(by_hand(prose=1.0, table=0.0), noop, by_hand()) == pytest.approx(40)


def test_more_than_the_reference_is_no_more_than_all(score: Any) -> None:
    noop, oracle = by_hand(prose=0.2), by_hand(prose=0.9)
    assert score.raw(by_hand(prose=1.0), noop, oracle) == 100


def test_a_tenth_is_damage_and_less_is_none(score: Any) -> None:
    assert score.damaged(by_hand(prose=0.9, table=0.91), by_hand()) == ("prose",)


def test_a_form_without_damage_is_unfit(score: Any) -> None:
    with pytest.raises(ValueError, match="the form is unfit"):
        score.raw(by_hand(), by_hand(0.95), by_hand())


def test_strata_that_nobody_knows_or_only_one_has_are_an_error(score: Any) -> None:
    with pytest.raises(ValueError, match="a stratum without a weight"):
        score.raw({}, {"poetry": 0.0}, {"poetry": 1.0})
    with pytest.raises(ValueError, match="different strata"):
        score.raw({}, {"prose": 0.0}, {"prose": 1.0, "table": 1.0})


def test_what_was_not_measured_is_worth_nothing(score: Any) -> None:
    assert score.raw({"prose": 1.0}, {"prose": 0.0, "table": 0.0}, {"prose": 1.0, "table": 1.0}) == 50


def test_a_world_that_never_came_up_or_never_replied_is_worth_nothing(module: Module, score: Any) -> None:
    noop, oracle = measured(module, failing(*BROKEN)).strata, measured(module, right).strata
    found = calibration(score, (noop, oracle), (noop, oracle))
    assert score.recovery([None, None], found).credit == 0
    assert score.recovery([None, oracle], found).credit == 0.5
    assert score.recovery([measured(module, silent).strata, None], found).credit == 0
    with pytest.raises(ValueError, match="1 worlds were measured and 2 calibrated"):
        score.recovery([noop], found)


def test_a_raw_score_is_put_on_the_scale_of_the_form(score: Any) -> None:
    found = calibration(score, (by_hand(prose=0.0), by_hand()), points=(0, 10, 40, 100))
    for prose, credit in ((0.05, 1 / 6), (0.1, 1 / 3), (0.4, 2 / 3), (0.7, 5 / 6), (1.0, 1.0)):
        assert score.recovery([by_hand(prose=prose)], found).credit == pytest.approx(credit)
    falling = score.recovery([by_hand(prose=0.0, table=0.0)], found)
    assert falling.credit == 0
    assert falling.raws[0] < 0


def abstains_where_it_can(one: Question) -> Any:
    return right(one) if one.stratum == "unans" else abstaining(one)


@pytest.mark.parametrize("service", [abstaining, abstains_where_it_can, wrong, silent])
def test_who_answers_nothing_right_recovers_next_to_nothing(service: Service, module: Module, score: Any) -> None:
    """Also of a starter that leaks, is stale and never abstains, so that silence looks like a repair there."""
    oracle = measured(module, right).strata
    noop = measured(module, failing(*BROKEN, "unans", "forbidden")).strata | {"noleak": 0.1, "nostale": 0.4}
    found = score.recovery(
        [measured(module, service).strata], calibration(score, (noop, oracle), points=(0, 9, 20, 34, 50, 72, 100))
    )
    assert found.credit < 0.15


def test_a_calibration_goes_through_json(score: Any) -> None:
    found = calibration(score, (by_hand(prose=0.0), by_hand()))
    assert score.Calibration.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("constant", "value", "strata"),
    [
        ("LEAST_DAMAGE", 0.95, {"prose": 1.0}),
        ("WORST", -1.0, {"prose": 0.0, "table": 1.0}),
        ("FORGIVEN", 0.0, {"prose": 1.0, "error": 0.98}),
        ("FALL_OF_ONE", 1.0, {"prose": 1.0, "error": 0.5}),
    ],
)
def test_every_number_of_the_score_matters(
    constant: str, value: float, strata: dict[str, float], score: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noop = by_hand(prose=0.4, table=0.0)
    before = score.raw(by_hand(**({"table": 0.0} | strata)), noop, by_hand())
    monkeypatch.setattr(score, constant, value)
    assert score.raw(by_hand(**({"table": 0.0} | strata)), noop, by_hand()) != pytest.approx(before)
