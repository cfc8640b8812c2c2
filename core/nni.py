"""Are the scores of the factors spread evenly, or do they lump? An index for each k.

The mean gap from each score to its nearest one, over the gap that scores scattered by chance
between 0 and a length L would have: below 1 they lump, above 1 they keep apart.

Document reading: the gap by chance is 0.5 / √(n / L), the formula of the plane, and L the largest
score over all k. The index then grows with √c when all scores grow by c.

Recommended reading: n points scattered evenly on a line of length L have a mean nearest gap of
L (n + 2) / (2 n (n + 1)): L / (2 (n + 1)) for the inner ones, to the nearer of two neighbours, and
L / (n + 1) for the two outer ones, to their only one. L is the largest score of the same k, so
that the index does not fall merely because scores fall as k grows.

References: METHODS, row "1-D nearest neighbour index"; Clark & Evans (1954), Ecology 35 (plane).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_
from core.workspace import Method

# Standard error of the mean nearest gap in the plane, by the square root of n² / L (Clark & Evans).
_PLANE_ERROR = 0.26136


@dataclass(frozen=True, slots=True)
class Index:
    """The nearest neighbour index of some numbers on a line."""

    observed: float
    expected: float
    nni: float
    z: float | None
    """How many standard errors `observed` is off; the document's reading only."""
    std: float
    """Standard deviation of the numbers, with n - 1."""


def nni_1d(
    scores: NDArray[np.float64], *, length: float | None = None, method: Method = "recommended"
) -> Index:
    """Return the index of one k.

    Args:
        scores: (F,) finite numbers, 0 and above.
        length: L; None takes the largest score.
        method: Which reading.

    Raises:
        InputError: Fewer than two scores, one missing or below 0, or no length above 0.
    """
    values = np.asarray(scores, np.float64)
    whole = float(values.max(initial=0.0)) if length is None else length
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all() or values.min() < 0:
        raise InputError(
            N_("These scores have no nearest neighbour index."),
            hint=N_("Give two or more numbers, none missing and none below 0."),
        )
    if not (np.isfinite(whole) and whole > 0):
        raise InputError(
            N_("A nearest neighbour index needs a length above 0."),
            hint=N_("Scores that are all 0 have none."),
        )
    count = values.size
    gaps = np.diff(np.sort(values))
    around = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
    observed = float(around.mean())
    z = None
    if method == "document":
        expected = 0.5 / np.sqrt(count / whole)
        z = float((observed - expected) / (_PLANE_ERROR / np.sqrt(count**2 / whole)))
    else:
        expected = whole * (count + 2) / (2 * count * (count + 1))
    std = float(values.std(ddof=1))
    return Index(observed, float(expected), float(observed / expected), z, std)


def nni_table(scores: pd.DataFrame, *, method: Method = "recommended") -> pd.DataFrame:
    """Return the index of every k, ranked.

    Args:
        scores: A row a k, a column a factor.
        method: Which reading. The document's takes the largest score of the whole table as length.

    Returns:
        A row a k with `nni`, `std` and `rank`, and `z` in the document's reading; largest index
        first, of equal ones the one whose scores spread more.

    Raises:
        InputError: See `nni_1d`.
    """
    length = float(scores.to_numpy(np.float64).max()) if method == "document" else None
    found = {
        k: nni_1d(row.to_numpy(np.float64), length=length, method=method)
        for k, row in scores.iterrows()
    }
    rows = {k: {"nni": index.nni, "z": index.z, "std": index.std} for k, index in found.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(scores.index.name)
    if method == "recommended":
        table = table.drop(columns="z")
    table = table.sort_values(["nni", "std"], ascending=False, kind="stable")
    return table.assign(rank=np.arange(1, len(table) + 1))
