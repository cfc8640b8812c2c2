"""Bring rasters into a study area as Cloud-Optimized GeoTIFF.

Pixels keep their type, their CRS and their place: nothing is resampled but the overviews, by the
commonest class for classes and by the average for values. Files stream through in blocks; what is
being made lies in the area's scratch folder and counts only once it is whole.
"""

import http.client
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import raster_info, rasters, store
from core.errors import (
    CrsError,
    ExtentError,
    InputError,
    RefusedFileError,
    StoppedError,
    StoreError,
    TooLargeError,
)
from core.georeference import (
    Georeference,
    Inside,
    inside_boundary,
    lonlat_bounds,
    transformer,
)
from core.legends import Legend, numbered_legend
from core.settings import settings
from core.summaries import Tally
from core.text import N_
from core.workspace import (
    Area,
    Kind,
    Layer,
    Role,
    Season,
    Summary,
    Workspace,
    checked_title,
    crs_name,
    now,
)

BLOCK = 512
_CHUNK_BYTES = 16 << 20
_OWN_PROCESS_PIXELS = 100_000_000
_REMOTE_PX = 1024
_SECONDS_OUTSIDE = 20
_PLACE_TOLERANCE_PX = 0.01
_COPY = """
import json, sys, rasterio, rasterio.shutil
source, target, env, options = sys.argv[1:]
with rasterio.Env(**json.loads(env)):
    rasterio.shutil.copy(source, target, driver="COG", **json.loads(options))
"""

OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]


def no_progress(share: float, text: str) -> None:
    """Report nothing."""


def never() -> bool:
    """Do not stop."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is said of a layer by whoever brings it in."""

    layer_id: str
    title: str
    kind: Kind
    role: Role = "cause"
    season: Season | None = None
    unit: str = ""
    colormap: str = "viridis"
    legend: Legend = ()

    def __post_init__(self) -> None:
        store.checked_id(self.layer_id, what=N_("layer"))
        checked_title(self.title)


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


