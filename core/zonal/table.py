"""Every layer in every quadrat: the table that all later steps stand on.

Columns are named as in the document: `lst0226_mean`, `landuse_fre_31`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import CrsError, InputError
from core.quadrats import Lattice, to_frame
from core.settings import settings
from core.text import N_
from core.workspace import Method
from core.zonal import document, peers
from core.zonal.footprint import Footprint, footprint
from core.zonal.lattice import Rule, Summed, summed
from core.zonal.pixels import RasterSource, opened
from core.zonal.pool import Pool
from core.zonal.statistics import Request, checked_request

Engine = Literal["lattice", "exactextract", "rasterstats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNote:
    """What was done for one layer, and what a careful reader wants to know of it."""

    key: str
    engine: Engine
    rule: Rule
    """The rule that was used; a layer coarser than the quadrats is weighted by area."""
    is_coarse: bool
    enlarged: int
    """Times the raster was enlarged each way before counting (document reading); 1: not at all."""
    sag_px: float
    """How far edges, taken as straight, can lie from the true ones; NaN: not measured."""
    coverage: float
    """Mean share of valid cover."""
    empty: int
    """Zones without any valid pixel."""
    unknown_codes: tuple[tuple[int, float], ...]
    """Codes that the legend does not name, with their pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class ZonalTable:
    """Statistics of layers in zones, a row a zone, in the order and with the index of the zones."""

    table: pd.DataFrame
    cover: pd.DataFrame
    """Share of each zone that holds valid values, 0 to 1; a column a layer, named by its key."""
    notes: tuple[LayerNote, ...]


