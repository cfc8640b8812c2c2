"""Where a raster's pixels lie on the earth."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.features import rasterize
from rasterio.windows import Window

_EDGE_POINTS = 64
_FEW_PIXELS = 10_000

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

    def scaled(self, rows: int, columns: int) -> "Georeference":
        """Return the same extent divided into `rows` × `columns` pixels."""
        across, down = self.width / columns, self.height / rows
        return replace(
            self, transform=self.transform @ Affine.scale(across, down), width=columns, height=rows
        )

    def cover(self, shape_lonlat: shapely.Geometry) -> float:
        """Return the share of a polygon in degrees that the raster's extent covers, 0 to 1."""
        polygon = self.in_pixels(shape_lonlat)
        if polygon.area == 0:
            return 0.0
        inside = shapely.intersection(polygon, shapely.box(0, 0, self.width, self.height))
        return float(min(1.0, inside.area / polygon.area))


Inside = Callable[[Window], NDArray[np.bool_] | None]
"""Tells which pixels of a window have their centre inside a boundary; None means all of them."""


def inside_boundary(place: Georeference, shape_lonlat: shapely.Geometry) -> Inside:
    """Return the test of a raster's windows against a polygon in degrees.

    Where no pixel has its centre inside, as with pixels larger than the polygon, all pixels count.
    """
    polygon = place.in_pixels(shape_lonlat)
    inside = inside_polygon(polygon)
    west, south, east, north = np.clip(
        polygon.bounds, 0, [place.width, place.height, place.width, place.height]
    )
    box = Window.from_slices(
        (math.floor(south), math.ceil(north)), (math.floor(west), math.ceil(east))
    )
    # A polygon of many pixels holds some centre; only a small one has to be looked at.
    if polygon.area < _FEW_PIXELS and not (box.width and box.height and inside(box).any()):
        return lambda _window: None
    return inside


def inside_polygon(polygon: shapely.Geometry) -> Callable[[Window], NDArray[np.bool_]]:
    """Return the test of windows against a polygon in columns and rows, by pixel centres."""

    def inside(window: Window) -> NDArray[np.bool_]:
        shape = (int(window.height), int(window.width))
        left, top = window.col_off, window.row_off
        part = shapely.clip_by_rect(polygon, left, top, left + shape[1], top + shape[0])
        if part.is_empty:
            return np.zeros(shape, np.bool_)
        burnt: NDArray[np.uint8] = rasterize(
            [(part, 1)], out_shape=shape, transform=Affine.translation(left, top), dtype="uint8"
        )
        return burnt.view(np.bool_)

    return inside


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
