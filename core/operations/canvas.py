"""A raster on the disk that polygons are burnt into, batch by batch."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.features import rasterize
from rasterio.windows import Window

from core import rasters
from core.errors import CrsError, InputError, RefusedFileError
from core.georeference import Georeference
from core.operations.making import Note
from core.text import N_
from core.vectors import fits_degrees
from core.workspace import crs_name

OverlapRule = Literal["last", "max"]

_TILE = 512
# Features are scattered over a city: the more are burnt at once, the seldomer each tile is read.
_HELD_FEATURES = 32_768
_HELD_VERTICES = 1_000_000
_TEXTS_TOLD = 5


@dataclass(slots=True)
class Counts:
    """What became of the features."""

    features: int = 0
    used: int = 0
    elsewhere: int = 0
    """With a number and an area, outside the raster."""
    no_area: int = 0
    null: int = 0
    text: int = 0
    texts: list[str] = field(default_factory=list)
    """The first few of the texts that are no number."""
    burnt: int = 0
    """Cells that hold the value of a polygon."""
    low: float = math.inf
    high: float = -math.inf
    is_whole: bool = True

    def numbers(self, values: list[Any]) -> NDArray[np.float64]:
        """Return values as numbers, NaN where there is none, and count why."""
        found = np.full(len(values), np.nan)
        for i, value in enumerate(values):
            if value is None or (isinstance(value, float) and math.isnan(value)):
                self.null += 1
                continue
            number = _number(value)
            if number is None:
                self.text += 1
                short = str(value)[:20]
                if len(self.texts) < _TEXTS_TOLD and short not in self.texts:
                    self.texts.append(short)
            else:
                found[i] = number
        self.features += len(values)
        return found

    def use(self, numbers: NDArray[np.float64]) -> None:
        """Remember the range of the numbers that are burnt."""
        if len(numbers):
            self.used += len(numbers)
            self.low = min(self.low, float(numbers.min()))
            self.high = max(self.high, float(numbers.max()))
            self.is_whole = self.is_whole and bool((numbers == np.rint(numbers)).all())

    def dtype(self, outside: float | None) -> np.dtype[Any]:
        """Return the smallest number type that holds all that was burnt, and `outside`."""
        both = [self.low, self.high] + ([] if outside is None else [outside])
        reach = max(abs(number) for number in both)
        is_whole = self.is_whole and (outside is None or outside == round(outside))
        for name, most in (("int16", 2**15), ("int32", 2**31)):
            if is_whole and reach < most:
                return np.dtype(name)
        return np.dtype("float64" if reach >= 2**24 else "float32")

    def check(self, name: str, attribute: str) -> None:
        """Refuse a file of which nothing was used.

        Raises:
            InputError: The message says why.
        """
        if self.used:
            return
        if self.elsewhere:
            raise InputError(
                N_("{name} and the study area do not meet."),
                hint=N_("Check that it is the right file and the right coordinate system."),
                name=name,
            )
        if self.features and self.no_area + self.null + self.text < self.features:
            raise InputError(N_("{name} holds no polygon."), name=name)
        raise InputError(
            N_("No polygon of {name} has a number in {attribute!r}: {null} nulls, {text} texts."),
            hint=N_("Choose another attribute."),
            name=name,
            attribute=attribute,
            null=self.null,
            text=self.text,
        )

    def facts(self) -> dict[str, Any]:
        """Return what the provenance keeps."""
        return {
            "features": self.features,
            "burnt_features": self.used,
            "elsewhere": self.elsewhere,
            "without_area": self.no_area,
            "null": self.null,
            "text": self.text,
            "burnt_cells": self.burnt,
        }

    def notes(self, attribute: str) -> list[Note]:
        """Return what was done, in words."""
        notes = [
            Note(
                N_("{used:,} of {features:,} features were burnt into {cells:,} cells."),
                {"used": self.used, "features": self.features, "cells": self.burnt},
            )
        ]
        if self.text:
            texts = ", ".join(repr(text) for text in self.texts)
            notes.append(
                Note(
                    N_("{count:,} values of {attribute} are text that is no number: {texts}."),
                    {"count": self.text, "attribute": attribute, "texts": texts},
                )
            )
        for count, text in (
            (self.null, N_("{count:,} features have no value.")),
            (self.no_area, N_("{count:,} features are no polygons.")),
            (self.elsewhere, N_("{count:,} features lie outside the raster.")),
        ):
            if count:
                notes.append(Note(text, {"count": count}))
        return notes


def _number(value: Any) -> float | None:
    """Return a value as a finite number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # Python would take digits with underscores for a number too.
    is_odd = isinstance(value, str) and "_" in value
    return number if math.isfinite(number) and not is_odd else None


