import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError, StoppedError, TooLargeError
from core.hotspots import kernels
from core.hotspots.labels import CLASSES, COLD, HOT, ISLAND, MISSING, significant
from core.hotspots.moran import global_moran, local_moran
from core.hotspots.permute import count_permutations, fixed_point
from core.weights import lattice_neighbours, polygon_neighbours

CITY = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures" / "city" / "reference"
needs_city = pytest.mark.skipif(not CITY.exists(), reason="the synthetic city is not here")


def grid(height, width):
    return tuple(axis.ravel() for axis in np.mgrid[:height, :width])


def noise(height=12, width=12, seed=0):
    return np.random.default_rng(seed).normal(size=height * width)


def ragged(seed=0):
    """Return squares of a lattice with holes and one island, and a value each."""
    rng = np.random.default_rng(seed)
    rows, cols = grid(9, 8)
    kept = rng.random(72) < 0.7
    rows, cols = np.append(rows[kept], 20), np.append(cols[kept], 20)
    return rng.normal(size=len(rows)), lattice_neighbours(rows, cols)


# Worked by hand


def test_local_i_of_one_to_nine_worked_by_hand():
    # z^2 has the mean 60/9; corner 1: (1-5) * (mean(2, 4, 5) - 5) = 16/3, over 60/9, times 8/9.
    found = local_moran(np.arange(1.0, 10.0), lattice_neighbours(*grid(3, 3)), permutations=9)
    assert found.statistic[0] == pytest.approx(8 / 9 * 0.8, abs=1e-15)
    assert found.statistic[4] == pytest.approx(0.0, abs=1e-15)
    assert found.quadrant[[0, 8]].tolist() == [3, 1]


def test_p_of_a_corner_is_the_share_of_pairs_counted_by_hand():
    # Rook: the corner 1 has 2 + 4 = 6. Of the 28 pairs out of 2 … 9, (2, 3) and (2, 4) reach down
    # to 6 or below.
    found = local_moran(np.arange(1.0, 10.0), lattice_neighbours(*grid(3, 3), "rook"))
    assert found.p_folded[0] == pytest.approx(2 / 28, abs=0.004)
    assert found.p_two_sided[0] == pytest.approx(4 / 28, abs=0.008)


def test_global_i_of_one_to_nine_worked_by_hand():
    # Rook: square 1 has 2 and 4, square 2 has 1, 3 and 5, and so on; 60 is the sum of squares.
    neighbours = lattice_neighbours(*grid(3, 3), "rook")
    values = np.arange(1.0, 10.0)
    lags = [3, 3, 4, 13 / 3, 5, 17 / 3, 6, 7, 7]
    expected = sum((v - 5) * (lag - 5) for v, lag in zip(values, lags, strict=True)) / 60
    found = global_moran(values, neighbours, permutations=99)
    assert found.statistic == pytest.approx(expected, abs=1e-15)
    assert found.expected == -1 / 8


def test_a_square_at_the_mean_tells_nothing_but_esda_calls_it_rarest():
    neighbours = lattice_neighbours(*grid(3, 3))
    found = local_moran(np.arange(1.0, 10.0), neighbours, permutations=99)
    assert found.p_two_sided[4] == 1.0
    assert found.p_folded[4] == 1 / 100


def test_draws_that_equal_the_observed_count_in_both_tails():
    # One square of 1 among zeros: half of what can be drawn is what is there.
    values = np.zeros(25)
    values[12] = 1.0
    found = local_moran(values, lattice_neighbours(*grid(5, 5)), permutations=999)
    assert found.p_folded[12] == 1 / 1000
    assert found.p_two_sided[12] == 1.0


# Against brute force and esda


def brute_force(values, neighbours, permutations, seed):
    """Count draw by draw, each square leaving itself out of the shared table."""
    n, width = len(values), int(neighbours.counts.max()) + 1
    table = kernels.draw(seed, 0, permutations, n, width)
    at_least, at_most = np.zeros(n, int), np.zeros(n, int)
    for i in range(n):
        near = neighbours.of(i)
        if len(near) == 0:
            continue
        own = sum(int(values[j]) for j in near)
        for row in table:
            drawn = [int(j) for j in row[: len(near)]]
            if i in drawn:
                drawn[drawn.index(i)] = int(row[len(near)])
            assert i not in drawn
            total = sum(int(values[j]) for j in drawn)
            at_least[i] += total >= own
            at_most[i] += total <= own
    return at_least, at_most


@pytest.mark.parametrize("ties", [False, True])
def test_counts_equal_brute_force_on_the_same_draws(ties):
    values, neighbours = ragged()
    if ties:
        values = np.rint(values)
    whole = fixed_point(values, 8)
    ours = count_permutations(whole, neighbours, permutations=300, seed=5)
    theirs = brute_force(whole, neighbours, 300, 5)
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])


