"""A chip at many sizes, by area averaging: each pixel is the mean of the ground it covers.

Every size is computed from the finest pixels, not from the next finer size, so nothing is rounded
twice. Half of a step rounds up.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 4


def pyramid_sizes(size_px: int) -> tuple[int, ...]:
    """Return `size_px` and the powers of two below it, from 4, smallest first."""
    sizes = {size_px}
    power = _SMALLEST
    while power < size_px:
        sizes.add(power)
        power *= 2
    return tuple(sorted(sizes))


def metres_per_pixel(side_m: float | None, size_px: int) -> float | None:
    """Return the metres on the ground that a pixel's side means; None without a place."""
    return None if side_m is None else side_m / size_px


def pyramid(chips: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """Return chips at all sizes, by size in pixels.

    Args:
        chips: (N, C, s, s), whole numbers without a sign.

    Returns:
        Arrays (N, C, size, size) of the same type; the one of size s is `chips` itself.
    """
    size = chips.shape[-1]
    found = {size: chips}
    sums, side = chips, size
    while side % 2 == 0 and side // 2 >= _SMALLEST:
        # Sums of whole numbers are exact; 64 bits hold those of 1024 × 1024 pixels of 16 bits.
        sums = _fourfold(sums)
        side //= 2
        if side & (side - 1) == 0:
            found[side] = _rounded_mean(sums, (size // side) ** 2, chips.dtype)
    for wanted in pyramid_sizes(size):
        if wanted not in found:
            found[wanted] = to_whole(area_mean(chips, (wanted, wanted)), chips.dtype)
    return found


def area_mean(values: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Average arrays (…, h, w) over the cells of a coarser grid; cut pixels count in part.

    Args:
        values: Any numbers, none missing.
        shape: Rows and columns, at most h and w.
    """
    down = _weights(values.shape[-2], shape[0])
    across = _weights(values.shape[-1], shape[1])
    mean: NDArray[np.float64] = down @ values @ across.T
    return mean


def to_whole(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Round to whole numbers of a type without a sign; half rounds up."""
    # A sum of fractions may end a hair below the half that it means.
    whole: NDArray[Any] = np.clip(np.floor(values + (0.5 + 1e-9)), 0, np.iinfo(dtype).max)
    return whole.astype(dtype)


def _fourfold(values: NDArray[Any]) -> NDArray[Any]:
    wide = np.uint32 if values.dtype in (np.uint8, np.uint32) else np.uint64
    rows = np.add(values[..., ::2, :], values[..., 1::2, :], dtype=wide)
    found: NDArray[Any] = rows[..., ::2] + rows[..., 1::2]
    return found


def _rounded_mean(sums: NDArray[Any], count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    kind = sums.dtype.type
    means: NDArray[Any] = (sums + kind(count // 2)) // kind(count)
    return means.astype(dtype)


@lru_cache(maxsize=64)
def _weights(many: int, few: int) -> NDArray[np.float64]:
    """Return (few, many): the share of each coarse cell that each fine one makes up."""
    edges = np.arange(few + 1) * (many / few)
    pixel = np.arange(many)
    low = np.maximum(edges[:-1, None], pixel[None, :])
    high = np.minimum(edges[1:, None], pixel[None, :] + 1)
    shares: NDArray[np.float64] = np.clip(high - low, 0, None)
    shares /= shares.sum(axis=1, keepdims=True)
    shares.setflags(write=False)
    return shares
