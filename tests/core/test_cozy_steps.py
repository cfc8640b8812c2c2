from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from core import cozy_steps, quadrat_table
from core.cozy_steps import Options
from core.errors import InputError, StoppedError
from core.hotspots.labels import COLD, MISSING
from core.hotspots.moran import local_moran
from core.quadrat_table import QuadratTable, area_lattice
from core.weights import lattice_neighbours
from core.workspace import Layer, Summary, Workspace

QUADRATS = quadrat_table.Options()
UNFILLED = quadrat_table.Options(fill_m=0)


def temperature(layer_id, season, role="effect"):
    return Layer(
        id=layer_id,
        title=layer_id,
        kind="values",
        role=role,
        season=season,
        summary=Summary(valid_share=1.0),
    )


def bowl(lattice, row, col, depth):
    """Return about 300 K, colder in a round place."""
    far = np.hypot(lattice.rows - row, lattice.cols - col)
    rng = np.random.default_rng(row * 100 + col)
    return 300.0 - depth * np.exp(-((far / 3.0) ** 2)) + rng.normal(scale=0.3, size=len(far))


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "workspace")


def make(space, method="recommended"):
    box = gpd.GeoDataFrame(
        geometry=[shapely.box(430_000, 4_600_000, 433_600, 4_603_600)], crs="EPSG:32616"
    )
    area = space.create(
        "town", title="Town", boundary=box, boundary_source={}, method=method, rule="touching"
    )
    area = replace(area, layers=(temperature("warm", "summer"), temperature("cool", "winter")))
    lattice = area_lattice(space, area)
    summer = bowl(lattice, 6, 6, 8.0) + bowl(lattice, 16, 16, 8.0) - 300.0
    table = pd.DataFrame(
        {"warm_mean": summer, "cool_mean": bowl(lattice, 16, 16, 8.0), "warm_std": 1.0},
        index=pd.Index(lattice.ids, name="quadrat"),
    )
    return area, QuadratTable(lattice, table, table[[]], digest="0" * 16)


def test_the_place_that_is_cold_in_summer_only_is_cozy(space):
    area, made = make(space)
    found = cozy_steps.cozy_zone(space, area, made, Options(permutations=9_999), QUADRATS)
    at = {(int(r), int(c)): i for i, (r, c) in
          enumerate(zip(made.lattice.rows, made.lattice.cols, strict=True))}  # fmt: skip
    assert found.zone.is_cozy[at[6, 6]]
    assert not found.zone.is_cozy[at[16, 16]]
    assert found.summer_labels[at[16, 16]] == found.winter_labels[at[16, 16]] == COLD
    told = cozy_steps.summary(found)
    assert told["summer"]["column"] == "warm_mean"
    assert told["cozy"] == found.zone.count > 0
    assert told["area_m2"] == found.zone.count * 22_500
    assert told["winter"]["moran"] == found.winter.whole.statistic


def test_a_second_call_reads_what_the_first_one_kept(space, monkeypatch):
    area, made = make(space)
    options = Options(permutations=999)
    first = cozy_steps.cozy_zone(space, area, made, options, QUADRATS)
    monkeypatch.setattr(cozy_steps, "local_moran", None)
    monkeypatch.setattr(cozy_steps, "global_moran", None)
    # Another level is another zone out of the same permutations.
    again = cozy_steps.cozy_zone(space, area, made, replace(options, level=0.2), QUADRATS)
    assert [step.cached for step in first.steps] == [False] * 4
    assert [step.cached for step in again.steps] == [True] * 4
    assert np.array_equal(first.summer.local.p, again.summer.local.p)
    assert np.array_equal(first.summer.whole.simulated, again.summer.whole.simulated)
    assert again.summer.local.is_missing.dtype == bool


@pytest.mark.parametrize("name", ["local.npz", "simulated.npy", "result.json"])
def test_a_damaged_result_is_made_again_row_11(space, name):
    """Row 11."""
    area, made = make(space)
    options = Options(permutations=99)
    first = cozy_steps.cozy_zone(space, area, made, options, QUADRATS)
    for path in (space.folder("town") / "results").glob(f"*/{name}"):
        path.write_bytes(path.read_bytes()[:40])
    again = cozy_steps.cozy_zone(space, area, made, options, QUADRATS)
    assert not all(step.cached for step in again.steps)
    assert np.array_equal(first.summer.local.p, again.summer.local.p)
    assert np.array_equal(first.summer.whole.simulated, again.summer.whole.simulated)


@pytest.mark.parametrize(
    "change",
    [{"weights": "rook"}, {"permutations": 499}, {"seed": 1}],
)
def test_other_parameters_are_another_result(space, change):
    """Row 26: keys hold the parameters."""
    area, made = make(space)
    options = Options(permutations=999)
    kept = (space, area, made, "warm_mean")
    _, first = cozy_steps.local_spots(*kept, options, QUADRATS)
    _, other = cozy_steps.local_spots(*kept, replace(options, **change), QUADRATS)
    assert first.digest != other.digest
    assert not other.cached


