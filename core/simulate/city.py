"""The simulated city: ask it for the objects of any window."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from core.errors import InputError
from core.simulate import blocks, geography, rows, sites, trees
from core.simulate.blocks import Blocks, Item, Parts
from core.simulate.geography import Segments
from core.simulate.noise import Floats
from core.simulate.plan import (
    BLOCK_E_M,
    BLOCK_N_M,
    COS,
    EAST,
    MILE_E,
    MILE_N,
    NORTH,
    SIN,
    SOUTH,
    WEST,
    Form,
    Plan,
    distance_to,
    from_lattice,
    make_plan,
    to_lattice,
)
from core.simulate.shapes import Discs, Rects, codes_of
from core.simulate.sketch import Way
from core.text import N_

VERSION = 1
"""Raised whenever the same seed draws another city."""

_BUILDING_GAP_M, _CROWN_GAP_M = 2.0, 0.5
_BRIDGE_HALF_M = 8.0
_BESIDE_COSINE = 0.75


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything that stands or lies in a window; metres in EPSG:32616.

    Attributes:
        chosen: The blocks themselves, with their streets.
        blocks: Whole blocks of the street grid; code 1 in the lake, 0 on land.
        ground: Surfaces by land cover, later ones on top of earlier ones.
        parcels: Land use, later ones on top.
        ways: Pieces of rivers, railways, expressways, bridges …; code is a `sketch.Way`.
        bends: Discs that round the joints of `ways`, with the same codes.
        water: Closed rings (N, 2) of standing water, whole, not cut to the window.
        crowns: Tree crowns; code is the `plan.Form` of the block they grow in.
        buildings: Footprints; code is the number of storeys.
        building_kind: What each building is, a `legend.Build`.
    """

    chosen: Blocks
    blocks: Rects
    ground: Rects
    parcels: Rects
    ways: Rects
    bends: Discs
    water: tuple[Floats, ...]
    crowns: Discs
    buildings: Rects
    building_kind: NDArray[np.int16]


