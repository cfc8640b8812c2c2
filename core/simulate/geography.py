"""The real outline of Chicago, and what is sketched on it, in metres of EPSG:32616.

The boundary and the shore of the lake are real (libpysal's Chicago77); `sketch` holds the rest.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from core.errors import StoreError
from core.simulate import noise
from core.simulate.noise import Floats
from core.simulate.sketch import LAKES, LINES, Way
from core.text import N_

CRS_NAME = "EPSG:32616"
_SOURCE_CRS = "EPSG:3435"  # the shapefile comes without a .prj
_MILLIMETRE = 3  # decimals: projection libraries differ below
_SHORE_TOLERANCE_M = 3.0
# Where the shore enters and leaves the city, and where it goes from there.
_SHORE_NORTH, _SHORE_SOUTH = (444934.0, 4652536.0), (456390.0, 4617516.0)
_COAST_NORTH = (
    (442000.0, 4675000.0), (443200.0, 4661000.0), (443900.0, 4657500.0), (444500.0, 4654800.0),
)  # fmt: skip
_COAST_SOUTH = (
    (457200.0, 4616800.0), (458600.0, 4615400.0), (461500.0, 4613200.0), (466000.0, 4610700.0),
    (475000.0, 4608000.0), (500000.0, 4608000.0), (500000.0, 4675000.0),
)  # fmt: skip
OPEN_WATER = 3
"""Points at the end of the ring of the great lake that are no shore."""


@cache
def _to_utm() -> Transformer:
    return Transformer.from_crs("EPSG:4326", CRS_NAME, always_xy=True)


def to_utm(lonlat: tuple[tuple[float, float], ...]) -> Floats:
    """Return (N, 2) metres in EPSG:32616, to the millimetre."""
    points = np.asarray(lonlat)
    x, y = _to_utm().transform(points[:, 0], points[:, 1])
    return np.round(np.stack([x, y], axis=1), _MILLIMETRE)


def chicago_boundary() -> gpd.GeoDataFrame:
    """Return the city of Chicago as one row in EPSG:32616: 77 community areas, united.

    Raises:
        StoreError: The package that holds the boundary is not installed.
    """
    spec = find_spec("libpysal")
    if spec is None or spec.origin is None:
        raise StoreError(
            N_("The package libpysal is missing, and with it the boundary of Chicago."),
            hint=N_("Install the packages of requirements.txt."),
        )
    # Found without importing it, which would take a second.
    folder = Path(spec.origin).parent / "examples" / "chicago"
    areas = pyogrio.read_dataframe(folder / "Chicago77.shp", columns=[])
    areas = areas.set_crs(_SOURCE_CRS, allow_override=True).to_crs(CRS_NAME)
    return gpd.GeoDataFrame(geometry=[areas.geometry.union_all()], crs=CRS_NAME)


@cache
def city_outline() -> shapely.Geometry:
    """Return the boundary to the millimetre, the one that objects are placed by."""
    polygon = chicago_boundary().geometry.iloc[0]
    return shapely.transform(polygon, lambda points: np.round(points, _MILLIMETRE))


@cache
def great_lake() -> Floats:
    """Return Lake Michigan off the city as a closed ring (N, 2): the real shore, then open water.

    The first points run from north to south along the shore; the last three are far out.
    """
    polygon = city_outline()
    parts = getattr(polygon, "geoms", [polygon])
    outer = max(parts, key=lambda part: part.area).exterior
    ring = shapely.get_coordinates(outer)[:-1]
    if shapely.is_ccw(outer):
        ring = ring[::-1]
    start, stop = (
        int(np.argmin(np.abs(ring - np.asarray(corner)).sum(axis=1)))
        for corner in (_SHORE_NORTH, _SHORE_SOUTH)
    )
    ring = np.roll(ring, -start, axis=0)[: (stop - start) % len(ring) + 1]
    shore = shapely.get_coordinates(shapely.LineString(ring).simplify(_SHORE_TOLERANCE_M))
    points = np.concatenate([_COAST_NORTH, shore, _COAST_SOUTH, _COAST_NORTH[:1]])
    return np.round(points, _MILLIMETRE)


def waters() -> list[Floats]:
    """Return the rings (N, 2) of all standing water, the great lake first."""
    rounded = [
        np.round(_rounded(to_utm((*ring, ring[0])), 4, closed=True), _MILLIMETRE) for ring in LAKES
    ]
    return [great_lake(), *rounded]


def _rounded(points: Floats, times: int, *, closed: bool = False) -> Floats:
    """Cut corners some times (Chaikin), which keeps the ends of an open line."""
    for _ in range(times):
        near = 0.75 * points[:-1] + 0.25 * points[1:]
        far = 0.25 * points[:-1] + 0.75 * points[1:]
        cut = np.stack([near, far], axis=1).reshape(-1, 2)
        ends = (cut[:1],) if closed else (points[-1:],)
        points = np.concatenate([cut, *ends] if closed else [points[:1], cut, *ends])
    return points


@dataclass(frozen=True, slots=True)
class Segments:
    """Straight pieces of all ways, each column of shape (N,), in painting order."""

    x0: Floats
    y0: Floats
    x1: Floats
    y1: Floats
    half: Floats
    kind: NDArray[np.int16]
    industry: NDArray[np.bool_]


_MEANDER_M, _MEANDER_SCALE_M, _BEND_PIECES = 75.0, 620.0, 5
_RAIL_SCALE = 0.75
_VERGE_M = {Way.RIVER: (Way.BANK, 9.0), Way.RAIL: (Way.RAIL_VERGE, 5.0),
            Way.EXPRESSWAY: (Way.EXPRESSWAY_VERGE, 10.0)}  # fmt: skip
_BEACH_SALT, _BEACH_HALF_M, _BEACH_SCALE_M, _BEACH_ABOVE = 7, 35.0, 900.0, 0.5


def ways(seed: int) -> Segments:
    """Return every way as straight pieces; the seed bends the rivers and lays the beaches."""
    parts: list[tuple[Way, float, Floats, bool]] = []
    for line in LINES:
        points = to_utm(line.lonlat)
        if line.kind is not Way.RUNWAY:
            points = _rounded(points, 2)
        if line.kind is Way.RIVER:
            points = _bent(points, seed)
        half = line.half_m * (_RAIL_SCALE if line.kind is Way.RAIL else 1.0)
        if line.kind in _VERGE_M:
            verge, wider = _VERGE_M[line.kind]
            parts.append((verge, half + wider, points, False))
        parts.append((line.kind, half, points, line.industry))
    shore = great_lake()[:-OPEN_WATER]
    sandy = noise.smooth(
        noise.root(seed, _BEACH_SALT), shore[:-1, 0], shore[:-1, 1], _BEACH_SCALE_M
    )
    columns = []
    for kind, half, points, industry in parts:
        columns.append(_pieces(points, kind, half, industry))
    beach = _pieces(shore, Way.BEACH, _BEACH_HALF_M, False)
    columns.append(beach[:, sandy > _BEACH_ABOVE])
    columns += [_pieces(ring, Way.SHORE, 0.0, False) for ring in (shore, *waters()[1:])]
    table = np.concatenate(columns, axis=1)
    table = table[:, np.argsort(table[5], kind="stable")]
    x0, y0, x1, y1, half, kind, industry = table
    return Segments(x0, y0, x1, y1, half, kind.astype(np.int16), industry.astype(bool))


def _pieces(points: Floats, kind: Way, half: float, industry: bool) -> Floats:
    count = len(points) - 1
    rest = np.array([[half], [kind], [industry]], np.float64)
    return np.concatenate([points[:-1].T, points[1:].T, np.repeat(rest, count, axis=1)])


def _bent(points: Floats, seed: int) -> Floats:
    """Bend a course sideways, its ends least, since other water joins there."""
    pieces = [
        one + (other - one) * (np.arange(_BEND_PIECES) / _BEND_PIECES)[:, None]
        for one, other in pairwise(points)
    ]
    points = np.concatenate([*pieces, points[-1:]])
    along = np.arange(len(points)) / (len(points) - 1)
    free = (4 * along * (1 - along))[:, None]
    dx = noise.smooth(noise.root(seed, 5), points[:, 0], points[:, 1], _MEANDER_SCALE_M)
    dy = noise.smooth(noise.root(seed, 6), points[:, 0], points[:, 1], _MEANDER_SCALE_M)
    bent = points + free * (np.stack([dx, dy], axis=1) - 0.5) * 2 * _MEANDER_M
    return np.round(bent, _MILLIMETRE)
