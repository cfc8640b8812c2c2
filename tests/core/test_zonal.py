import itertools
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import from_origin

from core.errors import CrsError, ExtentError, InputError, TooLargeError
from core.quadrats import to_frame
from core.zonal.footprint import footprint, plan_blocks
from core.zonal.lattice import summed
from core.zonal.pixels import ArrayPixels, opened
from core.zonal.pool import Pool
from core.zonal.statistics import FREQUENCY, STATISTICS, checked_request
from core.zonal.table import zonal_statistics
from tests.core.zonal_inputs import (
    NORTH,
    UTM,
    WEST,
    brute_force,
    cells_of_centres,
    lattice_of,
    raster_of,
)

COMMON = ("count", "min", "max", "mean", "sum", "std", "median", "unique", "range")
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")


def one_table(source, lattice, stats, **how):
    table = zonal_statistics(source, lattice, stats=stats, threads=1, **how).table
    return table.rename(columns=lambda name: name.removeprefix("x_"))


# Worked by hand: 1..9 on 3 x 3 pixels of 10 m, one square of 20 m around the middle. The exact rule
# takes 5 whole, 2 4 6 8 by half, 1 3 7 9 by a quarter: 4 pixels, sum 20.
NINE = np.arange(1, 10, dtype=np.float64).reshape(3, 3)
BY_HAND = {"count": 4, "sum": 20, "mean": 5, "min": 1, "max": 9, "range": 8, "unique": 9,
           "majority": 5, "minority": 1, "median": 5, "std": np.sqrt(20 / 4), "nodata": 0,
           "nan": 0}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "value"), BY_HAND.items())
def test_exact_rule_by_hand(dtype, name, value):
    square = lattice_of((1, 1), 20, west=WEST + 5, north=NORTH - 5)
    found = one_table(raster_of(NINE.astype(dtype)), square, [name], rule="exact")
    assert found[name].tolist() == pytest.approx([value])


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 4), ("sum", 20), ("mean", 5), ("min", 1), ("max", 9), ("median", 5), ("unique", 4),
     ("majority", 1), ("minority", 1), ("range", 8), ("std", np.sqrt(10)), ("nodata", 1),
     ("nan", 1)],
)  # fmt: skip
def test_centre_rule_by_hand(name, value):
    # Corners of the 3 x 3; the others are nodata, not a number, or outside the two-cell squares.
    array = np.array([[1, -9, 3], [np.nan, 0, 0], [7, 0, 9]], np.float32)[[0, 2, 1]]
    array = np.array([[1, -9, 3], [7, np.nan, 9]], np.float32)
    found = one_table(raster_of(array, nodata=-9), lattice_of((1, 1), 30), [name])
    # The square is 3 x 3 pixels, of which the last row lies outside the raster.
    expected = {"nodata": 1 + 3}.get(name, value)
    assert found[name].tolist() == pytest.approx([expected])


def test_frequencies_are_a_column_a_class():
    array = np.array([[31, 31, 7], [31, 31, 7]], np.uint8)
    lattice = lattice_of((1, 2), 20)
    source = raster_of(array, key="landuse", codes=frozenset({31}))
    result = zonal_statistics(source, lattice, stats=["frequency", "mean"], threads=1)
    assert list(result.table) == ["landuse_mean", "landuse_fre_7", "landuse_fre_31"]
    assert result.table["landuse_fre_31"].tolist() == [4, 0]
    assert result.table["landuse_fre_7"].tolist() == [0, 2]
    assert result.cover["landuse"].tolist() == [1.0, 0.5]
    assert result.notes[0].unknown_codes == ((7, 2.0),)
    document = zonal_statistics(source, lattice, stats=["frequency"], method="document", threads=1)
    assert document.table["landuse_fre_31"].isna().tolist() == [False, True]


