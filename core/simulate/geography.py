"""The real outline of Chicago, and what is sketched on it by hand: water, ways and large places.

The boundary and the shore of the lake are real (libpysal's Chicago77). Courses of rivers, railways
and expressways and the boxes of large places are approximate, in longitude and latitude.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyproj import Transformer

from core.errors import StoreError
from core.simulate import noise
from core.simulate.legend import Cover, Use
from core.simulate.noise import Floats
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


class Way(IntEnum):
    """What a line is, in painting order: later ones lie on top."""

    BEACH = 0
    BANK = 1
    RIVER = 2
    STREET = 3
    RUNWAY = 4
    RAIL_VERGE = 5
    RAIL = 6
    EXPRESSWAY_VERGE = 7
    EXPRESSWAY = 8
    BRIDGE = 9
    SHORE = 10  # edge of standing water, which is not painted


WAY_COVER = np.array([3, 2, 4, 6, 7, 2, 6, 2, 6, 6, 0], np.int16)
WAY_USE = np.array([51, 0, 81, 61, 64, 62, 62, 63, 63, 61, 0], np.int16)


@dataclass(frozen=True, slots=True)
class Line:
    """A sketched course: its half width, and whether industry settled along it."""

    kind: Way
    half_m: float
    lonlat: tuple[tuple[float, float], ...]
    industry: bool = False


_R, _E, _S, _T, _A = Way.RIVER, Way.EXPRESSWAY, Way.STREET, Way.RAIL, Way.RUNWAY
LINES: tuple[Line, ...] = (
    # Chicago River, its branches, the canals, and the Calumet
    Line(_R, 32, ((-87.606, 41.8888), (-87.622, 41.8887), (-87.6375, 41.8868))),
    Line(_R, 28, ((-87.6375, 41.8868), (-87.6425, 41.8950), (-87.6530, 41.9070), (-87.6640, 41.9200),
                  (-87.6770, 41.9310)), True),
    Line(_R, 20, ((-87.6770, 41.9310), (-87.6935, 41.9430), (-87.6945, 41.9660), (-87.7030, 41.9745))),
    Line(_R, 12, ((-87.7030, 41.9745), (-87.7250, 41.9775), (-87.7480, 41.9890), (-87.7720, 42.0010),
                  (-87.7880, 42.0150), (-87.7900, 42.0500))),
    Line(_R, 16, ((-87.7030, 41.9745), (-87.7095, 41.9900), (-87.7100, 42.0250), (-87.7000, 42.0500))),
    Line(_R, 32, ((-87.6375, 41.8868), (-87.6385, 41.8760), (-87.6335, 41.8640), (-87.6350, 41.8530),
                  (-87.6480, 41.8470), (-87.6650, 41.8420)), True),
    Line(_R, 30, ((-87.6650, 41.8420), (-87.6930, 41.8370), (-87.7200, 41.8230), (-87.7450, 41.8130),
                  (-87.8000, 41.7900), (-87.8600, 41.7600)), True),
    Line(_R, 20, ((-87.6630, 41.8425), (-87.6580, 41.8320), (-87.6575, 41.8240)), True),
    Line(_R, 45, ((-87.5240, 41.7345), (-87.5330, 41.7330), (-87.5450, 41.7200), (-87.5490, 41.7000),
                  (-87.5560, 41.6750), (-87.5630, 41.6600), (-87.5800, 41.6450)), True),
    Line(_R, 30, ((-87.5100, 41.6350), (-87.5800, 41.6450), (-87.6050, 41.6480), (-87.6400, 41.6560),
                  (-87.6900, 41.6600)), True),
    # Expressways and the drive along the lake
    Line(_E, 24, ((-87.6465, 41.8760), (-87.6470, 41.8900), (-87.6650, 41.9120), (-87.7050, 41.9420),
                  (-87.7400, 41.9650), (-87.7900, 41.9830), (-87.8400, 41.9800), (-87.8900, 41.9780))),
    Line(_E, 20, ((-87.7400, 41.9650), (-87.7560, 41.9900), (-87.7700, 42.0300))),
    Line(_E, 24, ((-87.6200, 41.8755), (-87.6465, 41.8755), (-87.7000, 41.8740), (-87.7800, 41.8700),
                  (-87.8600, 41.8700))),
    Line(_E, 28, ((-87.6465, 41.8760), (-87.6440, 41.8550), (-87.6310, 41.8400), (-87.6290, 41.7800),
                  (-87.6250, 41.7300), (-87.6400, 41.7150), (-87.6600, 41.6700), (-87.6700, 41.6300))),
    Line(_E, 22, ((-87.6130, 41.8490), (-87.6450, 41.8430), (-87.6900, 41.8310), (-87.7300, 41.8110),
                  (-87.8000, 41.7800), (-87.8600, 41.7500))),
    Line(_E, 18, ((-87.6270, 41.7720), (-87.5900, 41.7600), (-87.5500, 41.7200), (-87.5250, 41.7050),
                  (-87.4500, 41.6400))),
    Line(_E, 20, ((-87.6250, 41.7300), (-87.6050, 41.7050), (-87.5980, 41.6600), (-87.5950, 41.6200))),
    Line(_E, 13, ((-87.6580, 41.9860), (-87.6510, 41.9700), (-87.6430, 41.9560), (-87.6395, 41.9430),
                  (-87.6340, 41.9270), (-87.6295, 41.9150), (-87.6240, 41.9010), (-87.6170, 41.8930),
                  (-87.6150, 41.8860), (-87.6185, 41.8800), (-87.6188, 41.8680), (-87.6170, 41.8580),
                  (-87.6130, 41.8450), (-87.6070, 41.8330), (-87.5985, 41.8210), (-87.5905, 41.8100),
                  (-87.5850, 41.7980), (-87.5800, 41.7850), (-87.5740, 41.7760))),
    # Railways
    Line(_T, 14, ((-87.6400, 41.8870), (-87.6600, 41.9000), (-87.7100, 41.9420), (-87.7600, 41.9720),
                  (-87.8100, 41.9950), (-87.8600, 42.0300))),
    Line(_T, 12, ((-87.6600, 41.9000), (-87.6720, 41.9300), (-87.6730, 41.9800), (-87.6800, 42.0500))),
    Line(_T, 16, ((-87.6400, 41.8870), (-87.7000, 41.8885), (-87.7800, 41.8880), (-87.8600, 41.8880))),
    Line(_T, 12, ((-87.6600, 41.8880), (-87.7100, 41.9080), (-87.7600, 41.9170), (-87.8600, 41.9300))),
    Line(_T, 16, ((-87.6390, 41.8780), (-87.6400, 41.8570), (-87.6900, 41.8560), (-87.7500, 41.8470),
                  (-87.8600, 41.8250))),
    Line(_T, 14, ((-87.6350, 41.8560), (-87.6700, 41.8370), (-87.7300, 41.8050), (-87.8600, 41.7400))),
    Line(_T, 14, ((-87.6320, 41.8750), (-87.6310, 41.8000), (-87.6330, 41.7600), (-87.6600, 41.7200),
                  (-87.6650, 41.6900), (-87.6700, 41.6300))),
    Line(_T, 18, ((-87.6215, 41.8830), (-87.6210, 41.8570), (-87.6090, 41.8330), (-87.5900, 41.8000),
                  (-87.5900, 41.7800), (-87.6050, 41.7400), (-87.6150, 41.6900), (-87.6600, 41.6300))),
    Line(_T, 12, ((-87.5900, 41.7800), (-87.5660, 41.7600), (-87.5450, 41.7350), (-87.5300, 41.7000),
                  (-87.5200, 41.6300))),
    Line(_T, 12, ((-87.7420, 41.9700), (-87.7380, 41.9000), (-87.7350, 41.8300), (-87.7320, 41.7750),
                  (-87.6700, 41.7600), (-87.6000, 41.7350), (-87.5600, 41.7150))),
    Line(_T, 12, ((-87.6850, 41.8800), (-87.6830, 41.8000), (-87.6810, 41.7400), (-87.6750, 41.6300))),
    # Streets that cut across the grid
    Line(_S, 9, ((-87.6450, 41.8890), (-87.6980, 41.9290), (-87.7600, 41.9700), (-87.8100, 42.0200))),
    Line(_S, 8, ((-87.6500, 41.9000), (-87.6680, 41.9250), (-87.7000, 41.9480), (-87.7350, 41.9680))),
    Line(_S, 9, ((-87.6320, 41.9080), (-87.6480, 41.9290), (-87.6850, 41.9640), (-87.7100, 41.9960))),
    Line(_S, 8, ((-87.6310, 41.9000), (-87.6390, 41.9320), (-87.6660, 41.9750), (-87.6760, 42.0300))),
    Line(_S, 9, ((-87.6600, 41.8890), (-87.6900, 41.8650), (-87.7300, 41.8480), (-87.8200, 41.8200))),
    Line(_S, 9, ((-87.6320, 41.8560), (-87.6650, 41.8400), (-87.7000, 41.8180), (-87.7600, 41.7920),
                 (-87.8400, 41.7800))),
    Line(_S, 8, ((-87.6560, 41.8580), (-87.6800, 41.8380), (-87.7000, 41.8100))),
    Line(_S, 8, ((-87.6310, 41.7800), (-87.6550, 41.7200), (-87.6640, 41.6900))),
    Line(_S, 8, ((-87.6150, 41.7700), (-87.5760, 41.7420), (-87.5530, 41.7280))),
    Line(_S, 8, ((-87.6500, 41.8905), (-87.7000, 41.9080), (-87.7600, 41.9200), (-87.8300, 41.9330))),
    # Runways
    Line(_A, 25, ((-87.9320, 41.9690), (-87.8850, 41.9690))),
    Line(_A, 25, ((-87.9300, 41.9840), (-87.8900, 41.9840))),
    Line(_A, 25, ((-87.9300, 41.9600), (-87.8950, 41.9850))),
    Line(_A, 25, ((-87.9300, 41.9940), (-87.8980, 41.9940))),
    Line(_A, 22, ((-87.7600, 41.7795), (-87.7440, 41.7920))),
    Line(_A, 22, ((-87.7600, 41.7920), (-87.7440, 41.7795))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A large place: west, south, east, north in degrees; blocks centred inside belong to it."""

    form: str
    box: tuple[float, float, float, float]


