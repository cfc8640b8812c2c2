"""The sweep, its numbering, measures and stability."""

import re
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.feature_selection import f_classif
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from threadpoolctl import threadpool_limits

from core.clusters.numbering import by_size, lineage, shared
from core.clusters.quality import factor_scores, quality
from core.clusters.squares import squares
from core.clusters.stability import (
    Stability,
    adjusted_rand,
    advice,
    agreement,
    stability,
    suggested,
)
from core.clusters.sweep import Range, check_range, sweep
from core.errors import InputError, StoppedError, TooLargeError

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.exists(), reason="the shared fixtures are absent")

DOCUMENT = {"batch_size": 4096, "n_init": 10, "max_no_improvement": 10}
LABELS = st.integers(0, 3)


def blobs(num=4, each=60, factors=3, apart=10.0, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.zeros((num, factors))
    centres[:, 0] = apart * np.arange(num)
    return np.repeat(centres, each, axis=0) + rng.normal(0, 0.3, (num * each, factors))


def city_like(rows=1500, factors=8, seed=0):
    """Class shares, mostly zeros, as in a city."""
    rng = np.random.default_rng(seed)
    kinds = rng.dirichlet(np.full(factors, 0.3), 9)
    values = kinds[rng.integers(0, 9, rows)] * 8 + 0.05
    shares = rng.standard_gamma(values)
    shares[shares < 0.3] = 0
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)


def inertia(values, labels):
    return sum(
        ((values[labels == k] - values[labels == k].mean(axis=0)) ** 2).sum()
        for k in np.unique(labels)
    )


# The sweep


def test_well_parted_groups_are_found_whatever_the_seed():
    values = blobs()
    for seed in range(4):
        found = sweep(values, Range(smallest=4, largest=6), seed=seed).of(4)
        # Of equal size, so numbered by the earliest quadrat.
        assert_array_equal(found, np.repeat([0, 1, 2, 3], 60))


def test_no_k_is_worse_than_the_documents_settings_or_ten_starts_of_k_means():
    values = city_like()
    found = sweep(values, Range(largest=20))
    with threadpool_limits(1):
        for k in (2, 3, 5, 8, 12, 20):
            ours = inertia(values, found.of(k))
            batch = MiniBatchKMeans(k, **DOCUMENT, random_state=0).fit(values)
            assert ours <= inertia(values, batch.labels_) * (1 + 1e-4)
            assert ours <= KMeans(k, n_init=10, random_state=0).fit(values).inertia_ * 1.03


