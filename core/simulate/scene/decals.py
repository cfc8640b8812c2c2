"""Decals: small rectangles laid on the picture, from lane markings to cars and roof units.

Unlike the ground, a decal covers the pixels at its edges in part, so that a line of 30 cm is a
faint one.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.simulate.noise import Floats
from core.simulate.scene.texture import jit
from core.simulate.shapes import Rects, _Table

FLAT = -1.0
"""Height of a decal that is only paint."""
PAINT, THING, CAR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Decals(_Table):
    """Rectangles with a colour, each column of shape (N,) or (N, 4); metres in EPSG:32616.

    Attributes:
        colour: Red, green, blue, near infrared, 0 to 1.
        alpha: How much of what lies below they hide.
        top: Metres above ground; `FLAT` for paint, which leaves the height as it is.
        on: Materials that they may lie on, as bits.
        sort: `PAINT` is cut where it may not lie; a `THING` stands only where all of its ground is
            of those materials; a `CAR` is a thing with dark windows, `u` towards its front.
    """

    x: Floats
    y: Floats
    half_u: Floats
    half_v: Floats
    ux: Floats
    uy: Floats
    colour: Floats
    alpha: Floats
    top: Floats
    on: NDArray[np.int64]
    sort: NDArray[np.int64]


def decals(
    rects: Rects,
    colour: Floats | tuple[float, ...],
    on: int,
    *,
    alpha: Floats | float = 1.0,
    top: Floats | float = FLAT,
    sort: int = PAINT,
) -> Decals:
    """Return rectangles as decals; what is one number or one colour goes for all."""
    count = len(rects)
    return Decals(
        rects.x, rects.y, rects.half_u, rects.half_v, rects.ux, rects.uy,
        np.broadcast_to(np.asarray(colour, np.float64), (count, 4)),
        np.broadcast_to(np.asarray(alpha, np.float64), count),
        np.broadcast_to(np.asarray(top, np.float64), count),
        np.full(count, on, np.int64), np.full(count, sort),
    )  # fmt: skip


def shifted(r: Rects, along: Floats, across: Floats, half_u: Floats, half_v: Floats) -> Rects:
    """Return rectangles of other sizes at metres along and left of the middles of `r`."""
    return Rects(
        r.x + along * r.ux - across * r.uy, r.y + along * r.uy + across * r.ux,
        np.broadcast_to(half_u, r.x.shape).astype(np.float64),
        np.broadcast_to(half_v, r.x.shape).astype(np.float64), r.ux, r.uy, r.code,
    )  # fmt: skip


@jit
def _stands(stuff, place, x, y, hu, hv, ux, uy, on):
    """Return whether the middle and the corners lie in the picture on materials of `on`."""
    west, north = place
    rows, cols = stuff.shape
    for k in range(5):
        du = hu * ((k & 1) * 2.0 - 1.0) if k < 4 else 0.0
        dv = hv * ((k >> 1) * 2.0 - 1.0) if k < 4 else 0.0
        c = int(np.floor(x + du * ux - dv * uy - west))
        r = int(np.floor(north - (y + du * uy + dv * ux)))
        if r < 0 or c < 0 or r >= rows or c >= cols or not (on >> stuff[r, c]) & 1:
            return False
    return True


@jit
def lay(stuff, albedo, height, light, place, shape, colour, alpha, top, on, sort):
    """Lay decals in their order.

    Args:
        stuff: (R, C) materials.
        albedo: (R, C, 4), changed.
        height: (R, C) metres above ground, changed.
        light: (R, C) sunlight by the slope of the surface, changed.
        place: West and north edge, metres.
        shape: (N, 6) x, y, half_u, half_v, ux, uy.
        colour: (N, 4).
        alpha: (N,), as are `top`, `on`, `sort`; see `Decals`.
    """
    west, north = place
    rows, cols = stuff.shape
    for n in range(len(shape)):
        x, y, hu, hv, ux, uy = shape[n]
        reach_x = hu * abs(ux) + hv * abs(uy) + 0.75
        reach_y = hu * abs(uy) + hv * abs(ux) + 0.75
        c0 = max(int(np.floor(x - reach_x - west)), 0)
        c1 = min(int(np.floor(x + reach_x - west)) + 1, cols)
        r0 = max(int(np.floor(north - y - reach_y)), 0)
        r1 = min(int(np.floor(north - y + reach_y)) + 1, rows)
        if c0 >= c1 or r0 >= r1:
            continue
        if sort[n] != PAINT and not _stands(stuff, place, x, y, hu, hv, ux, uy, on[n]):
            continue
        widest_u, widest_v = min(1.0, 2.0 * hu), min(1.0, 2.0 * hv)
        for r in range(r0, r1):
            dy = north - (r + 0.5) - y
            for c in range(c0, c1):
                if not (on[n] >> stuff[r, c]) & 1:
                    continue
                dx = west + (c + 0.5) - x
                ahead = dx * ux + dy * uy
                u, v = abs(ahead), abs(dy * ux - dx * uy)
                share = min(hu + 0.5 - u, widest_u)
                if share <= 0.0:
                    continue
                across = min(hv + 0.5 - v, widest_v)
                if across <= 0.0:
                    continue
                share *= across * alpha[n]
                tone = 1.0
                if sort[n] == CAR and v < hv:
                    ahead /= hu
                    if 0.08 < ahead < 0.46 or -0.84 < ahead < -0.52:
                        tone = 0.55
                for band in range(4):
                    albedo[r, c, band] += (colour[n, band] * tone - albedo[r, c, band]) * share
                if top[n] >= 0.0 and u < hu and v < hv:
                    height[r, c] = max(height[r, c], top[n])
                    light[r, c] = 1.0


def lay_all(
    stuff: NDArray[np.uint8],
    albedo: NDArray[np.float32],
    height: NDArray[np.float32],
    light: NDArray[np.float32],
    place: tuple[float, float],
    table: Decals,
) -> None:
    """Lay a table of decals; see `lay`."""
    shape = np.stack(
        [table.x, table.y, table.half_u, table.half_v, table.ux, table.uy], axis=1
    )
    lay(
        stuff, albedo, height, light, place, shape, table.colour, table.alpha, table.top,
        table.on, table.sort,
    )  # fmt: skip
