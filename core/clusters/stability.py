"""How firm a number of clusters is: whether other seeds come to the same grouping."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.clusters.crew import OnProgress, ShouldStop
from core.clusters.numbering import shared
from core.clusters.sweep import Range, Sweep, sweep
from core.text import N_, filled
from core.workspace import Method

RERUNS = 4
_FIRM, _FAIR = 0.95, 0.8
# Fewer say little of a city; more than a dozen colours cannot be told apart on a map.
_FEWEST, _MOST = 4, 12


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Adjusted Rand index between all pairs of `runs` sweeps, for each k."""

    mean: NDArray[np.float64]
    least: NDArray[np.float64]
    runs: int


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence, marked with `N_`, and the values that fill it."""

    text: str
    values: dict[str, object] = field(default_factory=dict)

    def message(self) -> str:
        """Return the sentence in English."""
        return filled(self.text, self.values)


def adjusted_rand(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Return how far two groupings of the same quadrats agree, whatever their numbers.

    1 is the same grouping, 0 what chance brings; it can be a little below 0.
    Reference: Hubert & Arabie (1985), Comparing partitions, Journal of Classification 2.

    Args:
        first: (N,) whole numbers from 0.
        second: The same for another grouping.
    """
    common = shared(first, second).astype(np.float64)
    both = _pairs(common).sum()
    one, other = _pairs(common.sum(axis=1)).sum(), _pairs(common.sum(axis=0)).sum()
    chance = one * other / _pairs(np.float64(len(first)))
    most = (one + other) / 2
    return 1.0 if most == chance else float((both - chance) / (most - chance))


def agreement(sweeps: Sequence[NDArray[np.integer]]) -> Stability:
    """Compare sweeps, each (K, N), with one another, k by k."""
    found = np.array(
        [
            [adjusted_rand(a[i], b[i]) for a, b in combinations(sweeps, 2)]
            for i in range(len(sweeps[0]))
        ]
    )
    return Stability(found.mean(axis=1), found.min(axis=1), len(sweeps))


def stability(
    values: NDArray[np.float64],
    first: Sweep,
    span: Range,
    *,
    seed: int = 0,
    reruns: int = RERUNS,
    method: Method = "recommended",
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> Stability:
    """Sweep again with the next seeds and compare all runs, `first` (of `seed`) among them.

    Args:
        values: (N, F), as for `sweep`.
        first: The sweep that is judged.
        span: Its range.
        seed: Its seed; the reruns take the next ones.
        reruns: How many, 1 or more.
        method: Its reading.
        threads: As for `sweep`.
        on_progress: Called with a share from 0 to 1 and a text.
        should_stop: Asked many times a second.

    Raises:
        StoppedError: `should_stop` said so.
    """
    runs = [first.labels]
    for number in range(reruns):

        def tell(share: float, _text: str, number: int = number) -> None:
            on_progress((number + share) / reruns, N_("Trying other seeds"))

        again = sweep(
            values,
            span,
            seed=seed + 1 + number,
            method=method,
            threads=threads,
            on_progress=tell,
            should_stop=should_stop,
        )
        runs.append(again.labels)
    return agreement(runs)


def advice(k: int, ks: Sequence[int], found: Stability) -> Advice:
    """Say in one sentence how firm `k` clusters are, and which k nearby is firmer."""
    mean = dict(zip(ks, found.mean, strict=True))
    values: dict[str, object] = {"k": k, "runs": found.runs, "agreement": float(mean[k])}
    if mean[k] >= _FIRM:
        return Advice(
            N_(
                "{k} clusters are firm: {runs} runs with different seeds agree"
                " to {agreement:.2f} (1 is the same grouping)."
            ),
            values,
        )
    best = max(mean.values())
    enough = [other for other in ks if mean[other] >= min(_FIRM, best)]
    firmer = min(enough, key=lambda other: (abs(other - k), other))
    values |= {"firmer": firmer, "firmer_agreement": float(mean[firmer])}
    if firmer == k:
        return Advice(
            N_(
                "{k} clusters are as firm as any: {runs} runs with different seeds agree"
                " to {agreement:.2f} (1 is the same grouping), so read the edges with care."
            ),
            values,
        )
    if mean[k] >= _FAIR:
        return Advice(
            N_(
                "{k} clusters are fairly firm: {runs} runs with different seeds agree"
                " to {agreement:.2f} (1 is the same grouping);"
                " {firmer} clusters are firmer ({firmer_agreement:.2f})."
            ),
            values,
        )
    return Advice(
        N_(
            "{k} clusters are not firm: {runs} runs with different seeds agree only"
            " to {agreement:.2f} (1 is the same grouping);"
            " {firmer} clusters are firmer ({firmer_agreement:.2f})."
        ),
        values,
    )


def suggested(ks: Sequence[int], found: Stability, score: NDArray[np.float64]) -> int:
    """Return a k to begin with: the largest score (larger is better) among those that are firm.

    Where none is, among those that are fairly firm; else among all. Only k from 4 to 12 are
    looked at, where the range has any: fewer say little of a city, and a map of more cannot be
    read, though a score such as Calinski-Harabasz may go on growing on layers of few classes.
    """
    ks_array = np.asarray(ks)
    readable = (ks_array >= _FEWEST) & (ks_array <= _MOST)
    if not readable.any():  # the nearest there is: the largest of a low range, the least of a high
        readable = ks_array == (ks_array.max() if ks_array.max() < _FEWEST else ks_array.min())
    for least in (_FIRM, _FAIR, -1.0):
        allowed = readable & (found.mean >= least)
        if allowed.any():
            break
    return int(ks_array[np.where(allowed, score, -np.inf).argmax()])


def _pairs(count: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(count * (count - 1) / 2)
