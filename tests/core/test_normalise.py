import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.normalise import (
    class_columns,
    columns_of_role,
    complete,
    fill_gaps,
    layer_of_column,
    normalise,
)
from tests.core.zonal_inputs import lattice_of

NAN = float("nan")
TABLE = pd.DataFrame(
    {
        "lst0226_mean": [280.0, 290.0, 285.0],
        "landuse_fre_31": [3.0, 0.0, 1.0],
        "landuse_fre_7": [1.0, 4.0, NAN],
    }
)


def test_class_shares_and_min_max_by_hand():
    result = normalise(TABLE)
    assert result.table["lst0226_mean"].tolist() == [0.0, 1.0, 0.5]
    assert result.table["landuse_fre_31"].tolist() == [0.75, 0.0, 1.0]
    assert result.table["landuse_fre_7"].tolist() == [0.25, 1.0, 0.0]
    assert (result.constant, result.missing, result.without_class) == ((), {}, {})
    assert complete(result).equals(result.table)


def test_missing_constant_and_classless_are_told_apart():
    """Row 12: constant columns and missing values named."""
    table = pd.DataFrame(
        {
            "a_mean": [1.0, NAN, np.inf],
            "b_mean": [5.0, 5.0, 5.0],
            "lu_fre_1": [0.0, 2.0, NAN],
            "lu_fre_2": [0.0, 2.0, NAN],
        }
    )
    result = normalise(table)
    assert result.constant == ("a_mean", "b_mean")
    assert result.missing["a_mean"] == 2
    assert result.without_class == {"lu": 2}
    assert result.table["b_mean"].tolist() == [0, 0, 0]
    assert result.table["lu_fre_1"].tolist()[1] == 0.5


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("lst_mean", [1.0, NAN, 3.0], "Up to 1 quadrats have no value in: lst_mean"),
        ("lst_mean", [2.0, 2.0, 2.0], "the same value everywhere: lst_mean"),
        ("lu_fre_4", [1.0, 0.0, 1.0], "1 quadrats hold no class of lu"),
        ("other", [1.0, 2.0, 3.0], "no column absent"),
    ],
    ids=["missing", "constant", "no class", "unknown"],
)
def test_what_a_method_cannot_take_is_refused_by_name(column, values, message):
    """Row 12."""
    result = normalise(pd.DataFrame({column: values}))
    wanted = ["absent"] if column == "other" else None
    with pytest.raises(InputError, match=message):
        complete(result, wanted)


def test_document_reading_counts_missing_as_zero():
    table = pd.DataFrame(
        {"lst_mean": [NAN, 290.0, 145.0], "b_mean": [7.0, 7.0, 7.0], "lu_fre_1": [0.0, 1.0, NAN]}
    )
    result = normalise(table, method="document")
    assert result.table["lst_mean"].tolist() == [0.0, 1.0, 0.5]
    assert result.table["b_mean"].isna().all()
    assert result.table["lu_fre_1"].isna().tolist() == [True, False, True]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), *[st.integers(0, 50)] * 3]),
        min_size=1,
        max_size=30,
    )
)
def test_everything_lies_between_0_and_1_and_shares_add_up(rows):
    names = ["t_mean", "lu_fre_1", "lu_fre_2", "lu_fre_30"]
    table = pd.DataFrame(rows, columns=names, dtype=float)
    before = table.copy()
    result = normalise(table).table
    assert table.equals(before)
    values = result.to_numpy()
    assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    total = table[names[1:]].sum(axis=1)
    np.testing.assert_allclose(result[names[1:]].sum(axis=1)[total > 0], 1.0)
    assert result["t_mean"].isna().equals(table["t_mean"].isna())


def test_columns_of_a_role_follow_the_longest_name():
    roles = {"dem": "cause", "dem_fine": "effect", "lst": "effect"}
    columns = ["dem_mean", "dem_fine_mean", "dem_fre_1", "lst_mean"]
    assert columns_of_role(columns, roles, "cause") == ["dem_mean", "dem_fre_1"]
    assert columns_of_role(columns, roles, "effect") == ["dem_fine_mean", "lst_mean"]
    with pytest.raises(InputError, match="lu_fre_1 belongs to no layer"):
        columns_of_role(["lu_fre_1"], roles, "cause")


