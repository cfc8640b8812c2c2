import json
import subprocess
import sys
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from rasterio.features import rasterize
from rasterio.transform import from_origin

from core import features, geojson, geotables, jobs, rasters
from core.__main__ import main
from core.errors import CrsError, InputError, RefusedFileError, StoppedError, TooLargeError
from core.operations import canvas
from core.operations.burn import Burn
from core.operations.catalogue import OPERATIONS, operation_from
from core.operations.clip import Clip
from core.operations.making import plan, run
from core.prepare import About
from core.settings import Settings
from tests.core.raster_files import NORTH_UP, checkers, new_area, write_tif

WEST, NORTH = 445_000, 4_635_000
ABOUT = About(layer_id="stories", title="Storeys", kind="values")
FORMATS = ["geojson", "gpkg", "parquet", "shp", "zip"]


def cells(column, row, across=1, down=1, side=10):
    """Return a polygon over whole cells of the tests' grid."""
    west, north = WEST + side * column, NORTH - side * row
    return shapely.box(west, north - side * down, west + side * across, north)


def frame(shapes, values, crs="EPSG:32616"):
    return gpd.GeoDataFrame({"stories": values}, geometry=shapes, crs=crs)


def saved(table, path, kind="gpkg"):
    """Write a table in one of the formats and return its path as text."""
    path = path.with_suffix(f".{kind}")
    if kind == "parquet":
        table.to_parquet(path)
    elif kind == "zip":
        table.to_file(path.with_suffix(".shp"))
        with zipfile.ZipFile(path, "w") as archive:
            for part in path.parent.glob(f"{path.stem}.*"):
                if part.suffix != ".zip":
                    archive.write(part, part.name)
                    part.unlink()
    else:
        table.to_crs(4326).to_file(path) if kind == "geojson" else table.to_file(path)
    return str(path)


def burnt(workspace, operation, **more):
    done = run(workspace, "town", operation, ABOUT, **more)
    with rasters.open_raster(workspace.layer_path("town", done.layer)) as dataset:
        return (done, *rasters.read(dataset))


def said(done):
    return " ".join(note.message() for note in done.notes)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_burns_the_same_by_hand(tmp_path, kind):
    """40 × 50 cells of 10 m; the second footprint covers half of the first."""
    table = frame([cells(0, 0, 2, 2), cells(1, 0, 2, 1), cells(5, 7)], [3, 12, 1])
    workspace = new_area(tmp_path / "ws")
    operation = Burn(file=saved(table, tmp_path / "a", kind), attribute="stories")
    done, values, valid = burnt(workspace, operation)
    expected = np.zeros((40, 50), "int16")
    expected[:2, :2] = 3
    expected[0, 1:3] = 12
    expected[7, 5] = 1
    assert values.dtype == "int16"
    assert_array_equal(values, expected)
    assert valid.all()
    step = done.layer.steps[0]
    assert (step["step"], step["burnt_features"], step["burnt_cells"]) == ("burn", 3, 6)
    assert done.layer.source["inputs"][0]["attribute"] == "stories"
    assert not list((workspace.root / "areas/town/.scratch").glob("*"))


@pytest.mark.parametrize(("rule", "expected"), [("last", [9, 2, 2]), ("max", [9, 9, 2])])
def test_overlaps_follow_the_rule_also_across_batches(tmp_path, monkeypatch, rule, expected):
    path = saved(frame([cells(0, 0, 2), cells(1, 0, 2)], [9, 2]), tmp_path / "a")
    for held in (1, 1000):
        monkeypatch.setattr(canvas, "_HELD_FEATURES", held)
        monkeypatch.setattr(features, "BATCH", held)
        workspace = new_area(tmp_path / f"ws{held}")
        _, values, _ = burnt(workspace, Burn(file=path, attribute="stories", rule=rule))
        assert values[0, :3].tolist() == expected


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 9999),
    rule=st.sampled_from(["last", "max"]),
    all_touched=st.booleans(),
    side=st.sampled_from([0.7, 5, 33]),
)
def test_tiles_and_batches_equal_one_rasterize(tmp_path_factory, seed, rule, all_touched, side):
    tmp_path = tmp_path_factory.mktemp("b")
    rng = np.random.default_rng(seed)
    points = rng.uniform((WEST - 50, NORTH - 450), (WEST + 550, NORTH + 50), (60, 2))
    shapes = shapely.buffer(shapely.points(points), rng.uniform(1, 90, 60), quad_segs=2)
    values = rng.integers(-5, 99, 60)
    path = saved(frame(shapes, values), tmp_path / "a")
    operation = Burn(
        file=path,
        attribute="stories",
        cell_m=side,
        rule=rule,
        all_touched=all_touched,
        outside=None,
    )
    before = canvas._HELD_FEATURES
    canvas._HELD_FEATURES = 17
    try:
        _, found, valid = burnt(new_area(tmp_path / "ws"), operation)
    finally:
        canvas._HELD_FEATURES = before
    left, top = np.floor(WEST / side + 1e-9), np.ceil(NORTH / side - 1e-9)
    order = np.argsort(values, kind="stable") if rule == "max" else np.arange(60)
    expected = rasterize(
        [(shapes[i], float(values[i])) for i in order],
        out_shape=found.shape,
        transform=from_origin(left * side, top * side, side, side),
        fill=np.nan,
        all_touched=all_touched,
        dtype="float64",
    )
    # A corner on the edge of a cell, to the last bit, may go either way.
    assert np.count_nonzero(valid != np.isfinite(expected)) <= 1e-5 * found.size
    both = valid & np.isfinite(expected)
    assert np.count_nonzero(found[both] != expected[both]) <= 1e-5 * found.size


