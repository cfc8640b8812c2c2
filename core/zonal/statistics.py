"""The statistics of one raster over N zones, by their names, and three ways to work them out.

From counts of codes (N, K), from merged moments (N, 7), or from the sorted values themselves.
Pixels carry a weight: 1 by the centre rule, the covered share of the pixel by the exact rule.
A zone without a valid pixel has NaN everywhere but in `count`, `nodata` and `nan`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_

Statistic = Literal[
    "count", "min", "max", "mean", "sum", "std", "median",
    "majority", "minority", "unique", "range", "nodata", "nan",
]  # fmt: skip
STATISTICS: tuple[str, ...] = get_args(Statistic)
FREQUENCY = "frequency"

# These need every value, or how often each occurs; the others follow from moments.
_HOLISTIC = {"median", "majority", "minority", "unique"}

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Request:
    """Which statistics are wanted."""

    names: tuple[str, ...]
    frequency: bool

    @property
    def needs_values(self) -> bool:
        return self.frequency or not _HOLISTIC.isdisjoint(self.names)


def checked_request(stats: Iterable[str]) -> Request:
    """Return the request for some names, in their order, each once.

    Raises:
        InputError: None is given, or one is unknown; the message names those that there are.
    """
    names = tuple(dict.fromkeys(stats))
    unknown = [name for name in names if name not in (*STATISTICS, FREQUENCY)]
    if unknown or not names:
        raise InputError(
            N_("There is no statistic {name!r}."),
            hint=N_("There are: {known}."),
            name=", ".join(unknown)[:80],
            known=", ".join((*STATISTICS, FREQUENCY)),
        )
    return Request(tuple(name for name in names if name != FREQUENCY), FREQUENCY in names)


def from_counts(
    counts: NDArray[np.float64],
    codes: NDArray[np.float64],
    names: Iterable[str],
    *,
    weighted: bool,
) -> Values:
    """Work out statistics from how often each code occurs.

    Of codes that occur equally often, the smallest is majority or minority.

    Args:
        counts: (N, K) weights.
        codes: (K,) ascending.
        names: Any but nodata and nan.
        weighted: Whether pixels have weights other than 1; decides what a median is.
    """
    weight = counts.sum(axis=1, dtype=np.float64)
    if not len(codes):
        empty = np.full(len(counts), np.nan)
        return {"count": weight} | {name: empty for name in names if name != "count"}
    wanted = _with_parts(names)
    values: Values = {"count": weight}
    found = counts > 0
    if "sum" in wanted:
        values["sum"] = counts @ codes
    with np.errstate(invalid="ignore", divide="ignore"):
        if "mean" in wanted:
            values["mean"] = values["sum"] / weight
        if "std" in wanted:
            # Two passes, so that a zone of one class has a deviation of exactly 0.
            squares = np.where(found, (codes - values["mean"][:, None]) ** 2, 0.0)
            values["std"] = np.sqrt((squares * counts).sum(axis=1) / weight)
    if "median" in wanted and weighted:
        zone, code = np.nonzero(found)
        splits = np.searchsorted(zone, np.arange(len(counts) + 1))
        values["median"] = np.trunc(_weighted_median(codes[code], counts[zone, code], splits))
    elif "median" in wanted:
        values["median"] = _median_of_counts(counts, codes, weight)
    return _shown(values | _ranks(counts, codes, found, wanted), names)


def _ranks(
    counts: NDArray[np.float64],
    codes: NDArray[np.float64],
    found: NDArray[np.bool_],
    wanted: set[str],
) -> Values:
    values: Values = {}
    if "min" in wanted:
        values["min"] = codes[found.argmax(axis=1)]
        values["max"] = codes[len(codes) - 1 - found[:, ::-1].argmax(axis=1)]
        values["range"] = values["max"] - values["min"]
    if "unique" in wanted:
        values["unique"] = found.sum(axis=1).astype(np.float64)
    if "majority" in wanted:
        values["majority"] = codes[counts.argmax(axis=1)]
    if "minority" in wanted:
        values["minority"] = codes[np.where(found, counts, np.inf).argmin(axis=1)]
    return values


def _median_of_counts(
    counts: NDArray[np.float64], codes: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    cumulated = counts.cumsum(axis=1)
    last = weight.clip(1)[:, None] - 1
    lower = codes[(cumulated > last // 2).argmax(axis=1)]
    upper = codes[(cumulated > (last + 1) // 2).argmax(axis=1)]
    middle: NDArray[np.float64] = (lower + upper) / 2
    return middle


def _with_parts(names: Iterable[str]) -> set[str]:
    """Return the statistics with those that they are worked out from."""
    wanted = set(names)
    if "std" in wanted:
        wanted.add("mean")
    if "mean" in wanted:
        wanted.add("sum")
    if wanted & {"max", "range"}:
        wanted.add("min")
    return wanted


def from_moments(sums: NDArray[np.float64], names: Iterable[str]) -> Values:
    """Work out statistics from moments (see `kernels.sum_values`), (N, 7)."""
    weight = sums[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        values: Values = {
            "count": weight,
            "sum": sums[:, 1],
            "mean": sums[:, 1] / weight,
            "std": np.sqrt(sums[:, 3] / weight),
            "min": sums[:, 4],
            "max": sums[:, 5],
            "range": sums[:, 5] - sums[:, 4],
        }
    return _shown(values, names)


@dataclass(frozen=True, slots=True)
class SortedValues:
    """Valid pixels of Z zones, sorted by zone, then value: (n,) each."""

    zone: NDArray[np.intp]
    value: NDArray[np.float64]
    weight: NDArray[np.float64]
    num_zones: int

    @classmethod
    def of(
        cls,
        zone: NDArray[np.intp],
        value: NDArray[np.float64],
        weight: NDArray[np.float64],
        num_zones: int,
    ) -> "SortedValues":
        """Sort pixels that come in any order."""
        order = np.lexsort((value, zone))
        return cls(zone[order], value[order], weight[order], num_zones)

    def runs(self) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Return zone, value and weight of each distinct value of each zone, in order."""
        if not len(self.zone):
            return self.zone, self.value, self.weight
        new = np.ones(len(self.zone), bool)
        new[1:] = (self.zone[1:] != self.zone[:-1]) | (self.value[1:] != self.value[:-1])
        starts = np.flatnonzero(new)
        return self.zone[starts], self.value[starts], np.add.reduceat(self.weight, starts)