PLACES: tuple[Place, ...] = (
    Place("park", (-87.6240, 41.8670, -87.6120, 41.8840)),
    Place("park", (-87.6000, 41.7740, -87.5730, 41.7950)),
    Place("park", (-87.6190, 41.7795, -87.6060, 41.8030)),
    Place("park", (-87.6070, 41.7855, -87.5990, 41.7885)),
    Place("park", (-87.7090, 41.8985, -87.6940, 41.9110)),
    Place("park", (-87.7225, 41.8770, -87.7090, 41.8880)),
    Place("park", (-87.7035, 41.8560, -87.6930, 41.8670)),
    Place("park", (-87.7130, 41.7630, -87.6930, 41.7770)),
    Place("park", (-87.7770, 41.8690, -87.7640, 41.8800)),
    Place("park", (-87.6960, 41.9490, -87.6890, 41.9560)),
    Place("park", (-87.6320, 41.7170, -87.6210, 41.7240)),
    Place("park", (-87.5440, 41.7100, -87.5300, 41.7210)),
    Place("park", (-87.7300, 41.7200, -87.7190, 41.7310)),
    Place("wood", (-87.8050, 41.9830, -87.7560, 42.0080)),
    Place("wood", (-87.8600, 41.9400, -87.8430, 41.9720)),
    Place("wood", (-87.6860, 41.7330, -87.6720, 41.7450)),
    Place("wood", (-87.5480, 41.6500, -87.5200, 41.6800)),
    Place("wood", (-87.6600, 41.6600, -87.6350, 41.6700)),
    Place("cemetery", (-87.6640, 41.9525, -87.6560, 41.9610)),
    Place("cemetery", (-87.6840, 41.9815, -87.6710, 41.9920)),
    Place("cemetery", (-87.6050, 41.7655, -87.5930, 41.7730)),
    Place("cemetery", (-87.7220, 41.6890, -87.7010, 41.7010)),
    Place("cemetery", (-87.8300, 41.9500, -87.8200, 41.9600)),
    Place("cemetery", (-87.7380, 41.9870, -87.7260, 41.9960)),
    Place("campus", (-87.6535, 41.8655, -87.6455, 41.8750)),
    Place("campus", (-87.6045, 41.7885, -87.5940, 41.7935)),
    Place("campus", (-87.6290, 41.8310, -87.6230, 41.8400)),
    Place("campus", (-87.6810, 41.8660, -87.6680, 41.8750)),
    Place("campus", (-87.7120, 41.9790, -87.7020, 41.9850)),
    Place("campus", (-87.6620, 41.9970, -87.6560, 42.0030)),
    Place("campus", (-87.6100, 41.7170, -87.6030, 41.7230)),
    Place("yard", (-87.8000, 41.7640, -87.7350, 41.7740)),
    Place("yard", (-87.7180, 41.8090, -87.7080, 41.8220)),
    Place("yard", (-87.6360, 41.7880, -87.6300, 41.8080)),
    Place("yard", (-87.6420, 41.8430, -87.6360, 41.8620)),
    Place("yard", (-87.6780, 41.8490, -87.6600, 41.8530)),
    Place("yard", (-87.6120, 41.6980, -87.6070, 41.7150)),
    Place("industry", (-87.6650, 41.8100, -87.6430, 41.8250)),
    Place("industry", (-87.7480, 41.8000, -87.7150, 41.8120)),
    Place("industry", (-87.5650, 41.6560, -87.5420, 41.7080)),
    Place("industry", (-87.7480, 41.8900, -87.7240, 41.9080)),
    Place("open", (-87.6010, 41.6550, -87.5680, 41.7010)),
    Place("airport", (-87.9420, 41.9560, -87.8780, 42.0080)),
    Place("airport", (-87.7620, 41.7780, -87.7420, 41.7935)),
    Place("terminal", (-87.9120, 41.9730, -87.8980, 41.9830)),
    Place("terminal", (-87.7445, 41.7830, -87.7420, 41.7900)),
)