def test_text_nulls_points_and_far_polygons_are_counted_and_told(tmp_path):
    shapes = [
        cells(0, 0), cells(1, 0), cells(2, 0), cells(3, 0), cells(4, 0), cells(5, 0),
        shapely.Point(WEST + 65, NORTH - 5), cells(9000, 0), None, cells(9, 0),
    ]  # fmt: skip
    values = [" 4 ", "two", None, "5.0", "1_0", "nan", "7", "8", "9", ""]
    workspace = new_area(tmp_path / "ws")
    path = saved(frame(shapes, values), tmp_path / "a")
    done, found, valid = burnt(workspace, Burn(file=path, attribute="stories", outside=None))
    assert found[0, [0, 3]].tolist() == [4, 5]
    assert valid.sum() == 2
    step = done.layer.steps[0]
    counts = {key: step[key] for key in ("features", "text", "null", "without_area", "elsewhere")}
    assert counts == {"features": 10, "text": 4, "null": 1, "without_area": 2, "elsewhere": 1}
    assert "4 values of stories are text that is no number: 'two', '1_0', 'nan', ''" in said(done)
    assert "1 features have no value" in said(done)
    assert "2 features are no polygons" in said(done)
    assert "1 features lie outside" in said(done)


@pytest.mark.parametrize(
    ("value", "outside", "dtype"),
    [
        (40, 0.0, "int16"),
        (40_000, 0.0, "int32"),
        (3_000_000_000, 0.0, "float64"),
        (1.5, 0.0, "float32"),
        (2, -0.5, "float32"),
        (16_777_217.5, None, "float64"),
        (-32_768, None, "int32"),
    ],
)
def test_the_number_type_holds_what_is_burnt(tmp_path, value, outside, dtype):
    path = saved(frame([cells(0, 0)], [value]), tmp_path / "a")
    operation = Burn(file=path, attribute="stories", outside=outside)
    _, found, valid = burnt(new_area(tmp_path / "ws"), operation)
    assert found.dtype == dtype
    assert found[0, 0] == value
    assert valid.sum() == (2000 if outside is not None else 1)


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"attribute": "floors"}, InputError, r"no attribute 'floors'\. It has: .*stories"),
        ({"cell_m": 0}, InputError, "A cell of 0 m"),
        ({"cell_m": 0.01, "attribute": "x"}, InputError, "no attribute"),
        ({"outside": float("nan")}, InputError, "cannot stand for"),
        ({"rule": "min"}, InputError, "'min' is no rule"),
        ({"layer": "b"}, InputError, "has no layer 'b'"),
        ({"file": "none.gpkg"}, InputError, "There is no file"),
        ({"file": "/vsicurl/http://x/a.gpkg"}, RefusedFileError, "is an address"),
    ],
)
def test_silly_input_is_refused_by_the_preview_row_28(tmp_path, more, error, match):
    """Row 28."""
    path = saved(frame([cells(0, 0)], [1]), tmp_path / "a")
    workspace = new_area(tmp_path / "ws")
    with pytest.raises(error, match=match):
        plan(workspace, "town", Burn(**{"file": path, "attribute": "stories", **more}), "values")


