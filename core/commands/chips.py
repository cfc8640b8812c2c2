"""`chips`: the arguments of making, importing, showing and exporting sets of chips."""

import argparse
from typing import Any

from core.commands.terminal import lazily

_RUNNING = "core.commands.chip_sets"


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `chips` to the commands."""
    chips = commands.add_parser("chips", help="cut, import and export training chips")
    kinds = chips.add_subparsers(required=True, metavar="COMMAND")
    _make(kinds, common)

    take = kinds.add_parser("import", parents=[common], help="take in a folder of images, or MNIST")
    take.add_argument("source", metavar="DIR|IDX")
    take.add_argument("--out", required=True, metavar="SET")
    take.add_argument("--size", type=int, metavar="PX", help="default: that of the first image")
    take.add_argument("--labels", metavar="IDX", help="default: the file beside the images")
    take.add_argument("--replace", action="store_true", help="in place of a set of that name")
    take.set_defaults(handler=lazily(_RUNNING, "import_command"))

    show = kinds.add_parser("show", parents=[common], help="say what a set and each chip holds")
    show.add_argument("set", metavar="SET")
    show.add_argument("--quality", action="store_true", help="look for blur and near duplicates")
    show.set_defaults(handler=lazily(_RUNNING, "show_command"))

    out = kinds.add_parser("export", parents=[common], help="write image files, a folder a size")
    out.add_argument("set", metavar="SET")
    out.add_argument("folder", metavar="DIR")
    out.add_argument(
        "--format", choices=["png", "jpeg"], default="png",
        help="jpeg changes pixels, and with them every distance between sets of images",
    )  # fmt: skip
    out.add_argument("--quality", type=int, default=95, help="of jpeg, 1 to 95")
    out.add_argument("--sizes", metavar="PX,…", help="default: all of the pyramid")
    out.add_argument("--split", choices=["train", "test"], help="default: both, test in test/")
    out.add_argument("--bands", metavar="NAME,…", help="one channel or three; default: red,…")
    out.set_defaults(handler=lazily(_RUNNING, "export_command"))

    listing = kinds.add_parser("list", parents=[common], help="list the sets")
    listing.set_defaults(handler=lazily(_RUNNING, "list_command"))
    for name, text in (
        ("delete", "delete a set with its files"),
        ("verify", "compare a set with what was written"),
    ):
        command = kinds.add_parser(name, parents=[common], help=text)
        command.add_argument("set", metavar="SET")
        command.set_defaults(handler=lazily(_RUNNING, f"{name}_command"))


def _make(kinds: Any, common: argparse.ArgumentParser) -> None:
    make = kinds.add_parser("make", parents=[common], help="cut chips from layers or files")
    make.add_argument("name", metavar="NAME", nargs="?", default="", help="the study area")
    make.add_argument(
        "--layer", dest="layers", action="append", default=[], metavar="LAYER",
        help="again for more channels, on the grid of the first",
    )  # fmt: skip
    make.add_argument(
        "--file", dest="files", action="append", default=[], metavar="FILE",
        help="in place of layers; again for other places, or other dates of one",
    )  # fmt: skip
    make.add_argument(
        "--simulated", type=int, metavar="SEED", nargs="?", const=0,
        help="cut the aerial imagery of the simulated city, in place of layers",
    )  # fmt: skip
    make.add_argument("--out", required=True, metavar="SET")
    make.add_argument("--replace", action="store_true", help="in place of a set of that name")
    make.add_argument("--size", type=int, default=64, metavar="PX", help="side of a chip")
    make.add_argument("--metres", type=float, help="side on the ground; default: PX pixels")
    make.add_argument("--count", type=int, help="default: 2000; with --grid all that fit")
    make.add_argument("--grid", action="store_true", help="side by side; else at random")
    make.add_argument("--overlap", type=float, metavar="SHARE", help="most that two chips share")
    make.add_argument("--min-distance", type=float, default=0.0, metavar="METRES")
    make.add_argument("--min-valid", type=float, default=1.0, metavar="SHARE")
    make.add_argument("--split", choices=["place", "none"], default="place")
    make.add_argument("--test-share", type=float, default=0.2, metavar="SHARE")
    make.add_argument("--block", type=float, metavar="METRES", help="side of a block of the split")
    make.add_argument(
        "--gap", type=float, default=0.0, metavar="METRES", help="between train and test"
    )
    make.add_argument("--balance", choices=["clusters", "cover"], default="")
    make.add_argument("--cover", default="", metavar="LAYER", help="land cover; default: the first")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--kind", choices=["image", "values", "classes"], help="of files")
    make.add_argument("--bands", metavar="BAND,…", help="of files, from 1; default: all")
    make.add_argument("--dates", metavar="DATE,…", help="of files; default: from their names")
    make.add_argument("--range", metavar="LOW,HIGH", help="values to keep; default: all there are")
    make.set_defaults(handler=lazily(_RUNNING, "make_command"))
