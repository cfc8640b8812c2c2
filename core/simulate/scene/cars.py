"""Cars on streets and in car parks, lorries at sheds, waggons on tracks."""

import numpy as np

from core.simulate import noise
from core.simulate.blocks import Blocks, Item, rects
from core.simulate.city import Objects
from core.simulate.legend import Build, Use
from core.simulate.noise import Floats, Keys
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, COS, SIN, Form, from_lattice
from core.simulate.scene.decals import Decals, decals
from core.simulate.scene.kernels import CAR, THING
from core.simulate.scene.keys import place_keys
from core.simulate.scene.materials import Stuff, any_of
from core.simulate.scene.streets import FAST_LANE_M, MEDIAN_M, beds, fast_lanes, track_offsets
from core.simulate.shapes import Rects, codes_of, each, shifted
from core.simulate.sketch import Way

_PAINT = np.array([
    (0.93, 0.93, 0.92, 0.85), (0.93, 0.93, 0.92, 0.85), (0.72, 0.73, 0.74, 0.66),
    (0.72, 0.73, 0.74, 0.66), (0.45, 0.46, 0.48, 0.42), (0.45, 0.46, 0.48, 0.42),
    (0.14, 0.14, 0.15, 0.14), (0.14, 0.14, 0.15, 0.14), (0.19, 0.20, 0.23, 0.20),
    (0.58, 0.16, 0.15, 0.55), (0.50, 0.12, 0.13, 0.50), (0.20, 0.30, 0.50, 0.30),
    (0.28, 0.40, 0.56, 0.38), (0.55, 0.50, 0.42, 0.55), (0.27, 0.34, 0.29, 0.33),
])  # fmt: skip
_FREIGHT = np.array([
    (0.42, 0.27, 0.21, 0.42), (0.50, 0.33, 0.25, 0.48), (0.22, 0.22, 0.23, 0.22),
    (0.55, 0.55, 0.54, 0.52), (0.30, 0.37, 0.45, 0.35), (0.66, 0.62, 0.54, 0.62),
    (0.35, 0.42, 0.34, 0.42), (0.68, 0.50, 0.26, 0.62),
])  # fmt: skip
_BOXES = np.array([
    (0.90, 0.90, 0.89, 0.84), (0.84, 0.84, 0.84, 0.78), (0.92, 0.92, 0.91, 0.86),
    (0.60, 0.30, 0.22, 0.55), (0.28, 0.40, 0.55, 0.38), (0.70, 0.70, 0.70, 0.64),
])  # fmt: skip
_CAR_TOP_M, _BOX_TOP_M, _WAGGON_TOP_M = 1.5, 3.8, 3.9
_ROAD = any_of(Stuff.ASPHALT)


def vehicles(b: Blocks, things: Objects) -> Decals:
    """Return everything on wheels, and the lines of the stalls."""
    parts = _kerbside(b) + _driving(b) + _stalls(_car_parks(b, things), things.chosen.plan.seed)
    parts += _expressway(things.ways, b.plan.seed) + _waggons(things, b.plan.seed)
    parts += _lorries(things, b.plan.seed)
    return Decals.join(parts)


def _cars(body: Rects, key: Keys, on: int) -> Decals:
    """Return cars of some colour and size; `u` runs along them."""
    long, wide = noise.uniform(key, 91, 2.0, 2.55), noise.uniform(key, 92, 0.88, 1.02)
    colour = _PAINT[np.floor(noise.uniform(key, 93) * len(_PAINT)).astype(np.int64)]
    return decals(shifted(body, 0.0, 0.0, long, wide), colour, on, top=_CAR_TOP_M, sort=CAR)


_PARKED_EVERY_M = 6.3
_PARKED = {
    Form.HOUSES: 0.42, Form.FLATS: 0.66, Form.CENTRE: 0.5, Form.MALL: 0.2, Form.INDUSTRY: 0.3,
    Form.SCHOOL: 0.45, Form.CAMPUS: 0.5, Form.PARK: 0.3, Form.CEMETERY: 0.08, Form.VACANT: 0.15,
    Form.PARKING: 0.4,
}  # fmt: skip
_PARKED_OF = np.array([_PARKED.get(form, 0.0) for form in Form])


