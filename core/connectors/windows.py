"""The part of a raster on a server that meets a study area, read piece by piece.

A piece is a group of the raster's own blocks, so that no block is asked for twice. Each finished
piece is a file of its own beside the target: whatever happens, what has come is kept, and the next
try goes on after it.
"""

import io
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import rasters, store
from core.cog import copy_cog, writing
from core.errors import ExtentError, StoreError, TooLargeError
from core.georeference import Georeference
from core.settings import settings
from core.text import N_
from core.workspace import crs_name

_PIECE_BYTES = 4 << 20
_BLOCK = 512
_HAIR_PX = 0.01
_MOST_BLOCKS = 4096
_VERSION = 1

OnShare = Callable[[float], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which part of which raster is fetched."""

    name: str
    place: Georeference
    """Of the part."""
    window: Window
    """The part, in pixels of the raster."""
    of_pixels: int
    """Pixels of the whole raster."""
    dtype: np.dtype[Any]
    count: int
    nodata: float | None
    has_mask: bool

    @property
    def num_bytes(self) -> int:
        """Unpacked."""
        planes = self.count + self.has_mask
        return self.place.width * self.place.height * planes * self.dtype.itemsize

    @property
    def is_whole(self) -> bool:
        return self.place.width * self.place.height == self.of_pixels


def cut_of(
    dataset: DatasetReader, boundary: shapely.Geometry, *, name: str, nodata: float | None = None
) -> Cut:
    """Return the part of an open raster that holds a boundary.

    Args:
        dataset: An open raster; only its header is read.
        boundary: The study area in degrees.
        name: What to call it in messages.
        nodata: The value of missing pixels, where the file names none.

    Raises:
        CrsError: It has no coordinate system or no place.
        ExtentError: It does not meet the boundary.
        TooLargeError: The part unpacks to more than the limit.
    """
    place = rasters.georeference(dataset, name=name)
    shape = place.in_pixels(boundary)
    shape = shapely.intersection(shape, shapely.box(0, 0, place.width, place.height))
    if shape.is_empty or shape.area == 0:
        raise ExtentError(N_("{name} and the study area do not meet."), name=name)
    left, top, right, bottom = shape.bounds
    # A hair's breadth over a line, from the way through degrees, is no pixel more.
    low, high = (
        np.floor([top + _HAIR_PX, left + _HAIR_PX]),
        np.ceil([bottom - _HAIR_PX, right - _HAIR_PX]),
    )
    ends = np.minimum(np.maximum(high, low + 1), [place.height, place.width])
    (top, left), (bottom, right) = low.astype(int).tolist(), ends.astype(int).tolist()
    window = Window.from_slices((top, bottom), (left, right))
    transform = place.transform @ rasterio.Affine.translation(window.col_off, window.row_off)
    flags = dataset.mask_flag_enums[0]
    declared = rasters.nodata_of(dataset, 1)
    dtype = np.result_type(*dataset.dtypes)
    cut = Cut(
        name=name,
        place=Georeference(place.crs, transform, int(window.width), int(window.height)),
        window=window,
        of_pixels=place.width * place.height,
        dtype=np.dtype(dtype),
        count=dataset.count,
        nodata=declared if declared is not None else nodata,
        has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
    )
    if cut.num_bytes > settings().raster_mb << 20:
        raise TooLargeError(
            N_(
                "The part of {name} in the study area unpacks to {size:.1f} GB; the limit is"
                " {most:.1f} GB."
            ),
            hint=N_("Choose a coarser image or a smaller study area."),
            name=name,
            size=cut.num_bytes / 1e9,
            most=(settings().raster_mb << 20) / 1e9,
        )
    return cut


def fetch_cut(
    dataset: DatasetReader,
    cut: Cut,
    folder: Path,
    *,
    version: str,
    on_share: OnShare,
    check: Callable[[], None],
    prefetch: Callable[[list[tuple[int, int]]], None] | None = None,
) -> None:
    """Read a part into pieces in `folder`; those that are there are not read again.

    Args:
        dataset: The open raster.
        cut: Which part.
        folder: Of the pieces; begun anew where it holds those of another version or part.
        version: What tells this version of the file from others.
        on_share: Told the share that is there.
        check: Called before and after each piece; raises to end the work.
        prefetch: Told which bytes of the file a piece is packed in, before it is read.

    Raises:
        RefusedFileError: The raster cannot be read to its end.
        TooLargeError: There is no room on the disk.
    """
    wanted = {
        "source": version,
        "window": [int(value) for value in cut.window.flatten()],
        "dtype": cut.dtype.name,
        "count": cut.count,
        "mask": cut.has_mask,
        "crs": crs_name(cut.place.crs),
    }
    _begin(folder, wanted)
    windows = list(pieces(cut, dataset.block_shapes[0]))
    for done, window in enumerate(windows):
        on_share(done / len(windows))
        path = folder / _piece_name(window)
        if _piece(path, window, cut) is not None:
            continue
        check()
        if prefetch is not None:
            prefetch(packed_in(dataset, window))
        values = dataset.read(window=window, out_dtype=cut.dtype)
        if cut.has_mask:
            mask = dataset.dataset_mask(window=window)
            values = np.concatenate([values, (mask[None] != 0).astype(cut.dtype)])
        check()
        packed = io.BytesIO()
        np.save(packed, values, allow_pickle=False)
        # Not saved straight to the file: NumPy hides why a write failed.
        with store.atomic_path(path) as tmp, tmp.open("wb") as file:
            file.write(packed.getbuffer())
    on_share(1.0)


def packed_in(dataset: DatasetReader, window: Window) -> list[tuple[int, int]]:
    """Return offset and length of the blocks of a GeoTIFF that hold a window, where it tells.

    Nothing where they are too many to be looked up one by one.
    """
    rows, columns = dataset.block_shapes[0]
    is_apart = dataset.profile.get("interleave") == "band" and dataset.count > 1
    num_blocks = (window.height // rows + 1) * (window.width // columns + 1)
    if num_blocks > _MOST_BLOCKS:
        return []
    spans = []
    for band in range(1, dataset.count + 1 if is_apart else 2):
        for row in range(int(window.row_off) // rows, _last(window.row_off, window.height, rows)):
            for column in range(
                int(window.col_off) // columns, _last(window.col_off, window.width, columns)
            ):
                place = f"{column}_{row}"
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
                if offset and length:
                    spans.append((int(offset), int(length)))
    return spans


def _last(first: float, length: float, block: int) -> int:
    """Return the number of the block after the last one that a span touches."""
    return math.ceil((first + length) / block)


def pieces(cut: Cut, block: tuple[int, int]) -> Iterator[Window]:
    """Cut a part into groups of whole blocks of the raster, each of about 4 MB unpacked."""
    rows, columns = block
    each = rows * columns * (cut.count + cut.has_mask) * cut.dtype.itemsize
    group = max(1, _PIECE_BYTES // each)
    # Blocks of one row follow one another in the file, so that one request brings them all.
    across = min(group, math.ceil(cut.place.width / columns) + 1)
    down = group // across
    left, top = int(cut.window.col_off), int(cut.window.row_off)
    right, bottom = left + cut.place.width, top + cut.place.height
    tall, wide = rows * down, columns * across
    for row in range(top // tall * tall, bottom, tall):
        for column in range(left // wide * wide, right, wide):
            yield Window.from_slices(
                (max(row, top), min(row + tall, bottom)),
                (max(column, left), min(column + wide, right)),
            )


def join(
    dataset: DatasetReader,
    cut: Cut,
    folder: Path,
    target: Path,
    *,
    is_cog: bool,
    should_stop: ShouldStop,
) -> None:
    """Write the pieces of `folder` as one GeoTIFF; `target` is a temporary name of the caller's.

    Args:
        dataset: The open raster: names and meaning of its bands are kept.
        cut: Which part.
        folder: Of the pieces, all of which are there.
        target: Written.
        is_cog: With overviews, as a Cloud-Optimized GeoTIFF.
        should_stop: Asked between pieces.

    Raises:
        TooLargeError: There is no room on the disk.
        StoreError: A piece has vanished.
    """
    raw = folder / "joined.tif" if is_cog else target
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": cut.place.width,
        "height": cut.place.height,
        "count": cut.count,
        "dtype": cut.dtype.name,
        "crs": cut.place.crs.to_wkt(),
        "transform": cut.place.transform,
        "nodata": cut.nodata,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "bigtiff": "if_safer",
        "interleave": "pixel",
    }
    if not is_cog:
        profile["compress"] = "deflate"
    inner_mask = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with (
        writing(cut.name),
        rasters.gdal_env(),
        inner_mask,
        rasterio.open(raw, "w", **profile) as out,  # noqa: TID251 (a new file of our own)
    ):
        _dress(out, dataset)
        for window in pieces(cut, dataset.block_shapes[0]):
            values = _piece(folder / _piece_name(window), window, cut)
            if values is None:
                raise StoreError(N_("A part of {name} has vanished."), name=cut.name)
            at = Window(
                window.col_off - cut.window.col_off,
                window.row_off - cut.window.row_off,
                window.width,
                window.height,
            )
            out.write(values[: cut.count], window=at)
            if cut.has_mask:
                out.write_mask(values[cut.count] != 0, window=at)
    if is_cog:
        num = cut.place.width * cut.place.height * cut.count
        with writing(cut.name):
            copy_cog(raw, target, "average", num=num, name=cut.name, should_stop=should_stop)
        raw.unlink()


def _dress(out: Any, dataset: DatasetReader) -> None:
    """Give a new file the meaning of the bands of an old one: colours, names, scales."""
    if ColorInterp.palette in dataset.colorinterp:
        out.write_colormap(1, dataset.colormap(1))
    else:
        out.colorinterp = dataset.colorinterp
    out.descriptions = dataset.descriptions
    if any(scale != 1 for scale in dataset.scales) or any(dataset.offsets):
        out.scales, out.offsets = dataset.scales, dataset.offsets


def _begin(folder: Path, wanted: dict[str, Any]) -> None:
    """Keep pieces of the same file and part, and delete any others."""
    about = folder / "pieces.json"
    try:
        if store.read_json(about, kind="fetched-pieces", version=_VERSION) == wanted:
            return
    except StoreError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    store.write_json(about, wanted, kind="fetched-pieces", version=_VERSION)


def _piece_name(window: Window) -> str:
    return f"{int(window.row_off)}-{int(window.col_off)}.npy"


def _piece(path: Path, window: Window, cut: Cut) -> NDArray[Any] | None:
    """Return a piece that is there and whole."""
    shape = (cut.count + cut.has_mask, int(window.height), int(window.width))
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == shape and values.dtype == cut.dtype else None
