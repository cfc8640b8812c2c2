"""Put a piece of the city together as a camera sees it: ground, things on it, crowns, roofs."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from core.simulate import noise
from core.simulate.city import City
from core.simulate.geography import CRS_NAME
from core.simulate.paint import Canvas, make_grid
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, EAST, NORTH, SOUTH, WEST, Form, to_lattice
from core.simulate.scene import cars, crowns, decals, ground, light, roofs, streets, yards
from core.simulate.scene.keys import place_keys
from core.simulate.scene.light import Sun
from core.simulate.scene.materials import COVER_OF

_MARGIN_M = 24  # longer than any vehicle, whose whole ground is looked at
_BLOCKS_M = 40.0  # crowns, streets and bridges reach out of their blocks
# The highest that stands in a block of each form, metres with what is on the roof; see the tests.
_HIGHEST_M = {Form.CENTRE: 345.0, Form.FLATS: 140.0, Form.HOUSES: 140.0}
_USUAL_M = 40.0


@dataclass(frozen=True, slots=True)
class Rendered:
    """A picture uint8 (4, h, w) red, green, blue, near infrared, and its land cover (h, w)."""

    image: NDArray[np.uint8]
    cover: NDArray[np.uint8]


def render(city: City, west: int, south: int, east: int, north: int, sun: Sun) -> Rendered:
    """Draw the pixels of one metre of a box in EPSG:32616, each the same from every box."""
    reach = _shadow_reach(city, (west, south, east, north), sun)
    # What stands towards the sun throws shadows into the box.
    to_e, to_n = (int(np.ceil(abs(v) * reach)) for v in sun.towards)
    left = west - _MARGIN_M - (to_e if sun.towards[0] < 0 else 0)
    right = east + _MARGIN_M + (to_e if sun.towards[0] > 0 else 0)
    bottom = south - _MARGIN_M - (to_n if sun.towards[1] < 0 else 0)
    top = north + _MARGIN_M + (to_n if sun.towards[1] > 0 else 0)
    return _draw(city, (left, bottom, right, top), (west, south, east, north), sun)


def _draw(
    city: City, box: tuple[int, int, int, int], inner: tuple[int, int, int, int], sun: Sun
) -> Rendered:
    left, bottom, right, top = box
    shape = top - bottom, right - left
    grid = make_grid(CRS.from_user_input(CRS_NAME), (left, bottom, right, top), 1.0)
    canvas = Canvas(grid, np.zeros(shape, np.uint8))
    things = city.objects(*canvas.bounds(_BLOCKS_M))
    ground.lay_ground(canvas, city, things)
    stuff = canvas.values
    place = float(left), float(top)
    seed = noise.root(city.seed, 401)[()]
    albedo = np.zeros((*shape, 4), np.float32)
    height = np.zeros(shape, np.float32)
    sunlit = light.no_light(shape)
    layers = (stuff, albedo, height, sunlit, place)
    towards = sun.towards, sun.cot
    ground.colour_ground(stuff, albedo, place, city, seed)
    decals.lay_all(*layers, yards.yards(things.chosen, things))
    decals.lay_all(*layers, streets.markings(things.chosen, things))
    decals.lay_all(*layers, cars.vehicles(things.chosen, things))
    keys = place_keys(city.seed, 402, things.crowns.x, things.crowns.y)
    crowns.grow_crowns(*layers, things.crowns, keys, towards)
    b = things.buildings
    keys = place_keys(city.seed, 403, b.x, b.y)
    table = roofs.roofs(b, things.building_kind, keys)
    roofs.draw_roofs(*layers, table, towards)
    decals.lay_all(*layers, roofs.roof_units(table))
    shadow = light.shade(height, place, *towards)
    west, south, east, north = inner
    window = top - north, west - left, north - south, east - west
    image = light.expose(albedo, sunlit, shadow, stuff, place, seed, window)
    row, col, rows, cols = window
    cover = COVER_OF[stuff[row : row + rows, col : col + cols]]
    return Rendered(image, cover)


def _shadow_reach(city: City, box: tuple[int, int, int, int], sun: Sun) -> float:
    """Return how long a shadow can be that falls into a box."""
    longest = max(_HIGHEST_M.values()) * sun.cot
    west, south, east, north = box
    x = np.array([west, east, west, east], np.float64)
    y = np.array([south, south, north, north], np.float64)
    e, n = to_lattice(x, y)
    i = np.clip(
        np.floor(np.array([e.min() - longest, e.max() + longest]) / BLOCK_E_M).astype(int) - WEST,
        0, EAST - WEST - 1,
    )  # fmt: skip
    j = np.clip(
        np.floor(np.array([n.min() - longest, n.max() + longest]) / BLOCK_N_M).astype(int) - SOUTH,
        0, NORTH - SOUTH - 1,
    )  # fmt: skip
    forms = np.unique(city.plan.form[j[0] : j[1] + 1, i[0] : i[1] + 1])
    return max(_HIGHEST_M.get(Form(form), _USUAL_M) for form in forms) * sun.cot


def transform_of(west: int, north: int) -> Affine:
    """Return the transform of pixels of one metre."""
    return Affine(1.0, 0.0, float(west), 0.0, -1.0, float(north))