@st.composite
def scenes(draw):
    """A small raster of any type, lying in any way, and quadrats off its pixels."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.tuples(st.integers(1, 18), st.integers(1, 18)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = 0 if dtype.kind == "u" else -4
    wide = draw(st.booleans()) and dtype.itemsize > 1
    array = rng.integers(low, 30_000 if wide else 5, shape).astype(dtype)
    if dtype.kind == "f":
        array += rng.integers(0, 2, shape) / 4
        for odd in (np.nan, np.inf, -np.inf):
            array[rng.random(shape) < draw(st.sampled_from([0, 0.1]))] = odd
    nodata = draw(st.sampled_from([None, 0, 1, "out", "nan", "all"]))
    if nodata == "all":
        array[:] = 3
        nodata = 3
    elif nodata == "nan":
        nodata = np.nan if dtype.kind == "f" else None
    elif nodata == "out":
        nodata = None if dtype.itemsize == 1 else 30_100
    angle = draw(st.sampled_from([0, 0, 180, 33, 90]))
    flip = draw(st.sampled_from([-1, 1]))
    transform = (
        Affine.translation(WEST + draw(st.floats(-80, 80)), NORTH + draw(st.floats(-80, 80)))
        @ Affine.rotation(angle)
        @ Affine.scale(10, flip * draw(st.sampled_from([10, 7.3])))
    )
    side = draw(st.floats(16, 60))
    kept = rng.random((draw(st.integers(1, 5)), draw(st.integers(1, 5)))) < 0.8
    kept[0, 0] = True
    lattice = lattice_of(kept.shape, side, kept=kept, north=NORTH + draw(st.floats(-50, 150)))
    masked = rng.random(shape) < 0.2 if draw(st.booleans()) and nodata is None else None
    return array, nodata, transform, lattice, masked


@settings(max_examples=120, deadline=None)
@given(scenes(), st.lists(st.sampled_from([*COMMON, "majority", "minority"]), min_size=1))
def test_every_statistic_equals_brute_force(scene, names):
    """Rows 12 and 13: NaN, infinity, any nodata, mask; rotated and south-up rasters."""
    array, nodata, transform, lattice, masked = scene
    mask = None if masked is None else np.where(masked, 0, 255).astype(np.uint8)
    source = raster_of(array, transform=transform, nodata=nodata, mask=mask)
    cells, nearest = cells_of_centres(source, lattice)
    assume(nearest > 1e-6)
    values = array.astype(np.float64)
    if nodata is not None:
        values[array == nodata] = np.nan
    if masked is not None:
        values[masked] = np.nan
    expected = brute_force(values, cells, len(lattice))
    try:
        result = zonal_statistics(source, lattice, stats=[*names, "frequency", "nan"], threads=1)
    except ExtentError:
        assert (cells < 0).all()
        return
    assume(not result.notes[0].is_coarse)
    found = result.table.rename(columns=lambda name: name.removeprefix("x_"))
    for name in names:
        blank = np.zeros(len(lattice)) if name == "count" else np.full(len(lattice), np.nan)
        wanted = expected.get(name, default=blank)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-12, atol=1e-9, err_msg=name)
    codes = [name for name in expected if name.startswith("fre_")]
    assert {name for name in found if name.startswith("fre_")} == set(codes)
    for name in codes:
        np.testing.assert_array_equal(found[name].fillna(0), expected[name].fillna(0))
    hidden = np.zeros(array.shape, bool) if masked is None else masked
    odd = ~np.isfinite(array.astype(float)) & ~hidden
    strange = np.bincount(cells[(cells >= 0) & odd], minlength=len(lattice))
    np.testing.assert_array_equal(found["nan"], strange)


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from([3.0, 14.0, 70.0]))
def test_exact_coverage_equals_intersected_areas(scene, cell):
    """Rows 13 and 16: by polygons of pixels and quadrats, however the raster lies."""
    array, _, transform, lattice, _ = scene
    transform = transform @ Affine.scale(cell / 10)
    rng = np.random.default_rng(array.size)
    numbers = rng.integers(0, 5, array.shape).astype(np.uint8)
    source = raster_of(numbers, transform=transform, nodata=4)
    frame = to_frame(lattice)
    expected = np.zeros((len(lattice), 5))
    for row, col in np.ndindex(array.shape):
        corners = [transform @ (col + i, row + j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
        pixel = shapely.Polygon(corners)
        shared = frame.geometry.intersection(pixel).area.to_numpy() / pixel.area
        expected[:, numbers[row, col]] += shared
    try:
        names = ["frequency", "count", "mean"]
        result = zonal_statistics(source, lattice, stats=names, rule="exact", threads=1)
    except ExtentError:
        assert expected.max() < 1e-9
        return
    found = result.table.fillna(0.0)
    codes = [k for k in range(4) if f"x_fre_{k}" in found]
    assert expected[:, [k for k in range(4) if k not in codes]].max(initial=0) < 1e-6
    np.testing.assert_allclose(found[[f"x_fre_{k}" for k in codes]], expected[:, codes], atol=1e-6)
    np.testing.assert_allclose(found["x_count"], expected[:, :4].sum(axis=1), atol=1e-6)
    moments = zonal_statistics(source, lattice, stats=["mean", "std"], rule="exact", threads=1)
    np.testing.assert_allclose(moments.table["x_mean"].fillna(0), found["x_mean"], atol=1e-9)


def test_each_pixel_lies_in_exactly_one_quadrat_for_1000_origins():
    """Row 17: half-open squares, also where lines run through pixel centres."""
    rng = np.random.default_rng(5)
    array = rng.integers(1, 200, (40, 40)).astype(np.uint8)
    source = raster_of(array)
    with opened(source) as pixels:
        grid = pixels.grid
    pool = Pool(source, grid, 1, ArrayPixels(grid, array))
    request = checked_request(["sum", "count"])
    for i in range(1000):
        # Every second origin puts lines on centres or edges of pixels, up to rounding.
        shift = rng.uniform(-30, 0, 2) if i % 2 else rng.integers(-6, 1, 2) * 5.0
        side = rng.uniform(20, 70) if i % 3 else rng.integers(4, 14) * 5.0
        count = int(np.ceil(440 / side)) + 1
        lattice = lattice_of((count, count), side, west=WEST + shift[0], north=NORTH - shift[1])
        place = footprint(lattice, grid, key="x")
        figures = summed(pool, lattice, place, request, rule="centre").figures
        assert figures["count"].sum() == 1600
        assert np.nansum(figures["sum"]) == array.sum()


def test_lines_through_pixel_centres_give_equal_squares_equal_counts():
    """Row 17: rounding of coordinates does not move a line from one side of a centre to another."""
    source = raster_of(np.ones((300, 300), np.uint8))
    lattice = lattice_of((19, 19), 150, west=WEST + 5, north=NORTH - 5)
    found = zonal_statistics(source, lattice, stats=["count"], threads=1).table
    assert found["x_count"].unique().tolist() == [225]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("rule", ["centre", "exact"])
def test_the_same_bytes_on_1_2_and_8_threads(dtype, rule):
    """Row 27."""
    rng = np.random.default_rng(0)
    array = (rng.random((300, 400)) * 50).astype(dtype)
    source = raster_of(array, tiled=True, blockxsize=64, blockysize=64)
    lattice = lattice_of((14, 19), 203.7, west=WEST + 3.3)
    stats = ["mean", "std", "sum"] if dtype == "float32" else ["mean", "frequency", "median"]
    tables = [
        zonal_statistics(source, lattice, stats=stats, rule=rule, threads=n).table
        for n in (1, 2, 8)
    ]
    assert len({table.to_numpy().tobytes() for table in tables}) == 1


def test_each_thread_opens_the_file_for_itself():
    """Row 23: GDAL handles are not shared."""
    source = raster_of(np.ones((256, 256), np.uint8), tiled=True, blockxsize=16, blockysize=16)
    owners = []

    @contextmanager
    def watched():
        owners.append(threading.get_ident())
        opener = threading.get_ident()
        with source.open() as dataset:

            class Guard:
                def __getattr__(self, name):
                    assert threading.get_ident() == opener
                    return getattr(dataset, name)

            yield Guard()

    # Wide gaps between the quadrats make many windows.
    kept = np.zeros((100, 100), bool)
    kept[::9, ::9] = True
    lattice = lattice_of((100, 100), 25.6, kept=kept)
    zonal_statistics(replace(source, open=watched), lattice, stats=["sum"], threads=4)
    assert len(set(owners)) > 1


def test_an_error_in_a_thread_is_raised_once_and_ends_the_others():
    source = raster_of(np.ones((256, 256), np.uint8), tiled=True, blockxsize=16, blockysize=16)
    kept = np.zeros((100, 100), bool)
    kept[::9, ::9] = True
    lattice = lattice_of((100, 100), 25.6, kept=kept)
    opened_times = itertools.count()

    @contextmanager
    def fails_later():
        if next(opened_times) >= 2:
            raise InputError("gone")
        with source.open() as dataset:
            yield dataset

    before = threading.active_count()
    with pytest.raises(InputError, match="gone"):
        zonal_statistics(replace(source, open=fails_later), lattice, stats=["sum"], threads=4)
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 4])
def test_progress_is_told_and_can_end_the_work(threads):
    """Row 28: cancelled within a second."""
    source = raster_of(np.ones((512, 512), np.uint8), tiled=True, blockxsize=16, blockysize=16)
    kept = np.zeros((100, 100), bool)
    kept[::9, ::9] = True
    lattice = lattice_of((100, 100), 51.2, kept=kept)
    told = []
    how = {"stats": ["sum"], "threads": threads}
    zonal_statistics(source, lattice, on_progress=lambda *args: told.append(args), **how)
    total = told[0][2]
    assert told == [("x", done, total) for done in range(1, total + 1)]

    def stop(key, done, total):
        if done == 3:
            raise KeyboardInterrupt

    before, start = threading.active_count(), time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        zonal_statistics(source, lattice, on_progress=stop, **how)
    assert time.perf_counter() - start < 1
    assert threading.active_count() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own count")
def test_a_small_file_that_declares_40_gb_takes_little_memory(tmp_path):
    """Row 5: zonal statistics stream."""
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200_000, height=200_000, count=1, dtype="uint8", crs=UTM,
        transform=from_origin(WEST - 1e5, NORTH + 1e5, 1, 1), tiled=True, blockxsize=512,
        blockysize=512, compress="deflate", sparse_ok=True, bigtiff="yes",
    ):  # fmt: skip
        pass
    program = f"""
