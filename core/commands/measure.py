"""`measure`: the arguments of scores, signatures, distances, nearest neighbour index and Moran."""

import argparse
from typing import Any

from core.commands.measure_moran import add_moran
from core.commands.terminal import lazily


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `measure` to the commands."""
    measure = commands.add_parser("measure", help="measures of any table with given labels")
    kinds = measure.add_subparsers(required=True, metavar="MEASURE")
    for name, text in (
        ("scores", "separation score of each factor"),
        ("signatures", "share of each cluster by bin and factor"),
        ("distances", "distance of each cluster to each"),
        ("nni", "1-D nearest neighbour index of the scores of each k"),
    ):
        command = kinds.add_parser(name, parents=[common], help=text)
        command.add_argument("--table", required=True, metavar="CSV", help="a row a quadrat")
        command.add_argument(
            "--labels", required=name != "nni", metavar="NPY|CSV",
            help="one label a quadrat, or several: (K, N) in NPY, a column each in CSV"
            + ("; without it the table holds scores, a row a k" if name == "nni" else ""),
        )  # fmt: skip
        command.add_argument("--columns", metavar="NAME,…", help="default: all columns of numbers")
        command.add_argument("--out", metavar="CSV", help="default: printed")
        if name in {"signatures", "distances"}:
            command.add_argument("--k", type=int, help="which labels, by their number of clusters")
            command.add_argument("--bins", metavar="EDGE,…", help="default: 0,0.3,0.6,1")
        if name != "scores":
            command.add_argument(
                "--reading", choices=["recommended", "document"], default="recommended"
            )
        command.set_defaults(handler=lazily("core.commands.measures", f"{name}_command"))
    add_moran(kinds, common)
