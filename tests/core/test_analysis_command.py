"""`area run --steps clusters,hotspots,cozy`: record, files, seeds, refusals, known cities."""

import json
import shutil
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from core import results
from core import settings as core_settings
from core.__main__ import main
from core.workspace import Workspace
from tests.core.raster_files import SHARED
from tests.core.valley import AREA, CENTRE, HILL, LAKE, WOOD, make_valley

CITY = SHARED / "fixtures" / "city"
MUENSTER = SHARED / "data" / "city" / "muenster"
STEPS = ("--steps", "clusters,hotspots,cozy")
FILES = ("clusters.parquet", "under.csv", "cozy.parquet")
FEW = ("--ks", "2-6", "--permutations", "999")
FOREST, WATER, SEALED = 3, 2, 1


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_valley(tmp_path_factory.mktemp("valley") / "space").root


@pytest.fixture
def space(template, tmp_path, monkeypatch):
    """A workspace with the valley; its folder is the current one."""
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path / "space"))
    core_settings.settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    shutil.copytree(template, tmp_path / "space")
    yield Workspace(tmp_path / "space")
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
    """Run `area run valley …` and return its record."""

    def ran(*words):
        status, out, err = core("area", "run", AREA, *words, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    return ran


def squares(space, name="cozy.parquet"):
    return gpd.read_parquet(space.folder(AREA) / name)


def at(frame, place):
    """Return the row of the square at a row and column of the lattice."""
    (index,) = frame.index[(frame["row"] == place[0]) & (frame["col"] == place[1])]
    return frame.loc[index]


def test_the_record_tells_clusters_and_zone(space, run):
    body = run(*STEPS, *FEW, "--k", "5")
    names = [step["name"] for step in body["steps"]]
    assert names[-6:] == [
        "clusters", "hotspots:warm_mean", "moran:warm_mean", "hotspots:cool_mean",
        "moran:cool_mean", "under",
    ]  # fmt: skip
    assert body["outputs"] == [
        str(space.folder(AREA) / name) for name in ("quadrats.parquet", *FILES)
    ]
    told = body["clusters"]
    assert (told["k"], told["ks"]) == (5, [2, 3, 4, 5, 6])
    assert told["sizes"] == sorted(told["sizes"], reverse=True)
    assert sum(told["sizes"]) == 400
    assert told["columns"] == [*(f"cover_fre_{code}" for code in (1, 2, 3, 4)), "storeys_mean"]
    assert told["advice"] is None  # nothing is to be advised where k was asked for
    zone = body["cozy"]
    assert (zone["summer"]["column"], zone["winter"]["column"]) == ("warm_mean", "cool_mean")
    assert zone["summer"]["permutations"] == 999
    assert sum(zone["summer"]["classes"].values()) == 400
    assert zone["share"] == pytest.approx(zone["cozy"] / 400)
    assert zone["area_m2"] == zone["cozy"] * 150**2
    assert (zone["weights"], zone["unknown"], zone["patches"]) == ("queen", 0, 2)


def test_the_files_open_and_hold_what_was_planted(space, run):
    body = run(*STEPS, *FEW, "--k", "5")
    clusters, frame = squares(space, "clusters.parquet"), squares(space)
    assert clusters.crs == frame.crs == "EPSG:32616"
    assert np.bincount(clusters["cluster"]).tolist() == body["clusters"]["sizes"]
    assert len({at(clusters, place)["cluster"] for place in (WOOD, LAKE, CENTRE)}) == 3
    assert frame["cozy"].sum() == body["cozy"]["cozy"]
    assert [bool(at(frame, p)["cozy"]) for p in (WOOD, LAKE, HILL, CENTRE)] == [True, True, False,
                                                                             False]  # fmt: skip
    assert at(frame, CENTRE)["summer_class"] == "hot spot"
    assert at(frame, HILL)["winter_class"] == "cold spot"
    under = pd.read_csv(space.folder(AREA) / "under.csv", index_col=0)
    assert under["cozy"].sum() == body["cozy"]["cozy"]
    assert under["size"].sort_index().tolist() == body["clusters"]["sizes"]
    assert under.loc[at(clusters, LAKE)["cluster"], "quotient"] > 1


def test_a_seed_gives_the_same_bytes_again_and_another_one_another_p_row_26(space, run):
    """Row 26."""
    found = {}
    for name, seed, threads in (("one", 3, 1), ("again", 3, 2), ("other", 4, 2)):
        for folder in (space.folder(AREA) / "results").glob("[chsm]*"):
            results.discard(folder)
        run(*STEPS, *FEW, "--seed", seed, "--threads", threads)
        found[name] = [(space.folder(AREA) / file).read_bytes() for file in FILES]
        found[f"p {name}"] = squares(space)["summer_p"].to_numpy()
    assert found["one"] == found["again"]
    assert not np.array_equal(found["p one"], found["p other"])


def test_the_second_run_reads_the_sweep_and_the_permutations(space, run):
    first = run(*STEPS, *FEW)
    again = run(*STEPS, *FEW, "--level", "0.2", "--correction", "none")
    kept = [step["name"] for step in again["steps"] if step["cached"]]
    assert {"clusters", "hotspots:warm_mean", "hotspots:cool_mean"} <= set(kept)
    assert first["clusters"] == again["clusters"]
    assert again["cozy"]["cozy"] > first["cozy"]["cozy"]


def test_a_factor_may_be_a_whole_layer(run):
    only = ("--steps", "clusters", "--ks", "2-4", "--k", "3", "--factors")
    column = run(*only, "cover,storeys_mean")
    layer = run(*only, "cover, storeys")
    assert layer["steps"][-1]["digest"] == column["steps"][-1]["digest"]
    assert run(*only, "storeys")["steps"][-1]["digest"] != layer["steps"][-1]["digest"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ks", "two"], "'two' is no range of k"),
        (["--ks", "9-4"], "9 to 4 in steps of 1 is no range"),
        (["--ks", "0-4"], "0 to 4 in steps of 1 is no range"),
        (["--ks", "2-6:0"], "2 to 6 in steps of 0 is no range"),
        (["--ks", "2-400"], "400 clusters cannot be made of 400 quadrats"),
        (["--ks", "2-6", "--k", "9"], "The sweep holds no 9 clusters"),
        (["--ks", "2-6", "--k", "0"], "The sweep holds no 0 clusters"),
        (["--ks", "2-6", "--factors", "nope_mean"], "nope_mean"),
        (["--ks", "2-6", "--level", "0"], "level"),
        (["--ks", "2-6", "--level", "1.5"], "level"),
        (["--ks", "2-6", "--level", "nan"], "level"),
        (["--ks", "2-6", "--permutations", "0"], "permutations"),
        (
            ["--ks", "2-6", "--permutations", "99", "--summer", "nope"],
            "nope is neither a column nor a layer of Valley",
        ),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_status_2_row_28(space, core, words, said):
    """Row 28."""
    status, out, err = core("area", "run", AREA, *STEPS, *words)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["--weights", "bishop"], ["--correction", "x"], ["--k", "x"]])
