"""From layers of an area, or from files, to sources of equal channels."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from core import intake, raster_info, store
from core.chips.channels import MOST_CHANNELS, Channel
from core.chips.sources import RasterSource, Read, Source, StackedSource, date_in
from core.errors import InputError
from core.legends import Legend
from core.text import N_
from core.workspace import Area, Layer, Workspace, crs_name

FileKind = Literal["image", "values", "classes"]
_STRIP_PX = 512
_MOST_CODES = 256
_ROUGH_BYTES = 32 << 20
_ROUGH_BLOCKS = 256
"""What is unpacked of a file, at most, for a look beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a set is cut from: sources, usually of several dates, and what their bands become."""

    sources: tuple[Source, ...]
    channels: tuple[Channel, ...]
    facts: tuple[dict[str, Any], ...] = field(default=())
    """Of each source: name, date, CRS, and where it came from."""

    def close(self) -> None:
        """Close all sources."""
        for source in self.sources:
            source.close()


def layer_material(
    workspace: Workspace,
    area: Area,
    layer_ids: Sequence[str],
    *,
    value_range: tuple[float, float] | None = None,
    is_rough: bool = False,
) -> Material:
    """Return layers of an area as one source; the first sets the grid.

    Classes become a channel each, the share of that class. Values become one channel from their
    smallest to their largest value; whole numbers of 8 bits, such as a band of imagery, stay as
    they are.

    Args:
        workspace: Where the area is.
        area: The area.
        layer_ids: Which layers, in the order of the channels.
        value_range: Smallest and largest value to keep of every layer of values.
        is_rough: For a look beforehand: ranges are told from a part of each large layer.

    Raises:
        InputError: No such layer, a layer that stays on a server, or too many channels.
    """
    if not layer_ids:
        raise InputError(N_("Choose a layer or a file to cut chips from."))
    layers = [area.layer(layer_id) for layer_id in layer_ids]
    parts: list[RasterSource] = []
    channels: list[Channel] = []
    for number, layer in enumerate(layers):
        if not layer.file:
            raise InputError(
                N_("Layer {layer} stays on a server; only its picture is read."),
                hint=N_("Download the file and bring it in first."),
                layer=layer.title,
            )
        date = str(layer.source.get("date", "")) or date_in(str(layer.source.get("name", "")))
        path = workspace.layer_path(area.id, layer)
        part = RasterSource(path, name=layer.title, date=date, bands=[1])
        parts.append(part)
        channels += _layer_channels(layer, part, number, value_range, is_rough=is_rough)
    _check_channels(channels)
    source = parts[0] if len(parts) == 1 else StackedSource(parts)
    facts = {
        "name": source.name,
        "date": source.date,
        "crs": crs_name(source.place.crs),
        "layers": [{"id": layer.id, "digest": layer.digest} for layer in layers],
    }
    return Material(sources=(source,), channels=tuple(channels), facts=(facts,))


def file_material(
    paths: Sequence[Path],
    *,
    kind: FileKind | None = None,
    bands: Sequence[int] | None = None,
    dates: Sequence[str] | None = None,
    value_range: tuple[float, float] | None = None,
    is_rough: bool = False,
) -> Material:
    """Return raster files as sources of equal channels: several places, or one place over time.

    Args:
        paths: GeoTIFF or ERDAS Imagine.
        kind: What the bands are; None takes three bands and more, or one of them with 8 bits in
            several files of such, for an image, and guesses of one band.
        bands: Which, counted from 1; None: all but an alpha band.
        dates: One a file; None reads them from the file names.
        value_range: Smallest and largest value to keep; None: those of all files together, and 0
            to 255 for images of 8 bits.
        is_rough: For a look beforehand: ranges and classes are told from a part of each large
            file, and the facts hold no digest.

    Raises:
        InputError: No file, other bands or types in one of them, too many classes or channels.
        RefusedFileError, CrsError: See `rasters.open_raster` and `rasters.georeference`.
    """
    if not paths:
        raise InputError(N_("Choose a layer or a file to cut chips from."))
    if dates and len(dates) != len(paths):
        raise InputError(N_("Give as many dates as files."))
    sources = [
        RasterSource(path, date=dates[number] if dates else None, bands=bands)
        for number, path in enumerate(paths)
    ]
    first = sources[0]
    for source in sources[1:]:
        if len(source.bands) != len(first.bands) or source.dtype != first.dtype:
            raise InputError(
                N_("{name} has other bands than {first}."),
                hint=N_("Cut files of one kind into one set."),
                name=source.name,
                first=first.name,
            )
    kind = kind or _guess(first)
    channels = _file_channels(sources, kind, value_range, is_rough=is_rough)
    _check_channels(channels)
    facts = [
        {
            "name": source.name,
            "date": source.date,
            "crs": crs_name(source.place.crs),
            "bytes": source.path.stat().st_size,
            "bands": list(source.bands),
            **({} if is_rough else {"sha256": store.file_digest(source.path)}),
        }
        for source in sources
    ]
    return Material(sources=tuple(sources), channels=tuple(channels), facts=tuple(facts))


def class_channels(legend: Legend, codes: Sequence[int], band: int) -> list[Channel]:
    """Return a channel for each code, named and coloured by the legend."""
    known = {entry.code: entry for entry in legend}
    return [
        Channel(
            name=known[code].name if code in known else str(code),
            kind="class",
            band=band,
            low=0.0,
            high=1.0,
            code=code,
            colour=known[code].colour if code in known else "",
        )
        for code in codes
    ]


def image_channels(count: int, descriptions: Sequence[str] = ()) -> list[Channel]:
    """Return the channels of an 8-bit picture; three are red, green, blue, a fourth is infrared."""
    usual = {1: ["grey"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "nir"]}
    names = usual.get(count, [f"band {band}" for band in range(1, count + 1)])
    given = [text.strip() for text in descriptions]
    if len(set(given)) == count and all(given):
        names = [text[:40] for text in given]
    return [Channel(name=name, kind="image", band=band) for band, name in enumerate(names)]


def _layer_channels(
    layer: Layer,
    source: RasterSource,
    band: int,
    value_range: tuple[float, float] | None,
    *,
    is_rough: bool,
) -> list[Channel]:
    if layer.kind == "classes":
        codes = [entry.code for entry in layer.legend]
        codes += [code for code, _ in layer.summary.counts if code not in codes]
        return class_channels(layer.legend, codes, band)
    if source.dtype == np.uint8 and value_range is None:
        return [Channel(name=layer.id, kind="image", band=band, unit=layer.unit)]
    low, high = value_range or _extremes([source], is_rough=is_rough)[0]
    return [Channel(name=layer.id, kind="values", band=band, low=low, high=high, unit=layer.unit)]


def _file_channels(
    sources: Sequence[RasterSource],
    kind: FileKind,
    value_range: tuple[float, float] | None,
    *,
    is_rough: bool,
) -> list[Channel]:
    first = sources[0]
    count = len(first.bands)
    if kind == "classes":
        if count != 1:
            raise InputError(N_("Classes are one band; choose which."))
        legend = _guessed(first.path, intake.stamp(first.path), first.bands[0]).legend
        return class_channels(legend, _codes(sources, is_rough=is_rough), 0)
    named = image_channels(count, first.descriptions)
    if kind == "image" and first.dtype == np.uint8 and value_range is None:
        return named
    ranges = [value_range] * count if value_range else _extremes(sources, is_rough=is_rough)
    return [
        Channel(
            name=channel.name,
            kind=kind,
            band=channel.band,
            low=low,
            high=high,
        )
        for channel, (low, high) in zip(named, ranges, strict=True)
    ]


def _guess(source: RasterSource) -> FileKind:
    if len(source.bands) >= 3:
        return "image"
    if len(source.bands) == 1:
        return _guessed(source.path, intake.stamp(source.path), source.bands[0]).kind
    return "values"


@lru_cache(maxsize=64)
def _guessed(path: Path, stamp: int, band: int) -> raster_info.Guess:
    """Guess what a file shows; `stamp` is that of the file."""
    del stamp
    return raster_info.guess(raster_info.inspect(path), path, band=band)


def _extremes(sources: Sequence[RasterSource], *, is_rough: bool) -> list[tuple[float, float]]:
    """Return the smallest and largest valid value of each band over all sources."""
    found = [
        _rough_range(source.path, intake.stamp(source.path), source.bands)
        if is_rough
        else _range_of(_strips(source), len(source.bands))
        for source in sources
    ]
    low = np.min([each[0] for each in found], axis=0)
    high = np.max([each[1] for each in found], axis=0)
    if np.isfinite(low).all():
        return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    if is_rough:  # none in the part that was looked at: who cuts will know
        return [(0.0, 1.0)] * len(low)
    raise InputError(N_("{name} holds no value to cut chips from."), name=sources[0].name)


def _range_of(pieces: Iterable[Read], bands: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the smallest and largest valid value of each band; infinite where there is none."""
    low, high = np.full(bands, np.inf), np.full(bands, -np.inf)
    for values, valid in pieces:
        if valid.any():
            found = values[:, valid]
            low = np.minimum(low, found.min(axis=1))
            high = np.maximum(high, found.max(axis=1))
    return low, high


