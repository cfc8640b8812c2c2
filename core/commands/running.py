"""What `area run` does: the analysis of an area, step by step."""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import store
from core.commands import analysis
from core.commands.run import STEPS
from core.errors import InputError
from core.normalise import layer_of_column
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


def run_command(args: argparse.Namespace) -> dict[str, Any]:
    """Compute the steps that were asked for and return the record."""
    space = Workspace(settings().workspace)
    area = space.area(args.name)
    steps = checked_names(args.steps, STEPS, N_("step"))
    options = options_of(args)
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


def options_of(args: argparse.Namespace) -> Options:
    """Return the options of the quadrats that the command line names.

    Raises:
        InputError: One of them cannot be used.
    """
    if args.threads is not None and args.threads < 1:
        raise InputError(N_("The number of threads must be 1 or more."))
    if args.fill is not None and not 0 <= args.fill < math.inf:
        raise InputError(N_("Gaps can be filled over 0 m or more, not {reach} m."), reach=args.fill)
    return options_for(
        names_of(args.stats),
        zonal_rule=args.zonal_rule,
        engine=args.engine,
        layers=tuple(names_of(args.layers) or ()),
        fill_m=args.fill,
        threads=args.threads,
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
                count
                for name, count in filled.filled.items()
                if layer_of_column(name, made.notes) == row["id"]
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


def checked_names(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """Return the names of a list with commas.

    Raises:
        InputError: One of them is not known.
    """
    names = names_of(text) or [""]
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


def names_of(text: str | None) -> list[str] | None:
    """Return the names of a list with commas; None where there is no list."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
