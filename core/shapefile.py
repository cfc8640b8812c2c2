"""Read shapefiles: copied under names of our own, the header checked, GDAL told what they are."""

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from core.archives import copy_beside, unpack_shapefile
from core.errors import InputError
from core.geotables import Stream, Table
from core.settings import settings
from core.text import N_
from core.wkb import MOST_FEATURES, check_counts, damaged, geometries

MAGIC = 9994
_MOST_UNPACKED_BYTES = 512 << 20
_VERSION = 1000
_KINDS = {0, 1, 3, 5, 8, 11, 13, 15, 18, 21, 23, 25, 28}  # all but multipatch


def read_shapefile(path: Path, label: str, layer: str | None, *, is_zip: bool) -> Table:
    """Read a shapefile whole, from a zip or beside its parts.

    Raises:
        RefusedFileError: It is damaged, or a part is missing.
        InputError: The layer has to be chosen.
        TooLargeError: It unpacks to more than 512 MB, or holds too much.
    """
    most_bytes = min(settings().upload_mb << 20, _MOST_UNPACKED_BYTES)
    with tempfile.TemporaryDirectory(prefix="urban-pattern-") as scratch:
        folder = Path(scratch)
        shp, inner = _own_copy(path, folder, label, layer, is_zip=is_zip, most_bytes=most_bytes)
        with _errors(label, folder, inner):
            return _table_of_shapefile(shp, label, inner)


@contextmanager
def stream_shapefile(
    path: Path,
    folder: Path,
    *,
    label: str,
    layer: str | None,
    is_zip: bool,
    attribute: str | None,
    batch: int,
    most_bytes: int,
) -> Iterator[Stream]:
    """Copy a shapefile to `folder` and open it for reading batch by batch.

    Without an attribute only the head can be asked for.

    Raises:
        RefusedFileError: It is damaged, or a part is missing.
        InputError: The layer has to be chosen.
        TooLargeError: It is larger than `most_bytes`.
    """
    shp, inner = _own_copy(path, folder, label, layer, is_zip=is_zip, most_bytes=most_bytes)
    with _errors(label, folder, inner):
        about = pyogrio.read_info(shp)
    num = max(1, int(about["features"]))

    def rows() -> Iterator[tuple[NDArray[Any], list[Any], float]]:
        done = 0
        with (
            _errors(label, folder, inner),
            pyogrio.raw.open_arrow(
                shp, columns=[str(attribute)], batch_size=batch, use_pyarrow=True
            ) as (meta, reader),
        ):
            for found in reader:
                done += found.num_rows
                blobs = found.column(meta["geometry_name"] or "wkb_geometry").to_pylist()
                values = found.column(str(attribute)).to_pylist()
                yield geometries(blobs, label), values, min(1.0, done / num)

    try:
        crs = CRS(about["crs"]) if about["crs"] else None
    except CRSError:
        crs = None
    keys = tuple(str(key) for key in about["fields"])
    yield Stream(crs=crs, attributes=keys, layer=inner, rows=rows)


def _own_copy(
    path: Path, folder: Path, label: str, layer: str | None, *, is_zip: bool, most_bytes: int
) -> tuple[Path, str]:
    inner = path.stem
    if is_zip:
        shp, inner = unpack_shapefile(path, folder, label=label, layer=layer, most_bytes=most_bytes)
    else:
        shp = copy_beside(path, folder, label=label, most_bytes=most_bytes)
    _check_shapefile(shp, label)
    return shp, inner


@contextmanager
def _errors(label: str, folder: Path, inner: str) -> Iterator[None]:
    try:
        yield
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FeatureError,
        shapely.errors.GEOSException,
        pa.ArrowException,
        ValueError,
        LookupError,  # an unknown encoding
    ) as err:
        if isinstance(err, InputError):
            raise
        # GDAL names the temporary file, which would tell the reader nothing.
        reason = str(err).replace(str(folder / "layer.shp"), inner).replace(str(folder), "")
        raise damaged(label, reason) from err


def _check_shapefile(shp: Path, label: str) -> None:
    with shp.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or struct.unpack_from(">i", head)[0] != MAGIC:
        raise damaged(label, N_("its .shp is no shapefile"))
    version, kind = struct.unpack_from("<ii", head, 28)
    if version != _VERSION or kind not in _KINDS:
        raise damaged(label, N_("shapes of type {kind} are not read"), kind=kind)
    if not shp.with_suffix(".shx").is_file():
        raise damaged(label, N_("the .shx beside the .shp is missing"))
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
        raise damaged(label, N_("it holds no geometry"))
    return Table(
        geometry=np.asarray(frame.geometry.array, dtype=object),
        columns={str(key): frame[key].tolist() for key in frame.columns if key != "geometry"},
        crs=frame.crs,
        layer=inner,
    )
