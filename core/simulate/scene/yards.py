"""What people lay out in the green and on the water: lawns of lots, pitches, graves, boats."""

import numpy as np

from core.simulate import noise
from core.simulate.blocks import Blocks, Item, rects
from core.simulate.city import Objects
from core.simulate.legend import Build, Cover
from core.simulate.noise import Floats
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, Form, to_lattice
from core.simulate.scene.decals import Decals, decals
from core.simulate.scene.kernels import THING
from core.simulate.scene.keys import place_keys
from core.simulate.scene.materials import Stuff, any_of
from core.simulate.shapes import each, shifted

_LAWNS = np.array([
    (0.58, 0.56, 0.39, 0.58), (0.27, 0.40, 0.20, 0.82), (0.40, 0.50, 0.28, 0.76),
    (0.50, 0.49, 0.35, 0.58), (0.31, 0.42, 0.25, 0.74),
])  # fmt: skip
_FENCE, _LINE = (0.40, 0.36, 0.31, 0.42), (0.90, 0.92, 0.88, 0.88)
_ON_LAWN = any_of(Stuff.LAWN)


def yards(b: Blocks, things: Objects) -> Decals:
    """Return lawns of lots with fences, pitches, courts, graves and boats."""
    parts = [*_lots(things, b.plan.seed), *_pitches(b), *_courts(things, b.plan.seed)]
    return Decals.join([*parts, _graves(b), _boats(b)])


def _lots(things: Objects, seed: int) -> list[Decals]:
    """Return the lawn of each home in its own green, and fences between the back yards."""
    homes = things.buildings.take(np.isin(things.building_kind, (Build.HOUSE, Build.FLATS)))
    is_flats = homes.half_v > 7.0
    wide = np.where(is_flats, 2 * homes.half_v + 3.0, (2 * homes.half_v - 1.0) / 0.72)
    east, _ = to_lattice(homes.x, homes.y)
    east = east - np.floor(east / BLOCK_E_M) * BLOCK_E_M
    side = np.where(east < 0.5 * BLOCK_E_M, -1.0, 1.0)
    middle = 0.5 * BLOCK_E_M + side * 22.0
    key = place_keys(seed, 410, homes.x, homes.y)
    colour = _LAWNS[np.floor(noise.uniform(key, 1) * len(_LAWNS)).astype(np.int64)]
    lawn = shifted(homes, middle - east, 0.0, 19.5, 0.5 * wide)
    parts = [decals(lawn, colour, _ON_LAWN, alpha=noise.uniform(key, 2, 0.1, 0.75))]
    # From the back of the house to the alley.
    back = east - side * homes.half_u
    end = 0.5 * BLOCK_E_M + side * 2.6
    yard = shifted(homes, 0.5 * (back + end) - east, 0.0, 0.5 * np.abs(back - end), 0.5 * wide)
    colour = _LAWNS[np.floor(noise.uniform(key, 3) * len(_LAWNS)).astype(np.int64)]
    parts.append(decals(yard, colour, _ON_LAWN, alpha=noise.uniform(key, 4, 0.0, 0.65)))
    fence = shifted(homes, 0.5 * (back + end) - east, 0.5 * wide, yard.half_u, 0.16)
    parts.append(decals(fence, _FENCE, _ON_LAWN, alpha=noise.uniform(key, 5, 0.2, 0.9)))
    return parts


_PITCH = {Form.SCHOOL: 0.55, Form.PARK: 0.13, Form.CAMPUS: 0.05}
_PITCH_OF = np.array([_PITCH.get(form, 0.0) for form in Form])
_ON_PITCH = any_of(Stuff.FIELD, Stuff.PARK, Stuff.LAWN)


def _pitches(b: Blocks) -> list[Decals]:
    """Return football pitches: mown in stripes, with white lines."""
    at = np.flatnonzero(noise.uniform(b.key, 421) < _PITCH_OF[b.form])
    half_e, half_n = 27.0, 42.0
    e = 0.5 * (b.west + b.east)[at] + noise.uniform(b.key[at], 422, -8.0, 8.0)
    n = np.where(noise.uniform(b.key[at], 423) < 0.5, b.south[at] + 50.0, b.north[at] - 50.0)
    parts = [_box(b, at, (e, n), (half_e + 3, half_n + 3), (0.36, 0.52, 0.27, 0.82), 0.55)]
    for stripe in range(0, 14, 2):
        middle = (e, n - half_n + 6.0 * stripe + 3.0)
        parts.append(_box(b, at, middle, (half_e, 3.0), (0.43, 0.57, 0.33, 0.84), 0.4))
    thin = 0.12
    for off_e, off_n, wide_e, wide_n in (
        (-half_e, 0.0, thin, half_n), (half_e, 0.0, thin, half_n), (0.0, -half_n, half_e, thin),
        (0.0, half_n, half_e, thin), (0.0, 0.0, half_e, thin),
        (-9.0, -half_n + 6, thin, 6.0), (9.0, -half_n + 6, thin, 6.0),
        (0.0, -half_n + 12, 9.0, thin), (-9.0, half_n - 6, thin, 6.0),
        (9.0, half_n - 6, thin, 6.0), (0.0, half_n - 12, 9.0, thin),
    ):  # fmt: skip
        parts.append(_box(b, at, (e + off_e, n + off_n), (wide_e, wide_n), _LINE, 0.9))
    return parts


