"""`measure moran`: local Moran's I of columns of any table whose rows lie on a lattice."""

import argparse
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.text import N_


def add_moran(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
) -> None:
    """Add the command to those of `measure`."""
    moran = commands.add_parser("moran", parents=[common], help="hot and cold spots of columns")
    moran.add_argument("--table", metavar="CSV", required=True, help="a row a quadrat")
    moran.add_argument("--lattice", metavar="CSV", required=True, help="row,col of each quadrat")
    moran.add_argument("--columns", metavar="NAME,…", help="default: every column of numbers")
    moran.add_argument("--weights", choices=["queen", "rook"], default="queen")
    moran.add_argument("--permutations", type=int, help="default: 99999, or 999 in the document's")
    moran.add_argument("--level", type=float, default=0.05)
    moran.add_argument("--correction", choices=["bh", "none"], help="default: the reading's")
    moran.add_argument("--reading", choices=["recommended", "document"], default="recommended")
    moran.add_argument("--engine", choices=["ranks", "esda"], default="ranks")
    moran.add_argument("--seed", type=int, default=0)
    moran.add_argument("--threads", type=int)
    moran.add_argument("--out", metavar="CSV", required=True)
    moran.set_defaults(handler=_moran)


def _moran(args: argparse.Namespace) -> dict[str, Any]:
    import time

    import pandas as pd

    from core import store
    from core.hotspots.moran import PERMUTATIONS, global_moran, local_moran
    from core.hotspots.permute import check_permutations
    from core.record import record
    from core.weights import lattice_neighbours

    table, lattice = _read(args.table), _read(args.lattice)
    absent = {"row", "col"} - set(lattice.columns)
    if absent:
        raise InputError(
            N_("The lattice {name} has no column {absent}."),
            hint=N_("It needs the columns row and col."),
            name=args.lattice,
            absent=", ".join(sorted(absent)),
        )
    columns = _columns(table, args.columns, args.table)
    neighbours = lattice_neighbours(lattice["row"], lattice["col"], args.weights)
    permutations = PERMUTATIONS[args.reading] if args.permutations is None else args.permutations
    check_permutations(neighbours, permutations, args.engine, seed=args.seed)
    out: dict[str, Any] = {}
    measured, steps, warnings, lines = [], [], [], []
    for name in columns:
        begun = time.perf_counter()
        local = local_moran(
            table[name],
            neighbours,
            method=args.reading,
            permutations=permutations,
            seed=args.seed,
            engine=args.engine,
            threads=args.threads,
        )
        whole = global_moran(table[name], neighbours, seed=args.seed, threads=args.threads)
        labels = local.labels(level=args.level, correction=args.correction)
        out |= _result_columns(name, local, labels)
        counts = _counts(labels)
        seconds = time.perf_counter() - begun
        steps.append({"name": f"moran:{name}", "seconds": seconds, "engine": args.engine})
        p = whole.p_folded if args.reading == "document" else whole.p_two_sided
        measured.append({"column": name, "I": whole.statistic, "p": p, "classes": counts})
        missing = int(local.is_missing.sum())
        if missing and args.reading == "document":
            text = "{} has {:,} missing values: the document reading makes every square a cold spot"
            warnings.append(text.format(name, missing))
        lines.append(f"{name}: I = {whole.statistic:.6f}, p = {p:.3g}; " + _told(counts))
    with store.atomic_path(Path(args.out)) as tmp:
        pd.DataFrame(out).to_csv(tmp, index=False)
    return record(
        "moran",
        method=args.reading,
        seed=args.seed,
        weights=args.weights,
        permutations=permutations,
        level=args.level,
        correction=args.correction or ("none" if args.reading == "document" else "bh"),
        columns=measured,
        steps=steps,
        warnings=warnings,
        outputs=[args.out],
        text="\n".join(lines + warnings),
    )


def _result_columns(name: str, local: Any, labels: Any) -> dict[str, Any]:
    from core.hotspots.labels import CLASSES

    return {
        f"{name}_I": local.statistic,
        f"{name}_z": local.z,
        f"{name}_lag": local.lag,
        f"{name}_quadrant": local.quadrant,
        f"{name}_p": local.p,
        f"{name}_label": [CLASSES[code].name for code in labels],
    }


def _counts(labels: Any) -> dict[str, int]:
    from core.hotspots.labels import CLASSES

    return {one.name: int((labels == one.code).sum()) for one in CLASSES}


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)


def _columns(table: Any, names: str | None, source: str) -> list[str]:
    from pandas.api.types import is_numeric_dtype

    numbers = [str(c) for c in table.columns if is_numeric_dtype(table[c])]
    chosen = names.split(",") if names else [c for c in numbers if not c.startswith("Unnamed: ")]
    wrong = [name for name in chosen if name not in numbers]
    if wrong or not chosen:
        raise InputError(
            N_("The table {name} has no column of numbers called {wrong}."),
            hint=N_("There are: {known}."),
            name=source,
            wrong=", ".join(wrong[:6]) or "-",
            known=", ".join(numbers[:12]) or "-",
        )
    return chosen


def _read(name: str) -> Any:
    import pandas as pd

    try:
        return pd.read_csv(name)
    except (OSError, UnicodeDecodeError, ValueError) as err:  # ParserError is a ValueError
        raise InputError(
            N_("The table {name} cannot be read: {reason}."),
            name=name,
            reason=str(err).splitlines()[0][:200],
        ) from err
