"""Surfaces that follow from the plan: elevation, surface temperature, night light.

A block's shares of trees, roofs, pavement and water are those of its form, so that the surfaces
agree with the land cover that is drawn from the same blocks, also where none is drawn.
"""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from core.simulate import geography, noise
from core.simulate.city import City
from core.simulate.noise import Floats
from core.simulate.plan import (
    BLOCK_E_M,
    BLOCK_N_M,
    EAST,
    NORTH,
    ORIGIN,
    SOUTH,
    WEST,
    Form,
    to_lattice,
)

DEM_NODATA = -32767
LST_NODATA = 0.0
_CONTROL_PX = 16
_MILLIMETRE = 3


@dataclass(frozen=True, slots=True)
class Raster:
    """Where pixels lie: coordinate system, transform and shape (R, C)."""

    crs: CRS
    transform: Affine
    shape: tuple[int, int]

    def centres(self, across: int = 1) -> tuple[Floats, Floats]:
        """Return x and y (R * across, C * across) in EPSG:32616 of `across`² points a pixel.

        Between control points the positions are interpolated, within a metre.
        """
        rows, cols = self.shape
        at_row = (np.arange(rows * across) + 0.5) / across
        at_col = (np.arange(cols * across) + 0.5) / across
        r, c = (np.arange(0, n + _CONTROL_PX, _CONTROL_PX) for n in (rows, cols))
        to_utm = Transformer.from_crs(self.crs, geography.CRS_NAME, always_xy=True)
        east, north = np.meshgrid(
            self.transform.c + c * self.transform.a, self.transform.f + r * self.transform.e
        )
        x, y = (np.round(v, _MILLIMETRE) for v in to_utm.transform(east, north))
        return _between(x, at_row, at_col), _between(y, at_row, at_col)


def _between(control: Floats, row: Floats, col: Floats) -> Floats:
    """Interpolate control points that stand every `_CONTROL_PX` pixels at rows and columns."""
    j = np.floor(row / _CONTROL_PX).astype(np.int64)
    i = np.floor(col / _CONTROL_PX).astype(np.int64)
    fy, fx = (row / _CONTROL_PX - j)[:, None], (col / _CONTROL_PX - i)[None, :]
    lines = control[j] * (1 - fy) + control[j + 1] * fy
    values: Floats = lines[:, i] * (1 - fx) + lines[:, i + 1] * fx
    return values


def degrees(bounds: tuple[float, float, float, float], seconds: int) -> Raster:
    """Return the raster of whole arc-seconds that covers west, south, east, north in degrees."""
    west, south, east, north = (v * 3600 / seconds for v in bounds)
    left, top = int(np.floor(west)), int(np.ceil(north))
    shape = top - int(np.floor(south)), int(np.ceil(east)) - left
    size = seconds / 3600
    return Raster(
        CRS.from_epsg(4326),
        Affine(size, 0, left * seconds / 3600, 0, -size, top * seconds / 3600),
        shape,
    )


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of a block's ground (J, I), 0 to 1, and its mean storeys."""

    tree: Floats
    grass: Floats
    built: Floats
    paved: Floats
    water: Floats
    storeys: Floats


# Share of trees besides street trees, of roofs, of pavement with the streets; mean storeys.
_NOMINAL = {
    Form.LAKE: (0.0, 0.0, 0.0, 0), Form.HOUSES: (0.16, 0.29, 0.25, 1.6),
    Form.FLATS: (0.12, 0.34, 0.27, 4), Form.CENTRE: (0.01, 0.45, 0.52, 12),
    Form.MALL: (0.02, 0.25, 0.66, 1), Form.INDUSTRY: (0.03, 0.34, 0.5, 1.4),
    Form.SCHOOL: (0.08, 0.2, 0.35, 3), Form.CAMPUS: (0.2, 0.2, 0.22, 4),
    Form.CEMETERY: (0.3, 0.0, 0.08, 0), Form.PARK: (0.38, 0.0, 0.06, 0),
    Form.WOOD: (0.8, 0.0, 0.02, 0), Form.YARD: (0.01, 0.0, 0.7, 0),
    Form.AIRPORT: (0.0, 0.01, 0.1, 0), Form.VACANT: (0.1, 0.02, 0.25, 0),
    Form.PARKING: (0.03, 0.0, 0.9, 0), Form.OPEN: (0.2, 0.0, 0.05, 0),
    Form.TERMINAL: (0.0, 0.35, 0.6, 3),
}  # fmt: skip
_NOMINAL_OF = np.array([_NOMINAL[form] for form in Form])
_PLANTED = (Form.HOUSES, Form.FLATS, Form.SCHOOL, Form.VACANT, Form.CAMPUS)


