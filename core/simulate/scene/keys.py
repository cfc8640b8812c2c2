"""Keys of objects that follow from where they stand."""

import numpy as np

from core.simulate import noise
from core.simulate.noise import Floats, Keys


def place_keys(seed: int, salt: int, x: Floats, y: Floats) -> Keys:
    """Return keys of objects from where they stand, to the millimetre."""
    east, north = (np.rint(v * 1000.0).astype(np.int64) for v in (x, y))
    return noise.key(noise.key(noise.root(seed, salt), east), north)
