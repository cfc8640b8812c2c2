"""`area run` and `area export`: the analysis of an area, step by step, and its files for others."""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import export, store
from core.commands import analysis
from core.errors import InputError
from core.quadrat_table import (
    Options,
    QuadratTable,
    Step,
    bare_quadrats,
    options_for,
    quadrat_table,
    write_quadrats,
)
from core.record import record
from core.settings import settings
from core.text import N_
from core.workspace import Area, Workspace

STEPS = ("quadrats", "zonal", "normalise", "clusters", "hotspots", "cozy")
_FIRST = ("quadrats", "zonal", "normalise")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to `area`."""
    run = commands.add_parser("run", parents=[common], help="compute the steps of the analysis")
    run.add_argument("name", metavar="NAME")
    run.add_argument("--steps", default=",".join(_FIRST), metavar="STEP,…", help=",".join(STEPS))
    run.add_argument("--stats", metavar="NAME,…", help="mean,frequency,… ; default: by kind")
    run.add_argument("--zonal-rule", choices=["centre", "exact"], default="centre")
    run.add_argument("--engine", choices=["lattice", "exactextract", "rasterstats"])
    run.add_argument("--layers", metavar="LAYER,…", help="default: all")
    run.add_argument("--fill", type=float, metavar="METRES", help="how far gaps are filled; 0: no")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--threads", type=int)
    analysis.add_arguments(run)
    run.set_defaults(handler=_run)

    out = commands.add_parser("export", parents=[common], help="write files for other programs")
    out.add_argument("name", metavar="NAME")
    out.add_argument("folder", metavar="DIR")
    out.add_argument("--what", default="quadrats", metavar="quadrats,…")
    out.add_argument("--columns", metavar="COLUMN,…", help="columns to write as GeoTIFF too")
    out.set_defaults(handler=_export)


def _run(args: argparse.Namespace) -> dict[str, Any]:
    space = Workspace(settings().workspace)
    area = space.area(args.name)
    steps = _checked(args.steps, STEPS, N_("step"))
    if args.threads is not None and args.threads < 1:
        raise InputError(N_("The number of threads must be 1 or more."))
    if args.fill is not None and not 0 <= args.fill < math.inf:
        raise InputError(N_("Gaps can be filled over 0 m or more, not {reach} m."), reach=args.fill)
    options = options_for(
        _list(args.stats),
        zonal_rule=args.zonal_rule,
        engine=args.engine,
        layers=tuple(_list(args.layers) or ()),
        fill_m=args.fill,
        threads=args.threads,
    )
    # A later step needs the earlier ones, named or not.
    has_layers = set(steps) != {"quadrats"}
    made = quadrat_table(space, area, options) if has_layers else bare_quadrats(space, area)
    outputs = [str(write_quadrats(space, area, made))]
    warnings = _warnings(made)
    if "normalise" in steps:
        begun = time.perf_counter()
        path, told = _write_normalised(space, area, made, options)
        step = Step("normalise", time.perf_counter() - begun, area.method, False, made.digest)
        made = replace(made, steps=(*made.steps, step))
        outputs.append(str(path))
        warnings += told
    done = analysis.Done()
    if "clusters" in steps:
        analysis.cluster_step(args, space, area, made, options, done)
    if "hotspots" in steps or "cozy" in steps:
        analysis.cozy_step(args, space, area, made, options, done)
    made = replace(made, steps=(*made.steps, *done.steps))
    return run_record(
        area,
        made,
        options,
        outputs=outputs + done.outputs,
        warnings=warnings + done.warnings,
        seed=args.seed,
        **done.facts,
    )


def run_record(area: Area, made: QuadratTable, options: Options, **more: Any) -> dict[str, Any]:
    """Return the record of a run over an area's quadrats."""
    filled = made.filled(options)
    body = record(
        "area-run",
        area=area,
        quadrats={
            "count": len(made.lattice),
            "rows": made.lattice.shape[0],
            "cols": made.lattice.shape[1],
            "crs": area.crs,
            "origin": [made.lattice.west, made.lattice.north],
        },
        steps=[
            {
                "name": step.name,
                "seconds": round(step.seconds, 4),
                "engine": step.engine,
                "cached": step.cached,
                "digest": step.digest,
            }
            for step in made.steps
        ],
        text=f"{len(made.lattice):,} quadrats, {made.table.shape[1]} columns.",
        **more,
    )
    if options.threads:
        body["threads"] = options.threads
    for row in body["layers"]:
        if note := made.notes.get(row["id"]):
            row["coverage"] = note["coverage"]
            row["unknown_codes"] = [code for code, _ in note["unknown_codes"]]
            row["filled"] += sum(
                count for name, count in filled.filled.items() if name.startswith(f"{row['id']}_")
            )
    return body


def _write_normalised(
    space: Workspace, area: Area, made: QuadratTable, options: Options
) -> tuple[Path, list[str]]:
    normal = made.normalised(options)
    path = space.folder(area.id) / "normalised.parquet"
    with store.atomic_path(path) as tmp:
        normal.table.to_parquet(tmp)
    told = [f"{name}: {count} quadrats without a value" for name, count in normal.missing.items()]
    told += [f"{name}: the same value everywhere" for name in normal.constant]
    told += [
        f"{name}: {count} quadrats without a class" for name, count in normal.without_class.items()
    ]
    return path, told


def _warnings(made: QuadratTable) -> list[str]:
    found = []
    for name, note in made.notes.items():
        if note["is_coarse"]:
            found.append(f"{name}: pixels coarser than the quadrats, weighted by area")
        if note["unknown_codes"]:
            codes = ", ".join(f"{code:g}" for code, _ in note["unknown_codes"][:12])
            found.append(f"{name}: codes that the legend does not name: {codes}")
        if note["empty"]:
            found.append(f"{name}: {note['empty']} quadrats without a valid pixel")
    return found


def _export(args: argparse.Namespace) -> dict[str, Any]:
    space = Workspace(settings().workspace)
    area = space.area(args.name)
    _checked(args.what, ("quadrats",), N_("export"))
    made = quadrat_table(space, area, Options())
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = export.write_all(made, folder, columns=_list(args.columns) or [])
    return record(
        "area-export",
        area=area,
        outputs=[str(path) for path in outputs],
        text="\n".join(str(path) for path in outputs),
    )


def _checked(text: str, known: tuple[str, ...], what: str) -> list[str]:
    names = _list(text) or [""]
    for name in names:
        if name not in known:
            raise InputError(
                N_("There is no {what} {name!r}."),
                hint=N_("There are: {known}."),
                what=what,
                name=name[:40],
                known=", ".join(known),
            )
    return names


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
