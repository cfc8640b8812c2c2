"""Clusters of quadrats for every k of a range.

Recommended reading: `path.Path`, each k started from its neighbour. Document reading:
scikit-learn's MiniBatchKMeans with the document's settings, with a seed. Numbers go by
size.

Reference: METHODS, row "Sweep".
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clusters.crew import OnProgress, ShouldStop, crew
from core.clusters.numbering import by_size
from core.clusters.path import Path
from core.errors import InputError, StoppedError, TooLargeError
from core.text import N_
from core.workspace import Method

# Seconds of one thread a value and centre, all rounds of one k together; measured.
_SECONDS_PATH, _SECONDS_DOCUMENT = 1.5e-9, 1.2e-8
_MOST_SECONDS = 1800.0
_MOST_CLUSTERS = 65_536
_DOCUMENT = {"batch_size": 4096, "init": "k-means++", "n_init": 10, "max_no_improvement": 10}
_ASK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which numbers of clusters to try: `smallest`, `smallest + step` … up to `largest`."""

    smallest: int = 2
    largest: int = 50
    step: int = 1

    @property
    def ks(self) -> tuple[int, ...]:
        return tuple(range(self.smallest, self.largest + 1, self.step))


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Labels for every k."""

    ks: tuple[int, ...]
    labels: NDArray[np.uint16]
    """(len(ks), N): cluster of each quadrat, 0 to k - 1, the largest cluster 0."""

    def of(self, k: int) -> NDArray[np.uint16]:
        """Return the labels (N,) of one k.

        Raises:
            InputError: That k is not in the sweep.
        """
        if k not in self.ks:
            raise InputError(
                N_("The sweep holds no {k} clusters."),
                hint=N_("It goes from {low} to {high}."),
                k=k,
                low=self.ks[0],
                high=self.ks[-1],
            )
        found: NDArray[np.uint16] = self.labels[self.ks.index(k)]
        return found


def sweep(
    values: NDArray[np.float64],
    span: Range,
    *,
    seed: int = 0,
    method: Method = "recommended",
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> Sweep:
    """Group quadrats into k clusters, for every k of a range.

    The labels hang on the values, the largest k, the seed and the method; not on the smallest k,
    the step or the number of threads.

    Args:
        values: (N, F), finite; columns of one scale, such as 0 to 1.
        span: Which k. Smaller ones are passed through on the way in the recommended reading.
        seed: Of the rows that are drawn as new centres.
        method: Which reading.
        threads: None takes the program's setting.
        on_progress: Called with a share from 0 to 1 and a text.
        should_stop: Asked many times a second.

    Raises:
        InputError: The range is no range, there are fewer (different) quadrats than clusters, or
            a value is missing.
        TooLargeError: It would take longer than half an hour.
        StoppedError: `should_stop` said so.
    """
    check_range(values.shape, span, method=method)
    if not np.isfinite(values).all():
        raise InputError(
            N_("There are missing values among the factors."),
            hint=N_("Fill the gaps or leave the factors out."),
        )
    if method == "document":
        found = _document(values, span, seed, on_progress, should_stop)
    else:
        with crew(threads, should_stop) as workers:
            path = Path(values, workers, np.random.default_rng(seed))
            found = path.run(span.largest, on_progress)
    return Sweep(span.ks, np.stack([by_size(found[k]) for k in span.ks]).astype(np.uint16))


def expected_seconds(shape: tuple[int, ...], span: Range, *, method: Method) -> float:
    """Return about how long a sweep takes on one thread."""
    cells = float(shape[0]) * shape[1]
    if method == "document":
        return cells * _SECONDS_DOCUMENT * sum_of(span.smallest, span.largest, span.step)
    return cells * _SECONDS_PATH * sum_of(2, span.largest, 1)


def sum_of(first: int, last: int, step: int) -> float:
    """Return first + (first + step) + … up to `last`."""
    count = (last - first) // step + 1
    return count * (2.0 * first + (count - 1) * step) / 2


def check_range(shape: tuple[int, ...], span: Range, *, method: Method = "recommended") -> None:
    """Refuse a range that has no answer or that would take too long.

    Raises:
        InputError: The range is empty, begins below 2, or asks for more clusters than quadrats.
        TooLargeError: It would take longer than half an hour; the message holds the estimate.
    """
    if span.smallest < 2 or span.largest < span.smallest or span.step < 1:
        raise InputError(
            N_("{low} to {high} in steps of {step} is no range of numbers of clusters."),
            hint=N_("Begin with 2 or more, end at or above the beginning, and step by 1 or more."),
            low=span.smallest,
            high=span.largest,
            step=span.step,
        )
    if span.largest >= min(shape[0], _MOST_CLUSTERS):
        raise InputError(
            N_("{k:,} clusters cannot be made of {count:,} quadrats."),
            hint=N_("Choose fewer clusters; 2 to 50 is a good beginning."),
            k=span.largest,
            count=shape[0],
        )
    seconds = expected_seconds(shape, span, method=method)
    if seconds > _MOST_SECONDS:
        raise TooLargeError(
            N_("Up to {k:,} clusters of {count:,} quadrats would take about {hours:,.1f} hours."),
            hint=N_("Choose fewer clusters; 2 to 50 is a good beginning."),
            k=span.largest,
            count=shape[0],
            hours=seconds / 3600,
        )


def _document(
    values: NDArray[np.float64],
    span: Range,
    seed: int,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> dict[int, NDArray[np.uint16]]:
    # Imported here: it takes a second, and only this reading needs it.
    from sklearn.cluster import MiniBatchKMeans

    found = {}
    for i, k in enumerate(span.ks):
        on_progress(i / len(span.ks), N_("Grouping the quadrats"))
        model = MiniBatchKMeans(k, random_state=seed, **_DOCUMENT)
        _fit(model, values, should_stop)
        found[k] = model.labels_.astype(np.uint16)
    on_progress(1.0, N_("Grouping the quadrats"))
    return found


def _fit(model: Any, values: NDArray[np.float64], should_stop: ShouldStop) -> None:
    """Fit; leave at once when told to stop, though the fit itself cannot be interrupted."""
    from threadpoolctl import threadpool_limits

    failed: list[BaseException] = []

    def body() -> None:
        try:
            # More threads change the order of sums, and spin. OpenMP heeds the thread that asks.
            with threadpool_limits(1):
                model.fit(values)
        except BaseException as err:  # noqa: BLE001  (raised again by the caller's thread)
            failed.append(err)

    thread = threading.Thread(target=body, name="minibatch", daemon=True)
    thread.start()
    while thread.is_alive():
        if should_stop():
            raise StoppedError(N_("Stopped. Nothing was changed."))
        thread.join(_ASK_S)
    if failed:
        raise failed[0]
