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
from pyproj import Transformer
from rasterio.merge import merge
from rasterio.transform import from_origin
from scipy.ndimage import map_coordinates

from core import cog, prepare, rasters, store
from core.errors import CrsError, ExtentError, InputError, StoppedError, TooLargeError
from core.operations.clip import Clip
from core.operations.fill import Fill
from core.operations.making import plan, run
from core.operations.mosaic import Mosaic
from core.operations.reproject import Reproject
from core.prepare import About
from core.record import layer_facts
from tests.core.raster_files import (
    ALBERS,
    NORTH_UP,
    SHARED,
    SINUSOIDAL,
    checkers,
    new_area,
    rotated,
    write_tif,
)

CITY = SHARED / "fixtures/city"
WEST, NORTH, SIDE = 445_000, 4_635_000, 10


def at(column, row, side=SIDE):
    """Return a north-up transform that begins at a column and row of the tests' grid."""
    return from_origin(WEST + column * SIDE, NORTH - row * SIDE, side, side)


def about(kind="values", layer_id="out"):
    return About(layer_id=layer_id, title="Out", kind=kind)


def made(workspace, operation, kind="values", **more):
    """Run an operation; return what it says, its values, where they are valid, the transform."""
    done = run(workspace, "town", operation, about(kind), **more)
    with rasters.open_raster(workspace.layer_path("town", done.layer)) as dataset:
        values, valid = rasters.read(dataset)
        return done, values, valid, dataset.transform


def town(tmp_path, **more):
    return new_area(tmp_path / "ws", **more)


def files(tmp_path, *arrays, places=None, **more):
    """Write rasters and return their paths as operations take them."""
    places = places or [NORTH_UP] * len(arrays)
    return tuple(
        str(write_tif(tmp_path / f"{n}.tif", values, transform=place, **more))
        for n, (values, place) in enumerate(zip(arrays, places, strict=True))
    )


# -- mosaic -------------------------------------------------------------------------------------

LEFT = np.array([[1, 2, 3, 0]], "int16")
RIGHT = np.array([[7, 8, 5, 6]], "int16")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("first", [1, 2, 3, 8, 5, 6]),
        ("last", [1, 2, 7, 8, 5, 6]),
        ("min", [1, 2, 3, 8, 5, 6]),
        ("max", [1, 2, 7, 8, 5, 6]),
        ("mean", [1, 2, 5, 8, 5, 6]),
    ],
)
def test_overlaps_by_hand(tmp_path, rule, expected):
    """Columns 2 and 3 lie under both; column 3 of the first source is missing."""
    sources = files(tmp_path, LEFT, RIGHT, places=[at(0, 0), at(2, 0)], nodata=0)
    done, values, valid, transform = made(town(tmp_path), Mosaic(sources=sources, rule=rule))
    assert values.tolist() == [expected]
    assert valid.all()
    assert values.dtype == "int16"
    assert transform == at(0, 0)
    assert done.layer.steps[0] == {
        "step": "mosaic", "sources": 2, "rule": rule, "overlapping": 1,
    }  # fmt: skip
    assert "overlap in 1 pixels" in done.notes[-1].message()


@pytest.mark.skipif(not CITY.exists(), reason="the shared fixtures are not here")
def test_city_tiles_give_the_reference_mosaic(tmp_path):
    tiles = tuple(str(CITY / f"inputs/dem_tiles/{name}.tif") for name in ("n41", "n42"))
    with rasterio.open(CITY / "reference/dem_mosaic.tif") as dataset:
        expected, wanted = dataset.read(1), dataset.transform
    place = rasterio.transform.array_bounds(*expected.shape, wanted)
    workspace = town(tmp_path, bounds=rasterio.warp.transform_bounds(4326, 32616, *place))
    _, values, valid, transform = made(workspace, Mosaic(sources=tiles))
    assert transform == wanted
    assert_array_equal(values, expected)
    assert_array_equal(valid, expected != -32767)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999), rule=st.sampled_from(["first", "last", "min", "max"]))
def test_mosaic_equals_rasterio_merge(tmp_path_factory, seed, rule):
    tmp_path = tmp_path_factory.mktemp("m")
    rng = np.random.default_rng(seed)
    arrays, places = [], []
    for _ in range(rng.integers(2, 5)):
        arrays.append(rng.integers(0, 5, rng.integers(1, 20, 2)).astype("uint8"))
        places.append(at(*(int(v) for v in rng.integers(0, 30, 2))))
    sources = files(tmp_path, *arrays, places=places, nodata=0)
    opened = [rasterio.open(path) for path in sources]
    expected, transform = merge(opened, method=rule)
    for dataset in opened:
        dataset.close()
    _, values, valid, found = made(town(tmp_path), Mosaic(sources=sources, rule=rule))
    assert found.almost_equals(transform)
    assert_array_equal(np.where(valid, values, 0), expected[0])