def test_a_word_that_the_parser_does_not_know_is_status_2(space, words):
    with pytest.raises(SystemExit) as stopped:
        main(["area", "run", AREA, *STEPS, *words])
    assert stopped.value.code == 2


def test_rook_has_its_own_neighbours(run):
    queen = run("--steps", "cozy", "--permutations", "999")
    rook = run("--steps", "cozy", "--permutations", "999", "--weights", "rook")
    assert rook["cozy"]["weights"] == "rook"
    assert rook["cozy"]["summer"]["moran"] != queen["cozy"]["summer"]["moran"]


def test_an_area_without_seasons_is_told_what_to_do(space, core):
    space.remove_layer(AREA, "cool")
    status, _out, err = core("area", "run", AREA, "--steps", "cozy", "--permutations", "99")
    assert status == 2
    assert "No layer of Valley is marked as temperature in winter" in err
    assert "Data page" in err


def command(patch, root, *words):
    """Run a command over the workspace at `root`."""
    patch.setenv("URBAN_PATTERN_WORKSPACE", str(root))
    core_settings.settings.cache_clear()
    assert main([str(word) for word in words]) == 0


@pytest.mark.skipif(not CITY.exists(), reason="needs the shared fixtures")
def test_the_city_s_cozy_zone_equals_the_document_s_library(tmp_path):
    """With the source's 0 K squares; p of 999 draws, so not where it is within noise of 0.05."""
    root, inputs = tmp_path / "space", CITY / "inputs"
    layers = {
        "summer": ("lst0810", "lst0810_1km_sinusoidal.tif"),
        "winter": ("lst0226", "lst0226_30s_wgs84.tif"),
    }
    with pytest.MonkeyPatch.context() as patch:
        command(patch, root, "area", "new", "city", "--boundary", inputs / "boundary.gpkg",
                "--crs", "EPSG:32616", "--method", "document")  # fmt: skip
        for season, (name, file) in layers.items():
            command(patch, root, "area", "add", "city", name, inputs / file,
                    "--kind", "values", "--role", "effect", "--season", season)  # fmt: skip
        run = ("area", "run", "city", "--steps", "hotspots,cozy", "--permutations", "9999")
        command(patch, root, *run, "--zeros-stay")
        found = gpd.read_parquet(root / "areas" / "city" / "cozy.parquet")
        command(patch, root, *run)
        without = gpd.read_parquet(root / "areas" / "city" / "cozy.parquet")
    core_settings.settings.cache_clear()
    sure = np.ones(len(found), bool)
    for season, (name, _file) in layers.items():
        table = pd.read_csv(CITY / "reference" / f"moran_{name}.csv")
        statistic = np.load(CITY / "reference" / f"moran_I_{name}.npy")
        np.testing.assert_allclose(found[f"{season}_i"], statistic, atol=1e-10)
        # Five standard deviations of a p of 0.05 from 999 draws and 9,999.
        sure &= np.abs(table["p_value_li"].to_numpy() - 0.05) > 5 * np.sqrt(0.05 / 999)
    expected = np.load(CITY / "reference" / "cozy.npy").astype(bool)
    assert sure.mean() > 0.65
    np.testing.assert_array_equal(found["cozy"][sure], expected[sure])
    assert (found["cozy"] == expected).mean() > 0.98
    # Left out, the squares without a value are of a class of their own.
    empty = found["winter_value"] == 0
    assert empty.sum() == 251
    assert (without["winter_class"][empty] == "missing").all()
    assert not (found["winter_class"][empty] == "missing").any()


