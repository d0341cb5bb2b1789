"""The health check, the economy and the hygiene: small parts, and none of them can be had for nothing."""

from typing import Any, Final

import pytest

from tests.challenges.rag_overnight.tiny_world import Module

STAGES: Final = ("ingest", "embed", "index", "retrieve", "prompt", "access", "cache", "cite")


@pytest.fixture(name="health")
def _health(module: Module) -> Any:
    return module("scoring.health")


def alarm(stage: Any = "embed", severity: Any = "warn") -> dict[str, Any]:
    return {"stage": stage, "severity": severity, "reason": "it looks odd"}


def bundles(health: Any) -> list[Any]:
    healthy = [health.Bundle(f"h{number}", faulty=False) for number in range(4)]
    return healthy + [health.Bundle(stage, faulty=True, stage=stage) for stage in STAGES]


def outputs(**changes: Any) -> dict[str, Any]:
    """A perfect check's."""
    return {f"h{number}": [] for number in range(4)} | {stage: [alarm(stage)] for stage in STAGES} | changes


def test_a_perfect_check_has_full_credit(health: Any) -> None:
    assert health.graded(bundles(health), outputs()).credit == 1


def test_who_always_cries_and_who_never_does_are_worth_nothing(health: Any) -> None:
    for said in ([alarm("embed")], [alarm(stage) for stage in STAGES], []):
        assert health.graded(bundles(health), dict.fromkeys(outputs(), said)).credit == 0
    assert health.graded(bundles(health), {}).credit == 0


def test_half_of_it_is_for_the_stage(health: Any) -> None:
    wrong = {stage: [alarm("monitor")] for stage in STAGES}
    assert health.graded(bundles(health), outputs(**wrong)).credit == 0.5
    every = {stage: [alarm(one) for one in STAGES] for stage in STAGES}
    assert health.graded(bundles(health), outputs(**every)).credit == 0.5  # who names all of them has found none
    assert (
        health.graded(bundles(health), outputs(embed=[alarm("Embedding"), alarm("index"), alarm("ingest")])).credit == 1
    )


def test_a_false_alarm_costs_as_much_as_its_share_of_healthy_bundles(health: Any) -> None:
    assert health.graded(bundles(health), outputs(h0=[alarm()])).credit == 0.75
    assert health.graded(bundles(health), outputs(h0=[alarm(severity="info")])).credit == 1


def test_a_fault_that_lies_in_no_single_stage_is_found_in_any(health: Any) -> None:
    mixed = [health.Bundle("h", faulty=False), health.Bundle("x", faulty=True)]
    assert health.graded(mixed, {"h": [], "x": [alarm("weather")]}).credit == 1


@pytest.mark.parametrize(
    ("severity", "called"),
    [("warn", True), ("WARNING ", True), ("error", True), ("critical", True), ("info", False), ("ok", False)],
)
def test_somebody_is_called_from_a_warning_on(severity: str, called: bool, health: Any) -> None:
    found = health.graded(bundles(health), outputs(embed=[alarm(severity=severity)]))
    assert found.credit == (1 if called else 0.875)


@pytest.mark.parametrize(
    "output",
    [
        None, 7, "warn", {}, {"stage": "embed"}, [[]], ["warn"], [None], [alarm(severity=None)], [alarm(severity=2)],
        [alarm(severity="purple")], [alarm(severity="warn" * 100)], [alarm()] * 10_000,
    ],
)  # fmt: skip
def test_a_check_that_breaks_is_wrong_on_every_bundle(output: Any, health: Any) -> None:
    broken = health.graded(bundles(health), outputs(embed=output))
    assert broken.credit == 0.875
    assert health.graded(bundles(health), outputs(h0=output)).credit == 0.75
    assert [one.bundle.name for one in broken.heard if one.complaint] == ["embed"]


@pytest.mark.parametrize("stage", [None, 3, [], "x" * 1000])
def test_a_stage_that_is_none_is_no_right_one(stage: Any, health: Any) -> None:
    assert health.graded(bundles(health), outputs(embed=[alarm(stage)])).credit == 1 - 0.5 / 8


