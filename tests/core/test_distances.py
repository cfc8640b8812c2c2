from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import jensenshannon

from core.distances import Pair, distances, merged, nearest, nearly_one, tree
from core.errors import InputError
from core.signatures import Signatures, signatures

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.exists(), reason="the shared fixtures are absent")


def of_shares(shares, method="recommended"):
    array = np.array(shares, float)
    names = [str(at) for at in range(max(array.shape))]
    return Signatures(
        array, tuple(range(len(array))), (1,) * len(array), tuple(names[: array.shape[1]]),
        tuple(names[: array.shape[2]]), method,
    )  # fmt: skip


def test_nothing_in_common_is_1_and_the_mean_is_over_factors():
    # Two factors: the first has nothing in common, the second is the same.
    shares = [[[1, 0.5], [0, 0.5]], [[0, 0.5], [1, 0.5]]]
    assert_allclose(distances(of_shares(shares)), [[0, 0.5], [0.5, 0]])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 0], [0, 1], 0.693147), ([1, 2, 1], [3, 0, 0], 1.301345)],
    ids=["natural logarithm, no root", "not normalised"],
)
def test_the_documents_sum_worked_by_hand(first, second, expected):
    shares = np.array([first, second], float)[:, :, None]
    assert distances(of_shares(shares, "document"))[0, 1] == pytest.approx(expected, abs=5e-7)


def test_equal_to_scipy_factor_by_factor():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), (5, 3)).transpose(0, 2, 1)
    found = distances(of_shares(shares))
    for i in range(5):
        for j in range(5):
            apart = [jensenshannon(shares[i, :, f], shares[j, :, f], 2) for f in range(3)]
            assert found[i, j] == pytest.approx(np.mean(apart), abs=1e-7)


@needs_fixtures
@pytest.mark.parametrize("name", ["js_matrix.npy", "js_matrix_rows_aligned.npy"])
def test_equal_to_the_reference_on_the_city(name):
    folder = FIXTURES / "city" / "reference"
    columns = pd.read_csv(folder / "signatures_k10.csv", index_col=[0, 1]).columns
    table = pd.read_csv(folder / "normalised_document.csv")[list(columns)]
    found = signatures(table, np.load(folder / "labels_k2_12.npy")[8], method="document")
    assert_allclose(distances(found), np.load(folder / name), rtol=0, atol=1e-12)


@needs_fixtures
def test_nearest_clusters_of_the_printed_matrix():
    folder = FIXTURES / "document"
    matrix = pd.read_csv(folder / "t05_js_matrix.csv", index_col=0).to_numpy()
    expected = pd.read_csv(folder / "check_js_nearest.csv")
    index, apart = nearest(matrix)
    assert index.tolist() == expected["nearest"].tolist()
    assert_allclose(apart, expected["d"])


@given(arrays(float, (4, 3, 2), elements=st.floats(0, 1)))
def test_symmetric_zero_on_the_diagonal_and_in_0_to_1(parts):
    shares = (parts + 0.01) / (parts + 0.01).sum(axis=1, keepdims=True)
    found = distances(of_shares(shares))
    assert_array_equal(found, found.T)
    assert_array_equal(np.diag(found), 0)
    assert found.min() >= 0 and found.max() <= 1
    document = distances(of_shares(shares, "document"))
    assert_array_equal(document, document.T)
    assert_array_equal(np.diag(document), 0)


def test_the_order_of_bins_and_factors_does_not_matter():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), (5, 3)).transpose(0, 2, 1)
    found = distances(of_shares(shares))
    assert_allclose(distances(of_shares(shares[:, ::-1, ::-1])), found, atol=1e-15)


def test_the_tree_joins_the_nearest_first():
    matrix = np.array([[0, 8, 1, 6], [8, 0, 7, 2], [1, 7, 0, 5], [6, 2, 5, 0]], float)
    found = tree(matrix)
    # 0 and 2 at 1, 1 and 3 at 2, then the mean of 8, 6, 7 and 5.
    assert_array_equal(np.sort(found.merges[:, :2]), [[0, 2], [1, 3], [4, 5]])
    assert_array_equal(found.merges[:, 2:], [[1, 2], [2, 2], [6.5, 4]])
    assert sorted(found.order) == [0, 1, 2, 3]
    assert abs(found.order.index(0) - found.order.index(2)) == 1


def test_pairs_that_are_nearly_one_are_named_nearest_first():
    matrix = np.array(
        [[0, 0.1, 0.8, 0.7], [0.1, 0, 0.9, 0.8], [0.8, 0.9, 0, 0.05], [0.7, 0.8, 0.05, 0]]
    )
    found = nearly_one(matrix, (3, 5, 6, 9))
    assert found == [Pair(6, 9, 0.05), Pair(3, 5, 0.1)]
    assert nearly_one(matrix[:2, :2], (3, 5)) == []


def test_merging_keeps_the_order_of_the_smallest_numbers():
    labels = np.array([0, 1, 2, 3, 4, 2])
    found, mapping = merged(labels, [[1, 4], [2, 3]])
    assert mapping == {0: 0, 1: 1, 2: 2, 3: 2, 4: 1}
    assert found.tolist() == [0, 1, 2, 2, 1, 2]


@pytest.mark.parametrize("groups", [[[0]], [[0, 9]], [[0, 1], [1, 2]], [[0, 0]]])
def test_groups_that_cannot_be_merged_are_refused(groups):
    with pytest.raises(InputError, match="cannot be merged"):
        merged(np.array([0, 1, 2]), groups)


@pytest.mark.parametrize("function", [nearest, tree])
def test_a_single_cluster_has_no_neighbour(function):
    with pytest.raises(InputError, match="single cluster"):
        function(np.zeros((1, 1)))


def test_the_reading_of_the_signatures_decides():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), (3, 2)).transpose(0, 2, 1)
    found = of_shares(shares)
    assert not np.allclose(distances(found), distances(replace(found, method="document")))
