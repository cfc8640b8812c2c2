"""Paint rectangles, discs and polygons into a raster window, many at a time.

A pixel belongs to a shape if its centre does. Shapes are placed by whole-raster pixel
coordinates, so a window of a raster gets the same pixels as the raster.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from core.simulate.noise import Floats
from core.simulate.shapes import Discs, Rects

_CONTROL_M = 1000.0
# Coordinates between two coordinate systems are kept to 2^-12 pixel: projection libraries differ
# in the last bits, pictures must not.
_CONTROL_UNIT = 4096.0
_SLIVER = 1e-9


@dataclass(frozen=True, slots=True)
class Grid:
    """A north-up raster of square pixels and its place in EPSG:32616.

    Pixel positions come from a control grid of one kilometre, interpolated bilinearly: exact for
    a raster in EPSG:32616, within 0.05 m for the Albers raster of this region.

    Attributes:
        crs: Coordinate system of the raster.
        transform: Pixel corner to map.
        shape: (R, C).
        control: (R', C', 2) column and row of the control points, row 0 in the south.
        origin: Easting and northing of the first control point.
    """

    crs: CRS
    transform: Affine
    shape: tuple[int, int]
    control: Floats
    origin: tuple[float, float]

    def place(self, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Return columns (N,), rows (N,) and the local matrices (N, 4) at metres (x, y).

        A matrix holds d column / dx, d column / dy, d row / dx, d row / dy in pixels a metre.
        """
        gx, gy = (x - self.origin[0]) / _CONTROL_M, (y - self.origin[1]) / _CONTROL_M
        rows, cols = self.control.shape[:2]
        i = np.clip(np.floor(gx).astype(np.int64), 0, cols - 2)
        j = np.clip(np.floor(gy).astype(np.int64), 0, rows - 2)
        fx, fy = (gx - i)[:, None], (gy - j)[:, None]
        sw, se = self.control[j, i], self.control[j, i + 1]
        nw, ne = self.control[j + 1, i], self.control[j + 1, i + 1]
        south, north = sw + (se - sw) * fx, nw + (ne - nw) * fx
        at = south + (north - south) * fy
        by_x = ((se - sw) * (1 - fy) + (ne - nw) * fy) / _CONTROL_M
        by_y = (north - south) / _CONTROL_M
        matrix = np.stack([by_x[:, 0], by_y[:, 0], by_x[:, 1], by_y[:, 1]], axis=1)
        return at[:, 0], at[:, 1], matrix


def make_grid(crs: CRS, bounds: tuple[float, float, float, float], size_m: float) -> Grid:
    """Return the grid of pixels `size_m` that covers `bounds` (EPSG:32616), on whole multiples."""
    west, south, east, north = bounds
    utm = CRS.from_epsg(32616)
    to_map = Transformer.from_crs(utm, crs, always_xy=True)
    x = np.arange(west - 3 * _CONTROL_M, east + 4 * _CONTROL_M, _CONTROL_M)
    y = np.arange(south - 3 * _CONTROL_M, north + 4 * _CONTROL_M, _CONTROL_M)
    mx, my = (np.asarray(v) for v in to_map.transform(*np.meshgrid(x, y)))
    left, bottom, right, top = to_map.transform_bounds(*bounds)
    left, top = np.floor(left / size_m) * size_m, np.ceil(top / size_m) * size_m
    shape = int(np.ceil((top - bottom) / size_m)), int(np.ceil((right - left) / size_m))
    control = np.stack([(mx - left) / size_m, (top - my) / size_m], axis=-1)
    if not crs.equals(utm):
        control = np.round(control * _CONTROL_UNIT) / _CONTROL_UNIT
    return Grid(
        crs, Affine(size_m, 0, float(left), 0, -size_m, float(top)), shape, control, (x[0], y[0])
    )


@cache
def _to_utm(crs: CRS) -> Transformer:
    """Return the way back, made once: to find it takes longer than to paint a tile."""
    return Transformer.from_crs(crs, CRS.from_epsg(32616), always_xy=True)


