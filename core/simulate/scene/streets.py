"""What is painted and laid on streets, railways and runways."""

import numpy as np
from numpy.typing import NDArray

from core.simulate import noise
from core.simulate.blocks import Blocks, Item, rects, street_widths
from core.simulate.city import Objects
from core.simulate.noise import Floats
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, MILE_E, MILE_N
from core.simulate.scene.decals import Decals, decals
from core.simulate.scene.materials import Stuff, any_of
from core.simulate.shapes import OneOrEach, Rects, each, shifted
from core.simulate.sketch import Way

_WHITE, _YELLOW = (0.92, 0.92, 0.90, 0.88), (0.80, 0.66, 0.30, 0.78)
_KERB, _PATCH = (0.72, 0.71, 0.67, 0.67), (0.36, 0.36, 0.37, 0.33)
_STREET = any_of(Stuff.ASPHALT)
_HALF_STREET_M, _HALF_MILE_M = 7.0, 10.0  # half carriageways above these have these markings
_PARKED_M, _LANE_M, _DASH_M, _DASH_EVERY_M = 2.4, 3.4, 3.0, 12.0


def markings(b: Blocks, things: Objects) -> Decals:
    """Return kerbs, lines, crossings and patches of streets, and what lies along ways."""
    parts = [*_kerbs(b)]
    for is_across in (False, True):
        parts += _street_lines(b, is_across)
    parts += _diagonals(things.ways) + _expressways(things.ways) + _tracks(things)
    parts += _runways(things.ways)
    return Decals.join(parts)


def _kerbs(b: Blocks) -> list[Decals]:
    """Return thin concrete edges of all carriageways."""
    west, east = b.road_west, BLOCK_E_M - b.road_east
    south, north = b.road_south, BLOCK_N_M - b.road_north
    wide = 0.22
    parts = []
    for road, box in (
        (b.road_west, (west - wide, west + wide, south, north)),
        (b.road_east, (east - wide, east + wide, south, north)),
        (b.road_south, (west, east, south - wide, south + wide)),
        (b.road_north, (west, east, north - wide, north + wide)),
    ):
        at = np.flatnonzero(road > 0)
        w, e, s, n = (v[at] for v in box)
        parts.append(decals(rects(b, at, (w, e, s, n), 0), _KERB, _STREET, alpha=0.8))
    return parts


