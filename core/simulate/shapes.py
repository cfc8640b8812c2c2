"""Many rectangles and discs as arrays: what every object of the city is made of."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.simulate.noise import Floats

OneOrEach = Floats | float
"""One number for all rows, or one for each."""


class Table:
    """Columns of one length; a dataclass of arrays adds the columns."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the rows that `which` selects, in their order."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))  # type: ignore[arg-type]

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Return all rows of `parts`, one table after the other."""
        return cls(
            *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls))  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class Rects(Table):
    """Rectangles, each column of shape (N,); metres in EPSG:32616.

    The side of half length `half_u` runs along the unit vector (`ux`, `uy`), that of `half_v` at a
    right angle to it, turned left. `code` is a class, a number of storeys or a kind. Later rows
    lie on top of earlier ones.
    """

    x: Floats
    y: Floats
    half_u: Floats
    half_v: Floats
    ux: Floats
    uy: Floats
    code: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Discs(Table):
    """Discs, each column of shape (N,); metres in EPSG:32616."""

    x: Floats
    y: Floats
    radius: Floats
    code: NDArray[np.int16]


def column(value: OneOrEach, count: int) -> Floats:
    """Return `value` as a column of `count` rows, one number for all of them or one for each."""
    return np.full(count, value, np.float64) if np.ndim(value) == 0 else np.asarray(value)


def each(count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, number within the row) of all items, where row n has `count[n]` of them."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)


def codes_of(count: int, code: int) -> NDArray[np.int16]:
    """Return one code for `count` rows."""
    return np.full(count, code, np.int16)


def shifted(
    r: Rects, along: OneOrEach, across: OneOrEach, half_u: OneOrEach, half_v: OneOrEach
) -> Rects:
    """Return rectangles of other sizes at metres along and left of the middles of `r`."""
    return Rects(
        r.x + along * r.ux - across * r.uy, r.y + along * r.uy + across * r.ux,
        column(half_u, len(r)), column(half_v, len(r)), r.ux, r.uy, r.code,
    )  # fmt: skip