def test_a_reading_is_not_taken_for_another_sources_nodata(tmp_path):
    """0 is missing in the first file and a reading in the second, 9 the other way round. Row 12."""
    one = write_tif(tmp_path / "a.tif", np.array([[9, 0]], "uint8"), nodata=0)
    two = write_tif(tmp_path / "b.tif", np.array([[0, 9]], "uint8"), transform=at(2, 0), nodata=9)
    operation = Mosaic(sources=(str(one), str(two)))
    _, values, valid, _ = made(town(tmp_path), operation)
    assert valid.tolist() == [[True, False, True, False]]
    assert values[valid].tolist() == [9, 0]


def test_mixed_types_and_resolutions_are_told(tmp_path):
    fine = write_tif(tmp_path / "a.tif", np.full((4, 4), 300, "uint16"))
    coarse = write_tif(tmp_path / "b.tif", np.full((2, 2), -1, "int8"), transform=at(4, 0, 20))
    operation = Mosaic(sources=(str(coarse), str(fine)))
    workspace = town(tmp_path)
    text = " ".join(note.message() for note in plan(workspace, "town", operation, "values").notes)
    assert "the finest is kept: 10 metre" in text
    assert "the result is int32" in text
    assert "nearest pixel: b.tif" in text
    _, values, valid, transform = made(workspace, operation)
    assert (values.dtype, transform.a, values.shape) == ("int32", 10, (4, 8))
    assert valid.all()
    assert values.tolist() == [[300] * 4 + [-1] * 4] * 4


def test_another_crs_is_refused_or_reprojected_as_chosen(tmp_path):
    one = write_tif(tmp_path / "a.tif", np.full((20, 20), 5, "uint8"))
    lon, lat = -87.6600, 41.866
    degrees = from_origin(lon, lat, 1e-4, 1e-4)
    two = write_tif(
        tmp_path / "b.tif", np.full((20, 20), 7, "uint8"), crs="EPSG:4326", transform=degrees
    )
    workspace = town(tmp_path)
    sources = (str(one), str(two))
    with pytest.raises(CrsError, match=r"b\.tif is in WGS 84, a\.tif in WGS 84 / UTM zone 16N"):
        plan(workspace, "town", Mosaic(sources=sources), "values")
    _, values, valid, _ = made(workspace, Mosaic(sources=sources, reproject=True))
    area = workspace.area("town")
    assert area.layer("out").summary.valid_share > 0
    assert set(np.unique(values[valid])) == {5, 7}
    # 20 × 20 pixels of 0.0001°, 11.1 × 8.3 m each, are the finest: 9.6 m.
    assert np.count_nonzero(values[valid] == 7) == pytest.approx(400, rel=0.05)


def test_rotated_and_south_up_sources_go_the_general_way_row_13(tmp_path):
    """Row 13."""
    south_up = from_origin(WEST, NORTH - 400, SIDE, -SIDE)
    values = np.arange(1600, dtype="int32").reshape(40, 40)
    sources = files(tmp_path, values[::-1], values + 5000, places=[south_up, rotated()])
    _, found, valid, transform = made(town(tmp_path), Mosaic(sources=sources, rule="first"))
    row, column = (round(v) for v in (~transform @ (WEST, NORTH))[::-1])
    assert_array_equal(found[row : row + 40, column : column + 40], values)
    assert valid.sum() > 1600 + 500


def test_filled_pixels_of_the_sources_stay_told(tmp_path):
    hole = np.ones((10, 10), "float32")
    hole[4, 4] = np.nan
    workspace = town(tmp_path)
    (path,) = files(tmp_path, hole)
    run(workspace, "town", Fill(source=path, distance_m=50), about(layer_id="a"))
    prepare.add_raster(workspace, "town", Path(path), about(layer_id="b"))
    done, *_ = made(workspace, Mosaic(sources=("a", "b")))
    assert layer_facts(done.layer)["filled"] == 1
    layer = workspace.area("town").layer("a")
    assert done.layer.source["inputs"][0]["layer"] == "a"
    assert done.layer.source["inputs"][0]["sha256"] == layer.digest
    assert done.layer.source["inputs"][0]["steps"][0]["filled"] == 1


# -- reproject ----------------------------------------------------------------------------------


GRIDS = [
    pytest.param("EPSG:4326", from_origin(-87.67, 41.87, 1e-4, 1e-4), id="degrees"),
    pytest.param(ALBERS, from_origin(691_000, 237_000, 20, 20), id="albers"),
    pytest.param(SINUSOIDAL, from_origin(-7_260_000, 4_657_000, 30, 30), id="sinusoidal"),
]


