import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from core.errors import InputError
from core.signatures import signatures

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.exists(), reason="the shared fixtures are absent")

TABLE = pd.DataFrame({"water": [0.0, 0.3, 0.31, 1.0], "grass": [0.0, 0.0, 0.6, 0.61]})
LABELS = np.array([0, 0, 0, 4])
CLUSTERS = st.integers(1, 4)


def test_shares_by_bin_worked_by_hand():
    found = signatures(TABLE, LABELS)
    assert found.bins == ("0", "(0.0, 0.3]", "(0.3, 0.6]", "(0.6, 1.0]")
    assert (found.clusters, found.sizes) == ((0, 4), (3, 1))
    third = 1 / 3
    assert_allclose(found.shares[0].T, [[third, third, third, 0], [2 / 3, 0, third, 0]], atol=1e-15)
    assert_array_equal(found.shares[1].T, [[0, 0, 0, 1], [0, 0, 0, 1]])


def test_the_documents_reading_has_no_bin_for_zeros():
    found = signatures(TABLE, LABELS, method="document")
    assert found.bins == ("(0.0, 0.3]", "(0.3, 0.6]", "(0.6, 1.0]")
    assert_allclose(found.shares[0].sum(axis=0), [2 / 3, 1 / 3])


def test_the_documents_reading_counts_missing_members_in_no_bin():
    table = pd.DataFrame({"a": [0.5, np.nan, 1.5, 0.2]})
    found = signatures(table, np.zeros(4, int), method="document")
    assert_array_equal(found.shares[0, :, 0], [0.25, 0.25, 0])


def test_equal_to_pandas_cut():
    rng = np.random.default_rng(3)
    table = pd.DataFrame(rng.integers(0, 11, (200, 3)) / 10, columns=list("abc"))
    labels = rng.integers(0, 4, 200)
    found = signatures(table, labels, edges=[0, 0.2, 0.5, 1], method="document")
    for at, cluster in enumerate(found.clusters):
        part = table[labels == cluster]
        for column, name in enumerate(table):
            counts = pd.cut(part[name], [0, 0.2, 0.5, 1]).value_counts(sort=False)
            assert_allclose(found.shares[at, :, column], counts.to_numpy() / len(part))


@needs_fixtures
def test_equal_to_the_reference_on_the_city():
    folder = FIXTURES / "city" / "reference"
    expected = pd.read_csv(folder / "signatures_k10.csv", index_col=[0, 1])
    table = pd.read_csv(folder / "normalised_document.csv")[list(expected.columns)]
    labels = np.load(folder / "labels_k2_12.npy")[8]
    assert json.loads((folder / "meta.json").read_text())["n_quadrats"] == len(table)
    found = signatures(table, labels, method="document").frame()
    assert found.index.tolist() == expected.index.tolist()
    assert_allclose(found, expected, rtol=0, atol=1e-12)


@needs_fixtures
def test_the_printed_signature_of_cluster_0_follows_from_its_counts():
    counts = pd.read_csv(FIXTURES / "document" / "check_signature0_counts.csv", index_col=0)
    printed = pd.read_csv(FIXTURES / "document" / "t04_signature_cluster_0.csv", index_col=0)
    middle = [0.1, 0.5, 0.9, 0.0]
    table = pd.DataFrame({name: np.repeat(middle, counts[name]) for name in counts})
    found = signatures(table, np.zeros(len(table), int), method="document").frame()
    assert found.index.get_level_values(1).tolist() == printed.index.tolist()
    assert_allclose(found, printed, rtol=0, atol=5.1e-7)


@given(arrays(float, (12, 2), elements=st.floats(0, 1)), arrays(int, 12, elements=CLUSTERS))
def test_a_column_sums_to_one_and_the_order_of_quadrats_does_not_matter(values, labels):
    table = pd.DataFrame(values, columns=["a", "b"])
    found = signatures(table, labels)
    assert_allclose(found.shares.sum(axis=1), 1)
    order = np.random.default_rng(0).permutation(12)
    assert_array_equal(signatures(table.iloc[order], labels[order]).shares, found.shares)


@pytest.mark.parametrize("edges", [[0], [0, 0], [1, 0], [0, np.nan], list(range(50))])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(InputError, match="no edges of bins"):
        signatures(TABLE, LABELS, edges=edges)


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1, np.inf])
def test_a_missing_or_outside_value_is_refused_by_its_columns_name(value):
    """Row 12."""
    with pytest.raises(InputError, match="1 quadrats of grass are missing or outside"):
        signatures(TABLE.assign(grass=[0, 0, 0.5, value]), LABELS)


def test_labels_of_another_length_are_refused():
    with pytest.raises(InputError, match="3 labels for 4 quadrats"):
        signatures(TABLE, LABELS[:3])
