"""What findings add up to. Laws by hypothesis, and the cases that people argue about by name."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.contract import Finding
from graders.rubric import Cap, Criterion, Judge, Kind, Manifest, Part, Rubric
from graders.scoring import Score, band, score, spelled

CREDIT = st.none() | st.floats(0, 1)
CAPS = st.lists(
    st.builds(
        Cap,
        criterion=st.sampled_from(["first", "second", "third", "extra", "leak"]),
        at_most=st.floats(0, 100),
        below=st.floats(0.01, 1),
        confirmed_by=st.sampled_from(["nobody", "person"]),
        reason=st.just("It must not leak."),
    ),
    max_size=3,
)
KEYS = ("first", "second", "third", "extra", "leak")


def criterion(points: float, part: str = "code", kind: Kind = Kind.CORE) -> Criterion:
    return Criterion(title="T", points=points, judged_by=Judge.TESTS, part=part, kind=kind)


RUBRIC = Rubric(
    criteria={
        "first": criterion(30),
        "second": criterion(50, kind=Kind.MUST),
        "third": criterion(20, "notes"),
        "extra": criterion(15, kind=Kind.BONUS),
        "leak": criterion(0, kind=Kind.RED_FLAG),
    }
)


def manifest(*caps: Cap) -> Manifest:
    return Manifest(
        title="T",
        summary="S",
        version="1.0.0",
        minutes=10,
        expert_minutes=(1, 2),
        deliverables=("a.py",),
        parts={"code": Part(title="Code", points=80), "notes": Part(title="Notes", points=20)},
        caps=caps,
    )


def cap(criterion: str, at_most: float, **more: Any) -> Cap:
    return Cap(criterion=criterion, at_most=at_most, reason="It must not leak.", **more)


def findings(**credits_: float | None) -> list[Finding]:
    return [Finding(criterion=key, credit=credit, reason="seen") for key, credit in credits_.items()]


def scored(*caps: Cap, confirmed: Sequence[str] = (), **credits_: float | None) -> Score:
    return score(manifest(*caps), RUBRIC, findings(**credits_), confirmed)


def total(*caps: Cap, confirmed: Sequence[str] = (), **credits_: float | None) -> tuple[float, float]:
    found = scored(*caps, confirmed=confirmed, **credits_)
    return found.low, found.high


# Cases


def test_an_unjudged_criterion_is_not_zero() -> None:
    assert total(first=1, second=1, extra=0, leak=1) == (80, 100)
    assert total(first=1, second=1, third=None, extra=0, leak=1) == (80, 100)
    assert total(first=1, second=1, third=0, extra=0, leak=1) == (80, 80)


def test_without_any_finding_everything_is_open() -> None:
    found = scored()
    assert (found.low, found.high, found.max, found.open) == (0, 100, 100, KEYS)
    assert found.is_provisional
    assert found.bands == ("D", "C", "B", "A")


def test_credit_is_a_share_of_the_points_and_parts_are_told_apart() -> None:
    found = scored(first=0.5, second=0.4, third=None, extra=0, leak=1)
    assert (found.low, found.high) == (35, 55)
    assert [(part.key, part.low, part.high, part.max) for part in found.parts] == [
        ("code", 35, 35, 80),
        ("notes", 0, 20, 20),
    ]
    assert [(one.key, one.credit, one.low, one.high, one.max) for one in found.parts[0].criteria] == [
        ("first", 0.5, 15, 15, 30),
        ("second", 0.4, 20, 20, 50),
        ("extra", 0, 0, 0, 15),
        ("leak", 1, 0, 0, 0),
    ]


def test_bonus_points_make_up_for_others_and_never_more_than_all() -> None:
    assert total(first=0.5, second=1, third=1, extra=1, leak=1) == (100, 100)
    assert total(first=0, second=1, third=1, extra=1, leak=1) == (85, 85)
    assert total(first=1, second=1, third=1, extra=1, leak=1) == (100, 100)


def test_a_red_flag_is_up_at_credit_zero_and_costs_no_points_by_itself() -> None:
    assert scored(first=1, second=1, third=1, extra=0, leak=1).flags == ()
    raised = scored(first=1, second=1, third=1, extra=0, leak=0)
    assert (raised.flags, raised.low) == (("leak",), 100)
    assert scored(first=1).flags == ()


def test_a_must_that_is_missed_is_for_a_person_to_look_at() -> None:
    assert scored(second=0.49).to_confirm == ("second",)
    assert scored(second=0.5).to_confirm == ()
    assert scored(second=None).to_confirm == ()
    assert scored(second=0, confirmed=["second"]).to_confirm == ()
    assert scored(first=0).to_confirm == ()


def test_a_cap_comes_last_and_says_why() -> None:
    found = scored(cap("leak", 49), first=1, second=1, third=1, extra=1, leak=0)
    assert (found.low, found.high) == (49, 49)
    assert [(one.criterion, one.at_most, one.reason, one.certain) for one in found.caps] == [
        ("leak", 49, "It must not leak.", True)
    ]


def test_a_cap_that_was_not_earned_is_not_mentioned() -> None:
    assert scored(cap("leak", 49), first=1, second=1, third=1, extra=0, leak=0.5).caps == ()
    assert scored(cap("leak", 49, below=0.6), leak=0.5).caps != ()


def test_a_cap_above_the_points_takes_none() -> None:
    assert total(cap("leak", 49), first=1, second=0, third=0, extra=0, leak=0) == (30, 30)


def test_a_cap_on_an_open_criterion_is_only_possible() -> None:
    found = scored(cap("leak", 49), first=1, second=1, third=1, extra=0)
    assert (found.low, found.high, found.caps[0].certain) == (49, 100, False)


def test_a_cap_that_a_person_must_confirm_is_only_possible_until_then() -> None:
    integrity = cap("leak", 0, confirmed_by="person")
    judged = findings(first=1, second=1, third=1, extra=0, leak=0)
    unseen = score(manifest(integrity), RUBRIC, judged)
    assert (unseen.low, unseen.high, unseen.to_confirm) == (0, 100, ("leak",))
    seen = score(manifest(integrity), RUBRIC, judged, ["leak"])
    assert (seen.low, seen.high, seen.to_confirm) == (0, 0, ())


def test_of_two_caps_the_lower_holds() -> None:
    assert total(cap("leak", 49), cap("second", 30), first=1, second=0, third=1, extra=0, leak=0) == (30, 30)


@pytest.mark.parametrize(
    ("points", "name"),
    [(100, "A"), (80, "A"), (79.99, "B"), (60, "B"), (59.99, "C"), (40, "C"), (39.99, "D"), (0, "D")],
)
def test_bands_begin_where_they_say(points: float, name: str) -> None:
    assert band(points) == name


def test_binary_fractions_do_not_cost_a_band() -> None:
    """0.1 + 0.2 is a little more than 0.3, and 0.7 of 30 a little less than 21."""
    found = scored(first=0.7, second=0.9, third=0.7, extra=0, leak=1)
    assert (found.low, found.bands) == (80, ("A",))


def test_a_total_between_two_bands_may_be_in_either() -> None:
    assert scored(first=1, second=0.8, third=None, extra=0, leak=1).bands == ("B", "A")


@pytest.mark.parametrize("keys", [["unknown"], ["first", "first"]])
def test_findings_that_do_not_fit_the_rubric_are_no_score(keys: list[str]) -> None:
    given_findings = [Finding(criterion=key, credit=1, reason="seen") for key in keys]
    with pytest.raises(ValueError, match=keys[0]):
        score(manifest(), RUBRIC, given_findings)


# Laws


@given(CAPS, st.fixed_dictionaries(dict.fromkeys(KEYS, CREDIT)), st.sets(st.sampled_from(KEYS)))
def test_a_score_is_an_interval_within_its_range(
    caps: list[Cap], judged: dict[str, float | None], confirmed: set[str]
) -> None:
    found = score(manifest(*caps), RUBRIC, findings(**judged), confirmed)
    assert 0 <= found.low <= found.high <= 100
    for part in found.parts:
        assert 0 <= part.low <= part.high
    assert found.bands[0] == band(found.low)
    assert found.bands[-1] == band(found.high)


@given(
    CAPS,
    st.fixed_dictionaries(dict.fromkeys(KEYS, CREDIT)),
    st.sampled_from(KEYS),
    st.floats(0, 1),
    st.sets(st.sampled_from(KEYS)),
)
def test_judging_one_more_criterion_never_widens_the_interval(
    caps: list[Cap], judged: dict[str, float | None], key: str, credit: float, confirmed: set[str]
) -> None:
    before = score(manifest(*caps), RUBRIC, findings(**{**judged, key: None}), confirmed)
    after = score(manifest(*caps), RUBRIC, findings(**{**judged, key: credit}), confirmed)
    assert before.low <= after.low <= after.high <= before.high


@given(CAPS, st.fixed_dictionaries(dict.fromkeys(KEYS, CREDIT)), st.sampled_from(KEYS))
def test_a_look_by_a_person_never_widens_the_interval(
    caps: list[Cap], judged: dict[str, float | None], key: str
) -> None:
    before = score(manifest(*caps), RUBRIC, findings(**judged))
    after = score(manifest(*caps), RUBRIC, findings(**judged), {key})
    assert before.low <= after.low <= after.high <= before.high


@given(st.fixed_dictionaries(dict.fromkeys(KEYS, CREDIT)), st.sampled_from(KEYS), st.floats(0, 1))
def test_more_credit_never_costs_points(judged: dict[str, float | None], key: str, credit: float) -> None:
    capped = manifest(cap("leak", 49), cap("second", 60, confirmed_by="person"))
    before = score(capped, RUBRIC, findings(**{**judged, key: credit}))
    after = score(capped, RUBRIC, findings(**{**judged, key: 1.0}))
    assert before.low <= after.low
    assert before.high <= after.high


@given(CAPS, st.fixed_dictionaries(dict.fromkeys(KEYS, CREDIT)), st.randoms())
def test_the_order_of_findings_does_not_matter(caps: list[Cap], judged: dict[str, float | None], chance: Any) -> None:
    ordered = findings(**judged)
    shuffled = chance.sample(ordered, len(ordered))
    assert score(manifest(*caps), RUBRIC, shuffled) == score(manifest(*caps), RUBRIC, ordered)


@given(CAPS, st.fixed_dictionaries(dict.fromkeys(KEYS, CREDIT)))
def test_no_finding_and_an_open_one_are_the_same(caps: list[Cap], judged: dict[str, float | None]) -> None:
    closed = {key: credit for key, credit in judged.items() if credit is not None}
    assert score(manifest(*caps), RUBRIC, findings(**closed)) == score(manifest(*caps), RUBRIC, findings(**judged))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(80, 80, "80"), (80, 100, "80 to 100"), (100 / 3, 100 / 3, "33.33"), (35 / 3, 95 / 3, "11.67 to 31.67")],
)
def test_points_are_told_without_needless_decimals(low: float, high: float, words: str) -> None:
    assert spelled(low, high) == words