@dataclass(slots=True)
class Canvas:
    """A window of a grid that is painted on: `values` (R, C), its first row and column."""

    grid: Grid
    values: NDArray[np.uint8]
    row: int = 0
    col: int = 0

    def bounds(self, margin_m: float) -> tuple[float, float, float, float]:
        """Return west, south, east, north in EPSG:32616 of the window, widened by a margin."""
        rows, cols = self.values.shape
        grid = self.grid
        left = grid.transform.c + self.col * grid.transform.a
        top = grid.transform.f + self.row * grid.transform.e
        right, bottom = left + cols * grid.transform.a, top + rows * grid.transform.e
        west, south, east, north = _to_utm(grid.crs).transform_bounds(left, bottom, right, top)
        return west - margin_m, south - margin_m, east + margin_m, north + margin_m

    def rects(self, rects: Rects, codes: NDArray[np.int16] | None = None) -> None:
        """Paint rectangles in their order, with `codes` (N,) or with their own."""
        codes = rects.code if codes is None else codes
        col, row, m = self.grid.place(rects.x, rects.y)
        det = m[:, 0] * m[:, 3] - m[:, 1] * m[:, 2]
        # u = ua * d column + ub * d row: pixel offsets to metres along the sides.
        ua = (m[:, 3] * rects.ux - m[:, 2] * rects.uy) / det
        ub = (m[:, 0] * rects.uy - m[:, 1] * rects.ux) / det
        va = (-m[:, 3] * rects.uy - m[:, 2] * rects.ux) / det
        vb = (m[:, 0] * rects.ux + m[:, 1] * rects.uy) / det
        reach = rects.half_u * np.abs(m[:, 2] * rects.ux + m[:, 3] * rects.uy) + (
            rects.half_v * np.abs(m[:, 3] * rects.ux - m[:, 2] * rects.uy)
        )
        item, line = self._lines(row - reach, row + reach)
        dr = line + (0.5 + self.row) - row[item]
        low_u, high_u = _interval(ua[item], ub[item] * dr, rects.half_u[item])
        low_v, high_v = _interval(va[item], vb[item] * dr, rects.half_v[item])
        low, high = np.maximum(low_u, low_v), np.minimum(high_u, high_v)
        self._fill(line, col[item] + low, col[item] + high, codes[item])

    def discs(self, discs: Discs, code: int) -> None:
        """Paint discs, all with one code."""
        col, row, m = self.grid.place(discs.x, discs.y)
        radius = discs.radius * np.sqrt(np.abs(m[:, 0] * m[:, 3] - m[:, 1] * m[:, 2]))
        item, line = self._lines(row - radius, row + radius)
        dr = line + (0.5 + self.row) - row[item]
        half = np.sqrt(np.maximum(radius[item] * radius[item] - dr * dr, 0.0))
        codes = np.full(len(item), code, np.int16)
        self._fill(line, col[item] - half, col[item] + half, codes)

    def polygon(self, ring: Floats, code: int) -> None:
        """Paint what a closed ring (N, 2) of metres encloses, even-odd."""
        col, row, _ = self.grid.place(ring[:, 0], ring[:, 1])
        item, line = self._lines(np.minimum(row[:-1], row[1:]), np.maximum(row[:-1], row[1:]))
        dr = line + (0.5 + self.row) - row[item]
        crossing = col[item] + (np.diff(col)[item] / np.diff(row)[item]) * dr
        # Along each line, every second crossing leads out again.
        order = np.lexsort((crossing, line))
        into, out = order[::2], order[1::2]
        self._fill(line[into], crossing[into], crossing[out], np.full(len(into), code, np.int16))

    def _lines(self, low: Floats, high: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return each (shape, row of the window) whose pixel centres lie in [low, high)."""
        first = np.maximum(np.ceil(low - 0.5).astype(np.int64) - self.row, 0)
        last = np.ceil(high - 0.5).astype(np.int64) - self.row
        count = np.maximum(np.minimum(last, self.values.shape[0]) - first, 0)
        item = np.repeat(np.arange(len(low)), count)
        line = np.arange(len(item)) + np.repeat(first - np.cumsum(count) + count, count)
        return item, line

    def _fill(
        self, line: NDArray[np.int64], low: Floats, high: Floats, codes: NDArray[np.int16]
    ) -> None:
        """Paint the pixels whose centres lie in [low, high) of each line."""
        cols = self.values.shape[1]
        first = np.maximum(np.ceil(low - 0.5).astype(np.int64) - self.col, 0)
        count = np.minimum(np.ceil(high - 0.5).astype(np.int64) - self.col, cols) - first
        some = count > 0
        start, count = (line * cols + first)[some], count[some]
        index = np.repeat(start - np.cumsum(count) + count, count)
        index += np.arange(len(index))
        self.values.reshape(-1)[index] = np.repeat(codes[some].astype(np.uint8), count)


def _interval(slope: Floats, offset: Floats, half: Floats) -> tuple[Floats, Floats]:
    """Return where |slope * t + offset| <= half, as the ends of an interval of t."""
    slope = np.where(np.abs(slope) < _SLIVER, _SLIVER, slope)
    one, other = (-half - offset) / slope, (half - offset) / slope
    return np.minimum(one, other), np.maximum(one, other)