@lru_cache(maxsize=256)
def _rough_range(
    path: Path, stamp: int, bands: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what `_range_of` finds in a part of a large file; `stamp` is that of the file."""
    del stamp
    source = RasterSource(path, bands=bands)
    try:
        return _range_of(_some(source), len(bands))
    finally:
        source.close()


def _codes(sources: Sequence[RasterSource], *, is_rough: bool) -> list[int]:
    codes: set[int] = set()
    for source in sources:
        if is_rough:
            stamp = intake.stamp(source.path)
            codes |= _rough_codes(source.path, stamp, source.bands)
        else:
            codes |= _codes_of(_strips(source), source.name)
    _check_codes(codes, sources[-1].name)
    return sorted(codes)


def _codes_of(pieces: Iterable[Read], name: str) -> frozenset[int]:
    codes: set[int] = set()
    for values, valid in pieces:
        found = np.unique(values[0][valid])
        if (found != np.floor(found)).any():
            raise InputError(N_("{name} holds fractions, so no classes."), name=name)
        codes.update(int(code) for code in found)
        _check_codes(codes, name)
    return frozenset(codes)


@lru_cache(maxsize=256)
def _rough_codes(path: Path, stamp: int, bands: tuple[int, ...]) -> frozenset[int]:
    """Return the codes in a part of a large file; `stamp` is that of the file."""
    del stamp
    source = RasterSource(path, bands=bands)
    try:
        return _codes_of(_some(source), source.name)
    finally:
        source.close()


def _check_codes(codes: set[int], name: str) -> None:
    if len(codes) > _MOST_CODES:
        raise InputError(N_("{name} holds more than {most} classes."), name=name, most=_MOST_CODES)


def _strips(source: RasterSource) -> Iterator[Read]:
    """Read a source from north to south, in pieces of bounded size."""
    place = source.place
    for top in range(0, place.height, _STRIP_PX):
        for left in range(0, place.width, 4 * _STRIP_PX):
            width = min(4 * _STRIP_PX, place.width - left)
            yield source.read(Window(left, top, width, min(_STRIP_PX, place.height - top)))


def _some(source: RasterSource) -> Iterator[Read]:
    """Read a source whole where it is small, else some of its blocks, scattered over it."""
    place, (rows, cols) = source.place, source.block_px
    if place.height * place.width * source.pixel_bytes <= _ROUGH_BYTES:
        yield from _strips(source)
        return
    across = math.ceil(place.width / cols)
    blocks = math.ceil(place.height / rows) * across
    few = min(blocks, _ROUGH_BLOCKS, max(1, _ROUGH_BYTES // (rows * cols * source.pixel_bytes)))
    # Drawn rather than every so many: those could all lie in one column.
    for at in sorted(np.random.default_rng(0).choice(blocks, few, replace=False).tolist()):
        top, left = at // across * rows, at % across * cols
        height, width = min(rows, place.height - top), min(cols, place.width - left)
        yield source.read(Window(left, top, width, height))


def _check_channels(channels: Sequence[Channel]) -> None:
    if not 1 <= len(channels) <= MOST_CHANNELS:
        raise InputError(
            N_("A chip would have {count} channels; {most} are the most."),
            hint=N_("Choose fewer layers, or a layer with fewer classes."),
            count=len(channels),
            most=MOST_CHANNELS,
        )
