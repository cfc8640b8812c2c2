"""The compiled inner loops: pixels of one block into the quadrats that meet it.

A quadrat is a quad: its four corners (4, 2) as column and row in the raster's pixel space, in ring
order, where pixel (r, c) covers [c, c + 1) x [r, r + 1). Neighbours share corners to the bit, so
their edges are computed alike and no pixel falls between two quadrats or into both.

Centre rule: a pixel belongs to the quad that holds its centre; a centre on an edge belongs to the
side of smaller columns or of larger rows, as in GDAL's polygon fill. Exact rule: a pixel counts
with the share of its area inside the quad, by the signed areas left of each edge (the method of
anti-aliased font rasterisers).

`centre` is True for the first rule. A block is a 2-D array whose first pixel is (row0, col0).
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np
from numba import njit

# Coverage below this is rounding: 1e-9 of a pixel.
_LEAST = 1e-9

_jit = njit(nogil=True, cache=True, error_model="numpy")
_inline = njit(nogil=True, cache=True, error_model="numpy", inline="always")


@_inline
def _row_range(quad, row0, height, centre):
    """Return the first row and the row after the last of a block that a quad can meet."""
    low = min(min(quad[0, 1], quad[1, 1]), min(quad[2, 1], quad[3, 1]))
    high = max(max(quad[0, 1], quad[1, 1]), max(quad[2, 1], quad[3, 1]))
    if centre:
        first, stop = np.ceil(low - 0.5), np.ceil(high - 0.5)
    else:
        first, stop = np.floor(low), np.ceil(high)
    return int(max(first, row0)), int(min(stop, row0 + height))


@_jit
def _span(quad, row):
    """Return the columns [c0, c1) whose centres lie in the quad on one row of pixels."""
    y = row + 0.5
    left, right = np.inf, -np.inf
    for k in range(4):
        j = (k + 1) & 3
        xa, ya, xb, yb = quad[k, 0], quad[k, 1], quad[j, 0], quad[j, 1]
        if ya > yb:  # always from the lower end: the neighbour computes the same crossing
            xa, ya, xb, yb = xb, yb, xa, ya
        if ya <= y < yb:
            x = xa + (y - ya) * (xb - xa) / (yb - ya)
            left, right = min(left, x), max(right, x)
    if left > right:
        return 0, 0
    return int(np.floor(left + 0.5)), int(np.floor(right + 0.5))


@_jit
def _is_upright(quad):
    """Return whether all rows of pixels cross the quad in the same columns."""
    return (
        quad[0, 1] == quad[1, 1]
        and quad[2, 1] == quad[3, 1]
        and quad[1, 0] == quad[2, 0]
        and quad[3, 0] == quad[0, 0]
    )


@_jit
def _orientation(quad):
    """Return +1 or -1, so that a quad's coverage comes out positive."""
    doubled = 0.0
    for k in range(4):
        j = (k + 1) & 3
        doubled += quad[k, 0] * quad[j, 1] - quad[j, 0] * quad[k, 1]
    return -1.0 if doubled > 0 else 1.0


@_jit
def _add_edge(steps, col0, col1, xa, xb, height, sign):
    """Add what an edge, `height` tall within one row of pixels, changes from column to column.

    `steps[c - col0]` holds the coverage of column c less that of the column before it.
    """
    if xa > xb:
        xa, xb = xb, xa
    if xa >= col1:
        return
    if xb <= col0:
        steps[0] += sign * height
        return
    col = int(np.floor(xa))
    if xa >= col0 and xb <= col + 1:
        share = height * (1.0 - (0.5 * (xa + xb) - col))
        steps[col - col0] += sign * share
        steps[col - col0 + 1] += sign * (height - share)
        return
    slope = height / (xb - xa)
    if xa < col0:
        steps[0] += sign * slope * (col0 - xa)
        xa = float(col0)
        col = col0
    xb = min(xb, float(col1))
    while col < xb:
        start, end = max(xa, float(col)), min(xb, col + 1.0)
        part = slope * (end - start)
        share = part * (1.0 - (0.5 * (start + end) - col))
        steps[col - col0] += sign * share
        steps[col - col0 + 1] += sign * (part - share)
        col += 1


