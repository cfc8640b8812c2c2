"""What chips are cut from: a raster file, several on one grid, or anything that draws windows.

A source need not be a file. Whatever has a place, a name, a date and `read` can be cut: drawn
imagery too.
"""

import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import rasters
from core.errors import InputError, RefusedFileError, TooLargeError
from core.georeference import Georeference, pixel_size, transformer
from core.text import N_

Read = tuple[NDArray[Any], NDArray[np.bool_]]

_DATE = re.compile(r"(?<!\d)(19|20)(\d\d)[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")
_NODES = 5
_MOST_SAMPLED_PX = 64 << 20
_DISTORTED = 0.02


class Source(Protocol):
    """A picture that chips can be cut from; `read` may be called by several threads at once."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def date(self) -> str:
        """When it was taken, `YYYY-MM-DD`; empty where unknown."""

    @property
    def place(self) -> Georeference:
        """CRS, transform, width and height."""

    @property
    def spread(self) -> float:
        """Neighbours are read in one piece where that is at most so many times their pixels."""

    def read(self, window: Window) -> Read:
        """Return the bands (B, h, w) of a window inside, and True where valid (h, w)."""

    def close(self) -> None:
        """Let go of open files; it may be read again."""


class RasterSource:
    """Bands of a raster file.

    A pixel is missing where a mask or an alpha band says so, where every band has its nodata
    value, or where any band is NaN or infinite.

    Raises:
        InputError, RefusedFileError, CrsError: See `rasters.open_raster` and `georeference`.
        InputError: A band that the file has not.
    """

    spread = 4.0

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        date: str | None = None,
        bands: Sequence[int] | None = None,
    ) -> None:
        self.path = path
        self.name = name or rasters.source_name(path)
        self.date = date_in(path.name) if date is None else checked_date(date)
        with rasters.open_raster(path) as dataset:
            rasters.check_whole(dataset)
            self.place = rasters.georeference(dataset, name=self.name)
            self.bands = tuple(bands or _picture_bands(dataset))
            for band in self.bands:
                rasters.check_band(dataset, band)
            if len(set(self.bands)) < len(self.bands):
                raise InputError(N_("A band can be taken only once."))
            self.dtype = np.dtype(dataset.dtypes[self.bands[0] - 1])
            self.block_px = dataset.block_shapes[self.bands[0] - 1]
            # Bands may lie pixel by pixel: who reads one unpacks all.
            self.pixel_bytes = dataset.count * self.dtype.itemsize
            self.descriptions = tuple(dataset.descriptions[band - 1] or "" for band in self.bands)
            self._nodata = [rasters.nodata_of(dataset, band) for band in self.bands]
            # Infrared as the fourth band of a GeoTIFF is often declared as alpha by mistake: who
            # asks for the band gets it, and it is no mask then.
            own_mask = {dataset.colorinterp[band - 1] for band in self.bands} & {ColorInterp.alpha}
            self._is_masked = not own_mask and rasters.has_mask(dataset, self.bands[0])
        self._own = threading.local()
        self._opened: list[DatasetReader] = []
        self._lock = threading.Lock()

    def read(self, window: Window) -> Read:
        """Return the bands of a window inside the file, and where they are valid."""
        with rasters.gdal_env(self.path), rasters.reading(self.name):
            dataset = self._dataset()
            values = dataset.read(list(self.bands), window=window)
            kept = [
                rasters.is_value(band, nodata)
                for band, nodata in zip(values, self._nodata, strict=True)
            ]
            valid = np.logical_or.reduce(kept)
            if values.dtype.kind == "f":
                valid &= np.isfinite(values).all(axis=0)
            if self._is_masked:
                valid &= dataset.read_masks(self.bands[0], window=window) != 0
        return values, valid

    def close(self) -> None:
        """Close the datasets of all threads."""
        with self._lock:
            for dataset in self._opened:
                dataset.close()
            self._opened.clear()
            self._own = threading.local()

    def _dataset(self) -> DatasetReader:
        # GDAL's handles belong to one thread each.
        found: DatasetReader | None = getattr(self._own, "dataset", None)
        if found is None:
            found = rasters.open_dataset(self.path)
            self._own.dataset = found
            with self._lock:
                self._opened.append(found)
        return found


class StackedSource:
    """Several sources as the bands of one, on the grid of the first.

    The others are taken at the centres of its pixels, nearest pixel, so that classes stay classes.
    A pixel is missing where it is missing in any of them.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self.name = " + ".join(source.name for source in sources)
        self.date = next((source.date for source in sources if source.date), "")
        self.place = sources[0].place
        self.spread = min(source.spread for source in sources)

    def read(self, window: Window) -> Read:
        """Return the bands of all, in order."""
        values, valid = self.sources[0].read(window)
        found = [values]
        for source in self.sources[1:]:
            if _same_grid(source.place, self.place):
                more, there = source.read(window)
            else:
                shape = (int(window.height), int(window.width))
                more, there = sample(source, self.place, window, shape)
            found.append(more)
            valid = valid & there
        return np.concatenate([band.astype(np.result_type(*found)) for band in found]), valid

    def close(self) -> None:
        """Close all."""
        for source in self.sources:
            source.close()


