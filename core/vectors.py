"""The one door through which vector files are opened.

Let in are GeoJSON, GeoPackage, GeoParquet and Shapefile (zipped, or a plain `.shp` with its parts
beside it). What a file is follows from its first bytes and its suffix, which must agree; GDAL,
which would try some seventy formats, sees only shapefiles whose header has been checked.
"""

import json
import stat
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from core.archives import copy_beside, unpack_shapefile
from core.crs import is_on_earth, parse_crs
from core.errors import CrsError, InputError, RefusedFileError, TooLargeError
from core.geotables import (
    Table,
    is_geopackage,
    read_geopackage,
    read_geoparquet,
)
from core.settings import settings
from core.text import N_
from core.wkb import MOST_FEATURES, check_counts, damaged

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
_MOST_JSON_BYTES = 64 << 20  # Python holds up to twenty bytes for one of JSON
_MOST_UNPACKED_BYTES = 512 << 20
_SHP_MAGIC, _SHP_VERSION = 9994, 1000
_SHP_KINDS = {0, 1, 3, 5, 8, 11, 13, 15, 18, 21, 23, 25, 28}  # all but multipatch
_LONLAT = CRS.from_epsg(4326)
_LONLAT_NAMES = {"OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84"}


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
        One row a feature; rows without geometry are kept. `attrs["format"]` names the format.

    Raises:
        RefusedFileError: The file is of another kind, damaged, or not what its name says.
        CrsError: The file has no coordinate system and none was given, or coordinates that do
            not fit it.
        InputError: There is no such file or layer, or a layer has to be chosen.
        TooLargeError: It is larger than the limits.
    """
    label = name or path.name
    path = _regular_file(path, label)
    kind = _kind(path, label)
    if kind == "GeoJSON":
        table = _read_geojson(path, label)
    elif kind == "GeoPackage":
        table = read_geopackage(path, label=label, layer=layer)
    elif kind == "GeoParquet":
        table = read_geoparquet(path, label=label)
    else:
        table = _read_shapefile(path, label, layer, is_zip=kind == "zip")
    frame = _frame(table, _crs_of(table, crs, kind, label), label)
    frame.attrs["format"] = "Shapefile" if kind == "zip" else kind
    return frame


def _regular_file(path: Path, label: str) -> Path:
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
    if found.st_size > settings().upload_mb << 20:
        raise _too_large(label, settings().upload_mb)
    return path


def _too_large(label: str, most_mb: int) -> TooLargeError:
    return TooLargeError(
        N_("{name} is larger than {most} MB."),
        hint=N_("Simplify it, or save it as a GeoPackage, and try again."),
        name=label,
        most=most_mb,
    )


def _kind(path: Path, label: str) -> str:
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
    if head.startswith(struct.pack(">i", _SHP_MAGIC)):
        return "Shapefile"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "GeoJSON"
    return None


def _crs_of(table: Table, given: str | None, kind: str, label: str) -> CRS:
    if table.crs is not None and is_on_earth(table.crs):
        return table.crs
    bounds = _bounds(table.geometry)
    if kind == "GeoJSON" and (given is None or _fits_degrees(bounds)):
        return _LONLAT  # as the format is meant; what does not fit is refused by _frame
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
        raise damaged(label, "it holds coordinates that are not finite")
    check_counts(label, len(table.geometry), len(table.columns))
    check_counts(label, 0, vertices=int(shapely.get_num_coordinates(table.geometry).sum()))
    if crs.is_geographic and not _fits_degrees(bounds):
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


def _fits_degrees(bounds: NDArray[np.float64]) -> bool:
    west, south, east, north = bounds
    if np.isnan(west):  # nothing there
        return True
    return bool(west >= -180 and south >= -90 and east <= 180 and north <= 90)


# -- GeoJSON ------------------------------------------------------------------------------------


def _read_geojson(path: Path, label: str) -> Table:
    """Read GeoJSON (RFC 7946); the older `crs` member is obeyed where it holds a name."""
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise _too_large(label, _MOST_JSON_BYTES >> 20)
    try:
        body = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_no_constant)
    except RecursionError as err:
        raise damaged(label, "its parts are nested too deep") from err
    except ValueError as err:
        raise damaged(label, str(err)) from err
    features = _features(body, label)
    check_counts(label, len(features))
    keys: dict[str, None] = {}
    for feature in features:
        keys.update(dict.fromkeys(feature.get("properties") or {}))
        check_counts(label, 0, len(keys))
    rows = [feature.get("properties") or {} for feature in features]
    return Table(
        geometry=np.array(
            [_geojson_shape(feature.get("geometry"), label) for feature in features], dtype=object
        ),
        columns={key: [_plain(row.get(key)) for row in rows] for key in keys},
        crs=_geojson_crs(body, label),
    )


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _features(body: Any, label: str) -> list[dict[str, Any]]:
    kind = body.get("type") if isinstance(body, dict) else None
    features: Any = None
    if isinstance(kind, str) and kind in _SHAPES:
        features = [{"geometry": body}]
    if kind == "Feature":
        features = [body]
    if kind == "FeatureCollection":
        features = body.get("features")
    if not isinstance(features, list) or not all(
        isinstance(feature, dict) and isinstance(feature.get("properties") or {}, dict)
        for feature in features
    ):
        raise RefusedFileError(
            N_("{name} is JSON, but not GeoJSON."),
            hint=N_("Give a GeoJSON, GeoPackage, GeoParquet or zipped Shapefile."),
            name=label,
        )
    return features


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _geojson_crs(body: dict[str, Any], label: str) -> CRS | None:
    named = body.get("crs")
    if named is None:
        return None
    try:
        text = str(named["properties"]["name"])
    except (KeyError, TypeError):
        raise RefusedFileError(
            N_("{name} points to its coordinate system instead of naming it."),
            hint=N_("Save it in longitude and latitude, as GeoJSON is meant."),
            name=label,
        ) from None
    return _LONLAT if text in _LONLAT_NAMES else parse_crs(text)


def _points(rows: Any) -> Any:
    return np.asarray([row[:2] for row in rows], dtype=float).reshape(-1, 2)


def _polygon(rings: Any) -> Any:
    if not rings:
        return shapely.Polygon()
    shell, *holes = (shapely.linearrings(_points(ring)) for ring in rings)
    return shapely.polygons(shell, holes=holes or None)


_SHAPES: dict[str, Callable[[Any], Any]] = {
    "Point": lambda c: shapely.points(_points([c])[0]),
    "MultiPoint": lambda c: shapely.multipoints(shapely.points(_points(c))),
    "LineString": lambda c: shapely.linestrings(_points(c)),
    "MultiLineString": lambda c: shapely.multilinestrings(
        [shapely.linestrings(_points(line)) for line in c]
    ),
    "Polygon": _polygon,
    "MultiPolygon": lambda c: shapely.multipolygons([_polygon(rings) for rings in c]),
}


def _geojson_shape(body: Any, label: str) -> Any:
    if body is None:
        return None
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise RefusedFileError(
            N_("{name} holds a geometry that is no point, line or polygon (type {kind})."),
            hint=N_("Save it with simple geometry: polygons or multipolygons."),
            name=label,
            kind=str(kind)[:40],
        )
    try:
        return _SHAPES[kind](body["coordinates"])
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        OverflowError,
        shapely.errors.GEOSException,
    ) as err:
        raise damaged(label, f"a {kind} has wrong coordinates") from err


# -- Shapefile ----------------------------------------------------------------------------------


def _read_shapefile(path: Path, label: str, layer: str | None, *, is_zip: bool) -> Table:
    most_bytes = min(settings().upload_mb << 20, _MOST_UNPACKED_BYTES)
    with tempfile.TemporaryDirectory(prefix="urban-pattern-") as scratch:
        folder = Path(scratch)
        inner = path.stem
        if is_zip:
            shp, inner = unpack_shapefile(
                path, folder, label=label, layer=layer, most_bytes=most_bytes
            )
        else:
            shp = copy_beside(path, folder, label=label, most_bytes=most_bytes)
        _check_shapefile(shp, label)
        try:
            return _table_of_shapefile(shp, label, inner)
        except (
            pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError,
            pyogrio.errors.FeatureError,
            shapely.errors.GEOSException,
            ValueError,
            LookupError,  # an unknown encoding
        ) as err:
            if isinstance(err, InputError):
                raise
            # GDAL names the temporary file, which would tell the reader nothing.
            reason = str(err).replace(str(shp), inner).replace(str(folder), "")
            raise damaged(label, reason) from err


def _check_shapefile(shp: Path, label: str) -> None:
    with shp.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or struct.unpack_from(">i", head)[0] != _SHP_MAGIC:
        raise damaged(label, "its .shp is no shapefile")
    version, kind = struct.unpack_from("<ii", head, 28)
    if version != _SHP_VERSION or kind not in _SHP_KINDS:
        raise damaged(label, f"shapes of type {kind} are not read")
    if not shp.with_suffix(".shx").is_file():
        raise damaged(label, "the .shx beside the .shp is missing")
    prj = shp.with_suffix(".prj")
    if prj.is_file():  # some programs write its names in Latin-1; the reader stumbles over that
        prj.write_bytes(
            prj.read_bytes()[:20_000].decode("ascii", "replace").replace("\ufffd", "?").encode()
        )


def _table_of_shapefile(shp: Path, label: str, inner: str) -> Table:
    about = pyogrio.read_info(shp)
    check_counts(label, max(0, int(about["features"])), len(about["fields"]))
    frame = pyogrio.read_dataframe(shp, force_2d=True, max_features=MOST_FEATURES + 1)
    if not isinstance(frame, gpd.GeoDataFrame):
        raise damaged(label, "it holds no geometry")
    return Table(
        geometry=np.asarray(frame.geometry.array, dtype=object),
        columns={str(key): frame[key].tolist() for key in frame.columns if key != "geometry"},
        crs=frame.crs,
        layer=inner,
    )
