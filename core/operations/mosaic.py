"""Put several rasters together into one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window

from core.cog import Pixels
from core.errors import CrsError, InputError
from core.georeference import Georeference, pixel_size
from core.operations.making import Making, Note
from core.operations.reproject import grid_in
from core.operations.sources import (
    Opened,
    Read,
    extended,
    find_source,
    is_north_up,
    north_up,
    offset,
    on_grid,
    opened,
)
from core.text import N_
from core.workspace import Kind, Workspace, crs_name

Rule = Literal["first", "last", "min", "max", "mean"]

_MOST_SOURCES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """Several layers or files as one raster over all that they cover.

    The grid is that of the source with the finest pixels, continued; pixels that do not lie on
    it are taken from the nearest. The number type is one that holds all of the sources'.
    """

    sources: tuple[str, ...]
    """Ids of layers or paths of files; the first is on top under the rule `first`."""
    rule: Rule = "first"
    """Which valid pixel counts where sources overlap. Means of whole numbers are rounded."""
    reproject: bool = False
    """Bring all sources into the CRS of the first; otherwise different ones are refused."""

    name = "mosaic"

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise InputError(
                N_("{rule!r} is no rule for overlaps."),
                hint=N_("Choose one of: {known}."),
                rule=str(self.rule)[:40],
                known=", ".join(get_args(Rule)),
            )
        if not 2 <= len(self.sources) <= _MOST_SOURCES:
            raise InputError(
                N_("A mosaic is made of 2 to {most} rasters; {count} were given."),
                most=_MOST_SOURCES,
                count=len(self.sources),
            )
        for text in self.sources:
            if self.sources.count(text) > 1:
                raise InputError(N_("{name} is named twice."), name=text[:80])

    @contextmanager
    def making(self, workspace: Workspace, area_id: str, kind: Kind) -> Iterator[Making]:
        """See `Operation.making`."""
        if kind == "classes" and self.rule in ("min", "max", "mean"):
            raise InputError(
                N_("The {rule} of class codes means nothing."),
                hint=N_("Choose first or last, or bring the layer in as values."),
                rule=self.rule,
            )
        area = workspace.area(area_id)
        with ExitStack() as stack:
            parts = [
                stack.enter_context(opened(find_source(workspace, area, text)))
                for text in self.sources
            ]
            place = _grid(parts, reproject=self.reproject)
            reads = [stack.enter_context(on_grid(part, place, "nearest")) for part in parts]
            dtype = np.result_type(*(part.pixels.dtype for part in parts))
            nodata, has_mask = _missing(parts, dtype)
            work = _Mosaicking(parts, reads, place, dtype, self.rule)
            yield Making(
                pixels=Pixels(
                    name=parts[0].source.name,
                    place=place,
                    dtype=dtype,
                    nodata=nodata,
                    has_mask=has_mask,
                    read=work.read,
                    tell=lambda: [work.step(self.rule)],
                ),
                inputs=[part.source for part in parts],
                notes=_notes(parts, place, dtype),
                outcome=work.notes,
            )


class _Mosaicking:
    """Joins windows and counts what it joins."""

    def __init__(
        self,
        parts: list[Opened],
        reads: list[Read],
        place: Georeference,
        dtype: np.dtype[Any],
        rule: Rule,
    ) -> None:
        self._parts = parts
        self._reads = reads
        self._boxes = [_box(part.place, place) for part in parts]
        self._dtype = dtype
        self._rule = rule
        self._overlapping = 0

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        shape = (int(window.height), int(window.width))
        values = np.zeros(shape, np.float64 if self._rule == "mean" else self._dtype)
        count = np.zeros(shape, np.uint16)
        for read, box in zip(self._reads, self._boxes, strict=True):
            part = _common(window, box)
            if part is None:
                continue
            found, valid = read(part)
            top, left = int(part.row_off - window.row_off), int(part.col_off - window.col_off)
            cut = np.s_[top : top + int(part.height), left : left + int(part.width)]
            self._join(values[cut], count[cut], found, valid)
        self._overlapping += int(np.count_nonzero(count > 1))
        if self._rule == "mean":
            mean = values / np.maximum(count, 1)
            values = mean if self._dtype.kind == "f" else np.rint(mean)
        return values.astype(self._dtype, copy=False), count > 0

    def _join(
        self,
        values: NDArray[Any],
        count: NDArray[np.uint16],
        found: NDArray[Any],
        valid: NDArray[np.bool_],
    ) -> None:
        found = found.astype(values.dtype, copy=False)
        is_new = valid & (count == 0)
        if self._rule == "mean":
            np.add(values, found, out=values, where=valid)
        elif self._rule == "last":
            np.copyto(values, found, where=valid)
        else:
            np.copyto(values, found, where=is_new)
            if self._rule != "first":
                choose = np.minimum if self._rule == "min" else np.maximum
                choose(values, found, out=values, where=valid & ~is_new)
        count += valid

    def step(self, rule: Rule) -> dict[str, Any]:
        layers = (part.source.layer for part in self._parts)
        filled = sum(
            int(step.get("filled", 0)) for layer in layers if layer for step in layer.steps
        )
        told: dict[str, Any] = {
            "step": "mosaic",
            "sources": len(self._parts),
            "rule": rule,
            "overlapping": self._overlapping,
        }
        return {**told, "filled": filled} if filled else told

    def notes(self) -> list[Note]:
        return [
            Note(
                N_("{count} rasters were joined; they overlap in {pixels:,} pixels (rule {rule})."),
                {"count": len(self._parts), "pixels": self._overlapping, "rule": self._rule},
            )
        ]


def _grid(parts: list[Opened], *, reproject: bool) -> Georeference:
    """Return the grid of the finest source, made north-up and continued over all sources."""
    first = parts[0].place.crs
    for part in parts:
        if not reproject and not _same(part.place.crs, first):
            raise CrsError(
                N_("{name} is in {crs}, {first} in {other}."),
                hint=N_("Let them be reprojected, or reproject one of them first."),
                name=part.source.name,
                crs=part.place.crs.name,
                first=parts[0].source.name,
                other=first.name,
            )
    places = [
        part.place
        if _same(part.place.crs, first) and is_north_up(part.place)
        else grid_in(part.place, first, None, name=part.source.name)
        for part in parts
    ]
    finest = min(places, key=lambda place: float(np.prod(pixel_size(place.transform))))
    west, south, east, north = np.array([place.bounds for place in places]).T
    bounds = (float(west.min()), float(south.min()), float(east.max()), float(north.max()))
    if any(place is part.place for place, part in zip(places, parts, strict=True)):
        return extended(finest, bounds)
    return north_up(first, bounds, pixel_size(finest.transform))


def _same(one: CRS, other: CRS) -> bool:
    return bool(one == other) or crs_name(one) == crs_name(other)


def _missing(parts: list[Opened], dtype: np.dtype[Any]) -> tuple[float | None, bool]:
    """Return the nodata value, and whether a mask tells what is missing.

    A value that means missing in one source may be a reading in another: only one that all share
    is kept.
    """
    if dtype.kind == "f":
        return float("nan"), False
    marks = {part.pixels.nodata for part in parts}
    shared = marks.pop() if len(marks) == 1 else None
    return shared, shared is None


def _box(place: Georeference, target: Georeference) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a source in pixels of the target, a pixel generous."""
    found = offset(place, target)
    if found is not None:
        left, top = found
        return left, top, left + place.width, top + place.height
    edges = grid_in(place, target.crs, None, name="").bounds
    inverse = ~target.transform
    left_top, right_bottom = inverse @ (edges[0], edges[3]), inverse @ (edges[2], edges[1])
    return (
        int(left_top[0]) - 1,
        int(left_top[1]) - 1,
        int(right_bottom[0]) + 2,
        int(right_bottom[1]) + 2,
    )


