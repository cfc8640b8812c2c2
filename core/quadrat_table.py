"""What is in each quadrat of an area: statistics of every layer, gaps filled, normalised.

Statistics are kept layer by layer, so that a changed layer costs only its own pass. `quadrats`
writes the whole table into the area as GeoParquet, which QGIS opens.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from core import rasters, results, store
from core.errors import InputError, StoppedError
from core.normalise import Filled, Normalised, fill_gaps, normalise
from core.quadrats import Lattice, make_lattice, to_frame
from core.text import N_
from core.workspace import Area, Layer, Workspace
from core.zonal.lattice import Rule
from core.zonal.pixels import RasterSource
from core.zonal.statistics import checked_request
from core.zonal.table import Engine, zonal_statistics

OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]
VALUE_STATISTICS = ("mean",)
CLASS_STATISTICS = ("frequency",)
# What can be said of codes; a mean of codes would be a number without a meaning.
_OF_CLASSES = ("frequency", "count", "majority", "minority", "unique", "nodata", "nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the quadrats of an area are summed up. Side, rule and method are the area's own."""

    value_stats: tuple[str, ...] = VALUE_STATISTICS
    class_stats: tuple[str, ...] = CLASS_STATISTICS
    zonal_rule: Rule = "centre"
    engine: Engine | None = None
    layers: tuple[str, ...] = ()
    """Layer ids; none means all."""
    fill_m: float | None = None
    """How far gaps are filled from neighbours; None: five sides of a quadrat. 0: not at all."""
    threads: int | None = None
    """Not part of the result: it is the same on any number."""