@_jit
def _coverage(quad, sign, row, col0, col1, steps):
    """Turn `steps` into the coverage of the columns [c0, c1) of one row; return c0 and c1."""
    low, high = np.inf, -np.inf
    for k in range(4):
        j = (k + 1) & 3
        top, bottom = (
            max(float(row), min(quad[k, 1], quad[j, 1])),
            min(row + 1.0, max(quad[k, 1], quad[j, 1])),
        )
        if top <= bottom:
            low = min(low, min(quad[k, 0], quad[j, 0]))
            high = max(high, max(quad[k, 0], quad[j, 0]))
    c0, c1 = int(max(np.floor(low), float(col0))), int(min(np.ceil(high), float(col1)))
    if c0 >= c1:
        return c0, c0
    steps[: c1 - c0 + 1] = 0.0
    for k in range(4):
        j = (k + 1) & 3
        xa, ya, xb, yb = quad[k, 0], quad[k, 1], quad[j, 0], quad[j, 1]
        way = sign
        if ya > yb:
            xa, ya, xb, yb, way = xb, yb, xa, ya, -sign
        top, bottom = max(float(row), ya), min(row + 1.0, yb)
        if top >= bottom:
            continue
        slope = (xb - xa) / (yb - ya)
        x_top = xa if top == ya else xa + (top - ya) * slope
        x_bottom = xb if bottom == yb else xa + (bottom - ya) * slope
        _add_edge(steps, c0, c1, x_top, x_bottom, bottom - top, way)
    total = 0.0
    for c in range(c1 - c0):
        total += steps[c]
        steps[c] = min(total, 1.0)
    return c0, c1


@_jit
def _weights(quad, sign, row, col0, col1, centre, weights):
    """Fill the weights of the columns [c0, c1) of one row of a block; return c0 and c1."""
    if not centre:
        return _coverage(quad, sign, row, col0, col1, weights)
    c0, c1 = _span(quad, row)
    c0, c1 = max(c0, col0), min(c1, col1)
    if c0 < c1:
        weights[: c1 - c0] = 1.0
    return c0, c1


