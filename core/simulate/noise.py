"""Numbers that follow from a seed and a place, in any order and on any machine.

Only whole-number mixing and exactly rounded arithmetic (add, multiply, divide, floor) are used:
sines and exponentials differ in their last bit from one processor to the next.
"""

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11))
_UNIT = 2.0**-53


def key(parent: Keys, child: NDArray[np.int64] | int) -> Keys:
    """Return keys of the children of `parent`, broadcast; negative numbers are fine.

    Reference: Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.
    """
    with np.errstate(over="ignore"):
        mixed = parent + (np.asarray(child).astype(np.uint64) + np.uint64(1)) * _STEP
        mixed = (mixed ^ (mixed >> _SHIFTS[0])) * _MIX_1
        mixed = (mixed ^ (mixed >> _SHIFTS[1])) * _MIX_2
        keys: Keys = mixed ^ (mixed >> _SHIFTS[2])
    return keys


def root(seed: int, salt: int = 0) -> Keys:
    """Return the key, shape (), that everything of one seed descends from."""
    return key(key(np.zeros((), np.uint64), seed), salt)


def uniform(keys: Keys, salt: int, low: float = 0.0, high: float = 1.0) -> Floats:
    """Return one number in [low, high) for each key; other salts give independent numbers."""
    unit = (key(keys, salt) >> _SHIFTS[3]).astype(np.float64) * _UNIT
    return low + (high - low) * unit


def smooth(parent: Keys, x: Floats, y: Floats, scale_m: float) -> Floats:
    """Return value noise in [0, 1) that changes over `scale_m`, at metres (x, y) of one shape."""
    column, row = np.floor(x / scale_m), np.floor(y / scale_m)
    fx, fy = x / scale_m - column, y / scale_m - row
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    i, j = column.astype(np.int64), row.astype(np.int64)

    def corner(di: int, dj: int) -> Floats:
        return uniform(key(key(parent, i + di), j + dj), 0)

    south = corner(0, 0) * (1 - fx) + corner(1, 0) * fx
    north = corner(0, 1) * (1 - fx) + corner(1, 1) * fx
    field: Floats = south * (1 - fy) + north * fy
    return field
