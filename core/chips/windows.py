"""Windows of sources, many at once, and which of them lie together on the ground."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

_TILE_PX = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """N windows: number of the source, first row and column, split, and row and column of block."""

    source: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    split: NDArray[np.int8]
    block_row: NDArray[np.int64]
    block_col: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> "Windows":
        """Return some of them."""
        return Windows(
            self.source[which], self.row[which], self.col[which],
            self.split[which], self.block_row[which], self.block_col[which],
        )  # fmt: skip

    @staticmethod
    def join(parts: "list[Windows]") -> "Windows":
        """Return all of several."""
        names = ("source", "row", "col", "split", "block_row", "block_col")
        return Windows(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def no_windows() -> Windows:
    """Return none."""
    none = np.empty(0, np.int64)
    return Windows(none, none, none, none.astype(np.int8), none, none)


def tiles(windows: Windows, shapes: list[tuple[int, int]]) -> list[NDArray[np.int64]]:
    """Return the numbers of windows that lie on one tile of one source, in the order of the ground.

    A tile with all of the chips that begin in it is at most `_TILE_PX` wide and high, where chips
    are not larger than most of that.
    """
    side = max(_TILE_PX - max(max(shape) for shape in shapes), _TILE_PX // 4)
    down, across = windows.row // side, windows.col // side
    order = np.lexsort((windows.col, windows.row, across, down, windows.source))
    key = np.stack([windows.source[order], down[order], across[order]])
    starts = np.flatnonzero(np.any(np.diff(key, axis=1, prepend=-1), axis=0))
    return np.split(order, starts[1:]) if len(order) else []


def hull(windows: Windows, shape: tuple[int, int]) -> Window:
    """Return the smallest window that holds windows of one source."""
    top, left = int(windows.row.min()), int(windows.col.min())
    height = int(windows.row.max()) + shape[0] - top
    width = int(windows.col.max()) + shape[1] - left
    return Window(left, top, width, height)
