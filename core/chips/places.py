"""Any place as a chip: what a set was cut from, opened again and read where somebody points."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import shapely
from numpy.typing import NDArray
from pyproj import CRS

from core import intake, rasters, store
from core.chips.cut import chip_at, window_at
from core.chips.drawn import DrawnSource
from core.chips.material import Material
from core.chips.options import CutOptions
from core.chips.sets import SetInfo
from core.chips.simulated import simulated_material
from core.chips.sources import RasterSource, Source, StackedSource, outline
from core.chips.under import Cover, Surroundings, cover_layer
from core.errors import AppError, ExtentError, InputError
from core.text import N_
from core.workspace import Workspace

_DEGREES = CRS(4326)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PlaceChip:
    """A chip that is in no set: pixels (C, size, size), outline in degrees, what lies under it."""

    pixels: NDArray[Any]
    outline: shapely.Polygon
    valid: float
    """Share of pixels that are not missing."""
    source: str
    date: str
    shares: dict[int, float]
    """Of land cover, by code; empty where none is known."""


def chip_of(
    workspace: Workspace, info: SetInfo, *, lon: float, lat: float, files: Sequence[Path] = ()
) -> PlaceChip:
    """Return the chip of a place, cut as those of a set: its sources, channels, size.

    Of several sources the first that holds the place is taken.

    Args:
        workspace: Where the set and its area are.
        info: The set.
        lon: Longitude of the middle, degrees.
        lat: Latitude.
        files: Where the files may lie that the set was cut from; told by name and content.

    Raises:
        InputError: The set was imported, or what it was cut from is gone or has changed.
        ExtentError: No source holds the place.
    """
    options = CutOptions(size_px=info.size_px, metres=info.options.get("metres"))
    material = _material(workspace, info, files)
    try:
        for source in material.sources:
            try:
                return _chip(workspace, info, source, material, options, (lon, lat))
            except ExtentError:
                continue
    finally:
        material.close()
    raise ExtentError(
        N_("{lat:.4f}, {lon:.4f} lies outside what {name} was cut from."),
        lon=lon,
        lat=lat,
        name=info.id,
    )


def _chip(
    workspace: Workspace,
    info: SetInfo,
    source: Source,
    material: Material,
    options: CutOptions,
    place: tuple[float, float],
) -> PlaceChip:
    lon, lat = place
    window = window_at(source, options, lon=lon, lat=lat)
    pixels = chip_at(source, material, options, lon=lon, lat=lat)
    _, valid = source.read(window)
    around = _around(workspace, info, material)
    try:
        shares = around.cover.shares(source.place, window) if around.cover else {}
    finally:
        around.close()
    return PlaceChip(
        pixels=pixels,
        outline=outline(source.place, window, _DEGREES),
        valid=float(valid.mean()),
        source=source.name,
        date=source.date,
        shares=shares,
    )


def _around(workspace: Workspace, info: SetInfo, material: Material) -> Surroundings:
    """Return the land cover that the set's own shares are of."""
    if not info.cover:
        return Surroundings()
    from core.chips.simulated import with_truth

    if isinstance(material.sources[0], DrawnSource):
        return with_truth(Surroundings(), material)
    codes = {entry["code"] for entry in info.cover}
    try:
        found: Cover | None = cover_layer(workspace, workspace.area(info.area))
    except AppError:
        return Surroundings()
    # Another land cover since: its shares would not be those of the set.
    same = found is not None and codes == {entry.code for entry in found.legend}
    if found is not None and not same:
        found.source.close()
    return Surroundings(cover=found if same else None)


def _material(workspace: Workspace, info: SetInfo, files: Sequence[Path]) -> Material:
    """Open what a set was cut from, its channels as they were then."""
    if info.made != "cut" or not info.sources:
        raise InputError(
            N_("{name} was imported: its images have no place on the map."), name=info.id
        )
    facts = info.sources[0]
    if facts.get("is_simulated"):
        return simulated_material(int(facts["steps"][0]["seed"]))
    if "layers" in facts:
        return Material(sources=(_layers(workspace, info),), channels=info.channels)
    sources = [_file(entry, files) for entry in info.sources]
    there = tuple(source for source in sources if source is not None)
    if not there:
        raise InputError(
            N_("The files that {name} was cut from are not here any more, or have changed."),
            hint=N_(
                "Bring them back to the study area's images or the server's data folder, or upload"
                " them again where sets are cut."
            ),
            name=info.id,
        )
    return Material(sources=there, channels=info.channels)


def _layers(workspace: Workspace, info: SetInfo) -> Source:
    area = workspace.area(info.area)
    parts = []
    for entry in info.sources[0]["layers"]:
        layer = area.layer(str(entry["id"]))
        if layer.digest != entry["digest"]:
            raise InputError(
                N_("The layer {layer} has changed since {name} was cut."),
                hint=N_("Cut the set again to look at other places."),
                layer=layer.title,
                name=info.id,
            )
        path = workspace.layer_path(area.id, layer)
        parts.append(RasterSource(path, name=layer.title, date="", bands=[1]))
    return parts[0] if len(parts) == 1 else StackedSource(parts)


def _file(entry: dict[str, Any], files: Sequence[Path]) -> Source | None:
    for path in files:
        if (
            rasters.source_name(path) == entry["name"]
            and path.is_file()
            and path.stat().st_size == entry["bytes"]
            # Files of one grid often have one size: another year's must not pass for this one.
            and _digest(path, intake.stamp(path)) == entry["sha256"]
        ):
            return RasterSource(path, date=str(entry["date"]), bands=entry["bands"])
    return None


@lru_cache(maxsize=256)
def _digest(path: Path, stamp: int) -> str:
    """Return the digest of a file; `stamp` is the file's. A second for half a gigabyte."""
    del stamp
    return store.file_digest(path)
