"""Our own engine: quadrats on a lattice, any raster, one pass over the blocks that are needed.

What is done with a block is a pure function of it (`_sum_block`, `_count_block`, `_sort_group`),
and what it returns is merged by an associative addition, so that it does not matter who works on
which block. Merging is done in the order of the blocks: the result is the same to the bit on any
number of threads.

Memory holds one run of blocks a thread and one table of the quadrats, whatever the raster's size.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from core.errors import InputError
from core.quadrats import Lattice
from core.text import N_
from core.zonal import kernels
from core.zonal.footprint import Footprint, Task, plan_blocks, plan_groups
from core.zonal.pixels import Grid, Pixels, read_values
from core.zonal.pool import Pool
from core.zonal.statistics import (
    Request,
    SortedValues,
    Values,
    from_counts,
    from_moments,
    from_values,
)

Rule = Literal["centre", "exact"]

# More distinct codes than fit a byte in one block, or more in all than this table may hold:
# the layer is treated as measured values.
_MOST_TABLE_BYTES = 64 << 20
_MOST_CLASSES = 4096
# A block may hold very many very small quadrats; a table of 256 codes for these takes 8 or 16 MB.
_QUADS_AT_A_TIME = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """What one raster gives N zones."""

    figures: Values
    """Statistic to (N,)."""
    codes: NDArray[np.float64]
    """(K,) ascending; empty unless frequencies were asked for."""
    frequencies: NDArray[np.float64]
    """(N, K) pixels of each code."""
    cover: NDArray[np.float64]
    """(N,) share of the zone that holds valid values, 0 to 1."""


class _TooManyCodesError(Exception):
    """Values are too many to be counted one by one. Never leaves this module."""


@dataclass(frozen=True, slots=True, eq=False)
class _Partial:
    """What one task adds: to the rows `at` of a table, code by code or column by column."""

    at: NDArray[np.intp]
    table: NDArray[Any]
    codes: NDArray[np.float64] | None = None

    def narrowed(self) -> "_Partial":
        """Return the same without the codes that do not occur."""
        assert self.codes is not None
        present = kernels.codes_present(self.table)
        return _Partial(self.at, self.table[:, present], self.codes[present])


def summed(
    pool: Pool,
    lattice: Lattice,
    place: Footprint,
    request: Request,
    *,
    rule: Rule,
    keep_inf: bool = False,
) -> Summed:
    """Sum a raster up over the quadrats of a lattice.

    Args:
        pool: The raster, and the threads that may read it.
        lattice: The quadrats.
        place: Where they lie in it, from `footprint`.
        request: Which statistics.
        rule: `centre`: each pixel belongs to the one quadrat that holds its centre. `exact`: each
            pixel counts with the share of its area.
        keep_inf: Whether infinity is a value. Else it is counted with NaN.
    """
    job = _Job(pool.grid, place, request, rule, keep_inf)
    if not request.needs_values:
        return job.moments(pool)
    if pool.grid.dtype.kind != "f":
        try:
            return job.counted(pool)
        except _TooManyCodesError:
            pass
    return job.sorted(pool, lattice)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    grid: Grid
    place: Footprint
    request: Request
    rule: Rule
    keep_inf: bool

    @property
    def _centre(self) -> bool:
        return self.rule == "centre"

    @property
    def _names_to_sort(self) -> tuple[str, ...]:
        names = dict.fromkeys(("count", *self.request.names))
        return tuple(name for name in names if name not in ("nodata", "nan"))

    def moments(self, pool: Pool) -> Summed:
        sums = np.zeros((self.place.num_quadrats, 7))
        sums[:, 4], sums[:, 5] = np.inf, -np.inf
        for part in pool.run(self._sum_block, plan_blocks(self.place, self.grid)):
            kernels.merge_sums(sums, part.at, part.table)
        return self._finished(from_moments(sums, self.request.names), sums[:, 6])

    def counted(self, pool: Pool) -> Summed:
        tally = _Tally(self.place.num_quadrats, np.uint32 if self._centre else np.float64)
        for parts in pool.run(self._count_block, plan_blocks(self.place, self.grid)):
            for part in parts:
                tally.add(part)
        codes, counts = tally.sorted()
        values = from_counts(counts, codes, self.request.names, weighted=not self._centre)
        strange = np.zeros(self.place.num_quadrats)
        return self._finished(values, strange, codes, counts)

    def sorted(self, pool: Pool, lattice: Lattice) -> Summed:
        n = self.place.num_quadrats
        names = self._names_to_sort
        table = np.full((n, len(names) + 1), np.nan)
        table[:, [names.index("count"), -1]] = 0.0
        tally = _Tally(n, np.float64)
        tasks = plan_groups(self.place, lattice, self.grid, key=pool.key)
        for parts in pool.run(self._sort_group, tasks):
            for part in parts:
                if part.codes is None:
                    table[part.at] = part.table
                else:
                    tally.add(part)
        codes, counts = tally.sorted()
        values = dict(zip(names, table.T, strict=False))
        return self._finished(values, table[:, -1], codes, counts)

    def _finished(
        self,
        values: Values,
        strange: NDArray[np.float64],
        codes: NDArray[np.float64] | None = None,
        counts: NDArray[np.float64] | None = None,
    ) -> Summed:
        total = self.place.totals(centre=self._centre)
        count = values["count"]
        with np.errstate(invalid="ignore", divide="ignore"):
            cover = np.where(total > 0, (count / total).clip(0, 1), 0.0)
        if "nodata" in self.request.names:
            values["nodata"] = (total - count - strange).clip(0)
        if "nan" in self.request.names:
            values["nan"] = strange
        named = {name: values[name] for name in self.request.names}
        if not self.request.frequency or codes is None or counts is None:
            codes, counts = np.empty(0), np.empty((len(total), 0))
        return Summed(named, codes, counts, cover)

    def _sum_block(self, pixels: Pixels, task: Task) -> _Partial:
        values, nodata = read_values(pixels, task.window)
        at, quads = self._members(task)
        sums = np.empty((len(quads), 7))
        kernels.sum_values(
            values, task.window.row_off, task.window.col_off,
            quads, nodata, self.keep_inf, self._centre, sums,
        )  # fmt: skip
        return _Partial(at, sums)

    def _count_block(self, pixels: Pixels, task: Task) -> list[_Partial]:
        block, codes = _as_bytes(pixels, task.window)
        at, quads = self._members(task)
        kernel = kernels.count_codes if self._centre else kernels.weigh_codes
        parts = []
        for start in range(0, len(quads), _QUADS_AT_A_TIME):
            some = slice(start, start + _QUADS_AT_A_TIME)
            counts = np.zeros((len(quads[some]), 256), np.uint32 if self._centre else np.float64)
            kernel(block, task.window.row_off, task.window.col_off, quads[some], counts)
            part = _Partial(at[some], counts, codes)
            parts.append(part if len(quads) <= _QUADS_AT_A_TIME else part.narrowed())
        return parts

    def _sort_group(self, pixels: Pixels, task: Task) -> list[_Partial]:
        values, nodata = read_values(pixels, task.window)
        owners, quads = self._members(task)
        at, zone = np.unique(owners, return_inverse=True)
        strange = np.zeros(len(quads))
        size = np.ceil(quads.max(axis=1)) - np.floor(quads.min(axis=1))
        out = np.empty((int(size.prod(axis=1).sum()), 3))
        n = kernels.gather_values(
            values, task.window.row_off, task.window.col_off,
            quads, nodata, self.keep_inf, self._centre, strange, out,
        )  # fmt: skip
        where, value, weight = out[:n].T
        found = SortedValues.of(zone[where.astype(np.intp)], value, weight, len(at))
        names, whole = self._names_to_sort, self.grid.dtype.kind != "f"
        figures = from_values(found, names, weighted=not self._centre, whole=whole)
        nan = np.bincount(zone, weights=strange, minlength=len(at))
        parts = [_Partial(at, np.column_stack([*(figures[name] for name in names), nan]))]
        if self.request.frequency:
            parts.append(_frequencies(found, at))
        return parts

    def _members(self, task: Task) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        return self.place.owner[task.members], self.place.quads[task.members]


def _as_bytes(pixels: Pixels, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a block of whole numbers as bytes, and what each byte stands for (NaN: nothing)."""
    grid = pixels.grid
    block = pixels.read(window)
    codes = np.arange(256, dtype=np.float64)
    if grid.dtype == np.uint8 and not grid.has_mask:
        if grid.nodata is not None:
            codes[int(grid.nodata)] = np.nan
        return np.ascontiguousarray(block), codes
    hidden = pixels.is_masked(window) if grid.has_mask else np.zeros(block.shape, bool)
    if grid.nodata is not None:
        hidden |= block == grid.dtype.type(grid.nodata)
    valid = block[~hidden]
    if not valid.size:
        return np.full(block.shape, 255, np.uint8), np.full(256, np.nan)
    low, high = int(valid.min()), int(valid.max())
    if high - low < 255:
        # Subtracting modulo the type's range is right, since the difference fits a byte.
        shifted = (block - grid.dtype.type(low)).astype(np.uint8)
        codes = low + codes
    else:
        distinct = np.unique(valid)
        if len(distinct) > 255:
            raise _TooManyCodesError
        shifted = np.searchsorted(distinct, block).astype(np.uint8)
        codes = np.append(distinct, np.full(256 - len(distinct), np.nan)).astype(np.float64)
    shifted[hidden] = 255
    codes[255] = np.nan
    return np.ascontiguousarray(shifted), codes


