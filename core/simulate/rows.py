"""Blocks of two rows of lots with an alley between: houses, apartment houses, shops."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.simulate import noise
from core.simulate.blocks import Blocks, Box, Item, Parts, rects
from core.simulate.legend import Build, Cover, Use
from core.simulate.noise import Floats, Keys
from core.simulate.plan import MILE_E, MILE_N, ROWS_OF_LOTS, Form
from core.simulate.shapes import codes_of
from core.simulate.trees import plant

_ALLEY_HALF_M = 2.5
_STRIP_M = 34.0  # depth of the shops along an east-west main street
_MAX_LOTS = 26
_HOUSE_GAPS, _SHOP_GAPS = 0.025, 0.18  # shares of lots that are not built on
_GARAGES = 0.72


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
    parts.ground.append(rects(b, at, alley, Cover.PAVED))
    parts.parcels.append(rects(b, at, alley, Use.STREET))
    shop_use = np.where(noise.uniform(key, 35) < 0.25 + 0.5 * dense, Use.MIXED, Use.SHOPS)
    for side, shops in ((-1, shops_west), (1, shops_east)):
        _row(b, parts, at, side, (first, last), shops, shop_use.astype(np.int16))
    for side, shops in ((-1, shops_south), (1, shops_north)):
        which = np.flatnonzero(shops)
        _strip(b, parts, at[which], side, shop_use[which].astype(np.int16))


@dataclass(frozen=True, slots=True)
class _Lots:
    """Lots of one row, columns of shape (L,); `at` is the position of a lot's block."""

    side: int
    at: Item
    key: Keys
    front: Floats
    back: Floats
    centre: Floats
    width: Floats
    is_flats: NDArray[np.bool_]
    is_shops: NDArray[np.bool_]

    def take(self, which: Item) -> "_Lots":
        columns = (getattr(self, f.name)[which] for f in fields(self)[1:])
        return _Lots(self.side, *columns)


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
    front = b.west[at] if side < 0 else b.east[at]
    back = 0.5 * (b.west[at] + b.east[at]) + side * _ALLEY_HALF_M
    shop = np.flatnonzero(is_shops)
    box = _sorted(front[shop], back[shop], first[shop], last[shop])
    parts.ground.append(rects(b, at[shop], box, Cover.PAVED))
    parts.parcels.append(rects(b, at[shop], box, shop_use[shop]))
    is_flats = (b.form[at] == Form.FLATS) & ~is_shops
    dense = b.attribute("dense")[at]
    wanted = np.where(dense > 0.5, 8.4, np.where(dense > 0.26, 9.6, 12.6))
    wanted = np.where(is_flats, 19.0, np.where(is_shops, 10.5, wanted))
    count = np.clip(np.rint((last - first) / wanted), 1, _MAX_LOTS).astype(np.int64)
    n = np.repeat(np.arange(len(at)), count)
    k = np.arange(len(n)) - np.repeat(np.cumsum(count) - count, count)
    width = ((last - first) / count)[n]
    lots = _Lots(
        side, at[n], noise.key(noise.key(b.key[at], 40 + side)[n], k), front[n], back[n],
        first[n] + (k + 0.5) * width, width, is_flats[n], is_shops[n],
    )  # fmt: skip
    chance = noise.uniform(lots.key, 1)
    usual = np.where(lots.is_shops, _SHOP_GAPS, _HOUSE_GAPS)
    is_empty = chance < usual + 0.55 * b.attribute("derelict")[lots.at]
    empty = lots.take(np.flatnonzero(is_empty))
    half = 0.5 * empty.width
    box = _sorted(empty.front, empty.back, empty.centre - half, empty.centre + half)
    is_parking = empty.is_shops & (chance[is_empty] < _SHOP_GAPS)
    use = np.where(is_parking, Use.PARKING, Use.VACANT).astype(np.int16)
    parts.parcels.append(rects(b, empty.at, box, use))
    _buildings_on(b, parts, lots.take(np.flatnonzero(~is_empty)))
    _yard_trees(b, parts, lots.take(np.flatnonzero(~lots.is_shops)))


