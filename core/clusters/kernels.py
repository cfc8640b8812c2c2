"""The compiled inner loops of k-means: rows of a table against centres.

Distances are |x|² - 2x·c + |c|², with the centres side by side in memory (F, k), so that the inner
loop runs over centres; class shares are mostly zeros, and a zero costs nothing. Nothing is
reassociated (`fastmath` is off), so the bits do not hang on the machine's vector length.

`step` leaves rows out whose nearest centre cannot have changed. Reference: Hamerly (2010), Making
k-means even faster, SDM. It needs, for each row, `near`, at least the distance to its own centre,
and `other`, at most the distance to any other one.

Sums and counts are added to, never set: a caller merges chunks of rows in a fixed order.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np
from numba import njit

_jit = njit(nogil=True, cache=True, error_model="numpy")
_inline = njit(nogil=True, cache=True, error_model="numpy", inline="always")


@_inline
def _two_nearest(row, square, centres, norms, found):
    """Return the nearest centre, its distance and that of the second nearest."""
    for k in range(norms.size):
        found[k] = norms[k]
    for f in range(row.size):
        twice = -2.0 * row[f]
        if twice != 0.0:
            for k in range(norms.size):
                found[k] += twice * centres[f, k]
    best, near, other = 0, found[0], np.inf
    for k in range(1, norms.size):
        if found[k] < near:
            best, near, other = k, found[k], near
        elif found[k] < other:
            other = found[k]
    return best, np.sqrt(max(near + square, 0.0)), np.sqrt(max(other + square, 0.0))


@_inline
def _apart(row, square, centre, norm):
    """Return the distance of a row to one centre."""
    found = norm + square
    for f in range(row.size):
        if row[f] != 0.0:
            found -= 2.0 * row[f] * centre[f]
    return np.sqrt(max(found, 0.0))


@_jit
def assign(values, squares, centres, norms, labels, near, other, sums, counts):
    """Give each row its nearest centre; `near` and `other` become exact."""
    found = np.empty(norms.size)
    for i in range(values.shape[0]):
        row = values[i]
        label, near[i], other[i] = _two_nearest(row, squares[i], centres, norms, found)
        labels[i] = label
        counts[label] += 1
        for f in range(row.size):
            sums[label, f] += row[f]


@_jit
def step(values, squares, centres, norms, moved, rest, labels, near, other, sums, counts):
    """Reassign after the centres moved by `moved` (k,); `rest` (k,) is the farthest other move.

    A row with label -1 has lost its centre and gets a new one.
    """
    found = np.empty(norms.size)
    for i in range(values.shape[0]):
        row, old = values[i], labels[i]
        if old >= 0:
            near[i] += moved[old]
            other[i] -= rest[old]
            if near[i] < other[i]:
                continue
            near[i] = _apart(row, squares[i], centres[:, old], norms[old])
            if near[i] < other[i]:
                continue
        label, near[i], other[i] = _two_nearest(row, squares[i], centres, norms, found)
        if label == old:
            continue
        labels[i] = label
        counts[label] += 1
        for f in range(row.size):
            sums[label, f] += row[f]
        if old >= 0:
            counts[old] -= 1
            for f in range(row.size):
                sums[old, f] -= row[f]


@_jit
def join(values, squares, centre, norm, new, labels, near, other, sums, counts):
    """Let rows that are nearer to one new centre go over to it."""
    for i in range(values.shape[0]):
        row = values[i]
        far = _apart(row, squares[i], centre, norm)
        if far >= near[i]:
            other[i] = min(other[i], far)
            continue
        old = labels[i]
        other[i], near[i], labels[i] = near[i], far, new
        counts[new] += 1
        counts[old] -= 1
        for f in range(row.size):
            sums[new, f] += row[f]
            sums[old, f] -= row[f]


@_jit
def gains(values, squares, candidates, norms, near, total):
    """Add up how much the inertia would fall with each candidate as a further centre."""
    found = np.empty(norms.size)
    for i in range(values.shape[0]):
        for j in range(norms.size):
            found[j] = norms[j]
        for f in range(values.shape[1]):
            twice = -2.0 * values[i, f]
            if twice != 0.0:
                for j in range(norms.size):
                    found[j] += twice * candidates[f, j]
        for j in range(norms.size):
            total[j] += max(near[i] * near[i] - max(found[j] + squares[i], 0.0), 0.0)


@_jit
def group_sums(values, labels, sums, counts):
    """Add up the rows and their number by label."""
    for i in range(values.shape[0]):
        counts[labels[i]] += 1
        for f in range(values.shape[1]):
            sums[labels[i], f] += values[i, f]


@_jit
def spread(values, labels, centres, squared, plain):
    """Add up squared and plain distances of the rows to their own centre, by label."""
    for i in range(values.shape[0]):
        label = labels[i]
        square = 0.0
        for f in range(values.shape[1]):
            gap = values[i, f] - centres[label, f]
            square += gap * gap
        squared[label] += square
        plain[label] += np.sqrt(square)


@_jit
def silhouettes(values, first, last, labels, sizes, widths):
    """Write the silhouette of rows `first` to `last` for every labelling into `widths`.

    `labels` is (n, K) and `sizes` (K, most): the distances of one row are used for all K.
    """
    num, num_runs = labels.shape
    columns = np.ascontiguousarray(values.T)
    far = np.empty(num)
    sums = np.empty(sizes.shape[1])
    for i in range(first, last):
        far[:] = 0.0
        for f in range(columns.shape[0]):
            own_value = columns[f, i]
            for j in range(num):
                gap = own_value - columns[f, j]
                far[j] += gap * gap
        for j in range(num):
            far[j] = np.sqrt(far[j])
        for run in range(num_runs):
            sums[:] = 0.0
            for j in range(num):
                sums[labels[j, run]] += far[j]
            own = labels[i, run]
            if sizes[run, own] < 2:
                widths[run, i] = 0.0
                continue
            inside = sums[own] / (sizes[run, own] - 1)
            outside = np.inf
            for k in range(sizes.shape[1]):
                if k != own and sizes[run, k] > 0:
                    outside = min(outside, sums[k] / sizes[run, k])
            most = max(inside, outside)
            widths[run, i] = (outside - inside) / most if 0.0 < most < np.inf else 0.0
