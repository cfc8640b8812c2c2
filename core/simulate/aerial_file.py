"""Write a window of the aerial imagery as a Cloud-Optimized GeoTIFF, strip by strip."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from core import rasters, store
from core.cog import BLOCK, OnProgress, ShouldStop, copy_cog, new_tiff, stop_if, writing
from core.errors import InputError
from core.simulate.aerial import (
    BANDS,
    AerialSource,
    Bounds,
    Box,
    check_meets,
    snapped,
    transform_of,
)
from core.text import N_

TITLE = N_("Aerial image (simulated), 1 m")
_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
# The raw copy, and the finished file with its overviews: noise hardly compresses.
_BYTES_PX, _BYTES_PX_COVER = 4 * 2.4, 1.2


@dataclass(frozen=True, slots=True)
class _File:
    """One file in the making."""

    path: Path
    bands: int
    overviews: str


def write_aerial(
    source: AerialSource,
    bounds: Bounds,
    path: Path,
    *,
    cover_path: Path | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> list[Path]:
    """Write a window as a COG of four bands, and its land cover as another of one.

    The same window gives the same pixels as `aerial`, however large; memory is bounded by strips
    of 512 rows. A file is there when it is whole.

    Args:
        source: The city, and the sun over it.
        bounds: West, south, east, north in EPSG:32616, widened to whole metres.
        path: The file of the picture; one that is there is replaced.
        cover_path: The file of its land cover, if wanted.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked after each strip; True ends the work and leaves no file.

    Returns:
        The files.

    Raises:
        InputError: The bounds enclose nothing, or both files are one.
        ExtentError: They do not meet the city.
        TooLargeError: There is no room.
        StoppedError: `should_stop` said so.
    """
    box = snapped(bounds)
    check_meets(source.city, box)
    files = [_File(path, 4, "average")]
    if cover_path:
        if cover_path.resolve() == path.resolve():
            raise InputError(
                N_("Picture and land cover cannot both be written to {name}."),
                hint=N_("Name two files."),
                name=path.name,
            )
        files.append(_File(cover_path, 1, "mode"))
    num = (box[2] - box[0]) * (box[3] - box[1])
    needed = num * (_BYTES_PX + (_BYTES_PX_COVER if cover_path else 0.0))
    store.require_space(path.parent, int(needed), what=TITLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".aerial-") as scratch, writing(TITLE):
        raws = [Path(scratch) / f"{n}.tif" for n in range(len(files))]
        _write_raw(source, box, files, raws, on_progress, should_stop)
        for n, (file, raw) in enumerate(zip(files, raws, strict=True)):
            on_progress(0.8 + 0.2 * n / len(files), N_("Writing overviews"))
            with store.atomic_path(file.path) as tmp:
                copy_cog(raw, tmp, file.overviews, num=num, name=TITLE, should_stop=should_stop)
    on_progress(1.0, N_("Done"))
    return [file.path for file in files]


def _write_raw(
    source: AerialSource,
    box: Box,
    files: list[_File],
    raws: list[Path],
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    west, north = box[0], box[3]
    with rasters.gdal_env(), ExitStack() as stack:
        targets = [
            stack.enter_context(new_tiff(raw, _profile(source, box, file.bands)))
            for file, raw in zip(files, raws, strict=True)
        ]
        for target in targets:
            target.update_tags(**{key: str(value) for key, value in source.steps()[0].items()})
        targets[0].colorinterp = _COLOURS
        targets[0].descriptions = BANDS
        for part, share in _strips(box):
            stop_if(should_stop, TITLE)
            drawn = source.read(part)
            window = Window(part[0] - west, north - part[3], part[2] - part[0], part[3] - part[1])
            kinds: tuple[NDArray[np.uint8], ...] = (drawn.image, drawn.cover[None])
            for target, values in zip(targets, kinds, strict=False):
                target.write(values, window=window)
            on_progress(0.8 * share, N_("Drawing"))


def _strips(box: Box) -> Iterator[tuple[Box, float]]:
    """Return the parts of a box in rows of whole blocks, and the share that is done after each."""
    west, south, east, north = box
    wide = 8 * BLOCK
    for top in range(north, south, -BLOCK):
        bottom = max(top - BLOCK, south)
        for left in range(west, east, wide):
            right = min(left + wide, east)
            share = (north - top + (top - bottom) * (right - west) / (east - west)) / (
                north - south
            )
            yield (left, bottom, right, top), share


def _profile(source: AerialSource, box: Box, bands: int) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": box[2] - box[0],
        "height": box[3] - box[1],
        "count": bands,
        "dtype": "uint8",
        "crs": source.crs.to_wkt(),
        "transform": transform_of(box),
        "nodata": source.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }
    if bands == 4:
        # Else the fourth band would be taken for opacity.
        profile |= {"photometric": "RGB", "alpha": "NO", "interleave": "pixel"}
    return profile