def shares(city: City) -> Shares:
    """Return what each block of the plan is covered with."""
    plan = city.plan
    tree, built, paved, storeys = (_NOMINAL_OF[plan.form][..., n] for n in range(4))
    tree = tree + np.where(np.isin(plan.form, _PLANTED), 0.30 * (plan.green - 0.35), 0.0)
    built = built * (1 - 0.5 * plan.derelict)
    paved = paved + 0.3 * plan.has_expressway * (plan.form != Form.LAKE)
    # How much of a block on the shore lies in the lake.
    water = np.clip(0.5 - plan.to_shore / BLOCK_N_M, 0, 1)
    for ring in city.water[1:]:
        water = np.maximum(water, _in_box(plan.x, plan.y, ring))
    water = np.maximum(water, 0.2 * plan.has_river)
    land = 1 - water
    tree, built = np.clip(tree, 0, 1) * land, built * land
    paved = np.minimum(paved * land, land - tree - built)
    return Shares(tree, land - tree - built - paved, built, paved, water, storeys)


def _in_box(x: Floats, y: Floats, ring: Floats) -> Floats:
    """Return 0.8 where a point is in the ellipse of a lake's extent, else 0."""
    low, high = ring.min(axis=0), ring.max(axis=0)
    cx, cy = 0.5 * (low + high)
    hx, hy = 0.5 * (high - low)
    return np.where(((x - cx) / hx) ** 2 + ((y - cy) / hy) ** 2 < 0.9, 0.8, 0.0)


def _at_blocks(values: Floats, x: Floats, y: Floats) -> Floats:
    """Return the value of the block under each point; beyond the plan that of its edge."""
    east, north = to_lattice(x, y)
    i = np.clip(np.floor(east / BLOCK_E_M).astype(np.int64) - WEST, 0, EAST - WEST - 1)
    j = np.clip(np.floor(north / BLOCK_N_M).astype(np.int64) - SOUTH, 0, NORTH - SOUTH - 1)
    found: Floats = values[j, i]
    return found


def _between_blocks(values: Floats, x: Floats, y: Floats) -> Floats:
    """Interpolate between the middles of blocks."""
    east, north = to_lattice(x, y)
    gi = np.clip(east / BLOCK_E_M - 0.5 - WEST, 0, EAST - WEST - 1.001)
    gj = np.clip(north / BLOCK_N_M - 0.5 - SOUTH, 0, NORTH - SOUTH - 1.001)
    i, j = np.floor(gi).astype(np.int64), np.floor(gj).astype(np.int64)
    fi, fj = gi - i, gj - j
    south = values[j, i] * (1 - fi) + values[j, i + 1] * fi
    north_of = values[j + 1, i] * (1 - fi) + values[j + 1, i + 1] * fi
    found: Floats = south * (1 - fj) + north_of * fj
    return found


def _mean_of_points(values: Floats, across: int) -> Floats:
    """Return the mean of `across`² points a pixel, added up in one fixed order."""
    rows, cols = values.shape[0] // across, values.shape[1] // across
    total = np.zeros((rows, cols))
    for r in range(across):
        for c in range(across):
            total += values[r::across, c::across]
    return total / across**2


def elevation(city: City, raster: Raster) -> NDArray[np.int16]:
    """Return ground elevation in metres; `DEM_NODATA` far out in the lake, 176 m on it."""
    plan, seed = city.plan, city.seed
    x, y = raster.centres()
    shore = _between_blocks(plan.to_shore, x, y)
    inland = np.maximum(shore, 0)
    height = 177.0 + 3.5 * np.minimum(inland / 350.0, 1) + 26 * inland / (inland + 21000.0)
    height += 5.0 * (noise.smooth(noise.root(seed, 51), x, y, 3500.0) - 0.5)
    height += 1.6 * (noise.smooth(noise.root(seed, 52), x, y, 500.0) - 0.5)
    for lonlat, rise_m, wide_m, deep_m in (
        ((-87.6800, 41.7050), 17.0, 1500.0, 4200.0),  # the ridge of an old shore
        ((-87.5690, 41.6600), 24.0, 420.0, 420.0),  # a landfill
    ):
        cx, cy = geography.to_utm((lonlat, lonlat))[0]
        height += rise_m / (1 + ((x - cx) / wide_m) ** 2 + ((y - cy) / deep_m) ** 2) ** 2
    height -= 2.5 * _between_blocks(plan.has_river.astype(np.float64), x, y)
    height = np.where(shore < 0, 176.0, np.maximum(height, 176.0))
    return np.where(shore < _SOUNDED_M, DEM_NODATA, np.rint(height)).astype(np.int16)


_SOUNDED_M = -2600.0
_LST_ACROSS = 6
_LST_STEP_K = 0.02  # what satellite products are stored in


