"""The sweep over k: ours beside the document's settings and scikit-learn's defaults, in one run.

    python -m benchmarks.clusters [--rounds 3] [--largest 50] [--out FILE]

Data are simulated: 25,731 quadrats with shares of classes that change smoothly over a city, mostly
zeros, and two values. Each round runs every method once, so that a busy moment hits all alike; the
table shows medians. All are held to one thread (on busy cores the threads of OpenMP wait for one
another and cost many times that), ours is shown on two as well. Ours is with all measures: scores,
inertia, silhouette of a sample, Calinski-Harabasz and Davies-Bouldin; the others are with the
scores alone.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.feature_selection import f_classif
from threadpoolctl import threadpool_limits

from core.clusters.quality import quality
from core.clusters.stability import stability
from core.clusters.sweep import Range, sweep

Labels = list[NDArray[np.integer]]
QUADRATS = 25_731
SHAPE = (199, 133)


def city(num_classes: tuple[int, ...], seed: int = 0) -> NDArray[np.float64]:
    """Return (25,731, classes of all layers + 2) values in 0 to 1."""
    rng = np.random.default_rng(seed)
    parts = []
    for num in num_classes:
        fields = np.stack([_field(rng, 5.0) + 0.5 * _field(rng, 1.2) for _ in range(num)])
        weights = np.exp(3.0 * fields)
        shares = weights / weights.sum(axis=0)
        shares[shares < 1.0 / num] = 0.0  # most classes are not in a quadrat
        parts.append((shares / shares.sum(axis=0)).reshape(num, -1).T)
    values = np.stack([_field(rng, 12.0), _field(rng, 2.0) ** 2], axis=-1).reshape(-1, 2)
    values = (values - values.min(axis=0)) / np.ptp(values, axis=0)
    return np.ascontiguousarray(np.hstack([*parts, values])[:QUADRATS])


def _field(rng: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    field = gaussian_filter(rng.standard_normal(SHAPE), sigma)
    return (field - field.mean()) / field.std()


def ours(values: NDArray[np.float64], span: Range, threads: int) -> Labels:
    """Sweep with all measures."""
    found = sweep(values, span, threads=threads)
    quality(values, found.labels, threads=threads)
    return list(found.labels)


def peer(values: NDArray[np.float64], span: Range, make: Callable[..., object]) -> Labels:
    """Fit each k by itself, and score its factors."""
    found = []
    for k in span.ks:
        labels = make(n_clusters=k, random_state=0).fit(values).labels_  # type: ignore[attr-defined]
        f_classif(values, labels)
        found.append(labels)
    return found


def inertia(values: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    """Return the sum of squared distances to the means of the clusters."""
    return sum(
        float(((part - part.mean(axis=0)) ** 2).sum())
        for part in (values[labels == k] for k in np.unique(labels))
    )


METHODS = {
    "ours, 1 thread": partial(ours, threads=1),
    "ours, 2 threads": partial(ours, threads=2),
    "MiniBatchKMeans, the document's settings": partial(
        peer, make=partial(MiniBatchKMeans, batch_size=4096, n_init=10, max_no_improvement=10)
    ),
    "MiniBatchKMeans, defaults": partial(peer, make=MiniBatchKMeans),
    "KMeans (Lloyd), defaults": partial(peer, make=KMeans),
}


def report(rounds: int, largest: int) -> str:
    """Run everything and return it as Markdown."""
    span = Range(largest=largest)
    lines = [
        "# The sweep over k",
        "",
        f"`python -m benchmarks.clusters`: {QUADRATS:,} simulated quadrats, k = 2 to {largest}; "
        f"{platform.machine()}, {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f} at the "
        f"start), Python {platform.python_version()}, scikit-learn {sklearn.__version__}; medians "
        f"of {rounds} rounds in which the methods take turns, one thread each unless it says "
        "otherwise. Ours is with all measures, the others with the separation scores alone.",
        "",
    ]
    for num_classes in ((8,), (8, 57)):
        values = city(num_classes)
        lines += _table(values, span, rounds)
    return "\n".join(lines) + "\n"


def _table(values: NDArray[np.float64], span: Range, rounds: int) -> list[str]:
    wall: dict[str, list[float]] = {name: [] for name in METHODS}
    cpu: dict[str, list[float]] = {name: [] for name in METHODS}
    labels: dict[str, Labels] = {}
    ours(values, Range(largest=3), 1)  # compiled before the clock runs
    for _ in range(rounds):
        for name, method in METHODS.items():
            begun, used = time.perf_counter(), time.process_time()
            with threadpool_limits(1):
                labels[name] = method(values, span)
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(time.process_time() - used)
    first, _, document, *_ = METHODS
    base = {name: np.array([inertia(values, run) for run in runs]) for name, runs in labels.items()}
    lines = [
        f"## {values.shape[1]} factors",
        "",
        "| | wall s | CPU s | × ours | inertia over the document's: mean | worst | worse k |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in METHODS:
        ratio = base[name] / base[document]
        middle = statistics.median(wall[name])
        lines.append(
            f"| {name} | {middle:.2f} | {statistics.median(cpu[name]):.2f} "
            f"| {middle / statistics.median(wall[first]):.1f} | {ratio.mean():.4f} "
            f"| {ratio.max():.5f} | {int((ratio > 1 + 1e-6).sum())} of {len(ratio)} |"
        )
    begun = time.perf_counter()
    found = sweep(values, span, threads=1)
    swept = time.perf_counter() - begun
    stability(values, found, span, threads=1)
    spent = time.perf_counter() - begun - swept
    same = all(
        sweep(values, span, threads=threads).labels.tobytes() == found.labels.tobytes()
        for threads in (2, 8)
    )
    lines += [
        "",
        f"The sweep alone: {swept:.2f} s; four further ones for the stability: {spent:.2f} s. "
        f"Labels on 1, 2 and 8 threads: {'the same bytes' if same else 'DIFFERENT'}.",
        "",
    ]
    return lines


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=50)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # a peer that has not converged says so for every k
    text = report(args.rounds, args.largest)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
