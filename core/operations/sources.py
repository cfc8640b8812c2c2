"""The rasters that operations read: layers of the area, or files."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from core import prepare, rasters, store
from core.cog import Pixels
from core.errors import InputError
from core.georeference import Georeference, is_rotated, pixel_size
from core.prepare import About
from core.text import N_
from core.workspace import Area, Layer, Workspace, crs_name

Method = Literal["nearest", "bilinear", "average", "mode"]
Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_]]]
"""Values of a window, and True where they are valid."""

_OFF_GRID_PX = 0.01
_WARP_MB = 64
_WARP_ERROR_PX = 0.001


@dataclass(frozen=True, slots=True)
class Source:
    """A raster on disk; `layer` is None for a file that is none of the area's layers."""

    name: str
    path: Path
    layer: Layer | None

    @property
    def facts(self) -> dict[str, Any]:
        """What the provenance keeps of it, but for the digest of its bytes."""
        if self.layer is None:
            return {"name": self.name, "bytes": self.path.stat().st_size}
        return {"name": self.layer.title, "layer": self.layer.id, "steps": list(self.layer.steps)}

    def digest(self) -> str:
        """Return the SHA-256 of the file as it is now."""
        return store.file_digest(self.path)


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that is open: its pixels, and its dataset for warping."""

    source: Source
    dataset: DatasetReader
    pixels: Pixels

    @property
    def place(self) -> Georeference:
        return self.pixels.place

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the values of a window of the source's own pixels, and where they are valid."""
        values, valid = self.pixels.read(window)
        kept = rasters.is_value(values, self.pixels.nodata)
        return values, kept if valid is None else kept & valid


def find_source(workspace: Workspace, area: Area, text: str) -> Source:
    """Return the layer of that id, or else the raster file of that path.

    Raises:
        InputError: There is neither, or the layer is only an address.
    """
    layer = next((layer for layer in area.layers if layer.id == text), None)
    if layer is None:
        path = Path(text)
        if not path.suffix and not path.exists():
            area.layer(text)  # says which layers there are
        return Source(path.name, path, None)
    if layer.url:
        raise InputError(
            N_("Layer {layer} stays on a server; only its picture is read."),
            hint=N_("Download the file and bring it in first."),
            layer=layer.title,
        )
    return Source(layer.title, workspace.layer_path(area.id, layer), layer)


@contextmanager
def opened(source: Source) -> Iterator[Opened]:
    """Open a source; of a file with several bands the first is meant.

    Raises:
        InputError, RefusedFileError, CrsError: See `rasters.open_raster` and `georeference`.
    """
    with rasters.open_raster(source.path) as dataset:
        rasters.check_whole(dataset)
        pixels = prepare.from_dataset(dataset, 1, name=source.name)
        yield Opened(source, dataset, pixels)


def about_like(source: Source, layer_id: str, title: str = "") -> About:
    """Describe a new layer as its source is described, or guess from a file."""
    if source.layer is not None:
        old = source.layer
        return About(
            layer_id=layer_id,
            title=title or old.title,
            kind=old.kind,
            role=old.role,
            season=old.season,
            unit=old.unit,
            colormap=old.colormap,
            legend=old.legend,
        )
    from core import raster_info

    guess = raster_info.guess(raster_info.inspect(source.path), source.path)
    return About(
        layer_id=layer_id,
        title=title or guess.title,
        kind=guess.kind,
        role=guess.role,
        season=guess.season,
        unit=guess.unit,
        colormap=guess.colormap,
        legend=guess.legend,
    )


def offset(place: Georeference, target: Georeference) -> tuple[int, int] | None:
    """Return the column and row of `target` at which `place` begins, if their pixels coincide."""
    if place.crs != target.crs and crs_name(place.crs) != crs_name(target.crs):
        return None
    found = ~target.transform @ place.transform
    column, row = round(found.c), round(found.f)
    drift = max(
        abs(found.a - 1) * place.width,
        abs(found.d) * place.width,
        abs(found.b) * place.height,
        abs(found.e - 1) * place.height,
        abs(found.c - column),
        abs(found.f - row),
    )
    return (column, row) if drift < _OFF_GRID_PX else None


