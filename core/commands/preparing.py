"""`area mosaic | burn | reproject | clip | fill`: make a layer out of layers and files."""

import argparse
from dataclasses import asdict, fields, replace
from typing import Any

from core.commands.terminal import progress_line, workspace

# Spelt out, since the operations are imported only when one of them is run.
_RULES = ("first", "last", "min", "max", "mean")
_METHODS = ("auto", "nearest", "bilinear", "average", "mode")


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    """Add the commands to those of `area`."""
    mosaic = _command(commands, common, "mosaic", "put several rasters together into one")
    mosaic.add_argument("sources", metavar="LAYER|FILE", nargs="+")
    mosaic.add_argument("--rule", choices=_RULES, default="first", help="where they overlap")
    mosaic.add_argument("--reproject", action="store_true", help="let their CRS differ")

    burn = _command(commands, common, "burn", "burn an attribute of polygons into a raster")
    burn.add_argument("file", metavar="FILE")
    burn.add_argument("--attribute", required=True)
    burn.add_argument("--cell", dest="cell_m", type=float, default=10.0, metavar="METRES")
    burn.add_argument("--outside", type=_number_or_none, default=0.0, metavar="VALUE|none")
    burn.add_argument("--rule", choices=("last", "max"), default="last", help="where they overlap")
    burn.add_argument("--all-touched", action="store_true", help="not only cells by their centre")
    burn.add_argument("--layer", help="layer of FILE where it holds several")
    burn.add_argument("--source-crs", dest="crs", help="CRS of FILE where it names none")

    reproject = _command(commands, common, "reproject", "change the CRS or the resolution")
    reproject.add_argument("source", metavar="LAYER|FILE")
    reproject.add_argument("--crs")
    reproject.add_argument("--resolution", type=float, help="in units of the CRS")
    reproject.add_argument("--method", choices=_METHODS, default="auto")

    clip = _command(commands, common, "clip", "cut a raster to the area")
    clip.add_argument("source", metavar="LAYER|FILE")
    clip.add_argument("--margin", dest="margin_m", type=float, default=0.0, metavar="METRES")
    clip.add_argument("--mask", action="store_true", help="make pixels outside missing")

    fill = _command(commands, common, "fill", "fill gaps within a distance")
    fill.add_argument("source", metavar="LAYER|FILE")
    fill.add_argument("--distance", dest="distance_m", type=float, required=True, metavar="METRES")
    fill.add_argument("--method", choices=("auto", "idw", "nearest"), default="auto")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    name: str,
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, parents=[common], help=text)
    command.add_argument("name", metavar="NAME")
    command.add_argument("out", metavar="OUT", help="id of the layer that is made")
    command.add_argument("--title")
    command.add_argument("--kind", choices=["classes", "values"], help="default: the source's")
    command.add_argument("--role", choices=["cause", "effect"])
    command.add_argument("--unit")
    command.add_argument("--plan", action="store_true", help="only say what would come out")
    command.set_defaults(handler=_run, operation=name)
    return command


def _number_or_none(text: str) -> float | None:
    return None if text == "none" else float(text)


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from core.operations import making
    from core.operations.catalogue import OPERATIONS, operation_from
    from core.operations.sources import about_like, find_source
    from core.prepare import About
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    names = [field.name for field in fields(OPERATIONS[args.operation])]
    operation = operation_from(args.operation, {name: getattr(args, name) for name in names})
    if args.operation == "burn":
        about = About(layer_id=args.out, title=args.title or args.attribute, kind="values")
    else:
        first = args.sources[0] if args.operation == "mosaic" else args.source
        about = about_like(find_source(space, area, first), args.out, args.title or "")
    given = {"kind": args.kind, "role": args.role, "unit": args.unit}
    about = replace(about, **{key: value for key, value in given.items() if value is not None})
    if args.plan:
        plan = making.plan(space, area.id, operation, about.kind)
        notes = [note.message() for note in plan.notes]
        facts = {**asdict(plan), "notes": notes}
        text = "\n".join([f"{key:12} {value}" for key, value in facts.items() if key != "notes"])
        return record(
            "layer-plan", area=area, plan=facts, warnings=notes, text="\n".join([text, *notes])
        )
    done = making.run(space, area.id, operation, about, on_progress=progress_line(quiet=args.json))
    notes = [note.message() for note in done.notes]
    return record(
        "layer-made",
        area=done.area,
        layer=done.layer.id,
        steps=list(done.layer.steps),
        outputs=[done.layer.file],
        warnings=notes,
        text="\n".join([f"Made {done.layer.id} in {done.area.title}.", *notes]),
    )
