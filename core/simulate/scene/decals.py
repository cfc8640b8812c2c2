"""Decals: small rectangles laid on the picture, from lane markings to cars and roof units.

Unlike the ground, a decal covers the pixels at its edges in part, so that a line of 30 cm is a
faint one.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.simulate.noise import Floats
from core.simulate.scene.picture import Picture, span
from core.simulate.scene.texture import jit
from core.simulate.shapes import OneOrEach, Rects, Table, column

FLAT = -1.0
"""Height of a decal that is only paint."""
PAINT, THING, CAR = 0, 1, 2
_WINDSCREEN, _REAR = 0.42, 0.8  # of the brightness of the paint


@dataclass(frozen=True, slots=True)
class Decals(Table):
    """Rectangles with a colour, each column of shape (N,) or (N, 4); metres in EPSG:32616.

    Attributes:
        colour: Red, green, blue, near infrared, 0 to 1.
        alpha: How much of what lies below they hide.
        top: Metres above ground; `FLAT` for paint, which leaves the height as it is.
        on: Materials that they may lie on, as bits.
        sort: `PAINT` is cut where it may not lie; a `THING` stands only where all of its ground is
            of those materials; a `CAR` is a thing with dark glass, `u` towards its front.
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
    alpha: OneOrEach = 1.0,
    top: OneOrEach = FLAT,
    sort: int = PAINT,
) -> Decals:
    """Return rectangles as decals; what is one number or one colour goes for all."""
    count = len(rects)
    if isinstance(colour, tuple):
        colour = np.full((count, 4), colour)
    return Decals(
        rects.x, rects.y, rects.half_u, rects.half_v, rects.ux, rects.uy, colour,
        column(alpha, count), column(top, count), np.full(count, on, np.int64),
        np.full(count, sort),
    )  # fmt: skip


@jit
def _stands(picture, shape, on):
    """Return whether the middle and the corners lie in the picture on materials of `on`."""
    x, y, hu, hv, ux, uy = shape
    rows, cols = picture.stuff.shape
    for k in range(5):
        du = hu * ((k & 1) * 2.0 - 1.0) if k < 4 else 0.0
        dv = hv * ((k >> 1) * 2.0 - 1.0) if k < 4 else 0.0
        c = int(np.floor(x + du * ux - dv * uy - picture.west))
        r = int(np.floor(picture.north - (y + du * uy + dv * ux)))
        inside = 0 <= r < rows and 0 <= c < cols
        if not inside or not (on >> picture.stuff[r, c]) & 1:
            return False
    return True


@jit
def _lay_one(picture, shape, colour, alpha, top, on, sort):
    """Lay one decal, see `Decals`; `shape` is x, y, half_u, half_v, ux, uy."""
    x, y, hu, hv, ux, uy = shape
    reach_x, reach_y = hu * abs(ux) + hv * abs(uy) + 0.75, hu * abs(uy) + hv * abs(ux) + 0.75
    r0, r1, c0, c1 = span(picture, x, y, reach_x, reach_y)
    if r0 >= r1 or c0 >= c1 or (sort != PAINT and not _stands(picture, shape, on)):
        return
    for r in range(r0, r1):
        dy = picture.north - (r + 0.5) - y
        for c in range(c0, c1):
            dx = picture.west + (c + 0.5) - x
            ahead, left = dx * ux + dy * uy, dy * ux - dx * uy
            # How much of the pixel lies between the long and between the short sides.
            along = min(hu + 0.5 - abs(ahead), min(1.0, 2.0 * hu))
            across = min(hv + 0.5 - abs(left), min(1.0, 2.0 * hv))
            if along <= 0.0 or across <= 0.0 or not (on >> picture.stuff[r, c]) & 1:
                continue
            share = along * across * alpha
            tone = 1.0
            if sort == CAR and abs(left) < hv:
                part = ahead / hu
                if 0.1 < part < 0.5:
                    tone = _WINDSCREEN
                elif part < -0.55:
                    tone = _REAR
            for band in range(4):
                under = picture.albedo[r, c, band]
                picture.albedo[r, c, band] = under + (colour[band] * tone - under) * share
            if top >= 0.0 and abs(ahead) < hu and abs(left) < hv:
                picture.height[r, c] = max(picture.height[r, c], top)
                picture.light[r, c] = 1.0


@jit
def _lay(picture, shape, colour, alpha, top, on, sort):
    for n in range(len(shape)):
        _lay_one(picture, shape[n], colour[n], alpha[n], top[n], on[n], sort[n])


def lay(picture: Picture, table: Decals) -> None:
    """Lay decals in their order."""
    shape = np.stack([table.x, table.y, table.half_u, table.half_v, table.ux, table.uy], axis=1)
    _lay(picture, shape, table.colour, table.alpha, table.top, table.on, table.sort)
