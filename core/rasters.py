"""The one door through which raster files are opened and read.

Only GeoTIFF and ERDAS Imagine are let in, and GDAL is told which of the two to try: a file of
another kind, a VRT with a `.tif` ending above all, is never interpreted. Paths into GDAL's
virtual file systems are refused, sidecar files are not read, and no request leaves the machine
unless the caller says `outside=True`.

A pixel is missing where the file's nodata value, mask or alpha band says so, and where it is NaN
or infinite. Rows count from the north edge of an upright raster, columns from the west.
"""

import ipaddress
import math
import re
import socket
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core.errors import CrsError, InputError, RefusedFileError, TooLargeError
from core.georeference import Georeference
from core.settings import settings
from core.text import N_

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HFA_MAGIC = b"EHFA_HEADER_TAG"
_LARGEST_BLOCK = 256 << 20
_MOST_BLOCKS_CHECKED = 4096
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{3,2000}")
_SECONDS_OUTSIDE = 20
_SECONDS_ANSWERED = 60.0
_MOST_ANSWERS = 256
_answers: dict[str, tuple[float, dict[str, str]]] = {}
_answers_lock = threading.Lock()
# A raster without a place on the map is told of in words, by whoever needs the place.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


@dataclass(frozen=True, slots=True)
class Pixel:
    """One pixel: its place (None outside the raster) and its value (None where missing)."""

    row: int | None
    column: int | None
    value: float | int | None


def gdal_env(source: Path | str = "") -> rasterio.Env:
    """Return the GDAL settings under which every raster is opened and read.

    Nothing is asked of the network, but for `source` itself where that is an address.
    """
    return rasterio.Env(
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_PAM_ENABLED="NO",
        GDAL_GEOREF_SOURCES="INTERNAL",
        GDAL_CACHEMAX=settings().gdal_cache_mb << 20,
        CPL_VSIL_CURL_ALLOWED_FILENAME=f"/vsicurl/{source}" if is_address(source) else "none",
        GDAL_HTTP_TIMEOUT=_SECONDS_OUTSIDE,
        GDAL_HTTP_CONNECTTIMEOUT=_SECONDS_OUTSIDE // 2,
        GDAL_HTTP_MAX_RETRY=1,
    )


@contextmanager
def open_raster(
    source: Path | str, *, outside: bool = False, level: int | None = None
) -> Iterator[DatasetReader]:
    """Open a GeoTIFF or ERDAS Imagine file for reading.

    Args:
        source: A path; or the `http(s)` address of a Cloud-Optimized GeoTIFF.
        outside: Whether an address may be opened. Without it nothing leaves the machine.
        level: Open this overview, 0 for the finest, in place of the full raster.

    Raises:
        InputError: There is no such file.
        RefusedFileError: The file is of another kind, damaged or cut off, of complex numbers, or
            packed in blocks too large to unpack; or the address may not be opened.
    """
    with (
        gdal_env(source),
        open_dataset(source, outside=outside, level=level) as dataset,
        reading(source_name(source)),
    ):
        yield dataset


def open_dataset(
    source: Path | str, *, outside: bool = False, level: int | None = None
) -> DatasetReader:
    """Open a raster that stays open; read it under `gdal_env(source)` and in one thread only.

    Args and errors are those of `open_raster`.
    """
    name = source_name(source)
    if is_address(source):
        url = checked_address(str(source), outside=outside)
        answer_headers(url)  # GDAL would follow a redirection to anywhere
        path = f"/vsicurl/{url}"
        driver = "GTiff"
    else:
        path = str(_checked_path(source))
        driver = "HFA" if _head(path).startswith(_HFA_MAGIC) else "GTiff"
    options = {} if level is None else {"overview_level": level}
    with gdal_env(source):
        try:
            dataset = rasterio.open(path, driver=driver, sharing=False, **options)  # noqa: TID251 (the door)
        except RasterioError as err:
            raise _why_not(source, name) from err
        try:
            _check_layout(dataset, name)
        except RefusedFileError:
            dataset.close()
            raise
    return dataset


