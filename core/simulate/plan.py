"""The plan of the city: what stands in every block of the street grid.

Streets run in a lattice that is turned a little against EPSG:32616, along true north, and counted
from State and Madison Street: 16 blocks to a mile eastward, 8 northward. All attributes of a block
follow from the seed, the block's number and the geography, so the plan of a part equals that part
of the plan.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from core.simulate import geography, noise
from core.simulate.geography import Segments
from core.simulate.noise import Floats
from core.simulate.sketch import PLACES, Way

BLOCK_E_M, BLOCK_N_M = 100.584, 201.168
ORIGIN = (447880.0, 4636720.0)  # State and Madison Street
# Sine of 0.45 degrees, the angle between true north and the grid's at this place.
SIN = 0.00785
COS = float(np.sqrt(1 - SIN * SIN))
WEST, EAST, SOUTH, NORTH = -290, 130, -150, 100  # lattice numbers, the last ones excluded
DRAWN_M = 1600.0
MILE_E, MILE_N = 16, 8
_WAY_REACH_M = 420.0
_CLEARANCE_M = 0.5 * float(np.sqrt(BLOCK_E_M**2 + BLOCK_N_M**2)) + 90.0  # with large buildings
_RAGGED_M = 1400.0
_LAKE_FRONT_M = 800.0
_NO_OBSTACLE = (Way.BEACH, Way.BANK)  # plants and sheds may stand there


class Form(IntEnum):
    """How a block is built."""

    LAKE = 0
    HOUSES = 1
    FLATS = 2
    CENTRE = 3
    MALL = 4
    INDUSTRY = 5
    SCHOOL = 6
    CAMPUS = 7
    CEMETERY = 8
    PARK = 9
    WOOD = 10
    YARD = 11
    AIRPORT = 12
    VACANT = 13
    PARKING = 14
    OPEN = 15
    TERMINAL = 16


_PLACE_FORM = {
    "park": Form.PARK, "wood": Form.WOOD, "cemetery": Form.CEMETERY, "campus": Form.CAMPUS,
    "yard": Form.YARD, "industry": Form.INDUSTRY, "open": Form.OPEN, "airport": Form.AIRPORT,
    "terminal": Form.TERMINAL,
}  # fmt: skip
ROWS_OF_LOTS = (Form.HOUSES, Form.FLATS)
# Blocks of these forms grow together over the streets between them, over wide streets if True.
_GROWS = {
    Form.LAKE: True, Form.CEMETERY: True, Form.AIRPORT: True, Form.TERMINAL: True,
    Form.YARD: True, Form.OPEN: True, Form.WOOD: True, Form.PARK: False, Form.INDUSTRY: False,
    Form.CAMPUS: False,
}  # fmt: skip

Field = NDArray[np.float64]
Metres = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Attributes of blocks, each (J, I): row 0 the southernmost, column 0 the westernmost.

    `x`, `y` are centres in EPSG:32616; `to_shore` metres, negative in the lake; `dense`, `green`
    and `derelict` go from 0 to 1; `merged_east` and `merged_north` tell where no street runs
    between a block and the next. `near_start` (J * I + 1) and `near_items` list the pieces of ways
    that a block must keep clear of, block by block.
    """

    seed: int
    key: noise.Keys
    x: Field
    y: Field
    form: NDArray[np.int8]
    is_drawn: NDArray[np.bool_]
    is_inside: NDArray[np.bool_]
    to_shore: Field
    to_loop: Field
    dense: Field
    green: Field
    derelict: Field
    merged_east: NDArray[np.bool_]
    merged_north: NDArray[np.bool_]
    near_start: NDArray[np.int64]
    near_items: NDArray[np.int64]
    has_river: NDArray[np.bool_]
    has_expressway: NDArray[np.bool_]


