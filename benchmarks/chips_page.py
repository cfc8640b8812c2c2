"""How long the server takes to run the Chips page again, view by view.

    python -m benchmarks.chips_page [--count 20000] [--reruns 40]

Cuts a set as benchmarks/chips.py does, then runs the page's script through Streamlit's own test
runner, each time with another page of the gallery and another chip chosen; and draws sheets. What
the browser adds is not counted. Prints Markdown tables.
"""

import argparse
import logging
import multiprocessing
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from benchmarks.chips import cut, make_raster
from core.chips.sets import ChipSet, ChipSets
from core.chips.sheets import sheet

_APP = Path(__file__).parent.parent / "app.py"
_VIEWS = ("gallery", "scales", "statistics", "sets", "export")


def _made(folder: Path, count: int) -> None:
    make_raster(folder / "raster.tif")
    cut(folder / "workspace", folder / "raster.tif", count)


def reruns(folder: Path, times: int) -> dict[str, list[tuple[float, float]]]:
    """Return wall and CPU milliseconds of each rerun, by view; the first one is left out."""
    os.environ["URBAN_PATTERN_WORKSPACE"] = str(folder)
    os.environ["URBAN_PATTERN_DEFAULT_AREA"] = "off"
    app = AppTest.from_file(_APP, default_timeout=120)
    app.query_params["lang"] = "en"
    app.run()
    app.switch_page("pages/chips.py").run()
    found: dict[str, list[tuple[float, float]]] = {}
    for shown in _VIEWS:
        rows = []
        for number in range(times + 1):
            view = app.session_state["app_state"].chips
            view.shown, view.page, view.chip = shown, number, 7 * number
            view.turn += number == 0
            begun, cpu = time.perf_counter(), time.process_time()
            app.run()
            rows.append((time.perf_counter() - begun, time.process_time() - cpu))
            assert not app.exception, app.exception
        found[shown] = [(1e3 * wall, 1e3 * used) for wall, used in rows[1:]]
    return found


def sheets(chips: ChipSet, times: int) -> list[tuple[float, int]]:
    """Return milliseconds and bytes of sheets of 60 chips of 64 px."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(times):
        index = rng.integers(0, len(chips), 60)
        begun = time.perf_counter()
        body = sheet(chips, index, size_px=64, columns=10)
        found.append((1e3 * (time.perf_counter() - begun), len(body)))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--reruns", type=int, default=40)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own, as the app does: what cutting leaves in memory is not the page's.
        child = multiprocessing.get_context("spawn").Process(
            target=_made, args=(folder, args.count)
        )
        child.start()
        child.join()
        load = os.getloadavg()[0]
        found = reruns(folder / "workspace", args.reruns)
        drawn = sheets(ChipSets(folder / "workspace").open("bench"), args.reruns)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, {args.count:,} chips\n")
    print("| view | wall ms, median | 95 % | CPU ms, median | 95 % |\n|---|---|---|---|---|")
    for shown, rows in found.items():
        parts = [np.percentile([row[at] for row in rows], q) for at in (0, 1) for q in (50, 95)]
        print(f"| {shown} | " + " | ".join(f"{value:.0f}" for value in parts) + " |")
    took = [row[0] for row in drawn]
    size = np.mean([row[1] for row in drawn]) / 1e3
    print(f"\nA sheet of 60 chips: {np.median(took):.1f} ms, 95 % {np.percentile(took, 95):.1f} ms,"
          f" {size:.0f} kB.")  # fmt: skip


if __name__ == "__main__":
    main()
