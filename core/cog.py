"""Write one band of pixels as a Cloud-Optimized GeoTIFF, block by block, counting on the way."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from core import rasters
from core.errors import CrsError, StoppedError, TooLargeError
from core.georeference import Georeference, Inside, transformer
from core.settings import settings
from core.summaries import Tally
from core.text import N_
from core.workspace import Kind, Summary

BLOCK = 512
_CHUNK_BYTES = 16 << 20
_OWN_PROCESS_PIXELS = 25_000_000  # about a second; another process takes a third to begin
_PLACE_TOLERANCE_PX = 0.01
_COPY = """
import json, sys, rasterio, rasterio.shutil
source, target, env, options = sys.argv[1:]
with rasterio.Env(**json.loads(env)):
    rasterio.shutil.copy(source, target, driver="COG", **json.loads(options))
"""

OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """One band of pixels on their way in: from a file, from memory, or computed as they pass."""

    name: str
    place: Georeference
    dtype: np.dtype[Any]
    nodata: float | None
    has_mask: bool
    """Missing pixels are told by a mask only, so that the mask has to be kept."""
    read: Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_] | None]]
    """Values of a window, and where they are valid (None: wherever they are values)."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    tell: Callable[[], list[dict[str, Any]]] = list
    """Steps that are known only once every window has been read."""

    @property
    def num(self) -> int:
        return self.place.width * self.place.height


@dataclass(frozen=True, slots=True)
class Written:
    """A finished file, the figures of its pixels that count, and every class code in it."""

    path: Path
    summary: Summary
    codes: tuple[int, ...]