import os
os.environ["GDAL_CACHEMAX"] = "64"
from functools import partial
from pathlib import Path
import rasterio
from tests.core.zonal_inputs import lattice_of
from core.zonal.pixels import RasterSource
from core.zonal.table import zonal_statistics
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
bare = peak()
source = RasterSource(key="x", open=partial(rasterio.open, {str(path)!r}))
table = zonal_statistics(source, lattice_of((60, 60), 150), stats=["frequency"], threads=2).table
assert (table["x_fre_0"] == 22_500).all()
print(peak() - bare)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 200


def test_blocks_without_a_quadrat_are_never_read():
    source = raster_of(np.ones((640, 640), np.uint8), tiled=True, blockxsize=64, blockysize=64)
    kept = np.zeros((64, 64), bool)
    kept[3, 3] = kept[3, 40] = kept[60, 5] = True
    lattice = lattice_of((64, 64), 100, kept=kept)
    with opened(source) as pixels:
        tasks = plan_blocks(footprint(lattice, pixels.grid, key="x"), pixels.grid)
    met = {
        (row // 64, col // 64)
        for task in tasks
        for row in range(task.window.row_off, task.window.row_off + task.window.height)
        for col in range(task.window.col_off, task.window.col_off + task.window.width)
    }
    assert met == {(0, 0), (0, 6), (9, 0), (9, 0)}


@pytest.mark.parametrize(("crs", "cell"), [("EPSG:4326", 0.0001), ("EPSG:3857", 9.3)])
def test_another_crs_equals_the_exact_transform_of_each_pixel(crs, cell):
    lattice = lattice_of((12, 12), 150.0)
    x, y = Transformer.from_crs(UTM, crs, always_xy=True).transform(WEST - 500, NORTH + 500)
    rng = np.random.default_rng(1)
    array = rng.integers(0, 6, (330, 330)).astype(np.uint8)
    source = raster_of(array, transform=from_origin(x, y, cell, cell), crs=crs)
    cells, _ = cells_of_centres(source, lattice)
    expected = brute_force(array.astype(float), cells, len(lattice))
    found = one_table(source, lattice, ["frequency"])
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name].fillna(0))


