"""Lay the ground: which material each pixel is of, and its colour."""

import numpy as np

from core.simulate import noise
from core.simulate.blocks import Blocks, Item, paved_to_the_kerb, rects
from core.simulate.city import City, Objects
from core.simulate.legend import Build, Cover
from core.simulate.noise import Floats
from core.simulate.paint import Canvas
from core.simulate.plan import (
    BLOCK_E_M,
    BLOCK_N_M,
    COS,
    EAST,
    NORTH,
    ORIGIN,
    SIN,
    SOUTH,
    WEST,
    Form,
    to_lattice,
)
from core.simulate.scene import kernels
from core.simulate.scene.materials import GROUND_OF, LOOK, WAY_STUFF, Stuff
from core.simulate.scene.picture import Picture
from core.simulate.shapes import Rects, codes_of, shifted

_ALLEY_HALF_M = 2.5
_TO_SIDEWALK_M = 1.2  # from the lots
_SIDEWALK_M = (2.3, 3.9)  # from the kerb
_WALK_HALF_M = 0.55


def block_of(x: Floats, y: Floats) -> Item:
    """Return the flat position in the plan of the block under each point."""
    east, north = to_lattice(x, y)
    i = np.clip(np.floor(east / BLOCK_E_M).astype(np.int64), WEST, EAST - 1)
    j = np.clip(np.floor(north / BLOCK_N_M).astype(np.int64), SOUTH, NORTH - 1)
    found: Item = (j - SOUTH) * (EAST - WEST) + i - WEST
    return found


def lay_ground(canvas: Canvas, city: City, things: Objects) -> None:
    """Paint materials where `rasters.paint_cover` paints land cover, and a little more.

    Sidewalks, alley mouths and walks to the doors are too narrow for land cover of 5 m.
    """
    is_lake = things.blocks.code > 0
    canvas.rects(things.blocks, np.where(is_lake, Stuff.LAKE, Stuff.ASPHALT).astype(np.int16))
    drawn = canvas.values != Stuff.VOID
    if not drawn.any():
        return
    ground = things.ground
    form = city.plan.form.ravel()[block_of(ground.x, ground.y)]
    stuff = GROUND_OF[ground.code, form]
    is_alley = (ground.code == Cover.PAVED) & (ground.half_u < _ALLEY_HALF_M + 0.1)
    stuff = np.where(is_alley & (stuff == Stuff.LOT), Stuff.ALLEY, stuff).astype(np.int16)
    canvas.rects(ground, stuff)
    for walks, code in ((_alley_mouths(things.chosen), Stuff.ALLEY), (_walks(things), Stuff.PATH)):
        canvas.rects(walks, codes_of(len(walks), code))
    for walks in _sidewalks(things.chosen):
        canvas.rects(walks, codes_of(len(walks), Stuff.SIDEWALK))
    for kind, code in WAY_STUFF.items():
        pieces = things.ways.take(things.ways.code == kind)
        canvas.rects(pieces, codes_of(len(pieces), code))
        canvas.discs(things.bends.take(things.bends.code == kind), code)
    for n, ring in enumerate(things.water):
        canvas.polygon(ring, Stuff.POND if n else Stuff.LAKE)
    canvas.values[~drawn] = Stuff.VOID


_WITHOUT_SIDEWALK = (Form.LAKE, Form.AIRPORT, Form.YARD, Form.WOOD, Form.OPEN)


def _sidewalks(b: Blocks) -> list[Rects]:
    """Return a strip along each street, from kerb to lots where all is paved."""
    full = paved_to_the_kerb(b)
    walked = ~np.isin(b.form, _WITHOUT_SIDEWALK)
    near, far = np.where(full, 0.0, _SIDEWALK_M[0]), _SIDEWALK_M[1]
    # Outer and inner edges of the four strips, metres from the south-west corner.
    w0, s0 = b.road_west + near, b.road_south + near
    e0, n0 = BLOCK_E_M - b.road_east - near, BLOCK_N_M - b.road_north - near
    w1 = np.where(full, b.west, b.road_west + far)
    s1 = np.where(full, b.south, b.road_south + far)
    e1 = np.where(full, b.east, BLOCK_E_M - b.road_east - far)
    n1 = np.where(full, b.north, BLOCK_N_M - b.road_north - far)
    west, south = np.where(b.road_west > 0, w0, 0.0), np.where(b.road_south > 0, s0, 0.0)
    east = np.where(b.road_east > 0, e0, BLOCK_E_M)
    north = np.where(b.road_north > 0, n0, BLOCK_N_M)
    strips = []
    for road, box in (
        (b.road_west, (w0, w1, south, north)),
        (b.road_east, (e1, e0, south, north)),
        (b.road_south, (west, east, s0, s1)),
        (b.road_north, (west, east, n1, n0)),
    ):
        at = np.flatnonzero((road > 0) & walked)
        w, e, s, n = (v[at] for v in box)
        strips.append(rects(b, at, (w, e, s, n), 0))
    return strips


def _alley_mouths(b: Blocks) -> Rects:
    """Return where alleys cross the verges north and south of their blocks."""
    at = np.flatnonzero(np.isin(b.form, (Form.HOUSES, Form.FLATS)))
    middle = 0.5 * (b.west + b.east)[at]
    box = (middle - _ALLEY_HALF_M, middle + _ALLEY_HALF_M)
    return Rects.join(
        [
            rects(b, at, (*box, b.road_south[at], b.south[at]), 0),
            rects(b, at, (*box, b.north[at], BLOCK_N_M - b.road_north[at]), 0),
        ]
    )


def _walks(things: Objects) -> Rects:
    """Return walks from the fronts of homes to the sidewalk and from their backs to the alley."""
    b = things.chosen
    home = np.isin(things.building_kind, (Build.HOUSE, Build.FLATS))
    houses = things.buildings.take(home)
    at = np.searchsorted(b.index, block_of(houses.x, houses.y))
    east = to_lattice(houses.x, houses.y)[0] - b.i[at] * BLOCK_E_M
    side = np.where(east < 0.5 * BLOCK_E_M, -1.0, 1.0)
    # Metres from the street's end of the lot to the house, and from there to the alley.
    front = np.where(side < 0, east - b.west[at], b.east[at] - east) - houses.half_u
    back = 0.5 * (b.east - b.west)[at] - _ALLEY_HALF_M - front - 2 * houses.half_u
    walks = []
    for towards, long_m, across in (
        (side, front + _TO_SIDEWALK_M, 0.0),
        (-side, back, 0.8 * houses.half_v),
    ):
        along = towards * (houses.half_u + 0.5 * long_m)
        walks.append(shifted(houses, along, across, 0.5 * np.maximum(long_m, 0.0), _WALK_HALF_M))
    return Rects.join(walks)


def colour_ground(picture: Picture, city: City, seed: noise.Keys) -> None:
    """Colour the ground by its materials; shallow water is brighter than deep."""
    lattice = (*ORIGIN, COS, SIN, BLOCK_E_M, BLOCK_N_M, WEST, SOUTH)
    kernels.colour_ground(picture, seed, LOOK, city.plan.to_shore, lattice)