def write_cog(
    pixels: Pixels,
    kind: Kind,
    folder: Path,
    inside: Inside,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Written:
    """Write a COG into `folder`; `inside` tells which pixels the summary is of.

    Blocks of 512 pixels, DEFLATE; overviews by the commonest class for classes, by the average of
    valid pixels for values. Missing pixels, NaN and infinity included, get the nodata value or
    stay under the mask. `on_progress` goes from 0 to 0.95.

    Raises:
        TooLargeError: There is no room.
        CrsError: A GeoTIFF cannot hold the CRS.
        StoppedError: `should_stop` said so; asked after each block.
        InputError: A class raster holds fractions or too many codes.
    """
    raw, cog = folder / "raw.tif", folder / "layer.tif"
    with writing(pixels.name):
        summary, codes = _copy_raw(pixels, kind, raw, inside, on_progress, should_stop)
        on_progress(0.5, N_("Writing overviews"))
        overviews = "mode" if kind == "classes" else "average"
        copy_cog(raw, cog, overviews, num=pixels.num, name=pixels.name, should_stop=should_stop)
        raw.unlink()
    _check_written(cog, pixels)
    pixels.steps.extend(pixels.tell())
    pixels.steps.append({"step": "cog", "block": BLOCK, "overviews": overviews})
    on_progress(0.95, N_("Computing the digest"))
    return Written(cog, summary, codes)


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn a failed write into an error that names the disk."""
    try:
        yield
    except (RasterioError, OSError) as err:
        raise TooLargeError(
            N_("{name} could not be written: {reason}."),
            hint=N_("Nothing was changed. Check that the disk of the workspace has room."),
            name=name,
            reason=str(err)[:200],
        ) from err


def _copy_raw(
    pixels: Pixels,
    kind: Kind,
    raw: Path,
    inside: Inside,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> tuple[Summary, tuple[int, ...]]:
    """Copy the band block by block, missing pixels made alike, and count on the way.

    Returns the figures of the pixels inside, and every class code of the raster.
    """
    tally = Tally(kind, pixels.dtype, num_pixels=pixels.num, name=pixels.name)
    whole = Tally(kind, pixels.dtype, num_pixels=pixels.num, name=pixels.name)
    place = pixels.place
    profile = {
        "driver": "GTiff",
        "width": place.width,
        "height": place.height,
        "count": 1,
        "dtype": pixels.dtype.name,
        "crs": place.crs.to_wkt(),
        "transform": place.transform,
        "nodata": pixels.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }
    done = infinite = 0
    inner_mask = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with rasters.gdal_env(), inner_mask, new_tiff(raw, profile) as target:
        for window in _chunks(place.height, place.width, pixels.dtype.itemsize):
            stop_if(should_stop, pixels.name)
            values, valid = pixels.read(window)
            if pixels.dtype.kind == "f":
                infinite += int(np.count_nonzero(np.isinf(values)))
            values, valid = _alike(values, valid, pixels.nodata)
            tally.add(values, valid, inside(window))
            if kind == "classes":
                whole.add(values, valid)
            target.write(values, 1, window=window)
            if pixels.has_mask:
                target.write_mask(
                    np.ones(values.shape, bool) if valid is None else valid, window=window
                )
            done += values.size
            on_progress(0.5 * done / pixels.num, N_("Copying"))
    if infinite:
        pixels.steps.append({"step": "infinite to missing", "pixels": infinite})
    return tally.summary(), tuple(code for code, _ in whole.summary().counts)


def new_tiff(path: Path, profile: dict[str, Any]) -> Any:
    """Open a file that is not there yet for writing."""
    return rasterio.open(path, "w", **profile)  # noqa: TID251 (a new file of our own)


def _alike(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, nodata: float | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Give every missing pixel the nodata value, if there is one; `valid` None means all."""
    kept = rasters.is_value(values, nodata)
    if valid is not None:
        kept &= valid
    if kept.all():
        return values, None
    if nodata is not None and (valid is not None or values.dtype.kind == "f"):
        values = np.where(kept, values, values.dtype.type(nodata))
    return values, kept


def _chunks(height: int, width: int, itemsize: int) -> Iterator[Window]:
    """Cut a raster into windows of whole blocks, each within a bounded number of bytes."""
    across = max(BLOCK, _CHUNK_BYTES // (BLOCK * itemsize) // BLOCK * BLOCK)
    for top in range(0, height, BLOCK):
        for left in range(0, width, across):
            yield Window(left, top, min(across, width - left), min(BLOCK, height - top))


def copy_cog(
    raw: Path, cog: Path, overviews: str, *, num: int, name: str, should_stop: ShouldStop
) -> None:
    """Turn a raw copy of `num` pixels into a COG.

    A large one in a process of its own, which can be stopped.

    Raises:
        RasterioError, OSError: It could not be written.
        StoppedError: `should_stop` said so.
    """
    options = {
        "COMPRESS": "DEFLATE",
        "LEVEL": "1",
        "PREDICTOR": "YES",
        "BLOCKSIZE": str(BLOCK),
        "OVERVIEW_RESAMPLING": overviews.upper(),
        "NUM_THREADS": str(settings().threads),
        "BIGTIFF": "IF_SAFER",
    }
    env = rasters.gdal_env()
    if num < _OWN_PROCESS_PIXELS:
        with env:
            rasterio.shutil.copy(raw, cog, driver="COG", **options)
        return
    command = [sys.executable, "-c", _COPY, str(raw), str(cog), json.dumps(env.options)]
    with subprocess.Popen(
        [*command, json.dumps(options)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while process.poll() is None:
                stop_if(should_stop, name)
                time.sleep(0.1)
        finally:
            process.kill()
        if process.returncode:
            said = process.stderr.read() if process.stderr else ""
            raise OSError(said.strip().rsplit("\n", 1)[-1])


def _check_written(cog: Path, pixels: Pixels) -> None:
    """Open the finished file once: whole, and in the place where its source was."""
    with rasters.open_raster(cog) as dataset:
        rasters.check_whole(dataset)
        found = rasters.georeference(dataset)
    corners = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    corners *= [[pixels.place.width], [pixels.place.height]]
    x, y = pixels.place.transform @ tuple(corners)
    lon, lat = transformer(pixels.place.crs, "lonlat").transform(x, y)
    columns, rows = found.to_pixels(np.asarray(lon), np.asarray(lat), frame="lonlat")
    shown = np.isfinite(lon) & np.isfinite(columns)
    turned = found.crs.is_geographic  # a whole turn of longitude is the same place
    off = np.abs(np.stack([columns * (not turned), rows]) - corners * [[not turned], [1]])
    if (off[:, shown] > _PLACE_TOLERANCE_PX).any():
        raise CrsError(
            N_("The coordinate system of {name} cannot be kept in a GeoTIFF."),
            hint=N_("Reproject it first, to a UTM zone for example."),
            name=pixels.name,
        )


def stop_if(should_stop: ShouldStop, name: str) -> None:
    """Raise StoppedError if the user wants the work to end."""
    if should_stop():
        raise StoppedError(N_("Stopped. {name} was not brought in."), name=name)
