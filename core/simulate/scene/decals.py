"""Decals: small rectangles laid on the picture, from lane markings to cars and roof units.

Unlike the ground, a decal covers the pixels at its edges in part, so that a line of 30 cm is a
faint one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.simulate.noise import Floats
from core.simulate.scene import kernels
from core.simulate.scene.kernels import PAINT
from core.simulate.scene.picture import Picture
from core.simulate.shapes import OneOrEach, Rects, Table, column

NO_TOP = -1.0
"""Height of a decal that is only paint."""


@dataclass(frozen=True, slots=True)
class Decals(Table):
    """Rectangles with a colour, each column of shape (N,) or (N, 4); metres in EPSG:32616.

    Attributes:
        colour: Red, green, blue, near infrared, 0 to 1.
        alpha: How much of what lies below they hide.
        top: Metres above ground; `NO_TOP` for paint, which leaves the height as it is.
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
    top: OneOrEach = NO_TOP,
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


def lay(picture: Picture, table: Decals) -> None:
    """Lay decals in their order."""
    shape = np.stack([table.x, table.y, table.half_u, table.half_v, table.ux, table.uy], axis=1)
    kernels.lay(picture, shape, table.colour, table.alpha, table.top, table.on, table.sort)
