"""Which cluster is number 0, 1, 2 …, and which one it was when there was one cluster less.

Numbers go by size, the largest cluster 0; of equal ones that with the earliest quadrat comes first.
The rule looks at nothing but the grouping, so two runs that find the same groups number them alike,
whatever their seeds.

Moving k by one can shift the numbers. `lineage` gives each cluster a slot that it keeps meanwhile:
for colours that stay where they are while somebody moves k.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Labels = NDArray[np.integer]


def by_size(labels: Labels) -> NDArray[np.int32]:
    """Return labels (N,) numbered by size, the largest 0; ties by the earliest quadrat."""
    _, first, inverse, counts = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts))
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order))
    result: NDArray[np.int32] = number[inverse]
    return result


def lineage(runs: Sequence[Labels]) -> list[NDArray[np.int32]]:
    """Return for each of some labellings of growing k the slots (k,) of its clusters.

    Each cluster has the slot of the one that it shares most quadrats with in the labelling before
    (the pairing that keeps the most quadrats of all); those without a forerunner take the free
    slots in order. In the first one the slot is the number.

    Args:
        runs: Labels (N,), each numbered 0 to k - 1.
    """
    slots: list[NDArray[np.int32]] = []
    for at, labels in enumerate(runs):
        if at == 0:
            slots.append(np.arange(int(labels.max()) + 1, dtype=np.int32))
        else:
            slots.append(_following(slots[-1][runs[at - 1]], labels))
    return slots


def shared(first: Labels, second: Labels) -> NDArray[np.int64]:
    """Return how many quadrats clusters have in common, (clusters of first, of second)."""
    shape = int(first.max()) + 1, int(second.max()) + 1
    pairs = first.astype(np.int64) * shape[1] + second
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def _following(before: Labels, labels: Labels) -> NDArray[np.int32]:
    common = shared(before, labels)
    old, new = linear_sum_assignment(common, maximize=True)
    # A slot from k on can be in use where a labelling has lost a cluster.
    kept = (common[old, new] > 0) & (old < common.shape[1])
    slots = np.full(common.shape[1], -1, np.int32)
    slots[new[kept]] = old[kept]
    slots[slots < 0] = np.setdiff1d(np.arange(common.shape[1]), old[kept])
    return slots
