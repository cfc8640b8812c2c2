"""Ranges and histograms that hold where all values are the same, or nearly: noise is no range."""

import math
import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NOISE = 1e-12  # of a value, far above what sums of doubles leave behind
_PAD = 1e-6


def is_one_value(low: float, high: float) -> bool:
    """Tell whether two ends differ by no more than rounding leaves behind."""
    return high - low <= _NOISE * max(abs(low), abs(high))


def widened(low: float, high: float) -> tuple[float, float]:
    """Return the range to draw: as given, or around the one value that there is."""
    if not is_one_value(low, high):
        return low, high
    pad = max(0.5, abs(low) * _PAD)  # 0.5 alone is lost in a value above 1e16
    largest = sys.float_info.max
    return max(low - pad, -largest), min(low + pad, largest)


def histogram(
    values: ArrayLike,
    bins: int,
    low: float,
    high: float,
    *,
    weights: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count values in equal bins from `low` to `high`, both included.

    One bin holds them all where so many bins would be narrower than doubles can tell apart.

    Returns:
        Counts (n,), sums of `weights` where given, and edges (n + 1,).
    """
    if high / bins - low / bins <= 2 * math.ulp(max(abs(low), abs(high))):
        bins, (low, high) = 1, widened(low, high)
    # Ends of the largest doubles would overflow on the way.
    scale = 1.0 if high - low < sys.float_info.max / 4 else 0.125
    scaled = np.asarray(values, np.float64) * scale
    counts, edges = np.histogram(scaled, bins, (low * scale, high * scale), weights=weights)
    return counts.astype(np.float64), np.clip(edges, low * scale, high * scale) / scale
