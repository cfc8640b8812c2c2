"""Where the quadrats lie in a raster: corners in pixel space, and the blocks that must be read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.windows import Window

from core.errors import ExtentError, TooLargeError
from core.quadrats import Lattice
from core.text import N_
from core.zonal import kernels
from core.zonal.pixels import Grid

# Corners are rounded to this fraction of a pixel (7e-9), above the noise of coordinates of
# millions of metres: an edge that runs through pixel centres then does so along its whole length.
_SNAP = 2.0**27
# A straight edge in the lattice's CRS is a curve in the raster's; squares are quartered until
# the curve departs from its chord by less than this.
_MOST_SAG_PX = 0.005
_MOST_PARTS = 32
# Pixels decoded at a time: 1 MB of bytes, 8 MB as float64.
_RUN_PX = 1 << 20
# Pixels of a group of whole quadrats, where all values of a quadrat are needed at once.
_GROUP_PX = 1 << 17
_MOST_QUADRAT_PX = 1 << 23


@dataclass(frozen=True, slots=True, eq=False)
class Footprint:
    """M quads in a raster's pixel space (see `kernels`); quad m is part of quadrat `owner[m]`.

    M is the number of quadrats unless an edge's curvature had to be followed.
    """

    quads: NDArray[np.float64]
    owner: NDArray[np.intp]
    num_quadrats: int
    sag_px: float
    """Largest distance between a true edge and its chord, as measured."""
    low: NDArray[np.float64]
    """Least (column, row) of each quad, (M, 2)."""
    high: NDArray[np.float64]
    """Largest (column, row) of each quad, (M, 2)."""

    def totals(self, *, centre: bool) -> NDArray[np.float64]:
        """Return the pixels of each quadrat (N,), also those beyond the raster's edge."""
        if centre:
            sizes = np.zeros(len(self.quads))
            kernels.count_centres(self.quads, sizes)
        else:
            x, y = self.quads[..., 0], self.quads[..., 1]
            doubled = x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y
            sizes = np.abs(doubled.sum(axis=1)) / 2
        totals = np.zeros(self.num_quadrats)
        np.add.at(totals, self.owner, sizes)
        return totals

    def is_coarse(self) -> bool:
        """Return whether a quadrat can fall between the centres of the pixels."""
        (ax, ay), (bx, by) = (np.abs(self.quads[:, k] - self.quads[:, 0]).T for k in (1, 3))
        is_upright = max(np.minimum(ax, ay).max(), np.minimum(bx, by).max()) < 1e-6
        # The narrowest way through a slanting quad. Where it is √2, a disc around an upright
        # square of one pixel fits in, and such a square always holds a centre.
        (ax, ay), (bx, by) = ((self.quads[:, k] - self.quads[:, 0]).T for k in (1, 3))
        narrowest = np.abs(ax * by - ay * bx) / np.maximum(np.hypot(ax, ay), np.hypot(bx, by))
        return bool(narrowest.min() < (1 - 1e-9 if is_upright else math.sqrt(2)))


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One window to read and the quads that get something from it."""

    window: Window
    members: NDArray[np.intp]


def footprint(lattice: Lattice, grid: Grid, *, key: str, follow_curves: bool = True) -> Footprint:
    """Lay the quadrats over a raster.

    Args:
        lattice: The quadrats.
        grid: The raster.
        key: The raster's name, for messages.
        follow_curves: False joins transformed corners by straight lines however long they are,
            as `to_crs` on polygons does.

    Raises:
        ExtentError: The two do not meet, a quadrat cannot be brought into the raster's CRS, or it
            would cross the raster's own seam at 180 degrees.
    """
    sag_px = _sag(lattice, grid)
    parts = 1
    if follow_curves and sag_px > _MOST_SAG_PX:
        parts = min(_MOST_PARTS, math.ceil(math.sqrt(sag_px / _MOST_SAG_PX)))
    ys, xs = lattice.lines()
    corners = _to_pixels(lattice, grid, _refined(xs, parts), _refined(ys, parts))
    step = np.arange(parts)
    rows = (lattice.rows[:, None, None] * parts + step[:, None] + 0 * step).reshape(-1)
    cols = (lattice.cols[:, None, None] * parts + step + 0 * step[:, None]).reshape(-1)
    quads = np.stack(
        [
            corners[rows, cols],
            corners[rows, cols + 1],
            corners[rows + 1, cols + 1],
            corners[rows + 1, cols],
        ],
        axis=1,
    )
    a, b, c, d = (quads[:, k] for k in range(4))  # four slices: far faster than min(axis=1)
    low = np.minimum(np.minimum(a, b), np.minimum(c, d))
    high = np.maximum(np.maximum(a, b), np.maximum(c, d))
    _check(low, high, grid, key)
    owner = np.repeat(np.arange(len(lattice)), parts * parts)
    return Footprint(quads, owner, len(lattice), sag_px / parts**2, low, high)


def _refined(lines: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    if parts == 1:
        return lines
    n = len(lines) - 1
    return np.interp(np.arange(n * parts + 1) / parts, np.arange(n + 1), lines)


def _to_pixels(
    lattice: Lattice, grid: Grid, xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (column, row) of every pair of coordinates, (len(ys), len(xs), 2)."""
    x, y = np.meshgrid(xs, ys)
    if lattice.crs != grid.crs:
        transformer = Transformer.from_crs(lattice.crs, grid.crs, always_xy=True)
        x, y = (np.where(np.isfinite(v), v, np.nan) for v in transformer.transform(x, y))
    if grid.crs.is_geographic:
        # A meridian has many names; take the one within 180 degrees of the raster's middle.
        middle, _ = grid.transform @ (grid.width / 2, grid.height / 2)
        x = x - 360.0 * np.floor((x - middle + 180.0) / 360.0)
    inverse = ~grid.transform
    col = inverse.a * x + inverse.b * y + inverse.c
    row = inverse.d * x + inverse.e * y + inverse.f
    return np.round(np.stack([col, row], axis=-1) * _SNAP) / _SNAP