def test_curved_edges_are_followed_where_they_matter():
    # Squares of 100 km bend by a hundred pixels and more in degrees.
    lattice = lattice_of((3, 3), 100_000.0, west=300_000, north=6_000_000)
    array = np.ones((1000, 1000), np.uint8)
    source = raster_of(array, transform=from_origin(-92, 56, 0.008, 0.008), crs="EPSG:4326")
    cells, _ = cells_of_centres(source, lattice)
    expected = np.bincount(cells[cells >= 0], minlength=9)
    result = zonal_statistics(source, lattice, stats=["count"], threads=1)
    np.testing.assert_allclose(result.table["x_count"], expected, atol=6)
    assert result.notes[0].sag_px < 0.005


@pytest.mark.parametrize("shift_m", [60, 250])
def test_share_of_cover_where_extents_meet_in_part(shift_m):
    """Row 14."""
    source = raster_of(np.ones((30, 30), np.uint8))
    lattice = lattice_of((3, 3), 100, west=WEST - shift_m)
    result = zonal_statistics(source, lattice, stats=["count"], threads=1)
    left = np.clip((np.arange(3) + 1) * 100 - shift_m, 0, 100) / 100
    assert result.cover["x"].to_numpy().reshape(3, 3).tolist() == [left.tolist()] * 3
    assert result.notes[0].empty == (left == 0).sum() * 3


