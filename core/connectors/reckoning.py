"""What a download takes, reckoned from sizes alone: nothing is asked."""

import math

import shapely

from core.errors import InputError
from core.text import N_

_DEGREE_M = 111_320.0
_SECONDS_EACH = 1.5
"""Of asking for one file, however small."""


def box_m(shape: shapely.Geometry) -> tuple[float, float]:
    """Return the sides, across and down, of the box around a shape in degrees, in metres."""
    west, south, east, north = shape.bounds
    across = (east - west) * _DEGREE_M * math.cos(math.radians((south + north) / 2))
    return across, (north - south) * _DEGREE_M


def checked_speed(mbit_s: float) -> float:
    """Return a speed in Mbit/s.

    Raises:
        InputError: It is none.
    """
    if not 0.01 <= mbit_s <= 1e5:
        raise InputError(N_("{speed} Mbit/s is no usable speed."), speed=mbit_s)
    return mbit_s


def seconds(num_files: int, num_bytes: int, mbit_s: float) -> float:
    """Return how long so many files of so many bytes together take."""
    return _SECONDS_EACH * num_files + num_bytes * 8 / (mbit_s * 1e6)
