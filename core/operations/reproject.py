"""Bring a raster into another coordinate system or resolution."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from pyproj import CRS, Transformer

from core.cog import Pixels
from core.crs import parse_crs
from core.errors import ExtentError, InputError
from core.georeference import Georeference
from core.operations.making import Making, Note
from core.operations.sources import (
    Method,
    find_source,
    north_up,
    on_grid,
    opened,
    outline,
    points_of,
    steps_before,
)
from core.text import N_
from core.workspace import Kind, Workspace

_FOR_CLASSES = ("nearest", "mode")
_COARSER = 1.5
_MOST_PX_A_PIXEL = 256
_SIDE_PX = 1 / 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproject:
    """A layer or file on a north-up grid whose lines lie at multiples of the resolution."""

    source: str
    crs: str | None = None
    """None keeps the CRS and changes the resolution."""
    resolution: float | None = None
    """Side of a pixel in units of the CRS; None keeps the area of a pixel, about."""
    method: Method | Literal["auto"] = "auto"
    """`auto`: nearest for classes; for values average where pixels grow, bilinear otherwise."""

    name = "reproject"

    def __post_init__(self) -> None:
        known = (*get_args(Method), "auto")
        if self.method not in known:
            raise InputError(
                N_("{method!r} is no way of resampling."),
                hint=N_("Choose one of: {known}."),
                method=str(self.method)[:40],
                known=", ".join(known),
            )
        if self.crs is None and self.resolution is None:
            raise InputError(
                N_("Nothing would change."), hint=N_("Give a coordinate system or a resolution.")
            )
        if self.resolution is not None and not (
            math.isfinite(self.resolution) and self.resolution > 0
        ):
            raise InputError(
                N_("A pixel of {side} cannot be used."),
                hint=N_("Give a length above 0, in units of the coordinate system."),
                side=self.resolution,
            )

    @contextmanager
    def making(self, workspace: Workspace, area_id: str, kind: Kind) -> Iterator[Making]:
        """See `Operation.making`."""
        if kind == "classes" and self.method not in (*_FOR_CLASSES, "auto"):
            raise InputError(
                N_("Classes are never interpolated: {method} would make codes that nobody gave."),
                hint=N_("Choose nearest or mode."),
                method=self.method,
            )
        source = find_source(workspace, workspace.area(area_id), self.source)
        with opened(source) as part:
            crs = parse_crs(self.crs) if self.crs else part.place.crs
            place = grid_in(part.place, crs, self.resolution, name=source.name)
            growth = _growth(part.place, place)
            if growth > _MOST_PX_A_PIXEL:
                raise InputError(
                    N_(
                        "A pixel of {side:g} would hold {count:.0f} × {count:.0f} pixels of {name}."
                    ),
                    hint=N_("Give a finer resolution, or go there in two steps."),
                    side=place.transform.a,
                    count=growth,
                    name=source.name,
                )
            method = _chosen(self.method, kind, growth)
            pixels = part.pixels
            is_mixed = method in ("bilinear", "average") and pixels.dtype.kind != "f"
            # A mean of whole numbers can hit the value that means missing: a mask cannot be hit.
            nodata = None if is_mixed else pixels.nodata
            step = {
                "step": "reproject",
                "from": _short(part.place.crs),
                "to": _short(crs),
                "resolution": place.transform.a,
                "method": method,
            }
            with on_grid(part, place, method) as read:
                yield Making(
                    pixels=Pixels(
                        name=source.name,
                        place=place,
                        dtype=pixels.dtype,
                        nodata=nodata,
                        has_mask=nodata is None,
                        read=read,
                        steps=[*steps_before(source), step],
                    ),
                    inputs=[source],
                    notes=_notes(method, growth, is_mixed=is_mixed),
                )


def grid_in(place: Georeference, crs: CRS, resolution: float | None, *, name: str) -> Georeference:
    """Return the north-up grid in `crs` that holds a raster; sides as long as its own pixels are.

    Raises:
        ExtentError: Part of the raster cannot be shown in that CRS.
    """
    transform = Transformer.from_crs(place.crs, crs, always_xy=True)
    x, y = (np.asarray(v) for v in transform.transform(*outline(place)))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ExtentError(
            N_("{name} reaches beyond what {crs} can show."),
            hint=N_("Clip it to the study area first."),
            name=name,
            crs=crs.name,
        )
    side = resolution or _side(place, transform)
    bounds = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    return north_up(crs, bounds, (side, side))


def _short(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.name


def _side(place: Georeference, transform: Transformer) -> float:
    """Return the side of the square that has the area of a pixel at the raster's centre."""
    column, row = place.width / 2, place.height / 2
    columns = np.array([column, column + _SIDE_PX, column])
    rows = np.array([row, row, row + _SIDE_PX])
    x, y = (np.asarray(v) for v in transform.transform(*points_of(place, columns, rows)))
    across, down = (np.array([x[i] - x[0], y[i] - y[0]]) / _SIDE_PX for i in (1, 2))
    return float(math.sqrt(abs(across[0] * down[1] - across[1] * down[0])))


def _growth(old: Georeference, new: Georeference) -> float:
    """Return how many old pixels lie along the side of a new one, at the raster's centre."""
    back = Transformer.from_crs(old.crs, new.crs, always_xy=True)
    return new.transform.a / _side(old, back)


def _chosen(method: Method | Literal["auto"], kind: Kind, growth: float) -> Method:
    if method != "auto":
        return method
    if kind == "classes":
        return "nearest"
    return "average" if growth > _COARSER else "bilinear"


def _notes(method: Method, growth: float, *, is_mixed: bool) -> list[Note]:
    notes = [
        Note(
            N_("A new pixel is {growth:.3g} old ones wide; resampling: {method}."),
            {"growth": growth, "method": method},
        )
    ]
    if is_mixed:
        notes.append(Note(N_("The values are whole numbers, so the means are rounded.")))
    if method == "nearest" and growth > _COARSER:
        notes.append(
            Note(N_("Most old pixels are skipped; mode takes the commonest class instead."))
        )
    return notes
