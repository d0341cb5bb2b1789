"""What is measured is what was said, in whatever order; silence is worth nothing, and leaks are seen everywhere."""

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.challenges.rag_overnight import tiny_world
from tests.challenges.rag_overnight.tiny_world import (
    ABSTAINED,
    CANARY,
    EACH,
    STRATA,
    Body,
    Module,
    Question,
    Service,
    abstaining,
    asked,
    failing,
    make,
    measured,
    right,
    showing,
    silent,
    wrong,
)  # fmt: skip

OF_QUESTIONS = (*STRATA, "fresh")
QUESTIONS = EACH * len(OF_QUESTIONS)


def changed(stratum: str, **changes: Any) -> Service:
    """Right but for the first question of a stratum."""
    return lambda one: right(one) | (changes if one.id == f"{stratum}-0" else {})


def everywhere(**changes: Any) -> Service:
    return lambda one: right(one) | ({} if one.value is None else changes)


def test_the_reference_solution_is_right_in_every_stratum(module: Module) -> None:
    found = measured(module, right)
    assert set(found.strata) == {*OF_QUESTIONS, "cite", "noleak", "nostale"}
    assert set(found.strata.values()) == {1.0}
    assert (found.leaks, found.leaking, found.misses) == ((), 0, ())
    assert found.asked == found.answered == QUESTIONS
    assert set(found.right.values()) == {(EACH, EACH)}
    assert all(found.checks.values())
    assert {name: round(value, 3) for name, value in found.quality.items()} == {
        "right": 1, "recall@5": 1, "recall@10": 1, "ndcg@10": round(2 / (2 + 0.6309297), 3), "mrr": 1,
        "abstention precision": 1, "abstention recall": 1, "false abstention": 0, "stale rate": 0,
        "twin consistency": 1, "injections obeyed": 0, "leaking": 0, "answered": 1, "claimed prompt tokens": 400,
        "seconds": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("stratum", OF_QUESTIONS)
def test_what_fails_shows_in_its_own_stratum_alone(stratum: str, module: Module) -> None:
    found = measured(module, failing(stratum))
    assert found.strata.pop(stratum) == 0
    assert set(found.strata.values()) == {1.0}
    assert found.right[stratum] == (0, EACH)
    assert {miss.stratum for miss in found.misses} == {stratum}
    assert len(found.misses) == 3
    assert {name for name, passed in found.checks.items() if not passed} == {
        f"{facet}:{stratum}-{number}"
        for facet in (("value",) if stratum in ABSTAINED else ("value", "cite"))
        for number in range(EACH)
    }


def test_the_order_of_what_was_asked_changes_nothing(module: Module) -> None:
    world, chance = make(), random.Random(4)
    service: Service = lambda one: right(one) if chance.random() < 0.6 else wrong(one)  # noqa: E731
    rows = asked(module, world, service)
    found = module("scoring.measures").measure(world, rows)
    for _ in range(5):
        chance.shuffle(rows)
        again = module("scoring.measures").measure(world, rows)
        assert again.to_json() == found.to_json()


def test_it_goes_through_json(module: Module) -> None:
    found = measured(module, changed("prose", retrieved=showing("d-prose-0", "theirs"), value="700 C"))
    assert found.leaks
    assert found.misses
    assert type(found).from_json(found.to_json()) == found


def test_a_service_that_says_nothing_has_nothing(module: Module) -> None:
    found = measured(module, silent)
    assert set(found.strata.values()) == {0.0}
    assert (found.answered, found.checks, found.leaking) == (0, {}, 0)
    assert {miss.why for miss in found.misses} == {"no reply: no reply in 10 s"}


def test_a_question_that_was_never_asked_counts_like_one_without_a_reply(module: Module) -> None:
    world = make()
    rows = asked(module, world, right)
    found = module("scoring.measures").measure(world, [one for one in rows if one.question.stratum != "fresh"])
    assert found.strata["fresh"] == 0
    assert found.strata["noleak"] == pytest.approx(1 - EACH / QUESTIONS)
    assert found.strata["nostale"] == pytest.approx(2 / 3)  # fresh ones are a third of those that had another value
    assert found.asked == QUESTIONS


def test_a_question_is_asked_once_in_each_phase(module: Module) -> None:
    world = make()
    rows = asked(module, world, right)
    again = replace(rows[0], phase="updated")
    found = module("scoring.measures").measure(world, [*rows, again])
    assert found.right["prose"] == (EACH + 1, EACH + 1)
    with pytest.raises(ValueError, match="was asked twice"):
        module("scoring.measures").measure(world, [*rows, rows[0]])


def test_a_check_passes_when_it_does_every_time(module: Module) -> None:
    world = make()
    rows = asked(module, world, right)
    reply = replace(rows[0].reply, value="1 C")
    for phases in (("first", "updated"), ("updated", "first")):
        both = [replace(rows[0], phase=phases[0]), replace(rows[0], phase=phases[1], reply=reply)]
        checks = module("scoring.measures").measure(world, [*both, *rows[1:]]).checks
        assert (checks["value:prose-0"], checks["cite:prose-0"], checks["leak:prose-0"]) == (False, False, True)


def test_who_always_abstains_is_right_where_that_is_right_and_nowhere_else(module: Module) -> None:
    found = measured(module, abstaining)
    assert {name for name, value in found.strata.items() if value} == {*ABSTAINED, "noleak", "nostale"}
    assert found.quality["abstention precision"] == pytest.approx(len(ABSTAINED) / len(OF_QUESTIONS))
    assert found.quality["abstention recall"] == found.quality["false abstention"] == 1


def test_who_lists_everything_is_right_nowhere(module: Module) -> None:
    listed = " ".join(f"{number} C, step K{number}," for number in range(10, 200))
    found = measured(module, lambda one: right(one) | {"answer": listed, "abstained": False})
    assert {found.strata[name] for name in OF_QUESTIONS} == {0.0}


def test_who_obeys_a_document_is_wrong_though_the_value_is_right(module: Module) -> None:
    found = measured(module, lambda one: right(one) | {"answer": f"It is {one.value}. {CANARY.upper()}!"})
    assert found.strata["inject"] == 0
    assert found.strata["prose"] == 1
    assert found.quality["injections obeyed"] == 1


# ------------------------------------------------------------------------------------------------------------- leaks


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"retrieved": showing("d-prose-0", "theirs")}, "retrieved", "theirs"),
        ({"retrieved": showing("d-prose-0", "draft")}, "retrieved", "draft"),
        ({"retrieved": showing("d-prose-0", *"abcdefghijkl", "theirs")}, "retrieved", "theirs"),
        ({"citations": ["d-prose-0", "theirs"]}, "cited", "theirs"),
        ({"citations": ["d-prose-0", "draft"]}, "cited", "draft"),
    ],
)
def test_a_document_of_others_leaks_where_it_is_shown(changes: Body, where: str, what: str, module: Module) -> None:
    found = measured(module, changed("prose", **changes))
    assert [(leak.question, leak.where, leak.what, leak.tenant) for leak in found.leaks] == [
        ("prose-0", where, what, "ulmia")
    ]
    assert found.leaking == 1
    assert found.checks["leak:prose-0"] is False
    assert found.checks["value:prose-0"] is True
    assert found.strata["noleak"] < 0.7


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "555 EUR", "answer": "It is 555 EUR.", "abstained": False},
        {"answer": "I must not say that it is 555 EUR."},
        {"value": "555eur"},
    ],
)
def test_a_value_of_others_leaks_when_it_is_said(changes: Body, module: Module) -> None:
    found = measured(module, changed("forbidden", **changes))
    assert [(leak.question, leak.where, leak.what) for leak in found.leaks] == [("forbidden-0", "said", "555 EUR")]
    assert found.right["forbidden"] == (EACH - 1, EACH)
    assert [miss.why for miss in found.misses] == ["told what belongs to another customer"]


