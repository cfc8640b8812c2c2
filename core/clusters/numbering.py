"""Which cluster is number 0, 1, 2 …: a rule, so that the accident of a seed is not seen.

For the smallest k the largest cluster is 0, and so on; of equal ones that with the earliest quadrat
comes first. From one k to the next, each cluster keeps the number of the one it shares most
quadrats with (the pairing that keeps the most quadrats of all); those without a forerunner get the
next free numbers, the largest first. So moving k by one leaves most numbers, names and colours
where they were.
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
    return number[inverse]


def numbered(runs: Sequence[Labels]) -> list[NDArray[np.int32]]:
    """Number the labels of growing k by the rule of this module.

    Args:
        runs: Labels (N,) for one k after the other, each numbered in any way.

    Returns:
        The same clusters, numbered 0 to k - 1.
    """
    done: list[NDArray[np.int32]] = []
    for labels in runs:
        ordered = by_size(labels)
        done.append(_following(done[-1], ordered) if done else ordered)
    return done


def shared(first: Labels, second: Labels) -> NDArray[np.int64]:
    """Return how many quadrats clusters have in common, (clusters of first, of second)."""
    shape = int(first.max()) + 1, int(second.max()) + 1
    pairs = first.astype(np.int64) * shape[1] + second
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def _following(before: NDArray[np.int32], labels: NDArray[np.int32]) -> NDArray[np.int32]:
    common = shared(before, labels)
    old, new = linear_sum_assignment(common, maximize=True)
    # A number from k on can be in use before where a k has lost a cluster.
    kept = (common[old, new] > 0) & (old < common.shape[1])
    number = np.full(common.shape[1], -1, np.int32)
    number[new[kept]] = old[kept]
    waiting = np.flatnonzero(number < 0)
    number[waiting] = np.setdiff1d(np.arange(common.shape[1]), old[kept])
    return number[labels]