def _kerbside(b: Blocks) -> list[Decals]:
    """Return cars parked along the four sides of blocks."""
    share = _PARKED_OF[b.form] * (0.7 + 0.7 * b.attribute("dense")) - 0.3 * b.attribute("derelict")
    parts = []
    for side, road in enumerate((b.road_west, b.road_east, b.road_south, b.road_north)):
        at = np.flatnonzero((road > 0) & (share > 0))
        along = BLOCK_N_M if side < 2 else BLOCK_E_M
        ends = (b.road_south, b.road_north) if side < 2 else (b.road_west, b.road_east)
        places = int(along // _PARKED_EVERY_M)
        n, k = np.repeat(at, places), np.tile(np.arange(places), len(at))
        key = noise.key(noise.key(b.key[n], 300 + side), k)
        step = (k + noise.uniform(key, 2, 0.42, 0.58)) * (along / places)
        kept = noise.uniform(key, 1) < share[n]
        kept &= (step > ends[0][n] + 11.0) & (step < along - ends[1][n] - 11.0)
        n, step, key = n[kept], step[kept], key[kept]
        off = road[n] - 1.25 + noise.uniform(key, 3, -0.12, 0.12)
        parts.append(_cars(_beside(b, n, side, step, off), key, _ROAD))
    return parts


def _driving(b: Blocks) -> list[Decals]:
    """Return cars in the lanes of the main streets and some in the others."""
    parts = []
    for side, road in enumerate((b.road_west, b.road_east, b.road_south, b.road_north)):
        along = BLOCK_N_M if side < 2 else BLOCK_E_M
        for lane, off_m in enumerate((1.7, 5.1)):
            at = np.flatnonzero(road > (3.0 if lane == 0 else 9.0))
            places = int(along // 14.0)
            n, k = np.repeat(at, places), np.tile(np.arange(places), len(at))
            key = noise.key(noise.key(b.key[n], 310 + 2 * side + lane), k)
            busy = np.where(road[n] > 9.0, 0.26, np.where(road[n] > 7.0, 0.2, 0.03))
            kept = noise.uniform(key, 1) < busy
            n, k, key = n[kept], k[kept], key[kept]
            step = (k + noise.uniform(key, 2, 0.25, 0.75)) * (along / places)
            off = np.full(len(n), off_m)
            parts.append(_cars(_beside(b, n, side, step, off), key, _ROAD))
    return parts


def _beside(b: Blocks, n: Item, side: int, step: Floats, off: Floats) -> Rects:
    """Return points `step` metres along and `off` metres inside a side of blocks.

    Sides are west, east, south, north; the points are rectangles without a size, `u` along it.
    """
    east = (off, BLOCK_E_M - off, step, step)[side]
    north = (step, step, off, BLOCK_N_M - off)[side]
    x, y = from_lattice(b.i[n] * BLOCK_E_M + east, b.j[n] * BLOCK_N_M + north)
    none = np.zeros(len(n))
    ux, uy = (SIN, COS) if side < 2 else (COS, -SIN)
    return Rects(x, y, none, none, none + ux, none + uy, codes_of(len(n), 0))


_STALL_M, _STALL_LONG_M, _ROW_M = 2.75, 5.4, 17.6
_FULL = {
    Form.PARKING: (Stuff.LOT, 0.62), Form.MALL: (Stuff.LOT, 0.45),
    Form.INDUSTRY: (Stuff.WORKS_YARD, 0.16),
    Form.CENTRE: (Stuff.PLAZA, 0.66),
}  # fmt: skip


def _car_parks(b: Blocks, things: Objects) -> list[tuple[Rects, Floats, int]]:
    """Return paved boxes with the share of their stalls that are taken and their material."""
    found = []
    for form, (stuff, full) in _FULL.items():
        at = np.flatnonzero(b.form == form)
        box = rects(b, at, (b.west[at] + 2, b.east[at] - 2, b.south[at] + 2, b.north[at] - 2), 0)
        some = place_keys(b.plan.seed, 320, box.x, box.y)
        found.append((box, full * noise.uniform(some, 1, 0.3, 1.5), any_of(stuff)))
    lots = things.parcels.take(np.isin(things.parcels.code, (Use.PARKING, Use.SHOPS, Use.MIXED)))
    small = lots.take((lots.half_u < 49.0) & (lots.half_v < 90.0))
    some = place_keys(b.plan.seed, 321, small.x, small.y)
    found.append((small, noise.uniform(some, 1, 0.25, 0.85), any_of(Stuff.LOT)))
    return found


def _stalls(fields: list[tuple[Rects, Floats, int]], seed: int) -> list[Decals]:
    """Fill boxes with double rows of stalls, lines between them and cars in some."""
    parts = []
    for body, full, on in fields:
        rows = np.maximum(np.floor(2 * body.half_u / _ROW_M + 0.5), 1).astype(np.int64) * 2
        places = np.floor((2 * body.half_v - 1.0) / _STALL_M).astype(np.int64)
        count = rows * np.maximum(places, 0)
        n, k = each(count)
        row, place = k // places[n], k % places[n]
        pair, second = row // 2, row % 2
        depth = 2 * body.half_u[n] / (rows[n] // 2)
        half = 0.5 * _STALL_LONG_M
        # Two rows back to back in the middle of each strip, aisles at its edges.
        along = (pair + 0.5) * depth - body.half_u[n] + (2 * second - 1) * (half + 0.1)
        across = (place - 0.5 * (places[n] - 1)) * _STALL_M
        box = body.take(n)
        stall = shifted(box, along, across, half, 1.2)
        lines = shifted(box, along, across + 0.5 * _STALL_M, half, 0.09)
        parts.append(decals(lines, (0.90, 0.90, 0.88, 0.85), on, alpha=0.9, sort=THING))
        key = noise.key(place_keys(seed, 330, body.x, body.y)[n], k)
        # Full near one end, emptier towards the other.
        near = 1.35 - 0.7 * np.abs(across / np.maximum(body.half_v[n], 1.0))
        taken = np.flatnonzero(noise.uniform(key, 1) < full[n] * near)
        parts.append(_cars(stall.take(taken), key[taken], on))
    return parts


def _expressway(ways: Rects, seed: int) -> list[Decals]:
    """Return traffic on expressways, a tenth of it lorries."""
    s = ways.take(ways.code == Way.EXPRESSWAY)
    on = any_of(Stuff.CONCRETE_ROAD)
    parts = []
    lanes = fast_lanes(s.half_v)
    for side in (-1, 1):
        for lane in range(int(lanes.max(initial=0))):
            some = s.take(lanes > lane)
            count = np.floor(2 * some.half_u / 26.0).astype(np.int64)
            n, k = each(count)
            key = noise.key(place_keys(seed, 340 + 10 * side + lane, some.x, some.y)[n], k)
            along = (k + noise.uniform(key, 2, 0.2, 0.8)) * 26.0 - some.half_u[n]
            kept = np.flatnonzero(noise.uniform(key, 1) < 0.55)
            n, key, along = n[kept], key[kept], along[kept]
            off = side * (MEDIAN_M + FAST_LANE_M * (lane + 0.5))
            body = shifted(some.take(n), along, off, 0.0, 0.0)
            heavy = noise.uniform(key, 3) < 0.04 + 0.05 * lane
            parts.append(_cars(body.take(~heavy), key[~heavy], on))
            parts.append(_boxes(body.take(heavy), key[heavy], on))
    return parts


def _boxes(body: Rects, key: Keys, on: int) -> Decals:
    """Return lorries' trailers."""
    shape = shifted(body, 0.0, 0.0, noise.uniform(key, 91, 5.5, 8.0), 1.3)
    colour = _BOXES[np.floor(noise.uniform(key, 93) * len(_BOXES)).astype(np.int64)]
    return decals(shape, colour, on, top=_BOX_TOP_M, sort=THING)


_DOCK_M = 4.2


def _lorries(things: Objects, seed: int) -> list[Decals]:
    """Return trailers at the docks along the long sides of sheds."""
    sheds = things.buildings.take(np.isin(things.building_kind, (Build.SHED, Build.MALL)))
    on = any_of(Stuff.WORKS_YARD, Stuff.LOT)
    parts = []
    for side in (-1, 1):
        key = place_keys(seed, 360 + side, sheds.x, sheds.y)
        has_docks = noise.uniform(key, 1) < 0.5
        docks = np.where(has_docks, np.floor((2 * sheds.half_v - 4.0) / _DOCK_M), 0)
        docks = np.maximum(docks, 0).astype(np.int64)
        n, k = each(docks)
        one = noise.key(key[n], k)
        kept = np.flatnonzero(noise.uniform(one, 2) < 0.42)
        n, k, one = n[kept], k[kept], one[kept]
        across = (k - 0.5 * (docks[n] - 1)) * _DOCK_M
        body = shifted(sheds.take(n), side * (sheds.half_u[n] + 8.6), across, 0.0, 0.0)
        parts.append(_boxes(body, one, on))
    return parts


_WAGGON_M = 15.6


def _waggons(things: Objects, seed: int) -> list[Decals]:
    """Return strings of waggons on some tracks, more of them in yards."""
    bed = beds(things)
    is_yard = bed.code != Way.RAIL
    on = any_of(Stuff.BALLAST)
    parts = []
    for track, offset in enumerate(track_offsets(bed.half_v)):
        some = np.flatnonzero(~np.isnan(offset))
        s, off = bed.take(some), offset[some]
        key = place_keys(seed, 380 + track, s.x, s.y)
        busy = noise.uniform(key, 1) < np.where(is_yard[some], 0.75, 0.10)
        count = np.where(busy, np.floor(2 * s.half_u / _WAGGON_M), 0).astype(np.int64)
        n, k = each(count)
        # A string of one kind, with gaps between the strings.
        string = noise.key(key[n], k // 5)
        kept = np.flatnonzero(noise.uniform(string, 2) < 0.7)
        n, k, string = n[kept], k[kept], string[kept]
        one = noise.key(string, k)
        along = (k + 0.5) * _WAGGON_M - s.half_u[n]
        same = noise.uniform(string, 3) < 0.6
        pick = np.where(same, noise.uniform(string, 4), noise.uniform(one, 4))
        colour = _FREIGHT[np.floor(pick * len(_FREIGHT)).astype(np.int64)]
        colour = colour * noise.uniform(one, 5, 0.85, 1.12)[:, None]
        shape = shifted(s.take(n), along, off[n], 0.5 * _WAGGON_M - 0.6, 1.5)
        parts.append(decals(shape, colour, on, top=_WAGGON_TOP_M, sort=THING))
    return parts