def test_a_grid_of_centimetres_is_refused_with_the_estimate_row_28(tmp_path):
    """Row 28."""
    path = saved(frame([cells(0, 0)], [1]), tmp_path / "a")
    workspace = new_area(tmp_path / "ws", bounds=(4e5, 4.5e6, 5e5, 4.6e6))
    with pytest.raises(TooLargeError, match="unpacks to 800000"):
        plan(workspace, "town", Burn(file=path, attribute="stories", cell_m=0.01), "values")


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (
            frame([cells(0, 0)], ["x"]),
            "No polygon of .* has a number in 'stories': 0 nulls, 1",
        ),
        (frame([cells(9000, 0)], [1]), "do not meet"),
        (frame([shapely.Point(WEST, NORTH)], [1]), "No polygon"),
    ],
)
def test_a_file_of_which_nothing_is_used_is_refused(tmp_path, table, match):
    workspace = new_area(tmp_path / "ws")
    with pytest.raises(InputError, match=match):
        burnt(workspace, Burn(file=saved(table, tmp_path / "a"), attribute="stories"))
    assert workspace.area("town").layers == ()


def test_a_missing_crs_is_asked_for_row_13(tmp_path):
    """Row 13."""
    path = saved(frame([cells(0, 0)], [1]), tmp_path / "a", "shp")
    (tmp_path / "a.prj").unlink()
    workspace = new_area(tmp_path / "ws")
    with pytest.raises(CrsError, match="does not say which"):
        burnt(workspace, Burn(file=path, attribute="stories"))
    _, found, _ = burnt(workspace, Burn(file=path, attribute="stories", crs="EPSG:32616"))
    assert found.sum() == 1


def test_metres_in_a_file_of_degrees_are_refused_row_13(tmp_path):
    """Row 13."""
    path = tmp_path / "a.geojson"
    path.write_text(collection(feature(cells(0, 0), 1)))
    with pytest.raises(CrsError, match="not in degrees: they reach 4635000"):
        burnt(new_area(tmp_path / "ws"), Burn(file=str(path), attribute="stories"))


def test_stopped_burning_leaves_nothing(tmp_path):
    path = saved(frame([cells(0, 0)], [1]), tmp_path / "a")
    workspace = new_area(tmp_path / "ws")
    with pytest.raises(StoppedError):
        burnt(workspace, Burn(file=path, attribute="stories"), should_stop=lambda: True)
    assert workspace.area("town").layers == ()
    assert not list(workspace.root.rglob("*.tif"))


_FULL_DISK = """
import resource, sys
from pathlib import Path
from core.errors import TooLargeError
from core.operations.burn import Burn
from core.operations.making import run
from core.prepare import About
from core.workspace import Workspace
root, path = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    about = About(layer_id="a", title="a", kind="values")
    run(Workspace(Path(root)), "town", Burn(file=path, attribute="stories", cell_m=1), about)
except TooLargeError as err:
    print(err)
else:
    raise SystemExit("was written")
"""


def test_a_full_disk_is_told_and_changes_nothing_row_20(tmp_path):
    """Row 20."""
    path = saved(frame([cells(0, 0, 40, 40)], [1]), tmp_path / "a")
    workspace = new_area(tmp_path / "ws")
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(workspace.root), path],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout
    assert workspace.area("town").layers == ()
    assert not list(workspace.root.rglob("*.tif"))


# -- streams ------------------------------------------------------------------------------------


def feature(shape, value):
    return {
        "type": "Feature",
        "properties": {"stories": value},
        "geometry": None if shape is None else shapely.geometry.mapping(shape),
    }


def collection(*found, **more):
    return json.dumps({"type": "FeatureCollection", **more, "features": found})


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.text(max_size=30), max_size=12),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
)
def test_streamed_geojson_equals_json_however_it_is_cut(tmp_path_factory, names, chunk, indent):
    path = tmp_path_factory.mktemp("j") / "a.geojson"
    body = {
        "type": "FeatureCollection",
        "name": '[]{},"\\',
        "features": [feature(shapely.Point(i, 1.5), name) for i, name in enumerate(names)],
        "bbox": [1, 2, 3, 4],
    }
    text = json.dumps(body, indent=indent, ensure_ascii=chunk % 2 == 0)
    path.write_text(text, encoding="utf-8")
    before = geojson._CHUNK
    geojson._CHUNK = chunk
    try:
        found = [entry["feature"] for entry in geojson.stream_geojson(path, "a")]
    finally:
        geojson._CHUNK = before
    assert found == json.loads(json.dumps(body["features"]))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"type": "FeatureCollection", "features": [{"properties": {}}', "cannot be read"),
        ('{"type": "FeatureCollection", "features": [{"a": NaN}]}', "NaN is no number"),
        ('{"type": "FeatureCollection", "features": [1]}', "not GeoJSON"),
        ('{"type": "FeatureCollection", "features": {}}', "was expected"),
        ('{"type": "FeatureCollection"}', "not GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', "not GeoJSON"),
        ('{"features": [' + "[" * 100_000, "nested too deep|cannot be read"),
        ('{"type" "x"}', "was expected"),
        ("{", "cannot be read"),
        ('{"features": [{"geometry": null, "properties": {"stories": "\udcff"}}]}', "cannot be"),
    ],
)
def test_damaged_geojson_is_refused_row_3(tmp_path, text, match):
    """Row 3."""
    path = tmp_path / "a.geojson"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with (
        pytest.raises(RefusedFileError, match=match),
        features.open_features(path, "stories") as found,
    ):
        list(found.batches())


