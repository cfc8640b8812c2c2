"""Gaps filled, and what holds for every operation: refusals, stops, plans, bounded memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from rasterio.transform import from_origin

from core import cog, prepare, store
from core.errors import CrsError, ExtentError, InputError, StoppedError, TooLargeError
from core.operations.clip import Clip
from core.operations.fill import Fill
from core.operations.making import plan, run
from core.operations.mosaic import Mosaic
from core.operations.reproject import Reproject
from core.record import layer_facts
from tests.core.operated import NORTH, WEST, about, at, files, made, town
from tests.core.raster_files import checkers, write_tif

# -- fill ---------------------------------------------------------------------------------------


def brute_fill(values, valid, side, distance, method):
    """Fill as the docstring says, one pixel after the other."""
    out, known = values.astype(float), valid.copy()
    rows, columns = np.nonzero(valid)
    for row, column in zip(*np.nonzero(~valid), strict=True):
        d = np.hypot((rows - row) * side[1], (columns - column) * side[0])
        order = np.argsort(d, kind="stable")  # row-major among equals
        order = order[d[order] <= distance * (1 + 1e-9)]
        if not len(order):
            continue
        known[row, column] = True
        if method == "nearest":
            out[row, column] = values[rows[order[0]], columns[order[0]]]
            continue
        last = d[order[min(12, len(order)) - 1]]
        order = order[d[order] <= last * (1 + 1e-9)]
        weights = d[order] ** -2.0
        out[row, column] = weights @ values[rows[order], columns[order]] / weights.sum()
    return out, known


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 9999),
    method=st.sampled_from(["idw", "nearest"]),
    distance=st.sampled_from([10, 14.2, 35, 60, 300]),
    wide=st.sampled_from([10, 25]),
)
def test_filling_equals_brute_force(tmp_path_factory, seed, method, distance, wide):
    tmp_path = tmp_path_factory.mktemp("f")
    rng = np.random.default_rng(seed)
    shape = tuple(int(v) for v in rng.integers(4, 24, 2))
    values = rng.normal(280, 9, shape).astype("float32")
    valid = rng.random(shape) < rng.choice([0.05, 0.5, 0.95])
    row, column = rng.integers(0, shape)
    valid[row : row + 9, column : column + 9] = False  # a block beside the speckle
    place = from_origin(WEST, NORTH, wide, 10)
    box = (WEST, NORTH - 10 * shape[0], WEST + wide * shape[1], NORTH)
    source = np.where(valid, values, np.nan).astype("float32")
    (path,) = files(tmp_path, source, places=[place])
    workspace = town(tmp_path, bounds=box)
    operation = Fill(source=path, distance_m=distance, method=method)
    if not valid.any():
        return
    done, found, known, _ = made(workspace, operation)
    expected, expected_known = brute_fill(values, valid, (wide, 10), distance, method)
    assert_array_equal(known, expected_known)
    assert_allclose(found[known], expected[known], rtol=2e-5)
    assert done.layer.steps[0]["filled"] == (known & ~valid).sum()
    assert done.layer.steps[0]["left"] == (~known).sum()


def test_filling_does_not_depend_on_how_a_raster_is_cut(tmp_path, monkeypatch):
    """The same pixels are filled alike in blocks of 512 and of 16 rows and columns."""
    rng = np.random.default_rng(4)
    values = rng.normal(280, 9, (150, 170)).astype("float32")
    values[rng.random(values.shape) < 0.3] = np.nan
    values[20:60, 30:90] = np.nan
    (path,) = files(tmp_path, values)
    workspace = town(tmp_path, bounds=(WEST, NORTH - 1500, WEST + 1700, NORTH))
    operation = Fill(source=path, distance_m=200)
    _, whole, known, _ = made(workspace, operation)
    monkeypatch.setattr(cog, "BLOCK", 16)
    monkeypatch.setattr(cog, "_CHUNK_BYTES", 1)
    _, cut, also_known, _ = made(workspace, operation)
    assert_array_equal(known, also_known)
    assert not known[20:60, 30:90].all()
    assert_allclose(whole[known], cut[known], rtol=1e-6)


def test_filling_stays_within_the_area_and_one_pixel_around_it(tmp_path):
    values = np.full((20, 20), np.nan, "float32")
    values[10, 10] = 5
    (path,) = files(tmp_path, values)
    workspace = town(tmp_path, bounds=(WEST + 50, NORTH - 150, WEST + 150, NORTH - 50))
    _, found, known, _ = made(workspace, Fill(source=path, distance_m=1000))
    assert known[4:16, 4:16].all()
    assert known.sum() == 144
    assert (found[known] == 5).all()


def test_classes_are_filled_by_whole_codes(tmp_path):
    """Two codes stand at the same distance: the northern one wins."""
    values = np.array([[4], [0], [9], [0], [0]], "uint8")
    (path,) = files(tmp_path, values, nodata=0)
    workspace = town(tmp_path)
    done, found, _, _ = made(workspace, Fill(source=path, distance_m=10), "classes")
    assert found[:, 0].tolist() == [4, 4, 9, 9, 0]
    assert layer_facts(done.layer)["filled"] == 2
    assert "2 pixels were filled; 1 in the area" in done.notes[-1].message()


def test_rounded_fills_that_equal_nodata_stay_readings_row_12(tmp_path):
    """Row 12."""
    (path,) = files(tmp_path, np.array([[-1, 0, 1]], "int16"), nodata=0)
    _, found, known, _ = made(town(tmp_path), Fill(source=path, distance_m=10))
    assert (found.tolist(), known.all()) == ([[-1, 0, 1]], True)


# -- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "kind", "error", "match"),
    [
        (lambda p: Mosaic(sources=(p,)), "values", InputError, "2 to 256 rasters; 1 were given"),
        (lambda p: Mosaic(sources=(p, p)), "values", InputError, "is named twice"),
        (lambda p: Mosaic(sources=(p, "x"), rule="sum"), "values", InputError, "'sum' is no rule"),
        (lambda p: Mosaic(sources=(p, "a"), rule="mean"), "classes", InputError, "means nothing"),
        (lambda p: Mosaic(sources=(p, "a")), "values", InputError, "has no layer 'a'"),
        (lambda p: Mosaic(sources=(p, "a.tif")), "values", InputError, "There is no file"),
        (lambda p: Reproject(source=p), "values", InputError, "Nothing would change"),
        (lambda p: Reproject(source=p, resolution=-1), "values", InputError, "pixel of -1"),
        (lambda p: Reproject(source=p, crs="EPSG:9"), "values", CrsError, "no coordinate system"),
        (lambda p: Reproject(source=p, resolution=5000), "values", InputError, "would hold 500"),
        (lambda p: Reproject(source=p, resolution=1e-5), "values", TooLargeError, "unpacks to"),
        (lambda p: Reproject(source=p, resolution=5, method="cubic"), "values", InputError,
         "'cubic' is no way"),
        (lambda p: Reproject(source=p, resolution=5, method="bilinear"), "classes", InputError,
         "never interpolated"),
        (lambda p: Clip(source=p, margin_m=-1), "values", InputError, "margin of -1"),
        (lambda p: Fill(source=p, distance_m=0), "values", InputError, "over 0 m"),
        (lambda p: Fill(source=p, distance_m=5), "values", InputError, "less than a pixel"),
        (lambda p: Fill(source=p, distance_m=5130), "values", InputError, "513 pixels"),
        (lambda p: Fill(source=p, distance_m=50, method="idw"), "classes", InputError,
         "never interpolated"),
        (lambda p: Fill(source=p, distance_m=50, method="x"), "values", InputError, "'x' is no"),
    ],
)  # fmt: skip
def test_silly_input_is_refused_before_any_work_row_28(tmp_path, build, kind, error, match):
    """Row 28."""
    (path,) = files(tmp_path, checkers(40, 50))
    workspace = town(tmp_path)
    with pytest.raises(error, match=match):
        plan(workspace, "town", build(path), kind)
    assert workspace.area("town").layers == ()


OPERATIONS = [
    lambda a, b: Mosaic(sources=(a, b)),
    lambda a, b: Reproject(source=a, resolution=5),
    lambda a, b: Clip(source=a),
    lambda a, b: Fill(source=a, distance_m=50),
]


@pytest.mark.parametrize("build", OPERATIONS)
def test_rasters_elsewhere_and_layers_made_from_themselves_are_refused_row_14(tmp_path, build):
    """Row 14."""
    far = files(tmp_path, checkers(), checkers(), places=[at(9000, 0)] * 2)
    workspace = town(tmp_path)
    with pytest.raises(ExtentError, match="do not meet"):
        plan(workspace, "town", build(*far), "values")
    for layer_id in ("a", "b"):
        source = write_tif(tmp_path / "c.tif", checkers())
        prepare.add_raster(workspace, "town", source, about(layer_id=layer_id))
    with pytest.raises(InputError, match="cannot be made from itself"):
        run(workspace, "town", build("a", "b"), about(layer_id="a"))


@pytest.mark.parametrize("build", OPERATIONS)
def test_stopped_work_changes_nothing(tmp_path, build):
    sources = files(tmp_path, checkers(600, 40), checkers(600, 40))
    workspace = town(tmp_path)
    asked = []

    def after_one_block():
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(StoppedError):
        run(workspace, "town", build(*sources), about(), should_stop=after_one_block)
    assert workspace.area("town").layers == ()
    assert not list((tmp_path / "ws").rglob("*.tif"))


@pytest.mark.parametrize("build", OPERATIONS)
def test_plans_come_true_and_progress_rises_to_one(tmp_path, build):
    values = checkers(600, 300, "float32")
    values[100:110, 100:110] = np.nan
    sources = files(tmp_path, values, values)
    workspace = town(tmp_path)
    expected = plan(workspace, "town", build(*sources), "values")
    seen = []
    report = lambda share, text: seen.append(share)  # noqa: E731
    done, found, *_, transform = made(workspace, build(*sources), on_progress=report)
    assert (found.shape, found.dtype) == ((expected.height, expected.width), expected.dtype)
    assert transform.a == expected.resolution[0]
    assert expected.num_bytes == found.nbytes
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert done.layer.digest == store.file_digest(workspace.layer_path("town", done.layer))
    first = done.layer.source["inputs"][0]
    assert (first["name"], first["sha256"]) == ("0.tif", store.file_digest(Path(sources[0])))
    assert done.layer.source["operation"] == expected.operation == done.layer.steps[-2]["step"]


def test_steps_of_the_source_come_first(tmp_path):
    values = np.ones((30, 30), "float32")
    values[3, 3] = np.nan
    (path,) = files(tmp_path, values)
    workspace = town(tmp_path)
    run(workspace, "town", Fill(source=path, distance_m=50), about(layer_id="a"))
    run(workspace, "town", Clip(source="a"), about(layer_id="b"))
    done, *_ = made(workspace, Reproject(source="b", resolution=20))
    names = [step["step"] for step in done.layer.steps]
    assert names == ["fill", "clip", "reproject", "cog"]
    assert layer_facts(done.layer)["filled"] == 1


def test_a_layer_that_is_only_an_address_is_refused(tmp_path):
    workspace = town(tmp_path)
    (path,) = files(tmp_path, checkers())
    prepare.add_raster(workspace, "town", Path(path), about(layer_id="a"))
    workspace.change_layer("town", "a", lambda layer: replace(layer, url="https://x", file=""))
    with pytest.raises(InputError, match="stays on a server"):
        plan(workspace, "town", Clip(source="a"), "values")


_BIG = """
import sys
from pathlib import Path
from core.operations.clip import Clip
from core.operations.fill import Fill
from core.operations.making import run
from core.operations.mosaic import Mosaic
from core.operations.reproject import Reproject
from core.prepare import About
from core.workspace import Workspace
root, path, name = sys.argv[1:]
build = {
    "bare": None,
    "mosaic": Mosaic(sources=(path, path + ".2.tif")),
    "reproject": Reproject(source=path, crs="EPSG:3857", resolution=90),
    "clip": Clip(source=path, mask=True, margin_m=1000),
    "fill": Fill(source=path, distance_m=1000),
}[name]
if build:
    run(Workspace(Path(root)), "town", build, About(layer_id=name, title=name, kind="values"))
