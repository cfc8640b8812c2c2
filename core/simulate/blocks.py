"""Blocks of the plan as boxes between streets: the ground they stand on and what it is used for.

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
    SIN,
    SOUTH,
    WEST,
    Form,
    Plan,
    from_lattice,
)
from core.simulate.shapes import Discs, OneOrEach, Rects, codes_of, column

_SEAM_M = 0.01  # blocks overlap by this, so that rounding leaves no pixel between them
Item = NDArray[np.int64]
Box = tuple[OneOrEach, OneOrEach, OneOrEach, OneOrEach]
"""West, east, south, north in metres from the south-west corners of blocks."""


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


def street_widths(number: Item, mile: int) -> tuple[Floats, Floats]:
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
        lot, road = street_widths(number, mile)
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
    building_kind: list[NDArray[np.int16]]
    crowns: list[Discs]
    crown_block: list[Item]


def rects(b: Blocks, at: Item, box: Box, code: NDArray[np.int16] | int) -> Rects:
    """Return rectangles west, east, south, north (metres in blocks `at`)."""
    west, east, south, north = box
    x, y = from_lattice(
        b.i[at] * BLOCK_E_M + 0.5 * (west + east), b.j[at] * BLOCK_N_M + 0.5 * (south + north)
    )
    return Rects(
        x, y, column(0.5 * (east - west), len(at)), column(0.5 * (north - south), len(at)),
        np.full(len(at), COS), np.full(len(at), -SIN),
        codes_of(len(at), code) if isinstance(code, int) else code.astype(np.int16),
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


def paved_to_the_kerb(b: Blocks) -> NDArray[np.bool_]:
    """Return which blocks have pavement, not grass, between lots and carriageway."""
    return np.isin(b.form, _PAVED_TO_THE_KERB)


def streets_and_lots(b: Blocks, parts: Parts) -> Rects:
    """Add verges, lots and their use; return the whole blocks (code 1: water, 0: land)."""
    at = np.arange(len(b.index))
    whole = (-_SEAM_M, BLOCK_E_M + _SEAM_M, -_SEAM_M, BLOCK_N_M + _SEAM_M)
    is_lake = b.form == Form.LAKE
    cells = rects(b, at, whole, is_lake.astype(np.int16))
    verge = np.where(paved_to_the_kerb(b), Cover.PAVED, Cover.GRASS)
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
    ground = np.where(waste | ((b.form == Form.OPEN) & (bare < 0.12)), Cover.BARE, ground)
    parts.ground += [
        rects(b, at, inner, verge),
        rects(b, at, lots, ground.astype(np.int16)),
    ]
    use = _USE_OF[b.form]
    mix = noise.uniform(b.key, 12)
    centre = b.form == Form.CENTRE
    # Homes come in where the centre thins out.
    homes = np.clip((b.attribute("to_loop") - 600.0) / 2600.0, 0.0, 0.6)
    use = np.where(centre & (mix < homes), Use.MIXED, use)
    use = np.where(centre & (mix < 0.6 * homes), Use.FLATS, use)
    parts.parcels.append(rects(b, at, lots, use.astype(np.int16)))
    return cells
