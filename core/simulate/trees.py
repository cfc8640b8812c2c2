"""Trees along streets, in parks and woods, and what else grows in a loose grid."""

import numpy as np

from core.simulate import noise
from core.simulate.blocks import Blocks, Item, Parts
from core.simulate.noise import Floats
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, Form, from_lattice
from core.simulate.shapes import Discs

# Share of planting places that hold a tree, its radius in metres, how much trees stand in groups.
_WOODS = {
    Form.WOOD: (0.95, 7.4, 0.25), Form.PARK: (0.50, 6.2, 1.1), Form.CEMETERY: (0.42, 5.8, 0.6),
    Form.CAMPUS: (0.26, 4.6, 0.5), Form.OPEN: (0.28, 5.2, 1.5), Form.SCHOOL: (0.10, 4.4, 0.5),
    Form.VACANT: (0.17, 4.2, 1.2), Form.INDUSTRY: (0.05, 4.0, 1.5), Form.MALL: (0.06, 3.0, 0.0),
    Form.PARKING: (0.05, 3.0, 0.0), Form.AIRPORT: (0.006, 4.0, 3.0), Form.YARD: (0.02, 3.5, 2.0),
}  # fmt: skip
_PLANT_E, _PLANT_N = 8, 16
_GROUP_M = 95.0


def plant_all(b: Blocks, parts: Parts) -> None:
    """Plant the streets, and parks and the like in a loose grid with clearings."""
    for form, (share, radius_m, grouped) in _WOODS.items():
        at = np.flatnonzero(b.form == form)
        places = _PLANT_E * _PLANT_N
        n, k = np.repeat(at, places), np.tile(np.arange(places), len(at))
        key = noise.key(noise.key(b.key[n], 90), k)
        east = (k % _PLANT_E + noise.uniform(key, 1)) * (BLOCK_E_M / _PLANT_E)
        north = (k // _PLANT_E + noise.uniform(key, 2)) * (BLOCK_N_M / _PLANT_N)
        x, y = from_lattice(b.i[n] * BLOCK_E_M + east, b.j[n] * BLOCK_N_M + north)
        group = noise.smooth(noise.root(b.plan.seed, 91), x, y, _GROUP_M) - 0.5
        grown = noise.uniform(key, 3) < share * (1 + 3.2 * grouped * group)
        inside = (east > b.west[n]) & (east < b.east[n])
        inside &= (north > b.south[n]) & (north < b.north[n])
        kept = np.flatnonzero(grown & inside)
        radius = radius_m * noise.uniform(key[kept], 4, 0.6, 1.3)
        plant(b, parts, n[kept], east[kept], north[kept], radius)
    _street_trees(b, parts)


_STREET_TREE_M = 10.0
_AVENUES = {Form.CENTRE: 0.16, Form.MALL: 0.15, Form.INDUSTRY: 0.08, Form.PARKING: 0.15,
            Form.AIRPORT: 0.0, Form.TERMINAL: 0.0, Form.YARD: 0.0, Form.LAKE: 0.0}  # fmt: skip
_AVENUE_OF = np.array([_AVENUES.get(form, 1.0) for form in Form])


def _street_trees(b: Blocks, parts: Parts) -> None:
    share = _AVENUE_OF[b.form] * (0.14 + 1.05 * b.attribute("green"))
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
        plant(b, parts, n, east, north, noise.uniform(key, 4, 2.6, 5.8))


def plant(b: Blocks, parts: Parts, at: Item, east: Floats, north: Floats, radius: Floats) -> None:
    """Add crowns at metres east and north of the corners of blocks `at`."""
    x, y = from_lattice(b.i[at] * BLOCK_E_M + east, b.j[at] * BLOCK_N_M + north)
    parts.crowns.append(Discs(x, y, radius, b.form[at].astype(np.int16)))
    parts.crown_block.append(at)