def test_seasons_come_from_the_layers_and_can_be_changed(space):
    area, made = make(space)
    table = made.table
    assert cozy_steps.season_column(area, table, "summer") == "warm_mean"
    assert cozy_steps.season_column(area, table, "summer", "cool") == "cool_mean"
    assert cozy_steps.season_column(area, table, "winter", "warm_std") == "warm_std"
    with pytest.raises(InputError, match="snow is neither a column nor a layer of Town"):
        cozy_steps.season_column(area, table, "summer", "snow")
    causes = replace(area, layers=(temperature("warm", "summer", role="cause"),))
    with pytest.raises(InputError, match="No layer of Town is marked as temperature in summer"):
        cozy_steps.season_column(causes, table, "summer")


def test_a_layer_whose_name_begins_another_is_not_taken_for_it(space):
    area, made = make(space)
    table = made.table.rename(columns={"warm_mean": "warm_fine_mean"}).drop(columns="warm_std")
    with pytest.raises(InputError, match="marked as temperature in summer"):
        cozy_steps.season_column(area, table, "summer")


def test_missing_squares_are_missing_and_their_neighbours_stay(space):
    area, made = make(space)
    made.table.loc[made.table.index[5], "warm_mean"] = np.nan
    found = cozy_steps.cozy_zone(space, area, made, Options(permutations=999), UNFILLED)
    assert found.summer_labels[5] == MISSING
    assert (found.summer_labels == MISSING).sum() == 1
    assert found.zone.is_unknown.sum() == 1
    filled = cozy_steps.cozy_zone(space, area, made, Options(permutations=999), QUADRATS)
    assert not (filled.summer_labels == MISSING).any()


def test_the_document_puts_zero_kelvin_in_on_request(space):
    area, made = make(space, "document")
    holes = made.table.index[40:52]
    made.table.loc[holes, "cool_mean"] = np.nan
    clean = cozy_steps.cozy_zone(space, area, made, Options(), QUADRATS)
    stained = cozy_steps.cozy_zone(space, area, made, Options(zeros_stay=True), QUADRATS)
    neighbours = lattice_neighbours(made.lattice.rows, made.lattice.cols)
    by_hand = local_moran(made.table["cool_mean"].fillna(0.0), neighbours, method="document")
    assert np.array_equal(stained.winter.local.p, by_hand.p)
    assert (clean.winter_labels == MISSING).sum() == 12
    assert not (stained.winter_labels == MISSING).any()
    # What 0 K does: it alone is cold, and the place that truly was cold is no longer.
    assert (stained.winter_labels[40:52] == COLD).mean() > 0.5
    assert (stained.winter_labels == COLD).sum() < (clean.winter_labels == COLD).sum()


def test_zeros_stay_only_where_the_document_is_read(space):
    area, made = make(space)
    made.table.loc[made.table.index[5], "warm_mean"] = np.nan
    options = Options(permutations=999, zeros_stay=True)
    local, _ = cozy_steps.local_spots(space, area, made, "warm_mean", options, UNFILLED)
    assert local.is_missing.sum() == 1


def test_the_written_table_opens_with_everything_in_it(space):
    area, made = make(space)
    options = Options(permutations=999, surrogates=19)
    found = cozy_steps.cozy_zone(space, area, made, options, QUADRATS)
    steady = cozy_steps.zone_stability(space, area, made, options, QUADRATS)
    groups = (made.lattice.rows > 11).astype(int)
    under = cozy_steps.under_zone(area, made, found, groups, options)
    frame = cozy_steps.cozy_frame(made, found, groups=groups, under=under, stability=steady)
    read = gpd.read_parquet(cozy_steps.write_cozy(space, area, frame))
    assert read.crs == made.lattice.crs
    assert read["cozy"].sum() == found.zone.count
    assert set(read["summer_class"]) <= {"cold spot", "hot spot", "not significant", "diamond",
                                         "doughnut"}  # fmt: skip
    assert read["times_cozy"].max() <= 12
    assert read.groupby(groups)["rank"].nunique().tolist() == [1, 1]
    assert under.loc[0, "cozy"] == read["cozy"][groups == 0].sum()


def test_stopping_leaves_no_half_result(space):
    area, made = make(space)
    with pytest.raises(StoppedError):
        cozy_steps.cozy_zone(
            space,
            area,
            made,
            Options(permutations=20_000_000),
            QUADRATS,
            should_stop=lambda: True,
        )
    root = space.folder(area.id) / "results"
    assert not root.exists() or not list(root.iterdir())