status = Path("/proc/self/status").read_text()  # getrusage would tell of the parent too
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_memory_is_bounded_on_a_large_sparse_raster(tmp_path):
    """Row 5: 576 MB unpacked; within 300 MB of the bare process."""
    profile = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True}
    bounds = (WEST, NORTH - 120_000, WEST + 120_000, NORTH)
    path = tmp_path / "big.tif"
    for name, column in ((path, 0), (Path(f"{path}.2.tif"), 1000)):
        with rasterio.open(
            name, "w", driver="GTiff", width=12_000, height=12_000, count=1, dtype="float32",
            nodata=-1, crs="EPSG:32616", transform=at(column, 0), **profile,
        ) as dataset:  # fmt: skip
            for corner in range(0, 12_000, 3000):
                window = rasterio.windows.Window(corner, corner, 512, 512)
                dataset.write(np.ones((512, 512), "float32"), 1, window=window)
    workspace = town(tmp_path, bounds=bounds)
    peaks = {}
    for name in ("bare", "mosaic", "reproject", "clip", "fill"):
        command = [sys.executable, "-c", _BIG, str(workspace.root), str(path), name]
        answer = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
        )
        peaks[name] = float(answer.stdout)
        if name != "bare":
            workspace.remove_layer("town", name)
    assert max(peaks.values()) - peaks["bare"] < 300, peaks