def _frequencies(pixels: SortedValues, at: NDArray[np.intp]) -> _Partial:
    zone, value, weight = pixels.runs()
    codes, column = np.unique(value, return_inverse=True)
    if len(codes) > _MOST_CLASSES:
        raise InputError(
            N_("A group of quadrats holds {found:,} different values: these are no classes."),
            hint=N_("Leave out frequency for this layer, or classify it first."),
            found=len(codes),
        )
    table = np.zeros((len(at), len(codes)))
    table[zone, column] = weight
    return _Partial(at, table, codes)


@dataclass(slots=True)
class _Tally:
    """Counts of codes (N, K) that grow by a column when a code is met for the first time."""

    num_quadrats: int
    dtype: Any
    counts: NDArray[Any] = field(init=False)
    columns: dict[float, int] = field(default_factory=dict)
    """Code to its column, in the order in which codes were met."""

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.num_quadrats, 8), self.dtype)

    def add(self, part: _Partial) -> None:
        assert part.codes is not None
        is_code = ~np.isnan(part.codes)
        present = np.flatnonzero(kernels.codes_present(part.table) & is_code)
        columns = np.empty(len(present), np.intp)
        for k, code in enumerate(part.codes[present]):
            columns[k] = self.columns.setdefault(float(code), len(self.columns))
        self._reserve(len(self.columns))
        kernels.add_rows(self.counts, part.at, part.table, present, columns)

    def _reserve(self, num_codes: int) -> None:
        width = self.counts.shape[1]
        if num_codes <= width:
            return
        width = max(2 * width, num_codes)
        # A table of a byte's codes is always allowed: it is what a class raster needs.
        if num_codes > 256 and self.num_quadrats * width * self.counts.itemsize > _MOST_TABLE_BYTES:
            raise _TooManyCodesError
        wider = np.zeros((self.num_quadrats, width), self.dtype)
        wider[:, : self.counts.shape[1]] = self.counts
        self.counts = wider

    def sorted(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the codes, ascending, and their counts (N, K)."""
        codes = np.array(sorted(self.columns), dtype=np.float64)
        order = np.array([self.columns[code] for code in codes], dtype=np.intp)
        counts = np.empty((self.num_quadrats, len(codes)))
        kernels.take_columns(self.counts, order, counts)
        return codes, counts