def test_draws_are_different_squares_each_as_often():
    table = kernels.draw(3, 0, 40_000, 10, 5)
    assert all(len(set(row)) == 5 for row in table[:200].tolist())
    shares = np.stack([np.bincount(column, minlength=10) for column in table.T]) / 40_000
    assert np.abs(shares - 0.1).max() < 0.008  # five standard errors


@pytest.mark.parametrize("kind", ["queen", "rook"])
def test_i_and_quadrants_equal_esda(kind):
    import esda

    values = noise(30, 30)
    neighbours = lattice_neighbours(*grid(30, 30), kind)
    ours = local_moran(values, neighbours, permutations=9)
    theirs = esda.Moran_Local(values, neighbours.to_libpysal(), permutations=0)
    assert np.abs(ours.statistic - theirs.Is).max() < 1e-12
    assert np.array_equal(ours.quadrant, theirs.q)


@pytest.mark.slow  # esda compiles itself anew in every process
@pytest.mark.parametrize("kind", ["queen", "rook"])
def test_the_engines_agree_and_p_lies_within_monte_carlo_noise(kind):
    values = noise(30, 30)
    neighbours = lattice_neighbours(*grid(30, 30), kind)
    ours = local_moran(values, neighbours)
    theirs = local_moran(values, neighbours, engine="esda", permutations=999, seed=1)
    assert np.abs(ours.statistic - theirs.statistic).max() < 1e-12
    assert np.array_equal(ours.quadrant, theirs.quadrant)
    p = ours.p_folded
    noise_p = np.sqrt(p * (1 - p) * (1 / 999 + 1 / 99_999))
    assert (np.abs(p - theirs.p_folded) < 5 * noise_p + 0.002).all()


def test_global_i_equals_esda_with_islands_and_its_spread_too():
    import esda

    values, neighbours = ragged()
    ours = global_moran(values, neighbours, permutations=4_999)
    np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = esda.Moran(values, neighbours.to_libpysal(), permutations=0)
    assert ours.statistic == pytest.approx(theirs.I, abs=1e-12)
    assert ours.simulated.mean() == pytest.approx(theirs.EI, abs=0.01)
    assert 0 < ours.p_folded <= 0.51


@pytest.mark.slow
def test_polygons_that_are_no_squares_go_through_the_same_engine():
    import geopandas as gpd
    import shapely

    rng = np.random.default_rng(2)
    points = shapely.MultiPoint(rng.random((80, 2)))
    zones = gpd.GeoDataFrame(geometry=list(shapely.voronoi_polygons(points).geoms))
    neighbours = polygon_neighbours(zones)
    values = rng.normal(size=80)
    ours = local_moran(values, neighbours, permutations=9_999)
    theirs = local_moran(values, neighbours, engine="esda", permutations=999)
    assert np.abs(ours.statistic - theirs.statistic).max() < 1e-12
    assert np.abs(ours.p_folded - theirs.p_folded).max() < 0.1


# The document's figures


def city_columns():
    bounds = pd.read_csv(CITY / "quadrat_bounds_in_reference_order.csv")
    cols = np.rint((bounds["minx"] - bounds["minx"].min()) / 150).astype(int)
    rows = np.rint((bounds["maxy"].max() - bounds["maxy"]) / 150).astype(int)
    values = pd.read_csv(CITY / "normalised_document.csv")
    return lattice_neighbours(rows, cols), values


@needs_city
@pytest.mark.parametrize("layer", ["lst0226", "lst0810"])
def test_the_document_reading_equals_the_reference(layer):
    neighbours, values = city_columns()
    table = pd.read_csv(CITY / f"moran_{layer}.csv")
    found = local_moran(values[f"{layer}_mean"], neighbours, method="document")
    exact = np.load(CITY / f"moran_I_{layer}.npy")
    assert np.abs(found.statistic - exact).max() < 1e-10
    assert np.array_equal(found.quadrant, table["li"])
    p = table["p_value_li"].to_numpy()
    assert (np.abs(found.p - p) < 5 * np.sqrt(p * (1 - p) * 2 / 999) + 0.003).all()
    same_p = np.where(significant(p, level=0.05, correction="none"), found.quadrant, 0)
    assert np.array_equal(same_p, table["li_005"])


@needs_city
def test_islands_of_the_city_are_as_each_reading_says():
    neighbours, values = city_columns()
    island = json.loads((CITY / "islands.json").read_text())["islands"]
    assert neighbours.islands.tolist() == island
    column = values["lst0810_mean"]
    document = local_moran(column, neighbours, method="document")
    assert document.p[island].tolist() == [0.001]
    assert document.labels()[island].tolist() in ([3], [4])
    recommended = local_moran(column, neighbours, permutations=999)
    assert recommended.labels()[island].tolist() == [ISLAND]


