"""The command line: what it prints, its exit status, and one sentence for every mistake."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import from_origin

from core import settings as core_settings
from core.__main__ import main
from core.default_area import DEFAULT_AREA, is_left_out
from core.workspace import Workspace
from tests.core.raster_files import ALBERS, checkers, new_area, rotated, write_tif

ROOT = Path(__file__).parents[2]
BOUNDS = "-87.664,41.861,-87.656,41.866"
RECORD = {
    "kind", "version", "code", "method", "seed", "threads", "versions", "quadrats", "layers",
    "steps", "outputs", "peak_rss_mb", "warnings",
}  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with cover.tif and a workspace whose area `town` has it as the layer `cover`."""
    folder = tmp_path_factory.mktemp("template")
    write_tif(folder / "cover.tif", checkers(), nodata=0)
    new_area(folder / "space")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("URBAN_PATTERN_WORKSPACE", "")  # what --workspace writes is taken back
        words = ("area", "add", "town", "cover", str(folder / "cover.tif"), "--kind", "classes")
        assert main([*words, "--workspace", str(folder / "space")]) == 0
    return folder


@pytest.fixture(autouse=True)
def space(template, tmp_path, monkeypatch):
    """A copy of the template's workspace; the folder that holds it is the current one."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path / "space"))
    core_settings.settings.cache_clear()
    monkeypatch.chdir(tmp_path)
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


def boundary_file(path, crs="EPSG:32616"):
    box = shapely.box(445_000, 4_634_600, 445_500, 4_635_000)
    gpd.GeoDataFrame(geometry=[box], crs=crs).to_crs(4326).to_file(path, driver="GeoJSON")
    return path


COMMANDS = {
    "list": ("area", "list"),
    "show": ("area", "show", "town"),
    "rename": ("area", "rename", "town", "Ville"),
    "verify": ("area", "verify", "town"),
    "remove": ("area", "remove", "town", "cover"),
    "delete": ("area", "delete", "town"),
    "new-bounds": ("area", "new", "box", "--bounds", BOUNDS),
    "new-zones": ("area", "new", "loop", "--zones", "chicago77:LOOP", "--rule", "centroid"),
    "add": ("area", "add", "town", "more", "cover.tif", "--kind", "values", "--unit", "m"),
    "inspect": ("inspect", "cover.tif"),
    "pixel": ("pixel", "town", "cover", "-87.66", "41.863"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_tells_people_in_words_what_it_did(core, words):
    status, out, err = core(*words)
    assert (status, err) == (0, "")
    assert out.strip()
    assert not out.startswith("{")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_prints_one_record_with_json(core, words):
    status, out, err = core(*words, "--json")
    body = json.loads(out)  # one object and nothing beside it
    assert (status, err) == (0, "")
    missing = RECORD - body.keys()
    assert not missing
    assert body["versions"]["rasterio"] == rasterio.__version__
    assert body["code"].startswith("0.")
    assert body["peak_rss_mb"] > 10


def test_the_record_of_a_layer_says_digest_coverage_and_unknown_codes(core, tmp_path, space):
    values = checkers()
    values[:10] = 0  # a quarter of the rows is missing
    write_tif(tmp_path / "part.tif", values, nodata=0)
    legend = tmp_path / "legend.csv"
    legend.write_text("code,name,colour\n1,One,#112233\n2,Two,\n", encoding="utf-8")
    added = json.loads(
        core("area", "add", "town", "part", "part.tif", "--kind", "classes",
             "--legend", legend, "--json")[1]
    )  # fmt: skip
    layer = added["layers"][1]
    path = space.root / "areas" / "town" / layer["file"]
    assert added["outputs"] == [layer["file"]]
    assert path.is_file()
    assert layer["coverage"] == 0.75
    assert layer["unknown_codes"] == [3, 4, 5, 6, 7]
    assert layer["filled"] == 0
    assert len(layer["digest"]) == 64
    shown = json.loads(core("area", "show", "town", "--json")[1])
    assert any("part" in text for text in shown["warnings"])


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        pytest.param("EPSG:32616", from_origin(445_000, 4_635_000, 10, 10), id="utm"),
        pytest.param("EPSG:32616", rotated(), id="rotated"),
        pytest.param("EPSG:4326", from_origin(-87.668, 41.868, 3e-4, 2.5e-4), id="degrees"),
        pytest.param(ALBERS, from_origin(690_000, 2_110_000, 30, 30), id="albers"),
    ],
)
def test_pixel_equals_what_rasterio_reads_of_the_source(core, tmp_path, crs, transform):
    values = checkers(dtype="int16")
    values[3, 4] = -9999
    path = write_tif(tmp_path / "a.tif", values, crs=crs, transform=transform, nodata=-9999)
    with rasterio.open(path) as source:
        to_lonlat = Transformer.from_crs(source.crs, 4326, always_xy=True)
        places = [to_lonlat.transform(*source.xy(row, column))
                  for row, column in ((0, 0), (3, 4), (39, 49), (20, 7), (11, 33))]  # fmt: skip
    lon, lat = np.array(places).T
    around = f"{lon.min()},{lat.min()},{lon.max()},{lat.max()}"
    assert core("area", "new", "there", "--bounds", around)[0] == 0
    assert core("area", "add", "there", "a", path, "--kind", "values", "--unit", "m")[0] == 0
    found = [json.loads(core("pixel", "there", "a", *place, "--json")[1]) for place in places]
    want = [values[0, 0], None, values[39, 49], values[20, 7], values[11, 33]]
    assert [one["value"] for one in found] == want
    assert all(one["is_inside"] for one in found)
    assert found[0]["unit"] == "m"


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["--help"], {"numpy", "geopandas", "numba", "rasterio"}),
        (["area", "run", "--help"], {"numpy", "geopandas", "numba", "rasterio"}),
        (["pixel", "town", "cover", "-87.66", "41.863"], {"geopandas", "pandas", "numba"}),
    ],
    ids=["help", "help of a command", "pixel"],
)
def test_a_command_imports_only_what_it_needs(space, words, unneeded):
    code = (
        "import sys\nfrom core.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert not unneeded & set(re.findall(r"'(\w+)'", done.stderr))


def test_a_console_of_few_characters_ends_no_command(space):
    space.rename("town", "上海 Ä")
    done = subprocess.run(
        [sys.executable, "-m", "core", "area", "list"], cwd=ROOT, capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "上海 Ä" in done.stdout.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_memory_is_not_that_of_the_parent(space):
    code = (
        "import os, subprocess, sys\nheld = b'x' * 400_000_000\n"
        "subprocess.run([sys.executable, '-m', 'core', 'area', 'list', '--json'], close_fds=True,"
        " preexec_fn=lambda: None)"  # forked, not spawned: the child begins with the parent's peak
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["peak_rss_mb"] < 300


def test_adding_under_a_name_in_use_says_that_it_replaced(core):
    status, out, _ = core("area", "add", "town", "cover", "cover.tif", "--kind", "classes")
    assert (status, out) == (0, "Replaced cover (classes, cause) in Town.\n")
    body = json.loads(core("area", "add", "town", "cover", "cover.tif", "--json")[1])
    assert body["warnings"] == ["cover: replaced the layer of that name"]
    assert (
        json.loads(core("area", "add", "town", "other", "cover.tif", "--json")[1])["warnings"] == []
    )


def test_pixel_names_the_class_and_tells_missing_from_outside(core, tmp_path):
    values = np.ones((40, 50), np.uint8)
    values[0, 0] = 0
    write_tif(tmp_path / "c.tif", values, nodata=0)
    assert core("area", "add", "town", "c", "c.tif", "--legend", "chicago-land-cover")[0] == 0
    to_lonlat = Transformer.from_crs(32616, 4326, always_xy=True)
    inside, hole, outside = (
        to_lonlat.transform(x, y)
        for x, y in ((445_255, 4_634_805), (445_005, 4_634_995), (446_000, 4_634_805))
    )
    assert json.loads(core("pixel", "town", "c", *inside, "--json")[1])["class_name"]
    assert "1 " in core("pixel", "town", "c", *inside)[1]
    at_hole = json.loads(core("pixel", "town", "c", *hole, "--json")[1])
    assert (at_hole["value"], at_hole["is_inside"]) == (None, True)
    away = json.loads(core("pixel", "town", "c", *outside, "--json")[1])
    assert (away["value"], away["is_inside"]) == (None, False)
    assert core("pixel", "town", "c", *outside)[1].strip() == "missing"


def test_an_area_lives_its_whole_life_on_the_command_line(core, tmp_path, space):
    boundary_file(tmp_path / "edge.geojson")
    assert core("area", "new", "x1", "--boundary", "edge.geojson", "--title", "Ä & <b>")[0] == 0
    assert core("area", "add", "x1", "cover", "cover.tif")[0] == 0
    assert space.area("x1").layer("cover").kind == "classes"
    assert core("area", "rename", "x1", "Other")[0] == 0
    listed = json.loads(core("area", "list", "--json")[1])["areas"]
    assert {(a["id"], a["title"]) for a in listed} == {("town", "Town"), ("x1", "Other")}
    assert core("area", "remove", "x1", "cover")[0] == 0
    assert not list((space.root / "areas" / "x1" / "layers").iterdir())
    assert core("area", "delete", "x1")[0] == 0
    assert space.area_ids() == ["town"]


def test_the_default_area_that_was_deleted_stays_away(core, space):
    for name in ("box", DEFAULT_AREA):
        core("area", "new", name, "--bounds", BOUNDS)
    core("area", "delete", "box")
    assert not is_left_out(space.root)
    core("area", "delete", DEFAULT_AREA)
    assert is_left_out(space.root)


def test_a_broken_area_is_listed_with_its_reason_and_the_others_still_work(core, space):
    core("area", "new", "box", "--bounds", BOUNDS)
    (space.root / "areas" / "box" / "area.json").write_text('{"kind": "half')
    status, out, err = core("area", "list")
    assert (status, err) == (0, "")
    assert "town" in out
    assert "box" in out
    assert "unreadable" in out
    assert core("area", "show", "town")[0] == 0
    assert core("area", "show", "box")[0] == 2
    assert core("area", "delete", "box")[0] == 0


def test_rotted_bytes_are_found_by_verify(core, space):
    """Row 11."""
    layer = space.area("town").layer("cover")
    path = space.layer_path("town", layer)
    body = bytearray(path.read_bytes())
    body[-40] ^= 0xFF
    path.write_bytes(body)
    status, out, _err = core("area", "verify", "town", "--json")
    assert status == 2
    assert "Cover" in json.loads(out)["warnings"][0]


# Every mistake: the words, and what its one sentence must name.
MISTAKES = {
    "no such area": (("area", "show", "nowhere"), "nowhere"),
    "no such layer": (("pixel", "town", "roofs", "-87.66", "41.86"), "roofs"),
    "no such area to delete": (("area", "delete", "nowhere"), "nowhere"),
    "no such area to rename": (("area", "rename", "nowhere", "X"), "nowhere"),
    "no such area to verify": (("area", "verify", "nowhere"), "nowhere"),
    "no such layer to remove": (("area", "remove", "town", "roofs"), "roofs"),
    "no such file": (("area", "add", "town", "a", "gone.tif"), "gone.tif"),
    "no such file to inspect": (("inspect", "gone.tif"), "gone.tif"),
    "no raster": (("area", "add", "town", "a", "note.tif"), "note.tif"),
    "a folder": (("inspect", "."), "."),
    "no such band": (("area", "add", "town", "a", "cover.tif", "--band", "9"), "9"),
    "band nought": (("area", "add", "town", "a", "cover.tif", "--band", "0"), "0"),
    "no CRS": (("area", "add", "town", "a", "nowhere.tif"), "nowhere.tif"),
    "an unknown CRS": (
        ("area", "add", "town", "a", "nowhere.tif", "--source-crs", "EPSG:7"), "EPSG:7"),
    "elsewhere": (("area", "add", "town", "a", "far.tif"), "far.tif"),
    "no such legend": (("area", "add", "town", "a", "cover.tif", "--legend", "l.csv"), "l.csv"),
    "no such colormap": (("area", "add", "town", "a", "cover.tif", "--colormap", "pink"), "pink"),
    "a bad nodata": (("area", "add", "town", "a", "cover.tif", "--nodata", "1e9"), "cover.tif"),
    "a long title": (("area", "rename", "town", "x" * 81), "80"),
    "a taken name": (("area", "new", "town", "--bounds", BOUNDS), "town"),
    "no rectangle": (("area", "new", "b", "--bounds", "-1,2"), "-1,2"),
    "a turned rectangle": (("area", "new", "b", "--bounds", "170,0,-170,1"), "170"),
    "not a number": (("area", "new", "b", "--bounds", "nan,0,1,1"), "nan"),
    "degrees for metres": (("area", "new", "b", "--bounds", BOUNDS, "--crs", "EPSG:4326"),
                           "WGS 84"),
    "a quadrat of nothing": (("area", "new", "b", "--bounds", BOUNDS, "--quadrat", "0"), "0"),
    "no such zones": (("area", "new", "b", "--zones", "rome"), "rome"),
    "no such zone": (("area", "new", "b", "--zones", "chicago77:Atlantis"), "atlantis"),
    "no such boundary": (("area", "new", "b", "--boundary", "gone.geojson"), "gone.geojson"),
    "no boundary": (("area", "new", "b", "--boundary", "note.tif"), "note.tif"),
    "no place on earth": (("pixel", "town", "cover", "500", "1"), "500"),
    "an address unasked for": (("inspect", "https://x.test/a.tif"), "https://x.test/a.tif"),
    "a hidden address": (("inspect", "/vsicurl/http://x.test/a.tif"), "x.test"),
}  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
@pytest.mark.parametrize(("words", "names"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_with_2_and_one_sentence_that_names_it(
    core, tmp_path, space, words, names, as_json
):
    (tmp_path / "note.tif").write_text("no picture")
    write_tif(tmp_path / "nowhere.tif", checkers(), crs=None)
    write_tif(tmp_path / "far.tif", checkers(), transform=from_origin(9e5, 4e6, 10, 10))
    before = kept(space)
    status, out, err = core(*words, *(["--json"] if as_json else []))
    assert (status, out) == (2, "")
    assert names.lower() in err.lower()
    assert len(err.splitlines()) == 1
    assert err.rstrip()[-1].isalnum() or err.rstrip()[-1] in ".'\""
    assert "Traceback" not in err
    assert kept(space) == before


def kept(space):
    """Return the files of the areas and their bytes."""
    files = (path for path in space.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "words", [("area",), ("fly",), ("pixel", "town"), ("area", "new", "x")], ids=" ".join
)
def test_a_command_that_is_not_whole_ends_with_2_and_its_usage(core, capsys, words):
    with pytest.raises(SystemExit) as ended:
        core(*words)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "usage:" in told.err


HOSTILE = ("../up", "a/b", "/etc", "..", ".", "", "a\x00b", "A", "é", "a b", "-", "con\n", "x" * 65)


@pytest.mark.parametrize(
    "words",
    [
        ("area", "new", "--bounds", BOUNDS, "--", "{}"),
        ("area", "show", "--", "{}"),
        ("area", "delete", "--", "{}"),
        ("area", "rename", "--", "{}", "x"),
        ("area", "verify", "--", "{}"),
        ("area", "add", "--", "{}", "cover", "cover.tif"),
        ("area", "add", "--", "town", "{}", "cover.tif"),
        ("area", "remove", "--", "town", "{}"),
        ("pixel", "--", "town", "{}", "0", "0"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_hostile_name_is_refused_and_changes_nothing(core, space, tmp_path, words):
    """Row 4."""
    before = sorted(tmp_path.rglob("*"))
    areas = kept(space)
    for name in HOSTILE:
        status, out, err = core(*(word.replace("{}", name) for word in words))
        assert (status, out, len(err.splitlines())) == (2, "", 1), name
    assert kept(space) == areas
    assert sorted(tmp_path.rglob("*")) == before


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.text(max_size=20))
def test_whatever_the_name_nothing_outside_the_areas_folder_changes(space, tmp_path, name):
    """Row 4."""
    beside = sorted(p for p in tmp_path.rglob("*") if (tmp_path / "space") not in p.parents)
    status = main(["area", "new", "--bounds", BOUNDS, "--", name])
    assert status in {0, 2}
    assert beside == sorted(p for p in tmp_path.rglob("*") if (tmp_path / "space") not in p.parents)
    made = {path.name for path in (tmp_path / "space" / "areas").iterdir()}
    assert made <= {"town", name}
    if status == 0 and name != "town":
        assert main(["area", "delete", name]) == 0


def test_a_workspace_that_cannot_be_used_is_named(core, tmp_path):
    (tmp_path / "file").write_text("")
    status, out, err = core(
        "area", "new", "x", "--bounds", BOUNDS, "--workspace", tmp_path / "file"
    )
    assert (status, out) == (2, "")
    assert str(tmp_path / "file") in err
    assert len(err.splitlines()) == 1


def test_a_second_workspace_can_be_named_with_any_command(core, tmp_path):
    other = tmp_path / "other"
    assert core("area", "new", "x", "--bounds", BOUNDS, "--workspace", other)[0] == 0
    assert Workspace(other).area_ids() == ["x"]
    assert "Town" not in core("area", "list", "--workspace", other)[1]


def run_core(*words, workspace):
    return subprocess.run(
        [sys.executable, "-m", "core", *words],
        cwd=ROOT,
        env={**os.environ, "URBAN_PATTERN_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_as_a_program_it_ends_with_the_same_status_and_streams(space):
    done = run_core("area", "list", "--json", workspace=space.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["areas"][0]["id"] == "town"
    wrong = run_core("area", "show", "nowhere", workspace=space.root)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "There is no study area 'nowhere'. There are: town.\n"
