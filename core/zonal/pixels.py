"""Where the pixels come from: a raster file that is open, or an array that stands for one.

This module opens no file: a `RasterSource` carries the function that does, so that every file
still goes through one door.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from core.errors import CrsError, InputError
from core.text import N_

# Stands for a masked pixel in float64 blocks; no measurement is the lowest of all numbers.
MASKED = float(np.finfo(np.float64).min)


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterSource:
    """A raster to be summed up, and the name that its columns begin with."""

    key: str
    """Prefix of its columns: `lst0226` gives `lst0226_mean`."""

    open: Callable[[], AbstractContextManager[Any]]
    """Opens the file anew, once a thread; yields a rasterio dataset."""

    band: int = 1
    codes: frozenset[int] | None = None
    """Known class codes; others are counted and reported. None: nothing to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Georeference, type and layout of one band."""

    crs: CRS
    transform: Affine
    height: int
    width: int
    dtype: np.dtype[Any]
    nodata: float | None
    """The value that means nothing; None where there is no such value (NaN always means it)."""
    has_mask: bool
    """Whether validity stands in a mask or alpha band."""
    block: tuple[int, int]
    """Rows and columns that the file stores together."""


class Pixels(Protocol):
    """One band that can be read by windows. Not shared between threads."""

    @property
    def grid(self) -> Grid: ...

    def read(self, window: Window) -> NDArray[Any]:
        """Return the values of a window inside the raster, (rows, columns)."""
        ...

    def is_masked(self, window: Window) -> NDArray[np.bool_]:
        """Return where the mask band says that there is no value."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayPixels:
    """A band that is in memory."""

    grid: Grid
    array: NDArray[Any]

    def read(self, window: Window) -> NDArray[Any]:
        rows, cols = window.toslices()
        part: NDArray[Any] = self.array[rows, cols]
        return part

    def is_masked(self, window: Window) -> NDArray[np.bool_]:
        return np.zeros((window.height, window.width), bool)


@dataclass(frozen=True, slots=True)
class DatasetPixels:
    """A band of an open rasterio dataset."""

    grid: Grid
    dataset: Any
    source: RasterSource

    def read(self, window: Window) -> NDArray[Any]:
        with self._named_errors():
            values: NDArray[Any] = self.dataset.read(self.source.band, window=window)
        return values

    def is_masked(self, window: Window) -> NDArray[np.bool_]:
        with self._named_errors():
            masked: NDArray[np.bool_] = (
                self.dataset.read_masks(self.source.band, window=window) == 0
            )
        return masked

    def enlarged(self, factor: int) -> NDArray[Any]:
        """Return the whole first band, `factor` times as many pixels each way, bilinear."""
        shape = (self.grid.height * factor, self.grid.width * factor)
        with self._named_errors():
            values: NDArray[Any] = self.dataset.read(
                1, out_shape=shape, resampling=Resampling.bilinear
            )
        return values

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except RasterioError as err:
            raise InputError(
                N_("{key} cannot be read: {reason}."),
                hint=N_("The file is damaged or cut short; bring it in again."),
                key=self.source.key,
                reason=str(err)[:200],
            ) from err


@contextmanager
def opened(source: RasterSource, grid: Grid | None = None) -> Iterator[DatasetPixels]:
    """Open a source for one thread.

    Args:
        source: The raster.
        grid: What to hold true of it (of its nodata value, say) in place of what the file says.

    Raises:
        InputError: It has no such band, or holds complex numbers.
        CrsError: It has no coordinate system.
    """
    with source.open() as dataset:
        yield DatasetPixels(grid or _grid_of(dataset, source), dataset, source)


def _grid_of(dataset: Any, source: RasterSource) -> Grid:
    band = source.band
    if not 1 <= band <= dataset.count:
        raise InputError(
            N_("{key} has {count} bands, no band {band}."),
            key=source.key,
            count=dataset.count,
            band=band,
        )
    dtype = np.dtype(dataset.dtypes[band - 1])
    if dtype.kind not in "iuf":
        raise InputError(N_("{key} holds {dtype}, not numbers."), key=source.key, dtype=dtype.name)
    if dataset.crs is None:
        raise CrsError(
            N_("{key} has no coordinate system."),
            hint=N_("Say which one it is in when bringing it in."),
            key=source.key,
        )
    flags = dataset.mask_flag_enums[band - 1]
    return Grid(
        crs=CRS.from_wkt(dataset.crs.to_wkt()),
        transform=dataset.transform,
        height=dataset.height,
        width=dataset.width,
        dtype=dtype,
        nodata=_nodata_of(dataset.nodatavals[band - 1], dtype),
        has_mask=MaskFlags.per_dataset in flags or MaskFlags.alpha in flags,
        block=dataset.block_shapes[band - 1],
    )


def _nodata_of(tag: float | None, dtype: np.dtype[Any]) -> float | None:
    """Return the tag as a value of the band's own type; a tag that it cannot hold masks nothing."""
    if tag is None or np.isnan(tag):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(tag))
    limits = np.iinfo(dtype)
    return float(tag) if tag == int(tag) and limits.min <= tag <= limits.max else None


def read_values(pixels: Pixels, window: Window) -> tuple[NDArray[np.float64], float]:
    """Return a window as float64, and the value in it that means nothing (NaN: there is none)."""
    grid = pixels.grid
    values = np.ascontiguousarray(pixels.read(window), dtype=np.float64)
    nodata = np.nan if grid.nodata is None else grid.nodata
    if grid.has_mask:
        hidden = pixels.is_masked(window)
        if grid.nodata is not None:
            hidden |= values == nodata
        values = np.where(hidden, MASKED, values)
        nodata = MASKED
    return values, nodata