class Canvas:
    """A sparse tiled raster of float64 on the disk; NaN where nothing has been burnt."""

    def __init__(
        self, dataset: Any, place: Georeference, rule: OverlapRule, *, all_touched: bool
    ) -> None:
        self._dataset = dataset
        self._place = place
        self._rule = rule
        self._all_touched = all_touched
        self._held: list[tuple[NDArray[Any], NDArray[np.float64]]] = []
        self._held_features = self._held_vertices = 0
        self._written: set[tuple[int, int]] = set()

    @classmethod
    @contextmanager
    def new(
        cls, path: Path, place: Georeference, rule: OverlapRule, *, all_touched: bool
    ) -> Iterator["Canvas"]:
        """Make an empty canvas; tiles that nothing touches take no room on the disk."""
        with rasterio.open(  # noqa: TID251 (a new file of our own)
            path,
            "w+",
            driver="GTiff",
            width=place.width,
            height=place.height,
            count=1,
            dtype="float64",
            nodata=math.nan,
            tiled=True,
            blockxsize=_TILE,
            blockysize=_TILE,
            sparse_ok=True,
            bigtiff="if_safer",
        ) as dataset:
            canvas = cls(dataset, place, rule, all_touched=all_touched)
            yield canvas
            canvas._flush()

    def is_kept(self, path: Path) -> bool:
        """Tell whether every tile that was written is in the closed file.

        GDAL writes its cache as it closes the file, and says nothing where that fails.
        """
        try:
            with rasters.open_raster(path) as dataset:
                size = path.stat().st_size
                for row, column in self._written:
                    place = f"{column}_{row}"
                    offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=1)
                    length = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=1)
                    if not offset or int(offset) + int(length or 0) > size:
                        return False
        except RefusedFileError:
            return False
        return True

    def add(
        self, geometry: NDArray[Any], values: list[Any], crs: CRS, counts: Counts, *, label: str
    ) -> None:
        """Take a batch of features; they are burnt now or with one of the next batches.

        Raises:
            CrsError: The coordinates are no degrees where the file says that they are.
        """
        numbers = counts.numbers(values)
        is_area = np.isin(shapely.get_type_id(geometry), (3, 6)) & ~shapely.is_empty(geometry)
        counts.no_area += int(np.count_nonzero(~is_area & ~np.isnan(numbers)))
        chosen = is_area & ~np.isnan(numbers)
        shapes, numbers = geometry[chosen], numbers[chosen]
        if crs.is_geographic and len(shapes):
            _check_degrees(shapes, label)
        shapes = shapely.transform(shapes, self._to_pixels(crs))
        meets = self._meets(shapes)
        counts.elsewhere += int(np.count_nonzero(~meets))
        shapes, numbers = shapes[meets], numbers[meets]
        counts.use(numbers)
        if not len(shapes):
            return
        self._held.append((shapes, numbers))
        self._held_features += len(shapes)
        self._held_vertices += int(shapely.get_num_coordinates(shapes).sum())
        if self._held_features >= _HELD_FEATURES or self._held_vertices >= _HELD_VERTICES:
            self._flush()

    def _flush(self) -> None:
        """Burn what is held, tile by tile."""
        if not self._held:
            return
        shapes = np.concatenate([part for part, _ in self._held])
        numbers = np.concatenate([part for _, part in self._held])
        self._held.clear()
        self._held_features = self._held_vertices = 0
        if self._rule == "max":  # the last one burnt wins
            order = np.argsort(numbers, kind="stable")
            shapes, numbers = shapes[order], numbers[order]
        limits = [self._place.width, self._place.height] * 2
        box = np.floor(np.clip(shapely.bounds(shapes), 0, np.array(limits) - 1)).astype(int)
        west, north, east, south = (box // _TILE).T
        for row in range(int(north.min()), int(south.max()) + 1):
            in_row = np.flatnonzero((north <= row) & (row <= south))
            if not len(in_row):
                continue
            for column in _columns(west[in_row], east[in_row]):
                chosen = in_row[(west[in_row] <= column) & (column <= east[in_row])]
                self._burn(row, column, box[chosen], shapes[chosen], numbers[chosen])

    def _burn(
        self,
        row: int,
        column: int,
        box: NDArray[np.intp],
        shapes: NDArray[Any],
        numbers: NDArray[np.float64],
    ) -> None:
        """Burn some features into the part of one tile that they can reach."""
        left, top = max(column * _TILE, box[:, 0].min()), max(row * _TILE, box[:, 1].min())
        right = min((column + 1) * _TILE, box[:, 2].max() + 1, self._place.width)
        bottom = min((row + 1) * _TILE, box[:, 3].max() + 1, self._place.height)
        window = Window(int(left), int(top), int(right - left), int(bottom - top))
        self._written.add((row, column))
        old = self._dataset.read(1, window=window)
        new = old.copy() if self._rule == "last" else np.full(old.shape, np.nan)
        rasterize(
            list(zip(shapes, numbers.tolist(), strict=True)),
            out=new,
            transform=Affine.translation(left, top),
            all_touched=self._all_touched,
        )
        self._dataset.write(new if self._rule == "last" else np.fmax(old, new), 1, window=window)

    def _to_pixels(self, crs: CRS) -> Any:
        """Return the function from (N, 2) in the file's CRS to columns and rows."""
        inverse = ~self._place.transform
        is_own = crs == self._place.crs or crs_name(crs) == crs_name(self._place.crs)
        change = None if is_own else Transformer.from_crs(crs, self._place.crs, always_xy=True)

        def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
            x, y = points.T
            if change is not None:
                x, y = change.transform(x, y)
            return np.column_stack([inverse.a * x + inverse.c, inverse.e * y + inverse.f])

        return to_pixels

    def _meets(self, shapes: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which shapes can reach the raster; what cannot be shown in its CRS cannot."""
        west, north, east, south = shapely.bounds(shapes).reshape(-1, 4).T
        with np.errstate(invalid="ignore"):
            meets: NDArray[np.bool_] = (
                (west < self._place.width)
                & (east > 0)
                & (north < self._place.height)
                & (south > 0)
                & np.isfinite(west + north + east + south)
            )
        return meets


def _columns(west: NDArray[np.intp], east: NDArray[np.intp]) -> list[int]:
    """Return every column of tiles that some of the ranges hold."""
    low, high = int(west.min()), int(east.max())
    change = np.zeros(high - low + 2, np.int64)
    np.add.at(change, west - low, 1)
    np.add.at(change, east - low + 1, -1)
    return [low + int(i) for i in np.flatnonzero(np.cumsum(change[:-1]) > 0)]


def _check_degrees(shapes: NDArray[Any], label: str) -> None:
    bounds = shapely.total_bounds(shapes)
    if not fits_degrees(bounds):
        raise CrsError(
            N_("The coordinates of {name} are not in degrees: they reach {reach:.0f}."),
            hint=N_("Say which coordinate system they are in."),
            name=label,
            reach=float(np.abs(bounds).max()),
        )
