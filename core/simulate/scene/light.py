"""Sun and sensor: cast shadows, sunlight on slopes, and what a camera makes of it."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import math
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.simulate.scene.materials import Stuff
from core.simulate.scene.texture import clip01, grain, jit
from core.text import N_

_LEAST_ELEVATION_DEG, _MOST_ELEVATION_DEG = 20.0, 85.0
_VOID = int(Stuff.VOID)
_DECIMALS = 9  # sines differ in their last bit from one processor to the next


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands: degrees clockwise from grid north, degrees above the horizon.

    Raises:
        InputError: It stands lower than 20 or higher than 85 degrees, or a number is none.
    """

    azimuth_deg: float = 146.0
    elevation_deg: float = 55.0

    def __post_init__(self) -> None:
        low, high = _LEAST_ELEVATION_DEG, _MOST_ELEVATION_DEG
        if not (low <= self.elevation_deg <= high and math.isfinite(self.azimuth_deg)):
            raise InputError(
                N_("A sun at azimuth {azimuth}°, elevation {elevation}° casts no usable shadows."),
                hint=N_("Give an elevation from {low:.0f} to {high:.0f} degrees."),
                azimuth=self.azimuth_deg,
                elevation=self.elevation_deg,
                low=low,
                high=high,
            )

    @property
    def towards(self) -> tuple[float, float]:
        """Unit vector east, north towards the sun."""
        turn = math.radians(self.azimuth_deg)
        return round(math.sin(turn), _DECIMALS), round(math.cos(turn), _DECIMALS)

    @property
    def slant(self) -> tuple[float, float]:
        """Metres east and north towards the sun for each metre up."""
        return self.towards[0] * self.cot, self.towards[1] * self.cot

    @property
    def cot(self) -> float:
        """Length of the shadow of one metre."""
        return round(1.0 / math.tan(math.radians(self.elevation_deg)), _DECIMALS)


@jit
def shade(picture, towards, cot):
    """Return the share of sunlight that is kept off each pixel (R, C), 0 to 1.

    A ray is a digital line towards the sun, anchored to the map, so that each pixel lies on one
    line only and no window changes it. Walked from the sun's side, the height up to which there is
    shadow sinks by the sun's slope and rises to what stands in the way.

    Args:
        picture: With what stands in it.
        towards: Unit vector east, north towards the sun.
        cot: Cotangent of the sun's elevation.
    """
    height = picture.height
    rows, cols = height.shape
    sun_e, sun_n = towards
    shadow = np.zeros((rows, cols), np.float32)
    level = np.zeros((rows, cols), np.float32)
    by_rows = abs(sun_n) >= abs(sun_e)
    if by_rows:
        lines, across, slope, from_first = rows, cols, sun_e / abs(sun_n), sun_n > 0.0
        number, sign = picture.north, -1 if sun_n > 0.0 else 1
    else:
        lines, across, slope, from_first = cols, rows, -sun_n / abs(sun_e), sun_e < 0.0
        number, sign = picture.west, -1 if sun_e < 0.0 else 1
    drop = np.float32(np.sqrt(1.0 + slope * slope) / cot)
    for n in range(lines):
        line = n if from_first else lines - 1 - n
        before = line - 1 if from_first else line + 1
        # How many lines of the map lie between this one and the map's origin, on the sun's side.
        m = (line - number if by_rows else line + number) * sign
        jump = int(np.floor((m + 1) * slope + 0.5) - np.floor(m * slope + 0.5))
        for k in range(across):
            here = height[line, k] if by_rows else height[k, line]
            come = np.float32(0.0)
            j = k + jump
            if 0 <= before < lines and 0 <= j < across:
                come = (level[before, j] if by_rows else level[j, before]) - drop
            # What stands in the way ends half a pixel before its middle. Slopes gentler than half
            # the sun's keep no light off themselves.
            dark = np.float32(clip01((come - here) / (0.5 * drop) + 1.0))
            top = max(here, come)
            if by_rows:
                shadow[line, k], level[line, k] = dark, top
            else:
                shadow[k, line], level[k, line] = dark, top
    return _softened(shadow)


@jit
def _softened(shadow):
    """Return a 3 × 3 mean with weights 1, 2, 1, which hides the steps of digital lines."""
    rows, cols = shadow.shape
    soft = np.zeros((rows, cols), np.float32)
    for r in range(1, rows - 1):
        for c in range(1, cols - 1):
            total = np.float32(0.0)
            for i in range(-1, 2):
                total += (2 - i * i) * (
                    shadow[r + i, c - 1] + 2.0 * shadow[r + i, c] + shadow[r + i, c + 1]
                )
            soft[r, c] = total / 16.0
    return soft


# Light from the sky alone, as a share of that in the sun, by band: bluish.
_SKY = np.array([0.29, 0.325, 0.385, 0.24])
_HAZE = np.array([0.020, 0.028, 0.042, 0.010])
_SPREAD = 0.09  # of a pixel's light falls into each of its neighbours in a row
_GAIN, _NOISE = 0.96, 0.010


@jit
def expose(picture, shadow, seed, window):
    """Return the picture (4, h, w) of a window of the scene: row, column, height, width.

    The window keeps two pixels off the edges of the scene. Pixels of material 0 stay 0, all others
    are at least 1.
    """
    row, col, rows, cols = window
    image = np.zeros((4, rows, cols), np.uint8)
    wide = np.zeros((rows + 2, cols + 2), np.float32)
    for band in range(4):
        sky = _SKY[band]
        for r in range(rows + 2):
            for c in range(cols + 2):
                i, j = row + r - 1, col + c - 1
                sun = (1.0 - shadow[i, j]) * picture.light[i, j]
                wide[r, c] = picture.albedo[i, j, band] * (sky + (1.0 - sky) * sun)
        for r in range(rows):
            for c in range(cols):
                if picture.stuff[row + r, col + c] == _VOID:
                    continue
                above = wide[r, c + 1] * (1 - 2 * _SPREAD) + _SPREAD * (wide[r, c] + wide[r, c + 2])
                level = wide[r + 1, c + 1] * (1 - 2 * _SPREAD)
                level += _SPREAD * (wide[r + 1, c] + wide[r + 1, c + 2])
                below = wide[r + 2, c + 1] * (1 - 2 * _SPREAD)
                below += _SPREAD * (wide[r + 2, c] + wide[r + 2, c + 2])
                value = level * (1 - 2 * _SPREAD) + _SPREAD * (above + below)
                x, y = picture.west + col + c, picture.north - row - r
                value = _HAZE[band] + _GAIN * value
                value += _NOISE * (grain(seed + np.uint64(band), x, y) - 0.5)
                image[band, r, c] = np.uint8(min(max(value * 255.0 + 0.5, 1.0), 255.0))
    return image
