"""Aeroplanes on the aprons of airports."""

import numpy as np
from numpy.typing import NDArray

from core.simulate import noise
from core.simulate.blocks import Blocks
from core.simulate.city import Objects
from core.simulate.noise import Floats
from core.simulate.plan import BLOCK_E_M, BLOCK_N_M, Form, from_lattice
from core.simulate.scene.decals import Decals, decals
from core.simulate.scene.materials import Stuff, any_of
from core.simulate.shapes import Rects, codes_of
from core.simulate.sketch import Way

_ACROSS, _ALONG, _SHARE = 2, 4, 0.6
_CLEAR_M = 24.0
_BODY = (0.92, 0.92, 0.92, 0.86)
_TAILS = np.array([
    (0.20, 0.30, 0.55, 0.30), (0.62, 0.18, 0.17, 0.55), (0.92, 0.92, 0.92, 0.86),
    (0.24, 0.26, 0.32, 0.26), (0.80, 0.60, 0.25, 0.70),
])  # fmt: skip
# Middle of each part along and left of the middle of the plane, half length and width, and its
# direction as cosine and sine of the angle to the body; metres.
_PARTS = (
    (0.0, 0.0, 19.0, 1.9, 1.0, 0.0),
    (-2.5, 8.6, 8.8, 1.9, 0.42, -0.9075),
    (-2.5, -8.6, 8.8, 1.9, 0.42, 0.9075),
    (-16.8, 3.0, 3.4, 1.1, 0.42, -0.9075),
    (-16.8, -3.0, 3.4, 1.1, 0.42, 0.9075),
)
_TOP_M = 4.5


def planes(b: Blocks, things: Objects) -> Decals:
    """Return planes that keep clear of buildings and runways."""
    at = np.flatnonzero(b.form == Form.TERMINAL)
    places = _ACROSS * _ALONG
    n, k = np.repeat(at, places), np.tile(np.arange(places), len(at))
    key = noise.key(noise.key(b.key[n], 460), k)
    east = (k % _ACROSS + noise.uniform(key, 1, 0.42, 0.58)) * (BLOCK_E_M / _ACROSS)
    north = (k // _ACROSS + noise.uniform(key, 2, 0.42, 0.58)) * (BLOCK_N_M / _ALONG)
    x, y = from_lattice(b.i[n] * BLOCK_E_M + east, b.j[n] * BLOCK_N_M + north)
    runways = things.ways.take(things.ways.code == Way.RUNWAY)
    kept = _is_clear(x, y, things.buildings) & _is_clear(x, y, runways)
    kept &= noise.uniform(key, 3) < _SHARE
    x, y, key = x[kept], y[kept], key[kept]
    # A direction without a sine: a point of the square, pushed out to the circle.
    dx, dy = noise.uniform(key, 4, -1.0, 1.0), noise.uniform(key, 5, -1.0, 1.0)
    far = np.maximum(np.sqrt(dx * dx + dy * dy), 1e-3)
    ux, uy = dx / far, dy / far
    colour = _TAILS[np.floor(noise.uniform(key, 6) * len(_TAILS)).astype(np.int64)]
    on = any_of(Stuff.APRON)
    parts = []
    for number, (along, across, half_u, half_v, cos, sin) in enumerate(_PARTS):
        body = Rects(
            x + along * ux - across * uy, y + along * uy + across * ux,
            np.full(len(x), half_u), np.full(len(x), half_v),
            ux * cos - uy * sin, uy * cos + ux * sin, codes_of(len(x), 0),
        )  # fmt: skip
        parts.append(decals(body, colour if number > 2 else _BODY, on, top=_TOP_M))
    return Decals.join(parts)


def _is_clear(x: Floats, y: Floats, bodies: Rects) -> NDArray[np.bool_]:
    """Return which points (N,) keep clear of all rectangles."""
    dx, dy = x[:, None] - bodies.x, y[:, None] - bodies.y
    off_u = np.abs(dx * bodies.ux + dy * bodies.uy) - bodies.half_u
    off_v = np.abs(dy * bodies.ux - dx * bodies.uy) - bodies.half_v
    return np.asarray((np.maximum(off_u, off_v) > _CLEAR_M).all(axis=1))