def _sag(lattice: Lattice, grid: Grid) -> float:
    """Measure how far edges bend in the raster, on up to 9 x 9 quadrats spread over the lattice."""
    if lattice.crs == grid.crs:
        return 0.0
    ys, xs = lattice.lines()
    at_row = np.unique(np.linspace(0, lattice.shape[0] - 1, 9).astype(int))
    at_col = np.unique(np.linspace(0, lattice.shape[1] - 1, 9).astype(int))
    half = lattice.side_m / 2
    x = np.sort(np.concatenate([xs[at_col], xs[at_col] + half, xs[at_col] + 2 * half]))
    y = np.sort(np.concatenate([ys[at_row], ys[at_row] - half, ys[at_row] - 2 * half]))
    xy = _to_pixels(lattice, grid, x, y).reshape(len(at_row), 3, len(at_col), 3, 2)
    bent = np.concatenate(
        [
            (xy[:, 0] + xy[:, 2] - 2 * xy[:, 1]).ravel(),
            (xy[..., 0, :] + xy[..., 2, :] - 2 * xy[..., 1, :]).ravel(),
        ]
    )
    bent = bent[np.isfinite(bent)] / 2
    return float(np.abs(bent).max(initial=0.0))


def _check(low: NDArray[np.float64], high: NDArray[np.float64], grid: Grid, key: str) -> None:
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ExtentError(
            N_("Some quadrats cannot be expressed in the coordinate system of {key}."),
            hint=N_("Reproject that layer to the area's own coordinate system first."),
            key=key,
        )
    if grid.crs.is_geographic:
        half_turn = 180.0 / max(abs(grid.transform.a), abs(grid.transform.b))
        if (high[:, 0] - low[:, 0]).max() > half_turn:
            raise ExtentError(
                N_("Quadrats cross the edge of {key} at 180 degrees, or lie at a pole."),
                hint=N_("Reproject that layer to the area's own coordinate system first."),
                key=key,
            )
    meets = (high > 0).all(axis=1) & (low < (grid.width, grid.height)).all(axis=1)
    if not meets.any():
        raise ExtentError(
            N_("{key} does not meet the study area."),
            hint=N_("Check its coordinate system and its extent."),
            key=key,
        )


