import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.config import AdversaryConfig
from models.plan import Plan, learning_rate
from models.series import (
    Curve,
    at_or_before,
    at_step,
    curve,
    distributions,
    ideals,
    pace,
    rates,
    thinned,
)

ROWS = [
    {"step": 10, "images": 320, "seconds": 6.0, "critic": -0.5, "critic_smooth": -0.4},
    {"step": 20, "images": 640, "seconds": 12.0, "generator": 0.1},
    {"step": 30, "images": 960, "seconds": 24.0, "critic": -0.75, "critic_smooth": None},
]


def test_the_estimated_distance_is_minus_the_critics_loss():
    found = curve(ROWS, "distance")
    assert found.x.tolist() == [10, 30]
    assert found.y.tolist() == [0.5, 0.75]
    assert curve(ROWS, "distance_smooth").y.tolist() == [0.4]


@pytest.mark.parametrize(
    ("by", "x"),
    [("step", [10, 30]), ("epoch", [2.5, 7.5]), ("images", [320, 960]), ("minutes", [0.1, 0.4])],
)
def test_curves_are_laid_against_any_clock(by, x):
    assert curve(ROWS, "critic", by=by, plan=Plan((10,), 4)).x.tolist() == x


def test_rows_of_an_old_table_count_epochs_alone():
    old = [{"fit": 0, "epoch": 0, "critic_smooth": -1.0}]
    assert curve(old, "critic_smooth", by="epoch").x.tolist() == [1]
    assert curve(old, "critic_smooth", by="step").x.tolist() == []


@given(st.integers(2, 3000), st.integers(2, 500))
def test_thinning_keeps_the_range_the_order_and_the_newest_point(num, most):
    full = Curve(np.arange(num, dtype=float), np.sin(np.arange(num)))
    found = thinned(full, most)
    assert len(found.x) <= max(most, 2)
    assert (np.diff(found.x) > 0).all()
    assert found.x[-1] == num - 1
    assert found.y[-1] == full.y[-1]
    assert full.y.min() - 1e-12 <= found.y.min() <= found.y.max() <= full.y.max() + 1e-12


def test_a_thinned_curve_by_hand():
    found = thinned(Curve(np.arange(5.0), np.array([1.0, 3.0, 5.0, 7.0, 0.0])), 3)
    assert found.x.tolist() == [0.5, 2.5, 4]
    assert found.y.tolist() == [2, 6, 0]


def test_ideal_lines_are_those_of_the_objective():
    bce = {one.name: one.value for one in ideals(AdversaryConfig(objective="bce"))}
    assert bce == {"critic": 2 * math.log(2), "generator": math.log(2)}
    squares = {one.name: one.value for one in ideals(AdversaryConfig(objective="least-squares"))}
    assert squares == {"critic": 0.5, "generator": 0.25}
    assert ideals(AdversaryConfig()) == ()


def test_a_distribution_has_an_area_of_one_and_equal_numbers_a_spike():
    even, spike = distributions(np.linspace(0, 4, 41), [2.0] * 41, bins=8)
    assert even.heights == pytest.approx([0.25] * 8)
    assert float((spike.heights * np.diff(spike.edges)).sum()) == pytest.approx(1)
    assert sorted(spike.heights)[-1] == pytest.approx(2, rel=1e-3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=41))
def test_any_quantiles_give_a_density(values):
    (found,) = distributions(sorted(values))
    assert (found.heights >= 0).all()
    assert float((found.heights * np.diff(found.edges)).sum()) == pytest.approx(1, abs=1e-6)


def test_the_row_and_the_sheet_of_a_step_are_the_newest_before_it():
    assert at_step(ROWS, 25)["step"] == 20
    assert at_step(ROWS, 10)["step"] == 10
    assert at_step(ROWS, 5) is None
    assert at_step([], 5) is None
    assert at_or_before([0, 10, 20], 19) == 10
    assert at_or_before([10], 3) == 10
    assert at_or_before([], 3) is None


def test_pace_by_hand():
    found = pace(ROWS, from_step=10, total=130, elapsed_s=40)
    assert found.images_per_s == pytest.approx(640 / 18)
    assert found.seconds_left == pytest.approx(100 * 18 / 20)
    assert pace(ROWS[:1], from_step=0, total=130, elapsed_s=40).seconds_left is None


def test_the_time_left_is_steady_when_a_run_goes_on():
    """Ten steps a second, two seconds to begin, a measurement of a second every tenth row."""
    rows = [{"step": 10 * at, "images": 80 * at, "seconds": float(at)} for at in range(1, 41)]
    before = pace(rows[:20], from_step=0, total=400, elapsed_s=24).seconds_left
    told = [
        pace(rows[:at], from_step=200, total=400, elapsed_s=2 + 1.1 * (at - 20)).seconds_left
        for at in range(21, 41)
    ]
    assert before == pytest.approx(24)
    assert max(told) <= before
    assert told[0] == pytest.approx(19)
    assert told[-1] == 0
    assert pace([], from_step=0, total=10, elapsed_s=0).seconds_left is None


def test_the_schedule_begins_anew_at_each_fit():
    found = rates("one-cycle", 1e-3, (5, 10), points=41)
    assert found.x[-1] == 15
    assert found.y[0] == found.y[41] == learning_rate("one-cycle", 0, 1e-3)
    assert found.x[found.y[:41].argmax()] == pytest.approx(5 * 0.25)