LAKES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((-87.5985, 41.6960), (-87.5850, 41.6980), (-87.5790, 41.6900), (-87.5780, 41.6720),
     (-87.5830, 41.6620), (-87.5920, 41.6690), (-87.5960, 41.6820)),
    ((-87.5330, 41.6760), (-87.5260, 41.6770), (-87.5170, 41.6700), (-87.5190, 41.6580),
     (-87.5290, 41.6560), (-87.5340, 41.6660)),
    ((-87.5840, 41.7880), (-87.5800, 41.7880), (-87.5790, 41.7780), (-87.5830, 41.7770)),
    ((-87.6150, 41.7920), (-87.6110, 41.7910), (-87.6100, 41.7840), (-87.6140, 41.7850)),
    ((-87.7030, 41.9060), (-87.6980, 41.9065), (-87.6975, 41.9020), (-87.7025, 41.9010)),
    ((-87.6345, 41.9235), (-87.6320, 41.9240), (-87.6305, 41.9165), (-87.6325, 41.9160)),
)  # fmt: skip


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
    rounded = [np.round(_rounded(to_utm((*ring, ring[0])), True), _MILLIMETRE) for ring in LAKES]
    return [great_lake(), *rounded]


def _rounded(points: Floats, closed: bool) -> Floats:
    """Cut corners twice (Chaikin), which keeps the ends of an open line."""
    for _ in range(2):
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
    kind: np.ndarray
    industry: np.ndarray


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
            points = _rounded(points, False)
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
    return Segments(*table[:5], table[5].astype(np.int16), table[6].astype(bool))


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


assert len(WAY_COVER) == len(WAY_USE) == len(Way)
assert set(WAY_COVER.tolist()) <= set(Cover) and set(WAY_USE.tolist()) <= set(Use)
