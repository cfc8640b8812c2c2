"""What `measure` does: scores, signatures, distances and index of any labelled table."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import store
from core.clusters.quality import factor_scores
from core.distances import distances
from core.errors import InputError
from core.nni import nni_table
from core.record import record
from core.signatures import EDGES, Signatures, signatures
from core.text import N_

# First columns that number the rows rather than measure something.
_ROW_NAMES = ("", "on", "id", "index", "quadrat")


def scores_command(args: argparse.Namespace) -> dict[str, Any]:
    """Return the separation score of each factor."""
    table = _table(args)
    return _filed(args, "scores", _scores_by_k(table, _labels(args, len(table))))


def signatures_command(args: argparse.Namespace) -> dict[str, Any]:
    """Return the share of each cluster by bin and factor."""
    return _filed(args, "signatures", _signatures_of(args).frame())


def distances_command(args: argparse.Namespace) -> dict[str, Any]:
    """Return the distance of each cluster to each."""
    found = _signatures_of(args)
    index = pd.Index(found.clusters, name="cluster")
    return _filed(args, "distances", pd.DataFrame(distances(found), index, list(found.clusters)))


def nni_command(args: argparse.Namespace) -> dict[str, Any]:
    """Return the nearest neighbour index of the scores of each k."""
    scores = _table(args)
    if args.labels:
        scores = _scores_by_k(scores, _labels(args, len(scores)))
    return _filed(args, "nni", nni_table(scores, method=args.reading))


def _scores_by_k(table: pd.DataFrame, runs: NDArray[np.integer]) -> pd.DataFrame:
    values = table.to_numpy(np.float64)
    _refuse_columns(
        table, ~np.isfinite(values).all(axis=0), N_("There are missing values in: {names}.")
    )
    _refuse_columns(
        table,
        np.ptp(values, axis=0) == 0,
        N_("These columns have the same value everywhere: {names}."),
    )
    rows = {_num(labels): factor_scores(values, labels) for labels in runs}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(table.columns))
    return frame.rename_axis("k")


def _signatures_of(args: argparse.Namespace) -> Signatures:
    table = _table(args)
    runs = _labels(args, len(table))
    fitting = [labels for labels in runs if args.k in (None, _num(labels))]
    if len(fitting) != 1:
        raise InputError(
            N_("There are labels for these numbers of clusters: {known}."),
            hint=N_("Choose one with --k."),
            known=", ".join(str(_num(labels)) for labels in runs),
        )
    edges = EDGES if args.bins is None else tuple(_number(edge) for edge in args.bins.split(","))
    return signatures(table, fitting[0], edges=edges, method=args.reading)


def _table(args: argparse.Namespace) -> pd.DataFrame:
    frame = _csv(Path(args.table))
    if args.columns is None:
        chosen = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
    else:
        chosen = args.columns.split(",")
    unknown = [name for name in chosen if name not in frame]
    if unknown or not chosen:
        raise InputError(
            N_("There is no column {names}."),
            hint=N_("There are: {known}."),
            names=", ".join(unknown[:6]) or "-",
            known=", ".join(map(str, frame.columns[:20])),
        )
    table = frame[chosen]
    words = np.array([not pd.api.types.is_numeric_dtype(table[name]) for name in table])
    _refuse_columns(table, words, N_("There are no numbers in: {names}."))
    return table


def _csv(path: Path) -> pd.DataFrame:
    """Read a table; a first column that merely numbers the rows becomes its index."""
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as err:
        raise InputError(
            N_("{name} cannot be read as CSV: {reason}."), name=path.name, reason=str(err)[:200]
        ) from err
    first = str(frame.columns[0])
    if first.lower() in _ROW_NAMES or first.startswith("Unnamed:"):
        frame = frame.set_index(frame.columns[0])
    return frame


def _labels(args: argparse.Namespace, rows: int) -> NDArray[np.int64]:
    """Return labels (K, N)."""
    path = Path(args.labels)
    if path.suffix.lower() == ".npy":
        try:
            found = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as err:
            raise InputError(
                N_("{name} cannot be read: {reason}."), name=path.name, reason=str(err)[:200]
            ) from err
    else:
        found = _csv(path).to_numpy().T
    runs = np.atleast_2d(found)
    is_whole = runs.dtype.kind in "iuf" and bool(np.equal(runs, np.floor(runs)).all())
    if (
        not is_whole
        or runs.ndim != 2
        or not 0 <= runs.min(initial=0) <= runs.max(initial=0) < 2**16
    ):
        raise InputError(
            N_("{name} holds no labels."),
            hint=N_("Labels are whole numbers from 0 to 65,535."),
            name=path.name,
        )
    if runs.shape[1] != rows:
        raise InputError(
            N_("There are {labels:,} labels for {rows:,} quadrats."),
            labels=runs.shape[1],
            rows=rows,
        )
    return runs.astype(np.int64)


def _filed(args: argparse.Namespace, name: str, frame: pd.DataFrame) -> dict[str, Any]:
    outputs = []
    text = frame.to_csv()
    if args.out:
        path = Path(args.out)
        with store.atomic_path(path) as tmp:
            tmp.write_text(text, encoding="utf-8")
        outputs, text = [str(path)], f"Wrote {path.name}: {len(frame)} rows."
    return record(
        f"measure-{name}", method=getattr(args, "reading", None), outputs=outputs, text=text
    )


def _refuse_columns(table: pd.DataFrame, wrong: NDArray[np.bool_], problem: str) -> None:
    if wrong.any():
        names = [str(name) for name in table.columns[wrong]]
        raise InputError(
            problem,
            hint=N_("Leave them out, or mend the table."),
            names=", ".join(names[:6]) + (" …" if len(names) > 6 else ""),
        )


def _num(labels: NDArray[np.integer]) -> int:
    return len(np.unique(labels))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(N_("{text!r} is no number."), text=text[:40]) from None
