"""Tree crowns: lobed domes, bright towards the sun."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np

from core.simulate import noise
from core.simulate.noise import Floats
from core.simulate.scene.materials import Stuff
from core.simulate.scene.picture import Picture, span
from core.simulate.scene.texture import jit, patches
from core.simulate.shapes import Discs

# Greens of single trees, most to least common; red, green, blue, near infrared.
_LEAVES = np.array([
    (0.235, 0.335, 0.195, 0.74), (0.265, 0.360, 0.205, 0.78), (0.205, 0.305, 0.190, 0.70),
    (0.300, 0.380, 0.215, 0.80), (0.190, 0.275, 0.190, 0.62), (0.335, 0.385, 0.225, 0.76),
    (0.245, 0.345, 0.215, 0.72), (0.310, 0.270, 0.225, 0.66),
])  # fmt: skip
_COMMON = np.array([0.27, 0.48, 0.66, 0.78, 0.87, 0.94, 0.985])
_VOID, _CROWN = int(Stuff.VOID), int(Stuff.CROWN)
_HEIGHT_M, _RISE = 2.5, 1.35  # height of a crown of radius 0, and metres more per metre of radius


def crown_heights(radius: Floats) -> Floats:
    """Return the height in metres of the top of crowns."""
    return _HEIGHT_M + _RISE * radius


@jit
def _grow_one(picture, shape, colour, key, sun):
    """Draw one crown; `shape` is x, y, radius and height in metres."""
    x, y, radius, tall = shape
    slope = 0.9 * tall / (radius * radius)
    r0, r1, c0, c1 = span(picture, x, y, 1.15 * radius, 1.15 * radius)
    for r in range(r0, r1):
        dy = picture.north - (r + 0.5) - y
        for c in range(c0, c1):
            dx = picture.west + (c + 0.5) - x
            lobes = patches(key, dx / 2.4, dy / 2.4) - 0.5
            edge = radius * (1.0 + 0.28 * lobes)
            share = (dx * dx + dy * dy) / (edge * edge)
            if share >= 1.0 or picture.stuff[r, c] == _VOID:
                continue
            clumps = patches(key + np.uint64(1), dx / 1.35, dy / 1.35) - 0.5
            z = tall * (1.0 - 0.45 * share) + 1.6 * lobes + 1.2 * clumps
            if z <= picture.height[r, c]:
                continue
            gx, gy = slope * dx, slope * dy
            facing = 1.0 + gx * sun[0] + gy * sun[1]
            facing /= np.sqrt(1.0 + gx * gx + gy * gy)
            picture.height[r, c] = z
            picture.light[r, c] = max(0.42, 0.34 + 0.72 * facing) * (1.0 + 0.7 * clumps)
            picture.stuff[r, c] = _CROWN
            for band in range(4):
                picture.albedo[r, c, band] = colour[band] * (1.0 + 0.22 * clumps)


@jit
def _grow(picture, shape, colour, keys, sun):
    for n in range(len(shape)):
        _grow_one(picture, shape[n], colour[n], keys[n], sun)


def grow_crowns(
    picture: Picture, crowns: Discs, keys: noise.Keys, sun: tuple[float, float]
) -> None:
    """Draw crowns over what is lower; `sun` is metres east and north towards it a metre up."""
    colour = _LEAVES[np.searchsorted(_COMMON, noise.uniform(keys, 1))]
    colour = colour * noise.uniform(keys, 2, 0.88, 1.12)[:, None]
    tall = crown_heights(crowns.radius) * noise.uniform(keys, 3, 0.85, 1.15)
    shape = np.stack([crowns.x, crowns.y, crowns.radius, tall], axis=1)
    _grow(picture, shape, colour, keys, sun)
