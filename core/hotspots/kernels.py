"""Compiled loops of conditional permutation: a shared table of draws, and ranks in it.

Permutation `q` draws k + 1 different squares out of all; the first k stand in for the neighbours
of any square with k of them. A square must not be its own neighbour: where it is among its first
k, the next one drawn takes its place. Both ways the k are a uniform draw out of the other squares.

So one table serves all squares, and how many draws lie at or above a square's own sum is its rank
among the sums of the table, put right where it drew itself.

Values are whole numbers (see `moran.fixed_point`): sums do not depend on their order, equal sums
are equal, and the counts are exact. Draws come from a counter, the seed and the permutation's own
number, so they do not depend on who computes them.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np
from numba import njit

_jit = njit(nogil=True, cache=True)
_inline = njit(nogil=True, cache=True, inline="always")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)
_TWO_32 = np.uint64(1 << 32)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@_inline
def _mixed(x):
    """Return the output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> _S30)) * _MIX_A
    x = (x ^ (x >> _S27)) * _MIX_B
    return x ^ (x >> _S31)


@_inline
def _stream(seed, number):
    """Return where the stream of one permutation begins."""
    return _mixed(_mixed(np.uint64(seed)) + _GOLDEN * (np.uint64(number) + np.uint64(1)))


@_inline
def _below(state, n):
    """Return the next state and a number in [0, n), n below 2**32, without bias (Lemire 2019)."""
    n = np.uint64(n)
    while True:
        state = state + _GOLDEN
        product = (_mixed(state) >> _S32) * n
        low = product & _LOW
        if low >= n or low >= (_TWO_32 - n) % n:
            return state, np.int64(product >> _S32)


@_jit
def draw(seed, first, num, n, width):
    """Return a table (num, width) of different squares in [0, n), from permutation `first` on."""
    table = np.empty((num, width), np.int32)
    for q in range(num):
        state = _stream(seed, first + q)
        for a in range(width):
            fresh = False
            while not fresh:
                state, found = _below(state, n)
                fresh = True
                for b in range(a):
                    if table[q, b] == found:
                        fresh = False
            table[q, a] = found
    return table


@_jit
def sums(table, values):
    """Return (width - 1, num): the sum of the first 1, 2 … draws of each permutation."""
    num, width = table.shape
    out = np.empty((width - 1, num), np.int64)
    for q in range(num):
        total = np.int64(0)
        for a in range(width - 1):
            total += values[table[q, a]]
            out[a, q] = total
    return out


@_jit
def count_ranks(sorted_sums, members, own, at_least, at_most):
    """Add to the counts of `members`, listed by rising `own`, by one merge with the sums."""
    num = len(sorted_sums)
    below, upto = 0, 0
    for m in range(len(members)):
        i = members[m]
        while below < num and sorted_sums[below] < own[i]:
            below += 1
        upto = max(upto, below)
        while upto < num and sorted_sums[upto] <= own[i]:
            upto += 1
        at_least[i] += num - below
        at_most[i] += upto


@_jit
def put_right(table, table_sums, values, own, counts, at_least, at_most):
    """Replace what a square counted where it had drawn itself by what the spare draw gives."""
    num, width = table.shape
    for q in range(num):
        for a in range(width - 1):
            i = table[q, a]
            k = counts[i]
            if a >= k:
                continue
            old = table_sums[k - 1, q]
            new = old - values[i] + values[table[q, k]]
            at_least[i] += np.int64(new >= own[i]) - np.int64(old >= own[i])
            at_most[i] += np.int64(new <= own[i]) - np.int64(old <= own[i])


@_jit
def global_sums(seed, first, num, values, starts, ids, share):
    """Return (num,): sum of z_i * mean of z over i's neighbours, z shuffled over all squares.

    Each pair of neighbours is listed once, by its first square; it counts share[i] + share[j] with
    share = 1 / number of neighbours.
    """
    n = len(values)
    out = np.empty(num)
    shuffled = np.empty(n)
    for q in range(num):
        state = _stream(seed, first + q)
        shuffled[:] = values
        for i in range(n - 1, 0, -1):
            state, j = _below(state, i + 1)
            shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
        total = 0.0
        for i in range(n):
            near = 0.0
            for e in range(starts[i], starts[i + 1]):
                j = ids[e]
                near += shuffled[j] * (share[i] + share[j])
            total += shuffled[i] * near
        out[q] = total
    return out
