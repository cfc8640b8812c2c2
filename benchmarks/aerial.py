"""Simulated aerial imagery: windows a second, and how far its land cover is that of the 5 m layer.

    python -m benchmarks.aerial [--places 150] [--rounds 3]

One seeded set of places inside the city. CPU seconds of one thread, the first call of each kind
(compilation) left out. The file is a window of 3 × 3 km with its overviews.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from scipy.ndimage import maximum_filter, minimum_filter

from core.simulate import layers, paint, rasters
from core.simulate.aerial import AerialSource, AerialWindow
from core.simulate.aerial_file import write_aerial
from core.simulate.city import City

_ALBERS = CRS.from_epsg(5070)
_TO_ALBERS = Transformer.from_crs(32616, _ALBERS, always_xy=True)


def places(city: City, count: int) -> list[tuple[int, int]]:
    """Return west and south of windows inside the city."""
    j, i = np.nonzero(city.plan.is_inside)
    chosen = np.random.default_rng(5).choice(len(j), count, replace=False)
    x, y = city.plan.x[j[chosen], i[chosen]], city.plan.y[j[chosen], i[chosen]]
    return [(int(a), int(b)) for a, b in zip(x, y, strict=True)]


def cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median of some rounds."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def compared(
    city: City, window: AerialWindow
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[int, NDArray[np.bool_]]]:
    """Return where both covers agree, where 3 × 3 pixels of 5 m are alike, and those of 1 m."""
    grid = paint.make_grid(_ALBERS, layers._bounds(layers._NEAR_M), 5.0)
    n = window.cover.shape[0]
    x, y = window.transform.c + np.arange(n) + 0.5, window.transform.f - np.arange(n) - 0.5
    mx, my = _TO_ALBERS.transform(*np.meshgrid(x, y))
    col = np.floor((mx - grid.transform.c) / 5).astype(int)
    row = np.floor((grid.transform.f - my) / 5).astype(int)
    box = (row.min() - 1, col.min() - 1, int(np.ptp(row)) + 3, int(np.ptp(col)) + 3)
    five = rasters.draw_window(city, grid, rasters.paint_cover, box).values
    alike = minimum_filter(five, 3) == maximum_filter(five, 3)
    at = row - box[0], col - box[1]
    inner = {
        metres: minimum_filter(window.cover, 2 * metres + 1)
        == maximum_filter(window.cover, 2 * metres + 1)
        for metres in (1, 2, 3)
    }
    return window.cover == five[at], alike[at], inner


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    source = AerialSource(City(0))
    at = places(source.city, args.places)
    source.read((*at[0], at[0][0] + 64, at[0][1] + 64))
    print("| window | CPU s each | windows a second | million pixels a second |")
    print("|---|---|---|---|")
    for side, count in ((64, 60), (128, 60), (256, 40), (512, 16), (1024, 6)):

        def work(side: int = side, count: int = count) -> None:
            for x, y in at[:count]:
                source.read((x, y, x + side, y + side))

        each = cpu_seconds(work, args.rounds) / count
        print(f"| {side} × {side} | {each:.4f} | {1 / each:.0f} | {side**2 / each / 1e6:.2f} |")
    with tempfile.TemporaryDirectory() as folder:
        x, y = 446900, 4636000
        file = Path(folder) / "aerial.tif"
        each = cpu_seconds(lambda: write_aerial(source, (x, y, x + 3000, y + 3000), file), 1)
        size = file.stat().st_size / 1e6
        print(f"| file, 3000 × 3000 ({size:.0f} MB) | {each:.2f} |  | {9 / each:.2f} |")

    print("\n| pixels | share of all | the same class as in the 5 m layer |")
    print("|---|---|---|")
    rows: dict[str, list[int]] = {}
    for x, y in at:
        same, alike, inner = compared(source.city, source.read((x, y, x + 256, y + 256)))
        kinds = {"all": np.ones_like(same), "3 × 3 pixels of 5 m around alike": alike}
        kinds |= {f"{m} m and more from another class at 1 m": k for m, k in inner.items()}
        kinds["2 m and more, and 3 × 3 of 5 m alike"] = alike & inner[2]
        for name, kind in kinds.items():
            row = rows.setdefault(name, [0, 0, 0])
            row[0] += int(kind.sum())
            row[1] += int(same[kind].sum())
            row[2] += kind.size
    for name, (count, equal, every) in rows.items():
        print(f"| {name} | {count / every:.1%} | {equal / count:.2%} |")


if __name__ == "__main__":
    main()
