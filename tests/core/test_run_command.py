"""`area run` and `area export`: the record, every choice, each refusal, and known cities."""

import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

from core import prepare, results
from core import settings as core_settings
from core.__main__ import main
from core.record import code_version
from core.workspace import Workspace
from tests.core.raster_files import NORTH_UP, SHARED, checkers
from tests.core.town import add_cover, add_heat, heat_values, make_town

CITY = SHARED / "fixtures" / "city"
CHICAGO = SHARED / "data" / "city" / "chicago"
RECORD = {
    "kind", "version", "code", "method", "seed", "threads", "versions", "quadrats", "layers",
    "steps", "outputs", "peak_rss_mb", "warnings",
}  # fmt: skip


@pytest.fixture
def space(tmp_path, monkeypatch):
    """A workspace with the area `town`; its folder is the current one."""
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path / "space"))
    core_settings.settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    yield make_town(tmp_path / "space")
    core_settings.settings.cache_clear()


@pytest.fixture
def core(capsys):
    """Run one command; returns exit status, standard output and standard error."""

    def run(*words):
        capsys.readouterr()
        status = main([str(word) for word in words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def run(space, core):
    """Run `area run town …` and return its record."""

    def ran(*words, name="town"):
        status, out, err = core("area", "run", name, *words, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    return ran


def table(space, name="quadrats.parquet"):
    return pd.read_parquet(space.folder("town") / name)


def test_the_record_holds_what_was_done(space, run):
    body = run("--threads", "2", "--seed", "5")
    assert body.keys() >= RECORD
    assert (body["kind"], body["version"], body["code"]) == ("area-run", 1, code_version())
    assert (body["method"], body["seed"], body["threads"]) == ("recommended", 5, 2)
    assert body["versions"].keys() >= {"python", "numpy", "rasterio", "geopandas", "shapely"}
    assert body["quadrats"] == {
        "count": 6, "rows": 3, "cols": 4, "crs": "EPSG:32616", "origin": [445_000, 4_635_050],
    }  # fmt: skip
    cover, heat = body["layers"]
    assert (cover["id"], heat["id"]) == ("cover", "heat")
    for row in (cover, heat):
        assert re.fullmatch(r"[0-9a-f]{64}", row["digest"])
        assert row.keys() >= {"id", "digest", "coverage", "unknown_codes", "filled"}
    assert (cover["coverage"], cover["unknown_codes"], cover["filled"]) == (1.0, [], 0)
    assert heat["coverage"] == pytest.approx((1 / 3 + 1 + 1) / 3)
    steps = body["steps"]
    assert [s["name"] for s in steps] == ["quadrats", "zonal:cover", "zonal:heat", "normalise"]
    for step in steps:
        assert step.keys() == {"name", "seconds", "engine", "cached", "digest"}
        assert step["seconds"] >= 0
        assert step["cached"] is False
    for step in steps[1:]:
        assert re.fullmatch(r"[0-9a-f]{16}", step["digest"])
    folder = space.folder("town")
    assert body["outputs"] == [str(folder / "quadrats.parquet"), str(folder / "normalised.parquet")]
    assert body["peak_rss_mb"] > 10
    assert body["warnings"] == []


def test_the_second_run_is_cached_and_equal_row_26(space, run):
    """Row 26."""
    first = run()
    before = table(space), table(space, "normalised.parquet")
    again = run()
    assert [s["cached"] for s in again["steps"] if s["name"].startswith("zonal")] == [True, True]
    assert [s["digest"] for s in again["steps"]] == [s["digest"] for s in first["steps"]]
    after = table(space), table(space, "normalised.parquet")
    for one, other in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_files_are_the_same_bytes_on_1_2_8_threads_row_27(space, run, tmp_path):
    """Row 27."""
    found = []
    for threads in (1, 2, 8):
        for folder in (space.folder("town") / "results").glob("*"):
            results.discard(folder)
        body = run("--threads", threads)
        assert not any(step["cached"] for step in body["steps"])
        found.append([(space.folder("town") / name).read_bytes()
                      for name in ("quadrats.parquet", "normalised.parquet")])  # fmt: skip
    assert found[0] == found[1] == found[2]


def test_warnings_name_missing_values_and_unknown_codes(space, run):
    values = checkers()
    values[values == 5] = 9
    values[:, :16] = 0
    add_cover(space, values)
    body = run()
    assert body["layers"][-1]["id"] == "heat"
    cover = body["layers"][0]
    assert cover["unknown_codes"] == [9]
    assert cover["coverage"] == pytest.approx(2 * (0 + 14 / 15 + 1) / 6)
    said = "\n".join(body["warnings"])
    assert "cover: codes that the legend does not name: 9" in said
    assert "cover: 2 quadrats without a valid pixel" in said


def test_filled_gaps_are_counted_in_the_record(space, run):
    values = heat_values()
    values[:, :16] = np.nan
    add_heat(space, values)
    assert run()["layers"][1]["filled"] == 2
    assert run("--fill", "0")["layers"][1]["filled"] == 0
    assert run("--fill", "100")["layers"][1]["filled"] == 0
    assert table(space, "normalised.parquet")["heat_mean"].isna().sum() == 2


@pytest.mark.parametrize(
    ("steps", "names", "files"),
    [
        ("quadrats,quadrats", ["quadrats"], ["quadrats.parquet"]),
        ("zonal", ["quadrats", "zonal:cover", "zonal:heat"], ["quadrats.parquet"]),
        ("quadrats,zonal", ["quadrats", "zonal:cover", "zonal:heat"], ["quadrats.parquet"]),
        (
            "normalise", ["quadrats", "zonal:cover", "zonal:heat", "normalise"],
            ["quadrats.parquet", "normalised.parquet"],
        ),
    ],
)  # fmt: skip
def test_a_step_runs_with_those_it_needs_and_no_later_one(space, run, steps, names, files):
    body = run("--steps", steps)
    assert [step["name"] for step in body["steps"]] == names
    assert [path.rsplit("/", 1)[1] for path in body["outputs"]] == files
    assert (space.folder("town") / "normalised.parquet").exists() is ("normalised.parquet" in files)


def test_quadrats_alone_need_no_layer(space, run):
    for layer in ("cover", "heat"):
        space.remove_layer("town", layer)
    body = run("--steps", "quadrats")
    assert body["quadrats"]["count"] == 6
    assert list(table(space)) == ["row", "col", "geometry"]


@pytest.mark.parametrize(
    ("stats", "columns"),
    [
        ("mean", {"heat_mean", *(f"cover_fre_{code}" for code in range(1, 8))}),
        ("median,max", {"heat_median", "heat_max", *(f"cover_fre_{c}" for c in range(1, 8))}),
        ("majority", {"heat_majority", "cover_majority"}),
        ("frequency", {"heat_mean", *(f"cover_fre_{code}" for code in range(1, 8))}),
        ("count,nodata,nan,unique,minority,sum", {
            "heat_count", "heat_nodata", "heat_nan", "heat_unique", "heat_minority", "heat_sum",
            "cover_count", "cover_nodata", "cover_nan", "cover_unique", "cover_minority",
        }),
    ],
    ids=["mean", "two", "majority", "frequency", "many"],
)  # fmt: skip
def test_statistics_go_to_the_layers_that_they_fit(space, run, stats, columns):
    run("--stats", stats, "--steps", "zonal")
    found = set(table(space)) - {"row", "col", "geometry", "cover_cover", "heat_cover"}
    assert found == columns


def test_layers_can_be_chosen(space, run):
    body = run("--layers", "heat")
    assert [step["name"] for step in body["steps"]] == ["quadrats", "zonal:heat", "normalise"]
    assert list(table(space)) == ["row", "col", "heat_mean", "heat_cover", "geometry"]


def test_the_engines_agree_where_they_follow_the_same_rule(space, run):
    def ran(*words):
        body = run("--stats", "mean,count,frequency", *words)
        frame = table(space).drop(columns="geometry")
        return {step["engine"] for step in body["steps"][1:3]}, frame

    for rule, peer in (("centre", "rasterstats"), ("exact", "exactextract")):
        engine, ours = ran("--zonal-rule", rule)
        other, theirs = ran("--zonal-rule", rule, "--engine", peer)
        assert (engine, other) == ({"lattice"}, {peer})
        assert list(ours) == list(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-6)


REFUSED = {
    "step": (["--steps", "zonal,clusterz"], "no step 'clusterz'"),
    "no-step": (["--steps", ""], "no step ''"),
    "statistic": (["--stats", "mean,modus"], "no statistic 'modus'"),
    "no-statistic": (["--stats", ""], "no statistic"),
    "layer": (["--layers", "heat,nope"], "no layer 'nope'"),
    "threads": (["--threads", "0"], "threads must be 1 or more"),
    "engine-centre": (["--engine", "exactextract"], "cannot follow the rule centre"),
    "engine-exact": (["--engine", "rasterstats", "--zonal-rule", "exact"], "cannot follow"),
    "fill": (["--fill", "-5"], "not -5"),
    "fill-nan": (["--fill", "nan"], "not nan"),
    "fill-inf": (["--fill", "inf"], "not inf"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_one_sentence_and_status_2(space, core, words, said):
    status, out, err = core("area", "run", "town", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert not (space.folder("town") / "quadrats.parquet").exists()


@pytest.mark.parametrize(
    "words",
    [["--engine", "gdal"], ["--zonal-rule", "edge"], ["--threads", "two"], ["--fill", "far"]],
    ids=lambda words: words[0],
)
def test_a_word_that_the_parser_does_not_know_is_status_2(space, words):
    with pytest.raises(SystemExit) as ended:
        main(["area", "run", "town", *words])
    assert ended.value.code == 2


def test_areas_that_cannot_be_summed_up_say_why(space, core):
    assert core("area", "run", "nope")[0] == 2
    assert "no study area 'nope'" in core("area", "run", "nope")[2]
    space.set_quadrats("town", side_m=5000.0, rule="within", method="recommended")
    assert "No quadrat of 5000 m fits" in core("area", "run", "town")[2]
    space.set_quadrats("town", side_m=150.0, rule="within", method="recommended")
    for layer in ("cover", "heat"):
        space.remove_layer("town", layer)
    status, _, err = core("area", "run", "town")
    assert (status, "no layers to be summed up" in err) == (2, True)


@pytest.mark.parametrize("side", ["0.01", "0", "-1", "nan", "1e9"])
def test_a_silly_side_is_refused_when_the_area_is_made_row_28(space, core, side):
    """Row 28."""
    box = "-87.664,41.861,-87.656,41.866"
    status, _, err = core("area", "new", "box", "--bounds", box, "--quadrat", side)
    assert (status, "quadrat" in err.lower()) == (2, True)


def test_too_many_squares_are_refused_with_the_estimate_row_28(space, core):
    """Row 28."""
    core("area", "new", "state", "--bounds", "-90,40,-87,42", "--quadrat", "1")
    status, _, err = core("area", "run", "state", "--steps", "quadrats")
    assert status == 2
    assert re.search(r"would be about [\d,]+; at most 2,000,000", err)


def test_the_export_writes_files_that_the_record_names(space, core, tmp_path):
    out = tmp_path / "out" / "deep"
    status, told, err = core("area", "export", "town", out, "--columns", "heat_mean", "--json")
    body = json.loads(told)
    assert (status, err, body["kind"]) == (0, "", "area-export")
    assert body.keys() >= RECORD
    assert sorted(body["outputs"]) == sorted(str(path) for path in out.iterdir())
    assert len(gpd.read_file(out / "quadrats.gpkg")) == 6


def gappy():
    """Return heat without a value in one whole square, the third of the middle row."""
    values = heat_values()
    values[10:25, 30:45] = np.nan
    return values


def test_the_export_is_of_what_the_same_options_computed(space, core, tmp_path):
    add_heat(space, gappy())
    out = tmp_path / "out"
    words = ("--what", "quadrats,normalised", "--stats", "median", "--columns", "heat_median")
    status, _, err = core("area", "export", "town", out, *words)
    assert (status, err) == (0, "")
    measured = gpd.read_parquet(out / "quadrats.parquet")
    assert "heat_median" in measured and "heat_mean" not in measured
    normal = gpd.read_parquet(out / "normalised.parquet")
    assert (normal["heat_median"].min(), normal["heat_median"].max()) == (0, 1)
    assert measured["heat_median"].isna().any()
    assert normal["heat_median"].notna().all()
    with rasterio.open(out / "heat_median.tif") as dataset:
        filled = dataset.read(1)[measured["row"], measured["col"]]
    assert np.isfinite(filled).all()
    core("area", "export", "town", out, *words, "--fill", "0")
    with rasterio.open(out / "heat_median.tif") as dataset:
        bare = dataset.read(1)[measured["row"], measured["col"]]
    assert np.array_equal(np.isnan(bare), measured["heat_median"].isna())


def test_clusters_are_exported_as_the_run_found_them(space, core, run, tmp_path):
    run("--steps", "clusters", "--ks", "2-3", "--k", "2", "--stats", "median,frequency")
    words = ("--what", "clusters", "--ks", "2-3", "--k", "2", "--stats", "median,frequency")
    status, _, err = core("area", "export", "town", tmp_path / "out", *words)
    assert (status, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clusters.csv", "clusters.gpkg", "clusters.parquet",
    ]  # fmt: skip
    found = gpd.read_file(tmp_path / "out" / "clusters.gpkg")
    assert found["cluster"].tolist() == table(space, "clusters.parquet")["cluster"].tolist()


def test_filled_gaps_are_counted_for_their_own_layer(space, run):
    about = prepare.About(layer_id="heat_night", title="Night", kind="values")
    place = {"transform": NORTH_UP, "crs": "EPSG:32616", "origin": {}}
    prepare.add_array(space, "town", gappy(), about, **place)
    rows = {row["id"]: row["filled"] for row in run()["layers"]}
    assert (rows["heat"], rows["heat_night"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--columns", "heat_max"], "no column 'heat_max'"),
        (["--columns", "../heat_mean"], "no column '../heat_mean'"),
        (["--what", "cakes"], "no export 'cakes'"),
    ],
)
def test_an_export_that_cannot_be_is_refused(space, core, tmp_path, words, said):
    status, out, err = core("area", "export", "town", tmp_path / "out", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.skipif(not CHICAGO.exists(), reason="needs the files of real cities")
@pytest.mark.parametrize(
    ("file", "crs", "count"),
    [("chicago_boundary.geojson", None, 25_731), ("Chicago77.shp", 3435, 25_701)],
)
def test_chicago_has_as_many_quadrats_as_the_document_says(space, core, tmp_path, file, crs, count):
    source = CHICAGO / file
    if crs:
        frame = gpd.read_file(source)
        source = tmp_path / "chicago77.gpkg"
        frame.set_crs(crs, allow_override=True).to_file(source, driver="GPKG")
    how = ("--crs", "EPSG:32616", "--quadrat", "150", "--rule", "within", "--method", "document")
    assert core("area", "new", "chicago", "--boundary", source, *how)[0] == 0
    status, out, err = core("area", "run", "chicago", "--steps", "quadrats", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["quadrats"]["count"] == count


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """The synthetic city brought in and run by the commands, in the document's reading."""
    folder = tmp_path_factory.mktemp("city")
    inputs = CITY / "inputs"
    layers = {
        "lst0226": ("values", inputs / "lst0226_30s_wgs84.tif"),
        "lst0810": ("values", inputs / "lst0810_1km_sinusoidal.tif"),
        "stories": ("values", inputs / "stories_10m_utm.tif"),
        "dem": ("values", CITY / "reference" / "dem_mosaic.tif"),
        "nightlight": ("values", inputs / "nightlight_15s_wgs84.tif"),
        "landuse": ("classes", inputs / "landuse_5m_utm.tif"),
        "landcover": ("classes", inputs / "landcover_3m_albers.tif"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("URBAN_PATTERN_WORKSPACE", str(folder / "space"))
        core_settings.settings.cache_clear()
        new = ["area", "new", "city", "--boundary", str(inputs / "boundary.gpkg")]
        assert main([*new, "--crs", "EPSG:32616", "--method", "document"]) == 0
        for name, (kind, path) in layers.items():
            assert main(["area", "add", "city", name, str(path), "--kind", kind]) == 0
        assert main(["area", "run", "city"]) == 0
    core_settings.settings.cache_clear()
    return Workspace(folder / "space").folder("city")


@pytest.mark.skipif(not CITY.exists(), reason="needs the shared fixtures")
@pytest.mark.parametrize(
    ("file", "reference"),
    [("quadrats", "zonal_stats.csv"), ("normalised", "normalised_document.csv")],
)
def test_a_city_run_by_the_commands_equals_the_document_s_library(city, file, reference):
    expected = pd.read_csv(CITY / "reference" / reference, index_col=0)
    found = pd.read_parquet(city / f"{file}.parquet")
    own = [
        name for name in found if name not in ("row", "col", "geometry") and "_cover" not in name
    ]
    assert own == list(expected)
    np.testing.assert_allclose(found[own], expected, rtol=0, atol=1e-9)


@pytest.mark.skipif(not CITY.exists(), reason="needs the shared fixtures")
def test_the_city_s_quadrats_are_the_reference_s_in_its_order(city):
    expected = pd.read_csv(CITY / "reference" / "quadrat_bounds_in_reference_order.csv")
    found = gpd.read_parquet(city / "quadrats.parquet").bounds
    np.testing.assert_allclose(found, expected[["minx", "miny", "maxx", "maxy"]], atol=1e-6)
