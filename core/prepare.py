"""Bring rasters into a study area as Cloud-Optimized GeoTIFF.

Pixels keep their type, their CRS and their place: nothing is resampled but the overviews, by the
commonest class for classes and by the average for values. Files stream through in blocks; what is
being made lies in the area's scratch folder and counts only once it is whole.
"""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import raster_info, rasters, store
from core.cog import OnProgress, Pixels, ShouldStop, stop_if, write_cog
from core.errors import (
    CrsError,
    ExtentError,
    InputError,
    RefusedFileError,
    StoreError,
    TooLargeError,
)
from core.georeference import Georeference, inside_boundary, lonlat_bounds
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

_REMOTE_PX = 1024
_REMOTE_WITHOUT_OVERVIEWS = 2048
_VALIDATORS = ("ETag", "Content-Length", "Last-Modified")


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
    replaces: str | None = None
    """The recipe of the layer of the same id that it may replace: `""` for no layer at all, None
    for whichever is there."""

    def __post_init__(self) -> None:
        store.checked_id(self.layer_id, what=N_("layer"))
        checked_title(self.title)


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
    whence: Mapping[str, Any] = MappingProxyType({}),
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
        whence: More to remember of where it comes from, such as its licence.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked after each block; True ends the work and changes nothing.

    Raises:
        InputError: The file, band, nodata or kind does not fit.
        RefusedFileError: See `rasters.open_raster`.
        CrsError: The file has no CRS and none is given, or has another than the one given.
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
            **whence,
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
    origin = {"crs": crs_name(pixels.place.crs), **origin, "added": now()}
    return _add(workspace, area_id, pixels, about, origin, on_progress, should_stop)


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
    origin = {"crs": crs_name(pixels.place.crs), **origin, "added": now()}
    return _add(workspace, area_id, pixels, about, origin, on_progress, should_stop)


def add_remote(
    workspace: Workspace,
    area_id: str,
    url: str,
    about: About,
    *,
    band: int = 1,
    crs: str | None = None,
    nodata: float | None = None,
) -> Area:
    """Add a Cloud-Optimized GeoTIFF that stays where it is: a layer with an address and no file.

    Its figures come from a picture of at most 1024 × 1024 pixels. The digest covers the address
    and what the server says of the file's version.

    Args:
        workspace: Where the area is.
        area_id: The area.
        url: `http(s)` address.
        about: What the layer is.
        band: Only the first can be read where it lies; any other is refused.
        crs: Refused if given, as is `nodata`: nothing is written that could keep them.
        nodata: See `crs`.

    Raises:
        InputError: Another band, a CRS or a nodata value is asked for.
        RefusedFileError: The address may not be opened or does not answer as a raster.
        CrsError, ExtentError: See `add_raster`.
    """
    if band != 1 or crs is not None or nodata is not None:
        raise InputError(
            N_(
                "A remote layer is read as it is: band 1, with the coordinate system and the nodata"
                " value of its own file."
            ),
            hint=N_("Download {name} and add the file."),
            name=rasters.source_name(url),
        )
    address = rasters.checked_address(url, outside=True)
    headers = rasters.answer_headers(address, is_fresh=True)
    validators = {name: headers[name] for name in _VALIDATORS if name in headers}
    with rasters.open_raster(url, outside=True) as dataset:
        pixels = from_dataset(dataset, 1, crs=None, nodata=None, name=rasters.source_name(url))
        if max(dataset.shape) > _REMOTE_WITHOUT_OVERVIEWS and not dataset.overviews(1):
            raise RefusedFileError(
                N_("{name} has no overviews, so every look at it would fetch all of it."),
                hint=N_("Download it and add the file."),
                name=pixels.name,
            )
        _check_meets(workspace, area_id, pixels)
        values, valid = raster_info.picture(dataset, 1, _REMOTE_PX)
    tally = Tally(about.kind, pixels.dtype, num_pixels=values.size, name=pixels.name)
    place = pixels.place.scaled(*values.shape)
    inside = inside_boundary(place, boundary_lonlat(workspace, area_id))
    tally.add(values, valid, inside(Window(0, 0, place.width, place.height)))
    origin = {
        "name": pixels.name,
        "url": url,
        "crs": crs_name(pixels.place.crs),
        "added": now(),
        **validators,
    }
    codes = tuple(int(code) for code in np.unique(values[valid])) if about.kind == "classes" else ()
    layer = _layer(about, replace(tally.summary(), exact=False), codes, origin, [])
    digest = sha256(json.dumps([url, validators], sort_keys=True).encode()).hexdigest()
    return workspace.put_layer(
        area_id, replace(layer, url=url, digest=digest), None, replaces=about.replaces
    )


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
        CrsError: The raster has no CRS and none is given, or has another than the one given.
        InputError: No pixel can have the value `nodata`.
    """
    steps: list[dict[str, Any]] = []
    given = _parsed_crs(crs) if crs else None
    place = rasters.georeference(dataset, missing_crs=given, name=name)
    if given and place.crs != given:
        raise CrsError(
            N_("{name} is in {found}, not in {given}."),
            hint=N_("Give a coordinate system only where the file names none."),
            name=name,
            found=crs_name(place.crs)[:80],
            given=crs_name(given)[:80],
        )
    if given and place.crs is given:
        steps.append({"step": "crs", "given": crs_name(given)})
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
    try:
        inside = inside_boundary(pixels.place, boundary_lonlat(workspace, area_id))
        made = write_cog(pixels, about.kind, folder, inside, on_progress, should_stop)
        layer = _layer(about, made.summary, made.codes, origin, pixels.steps)
        stop_if(should_stop, pixels.name)
        layer = replace(layer, digest=store.file_digest(made.path))
        area = workspace.put_layer(area_id, layer, made.path, replaces=about.replaces)
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