def sample(source: Source, place: Georeference, window: Window, shape: tuple[int, int]) -> Read:
    """Look up a source at a lattice of points spread over a window of another raster.

    Args:
        source: What is looked up, its nearest pixels.
        place: Where the window lies.
        window: In pixels of `place`; may have fractions.
        shape: Rows and columns of points, each at the centre of its cell of the window.

    Returns:
        Values (B, rows, columns) and where they are valid; outside the source they are not.

    Raises:
        TooLargeError: The window holds too many of the source's pixels.
    """
    columns, rows = _looked_up(source.place, place, window, shape)
    inside = (columns >= 0) & (columns < source.place.width)
    inside &= (rows >= 0) & (rows < source.place.height)
    if not inside.any():
        probe, _ = source.read(Window(0, 0, 1, 1))
        return np.zeros((len(probe), *shape), probe.dtype), inside
    left, top = columns[inside].min(), rows[inside].min()
    width, height = columns[inside].max() - left + 1, rows[inside].max() - top + 1
    if width * height > _MOST_SAMPLED_PX:
        raise TooLargeError(
            N_("One chip covers {count:,} pixels of {name}."),
            hint=N_("Choose a coarser layer, or smaller chips."),
            count=int(width) * int(height),
            name=source.name,
        )
    values, valid = source.read(Window(int(left), int(top), int(width), int(height)))
    row, column = np.where(inside, rows - top, 0), np.where(inside, columns - left, 0)
    return values[:, row, column], valid[row, column] & inside


