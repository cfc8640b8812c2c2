"""What each cluster holds: the share of its quadrats by bin, for every factor.

Recommended reading: zeros are a bin of their own, so that each column is a distribution over the
bins. Document reading: right-closed bins only, and zeros fall in none; shares are of all members.

Reference: METHODS, row "Signature".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_
from core.workspace import Method

EDGES = (0.0, 0.3, 0.6, 1.0)
_MOST_EDGES = 41


@dataclass(frozen=True, slots=True, eq=False)
class Signatures:
    """Shares by cluster, bin and factor; bins ascend."""

    shares: NDArray[np.float64]
    """(k, bins, F), 0 to 1."""
    clusters: tuple[int, ...]
    sizes: tuple[int, ...]
    bins: tuple[str, ...]
    columns: tuple[str, ...]
    method: Method

    def frame(self) -> pd.DataFrame:
        """Return a row a cluster and bin, a column a factor."""
        index = pd.MultiIndex.from_product([self.clusters, self.bins], names=["cluster", "bin"])
        flat = self.shares.reshape(-1, len(self.columns))
        return pd.DataFrame(flat, index=index, columns=list(self.columns))


def signatures(
    table: pd.DataFrame,
    labels: NDArray[np.integer],
    *,
    edges: Sequence[float] = EDGES,
    method: Method = "recommended",
) -> Signatures:
    """Count the quadrats of each cluster by bin.

    A value on an edge belongs to the bin below it. The document's reading counts missing values
    and those outside the edges in the size of a cluster, but in no bin.

    Args:
        table: (N, F) values, usually 0 to 1.
        labels: (N,) whole numbers from 0; a number that does not occur is no cluster.
        edges: Ascending; the first bin of the recommended reading is what equals the first edge.
        method: Which reading.

    Raises:
        InputError: The edges do not ascend, the lengths differ, or (recommended) a value is missing
            or outside the edges; the message names the column.
    """
    limits = _checked_edges(edges)
    if len(labels) != len(table) or table.empty:
        raise InputError(
            N_("There are {labels:,} labels for {rows:,} quadrats."),
            labels=len(labels),
            rows=len(table),
        )
    values = table.to_numpy(np.float64)
    if method == "recommended":
        _check_inside(table, values, limits)
    clusters, member, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    num_bins = len(limits) + 1  # one below the first edge, one above the last
    counts = np.empty((len(clusters), num_bins, values.shape[1]))
    for at, column in enumerate(values.T):
        # NaN sorts behind everything, so it falls in the bin above the last edge.
        pairs = member * num_bins + np.searchsorted(limits, column, side="left")
        counts[:, :, at] = np.bincount(pairs, minlength=counts[:, :, at].size).reshape(-1, num_bins)
    first = 0 if method == "recommended" else 1
    names = tuple(f"({low}, {high}]" for low, high in pairwise(limits.tolist()))
    return Signatures(
        shares=counts[:, first:-1] / sizes[:, None, None],
        clusters=tuple(int(cluster) for cluster in clusters),
        sizes=tuple(int(size) for size in sizes),
        bins=(f"{limits[0]:g}", *names) if method == "recommended" else names,
        columns=tuple(str(name) for name in table.columns),
        method=method,
    )


def _checked_edges(edges: Sequence[float]) -> NDArray[np.float64]:
    limits = np.asarray(edges, np.float64)
    is_usable = limits.ndim == 1 and 2 <= limits.size <= _MOST_EDGES and np.isfinite(limits).all()
    if not is_usable or not (np.diff(limits) > 0).all():
        raise InputError(
            N_("{edges} are no edges of bins."),
            hint=N_("Give 2 to {most} ascending numbers, such as 0, 0.3, 0.6, 1."),
            edges=", ".join(f"{edge:g}" for edge in limits.ravel()[:_MOST_EDGES]) or "-",
            most=_MOST_EDGES,
        )
    return limits


def _check_inside(
    table: pd.DataFrame, values: NDArray[np.float64], limits: NDArray[np.float64]
) -> None:
    # Written so that a missing value is outside as well.
    outside = ~((values >= limits[0]) & (values <= limits[-1]))
    if outside.any():
        raise InputError(
            N_(
                "{count:,} quadrats of {column} are missing or outside the bins"
                " ({low:g} to {high:g})."
            ),
            hint=N_("Fill or normalise the column, or let the bins reach further."),
            count=int(outside.sum(axis=0).max()),
            column=str(table.columns[int(outside.sum(axis=0).argmax())]),
            low=limits[0],
            high=limits[-1],
        )


def read_edges(text: str) -> tuple[float, ...]:
    """Read edges of bins such as `0, 0.3, 0.6, 1`.

    Raises:
        InputError: A part is no number, they do not ascend, or there are too few or too many.
    """
    try:
        edges = tuple(float(part) for part in text.replace(";", ",").split(",") if part.strip())
    except ValueError:
        raise InputError(
            N_("{text!r} are no edges of bins."),
            hint=N_("Write ascending numbers parted by commas: 0, 0.3, 0.6, 1"),
            text=text[:80],
        ) from None
    _checked_edges(edges)
    return edges