@pytest.mark.parametrize(("crs", "transform"), GRIDS)
def test_nearest_takes_the_pixel_that_holds_the_centre(tmp_path, crs, transform):
    """Against the exact transformation of centres: those within 0.001 px of an edge may differ."""
    values = np.random.default_rng(1).permutation(490_000).reshape(700, 700).astype("int32")
    path = str(write_tif(tmp_path / "a.tif", values, crs=crs, transform=transform))
    workspace = town(tmp_path, bounds=(4e5, 4.5e6, 5e5, 4.7e6))
    operation = Reproject(source=path, crs="EPSG:32616", resolution=25, method="nearest")
    _, found, valid, grid = made(workspace, operation)
    assert grid.a == 25
    assert grid.c % 25 == grid.f % 25 == 0
    x, y = grid @ tuple(np.meshgrid(*(np.arange(n) + 0.5 for n in found.shape[::-1])))
    back = Transformer.from_crs("EPSG:32616", crs, always_xy=True)
    columns, rows = (np.floor(v).astype(int) for v in ~transform @ back.transform(x, y))
    inside = (columns >= 0) & (columns < 700) & (rows >= 0) & (rows < 700)
    assert np.count_nonzero(valid != inside) < 1e-4 * inside.sum()
    both = valid & inside
    off = found[both] != values[rows[both], columns[both]]
    assert off.mean() < 1e-3


@pytest.mark.parametrize(("crs", "transform"), GRIDS)
def test_bilinear_is_the_mean_of_four_pixels_at_the_exact_place(tmp_path, crs, transform):
    """Against SciPy at the exactly transformed centres: within what 0.001 px can make."""
    values = np.random.default_rng(1).normal(300, 5, (700, 700)).astype("float32")
    path = str(write_tif(tmp_path / "a.tif", values, crs=crs, transform=transform))
    workspace = town(tmp_path, bounds=(4e5, 4.5e6, 5e5, 4.7e6))
    operation = Reproject(source=path, crs="EPSG:32616", resolution=25, method="bilinear")
    _, found, valid, grid = made(workspace, operation)
    x, y = grid @ tuple(np.meshgrid(*(np.arange(n) + 0.5 for n in found.shape[::-1])))
    back = Transformer.from_crs("EPSG:32616", crs, always_xy=True)
    columns, rows = ~transform @ back.transform(x, y)
    exact = map_coordinates(
        values.astype(float), [rows - 0.5, columns - 0.5], order=1, cval=np.nan, mode="constant"
    )
    inner = valid & np.isfinite(exact)
    assert inner.sum() > 0.98 * valid.sum()  # the outermost half pixel has no four neighbours
    assert_allclose(found[inner], exact[inner], atol=0.05)


def test_average_equals_many_points_in_each_pixel(tmp_path):
    transform = from_origin(-87.67, 41.87, 1e-4, 1e-4)
    row, column = np.mgrid[:300, :300]
    values = (300 + 5 * np.sin(row / 9) * np.cos(column / 11)).astype("float32")
    path = str(write_tif(tmp_path / "a.tif", values, crs="EPSG:4326", transform=transform))
    operation = Reproject(source=path, crs="EPSG:32616", resolution=100, method="average")
    _, found, valid, grid = made(town(tmp_path, bounds=(4e5, 4.5e6, 5e5, 4.7e6)), operation)
    fine = [(np.arange(n * 20) + 0.5) / 20 for n in found.shape[::-1]]
    x, y = grid @ tuple(np.meshgrid(*fine))
    back = Transformer.from_crs("EPSG:32616", "EPSG:4326", always_xy=True)
    columns, rows = ~transform @ back.transform(x, y)
    points = map_coordinates(
        values.astype(float), [rows - 0.5, columns - 0.5], order=0, cval=np.nan, mode="constant"
    )
    means = points.reshape(found.shape[0], 20, found.shape[1], 20).mean(axis=(1, 3))
    inner = valid & np.isfinite(means)
    assert inner.sum() > 400
    assert_allclose(
        found[inner], means[inner], atol=0.1
    )  # the field spans 10; edge pixels count whole


def test_averages_by_hand(tmp_path):
    """Four 20 m pixels of a 40 m raster; a missing pixel is left out of its mean."""
    values = np.array([[1, 3, 10, 10], [5, 7, 10, 0], [2, 2, 0, 0], [2, 2, 0, 0]], "int16")
    (path,) = files(tmp_path, values, nodata=0)
    operation = Reproject(source=path, resolution=20)
    done, found, valid, transform = made(town(tmp_path), operation)
    assert transform == at(0, 0, 20)
    assert valid.tolist() == [[True, True], [True, False]]
    assert found[valid].tolist() == [4, 10, 2]
    assert done.layer.steps[0]["method"] == "average"


