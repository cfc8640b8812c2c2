"""Quadrats: equal squares over a study area.

Rows run from north to south, columns from west to east; lengths are metres. A lattice is hung
from its south-west corner, because that is where the document starts to draw its lines: line `j`
lies at `west + j * side_m`, line `i` from the south at `south + i * side_m`.

Reference: METHODS, row "Quadrats"; the document reading keeps what its library does, to the cell.
"""

import math
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from core.errors import InputError, TooLargeError
from core.text import N_
from core.workspace import Method, Rule, metre_crs

MOST_QUADRATS = 2_000_000
"""More quadrats than this are refused."""

# A long thin area at a slant has far more cells in its box than inside; those cost memory too.
_MOST_CELLS = 4 * MOST_QUADRATS
_COARSEST_TILE = 64


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lattice:
    """Squares of `side_m` on a grid of `shape` (rows, columns); N of its cells are quadrats.

    `rows` and `cols` (N,) int32 say which, in the order in which every table lists them:
    row by row from the north-west in the recommended reading; column by column from the west,
    each from the south, in the document's.
    """

    crs: CRS
    side_m: float
    west: float
    south: float
    shape: tuple[int, int]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    rule: Rule
    method: Method

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def north(self) -> float:
        return self.south + self.shape[0] * self.side_m

    @property
    def ids(self) -> NDArray[np.int64]:
        """Return `row * columns + column` of each quadrat: the same whichever rule kept it."""
        return self.rows.astype(np.int64) * self.shape[1] + self.cols

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Return a (rows, columns) mask of the cells that are quadrats."""
        mask = np.zeros(self.shape, bool)
        mask[self.rows, self.cols] = True
        return mask

    def lines(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the y of the rows + 1 lines from the north, and the x of the columns + 1 lines."""
        num_rows, num_cols = self.shape
        ys = self.south + np.arange(num_rows, -1, -1, dtype=np.float64) * self.side_m
        return ys, self.west + np.arange(num_cols + 1, dtype=np.float64) * self.side_m


def estimate_count(boundary: gpd.GeoDataFrame, *, side_m: float) -> int:
    """Return about how many quadrats a side would make, without making them.

    Raises:
        CrsError: The boundary is not in metres.
        InputError: The boundary is empty or the side is no positive number.
        TooLargeError: It would be more than `MOST_QUADRATS`.
    """
    metre_crs(boundary)
    if not (math.isfinite(side_m) and side_m > 0):
        raise InputError(
            N_("A quadrat of {side} m cannot be used."),
            hint=N_("Give a side above 0 m."),
            side=side_m,
        )
    west, south, east, north = (float(value) for value in boundary.total_bounds)
    area_m2 = float(boundary.geometry.area.sum())
    if not (math.isfinite(area_m2) and area_m2 > 0):
        raise InputError(N_("The boundary holds no area."), hint=N_("Give it polygons."))
    count = area_m2 / side_m / side_m
    cells = (east - west) / side_m * ((north - south) / side_m)
    if count > MOST_QUADRATS or cells > _MOST_CELLS:
        fitting = math.sqrt(max(area_m2 / MOST_QUADRATS, area_m2 / count * cells / _MOST_CELLS))
        raise TooLargeError(
            N_("Quadrats of {side:g} m would be about {count:,.0f}; at most {most:,} can be made."),
            hint=N_("Choose a side of {fitting} m or more."),
            side=side_m,
            count=count,
            most=MOST_QUADRATS,
            fitting=math.ceil(fitting),
        )
    return round(count)


def make_lattice(
    boundary: gpd.GeoDataFrame,
    *,
    side_m: float,
    rule: Rule = "within",
    method: Method = "recommended",
) -> Lattice:
    """Draw squares over a boundary and keep those that the rule lets in.

    All polygons of the boundary count as one. `within`: the square does not leave the boundary
    (touching it from inside is allowed). `centroid`: its centre lies inside. `touching`: it
    shares some area with it.

    The recommended reading covers the whole extent; the document reading draws lines at
    `arange(min, max, side)` only, and so loses the last column and row.

    Args:
        boundary: Polygons in a CRS measured in metres.
        side_m: Side of a square.
        rule: Which squares are kept.
        method: Which reading draws the lines and orders the squares.

    Raises:
        CrsError: The boundary is not in metres.
        InputError: The boundary is empty, or no square is kept.
        TooLargeError: More than `MOST_QUADRATS` would be made.
    """
    expected = estimate_count(boundary, side_m=side_m)
    united = boundary.geometry.union_all()
    west, south, east, north = united.bounds
    shape = (_num_cells(south, north, side_m, method), _num_cells(west, east, side_m, method))
    kept = _kept(united, west, south, side_m, shape, rule) if min(shape) else np.zeros(shape, bool)
    rows, cols = np.nonzero(kept)
    if len(rows) == 0:
        raise InputError(
            N_("No quadrat of {side:g} m fits the boundary by the rule {rule}."),
            hint=N_("Choose a smaller side, or the rule centroid or touching."),
            side=side_m,
            rule=rule,
            expected=expected,
        )
    if method == "document":
        order = np.lexsort((-rows, cols))
        rows, cols = rows[order], cols[order]
    return Lattice(
        crs=CRS(boundary.crs),
        side_m=float(side_m),
        west=float(west),
        south=float(south),
        shape=shape,
        rows=rows.astype(np.int32),
        cols=cols.astype(np.int32),
        rule=rule,
        method=method,
    )


