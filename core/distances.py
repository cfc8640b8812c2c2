"""How far clusters are apart by their signatures, which are nearly one, and merging them.

Recommended reading: for each factor the Jensen-Shannon distance of the two distributions over the
bins (base 2, the root taken), then the mean over factors: 0 the same, 1 nothing in common.

Document reading: the Jensen-Shannon sum over all bins of all factors at once, natural logarithm,
no root, nothing normalised: it can exceed 1.

References: METHODS, row "Distance of signatures"; Endres & Schindelin (2003), A new metric for
probability distributions, IEEE Transactions on Information Theory 49.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from core.errors import InputError
from core.signatures import Signatures
from core.text import N_

Floats = NDArray[np.float64]

# The document's library replaces smaller values by this, so that its logarithm exists.
_FLOOR = 1e-20
# Clusters nearer than this share of the middle distance are pointed out as nearly one.
NEARLY_ONE = 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The order in which clusters join, as SciPy's `linkage` has it."""

    merges: Floats
    """(k - 1, 4): the two that join, their distance, the number of clusters in the new one."""
    order: tuple[int, ...]
    """Rows of the distance matrix, so ordered that near ones stand side by side."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clusters, by their numbers, and how far they are apart."""

    first: int
    second: int
    distance: float


def distances(signatures: Signatures) -> Floats:
    """Return the distance of each cluster to each, (k, k), in the reading of the signatures."""
    shares = signatures.shares
    is_document = signatures.method == "document"
    if is_document:
        shares = np.maximum(shares, _FLOOR)
    result = np.empty((len(shares), len(shares)))
    for at, own in enumerate(shares):
        if is_document:
            result[at] = _divergence(own, shares, np.log).sum(axis=(1, 2))
        else:
            by_factor = _divergence(own, shares, np.log2).sum(axis=1)
            result[at] = np.sqrt(np.clip(by_factor, 0.0, 1.0)).mean(axis=1)
    return result


def nearest(matrix: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return for each row the nearest other one and its distance; of equal ones the first.

    Raises:
        InputError: There is one cluster only.
    """
    _check(matrix)
    others = matrix + np.diag(np.full(len(matrix), np.inf))
    index = others.argmin(axis=1)
    return index, others[np.arange(len(matrix)), index]


def tree(matrix: Floats) -> Tree:
    """Join clusters step by step by their mean distance (average linkage).

    Raises:
        InputError: There is one cluster only.
    """
    _check(matrix)
    merges = linkage(squareform(matrix, checks=False), "average", optimal_ordering=True)
    return Tree(merges, tuple(int(leaf) for leaf in leaves_list(merges)))


def nearly_one(matrix: Floats, clusters: Sequence[int], *, share: float = NEARLY_ONE) -> list[Pair]:
    """Return the pairs nearer than `share` of the median distance of all pairs, nearest first.

    With two clusters there is nothing to compare their distance with, and no pair.
    """
    first, second = np.triu_indices(len(matrix), 1)
    apart = matrix[first, second]
    if len(apart) < 2:
        return []
    pairs = [
        Pair(clusters[first[at]], clusters[second[at]], float(apart[at]))
        for at in np.argsort(apart, kind="stable")
    ]
    limit = share * float(np.median(apart))
    return [pair for pair in pairs if pair.distance <= limit]


def merged(
    labels: NDArray[np.integer], groups: Sequence[Sequence[int]]
) -> tuple[NDArray[np.int32], dict[int, int]]:
    """Merge clusters.

    Args:
        labels: (N,) whole numbers from 0.
        groups: Clusters that become one, such as [[0, 4], [2, 3, 7]]; the others stay alone.

    Returns:
        Labels numbered 0 and up without gaps in the order of the smallest old number of each, and
        from every old number to its new one.

    Raises:
        InputError: A group names an unknown cluster, one twice, or fewer than two.
    """
    known = [int(cluster) for cluster in np.unique(labels)]
    named = [cluster for group in groups for cluster in group]
    if (
        len(set(named)) < len(named)
        or not set(named) <= set(known)
        or any(len(group) < 2 for group in groups)
    ):
        raise InputError(
            N_("The clusters {groups} cannot be merged."),
            hint=N_("Name two or more clusters a group, each in one group only."),
            groups=str([list(group) for group in groups])[:80],
        )
    leader = {cluster: cluster for cluster in known}
    leader |= {cluster: min(group) for group in groups for cluster in group}
    number = {old: new for new, old in enumerate(sorted(set(leader.values())))}
    mapping = {cluster: number[leader[cluster]] for cluster in known}
    lookup = np.zeros(known[-1] + 1, np.int32)
    lookup[known] = [mapping[cluster] for cluster in known]
    return lookup[labels], mapping


def _divergence(own: Floats, shares: Floats, log: np.ufunc) -> Floats:
    """Return the terms of the Jensen-Shannon divergence of (B, F) to each of (k, B, F)."""
    both = own + shares
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(own > 0, own * log(2 * own / both), 0.0)
        other = np.where(shares > 0, shares * log(2 * shares / both), 0.0)
    terms: Floats = (one + other) / 2
    return terms


def _check(matrix: Floats) -> None:
    if len(matrix) < 2:
        raise InputError(
            N_("A single cluster has no distance to another."),
            hint=N_("Choose two clusters or more."),
        )
