"""Hot spots: neighbours and local Moran beside libpysal, esda and pygeoda, in one run.

    python -m benchmarks.hotspots [--rounds 3] [--out FILE]

25,701 squares of a round city, one smooth column with noise. Each round runs every method once, so
that a busy moment hits all alike; the table shows medians. pygeoda takes part where it is there.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import hypergeom

from core.cozy import cozy_zone, patches, stability, under_zone
from core.effects import zone_effects
from core.hotspots.moran import global_moran, local_moran
from core.weights import lattice_neighbours

NUM = 25_701
Methods = dict[str, Callable[[], Any]]


class City:
    """Squares, their polygons, and smooth columns."""

    def __init__(self) -> None:
        row, col = (axis.ravel() for axis in np.mgrid[:266, :199])
        far = (col / 199 - 0.5) ** 2 + (row / 266 - 0.5) ** 2
        self._kept = np.sort(np.argsort(far, kind="stable")[:NUM])
        self.rows = row[self._kept].astype(np.int32)
        self.cols = col[self._kept].astype(np.int32)
        west, north = 150.0 * self.cols, -150.0 * self.rows
        squares = shapely.box(west, north - 150.0, west + 150.0, north)
        self.frame = gpd.GeoDataFrame(geometry=squares, crs="EPSG:32616")
        self.rng = np.random.default_rng(0)
        self.summer, self.winter = self.column(2), self.column(3)

    def column(self, width: float) -> NDArray[np.float64]:
        """Return a field alike over `width` squares, with a third of noise."""
        field = gaussian_filter(self.rng.normal(size=(266, 199)), width)
        field += field.std() / 3 * self.rng.normal(size=field.shape)
        return np.asarray(field.ravel()[self._kept], np.float64)


def measured(methods: Methods, rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the median seconds of each method, and what it gave last."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    found = {}
    for _ in range(rounds):
        for name, method in methods.items():
            begun = time.perf_counter()
            found[name] = method()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(times) for name, times in seconds.items()}, found


def neighbour_methods(city: City) -> Methods:
    """Return ways to find Queen neighbours."""
    from libpysal.graph import Graph
    from libpysal.weights import Queen

    return {
        "libpysal 'Queen'": lambda: Queen.from_dataframe(
            city.frame, use_index=False, silence_warnings=True
        ),
        "libpysal 'Graph'": lambda: Graph.build_contiguity(city.frame, rook=False),
        "ours, rows and columns": lambda: lattice_neighbours(city.rows, city.cols),
    }


def moran_methods(city: City, weights: Any) -> Methods:
    """Return ways to compute local Moran and its p."""
    import esda

    neighbours = lattice_neighbours(city.rows, city.cols)

    def ours(permutations: int, threads: int | None = None) -> Callable[[], Any]:
        return lambda: local_moran(
            city.summer, neighbours, permutations=permutations, threads=threads
        )

    methods: Methods = {
        "esda, 999": lambda: esda.Moran_Local(
            city.summer, weights, permutations=999, seed=1, n_jobs=1, keep_simulations=False
        ),
        "ours, 999": ours(999),
        "ours, 9,999": ours(9_999),
        "ours, 99,999": ours(99_999),
        "ours, 99,999, 1 thread": ours(99_999, 1),
    }
    try:
        import pygeoda
    except ImportError:
        return methods
    opened = pygeoda.open(city.frame)
    near = pygeoda.queen_weights(opened)
    data = city.summer.tolist()
    threads = os.cpu_count() or 1
    methods["pygeoda, 999"] = lambda: pygeoda.local_moran(
        near, data, permutations=999, cpu_threads=threads
    )
    return methods


def other_methods(city: City, weights: Any) -> Methods:
    """Return what else a page asks for once the permutations are there."""
    import esda

    both = {
        kind: tuple(
            local_moran(column, lattice_neighbours(city.rows, city.cols, kind))
            for column in (city.summer, city.winter)
        )
        for kind in ("queen", "rook")
    }
    neighbours = lattice_neighbours(city.rows, city.cols)

    def zone() -> NDArray[np.bool_]:
        summer, winter = (one.labels(level=0.05) for one in both["queen"])
        return cozy_zone(summer, winter).is_cozy

    is_cozy = zone()
    groups = np.digitize(city.column(6), [-0.02, -0.01, 0.0, 0.01, 0.02])
    factors = pd.DataFrame({f"f{i}": city.column(3) for i in range(30)})
    return {
        "global Moran, esda, 999": lambda: esda.Moran(city.summer, weights, permutations=999),
        "global Moran, ours, 999": lambda: global_moran(city.summer, neighbours),
        "zone at another level": zone,
        "patches": lambda: patches(is_cozy, neighbours, square_m2=22_500.0),
        "stability over 12 settings": lambda: stability(both),
        "six groups beside 999 surrogates": lambda: under_zone(
            is_cozy, groups, city.rows, city.cols
        ),
        "effects of 30 factors": lambda: zone_effects(is_cozy, factors, city.rows, city.cols),
    }


def null_rates(repeats: int) -> list[str]:
    """Return how often zones and groups that have nothing to do with one another look as if."""
    rows, cols = (axis.ravel() for axis in np.mgrid[:60, :50])
    round_ = (rows / 60 - 0.5) ** 2 + (cols / 50 - 0.5) ** 2 < 0.25
    rng = np.random.default_rng(1)

    def field() -> NDArray[np.float64]:
        whole = gaussian_filter(rng.normal(size=(120, 110)), 2.5)[30:90, 30:80]
        return np.asarray(whole.ravel()[round_], np.float64)

    ours, naive, covers = [], [], []
    for seed in range(repeats):
        zone_field, other = field(), field()
        is_cozy = zone_field > np.quantile(zone_field, 0.88)
        groups = np.digitize(other, np.quantile(other, [0.33, 0.67]))
        found = under_zone(is_cozy, groups, rows[round_], cols[round_], surrogates=199, seed=seed)
        size, cozy = found["size"].to_numpy(), found["cozy"].to_numpy()
        low = hypergeom.cdf(cozy, len(is_cozy), is_cozy.sum(), size)
        high = hypergeom.sf(cozy - 1, len(is_cozy), is_cozy.sum(), size)
        ours.append((found["p"] < 0.05).mean())
        naive.append((2 * np.minimum(low, high) < 0.05).mean())
        covers.append(((found["low"] <= 1) & (found["high"] >= 1)).mean())
    return [
        f"{repeats} times a zone and three groups that do not know of each other, both alike over "
        "some five squares: how often p < 0.05, which should be 5 %.",
        "",
        "| null | p < 0.05 |",
        "|---|---|",
        f"| surrogates that keep autocorrelation (ours) | {np.mean(ours):.1%} |",
        f"| squares dealt out one by one (hypergeometric) | {np.mean(naive):.1%} |",
        "",
        f"The 95 % interval of the location quotient holds the true 1 in {np.mean(covers):.0%}.",
        "",
    ]


def table(seconds: dict[str, float], base: str | None) -> list[str]:
    """Return a Markdown table, with ratios to `base`."""
    lines = ["| what | s |" + (" times as fast as the first |" if base else "")]
    lines.append("|---|---|" + ("---|" if base else ""))
    for name, time_s in seconds.items():
        ratio = f" {seconds[base] / time_s:.1f} |" if base else ""
        lines.append(f"| {name} | {time_s:.4f} |{ratio}")
    return [*lines, ""]


def report(rounds: int) -> str:
    """Return the tables as Markdown."""
    city = City()
    near_s, near = measured(neighbour_methods(city), rounds)
    weights = near["libpysal 'Queen'"]
    ours = near["ours, rows and columns"]
    equal = all(sorted(weights.neighbors[i]) == ours.of(i).tolist() for i in range(NUM))
    methods = moran_methods(city, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # esda announces another default of its p
        for method in methods.values():
            method()  # compiled by now
        moran_s, moran = measured(methods, rounds)
        rest_s, rest = measured(other_methods(city, weights), rounds)
    best, esda_p = moran["ours, 99,999"], moran["esda, 999"].p_sim
    gap = np.abs(best.p_folded - esda_p)
    noise = np.sqrt(best.p_folded * (1 - best.p_folded) / 999) + 1e-3
    same = np.array_equal(best.p_folded, moran["ours, 99,999, 1 thread"].p_folded)
    whole = abs(rest["global Moran, ours, 999"].statistic - rest["global Moran, esda, 999"].I)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    lines = [
        "## Hot spots and cozy zones",
        "",
        f"`python -m benchmarks.hotspots`: {NUM:,} squares, medians of {rounds} rounds in which "
        f"the contenders take turns; {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}. Read the ratios, not the seconds.",
        "",
        "### Queen neighbours",
        "",
        *table(near_s, "libpysal 'Queen'"),
        f"Neighbours equal to libpysal's: {'yes' if equal else 'NO'}.",
        "",
        "### Local Moran with permutations",
        "",
        *table(moran_s, "esda, 999"),
        f"Beside esda: largest difference of I {np.abs(best.statistic - moran['esda, 999'].Is).max():.1e}; "  # noqa: E501
        f"quadrants equal: {'yes' if np.array_equal(best.quadrant, moran['esda, 999'].q) else 'NO'}; "  # noqa: E501
        f"p (folded) apart by {gap.mean():.4f} on average, by more than 5 standard errors of "
        f"esda's 999 draws in {int((gap > 5 * noise).sum())} squares. "
        f"The same bytes on one thread: {'yes' if same else 'NO'}.",
        "",
        "### What else a page asks for",
        "",
        *table(rest_s, None),
        f"Global I differs from esda's by {whole:.1e}.",
        "",
        "### How often the null errs",
        "",
        *null_rates(200),
    ]
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    text = report(args.rounds)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