class City:
    """Chicago (simulated), one city for each seed (0 to 2**63 - 1).

    Raises:
        InputError: The seed is out of range.
    """

    def __init__(self, seed: int = 0) -> None:
        if not 0 <= seed < 2**63:
            raise InputError(
                N_("{seed} cannot be a seed."),
                hint=N_("Give a whole number from 0 to 9223372036854775807."),
                seed=seed,
            )
        self.seed = seed

    @cached_property
    def ways(self) -> Segments:
        """All rivers, railways, expressways and the like."""
        return geography.ways(self.seed)

    @cached_property
    def plan(self) -> Plan:
        """What stands in every block."""
        return make_plan(self.seed, self.ways)

    @cached_property
    def water(self) -> tuple[Floats, ...]:
        """Rings of standing water, the great lake first."""
        return tuple(geography.waters())

    @cached_property
    def _water_area(self) -> shapely.Geometry:
        area = shapely.MultiPolygon([shapely.Polygon(ring) for ring in self.water])
        shapely.prepare(area)
        return area

    def objects(self, west: float, south: float, east: float, north: float) -> Objects:
        """Return the objects of all blocks that a window (EPSG:32616) touches.

        The same object comes out the same, bit by bit, from every window that holds its block.
        Crowns may reach some metres out of their block; ask for a margin of 10 m.
        """
        b = blocks.choose(self.plan, self._index(west, south, east, north))
        parts = Parts([], [], [], [], [], [], [])
        cells = blocks.streets_and_lots(b, parts)
        rows.rows_of_lots(b, parts)
        sites.large_buildings(b, parts)
        trees.plant_all(b, parts)
        buildings, crowns = Rects.join(parts.buildings), Discs.join(parts.crowns)
        building_block = np.concatenate(parts.building_block)
        crown_block = np.concatenate(parts.crown_block)
        # Most of the half diagonal: a corner may come near a way, a building never lies on one.
        diagonal = np.sqrt(buildings.half_u**2 + buildings.half_v**2)
        size = 0.8 * diagonal + _BUILDING_GAP_M
        free = self._is_free(b, building_block, buildings.x, buildings.y, size)
        grown = self._is_free(
            b, crown_block, crowns.x, crowns.y, 0.3 * crowns.radius + _CROWN_GAP_M
        )
        ways, bends = self._ways_in(west, south, east, north)
        return Objects(
            chosen=b,
            blocks=cells,
            ground=Rects.join(parts.ground),
            parcels=Rects.join(parts.parcels),
            ways=Rects.join([ways, self._bridges(b)]),
            bends=bends,
            water=self.water,
            crowns=crowns.take(grown),
            buildings=buildings.take(free),
            building_kind=np.concatenate(parts.building_kind)[free],
        )

    def _index(self, west: float, south: float, east: float, north: float) -> Item:
        """Return the flat positions of the drawn blocks that a window touches."""
        x, y = np.array([west, east, west, east]), np.array([south, south, north, north])
        e, n = to_lattice(x, y)
        i0, i1 = int(np.floor(e.min() / BLOCK_E_M)), int(np.floor(e.max() / BLOCK_E_M)) + 1
        j0, j1 = int(np.floor(n.min() / BLOCK_N_M)), int(np.floor(n.max() / BLOCK_N_M)) + 1
        i, j = np.meshgrid(
            np.arange(max(i0, WEST), min(i1, EAST)), np.arange(max(j0, SOUTH), min(j1, NORTH))
        )
        index: Item = ((j - SOUTH) * (EAST - WEST) + i - WEST).ravel()
        drawn: Item = index[self.plan.is_drawn.ravel()[index]]
        return drawn

    def _is_free(
        self, b: Blocks, block: Item, x: Floats, y: Floats, clearance: Floats
    ) -> NDArray[np.bool_]:
        """Return which objects stand neither on a way nor in standing water."""
        cell = b.index[block]
        item, piece = self._pieces_near(cell)
        hit = distance_to(self.ways, piece, x[item], y[item]) < (
            self.ways.half[piece] + clearance[item]
        )
        free = np.ones(len(block), bool)
        free[item[hit]] = False
        # The edges of standing water are ways; what is left is out in the water or well on land.
        near = np.flatnonzero(free & self._has_water.ravel()[cell])
        free[near] = ~shapely.contains_xy(self._water_area, x[near], y[near])
        return free

    @cached_property
    def _has_water(self) -> NDArray[np.bool_]:
        """Whether standing water is near a block, (J, I)."""
        near = np.abs(self.plan.to_shore) < BLOCK_N_M
        for ring in self.water[1:]:
            (x0, y0), (x1, y1) = ring.min(axis=0) - BLOCK_N_M, ring.max(axis=0) + BLOCK_N_M
            near |= (
                (self.plan.x > x0) & (self.plan.x < x1) & (self.plan.y > y0) & (self.plan.y < y1)
            )
        return near

    def _ways_in(self, west: float, south: float, east: float, north: float) -> tuple[Rects, Discs]:
        s = self.ways
        met = (np.minimum(s.x0, s.x1) - s.half < east) & (np.maximum(s.x0, s.x1) + s.half > west)
        met &= (np.minimum(s.y0, s.y1) - s.half < north) & (np.maximum(s.y0, s.y1) + s.half > south)
        x0, y0, x1, y1, half = (v[met] for v in (s.x0, s.y0, s.x1, s.y1, s.half))
        length = np.maximum(np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2), 1e-3)
        kind = s.kind[met]
        return (
            Rects(
                0.5 * (x0 + x1), 0.5 * (y0 + y1), 0.5 * length, half,
                (x1 - x0) / length, (y1 - y0) / length, kind,
            ),
            Discs(x1, y1, half, kind),
        )  # fmt: skip

    def _bridges(self, b: Blocks) -> Rects:
        """Return the main streets of blocks that a river crosses, to be laid over it."""
        rivers = self.plan.has_river.ravel()[b.index] & (b.form != Form.LAKE)
        parts = []
        for number, road, mile, is_across in (
            (b.i, b.road_west, MILE_E, False),
            (b.j, b.road_south, MILE_N, True),
        ):
            at = np.flatnonzero(rivers & (number % (mile // 2) == 0) & (road > 0))
            half_e, half_n = (BLOCK_E_M / 2, 0.0) if is_across else (0.0, BLOCK_N_M / 2)
            x, y = from_lattice(b.i[at] * BLOCK_E_M + half_e, b.j[at] * BLOCK_N_M + half_n)
            along = (COS, -SIN) if is_across else (SIN, COS)
            crosses = np.flatnonzero(~self._runs_beside(b, at, x, y, along))
            count = len(crosses)
            parts.append(
                Rects(
                    x[crosses], y[crosses], np.full(count, max(half_e, _BRIDGE_HALF_M)),
                    np.full(count, max(half_n, _BRIDGE_HALF_M)), np.full(count, COS),
                    np.full(count, -SIN), codes_of(count, Way.BRIDGE),
                )
            )  # fmt: skip
        return Rects.join(parts)

    def _runs_beside(
        self, b: Blocks, at: Item, x: Floats, y: Floats, along: tuple[float, float]
    ) -> NDArray[np.bool_]:
        """Return which streets follow the course of a river, where a bridge would be nonsense."""
        item, piece = self._pieces_near(b.index[at])
        s = self.ways
        dx, dy = s.x1[piece] - s.x0[piece], s.y1[piece] - s.y0[piece]
        cosine = (dx * along[0] + dy * along[1]) / np.maximum(np.sqrt(dx * dx + dy * dy), 1e-3)
        close = distance_to(s, piece, x[item], y[item]) < s.half[piece] + BLOCK_E_M
        beside = (s.kind[piece] == Way.RIVER) & (np.abs(cosine) > _BESIDE_COSINE) & close
        found = np.zeros(len(at), bool)
        found[item[beside]] = True
        return found

    def _pieces_near(self, cell: Item) -> tuple[Item, Item]:
        """Return (position in `cell`, piece of a way) of all obstacles near the blocks `cell`."""
        plan = self.plan
        first, count = plan.near_start[cell], np.diff(plan.near_start)[cell]
        item = np.repeat(np.arange(len(cell)), count)
        step = np.arange(len(item)) - np.repeat(np.cumsum(count) - count, count)
        return item, plan.near_items[first[item] + step]