def _box(
    b: Blocks,
    at: Item,
    middle: tuple[Floats, Floats],
    half: tuple[float, float],
    colour: tuple[float, ...],
    alpha: float,
) -> Decals:
    (e, n), (wide, deep) = middle, half
    box = (e - wide, e + wide, n - deep, n + deep)
    return decals(rects(b, at, box, 0), colour, _ON_PITCH, alpha=alpha)


_COURTS = np.array([
    (0.30, 0.46, 0.36, 0.40), (0.28, 0.40, 0.55, 0.36), (0.60, 0.38, 0.30, 0.52),
    (0.36, 0.50, 0.38, 0.44),
])  # fmt: skip
_COURT_HALF_M = (7.6, 14.2)


def _courts(things: Objects, seed: int) -> list[Decals]:
    """Return coloured courts on the paved yards of schools."""
    yard = things.ground.take((things.ground.code == Cover.PAVED) & (things.ground.half_u > 10.0))
    on = any_of(Stuff.COURT)
    across = np.clip(np.floor(yard.half_u / (_COURT_HALF_M[0] + 1.5)), 0, 3).astype(np.int64)
    n, k = each(across)
    key = noise.key(place_keys(seed, 430, yard.x, yard.y)[n], k)
    kept = np.flatnonzero(noise.uniform(key, 1) < 0.6)
    n, k, key = n[kept], k[kept], key[kept]
    off = (k - 0.5 * (across[n] - 1)) * 2 * (_COURT_HALF_M[0] + 1.5)
    half_u, half_v = _COURT_HALF_M
    base = shifted(yard.take(n), off, 0.0, half_u, half_v)
    colour = _COURTS[np.floor(noise.uniform(key, 2) * len(_COURTS)).astype(np.int64)]
    parts = [decals(base, colour, on, alpha=0.85)]
    for side in (-1, 0, 1):
        line = shifted(base, 0.0, side * (half_v - 1.2), half_u - 1.0, 0.1)
        parts.append(decals(line, _LINE, on, alpha=0.9))
        if side:
            line = shifted(base, side * (half_u - 1.0), 0.0, 0.1, half_v - 1.2)
            parts.append(decals(line, _LINE, on, alpha=0.9))
    return parts


_GRAVE_E_M, _GRAVE_N_M = 4.4, 2.2


def _graves(b: Blocks) -> Decals:
    """Return rows of stones in cemeteries."""
    at = np.flatnonzero(b.form == Form.CEMETERY)
    across, along = int(BLOCK_E_M / _GRAVE_E_M), int(BLOCK_N_M / _GRAVE_N_M)
    n, k = np.repeat(at, across * along), np.tile(np.arange(across * along), len(at))
    key = noise.key(noise.key(b.key[n], 440), k)
    # Plots of ten rows are used more or less.
    plot = noise.key(noise.key(b.key[n], 441), k // (across * 10))
    kept = noise.uniform(key, 1) < noise.uniform(plot, 2, 0.1, 0.9)
    n, k, key = n[kept], k[kept], key[kept]
    east = (k % across + 0.5) * _GRAVE_E_M + noise.uniform(key, 3, -0.3, 0.3)
    north = (k // across + 0.5) * _GRAVE_N_M + noise.uniform(key, 4, -0.3, 0.3)
    tone = noise.uniform(key, 5, 0.5, 0.85)[:, None] * np.array([1.0, 0.99, 0.95, 0.95])
    body = rects(b, n, (east - 0.32, east + 0.32, north - 0.5, north + 0.5), 0)
    return decals(body, tone, any_of(Stuff.PARK), alpha=0.85)


def _boats(b: Blocks) -> Decals:
    """Return boats on the lake, most of them near the shore."""
    near = np.clip(1 + b.attribute("to_shore") / 900.0, 0.02, 1.0)
    busy = noise.uniform(b.key, 450) < 0.22 * near * near
    at = np.flatnonzero((b.form == Form.LAKE) & busy)
    n, k = np.repeat(at, 6), np.tile(np.arange(6), len(at))
    key = noise.key(noise.key(b.key[n], 451), k)
    east = noise.uniform(key, 1, 8.0, BLOCK_E_M - 8.0)
    north = noise.uniform(key, 2, 8.0, BLOCK_N_M - 8.0)
    long, wide = noise.uniform(key, 3, 2.6, 5.5), noise.uniform(key, 4, 1.0, 1.6)
    body = rects(b, n, (east - wide, east + wide, north - long, north + long), 0)
    return decals(body, (0.90, 0.90, 0.88, 0.80), any_of(Stuff.LAKE), top=1.5, sort=THING)
