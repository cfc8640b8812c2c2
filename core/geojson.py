"""Read GeoJSON (RFC 7946) by Python's own parser: nothing in it can name a driver or an address."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import shapely
from pyproj import CRS

from core.crs import parse_crs
from core.errors import RefusedFileError
from core.geotables import Table
from core.text import N_
from core.wkb import check_counts, damaged

LONLAT = CRS.from_epsg(4326)
_CHUNK = 1 << 20
_MOST_VALUE = 16 << 20  # Python holds up to twenty bytes for one of JSON
_BLANKS = re.compile(r"[ \t\r\n]*")
_LONLAT_NAMES = {"OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84"}


def read_geojson(path: Path, label: str) -> Table:
    """Read GeoJSON whole; its CRS is None where, as RFC 7946 has it, it names none.

    The older `crs` member (GeoJSON 2008) is obeyed where it holds a name.

    Raises:
        RefusedFileError: It is damaged, is other JSON, or points to its CRS elsewhere.
        CrsError: It names a CRS that is not known.
        TooLargeError: There are too many features or columns.
    """
    try:
        body = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_no_constant)
    except RecursionError as err:
        raise damaged(label, N_("its parts are nested too deep")) from err
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
            [feature_shape(feature.get("geometry"), label) for feature in features], dtype=object
        ),
        columns={key: [_plain(row.get(key)) for row in rows] for key in keys},
        crs=_geojson_crs(body, label),
    )


def stream_geojson(path: Path, label: str) -> Iterator[dict[str, Any]]:
    """Yield the members of a FeatureCollection one by one: `{"crs": …}`, `{"feature": …}`.

    Of the file, one feature and a buffer are held in memory. Each dictionary says in `bytes` how
    far into the file it was found. Features come as they stand: see `feature_shape`.

    Raises:
        RefusedFileError: It is damaged, is no FeatureCollection, or has a feature above 16 MB.
    """
    with path.open("rb") as file:
        reader = _Reader(file, label)
        reader.take("{")
        has_features = False
        while reader.peek() != "}":
            key = reader.value()
            reader.take(":")
            if key == "features":
                has_features = True
                yield from _stream_features(reader)
            else:
                value = reader.value()
                if key == "type" and value != "FeatureCollection":
                    raise _not_geojson(label)
                if key == "crs":
                    yield {"crs": _geojson_crs({"crs": value}, label), "bytes": file.tell()}
            if reader.peek() != "}":
                reader.take(",")
    if not has_features:
        raise _not_geojson(label)


def _stream_features(reader: "_Reader") -> Iterator[dict[str, Any]]:
    reader.take("[")
    while reader.peek() != "]":
        feature = reader.value()
        if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
            raise _not_geojson(reader.label)
        yield {"feature": feature, "bytes": reader.file.tell()}
        if reader.peek() != "]":
            reader.take(",")
    reader.take("]")


class _Reader:
    """Takes JSON apart value by value; the text of one value at most is held."""

    def __init__(self, file: IO[bytes], label: str) -> None:
        self.file = file
        self.label = label
        self._text = ""
        self._at = 0
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()

    def peek(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> None:
        """Step over one character."""
        found = self.peek()
        if found != character:
            raise damaged(
                self.label,
                N_("{wanted!r} was expected, not {found!r}"),
                wanted=character,
                found=found,
            )
        self._at += 1

    def value(self) -> Any:
        """Return the next value, whatever it is."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as err:
                raise damaged(self.label, N_("its parts are nested too deep")) from err
            except ValueError as err:
                # Cut off by the end of the buffer, or wrong: more of it will tell.
                if len(self._text) - self._at > _MOST_VALUE or not self._more():
                    raise damaged(self.label, str(err)) from err
                continue
            if end == len(self._text) and self._more():  # a number might go on
                continue
            self._at = end
            return found

    def _more(self) -> bool:
        # Twice as much each time, so that a large value is not parsed from its start too often.
        chunk = self.file.read(max(_CHUNK, len(self._text) - self._at))
        try:
            text = self._decode.decode(chunk, final=not chunk)
        except UnicodeDecodeError as err:
            raise damaged(self.label, str(err)) from err
        self._text, self._at = self._text[self._at :] + text, 0
        return bool(chunk)


def _not_geojson(label: str) -> RefusedFileError:
    return RefusedFileError(
        N_("{name} is JSON, but not GeoJSON."),
        hint=N_("Give a GeoJSON, GeoPackage, GeoParquet or zipped Shapefile."),
        name=label,
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
        raise _not_geojson(label)
    return features


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


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
    return LONLAT if text in _LONLAT_NAMES else parse_crs(text)


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


def feature_shape(body: Any, label: str) -> Any:
    """Return the `geometry` of a feature in two dimensions; None where it has none.

    Raises:
        RefusedFileError: It is no point, line or polygon, or has wrong coordinates.
    """
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
        raise damaged(label, N_("a {kind} has wrong coordinates"), kind=kind) from err