class Readable(Protocol):
    """An open file whose bytes come from somewhere."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> "Readable": ...
    def __exit__(self, *_: object) -> None: ...


@contextmanager
def open_readable(file: Readable, name: str) -> Iterator[DatasetReader]:
    """Open a GeoTIFF whose bytes `file` hands out: GDAL itself asks nothing of any network.

    Args:
        file: Read while the raster is; closed with it.
        name: What to call it in messages.

    Raises:
        RefusedFileError: See `open_raster`.
    """

    def opener(*_: Any, **__: Any) -> Readable:
        file.seek(0)  # rasterio opens more than once, to see how large it is
        return file

    with gdal_env():
        try:
            dataset = rasterio.open("outside.tif", driver="GTiff", opener=opener)  # noqa: TID251 (the door)
        except RasterioError as err:
            raise RefusedFileError(
                N_("{name} is no GeoTIFF, or it is damaged."),
                hint=N_("Only GeoTIFF can be fetched."),
                name=name,
            ) from err
        with dataset, reading(name):
            _check_layout(dataset, name)
            yield dataset


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn a failed read into an error that names the file."""
    try:
        yield
    except RasterioIOError as err:
        raise RefusedFileError(
            N_("{name} cannot be read to its end: the file is damaged or cut off."),
            hint=N_("Copy or download it again."),
            name=name,
        ) from err


def source_name(source: Path | str) -> str:
    """Return the file name of a path or an address, for messages."""
    text = urlsplit(str(source)).path if is_address(source) else str(source)
    return (text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or str(source))[:80]


def is_address(source: Path | str) -> bool:
    """Tell whether `source` is an address on the network and no path."""
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))


