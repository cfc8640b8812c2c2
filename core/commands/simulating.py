"""`simulate aerial`: write a window of the simulated aerial imagery to a file."""

import argparse
from pathlib import Path
from typing import Any

from core.commands.terminal import four_numbers, lazily, progress_line


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `simulate` to the commands."""
    simulate = commands.add_parser("simulate", help="draw data of the simulated city")
    kinds = simulate.add_subparsers(required=True, metavar="WHAT")
    aerial = kinds.add_parser(
        "aerial", parents=[common], help="aerial image of 1 m: red, green, blue, near infrared"
    )
    aerial.add_argument("--bounds", required=True, metavar="W,S,E,N", help="in degrees")
    aerial.add_argument("--out", required=True, metavar="TIF")
    aerial.add_argument("--cover", metavar="TIF", help="write its land cover too")
    aerial.add_argument("--seed", type=int, default=0)
    aerial.set_defaults(handler=lazily("core.commands.simulating", "aerial_command"))


def aerial_command(args: argparse.Namespace) -> dict[str, Any]:
    """Write the files and return the record."""
    from pyproj import Transformer

    from core.record import record
    from core.simulate.aerial import AerialSource
    from core.simulate.aerial_file import write_aerial
    from core.simulate.city import City

    degrees = four_numbers(args.bounds)
    source = AerialSource(City(args.seed))
    to_map = Transformer.from_crs(4326, source.crs, always_xy=True)
    outputs = write_aerial(
        source,
        to_map.transform_bounds(*degrees),
        Path(args.out),
        cover_path=Path(args.cover) if args.cover else None,
        on_progress=progress_line(quiet=args.json),
    )
    return record(
        "simulated-aerial",
        seed=args.seed,
        steps=source.steps(),
        outputs=[str(path) for path in outputs],
        text="\n".join(str(path) for path in outputs),
    )
