"""Tree crowns: lobed domes, bright towards the sun."""

import numpy as np

from core.simulate import noise
from core.simulate.noise import Floats
from core.simulate.scene import kernels
from core.simulate.scene.picture import Picture
from core.simulate.shapes import Discs

# Greens of single trees, most to least common; red, green, blue, near infrared.
_LEAVES = np.array([
    (0.235, 0.335, 0.195, 0.74), (0.265, 0.360, 0.205, 0.78), (0.205, 0.305, 0.190, 0.70),
    (0.300, 0.380, 0.215, 0.80), (0.190, 0.275, 0.190, 0.62), (0.335, 0.385, 0.225, 0.76),
    (0.245, 0.345, 0.215, 0.72), (0.310, 0.270, 0.225, 0.66),
])  # fmt: skip
_COMMON = np.array([0.27, 0.48, 0.66, 0.78, 0.87, 0.94, 0.985])
_HEIGHT_M, _RISE = 2.5, 1.35  # height of a crown of radius 0, and metres more per metre of radius


def crown_heights(radius: Floats) -> Floats:
    """Return the height in metres of the top of crowns."""
    return _HEIGHT_M + _RISE * radius


def grow_crowns(
    picture: Picture, crowns: Discs, keys: noise.Keys, sun: tuple[float, float]
) -> None:
    """Draw crowns over what is lower; `sun` is metres east and north towards it a metre up."""
    colour = _LEAVES[np.searchsorted(_COMMON, noise.uniform(keys, 1))]
    colour = colour * noise.uniform(keys, 2, 0.88, 1.12)[:, None]
    tall = crown_heights(crowns.radius) * noise.uniform(keys, 3, 0.85, 1.15)
    shape = np.stack([crowns.x, crowns.y, crowns.radius, tall], axis=1)
    kernels.grow(picture, shape, colour, keys, sun)
