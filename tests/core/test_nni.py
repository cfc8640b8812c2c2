from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from core.errors import InputError
from core.nni import nni_1d, nni_table

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.exists(), reason="the shared fixtures are absent")


def test_both_readings_worked_by_hand():
    # Nearest gaps of 0, 1, 4: 1, 1, 3.
    scores = np.array([4.0, 0.0, 1.0])
    found = nni_1d(scores, length=12)
    assert found.observed == pytest.approx(5 / 3)
    assert found.expected == pytest.approx(12 * 5 / 24)
    assert found.nni == pytest.approx(2 / 3)
    assert found.z is None
    document = nni_1d(scores, length=12, method="document")
    assert document.expected == pytest.approx(0.5 / (3 / 12) ** 0.5)
    assert document.z == pytest.approx((5 / 3 - 1) / (0.26136 / (9 / 12) ** 0.5))
    assert document.std == pytest.approx(np.std([4, 0, 1], ddof=1))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_numbers_scattered_by_chance_have_an_index_of_1(count):
    rng = np.random.default_rng(1)
    found = [nni_1d(rng.random(count), length=1) for _ in range(4000)]
    assert np.mean([index.nni for index in found]) == pytest.approx(1, abs=0.03)


@needs_fixtures
def test_equal_to_the_reference_on_the_city():
    expected = pd.read_csv(FIXTURES / "city" / "reference" / "nni_1d.csv", index_col=0)
    found = nni_table(expected.drop(columns=["nni", "z", "std"]), method="document")
    assert found.index.tolist() == expected.index.tolist()
    assert_allclose(found[["nni", "z", "std"]], expected[["nni", "z", "std"]], rtol=1e-12)


@needs_fixtures
def test_equal_to_the_documents_printed_table():
    printed = pd.read_csv(FIXTURES / "document" / "t07_nni_top10.csv", index_col=0)
    found = nni_table(printed.drop(columns=["nni", "std"]), method="document")
    assert found.index.tolist() == printed.index.tolist()
    assert found.loc[9, "rank"] == 6
    assert_allclose(found["nni"], printed["nni"], rtol=0, atol=4.1e-7)
    assert_allclose(found["std"], printed["std"], rtol=0, atol=5.1e-7)


@given(arrays(float, 6, elements=st.floats(0.5, 100)), st.floats(0.01, 1000))
def test_the_recommended_index_is_free_of_scale_and_the_documents_is_not(scores, factor):
    scores = scores + np.arange(6)
    same = nni_1d(scores * factor).nni
    assert same == pytest.approx(nni_1d(scores).nni, rel=1e-9)
    document = nni_1d(scores * factor, method="document").nni
    assert document == pytest.approx(nni_1d(scores, method="document").nni * factor**0.5, rel=1e-9)


@given(arrays(float, 6, elements=st.floats(0, 100)))
def test_the_order_of_the_scores_does_not_matter(scores):
    scores = scores + 1
    assert nni_1d(scores[::-1]).nni == pytest.approx(nni_1d(scores).nni)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0], "no nearest neighbour index"),
        ([1.0, np.nan], "no nearest neighbour index"),
        ([1.0, np.inf], "no nearest neighbour index"),
        ([1.0, -2.0], "no nearest neighbour index"),
        ([0.0, 0.0], "length above 0"),
    ],
    ids=["one", "missing", "infinite", "below 0", "all 0"],
)
def test_scores_without_an_index_are_refused(scores, message):
    with pytest.raises(InputError, match=message):
        nni_1d(np.array(scores))