def test_a_feature_that_never_ends_is_refused_within_bounds_row_3(tmp_path, monkeypatch):
    """Row 3."""
    monkeypatch.setattr(geojson, "_MOST_VALUE", 1 << 20)
    path = tmp_path / "a.geojson"
    path.write_text('{"features": [{"properties": {"stories": "' + "x" * (8 << 20) + '"}}]}')
    with (
        pytest.raises(RefusedFileError, match="cannot be read"),
        features.open_features(path, "stories"),
    ):
        pass


def test_a_crs_after_the_features_is_refused_or_the_same(tmp_path):
    crs = {"type": "name", "properties": {"name": "EPSG:32616"}}
    many = [feature(cells(0, 0), i) for i in range(300)]
    first, last = tmp_path / "a.geojson", tmp_path / "b.geojson"
    first.write_text(collection(*many, crs=crs))
    last.write_text(json.dumps({"type": "FeatureCollection", "features": many, "crs": crs}))
    with features.open_features(first, "stories") as found:
        assert found.crs == "EPSG:32616"
        assert sum(len(values) for _, values, _ in found.batches()) == 300
    with (
        features.open_features(last, "stories") as found,
        pytest.raises(CrsError, match="only after its features"),
    ):
        list(found.batches())


@pytest.mark.parametrize("kind", FORMATS)
def test_batches_hold_what_the_file_holds(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(features, "BATCH", 7)
    shapes = [cells(i, 0) for i in range(30)]
    table = frame(shapes, list(range(30)))
    path = Path(saved(table, tmp_path / "a", kind))
    with features.open_features(path, "stories") as found:
        batches = list(found.batches())
    assert [value for _, values, _ in batches for value in values] == list(range(30))
    assert len(batches) >= 5 - (kind == "shp")
    assert batches[-1][2] == 1
    geometry = gpd.GeoSeries(np.concatenate([part for part, *_ in batches]), crs=found.crs)
    found, expected = geometry.to_crs(32616), gpd.GeoSeries(shapes, crs=32616)
    assert found.symmetric_difference(expected).area.max() < 1e-3


def test_row_groups_too_large_to_unpack_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(geotables, "_MOST_GROUP_BYTES", 100)
    path = Path(saved(frame([cells(0, 0)] * 50, range(50)), tmp_path / "a", "parquet"))
    with (
        features.open_features(path, "stories") as found,
        pytest.raises(TooLargeError, match="row groups of"),
    ):
        list(found.batches())


def test_views_in_a_geopackage_are_not_read_row_3(tmp_path):
    """Row 3."""
    import sqlite3

    path = Path(saved(frame([cells(0, 0)], [1]), tmp_path / "a"))
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE a RENAME TO b")
        db.execute("CREATE VIEW a AS SELECT * FROM b")
        db.execute("UPDATE gpkg_geometry_columns SET table_name = 'a'")
    db.close()
    with (
        pytest.raises(RefusedFileError, match="is a view"),
        features.open_features(path, "stories"),
    ):
        pass


_STREAM = """
import sys
from pathlib import Path
from core.operations.burn import Burn
from core.operations.making import run
from core.prepare import About
from core.workspace import Workspace
root, path = sys.argv[1:]
if path:
    about = About(layer_id="a", title="a", kind="values")
    run(Workspace(Path(root)), "town", Burn(file=path, attribute="stories", cell_m=1), about)
status = Path("/proc/self/status").read_text()  # getrusage would tell of the parent too
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_memory_is_bounded_on_a_large_geojson(tmp_path):
    """Row 5: 1.2 GB of GeoJSON within 300 MB of the bare process."""
    box = gpd.GeoSeries([cells(0, 0)], crs=32616).to_crs(4326).iloc[0]
    ring = shapely.segmentize(box, 1e-6)
    text = json.dumps(feature(ring, 7))
    path = tmp_path / "a.geojson"
    with path.open("w") as file:
        file.write('{"type": "FeatureCollection", "features": [' + text)
        for _ in range(1_200_000_000 // len(text)):
            file.write("," + text)
        file.write("]}")
    workspace = new_area(tmp_path / "ws")
    peaks = []
    for source in ("", str(path)):
        answer = subprocess.run(
            [sys.executable, "-c", _STREAM, str(workspace.root), source],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        peaks.append(float(answer.stdout))
    assert peaks[1] - peaks[0] < 300, peaks


# -- jobs and the command line ------------------------------------------------------------------


def test_operations_come_from_plain_json():
    assert list(OPERATIONS) == ["mosaic", "burn", "reproject", "clip", "fill"]
    body = json.loads(json.dumps({"source": "a", "margin_m": 5}))
    assert operation_from("clip", body) == Clip(source="a", margin_m=5)
    for name, parameters, match in (
        ("cut", {}, "no operation 'cut'"),
        ("clip", {"source": "a", "x": 1}, "no parameter 'x'"),
        ("clip", {}, "parameters of clip do not fit"),
        ("clip", {"source": "a", "margin_m": "far"}, "parameters of clip do not fit"),
    ):
        with pytest.raises(InputError, match=match):
            operation_from(name, parameters)


def test_a_job_makes_a_layer(tmp_path):
    workspace = new_area(tmp_path / "ws")
    path = write_tif(tmp_path / "a.tif", checkers())
    config = {
        "workspace": str(workspace.root), "area": "town", "operation": "clip",
        "parameters": {"source": str(path), "mask": True}, "layer_id": "cut", "title": "Cut",
        "kind": "classes", "role": "cause", "season": None, "unit": "", "colormap": "viridis",
        "legend": [],
    }  # fmt: skip
    root = tmp_path / "jobs"
    found = jobs.wait(root, jobs.submit(root, "make-layer", config), timeout_s=60)
    assert (found.state, found.result["layer"]) == ("done", "cut")
    assert found.result["notes"][0][0].format(**found.result["notes"][0][1]).startswith("100.0%")
    assert workspace.area("town").layer("cut").kind == "classes"


def test_the_command_line_prepares_layers(tmp_path, capsys):
    workspace = new_area(tmp_path / "ws")
    values = checkers(dtype="float32")
    values[10:12, 10:12] = np.nan
    path = write_tif(tmp_path / "a.tif", values)
    footprints = saved(frame([cells(0, 0)], [3]), tmp_path / "b")
    base = ["--workspace", str(workspace.root), "--json"]

    def command(*words):
        assert main(["area", *words, *base]) == 0
        return json.loads(capsys.readouterr().out)

    kind = ["--kind", "values"]
    planned = command("fill", "town", "filled", str(path), "--distance", "50", "--plan")
    assert (planned["plan"]["operation"], planned["layers"]) == ("fill", [])
    made = command("fill", "town", "filled", str(path), "--distance", "50", *kind)
    assert made["kind"] == "layer-made"
    assert made["layers"][0]["filled"] == 4
    assert "4 pixels were filled" in made["warnings"][-1]
    command("clip", "town", "cut", "filled", "--margin", "20", "--mask")
    command("reproject", "town", "degrees", "cut", "--crs", "EPSG:4326")
    command("burn", "town", "stories", footprints, "--attribute", "stories", "--outside", "none")
    made = command("mosaic", "town", "all", "filled", "cut", "--rule", "mean")
    assert [layer["id"] for layer in made["layers"]] == [
        "filled", "cut", "degrees", "stories", "all",
    ]  # fmt: skip
    assert main(["area", "fill", "town", "x", "filled", "--distance", "-1", *base]) == 2
    assert "above 0" in capsys.readouterr().err


def test_settings_bound_the_size_of_a_vector_file(tmp_path, monkeypatch):
    path = Path(saved(frame([cells(0, 0)] * 30_000, range(30_000)), tmp_path / "a"))
    assert path.stat().st_size > 1 << 20
    monkeypatch.setattr(features, "settings", lambda: Settings(raster_mb=1))
    with (
        pytest.raises(TooLargeError, match="larger than 1 MB"),
        features.open_features(path, "stories"),
    ):
        pass


assert NORTH_UP.c == WEST
