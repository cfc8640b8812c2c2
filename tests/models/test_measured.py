"""What pictures show, measured: by hand, over psi, of classes, and not of the unknown."""

import numpy as np
import pytest

from core.chips.channels import Channel
from models import measured
from models.generate import Look
from models.loaded import Loaded
from models.synthesis import QuickGenerator
from tests.models.style import TINY, lively

CLASSES = (
    Channel(name="water", kind="class", code=1, colour="#0000FF"),
    Channel(name="trees", kind="class", code=2, colour="#00FF00"),
    Channel(name="roads", kind="class", code=3, colour="#FF0000"),
)


def bands(*names):
    return tuple(Channel(name=name, kind="image") for name in names)


def test_measures_by_hand():
    grey = np.full((1, 3, 8, 8), 100, np.uint8)
    of = {name: found.tolist() for name, found in measured.measures(grey).items()}
    assert of == {"brightness": [100.0], "edges": [0.0], "green": [0.0]}
    half = grey.copy()
    half[:, 1, :, 4:] = 200  # chromatic green 200 / 400: excess 2 · 0.5 - 0.5 = 0.5
    of = measured.measures(half)
    assert of["green"].tolist() == [0.5]
    # Brightness jumps by 33 from column 3 to 4: half of that in each of the two columns there.
    assert of["edges"].tolist() == [pytest.approx(2 / 6)]
    near_infrared = np.concatenate([grey, np.full((1, 1, 8, 8), 150, np.uint8)], axis=1)
    of = measured.measures(near_infrared, bands("red", "green", "blue", "nir"))
    assert of["green"].tolist() == [1.0]  # 50 / 250 = 0.2
    assert of["brightness"].tolist() == [100.0]  # of the visible bands alone


def test_bands_count_by_their_names_and_not_by_their_places():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (2, 4, 8, 8), dtype=np.uint8)
    names = ("red", "green", "blue", "nir")
    straight = measured.measures(picture, bands(*names))
    turned = measured.measures(picture[:, [3, 2, 0, 1]], bands("nir", "blue", "red", "green"))
    assert straight.keys() == turned.keys() == {"brightness", "edges", "green"}
    assert all(np.allclose(straight[name], turned[name]) for name in straight)


def test_of_classes_their_shares_and_borders_are_measured():
    picture = np.zeros((1, 3, 4, 4), np.uint8)
    picture[0, 0, :2] = 200  # the upper half water, a quarter trees, a quarter nothing
    picture[0, 1, 2:, :2] = 90
    picture[0, 2, 2:, :2] = 80
    of = {name: found.tolist() for name, found in measured.measures(picture, CLASSES).items()}
    # 24 pairs of neighbours; 4 differ from the upper half to the lower, 2 inside the lower.
    assert of == {
        "class water": [0.5], "class trees": [0.25], "class roads": [0.0], "borders": [6 / 24],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "channels"),
    [
        (4, ()),
        (2, ()),
        (2, (Channel(name="ndvi", kind="values"), Channel(name="height", kind="values"))),
        (1, (Channel(name="height", kind="values"),)),
    ],
)
def test_of_channels_whose_meaning_is_not_known_nothing_is_measured(count, channels):
    assert not measured.is_measured(count, channels)
    assert measured.is_measured(1)
    assert measured.is_measured(3)
    assert measured.is_measured(3, CLASSES)


@pytest.fixture
def model():
    generator, _ = lively(TINY)
    return Loaded("digest", 2, 1.0, generator, QuickGenerator(generator))


def test_curves_over_psi_meet_at_zero(model):
    found = measured.curves(measured.psi_values(model, range(6), [-1.0, 0.0, 1.0], Look()))
    assert [one.name for one in found] == ["brightness", "edges"]
    for one in found:
        assert one.low[1] == one.high[1] == pytest.approx(one.mean[1])
        assert (one.low <= one.high).all()


def test_what_stays_the_same_neither_rises_nor_falls():
    values = np.array([[0.0, 0.5, 0.2], [0.3, 0.1, 0.1], [0.0, 0.0, 0.0], [0.0, 0.0, 0.1]])
    (found,) = measured.curves({"edges": values})
    assert (found.rises, found.falls) == (0.5, 0.25)
