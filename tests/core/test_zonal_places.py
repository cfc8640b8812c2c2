"""Where quadrats and rasters lie, which blocks are read, by whom, and what is held in memory."""

import itertools
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.transform import from_origin

from core.errors import CrsError, ExtentError, InputError, TooLargeError
from core.quadrats import to_frame
from core.zonal.footprint import footprint, plan_blocks
from core.zonal.lattice import summed
from core.zonal.pixels import ArrayPixels, opened
from core.zonal.pool import Pool
from core.zonal.statistics import checked_request
from core.zonal.table import zonal_statistics
from tests.core.zonal_inputs import (
    NORTH,
    UTM,
    WEST,
    brute_force,
    cells_of_centres,
    lattice_of,
    one_table,
    raster_of,
)


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


@pytest.mark.parametrize(("cell", "pixels"), [(0.6, 7), (3.3, 14), (10.1, 3)])
def test_lines_through_pixel_centres_give_equal_squares_equal_counts(cell, pixels):
    """Row 17: rounding of coordinates does not move a line from one side of a centre to another."""
    where = from_origin(WEST + 0.1, NORTH - 0.1, cell, cell)
    source = raster_of(np.ones((300, 300), np.uint8), transform=where)
    corner = {"west": WEST + 0.1 + cell / 2, "north": NORTH - 0.1 - cell / 2}
    num = 300 // pixels - 2
    lattice = lattice_of((num, num), cell * pixels, **corner)
    found = zonal_statistics(source, lattice, stats=["count"], threads=1).table
    assert found["x_count"].unique().tolist() == [pixels**2]


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


def test_a_raster_without_crs_is_refused():
    """Row 13."""
    source = raster_of(np.ones((5, 5), np.uint8), crs=None)
    with pytest.raises(CrsError, match="x has no coordinate system"):
        zonal_statistics(source, lattice_of((1, 1), 20))


def test_polygons_without_crs_are_refused():
    source, lattice = raster_of(np.ones((9, 9), np.uint8)), lattice_of((2, 2), 20)
    zones = to_frame(lattice).set_crs(None, allow_override=True)
    with pytest.raises(CrsError, match="zones have no coordinate system"):
        zonal_statistics(source, zones)


def test_a_rotated_raster_is_refused_by_the_peers():
    """Row 13: it goes the general way, ours."""
    turned = from_origin(WEST, NORTH, 10, 10) @ Affine.rotation(20)
    source = raster_of(np.ones((50, 50), np.uint8), transform=turned)
    lattice = lattice_of((2, 2), 100)
    assert zonal_statistics(source, lattice, stats=["count"]).table["x_count"].sum() > 0
    for rule in ("centre", "exact"):
        with pytest.raises(InputError, match="rotated"):
            zonal_statistics(source, to_frame(lattice), rule=rule)


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
