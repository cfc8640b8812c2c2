import numpy as np
import pytest

from models import pictures, scales
from models.config import TrainConfig
from tests.models.fake_run import config


@pytest.mark.parametrize(
    ("times", "end", "expected"),
    [
        (range(1, 11), 10, [2, 5, 7, 10]),
        (range(1, 7), 10, [2, 5, 6, None]),
        ([1, 2], 2, [None, 1, None, 2]),
        ([1], 1, [None, None, None, 1]),
        ([0, 5], 4, [None, None, None, None]),
        ([], 4, [None, None, None, None]),
    ],
)
def test_the_last_time_of_each_quarter_is_taken(times, end, expected):
    assert scales.by_quarter(times, 0, end) == expected


def row(step, epoch, depth):
    return {"step": step, "epoch": epoch, "depth": depth}


def test_a_step_is_told_of_by_the_row_at_it_or_after():
    rows = [row(10, 0, 0), row(20, 0, 0), row(30, 1, 1)]
    found = [scales.row_of(rows, step) for step in (0, 10, 11, 21, 30, 99)]
    assert [one["step"] for one in found] == [10, 10, 20, 30, 30, 30]
    assert scales.row_of([], 5) is None


def test_sheets_stand_by_depth_and_quarter_of_its_epochs():
    """Fits of 2, 4 and 2 epochs, of 10, 10 and 20 steps each; the run is in its third."""
    settings = config(model="stylegan", fits=(2, 4, 2))
    ends = [10, 20, 30, 40, 50, 60, 80]
    depths = [0, 0, 1, 1, 1, 1, 2]
    rows = [row(step, at, depth) for at, (step, depth) in enumerate(zip(ends, depths, strict=True))]
    found = scales.by_depth(settings, rows, [0, *ends])
    assert found == [
        scales.Stretch(0, 2, (None, 10, None, 20)),
        scales.Stretch(1, 4, (30, 40, 50, 60)),
        scales.Stretch(2, 2, (None, 80, None, None)),
    ]


def test_fits_of_the_same_depth_are_one_stretch():
    """The top depth, 4, is trained on by a sixth fit."""
    settings = config(model="stylegan", fits=(1, 1, 1, 1, 2, 2))
    rows = [row(10 * (at + 1), at, min(at, 4)) for at in range(8)]
    found = scales.by_depth(settings, rows, [50, 60, 70, 80])
    assert found == [scales.Stretch(4, 4, (50, 60, 70, 80))]


def test_a_model_of_one_size_has_no_depths():
    assert scales.by_depth(config(), [row(10, 0, 0)], [10]) == []
    assert isinstance(config().training, TrainConfig)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_cut_out_of_their_sheet(channels):
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (7, channels, 8, 8), dtype=np.uint8)
    found = scales.cut(pictures.sheet(made), 8, 4)
    assert np.array_equal(found, np.moveaxis(made[:4], 1, 3))
    with pytest.raises(ValueError):
        scales.cut(pictures.sheet(made), 16, 4)


def test_smaller_pictures_are_means():
    one = np.array([[0, 2, 9, 9], [4, 2, 9, 9], [1, 1, 7, 8], [1, 1, 8, 9]], np.uint8)
    assert scales.shrunk(one[None, :, :, None], 2)[0, :, :, 0].tolist() == [[2, 9], [1, 8]]