def plan_blocks(place: Footprint, grid: Grid) -> list[Task]:
    """Return windows that hold each needed block of the file once, and no other block.

    Neighbouring needed blocks are read together up to about a million pixels. A window ends at
    the quadrats that it serves, but always reaches over whole columns of eight, which the
    counting kernel likes.
    """
    block_h, block_w = _unit(grid)
    low, high = _clipped(place, grid)
    inside = np.flatnonzero((high > low).all(axis=1))
    first = low[inside] // (block_w, block_h)
    last = (high[inside] - 1) // (block_w, block_h)
    spread = last - first + 1
    pairs = spread.prod(axis=1)
    member = np.repeat(inside, pairs)
    rank = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    wide = np.repeat(spread[:, 0], pairs)
    block_col = np.repeat(first[:, 0], pairs) + rank % wide
    block_row = np.repeat(first[:, 1], pairs) + rank // wide
    order = np.lexsort((member, block_col, block_row))
    member, block_row, block_col = member[order], block_row[order], block_col[order]
    starts = np.flatnonzero(np.diff(block_row, prepend=-1) | np.diff(block_col, prepend=-1))
    ends = np.append(starts[1:], len(member))
    most = max(1, _RUN_PX // (block_h * block_w))
    tasks = []
    for run in _runs(block_row[starts], block_col[starts], most):
        chosen = np.unique(member[starts[run.start] : ends[run.stop - 1]])
        row0 = int(block_row[starts[run.start]]) * block_h
        col0 = int(block_col[starts[run.start]]) * block_w
        col1 = (int(block_col[starts[run.stop - 1]]) + 1) * block_w
        box = (row0, row0 + block_h, col0, col1)
        tasks.append(Task(_trimmed(low[chosen], high[chosen], box, grid), chosen))
    return tasks


def plan_groups(place: Footprint, lattice: Lattice, grid: Grid, *, key: str) -> list[Task]:
    """Return windows that hold whole quadrats, each quadrat once.

    Raises:
        TooLargeError: One quadrat alone holds more pixels than can be sorted at a time.
    """
    low, high = _clipped(place, grid)
    size = (high - low).clip(0).prod(axis=1)
    per_quadrat = np.bincount(place.owner, weights=size)
    if per_quadrat.max() > _MOST_QUADRAT_PX:
        raise TooLargeError(
            N_("A quadrat holds up to {pixels:,.0f} pixels of {key}; {most:,} can be sorted."),
            hint=N_("Choose smaller quadrats, or leave out median, majority, minority and unique."),
            pixels=per_quadrat.max(),
            key=key,
            most=_MOST_QUADRAT_PX,
        )
    met = size > 0
    side = max(1, int(math.sqrt(_GROUP_PX / max(1.0, per_quadrat[per_quadrat > 0].mean()))))
    group = (lattice.rows // side).astype(np.int64) * lattice.shape[1] + lattice.cols // side
    members = np.flatnonzero(met)
    of_member = group[place.owner[members]]
    order = np.argsort(of_member, kind="stable")
    members, of_member = members[order], of_member[order]
    cuts = np.flatnonzero(np.diff(of_member)) + 1
    tasks = []
    for chosen in np.split(members, cuts):
        (col0, row0), (col1, row1) = low[chosen].min(axis=0), high[chosen].max(axis=0)
        window = Window(int(col0), int(row0), int(col1 - col0), int(row1 - row0))
        tasks.append(Task(window, chosen))
    return tasks


def _unit(grid: Grid) -> tuple[int, int]:
    """Return rows and columns of the piece that is read or left out as a whole."""
    height, width = grid.block
    if width >= grid.width:  # strips: read several together
        height *= max(1, _RUN_PX // (height * width))
    if height * width > 4 * _RUN_PX:  # a file in one piece: memory matters more than speed
        height = max(1, _RUN_PX // width)
    return height, width


def _clipped(place: Footprint, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    size = (grid.width, grid.height)
    return (
        np.floor(place.low).clip(0, size).astype(np.int64),
        np.ceil(place.high).clip(0, size).astype(np.int64),
    )


def _runs(block_row: NDArray[np.int64], block_col: NDArray[np.int64], most: int) -> Iterator[range]:
    """Cut a sorted list of blocks into runs of up to `most` neighbours in one row."""
    start = 0
    for i in range(1, len(block_row) + 1):
        if (
            i == len(block_row)
            or i - start >= most
            or block_row[i] != block_row[i - 1]
            or block_col[i] != block_col[i - 1] + 1
        ):
            yield range(start, i)
            start = i


def _trimmed(
    low: NDArray[np.int64], high: NDArray[np.int64], box: tuple[int, int, int, int], grid: Grid
) -> Window:
    row0, row1, col0, col1 = box
    left, top = (int(value) for value in low.min(axis=0))
    right, bottom = (int(value) for value in high.max(axis=0))
    col0 = max(col0, left // 8 * 8)
    col1 = min(col1, -(-right // 8) * 8, grid.width)
    row0, row1 = max(row0, top), min(row1, bottom, grid.height)
    return Window(col0, row0, col1 - col0, row1 - row0)