def test_extents_that_do_not_meet_are_told_before_anything_is_read():
    """Row 14: also where another layer would have been fine."""
    near = raster_of(np.ones((30, 30), np.uint8), key="near")
    far = raster_of(np.ones((30, 30), np.uint8), key="far", transform=from_origin(0, 0, 1, 1))
    reads = []

    @contextmanager
    def watched():
        with near.open() as dataset:

            class Guard:
                def __getattr__(self, name):
                    reads.extend([name] if name == "read" else [])
                    return getattr(dataset, name)

            yield Guard()

    sources = [replace(near, open=watched), far]
    for zones in (lattice_of((3, 3), 100), to_frame(lattice_of((3, 3), 100))):
        with pytest.raises(ExtentError, match="far does not meet"):
            zonal_statistics(sources, zones, stats=["mean"])
    assert not reads


def test_a_raster_beyond_180_degrees_is_met_under_its_other_name():
    """Row 15: the lattice straddles the antimeridian, the raster runs from 179 to 181 degrees."""
    fiji = "EPSG:3832"  # metres, centred on 150 E
    x, y = Transformer.from_crs("EPSG:4326", fiji, always_xy=True).transform(179.95, -17.0)
    lattice = lattice_of((5, 20), 1000, west=x, north=y, crs=fiji)
    array = np.arange(400 * 200, dtype=np.float32).reshape(200, 400)
    east = raster_of(array, transform=from_origin(179, -16.5, 0.005, 0.005), crs="EPSG:4326")
    result = zonal_statistics(east, lattice, stats=["mean", "count"], threads=1)
    assert result.cover["x"].min() == 1.0
    west = raster_of(array, transform=from_origin(-181, -16.5, 0.005, 0.005), crs="EPSG:4326")
    same = zonal_statistics(west, lattice, stats=["mean", "count"], threads=1)
    np.testing.assert_allclose(same.table, result.table)


