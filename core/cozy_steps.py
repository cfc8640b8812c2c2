"""Hot spots and cozy zone of an area: from its quadrat table to results on disk.

The permutations are kept by a digest of what they were made from; level, correction and the zone
itself follow from them at once and are never kept. `write_cozy` leaves a table that QGIS opens.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import cozy, quadrat_table, results, store
from core.errors import InputError
from core.hotspots.labels import CLASSES, Correction
from core.hotspots.moran import PERMUTATIONS, GlobalMoran, LocalMoran, global_moran, local_moran
from core.hotspots.permute import Engine
from core.quadrat_table import QuadratTable, Step
from core.quadrats import to_frame
from core.text import N_
from core.weights import CONTIGUITIES, Contiguity, Neighbours, lattice_neighbours
from core.workspace import Area, Season, Workspace

OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]
_ARRAYS = (
    "statistic",
    "z",
    "lag",
    "quadrant",
    "p_folded",
    "p_two_sided",
    "is_island",
    "is_missing",
)
_FACTS = ("method", "engine", "permutations", "seed")
_WHOLE_FACTS = ("statistic", "expected", "p_folded", "p_two_sided", "num_squares")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How spots and the cozy zone are found. Which reading is the area's own."""

    summer: str | None = None
    """Layer id or column; None takes the layer whose season it is."""
    winter: str | None = None
    weights: Contiguity = "queen"
    permutations: int | None = None
    """None: 99,999, and 999 in the document reading."""
    level: float = 0.05
    correction: Correction | None = None
    """None: Benjamini-Hochberg in the recommended reading, none in the document's."""
    engine: Engine = "ranks"
    seed: int = 0
    zeros_stay: bool = False
    """Document reading only: squares without a value count as 0 K, as they did in the source, and
    colour the winter's cold spots. Otherwise they are left out."""
    surrogates: int = cozy.SURROGATES
    threads: int | None = None
    """Not part of the result: it is the same on any number."""


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Spots of one column."""

    column: str
    weights: Contiguity
    local: LocalMoran
    whole: GlobalMoran
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CozyZone:
    """The cozy zone of an area as the options draw it."""

    summer: Spots
    winter: Spots
    summer_labels: NDArray[np.int8]
    winter_labels: NDArray[np.int8]
    zone: cozy.Zone
    patches: cozy.Patches

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.summer.steps + self.winter.steps


def season_column(
    area: Area, table: pd.DataFrame, season: Season, chosen: str | None = None
) -> str:
    """Return the column that tells a season's temperature.

    Args:
        area: Its layers have roles and seasons.
        table: Statistics, columns named `<layer>_<statistic>`.
        season: Which.
        chosen: Layer id or column; None takes the first layer of that season.

    Raises:
        InputError: No layer has that season, or the chosen one has no statistic in the table.
    """
    if chosen in table.columns:
        return str(chosen)
    layers = [
        layer.id for layer in area.layers if layer.season == season and layer.role == "effect"
    ]
    for layer in [chosen] if chosen else layers:
        # The mean where there is one; else whatever was summed up first.
        of_layer = [name for name in table.columns if name.rpartition("_")[0] == layer]
        mean = f"{layer}_mean"
        if of_layer:
            return mean if mean in of_layer else str(of_layer[0])
    hint = N_("Give a temperature layer this season on the Data page, or choose a column.")
    if chosen:
        raise InputError(
            N_("{chosen} is neither a column nor a layer of {area} with statistics."),
            hint=hint,
            area=area.title,
            chosen=chosen,
        )
    raise InputError(
        N_("No layer of {area} is marked as temperature in summer.")
        if season == "summer"
        else N_("No layer of {area} is marked as temperature in winter."),
        hint=hint,
        area=area.title,
    )


def local_spots(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    column: str,
    options: Options,
    quadrat_options: quadrat_table.Options,
    *,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> tuple[LocalMoran, Step]:
    """Return local Moran's I of a column of an area's table; permuted where it is not there yet.

    Level and correction are no part of it: see `LocalMoran.labels`.

    Raises:
        InputError, TooLargeError, StoppedError: See `local_moran`.
    """
    begun = time.perf_counter()
    key = _key("hotspots", area, made, column, options, quadrat_options)
    kept = results.load(workspace, area.id, key, _read_local)
    local = kept
    if local is None:
        local = local_moran(
            _values(made, column, options, quadrat_options),
            _neighbours(made, options),
            method=area.method,
            permutations=options.permutations,
            seed=options.seed,
            engine=options.engine,
            missing="left out",
            threads=options.threads,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        with results.making(workspace, area.id, key) as (new, facts):
            np.savez(new / "local.npz", **{name: getattr(local, name) for name in _ARRAYS})
            facts["local"] = {name: getattr(local, name) for name in _FACTS}
    seconds = time.perf_counter() - begun
    name = f"hotspots:{column}"
    return local, Step(name, seconds, options.engine, kept is not None, key.digest)


def global_spots(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    column: str,
    options: Options,
    quadrat_options: quadrat_table.Options,
    *,
    should_stop: ShouldStop = lambda: False,
) -> tuple[GlobalMoran, Step]:
    """Return Moran's I of a column with its 999 permutations; made where it is not there yet.

    Raises:
        InputError, StoppedError: See `global_moran`.
    """
    begun = time.perf_counter()
    key = _key("moran", area, made, column, options, quadrat_options)
    kept = results.load(workspace, area.id, key, _read_whole)
    whole = kept
    if whole is None:
        whole = global_moran(
            _values(made, column, options, quadrat_options),
            _neighbours(made, options),
            seed=options.seed,
            threads=options.threads,
            should_stop=should_stop,
        )
        with results.making(workspace, area.id, key) as (new, facts):
            np.save(new / "simulated.npy", whole.simulated)
            facts["whole"] = {name: getattr(whole, name) for name in _WHOLE_FACTS}
    seconds = time.perf_counter() - begun
    return whole, Step(f"moran:{column}", seconds, "ranks", kept is not None, key.digest)


def is_made(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    options: Options,
    quadrat_options: quadrat_table.Options,
) -> bool:
    """Tell whether the permutations of both seasons are there, so that the zone answers at once.

    Raises:
        InputError: See `season_column`.
    """
    columns = [
        season_column(area, made.table, "summer", options.summer),
        season_column(area, made.table, "winter", options.winter),
    ]
    return all(
        results.find(
            workspace,
            area.id,
            _key(
                "hotspots", area, made, column, replace(options, weights=weights), quadrat_options
            ),
        )
        for column in columns
        for weights in CONTIGUITIES
    )


def cozy_zone(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    options: Options,
    quadrat_options: quadrat_table.Options,
    *,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> CozyZone:
    """Return the cozy zone of an area: spots of both seasons, the zone and its patches.

    Patches hang together as the weights say: at corners too under Queen.

    Raises:
        InputError, TooLargeError, StoppedError: See `season_column` and `local_moran`.
    """
    found = []
    both: tuple[tuple[Season, str | None], ...] = (
        ("summer", options.summer),
        ("winter", options.winter),
    )
    for number, (season, chosen) in enumerate(both):
        column = season_column(area, made.table, season, chosen)
        about = (workspace, area, made, column, options, quadrat_options)
        progress = partial(_half, on_progress, number)
        local, first = local_spots(*about, on_progress=progress, should_stop=should_stop)
        whole, second = global_spots(*about, should_stop=should_stop)
        found.append(Spots(column, options.weights, local, whole, (first, second)))
    summer, winter = found
    labels = [one.local.labels(level=options.level, correction=options.correction) for one in found]
    zone = cozy.cozy_zone(*labels, method=area.method)
    square_m2 = made.lattice.side_m**2
    parts = cozy.patches(zone.is_cozy, _neighbours(made, options), square_m2=square_m2)
    return CozyZone(summer, winter, labels[0], labels[1], zone, parts)


def zone_stability(
    workspace: Workspace,
    area: Area,
    made: QuadratTable,
    options: Options,
    quadrat_options: quadrat_table.Options,
    *,
    should_stop: ShouldStop = lambda: False,
) -> cozy.Stability:
    """Return how often each square is cozy over both neighbourhoods, all levels and corrections.

    Raises:
        InputError, TooLargeError, StoppedError: See `cozy_zone`.
    """
    columns = [
        season_column(area, made.table, "summer", options.summer),
        season_column(area, made.table, "winter", options.winter),
    ]
    seasons = {}
    for weights in CONTIGUITIES:
        chosen = replace(options, weights=weights)
        summer, winter = (
            local_spots(
                workspace, area, made, column, chosen, quadrat_options, should_stop=should_stop
            )[0]
            for column in columns
        )
        seasons[weights] = (summer, winter)
    return cozy.stability(seasons)


def under_zone(
    area: Area,
    made: QuadratTable,
    found: CozyZone,
    groups: NDArray[Any],
    options: Options,
    *,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> pd.DataFrame:
    """Return what lies under the zone of an area, a row a group: see `cozy.under_zone`."""
    return cozy.under_zone(
        found.zone.is_cozy,
        groups,
        made.lattice.rows,
        made.lattice.cols,
        method=area.method,
        surrogates=options.surrogates,
        seed=options.seed,
        threads=options.threads,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def cozy_frame(
    made: QuadratTable,
    found: CozyZone,
    *,
    groups: NDArray[Any] | None = None,
    under: pd.DataFrame | None = None,
    stability: cozy.Stability | None = None,
) -> gpd.GeoDataFrame:
    """Return the squares with row, col, I, p and class of both seasons, cozy, patch and more.

    `rank` is that of the square's group: every square has one, not only cozy ones.
    """
    frame = to_frame(made.lattice)
    names = np.array([one.name for one in CLASSES], object)
    for season, one, labels in (
        ("summer", found.summer, found.summer_labels),
        ("winter", found.winter, found.winter_labels),
    ):
        frame[f"{season}_value"] = made.table[one.column].to_numpy()
        frame[f"{season}_i"] = one.local.statistic
        frame[f"{season}_p"] = one.local.p
        frame[f"{season}_class"] = names[labels]
    frame["cozy"] = found.zone.is_cozy
    frame["patch"] = found.patches.number
    if stability is not None:
        frame["times_cozy"] = stability.times
    if groups is not None and under is not None:
        frame["rank"] = pd.Series(groups, index=frame.index).map(under["rank"])
    return frame


def write_cozy(workspace: Workspace, area: Area, frame: gpd.GeoDataFrame) -> Path:
    """Write `cozy.parquet` into the area, which QGIS opens."""
    path = workspace.folder(area.id) / "cozy.parquet"
    with store.atomic_path(path) as tmp:
        frame.to_parquet(tmp)
    return path


def summary(found: CozyZone) -> dict[str, Any]:
    """Return what a record says of the zone: plain numbers."""
    seasons = {}
    for season, one, labels in (
        ("summer", found.summer, found.summer_labels),
        ("winter", found.winter, found.winter_labels),
    ):
        counts = np.bincount(labels, minlength=len(CLASSES))
        seasons[season] = {
            "column": one.column,
            "moran": one.whole.statistic,
            "p": one.whole.p_two_sided,
            "engine": one.local.engine,
            "permutations": one.local.permutations,
            "classes": {c.name: int(n) for c, n in zip(CLASSES, counts, strict=True)},
        }
    parts = found.patches
    return {
        **seasons,
        "weights": found.summer.weights,
        "cozy": found.zone.count,
        "share": found.zone.share,
        "unknown": int(found.zone.is_unknown.sum()),
        "patches": len(parts),
        "area_m2": float(parts.areas_m2.sum()),
        "largest_m2": float(parts.areas_m2[0]) if len(parts) else 0.0,
    }


def _read_local(folder: Path, facts: dict[str, Any]) -> LocalMoran:
    with np.load(folder / "local.npz") as stored:
        arrays = {name: stored[name] for name in _ARRAYS}
    return LocalMoran(**arrays, **facts["local"])


def _read_whole(folder: Path, facts: dict[str, Any]) -> GlobalMoran:
    return GlobalMoran(simulated=np.load(folder / "simulated.npy"), **facts["whole"])


def _half(on_progress: OnProgress, number: int, share: float, text: str) -> None:
    on_progress((number + share) / 2, text)


def _values(
    made: QuadratTable,
    column: str,
    options: Options,
    quadrat_options: quadrat_table.Options,
) -> NDArray[np.float64]:
    table = made.filled(quadrat_options).table
    values = table[column].to_numpy(np.float64)
    if made.lattice.method == "document":
        # The document's statistics write 0 where a square holds no value: 0 K is no temperature.
        missing = 0.0 if options.zeros_stay else np.nan
        values = np.where(np.isfinite(values) & (values != 0.0), values, missing)
    return np.asarray(values, np.float64)


def _neighbours(made: QuadratTable, options: Options) -> Neighbours:
    return lattice_neighbours(made.lattice.rows, made.lattice.cols, options.weights)


def _key(
    kind: str,
    area: Area,
    made: QuadratTable,
    column: str,
    options: Options,
    quadrat_options: quadrat_table.Options,
) -> results.Key:
    inputs: dict[str, Any] = {
        "quadrats": made.digest,
        "fill_m": quadrat_options.fill_m,
        "column": column,
        "method": area.method,
        "weights": options.weights,
        "seed": options.seed,
        "zeros_stay": options.zeros_stay and area.method == "document",
    }
    if kind == "hotspots":
        inputs["permutations"] = options.permutations or PERMUTATIONS[area.method]
        inputs["engine"] = options.engine
    return results.Key(kind, inputs)