def test_every_k_has_k_clusters_and_each_quadrat_is_nearest_to_its_own():
    values = city_like(rows=400)
    found = sweep(values, Range(largest=30))
    for k in found.ks:
        labels = found.of(k)
        assert_array_equal(np.unique(labels), np.arange(k))
    labels = found.of(5)
    centres = np.array([values[labels == k].mean(axis=0) for k in range(5)])
    nearest = ((values[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.995  # the last round moves the centres a little


@pytest.mark.parametrize("method", ["recommended", "document"])
def test_the_bytes_are_the_same_on_1_2_and_8_threads(method):
    """Row 27."""
    values = city_like(rows=20_000 if method == "recommended" else 2000)
    runs = [
        sweep(values, Range(largest=8), seed=5, threads=threads, method=method).labels.tobytes()
        for threads in (1, 2, 8)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_the_labels_do_not_hang_on_the_smallest_k_or_the_step():
    values = city_like()
    whole = sweep(values, Range(largest=12))
    part = sweep(values, Range(smallest=4, largest=12, step=4))
    assert part.ks == (4, 8, 12)
    for k in part.ks:
        assert_array_equal(part.of(k), whole.of(k))
    with pytest.raises(InputError, match="holds no 5 clusters"):
        part.of(5)


def test_scaling_and_shifting_all_values_changes_nothing():
    values = city_like()
    assert_array_equal(
        sweep(values, Range(largest=6)).labels, sweep(values * 4 + 8, Range(largest=6)).labels
    )


def test_the_documents_reading_is_mini_batch_k_means():
    values = city_like()
    found = sweep(values, Range(smallest=3, largest=4), method="document", seed=7)
    for k in (3, 4):
        with threadpool_limits(1):
            peer = MiniBatchKMeans(k, **DOCUMENT, random_state=7).fit(values)
        assert adjusted_rand(found.of(k), peer.labels_) == 1


@pytest.mark.parametrize("shape", [(50, 2), (300, 1)])
def test_quadrats_that_are_all_alike_in_few_kinds_are_refused_with_their_number(shape):
    values = np.tile(np.arange(3.0), 100)[: shape[0], None] * np.ones(shape)
    with pytest.raises(InputError, match="only 3 different quadrats"):
        sweep(values, Range(largest=6))
    assert len(np.unique(sweep(values, Range(largest=3)).of(3))) == 3


def test_missing_values_are_refused():
    """Row 12."""
    with pytest.raises(InputError, match="missing values"):
        sweep(np.array([[1.0], [np.nan], [2.0]]), Range(largest=2))


@pytest.mark.parametrize(
    ("shape", "span", "error", "message"),
    [
        ((100, 3), Range(smallest=1), InputError, "1 to 50 in steps of 1 is no range"),
        ((100, 3), Range(smallest=9, largest=8), InputError, "no range"),
        ((100, 3), Range(step=0), InputError, "no range"),
        ((100, 3), Range(step=-1), InputError, "no range"),
        ((50, 3), Range(), InputError, "50 clusters cannot be made of 50 quadrats"),
        ((25_731, 10), Range(largest=10**6), InputError, "1,000,000 clusters cannot be made"),
        ((10**7, 10), Range(largest=10**6), InputError, "1,000,000 clusters cannot be made"),
        ((10**6, 60), Range(largest=5000), TooLargeError, r"about [0-9,.]+ hours"),
        ((25_731, 60), Range(largest=20_000), TooLargeError, r"about [0-9,.]+ hours"),
    ],
)
def test_silly_ranges_are_refused_at_once_with_the_estimate(shape, span, error, message):
    """Row 28."""
    begun = time.perf_counter()
    for method in ("recommended", "document"):
        with pytest.raises(error, match=message):
            check_range(shape, span, method=method)
    assert time.perf_counter() - begun < 0.1


@pytest.mark.parametrize("method", ["recommended", "document"])
def test_a_stop_is_obeyed_within_a_second(method):
    """Row 28."""
    values = city_like(rows=60_000, factors=20)
    sweep(values[:50], Range(largest=3))  # compiled before the clock runs
    begun = time.perf_counter()

    def should_stop():
        return time.perf_counter() - begun > 0.3

    with pytest.raises(StoppedError):
        sweep(values, Range(largest=300), method=method, should_stop=should_stop, threads=2)
    assert time.perf_counter() - begun < 1.3


def test_progress_rises_to_1():
    told = []
    sweep(blobs(), Range(largest=20), on_progress=lambda share, _text: told.append(share))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


# Numbers


def test_numbers_go_by_size_and_ties_by_the_earliest_quadrat():
    assert by_size(np.array([7, 3, 3, 9, 9, 5, 5, 5])).tolist() == [3, 1, 1, 2, 2, 0, 0, 0]


def test_a_cluster_keeps_its_slot_when_another_one_splits():
    first = np.array([0] * 7 + [1] * 6 + [2] * 5)
    second = np.array([2] * 4 + [3] * 3 + [0] * 6 + [1] * 5)
    # Numbers 0 and 1 were 1 and 2; most of the old 0 is now 2, and 3 is new.
    assert lineage([first, second])[1].tolist() == [1, 2, 0, 3]


def test_slots_stay_without_gaps_where_a_cluster_is_lost():
    first = np.array([0, 0, 0, 1, 1, 2])
    second = np.array([0, 0, 0, 0, 0, 1])
    assert lineage([first, second])[1].tolist() == [0, 1]


@given(arrays(int, 20, elements=LABELS), st.permutations(range(4)))
def test_the_accident_of_the_numbers_is_not_seen(labels, order):
    assert_array_equal(by_size(np.array(order)[labels]), by_size(labels))


@given(arrays(int, (3, 20), elements=LABELS))
def test_the_slots_of_one_labelling_are_all_different(runs):
    runs = [by_size(labels) for labels in runs]
    for labels, slots in zip(runs, lineage(runs), strict=True):
        assert sorted(slots) == list(range(labels.max() + 1))


# Measures


def test_the_separation_score_worked_by_hand():
    # Group means 1 and 4, mean 2.5: between 4 * 1.5², inside 4 * 1², with 1 and 2 degrees.
    score = factor_scores(np.array([[0.0], [2.0], [3.0], [5.0]]), np.array([0, 0, 1, 1]))
    assert_allclose(score, [9 / (4 / 2)])


@needs_fixtures
def test_scores_are_equal_to_the_reference_given_its_labels():
    folder = FIXTURES / "city" / "reference"
    expected = pd.read_csv(folder / "f_classif_scores.csv", index_col=0)
    table = pd.read_csv(folder / "normalised_document.csv")[list(expected.columns)]
    for k, labels in zip(expected.index, np.load(folder / "labels_k2_12.npy"), strict=True):
        assert_allclose(factor_scores(table.to_numpy(), labels), expected.loc[k], rtol=1e-10)


def test_every_measure_is_equal_to_scikit_learns():
    values = city_like(rows=300)
    runs = sweep(values, Range(largest=9)).labels
    found = quality(values, runs)
    assert found.silhouette_rows == 300
    for at, labels in enumerate(runs):
        assert_allclose(found.scores[at], f_classif(values, labels)[0], rtol=1e-9)
        assert found.inertia[at] == pytest.approx(inertia(values, labels), rel=1e-12)
        assert found.silhouette[at] == pytest.approx(silhouette_score(values, labels), rel=1e-9)
        calinski = calinski_harabasz_score(values, labels)
        assert found.calinski_harabasz[at] == pytest.approx(calinski, rel=1e-9)
        davies = davies_bouldin_score(values, labels)
        assert found.davies_bouldin[at] == pytest.approx(davies, rel=1e-9)


def test_a_sampled_silhouette_is_that_of_the_sample_and_says_its_size():
    values = city_like(rows=900)
    runs = sweep(values, Range(largest=5)).labels
    found = quality(values, runs, sample=200, seed=3)
    rows = np.sort(np.random.default_rng(3).choice(900, 200, replace=False))
    assert found.silhouette_rows == 200
    for at, labels in enumerate(runs):
        peer = silhouette_score(values[rows], labels[rows])
        assert found.silhouette[at] == pytest.approx(peer, rel=1e-9)
    again = quality(values, runs, sample=200, seed=3, threads=8)
    assert again.silhouette.tobytes() == found.silhouette.tobytes()


def test_a_constant_factor_has_no_score_and_a_perfect_one_an_infinite_one():
    values = np.array([[1.0, 0.0, 3.0], [1.0, 0.0, 4.0], [1.0, 2.0, 5.0], [1.0, 2.0, 9.0]])
    score = factor_scores(values, np.array([0, 0, 1, 1]))
    assert np.isnan(score[0]) and np.isinf(score[1]) and np.isfinite(score[2])


@settings(max_examples=25)
@given(st.permutations(range(30)))
def test_the_order_of_the_quadrats_does_not_matter(order):
    values = city_like(rows=30)
    labels = np.arange(30) % 3
    one, two = (
        quality(v, lab[None]) for v, lab in ((values, labels), (values[order], labels[order]))
    )
    assert_allclose(one.scores, two.scores, rtol=1e-9)
    for name in ("inertia", "silhouette", "calinski_harabasz", "davies_bouldin"):
        assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 0, 0], "1 clusters of 3"), ([0, 1, 2], "3 clusters of 3"), ([0, 1], "2 labels for 3")],
)
def test_labels_that_cannot_be_compared_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        factor_scores(np.arange(6.0).reshape(3, 2), np.array(labels))


