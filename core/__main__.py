"""The command line: the same code as the pages, for batch work, servers and checks.

Exit status: 0 done, 2 a user's mistake (one sentence on standard error), 1 an error of the program.
"""

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import default_area
from core.commands import chips, fetching, imagery, measure, preparing, run, simulating
from core.commands.terminal import four_numbers, progress_line, workspace
from core.errors import AppError, InputError
from core.settings import PREFIX, settings
from core.text import N_


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of Windows may know few characters
            stream.reconfigure(encoding="utf-8", errors="replace")
    args = _parser().parse_args(_words(sys.argv[1:] if argv is None else argv))
    try:
        if args.workspace:
            os.environ[f"{PREFIX}WORKSPACE"] = args.workspace
            settings.cache_clear()
        body = args.handler(args)
        if args.json:
            print(json.dumps(body, indent=1, ensure_ascii=False))
        elif body.get("text"):
            print(body["text"])
        sys.stdout.flush()
    except AppError as err:
        print(err, file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as err:  # no permission, a full disk, a folder that is a file
        print(f"{err.filename or 'The system'}: {err.strerror or err}.", file=sys.stderr)
        return 2
    return int(body.get("status", 0))


def _words(argv: Sequence[str]) -> list[str]:
    """Make `--bounds -87.7,…` one word: argparse takes a value with a minus for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] in {"--bounds", "--range"}:
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--workspace", metavar="DIR", help="folder of the study areas")
    common.add_argument("--json", action="store_true", help="print one JSON object")
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", parents=[common], help="open the app in a browser")
    serve.add_argument("--port", type=int, default=8501)
    serve.add_argument("--address", default="localhost", help="0.0.0.0 for other machines")
    serve.add_argument("--base-path", default="", help="path below which the app is served")
    serve.add_argument("--no-browser", action="store_true", help="do not open a browser")
    serve.set_defaults(handler=_serve)

    pixel = commands.add_parser("pixel", parents=[common], help="read a layer at one point")
    pixel.add_argument("name", metavar="NAME")
    pixel.add_argument("layer", metavar="LAYER")
    pixel.add_argument("lon", type=float)
    pixel.add_argument("lat", type=float)
    pixel.add_argument("--outside", action="store_true", help="let a remote layer be read")
    pixel.set_defaults(handler=_pixel)

    inspect = commands.add_parser("inspect", parents=[common], help="say what a raster file holds")
    inspect.add_argument("file", metavar="FILE")
    inspect.add_argument("--outside", action="store_true", help="let FILE be an https address")
    inspect.set_defaults(handler=_inspect)

    measure.register(commands, common)
    chips.register(commands, common)
    simulating.register(commands, common)
    imagery.register(commands, common)
    area = commands.add_parser("area", help="make, fill and list study areas")
    area_commands = area.add_subparsers(required=True, metavar="COMMAND")
    _area_commands(area_commands, common)
    run.register(area_commands, common)
    return parser


def _area_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    listing = commands.add_parser("list", parents=[common], help="list the study areas")
    listing.set_defaults(handler=_list)
    for name, handler, text in (
        ("show", _show, "say what is known of an area"),
        ("delete", _delete, "delete an area with its files"),
        ("verify", _verify, "compare the files with their digests"),
    ):
        command = commands.add_parser(name, parents=[common], help=text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(handler=handler)
    rename = commands.add_parser("rename", parents=[common], help="give an area another title")
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("title", metavar="TITLE")
    rename.set_defaults(handler=_rename)

    simulate = commands.add_parser(
        "simulate", parents=[common], help="make the simulated default area"
    )
    simulate.add_argument("name", metavar="NAME", nargs="?", default=default_area.DEFAULT_AREA)
    simulate.add_argument("--seed", type=int, default=0)
    simulate.set_defaults(handler=_simulate)

    _new_command(commands, common)
    _layer_commands(commands, common)
    preparing.register(commands, common)
    fetching.register(commands, common)


def _new_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    new = commands.add_parser("new", parents=[common], help="make an area from a boundary")
    new.add_argument("name", metavar="NAME", help="small letters, digits, '_' and '-'")
    source = new.add_mutually_exclusive_group(required=True)
    source.add_argument("--boundary", metavar="FILE")
    source.add_argument("--zones", metavar="SET[:NAME,…]", help="named zones, such as chicago77")
    source.add_argument("--bounds", metavar="W,S,E,N", help="a rectangle in degrees")
    new.add_argument("--title", help="the name that people read")
    new.add_argument("--crs", help="CRS of the area, in metres; default: the UTM zone")
    new.add_argument("--boundary-crs", help="CRS of FILE where it names none")
    new.add_argument("--boundary-layer", help="layer of FILE where it holds several")
    new.add_argument("--quadrat", type=float, default=150.0, metavar="METRES")
    new.add_argument("--rule", choices=["within", "centroid", "touching"], default="within")
    new.add_argument("--method", choices=["recommended", "document"], default="recommended")
    new.set_defaults(handler=_new)


def _layer_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    add = commands.add_parser("add", parents=[common], help="bring a raster in as a layer")
    add.add_argument("name", metavar="NAME")
    add.add_argument("layer", metavar="LAYER", help="id of the layer: landcover, lst0810 …")
    add.add_argument("file", metavar="FILE")
    add.add_argument("--kind", choices=["classes", "values"], help="default: guessed, and told")
    add.add_argument("--role", choices=["cause", "effect"])
    add.add_argument("--season", choices=["summer", "winter"])
    add.add_argument("--band", type=int, default=1)
    add.add_argument("--legend", metavar="CSV|PRESET", help="code,name,colour; or a preset's name")
    add.add_argument("--title")
    add.add_argument("--unit")
    add.add_argument("--colormap")
    add.add_argument("--source-crs", help="CRS of FILE where it names none")
    add.add_argument("--nodata", type=float, help="value of missing pixels where FILE names none")
    add.add_argument("--outside", action="store_true", help="let FILE be an https address")
    add.set_defaults(handler=_add)

    remove = commands.add_parser("remove", parents=[common], help="take a layer out of an area")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("layer", metavar="LAYER")
    remove.set_defaults(handler=_remove)


def _serve(args: argparse.Namespace) -> dict[str, Any]:
    root = Path(__file__).parent.parent
    # Relative folders mean the folder the user stands in, not the program's.
    os.environ[f"{PREFIX}WORKSPACE"] = str(settings().workspace.resolve())
    os.environ[f"{PREFIX}DATA"] = str(settings().data.resolve())
    command = [sys.executable, "-m", "streamlit", "run", str(root / "app.py")]
    options = {
        "server.port": args.port,
        "server.address": args.address,
        "server.baseUrlPath": args.base_path,
        "server.maxUploadSize": settings().upload_mb,
        "server.headless": "true" if args.no_browser or not _has_display() else "false",
    }
    command += [f"--{key}={value}" for key, value in options.items() if value != ""]
    base = f"/{args.base_path.strip('/')}" if args.base_path.strip("/") else ""
    print(f"Urban Pattern Studio: http://{args.address}:{args.port}{base}", flush=True)
    os.chdir(root)  # where .streamlit lies
    if os.name == "posix":
        os.execv(command[0], command)  # so that a signal reaches the server itself
    return {"status": subprocess.run(command, check=False).returncode}


def _has_display() -> bool:
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def _list(_args: argparse.Namespace) -> dict[str, Any]:
    from core.record import area_facts, record

    space = workspace()
    areas = space.areas()
    broken = {name: str(err) for name, err in space.broken().items()}
    lines = [f"{area.id:30} {len(area.layers):3} layers  {area.title}" for area in areas]
    lines += [f"{name:30}   unreadable: {reason}" for name, reason in broken.items()]
    return record(
        "area-list",
        areas=[area_facts(area) for area in areas],
        warnings=list(broken.values()),
        text="\n".join(lines) or "There are no study areas yet.",
    )


def _show(args: argparse.Namespace) -> dict[str, Any]:
    from core.problems import layer_problems
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    warnings = []
    for layer in area.layers:
        try:
            found = [problem.message() for problem in layer_problems(space, area, layer)]
        except AppError as err:
            found = [str(err)]
        warnings += [f"{layer.id}: {text}" for text in found]
    lines = [f"{area.title} ({area.id})", f"CRS {area.crs.splitlines()[0][:60]}"]
    lines += [
        f"  {layer.id:20} {layer.kind:8} {layer.role:7} {layer.season or '':7}"
        f" {layer.summary.valid_share:7.1%} valid  {layer.title}"
        for layer in area.layers
    ]
    lines += warnings
    return record("area", area=area, warnings=warnings, text="\n".join(lines))


def _delete(args: argparse.Namespace) -> dict[str, Any]:
    from core.record import record

    space = workspace()
    space.delete(args.name)
    if args.name == default_area.DEFAULT_AREA:
        default_area.leave_out(space.root)
    return record("area-deleted", outputs=[], text=f"Deleted {args.name}.")


def _rename(args: argparse.Namespace) -> dict[str, Any]:
    from core.record import record

    area = workspace().rename(args.name, args.title)
    return record("area", area=area, text=f"{area.id} is now called {area.title}.")


def _verify(args: argparse.Namespace) -> dict[str, Any]:
    from core.prepare import verify
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    damaged = []
    for layer in area.layers:
        try:
            verify(space, area.id, layer.id)
        except AppError as err:
            damaged.append(str(err))
    text = "\n".join(damaged) or f"All {len(area.layers)} layers are as they were written."
    body = record("area-verified", area=area, warnings=damaged, text=text)
    if damaged:
        body["status"] = 2
    return body


def _simulate(args: argparse.Namespace) -> dict[str, Any]:
    from core.record import record
    from core.simulate.area import make_simulated_area

    area = make_simulated_area(
        workspace(), args.name, seed=args.seed, on_progress=progress_line(quiet=args.json)
    )
    return record("area", area=area, seed=args.seed, text=f"Made {area.title} ({area.id}).")


def _new(args: argparse.Namespace) -> dict[str, Any]:
    from core import boundaries, zones
    from core.record import record

    if args.boundary:
        boundary = boundaries.read_boundary(
            Path(args.boundary), crs=args.boundary_crs, layer=args.boundary_layer
        )
    elif args.zones:
        set_id, _, names = args.zones.partition(":")
        boundary = zones.zone_boundary(set_id, names.split(",") if names else None)
    else:
        boundary = boundaries.from_bounds(*four_numbers(args.bounds))
    frame = boundaries.in_metres(boundary.frame, args.crs)
    area = workspace().create(
        args.name,
        title=args.title or args.name,
        boundary=frame,
        boundary_source=boundary.source,
        quadrat_m=args.quadrat,
        rule=args.rule,
        method=args.method,
    )
    return record("area", area=area, text=f"Made {area.title} ({area.id}) in {area.crs[:40]}.")


def _add(args: argparse.Namespace) -> dict[str, Any]:
    from core import prepare, raster_info
    from core.legends import PRESETS, Legend, read_legend_csv
    from core.record import record
    from core.rendering import COLORMAPS

    if args.colormap and args.colormap not in COLORMAPS:
        raise InputError(
            N_("There is no colormap {name!r}."),
            hint=N_("There are: {known}."),
            name=args.colormap[:80],
            known=", ".join(COLORMAPS),
        )
    is_remote = args.file.startswith(("http://", "https://"))
    source: Path | str = args.file if is_remote else Path(args.file)
    info = raster_info.inspect(source, outside=args.outside)
    guess = raster_info.guess(info, source, band=args.band, outside=args.outside)
    legend: Legend = ()
    if args.legend in PRESETS:
        legend = PRESETS[args.legend][1]
    elif args.legend:
        try:
            legend = read_legend_csv(Path(args.legend).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as err:
            raise InputError(
                N_("The legend {name} cannot be read: {reason}."),
                name=args.legend,
                reason=str(err),
            ) from err
    kind = args.kind or guess.kind
    about = prepare.About(
        layer_id=args.layer,
        title=args.title or guess.title,
        kind=kind,
        role=args.role or guess.role,
        season=args.season or guess.season,
        unit=guess.unit if args.unit is None else args.unit,
        colormap=args.colormap or guess.colormap,
        legend=legend or (guess.kept_legend if kind == "classes" else ()),
    )
    space = workspace()
    is_there = any(layer.id == args.layer for layer in space.area(args.name).layers)
    reading: dict[str, Any] = {"band": args.band, "crs": args.source_crs, "nodata": args.nodata}
    if isinstance(source, str):
        area = prepare.add_remote(space, args.name, source, about, **reading)
    else:
        progress = progress_line(quiet=args.json)
        area = prepare.add_raster(space, args.name, source, about, **reading, on_progress=progress)
    layer = area.layer(args.layer)
    warnings = [f"{layer.id}: replaced the layer of that name"] if is_there else []
    text = f"Added {layer.id} ({layer.kind}, {layer.role}) to {area.title}."
    if is_there:
        text = f"Replaced {layer.id} ({layer.kind}, {layer.role}) in {area.title}."
    return record("area", area=area, outputs=[layer.file], warnings=warnings, text=text)


def _remove(args: argparse.Namespace) -> dict[str, Any]:
    from core.record import record

    area = workspace().remove_layer(args.name, args.layer)
    return record("area", area=area, text=f"Removed {args.layer} from {area.title}.")


def _pixel(args: argparse.Namespace) -> dict[str, Any]:
    from core import rasters
    from core.record import record

    space = workspace()
    area = space.area(args.name)
    layer = area.layer(args.layer)
    source = layer.url or space.layer_path(area.id, layer)
    found = rasters.read_pixel(source, args.lon, args.lat, outside=args.outside)
    names = {entry.code: entry.name for entry in layer.legend}
    class_name = None
    if layer.kind == "classes" and found.value is not None:
        class_name = names.get(int(found.value))
    text = "missing" if found.value is None else f"{found.value:.10g} {layer.unit}".strip()
    return record(
        "pixel",
        layer=layer.id,
        lon=args.lon,
        lat=args.lat,
        value=found.value,
        unit=layer.unit,
        class_name=class_name,
        row=found.row,
        column=found.column,
        is_inside=found.row is not None,
        text=f"{text}  {class_name}" if class_name else text,
    )


def _inspect(args: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    from core import raster_info
    from core.record import record

    is_remote = args.file.startswith(("http://", "https://"))
    source: Path | str = args.file if is_remote else Path(args.file)
    info = raster_info.inspect(source, outside=args.outside)
    guess = raster_info.guess(info, source, outside=args.outside)
    facts = asdict(info)
    lines = [f"{key:18} {value}" for key, value in facts.items()]
    lines.append(f"{'guess':18} {guess.kind}, {guess.role}, {guess.title}")
    return record("raster", raster=facts, guess=asdict(guess), text="\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