# Islands and missing values


def test_an_island_is_a_class_of_its_own_and_not_tested():
    values, neighbours = ragged()
    found = local_moran(values, neighbours, permutations=99)
    assert found.labels(level=0.5)[-1] == ISLAND
    assert np.isnan(found.p[-1])
    document = local_moran(values, neighbours, method="document")
    assert document.p[-1] == 0.001
    assert document.labels()[-1] in (3, 4)


@pytest.mark.parametrize("hole", [0, 40, 77])
def test_a_missing_value_is_as_if_that_square_were_left_out_by_hand(hole):
    rows, cols = grid(12, 12)
    values = noise()
    values[30:60] -= 2.0
    values[hole] = np.nan
    kept = np.isfinite(values)
    with_hole = local_moran(values, lattice_neighbours(rows, cols), permutations=999)
    by_hand = local_moran(
        values[kept], lattice_neighbours(rows[kept], cols[kept]), permutations=999
    )
    labels = with_hole.labels(level=0.2)
    assert labels[hole] == MISSING
    assert np.array_equal(labels[kept], by_hand.labels(level=0.2))
    assert np.array_equal(with_hole.p[kept], by_hand.p)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_are_missing_never_zero(nothing):
    """Row 12: invalid is counted, never 0."""
    values = noise()
    values[3] = nothing
    found = local_moran(values, lattice_neighbours(*grid(12, 12)), permutations=99)
    assert found.is_missing.sum() == 1
    assert found.labels()[3] == MISSING
    assert np.isnan(found.statistic[3])


def test_the_document_reading_spreads_one_missing_value_to_all():
    values = noise()
    values[3] = np.nan
    found = local_moran(values, lattice_neighbours(*grid(12, 12)), method="document")
    assert set(found.labels().tolist()) == {COLD}
    assert set(found.p.tolist()) == {0.001}


# The level holds


def test_noise_errs_at_the_level_and_folded_p_at_twice_it():
    neighbours = lattice_neighbours(*grid(7, 7))
    rng = np.random.default_rng(8)
    two_sided = folded = 0.0
    for seed in range(1_000):
        found = local_moran(rng.normal(size=49), neighbours, permutations=999, seed=seed, threads=1)
        two_sided += (found.p_two_sided < 0.05).mean() / 1_000
        folded += (found.p_folded < 0.05).mean() / 1_000
    assert two_sided == pytest.approx(0.05, abs=0.005)
    assert folded == pytest.approx(0.10, abs=0.008)


def test_a_planted_cold_spot_is_found_and_nothing_else():
    values = noise(20, 20).reshape(20, 20)
    values[5:10, 5:10] -= 4.0
    labels = local_moran(values.ravel(), lattice_neighbours(*grid(20, 20))).labels()
    cold = (labels == COLD).reshape(20, 20)
    assert cold[6:9, 6:9].all()
    cold[4:11, 4:11] = False
    assert cold.sum() <= 2
    assert (labels == HOT).sum() <= 4


def test_benjamini_hochberg_worked_by_hand():
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, np.nan])
    # 8 tests: 0.00625, 0.0125, 0.01875 …: only the first two lie at or below their line.
    assert significant(p, level=0.05, correction="bh").nonzero()[0].tolist() == [0, 1]
    assert significant(p, level=0.05, correction="none").sum() == 5
    assert not significant(np.full(3, np.nan), level=0.05, correction="bh").any()


