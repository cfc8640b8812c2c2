"""Chips at a smaller size: each pixel the mean of those it covers, as a chip set's pyramid has it."""

import numpy as np
from numpy.typing import NDArray

from models.data import Chips


def shrunk(pictures: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Bring pictures (n, C, H, W) to a side that divides theirs; half a step rounds up."""
    num, channels, height, width = pictures.shape
    times = height // size_px
    if times == 1:
        return pictures
    parts = pictures.reshape(num, channels, size_px, times, width // times, times)
    sums = parts.sum(axis=(3, 5), dtype=np.uint32)
    return ((2 * sums + times**2) // (2 * times**2)).astype(np.uint8)


class ShrunkChips:
    """A set whose pictures are handed out smaller."""

    def __init__(self, chips: Chips, size_px: int) -> None:
        self._chips = chips
        self.size_px = size_px
        self.channels = chips.channels
        metres = chips.metres_per_px
        self.metres_per_px = None if metres is None else metres * chips.size_px / size_px
        self.digest = chips.digest

    def __len__(self) -> int:
        return len(self._chips)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return shrunk(self._chips.batch(indices), self.size_px)
