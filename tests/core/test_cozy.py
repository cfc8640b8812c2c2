import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from core.breaks import natural_breaks, ranks_by_breaks
from core.cozy import cozy_zone, patches, rank_groups, stability, under_zone
from core.errors import InputError, StoppedError, TooLargeError
from core.hotspots.labels import COLD, HOT, MISSING
from core.hotspots.moran import local_moran
from core.surrogates import fit_zone, for_each_surrogate
from core.weights import lattice_neighbours

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
CITY = FIXTURES / "city" / "reference"
COUNTS = [59, 93, 170, 217, 223, 267, 343, 344, 351, 486]


def grid(height, width):
    return tuple(axis.ravel() for axis in np.mgrid[:height, :width])


def blobs(height, width, seed, *, width_squares=2.5):
    """Return a smooth random field (height * width,) of no seam."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(height + 40, width + 40)), width_squares)
    return field[20:-20, 20:-20].ravel()


def top(field, share):
    return field > np.quantile(field, 1 - share)


# The zone


def test_cozy_is_cold_in_summer_and_not_in_winter():
    summer = np.array([COLD, COLD, COLD, HOT, 0, COLD, MISSING], np.int8)
    winter = np.array([COLD, HOT, 0, 0, 0, MISSING, 0], np.int8)
    zone = cozy_zone(summer, winter)
    assert zone.is_cozy.tolist() == [False, True, True, False, False, False, False]
    assert zone.is_unknown.tolist() == [False] * 5 + [True, True]
    assert zone.share == 2 / 5
    assert cozy_zone(summer, winter, method="document").count == 3


def test_seasons_of_different_sizes_are_refused():
    with pytest.raises(InputError, match="3 squares and winter 2"):
        cozy_zone(np.zeros(3, np.int8), np.zeros(2, np.int8))


@pytest.mark.skipif(not CITY.exists(), reason="the synthetic city is not here")
def test_the_zone_of_the_city_equals_the_reference():
    codes = {
        season: pd.read_csv(CITY / f"moran_{season}.csv")["li_005"].to_numpy(np.int8)
        for season in ("lst0810", "lst0226")
    }
    zone = cozy_zone(codes["lst0810"], codes["lst0226"], method="document")
    assert np.array_equal(zone.is_cozy, np.load(CITY / "cozy.npy").astype(bool))
    labels = np.load(CITY / "labels_k2_12.npy")[8]
    counts = pd.Series(labels[zone.is_cozy]).value_counts().sort_index()
    printed = pd.read_csv(CITY / "cozy_counts.csv", index_col=0).iloc[:, 0].sort_index()
    assert counts.to_dict() == printed.to_dict()


def test_patches_meet_at_corners_under_queen_only():
    #  X . .
    #  . X X
    #  . . .
    zone = np.array([1, 0, 0, 0, 1, 1, 0, 0, 0], bool)
    queen = patches(zone, lattice_neighbours(*grid(3, 3), "queen"), square_m2=22_500)
    rook = patches(zone, lattice_neighbours(*grid(3, 3), "rook"), square_m2=22_500)
    assert queen.sizes.tolist() == [3]
    assert rook.sizes.tolist() == [2, 1]
    assert rook.areas_m2.tolist() == [45_000, 22_500]
    assert rook.number.tolist() == [2, 0, 0, 0, 1, 1, 0, 0, 0]


def test_a_zone_of_nothing_has_no_patches():
    found = patches(np.zeros(9, bool), lattice_neighbours(*grid(3, 3)), square_m2=1)
    assert len(found) == 0
    assert not found.number.any()


def seasons(method="recommended"):
    rows, cols = grid(20, 20)
    summer, winter = blobs(20, 20, 0), blobs(20, 20, 1)
    return {
        kind: tuple(
            local_moran(
                values, lattice_neighbours(rows, cols, kind), method=method, permutations=999
            )
            for values in (summer, winter)
        )
        for kind in ("queen", "rook")
    }


def test_stability_counts_every_setting_once():
    both = seasons()
    found = stability(both)
    by_hand = np.zeros(400, int)
    for kind, level, correction in itertools.product(both, (0.01, 0.05, 0.1), ("bh", "none")):
        codes = [one.labels(level=level, correction=correction) for one in both[kind]]
        by_hand += (codes[0] == COLD) & (codes[1] != COLD)
    assert np.array_equal(found.times, by_hand)
    assert len(found.settings) == 12
    assert sum(one.count for one in found.settings) == by_hand.sum()
    assert found.always <= min(one.count for one in found.settings)
    assert found.ever >= max(one.count for one in found.settings)
    assert found.ever > found.always


def test_stability_of_the_document_knows_no_correction():
    assert {one.correction for one in stability(seasons("document")).settings} == {"none"}


def test_stability_of_nothing_is_refused():
    with pytest.raises(InputError, match="no setting"):
        stability({})


# Natural breaks


def test_breaks_of_the_documents_counts_give_its_ranks():
    assert natural_breaks(COUNTS).tolist() == [93, 267, 486]
    assert ranks_by_breaks(COUNTS).tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.skipif(not FIXTURES.exists(), reason="the document's figures are not here")
def test_ranks_of_the_documents_clusters_are_those_written_by_hand():
    counts = pd.read_csv(FIXTURES / "document" / "f01_cozy_cluster_counts.csv", index_col="label")
    ranks = rank_groups(counts["count"], counts["count"], method="document")
    assert set(ranks.index[ranks == "low"]) == {0, 6}
    assert set(ranks.index[ranks == "moderate"]) == {1, 3, 4, 5}
    assert set(ranks.index[ranks == "high"]) == {2, 7, 8, 9}


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=9), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_no_other_split_has_less_spread(values, k):
    ordered = sorted(set(values))
    k = min(k, len(ordered))

    def spread(uppers):
        classes = np.searchsorted(uppers, values)
        groups = [np.array(values)[classes == c] for c in range(len(uppers))]
        return sum(((group - group.mean()) ** 2).sum() for group in groups)

    best = min(spread([*cut, ordered[-1]]) for cut in itertools.combinations(ordered[:-1], k - 1))
    assert spread(natural_breaks(values, k)) == pytest.approx(best, abs=1e-8)


def test_breaks_leave_missing_values_out_and_refuse_nothing():
    assert ranks_by_breaks([1.0, np.nan, 9.0], 2).tolist() == [0, -1, 1]
    with pytest.raises(InputError, match="0 values"):
        natural_breaks([np.nan])
    with pytest.raises(TooLargeError, match="5,000"):
        natural_breaks(np.arange(5_000))


def test_groups_the_zone_does_not_touch_have_no_rank_in_the_document():
    counts = pd.Series([0, 5, 50, 51], index=list("abcd"))
    assert rank_groups(counts, counts, method="document").tolist() == [
        "", "low", "moderate", "high"
    ]  # fmt: skip


# Surrogates


def joins(squares, neighbours):
    inside = np.zeros(len(neighbours), bool)
    inside[squares] = True
    return len(neighbours.among(inside).ids) // 2


def test_surrogates_have_as_many_squares_and_as_many_like_neighbours():
    rows, cols = grid(60, 50)
    neighbours = lattice_neighbours(rows, cols, "rook")
    zone = top(blobs(60, 50, 3), 0.12)
    found = {}
    for_each_surrogate(
        fit_zone(zone, rows, cols), lambda i, squares: found.update({i: squares}), num=60
    )
    assert sorted(found) == list(range(60))
    assert {len(set(squares.tolist())) for squares in found.values()} == {zone.sum()}
    counts = [joins(squares, neighbours) for squares in found.values()]
    assert np.mean(counts) == pytest.approx(joins(np.flatnonzero(zone), neighbours), rel=0.06)
    dealt = np.random.default_rng(0).permutation(len(zone))[: zone.sum()]
    assert min(counts) > 2 * joins(dealt, neighbours)
    overlap = np.mean([zone[squares].mean() for squares in found.values()])
    assert overlap == pytest.approx(0.12, abs=0.05)


def test_a_zone_dealt_out_square_by_square_has_surrogates_like_it():
    rows, cols = grid(60, 50)
    neighbours = lattice_neighbours(rows, cols, "rook")
    zone = np.random.default_rng(1).random(3000) < 0.2
    counts = []
    for_each_surrogate(
        fit_zone(zone, rows, cols), lambda _i, s: counts.append(joins(s, neighbours)), num=20
    )
    assert np.mean(counts) == pytest.approx(joins(np.flatnonzero(zone), neighbours), rel=0.15)


def test_surrogates_are_the_same_on_any_number_of_threads():
    """Row 27: nothing changes from run to run."""
    rows, cols = grid(30, 30)
    zone = top(blobs(30, 30, 3), 0.2)
    groups = np.digitize(blobs(30, 30, 4), [0])
    tables = [
        under_zone(zone, groups, rows, cols, surrogates=49, threads=t, seed=2) for t in (1, 2, 8)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_surrogates_stop_and_refuse():
    """Row 28: cost estimated, cancelled."""
    rows, cols = grid(60, 50)
    model = fit_zone(top(blobs(60, 50, 3), 0.12), rows, cols)
    with pytest.raises(TooLargeError, match="would take about"):
        for_each_surrogate(model, lambda _i, _s: None, num=10**9)
    with pytest.raises(StoppedError):
        for_each_surrogate(model, lambda _i, _s: None, num=20_000, should_stop=lambda: True)


@pytest.mark.parametrize("zone", [np.zeros(9, bool), np.ones(9, bool)])
def test_a_zone_of_nothing_or_everything_is_refused(zone):
    with pytest.raises(InputError, match="of 9 squares"):
        under_zone(zone, np.zeros(9), *grid(3, 3))


# What lies under it


def test_quotients_worked_by_hand():
    # 4 of 16 squares are cozy: 3 of the 4 of group a, 1 of the 12 of group b.
    zone = np.zeros(16, bool)
    zone[[0, 1, 2, 8]] = True
    groups = np.array(["a"] * 4 + ["b"] * 12)
    table = under_zone(zone, groups, *grid(4, 4), surrogates=0)
    assert table.index.tolist() == ["a", "b"]
    assert table["quotient"].tolist() == [3.0, pytest.approx(1 / 3)]
    assert table["cozy"].tolist() == [3, 1]
    assert table["size"].tolist() == [4, 12]
    assert table["p"].isna().all()


def test_groups_that_have_nothing_to_do_with_the_zone_seldom_look_as_if():
    rows, cols = grid(50, 50)
    ps, naive = [], []
    for seed in range(40):
        zone = top(blobs(50, 50, 2 * seed), 0.12)
        other = blobs(50, 50, 2 * seed + 1)
        groups = np.digitize(other, np.quantile(other, [0.33, 0.67]))
        table = under_zone(zone, groups, rows, cols, surrogates=99, seed=seed, threads=1)
        ps += table["p"].tolist()
        spread = np.sqrt(table["size"] * 0.12 * 0.88)
        naive += (np.abs(table["cozy"] - 0.12 * table["size"]) > 1.96 * spread).tolist()
    # 120 tests that overlap in threes: 0.05 ± 0.06 at three standard errors.
    assert np.mean(np.array(ps) < 0.05) < 0.11
    assert np.mean(naive) > 0.3  # what the same test says that takes squares one by one


def test_a_group_that_makes_the_zone_is_found():
    rows, cols = grid(50, 50)
    field = blobs(50, 50, 7)
    zone = top(field + 0.3 * field.std() * blobs(50, 50, 8) / blobs(50, 50, 8).std(), 0.12)
    groups = np.digitize(field, np.quantile(field, [0.5, 0.8]))
    table = under_zone(zone, groups, rows, cols, surrogates=199)
    assert table.index[0] == 2
    assert table.loc[2, "p_adjusted"] < 0.05
    assert table.loc[2, "low"] > 1.5
    assert table.loc[2, "rank"] == "high"
    assert (table["low"] <= table["quotient"]).all()
    assert (table["quotient"] <= table["high"]).all()


def test_squares_in_no_group_count_for_the_whole_only():
    zone = np.zeros(16, bool)
    zone[:4] = True
    groups = np.where(np.arange(16) < 8, 1.0, np.nan)
    table = under_zone(zone, groups, *grid(4, 4), surrogates=9)
    assert table.index.tolist() == [1.0]
    assert table.loc[1.0, "quotient"] == 2.0


def test_labels_of_another_length_are_refused():
    with pytest.raises(InputError, match="8 labels for 9 squares"):
        under_zone(np.arange(9) < 3, np.zeros(8), *grid(3, 3))
