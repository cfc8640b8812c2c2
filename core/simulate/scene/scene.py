"""Put a piece of the city together as a camera sees it: ground, things on it, crowns, roofs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from core.simulate import noise
from core.simulate.city import City
from core.simulate.geography import CRS_NAME
from core.simulate.paint import Canvas, make_grid
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, EAST, NORTH, SOUTH, WEST, Form, to_lattice
from core.simulate.scene import cars, ground, kernels, planes, roofs, streets, yards
from core.simulate.scene.crowns import grow_crowns
from core.simulate.scene.decals import lay
from core.simulate.scene.keys import place_keys
from core.simulate.scene.materials import COVER_OF
from core.simulate.scene.picture import blank
from core.simulate.scene.sun import Sun

_MARGIN_M = 24  # longer than any vehicle, whose whole ground is looked at
_BLOCKS_M = 40.0  # crowns, streets and bridges reach out of their blocks
# The highest that stands in a block of each form, metres with what is on the roof; see the tests.
_HIGHEST_M = {Form.CENTRE: 345.0, Form.FLATS: 125.0}
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
    picture = blank(canvas.values, left, top)
    seed = noise.root(city.seed, 401)[()]
    ground.colour_ground(picture, city, seed)
    for decals_of in (yards.yards, streets.markings, cars.vehicles, planes.planes):
        lay(picture, decals_of(things.chosen, things))
    crowns = things.crowns
    grow_crowns(picture, crowns, place_keys(city.seed, 402, crowns.x, crowns.y), sun.slant)
    b = things.buildings
    table = roofs.roofs(b, things.building_kind, place_keys(city.seed, 403, b.x, b.y))
    roofs.draw_roofs(picture, table, sun.slant)
    lay(picture, roofs.roof_units(table))
    west, south, east, north = inner
    window = row, col, rows, cols = top - north, west - left, north - south, east - west
    image = kernels.expose(picture, kernels.shade(picture, sun.towards, sun.cot), seed, window)
    return Rendered(image, COVER_OF[picture.stuff[row : row + rows, col : col + cols]])


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