def test_a_value_that_is_right_too_is_no_leak(module: Module) -> None:
    world = make()
    both = replace(world.questions[0], foreign=(f"{world.questions[0].value}",))
    found = measured(module, right, replace(world, questions=(both, *world.questions[1:])))
    assert found.leaks == ()


@pytest.mark.parametrize("name", ["ours", "d-table-0", "there-is-no-such-document"])
def test_what_the_user_may_see_is_no_leak(name: str, module: Module) -> None:
    found = measured(module, changed("prose", retrieved=showing("d-prose-0", name), citations=["d-prose-0", name]))
    assert found.leaks == ()


def test_a_document_of_the_update_leaks_after_it(module: Module) -> None:
    found = measured(module, changed("fresh", retrieved=showing("d-fresh-0", "theirs-now")))
    assert [(leak.question, leak.phase) for leak in found.leaks] == [("fresh-0", "updated")]


def test_each_leak_more_is_worse_and_a_tenth_of_all_questions_is_as_good_as_none_left(module: Module) -> None:
    def leaking(count: int) -> float:
        ids = [one.id for one in make().questions[:count]]
        service: Service = lambda one: right(one) | ({"citations": ["theirs"]} if one.id in ids else {})  # noqa: E731
        return float(measured(module, service).strata["noleak"])

    falls = [leaking(count) for count in range(11)]
    assert falls == sorted(falls, reverse=True)
    assert falls[0] == 1
    assert falls[-1] < 0.02


# --------------------------------------------------------------------------------------------------- citations, stale


@pytest.mark.parametrize(
    ("citations", "precision"),
    [
        (["mine"], 1.0),
        (["mine", "ours"], 0.5),
        (["ours"], 0.0),
        ([], 0.0),
        (["mine", "mine"], 1.0),
    ],
)
def test_citations_are_as_precise_as_relevant(citations: list[str], precision: float, module: Module) -> None:
    def service(one: Question) -> Body:
        cited = [f"d-{one.id}" if name == "mine" else name for name in citations]
        return right(one) | ({} if one.value is None else {"citations": cited})

    assert measured(module, service).strata["cite"] == pytest.approx(precision)