def to_lattice(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return metres east and north of the origin along the streets."""
    dx, dy = x - ORIGIN[0], y - ORIGIN[1]
    return dx * COS - dy * SIN, dx * SIN + dy * COS


def from_lattice(east: Metres, north: Metres) -> tuple[Floats, Floats]:
    """Return EPSG:32616 of metres east and north along the streets."""
    return ORIGIN[0] + east * COS + north * SIN, ORIGIN[1] - east * SIN + north * COS


def make_plan(seed: int, segments: Segments) -> Plan:
    """Lay out all blocks of the region for one seed."""
    i, j = np.meshgrid(np.arange(WEST, EAST), np.arange(SOUTH, NORTH))
    keys = noise.key(noise.key(noise.root(seed, 1), i), j)
    x, y = from_lattice((i + 0.5) * BLOCK_E_M, (j + 0.5) * BLOCK_N_M)
    is_drawn, is_inside, to_shore = _position(x, y)
    to_loop = np.sqrt((x - ORIGIN[0]) ** 2 + (y - ORIGIN[1]) ** 2)
    pairs = _near(segments)
    by_kind = _least_distance(segments, pairs, x.shape)
    fields = _fields(seed, x, y, is_inside, to_shore, to_loop)
    form = _forms(seed, keys, (i, j), (x, y), (to_shore, to_loop), fields, by_kind)
    start, items = _clearance(segments, pairs, x.size)
    merged_east, merged_north = _merged(form, to_shore, i, j)
    return Plan(
        seed=seed, key=keys, x=x, y=y, form=form, is_drawn=is_drawn, is_inside=is_inside,
        to_shore=to_shore, to_loop=to_loop, dense=fields[0], green=fields[1], derelict=fields[2],
        merged_east=merged_east, merged_north=merged_north, near_start=start, near_items=items,
        has_river=by_kind["river"] < BLOCK_N_M, has_expressway=by_kind["expressway"] < BLOCK_E_M,
    )  # fmt: skip


def _position(x: Field, y: Field) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Field]:
    """Return which blocks are drawn, which lie in the city, and metres to the shore."""
    city = geography.city_outline().simplify(30.0)
    ring = geography.great_lake()
    lake = shapely.Polygon(ring)
    coast = shapely.LineString(ring[: -geography.OPEN_WATER]).simplify(40.0)
    shapely.prepare(city)
    shapely.prepare(lake)
    points = shapely.points(x, y)
    to_shore = np.where(shapely.contains(lake, points), -1, 1) * shapely.distance(coast, points)
    drawn, inside = shapely.dwithin(city, points, DRAWN_M), shapely.contains(city, points)
    return drawn, inside, np.round(to_shore, 3)


def _near(segments: Segments) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return (piece, block, distance) of all pairs closer than some 400 m."""
    pieces, blocks, distances = [], [], []
    width = EAST - WEST
    for n in range(len(segments.x0)):
        ends_x = np.array([segments.x0[n], segments.x1[n]])
        ends_y = np.array([segments.y0[n], segments.y1[n]])
        east, north = to_lattice(ends_x, ends_y)
        i = np.arange(*_span(east, BLOCK_E_M, WEST, EAST))
        j = np.arange(*_span(north, BLOCK_N_M, SOUTH, NORTH))
        if not (i.size and j.size):
            continue
        ii, jj = (v.ravel() for v in np.meshgrid(i, j))
        x, y = from_lattice((ii + 0.5) * BLOCK_E_M, (jj + 0.5) * BLOCK_N_M)
        distance = distance_to(segments, np.full(len(x), n), x, y)
        close = distance < _WAY_REACH_M
        pieces.append(np.full(int(close.sum()), n))
        blocks.append(((jj - SOUTH) * width + ii - WEST)[close])
        distances.append(distance[close])
    return np.concatenate(pieces), np.concatenate(blocks), np.concatenate(distances)


def _span(ends: Floats, size: float, low: int, high: int) -> tuple[int, int]:
    first = int(np.floor((ends.min() - _WAY_REACH_M) / size))
    last = int(np.floor((ends.max() + _WAY_REACH_M) / size)) + 1
    return max(first, low), min(last, high)


def distance_to(segments: Segments, piece: NDArray[np.int64], x: Floats, y: Floats) -> Floats:
    """Return the metres from each point (N,) to the middle line of its piece (N,)."""
    x0, y0 = segments.x0[piece], segments.y0[piece]
    dx, dy = segments.x1[piece] - x0, segments.y1[piece] - y0
    length2 = np.maximum(dx * dx + dy * dy, 1e-6)
    t = np.clip(((x - x0) * dx + (y - y0) * dy) / length2, 0.0, 1.0)
    ex, ey = x - x0 - t * dx, y - y0 - t * dy
    return np.sqrt(ex * ex + ey * ey)


def _least_distance(
    segments: Segments,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64], Floats],
    shape: tuple[int, ...],
) -> dict[str, Field]:
    """Return for each block the metres to the nearest way of a sort, infinite beyond reach."""
    piece, block, distance = pairs
    kind = segments.kind[piece]
    sorts = {
        "industrial river": segments.industry[piece],
        "river": kind == Way.RIVER,
        "rail": kind == Way.RAIL,
        "expressway": kind == Way.EXPRESSWAY,
        "diagonal": kind == Way.STREET,
    }
    found = {}
    for sort, which in sorts.items():
        least = np.full(int(np.prod(shape)), np.inf)
        np.minimum.at(least, block[which], distance[which])
        found[sort] = least.reshape(shape)
    return found