def test_quadrats_around_a_pole_are_refused():
    """Row 15."""
    lattice = lattice_of((4, 4), 1000, west=-2000, north=2000, crs="EPSG:3031")
    world = raster_of(
        np.ones((180, 360), np.uint8), transform=from_origin(-180, 90, 1, 1), crs="EPSG:4326"
    )
    with pytest.raises(ExtentError, match="at a pole"):
        zonal_statistics(world, lattice, stats=["mean"])


def test_quadrats_that_a_raster_s_crs_cannot_hold_are_refused():
    source = raster_of(
        np.ones((9, 9), np.uint8), crs="EPSG:4326", transform=from_origin(0, 0, 1, 1)
    )
    with pytest.raises(ExtentError, match="cannot be expressed in the coordinate system of x"):
        zonal_statistics(source, lattice_of((2, 2), 100, west=1e9), stats=["mean"])


def test_quadrats_across_the_seam_of_a_world_raster_are_refused():
    """Row 15: a grid at 179.9 degrees."""
    fiji = "EPSG:3832"
    x, y = Transformer.from_crs("EPSG:4326", fiji, always_xy=True).transform(179.9, -17.0)
    lattice = lattice_of((3, 30), 1700, west=x, north=y, crs=fiji)
    world = raster_of(
        np.ones((180, 360), np.uint8), transform=from_origin(-180, 90, 1, 1), crs="EPSG:4326"
    )
    with pytest.raises(ExtentError, match="180 degrees"):
        zonal_statistics(world, lattice, stats=["mean"])


def test_pixels_coarser_than_quadrats_leave_none_without_a_value():
    """Row 16: weighted by area, and said so."""
    array = np.arange(16, dtype=np.float32).reshape(4, 4)
    source = raster_of(array, cell=1000, transform=from_origin(WEST, NORTH, 1000, 1000))
    lattice = lattice_of((26, 26), 150)
    result = zonal_statistics(source, lattice, stats=["mean"], threads=1)
    assert result.notes[0].is_coarse
    assert result.notes[0].rule == "exact"
    assert result.table["x_mean"].notna().all()
    means = result.table["x_mean"].to_numpy().reshape(26, 26)
    assert means[0, 0] == 0
    # Column 6 runs from 900 to 1050 m: two thirds in pixel 0, one third in pixel 1.
    assert means[0, 6] == pytest.approx(1 / 3)


def test_a_coarse_class_raster_gives_areas_and_no_new_codes():
    array = np.array([[10, 30], [30, 10]], np.uint8)
    source = raster_of(array, transform=from_origin(WEST, NORTH, 1000, 1000))
    result = zonal_statistics(source, lattice_of((13, 13), 150), stats=["frequency"], threads=1)
    assert list(result.table) == ["x_fre_10", "x_fre_30"]
    np.testing.assert_allclose(result.table.sum(axis=1), 0.15**2)


def peers_scene(dtype, *, nodata=None, crs=UTM):
    rng = np.random.default_rng(11)
    array = rng.integers(0, 9, (120, 130)).astype(dtype)
    if array.dtype.kind == "f":
        array += rng.random(array.shape).astype(dtype)
        array[rng.random(array.shape) < 0.05] = np.nan
    where = None
    if crs != UTM:
        x, y = Transformer.from_crs(UTM, crs, always_xy=True).transform(WEST, NORTH)
        where = from_origin(x, y, 0.00011, 0.00009)
    lattice = lattice_of((7, 8), 143.7, west=WEST + 21.3, north=NORTH - 17.9)
    return raster_of(array, nodata=nodata, transform=where, crs=crs), lattice


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 3), ("int16", None), ("float32", None)])
def test_centre_rule_equals_rasterstats(dtype, nodata, crs):
    source, lattice = peers_scene(dtype, nodata=nodata, crs=crs)
    stats = [*STATISTICS, FREQUENCY] if dtype != "float32" else STATISTICS
    ours = zonal_statistics(source, lattice, stats=stats, threads=1)
    theirs = zonal_statistics(source, to_frame(lattice), stats=stats, engine="rasterstats")
    for name in ours.table:
        expected = theirs.table[name].fillna(0)
        np.testing.assert_allclose(ours.table[name].fillna(0), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.cover, theirs.cover)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 3), ("int16", None), ("float32", None)])