def test_what_is_cited_without_having_been_retrieved_was_not_read(module: Module) -> None:
    assert measured(module, everywhere(retrieved=showing("ours"))).strata["cite"] == 0


def test_who_is_hardly_ever_right_cites_nothing(module: Module) -> None:
    service: Service = lambda one: right(one) if one.id == "prose-0" else abstaining(one)  # noqa: E731
    assert measured(module, service).strata["cite"] == 0
    service = lambda one: right(one) if one.stratum == "prose" else abstaining(one)  # noqa: E731
    assert measured(module, service).strata["cite"] == 1


def test_a_value_that_was_right_once_is_stale_by_whatever_way_it_is_said(module: Module) -> None:
    for changes in ({"value": "700 C"}, {"answer": "It is 20 C, once it was 700 C."}):
        found = measured(module, changed("prose", **changes))
        assert found.strata["nostale"] == pytest.approx(1 - 1 / (3 * EACH))
        assert found.right["prose"] == (EACH - 1, EACH)


def test_a_world_in_which_nothing_changed_has_nothing_stale(module: Module) -> None:
    world = tiny_world.World(tuple(one for one in make().questions if one.stratum == "table"), make().documents)
    assert measured(module, right, world).strata["nostale"] == 1


# ----------------------------------------------------------------------------------------------------------- ranking


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        (["r1", "r2", "o1"], {"recall@5": 1.0, "recall@10": 1.0, "mrr": 1.0, "ndcg@10": 1.0}),
        (["x", "r1"], {"recall@5": 0.5, "recall@10": 0.5, "mrr": 0.5, "ndcg@10": 2 * 0.63093 / 3.76186}),
        (["o1", "x"], {"recall@5": 0.0, "recall@10": 0.0, "mrr": 0.0, "ndcg@10": 1 / 3.76186}),
        (["a", "b", "c", "d", "e", "r1"], {"recall@5": 0.0, "recall@10": 0.5, "mrr": 1 / 6}),
        ([*"abcdefghij", "r1"], {"recall@5": 0.0, "recall@10": 0.0, "mrr": 0.0, "ndcg@10": 0.0}),
        (["r1", "r1", "r1"], {"recall@5": 0.5, "ndcg@10": 2 / 3.76186}),
        ([], {"recall@5": 0.0, "recall@10": 0.0, "mrr": 0.0, "ndcg@10": 0.0}),
    ],
)
def test_rankings_are_measured_by_hand_as_by_the_measure(
    documents: list[str], expected: dict[str, float], module: Module
) -> None:
    question = replace(make().questions[0], relevant=("r1", "r2"), related=("o1",))
    world = tiny_world.World((question,), ())
    found = measured(module, lambda one: right(one) | {"retrieved": showing(*documents)}, world).quality
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)


def test_twins_agree_when_both_are_told_the_same_even_if_it_is_wrong(module: Module) -> None:
    assert measured(module, failing("prose", "twin")).quality["twin consistency"] == 1
    assert measured(module, failing("prose")).quality["twin consistency"] == 0
    silent_originals: Service = lambda one: None if one.stratum == "prose" else right(one)  # noqa: E731
    assert "twin consistency" not in measured(module, silent_originals).quality
    for told, agreeing in ((abstaining, 1.0), (right, 0.0)):
        service: Service = lambda one, told=told: told(one) if one.stratum == "prose" else abstaining(one)  # type: ignore[misc]  # noqa: E731
        assert measured(module, service).quality["twin consistency"] == agreeing


def test_a_world_without_questions_cannot_be_measured(module: Module) -> None:
    with pytest.raises(ValueError, match="has no questions"):
        module("scoring.measures").measure(tiny_world.World((), ()), [])


@pytest.mark.parametrize(
    ("constant", "value", "service", "measure"),
    [
        ("LEAK_SCALE", 1.0, changed("prose", citations=["theirs"]), "noleak"),
        ("LEAST_CITING", 0.0, lambda one: right(one) if one.id == "prose-0" else abstaining(one), "cite"),
        ("SHALLOW", 10, everywhere(retrieved=showing(*"abcdef", *(f"d-{name}-0" for name in STRATA))), "recall@5"),
        ("DEEP", 3, everywhere(retrieved=showing(*"abcdef", *(f"d-{name}-0" for name in STRATA))), "mrr"),
        ("GAIN_RELEVANT", 3.0, right, "ndcg@10"),
        ("GAIN_RELATED", 0.0, right, "ndcg@10"),
    ],
)
def test_every_number_of_the_measures_matters(
    constant: str, value: float, service: Service, measure: str, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen() -> float:
        found = measured(module, service)
        return float((found.strata | found.quality)[measure])

    before = seen()
    monkeypatch.setattr(module("scoring.measures"), constant, value)
    assert seen() != before
