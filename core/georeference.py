"""Where a raster's pixels lie on the earth."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

_EDGE_POINTS = 64

Frame = Literal["lonlat", "mercator"]
_FRAMES = {"lonlat": "EPSG:4326", "mercator": "EPSG:3857"}


@dataclass(frozen=True, slots=True)
class Georeference:
    """CRS, transform from (column, row) to the CRS, and size of one raster."""

    crs: CRS
    transform: Affine
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in the raster's own CRS, whatever its orientation."""
        return outer_bounds(self.transform, self.width, self.height)

    def to_pixels(
        self, x: NDArray[np.float64], y: NDArray[np.float64], *, frame: Frame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn map coordinates into columns and rows, in pixels from the raster's first corner.

        Infinite where a point cannot be shown in the raster's CRS. A raster in degrees that runs
        from 0 to 360, or across the 180th meridian, is met on both of its sides.
        """
        found = transformer(self.crs, frame).transform(x, y, direction="INVERSE")
        own_x, own_y = (np.asarray(values, float) for values in found)
        if self.crs.is_geographic:
            west, _, east, _ = self.bounds
            with np.errstate(invalid="ignore"):  # infinity stays or becomes NaN: lost both ways
                own_x = own_x - 360.0 * np.round((own_x - (west + east) / 2) / 360.0)
        inverse = ~self.transform
        lost = ~(np.isfinite(own_x) & np.isfinite(own_y))
        own_x, own_y = np.where(lost, 0, own_x), np.where(lost, 0, own_y)
        columns = inverse.a * own_x + inverse.b * own_y + inverse.c
        rows = inverse.d * own_x + inverse.e * own_y + inverse.f
        columns[lost] = rows[lost] = np.inf
        return columns, rows

    def in_pixels(self, shape_lonlat: shapely.Geometry) -> shapely.Geometry:
        """Return a polygon in degrees as one in columns and rows, its edges densified."""
        length = max(np.ptp(np.reshape(shape_lonlat.bounds, (2, 2)), axis=0))
        dense = shapely.segmentize(shape_lonlat, max(length / _EDGE_POINTS, 1e-9))

        def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
            columns, rows = self.to_pixels(points[:, 0], points[:, 1], frame="lonlat")
            # Far away but finite, since a polygon cannot have a corner at infinity.
            far = 10.0 * (self.width + self.height)
            return np.nan_to_num(np.column_stack([columns, rows]), posinf=-far)

        return shapely.make_valid(shapely.transform(dense, place))

    def cover(self, shape_lonlat: shapely.Geometry) -> float:
        """Return the share of a polygon in degrees that the raster's extent covers, 0 to 1."""
        polygon = self.in_pixels(shape_lonlat)
        if polygon.area == 0:
            return 0.0
        inside = shapely.intersection(polygon, shapely.box(0, 0, self.width, self.height))
        return float(min(1.0, inside.area / polygon.area))


def transformer(crs: CRS, frame: Frame) -> Transformer:
    """Return the transformation from a raster's CRS to degrees or web-mercator metres, x first."""
    return _transformer(crs.to_wkt(), frame)


@lru_cache(maxsize=128)
def _transformer(wkt: str, frame: Frame) -> Transformer:
    # pyproj keeps one context a thread inside each Transformer, so it can be shared.
    return Transformer.from_crs(CRS.from_wkt(wkt), _FRAMES[frame], always_xy=True)


def is_rotated(transform: Affine) -> bool:
    """Tell whether rows run in another direction than west to east."""
    return transform.b != 0 or transform.d != 0


def pixel_size(transform: Affine) -> tuple[float, float]:
    """Return the length of a pixel's two sides in units of the CRS."""
    return math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)


def outer_bounds(transform: Affine, width: int, height: int) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a raster of any orientation, in its own CRS."""
    corners = [transform @ corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def lonlat_bounds(
    crs: CRS, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """Return bounds in degrees, their edges densified; west > east across the 180th meridian.

    None where no such bounds exist, because the extent leaves what the projection can show.
    """
    west, south, east, north = bounds
    if not crs.is_geographic:
        found = transformer(crs, "lonlat").transform_bounds(*bounds, densify_pts=21)
        if not all(math.isfinite(value) for value in found):
            return None
        west, south, east, north = found
    if south < -90 - 1e-6 or north > 90 + 1e-6:
        return None
    if east - west >= 360:
        return -180.0, south, 180.0, north
    west, east = ((value + 180) % 360 - 180 for value in (west, east))
    return west, south, 180.0 if east == -180 else east, north