def _common(window: Window, box: tuple[int, int, int, int]) -> Window | None:
    left, top = max(int(window.col_off), box[0]), max(int(window.row_off), box[1])
    right = min(int(window.col_off + window.width), box[2])
    bottom = min(int(window.row_off + window.height), box[3])
    return Window(left, top, right - left, bottom - top) if left < right and top < bottom else None


def _notes(parts: list[Opened], place: Georeference, dtype: np.dtype[Any]) -> list[Note]:
    notes = []
    sides = {tuple(np.round(pixel_size(part.place.transform), 9)) for part in parts}
    if len(sides) > 1:
        notes.append(
            Note(
                N_("The sources differ in resolution; the finest is kept: {side:.6g} {unit}."),
                {
                    "side": pixel_size(place.transform)[0],
                    "unit": place.crs.axis_info[0].unit_name,
                },
            )
        )
    moved = [part.source.name for part in parts if offset(part.place, place) is None]
    if moved:
        notes.append(
            Note(
                N_("Not on the common grid, so taken from the nearest pixel: {names}."),
                {"names": ", ".join(moved)},
            )
        )
    if len({part.pixels.dtype for part in parts}) > 1:
        notes.append(
            Note(
                N_("The sources differ in number type; the result is {dtype}."),
                {"dtype": str(dtype)},
            )
        )
    return [*notes, *_several_bands(parts)]


def _several_bands(parts: list[Opened]) -> list[Note]:
    return [
        Note(
            N_("{name} has {count} bands; the first is read."),
            {"name": part.source.name, "count": part.dataset.count},
        )
        for part in parts
        if part.source.layer is None and part.dataset.count > 1
    ]