def temperature(city: City, raster: Raster, *, is_summer: bool) -> NDArray[np.float32]:
    """Return surface temperature by day in kelvin; `LST_NODATA` under clouds.

    Roofs and pavement heat, trees and the lake cool in summer; in winter the lake and the heated
    centre are mild. Values are means of the blocks under a pixel, with noise of their own.
    """
    s, plan = shares(city), city.plan
    core = 1 / (1 + (plan.to_loop / 5000.0) ** 2)
    inland = np.maximum(plan.to_shore, 0)
    if is_summer:
        blocks = 305.5 + 8.0 * s.built + 5.5 * s.paved - 6.0 * s.tree + 1.2 * core
        blocks = blocks - 0.05 * np.minimum(s.storeys, 30) - 4.2 / (1 + (inland / 1400.0) ** 2)
        wet = 295.5
    else:
        blocks = 269.6 + 3.0 * s.built + 1.4 * s.paved - 0.6 * s.tree + 1.5 * core
        blocks = blocks + 0.04 * np.minimum(s.storeys, 30) + 2.0 / (1 + (inland / 2600.0) ** 2)
        wet = 273.9
    blocks = blocks * (1 - s.water) + wet * s.water
    x, y = raster.centres(_LST_ACROSS)
    mean = _mean_of_points(_at_blocks(blocks, x, y), _LST_ACROSS)
    x, y = raster.centres()
    own = noise.root(city.seed, 61 if is_summer else 62)
    air = 1.6 * (noise.smooth(noise.key(own, 1), x, y, 5200.0) - 0.5)
    rows, cols = raster.shape
    pixel = noise.key(own, np.arange(rows * cols).reshape(rows, cols))
    mean = mean + air + noise.uniform(pixel, 2, -0.35, 0.35)
    stored = np.rint(mean / _LST_STEP_K) * _LST_STEP_K
    return np.where(_clouds(own, pixel, x, y), LST_NODATA, stored).astype(np.float32)


_CLOUD_NORTHINGS = ((6500.0, 11000.0), (-18000.0, -8000.0))  # from the centre, metres
_CLOUD_M, _HOLES = (2300.0, 3300.0), 0.008


def _clouds(own: noise.Keys, pixel: noise.Keys, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Return where clouds hid the ground: two ragged ones over the city and single pixels."""
    hidden = noise.uniform(pixel, 3) < _HOLES
    ragged = noise.smooth(noise.key(own, 4), x, y, 1900.0)
    for n in range(len(_CLOUD_NORTHINGS)):
        key = noise.key(own, 10 + n)
        # One over the north, one over the south: the centre stays in sight.
        along = noise.uniform(key, 1, *_CLOUD_NORTHINGS[n])
        cx = ORIGIN[0] - 3500.0 - 0.25 * along + noise.uniform(key, 2, -3000.0, 1500.0)
        radius = noise.uniform(key, 3, *_CLOUD_M) * (0.7 + 0.6 * ragged)
        hidden |= (x - cx) ** 2 + (y - ORIGIN[1] - along) ** 2 < radius**2
    return hidden


_GLOW_E, _GLOW_N, _GLOW_M = 8, 4, 420.0
_LIGHT_ACROSS = 4
_LIGHT_STEP = 1 / 128
# Radiance that the lamps of a block of each form send up, nW/cm2/sr.
_LAMPS = {
    Form.LAKE: 0.5, Form.HOUSES: 30, Form.FLATS: 48, Form.CENTRE: 165, Form.MALL: 120,
    Form.INDUSTRY: 62, Form.SCHOOL: 40, Form.CAMPUS: 58, Form.CEMETERY: 6, Form.PARK: 14,
    Form.WOOD: 3, Form.YARD: 60, Form.AIRPORT: 55, Form.VACANT: 18, Form.PARKING: 90,
    Form.OPEN: 5, Form.TERMINAL: 230,
}  # fmt: skip
_LAMPS_OF = np.array([_LAMPS[form] for form in Form], np.float64)


def night_light(city: City, raster: Raster) -> NDArray[np.float32]:
    """Return radiance by night in nW/cm2/sr, everywhere a number; the sensor blurs some 400 m."""
    plan = city.plan
    lamps = _LAMPS_OF[plan.form] * (1 - 0.35 * plan.derelict) * (0.75 + 0.6 * plan.dense)
    lamps = lamps * np.where(plan.is_inside | (plan.form == Form.LAKE), 1.0, 0.75)
    lamps = lamps + 25.0 * plan.has_expressway * (plan.form != Form.LAKE)
    rows, cols = lamps.shape
    padded = np.pad(lamps, ((_GLOW_N, _GLOW_N), (_GLOW_E, _GLOW_E)), mode="edge")
    glow, weights = np.zeros_like(lamps), 0.0
    for j in range(2 * _GLOW_N + 1):
        for i in range(2 * _GLOW_E + 1):
            far2 = ((i - _GLOW_E) * BLOCK_E_M) ** 2 + ((j - _GLOW_N) * BLOCK_N_M) ** 2
            weight = 1 / (1 + far2 / _GLOW_M**2) ** 2
            glow += weight * padded[j : j + rows, i : i + cols]
            weights += weight
    x, y = raster.centres(_LIGHT_ACROSS)
    mean = _mean_of_points(_at_blocks(glow / weights, x, y), _LIGHT_ACROSS)
    x, y = raster.centres()
    mean = mean * (0.88 + 0.24 * noise.smooth(noise.root(city.seed, 71), x, y, 1100.0)) + 0.3
    return (np.rint(mean / _LIGHT_STEP) * _LIGHT_STEP).astype(np.float32)
