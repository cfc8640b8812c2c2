"""What can be said of a raster file cheaply: header, a small picture, a guess of its meaning."""

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core import georeference, rasters, store
from core.legends import PRESETS, Legend, LegendClass, fitting_preset, numbered_legend
from core.settings import settings
from core.workspace import Kind, Role, Season, crs_name

_PREVIEW_PX = 512
_PICTURE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One band of a raster file; empty text and None where the file says nothing."""

    dtype: str
    nodata: float | None
    description: str
    colour: str
    """GDAL's colour interpretation: gray, palette, red, alpha …"""
    unit: str
    colour_table: tuple[tuple[int, str], ...]
    """Pairs of code and `#RRGGBB`; the colour is empty where the entry is transparent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterInfo:
    """What a raster file says of itself. Bounds are west, south, east, north."""

    name: str
    driver: str
    crs: str | None
    """`EPSG:…` or WKT; None where the file has none."""
    crs_title: str
    width: int
    height: int
    bands: tuple[Band, ...]
    resolution: tuple[float, float]
    """Width and height of a pixel in `unit`."""
    unit: str
    """`metre`, `degree`, `foot` …; empty without a CRS."""
    bounds: tuple[float, float, float, float]
    bounds_lonlat: tuple[float, float, float, float] | None
    """In degrees. West is greater than east where the raster crosses the 180th meridian; None
    without a CRS, or where the extent has no longitude and latitude."""
    file_bytes: int | None
    """None for a raster read over the network."""
    unpacked_bytes: int
    is_tiled: bool
    overviews: tuple[int, ...]
    is_rotated: bool
    is_south_up: bool
    missing_share: float
    """Of the first band, estimated from at most 512 × 512 pixels."""


def picture(
    dataset: DatasetReader, band: int, max_px: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read at most `max_px` × `max_px` nearest pixels that cover the whole raster.

    Smaller where a raster without overviews would have to be unpacked by more than 1 GiB.

    Returns:
        The values and where they are valid, both (rows, columns).
    """
    height, width = dataset.shape
    factor = max(1.0, max(height, width) / max_px)
    shape = max(1, round(height / factor)), max(1, round(width / factor))
    itemsize = np.dtype(dataset.dtypes[band - 1]).itemsize
    if dataset.overviews(band) or height * width * itemsize <= settings().gdal_cache_mb << 20:
        return rasters.read(dataset, band, shape=shape)
    block = dataset.block_shapes[band - 1]
    allowed = max(1, _PICTURE_BYTES // (block[0] * block[1] * itemsize))
    shape = _fewer(shape, (math.ceil(height / block[0]), math.ceil(width / block[1])), allowed)
    rows, columns = (
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in zip(shape, dataset.shape, strict=True)
    )
    values = np.empty(shape, dataset.dtypes[band - 1])
    valid = np.empty(shape, bool)
    # Block by block, since GDAL goes row by row and would unpack each block many times.
    for down in _runs(rows // block[0]):
        for across in _runs(columns // block[1]):
            window = Window.from_slices(
                (rows[down][0], rows[down][-1] + 1), (columns[across][0], columns[across][-1] + 1)
            )
            place = np.ix_(rows[down] - rows[down][0], columns[across] - columns[across][0])
            read = rasters.read(dataset, band, window=window)
            values[down, across], valid[down, across] = read[0][place], read[1][place]
    return values, valid


def _fewer(shape: tuple[int, int], blocks: tuple[int, int], allowed: int) -> tuple[int, int]:
    """Shrink a picture until it touches no more than `allowed` blocks."""
    while min(shape[0], blocks[0]) * min(shape[1], blocks[1]) > allowed and max(shape) > 1:
        shape = max(1, shape[0] // 2), max(1, shape[1] // 2)
    return shape


def _runs(numbers: NDArray[np.int64]) -> list[slice]:
    """Return the slices of an ordered array within which the number stays the same."""
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    return [slice(first, last) for first, last in pairwise(starts)]


def preview(
    source: Path | str, *, band: int = 1, max_px: int = _PREVIEW_PX, outside: bool = False
) -> np.ma.MaskedArray[Any, Any]:
    """Read a picture of the whole raster of at most `max_px` × `max_px` nearest pixels.

    Raises:
        InputError: There is no such file or no such band.
        RefusedFileError: See `rasters.open_raster`.
    """
    with rasters.open_raster(source, outside=outside) as dataset:
        rasters.check_band(dataset, band)
        values, valid = picture(dataset, band, max_px)
        return np.ma.MaskedArray(values, ~valid)


def inspect(source: Path | str, *, outside: bool = False) -> RasterInfo:
    """Say what a raster file holds, from its header and a small picture of it.

    Raises:
        InputError: There is no such file.
        RefusedFileError: See `rasters.open_raster`; also for a file that is cut off.
    """
    with rasters.open_raster(source, outside=outside) as dataset:
        rasters.check_whole(dataset)
        crs = rasters.dataset_crs(dataset)
        transform = dataset.transform
        valid = picture(dataset, 1, _PREVIEW_PX)[1]
        bounds = georeference.outer_bounds(transform, dataset.width, dataset.height)
        sizes = [np.dtype(dtype).itemsize for dtype in dataset.dtypes]
        return RasterInfo(
            name=rasters.source_name(source),
            driver=dataset.driver,
            crs=crs_name(crs) if crs else None,
            crs_title=crs.name if crs else "",
            width=dataset.width,
            height=dataset.height,
            bands=tuple(_band(dataset, band) for band in dataset.indexes),
            resolution=georeference.pixel_size(transform),
            unit=crs.axis_info[0].unit_name if crs and crs.axis_info else "",
            bounds=bounds,
            bounds_lonlat=georeference.lonlat_bounds(crs, bounds) if crs else None,
            file_bytes=None if rasters.is_address(source) else Path(source).stat().st_size,
            unpacked_bytes=dataset.width * dataset.height * sum(sizes),
            is_tiled=dataset.block_shapes[0][1] < dataset.width,
            overviews=tuple(dataset.overviews(1)),
            is_rotated=georeference.is_rotated(transform),
            is_south_up=transform.e > 0,
            missing_share=1.0 - float(valid.mean()),
        )


def _band(dataset: DatasetReader, band: int) -> Band:
    colour = dataset.colorinterp[band - 1]
    table: tuple[tuple[int, str], ...] = ()
    if colour == ColorInterp.palette:
        table = tuple(
            (code, f"#{red:02X}{green:02X}{blue:02X}" if alpha else "")
            for code, (red, green, blue, alpha) in sorted(dataset.colormap(band).items())
        )
    return Band(
        dtype=dataset.dtypes[band - 1],
        nodata=rasters.nodata_of(dataset, band),
        description=dataset.descriptions[band - 1] or "",
        colour=colour.name,
        unit=dataset.units[band - 1] or "",
        colour_table=table,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a file probably is. A proposal to be shown and confirmed, never more."""

    layer_id: str
    title: str
    kind: Kind
    role: Role
    season: Season | None
    unit: str
    colormap: str
    legend: Legend
    """Of the codes in a sample. Without the user's touch pass on none: then all codes are named."""
    preset: str | None
    """The id of the preset that `legend` came from."""
    has_colours: bool = False
    """Whether the file holds a colour table."""

    @property
    def kept_legend(self) -> Legend:
        """The legend where it says more than the codes of a sample; else none.

        Without one, bringing the raster in numbers every code that it really holds.
        """
        is_bare = all(entry.name == str(entry.code) for entry in self.legend)
        return () if is_bare and not self.has_colours else self.legend


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A quantity, the words in a file name that tell of it, and what follows."""

    words: str
    kind: Kind
    role: Role = "cause"
    unit: str = ""
    colormap: str = "viridis"


# The first that fits counts: "landcover" before "land", "ndvi" before anything about height.
_MEANINGS = (
    _Meaning("landcover land_cover lulc lc worldcover klassifikation classification", "classes"),
    _Meaning("landuse land_use lu zoning nutzung flaechennutzung cdl cropland", "classes"),
    _Meaning("ndvi evi savi ndwi ndbi albedo reflectance", "values"),
    _Meaning("storeys stories storey floors levels geschosse", "values", colormap="cividis"),
    _Meaning("lst temperature temp thermal st_b10 t2m", "values", "effect", "°C", "inferno"),
    _Meaning("night nightlight nightlights viirs dnb ntl", "values", "effect", "", "inferno"),
    _Meaning("dem dsm dtm cdsm ndsm chm elevation height hoehe hag", "values", unit="m"),
)
_SEASONS: tuple[tuple[Season, str], ...] = (
    ("summer", "summer sommer jul july jun june aug august été ete"),
    ("winter", "winter jan january feb february dec december hiver"),
)
_SEASON_MONTHS: dict[int, Season] = {
    **dict.fromkeys((6, 7, 8), "summer"),
    **dict.fromkeys((12, 1, 2), "winter"),
}
_DATE = re.compile(r"(?<!\d)(?:(?:19|20)\d{2})?(0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")
_KELVIN = (200.0, 350.0)
_MOST_GUESSED_CLASSES = 64


def guess(info: RasterInfo, source: Path | str, *, band: int = 1, outside: bool = False) -> Guess:
    """Guess what a raster shows from its type, its values and the words in its name.

    Conservative: without a telling word, whole numbers of at most 64 different values are
    classes, all else values; everything is a cause.

    Raises:
        InputError: There is no such file or band.
        RefusedFileError: See `rasters.open_raster`.
    """
    stem = info.name.rsplit(".", 1)[0]
    values = preview(source, band=band, outside=outside).compressed()  # first: checks the band
    words = _words(f"{stem} {info.bands[band - 1].description}")
    codes = _codes(values)
    meaning = next(
        (
            known
            for known in _MEANINGS
            if words & set(known.words.split()) and (known.kind == "values" or codes is not None)
        ),
        _Meaning("", "values" if codes is None else "classes"),
    )
    kind = meaning.kind
    preset = fitting_preset(codes) if kind == "classes" and codes and _names_preset(words) else None
    title = _title(stem)
    return Guess(
        layer_id=store.slug(title, fallback="layer"),
        title=title,
        kind=kind,
        role=meaning.role,
        season=_season(stem, words) if meaning.role == "effect" else None,
        unit=_unit(meaning, values, info.bands[band - 1].unit),
        colormap=meaning.colormap,
        legend=_legend(codes or (), info.bands[band - 1], preset) if kind == "classes" else (),
        preset=preset,
        has_colours=bool(info.bands[band - 1].colour_table),
    )


def _words(text: str) -> set[str]:
    """Split a name into small words, and into pairs of neighbours: st_b10, land_cover."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    parts = re.findall(r"[^\W\d_]+\d*", spaced)
    bare = {re.sub(r"\d+$", "", part) for part in parts}
    return {*parts, *bare, *("_".join(pair) for pair in pairwise(parts))}


def _codes(values: NDArray[Any]) -> list[int] | None:
    """Return the different whole numbers of at most 64; None where they are no class codes."""
    if values.size == 0:
        return None
    distinct = np.unique(values)
    if len(distinct) > _MOST_GUESSED_CLASSES or not np.array_equal(distinct, np.round(distinct)):
        return None
    return [int(code) for code in distinct]


def _names_preset(words: set[str]) -> bool:
    """Tell whether the name itself speaks of a product or of land cover with eight classes.

    Codes 1 to 4 fit several presets, so codes alone would name a river "Grass".
    """
    return bool(words & {"worldcover", "esa", "lulc", "io", "chicago"})


def _season(stem: str, words: set[str]) -> Season | None:
    """Return the season a name tells by a word, or by a date such as 0226 or 20240813.

    Months are those of the northern half of the earth.
    """
    found = {season for season, names in _SEASONS if words & set(names.split())}
    if not found:
        found = {_SEASON_MONTHS[int(m)] for m in _DATE.findall(stem) if int(m) in _SEASON_MONTHS}
    return found.pop() if len(found) == 1 else None


def _unit(meaning: _Meaning, values: NDArray[Any], written: str) -> str:
    if written or meaning.unit != "°C" or values.size == 0:
        return written or meaning.unit
    middle = float(np.median(values))
    if _KELVIN[0] < middle < _KELVIN[1]:
        return "K"
    return "°C" if -60 < middle < 70 else ""  # scaled numbers of a satellite product


def _title(stem: str) -> str:
    text = " ".join(re.sub(r"[_\-.]+", " ", stem).split())
    text = "".join(letter for letter in text if letter.isprintable())[:80].strip()
    return (text[:1].upper() + text[1:]) or "Layer"


def _legend(codes: list[int] | tuple[()], band: Band, preset: str | None) -> Legend:
    if preset:
        return PRESETS[preset][1]
    colours = dict(band.colour_table)
    return tuple(
        LegendClass(entry.code, entry.name, colours.get(entry.code, entry.colour))
        for entry in numbered_legend(codes)
    )