def add_raster(
    workspace: Workspace,
    area_id: str,
    source: Path,
    about: About,
    *,
    band: int = 1,
    crs: str | None = None,
    nodata: float | None = None,
    source_name: str | None = None,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> Area:
    """Add one band of a raster file to an area, or replace the layer of the same id.

    Args:
        workspace: Where the area is.
        area_id: The area.
        source: GeoTIFF or ERDAS Imagine.
        about: What the layer is.
        band: Counted from 1.
        crs: The CRS of a file that has none; never overrides one.
        nodata: A value that means missing, where the file does not say so.
        source_name: The name to remember, where `source` is an upload's temporary file.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked after each block; True ends the work and changes nothing.

    Raises:
        InputError: The file, band, nodata or kind does not fit.
        RefusedFileError: See `rasters.open_raster`.
        CrsError: The file has no CRS and none is given.
        ExtentError: The raster and the area do not meet.
        TooLargeError: The raster is above the limit, or there is no room on the disk.
        StoppedError: `should_stop` said so.
    """
    name = source_name or rasters.source_name(source)
    with rasters.open_raster(source) as dataset:
        rasters.check_whole(dataset)
        rasters.check_band(dataset, band)
        pixels = from_dataset(dataset, band, crs=crs, nodata=nodata, name=name)
        origin = {
            "name": name,
            "bytes": source.stat().st_size,
            "driver": dataset.driver,
            "crs": crs_name(pixels.place.crs),
            "band": band,
            "added": now(),
        }
        check_fits(workspace, area_id, pixels)
        origin["sha256"] = store.file_digest(source)
        return _add(workspace, area_id, pixels, about, origin, on_progress, should_stop)


def add_array(
    workspace: Workspace,
    area_id: str,
    values: NDArray[Any],
    about: About,
    *,
    transform: Affine,
    crs: str,
    nodata: float | None = None,
    origin: dict[str, Any],
    steps: Sequence[dict[str, Any]] = (),
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> Area:
    """Add a raster that was drawn in memory.

    Args:
        workspace: Where the area is.
        area_id: The area.
        values: Pixels (rows, columns), first row in the north.
        about: What the layer is.
        transform: From (column, row) to the CRS.
        crs: `EPSG:…` or WKT.
        nodata: The value that means missing.
        origin: Where it comes from, kept as the layer's source.
        steps: How it was made, kept as the first steps of its history.
        on_progress: See `add_raster`.
        should_stop: See `add_raster`.

    Raises:
        InputError, ExtentError, TooLargeError, StoppedError: See `add_raster`.
    """
    rows, columns = values.shape
    pixels = Pixels(
        name=about.title,
        place=Georeference(_parsed_crs(crs), transform, columns, rows),
        dtype=values.dtype,
        nodata=_missing_value(values.dtype, nodata, about.title),
        has_mask=False,
        read=lambda window: (values[window.toslices()], None),
        steps=list(steps),
    )
    check_fits(workspace, area_id, pixels)
    return _add(
        workspace, area_id, pixels, about, {**origin, "added": now()}, on_progress, should_stop
    )


def add_made(
    workspace: Workspace,
    area_id: str,
    pixels: Pixels,
    about: About,
    *,
    origin: dict[str, Any],
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> Area:
    """Add a raster that is computed window by window, each asked for once, north to south.

    Args:
        workspace: Where the area is.
        area_id: The area.
        pixels: The raster.
        about: What the layer is.
        origin: What it was made from, kept as the layer's source.
        on_progress: See `add_raster`.
        should_stop: See `add_raster`.

    Raises:
        InputError, ExtentError, TooLargeError, StoppedError: See `add_raster`.
    """
    check_fits(workspace, area_id, pixels)
    return _add(
        workspace, area_id, pixels, about, {**origin, "added": now()}, on_progress, should_stop
    )


def add_remote(workspace: Workspace, area_id: str, url: str, about: About) -> Area:
    """Add a Cloud-Optimized GeoTIFF that stays where it is: a layer with an address and no file.

    Its figures come from a picture of at most 1024 × 1024 pixels. The digest covers the address
    and what the server says of the file's version.

    Raises:
        RefusedFileError: The address may not be opened or does not answer as a raster.
        InputError, CrsError, ExtentError: See `add_raster`.
    """
    validators = _validators(url)
    with rasters.open_raster(url, outside=True) as dataset:
        pixels = from_dataset(dataset, 1, crs=None, nodata=None, name=rasters.source_name(url))
        _check_meets(workspace, area_id, pixels)
        values, valid = raster_info.picture(dataset, 1, _REMOTE_PX)
    tally = Tally(about.kind, pixels.dtype, num_pixels=values.size, name=pixels.name)
    reduced = pixels.place.scaled(*values.shape)
    inside = inside_boundary(reduced, boundary_lonlat(workspace, area_id))
    _count(tally, values, valid, inside(Window(0, 0, reduced.width, reduced.height)))
    origin = {
        "name": pixels.name,
        "url": url,
        "crs": crs_name(pixels.place.crs),
        "added": now(),
        **validators,
    }
    summary = replace(tally.summary(), exact=False)
    codes = tuple(int(code) for code in np.unique(values[valid])) if about.kind == "classes" else ()
    layer = _layer(about, summary, codes, origin, [])
    digest = sha256(json.dumps([url, validators], sort_keys=True).encode()).hexdigest()
    return workspace.put_layer(area_id, replace(layer, url=url, digest=digest), None)


def verify(workspace: Workspace, area_id: str, layer_id: str) -> None:
    """Read a layer's file through and compare it with its digest.

    Raises:
        InputError: There is no such area or layer.
        StoreError: The file is gone, or its bytes are not those that were written.
    """
    layer = workspace.area(area_id).layer(layer_id)
    if not layer.file:
        return
    path = workspace.layer_path(area_id, layer)
    if not path.is_file() or store.file_digest(path) != layer.digest:
        raise StoreError(
            N_("The file of layer {layer} has changed since it was written, or is gone."),
            hint=N_("Bring the layer in again; the other layers are not touched."),
            layer=layer.title,
        )


def from_dataset(
    dataset: DatasetReader,
    band: int,
    *,
    name: str,
    crs: str | None = None,
    nodata: float | None = None,
) -> Pixels:
    """Return one band of an open raster; for `crs` and `nodata` see `add_raster`.

    Raises:
        CrsError: The raster has no CRS and none is given.
        InputError: No pixel can have the value `nodata`.
    """
    steps: list[dict[str, Any]] = []
    own = rasters.dataset_crs(dataset)
    if own is None and crs is not None:
        place = Georeference(_parsed_crs(crs), dataset.transform, dataset.width, dataset.height)
        steps.append({"step": "crs", "given": crs_name(place.crs)})
    else:
        place = rasters.georeference(dataset)
    dtype = np.dtype(dataset.dtypes[band - 1])
    declared = rasters.nodata_of(dataset, band)
    if nodata is not None:
        steps.append({"step": "nodata", "given": nodata, "declared": declared})
    missing = _missing_value(dtype, declared if nodata is None else nodata, name)
    is_masked = rasters.has_mask(dataset, band)

    def read(window: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        with rasters.reading(name):
            values = dataset.read(band, window=window)
            valid = dataset.read_masks(band, window=window) != 0 if is_masked else None
        # Pixels of the file's own nodata stay missing under one that the user gives.
        if declared is not None and declared != missing:
            kept = rasters.is_value(values, declared)
            valid = kept if valid is None else valid & kept
        return values, valid

    return Pixels(
        name=name,
        place=place,
        dtype=dtype,
        nodata=missing,
        has_mask=is_masked and missing is None,
        read=read,
        steps=steps,
    )


def _missing_value(dtype: np.dtype[Any], nodata: float | None, name: str) -> float | None:
    """Return what marks missing pixels: the nodata value, else NaN where the type has it."""
    if nodata is None:
        return math.nan if dtype.kind == "f" else None
    if not rasters.holds(dtype, nodata):
        raise InputError(
            N_("No pixel of {name} can be {nodata}: its pixels are {dtype}."),
            hint=N_("Give a nodata value within the range of that type, or none."),
            name=name,
            nodata=nodata,
            dtype=str(dtype),
        )
    return float(nodata)


def _parsed_crs(text: str) -> CRS:
    try:
        return CRS(text)
    except CRSError as err:
        raise CrsError(
            N_("{crs!r} is no coordinate system."),
            hint=N_("Write it as EPSG:32632, for example."),
            crs=text[:80],
        ) from err


def check_fits(workspace: Workspace, area_id: str, pixels: Pixels) -> None:
    """Refuse a raster that does not meet the area, is above the limit, or has no room on the disk.

    Raises:
        ExtentError: It lies elsewhere.
        TooLargeError: The message holds the estimate.
    """
    _check_meets(workspace, area_id, pixels)
    unpacked = pixels.num * pixels.dtype.itemsize
    if unpacked > settings().raster_mb << 20:
        raise TooLargeError(
            N_("{name} unpacks to {size:.1f} GB; the limit is {most:.1f} GB."),
            hint=N_("Cut it to the study area first."),
            name=pixels.name,
            size=unpacked / 1e9,
            most=(settings().raster_mb << 20) / 1e9,
        )
    # The raw copy, and the finished file with its overviews, should nothing compress at all.
    store.require_space(workspace.root, int(unpacked * 2.4), what=pixels.name)


def _check_meets(workspace: Workspace, area_id: str, pixels: Pixels) -> None:
    area = workspace.area(area_id)
    if pixels.place.cover(boundary_lonlat(workspace, area_id)) > 0:
        return
    found = lonlat_bounds(pixels.place.crs, pixels.place.bounds)
    raise ExtentError(
        N_("{name} lies at {raster}, the study area {area} at {boundary}: they do not meet."),
        hint=N_("Check that it is the right file and the right coordinate system."),
        name=pixels.name,
        raster=_degrees(found),
        area=area.title,
        boundary=_degrees(area.bounds_lonlat),
    )


def boundary_lonlat(workspace: Workspace, area_id: str) -> shapely.Geometry:
    """Return the boundary of an area in degrees."""
    return workspace.boundary(area_id).to_crs(4326).geometry.iloc[0]


def _degrees(bounds: tuple[float, float, float, float] | None) -> str:
    if bounds is None:
        return "?"
    west, south, east, north = bounds
    return f"{west:.3f}…{east:.3f}°E {south:.3f}…{north:.3f}°N"


def _add(
    workspace: Workspace,
    area_id: str,
    pixels: Pixels,
    about: About,
    origin: dict[str, Any],
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Area:
    folder = workspace.scratch(area_id)
    raw, cog = folder / "raw.tif", folder / "layer.tif"
    try:
        with _writing(pixels.name):
            inside = inside_boundary(pixels.place, boundary_lonlat(workspace, area_id))
            summary, codes = _copy_raw(pixels, about.kind, raw, inside, on_progress, should_stop)
            on_progress(0.5, N_("Writing overviews"))
            overviews = "MODE" if about.kind == "classes" else "AVERAGE"
            _copy_cog(raw, cog, overviews, pixels.num, should_stop)
            raw.unlink()
        _check_written(cog, pixels)
        on_progress(0.95, N_("Computing the digest"))
        steps = [*pixels.steps, *pixels.tell()]
        steps.append({"step": "cog", "block": BLOCK, "overviews": overviews.lower()})
        layer = replace(_layer(about, summary, codes, origin, steps), digest=store.file_digest(cog))
        stop_if(should_stop, pixels.name)
        area = workspace.put_layer(area_id, layer, cog)
        on_progress(1.0, N_("Done"))
        return area
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _layer(
    about: About,
    summary: Summary,
    codes: tuple[int, ...],
    origin: dict[str, Any],
    steps: list[dict[str, Any]],
) -> Layer:
    legend = about.legend
    if about.kind == "classes" and not legend:
        legend = numbered_legend(codes)
    return Layer(
        id=about.layer_id,
        title=checked_title(about.title),
        kind=about.kind,
        role=about.role,
        season=about.season,
        unit=about.unit,
        colormap=about.colormap,
        legend=legend,
        summary=summary,
        source=origin,
        steps=tuple(steps),
    )


@contextmanager
def _writing(name: str) -> Iterator[None]:
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

    Returns the figures of the pixels inside the boundary, and every class code of the raster.
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
    with rasters.gdal_env(), _new_tiff(raw, profile) as target:
        for window in _chunks(place.height, place.width, pixels.dtype.itemsize):
            stop_if(should_stop, pixels.name)
            values, valid = pixels.read(window)
            if pixels.dtype.kind == "f":
                infinite += int(np.count_nonzero(np.isinf(values)))
            values, valid = _alike(values, valid, pixels.nodata)
            _count(tally, values, valid, inside(window))
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


def _count(
    tally: Tally,
    values: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    inside: NDArray[np.bool_] | None,
) -> None:
    """Count the pixels of one block that lie inside; `inside` None means all of them."""
    if inside is None:
        tally.add(values, valid)
    elif inside.any():
        tally.add(values[inside], None if valid is None else valid[inside])


def _new_tiff(path: Path, profile: dict[str, Any]) -> Any:
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


def _copy_cog(
    raw: Path, cog: Path, overviews: str, num_pixels: int, should_stop: ShouldStop
) -> None:
    """Turn the raw copy into a COG; a large one in a process of its own, which can be stopped."""
    options = {
        "COMPRESS": "DEFLATE",
        "LEVEL": "1",
        "PREDICTOR": "YES",
        "BLOCKSIZE": str(BLOCK),
        "OVERVIEW_RESAMPLING": overviews,
        "NUM_THREADS": str(settings().threads),
        "BIGTIFF": "IF_SAFER",
    }
    env = {"GDAL_CACHEMAX": settings().gdal_cache_mb << 20, "GDAL_PAM_ENABLED": "NO"}
    if num_pixels < _OWN_PROCESS_PIXELS:
        with rasterio.Env(**env):
            rasterio.shutil.copy(raw, cog, driver="COG", **options)
        return
    command = [sys.executable, "-c", _COPY, str(raw), str(cog), json.dumps(env)]
    with subprocess.Popen(
        [*command, json.dumps(options)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while process.poll() is None:
                stop_if(should_stop, raw.name)
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
    """Raise `StoppedError` if the user wants to stop."""
    if should_stop():
        raise StoppedError(N_("Stopped. {name} was not brought in."), name=name)


def _validators(url: str) -> dict[str, str]:
    """Ask a server for the version of a file: its ETag, size and date, as far as it says them.

    Redirections are not followed, since they could lead to a host that would be refused.
    """
    parts = urlsplit(rasters.checked_address(url, outside=True))
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS_OUTSIDE)
    try:
        connection.request("HEAD", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as err:
        raise RefusedFileError(
            N_("{url} does not answer: {reason}."), url=url[:200], reason=str(err)[:200]
        ) from err
    finally:
        connection.close()
    if 300 <= answer.status < 400:
        raise RefusedFileError(
            N_("{url} leads to another address."),
            hint=N_("Give the final address."),
            url=url[:200],
        )
    names = ("ETag", "Content-Length", "Last-Modified")
    return {name: str(answer.headers[name])[:200] for name in names if answer.headers[name]}
