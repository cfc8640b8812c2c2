"""The whole walk on the default area: layers → quadrats → clusters → hot spots → cozy zone.

    python -m benchmarks.walk [--rounds 3]

Each round is a process of its own over an area whose results were deleted: nothing is cached but
compiled code. The area itself is made before and not timed. k = 10, as in the document. Prints a
Markdown table.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AREA = "chicago-simulated"
STEPS = "quadrats,zonal,normalise,clusters,hotspots,cozy"


def walk(workspace: Path) -> tuple[float, dict]:
    """Run every step with nothing cached; return the seconds of the process and its record."""
    for name in ("results", "grids"):
        shutil.rmtree(workspace / "areas" / AREA / name, ignore_errors=True)
    command = [sys.executable, "-m", "core", "area", "run", AREA, "--steps", STEPS, "--k", "10"]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, "--json", "--workspace", str(workspace)],
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - begun, json.loads(done.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "core", "area", "simulate", "--workspace", folder], check=True
        )
        walk(workspace)  # compiles what is compiled once
        runs = [walk(workspace) for _ in range(rounds)]
    record = runs[0][1]
    print(f"{record['quadrats']['count']:,} quadrats, {len(record['layers'])} layers; medians of")
    print(f"{rounds} rounds, each a new process.\n")
    print("| step | s |\n|---|---|")
    for number, step in enumerate(record["steps"]):
        seconds = [found["steps"][number]["seconds"] for _, found in runs]
        print(f"| {step['name']} | {statistics.median(seconds):.3f} |")
    total = statistics.median(seconds for seconds, _ in runs)
    steps = statistics.median(sum(s["seconds"] for s in found["steps"]) for _, found in runs)
    peak = max(found["peak_rss_mb"] for _, found in runs)
    print(f"| **all steps** | **{steps:.2f}** |")
    print(f"| **whole process, start included** | **{total:.2f}** |")
    print(f"\nPeak memory {peak:.0f} MB.")


if __name__ == "__main__":
    main()