@contextmanager
def on_grid(opened: Opened, target: Georeference, method: Method) -> Iterator[Read]:
    """Yield a reader of a source on another grid; pixels that coincide are copied exactly."""
    place = offset(opened.place, target)
    if place is not None:
        yield lambda window: _shifted(opened, window, place)
        return
    pixels = opened.pixels
    # GDAL would widen the bilinear kernel by a scale that it guesses anew for each block.
    kernel = {"XSCALE": 1, "YSCALE": 1} if method == "bilinear" else {}
    with WarpedVRT(
        opened.dataset,
        crs=target.crs.to_wkt(),
        transform=target.transform,
        width=target.width,
        height=target.height,
        resampling=Resampling[method],
        src_nodata=pixels.nodata if not pixels.has_mask else None,
        add_alpha=True,  # tells what is missing also where no value is left to mean it
        warp_mem_limit=_WARP_MB,
        tolerance=_WARP_ERROR_PX,
        **kernel,
    ) as warped:

        def read(window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            with rasters.reading(opened.source.name):
                values = warped.read(1, window=window)
                valid = warped.read(warped.count, window=window) != 0
            return values, valid & rasters.is_value(values, None)

        yield read


def _shifted(
    opened: Opened, window: Window, place: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read a window of the target from a source that begins at column and row `place` of it."""
    column, row = place
    left, top = int(window.col_off) - column, int(window.row_off) - row
    right, bottom = left + int(window.width), top + int(window.height)
    own = (
        max(left, 0),
        max(top, 0),
        min(right, opened.place.width),
        min(bottom, opened.place.height),
    )
    shape = (int(window.height), int(window.width))
    if own[0] >= own[2] or own[1] >= own[3]:
        return np.zeros(shape, opened.pixels.dtype), np.zeros(shape, np.bool_)
    values, valid = opened.read(Window(own[0], own[1], own[2] - own[0], own[3] - own[1]))
    if values.shape == shape:
        return values, valid
    part = np.s_[own[1] - top : own[3] - top, own[0] - left : own[2] - left]
    whole = np.zeros(shape, opened.pixels.dtype)
    found = np.zeros(shape, np.bool_)
    whole[part], found[part] = values, valid
    return whole, found


def outline(place: Georeference, points: int = 33) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return x and y of points along a raster's edges and inside it, in its own CRS."""
    columns, rows = np.meshgrid(
        np.linspace(0, place.width, points), np.linspace(0, place.height, points)
    )
    return points_of(place, columns.ravel(), rows.ravel())


def points_of(
    place: Georeference, columns: NDArray[Any], rows: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return x and y, in the raster's own CRS, of points in columns and rows."""
    x, y = place.transform @ tuple(np.array([columns, rows]))
    return np.asarray(x), np.asarray(y)


def north_up(
    crs: Any, bounds: tuple[float, float, float, float], side: tuple[float, float]
) -> Georeference:
    """Return a grid whose lines lie at multiples of the pixel's sides and that holds `bounds`."""
    across, down = side
    west, south, east, north = bounds
    # A hair's breadth over a line, from rounding, is no pixel more.
    left, right = math.floor(west / across + _OFF_GRID_PX), math.ceil(east / across - _OFF_GRID_PX)
    low, high = math.floor(south / down + _OFF_GRID_PX), math.ceil(north / down - _OFF_GRID_PX)
    transform = Affine(across, 0, left * across, 0, -down, high * down)
    return Georeference(crs, transform, max(1, right - left), max(1, high - low))


def extended(place: Georeference, bounds: tuple[float, float, float, float]) -> Georeference:
    """Return a north-up grid that continues the lines of `place` and holds `bounds`."""
    across, down = pixel_size(place.transform)
    west, south, east, north = bounds
    left = math.floor((west - place.transform.c) / across + _OFF_GRID_PX)
    top = math.floor((place.transform.f - north) / down + _OFF_GRID_PX)
    right = math.ceil((east - place.transform.c) / across - _OFF_GRID_PX)
    bottom = math.ceil((place.transform.f - south) / down - _OFF_GRID_PX)
    return replace(
        place,
        transform=place.transform @ Affine.translation(left, top),
        width=max(1, right - left),
        height=max(1, bottom - top),
    )


def is_north_up(place: Georeference) -> bool:
    """Tell whether rows run west to east and from north to south."""
    return not is_rotated(place.transform) and place.transform.a > 0 > place.transform.e


def steps_before(source: Source) -> list[dict[str, Any]]:
    """Return what was done to the only source of a new layer, to stand before what is done now."""
    return [step for step in (source.layer.steps if source.layer else ()) if step["step"] != "cog"]
