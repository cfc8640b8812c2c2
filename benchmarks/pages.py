"""How long the server takes to run each page of the city again, over the analysed default area.

    python -m benchmarks.pages [--reruns 30] [--workspace FOLDER]

Makes the simulated area with its quadrats, clusters and cozy zone, unless the folder has it, then
runs the script of each page through Streamlit's own test runner, until the server is free again:
with the collection of garbage that Streamlit makes at the end. Once as the app is, once without
`ui.server.set_modules_aside`, taking turns. What the browser adds is not counted. Prints a table.
"""

import argparse
import gc
import logging
import multiprocessing
import os
import platform
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from streamlit.testing.v1 import AppTest

from core import default_area, works
from core.default_area import DEFAULT_AREA
from core.workspace import Workspace
from ui import frame

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
    return app


def _ms(app: AppTest) -> float:
    begun = time.perf_counter()
    app.run()
    return 1e3 * (time.perf_counter() - begun)


def reruns(page: str, times: int) -> tuple[list[float], list[float]]:
    """Return milliseconds of each run of a page: as the app is, and with all collected."""
    app = _opened(page)
    aside, all_collected = [], []
    for _ in range(times):
        gc.collect()
        gc.freeze()
        aside.append(_ms(app))
        gc.unfreeze()
        with mock.patch.object(frame, "set_modules_aside"):
            all_collected.append(_ms(app))
    return aside, all_collected


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reruns", type=int, default=30)
    parser.add_argument("--workspace", type=Path)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
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
    print("| page | ms, median | 95 % | all collected: ms, median | 95 % |\n|---|---|---|---|---|")
    for page, both in found.items():
        parts = [f"{np.percentile(times, q):.0f}" for times in both for q in (50, 95)]
        print(f"| {page} | " + " | ".join(parts) + " |")


if __name__ == "__main__":
    main()
