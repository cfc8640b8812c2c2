"""From p-values to classes: what a square is called at a level, under a correction.

Nothing is permuted here, so another level or correction answers at once.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_

Correction = Literal["bh", "none"]
CORRECTIONS: tuple[Correction, ...] = ("bh", "none")


@dataclass(frozen=True, slots=True)
class SpotClass:
    """A class of squares: its code, its name and the one colour it has everywhere."""

    code: int
    name: str
    colour: str


NOT_SIGNIFICANT, HOT, DOUGHNUT, COLD, DIAMOND, ISLAND, MISSING = range(7)
# Codes 1 to 4 are esda's quadrants. Red and blue of one lightness pair up for every kind of eye:
# strong where a square is like its neighbours, pale where it differs from them.
CLASSES: tuple[SpotClass, ...] = (
    SpotClass(NOT_SIGNIFICANT, N_("not significant"), "#E3E3E0"),
    SpotClass(HOT, N_("hot spot"), "#B2182B"),
    SpotClass(DOUGHNUT, N_("doughnut"), "#92C5DE"),
    SpotClass(COLD, N_("cold spot"), "#2166AC"),
    SpotClass(DIAMOND, N_("diamond"), "#F4A582"),
    SpotClass(ISLAND, N_("island"), "#8A8A80"),
    SpotClass(MISSING, N_("missing"), "#FFFFFF"),
)


def check_level(level: float) -> None:
    """Refuse a level that is none.

    Raises:
        InputError: It is not above 0 and below 1.
    """
    if not 0 < level < 1:
        raise InputError(
            N_("{level} is no level of significance."),
            hint=N_("Give one between 0 and 1, such as 0.05."),
            level=level,
        )


def significant(
    p: NDArray[np.float64], *, level: float, correction: Correction
) -> NDArray[np.bool_]:
    """Tell which p-values count as significant; NaN never does.

    `none`: p < level. `bh`: at most `level` of those called significant are so by chance, on
    average (the false discovery rate).

    Reference: Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57(1), 289-300.

    Raises:
        InputError: The level is not between 0 and 1, or there is no such correction.
    """
    check_level(level)
    if correction == "none":
        return np.asarray(p < level)
    if correction != "bh":
        raise InputError(
            N_("There is no correction {name!r}."),
            hint=N_("There are: {known}."),
            name=str(correction)[:40],
            known=", ".join(CORRECTIONS),
        )
    ranked = np.sort(p[~np.isnan(p)])
    fits = np.flatnonzero(ranked <= level * np.arange(1, len(ranked) + 1) / max(len(ranked), 1))
    return np.asarray(p <= ranked[fits[-1]]) if len(fits) else np.zeros(p.shape, bool)
