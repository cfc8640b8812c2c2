"""Mosaic, reprojection and clip of rasters: by hand, and against rasterio."""

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

from core import prepare
from core.errors import CrsError
from core.operations.clip import Clip
from core.operations.fill import Fill
from core.operations.making import plan, run
from core.operations.mosaic import Mosaic
from core.operations.reproject import Reproject
from core.record import layer_facts
from tests.core.operated import NORTH, SIDE, WEST, about, at, files, made, town
from tests.core.raster_files import (
    ALBERS,
    SHARED,
    SINUSOIDAL,
    checkers,
    new_area,
    rotated,
    write_tif,
)

CITY = SHARED / "fixtures/city"


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
