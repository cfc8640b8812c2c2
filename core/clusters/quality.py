"""How well the clusters of each k are told apart: by each factor, and as a whole.

Separation score of a factor: the F ratio of a one-way analysis of variance (scikit-learn's
`f_classif`). Its p-value says nothing here: the labels come from the same columns.

References: Rousseeuw (1987), silhouettes; Caliński & Harabasz (1974); Davies & Bouldin (1979).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.clusters import kernels
from core.clusters.crew import Crew, OnProgress, ShouldStop, crew
from core.errors import InputError
from core.text import N_

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]

SAMPLE = 1500
_SILHOUETTE_ROWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """Measures of K labellings."""

    scores: Floats
    """(K, F) separation scores: NaN for a constant factor, infinite without any spread inside."""
    inertia: Floats
    """(K,) sum of squared distances to the own centre; smaller is tighter."""
    silhouette: Floats
    """(K,) -1 to 1; larger is better."""
    calinski_harabasz: Floats
    """(K,) larger is better."""
    davies_bouldin: Floats
    """(K,) 0 and above; smaller is better."""
    silhouette_rows: int
    """Quadrats that the silhouettes were taken from; all of them where there are few."""


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    counts: NDArray[np.int64]
    centres: Floats
    between: Floats
    """(F,) sum of squares between the groups."""


def factor_scores(values: Floats, labels: Labels) -> Floats:
    """Return the separation score of each factor, (F,).

    NaN for a constant factor; infinite where all of its spread is between the clusters.

    Args:
        values: (N, F), finite.
        labels: (N,) whole numbers from 0.

    Raises:
        InputError: There is one cluster only, or as many as quadrats, or the lengths differ.
    """
    _check(values, labels)
    about_mean = np.ascontiguousarray(values - values.mean(axis=0))
    return _scores((about_mean**2).sum(axis=0), _groups(about_mean, labels), len(values))


def quality(
    values: Floats,
    runs: Labels,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> Quality:
    """Measure K labellings of the same quadrats.

    The silhouette is exact for up to `sample` quadrats. Of more, that many are drawn without
    replacement, the same ones for every k, and it is the silhouette among them.

    Args:
        values: (N, F), finite.
        runs: (K, N) labels, whole numbers from 0.
        sample: Most quadrats for the silhouette; its cost grows with the square.
        seed: Of the draw.
        threads: None takes the program's setting; the result is the same on any number.
        on_progress: Called with a share from 0 to 1 and a text.
        should_stop: Asked many times a second.

    Raises:
        InputError: See `factor_scores`.
        StoppedError: `should_stop` said so.
    """
    for labels in runs:
        _check(values, labels)
    about_mean = np.ascontiguousarray(values - values.mean(axis=0))
    total = (about_mean**2).sum(axis=0)

    def measure(at: int, _end: int) -> tuple[Floats, float, float, float]:
        return _measures(about_mean, total, runs[at])

    with crew(threads, should_stop) as workers:
        rows = []
        for row in workers.over(len(runs), measure, chunk=1):
            rows.append(row)
            on_progress(0.4 * len(rows) / len(runs), N_("Measuring the clusters"))
        chosen = _drawn(len(values), sample, seed)
        silhouette = silhouettes(about_mean[chosen], runs[:, chosen], workers, on_progress)
    scores, inertia, calinski, davies = zip(*rows, strict=True)
    return Quality(
        scores=np.array(scores),
        inertia=np.array(inertia),
        silhouette=silhouette,
        calinski_harabasz=np.array(calinski),
        davies_bouldin=np.array(davies),
        silhouette_rows=len(chosen),
    )


def silhouettes(
    values: Floats,
    runs: Labels,
    workers: Crew,
    on_progress: OnProgress = lambda _share, _text: None,
) -> Floats:
    """Return the mean silhouette of each labelling, (K,); a cluster of one counts as 0."""
    columns = np.ascontiguousarray(runs.T.astype(np.intp))
    most = int(runs.max()) + 1
    sizes = np.array([np.bincount(labels, minlength=most) for labels in runs])
    widths = np.zeros((len(runs), len(values)))

    def work(first: int, last: int) -> int:
        kernels.silhouettes(values, first, last, columns, sizes, widths)
        return last

    for last in workers.over(len(values), work, chunk=_SILHOUETTE_ROWS):
        on_progress(0.4 + 0.6 * last / len(values), N_("Measuring the clusters"))
    mean: Floats = widths.mean(axis=1)
    return mean


def _drawn(rows: int, sample: int, seed: int) -> NDArray[np.int64]:
    if rows <= sample:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))


def _check(values: Floats, labels: Labels) -> None:
    if values.ndim != 2 or labels.shape != values.shape[:1]:
        raise InputError(
            N_("There are {labels:,} labels for {rows:,} quadrats."),
            labels=labels.size,
            rows=len(values),
        )
    count = np.count_nonzero(np.bincount(labels))
    if not 2 <= count < len(values):
        raise InputError(
            N_("{count:,} clusters of {rows:,} quadrats cannot be compared."),
            hint=N_("Give at least two clusters, and fewer than there are quadrats."),
            count=count,
            rows=len(values),
        )


def _groups(about_mean: Floats, labels: Labels) -> _Groups:
    num = int(labels.max()) + 1
    sums, counts = np.zeros((num, about_mean.shape[1])), np.zeros(num, np.int64)
    kernels.group_sums(about_mean, labels, sums, counts)
    sums, counts = sums[counts > 0], counts[counts > 0]
    return _Groups(counts, sums / counts[:, None], (sums**2 / counts[:, None]).sum(axis=0))


def _scores(total: Floats, groups: _Groups, rows: int) -> Floats:
    num = len(groups.counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.maximum(total - groups.between, 0.0) / (rows - num)
        score: Floats = groups.between / (num - 1) / inside
    return score


def _measures(
    about_mean: Floats, total: Floats, labels: Labels
) -> tuple[Floats, float, float, float]:
    labels = np.unique(labels, return_inverse=True)[1]
    groups = _groups(about_mean, labels)
    num, rows = len(groups.counts), len(about_mean)
    squared, plain = np.zeros(num), np.zeros(num)
    kernels.spread(about_mean, labels, groups.centres, squared, plain)
    inertia = float(squared.sum())
    calinski = 1.0
    if inertia > 0:
        calinski = float(groups.between.sum()) * (rows - num) / (inertia * (num - 1))
    radius = plain / groups.counts
    apart = cdist(groups.centres, groups.centres)
    davies = 0.0
    if radius.any() and apart.any():
        apart[apart == 0] = np.inf
        davies = float(((radius[:, None] + radius) / apart).max(axis=1).mean())
    return _scores(total, groups, rows), inertia, calinski, davies