def test_another_level_answers_without_permuting(monkeypatch):
    found = local_moran(noise(30, 30), lattice_neighbours(*grid(30, 30)), permutations=999)
    monkeypatch.setattr("core.hotspots.moran.count_permutations", None)
    counts = [(found.labels(level=a, correction="none") > 0).sum() for a in (0.01, 0.05, 0.2)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_folded_p_is_not_corrected_for_many_tests():
    values, neighbours = ragged()
    found = local_moran(values, neighbours, method="document", permutations=99)
    with pytest.raises(InputError, match="folded p"):
        found.labels(correction="bh")


# Properties


def test_the_same_bytes_on_one_two_and_eight_threads():
    """Row 27: permutations that do not change from run to run."""
    values, neighbours = noise(20, 20), lattice_neighbours(*grid(20, 20))
    runs = [
        local_moran(values, neighbours, permutations=70_000, seed=4, threads=t) for t in (1, 2, 8)
    ]
    assert len({run.p_folded.tobytes() + run.p_two_sided.tobytes() for run in runs}) == 1
    wholes = [
        global_moran(values, neighbours, permutations=200, seed=4, threads=t) for t in (1, 2, 8)
    ]
    assert len({whole.simulated.tobytes() for whole in wholes}) == 1
    other = local_moran(values, neighbours, permutations=70_000, seed=5)
    assert not np.array_equal(other.p_folded, runs[0].p_folded)


@given(seed=st.integers(0, 1000), power=st.integers(-300, 300))
@settings(max_examples=20, deadline=None)
def test_units_change_nothing_and_a_change_of_sign_swaps_hot_and_cold(seed, power):
    values, neighbours = ragged(seed)
    first = local_moran(values, neighbours, permutations=199)
    scaled = local_moran(np.ldexp(values, power), neighbours, permutations=199)
    turned = local_moran(-values, neighbours, permutations=199)
    assert np.array_equal(first.p, scaled.p, equal_nan=True)
    assert np.array_equal(first.quadrant, scaled.quadrant)
    assert np.array_equal(first.p, turned.p, equal_nan=True)
    swap = np.array([0, 3, 4, 1, 2])
    tested = ~first.is_island
    assert np.array_equal(swap[first.quadrant[tested]], turned.quadrant[tested])


def test_two_sided_is_twice_the_folded_where_nothing_ties():
    neighbours = lattice_neighbours(*grid(12, 12))
    found = local_moran(noise(), neighbours, permutations=999)
    # With 8 neighbours the observed ones are never drawn again; with 2 they are.
    inner = neighbours.counts == 8
    twice = np.minimum(1.0, 2 * found.p_folded)
    assert np.array_equal(found.p_two_sided[inner], twice[inner])


def test_every_class_has_its_own_colour():
    assert [one.code for one in CLASSES] == list(range(7))
    assert len({one.colour for one in CLASSES}) == 7


# Refusals


@pytest.mark.parametrize("engine", ["ranks", "esda"])
def test_a_billion_permutations_are_refused_at_once_with_the_estimate(engine):
    """Row 28: silly parameters are refused in < 100 ms."""
    neighbours = lattice_neighbours(*grid(160, 160))
    begun = time.perf_counter()
    with pytest.raises(TooLargeError, match=r"1,000,000,000 permutations would take about .* s"):
        local_moran(noise(160, 160), neighbours, permutations=10**9, engine=engine)
    assert time.perf_counter() - begun < 0.1
    with pytest.raises(TooLargeError):
        global_moran(noise(160, 160), neighbours, permutations=10**9)


def test_permuting_stops_within_a_second():
    """Row 28: cancel in < 1 s."""
    neighbours = lattice_neighbours(*grid(160, 160))
    local_moran(noise(160, 160), neighbours, permutations=9)
    asked = []

    def stop():
        asked.append(time.perf_counter())
        return True

    with pytest.raises(StoppedError):
        local_moran(noise(160, 160), neighbours, permutations=20_000_000, should_stop=stop)
    assert time.perf_counter() - asked[0] < 1.0


def test_progress_rises_to_the_end():
    shares = []
    neighbours = lattice_neighbours(*grid(40, 40))
    local_moran(
        noise(40, 40),
        neighbours,
        permutations=400_000,
        on_progress=lambda share, _text: shares.append(share),
    )
    assert shares == sorted(shares)


@pytest.mark.parametrize(
    ("values", "more", "words"),
    [
        (np.ones(9), {}, "the same value"),
        (np.full(9, np.nan), {}, "Only 0 squares"),
        (np.ones(8), {}, "8 values for 9 squares"),
        (["a"] * 9, {}, "does not hold numbers"),
        (np.arange(9), {"permutations": 0}, "cannot be drawn"),
        (np.arange(9), {"permutations": -5}, "cannot be drawn"),
        (np.arange(9), {"seed": -1}, "cannot be drawn"),
        (np.arange(9), {"engine": "magic"}, "ranks, esda"),
    ],
)
def test_what_makes_no_sense_is_refused(values, more, words):
    with pytest.raises(InputError, match=words):
        local_moran(values, lattice_neighbours(*grid(3, 3)), **more)


@pytest.mark.parametrize("level", [0, 1, -0.1, float("nan")])
def test_a_level_that_is_none_is_refused(level):
    found = local_moran(np.arange(9), lattice_neighbours(*grid(3, 3)), permutations=9)
    with pytest.raises(InputError, match="no level"):
        found.labels(level=level)


def test_an_unknown_correction_is_refused():
    found = local_moran(np.arange(9), lattice_neighbours(*grid(3, 3)), permutations=9)
    with pytest.raises(InputError, match="bh, none"):
        found.labels(correction="bonferroni")


def test_global_moran_of_islands_only_is_refused():
    with pytest.raises(InputError, match="No square has a neighbour"):
        global_moran([1.0, 2.0, 3.0], lattice_neighbours([0, 5, 9], [0, 5, 9]))
