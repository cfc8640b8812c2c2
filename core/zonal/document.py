"""The document's reading of zonal statistics, to the formula and with its oddities.

One value, -9999, means nothing, whatever the raster's own tag or mask says; infinity is a value; a
raster coarser than the first quadrat is read whole and enlarged bilinearly, whatever it means;
float32 rasters are summed in float32.

Reference: Bao (2023), package usda 0.0.30, `zonal_stats_raster_batch`, which calls rasterstats.
"""

import math
from dataclasses import replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from core.errors import TooLargeError
from core.quadrats import Lattice
from core.settings import settings
from core.text import N_
from core.zonal import kernels
from core.zonal.footprint import Footprint, Task, plan_groups
from core.zonal.lattice import Summed, summed
from core.zonal.pixels import ArrayPixels, Grid, Pixels, opened
from core.zonal.pool import Pool
from core.zonal.statistics import Request

NODATA = -9999.0
_IN_FLOAT32 = ("mean", "sum", "std", "median")


def enlargement(lattice: Lattice, grid: Grid, upscale_mu: int) -> int:
    """Return how many times the raster is enlarged each way; 1: read as it is.

    The shorter of two edges of the first quadrat counts, in units of the raster's CRS.
    """
    x, y = _ring(lattice, grid, 0, 1)
    edge = min(math.hypot(x[0, 1] - x[0, 0], y[0, 1] - y[0, 0]),
               math.hypot(x[0, 2] - x[0, 1], y[0, 2] - y[0, 1]))  # fmt: skip
    t = grid.transform
    upright = t.b == 0 == t.d
    cell = max(abs(t.a), abs(t.e)) if upright else max(math.hypot(t.a, t.d), math.hypot(t.b, t.e))
    return math.ceil(cell / edge) + upscale_mu if cell > edge else 1


def pool_as_printed(pool: Pool, *, times: int) -> Pool:
    """Return what the document's library reads: the raster with its one nodata value, enlarged.

    Raises:
        TooLargeError: The enlarged raster would not fit into the memory that may be used.
    """
    source, grid = pool.source, pool.grid
    plain = replace(grid, nodata=NODATA if _holds_nodata(grid) else None, has_mask=False)
    if times == 1:
        return replace(pool, grid=plain)
    pixels = grid.height * grid.width * times * times
    if pixels * grid.dtype.itemsize > settings().memory_mb << 20:
        raise TooLargeError(
            N_("{key} would be enlarged {times} times each way, to {gb:.1f} GB."),
            hint=N_("Use the recommended reading, which weighs by area, or clip the layer first."),
            key=source.key,
            times=times,
            gb=pixels * grid.dtype.itemsize / 1e9,
        )
    with opened(source, grid) as dataset:
        array = dataset.enlarged(times)
    larger = replace(
        plain,
        transform=grid.transform
        @ Affine.scale(grid.width / array.shape[1], grid.height / array.shape[0]),
        height=array.shape[0],
        width=array.shape[1],
        block=array.shape,
    )
    return replace(pool, grid=larger, array=ArrayPixels(larger, array))


def summed_as_printed(pool: Pool, lattice: Lattice, place: Footprint, request: Request) -> Summed:
    """Sum a raster up over the quadrats as the document's library does."""
    result = summed(pool, lattice, place, request, rule="centre", keep_inf=True)
    if pool.grid.dtype != np.float32 or not set(request.names) & set(_IN_FLOAT32):
        return result
    names = tuple(name for name in _IN_FLOAT32 if name in request.names)
    windows = _windows(lattice, pool.grid)
    values = {name: np.full(len(lattice), np.nan) for name in names}

    def work(pixels: Pixels, task: Task) -> list[tuple[int, dict[str, float]]]:
        block = pixels.read(task.window)
        corner = (task.window.row_off, task.window.col_off)
        return [
            (int(m), _in_float32(block, corner, place.quads[m], windows[m], names))
            for m in task.members
        ]

    for found in pool.run(work, plan_groups(place, lattice, pool.grid, key=pool.key)):
        for m, figures in found:
            for name, figure in figures.items():
                values[name][m] = figure
    return replace(result, figures=result.figures | values)


def _holds_nodata(grid: Grid) -> bool:
    return grid.dtype.kind == "f" or np.iinfo(grid.dtype).min <= NODATA


def _ring(
    lattice: Lattice, grid: Grid, start: int, stop: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of the corners of some quadrats in the raster's CRS, (n, 4), ring order."""
    ys, xs = lattice.lines()
    rows, cols = lattice.rows[start:stop], lattice.cols[start:stop]
    x = xs[np.stack([cols + 1, cols, cols, cols + 1], axis=1)]
    y = ys[np.stack([rows + 1, rows + 1, rows, rows], axis=1)]
    if lattice.crs != grid.crs:
        x, y = Transformer.from_crs(lattice.crs, grid.crs, always_xy=True).transform(x, y)
    return x, y


def _windows(lattice: Lattice, grid: Grid) -> NDArray[np.int64]:
    """Return row0, row1, col0, col1 of the window that rasterstats reads for each quadrat.

    The order in which float32 values are added, and so the last digits, depends on it.
    """
    x, y = _ring(lattice, grid, 0, len(lattice))
    t = grid.transform
    return np.stack(
        [
            np.floor((y.max(axis=1) - t.f) / t.e),
            np.ceil((y.min(axis=1) - t.f) / t.e),
            np.floor((x.min(axis=1) - t.c) / t.a),
            np.ceil((x.max(axis=1) - t.c) / t.a),
        ],
        axis=1,
    ).astype(np.int64)


def _in_float32(
    block: NDArray[np.float32],
    corner: tuple[int, int],
    quad: NDArray[np.float64],
    window: NDArray[np.int64],
    names: tuple[str, ...],
) -> dict[str, float]:
    row0, row1, col0, col1 = (int(value) for value in window)
    values = np.full((row1 - row0, col1 - col0), NODATA, np.float32)
    top, left = max(row0, corner[0]), max(col0, corner[1])
    bottom = min(row1, corner[0] + block.shape[0])
    right = min(col1, corner[1] + block.shape[1])
    values[top - row0 : bottom - row0, left - col0 : right - col0] = block[
        top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
    ]
    inside = np.zeros(values.shape, bool)
    kernels.mask_of(quad, row0, col0, inside)
    masked = np.ma.MaskedArray(values, mask=~inside | (values == NODATA) | np.isnan(values))
    count = int(masked.count())
    if not count:
        return {}
    total = masked.filled(0).sum()
    figures = {"sum": float(total), "mean": float(total * 1.0 / np.int64(count))}
    if "std" in names:
        figures["std"] = float(masked.std())
    if "median" in names:
        figures["median"] = float(np.median(masked.compressed()))
    return {name: figures[name] for name in names}
