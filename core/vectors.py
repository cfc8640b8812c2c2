"""The one door through which vector files are opened.

Let in are GeoJSON, GeoPackage, GeoParquet and Shapefile (zipped, or a plain `.shp` with its parts
beside it). What a file is follows from its first bytes and its suffix, which must agree; GDAL,
which would try some seventy formats, sees only shapefiles whose header has been checked.
"""

import stat
import struct
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from core.crs import is_on_earth, parse_crs
from core.errors import CrsError, InputError, RefusedFileError, TooLargeError
from core.geojson import LONLAT, read_geojson
from core.geotables import (
    Table,
    is_geopackage,
    read_geopackage,
    read_geoparquet,
)
from core.settings import settings
from core.shapefile import MAGIC as SHP_MAGIC
from core.shapefile import read_shapefile
from core.text import N_
from core.wkb import check_counts, damaged

_SUFFIXES = {
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".gpkg": "GeoPackage",
    ".parquet": "GeoParquet",
    ".geoparquet": "GeoParquet",
    ".zip": "zip",
    ".shp": "Shapefile",
}
_HEAD_BYTES = 128
_MOST_JSON_MB = 64  # Python holds up to twenty bytes for one of JSON


def read_vector(
    path: Path, *, layer: str | None = None, crs: str | None = None, name: str | None = None
) -> gpd.GeoDataFrame:
    """Read a vector file whole, its geometry in two dimensions, its attributes as they stand.

    Args:
        path: The file. An upload may lie under any name, its own is `name` then.
        layer: Which layer, where a file holds several; a shapefile's name inside a zip.
        crs: The coordinate system, where the file has none; it never replaces the file's own.
        name: The name to judge the suffix by and to show.

    Returns:
        One row a feature; rows without geometry are kept. `attrs` holds `format` and `layer`.

    Raises:
        RefusedFileError: The file is of another kind, damaged, or not what its name says.
        CrsError: The file has no coordinate system and none was given, or coordinates that do
            not fit it.
        InputError: There is no such file or layer, or a layer has to be chosen.
        TooLargeError: It is larger than the limits.
    """
    label = name or path.name
    path = regular_file(path, label, settings().upload_mb)
    kind = kind_of(path, label)
    if kind == "GeoJSON":
        _check_size(path, label, _MOST_JSON_MB)
        table = read_geojson(path, label)
    elif kind == "GeoPackage":
        table = read_geopackage(path, label=label, layer=layer)
    elif kind == "GeoParquet":
        table = read_geoparquet(path, label=label)
    else:
        table = read_shapefile(path, label, layer, is_zip=kind == "zip")
    frame = _frame(table, _crs_of(table, crs, kind, label), label)
    frame.attrs.update(format="Shapefile" if kind == "zip" else kind, layer=table.layer)
    return frame


def regular_file(path: Path, label: str, most_mb: int) -> Path:
    """Return `path` if it is a plain file of at most so many megabytes.

    Raises:
        RefusedFileError: It is an address.
        InputError: There is no such file.
        TooLargeError: It is larger.
    """
    text = str(path)
    if "://" in text or ":/" in text[2:] or text.replace("\\", "/").startswith("/vsi"):
        raise RefusedFileError(
            N_("{name} is an address, not a file on this computer."),
            hint=N_("Download the file and open it from here."),
            name=label[:120],
        )
    try:
        found = path.stat()
    except (OSError, ValueError) as err:
        raise InputError(N_("There is no file {name}."), name=label[:120]) from err
    if not stat.S_ISREG(found.st_mode):
        raise InputError(N_("{name} is no file."), name=label[:120])
    _check_size(path, label, most_mb)
    return path


def _check_size(path: Path, label: str, most_mb: int) -> None:
    if path.stat().st_size > most_mb << 20:
        raise TooLargeError(
            N_("{name} is larger than {most} MB."),
            hint=N_("Simplify it, or save it as a GeoPackage, and try again."),
            name=label,
            most=most_mb,
        )


def kind_of(path: Path, label: str) -> str:
    """Return what a file is: `GeoJSON`, `GeoPackage`, `GeoParquet`, `zip` or `Shapefile`.

    Raises:
        RefusedFileError: It is something else, or not what its name says.
    """
    wanted = _SUFFIXES.get(Path(label).suffix.lower())
    with path.open("rb") as file:
        found = _kind_of_head(file.read(_HEAD_BYTES))
    if wanted is None or wanted != found:
        raise RefusedFileError(
            N_("{name} is not let in: its name says {wanted}, its content {found}."),
            hint=N_("Give a GeoJSON, GeoPackage, GeoParquet or zipped Shapefile."),
            name=label[:120],
            wanted=wanted or Path(label).suffix[:20] or N_("nothing"),
            found=found or N_("something else"),
        )
    return wanted


def _kind_of_head(head: bytes) -> str | None:
    if is_geopackage(head):
        return "GeoPackage"
    if head.startswith(b"PAR1"):
        return "GeoParquet"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(struct.pack(">i", SHP_MAGIC)):
        return "Shapefile"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "GeoJSON"
    return None


def _crs_of(table: Table, given: str | None, kind: str, label: str) -> CRS:
    if table.crs is not None and is_on_earth(table.crs):
        return table.crs
    bounds = _bounds(table.geometry)
    if kind == "GeoJSON" and (given is None or fits_degrees(bounds)):
        return LONLAT  # as the format is meant; what does not fit is refused by _frame
    if given is None:
        raise CrsError(
            N_("{name} does not say which coordinate system it is in."),
            hint=N_("Say which, EPSG:4326 for longitude and latitude."),
            name=label,
        )
    return parse_crs(given)


def _frame(table: Table, crs: CRS, label: str) -> gpd.GeoDataFrame:
    bounds = _bounds(table.geometry)
    if np.isinf(bounds).any():
        raise damaged(label, N_("it holds coordinates that are not finite"))
    check_counts(label, len(table.geometry), len(table.columns))
    check_counts(label, 0, vertices=int(shapely.get_num_coordinates(table.geometry).sum()))
    if crs.is_geographic and not fits_degrees(bounds):
        raise CrsError(
            N_("The coordinates of {name} are not in degrees: they reach {reach:.0f}."),
            hint=N_("Say which coordinate system they are in."),
            name=label,
            reach=float(np.abs(bounds).max()),
        )
    columns = {key if key != "geometry" else "geometry_": v for key, v in table.columns.items()}
    index = pd.RangeIndex(len(table.geometry))
    return gpd.GeoDataFrame(
        pd.DataFrame(columns, index=index), geometry=list(table.geometry), crs=crs
    )


def _bounds(geometry: NDArray[Any]) -> NDArray[np.float64]:
    """Return west, south, east, north; NaN where there is nothing, infinite where that is so."""
    xy = shapely.get_coordinates(geometry)
    if not len(xy):
        return np.full(4, np.nan)
    if not np.isfinite(xy).all():
        return np.full(4, np.inf)
    return np.concatenate([xy.min(axis=0), xy.max(axis=0)])


def fits_degrees(bounds: NDArray[np.float64]) -> bool:
    """Say whether west, south, east, north can be degrees; NaN, where there is nothing, can."""
    west, south, east, north = bounds
    if np.isnan(west):  # nothing there
        return True
    return bool(west >= -180 and south >= -90 and east <= 180 and north <= 90)
