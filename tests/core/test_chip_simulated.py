"""Chips of the simulated city: the picture that is drawn there, and its own land cover as truth."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from core.chips.options import CutOptions
from core.chips.requests import Request, run
from core.chips.sets import ChipSets
from core.errors import InputError
from core.simulate.aerial import AerialSource
from core.simulate.city import City
from core.workspace import Workspace
from tests.core.town import make_town


def test_chips_of_the_simulated_city_are_its_aerial_image_with_its_truth(tmp_path):
    options = CutOptions(size_px=32, count=6, min_valid=0.9)
    run(Workspace(tmp_path), Request(out="sim", simulated=0, options=options))
    chips = ChipSets(tmp_path).open("sim")
    assert [channel.name for channel in chips.info.channels] == ["red", "green", "blue", "nir"]
    assert chips.info.side_m == 32 and chips.info.sources[0]["is_simulated"]
    imagery = AerialSource(City(0))
    for number, row in enumerate(chips.table.itertuples()):
        drawn = imagery.read((row.west, row.south, row.east, row.north))
        if row.valid == 1:
            assert_array_equal(chips.pixels()[number], drawn.image)
        for code in np.unique(drawn.cover[drawn.cover > 0]):
            share = getattr(chips.table.iloc[number], f"cover_{code}")
            assert share == pytest.approx((drawn.cover == code).mean(), abs=1e-6)


def test_an_area_that_is_not_that_city_is_refused(tmp_path):
    space = make_town(tmp_path)
    with pytest.raises(InputError, match="Town is not the simulated city of the seed 0"):
        run(space, Request(out="sim", area="town", simulated=0))


def test_a_city_of_an_impossible_seed_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be a seed"):
        run(Workspace(tmp_path), Request(out="sim", simulated=-1))