def test_a_column_is_of_the_longest_layer_that_begins_it():
    layers = ("heat", "heat_night", "cover")
    columns = ("heat_mean", "heat_night_mean", "cover_fre_3", "dem_mean", "heat")
    found = [layer_of_column(column, layers) for column in columns]
    assert found == ["heat", "heat_night", "cover", None, None]


def test_a_layer_without_classes_is_not_blamed_for_one_whose_name_it_begins():
    table = pd.DataFrame({"use_fre_1": [0.0, 1.0], "use_fre_fre_1": [2.0, 1.0]})
    table["use_fre_fre_2"] = [1.0, 2.0]
    found = normalise(table)
    assert found.without_class == {"use": 1}
    assert list(complete(found, ["use_fre_fre_1"])) == ["use_fre_fre_1"]


def test_class_columns_are_found_by_layer():
    found = class_columns(["lu_fre_31", "lu_fre_2.5", "lu_fre_-1", "lc_fre_0", "a_fre", "b_mean"])
    assert found == {"lu": ["lu_fre_31", "lu_fre_2.5", "lu_fre_-1"], "lc": ["lc_fre_0"]}


def gappy(*missing, shape=(7, 7)):
    lattice = lattice_of(shape, 100)
    values = lattice.cols.astype(float) + 10 * lattice.rows
    values[[row * shape[1] + col for row, col in missing]] = NAN
    return lattice, pd.DataFrame({"lst_mean": values, "lu_fre_1": np.full(len(values), NAN)})


def test_a_gap_takes_the_mean_of_its_neighbours_by_distance():
    lattice, table = gappy((3, 3))
    result = fill_gaps(table, lattice)
    assert result.table["lst_mean"].iloc[24] == pytest.approx(33)  # a plane, weighed evenly
    assert result.filled == {"lst_mean": 1}
    assert result.left == {}
    assert result.table["lu_fre_1"].isna().all()  # classes are never filled
    assert table["lst_mean"].isna().sum() == 1


def test_a_gap_in_the_corner_by_hand():
    lattice, table = gappy((0, 0), shape=(2, 2))
    # Neighbours 1 and 10 at distance 1, 11 at distance √2: weights 1, 1, 1/2.
    filled = fill_gaps(table, lattice).table["lst_mean"].iloc[0]
    assert filled == pytest.approx((1 + 10 + 11 / 2) / 2.5)


def test_nothing_is_filled_farther_than_asked():
    hole = [(row, col) for row in range(7) for col in range(7) if row > 0]
    lattice, table = gappy(*hole)
    result = fill_gaps(table, lattice, farthest_m=200)
    assert result.filled == {"lst_mean": 14}
    assert result.left == {"lst_mean": 28}
    assert fill_gaps(table, lattice).filled == {"lst_mean": 35}


def test_document_reading_fills_nothing():
    lattice, table = gappy((3, 3))
    result = fill_gaps(table, lattice, method="document")
    assert result.table.equals(table)
    assert (result.filled, result.left) == ({}, {"lst_mean": 1})


def test_a_column_without_any_value_stays_empty_and_is_named():
    lattice, table = gappy()
    table["lst_mean"] = NAN
    assert fill_gaps(table, lattice).left == {"lst_mean": 49}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["lu_fre_1"]}, "classes are never filled"),
        ({"columns": ["absent"]}, "absent"),
        ({"farthest_m": 0.0}, "distance above 0"),
    ],
)
def test_what_cannot_be_filled_is_refused(change, message):
    lattice, table = gappy()
    with pytest.raises(InputError, match=message):
        fill_gaps(table, lattice, **change)


def test_a_table_of_other_quadrats_is_refused():
    lattice, table = gappy()
    with pytest.raises(InputError, match="48 rows for 49 quadrats"):
        fill_gaps(table.iloc[1:], lattice)


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame({"name": ["a"]})])
def test_words_cannot_be_normalised(table):
    with pytest.raises(InputError, match="no numbers"):
        normalise(table)