def test_exact_rule_equals_exactextract(dtype, nodata, crs):
    source, lattice = peers_scene(dtype, nodata=nodata, crs=crs)
    stats = [*COMMON, FREQUENCY] if dtype != "float32" else COMMON
    ours = zonal_statistics(source, lattice, stats=stats, rule="exact", threads=1)
    theirs = zonal_statistics(source, to_frame(lattice), stats=stats, rule="exact")
    assert theirs.notes[0].engine == "exactextract"
    for name in ours.table:
        expected = theirs.table[name].fillna(0)
        # The peer keeps coverage in single precision: 1e-6 of a pixel, times values up to 9.
        atol = 1e-5 if name in ("x_sum", "x_median") else 1e-6
        np.testing.assert_allclose(
            ours.table[name].fillna(0), expected, rtol=1e-9, atol=atol, err_msg=name
        )
    np.testing.assert_allclose(ours.cover, theirs.cover, atol=1e-6)


@pytest.mark.parametrize(("rule", "engine"), [("centre", "rasterstats"), ("exact", "exactextract")])
def test_zones_that_are_no_squares_go_to_the_peers(rule, engine):
    source, _ = peers_scene("uint8", nodata=3)
    triangle = shapely.Polygon([(0, 0), (700, -100), (300, -800)])
    zones = gpd.GeoDataFrame(
        {"ward": ["a"]},
        geometry=[shapely.affinity.translate(triangle, WEST + 40, NORTH - 40)],
        crs=UTM,
        index=["north"],
    ).to_crs(3435)
    result = zonal_statistics(source, zones, stats=["count", "frequency"], rule=rule)
    assert result.notes[0].engine == engine
    assert result.table.index.tolist() == ["north"]
    assert result.table["x_count"].item() == pytest.approx(2650 * 8 / 9, rel=0.1)
    shares = result.table.filter(like="_fre_").sum(axis=1)
    assert shares.item() == pytest.approx(result.table["x_count"].item())


def test_a_block_of_very_many_small_quadrats_equals_the_pixels_themselves():
    array = np.random.default_rng(0).integers(0, 90, (130, 130)).astype(np.uint8)
    found = one_table(raster_of(array), lattice_of((130, 130), 10), ["frequency"])
    codes = np.array([int(name.removeprefix("fre_")) for name in found])
    assert np.array_equal(found.to_numpy() @ codes, array.ravel())


