"""How far apart chips lie, and in which order they take turns."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from core.chips.options import CutOptions


class Spacing:
    """Admits windows of one source that are far enough from those admitted before."""

    def __init__(
        self, shape: tuple[int, int], px: tuple[float, float], options: CutOptions
    ) -> None:
        self._shape, self._px = shape, px
        self._distance = options.min_distance_m
        # Neighbours on a grid overlap as they were asked to.
        any_overlap = options.grid or options.overlap is None
        self._overlap = 1.0 if any_overlap else float(options.overlap or 0.0)
        self._has_rule = self._distance > 0 or self._overlap < 1
        reach = max(self._distance, max(shape[0] * px[0], shape[1] * px[1]))
        self._cell = (reach / px[0], reach / px[1])
        self._cells: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._seen: set[tuple[int, int]] = set()

    def admits(self, row: int, col: int) -> bool:
        """Tell whether a window may be used; if so, remember it."""
        if (row, col) in self._seen:
            return False
        if self._has_rule:
            cell = int(row // self._cell[0]), int(col // self._cell[1])
            for down in (-1, 0, 1):
                for across in (-1, 0, 1):
                    for other in self._cells.get((cell[0] + down, cell[1] + across), ()):
                        if self._is_too_near(row - other[0], col - other[1]):
                            return False
            self._cells[cell].append((row, col))
        self._seen.add((row, col))
        return True

    def _is_too_near(self, down: int, across: int) -> bool:
        distance = np.hypot(down * self._px[0], across * self._px[1])
        if distance < self._distance:
            return True
        shared = max(0.0, 1 - abs(down) / self._shape[0]) * max(
            0.0, 1 - abs(across) / self._shape[1]
        )
        return shared > self._overlap


def in_turns(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an order in which each kind takes its turn, those of one kind as they came.

    Any first n of it are as balanced as they can be. Unknown kinds (-1) are left out.
    """
    known = np.flatnonzero(strata >= 0)
    _, kind = np.unique(strata[known], return_inverse=True)
    by_kind = np.argsort(kind, kind="stable")
    firsts = np.searchsorted(kind[by_kind], np.arange(kind.max(initial=-1) + 1))
    turn = np.empty(len(known), np.int64)
    turn[by_kind] = np.arange(len(known)) - firsts[kind[by_kind]]
    return known[np.lexsort((kind, turn))]
