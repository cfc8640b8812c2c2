"""`area run` and `area export`: their arguments."""

import argparse
from typing import Any

from core.commands.terminal import lazily

STEPS = ("quadrats", "zonal", "normalise", "clusters", "hotspots", "cozy")
EXPORTS = ("quadrats", "normalised", "clusters", "cozy")
_FIRST = ("quadrats", "zonal", "normalise")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to `area`."""
    run = commands.add_parser("run", parents=[common], help="compute the steps of the analysis")
    run.add_argument("name", metavar="NAME")
    run.add_argument("--steps", default=",".join(_FIRST), metavar="STEP,…", help=",".join(STEPS))
    _add_options(run)
    run.set_defaults(handler=lazily("core.commands.running", "run_command"))

    out = commands.add_parser("export", parents=[common], help="write files for other programs")
    out.add_argument("name", metavar="NAME")
    out.add_argument("folder", metavar="DIR")
    out.add_argument("--what", default="quadrats", metavar="NAME,…", help=",".join(EXPORTS))
    out.add_argument(
        "--columns", metavar="COLUMN,…",
        help="columns to write as GeoTIFF too, gaps filled as on the map; as measured: --fill 0",
    )  # fmt: skip
    _add_options(out)
    out.set_defaults(handler=lazily("core.commands.exporting", "export_command"))


def _add_options(run: argparse.ArgumentParser) -> None:
    """Add what both take, so that what is written is what was computed."""
    run.add_argument("--stats", metavar="NAME,…", help="mean,frequency,… ; default: by kind")
    run.add_argument("--zonal-rule", choices=["centre", "exact"], default="centre")
    run.add_argument("--engine", choices=["lattice", "exactextract", "rasterstats"])
    run.add_argument("--layers", metavar="LAYER,…", help="default: all")
    run.add_argument("--fill", type=float, metavar="METRES", help="how far gaps are filled; 0: no")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--threads", type=int)
    run.add_argument("--factors", metavar="NAME,…", help="layers or columns; default: all causes")
    run.add_argument("--ks", default="2-50", metavar="LOW-HIGH[:STEP]")
    run.add_argument("--k", type=int, help="default: a firm one, well parted; takes five sweeps")
    run.add_argument("--summer", metavar="LAYER", help="default: the layer of that season")
    run.add_argument("--winter", metavar="LAYER")
    run.add_argument("--weights", choices=["queen", "rook"], default="queen")
    run.add_argument("--permutations", type=int)
    run.add_argument("--level", type=float, default=0.05)
    run.add_argument("--correction", choices=["bh", "none"])
    run.add_argument(
        "--zeros-stay", action="store_true", help="document: squares without a value count as 0"
    )