def test_bundles_of_one_sort_tell_nothing(health: Any) -> None:
    for sort in (bundles(health)[:4], bundles(health)[4:], []):
        with pytest.raises(ValueError, match="needs bundles that are broken and bundles that are not"):
            health.graded(sort, {})


@pytest.mark.parametrize(("constant", "value"), [("FOR_THE_ALARM", 0.0), ("FOR_THE_STAGE", 0.0), ("MOST_STAGES", 99)])
def test_every_number_of_the_health_check_matters(
    constant: str, value: float, health: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = outputs(embed=[alarm(stage) for stage in STAGES], cite=[])
    before = health.graded(bundles(health), said).credit
    monkeypatch.setattr(health, constant, value)
    assert health.graded(bundles(health), said).credit != before


# ----------------------------------------------------------------------------------------------------------- economy


@pytest.fixture(name="economy")
def _economy(module: Module) -> Any:
    return module("scoring.economy")


def thrift(module: Module, tokens: float, cost: float, recovered: float = 1.0) -> Any:
    reference = module("scoring.score").Economy(prompt_tokens=400.0, cost=0.002)
    return module("scoring.economy").graded((tokens, cost), reference, recovered=recovered)


@pytest.mark.parametrize(
    ("tokens", "cost", "credit"),
    [
        (400, 0.002, 1.0), (0, 0.0, 1.0), (600, 0.002, 0.75), (400, 0.003, 0.75), (800, 0.004, 0.0), (9999, 9.0, 0.0),
        (9999, 0.002, 0.5), (400, 9.0, 0.5),
    ],
)  # fmt: skip
def test_as_much_as_the_reference_is_full_credit_and_twice_as_much_none(
    tokens: float, cost: float, credit: float, module: Module
) -> None:
    assert thrift(module, tokens, cost).credit == pytest.approx(credit)


def test_it_counts_from_two_fifths_of_the_recovery(module: Module) -> None:
    assert thrift(module, 400, 0.002, 0.4).credit == 1
    assert thrift(module, 0, 0, 0.399).credit == 0


def test_nobody_spends_less_than_nothing(module: Module) -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        thrift(module, -1, 0)


@pytest.mark.parametrize(
    ("constant", "value"), [("TOKENS", 0.0), ("COST", 0.0), ("NOTHING_AT", 3.0), ("LEAST_RECOVERY", 0.9)]
)
def test_every_number_of_the_economy_matters(
    constant: str, value: float, module: Module, economy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = thrift(module, 500, 0.003, 0.5).credit
    monkeypatch.setattr(economy, constant, value)
    assert thrift(module, 500, 0.003, 0.5).credit != before


# ----------------------------------------------------------------------------------------------------------- hygiene


def test_each_habit_is_worth_a_fifth(module: Module) -> None:
    hygiene = module("scoring.hygiene")
    all_kept = {habit: hygiene.Mark(kept=True) for habit in hygiene.Habit}
    assert hygiene.graded(all_kept, recovered=1).credit == 1
    for habit in hygiene.Habit:
        found = hygiene.graded(all_kept | {habit: hygiene.Mark(kept=False, note="why not")}, recovered=1)
        assert found.credit == pytest.approx(0.8)
        assert found.missed == ((habit, "why not"),)
    assert hygiene.graded({habit: hygiene.Mark(kept=False) for habit in hygiene.Habit}, recovered=1).credit == 0


def test_a_habit_that_nobody_looked_at_is_an_error(module: Module) -> None:
    hygiene = module("scoring.hygiene")
    with pytest.raises(ValueError, match="TESTS: has no mark"):
        hygiene.graded(
            {habit: hygiene.Mark(kept=True) for habit in hygiene.Habit if habit is not hygiene.Habit.TESTS}, recovered=1
        )


def test_habits_count_from_the_first_repair_on(module: Module) -> None:
    hygiene = module("scoring.hygiene")
    all_kept = {habit: hygiene.Mark(kept=True) for habit in hygiene.Habit}
    assert hygiene.graded(all_kept, recovered=0.05).credit == 0
    assert hygiene.graded(all_kept, recovered=hygiene.LEAST_RECOVERY).credit == 1