def _buildings_on(b: Blocks, parts: Parts, lots: _Lots) -> None:
    """Build a house, an apartment house or a shop on each lot, and garages along the alley."""
    side, width, flats, shops = lots.side, lots.width, lots.is_flats, lots.is_shops
    gap = np.where(shops, 0.3, np.where(flats, 3.0, np.clip(0.28 * width - 1.0, 0.9, 2.6)))
    depth = noise.uniform(lots.key, 2, 12.5, 18.5) + np.where(flats, 9.5, np.where(shops, 5.0, 0))
    yard = noise.uniform(lots.key, 3, 5.0, 7.0) - np.where(flats, 2.0, 0.0)
    outer = lots.front - side * np.where(shops, 0.3, yard)
    half = 0.5 * (width - gap)
    box = _sorted(outer - side * depth, outer, lots.centre - half, lots.centre + half)
    parts.buildings.append(rects(b, lots.at, box, _row_storeys(b, lots)))
    parts.building_block.append(lots.at)
    kind = np.where(shops, Build.SHOP, np.where(flats, Build.FLATS, Build.HOUSE))
    parts.building_kind.append(kind.astype(np.int16))
    has_garage = ~shops & (noise.uniform(lots.key, 5) < _GARAGES)
    lots = lots.take(np.flatnonzero(has_garage))
    near = lots.back + side * 0.8
    half = np.minimum(3.1, 0.45 * lots.width)
    middle = lots.centre + noise.uniform(lots.key, 6, -0.5, 0.5) * (lots.width - 2 * half)
    box = _sorted(near, near + side * 6.4, middle - half, middle + half)
    parts.buildings.append(rects(b, lots.at, box, 1))
    parts.building_block.append(lots.at)
    parts.building_kind.append(codes_of(len(lots.at), Build.GARAGE))


def _yard_trees(b: Blocks, parts: Parts, lots: _Lots) -> None:
    """Plant at most one tree a lot between house and garage."""
    share = 0.10 + 1.2 * b.attribute("green")[lots.at]
    lots = lots.take(np.flatnonzero(noise.uniform(lots.key, 7) < share))
    east = lots.back + lots.side * noise.uniform(lots.key, 8, 8.5, 14.0)
    north = lots.centre + noise.uniform(lots.key, 9, -0.4, 0.4) * lots.width
    plant(b, parts, lots.at, east, north, noise.uniform(lots.key, 10, 2.6, 5.2))


def _row_storeys(b: Blocks, lots: _Lots) -> NDArray[np.int16]:
    u = noise.uniform(lots.key, 4)
    dense = b.attribute("dense")[lots.at]
    homes = 1 + (u < 0.15 + 1.1 * dense) + (u < 1.3 * dense - 0.42)
    apartments = 3 + (u < 0.5 * dense).astype(np.int64) + np.floor(u * u * 2.4)
    # Towers look over the lake where the lake front is dense.
    by_lake = (b.attribute("to_shore")[lots.at] < 1150) & (dense > 0.42)
    apartments = np.where(by_lake & (u > 0.62), 8 + np.floor((u - 0.62) * 78 * dense), apartments)
    storeys = np.where(lots.is_shops, _shop_storeys(u, dense), homes)
    return np.where(lots.is_flats, apartments, storeys).astype(np.int16)


def _shop_storeys(u: Floats, dense: Floats) -> NDArray[np.int64]:
    """Return 1 storey where the city is thin, up to 5 where it is dense."""
    storeys: NDArray[np.int64]
    storeys = 1 + (u < 0.2 + 0.9 * dense) + (u < dense - 0.2) + 2 * (u < dense - 0.55)
    return storeys


def _strip(b: Blocks, parts: Parts, at: Item, side: int, use: NDArray[np.int16]) -> None:
    """Fill the southern (-1) or northern (1) end of blocks with shops on the main street."""
    west, east = b.west[at], b.east[at]
    front = b.south[at] if side < 0 else b.north[at]
    dense = b.attribute("dense")[at]
    box = _sorted_v(west, east, front, front - side * _STRIP_M)
    parts.ground.append(rects(b, at, box, Cover.PAVED))
    parts.parcels.append(rects(b, at, box, use))
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
    parts.parcels.append(rects(b, at[n[gone]], box, Use.PARKING))
    built = np.flatnonzero(~is_parking)
    depth = noise.uniform(key[built], 2, 15.0, 29.0)
    edge = front[n[built]] - side * 0.3
    box = _sorted_v(start[built] + 0.15, (start + width)[built] - 0.15, edge, edge - side * depth)
    storeys = _shop_storeys(noise.uniform(key[built], 3), dense[n[built]])
    parts.buildings.append(rects(b, at[n[built]], box, storeys.astype(np.int16)))
    parts.building_block.append(at[n[built]])
    parts.building_kind.append(codes_of(len(built), Build.SHOP))


def _sorted(one: Floats, other: Floats, south: Floats, north: Floats) -> Box:
    return np.minimum(one, other), np.maximum(one, other), south, north


def _sorted_v(west: Floats, east: Floats, one: Floats, other: Floats) -> Box:
    return west, east, np.minimum(one, other), np.maximum(one, other)
