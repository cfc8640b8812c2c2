"""Clusters of an area: factors chosen, the sweep kept by its digest, its stability beside it.

Moving k afterwards reads a row of a file: nothing is computed again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import results, store
from core.clusters.quality import SAMPLE, Quality, quality
from core.clusters.stability import RERUNS, Stability, stability
from core.clusters.sweep import Range, Sweep, check_range, sweep
from core.errors import InputError
from core.normalise import Normalised, class_columns, columns_of_role, complete
from core.quadrat_table import Options, QuadratTable
from core.text import N_, filled
from core.workspace import Area, Role, Workspace

OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]
_MEASURES = ("inertia", "silhouette", "calinski_harabasz", "davies_bouldin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """What is clustered, and how. The method is the area's own."""

    columns: tuple[str, ...] = ()
    """Factors by name; none: by layers, and without those, by role."""
    layers: tuple[str, ...] = ()
    """Whole layers by id."""
    role: Role = "cause"
    span: Range = field(default_factory=Range)
    seed: int = 0
    reruns: int = RERUNS
    sample: int = SAMPLE
    threads: int | None = None
    """Not part of the result: it is the same on any number."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that belongs to the chosen role but cannot be used: a sentence and its values."""

    column: str
    text: str
    values: dict[str, object]

    def message(self) -> str:
        """Return the sentence in English."""
        return filled(self.text, self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """The columns that are clustered."""

    table: pd.DataFrame
    """(N, F), no gap, no constant column."""
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """A sweep with its measures, as it was kept."""

    sweep: Sweep
    quality: Quality
    columns: tuple[str, ...]
    digest: str
    is_cached: bool

    def scores(self) -> pd.DataFrame:
        """Return the separation scores, a row a k, a column a factor."""
        index = pd.Index(self.sweep.ks, name="k")
        return pd.DataFrame(self.quality.scores, index=index, columns=list(self.columns))

    def measures(self) -> pd.DataFrame:
        """Return inertia, silhouette, Calinski-Harabasz and Davies-Bouldin, a row a k."""
        index = pd.Index(self.sweep.ks, name="k")
        return pd.DataFrame({name: getattr(self.quality, name) for name in _MEASURES}, index=index)


def factors(area: Area, normalised: Normalised, options: ClusterOptions) -> Factors:
    """Choose the columns to cluster.

    Named columns and layers must be usable. By role, columns with gaps or with one value
    everywhere are left out and told, so that an area with an imperfect layer still works.

    Raises:
        InputError: A named column is unknown or unusable, or nothing is left.
    """
    if options.columns or options.layers:
        named = list(dict.fromkeys(options.columns))
        for layer in options.layers:
            roles = {other.id: other.role for other in area.layers}
            area.layer(layer)
            of_layer = _columns_of_layer(normalised.table.columns, list(roles), layer)
            named += [column for column in of_layer if column not in named]
        table = complete(normalised, named)
        for column in named:  # a class that is the same everywhere
            if found := _unusable(normalised, column):
                raise InputError(found.text, hint=N_("Choose other columns."), **found.values)
        # In the table's own order: the same choice, made in another order, is the same result.
        ordered = [column for column in normalised.table.columns if column in set(named)]
        return Factors(table[ordered], ())
    roles = {layer.id: layer.role for layer in area.layers}
    wanted = columns_of_role(normalised.table.columns, roles, options.role)
    left_out = tuple(found for column in wanted if (found := _unusable(normalised, column)))
    skipped = {found.column for found in left_out}
    usable = [column for column in wanted if column not in skipped]
    if not usable:
        raise InputError(
            N_("{area} has no factor to cluster by: {reasons}"),
            hint=N_("Choose columns, or bring in a layer whose role is cause."),
            area=area.title,
            reasons=" ".join(found.message() for found in left_out[:3]) or "-",
        )
    return Factors(complete(normalised, usable), left_out)


def find_clusters(
    workspace: Workspace, area: Area, made: QuadratTable, quadrats: Options, options: ClusterOptions
) -> Clusters | None:
    """Return the sweep if it was made before."""
    chosen = factors(area, made.normalised(quadrats), options)
    key = _key(area, made, quadrats, chosen, options)
    return results.load(workspace, area.id, key, partial(_read, key))


def clusters(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    quadrats: Options,
    options: ClusterOptions,
    *,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> Clusters:
    """Return the sweep over an area's quadrats; computed where it is not there yet.

    Raises:
        InputError, TooLargeError: See `factors` and `sweep`.
        StoppedError: `should_stop` said so; nothing is kept.
    """
    chosen = factors(area, made.normalised(quadrats), options)
    key = _key(area, made, quadrats, chosen, options)
    kept = results.load(workspace, area.id, key, partial(_read, key))
    if kept:
        return kept
    values = chosen.table.to_numpy(np.float64)
    check_range(values.shape, options.span, method=area.method)
    store.require_space(
        workspace.folder(area.id), 2 * len(values) * len(options.span.ks), what=N_("The sweep")
    )
    swept = sweep(
        values,
        options.span,
        seed=options.seed,
        method=area.method,
        threads=options.threads,
        on_progress=lambda share, text: on_progress(0.6 * share, text),
        should_stop=should_stop,
    )
    measured = quality(
        values,
        swept.labels,
        sample=options.sample,
        seed=options.seed,
        threads=options.threads,
        on_progress=lambda share, text: on_progress(0.6 + 0.4 * share, text),
        should_stop=should_stop,
    )
    found = Clusters(swept, measured, tuple(chosen.table.columns), key.digest, is_cached=False)
    with results.making(workspace, area.id, key) as (folder, facts):
        np.save(folder / "labels.npy", swept.labels)
        _written(found.scores()).to_parquet(folder / "scores.parquet")
        found.measures().to_parquet(folder / "measures.parquet")
        facts["columns"] = list(found.columns)
        facts["silhouette_rows"] = measured.silhouette_rows
        facts["left_out"] = [left.message() for left in chosen.left_out]
    return found


def cluster_stability(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    quadrats: Options,
    options: ClusterOptions,
    *,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> Stability:
    """Return how firm each k is; computed (with `clusters`) where it is not there yet.

    Raises:
        InputError: `reruns` is below 1; and see `clusters`.
        StoppedError: `should_stop` said so; the sweep itself stays.
    """
    if not 1 <= options.reruns <= 100:
        raise InputError(
            N_("{reruns} further runs cannot be made."),
            hint=N_("Choose 1 to 100."),
            reruns=options.reruns,
        )
    found = find_stability(workspace, area, made, quadrats, options)
    if found:
        return found
    first = clusters(workspace, area, made, quadrats, options, should_stop=should_stop)
    chosen = factors(area, made.normalised(quadrats), options)
    found = stability(
        chosen.table.to_numpy(np.float64),
        first.sweep,
        options.span,
        seed=options.seed,
        reruns=options.reruns,
        method=area.method,
        threads=options.threads,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    key = _stability_key(area, made, quadrats, chosen, options)
    with results.making(workspace, area.id, key) as (folder, facts):
        frame = pd.DataFrame({"mean": found.mean, "least": found.least}, index=list(first.sweep.ks))
        frame.rename_axis("k").to_parquet(folder / "stability.parquet")
        facts["runs"] = found.runs
    return found


def find_stability(
    workspace: Workspace, area: Area, made: QuadratTable, quadrats: Options, options: ClusterOptions
) -> Stability | None:
    """Return how firm each k is if it was found out before."""
    chosen = factors(area, made.normalised(quadrats), options)
    key = _stability_key(area, made, quadrats, chosen, options)
    return results.load(workspace, area.id, key, _read_stability)


def is_swept(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    quadrats: Options,
    options: ClusterOptions,
    chosen: Factors,
) -> bool:
    """Tell whether sweep and stability of the columns `chosen` were made before and are whole."""
    key = _key(area, made, quadrats, chosen, options)
    firm = _stability_key(area, made, quadrats, chosen, options)
    return bool(
        results.load(workspace, area.id, key, partial(_read, key))
        and results.load(workspace, area.id, firm, _read_stability)
    )


def labels_frame(made: QuadratTable, labels: NDArray[np.integer], name: str) -> pd.DataFrame:
    """Return the labels of one k as a column for the quadrat files, indexed by quadrat id."""
    return pd.DataFrame({name: labels.astype(np.int32)}, index=made.table.index)


def _columns_of_layer(columns: pd.Index, layers: list[str], layer: str) -> list[str]:
    only: dict[str, Role] = dict.fromkeys(layers, "effect")
    return columns_of_role(columns, only | {layer: "cause"}, "cause")


def _unusable(normalised: Normalised, column: str) -> LeftOut | None:
    values: dict[str, object] = {"column": column}
    without = [layer for layer in class_columns([column]) if layer in normalised.without_class]
    if without or column in normalised.missing:
        count = normalised.missing.get(column) or normalised.without_class[without[0]]
        text = N_("{column} is left out: {count:,} quadrats have no value.")
        return LeftOut(column, text, values | {"count": count})
    low, high = normalised.table[column].min(), normalised.table[column].max()
    if column in normalised.constant or low == high:
        return LeftOut(column, N_("{column} is left out: it is the same everywhere."), values)
    return None


def _key(
    area: Area, made: QuadratTable, quadrats: Options, chosen: Factors, options: ClusterOptions
) -> results.Key:
    span = options.span
    inputs: dict[str, Any] = {
        "quadrats": made.digest,
        "fill_m": quadrats.fill_m,
        "columns": list(chosen.table.columns),
        "span": [span.smallest, span.largest, span.step],
        "seed": options.seed,
        "sample": options.sample,
        "method": area.method,
    }
    if area.method == "document":  # its labels change with the library
        inputs["scikit-learn"] = version("scikit-learn")
    return results.Key("clusters", inputs)


def _stability_key(
    area: Area, made: QuadratTable, quadrats: Options, chosen: Factors, options: ClusterOptions
) -> results.Key:
    of_sweep = _key(area, made, quadrats, chosen, options)
    return results.Key("stability", {"clusters": of_sweep.inputs, "reruns": options.reruns})


def _read_stability(folder: Path, facts: dict[str, Any]) -> Stability:
    frame = pd.read_parquet(folder / "stability.parquet")
    return Stability(frame["mean"].to_numpy(), frame["least"].to_numpy(), int(facts["runs"]))


def _read(key: results.Key, folder: Path, facts: dict[str, Any]) -> Clusters:
    scores = pd.read_parquet(folder / "scores.parquet")
    measures = pd.read_parquet(folder / "measures.parquet")
    columns = {name: measures[name].to_numpy() for name in _MEASURES}
    rows = int(facts["silhouette_rows"])
    # Mapped, not read: a page looks at one k of many.
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    return Clusters(
        Sweep(tuple(int(k) for k in scores.index), labels),
        Quality(scores=scores.to_numpy(), silhouette_rows=rows, **columns),
        tuple(facts["columns"]),
        key.digest,
        is_cached=True,
    )


def _written(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis([str(name) for name in frame.columns], axis=1)