def checked_address(url: str, *, outside: bool) -> str:
    """Return the address of a remote raster if it may be asked for.

    Raises:
        RefusedFileError: Outside access is off, it is no plain `http(s)` address, or its host is
            unknown or on the link-local network, where machines keep their own credentials. This
            machine and its own network are allowed: a planner's files may lie on a server there.
    """
    if not outside:
        raise RefusedFileError(
            N_("{url} is outside this machine, and outside access is switched off."),
            hint=N_("Switch it on for this study area, or download the file and add it."),
            url=url[:200],
        )
    host = urlsplit(url).hostname if _ADDRESS.fullmatch(url) else None
    if not host:
        raise RefusedFileError(N_("{url} is no address of a raster."), url=url[:200])
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError as err:
        raise RefusedFileError(N_("The host {host} is not known."), host=host[:80]) from err
    if any(_is_link_local(str(text)) for text in found):
        raise RefusedFileError(N_("{url} is an address inside the network."), url=url[:200])
    return url


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection could lead to a host that would be refused."""

    def redirect_request(self, *_: Any) -> None:
        return None


def answer_headers(url: str, *, is_fresh: bool = False) -> dict[str, str]:
    """Ask a server for a file's headers; its answer is taken for a minute, unless `is_fresh`.

    Raises:
        RefusedFileError: It does not answer, or answers with an error or a redirection.
    """
    with _answers_lock:
        kept = _answers.get(url)
    if kept and not is_fresh and time.monotonic() - kept[0] < _SECONDS_ANSWERED:
        return kept[1]
    try:
        asked = urllib.request.Request(url, method="HEAD")
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(asked, timeout=_SECONDS_OUTSIDE) as answer:
            headers = {name: str(value)[:200] for name, value in answer.headers.items()}
    except OSError as err:  # a status of 300 and above is one too
        raise RefusedFileError(
            N_("{url} does not answer with a file: {reason}."),
            hint=N_("Check the address; give the final one where it leads to another."),
            url=url[:200],
            reason=str(err)[:200],
        ) from err
    with _answers_lock:
        if len(_answers) >= _MOST_ANSWERS:
            _answers.clear()
        _answers[url] = time.monotonic(), headers
    return headers


def _is_link_local(text: str) -> bool:
    address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _checked_path(source: Path | str) -> Path:
    text = str(source)
    # Path() folds "//vsicurl//" but not "/vsicurl/"; both would reach GDAL's network layer.
    if "\0" in text or "/vsi" in text.replace("\\", "/").lower() or "://" in text:
        raise RefusedFileError(
            N_("{path} is no plain file."), hint=N_("Give the path of a file."), path=text[:120]
        )
    path = Path(text).resolve()
    if not path.is_file():
        raise InputError(N_("There is no file {path}."), path=text[:200])
    return path


def _why_not(source: Path | str, name: str) -> RefusedFileError:
    if is_address(source):
        return RefusedFileError(
            N_("{name} cannot be read from {url}."),
            hint=N_("Check that it is a Cloud-Optimized GeoTIFF and that the server answers."),
            name=name,
            url=str(source)[:200],
        )
    head = _head(source)
    if head.startswith((*_TIFF_MAGIC, _HFA_MAGIC)):
        return RefusedFileError(
            N_("{name} is damaged or cut off."), hint=N_("Copy or download it again."), name=name
        )
    if b"VRTDataset" in head:
        return RefusedFileError(
            N_("{name} is a VRT, which only points to other files."),
            hint=N_("Bring in those files, or turn it into a GeoTIFF with gdal_translate."),
            name=name,
        )
    return RefusedFileError(
        N_("{name} is neither a GeoTIFF nor an ERDAS Imagine file."),
        hint=N_("Turn it into a GeoTIFF first."),
        name=name,
    )


def _head(path: Path | str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(64)


def _check_layout(dataset: DatasetReader, name: str) -> None:
    if dataset.count < 1:
        raise RefusedFileError(N_("{name} holds no band."), name=name)
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise RefusedFileError(N_("{name} holds complex numbers."), name=name)
    rows, columns = dataset.block_shapes[0]
    if rows * columns * np.dtype(dataset.dtypes[0]).itemsize > _LARGEST_BLOCK:
        raise RefusedFileError(
            N_("{name} is packed in blocks of {rows} × {columns} pixels, too large to unpack."),
            hint=N_("Write it again with tiles: gdal_translate -co TILED=YES."),
            name=name,
            rows=rows,
            columns=columns,
        )


def check_whole(dataset: DatasetReader) -> None:
    """Refuse a TIFF whose last blocks lie beyond the end of the file.

    Reading would find out too, but an overview can be read from a file whose end is gone.

    Raises:
        RefusedFileError: The file is cut off.
    """
    path = Path(dataset.name)
    if dataset.driver != "GTiff" or not path.is_file():
        return
    size = path.stat().st_size
    rows, columns = dataset.block_shapes[0]
    across, down = math.ceil(dataset.width / columns), math.ceil(dataset.height / rows)
    stride = max(1, across * down // _MOST_BLOCKS_CHECKED)
    for flat in {*range(0, across * down, stride), across * down - 1}:
        place = f"{flat % across}_{flat // across}"
        offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=1)
        length = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=1)
        if offset and length and int(offset) + int(length) > size:
            raise RefusedFileError(
                N_("{name} is damaged or cut off."),
                hint=N_("Copy or download it again."),
                name=path.name,
            )


def nodata_of(dataset: DatasetReader, band: int) -> float | None:
    """Return a band's nodata value, None also where its type cannot hold the declared one."""
    nodata = dataset.nodatavals[band - 1]
    if nodata is None or holds(np.dtype(dataset.dtypes[band - 1]), nodata):
        return None if nodata is None else float(nodata)
    return None


def holds(dtype: np.dtype[Any], value: float) -> bool:
    """Tell whether a pixel of `dtype` can have this value."""
    if dtype.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max) * (1 + 1e-7)
    if not math.isfinite(value) or value != int(value):
        return False
    limits = np.iinfo(dtype)
    return bool(limits.min <= int(value) <= limits.max)


