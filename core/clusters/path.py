"""k-means for a whole range of k: each k starts from its neighbour.

Up and down; of each k the best one is kept, and the way goes on from that. Small k are also tried
a few times from centres drawn anew.

Upwards a centre is added: of a few rows drawn by their squared distance, the one that lowers the
inertia most. Downwards, from the largest k, the centre goes whose rows lose least by moving to
their second nearest one. That mends what an early wrong centre spoiled.

References: Arthur & Vassilvitskii (2007), k-means++, SODA (greedy form); Fränti & Virmajoki (2006),
Iterative shrinking method for clustering problems, Pattern Recognition 39.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clusters import kernels
from core.clusters.crew import Crew, OnProgress
from core.errors import InputError
from core.text import N_

Floats = NDArray[np.float64]

CHUNK_ROWS = 8192
_CANDIDATES = 8
_FRESH_STARTS, _FRESH_LARGEST = 3, 16
# A round that lowers the inertia by less than this share is the last one. Fresh starts and the
# way up are rough: the way down settles the best of them.
_LEAST_ROUGH, _LEAST_FINE = 1e-2, 1e-5
_MOST_ROUNDS = 100
# Less than this share of all squares is rounding, not a distance.
_NOTHING = 1e-13


@dataclass(slots=True, eq=False)
class _State:
    """Centres (k, F), their sums and counts, and of each row what `kernels.step` needs."""

    centres: Floats
    sums: Floats
    counts: NDArray[np.int64]
    labels: NDArray[np.int32]
    near: Floats
    other: Floats
    inertia: float
    """As of the last time that `near` was exact."""


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    """The best grouping into k clusters so far."""

    inertia: float
    centres: Floats
    labels: NDArray[np.uint16]


class Path:
    """The way through all k for one table (N, F) of finite numbers."""

    def __init__(self, values: Floats, crew: Crew, rng: np.random.Generator) -> None:
        # Small squares lose little when they are subtracted. Not about the mean: shares of classes
        # keep their zeros this way, and a zero costs nothing.
        self._values = np.ascontiguousarray(values - values.min(axis=0))
        self._squares = (self._values**2).sum(axis=1)
        self._crew = crew
        self._rng = rng
        self._best: dict[int, _Best] = {}
        self._done = 0.0

    def run(self, largest: int, on_progress: OnProgress) -> dict[int, NDArray[np.uint16]]:
        """Return the labels (N,) of every k from 2 to `largest`.

        Raises:
            InputError: There are fewer different rows than `largest`.
            StoppedError: The crew was told to stop.
        """
        for _ in range(_FRESH_STARTS):
            self._fresh(min(largest, _FRESH_LARGEST), largest, on_progress)
        self._up(largest, on_progress)
        self._down(largest, on_progress)
        return {k: best.labels for k, best in self._best.items()}

    def _fresh(self, last: int, largest: int, on_progress: OnProgress) -> None:
        """Settle small k from centres that were drawn anew: there a wrong one costs most."""
        state = self._from(self._values[[self._rng.integers(len(self._values))]])
        for k in range(2, last + 1):
            self._add(state)
            settled = _copied(state)
            self._settle(settled, _LEAST_ROUGH)
            self._keep(k, settled)
            self._tell(k, largest, on_progress)

    def _up(self, largest: int, on_progress: OnProgress) -> None:
        state = self._from(self._values.mean(axis=0)[None])
        for k in range(2, largest + 1):
            self._add(state)
            self._settle(state, _LEAST_ROUGH)
            if not self._keep(k, state):
                state = self._from(self._best[k].centres)
            self._tell(k, largest, on_progress)

    def _down(self, largest: int, on_progress: OnProgress) -> None:
        state = self._from(self._best[largest].centres)
        for k in range(largest, 1, -1):
            self._settle(state, _LEAST_FINE)
            if not self._keep(k, state):
                state = self._from(self._best[k].centres)
                self._settle(state, _LEAST_FINE)
                self._keep(k, state)
            self._tell(k, largest, on_progress)
            if k > 2:
                self._leave(state)

    def _keep(self, k: int, state: _State) -> bool:
        """Keep the state as the best of its k, unless there is a better one."""
        best = self._best.get(k)
        if best and best.inertia <= state.inertia:
            return False
        self._best[k] = _Best(state.inertia, state.centres.copy(), _without_empty(state))
        return True

    def _tell(self, k: int, largest: int, on_progress: OnProgress) -> None:
        self._done += k  # a round costs as much as there are centres
        whole = sum(range(2, largest + 1)) * 2
        whole += sum(range(2, min(largest, _FRESH_LARGEST) + 1)) * _FRESH_STARTS
        on_progress(self._done / whole, N_("Grouping the quadrats"))

    def _from(self, centres: Floats) -> _State:
        rows, factors = self._values.shape
        state = _State(
            centres=centres,
            sums=np.zeros((len(centres), factors)),
            counts=np.zeros(len(centres), np.int64),
            labels=np.zeros(rows, np.int32),
            near=np.zeros(rows),
            other=np.zeros(rows),
            inertia=0.0,
        )
        self._assign(state)
        return state

    def _assign(self, state: _State) -> None:
        state.sums[:] = 0.0
        state.counts[:] = 0
        norms = (state.centres**2).sum(axis=1)
        centres = np.ascontiguousarray(state.centres.T)
        self._over(state, partial(_bound, kernels.assign, centres, norms))
        state.inertia = float((state.near**2).sum())

    def _settle(self, state: _State, least: float) -> None:
        """Move the centres to the means of their rows until little changes; end exact."""
        for _ in range(_MOST_ROUNDS):
            filled = state.counts > 0
            means = state.centres.copy()
            means[filled] = state.sums[filled] / state.counts[filled, None]
            moved = ((means - state.centres) ** 2).sum(axis=1)
            state.centres = means
            if float(moved @ state.counts) <= least * state.inertia:
                break
            self._step(state, np.sqrt(moved))
        self._assign(state)

    def _step(self, state: _State, moved: Floats) -> None:
        rest = np.full_like(moved, moved.max())
        farthest = int(moved.argmax())
        rest[farthest] = np.delete(moved, farthest).max(initial=0.0)
        norms = (state.centres**2).sum(axis=1)
        centres = np.ascontiguousarray(state.centres.T)
        self._over(state, partial(_bound, kernels.step, centres, norms, moved, rest))

    def _add(self, state: _State) -> None:
        weights = np.cumsum(state.near**2)
        if weights[-1] <= _NOTHING * float(self._squares.sum()):
            raise InputError(
                N_("There are only {count} different quadrats, so no more than {count} clusters."),
                hint=N_("Choose a smaller number of clusters, or more factors."),
                count=len(state.centres),
            )
        drawn = np.searchsorted(weights, self._rng.random(_CANDIDATES) * weights[-1], side="right")
        candidates = self._values[np.minimum(drawn, len(weights) - 1)]
        norms = (candidates**2).sum(axis=1)
        across = np.ascontiguousarray(candidates.T)
        total = np.zeros(_CANDIDATES)

        def gain(first: int, last: int) -> Floats:
            part = np.zeros(_CANDIDATES)
            rows = slice(first, last)
            kernels.gains(
                self._values[rows], self._squares[rows], across, norms, state.near[rows], part
            )
            return part

        for part in self._crew.over(len(self._values), gain, chunk=CHUNK_ROWS):
            total += part
        best = int(total.argmax())
        state.centres = np.vstack([state.centres, candidates[best]])
        state.sums = np.vstack([state.sums, np.zeros_like(state.sums[:1])])
        state.counts = np.append(state.counts, 0)
        new = len(state.counts) - 1
        self._over(state, partial(_bound, kernels.join, candidates[best], norms[best], new))
        state.inertia = float((state.near**2).sum())

    def _leave(self, state: _State) -> None:
        k = len(state.centres)
        cost = np.bincount(state.labels, state.other**2 - state.near**2, minlength=k)
        gone = int(cost.argmin())
        state.centres = np.delete(state.centres, gone, axis=0)
        state.sums = np.delete(state.sums, gone, axis=0)
        state.counts = np.delete(state.counts, gone)
        renumbered = np.arange(k, dtype=np.int32)
        renumbered[gone:] -= 1
        renumbered[gone] = -1
        state.labels = renumbered[state.labels]
        self._step(state, np.zeros(k - 1))

    def _over(self, state: _State, kernel: Callable[..., None]) -> None:
        """Run a kernel over all rows and add up what it says of sums and counts."""

        def work(first: int, last: int) -> tuple[Floats, NDArray[np.int64]]:
            sums, counts = np.zeros_like(state.sums), np.zeros_like(state.counts)
            rows = slice(first, last)
            kernel(
                (self._values[rows], self._squares[rows]),
                (state.labels[rows], state.near[rows], state.other[rows], sums, counts),
            )
            return sums, counts

        for sums, counts in self._crew.over(len(self._values), work, chunk=CHUNK_ROWS):
            state.sums += sums
            state.counts += counts


def _bound(kernel: Callable[..., None], *middle_and_ends: Any) -> None:
    """Call `kernel(*rows, *middle, *results)`."""
    *middle, rows, results = middle_and_ends
    kernel(*rows, *middle, *results)


def _copied(state: _State) -> _State:
    return replace(
        state,
        sums=state.sums.copy(),
        counts=state.counts.copy(),
        labels=state.labels.copy(),
        near=state.near.copy(),
        other=state.other.copy(),
    )


def _without_empty(state: _State) -> NDArray[np.uint16]:
    """Return the labels; an empty cluster gets the row that lies farthest from its centre."""
    labels, counts = state.labels.copy(), state.counts.copy()
    for empty in np.flatnonzero(counts == 0):
        far = np.where(counts[labels] > 1, state.near, -1.0).argmax()
        counts[labels[far]] -= 1
        counts[empty] = 1
        labels[far] = empty
    return labels.astype(np.uint16)
