"""The scale on which scores of all forms are reported."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from graders.contract import MessageUnreadable
from graders.equating import Curve

# Mean raw scores of twelve forms with six faults, after 0 to 6 of them were mended.
MEASURED = Curve(points=(0, 9, 20, 34, 50, 72, 100))

RISING = (
    st.lists(st.floats(0, 100), min_size=2, max_size=12, unique=True)
    .map(sorted)
    .map(lambda points: Curve(points=tuple(points)))
)


@pytest.mark.parametrize(
    ("raw", "equated"),
    [(0, 0), (9, 100 / 6), (20, 200 / 6), (27, 250 / 6), (34, 50), (50, 400 / 6), (61, 75), (72, 500 / 6), (100, 100)],
)
def test_a_raw_score_is_worth_the_share_of_faults_that_it_takes_to_get_it(raw: float, equated: float) -> None:
    assert MEASURED.equate(raw) == pytest.approx(equated, abs=1e-9)


def test_what_lies_outside_of_the_curve_is_nothing_or_everything() -> None:
    curve = Curve(points=(10, 40, 90))
    assert [curve.equate(raw) for raw in (-5, 0, 9.99, 10, 90, 95, 100)] == [0, 0, 0, 0, 100, 100, 100]


def test_who_reaches_a_plateau_gets_all_of_it() -> None:
    curve = Curve(points=(0, 30, 30, 100))
    assert curve.equate(29.999) < 100 / 3
    assert curve.equate(30) == pytest.approx(200 / 3)


@given(RISING)
def test_each_point_of_a_curve_is_its_share(curve: Curve) -> None:
    steps = len(curve.points) - 1
    for mended, raw in enumerate(curve.points):
        assert curve.equate(raw) == pytest.approx(100 * mended / steps)


@given(RISING, st.floats(0, 100), st.floats(0, 100))
def test_more_raw_points_are_never_worth_less(curve: Curve, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert 0 <= curve.equate(less) <= curve.equate(more) <= 100


@given(RISING)
def test_a_curve_survives_being_stored(curve: Curve) -> None:
    assert Curve.from_json(curve.to_json()) == curve


def test_a_curve_is_the_mean_over_all_ways_to_mend_so_many() -> None:
    worth = {"a": 5.0, "b": 10.0, "c": 15.0}
    scores = {
        frozenset(mended): sum(worth[fault] for fault in mended) + (70 if len(mended) == 3 else 0)
        for count in range(4)
        for mended in combinations(worth, count)
    }
    assert Curve.from_lattice(scores).points == (0, 10, 20, 100)


def test_a_lattice_that_says_nothing_about_some_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no score with 1 of 2 faults"):
        Curve.from_lattice({frozenset(): 0, frozenset({"a", "b"}): 100})
    with pytest.raises(ValueError, match="no score with 0 of 1"):
        Curve.from_lattice({frozenset({"a"}): 100})


@pytest.mark.parametrize(
    "points",
    [
        "[]",
        "[0]",
        "[0, 50, 40, 100]",
        "[50, 50]",
        "[0, 101]",
        "[-1, 100]",
        "[0, NaN]",
        "[0, 1e999]",
        '["0", "100"]',
        "3",
    ],
)
def test_what_is_no_rising_curve_is_refused(points: str) -> None:
    with pytest.raises(MessageUnreadable):
        Curve.from_json(f'{{"points": {points}}}')


def test_a_form_that_gets_worse_when_it_is_mended_has_no_curve() -> None:
    with pytest.raises(ValidationError, match="falls from 60 to 50 with 2 mended"):
        Curve(points=(0, 60, 50, 100))


def test_the_measured_curve_shows_how_faults_mask_each_other() -> None:
    gains = [after - before for before, after in pairwise(MEASURED.points)]
    assert gains == sorted(gains)
    assert MEASURED.equate(50) > 50