def read(
    dataset: DatasetReader,
    band: int = 1,
    *,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read pixels, and where they are valid.

    Args:
        dataset: An open raster.
        band: Counted from 1.
        window: Which part; None for the whole.
        shape: Rows and columns wanted, nearest pixels; None for all pixels.

    Returns:
        The values as stored, and True where a pixel is not missing; both (rows, columns).

    Raises:
        TooLargeError: The answer would take more than the memory set for one array.
    """
    rows, columns = shape or ((window.height, window.width) if window else dataset.shape)
    _check_memory(dataset, rows * columns * (np.dtype(dataset.dtypes[band - 1]).itemsize + 1))
    values = dataset.read(band, window=window, out_shape=shape)
    nodata = nodata_of(dataset, band)
    valid = is_value(values, nodata)
    if has_mask(dataset, band):
        valid &= dataset.read_masks(band, window=window, out_shape=shape) != 0
    return values, valid


def has_mask(dataset: DatasetReader, band: int) -> bool:
    """Tell whether a mask or an alpha band says which pixels are missing."""
    flags = dataset.mask_flag_enums[band - 1]
    return MaskFlags.all_valid not in flags and MaskFlags.nodata not in flags


def is_value(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Return False where a value is NaN, infinite or equal to `nodata`, of the values' type."""
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if nodata is not None and math.isfinite(nodata) and holds(values.dtype, nodata):
        with np.errstate(over="ignore"):  # a nodata one rounding above the largest float32
            valid &= values != values.dtype.type(nodata)
    return valid


def _check_memory(dataset: DatasetReader, needed: int) -> None:
    if needed > settings().memory_mb << 20:
        raise TooLargeError(
            N_("{name} as a whole would take {needed:.1f} GB of memory; {most:.1f} GB are set."),
            hint=N_("Cut it to the study area first."),
            name=source_name(dataset.name),
            needed=needed / 1e9,
            most=(settings().memory_mb << 20) / 1e9,
        )


def check_band(dataset: DatasetReader, band: int) -> None:
    """Refuse a band that the raster has not.

    Raises:
        InputError: The message says how many there are.
    """
    if not 1 <= band <= dataset.count:
        raise InputError(
            N_("{name} has no band {band}; it has {count}."),
            name=source_name(dataset.name),
            band=band,
            count=dataset.count,
        )


def dataset_crs(dataset: DatasetReader) -> CRS | None:
    """Return a raster's CRS; None where it has none or only a local, engineering one."""
    if dataset.crs is None or not dataset.crs.to_wkt():
        return None
    crs = CRS.from_wkt(dataset.crs.to_wkt())
    return None if crs.is_engineering else crs


def georeference(
    dataset: DatasetReader, *, missing_crs: CRS | None = None, name: str | None = None
) -> Georeference:
    """Return where a raster's pixels lie.

    Args:
        dataset: An open raster.
        missing_crs: The CRS to take for a raster that has none.
        name: What to call the raster in a message; its file name if None.

    Raises:
        CrsError: The raster has no CRS, or no place in it.
    """
    crs = dataset_crs(dataset) or missing_crs
    name = name or source_name(dataset.name)
    if crs is None:
        raise CrsError(
            N_("{name} has no coordinate system."), hint=N_("Say which one it is in."), name=name
        )
    if dataset.transform.is_identity:
        raise CrsError(
            N_("{name} does not say where on the map it lies."),
            hint=N_("Give it a position first, with the georeferencer of QGIS for example."),
            name=name,
        )
    return Georeference(crs, dataset.transform, dataset.width, dataset.height)


def read_pixel(
    source: Path | str, lon: float, lat: float, *, band: int = 1, outside: bool = False
) -> Pixel:
    """Read the pixel that a point in degrees falls into; nothing is interpolated.

    Raises:
        InputError: The point is no longitude and latitude, or there is no such file or band.
        CrsError: The raster has no CRS.
        RefusedFileError: See `open_raster`.
    """
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise InputError(N_("{lon}, {lat} is no longitude and latitude."), lon=lon, lat=lat)
    with open_raster(source, outside=outside) as dataset:
        check_band(dataset, band)
        place = georeference(dataset)
        columns, rows = place.to_pixels(np.array([lon]), np.array([lat]), frame="lonlat")
        if not (0 <= columns[0] < dataset.width and 0 <= rows[0] < dataset.height):
            return Pixel(None, None, None)
        row, column = int(rows[0]), int(columns[0])
        values, valid = read(dataset, band, window=Window(column, row, 1, 1))
        return Pixel(row, column, values[0, 0].item() if valid[0, 0] else None)
