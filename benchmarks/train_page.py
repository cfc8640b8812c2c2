"""The Train page over a long run: what one drawing of each panel costs the server.

A run of 300 epochs as the published WGAN logs it (5,000 rows, 300 measurements) that still goes on;
the page is run without a browser. Server time is the wall time of a rerun; CPU time is given beside
it, since a busy machine stretches only the first.
"""

import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

ROUNDS = 20
PANELS = ("losses", "scores", "judgement", "pace", "log")


def main() -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"URBAN_PATTERN_WORKSPACE": folder, "URBAN_PATTERN_DEFAULT_AREA": "off"}
        measure(Path(folder))


def measure(workspace: Path) -> None:
    """Make the run in a workspace and draw each panel again and again."""
    from streamlit.testing.v1 import AppTest

    from tests.models.fake_run import config, make_run

    root = workspace / "runs"
    root.mkdir()
    made = make_run(
        root, config(model="wgan", fits=(5, 10, 10, 200, 100)), per_epoch=156, epochs=300,
        state="running",
    )  # fmt: skip
    size = (made / "metrics.jsonl").stat().st_size / 1e6
    print(f"{size:.1f} MB of figures, load {os.getloadavg()[0]:.1f}")
    print("| panel | first, ms | median, ms | p95, ms | CPU, median ms |")
    print("|---|---|---|---|---|")
    for panel in PANELS:
        app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=120)
        app.query_params.update({"lang": "en", "panel": panel})
        app.run()
        begun = time.perf_counter()
        app.switch_page("pages/train.py").run()
        first = time.perf_counter() - begun
        walls, spent = [], []
        for _ in range(ROUNDS):
            begun, cpu = time.perf_counter(), time.process_time()
            app.run()
            walls.append(time.perf_counter() - begun)
            spent.append(time.process_time() - cpu)
        assert not app.exception
        p95 = statistics.quantiles(walls, n=20)[-1]
        figures = (first, statistics.median(walls), p95, statistics.median(spent))
        print(f"| {panel} | " + " | ".join(f"{1000 * one:.0f}" for one in figures) + " |")


if __name__ == "__main__":
    main()