def test_typical_and_unusual_squares_worked_by_hand():
    values = np.array([[0.0], [9.0], [4.0], [3.0], [5.0], [8.0]])
    found = squares(values, np.array([1, 0, 1, 1, 0, 1]), 1, count=2)
    # Cluster 1 holds 0, 4, 3, 8: mean 3.75.
    assert found.typical.tolist() == [2, 3]
    assert found.unusual.tolist() == [5, 0]
    assert_allclose(found.typical_distance, [0.25, 0.75])
    assert_allclose(found.unusual_distance, [4.25, 3.75])
    with pytest.raises(InputError, match="no cluster 2"):
        squares(values, np.zeros(6, int), 2)


# Stability


def test_adjusted_rand_worked_by_hand():
    # Pairs together: 2 in the first, 2 in the second, 1 in both, of 6: (1 - 4/6) / (2 - 4/6).
    assert adjusted_rand(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])) == pytest.approx(4 / 7)


@given(arrays(int, 30, elements=LABELS), arrays(int, 30, elements=LABELS))
def test_adjusted_rand_is_equal_to_scikit_learns(first, second):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = adjusted_rand_score(first, second)
    assert adjusted_rand(first, second) == pytest.approx(expected, abs=1e-12)
    assert adjusted_rand(second, first) == pytest.approx(expected, abs=1e-12)


