"""The picture in work: arrays of one piece of the city that every painter adds to."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Picture(NamedTuple):
    """A piece of the city, row 0 in the north, pixels of one metre.

    Attributes:
        stuff: (R, C) materials, `materials.Stuff`.
        albedo: (R, C, 4) colour in full light: red, green, blue, near infrared.
        height: (R, C) metres above ground.
        light: (R, C) sunlight by the slope of the surface, 1 on level ground.
        west: West edge in EPSG:32616, whole metres.
        north: North edge.
    """

    stuff: NDArray[np.uint8]
    albedo: NDArray[np.float32]
    height: NDArray[np.float32]
    light: NDArray[np.float32]
    west: int
    north: int


def blank(stuff: NDArray[np.uint8], west: int, north: int) -> Picture:
    """Return a picture of bare ground of some materials."""
    albedo = np.zeros((*stuff.shape, 4), np.float32)
    height, light = np.zeros(stuff.shape, np.float32), np.ones(stuff.shape, np.float32)
    return Picture(stuff, albedo, height, light, west, north)
