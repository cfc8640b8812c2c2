"""How long the server takes to run each page of the city again, over the analysed default area.

    python -m benchmarks.pages [--reruns 30] [--workspace FOLDER]

Makes the simulated area with its quadrats, clusters and cozy zone, unless the folder has it, then
runs the script of each page through Streamlit's own test runner; what the browser adds is not
counted. After a run Streamlit collects garbage, in which time nothing else runs: that is timed
apart, as the app is and without `ui.server.set_modules_aside`. Prints a table.
"""

import argparse
import gc
import logging
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from streamlit import config
from streamlit.testing.v1 import AppTest

from core import default_area, works
from core.default_area import DEFAULT_AREA
from core.workspace import Workspace

_APP = Path(__file__).parent.parent / "app.py"
_PAGES = ("start", "data", "quadrats", "clusters", "cozy", "imagery")


def _made(folder: Path) -> None:
    if not Workspace(folder).stamp(DEFAULT_AREA):
        config = {"workspace": str(folder), "area": DEFAULT_AREA, "seed": 0}
        works.default_area(config, lambda *_given: None, lambda: False)
    default_area.leave_out(folder)


def _opened(page: str) -> AppTest:
    app = AppTest.from_file(_APP, default_timeout=300)
    app.query_params.update({"lang": "en", "area": DEFAULT_AREA})
    app.run()
    if page != "start":
        app.switch_page(f"pages/{page}.py").run()
    app.run()
    assert not app.exception, app.exception
    is_analysed = page in {"start", "imagery"} or app.get("plotly_chart")
    assert is_analysed, f"{page} has no result: give no folder, or an empty one"
    return app


def _ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begun)


def reruns(page: str, times: int) -> tuple[list[float], list[float], list[float]]:
    """Return milliseconds of each run of a page, and of collecting: as it is, and of all."""
    app = _opened(page)
    runs, aside, whole = [], [], []
    for _ in range(times):
        gc.collect()
        gc.freeze()  # as `set_modules_aside` left it
        runs.append(_ms(app.run))
        aside.append(_ms(lambda: gc.collect(2)))
        gc.unfreeze()
        whole.append(_ms(lambda: gc.collect(2)))
    return runs, aside, whole


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reruns", type=int, default=30)
    parser.add_argument("--workspace", type=Path)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    config.set_option("runner.postScriptGC", False)  # it is timed here
    with tempfile.TemporaryDirectory() as name:
        folder = (args.workspace or Path(name)).resolve()
        # In a process of its own, as the app does: what it leaves in memory is not the page's.
        child = multiprocessing.get_context("spawn").Process(target=_made, args=(folder,))
        child.start()
        child.join()
        os.environ["URBAN_PATTERN_WORKSPACE"] = str(folder)
        load = os.getloadavg()[0]
        found = {page: reruns(page, args.reruns) for page in _PAGES}
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}\n")
    print("| page | run, ms, median | 95 % | collection, ms, median | of all that is there |")
    print("|---|---|---|---|---|")
    for page, (runs, aside, whole) in found.items():
        parts = [f"{np.percentile(runs, q):.0f}" for q in (50, 95)]
        parts += [f"{np.median(aside):.1f}", f"{np.median(whole):.0f}"]
        print(f"| {page} | " + " | ".join(parts) + " |")


if __name__ == "__main__":
    main()