def from_values(
    pixels: SortedValues, names: Iterable[str], *, weighted: bool, whole: bool
) -> Values:
    """Work out statistics from all values of each zone.

    The median of weighted values is interpolated as exactextract does it: of n distinct values,
    value `k` (from 0) stands at `k * w_k + (n - 1) * (w_0 + … + w_(k-1))`, the median at half of
    the last; of whole numbers the fraction is cut off.
    """
    n = pixels.num_zones
    zone, value, weight = pixels.zone, pixels.value, pixels.weight
    bounds = np.searchsorted(zone, np.arange(n + 1))
    starts, ends = bounds[:-1], bounds[1:]
    filled = np.flatnonzero(ends > starts)
    total = np.bincount(zone, weights=weight, minlength=n).astype(np.float64)

    def reduced(ufunc: np.ufunc, array: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full(n, np.nan)
        if len(filled):
            out[filled] = ufunc.reduceat(array, starts[filled])
        return out

    def at(positions: NDArray[np.intp]) -> NDArray[np.float64]:
        out = np.full(n, np.nan)
        out[filled] = value[positions[filled]]
        return out

    values: Values = {"count": total, "min": at(starts), "max": at(ends - 1)}
    values["range"] = values["max"] - values["min"]
    values["sum"] = reduced(np.add, value * weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        values["mean"] = values["sum"] / total
        squares = weight * (value - values["mean"][zone]) ** 2
        values["std"] = np.sqrt(reduced(np.add, squares) / total)
    run_zone, run_value, run_weight = pixels.runs()
    if "median" in names and weighted:
        splits = np.searchsorted(run_zone, np.arange(n + 1))
        median = _weighted_median(run_value, run_weight, splits)
        values["median"] = np.trunc(median) if whole else median
    elif "median" in names:
        middle = starts + (ends - starts - 1) // 2
        values["median"] = (at(middle) + at(starts + (ends - starts) // 2)) / 2
    values["unique"] = np.bincount(run_zone, minlength=n).astype(np.float64)
    for name, sign in (("majority", -1.0), ("minority", 1.0)):
        order = np.lexsort((run_value, sign * run_weight, run_zone))
        first = np.full(n, np.nan)
        known, where = np.unique(run_zone[order], return_index=True)
        first[known] = run_value[order][where]
        values[name] = first
    return _shown(values, names)


def _weighted_median(
    values: NDArray[np.float64], weights: NDArray[np.float64], splits: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the median of distinct ascending values, zone by zone; see `from_values`."""
    median = np.full(len(splits) - 1, np.nan)
    for i in np.flatnonzero(np.diff(splits)):
        value, weight = (a[splits[i] : splits[i + 1]] for a in (values, weights))
        n = len(value)
        place = np.arange(n) * weight + (n - 1) * (np.cumsum(weight) - weight)
        median[i] = np.interp(place[-1] / 2, place, value)
    return median


def _shown(values: Values, names: Iterable[str]) -> Values:
    empty = values["count"] <= 0
    return {
        name: values[name] if name == "count" else np.where(empty, np.nan, values[name])
        for name in dict.fromkeys(("count", *names))
        if name in values
    }
