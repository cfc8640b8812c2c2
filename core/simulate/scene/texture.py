"""Random numbers and smooth noise for single pixels, compiled.

As in `core.simulate.noise`, only whole-number mixing and exactly rounded arithmetic are used, so
that a pixel is the same in every window and on every machine.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np
from numba import njit

jit = njit(nogil=True, cache=True, error_model="numpy")

_STEP_I, _STEP_J = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _TOP = np.uint64(30), np.uint64(27), np.uint64(40)
_UNIT = 2.0**-24


@jit
def grain(seed, i, j):
    """Return a number in [0, 1) for the whole numbers i and j; `seed` is a uint64."""
    h = seed ^ (np.uint64(i) * _STEP_I + np.uint64(j) * _STEP_J)
    h = (h ^ (h >> _SHIFT_1)) * _MIX_1
    h = (h ^ (h >> _SHIFT_2)) * _MIX_2
    return np.float64(h >> _TOP) * _UNIT


@jit
def patches(seed, x, y):
    """Return value noise in [0, 1) that changes over one unit of x and y."""
    column, row = np.floor(x), np.floor(y)
    fx, fy = x - column, y - row
    fx, fy = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy)
    i, j = np.int64(column), np.int64(row)
    south = grain(seed, i, j) * (1.0 - fx) + grain(seed, i + 1, j) * fx
    north = grain(seed, i, j + 1) * (1.0 - fx) + grain(seed, i + 1, j + 1) * fx
    return south * (1.0 - fy) + north * fy


@jit
def clip01(value):
    """Return `value`, not below 0 and not above 1."""
    return min(max(value, 0.0), 1.0)
