import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from core.effects import _auc, _block_errors, _fit, zone_effects
from core.errors import InputError, StoppedError


def grid(height=60, width=60):
    return tuple(axis.ravel() for axis in np.mgrid[:height, :width])


def city(seed=0, size=60):
    """Return a zone that trees make and roofs unmake, and noise that has no part in it."""
    rng = np.random.default_rng(seed)
    names = ["trees", "roofs", "noise"]
    columns = {
        name: gaussian_filter(rng.normal(size=(size, size)), 2, mode="wrap").ravel()
        for name in names
    }
    factors = pd.DataFrame(columns)
    z = (factors - factors.mean()) / factors.std(ddof=0)
    odds = 1.5 * z["trees"] - 0.8 * z["roofs"] - 2.0
    zone = (odds + rng.logistic(size=size * size) > 0).to_numpy()
    return zone, factors


def test_the_effects_that_made_the_zone_are_found():
    zone, factors = city()
    found = zone_effects(zone, factors, *grid())
    assert found.table.index.tolist() == ["trees", "roofs", "noise"]
    assert found.table.loc["trees", "low"] <= 1.5 <= found.table.loc["trees", "high"]
    assert found.table.loc["roofs", "low"] <= -0.8 <= found.table.loc["roofs", "high"]
    assert found.table.loc["noise", "low"] < 0 < found.table.loc["noise", "high"]
    assert found.table.loc["trees", "odds_ratio"] > 3
    assert found.table.loc["trees", "points"] > 0 > found.table.loc["roofs", "points"]
    assert 0.75 < found.auc < 0.95
    assert len(found.auc_of_folds) == 5


def test_a_model_that_only_knows_places_gets_no_credit_out_of_block():
    zone, _ = city()
    rows, cols = grid()
    rng = np.random.default_rng(5)
    zone = gaussian_filter(rng.normal(size=(60, 60)), 3, mode="wrap").ravel() > 0.12
    waves = {
        f"{k}{axis}{name}": wave(2 * np.pi * k * place / 60)
        for k in range(1, 8)
        for axis, place in (("r", rows), ("c", cols))
        for name, wave in (("s", np.sin), ("c", np.cos))
    }
    found = zone_effects(zone, pd.DataFrame(waves), rows, cols, block_squares=10)
    assert found.auc_seen > found.auc + 0.05


def test_auc_equals_counting_all_pairs():
    rng = np.random.default_rng(0)
    inside, chance = rng.random(40) < 0.4, np.rint(rng.random(40) * 8)
    wins = [(a > b) + 0.5 * (a == b) for a in chance[inside] for b in chance[~inside]]
    assert _auc(inside, chance) == pytest.approx(np.mean(wins))
    assert np.isnan(_auc(np.ones(3, bool), np.arange(3.0)))


def test_errors_are_those_of_leaving_each_block_out_and_fitting_anew():
    zone, factors = city(size=40)
    x = ((factors - factors.mean()) / factors.std(ddof=0)).to_numpy()
    rows, cols = grid(40, 40)
    block = rows // 8 * 5 + cols // 8
    penalty = 1e-3
    effect, intercept = _fit(x, zone, penalty)
    chance = 1 / (1 + np.exp(-(x @ effect + intercept)))
    quick = _block_errors(x, zone, chance, block, penalty)
    refits = np.array(
        [
            # The penalty is a square's: as many squares' worth of it as in the whole.
            _fit(x[block != b], zone[block != b], penalty * len(x) / (block != b).sum())[0]
            for b in range(25)
        ]
    )
    anew = np.sqrt(24 / 25 * ((refits - refits.mean(axis=0)) ** 2).sum(axis=0))
    assert quick == pytest.approx(anew, rel=0.05)


def test_constant_factors_and_missing_squares_are_named():
    zone, factors = city()
    factors["flat"] = 3.0
    factors.loc[:9, "noise"] = np.nan
    found = zone_effects(zone, factors, *grid())
    assert found.left_out == ("flat",)
    assert found.num_missing == 10
    assert found.num_squares == 3590


def test_a_layer_of_half_the_area_does_not_halve_the_others():
    zone, factors = city()
    factors["tile"] = np.where(np.arange(3600) < 1800, factors["noise"], np.nan)
    found = zone_effects(zone, factors, *grid())
    assert found.too_sparse == ("tile",)
    assert found.num_squares == 3600
    assert "tile" not in found.table.index


def test_shares_that_add_up_to_one_do_not_break_it():
    zone, factors = city()
    low = factors["trees"].min()
    share = (factors["trees"] - low) / (factors["trees"].max() - low)
    found = zone_effects(zone, pd.DataFrame({"green": share, "rest": 1 - share}), *grid())
    assert found.table.loc["green", "effect"] == pytest.approx(-found.table.loc["rest", "effect"])


def test_the_same_seed_gives_the_same_bytes():
    """Row 27: nothing changes from run to run."""
    zone, factors = city()
    first, second = (zone_effects(zone, factors, *grid()) for _ in range(2))
    assert first.table.equals(second.table)
    assert first.auc == second.auc


def test_it_stops_between_fits():
    zone, factors = city()
    with pytest.raises(StoppedError):
        zone_effects(zone, factors, *grid(), should_stop=lambda: True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda z, f: (np.zeros(len(z), bool), f), "too few to compare"),
        (lambda z, f: (np.ones(len(z), bool), f), "too few to compare"),
        (lambda z, f: (z, f * 0), "No factor varies"),
        (lambda z, f: (z, f[[]]), "0 factors"),
        (lambda z, f: (z[:-1], f), "3,600 rows of factors for 3,599"),
        (lambda z, f: (z, f * np.nan), "No factor varies"),
    ],
)
def test_what_cannot_be_weighed_is_refused(change, words):
    zone, factors = change(*city())
    with pytest.raises(InputError, match=words):
        zone_effects(zone, factors, *grid())


def test_blocks_too_large_are_refused():
    zone, factors = city()
    with pytest.raises(InputError, match="smaller blocks"):
        zone_effects(zone, factors, *grid(), block_squares=40)
