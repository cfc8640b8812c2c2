"""Draw a piece of a raster in web-mercator: sample its nearest pixels, colour them, pack a PNG.

A pixel of the picture shows the raster pixel that its centre falls into; nothing is interpolated.
Where the picture is coarser than the raster, the pixel is taken from an overview, the coarsest
one that is still about as fine as the picture, as GDAL chooses it.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import png, rasters
from core.errors import InputError
from core.georeference import Georeference
from core.legends import Legend
from core.ranges import widened
from core.text import N_

COLORMAPS: dict[str, str] = {
    "viridis": N_("Viridis (general)"),
    "cividis": N_("Cividis (projector)"),
    "inferno": N_("Inferno (temperature)"),
    "magma": N_("Magma"),
    "blues": N_("Blues"),
    "deep": N_("Deep (depth of water)"),
    "rdbu_r": N_("Blue to red, around a middle"),
    "balance": N_("Balance, around a middle"),
}
Scale = Literal["linear", "log"]

_NODES = 8
_CHECKS = 6
_TOLERANCE_PX = 1e-3
# GDAL takes an overview for nearest pixels up to 1.2 times coarser than asked for.
_OVERSAMPLING = 1.2
_MOST_WINDOW_PIXELS = 4 << 20
_MOST_IDLE = 32  # each holds a handle for every overview that was looked at
_SHADES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueStyle:
    """How a layer of values is coloured: `low` gets the first colour, `high` the last."""

    colormap: str
    low: float
    high: float
    scale: Scale = "linear"
    only: tuple[float, float] | None = None
    """Draw only values from the first to the second, both included; the others are transparent."""

    def __post_init__(self) -> None:
        if self.colormap not in COLORMAPS or self.scale not in ("linear", "log"):
            raise InputError(
                N_("There is no colour scale {name!r}."),
                hint=N_("There are: {known}."),
                name=f"{self.colormap} {self.scale}"[:40],
                known=", ".join(COLORMAPS),
            )
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                N_("The colours cannot run from {low} to {high}."), low=self.low, high=self.high
            )
        if self.scale == "log" and self.low <= 0:
            raise InputError(
                N_("A logarithmic scale cannot start at {low}."),
                hint=N_("Start above 0, or choose the linear scale."),
                low=self.low,
            )


Style = ValueStyle | Legend


class OpenRasters:
    """Rasters that stay open between two pictures, few enough; the least used is closed first.

    A GDAL handle serves one thread at a time: it is taken, used and given back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple[str, str], Levels]] = []
        """The one given back last is the last."""

    @contextmanager
    def taken(
        self, source: Path | str, digest: str, *, outside: bool = False
    ) -> Iterator["Levels"]:
        """Lend a raster with its overviews, opened now or earlier; closed after an error.

        Raises:
            InputError, RefusedFileError, CrsError: See `rasters.open_raster`.
        """
        key = (str(source), digest)
        with self._lock:
            at = next((i for i, (other, _) in enumerate(self._idle) if other == key), None)
            found = None if at is None else self._idle.pop(at)[1]
        levels = found or Levels(source, outside=outside)
        try:
            yield levels
        except BaseException:
            levels.close()
            raise
        with self._lock:
            self._idle.append((key, levels))
            closed = [self._idle.pop(0)[1] for _ in range(len(self._idle) - _MOST_IDLE)]
        for old in closed:
            old.close()


