"""Name clusters by what they hold: `mostly water, some grass`.

A name is a list of parts, so that a page can say it in another language and with the names of the
legend. Classes come by how much more of them a cluster holds than all quadrats do; values by how
far the cluster's mean is from the mean of all. Two clusters that would get the same name get
further parts until they differ, or until nothing more can be said.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.normalise import class_columns
from core.text import N_

Amount = Literal["mostly", "much", "some", "high", "low"]

TEMPLATES: dict[Amount, str] = {
    "mostly": N_("mostly {name}"),
    "much": N_("a lot of {name}"),
    "some": N_("some {name}"),
    "high": N_("high {name}"),
    "low": N_("low {name}"),
}
_PARTS = 2
_MOSTLY, _MUCH, _SOME = 0.5, 0.25, 0.05
# A mean this many standard deviations off is worth a word; 8 of them weigh as much as a class that
# fills a cluster and occurs nowhere else.
_FAR, _WHOLE = 0.75, 8.0


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a cluster holds.

    `weight` is the mean share of a class, 0 to 1; of a value, how many standard deviations (of all
    quadrats) the cluster's mean is off.
    """

    column: str
    amount: Amount
    weight: float


def holdings(table: pd.DataFrame, labels: NDArray[np.integer]) -> dict[int, tuple[Part, ...]]:
    """Return the parts of the name of each cluster.

    Args:
        table: (N, F) normalised values without gaps: `<layer>_fre_<code>` are shares of classes.
        labels: (N,) whole numbers from 0.
    """
    classes = {name for names in class_columns(table.columns).values() for name in names}
    is_class = np.array([name in classes for name in table.columns])
    values = table.to_numpy(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    std[std == 0] = 1.0
    told: dict[int, list[Part]] = {}
    for cluster in np.unique(labels):
        inside = values[labels == cluster].mean(axis=0)
        off = (inside - mean) / std
        score = np.where(is_class, inside - mean, np.abs(off) / _WHOLE)
        enough = np.where(is_class, (inside >= _SOME) & (inside > mean), np.abs(off) >= _FAR)
        if not enough.any():  # just like the whole city: say what there is most of
            score = np.where(is_class, inside, np.abs(off) / _WHOLE)
            enough[score.argmax()] = True
        order = [at for at in np.argsort(-score, kind="stable") if enough[at]]
        told[int(cluster)] = [
            _part(str(table.columns[at]), bool(is_class[at]), float(inside[at]), float(off[at]))
            for at in order
        ]
    return _distinct(told)


def spoken(
    parts: tuple[Part, ...],
    names: Mapping[str, str],
    *,
    translate: Callable[[str], str] = str,
) -> str:
    """Return a name as text.

    Args:
        parts: From `holdings`.
        names: Column to what people call it; a column that is not there keeps its own name.
        translate: Applied to the templates, not to the names.
    """
    words = [
        translate(TEMPLATES[part.amount]).format(name=names.get(part.column, part.column))
        for part in parts
    ]
    return ", ".join(dict.fromkeys(words))  # two layers can call a class by the same name


def _part(column: str, is_class: bool, share: float, off: float) -> Part:
    if not is_class:
        return Part(column, "high" if off > 0 else "low", off)
    amount: Amount = "mostly" if share >= _MOSTLY else "much" if share >= _MUCH else "some"
    return Part(column, amount, share)


def _read(parts: list[Part]) -> tuple[Part, ...]:
    """Put parts in the order in which they read best: `mostly` before `some`."""
    amounts = list(TEMPLATES)
    return tuple(sorted(parts, key=lambda part: amounts.index(part.amount)))


def _distinct(told: dict[int, list[Part]]) -> dict[int, tuple[Part, ...]]:
    length = dict.fromkeys(told, _PARTS)
    while True:
        said = {
            cluster: tuple((part.column, part.amount) for part in parts[: length[cluster]])
            for cluster, parts in told.items()
        }
        count = Counter(said.values())
        longer = [
            cluster
            for cluster, parts in told.items()
            if count[said[cluster]] > 1 and length[cluster] < len(parts)
        ]
        if not longer:
            return {cluster: _read(parts[: length[cluster]]) for cluster, parts in told.items()}
        for cluster in longer:
            length[cluster] += 1
