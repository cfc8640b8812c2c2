"""Read one attribute of a vector file of any size, batch by batch, under the rules of `vectors`.

What is let in, and how it is checked, is the same as where files are read whole; what differs is
that nothing is bounded by the memory but the single feature.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from core.crs import is_on_earth, parse_crs
from core.errors import CrsError, InputError
from core.geojson import LONLAT, feature_shape, stream_geojson
from core.geotables import Stream, stream_geopackage, stream_geoparquet
from core.settings import settings
from core.shapefile import stream_shapefile
from core.text import N_
from core.vectors import kind_of, regular_file

BATCH = 4096
_HEAD_FEATURES = 200
_BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A vector file that is open for reading from its first feature on."""

    format: str
    crs: CRS
    stream: Stream

    def batches(self) -> Iterator[tuple[NDArray[Any], list[Any], float]]:
        """Yield geometry (N,), None where there is none, N values, and the share that is read."""
        return self.stream.rows()


@contextmanager
def open_features(
    path: Path,
    attribute: str,
    *,
    layer: str | None = None,
    crs: str | None = None,
    name: str | None = None,
    scratch: Path | None = None,
) -> Iterator[Features]:
    """Open a GeoJSON, GeoPackage, GeoParquet or (zipped) Shapefile.

    Args:
        path: The file, of at most the size that a raster may have (`settings().raster_mb`).
        attribute: The column that is wanted; GeoJSON is searched for it in its first 200 features.
        layer: Which layer, where a file holds several.
        crs: The coordinate system, where the file names none; it never replaces the file's own.
        name: The name to judge the suffix by and to show.
        scratch: Folder for the copy that is made of a shapefile; None for the system's own.

    Raises:
        RefusedFileError: The file is of another kind, damaged, or not what its name says.
        CrsError: It has no coordinate system and none was given.
        InputError: There is no such file, layer or attribute.
        TooLargeError: It is larger than the limit.
    """
    label = name or path.name
    path = regular_file(path, label, settings().raster_mb)
    kind = kind_of(path, label)
    with (
        tempfile.TemporaryDirectory(prefix="urban-pattern-", dir=scratch) as folder,
        _stream(path, kind, attribute, layer, label, Path(folder)) as stream,
    ):
        if attribute not in stream.attributes:
            raise InputError(
                N_("{name} has no attribute {attribute!r}."),
                hint=N_("It has: {known}."),
                name=label,
                attribute=attribute[:80],
                known=", ".join(stream.attributes[:40])[:400] or "-",
            )
        yield Features(
            format="Shapefile" if kind == "zip" else kind,
            crs=_crs_of(stream, crs, label),
            stream=stream,
        )


def attributes(path: Path, *, layer: str | None = None, name: str | None = None) -> tuple[str, ...]:
    """Return the attributes of a file, in order; of GeoJSON those of its first 200 features.

    Raises:
        RefusedFileError, InputError, TooLargeError: See `open_features`.
    """
    label = name or path.name
    path = regular_file(path, label, settings().raster_mb)
    kind = kind_of(path, label)
    with (
        tempfile.TemporaryDirectory(prefix="urban-pattern-") as folder,
        _stream(path, kind, None, layer, label, Path(folder)) as stream,
    ):
        return stream.attributes


def _stream(
    path: Path, kind: str, attribute: str | None, layer: str | None, label: str, folder: Path
) -> AbstractContextManager[Stream]:
    if kind == "GeoJSON":
        return _open_geojson(path, label, attribute)
    if kind == "GeoPackage":
        return stream_geopackage(path, label=label, layer=layer, attribute=attribute, batch=BATCH)
    if kind == "GeoParquet":
        return stream_geoparquet(path, label=label, attribute=attribute, batch=BATCH)
    return stream_shapefile(
        path,
        folder,
        label=label,
        layer=layer,
        is_zip=kind == "zip",
        attribute=attribute,
        batch=BATCH,
        most_bytes=settings().raster_mb << 20,
    )


@contextmanager
def _open_geojson(path: Path, label: str, attribute: str | None) -> Iterator[Stream]:
    crs: CRS = LONLAT
    keys: dict[str, None] = {}
    for found in islice(stream_geojson(path, label), _HEAD_FEATURES):
        crs = found.get("crs") or crs
        keys.update(dict.fromkeys((found.get("feature") or {}).get("properties") or {}))
    size = max(1, path.stat().st_size)

    def rows() -> Iterator[tuple[NDArray[Any], list[Any], float]]:
        shapes: list[Any] = []
        values: list[Any] = []
        begin = 0
        for found in stream_geojson(path, label):
            if "crs" in found and found["crs"] != crs:
                raise CrsError(
                    N_("{name} names its coordinate system only after its features."),
                    hint=N_("Save it again, in longitude and latitude or as a GeoPackage."),
                    name=label,
                )
            if "feature" not in found:
                continue
            feature = found["feature"]
            shapes.append(feature_shape(feature.get("geometry"), label))
            values.append((feature.get("properties") or {}).get(attribute))
            if len(shapes) == BATCH or found["bytes"] - begin > _BATCH_BYTES:
                yield _objects(shapes), values, found["bytes"] / size
                shapes, values, begin = [], [], found["bytes"]
        if shapes:
            yield _objects(shapes), values, 1.0

    yield Stream(crs=crs, attributes=tuple(keys), layer="", rows=rows)


def _objects(shapes: list[Any]) -> NDArray[Any]:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    return array


def _crs_of(stream: Stream, given: str | None, label: str) -> CRS:
    if stream.crs is not None and is_on_earth(stream.crs):
        return stream.crs
    if given is None:
        raise CrsError(
            N_("{name} does not say which coordinate system it is in."),
            hint=N_("Say which, EPSG:4326 for longitude and latitude."),
            name=label,
        )
    return parse_crs(given)