def _clearance(
    segments: Segments, pairs: tuple[NDArray[np.int64], NDArray[np.int64], Floats], blocks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    piece, block, distance = pairs
    reach = segments.half[piece] + _CLEARANCE_M
    keep = (distance < reach) & ~np.isin(segments.kind[piece], _NO_OBSTACLE)
    order = np.argsort(block[keep], kind="stable")
    counts = np.bincount(block[keep], minlength=blocks)
    return np.concatenate([[0], np.cumsum(counts)]), piece[keep][order]


def _fields(
    seed: int, x: Field, y: Field, is_inside: NDArray[np.bool_], to_shore: Field, to_loop: Field
) -> tuple[Field, Field, Field]:
    """Return how dense, how green and how derelict the city is at each block, 0 to 1."""

    def patches(salt: int, scale_m: float) -> Field:
        return noise.smooth(noise.root(seed, salt), x, y, scale_m)

    north_side = np.clip((y - ORIGIN[1]) / 2000.0, 0.3, 1.0) * (y < ORIGIN[1] + 16000)
    by_lake = np.clip(1 - np.maximum(to_shore, 0) / 2200.0, 0, 1) * north_side
    core = 1 / (1 + (to_loop / 4500.0) ** 2)
    dense = 0.24 + 0.55 * core + 0.34 * by_lake + 0.34 * (patches(11, 2600.0) - 0.5)
    dense = np.clip(dense - 0.10 * ~is_inside, 0.02, 1.0)
    far = np.clip(to_loop / 20000.0, 0, 1)
    green = 0.24 + 0.42 * far + 0.9 * (patches(12, 2300.0) - 0.5) + 0.2 * (patches(13, 600.0) - 0.5)
    green = np.clip(green - 0.25 * core, 0.02, 1.0)
    # Emptied neighbourhoods lie south and west of the centre, as patches.
    side = np.clip((ORIGIN[1] + 1500.0 - y) / 3000.0, 0, 1) * np.clip(1.3 - to_loop / 16000.0, 0, 1)
    derelict = np.clip((patches(14, 2400.0) - 0.42) * 2.4, 0, 1) * side
    return dense, green, derelict * is_inside


def _forms(
    seed: int,
    keys: noise.Keys,
    lattice: tuple[NDArray[np.int64], NDArray[np.int64]],
    at: tuple[Field, Field],
    distances: tuple[Field, Field],
    fields: tuple[Field, Field, Field],
    ways: dict[str, Field],
) -> NDArray[np.int8]:
    """Decide the form of every block; what is decided later overrules."""
    (i, j), (x, y), (to_shore, to_loop), (dense, _, derelict) = lattice, at, distances, fields
    by_chance = noise.uniform(keys, 1)
    form = np.where(noise.uniform(keys, 2) < (dense - 0.26) * 2.2, Form.FLATS, Form.HOUSES)
    form[(ways["diagonal"] < 75) & (by_chance < 0.45)] = Form.FLATS
    form[(noise.uniform(keys, 3) < 0.28 * derelict)] = Form.VACANT
    on_corner = ((i % 8 == 0) | (i % 8 == 7)) & ((j % 4 == 0) | (j % 4 == 3))
    form[on_corner & (by_chance < 0.05)] = Form.MALL
    _one_in_each(form, seed, (i, j), (8, 4), 21, 0.75, Form.SCHOOL)
    _one_in_each(form, seed, (i, j), (8, 4), 22, 0.62, Form.PARK)
    _one_in_each(form, seed, (i, j), (16, 8), 23, 0.30, Form.CAMPUS)
    _one_in_each(form, seed, (i, j), (16, 8), 24, 0.5, Form.PARKING)
    works = noise.smooth(noise.root(seed, 15), x, y, 1700.0)
    by_water = by_chance < 1.25 - ways["industrial river"] / 380.0
    by_rail = by_chance < np.clip(1.0 - ways["rail"] / 300.0, 0, 1) * (works - 0.30) * 2.6
    form[(by_water | by_rail) & (to_loop > 2300)] = Form.INDUSTRY
    form[(works > 0.90) & (dense < 0.45) & (by_chance < 0.7)] = Form.INDUSTRY
    east, north = to_lattice(x, y)
    # The centre is longer along the lake than it is deep.
    centre = np.sqrt((east / 1.15) ** 2 + ((north - 700.0) / 1.75) ** 2)
    form[(centre < 1150) | ((centre < 1700) & (by_chance < 0.55))] = Form.CENTRE
    form[(centre < 1900) & (centre > 500) & (by_chance > 0.955)] = Form.PARKING
    form[(centre < 1900) & (by_chance < 0.025)] = Form.PARK
    form[(to_shore < _park_strip(north)) & (by_chance < 0.985)] = Form.PARK
    works_by_lake = (north < -17500) & (to_shore < 700)
    form[works_by_lake] = np.where(by_chance < 0.75, Form.INDUSTRY, Form.OPEN)[works_by_lake]
    # Woods and wetlands have no straight edges.
    ragged_e = east + _RAGGED_M * (noise.smooth(noise.root(seed, 16), x, y, 800.0) - 0.5)
    ragged_n = north + _RAGGED_M * (noise.smooth(noise.root(seed, 17), x, y, 800.0) - 0.5)
    for place in PLACES:
        west, south, far_east, far_north = place.box
        corners = geography.to_utm(((west, south), (far_east, far_north)))
        (e0, e1), (n0, n1) = to_lattice(corners[:, 0], corners[:, 1])
        e, n = (ragged_e, ragged_n) if place.form in ("wood", "open", "industry") else (east, north)
        form[(e > e0) & (e < e1) & (n > n0) & (n < n1)] = _PLACE_FORM[place.form]
    form[to_shore < -0.55 * BLOCK_N_M] = Form.LAKE
    return form.astype(np.int8)


def _park_strip(north: Field) -> Field:
    """Return the depth of the parks along the lake in metres, by distance north of the Loop."""
    knots_m = (-21000.0, -20000.0, -14000.0, -9500.0, -2500.0, 0.0, 2600.0, 3600.0, 9800.0, 11200.0)
    depth_m = (0.0, 60.0, 90.0, 330.0, 420.0, 380.0, 170.0, 700.0, 520.0, 110.0)
    return np.interp(north, knots_m, depth_m)


def _one_in_each(
    form: NDArray[np.int64],
    seed: int,
    lattice: tuple[NDArray[np.int64], NDArray[np.int64]],
    cell: tuple[int, int],
    salt: int,
    share: float,
    value: Form,
) -> None:
    """Give one block of a share of all super-blocks of `cell` blocks another form."""
    i, j = lattice
    keys = noise.key(noise.key(noise.root(seed, salt), i // cell[0]), j // cell[1])
    pick_i = np.floor(noise.uniform(keys, 1) * cell[0]).astype(np.int64)
    pick_j = np.floor(noise.uniform(keys, 2) * cell[1]).astype(np.int64)
    chosen = (i % cell[0] == pick_i) & (j % cell[1] == pick_j)
    form[chosen & (noise.uniform(keys, 3) < share)] = value


def _merged(
    form: NDArray[np.int8], to_shore: Field, i: NDArray[np.int64], j: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where a block has grown together with its eastern and with its northern one."""
    east = np.zeros(form.shape, bool)
    north = np.zeros(form.shape, bool)
    # Main streets end at the parks along the lake.
    at_lake = to_shore < _LAKE_FRONT_M
    for kind, over_wide in _GROWS.items():
        is_kind = form == kind
        narrow_e = ((i + 1) % 8 != 0) | over_wide | (at_lake & (kind == Form.PARK))
        narrow_n = ((j + 1) % 4 != 0) | over_wide | (at_lake & (kind == Form.PARK))
        east[:, :-1] |= is_kind[:, :-1] & is_kind[:, 1:] & narrow_e[:, :-1]
        north[:-1] |= is_kind[:-1] & is_kind[1:] & narrow_n[:-1]
    works = form == Form.INDUSTRY
    east &= ~(works & ((i + 1) % 4 == 0))
    north &= ~(works & ((j + 1) % 2 == 0))
    return east, north
