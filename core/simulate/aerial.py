"""Aerial imagery of the simulated city: any window, 1 m, with the land cover of its pixels.

Pictures are drawn when they are asked for, from the same objects as the layers. A pixel depends on
the seed, its place and the sun, never on the window, so that windows meet and overlap to the byte.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from core.errors import ExtentError, InputError, TooLargeError
from core.settings import settings
from core.simulate.city import City
from core.simulate.geography import CRS_NAME
from core.simulate.plan import BLOCK_N_M
from core.simulate.scene.scene import render
from core.simulate.scene.sun import Sun
from core.text import N_

BANDS = (N_("Red"), N_("Green"), N_("Blue"), N_("Near infrared"))
VERSION = 1
"""Raised whenever the same seed gives another picture."""

Bounds = tuple[float, float, float, float]
Box = tuple[int, int, int, int]
_TILE_PX = 1024
_BYTES_PX = 5  # four bands and the land cover
_SLACK_M = 1e-6
_FARTHEST_M = 1e8  # well beyond the Earth


@dataclass(frozen=True, slots=True)
class AerialWindow:
    """A drawn window: pixels of one metre, row 0 in the north.

    Attributes:
        image: uint8 (4, h, w) red, green, blue, near infrared; 0 where no block is drawn, at least
            1 elsewhere.
        cover: uint8 (h, w) codes of the 8 classes of `core.legends.CHICAGO_LAND_COVER`; 0 where
            no block is drawn.
        transform: Pixel corner to EPSG:32616.
        crs: EPSG:32616.
    """

    image: NDArray[np.uint8]
    cover: NDArray[np.uint8]
    transform: Affine
    crs: CRS


def aerial(city: City, bounds: Bounds, *, sun: Sun | None = None) -> AerialWindow:
    """Draw a window of the city.

    Args:
        city: What to draw.
        bounds: West, south, east, north in EPSG:32616, widened to whole metres.
        sun: Where the sun stands; a summer morning if None.

    Raises:
        InputError: The bounds are no numbers or enclose nothing.
        ExtentError: They do not meet the city.
        TooLargeError: The window would take more memory than one call may.
    """
    west, south, east, north = box = snapped(bounds)
    width, height = east - west, north - south
    if width * height * _BYTES_PX > settings().memory_mb << 20:
        raise TooLargeError(
            N_(
                "An aerial picture of {width} × {height} m would take {size:.1f} GB of memory; the"
                " limit is {most:.1f} GB."
            ),
            hint=N_("Ask for a smaller window, or write it to a file."),
            width=width,
            height=height,
            size=width * height * _BYTES_PX / 1e9,
            most=(settings().memory_mb << 20) / 1e9,
        )
    check_meets(city, box)
    image = np.zeros((4, height, width), np.uint8)
    cover = np.zeros((height, width), np.uint8)
    for top in range(north, south, -_TILE_PX):
        for left in range(west, east, _TILE_PX):
            right, bottom = min(left + _TILE_PX, east), max(top - _TILE_PX, south)
            part = render(city, left, bottom, right, top, sun or Sun())
            rows, cols = slice(north - top, north - bottom), slice(left - west, right - west)
            image[:, rows, cols], cover[rows, cols] = part.image, part.cover
    return AerialWindow(image, cover, transform_of(box), utm())


@cache
def utm() -> CRS:
    """Return EPSG:32616, made once."""
    return CRS.from_user_input(CRS_NAME)


def snapped(bounds: Bounds) -> Box:
    """Return west, south, east, north as whole metres, widened.

    Raises:
        InputError: The bounds are no numbers or enclose nothing.
    """
    west, south, east, north = bounds
    near = all(abs(value) < _FARTHEST_M for value in bounds)  # false for NaN
    if not near or west >= east or south >= north:
        raise InputError(
            N_("{bounds} encloses nothing."),
            hint=N_("Give west, south, east and north, west and south first."),
            bounds=", ".join(f"{value:g}" for value in bounds),
        )
    left, bottom = math.floor(west + _SLACK_M), math.floor(south + _SLACK_M)
    right, top = math.ceil(east - _SLACK_M), math.ceil(north - _SLACK_M)
    return left, bottom, max(right, left + 1), max(top, bottom + 1)


def transform_of(box: Box) -> Affine:
    """Return the transform of pixels of one metre from the north-west corner of a box."""
    return Affine(1.0, 0.0, float(box[0]), 0.0, -1.0, float(box[3]))


def check_meets(city: City, box: Box) -> None:
    """Refuse a box away from all drawn blocks.

    Raises:
        ExtentError: It lies elsewhere.
    """
    west, south, east, north = extent(city)
    if box[0] < east and box[2] > west and box[1] < north and box[3] > south:
        return
    raise ExtentError(
        N_("The simulated city lies at {city}, the window at {window}: they do not meet."),
        hint=N_("Give the window in metres of EPSG:32616."),
        city=(west, south, east, north),
        window=box,
    )


def extent(city: City) -> Box:
    """Return west, south, east, north (EPSG:32616) of all drawn blocks, on whole metres."""
    plan = city.plan
    x, y = plan.x[plan.is_drawn], plan.y[plan.is_drawn]
    # Half the diagonal of a block is less than its longer side.
    return snapped(
        (x.min() - BLOCK_N_M, y.min() - BLOCK_N_M, x.max() + BLOCK_N_M, y.max() + BLOCK_N_M)
    )


class AerialSource:
    """The whole city as one raster of 1 m that no file holds: read windows of it.

    Attributes:
        crs: EPSG:32616.
        resolution_m: 1.
        bounds: West, south, east, north of all drawn blocks, whole metres.
        bands: Names of the four bands.
        nodata: 0, in image and land cover alike.
    """

    resolution_m = 1.0
    bands = BANDS
    nodata = 0

    def __init__(self, city: City, *, sun: Sun | None = None) -> None:
        self.city = city
        self.sun = sun or Sun()
        self.crs = utm()
        self.bounds = extent(city)

    def read(self, bounds: Bounds) -> AerialWindow:
        """Draw a window; see `aerial`."""
        return aerial(self.city, bounds, sun=self.sun)

    def steps(self) -> list[dict[str, object]]:
        """Return where the picture comes from, for the history of what is made of it."""
        return [
            {
                "step": "simulated aerial",
                "seed": self.city.seed,
                "version": VERSION,
                "sun_azimuth_deg": self.sun.azimuth_deg,
                "sun_elevation_deg": self.sun.elevation_deg,
            }
        ]