def zonal_statistics(
    sources: RasterSource | Sequence[RasterSource],
    zones: Lattice | gpd.GeoDataFrame,
    *,
    stats: Iterable[str] = ("mean",),
    rule: Rule = "centre",
    engine: Engine | None = None,
    method: Method = "recommended",
    upscale_mu: int = 0,
    threads: int | None = None,
    on_progress: Callable[[str, int, int], None] = lambda _key, _done, _total: None,
) -> ZonalTable:
    """Sum rasters up over zones.

    Recommended reading: nodata, mask, NaN and infinity of each raster are no value. A raster
    coarser than the quadrats is weighted by area whatever the rule, so that no quadrat inside the
    cover stays empty. A class that a quadrat with valid pixels lacks has 0 there.

    Document reading: the centre rule; -9999 and NaN are no value, whatever the raster says. A
    raster coarser than the first quadrat is read whole, bilinear, `ceil(cell / edge) + upscale_mu`
    times as large. Means of float32 rasters are summed in float32. A class that a quadrat lacks is
    NaN.

    Args:
        sources: The rasters; keys must differ.
        zones: A lattice, or any polygons (not for the engine lattice).
        stats: Names out of `statistics.STATISTICS` and `frequency`.
        rule: `centre` (equal to rasterstats) or `exact` (equal to exactextract).
        engine: None takes lattice for a lattice, and the peer that follows the rule for polygons.
        method: Which reading.
        upscale_mu: Added to the document's factor of enlargement; it printed 2.
        threads: Of one layer at a time; None takes the setting. Results do not depend on it.
        on_progress: Told the layer's key and how many of its pieces are done, out of how many (by
            the engine lattice). Whatever it raises ends the work at once.

    Raises:
        InputError: Unknown statistic, two layers of one name, an engine that cannot do the rule.
        CrsError: A raster or the zones have no CRS.
        ExtentError: A raster does not meet the zones; told before any other layer is read.
        TooLargeError: An engine would have to hold too much at a time.
    """
    layers = [sources] if isinstance(sources, RasterSource) else list(sources)
    request = checked_request(stats)
    job = _Job(
        zones=zones,
        request=request,
        rule="centre" if method == "document" else rule,
        engine=engine or _fitting_engine(zones, rule),
        method=method,
        upscale_mu=upscale_mu,
        threads=settings().threads if threads is None else threads,
        on_progress=on_progress,
    )
    job.check(layers)
    # All layers are laid over the zones before the first is read: a misplaced one costs no time.
    works = [job.prepared(source) for source in layers]
    frames, covers, notes = [], {}, []
    for work in works:
        result = work()
        key = work.source.key
        frames.append(_frame(key, result, _index(zones), method))
        covers[key] = result.cover
        notes.append(work.note(result))
    cover = pd.DataFrame(covers, index=_index(zones))
    return ZonalTable(pd.concat(frames, axis=1), cover, tuple(notes))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Job:
    """What is the same for all layers of one call."""

    zones: Lattice | gpd.GeoDataFrame
    request: Request
    rule: Rule
    engine: Engine
    method: Method
    upscale_mu: int
    threads: int
    on_progress: Callable[[str, int, int], None]

    def check(self, layers: Sequence[RasterSource]) -> None:
        keys = [source.key for source in layers]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if not keys or twice:
            raise InputError(
                N_("Layers need names that differ: {twice}."), twice=", ".join(twice) or "-"
            )
        if not isinstance(self.zones, Lattice):
            if self.zones.crs is None:
                raise CrsError(N_("The zones have no coordinate system."))
            if self.engine == "lattice" or self.method == "document":
                raise InputError(
                    N_("The engine lattice and the document's reading need quadrats."),
                    hint=N_("Use exactextract or rasterstats for other zones."),
                )
        wanted = {"exactextract": "exact", "rasterstats": "centre"}.get(self.engine, self.rule)
        if wanted != self.rule:
            raise InputError(
                N_("{engine} cannot follow the rule {rule}."),
                hint=N_("It follows the rule {wanted}; the engine lattice knows both."),
                engine=self.engine,
                rule=self.rule,
                wanted=wanted,
            )

    def prepared(self, source: RasterSource) -> "_Work":
        with opened(source) as pixels:
            grid = pixels.grid
        times = 1
        pool = Pool(source, grid, self.threads, on_progress=partial(self.on_progress, source.key))
        if self.method == "document" and isinstance(self.zones, Lattice):
            times = document.enlargement(self.zones, grid, self.upscale_mu)
            # Overlap is checked before a whole raster is read.
            footprint(self.zones, grid, key=source.key, follow_curves=False)
            pool = document.pool_as_printed(pool, times=times)
        if self.engine == "lattice" and isinstance(self.zones, Lattice):
            place = footprint(
                self.zones, pool.grid, key=source.key, follow_curves=self.method == "recommended"
            )
            is_coarse = self.method == "recommended" and place.is_coarse()
            rule: Rule = "exact" if is_coarse else self.rule
            return _Work(self, pool, rule, is_coarse, times, place=place)
        frame = to_frame(self.zones) if isinstance(self.zones, Lattice) else self.zones
        polygons = peers.placed(frame, pool.grid, key=source.key)
        return _Work(self, pool, self.rule, False, times, polygons=polygons)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One layer, laid over the zones and ready to be summed up."""

    job: _Job
    pool: Pool
    rule: Rule
    is_coarse: bool
    times: int
    place: Footprint | None = None
    polygons: gpd.GeoDataFrame | None = None

    @property
    def source(self) -> RasterSource:
        return self.pool.source

    def __call__(self) -> Summed:
        request, zones = self.job.request, self.job.zones
        if self.place is not None and isinstance(zones, Lattice):
            if self.job.method == "document":
                return document.summed_as_printed(self.pool, zones, self.place, request)
            return summed(self.pool, zones, self.place, request, rule=self.rule)
        if self.job.engine == "exactextract":
            return peers.by_exactextract(self.pool, self.polygons, request)
        keep_inf = self.job.method == "document"
        return peers.by_rasterstats(self.pool, self.polygons, request, keep_inf=keep_inf)

    def note(self, result: Summed) -> LayerNote:
        known = self.source.codes
        pixels = result.frequencies.sum(axis=0)
        return LayerNote(
            key=self.source.key,
            engine=self.job.engine,
            rule=self.rule,
            is_coarse=self.is_coarse,
            enlarged=self.times,
            sag_px=self.place.sag_px if self.place else float("nan"),
            coverage=float(result.cover.mean()),
            empty=int((result.cover == 0).sum()),
            unknown_codes=tuple(
                (int(code), float(n))
                for code, n in zip(result.codes, pixels, strict=True)
                if known is not None and code not in known
            ),
        )


def _fitting_engine(zones: Lattice | gpd.GeoDataFrame, rule: Rule) -> Engine:
    if isinstance(zones, Lattice):
        return "lattice"
    return "exactextract" if rule == "exact" else "rasterstats"


def _index(zones: Lattice | gpd.GeoDataFrame) -> pd.Index:
    return pd.Index(zones.ids, name="quadrat") if isinstance(zones, Lattice) else zones.index


def _frame(key: str, result: Summed, index: pd.Index, method: Method) -> pd.DataFrame:
    named = pd.DataFrame({f"{key}_{name}": f for name, f in result.figures.items()}, index=index)
    if not len(result.codes):
        return named
    counts, codes = result.frequencies, result.codes
    if method == "document":
        order = _order_of_appearance(counts)
        counts, codes = np.where(counts > 0, counts, np.nan)[:, order], codes[order]
    elif (empty := result.cover == 0).any():
        counts = np.where(empty[:, None], np.nan, counts)
    classes = [f"{key}_fre_{_code_text(code)}" for code in codes]
    frequencies = pd.DataFrame(counts, columns=classes, index=index, copy=False)
    return pd.concat([named, frequencies], axis=1) if result.figures else frequencies


def _order_of_appearance(counts: NDArray[np.float64]) -> list[int]:
    """Return the columns as the quadrats bring them up: the commonest class of each first."""
    order: list[int] = []
    seen = np.zeros(counts.shape[1], bool)
    first = (counts > 0).argmax(axis=0)
    for row in np.unique(first):
        found = np.flatnonzero((counts[row] > 0) & ~seen)
        order += [int(k) for k in found[np.argsort(-counts[row, found], kind="stable")]]
        seen[found] = True
    return order


def _code_text(code: float) -> str:
    return str(int(code)) if code == int(code) else repr(float(code))
