"""Natural breaks: the split of numbers into classes that leaves the least spread within them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InputError, TooLargeError
from core.text import N_

_MOST_VALUES = 3_000


def natural_breaks(values: ArrayLike, k: int = 3) -> NDArray[np.float64]:
    """Return the largest value of each class, rising: the last is the largest of all.

    The sum of squared distances from the class means is the smallest there is (dynamic
    programming over the sorted values, no search). Fewer than `k` different values make fewer
    classes. Equal values are never parted.

    Reference: Fisher (1958), J. Am. Stat. Assoc. 53, 789-798; Jenks (1977).

    Args:
        values: Numbers, any order; NaN is left out.
        k: Number of classes.

    Raises:
        InputError: There is no value, or k is below 1.
        TooLargeError: More than 3,000 different values.
    """
    given = np.asarray(values, np.float64).ravel()
    given = given[np.isfinite(given)]
    if len(given) == 0 or k < 1:
        raise InputError(
            N_("{count} values cannot be put into {classes} classes."), count=len(given), classes=k
        )
    unique, weight = np.unique(given, return_counts=True)
    n, k = len(unique), min(k, len(unique))
    if n > _MOST_VALUES:
        raise TooLargeError(
            N_("Natural breaks of {count:,} different values would take too long."), count=n
        )
    centred = unique - unique.mean()
    ends = [np.concatenate([[0.0], np.cumsum(weight * centred**power)]) for power in (0, 1, 2)]

    def spread(first: NDArray[np.int64], stop: int) -> NDArray[np.float64]:
        """Return the squared spread of values first … stop - 1, for several firsts."""
        count, total, square = (end[stop] - end[first] for end in ends)
        return np.asarray(square - total * total / count, np.float64)

    best = np.full((k + 1, n + 1), np.inf)
    best[0, 0] = 0.0
    cut = np.zeros((k + 1, n + 1), np.int64)
    for classes in range(1, k + 1):
        for stop in range(classes, n + 1):
            first = np.arange(classes - 1, stop)
            cost = best[classes - 1, first] + spread(first, stop)
            at = int(np.argmin(cost))
            best[classes, stop], cut[classes, stop] = cost[at], first[at]
    uppers, stop = np.empty(k), n
    for classes in range(k, 0, -1):
        uppers[classes - 1] = unique[stop - 1]
        stop = int(cut[classes, stop])
    return uppers


def ranks_by_breaks(values: ArrayLike, k: int = 3) -> NDArray[np.int64]:
    """Return the class of each value, 0 the lowest; -1 where it is NaN.

    Raises:
        InputError, TooLargeError: See `natural_breaks`.
    """
    given = np.asarray(values, np.float64)
    found = np.searchsorted(natural_breaks(given, k), given, side="left")
    return np.where(np.isfinite(given), found, -1)