def test_whole_numbers_of_more_than_a_byte_are_sorted_instead():
    array = np.arange(90_000, dtype=np.int32).reshape(300, 300) * 3
    lattice = lattice_of((10, 10), 300)
    found = one_table(raster_of(array), lattice, ["median", "unique", "minority"])
    blocks = array.reshape(10, 30, 10, 30).swapaxes(1, 2).reshape(100, 900)
    np.testing.assert_array_equal(found["median"], np.median(blocks, axis=1))
    np.testing.assert_array_equal(found["minority"], blocks.min(axis=1))
    assert (found["unique"] == 900).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"stats": ["mode"]}, InputError, "no statistic 'mode'.*There are: count"),
        ({"stats": []}, InputError, "no statistic"),
        ({"engine": "rasterstats", "rule": "exact"}, InputError, "cannot follow the rule exact"),
        ({"engine": "exactextract"}, InputError, "cannot follow the rule centre"),
        (
            {"engine": "exactextract", "rule": "exact", "stats": ["nodata"]},
            InputError,
            "has no statistic nodata",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(change, error, message):
    source, lattice = peers_scene("uint8")
    with pytest.raises(error, match=message):
        zonal_statistics(source, lattice, **{"stats": ["mean"], **change})


def test_layers_of_one_name_are_refused():
    source, lattice = peers_scene("uint8")
    with pytest.raises(InputError, match="names that differ: x"):
        zonal_statistics([source, source], lattice)


def test_a_raster_without_crs_is_refused():
    """Row 13."""
    source = raster_of(np.ones((5, 5), np.uint8), crs=None)
    with pytest.raises(CrsError, match="x has no coordinate system"):
        zonal_statistics(source, lattice_of((1, 1), 20))


def test_polygons_without_crs_are_refused():
    source, lattice = peers_scene("uint8")
    zones = to_frame(lattice).set_crs(None, allow_override=True)
    with pytest.raises(CrsError, match="zones have no coordinate system"):
        zonal_statistics(source, zones)


def test_the_lattice_engine_refuses_polygons():
    source, lattice = peers_scene("uint8")
    with pytest.raises(InputError, match="need quadrats"):
        zonal_statistics(source, to_frame(lattice), engine="lattice")


def test_a_rotated_raster_is_refused_by_the_peers():
    """Row 13: it goes the general way, ours."""
    turned = from_origin(WEST, NORTH, 10, 10) @ Affine.rotation(20)
    source = raster_of(np.ones((50, 50), np.uint8), transform=turned)
    lattice = lattice_of((2, 2), 100)
    assert zonal_statistics(source, lattice, stats=["count"]).table["x_count"].sum() > 0
    for rule in ("centre", "exact"):
        with pytest.raises(InputError, match="rotated"):
            zonal_statistics(source, to_frame(lattice), rule=rule)


def test_measured_values_have_no_frequencies():
    rng = np.random.default_rng(0)
    source = raster_of(rng.random((200, 200)).astype(np.float32))
    with pytest.raises(InputError, match="these are no classes"):
        zonal_statistics(source, lattice_of((4, 4), 500), stats=["frequency"])


def test_a_median_over_too_many_pixels_is_refused_at_once():
    """Row 28."""
    source = raster_of(np.zeros((8, 8), np.float32), cell=10)
    tall = from_origin(WEST, NORTH, 0.002, 0.002)
    source = raster_of(
        np.zeros((4000, 4000), np.float32), transform=tall, tiled=True, compress="deflate"
    )
    start = time.perf_counter()
    with pytest.raises(TooLargeError, match="can be sorted"):
        zonal_statistics(source, lattice_of((1, 1), 8), stats=["median"])
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path, share):
    """Row 10."""
    rng = np.random.default_rng(0)
    array = rng.integers(0, 255, (300, 300)).astype(np.uint8)
    whole = raster_of(array, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with whole.open() as dataset:
        profile = dataset.profile
    path = tmp_path / "cut.tif"
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(array, 1)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    source = replace(whole, key="cut", open=lambda: rasterio.open(path))
    with pytest.raises(InputError, match="cut cannot be read"):
        zonal_statistics(source, lattice_of((20, 20), 150), stats=["mean"], threads=1)


def test_an_empty_raster_counts_as_invalid_and_never_as_zero():
    """Row 12."""
    source = raster_of(np.full((30, 30), np.nan, np.float32))
    found = zonal_statistics(source, lattice_of((3, 3), 100), stats=STATISTICS, threads=1)
    assert (found.table["x_count"] == 0).all()
    assert (found.table["x_nan"] == 100).all()
    rest = found.table.drop(columns=["x_count", "x_nan", "x_nodata"])
    assert rest.isna().all(axis=None)
    assert (found.cover["x"] == 0).all()
