"""Which chips of a set are looked at: by split, land cover, cluster, label, date, warning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from core.chips.quality import Quality
from core.chips.tables import SHARE

if TYPE_CHECKING:
    import pandas as pd

Warned = Literal["", "blurred", "alike", "across", "gaps"]
WARNINGS: tuple[Warned, ...] = ("blurred", "alike", "across", "gaps")
"""Far less detail than most; nearly like another; so, one in train and one in test; pixels missing.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a chip must be; an empty field asks nothing."""

    split: str = ""
    cover: int | None = None
    """Code of a class of land cover; chips with more of it come first."""
    low: float = 0.0
    high: float = 1.0
    """Smallest and largest share of that class."""
    cluster: int | None = None
    label: str = ""
    date: str = ""
    """How the date begins: `2009` or `2009-08-18`."""
    warning: Warned = ""

    @property
    def is_all(self) -> bool:
        """Tell whether nothing is asked."""
        return self == Wanted()


def matching(
    table: "pd.DataFrame", wanted: Wanted, quality: Quality | None = None
) -> NDArray[np.int64]:
    """Return the numbers of the chips that are as wanted.

    In the order of the set; the worst first where a warning is asked for, else those with most of
    the land cover where one is. A column that the table has not, or a warning without `quality`,
    matches no chip.

    Args:
        table: Of a set, a row a chip.
        wanted: What a chip must be.
        quality: What was found in the set; only needed for a warning.
    """
    fits = np.ones(len(table), bool)
    if wanted.split:
        fits &= table["split"].to_numpy() == wanted.split
    for name, value in (("cluster", wanted.cluster), ("label", wanted.label or None)):
        if value is not None:
            fits &= _column(table, name, value)
    if wanted.date:
        dates = table["date"].astype(str) if "date" in table else None
        fits &= False if dates is None else dates.str.startswith(wanted.date).to_numpy(bool)
    order = np.arange(len(table))
    if wanted.cover is not None:
        name = f"{SHARE}{wanted.cover}"
        shares = table[name].to_numpy(float) if name in table else np.full(len(table), -1.0)
        fits &= (shares >= wanted.low - 1e-6) & (shares <= wanted.high + 1e-6)
        order = np.argsort(-shares, kind="stable")
    if wanted.warning:
        order = warned(wanted.warning, quality) if quality is not None else order[:0]
    found: NDArray[np.int64] = order[fits[order]]
    return found


def warned(warning: Warned, quality: Quality) -> NDArray[np.int64]:
    """Return the chips that a warning is about, the worst first; pairs stand side by side."""
    if warning == "blurred":
        return quality.blurred
    if warning == "gaps":
        order: NDArray[np.int64] = np.argsort(quality.valid, kind="stable")
        return order[quality.valid[order] < 1]
    pairs = quality.duplicates.pairs
    if warning == "across":
        pairs = pairs[quality.duplicates.across]
    _, first = np.unique(pairs.ravel(), return_index=True)
    return pairs.ravel()[np.sort(first)]


def dates_of(table: "pd.DataFrame") -> dict[str, int]:
    """Return the dates of the chips and how many there are of each, oldest first."""
    return _counts(table, "date")


def clusters_of(table: "pd.DataFrame") -> dict[int, int]:
    """Return the clusters under the chips and how many lie on each."""
    found = _counts(table, "cluster")
    return {int(number): count for number, count in found.items()}


def covers_of(table: "pd.DataFrame") -> list[int]:
    """Return the codes of land cover that any chip holds, the largest share first."""
    names = [name for name in table.columns if name.startswith(SHARE)]
    means = {int(name.removeprefix(SHARE)): float(table[name].mean()) for name in names}
    return sorted((code for code, mean in means.items() if mean > 0), key=lambda c: (-means[c], c))


def cover_shares(table: "pd.DataFrame", codes: list[int]) -> Mapping[str, list[float]]:
    """Return the mean share of each class over the chips of each split."""
    names = [f"{SHARE}{code}" for code in codes]
    groups = table.groupby("split")[names].mean()
    return {str(split): [float(value) for value in row] for split, row in
            zip(groups.index, groups.to_numpy(), strict=True)}  # fmt: skip


def _column(table: "pd.DataFrame", name: str, value: object) -> NDArray[np.bool_]:
    if name not in table:
        return np.zeros(len(table), bool)
    found: NDArray[np.bool_] = (table[name] == value).fillna(False).to_numpy(bool)
    return found


def _counts(table: "pd.DataFrame", name: str) -> dict[str, int]:
    if name not in table:
        return {}
    counts = table[name].dropna().value_counts().sort_index()
    return {str(value): int(count) for value, count in counts.items() if str(value)}