class Levels:
    """One raster with its overviews, each opened when first needed."""

    def __init__(self, source: Path | str, *, outside: bool = False) -> None:
        self._source = source
        self._outside = outside
        with rasters.gdal_env(source):
            full = rasters.open_dataset(source, outside=outside)
            self._open: dict[int | None, DatasetReader] = {None: full}
            self.place: Georeference = rasters.georeference(full)
            self._factors = full.overviews(1)

    def close(self) -> None:
        for dataset in self._open.values():
            dataset.close()

    def level(self, pixels_per_pixel: float) -> DatasetReader:
        """Return the raster or the overview to read at this many raster pixels a picture pixel."""
        fits = [
            rank
            for rank, factor in enumerate(self._factors)
            if factor <= pixels_per_pixel * _OVERSAMPLING
        ]
        rank = fits[-1] if fits else None
        if rank not in self._open:
            self._open[rank] = rasters.open_dataset(self._source, outside=self._outside, level=rank)
        return self._open[rank]

    def sample(
        self, bounds: tuple[float, float, float, float], shape: tuple[int, int]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
        """Read the nearest pixel under each pixel centre of a picture in web-mercator.

        Args:
            bounds: West, south, east, north in web-mercator metres.
            shape: Rows and columns of the picture.

        Returns:
            Values, and where they are valid, both of `shape`; None where the raster is nowhere in
            the picture.

        Raises:
            RefusedFileError: The file is damaged.
        """
        columns, rows = picture_pixels(self.place, bounds, shape)
        inside = _inside(columns, self.place.width) & _inside(rows, self.place.height)
        if not inside.any():
            return None
        with rasters.gdal_env(self._source), rasters.reading(rasters.source_name(self._source)):
            dataset = self.level(_coarseness(columns, rows, inside))
            if inside.all():
                return self._take(dataset, columns, rows)
            values = np.zeros(shape, dataset.dtypes[0])
            valid = np.zeros(shape, bool)
            values[inside], valid[inside] = self._take(dataset, columns[inside], rows[inside])
            return values, valid

    def _take(
        self, dataset: DatasetReader, columns: NDArray[np.float64], rows: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read the pixels at places inside the raster, from it or from one of its overviews."""
        across = _whole(columns, dataset.width / self.place.width, dataset.width)
        down = _whole(rows, dataset.height / self.place.height, dataset.height)
        left, top = int(across.min()), int(down.min())
        width, height = int(across.max()) - left + 1, int(down.max()) - top + 1
        across -= left
        down -= top
        shape = None
        if width * height > _MOST_WINDOW_PIXELS:  # a raster without the overviews it should have
            factor = math.sqrt(width * height / _MOST_WINDOW_PIXELS)
            shape = max(1, int(height / factor)), max(1, int(width / factor))
            across, down = across * shape[1] // width, down * shape[0] // height
        window = Window(left, top, width, height)
        values, valid = rasters.read(dataset, 1, window=window, shape=shape)
        flat = down * values.shape[1] + across
        return values.ravel()[flat], valid.ravel()[flat]


def _inside(places: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    return (places >= 0) & (places < count)


def _whole(places: NDArray[np.float64], scale: float, count: int) -> NDArray[np.int64]:
    """Return the pixel numbers of places inside; they are positive, so cutting is floor."""
    scaled = places if scale == 1 else places * scale
    return np.minimum(scaled.astype(np.int64), count - 1)


def _coarseness(
    columns: NDArray[np.float64], rows: NDArray[np.float64], inside: NDArray[np.bool_]
) -> float:
    """Return the side of a picture pixel in raster pixels, in the middle of what is shown."""
    height, width = inside.shape
    shown = np.flatnonzero(inside.ravel()) if not inside[height // 2, width // 2] else None
    middle = height // 2 * width + width // 2 if shown is None else int(shown[len(shown) // 2])
    row, column = min(middle // width, height - 2), min(middle % width, width - 2)
    across, down = (
        complex(columns[there] - columns[row, column], rows[there] - rows[row, column])
        for there in ((row, column + 1), (row + 1, column))
    )
    area = abs((across.conjugate() * down).imag)
    return math.sqrt(area) if math.isfinite(area) else 1.0


def picture_pixels(
    place: Georeference, bounds: tuple[float, float, float, float], shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the raster column and row of each pixel centre of a picture in web-mercator.

    The map projection is computed at 8 × 8 Chebyshev points and carried to all pixels by the
    polynomial through them, checked at 36 other points; where it is off by more than a thousandth
    of a raster pixel, and where the projection has no value, every centre is computed.

    Returns:
        Columns and rows, each of `shape`; infinite where the raster's CRS cannot show the point.
    """
    west, south, east, north = bounds

    def exact(
        right: NDArray[np.float64], down: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, y = np.meshgrid(west + (east - west) * right, north + (south - north) * down)
        columns, rows = place.to_pixels(x.ravel(), y.ravel(), frame="mercator")
        return columns.reshape(x.shape), rows.reshape(x.shape)

    checks = np.linspace(0, 1, _CHECKS)
    nodes = _nodes()
    at_nodes, at_checks = exact(nodes, nodes), exact(checks, checks)
    if np.isfinite(at_nodes).all() and np.isfinite(at_checks).all():
        carry = _carry(_CHECKS, centres=False)
        off = max(
            float(np.abs(_carried(found, carry, carry) - true).max())
            for found, true in zip(at_nodes, at_checks, strict=True)
        )
        if off <= _TOLERANCE_PX:
            down, right = _carry(shape[0], centres=True), _carry(shape[1], centres=True)
            columns, rows = (_carried(found, down, right) for found in at_nodes)
            return columns, rows
    return exact((np.arange(shape[1]) + 0.5) / shape[1], (np.arange(shape[0]) + 0.5) / shape[0])


def _carried(
    found: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Carry values at the nodes to all places: `down @ found @ right.T`, without BLAS.

    Its threads wait for one another longer than so small a product takes: 28 ms on busy cores.
    """
    carried: NDArray[np.float64] = np.einsum(
        "ik,jk->ij", np.einsum("ij,jk->ik", down, found), right
    )
    return carried


@lru_cache(maxsize=1)
def _nodes() -> NDArray[np.float64]:
    """Chebyshev points of the second kind on [0, 1]."""
    return (1 - np.cos(np.pi * np.arange(_NODES) / (_NODES - 1))) / 2


@lru_cache(maxsize=64)
def _carry(count: int, *, centres: bool) -> NDArray[np.float64]:
    """Return the matrix (count, nodes) from values at the nodes to `count` even places on [0, 1].

    Barycentric interpolation, Berrut and Trefethen (2004), doi:10.1137/S0036144502417715.
    """
    places = (np.arange(count) + 0.5) / count if centres else np.linspace(0, 1, count)
    weights = (-1.0) ** np.arange(_NODES)
    weights[[0, -1]] /= 2
    gaps = places[:, None] - _nodes()[None, :]
    on_node = np.abs(gaps) < 1e-15
    parts = weights / np.where(on_node, 1, gaps)
    matrix: NDArray[np.float64] = parts / parts.sum(axis=1, keepdims=True)
    hit = on_node.any(axis=1)
    matrix[hit] = on_node[hit]
    return matrix


def colour_numbers(
    values: NDArray[Any], valid: NDArray[np.bool_], style: Style
) -> NDArray[np.uint8]:
    """Return the palette number of each pixel: 0 where missing, 1 for the first colour or class.

    Codes that the legend does not name are 0 too.
    """
    if isinstance(style, ValueStyle):
        if style.only is not None:
            valid = valid & (values >= style.only[0]) & (values <= style.only[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = values.astype(np.float64)
            if style.scale == "log":
                shares = np.log(np.maximum(shares, style.low) / style.low)
                shares /= math.log(style.high / style.low)
            else:
                shares -= style.low
                shares /= style.high - style.low
            numbers = np.clip(shares, 0, 1) * (_SHADES - 1e-6)
        return np.where(valid, np.nan_to_num(numbers) + 1, 0).astype(np.uint8)
    codes = np.array([entry.code for entry in style[:_SHADES]], np.int64)
    order = np.argsort(codes)
    if values.dtype == np.uint8:
        table = np.zeros(256, np.uint8)
        known = (codes >= 0) & (codes < 256)
        table[codes[known]] = np.flatnonzero(known) + 1
        return np.where(valid, table[values], 0).astype(np.uint8)
    if not len(codes):
        return np.zeros(values.shape, np.uint8)
    place = np.minimum(np.searchsorted(codes[order], values), len(codes) - 1)
    named = valid & (codes[order][place] == values)
    return np.where(named, order[place] + 1, 0).astype(np.uint8)


def palette(style: Style) -> NDArray[np.uint8]:
    """Return the colours (n, 4) as red, green, blue, alpha; number 0 is transparent."""
    if isinstance(style, ValueStyle):
        return _colormap_palette(style.colormap)
    colours = [(0, 0, 0, 0)]
    for entry in style[:_SHADES]:
        rgb = (int(entry.colour[i : i + 2] or "0", 16) for i in (1, 3, 5))
        colours.append((*rgb, 255 if entry.colour else 0))  # type: ignore[arg-type]
    return np.array(colours, np.uint8)


@lru_cache(maxsize=32)
def _colormap_palette(colormap: str) -> NDArray[np.uint8]:
    from rio_tiler.colormap import cmap  # half a second to import: not at start-up

    table = cmap.get(colormap)
    ranks = np.round(np.linspace(0, 255, _SHADES)).astype(int)
    return np.array([(0, 0, 0, 0), *(table[int(rank)] for rank in ranks)], np.uint8)


def colormap_stops(colormap: str, num: int = 9) -> tuple[str, ...]:
    """Return `num` even colours of a colormap as `#RRGGBB`, for a legend.

    Raises:
        InputError: There is no such colormap.
    """
    colours = palette(ValueStyle(colormap=colormap, low=0, high=1))[1:]
    ranks = np.round(np.linspace(0, _SHADES - 1, num)).astype(int)
    return tuple("#" + "".join(f"{part:02X}" for part in colours[rank, :3]) for rank in ranks)


def render(
    levels: Levels,
    bounds: tuple[float, float, float, float],
    shape: tuple[int, int],
    style: Style,
) -> bytes:
    """Draw a piece of a raster as PNG; transparent where it is missing.

    Args:
        levels: The raster.
        bounds: West, south, east, north in web-mercator metres.
        shape: Rows and columns of the picture.
        style: Colours.

    Raises:
        RefusedFileError: The file is damaged.
    """
    found = levels.sample(bounds, shape)
    if found is None:
        return blank(shape)
    return png.indexed(colour_numbers(*found, style), palette(style))


@lru_cache(maxsize=16)
def blank(shape: tuple[int, int]) -> bytes:
    """Return a transparent PNG."""
    return png.indexed(np.zeros(shape, np.uint8), np.zeros((1, 4), np.uint8))


def picture_of(
    picture: "np.ma.MaskedArray[Any, Any]", *, legend: Legend = (), colormap: str = "viridis"
) -> bytes:
    """Draw an array of at most a few hundred rows and columns as PNG, as it lies in its file.

    Classes take the colours of `legend`; without one, values run in `colormap` from their 2nd
    to their 98th percentile. Missing is transparent.
    """
    valid = ~np.ma.getmaskarray(picture)
    style: Style = legend
    if not legend:
        known = picture.data[valid].astype(np.float64)
        low, high = np.percentile(known, [2, 98]) if known.size else (0.0, 1.0)
        low, high = widened(float(low), float(high))
        style = ValueStyle(colormap=colormap, low=low, high=high)
    return png.indexed(colour_numbers(picture.data, valid, style), palette(style))
