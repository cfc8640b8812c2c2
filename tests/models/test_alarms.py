import pytest

from models.alarms import alarms, collapse, memorising, saturation, vanishing


def measured(**figures):
    name, values = next(iter(figures.items()))
    return [{"step": 100 * at, name: value} for at, value in enumerate(values)]


def epochs(losses, clipped=0.9):
    rows = [
        {"step": 10 * at, "ends_epoch": True, "critic_smooth": loss}
        for at, loss in enumerate(losses)
    ]
    return [*rows, {"step": rows[-1]["step"], "clipped": clipped}]


def test_a_healthy_run_raises_no_alarm():
    rows = [
        {"step": at, "ends_epoch": True, "critic_smooth": -0.1 * at, "generator_gradient": 1.0,
         "diversity": 0.8, "clipped": 0.9, "nearest_ratio": 1.0}
        for at in range(12)
    ]  # fmt: skip
    assert alarms(rows) == []
    assert alarms([]) == []


def test_collapse_is_named_from_the_first_of_two_low_measurements():
    found = collapse(measured(diversity=[0.9, 0.6, 0.1, 0.05]))
    assert found.step == 200
    assert "only 5% as far apart" in found.message()
    assert "before step 200" in found.message()


def test_a_generator_that_never_varies_its_pictures_has_collapsed_too():
    assert collapse(measured(diversity=[0.1] * 5)) is None  # it may be new
    assert collapse(measured(diversity=[0.1] * 6)).step == 0


@pytest.mark.parametrize("values", [[0.9, 0.1], [0.1, 0.1, 0.9], [0.1, 0.9, 0.1], [0.1, 0.1]])
def test_one_low_measurement_or_one_that_is_over_or_early_is_no_collapse(values):
    assert collapse(measured(diversity=values)) is None


def test_a_critic_at_its_limit_whose_estimate_stands_still_is_saturated():
    # The document's run: 1.5463, 1.5464, ... at the end of its 200 epochs.
    found = saturation(epochs([-0.02, -1.2, -1.541, -1.544, -1.546, -1.5463, -1.5473, -1.5474]))
    assert found.kind == "saturation"
    assert found.step == 20
    assert "1.55 for 5 epochs" in found.message()


@pytest.mark.parametrize(
    "rows",
    [
        epochs([-1.2, -1.3, -1.4, -1.45, -1.5, -1.55]),  # still moving
        epochs([-1.5] * 8, clipped=0.1),  # standing still within the limit
        epochs([-1.5] * 5),  # too short to tell
        epochs([0.0] * 8),  # nothing learnt yet
    ],
)
def test_a_critic_that_still_learns_or_stands_off_its_limit_is_not_saturated(rows):
    assert saturation(rows) is None


def test_a_gradient_that_has_shrunk_a_thousandfold_has_vanished():
    found = vanishing(measured(generator_gradient=[1, 1.2, 0.9, 1.1, 1, 5e-4, 4e-4]))
    assert found.step == 500
    assert "4.0e-04" in found.message()
    assert vanishing(measured(generator_gradient=[1, 1.2, 0.9, 1.1, 5e-4, 1.0])) is None


@pytest.mark.parametrize("num", [2, 5, 10, 100, 1000])
def test_a_gradient_that_has_vanished_stays_so_since_the_same_step(num):
    found = vanishing(measured(generator_gradient=[1, 1.2, 0.9, 1.1, 1] + [1e-5] * num))
    assert (found.kind, found.step) == ("vanishing", 500)
    assert "1.0e-05" in found.message()


def test_a_gradient_that_has_come_back_or_was_large_at_first_has_not_vanished():
    assert vanishing(measured(generator_gradient=[1] * 5 + [1e-5] * 9 + [1.0])) is None
    assert vanishing(measured(generator_gradient=[1e4, 1e4] + [0.5] * 20)) is None


@pytest.mark.parametrize("num", [6, 7, 20, 200])
def test_a_saturated_critic_is_so_since_the_same_step(num):
    found = saturation(epochs([-0.02, -1.2] + [-1.546] * num))
    assert found.step == 20
    assert f"for {num - 1} epochs" in found.message()


def test_samples_nearer_to_chips_than_chips_to_each_other_are_repeated():
    found = memorising(varied([1.1, 0.4, 0.3]))
    assert found.step == 100
    assert "40% of the distance" in found.message()
    assert memorising(varied([1.1, 0.4, 0.8])) is None
    assert memorising(varied([0.4, 0.3], diversity=0.2)) is None  # blurred ones lie near to all


def varied(ratios, diversity=0.9):
    return [{**row, "diversity": diversity} for row in measured(nearest_ratio=ratios)]


def test_the_gravest_comes_first():
    rows = [
        {"step": at, "diversity": 0.9 if at < 3 else 0.01, "nearest_ratio": 0.01} for at in range(5)
    ]
    assert [alarm.kind for alarm in alarms(rows)] == ["collapse", "memorising"]
