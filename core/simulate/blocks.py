"""Fill blocks of the plan with parcels, ground, buildings and trees.

Everything of a block follows from its key and its attributes in the plan, whichever other blocks
are asked for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.simulate import noise
from core.simulate.legend import Cover, Use
from core.simulate.noise import Floats, Keys
from core.simulate.plan import (
    BLOCK_E_M,
    BLOCK_N_M,
    COS,
    MILE_E,
    MILE_N,
    ROWS_OF_LOTS,
    SIN,
    SOUTH,
    WEST,
    Form,
    Plan,
    from_lattice,
)
from core.simulate.shapes import Discs, Rects

_ALLEY_HALF_M = 2.5
_STRIP_M = 34.0  # depth of the shops along an east-west main street
_SEAM_M = 0.01  # blocks overlap by this, so that rounding leaves no pixel between them
_MAX_LOTS, _MAX_SHOPS = 26, 9
Item = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Chosen blocks, columns of shape (N,), with their lots as a box inside the streets.

    `west` … `north` are metres from the block's south-west corner; `road_*` the half widths of the
    carriageways on the four sides. Sides without a street have none.
    """

    plan: Plan
    index: Item
    i: Item
    j: Item
    key: Keys
    form: NDArray[np.int8]
    west: Floats
    east: Floats
    south: Floats
    north: Floats
    road_west: Floats
    road_east: Floats
    road_south: Floats
    road_north: Floats

    def attribute(self, name: str) -> Floats:
        """Return a (J, I) attribute of the plan at these blocks."""
        values: Floats = getattr(self.plan, name).ravel()[self.index]
        return values


