"""Imagery that no file holds, drawn window by window, as a source; and its land cover as another.

A window is drawn once: the land cover of a chip comes out of the same drawing as its pixels.
"""

import threading
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window

from core.georeference import Georeference

Bounds = tuple[float, float, float, float]


class Drawing(Protocol):
    """A drawn window."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """Bands (B, h, w), row 0 in the north; 0 in all of them where nothing is drawn."""

    @property
    def cover(self) -> NDArray[np.uint8]:
        """Class codes (h, w); 0 where nothing is drawn."""


class Imagery(Protocol):
    """Draws any window of its bounds; the same pixel comes out the same from every window."""

    @property
    def crs(self) -> CRS:
        """In metres."""

    @property
    def bounds(self) -> tuple[float, float, float, float] | tuple[int, int, int, int]:
        """West, south, east, north, at whole pixels."""

    @property
    def resolution_m(self) -> float:
        """Side of a pixel."""

    def read(self, bounds: Bounds) -> Drawing:
        """Draw a window."""


class DrawnSource:
    """Drawn imagery to cut chips from."""

    spread = 28.0
    """A drawing costs about as much as 120,000 of its pixels before the first one."""

    def __init__(self, imagery: Imagery, *, name: str, date: str = "") -> None:
        self.imagery = imagery
        self.name, self.date = name, date
        west, south, east, north = imagery.bounds
        side = imagery.resolution_m
        self.place = Georeference(
            imagery.crs,
            Affine(side, 0, west, 0, -side, north),
            round((east - west) / side),
            round((north - south) / side),
        )
        self._last = threading.local()

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the bands of a window; missing where nothing is drawn."""
        drawing, part = self._drawn(window)
        image = drawing.image[:, *part]
        return image, np.logical_or.reduce(image != 0)

    def read_cover(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the class codes of a window (1, h, w); missing where nothing is drawn."""
        drawing, part = self._drawn(window)
        cover = drawing.cover[part]
        return cover[None], cover > 0

    def close(self) -> None:
        """Let go of the last drawing."""
        self._last = threading.local()

    def _drawn(self, window: Window) -> tuple[Drawing, tuple[slice, slice]]:
        """Return a drawing that holds the window, and where; the thread's last one if it does."""
        top, left = int(window.row_off), int(window.col_off)
        height, width = int(window.height), int(window.width)
        last: tuple[int, int, Drawing] | None = getattr(self._last, "drawing", None)
        if last is None or not _holds(last, top, left, height, width):
            west, north = self.place.transform @ (left, top)
            east, south = self.place.transform @ (left + width, top + height)
            last = (top, left, self.imagery.read((west, south, east, north)))
            self._last.drawing = last
        row, col = top - last[0], left - last[1]
        return last[2], (slice(row, row + height), slice(col, col + width))


class DrawnCover:
    """The land cover of drawn imagery as a source of class codes."""

    spread = DrawnSource.spread

    def __init__(self, drawn: DrawnSource) -> None:
        self._drawn = drawn
        self.name, self.date, self.place = drawn.name, drawn.date, drawn.place

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the class codes of a window (1, h, w)."""
        return self._drawn.read_cover(window)

    def close(self) -> None:
        """Nothing is open."""


def _holds(last: tuple[int, int, Drawing], top: int, left: int, height: int, width: int) -> bool:
    rows, cols = last[2].cover.shape
    row, col = top - last[0], left - last[1]
    return row >= 0 and col >= 0 and row + height <= rows and col + width <= cols
