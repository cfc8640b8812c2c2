"""Tree crowns: lobed domes, bright towards the sun."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np
from numpy.typing import NDArray

from core.simulate import noise
from core.simulate.noise import Floats
from core.simulate.scene.materials import Stuff
from core.simulate.scene.texture import jit, patches
from core.simulate.shapes import Discs

# Greens of single trees, most to least common; red, green, blue, near infrared.
_LEAVES = np.array([
    (0.235, 0.335, 0.195, 0.74), (0.265, 0.360, 0.205, 0.78), (0.205, 0.305, 0.190, 0.70),
    (0.300, 0.380, 0.215, 0.80), (0.190, 0.275, 0.190, 0.62), (0.335, 0.385, 0.225, 0.76),
    (0.245, 0.345, 0.215, 0.72), (0.310, 0.270, 0.225, 0.66),
])  # fmt: skip
_COMMON = np.array([0.27, 0.48, 0.66, 0.78, 0.87, 0.94, 0.985])
_CROWN = int(Stuff.CROWN)
_HEIGHT_M, _RISE = 2.5, 1.35  # height of a crown of radius 0, and metres more per metre of radius


def crown_heights(radius: Floats) -> Floats:
    """Return the height in metres of the top of crowns."""
    return _HEIGHT_M + _RISE * radius


@jit
def _grow(stuff, albedo, height, light, place, table, colour, keys, towards, cot):
    west, north = place
    rows, cols = stuff.shape
    for n in range(len(table)):
        x, y, radius, tall = table[n]
        reach = 1.12 * radius
        c0, c1 = max(int(np.floor(x - reach - west)), 0), min(int(x + reach - west) + 1, cols)
        r0, r1 = max(int(np.floor(north - y - reach)), 0), min(int(north - y + reach) + 1, rows)
        for r in range(r0, r1):
            dy = north - (r + 0.5) - y
            for c in range(c0, c1):
                if stuff[r, c] == 0:
                    continue
                dx = west + (c + 0.5) - x
                lobes = patches(keys[n], dx / 2.4, dy / 2.4)
                edge = radius * (0.86 + 0.28 * lobes)
                d2 = (dx * dx + dy * dy) / (edge * edge)
                if d2 >= 1.0:
                    continue
                clumps = patches(keys[n] + np.uint64(1), dx / 1.35, dy / 1.35) - 0.5
                z = tall * (1.0 - 0.45 * d2) + 1.6 * (lobes - 0.5) + 1.2 * clumps
                if z <= height[r, c]:
                    continue
                slope = 0.9 * tall / (radius * radius)
                gx, gy = -slope * dx, -slope * dy
                facing = 1.0 - (gx * towards[0] + gy * towards[1]) * cot
                facing /= np.sqrt(1.0 + gx * gx + gy * gy)
                height[r, c] = z
                light[r, c] = max(0.42, 0.34 + 0.72 * facing) * (1.0 + 0.7 * clumps)
                stuff[r, c] = _CROWN
                for band in range(4):
                    albedo[r, c, band] = colour[n, band] * (1.0 + 0.22 * clumps)


def grow_crowns(
    stuff: NDArray[np.uint8],
    albedo: NDArray[np.float32],
    height: NDArray[np.float32],
    light: NDArray[np.float32],
    place: tuple[float, float],
    crowns: Discs,
    keys: noise.Keys,
    sun: tuple[tuple[float, float], float],
) -> None:
    """Draw crowns over what is lower; `sun` is the vector towards it and the cotangent."""
    u = noise.uniform(keys, 1)
    colour = _LEAVES[np.searchsorted(_COMMON, u)]
    colour = colour * noise.uniform(keys, 2, 0.88, 1.12)[:, None]
    tall = crown_heights(crowns.radius) * noise.uniform(keys, 3, 0.85, 1.15)
    table = np.stack([crowns.x, crowns.y, crowns.radius, tall], axis=1)
    _grow(stuff, albedo, height, light, place, table, colour, keys, *sun)

