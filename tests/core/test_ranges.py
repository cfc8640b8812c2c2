import math
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.normalise import normalise
from core.ranges import histogram, is_one_value, widened
from core.rendering import ValueStyle, picture_of
from core.summaries import Tally
from core.tiles import default_style
from core.workspace import Layer

NEARLY = [0.3, 0.1 + 0.2]
LOWEST = float(np.finfo("float32").min)
numbers = st.floats(-sys.float_info.max, sys.float_info.max)


def summary_of(values):
    array = np.atleast_1d(values)
    tally = Tally("values", array.dtype, num_pixels=array.size, name="x")
    tally.add(array, None)
    return tally.summary()


def test_a_histogram_is_that_of_numpy_where_there_is_a_range():
    values = np.random.default_rng(1).normal(size=500)
    low, high = values.min(), values.max()
    counts, edges = histogram(values, 64, low, high)
    expected = np.histogram(values, 64)
    assert np.array_equal(counts, expected[0])
    assert np.allclose(edges, expected[1])


@given(st.lists(numbers, min_size=1, max_size=8), st.integers(1, 64))
def test_every_value_is_counted_once_whatever_the_range(values, bins):
    counts, edges = histogram(values, bins, min(values), max(values))
    assert counts.sum() == len(values)
    assert len(edges) == len(counts) + 1


@given(numbers)
def test_a_widened_range_can_always_be_drawn(value):
    low, high = widened(value, value)
    assert low < high
    ValueStyle(colormap="viridis", low=low, high=high)


def test_rounding_noise_is_no_range():
    assert is_one_value(*NEARLY)
    assert is_one_value(0.0, 0.0)
    assert not is_one_value(0.3, 0.3000001)
    assert widened(-1.0, 1.0) == (-1.0, 1.0)
    assert widened(7.0, 7.0) == (6.5, 7.5)


@pytest.mark.parametrize(
    "values",
    [np.full(50, LOWEST, "float32"), np.array(NEARLY), np.full(3, 1e17), np.full(9, 7, "uint8")],
    ids=["lowest float32", "0.3 twice", "above 1e16", "whole numbers"],
)
def test_a_layer_of_one_value_has_one_bin_and_can_be_drawn(values):
    summary = summary_of(values)
    assert summary.histogram == (values.size,)
    layer = Layer(id="x", title="X", kind="values", summary=summary)
    style = default_style(layer)
    assert style.low < float(values[0]) < style.high
    assert picture_of(np.ma.array(values.reshape(1, -1))).startswith(b"\x89PNG")


def test_opposite_ends_of_the_doubles_have_a_histogram():
    ends = [-sys.float_info.max, sys.float_info.max]
    counts, edges = histogram(ends, 64, *ends)
    assert (counts[0], counts[-1], counts.sum()) == (1, 1, 2)
    assert (edges[0], edges[-1]) == tuple(ends)


def test_noise_is_not_stretched_to_0_to_1():
    table = pd.DataFrame({"lst_mean": [*NEARLY, math.nan], "dem_mean": [1.0, 2.0, 3.0]})
    found = normalise(table)
    assert found.constant == ("lst_mean",)
    assert found.table["lst_mean"].tolist()[:2] == [0.0, 0.0]
    assert math.isnan(found.table["lst_mean"][2])