def options_for(stats: Iterable[str] | None, **more: Any) -> Options:
    """Return options for a list of statistics, each given to the kinds of layer that it fits.

    Raises:
        InputError: A statistic is unknown.
    """
    if stats is None:
        return Options(**more)
    names = tuple(dict.fromkeys(stats))
    checked_request(names)
    return Options(
        value_stats=tuple(name for name in names if name != "frequency") or VALUE_STATISTICS,
        class_stats=tuple(name for name in names if name in _OF_CLASSES) or CLASS_STATISTICS,
        **more,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did, as the record of a run lists it."""

    name: str
    seconds: float
    engine: str
    cached: bool
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class QuadratTable:
    """Statistics of all layers in all quadrats."""

    lattice: Lattice
    table: pd.DataFrame
    """(N, columns), indexed by quadrat id, before gaps are filled."""
    cover: pd.DataFrame
    """(N, layers): share of each quadrat that holds valid values of the layer, 0 to 1."""
    digest: str = ""
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By layer id: engine, rule, coverage, unknown codes."""
    steps: tuple[Step, ...] = ()

    def filled(self, options: Options) -> Filled:
        """Return the table with its gaps filled as the options say."""
        if options.fill_m == 0:
            return Filled(self.table, {}, {})
        return fill_gaps(
            self.table, self.lattice, farthest_m=options.fill_m, method=self.lattice.method
        )

    def normalised(self, options: Options) -> Normalised:
        """Return the filled table, every column in 0 to 1."""
        return normalise(self.filled(options).table, method=self.lattice.method)


def area_lattice(workspace: Workspace, area: Area) -> Lattice:
    """Return the quadrats of an area by its own side, rule and method.

    Raises:
        InputError, TooLargeError: See `quadrats.make_lattice`.
    """
    return make_lattice(
        workspace.boundary(area.id), side_m=area.quadrat_m, rule=area.rule, method=area.method
    )


def chosen_layers(area: Area, options: Options) -> list[Layer]:
    """Return the layers to be summed up; those on the network are left out.

    Raises:
        InputError: The area has no such layer, or none at all.
    """
    names = options.layers or [layer.id for layer in area.layers if layer.file]
    found = [area.layer(name) for name in names]
    if not found:
        raise InputError(
            N_("{area} has no layers to be summed up."),
            hint=N_("Bring one in on the Data page."),
            area=area.title,
        )
    return found


def bare_quadrats(workspace: Workspace, area: Area) -> QuadratTable:
    """Return the quadrats of an area with nothing in them; the area needs no layer.

    Raises:
        InputError, TooLargeError: See `quadrats.make_lattice`.
    """
    begun = time.perf_counter()
    lattice = area_lattice(workspace, area)
    empty = pd.DataFrame(index=pd.Index(lattice.ids, name="quadrat"))
    return QuadratTable(lattice, empty, empty, steps=(_lattice_step(begun),))


def is_made(workspace: Workspace, area: Area, options: Options) -> bool:
    """Tell whether every layer's statistics are there already."""
    keys = (_key(workspace, area, layer, options) for layer in chosen_layers(area, options))
    return all(results.find(workspace, area.id, key) for key in keys)


def made_layers(workspace: Workspace, area: Area, options: Options) -> tuple[str, ...]:
    """Return the ids of the layers whose statistics are there already, in the area's order."""
    return tuple(
        layer.id
        for layer in area.layers
        if layer.file and results.find(workspace, area.id, _key(workspace, area, layer, options))
    )


def quadrat_table(
    workspace: Workspace,
    area: Area,
    options: Options,
    *,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> QuadratTable:
    """Return the statistics of an area's layers; computed where they are not there yet.

    Raises:
        InputError, CrsError, ExtentError, TooLargeError: See `zonal_statistics`.
        StoppedError: `should_stop` said so; layers that were finished stay.
    """
    begun = time.perf_counter()
    lattice = area_lattice(workspace, area)
    steps = [_lattice_step(begun)]
    layers = chosen_layers(area, options)
    tables, covers, notes, digests = [], [], {}, []
    for number, layer in enumerate(layers):
        if should_stop():
            raise StoppedError(N_("Stopped. The finished layers are kept."))
        on_progress(number / len(layers), layer.title)
        key = _key(workspace, area, layer, options)
        begun = time.perf_counter()
        found = _kept(workspace, area, key)
        is_cached = found is not None
        if found is None:
            told = partial(_tell, on_progress, should_stop, number, len(layers), layer.title)
            _make(workspace, area, layer, lattice, options, key, on_progress=told)
            found = _kept(workspace, area, key)
        assert found is not None
        frame, note = found
        covers.append(frame.pop("__cover").rename(layer.id))
        tables.append(frame)
        notes[layer.id] = note
        digests.append(key.digest)
        seconds = time.perf_counter() - begun
        steps.append(Step(f"zonal:{layer.id}", seconds, note["engine"], is_cached, key.digest))
    on_progress(1.0, N_("Done"))
    whole = results.Key("quadrats", {"layers": digests})
    return QuadratTable(
        lattice=lattice,
        table=pd.concat(tables, axis=1),
        cover=pd.concat(covers, axis=1),
        digest=whole.digest,
        notes=notes,
        steps=tuple(steps),
    )


def write_quadrats(workspace: Workspace, area: Area, made: QuadratTable) -> Path:
    """Write `quadrats.parquet` into the area: squares, row, column, statistics, cover."""
    path = workspace.folder(area.id) / "quadrats.parquet"
    with store.atomic_path(path) as tmp:
        whole_frame(made).to_parquet(tmp)
    return path


def whole_frame(made: QuadratTable) -> gpd.GeoDataFrame:
    """Return squares with row, col, every statistic, and `<layer>_cover`."""
    frame = to_frame(made.lattice)
    cover = made.cover.add_suffix("_cover")
    joined = pd.concat([frame[["row", "col"]], made.table, cover], axis=1)
    return gpd.GeoDataFrame(joined, geometry=frame.geometry.to_numpy(), crs=frame.crs)


def _lattice_step(begun: float) -> Step:
    return Step("quadrats", time.perf_counter() - begun, "lattice", False, "")


def _tell(
    on_progress: OnProgress,
    should_stop: ShouldStop,
    number: int,
    count: int,
    title: str,
    _key: str,
    done: int,
    pieces: int,
) -> None:
    if should_stop():
        raise StoppedError(N_("Stopped. The finished layers are kept."))
    on_progress((number + done / pieces) / count, title)


def _kept(
    workspace: Workspace, area: Area, key: results.Key
) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """Return a layer's table and note; None where they have to be made."""
    return results.load(
        workspace,
        area.id,
        key,
        lambda folder, facts: (pd.read_parquet(folder / "table.parquet"), facts["note"]),
    )


def _key(workspace: Workspace, area: Area, layer: Layer, options: Options) -> results.Key:
    is_classes = layer.kind == "classes"
    inputs = {
        "layer": layer.id,
        "digest": layer.digest,
        "codes": [entry.code for entry in layer.legend] if is_classes else [],
        "boundary": workspace.boundary_digest(area.id),
        "crs": area.crs,
        "side_m": area.quadrat_m,
        "rule": area.rule,
        "method": area.method,
        "stats": list(options.class_stats if is_classes else options.value_stats),
        "zonal_rule": options.zonal_rule,
        "engine": options.engine or "lattice",
    }
    return results.Key("zonal", inputs)


def _make(
    workspace: Workspace,
    area: Area,
    layer: Layer,
    lattice: Lattice,
    options: Options,
    key: results.Key,
    *,
    on_progress: Callable[[str, int, int], None],
) -> None:
    is_classes = layer.kind == "classes"
    source = RasterSource(
        key=layer.id,
        open=partial(rasters.open_raster, workspace.layer_path(area.id, layer)),
        codes=frozenset(entry.code for entry in layer.legend) if is_classes else None,
    )
    made = zonal_statistics(
        source,
        lattice,
        stats=options.class_stats if is_classes else options.value_stats,
        rule=options.zonal_rule,
        engine=options.engine,
        method=area.method,
        upscale_mu=2 if area.method == "document" else 0,
        threads=options.threads,
        on_progress=on_progress,
    )
    with results.making(workspace, area.id, key) as (folder, facts):
        table = made.table.assign(__cover=made.cover[layer.id])
        table.to_parquet(folder / "table.parquet")
        facts["note"] = asdict(made.notes[0])