def _street(number: Item, mile: int) -> tuple[Floats, Floats]:
    """Return half the width between lots and half the carriageway of lattice streets."""
    is_mile, is_half = number % mile == 0, number % (mile // 2) == 0
    lots = np.where(is_mile, 15.0, np.where(is_half, 12.5, 10.0))
    road = np.where(is_mile, 10.5, np.where(is_half, 8.0, 5.0))
    return lots, road


def choose(plan: Plan, index: Item) -> Blocks:
    """Return the blocks at flat positions `index` of the plan."""
    width = plan.form.shape[1]
    col, row = index % width, index // width
    i, j = col + WEST, row + SOUTH
    east, north = plan.merged_east, plan.merged_north
    gone = {
        "west": east[row, np.maximum(col - 1, 0)],
        "east": east[row, col],
        "south": north[np.maximum(row - 1, 0), col],
        "north": north[row, col],
    }
    lots, roads = {}, {}
    sides = (("west", i, MILE_E), ("east", i + 1, MILE_E), ("south", j, MILE_N))
    for side, number, mile in (*sides, ("north", j + 1, MILE_N)):
        lot, road = _street(number, mile)
        lots[side], roads[side] = np.where(gone[side], 0.0, lot), np.where(gone[side], 0.0, road)
    return Blocks(
        plan, index, i, j, plan.key.ravel()[index], plan.form.ravel()[index],
        lots["west"], BLOCK_E_M - lots["east"], lots["south"], BLOCK_N_M - lots["north"],
        roads["west"], roads["east"], roads["south"], roads["north"],
    )  # fmt: skip


@dataclass(slots=True)
class Parts:
    """Lists that the builders add to: tables, and for each row the position of its block."""

    ground: list[Rects]
    parcels: list[Rects]
    buildings: list[Rects]
    building_block: list[Item]
    crowns: list[Discs]
    crown_block: list[Item]


def _rects(
    b: Blocks, at: Item, box: tuple[Floats, Floats, Floats, Floats], code: NDArray[np.int16] | int
) -> Rects:
    """Return rectangles west, east, south, north (metres in blocks `at`)."""
    west, east, south, north = (np.broadcast_to(v, at.shape) for v in box)
    x, y = from_lattice(
        b.i[at] * BLOCK_E_M + 0.5 * (west + east), b.j[at] * BLOCK_N_M + 0.5 * (south + north)
    )
    return Rects(
        x, y, 0.5 * (east - west), 0.5 * (north - south),
        np.full(at.shape, COS), np.full(at.shape, -SIN),
        np.broadcast_to(np.asarray(code, np.int16), at.shape).copy(),
    )  # fmt: skip


# Ground and use of the lots of each form.
_GROUND = {
    Form.LAKE: Cover.WATER, Form.HOUSES: Cover.GRASS, Form.FLATS: Cover.GRASS,
    Form.CENTRE: Cover.PAVED, Form.MALL: Cover.PAVED, Form.INDUSTRY: Cover.PAVED,
    Form.SCHOOL: Cover.GRASS, Form.CAMPUS: Cover.GRASS, Form.CEMETERY: Cover.GRASS,
    Form.PARK: Cover.GRASS, Form.WOOD: Cover.GRASS, Form.YARD: Cover.BARE,
    Form.AIRPORT: Cover.GRASS, Form.VACANT: Cover.GRASS, Form.PARKING: Cover.PAVED,
    Form.OPEN: Cover.GRASS, Form.TERMINAL: Cover.PAVED,
}  # fmt: skip
_USE = {
    Form.LAKE: Use.WATER, Form.HOUSES: Use.HOUSES, Form.FLATS: Use.FLATS, Form.CENTRE: Use.CENTRE,
    Form.MALL: Use.SHOPS, Form.INDUSTRY: Use.INDUSTRY, Form.SCHOOL: Use.SCHOOL,
    Form.CAMPUS: Use.CAMPUS, Form.CEMETERY: Use.CEMETERY, Form.PARK: Use.PARK,
    Form.WOOD: Use.NATURE, Form.YARD: Use.RAIL, Form.AIRPORT: Use.AIRPORT,
    Form.VACANT: Use.VACANT, Form.PARKING: Use.PARKING, Form.OPEN: Use.NATURE,
    Form.TERMINAL: Use.AIRPORT,
}  # fmt: skip
_PAVED_TO_THE_KERB = (Form.CENTRE, Form.MALL, Form.INDUSTRY, Form.PARKING, Form.TERMINAL)
_GROUND_OF = np.array([_GROUND[form] for form in Form], np.int16)
_USE_OF = np.array([_USE[form] for form in Form], np.int16)


def streets_and_lots(b: Blocks, parts: Parts) -> Rects:
    """Add verges, lots and their use; return the whole blocks (code 1: water, 0: land)."""
    at = np.arange(len(b.index))
    whole = (-_SEAM_M, BLOCK_E_M + _SEAM_M, -_SEAM_M, BLOCK_N_M + _SEAM_M)
    is_lake = b.form == Form.LAKE
    cells = _rects(b, at, whole, is_lake)  # type: ignore[arg-type]
    verge = np.where(np.isin(b.form, _PAVED_TO_THE_KERB), Cover.PAVED, Cover.GRASS)
    verge = np.where(is_lake, Cover.WATER, verge).astype(np.int16)
    # Without a street on a side the box reaches a hair beyond the block.
    inner = (
        np.where(b.road_west > 0, b.road_west, -_SEAM_M),
        BLOCK_E_M - np.where(b.road_east > 0, b.road_east, -_SEAM_M),
        np.where(b.road_south > 0, b.road_south, -_SEAM_M),
        BLOCK_N_M - np.where(b.road_north > 0, b.road_north, -_SEAM_M),
    )
    lots = (
        np.where(b.west > 0, b.west, -_SEAM_M),
        np.where(b.east < BLOCK_E_M, b.east, BLOCK_E_M + _SEAM_M),
        np.where(b.south > 0, b.south, -_SEAM_M),
        np.where(b.north < BLOCK_N_M, b.north, BLOCK_N_M + _SEAM_M),
    )
    ground = _GROUND_OF[b.form]
    bare = noise.uniform(b.key, 11)
    waste = ((b.form == Form.INDUSTRY) & (bare < 0.22)) | ((b.form == Form.VACANT) & (bare < 0.25))
    ground = np.where(waste | ((b.form == Form.OPEN) & (bare < 0.3)), Cover.BARE, ground)
    parts.ground += [
        _rects(b, at, inner, verge),
        _rects(b, at, lots, ground.astype(np.int16)),
    ]
    use = _USE_OF[b.form]
    mix = noise.uniform(b.key, 12)
    centre = b.form == Form.CENTRE
    # Homes come in where the centre thins out.
    homes = np.minimum(b.attribute("to_loop") / 3000.0, 0.7)
    use = np.where(centre & (mix < homes), Use.MIXED, use)
    use = np.where(centre & (mix < 0.6 * homes), Use.FLATS, use)
    parts.parcels.append(_rects(b, at, lots, use.astype(np.int16)))
    return cells


def rows_of_lots(b: Blocks, parts: Parts) -> None:
    """Fill blocks with two rows of lots and an alley between, and shops on the main streets."""
    at = np.flatnonzero(np.isin(b.form, ROWS_OF_LOTS))
    key, dense = b.key[at], b.attribute("dense")[at]
    west, east, south, north = b.west[at], b.east[at], b.south[at], b.north[at]
    middle = 0.5 * (west + east)
    strength = 0.30 + 0.75 * dense - 0.2 * b.attribute("derelict")[at]

    def has_shops(number: Item, salt: int, mile: int) -> NDArray[np.bool_]:
        wide = np.where(number % mile == 0, 0.25, np.where(number % (mile // 2) == 0, 0.0, -9.0))
        return noise.uniform(key, salt) < strength + wide

    shops_south = has_shops(b.j[at], 31, MILE_N)
    shops_north = has_shops(b.j[at] + 1, 32, MILE_N)
    first = south + np.where(shops_south, _STRIP_M, 0.0)
    last = north - np.where(shops_north, _STRIP_M, 0.0)
    shops_west = has_shops(b.i[at], 33, MILE_E) & ~shops_south
    shops_east = has_shops(b.i[at] + 1, 34, MILE_E) & ~shops_north
    alley = (middle - _ALLEY_HALF_M, middle + _ALLEY_HALF_M, first, last)
    parts.ground.append(_rects(b, at, alley, Cover.PAVED))
    parts.parcels.append(_rects(b, at, alley, Use.STREET))
    shop_use = np.where(noise.uniform(key, 35) < 0.25 + 0.5 * dense, Use.MIXED, Use.SHOPS)
    for side, shops in ((-1, shops_west), (1, shops_east)):
        _row(b, parts, at, side, (first, last), shops, shop_use.astype(np.int16))
    for side, shops in ((-1, shops_south), (1, shops_north)):
        which = np.flatnonzero(shops)
        _strip(b, parts, at[which], side, shop_use[which].astype(np.int16))


def _row(
    b: Blocks,
    parts: Parts,
    at: Item,
    side: int,
    ends: tuple[Floats, Floats],
    is_shops: NDArray[np.bool_],
    shop_use: NDArray[np.int16],
) -> None:
    """Fill the western (-1) or eastern (1) row of lots, which face the north-south street."""
    first, last = ends
    dense, derelict = b.attribute("dense")[at], b.attribute("derelict")[at]
    front = b.west[at] if side < 0 else b.east[at]
    back = 0.5 * (b.west[at] + b.east[at]) + side * _ALLEY_HALF_M
    is_flats = (b.form[at] == Form.FLATS) & ~is_shops
    key = noise.key(b.key[at], 40 + side)
    shop = np.flatnonzero(is_shops)
    box = _sorted(front[shop], back[shop], first[shop], last[shop])
    parts.ground.append(_rects(b, at[shop], box, Cover.PAVED))
    parts.parcels.append(_rects(b, at[shop], box, shop_use[shop]))
    lot = np.where(dense > 0.5, 8.4, np.where(dense > 0.26, 9.6, 12.6))
    lot = np.where(is_flats, 19.0, np.where(is_shops, 10.5, lot))
    lots = np.clip(np.rint((last - first) / lot), 1, _MAX_LOTS).astype(np.int64)
    n = np.repeat(np.arange(len(at)), lots)
    k = np.arange(len(n)) - np.repeat(np.cumsum(lots) - lots, lots)
    lot_key = noise.key(key[n], k)
    width = ((last - first) / lots)[n]
    centre = first[n] + (k + 0.5) * width
    flats, shops, dense_n = is_flats[n], is_shops[n], dense[n]
    chance = noise.uniform(lot_key, 1)
    is_empty = chance < np.where(shops, 0.18, 0.025) + 0.55 * derelict[n]
    some = np.flatnonzero(is_empty)
    lot_box = _sorted(front[n], back[n], centre - 0.5 * width, centre + 0.5 * width)
    empty_box = tuple(v[some] for v in lot_box)
    empty_use = np.where(shops[some] & (chance[some] < 0.18), Use.PARKING, Use.VACANT)
    parts.parcels.append(_rects(b, at[n[some]], empty_box, empty_use.astype(np.int16)))  # type: ignore[arg-type]
    gap = np.where(shops, 0.3, np.where(flats, 3.0, np.clip(0.28 * width - 1.0, 0.9, 2.6)))
    depth = noise.uniform(lot_key, 2, 12.5, 18.5) + np.where(flats, 9.5, np.where(shops, 5.0, 0.0))
    setback = np.where(shops, 0.3, noise.uniform(lot_key, 3, 5.0, 7.0) - np.where(flats, 2.0, 0.0))
    inner = front[n] - side * (setback + depth)
    outer = front[n] - side * setback
    built = np.flatnonzero(~is_empty)
    half = 0.5 * (width - gap)
    storeys = _row_storeys(b, at[n], lot_key, flats, shops, dense_n)
    box = _sorted(inner[built], outer[built], (centre - half)[built], (centre + half)[built])
    parts.buildings.append(_rects(b, at[n[built]], box, storeys[built]))
    parts.building_block.append(at[n[built]])
    garage = np.flatnonzero(~is_empty & ~shops & (noise.uniform(lot_key, 5) < 0.72))
    near = back[n[garage]] + side * 0.8
    wide = np.minimum(3.1, 0.45 * width[garage])
    shift = noise.uniform(lot_key[garage], 6, -0.5, 0.5) * (width[garage] - 2 * wide)
    middle = centre[garage] + shift
    box = _sorted(near, near + side * 6.4, middle - wide, middle + wide)
    parts.buildings.append(_rects(b, at[n[garage]], box, 1))
    parts.building_block.append(at[n[garage]])
    _yard_trees(b, parts, (at, n), (back, centre, width), lot_key, side, ~shops)


def _yard_trees(
    b: Blocks,
    parts: Parts,
    lots: tuple[Item, Item],
    place: tuple[Floats, Floats, Floats],
    lot_key: Keys,
    side: int,
    has_yard: NDArray[np.bool_],
) -> None:
    """Plant at most one tree a lot between house and garage."""
    (at, n), (back, centre, width) = lots, place
    green = b.attribute("green")[at][n]
    grown = np.flatnonzero(has_yard & (noise.uniform(lot_key, 7) < 0.28 + 0.85 * green))
    east = back[n[grown]] + side * noise.uniform(lot_key[grown], 8, 8.5, 14.0)
    north = centre[grown] + noise.uniform(lot_key[grown], 9, -0.4, 0.4) * width[grown]
    radius = noise.uniform(lot_key[grown], 10, 2.6, 5.2)
    _plant(b, parts, at[n[grown]], east, north, radius)


def _row_storeys(
    b: Blocks,
    block: Item,
    key: Keys,
    flats: NDArray[np.bool_],
    shops: NDArray[np.bool_],
    dense: Floats,
) -> NDArray[np.int16]:
    u = noise.uniform(key, 4)
    homes = 1 + (u < 0.15 + 1.1 * dense) + (u < 1.3 * dense - 0.42)
    apartments = 3 + (u < 0.5 * dense).astype(np.int64) + np.floor(u * u * 2.4)
    # Towers look over the lake where the lake front is dense.
    by_lake = (b.attribute("to_shore")[block] < 1150) & (dense > 0.42)
    apartments = np.where(by_lake & (u > 0.62), 8 + np.floor((u - 0.62) * 78 * dense), apartments)
    trade = 1 + (u < 0.2 + 0.9 * dense) + (u < dense - 0.2) + 2 * (u < dense - 0.55)
    storeys = np.where(flats, apartments, np.where(shops, trade, homes))
    return storeys.astype(np.int16)


def _strip(b: Blocks, parts: Parts, at: Item, side: int, use: NDArray[np.int16]) -> None:
    """Fill the southern (-1) or northern (1) end of blocks with shops on the main street."""
    west, east = b.west[at], b.east[at]
    front = b.south[at] if side < 0 else b.north[at]
    dense = b.attribute("dense")[at]
    box = _sorted_v(west, east, front, front - side * _STRIP_M)
    parts.ground.append(_rects(b, at, box, Cover.PAVED))
    parts.parcels.append(_rects(b, at, box, use))
    shops = np.rint(3 + 6 * noise.uniform(b.key[at], 50 + side)).astype(np.int64)
    n = np.repeat(np.arange(len(at)), shops)
    k = np.arange(len(n)) - np.repeat(np.cumsum(shops) - shops, shops)
    key = noise.key(noise.key(b.key[at], 60 + side)[n], k)
    width = ((east - west) / shops)[n]
    start = west[n] + k * width
    is_parking = noise.uniform(key, 1) < 0.22 - 0.15 * dense[n]
    gone = np.flatnonzero(is_parking)
    box = _sorted_v(
        start[gone], (start + width)[gone], front[n[gone]], front[n[gone]] - side * _STRIP_M
    )
    parts.parcels.append(_rects(b, at[n[gone]], box, Use.PARKING))
    built = np.flatnonzero(~is_parking)
    depth = noise.uniform(key[built], 2, 15.0, 29.0)
    edge = front[n[built]] - side * 0.3
    box = _sorted_v(start[built] + 0.15, (start + width)[built] - 0.15, edge, edge - side * depth)
    u, d = noise.uniform(key[built], 3), dense[n[built]]
    storeys = 1 + (u < 0.2 + 0.9 * d) + (u < d - 0.2) + 2 * (u < d - 0.55)
    parts.buildings.append(_rects(b, at[n[built]], box, storeys.astype(np.int16)))
    parts.building_block.append(at[n[built]])


def _sorted(one: Floats, other: Floats, south: Floats, north: Floats) -> tuple[Floats, ...]:
    return np.minimum(one, other), np.maximum(one, other), south, north


def _sorted_v(west: Floats, east: Floats, one: Floats, other: Floats) -> tuple[Floats, ...]:
    return west, east, np.minimum(one, other), np.maximum(one, other)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How large buildings share a block: a grid of sites, how many are built, how full."""

    across: int
    along: int
    built: float
    fill: tuple[float, float]
    storeys: tuple[int, int]


_LAYOUTS = (
    (Form.CENTRE, 0, _Layout(2, 4, 0.9, (0.74, 0.97), (4, 12))),
    (Form.CENTRE, 1, _Layout(1, 2, 0.95, (0.6, 0.95), (8, 16))),
    (Form.CENTRE, 2, _Layout(2, 2, 0.92, (0.66, 0.97), (5, 14))),
    (Form.CENTRE, 3, _Layout(3, 6, 0.88, (0.82, 0.99), (3, 8))),
    (Form.MALL, 0, _Layout(1, 3, 0.62, (0.45, 0.8), (1, 2))),
    (Form.INDUSTRY, 0, _Layout(2, 3, 0.66, (0.5, 0.96), (1, 2))),
    (Form.SCHOOL, 0, _Layout(1, 3, 0.5, (0.5, 0.8), (2, 4))),
    (Form.CAMPUS, 0, _Layout(2, 4, 0.62, (0.38, 0.78), (2, 8))),
    (Form.AIRPORT, 0, _Layout(2, 4, 0.003, (0.5, 0.9), (1, 2))),
    (Form.TERMINAL, 0, _Layout(1, 2, 0.7, (0.5, 0.95), (2, 4))),
    (Form.PARK, 0, _Layout(3, 6, 0.006, (0.3, 0.6), (1, 1))),
    (Form.CEMETERY, 0, _Layout(3, 6, 0.004, (0.3, 0.5), (1, 1))),
)
_CENTRE_LAYOUTS = 4


def large_buildings(b: Blocks, parts: Parts) -> None:
    """Fill blocks that are not rows of lots: a few large buildings, yards, parking, paths."""
    for form, number, layout in _LAYOUTS:
        at = np.flatnonzero(b.form == form)
        if form is Form.CENTRE:
            at = at[np.floor(noise.uniform(b.key[at], 69) * _CENTRE_LAYOUTS) == number]
        sites = layout.across * layout.along
        n = np.repeat(at, sites)
        k = np.tile(np.arange(sites), len(at))
        key = noise.key(noise.key(b.key[n], 70), k)
        wide = (b.east[n] - b.west[n]) / layout.across
        deep = (b.north[n] - b.south[n]) / layout.along
        middle_e = b.west[n] + (k % layout.across + 0.5) * wide
        middle_n = b.south[n] + (k // layout.across + 0.5) * deep
        half_e = 0.5 * wide * noise.uniform(key, 1, *layout.fill)
        half_n = 0.5 * deep * noise.uniform(key, 2, *layout.fill)
        built = noise.uniform(key, 3) < layout.built
        middle_e += noise.uniform(key, 4, -1, 1) * (0.5 * wide - half_e)
        middle_n += noise.uniform(key, 5, -1, 1) * (0.5 * deep - half_n)
        low, high = layout.storeys
        storeys = low + np.floor(noise.uniform(key, 6) * (high - low + 1))
        if form is Form.CENTRE:
            storeys = _tower_storeys(storeys, noise.uniform(key, 7), b.attribute("to_loop")[n])
        box = (middle_e - half_e, middle_e + half_e, middle_n - half_n, middle_n + half_n)
        kept = np.flatnonzero(built)
        buildings = _rects(b, n, box, storeys.astype(np.int16)).take(kept)
        parts.buildings.append(buildings)
        parts.building_block.append(n[kept])
        if form in (Form.SCHOOL, Form.CAMPUS):
            yard = np.flatnonzero(~built & (noise.uniform(key, 8) < 0.45))
            parts.ground.append(_rects(b, n, box, Cover.PAVED).take(yard))
        if form is Form.INDUSTRY:
            strip = np.flatnonzero(~built & (noise.uniform(key, 8) < 0.4))
            parts.ground.append(_rects(b, n, box, Cover.GRASS).take(strip))
    _paths(b, parts)


def _tower_storeys(low: Floats, u: Floats, to_loop: Floats) -> Floats:
    """Return storeys that rise towards the Loop; a few towers in a hundred stand out."""
    near = 1 / (1 + (to_loop / 750.0) ** 2)
    return np.minimum(low * (0.6 + 0.9 * near) + np.floor(near * (u**2.2) * 62), 108)


def _paths(b: Blocks, parts: Parts) -> None:
    """Lay paths through parks and cemeteries, tracks and sheds' yards through rail yards."""
    for form, share, half, code in (
        (Form.PARK, 0.30, 2.6, Cover.PAVED),
        (Form.CEMETERY, 0.9, 2.6, Cover.PAVED),
        (Form.OPEN, 0.10, 2.6, Cover.BARE),
    ):
        at = np.flatnonzero(b.form == form)
        for salt, is_across in ((81, False), (82, True)):
            some = at[noise.uniform(b.key[at], salt) < share]
            # The same place in all blocks of a column or a row, so that paths go on.
            number = b.j[some] if is_across else b.i[some]
            where = noise.uniform(noise.key(noise.root(salt), number), 0, 0.2, 0.8)
            if is_across:
                mid = where * BLOCK_N_M
                box = (b.west[some], b.east[some], mid - half, mid + half)
            else:
                mid = where * BLOCK_E_M
                box = (mid - half, mid + half, b.south[some], b.north[some])
            parts.ground.append(_rects(b, some, box, code))
    at = np.flatnonzero(b.form == Form.YARD)
    for track in range(5):
        mid = (track + 0.5) * BLOCK_E_M / 5
        box = (np.full(len(at), mid - 6.0), np.full(len(at), mid + 6.0), b.south[at], b.north[at])
        parts.ground.append(_rects(b, at, box, Cover.ROAD))


# Share of planting places that hold a tree, its radius in metres, how much trees stand in groups.
_WOODS = {
    Form.WOOD: (0.95, 7.4, 0.25), Form.PARK: (0.50, 6.2, 1.1), Form.CEMETERY: (0.42, 5.8, 0.6),
    Form.CAMPUS: (0.26, 4.6, 0.5), Form.OPEN: (0.28, 5.2, 1.5), Form.SCHOOL: (0.10, 4.4, 0.5),
    Form.VACANT: (0.17, 4.2, 1.2), Form.INDUSTRY: (0.05, 4.0, 1.5), Form.MALL: (0.06, 3.0, 0.0),
    Form.PARKING: (0.05, 3.0, 0.0), Form.AIRPORT: (0.006, 4.0, 3.0), Form.YARD: (0.02, 3.5, 2.0),
}  # fmt: skip
_PLANT_E, _PLANT_N = 8, 16
_GROUP_M = 95.0


def trees(b: Blocks, parts: Parts) -> None:
    """Plant the streets, and parks and the like in a loose grid with clearings."""
    for form, (share, radius_m, grouped) in _WOODS.items():
        at = np.flatnonzero(b.form == form)
        places = _PLANT_E * _PLANT_N
        n, k = np.repeat(at, places), np.tile(np.arange(places), len(at))
        key = noise.key(noise.key(b.key[n], 90), k)
        east = (k % _PLANT_E + noise.uniform(key, 1)) * (BLOCK_E_M / _PLANT_E)
        north = (k // _PLANT_E + noise.uniform(key, 2)) * (BLOCK_N_M / _PLANT_N)
        x, y = from_lattice(b.i[n] * BLOCK_E_M + east, b.j[n] * BLOCK_N_M + north)
        group = noise.smooth(noise.root(0, 91), x, y, _GROUP_M) - 0.5
        grown = noise.uniform(key, 3) < share * (1 + 3.2 * grouped * group)
        inside = (east > b.west[n]) & (east < b.east[n])
        inside &= (north > b.south[n]) & (north < b.north[n])
        kept = np.flatnonzero(grown & inside)
        radius = radius_m * noise.uniform(key[kept], 4, 0.6, 1.3)
        _plant(b, parts, n[kept], east[kept], north[kept], radius)
    _street_trees(b, parts)


_STREET_TREE_M = 10.0
_AVENUES = {Form.CENTRE: 0.16, Form.MALL: 0.15, Form.INDUSTRY: 0.08, Form.PARKING: 0.15,
            Form.AIRPORT: 0.0, Form.TERMINAL: 0.0, Form.YARD: 0.0, Form.LAKE: 0.0}  # fmt: skip
_AVENUE_OF = np.array([_AVENUES.get(form, 1.0) for form in Form])


def _street_trees(b: Blocks, parts: Parts) -> None:
    share = _AVENUE_OF[b.form] * (0.30 + 0.72 * b.attribute("green"))
    for side, road in enumerate((b.road_west, b.road_east, b.road_south, b.road_north)):
        at = np.flatnonzero((road > 0) & (share > 0))
        along = BLOCK_N_M if side < 2 else BLOCK_E_M
        places = int(along // _STREET_TREE_M)
        n, k = np.repeat(at, places), np.tile(np.arange(places), len(at))
        key = noise.key(noise.key(b.key[n], 100 + side), k)
        kept = np.flatnonzero(noise.uniform(key, 1) < share[n])
        n, k, key = n[kept], k[kept], key[kept]
        step = (k + noise.uniform(key, 2, 0.2, 0.8)) * (along / places)
        off = road[n] + noise.uniform(key, 3, 1.2, 3.2)
        east = (off, BLOCK_E_M - off, step, step)[side]
        north = (step, step, off, BLOCK_N_M - off)[side]
        _plant(b, parts, n, east, north, noise.uniform(key, 4, 2.6, 5.8))


def _plant(
    b: Blocks, parts: Parts, at: Item, east: Floats, north: Floats, radius: Floats
) -> None:
    x, y = from_lattice(b.i[at] * BLOCK_E_M + east, b.j[at] * BLOCK_N_M + north)
    parts.crowns.append(Discs(x, y, radius, b.form[at].astype(np.int16)))
    parts.crown_block.append(at)
