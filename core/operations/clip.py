"""Cut a raster to the study area."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from core.cog import Pixels
from core.errors import ExtentError, InputError
from core.georeference import Georeference, inside_polygon
from core.operations.making import Making, Note
from core.operations.sources import Opened, find_source, opened, steps_before
from core.text import N_
from core.workspace import Kind, Workspace

_MOST_MARGIN_M = 1_000_000
_ROUNDING_PX = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The part of a layer or file in the box around the boundary; no pixel is resampled."""

    source: str
    margin_m: float = 0.0
    """How far beyond the boundary to go, in metres."""
    mask: bool = False
    """Make pixels missing whose centre lies outside the boundary and its margin."""

    name = "clip"

    def __post_init__(self) -> None:
        if not 0 <= self.margin_m <= _MOST_MARGIN_M:
            raise InputError(
                N_("A margin of {margin} m cannot be used."),
                hint=N_("Give 0 to {most} m."),
                margin=self.margin_m,
                most=_MOST_MARGIN_M,
            )

    @contextmanager
    def making(self, workspace: Workspace, area_id: str, kind: Kind) -> Iterator[Making]:  # noqa: ARG002
        """See `Operation.making`."""
        source = find_source(workspace, workspace.area(area_id), self.source)
        with opened(source) as part:
            polygon = area_in_pixels(workspace, area_id, part.place, self.margin_m)
            cut = _box(polygon, part.place, source.name)
            pixels = part.pixels
            work = _Clipping(part, cut, polygon if self.mask else None)
            place = Georeference(
                part.place.crs,
                part.place.transform @ Affine.translation(cut.col_off, cut.row_off),
                int(cut.width),
                int(cut.height),
            )
            kept = place.width * place.height / pixels.num
            yield Making(
                pixels=Pixels(
                    name=source.name,
                    place=place,
                    dtype=pixels.dtype,
                    nodata=pixels.nodata,
                    has_mask=pixels.has_mask or (self.mask and pixels.nodata is None),
                    read=work.read,
                    steps=[*pixels.steps, *steps_before(source)],
                    tell=lambda: [
                        {
                            "step": "clip",
                            "margin_m": self.margin_m,
                            "masked": work.masked,
                            "rows": [int(cut.row_off), int(cut.row_off + cut.height)],
                            "columns": [int(cut.col_off), int(cut.col_off + cut.width)],
                        }
                    ],
                ),
                inputs=[source],
                notes=[Note(N_("{share:.1%} of the pixels are kept."), {"share": kept})],
                outcome=work.notes,
            )


class _Clipping:
    """Reads the cut and counts what it masks."""

    def __init__(self, part: Opened, cut: Window, polygon: shapely.Geometry | None) -> None:
        self._part = part
        self._cut = cut
        self._inside = inside_polygon(polygon) if polygon is not None else None
        self.masked = 0

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        own = Window(
            window.col_off + self._cut.col_off,
            window.row_off + self._cut.row_off,
            window.width,
            window.height,
        )
        values, valid = self._part.read(own)
        if self._inside is not None:
            inside = self._inside(own)
            self.masked += int(np.count_nonzero(valid & ~inside))
            valid = valid & inside
        return values, valid

    def notes(self) -> list[Note]:
        if self._inside is None:
            return []
        return [Note(N_("{count:,} pixels outside were made missing."), {"count": self.masked})]


def area_in_pixels(
    workspace: Workspace, area_id: str, place: Georeference, margin_m: float
) -> shapely.Geometry:
    """Return the boundary of an area, with a margin in metres, in columns and rows of a raster."""
    frame = workspace.boundary(area_id)
    if margin_m:
        frame = frame.set_geometry(frame.geometry.buffer(margin_m))
    return place.in_pixels(frame.to_crs(4326).geometry.iloc[0])


def _box(polygon: shapely.Geometry, place: Georeference, name: str) -> Window:
    """Return the window of all pixels that a polygon touches."""
    west, north, east, south = polygon.bounds
    left = max(0, int(np.floor(west + _ROUNDING_PX)))
    top = max(0, int(np.floor(north + _ROUNDING_PX)))
    right = min(place.width, int(np.ceil(east - _ROUNDING_PX)))
    bottom = min(place.height, int(np.ceil(south - _ROUNDING_PX)))
    if left >= right or top >= bottom:
        raise ExtentError(
            N_("{name} and the study area do not meet."),
            hint=N_("Check that it is the right file and the right coordinate system."),
            name=name,
        )
    return Window(left, top, right - left, bottom - top)