def test_rounded_means_that_equal_nodata_stay_readings_row_12(tmp_path):
    """The mean of -1 and 1 is 0, which means missing in the source. Row 12."""
    (path,) = files(tmp_path, np.array([[-1, 1], [-1, 1]], "int16"), nodata=0)
    _, found, valid, _ = made(town(tmp_path), Reproject(source=path, resolution=20))
    assert (found.tolist(), valid.tolist()) == ([[0]], [[True]])


@pytest.mark.parametrize("method", ["auto", "nearest", "mode"])
def test_classes_keep_their_codes(tmp_path, method):
    values = checkers(60, 60) * 30
    (path,) = files(tmp_path, values)
    workspace = town(tmp_path, bounds=(4e5, 4.5e6, 5e5, 4.7e6))
    operation = Reproject(source=path, crs="EPSG:4326", method=method)
    _, found, valid, _ = made(workspace, operation, "classes")
    assert set(np.unique(found[valid])) <= set(np.unique(values))
    assert not valid.all()  # the corners; 0 is no code of the file, but could be one


def test_masked_sources_stay_masked(tmp_path):
    mask = np.ones((40, 40), bool)
    mask[:20] = False
    path = write_tif(tmp_path / "a.tif", np.zeros((40, 40), "uint8"), mask=mask)
    operation = Reproject(source=str(path), resolution=5)
    _, found, valid, _ = made(town(tmp_path), operation, "classes")
    assert found.shape == (80, 80)
    assert valid[40:].all()
    assert not valid[:40].any()


def test_nodata_outside_the_type_is_no_nodata(tmp_path):
    path = tmp_path / "a.tif"
    write_tif(path, np.full((8, 8), 241, "uint8"))
    # rasterio refuses to write it, GDAL does not.
    text = path.read_bytes()
    assert b"-9999" not in text
    _, found, valid, _ = made(town(tmp_path), Reproject(source=str(path), resolution=5))
    assert valid.all()
    assert (found == 241).all()


# -- clip ---------------------------------------------------------------------------------------


def test_clip_keeps_each_pixel_that_the_area_touches(tmp_path):
    values = np.arange(400, dtype="int32").reshape(20, 20)
    (path,) = files(tmp_path, values)
    bounds = (WEST + 45, NORTH - 95, WEST + 80, NORTH - 60)
    workspace = town(tmp_path, bounds=bounds)
    done, found, _, transform = made(workspace, Clip(source=path))
    assert_array_equal(found, values[6:10, 4:8])
    assert transform == at(4, 6)
    assert done.layer.steps[0] == {
        "step": "clip", "margin_m": 0.0, "masked": 0, "rows": [6, 10], "columns": [4, 8],
    }  # fmt: skip
    _, found, *_ = made(workspace, Clip(source=path, margin_m=20))
    assert_array_equal(found, values[4:12, 2:10])


def test_masked_clip_equals_the_centres_inside(tmp_path):
    values = np.zeros((20, 20), "uint8")
    (path,) = files(tmp_path, values)
    bounds = (WEST + 44, NORTH - 96, WEST + 76, NORTH - 64)
    done, found, valid, _ = made(
        town(tmp_path, bounds=bounds), Clip(source=path, mask=True), "classes"
    )
    assert found.shape == (4, 4)
    assert valid.all()  # the outermost centres lie 1 m inside
    bounds = (WEST + 46, NORTH - 96, WEST + 76, NORTH - 64)
    done, found, valid, _ = made(
        new_area(tmp_path / "ws2", bounds=bounds), Clip(source=path, mask=True), "classes"
    )
    assert valid.tolist() == [[False, True, True, True]] * 4
    assert done.layer.steps[0]["masked"] == 4
    assert done.layer.summary.counts == ((0, 12),)


@pytest.mark.parametrize("crs", ["EPSG:4326", SINUSOIDAL, ALBERS])
def test_a_clipped_layer_has_the_same_figures_inside(tmp_path, crs):
    """Clipping touches no pixel of the area, so what is counted inside stays."""
    workspace = town(tmp_path)
    rng = np.random.default_rng(2)
    (path,) = files(tmp_path, rng.normal(size=(200, 200)).astype("float32"), places=[at(-50, -50)])
    run(workspace, "town", Reproject(source=path, crs=crs), about(layer_id="a"))
    whole = workspace.area("town").layer("a").summary
    for mask in (False, True):
        done, found, *_ = made(workspace, Clip(source="a", mask=mask))
        assert done.layer.summary == whole
        assert found.size < 12_000


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
