"""What `area export` does: tables of an area as files for other programs."""

import argparse
from pathlib import Path
from typing import Any

from core import export
from core.commands import analysis
from core.commands.run import EXPORTS
from core.commands.running import checked_names, names_of, options_of
from core.commands.terminal import workspace
from core.quadrat_table import quadrat_table, whole_frame
from core.record import record
from core.text import N_


def export_command(args: argparse.Namespace) -> dict[str, Any]:
    """Write what was asked for in every format and return the record."""
    space = workspace()
    area = space.area(args.name)
    what = checked_names(args.what, EXPORTS, N_("export"))
    options = options_of(args)
    made = quadrat_table(space, area, options)
    columns = names_of(args.columns) or []
    export.check_columns(made, columns)
    done = analysis.Done()
    if "clusters" in what:
        analysis.cluster_step(args, space, area, made, options, done)
    if "cozy" in what:
        analysis.cozy_step(args, space, area, made, options, done)
    frames = done.frames
    if "normalised" in what:
        frames["normalised"] = export.frame_of(made, made.normalised(options).table)
    if "quadrats" in what:
        frames["quadrats"] = whole_frame(made)
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [path for name in what for path in export.write_all(frames[name], folder / name)]
    filled = made.filled(options).table
    for name in columns:
        path = folder / f"{name}.tif"
        outputs.append(export.write_column(made.lattice, filled[name].to_numpy(), path))
    return record(
        "area-export",
        area=area,
        seed=args.seed,
        outputs=[str(path) for path in outputs],
        warnings=done.warnings,
        text="\n".join(str(path) for path in outputs),
    )
