"""The inner loops of k-means beside the plainest way to write them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from core.clusters import kernels

ROWS, FACTORS, K = 300, 5, 7


class Rows:
    """Rows, and what the kernels keep of them."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        values = self.rng.random((ROWS, FACTORS))
        values[self.rng.random(values.shape) < 0.4] = 0
        self.values, self.squares = values, (values**2).sum(axis=1)
        self.centres = values[self.rng.choice(ROWS, K, replace=False)]
        self.labels, self.near = np.zeros(ROWS, np.int32), np.zeros(ROWS)
        self.other = np.zeros(ROWS)
        self.sums, self.counts = np.zeros((K, FACTORS)), np.zeros(K, np.int64)

    def call(self, kernel, *more):
        centres, norms = np.ascontiguousarray(self.centres.T), (self.centres**2).sum(axis=1)
        kernel(
            self.values, self.squares, centres, norms, *more, self.labels, self.near, self.other,
            self.sums, self.counts,
        )  # fmt: skip

    def apart(self):
        return np.sqrt(((self.values[:, None] - self.centres) ** 2).sum(axis=2))

    def check(self):
        apart = self.apart()
        assert_array_equal(self.labels, apart.argmin(axis=1))
        two = np.sort(apart, axis=1)[:, :2]
        assert (self.near >= two[:, 0] - 1e-7).all()
        assert (self.other <= two[:, 1] + 1e-7).all()
        for k in range(len(self.centres)):
            assert_allclose(self.sums[k], self.values[self.labels == k].sum(axis=0), atol=1e-12)
            assert self.counts[k] == (self.labels == k).sum()


@pytest.mark.parametrize("seed", range(3))
def test_assign_finds_the_nearest_and_the_second_nearest(seed):
    rows = Rows(seed)
    rows.call(kernels.assign)
    rows.check()
    two = np.sort(rows.apart(), axis=1)[:, :2]
    assert_allclose(np.stack([rows.near, rows.other], axis=1), two, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [0.01, 0.1, 1.0])
def test_step_misses_no_row_whose_nearest_centre_changed(seed, size):
    rows = Rows(seed)
    rows.call(kernels.assign)
    for _ in range(5):
        move = size * rows.rng.normal(size=rows.centres.shape) * (rows.rng.random((K, 1)) < 0.5)
        rows.centres = rows.centres + move
        moved = np.sqrt((move**2).sum(axis=1))
        rest = np.array([np.delete(moved, k).max() for k in range(K)])
        rows.call(kernels.step, moved, rest)
        rows.check()


def test_step_gives_rows_that_lost_their_centre_a_new_one():
    rows = Rows(0)
    rows.call(kernels.assign)
    rows.centres = rows.centres[:-1]
    rows.labels[rows.labels == K - 1] = -1
    rows.sums, rows.counts = rows.sums[:-1], rows.counts[:-1]
    rows.call(kernels.step, np.zeros(K - 1), np.zeros(K - 1))
    rows.check()


def test_join_moves_the_rows_that_are_nearer_to_a_new_centre():
    rows = Rows(0)
    rows.call(kernels.assign)
    new = rows.values[5]
    rows.centres = np.vstack([rows.centres, new])
    rows.sums, rows.counts = np.vstack([rows.sums, 0 * new]), np.append(rows.counts, 0)
    kernels.join(
        rows.values, rows.squares, new, float(new @ new), K, rows.labels, rows.near, rows.other,
        rows.sums, rows.counts,
    )  # fmt: skip
    assert rows.counts[K] > 0
    rows.check()


def test_gains_are_what_the_inertia_would_fall_by():
    rows = Rows(0)
    rows.call(kernels.assign)
    candidates = rows.values[:4]
    total = np.zeros(4)
    kernels.gains(
        rows.values, rows.squares, np.ascontiguousarray(candidates.T),
        (candidates**2).sum(axis=1), rows.near, total,
    )  # fmt: skip
    before = (rows.near**2).sum()
    for candidate, gain in zip(candidates, total, strict=True):
        square = ((rows.values - candidate) ** 2).sum(axis=1)
        assert gain == pytest.approx(before - np.minimum(square, rows.near**2).sum())
