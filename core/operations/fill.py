"""Fill gaps of a raster from the valid pixels around them, never further than a stated distance."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.windows import Window
from scipy import ndimage
from scipy.spatial import KDTree

from core import cog
from core.cog import Pixels
from core.errors import InputError
from core.georeference import Georeference, inside_polygon, pixel_size, transformer
from core.operations.clip import area_in_pixels
from core.operations.making import Making, Note
from core.operations.sources import Opened, find_source, opened, points_of, steps_before
from core.text import N_
from core.workspace import Kind, Workspace

Method = Literal["idw", "nearest"]

NEIGHBOURS = 12
_ASKED = 32  # so many that all of the same distance as the twelfth are among them
_MOST_REACH_PX = 512
_SLICE = 16_384  # gap pixels asked for at once, 8 MB of neighbours
# Twelve pixels nearer to any gap lie within five pixels of a pixel that is further from all gaps.
_RIM_PX = 5
_SAME = 1 + 1e-9
_TRUE_METRES = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A layer or file whose gaps inside the study area are filled as far as the distance reaches.

    A gap pixel gets a value if a valid pixel lies within the distance, centre to centre:

    - `idw`: the mean of its 12 nearest valid pixels within the distance, weighted by 1/d²; pixels
      as far as the twelfth count too. Whole numbers are rounded.
    - `nearest`: the value of the nearest valid pixel, of several the northernmost, then the
      westernmost.

    Only pixels in the area, and one pixel around it, are filled; filled pixels fill no others.
    """

    source: str
    distance_m: float
    method: Method | Literal["auto"] = "auto"
    """`auto`: nearest for classes, idw for values."""

    name = "fill"

    def __post_init__(self) -> None:
        if self.method not in (*get_args(Method), "auto"):
            raise InputError(
                N_("{method!r} is no way of filling gaps."),
                hint=N_("Choose idw or nearest."),
                method=str(self.method)[:40],
            )
        if not (math.isfinite(self.distance_m) and self.distance_m > 0):
            raise InputError(
                N_("Gaps cannot be filled over {distance} m."),
                hint=N_("Give a distance above 0, in metres."),
                distance=self.distance_m,
            )

    @contextmanager
    def making(self, workspace: Workspace, area_id: str, kind: Kind) -> Iterator[Making]:
        """See `Operation.making`."""
        if kind == "classes" and self.method == "idw":
            raise InputError(
                N_("Classes are never interpolated: idw would make codes that nobody gave."),
                hint=N_("Choose nearest."),
            )
        method: Method = "nearest" if kind == "classes" else "idw"
        if self.method != "auto":
            method = self.method
        source = find_source(workspace, workspace.area(area_id), self.source)
        with opened(source) as part:
            side_m = _pixel_metres(workspace, area_id, part.place)
            _check_reach(self.distance_m, side_m, source.name)
            polygon = area_in_pixels(workspace, area_id, part.place, 0).buffer(1.0)
            work = _Filling(part, inside_polygon(polygon), side_m, self.distance_m, method)
            pixels = part.pixels
            # A mean of whole numbers can hit the value that means missing: a mask cannot be hit.
            is_mixed = method == "idw" and pixels.dtype.kind != "f"
            yield Making(
                pixels=Pixels(
                    name=source.name,
                    place=part.place,
                    dtype=pixels.dtype,
                    nodata=None if is_mixed else pixels.nodata,
                    has_mask=is_mixed or pixels.has_mask,
                    read=work.read,
                    steps=[*pixels.steps, *steps_before(source)],
                    tell=lambda: [work.step()],
                ),
                inputs=[source],
                notes=_notes(part, side_m, self.distance_m),
                outcome=work.notes,
            )