def _looked_up(
    target: Georeference, place: Georeference, window: Window, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return columns and rows of `target` under the points of `sample`; -1 where there is none."""
    # A projection bends little over one chip: a few nodes are transformed, the rest interpolated.
    at = np.linspace(0, 1, _NODES)
    node_columns, node_rows = np.meshgrid(
        window.col_off + at * window.width, window.row_off + at * window.height
    )
    x, y = move(node_columns, node_rows, place, target)
    down, across = _hat_weights(shape[0]), _hat_weights(shape[1])
    with np.errstate(invalid="ignore"):
        columns, rows = np.floor(down @ x @ across.T), np.floor(down @ y @ across.T)
    lost = ~(np.isfinite(columns) & np.isfinite(rows))
    columns[lost] = rows[lost] = -1
    bound = 2**52
    return (
        np.clip(columns, -1, bound).astype(np.int64),
        np.clip(rows, -1, bound).astype(np.int64),
    )


@lru_cache(maxsize=16)
def _hat_weights(points: int) -> NDArray[np.float64]:
    """Return (points, nodes): the linear interpolation to the centres of equal cells."""
    at = (np.arange(points) + 0.5) / points * (_NODES - 1)
    weights: NDArray[np.float64] = 1 - np.abs(at[:, None] - np.arange(_NODES)[None, :])
    return weights.clip(0, None)


def move(
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
    source: Georeference,
    target: Georeference,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn columns and rows of one raster into those of another; infinite where there are none."""
    x, y = _applied(source.transform, columns, rows)
    if source.crs != target.crs:
        x, y = _between(source.crs.to_wkt(), target.crs.to_wkt()).transform(x, y)
    return _applied(~target.transform, x, y)


def _applied(
    transform: Affine, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        transform.a * x + transform.b * y + transform.c,
        transform.d * x + transform.e * y + transform.f,
    )


@lru_cache(maxsize=64)
def _between(source: str, target: str) -> Transformer:
    return Transformer.from_crs(CRS.from_wkt(source), CRS.from_wkt(target), always_xy=True)


def ground_px(place: Georeference) -> tuple[float, float]:
    """Return the length of a pixel down and across on the ground, in metres.

    The CRS's own metres where they are true to 2 % in the middle of the raster; else, and in
    degrees, measured on the ellipsoid there.
    """
    column, row = place.width / 2, place.height / 2
    columns = np.array([column, column + 1, column])
    rows = np.array([row, row, row + 1])
    lon, lat = transformer(place.crs, "lonlat").transform(*_applied(place.transform, columns, rows))
    geod = place.crs.get_geod() or Geod(ellps="WGS84")
    _, _, far = geod.inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])
    across, down = (float(value) for value in far)
    if place.crs.is_projected:
        unit = place.crs.axis_info[0].unit_conversion_factor
        own_across, own_down = (side * unit for side in pixel_size(place.transform))
        if max(abs(own_across / across - 1), abs(own_down / down - 1)) < _DISTORTED:
            return own_down, own_across
    return down, across


def date_in(name: str) -> str:
    """Return the last date that a file name holds, as `YYYY-MM-DD`; empty where there is none."""
    found = _DATE.findall(name)
    return "{}{}-{}-{}".format(*found[-1]) if found else ""


def checked_date(text: str) -> str:
    """Return a date as `YYYY-MM-DD`; empty stays empty.

    Raises:
        InputError: It is none.
    """
    if text and not (_DATE.fullmatch(text)):
        raise InputError(
            N_("{text!r} is no date."), hint=N_("Write it as 2020-08-31."), text=text[:40]
        )
    return date_in(text)


def _picture_bands(dataset: DatasetReader) -> list[int]:
    """Return all bands but an alpha one, which is a mask."""
    bands = [
        band for band, meaning in enumerate(dataset.colorinterp, 1) if meaning != ColorInterp.alpha
    ]
    if len({dataset.dtypes[band - 1] for band in bands}) != 1:
        raise RefusedFileError(
            N_("The bands of {name} are of different number types."),
            hint=N_("Choose bands of one type."),
            name=rasters.source_name(dataset.name),
        )
    return bands


def _same_grid(one: Georeference, other: Georeference) -> bool:
    return (
        one.crs == other.crs
        and one.transform.almost_equals(other.transform, precision=1e-9)
        and (one.width, one.height) == (other.width, other.height)
    )


def outline(place: Georeference, window: Window, crs: CRS) -> shapely.Polygon:
    """Return a window of a raster as a polygon in another CRS."""
    around = np.array([[0.0, 1, 1, 0], [0, 0, 1, 1]])
    x, y = _applied(
        place.transform,
        window.col_off + around[0] * window.width,
        window.row_off + around[1] * window.height,
    )
    if place.crs != crs:
        x, y = _between(place.crs.to_wkt(), crs.to_wkt()).transform(x, y)
    return shapely.Polygon(np.column_stack([x, y]))