def test_shared_counts_pairs_of_clusters():
    assert shared(np.array([0, 1, 1]), np.array([2, 0, 2])).tolist() == [[0, 0, 1], [1, 0, 1]]


def test_well_parted_groups_are_firm_and_pure_noise_is_not():
    span = Range(largest=6)
    parted, noise = blobs(), np.random.default_rng(0).random((240, 3))
    of_parted = stability(parted, sweep(parted, span), span)
    of_noise = stability(noise, sweep(noise, span), span)
    assert of_parted.runs == 5
    assert of_parted.mean[2] == of_parted.least[2] == 1  # k = 4
    assert of_noise.least.min() < 0.9
    assert (of_noise.least <= of_noise.mean).all()


def test_agreement_is_over_all_pairs_of_runs():
    one, two = np.array([[0, 0, 1, 1]]), np.array([[0, 0, 1, 2]])
    found = agreement([one, one, two])
    assert found.mean[0] == pytest.approx((1 + 4 / 7 + 4 / 7) / 3)
    assert found.least[0] == pytest.approx(4 / 7)


@pytest.mark.parametrize(
    ("k", "mean", "expected"),
    [
        (3, [0.9, 0.97, 0.5], "3 clusters are firm: 5 runs"),
        (2, [0.9, 0.97, 0.5], "fairly firm: .* agree to 0.90 .* 3 clusters are firmer"),
        (4, [0.9, 0.97, 0.5], "4 clusters are not firm: .* only to 0.50 .* 3 clusters are firmer"),
        (2, [0.9, 0.8, 0.5], "2 clusters are as firm as any"),
        (4, [0.97, 0.9, 0.5], "2 clusters are firmer"),
    ],
)
def test_the_advice_says_how_firm_a_k_is(k, mean, expected):
    found = advice(k, (2, 3, 4), Stability(np.array(mean), np.array(mean), 5))
    assert re.search(expected, found.message())


def test_the_k_to_begin_with_is_firm_and_has_the_largest_silhouette():
    silhouette = np.array([0.9, 0.5, 0.3, 0.4, 0.45])
    found = Stability(np.array([1, 1, 0.99, 0.96, 0.6]), np.zeros(5), 5)
    assert suggested((2, 3, 4, 5, 6), found, silhouette) == 5
    loose = Stability(np.full(5, 0.5), np.zeros(5), 5)
    assert suggested((2, 3, 4, 5, 6), loose, silhouette) == 6
    assert suggested((2, 3), Stability(np.ones(2), np.ones(2), 5), silhouette[:2]) == 3


def test_the_k_to_begin_with_can_be_read_on_a_map():
    growing = np.arange(30.0)
    firm = Stability(np.ones(30), np.ones(30), 5)
    assert suggested(range(2, 32), firm, growing) == 12
    assert suggested(range(15, 45), firm, growing) == 15
    shaky = Stability(np.where(np.arange(2, 32) > 12, 1.0, 0.3), np.zeros(30), 5)
    assert suggested(range(2, 32), shaky, growing) == 12