def _street_lines(b: Blocks, is_across: bool) -> list[Decals]:
    """Return the markings of the streets west (or, `is_across`, south) of blocks."""
    road = b.road_south if is_across else b.road_west
    at = np.flatnonzero(road > 0)
    half = road[at]
    number, mile = (b.i[at], MILE_E) if is_across else (b.j[at], MILE_N)
    long_m = BLOCK_E_M if is_across else BLOCK_N_M
    # Between the carriageways of the cross streets at both ends.
    first: Floats = street_widths(number, mile)[1]
    last: Floats = long_m - street_widths(number + 1, mile)[1]

    def box(which: Item, from_m: OneOrEach, to_m: OneOrEach, off: Floats, wide: OneOrEach) -> Rects:
        low, high = off - wide, off + wide
        sides = (from_m, to_m, low, high) if is_across else (low, high, from_m, to_m)
        return rects(b, at[which], sides, 0)

    parts = []
    main, wide = np.flatnonzero(half > _HALF_STREET_M), np.flatnonzero(half > _HALF_MILE_M)
    zero = np.zeros(len(main))
    start, stop = first[main] + 6.0, last[main] - 6.0
    parts.append(decals(box(main, start, stop, zero, 0.27), _YELLOW, _STREET, alpha=0.85))
    for side in (-1, 1):
        edge = side * (half[main] - _PARKED_M)
        parts.append(decals(box(main, start, stop, edge, 0.09), _WHITE, _STREET, alpha=0.8))
        bar = stop if side * (1 if is_across else -1) < 0 else start
        middle = side * 0.5 * (half[main] - _PARKED_M)
        bars = box(main, bar - 0.3, bar + 0.3, middle, np.abs(middle))
        parts.append(decals(bars, _WHITE, _STREET, alpha=0.8))
        dashes = int(long_m // _DASH_EVERY_M) + 1
        n, k = np.repeat(wide, dashes), np.tile(np.arange(dashes), len(wide))
        dash = (k * _DASH_EVERY_M).astype(np.float64)
        fits = (dash > first[n] + 8.0) & (dash + _DASH_M < last[n] - 8.0)
        n, dash = n[fits], dash[fits]
        off = np.full(len(n), side * _LANE_M)
        parts.append(decals(box(n, dash, dash + _DASH_M, off, 0.12), _WHITE, _STREET, alpha=0.9))
    parts += _crossings(b, at, half, (first, last), is_across, (number, mile))
    parts += _street_patches(b, at, half, long_m, is_across)
    return parts


_BAR_EVERY_M, _BAR_M, _BAR_LONG_M = 1.6, 0.7, 2.8


def _crossings(
    b: Blocks,
    at: Item,
    half: Floats,
    ends: tuple[Floats, Floats],
    is_across: bool,
    cross: tuple[Item, int],
) -> list[Decals]:
    """Return striped crossings over streets at both ends, where this or the other is a main one."""
    number, mile = cross
    parts = []
    for end, edge in enumerate(ends):
        is_main = ((number + end) % (mile // 2) == 0) | (half > _HALF_STREET_M)
        some = np.flatnonzero(is_main)
        bars = np.floor((2 * half[some] - 0.8) / _BAR_EVERY_M).astype(np.int64)
        row, k = each(bars)
        n, off = some[row], (k - 0.5 * (bars[row] - 1)) * _BAR_EVERY_M
        middle = edge[n] + (1 - 2 * end) * 2.6
        along = (middle - 0.5 * _BAR_LONG_M, middle + 0.5 * _BAR_LONG_M)
        over = (off - 0.5 * _BAR_M, off + 0.5 * _BAR_M)
        box = (*along, *over) if is_across else (*over, *along)
        parts.append(decals(rects(b, at[n], box, 0), _WHITE, _STREET, alpha=0.8))
    return parts


def _street_patches(
    b: Blocks, at: Item, half: Floats, long_m: float, is_across: bool
) -> list[Decals]:
    """Return darker and lighter repairs of the carriageway, and whole stretches newly laid."""
    salt = 200 + is_across
    n, k = np.repeat(np.arange(len(at)), 5), np.tile(np.arange(5), len(at))
    key = noise.key(noise.key(b.key[at], salt)[n], k)
    wide = noise.uniform(key, 1, 0.8, 2.2)
    deep = noise.uniform(key, 2, 1.5, 9.0)
    off = noise.uniform(key, 3, -0.75, 0.75) * half[n]
    along = noise.uniform(key, 4, 0.08, 0.92) * long_m
    # The first one of some is the whole stretch.
    whole = (k == 0) & (noise.uniform(key, 5) < 0.4)
    wide, off = np.where(whole, half[n], wide), np.where(whole, 0.0, off)
    deep, along = np.where(whole, 0.5 * long_m, deep), np.where(whole, 0.5 * long_m, along)
    box = (off - wide, off + wide, along - deep, along + deep)
    box = (*box[2:], *box[:2]) if is_across else box
    dark = noise.uniform(key, 6) < 0.65
    colour = np.where(dark[:, None], _PATCH, (0.60, 0.59, 0.57, 0.54))
    alpha = np.where(whole, 0.45, noise.uniform(key, 7, 0.2, 0.6))
    return [decals(rects(b, at[n], box, 0), colour, _STREET, alpha=alpha)]


def _lines_along(ways: Rects, off: Floats, half: float) -> Rects:
    """Return lines along the whole of straight pieces, `off` metres left of their middles."""
    return shifted(ways, 0.0, off, ways.half_u, half)


def _dashes(ways: Rects, off: Floats, half: float, long_m: float, every_m: float) -> Rects:
    """Return dashes along straight pieces, counted from their starts."""
    count = np.floor(2 * ways.half_u / every_m).astype(np.int64)
    n, k = each(count)
    along = k * every_m + 0.5 * every_m - ways.half_u[n]
    return shifted(ways.take(n), along, off[n], 0.5 * long_m, half)


def _diagonals(ways: Rects) -> list[Decals]:
    on = any_of(Stuff.ASPHALT)
    s = ways.take((ways.code == Way.STREET) | (ways.code == Way.BRIDGE))
    if not len(s):
        return []
    parts = [decals(_lines_along(s, np.zeros(len(s)), 0.27), _YELLOW, on, alpha=0.85)]
    s = ways.take(ways.code == Way.STREET)
    for side in (-1, 1):
        parts.append(decals(_lines_along(s, side * s.half_v, 0.3), _KERB, on, alpha=0.8))
        line = _lines_along(s, side * (s.half_v - _PARKED_M), 0.09)
        parts.append(decals(line, _WHITE, on, alpha=0.8))
    return parts


FAST_LANE_M, MEDIAN_M, _SHOULDER_M = 3.7, 2.2, 2.6


def fast_lanes(half: Floats) -> NDArray[np.int64]:
    """Return the number of lanes on each side of expressways of a half width in metres."""
    return np.floor((half - _SHOULDER_M - MEDIAN_M) / FAST_LANE_M).astype(np.int64)


def _expressways(ways: Rects) -> list[Decals]:
    on = any_of(Stuff.CONCRETE_ROAD)
    s = ways.take(ways.code == Way.EXPRESSWAY)
    if not len(s):
        return []
    zero, lanes = np.zeros(len(s)), fast_lanes(s.half_v)
    dark = (0.47, 0.46, 0.44, 0.43)
    parts = []
    for side in (-1, 1):
        shoulder = _lines_along(s, side * (s.half_v - 0.5 * _SHOULDER_M), 0.5 * _SHOULDER_M)
        parts.append(decals(shoulder, dark, on, alpha=0.6))
        for off, colour in ((s.half_v - _SHOULDER_M, _WHITE), (zero + MEDIAN_M, _YELLOW)):
            parts.append(decals(_lines_along(s, side * off, 0.12), colour, on, alpha=0.9))
        for lane in range(1, int(lanes.max())):
            some = s.take(lanes > lane)
            off = np.full(len(some), side * (MEDIAN_M + lane * FAST_LANE_M))
            parts.append(decals(_dashes(some, off, 0.13, 3.0, 12.0), _WHITE, on, alpha=0.9))
            stain = off - side * 0.5 * FAST_LANE_M
            parts.append(decals(_lines_along(some, stain, 0.8), dark, on, alpha=0.22))
    parts.append(decals(_lines_along(s, zero, 1.5), dark, on, alpha=0.5))
    parts.append(decals(_lines_along(s, zero, 0.4), (0.80, 0.79, 0.75, 0.75), on, top=1.0))
    return parts


_TRACK_M, _GAUGE_HALF_M = 4.6, 0.72
_SLEEPERS, _RAIL = (0.30, 0.26, 0.23, 0.31), (0.62, 0.58, 0.54, 0.56)


def track_offsets(half: Floats) -> list[Floats]:
    """Return for each possible track its distance from the middle, NaN where there is none."""
    count = np.maximum(np.floor(2 * half / _TRACK_M), 1)
    return [
        np.where(k < count, (k - 0.5 * (count - 1)) * _TRACK_M, np.nan)
        for k in range(int(count.max(initial=0)))
    ]


def beds(things: Objects) -> Rects:
    """Return the straight beds of railways and yards, `u` along the tracks."""
    rail = things.ways.take(things.ways.code == Way.RAIL)
    tracks = things.ground.take((things.ground.code == 6) & (things.ground.half_u < 7.0))
    turned = Rects(
        tracks.x, tracks.y, tracks.half_v, tracks.half_u, -tracks.uy, tracks.ux, tracks.code
    )
    return Rects.join([rail, turned])


def _tracks(things: Objects) -> list[Decals]:
    on = any_of(Stuff.BALLAST)
    bed = beds(things)
    parts = []
    for offset in track_offsets(bed.half_v):
        some = np.flatnonzero(~np.isnan(offset))
        s, off = bed.take(some), offset[some]
        parts.append(decals(_lines_along(s, off, 1.3), _SLEEPERS, on, alpha=0.55))
        for side in (-1, 1):
            rail = _lines_along(s, off + side * _GAUGE_HALF_M, 0.13)
            parts.append(decals(rail, _RAIL, on, alpha=0.9))
    return parts


def _runways(ways: Rects) -> list[Decals]:
    on = any_of(Stuff.RUNWAY)
    s = ways.take(ways.code == Way.RUNWAY)
    if not len(s):
        return []
    zero = np.zeros(len(s))
    rubber = (0.24, 0.24, 0.25, 0.23)
    parts = []
    for end in (-1, 1):
        at = end * (s.half_u - 400.0)
        streak = shifted(s, at, 0.0, 260.0, 5.0)
        parts.append(decals(streak, rubber, on, alpha=0.45))
        for bar in range(-6, 7):
            if bar:
                bars = shifted(s, end * (s.half_u - 30.0), 3.2 * bar, 15.0, 0.9)
                parts.append(decals(bars, _WHITE, on))
    parts.append(decals(_dashes(s, zero, 0.45, 36.0, 60.0), _WHITE, on))
    for side in (-1, 1):
        parts.append(decals(_lines_along(s, side * (s.half_v - 1.0), 0.45), _WHITE, on))
    return parts