class _Filling:
    """Reads windows with their surroundings, fills them and counts."""

    def __init__(
        self,
        part: Opened,
        inside: Any,
        side_m: tuple[float, float],
        distance_m: float,
        method: Method,
    ) -> None:
        self._part = part
        self._inside = inside
        self._side_m = side_m
        self._distance_m = distance_m
        self._method = method
        self._halo = tuple(math.ceil(distance_m / side) for side in side_m)  # columns, rows
        self.filled = self.left = 0

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        values, valid = self._part.read(window)
        gaps = ~valid & self._inside(window)
        if not gaps.any():
            return values, valid
        values, valid = values.copy(), valid.copy()
        step = max(cog.BLOCK, 2 * self._halo[0])
        for left in range(0, int(window.width), step):
            cut = np.s_[:, left : left + step]
            if gaps[cut].any():
                self._fill(window, left, values[cut], valid[cut], gaps[cut])
        self.left += int(np.count_nonzero(gaps & ~valid))
        return values, valid

    def _fill(
        self,
        window: Window,
        left: int,
        values: NDArray[Any],
        valid: NDArray[np.bool_],
        gaps: NDArray[np.bool_],
    ) -> None:
        """Fill the gaps of one part of a window, in place."""
        rows, columns = np.nonzero(gaps)
        place = self._part.place
        west, north = int(window.col_off) + left, int(window.row_off)
        halo_x, halo_y = self._halo
        x0, x1 = max(0, west + columns.min() - halo_x), west + columns.max() + halo_x + 1
        y0, y1 = max(0, north + rows.min() - halo_y), north + rows.max() + halo_y + 1
        around = Window(x0, y0, min(x1, place.width) - x0, min(y1, place.height) - y0)
        near, is_known = self._part.read(around)
        rim = ~ndimage.minimum_filter(is_known, self._rim(), mode="nearest") & is_known
        if not rim.any():
            return
        rim_rows, rim_columns = np.nonzero(rim)
        side_x, side_y = self._side_m
        tree = KDTree(np.column_stack([rim_rows * side_y, rim_columns * side_x]))
        known = near[rim]
        for begin in range(0, len(rows), _SLICE):
            some = np.s_[begin : begin + _SLICE]
            points = np.column_stack(
                [(rows[some] + north - y0) * side_y, (columns[some] + west - x0) * side_x]
            )
            distances, places = tree.query(
                points,
                k=min(_ASKED, tree.n),
                distance_upper_bound=self._distance_m * _SAME,
            )
            distances = distances.reshape(len(points), -1)
            places = places.reshape(len(points), -1)
            reached = np.isfinite(distances[:, 0])
            found = _estimate(distances[reached], places[reached], known, self._method)
            if values.dtype.kind != "f":
                found = np.rint(found)
            values[rows[some][reached], columns[some][reached]] = found.astype(values.dtype)
            valid[rows[some][reached], columns[some][reached]] = True
            self.filled += int(reached.sum())

    def _rim(self) -> tuple[int, int]:
        """Return rows and columns of the box in which every pixel near a gap is looked for."""
        widest = max(self._side_m)
        return (
            2 * math.ceil(_RIM_PX * widest / self._side_m[1]) + 1,
            2 * math.ceil(_RIM_PX * widest / self._side_m[0]) + 1,
        )

    def step(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "step": "fill",
            "filled": self.filled,
            "left": self.left,
            "method": self._method,
            "distance_m": self._distance_m,
        }
        return {**told, "neighbours": NEIGHBOURS} if self._method == "idw" else told

    def notes(self) -> list[Note]:
        return [
            Note(
                N_("{filled:,} pixels were filled; {left:,} in the area are still missing."),
                {"filled": self.filled, "left": self.left},
            )
        ]


def _estimate(
    distances: NDArray[np.float64], places: NDArray[np.intp], known: NDArray[Any], method: Method
) -> NDArray[Any]:
    """Return a value for each row of neighbours, which are in order of distance.

    Neighbours beyond the bound have an infinite distance and no place.
    """
    if method == "nearest":
        is_nearest = distances <= distances[:, :1] * _SAME
        nearest: NDArray[Any] = known[np.where(is_nearest, places, len(known)).min(axis=1)]
        return nearest
    last = distances[:, min(NEIGHBOURS, distances.shape[1]) - 1, None]
    counts = np.isfinite(distances) & (distances <= last * _SAME)
    weights = np.where(counts, distances, np.inf) ** -2.0
    readings = known[np.where(counts, places, 0)].astype(np.float64)
    mean: NDArray[np.float64] = (weights * readings).sum(axis=1) / weights.sum(axis=1)
    return mean


def _pixel_metres(workspace: Workspace, area_id: str, place: Georeference) -> tuple[float, float]:
    """Return width and height of a pixel in metres.

    Measured on the ground at the middle of the study area; a CRS in metres that is true to a
    hundredth there, as every UTM zone is, keeps its own metres.
    """
    middle = area_in_pixels(workspace, area_id, place, 0).centroid
    column = min(max(middle.x, 0.0), place.width - 1.0)
    row = min(max(middle.y, 0.0), place.height - 1.0)
    x, y = points_of(place, np.array([column, column + 1, column]), np.array([row, row, row + 1]))
    lon, lat = transformer(place.crs, "lonlat").transform(x, y)
    ends = [lon[0], lon[0]], [lat[0], lat[0]], lon[1:], lat[1:]
    _, _, ground = Geod(ellps="WGS84").inv(*ends)
    own = pixel_size(place.transform)
    if not place.crs.is_geographic and np.allclose(ground, own, rtol=_TRUE_METRES):
        return own
    return float(ground[0]), float(ground[1])


def _check_reach(distance_m: float, side_m: tuple[float, float], name: str) -> None:
    if distance_m < min(side_m):
        raise InputError(
            N_("{distance:g} m is less than a pixel of {name} ({side:.4g} m): nothing is near."),
            hint=N_("Give a longer distance."),
            distance=distance_m,
            side=min(side_m),
            name=name,
        )
    reach = math.ceil(distance_m / min(side_m))
    if reach > _MOST_REACH_PX:
        raise InputError(
            N_("{distance:g} m are {reach:,} pixels of {name}; {most} is the most."),
            hint=N_("Give a shorter distance, or reproject to coarser pixels first."),
            distance=distance_m,
            reach=reach,
            name=name,
            most=_MOST_REACH_PX,
        )


def _notes(part: Opened, side_m: tuple[float, float], distance_m: float) -> list[Note]:
    notes = [
        Note(
            N_("A pixel is {width:.4g} × {height:.4g} m; the distance is {reach} pixels."),
            {
                "width": side_m[0],
                "height": side_m[1],
                "reach": math.ceil(distance_m / min(side_m)),
            },
        )
    ]
    layer = part.source.layer
    if layer:
        share = 1 - layer.summary.valid_share
        notes.append(
            Note(N_("{share:.2%} of the area is missing now."), {"share": share})
            if share
            else Note(N_("No pixel in the area is missing: there is nothing to fill."))
        )
    return notes
