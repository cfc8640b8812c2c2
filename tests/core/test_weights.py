import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.weights import CONTIGUITIES, lattice_neighbours, polygon_neighbours


def three_by_three():
    rows, cols = np.mgrid[:3, :3]
    return rows.ravel(), cols.ravel()


def boxes(rows, cols):
    left, top = 150.0 * np.asarray(cols), -150.0 * np.asarray(rows)
    return gpd.GeoDataFrame(geometry=shapely.box(left, top - 150.0, left + 150.0, top))


def test_neighbours_of_three_by_three_worked_by_hand():
    queen = lattice_neighbours(*three_by_three(), "queen")
    rook = lattice_neighbours(*three_by_three(), "rook")
    assert queen.counts.tolist() == [3, 5, 3, 5, 8, 5, 3, 5, 3]
    assert rook.counts.tolist() == [2, 3, 2, 3, 4, 3, 2, 3, 2]
    assert queen.of(0).tolist() == [1, 3, 4]
    assert rook.of(4).tolist() == [1, 3, 5, 7]


def test_the_mean_of_neighbours_worked_by_hand():
    rook = lattice_neighbours(*three_by_three(), "rook")
    assert rook.mean(np.arange(9.0))[0] == 2.0  # of 1 and 3
    assert lattice_neighbours([0, 5], [0, 5]).mean(np.ones(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", CONTIGUITIES)
@given(kept=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, unique=True))
@settings(max_examples=25, deadline=None)
def test_lattice_neighbours_are_those_of_libpysal_in_any_order(kind, kept):
    rows, cols = np.array(kept).T
    ours = lattice_neighbours(rows, cols, kind)
    theirs = polygon_neighbours(boxes(rows, cols), kind)
    assert ours.starts.tolist() == theirs.starts.tolist()
    assert ours.ids.tolist() == theirs.ids.tolist()


def test_what_libpysal_gets_is_the_same_relation():
    queen = lattice_neighbours(*three_by_three())
    assert queen.to_libpysal().neighbors[0] == [1, 3, 4]
    assert lattice_neighbours([0, 0, 9], [0, 1, 9]).to_libpysal().islands == [2]


def test_islands_have_no_neighbour():
    assert lattice_neighbours([0, 0, 9], [0, 1, 9]).islands.tolist() == [2]


def test_neighbours_among_some_are_those_of_the_smaller_lattice():
    rows, cols = (axis.ravel() for axis in np.mgrid[:5, :6])
    kept = np.random.default_rng(0).random(30) < 0.6
    among = lattice_neighbours(rows, cols).among(kept)
    alone = lattice_neighbours(rows[kept], cols[kept])
    assert among.starts.tolist() == alone.starts.tolist()
    assert among.ids.tolist() == alone.ids.tolist()


@pytest.mark.parametrize(
    ("rows", "cols", "words"),
    [
        ([0, 0], [1, 1], "twice"),
        ([0, 1], [1], "2 and 1"),
        ([0.5, 1], [0, 1], "whole numbers"),
        ([np.nan, 1], [0, 1], "whole numbers"),
        (["a", "b"], [0, 1], "whole numbers"),
        ([0, 4_620_900], [0, 430_000], "coordinates"),
        ([], [], "0 and 0"),
    ],
)
def test_a_lattice_that_is_none_is_refused(rows, cols, words):
    with pytest.raises(InputError, match=words):
        lattice_neighbours(rows, cols)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="queen, rook"):
        lattice_neighbours([0], [0], "bishop")


def test_no_zones_are_refused():
    with pytest.raises(InputError, match="no zones"):
        polygon_neighbours(gpd.GeoDataFrame(geometry=[]))
