"""Burn a number of each polygon of a vector file into a raster: storeys from footprints, say."""

import errno
import math
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window

from core import features, rasters, store
from core.cog import OnProgress, Pixels, ShouldStop, stop_if, writing
from core.errors import InputError
from core.georeference import Georeference
from core.operations.canvas import Canvas, Counts, OverlapRule
from core.operations.making import Making, Note
from core.operations.sources import north_up
from core.settings import settings
from core.text import N_
from core.vectors import regular_file
from core.workspace import Kind, Workspace

_OPENED_FOR_A_PREVIEW = 256 << 20
_BEGIN_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class _File:
    """The vector file, as an input of the operation."""

    path: Path
    attribute: str

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "name": self.path.name,
            "bytes": self.path.stat().st_size,
            "attribute": self.attribute,
        }

    def digest(self) -> str:
        return store.file_digest(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """An attribute of polygons on a grid in the area's CRS, over the box around the boundary.

    A cell gets the value of the polygon that holds its centre, or with `all_touched` of any that
    touches it. Grid lines lie at multiples of the cell. Text is read as a number where it is one;
    text that is none, and features without a value or without an area, are counted and left out.

    Whole numbers become int16 or int32, others float32, or float64 where that would lose digits
    of a whole number.
    """

    file: str
    attribute: str
    cell_m: float = 10.0
    outside: float | None = 0.0
    """Value of cells without a polygon; None makes them missing."""
    rule: OverlapRule = "last"
    """Where polygons overlap: the last in the file, or the largest value."""
    all_touched: bool = False
    layer: str | None = None
    """Which layer of the file, where it holds several."""
    crs: str | None = None
    """The file's CRS where it names none."""

    name = "burn"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cell_m) and 0.01 <= self.cell_m <= 100_000):
            raise InputError(
                N_("A cell of {side} m cannot be used."),
                hint=N_("Give a side between 1 cm and 100 km."),
                side=self.cell_m,
            )
        if self.outside is not None and not math.isfinite(self.outside):
            raise InputError(
                N_("{value} cannot stand for ground without a polygon."),
                hint=N_("Give a number such as 0, or nothing to make it missing."),
                value=self.outside,
            )
        if self.rule not in get_args(OverlapRule):
            raise InputError(
                N_("{rule!r} is no rule for overlaps."),
                hint=N_("Choose one of: {known}."),
                rule=str(self.rule)[:40],
                known=", ".join(get_args(OverlapRule)),
            )

    @contextmanager
    def making(self, workspace: Workspace, area_id: str, kind: Kind) -> Iterator[Making]:
        """See `Operation.making`; the number type stands only once the file is read."""
        path = Path(self.file)
        regular_file(path, path.name, settings().raster_mb)
        self._check_attribute(path)
        boundary = workspace.boundary(area_id)
        west, south, east, north = (float(v) for v in boundary.total_bounds)
        cell = self.cell_m
        place = north_up(CRS(boundary.crs), (west, south, east, north), (cell, cell))
        expected = Pixels(
            name=path.name,
            place=place,
            dtype=np.dtype("float64"),  # the most that it can become
            nodata=math.nan,
            has_mask=False,
            read=_not_yet,
        )
        with ExitStack() as stack:
            work = _Burning(self, path, place, workspace, area_id, kind, stack)
            yield Making(
                pixels=expected,
                inputs=[_File(path, self.attribute)],
                notes=[
                    Note(
                        N_("The raster has {width} × {height} cells of {cell:g} m."),
                        {"width": place.width, "height": place.height, "cell": cell},
                    )
                ],
                begin=work.begin,
                begin_share=_BEGIN_SHARE,
                outcome=lambda: work.counts.notes(self.attribute),
            )

    def _check_attribute(self, path: Path) -> None:
        is_shapefile = path.suffix.lower() in (".shp", ".zip")
        if is_shapefile and path.stat().st_size > _OPENED_FOR_A_PREVIEW:
            return  # it would have to be copied first
        known = features.attributes(path, layer=self.layer)
        if self.attribute not in known:
            raise InputError(
                N_("{name} has no attribute {attribute!r}."),
                hint=N_("It has: {known}."),
                name=path.name,
                attribute=self.attribute[:80],
                known=", ".join(known[:40])[:400] or "-",
            )


class _Burning:
    """Reads the file once, onto a canvas on the disk; then hands out its windows."""

    def __init__(
        self,
        burn: Burn,
        path: Path,
        place: Georeference,
        workspace: Workspace,
        area_id: str,
        kind: Kind,
        stack: ExitStack,
    ) -> None:
        self._burn = burn
        self._path = path
        self._place = place
        self._workspace = workspace
        self._area_id = area_id
        self._kind = kind
        self._stack = stack
        self.counts = Counts()

    def begin(self, on_progress: OnProgress, should_stop: ShouldStop) -> Pixels:
        """Burn all features; return the raster that came of it."""
        burn, stack, counts = self._burn, self._stack, self.counts
        needed = self._place.width * self._place.height * 8
        if self._path.suffix.lower() in (".shp", ".zip"):
            needed += 2 * self._path.stat().st_size
        store.require_space(self._workspace.root, needed, what=self._path.name)
        scratch = self._workspace.scratch(self._area_id)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        path, name = scratch / "canvas.tif", self._path.name
        with (
            rasters.gdal_env(),
            writing(name),
            Canvas.new(path, self._place, burn.rule, all_touched=burn.all_touched) as canvas,
            features.open_features(
                self._path, burn.attribute, layer=burn.layer, crs=burn.crs, scratch=scratch
            ) as found,
        ):
            for geometry, values, share in found.batches():
                stop_if(should_stop, name)
                canvas.add(geometry, values, found.crs, counts, label=name)
                on_progress(share, N_("Burning polygons"))
        with writing(name):
            if not canvas.is_kept(path):
                raise OSError(errno.ENOSPC, "the disk is full")
        counts.check(self._path.name, burn.attribute)
        dtype = counts.dtype(burn.outside)
        nodata = None
        if burn.outside is None:
            nodata = math.nan if dtype.kind == "f" else float(np.iinfo(dtype).min)

        burnt = stack.enter_context(rasters.open_raster(path))

        def read(window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            values = burnt.read(1, window=window)
            is_burnt = ~np.isnan(values)
            counts.burnt += int(np.count_nonzero(is_burnt))
            fallback = 0.0 if burn.outside is None else burn.outside
            whole = np.where(is_burnt, values, fallback).astype(dtype)
            return whole, is_burnt if burn.outside is None else np.ones_like(is_burnt)

        return Pixels(
            name=self._path.name,
            place=self._place,
            dtype=dtype,
            nodata=nodata,
            has_mask=False,
            read=read,
            tell=self._step,
        )

    def _step(self) -> list[dict[str, Any]]:
        burn = self._burn
        return [
            {
                "step": "burn",
                "attribute": burn.attribute,
                "cell_m": burn.cell_m,
                "outside": burn.outside,
                "rule": burn.rule,
                "all_touched": burn.all_touched,
                **self.counts.facts(),
            }
        ]


def _not_yet(_window: Window) -> tuple[NDArray[Any], None]:
    raise RuntimeError("the file has to be read first")