@_jit
def _count_pixels(flat, words, at, end, t0, t1, t2, t3):
    """Count the bytes flat[at:end]; `words` are the same bytes by eights.

    Four tables, so that a run of one code does not wait for the last addition to the same place;
    unsigned numbers, which need no check for counting from the end.
    """
    head = min(end, (at + 7) // 8 * 8)
    tail = max(head, end // 8 * 8)
    low = np.uint64(255)
    for p in range(at, head):
        t0[flat[p]] += 1
    for w in range(head // 8, tail // 8):
        word = words[w]
        code = word & low
        if word == code * np.uint64(0x0101010101010101):
            t0[code] += 8
            continue
        t0[code] += 1
        t1[(word >> np.uint64(8)) & low] += 1
        t2[(word >> np.uint64(16)) & low] += 1
        t3[(word >> np.uint64(24)) & low] += 1
        t0[(word >> np.uint64(32)) & low] += 1
        t1[(word >> np.uint64(40)) & low] += 1
        t2[(word >> np.uint64(48)) & low] += 1
        t3[word >> np.uint64(56)] += 1
    for p in range(tail, end):
        t1[flat[p]] += 1


@_jit
def count_codes(block, row0, col0, quads, counts):
    """Count the codes of a uint8 block by the centre rule into `counts` (quads, 256) uint32."""
    height, width = block.shape
    flat = block.reshape(-1)
    words = flat[: flat.size // 8 * 8].view(np.uint64)
    t0, t1 = np.zeros(256, np.uint32), np.zeros(256, np.uint32)
    t2, t3 = np.zeros(256, np.uint32), np.zeros(256, np.uint32)
    for q in range(len(quads)):
        first, stop = _row_range(quads[q], row0, height, True)
        upright = _is_upright(quads[q])
        c0, c1 = 0, 0
        for row in range(first, stop):
            if row == first or not upright:
                c0, c1 = _span(quads[q], row)
                c0, c1 = max(c0, col0) - col0, min(c1, col0 + width) - col0
            if c0 < c1:
                at = (row - row0) * width
                _count_pixels(flat, words, at + c0, at + c1, t0, t1, t2, t3)
        row_of_counts = counts[q]
        for code in range(256):  # without a branch, so that it is done eight at a time
            row_of_counts[code] += t0[code] + t1[code] + t2[code] + t3[code]
            t0[code], t1[code], t2[code], t3[code] = 0, 0, 0, 0


@_jit
def weigh_codes(block, row0, col0, quads, counts):
    """Add the covered area of each code of a uint8 block to `counts` (quads, 256) float64."""
    height, width = block.shape
    weights = np.empty(width + 2)
    for q in range(len(quads)):
        sign = _orientation(quads[q])
        first, stop = _row_range(quads[q], row0, height, False)
        for row in range(first, stop):
            c0, c1 = _weights(quads[q], sign, row, col0, col0 + width, False, weights)
            for c in range(c0, c1):
                weight = weights[c - c0]
                if weight > _LEAST:
                    counts[q, block[row - row0, c - col0]] += weight


@_jit
def sum_values(block, row0, col0, quads, nodata, keep_inf, centre, sums):
    """Gather the moments of a float64 block.

    Pixels equal to `nodata` are skipped; NaN, and infinity unless `keep_inf`, is counted apart.

    Args:
        sums: (quads, 7), filled: weight, sum, mean, squared deviations, least, largest, weight of
            the pixels that are no number.
    """
    height, width = block.shape
    weights = np.empty(width + 2)
    for q in range(len(quads)):
        sign = _orientation(quads[q])
        first, stop = _row_range(quads[q], row0, height, centre)
        weight, total, squares, origin = 0.0, 0.0, 0.0, 0.0
        low, high, strange = np.inf, -np.inf, 0.0
        for row in range(first, stop):
            c0, c1 = _weights(quads[q], sign, row, col0, col0 + width, centre, weights)
            for c in range(c0, c1):
                w = weights[c - c0]
                value = block[row - row0, c - col0]
                if value == nodata or w <= _LEAST:
                    continue
                if value - value != 0.0 and not (keep_inf and value == value):
                    strange += w
                    continue
                if weight == 0.0:
                    origin = value if value - value == 0.0 else 0.0
                shifted = value - origin
                weight += w
                total += w * shifted
                squares += w * shifted * shifted
                low, high = min(low, value), max(high, value)
        mean = total / weight if weight > 0.0 else 0.0
        sums[q, 0], sums[q, 1] = weight, total + origin * weight
        sums[q, 2], sums[q, 3] = origin + mean, max(0.0, squares - total * mean)
        sums[q, 4], sums[q, 5], sums[q, 6] = low, high, strange


@_jit
def gather_values(block, row0, col0, quads, nodata, keep_inf, centre, strange, out):
    """List the valid pixels of each quad; return how many there are.

    Args:
        strange: (quads,) weight of the pixels that are no number, added to in place.
        out: (at least the pixels met, 3): position of the quad, value, weight.
    """
    height, width = block.shape
    weights = np.empty(width + 2)
    n = 0
    for q in range(len(quads)):
        sign = _orientation(quads[q])
        first, stop = _row_range(quads[q], row0, height, centre)
        for row in range(first, stop):
            c0, c1 = _weights(quads[q], sign, row, col0, col0 + width, centre, weights)
            for c in range(c0, c1):
                w = weights[c - c0]
                value = block[row - row0, c - col0]
                if value == nodata or w <= _LEAST:
                    continue
                if value - value != 0.0 and not (keep_inf and value == value):
                    strange[q] += w
                    continue
                out[n, 0], out[n, 1], out[n, 2] = q, value, w
                n += 1
    return n


@_jit
def count_centres(quads, counts):
    """Count the pixel centres in each quad, within a raster or not, into `counts` (quads,)."""
    for q in range(len(quads)):
        first, stop = _row_range(quads[q], -(2**62), 2**63 - 1, True)
        if _is_upright(quads[q]):
            if first < stop:
                c0, c1 = _span(quads[q], first)
                counts[q] += (stop - first) * max(0, c1 - c0)
            continue
        for row in range(first, stop):
            c0, c1 = _span(quads[q], row)
            counts[q] += max(0, c1 - c0)


@_jit
def codes_present(table):
    """Return which columns of a table hold anything, (K,) bool."""
    present = np.zeros(table.shape[1], np.bool_)
    for i in range(table.shape[0]):
        for k in range(table.shape[1]):
            present[k] |= table[i, k] != 0
    return present


@_jit
def add_rows(target, at, part, present, columns):
    """Add columns `present` of `part` to columns `columns` of the rows `at` of `target`."""
    for i in range(len(at)):
        for k in range(len(present)):
            target[at[i], columns[k]] += part[i, present[k]]


@_jit
def take_columns(table, columns, out):
    """Copy some columns of a table into `out`, in their order."""
    for i in range(len(out)):
        for k in range(len(columns)):
            out[i, k] = table[i, columns[k]]


@_jit
def merge_sums(target, at, part):
    """Merge moments of a block into the rows `at` of all moments (see `sum_values`)."""
    for i in range(len(at)):
        row = target[at[i]]
        if part[i, 0] > 0.0:
            before = row[0]
            gap = part[i, 2] - row[2]
            row[0] += part[i, 0]
            row[1] += part[i, 1]
            row[2] += gap * part[i, 0] / row[0]
            row[3] += part[i, 3] + gap * gap * before * part[i, 0] / row[0]
            row[4], row[5] = min(row[4], part[i, 4]), max(row[5], part[i, 5])
        row[6] += part[i, 6]


@_jit
def mask_of(quad, row0, col0, mask):
    """Set the pixels of a boolean window whose centres lie in one quad."""
    height, width = mask.shape
    first, stop = _row_range(quad, row0, height, True)
    for row in range(first, stop):
        c0, c1 = _span(quad, row)
        for c in range(max(c0, col0), min(c1, col0 + width)):
            mask[row - row0, c - col0] = True
