"""The statistics of an area: by hand, found again by digest, the same on any number of threads."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from core import quadrat_table, results
from core.errors import AppError, InputError, StoppedError
from core.legends import LegendClass
from core.quadrat_table import Options, area_lattice, bare_quadrats, is_made, options_for
from core.zonal.pixels import RasterSource
from core.zonal.table import zonal_statistics
from tests.core.raster_files import checkers
from tests.core.town import LEGEND, add_cover, add_heat, heat_values, make_town, pixels_of


@pytest.fixture(scope="module")
def made_town(tmp_path_factory):
    """The area `town`, for tests that only read it."""
    return make_town(tmp_path_factory.mktemp("made") / "space")


@pytest.fixture
def town(tmp_path):
    return make_town(tmp_path / "space")


def table_of(space, options=None, **how):
    return quadrat_table.quadrat_table(space, space.area("town"), options or Options(), **how)


def cached(made):
    return {step.name: step.cached for step in made.steps}


def digests(made):
    return {step.name: step.digest for step in made.steps if step.name.startswith("zonal:")}


def same(one, other):
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    pd.testing.assert_frame_equal(one.cover, other.cover, check_exact=True)


def test_statistics_and_cover_by_hand(made_town):
    made = table_of(made_town, options_for(["mean", "count", "median", "frequency"]))
    cover, heat = checkers(), heat_values()
    assert len(made.lattice) == 6
    for position in range(6):
        part = pixels_of(made.lattice, position)
        row, share = made.table.iloc[position], made.cover.iloc[position]
        codes, counts = np.unique(cover[part], return_counts=True)
        assert [row[f"cover_fre_{code}"] for code in codes] == counts.tolist()
        assert row["cover_count"] == 225
        inside = heat[part][np.isfinite(heat[part])]
        assert row["heat_mean"] == pytest.approx(inside.mean(dtype=float), rel=1e-12)
        assert row["heat_median"] == np.median(inside)
        assert row["heat_count"] == inside.size
        assert share["heat"] == pytest.approx(inside.size / 225)
        assert share["cover"] == 1
    assert made.cover["heat"].min() == pytest.approx(1 / 3)
    # A mean of codes has no meaning; a frequency of degrees has no end.
    assert not {"cover_mean", "cover_median"} & set(made.table)
    assert not [name for name in made.table if name.startswith("heat_fre")]


def test_the_written_table_opens_in_geopandas_with_its_squares(town):
    made = table_of(town)
    path = quadrat_table.write_quadrats(town, town.area("town"), made)
    frame = gpd.read_parquet(path)
    assert path == town.folder("town") / "quadrats.parquet"
    assert list(frame) == [
        "row", "col", *(f"cover_fre_{code}" for code in range(1, 8)), "heat_mean",
        "cover_cover", "heat_cover", "geometry",
    ]  # fmt: skip
    assert frame.crs.to_epsg() == 32616
    assert frame.index.name == "quadrat"
    assert frame["row"].tolist() == [1, 1, 1, 2, 2, 2]
    assert frame["col"].tolist() == [0, 1, 2, 0, 1, 2]
    assert (frame.area == 22_500).all()
    first = shapely.box(445_000, 4_634_750, 445_150, 4_634_900)
    assert frame.geometry.iloc[0].equals(first)
    pd.testing.assert_frame_equal(pd.DataFrame(frame[made.table.columns]), made.table)


def test_the_second_run_only_reads_what_the_first_one_wrote(town):
    first, again = table_of(town), table_of(town)
    assert cached(first) == {"quadrats": False, "zonal:cover": False, "zonal:heat": False}
    assert cached(again) == {"quadrats": False, "zonal:cover": True, "zonal:heat": True}
    assert again.digest == first.digest
    assert again.notes == first.notes
    same(first, again)


def test_the_same_on_1_2_8_threads_row_27(made_town, tmp_path):
    """Row 27. The number of threads is not part of a result, so each run starts anew."""
    found = []
    for threads in (1, 2, 8):
        space = make_town(tmp_path / str(threads))
        stats = options_for(["mean", "std", "median", "frequency"], threads=threads)
        found.append(table_of(space, stats))
    same(found[0], found[1])
    same(found[0], found[2])
    options = Options(threads=1)
    table_of(made_town, options)
    assert is_made(made_town, made_town.area("town"), replace(options, threads=8))


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        pytest.param(Options(zonal_rule="exact"), {"cover", "heat"}, id="rule-of-pixels"),
        pytest.param(Options(engine="rasterstats"), {"cover", "heat"}, id="engine"),
        pytest.param(Options(value_stats=("mean", "max")), {"heat"}, id="statistics-of-values"),
        pytest.param(Options(class_stats=("majority",)), {"cover"}, id="statistics-of-classes"),
        pytest.param(Options(threads=3), set(), id="threads"),
        pytest.param(Options(fill_m=100), set(), id="filling"),
        pytest.param(Options(engine="lattice"), set(), id="the-same-engine-by-name"),
    ],
)
def test_what_a_result_depends_on_of_the_options_row_26(made_town, options, changed):
    """Row 26."""
    before, after = digests(table_of(made_town)), digests(table_of(made_town, options))
    assert {name for name in before if before[name] != after[name]} == {
        f"zonal:{name}" for name in changed
    }


def set_quadrats(**other):
    how = {"side_m": 150.0, "rule": "within", "method": "recommended", **other}
    return lambda space: space.set_quadrats("town", **how)


def recoded(space):
    legend = (*LEGEND[:6], LegendClass(9, "Nine", "#112233"))
    space.change_layer("town", "cover", lambda layer: replace(layer, legend=legend))


def recoloured(space):
    legend = tuple(replace(entry, name="x", colour="#000000") for entry in LEGEND)
    space.change_layer("town", "cover", lambda layer: replace(layer, legend=legend))


def moved_boundary(space):
    frame = gpd.GeoDataFrame(
        geometry=[shapely.box(445_000, 4_634_600, 445_460, 4_635_000)], crs="EPSG:32616"
    )
    frame.to_parquet(space.folder("town") / "boundary.parquet")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        pytest.param(lambda s: add_cover(s, checkers()[::-1]), {"cover"}, id="layer"),
        pytest.param(recoded, {"cover"}, id="codes-of-the-legend"),
        pytest.param(recoloured, set(), id="colours-of-the-legend"),
        pytest.param(moved_boundary, {"cover", "heat"}, id="boundary"),
        pytest.param(set_quadrats(side_m=100.0), {"cover", "heat"}, id="side"),
        pytest.param(set_quadrats(rule="touching"), {"cover", "heat"}, id="rule"),
        pytest.param(set_quadrats(method="document"), {"cover", "heat"}, id="method"),
        pytest.param(lambda s: s.rename("town", "Ville"), set(), id="title"),
    ],
)
def test_what_a_result_depends_on_of_the_area_row_26(town, change, changed):
    """Row 26."""
    before = table_of(town)
    change(town)
    assert is_made(town, town.area("town"), Options()) is (not changed)
    after = table_of(town)
    names = digests(before)
    assert {name for name in names if names[name] != digests(after)[name]} == {
        f"zonal:{name}" for name in changed
    }
    assert (before.digest != after.digest) is bool(changed)
    assert {name for name in names if not cached(after)[name]} == {f"zonal:{n}" for n in changed}


def test_a_replaced_file_gives_new_numbers_row_26(town):
    """Row 26."""
    before = table_of(town)
    add_cover(town, np.full((40, 50), 3, np.uint8))
    after = table_of(town)
    assert after.table["cover_fre_3"].eq(225).all()
    assert before.table["cover_fre_3"].lt(225).all()
    pd.testing.assert_series_equal(before.table["heat_mean"], after.table["heat_mean"])


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda body: body[: len(body) // 2], id="cut"),
        pytest.param(lambda _body: b"", id="empty"),
        pytest.param(lambda body: body[:40] + bytes([body[40] ^ 1]) + body[41:], id="one-bit"),
    ],
)
def test_a_damaged_result_is_made_again_row_11(town, damage):
    """Row 11."""
    before = table_of(town)
    path = next((town.folder("town") / "results").glob("*/table.parquet"))
    path.write_bytes(damage(path.read_bytes()))
    after = table_of(town)
    assert sorted(cached(after).values()) == [False, False, True]  # the lattice and one layer
    same(before, after)
    same(before, table_of(town))


def test_a_result_without_its_description_is_made_again(town):
    before = table_of(town)
    for path in (town.folder("town") / "results").glob("*/result.json"):
        path.unlink()
    same(before, table_of(town))
    assert all(cached(table_of(town))[name] for name in ("zonal:cover", "zonal:heat"))


def test_stopping_keeps_the_finished_layers_and_no_half_one(town):
    told = []

    def stop():
        return any("Heat" in text for _share, text in told)

    with pytest.raises(StoppedError):
        table_of(town, on_progress=lambda *p: told.append(p), should_stop=stop)
    kinds = list((town.folder("town") / "results").iterdir())
    assert len(kinds) == 1
    assert cached(table_of(town)) == {"quadrats": False, "zonal:cover": True, "zonal:heat": False}


def test_progress_grows_to_one_and_names_the_layers(town):
    told = []
    table_of(town, on_progress=lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {text for _, text in told} == {"Cover", "Heat", "Done"}


def test_a_chosen_layer_comes_alone(made_town):
    made = table_of(made_town, Options(layers=("heat",)))
    assert list(made.table) == ["heat_mean"]
    assert list(made.cover) == ["heat"]


def test_an_area_without_layers_has_bare_quadrats_only(town):
    for layer in ("cover", "heat"):
        town.remove_layer("town", layer)
    with pytest.raises(InputError, match="Town has no layers to be summed up"):
        table_of(town)
    bare = bare_quadrats(town, town.area("town"))
    assert (len(bare.lattice), bare.table.shape, bare.cover.shape) == (6, (6, 0), (6, 0))
    assert list(quadrat_table.whole_frame(bare)) == ["row", "col", "geometry"]


def test_unknown_layers_and_statistics_are_refused_by_name(made_town):
    with pytest.raises(InputError, match=r"no layer 'nope'.*cover, heat"):
        table_of(made_town, Options(layers=("nope",)))
    with pytest.raises(InputError, match=r"no statistic 'modus'.*median"):
        options_for(["mean", "modus"])


def test_a_failing_layer_leaves_no_result_and_the_finished_ones_stay_row_10(town):
    """Row 10."""
    path = town.layer_path("town", town.area("town").layer("heat"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 10])
    with pytest.raises(AppError):
        table_of(town)
    assert len(list((town.folder("town") / "results").iterdir())) == 1


@pytest.mark.parametrize(("rule", "engine"), [("centre", "rasterstats"), ("exact", "exactextract")])
def test_the_engines_agree_where_they_follow_the_same_rule(made_town, rule, engine):
    stats = options_for(["mean", "min", "max", "count", "frequency"], zonal_rule=rule)
    ours = table_of(made_town, stats)
    theirs = table_of(made_town, replace(stats, engine=engine))
    assert {note["engine"] for note in theirs.notes.values()} == {engine}
    assert list(ours.table) == list(theirs.table)
    np.testing.assert_allclose(ours.table, theirs.table, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(ours.cover, theirs.cover, atol=1e-6)


@pytest.mark.parametrize(("rule", "engine"), [("exact", "rasterstats"), ("centre", "exactextract")])
def test_an_engine_that_cannot_follow_the_rule_says_so(made_town, rule, engine):
    with pytest.raises(InputError, match=f"{engine} cannot follow the rule {rule}"):
        table_of(made_town, Options(zonal_rule=rule, engine=engine))


def test_gaps_are_filled_as_far_as_the_options_say_and_counted(town):
    values = heat_values()
    values[:, :16] = np.nan  # the western quadrats have no value now
    add_heat(town, values)
    made = table_of(town)
    assert made.table["heat_mean"].isna().sum() == 2
    assert made.filled(Options()).filled == {"heat_mean": 2}
    assert made.filled(Options(fill_m=0)).table["heat_mean"].isna().sum() == 2
    assert made.filled(Options(fill_m=100)).left == {"heat_mean": 2}
    normal = made.normalised(Options())
    assert normal.table.min(axis=None) >= 0
    assert normal.table.max(axis=None) <= 1
    shares = normal.table[[name for name in normal.table if name.startswith("cover_fre")]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_the_table_is_what_the_zonal_engine_gives(made_town):
    area = made_town.area("town")
    lattice = area_lattice(made_town, area)
    path = made_town.layer_path("town", area.layer("heat"))
    direct = zonal_statistics(RasterSource(key="heat", open=lambda: rasterio.open(path)), lattice)
    made = table_of(made_town, Options(layers=("heat",)))
    pd.testing.assert_frame_equal(made.table, direct.table)
    assert results.Key("quadrats", {"layers": [made.steps[1].digest]}).digest == made.digest