@pytest.mark.skipif(not MUENSTER.exists(), reason="the files of real cities are not here")
def test_muenster_s_forest_and_water_are_cold_and_its_centre_is_hot(tmp_path):
    root = tmp_path / "space"
    with zipfile.ZipFile(tmp_path / "project-area.zip", "w") as archive:
        for part in MUENSTER.glob("Project-Area.*"):
            archive.write(part, part.name)
    with pytest.MonkeyPatch.context() as patch:
        command(patch, root, "area", "new", "muenster", "--boundary",
                tmp_path / "project-area.zip")  # fmt: skip
        command(patch, root, "area", "add", "muenster", "cover",
                MUENSTER / "Klassifikation_rf.tif", "--kind", "classes")  # fmt: skip
        for name, season in (("Summer", "summer"), ("Spring", "winter")):
            command(patch, root, "area", "add", "muenster", name.lower(),
                    MUENSTER / f"landsat-{name}_mean_ST_B10.tif", "--kind", "values",
                    "--role", "effect", "--season", season)  # fmt: skip
        command(patch, root, "area", "run", "muenster", "--steps", "hotspots,cozy")
    core_settings.settings.cache_clear()
    folder = root / "areas" / "muenster"
    found = gpd.read_parquet(folder / "cozy.parquet")
    table = pd.read_parquet(folder / "quadrats.parquet")
    assert len(found) > 12_000
    share = table[[f"cover_fre_{code}" for code in (1, 2, 3, 4)]].to_numpy(float)
    share = share / share.sum(axis=1, keepdims=True)
    spots = found["summer_class"]
    cold, hot = spots == "cold spot", spots == "hot spot"
    for code, least, times_cold in ((FOREST, 0.8, 4), (WATER, 0.5, 2)):
        own = share[:, code - 1] > least
        assert own.sum() > 20
        assert cold[own].mean() > times_cold * cold.mean()
        # Not never: two squares of the harbour lie in the hot centre.
        assert hot[own].mean() < cold[own].mean() / 3
    # The cathedral stands in the middle of the old town.
    centre = gpd.GeoSeries.from_xy([7.6256], [51.9629], crs=4326).to_crs(found.crs).iloc[0]
    old_town = found.centroid.distance(centre) < 800
    assert hot[old_town].mean() > 0.95
    built = share[:, SEALED - 1] > 0.8
    assert hot[built].mean() > 3 * hot[share[:, SEALED - 1] < 0.2].mean()
    assert not found["cozy"][old_town].any()