def to_frame(lattice: Lattice) -> gpd.GeoDataFrame:
    """Return the quadrats as polygons with their row and column, indexed by id.

    A ring starts in the south-east and runs clockwise, as in the document's printed table.
    """
    ys, xs = lattice.lines()
    left, right = xs[lattice.cols], xs[lattice.cols + 1]
    top, bottom = ys[lattice.rows], ys[lattice.rows + 1]
    ring = np.stack(
        [
            np.stack(corner, axis=-1)
            for corner in (
                (right, bottom),
                (left, bottom),
                (left, top),
                (right, top),
                (right, bottom),
            )
        ],
        axis=1,
    )
    return gpd.GeoDataFrame(
        {"row": lattice.rows, "col": lattice.cols},
        index=pd.Index(lattice.ids, name="quadrat"),
        geometry=shapely.polygons(ring),
        crs=lattice.crs,
    )


def cell_at(lattice: Lattice, x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
    """Return the position of the quadrat at each point, -1 where there is none.

    Squares are half-open: a point on a line belongs to the square east or north of it.

    Args:
        lattice: The quadrats.
        x: Eastings in the lattice's CRS, any shape.
        y: Northings, of the same shape.
    """
    col = np.floor((np.asarray(x, float) - lattice.west) / lattice.side_m)
    from_south = np.floor((np.asarray(y, float) - lattice.south) / lattice.side_m)
    num_rows, num_cols = lattice.shape
    inside = (col >= 0) & (col < num_cols) & (from_south >= 0) & (from_south < num_rows)
    position = np.full(lattice.shape, -1, np.int64)
    position[lattice.rows, lattice.cols] = np.arange(len(lattice))
    row = num_rows - 1 - np.where(inside, from_south, 0).astype(np.int64)
    found = position[row, np.where(inside, col, 0).astype(np.int64)]
    return np.where(inside, found, -1)


def _num_cells(low: float, high: float, side_m: float, method: Method) -> int:
    if method == "document":
        return max(0, len(np.arange(low, high, side_m)) - 1)
    # An extent that is 4 sides long but for rounding has 4 cells, not a fifth of no width.
    return max(1, math.ceil((high - low) / side_m - 1e-9))


def _kept(
    area: BaseGeometry, west: float, south: float, side_m: float, shape: tuple[int, int], rule: Rule
) -> NDArray[np.bool_]:
    """Decide every cell exactly, in tiles: one that the outline misses is decided as a whole."""
    shapely.prepare(area)
    num_rows, num_cols = shape
    kept = np.zeros(shape, bool)  # counted from the south until the end
    size = _COARSEST_TILE
    at_row, at_col = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(0, num_rows, size), np.arange(0, num_cols, size), indexing="ij"
        )
    )
    while size > 1:
        boxes = _boxes(west, south, side_m, at_row, at_col, size, shape)
        inside = shapely.contains_properly(area, boxes)
        for row, col in zip(at_row[inside], at_col[inside], strict=True):
            kept[row : row + size, col : col + size] = True
        open_ = ~inside & shapely.intersects(area, boxes)
        size //= 4
        at_row, at_col = _split(at_row[open_], at_col[open_], size, shape)
    if rule == "centroid":
        x = west + (at_col + 0.5) * side_m
        y = south + (at_row + 0.5) * side_m
        kept[at_row, at_col] = shapely.contains_xy(area, x, y)
    else:
        boxes = _boxes(west, south, side_m, at_row, at_col, 1, shape)
        # DE-9IM "T********": the insides meet; a square that only touches an edge is not kept.
        kept[at_row, at_col] = (
            shapely.contains(area, boxes)
            if rule == "within"
            else shapely.intersects(area, boxes) & ~shapely.touches(area, boxes)
        )
    return kept[::-1]


def _split(
    at_row: NDArray[np.int64], at_col: NDArray[np.int64], size: int, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    step = np.arange(4) * size
    rows = np.broadcast_to(at_row[:, None, None] + step[None, :, None], (len(at_row), 4, 4)).ravel()
    cols = np.broadcast_to(at_col[:, None, None] + step[None, None, :], (len(at_col), 4, 4)).ravel()
    exists = (rows < shape[0]) & (cols < shape[1])
    return rows[exists], cols[exists]


def _boxes(
    west: float,
    south: float,
    side_m: float,
    at_row: NDArray[np.int64],
    at_col: NDArray[np.int64],
    size: int,
    shape: tuple[int, int],
) -> NDArray[np.object_]:
    boxes: NDArray[np.object_] = shapely.box(
        west + at_col * side_m,
        south + at_row * side_m,
        west + np.minimum(at_col + size, shape[1]) * side_m,
        south + np.minimum(at_row + size, shape[0]) * side_m,
    )
    return boxes
