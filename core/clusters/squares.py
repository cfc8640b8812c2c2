"""Typical and unusual quadrats of a cluster."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """Rows of the table, and how far each lies from the cluster's centre."""

    typical: NDArray[np.int64]
    """Nearest to the centre first."""
    unusual: NDArray[np.int64]
    """Farthest from the centre first."""
    typical_distance: NDArray[np.float64]
    unusual_distance: NDArray[np.float64]


def squares(
    values: NDArray[np.float64], labels: NDArray[np.integer], cluster: int, *, count: int = 9
) -> Squares:
    """Return the quadrats nearest to the mean of a cluster and those farthest from it.

    Equal distances come in the order of the rows. A small cluster gives fewer; a quadrat can be in
    both lists.

    Args:
        values: (N, F), finite.
        labels: (N,).
        cluster: Its number.
        count: How many of each at most.

    Raises:
        InputError: No quadrat has that number.
    """
    rows = np.flatnonzero(labels == cluster)
    if not rows.size:
        raise InputError(
            N_("There is no cluster {cluster}."),
            hint=N_("There are: {known}."),
            cluster=cluster,
            known=", ".join(str(number) for number in np.unique(labels)[:50]),
        )
    inside = values[rows]
    apart = np.sqrt(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))
    near = np.argsort(apart, kind="stable")[:count]
    far = np.argsort(-apart, kind="stable")[:count]
    return Squares(rows[near], rows[far], apart[near], apart[far])
