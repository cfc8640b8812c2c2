"""Cozy zones: cool in summer without being cold in winter, and what lies under them.

Reference: METHODS, row "Cozy zone".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from core.breaks import ranks_by_breaks
from core.errors import InputError
from core.hotspots.labels import COLD, CORRECTIONS, MISSING, Correction
from core.hotspots.moran import LocalMoran
from core.hotspots.permute import OnProgress, ShouldStop
from core.surrogates import fit_zone, for_each_surrogate
from core.text import N_
from core.weights import Contiguity, Neighbours
from core.workspace import Method

RANKS = (N_("low"), N_("moderate"), N_("high"))
LEVELS = (0.01, 0.05, 0.1)
SURROGATES = 999
_RESAMPLES = 2_000
_FEWEST_BLOCKS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """Which of N squares are cozy. Unknown ones miss a season and are not cozy."""

    is_cozy: NDArray[np.bool_]
    is_unknown: NDArray[np.bool_]

    @property
    def count(self) -> int:
        return int(self.is_cozy.sum())

    @property
    def share(self) -> float:
        """Return the cozy share of all squares that are known, 0 to 1; NaN where none is."""
        known = int((~self.is_unknown).sum())
        return self.count / known if known else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Connected parts of a zone, largest first."""

    number: NDArray[np.int32]
    """(N,): 1 for the squares of the largest patch, 2 for the next; 0 outside."""
    sizes: NDArray[np.int64]
    """Squares of each patch, falling."""
    square_m2: float

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def areas_m2(self) -> NDArray[np.float64]:
        return np.asarray(self.sizes * self.square_m2, np.float64)


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to draw the zone, and how many squares are cozy by it."""

    weights: Contiguity
    level: float
    correction: Correction
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """In how many of the reasonable settings each square is cozy."""

    times: NDArray[np.int16]
    """(N,), 0 to the number of settings."""
    settings: tuple[Setting, ...]

    @property
    def always(self) -> int:
        """Return how many squares are cozy whatever the setting."""
        return int((self.times == len(self.settings)).sum())

    @property
    def ever(self) -> int:
        """Return how many squares are cozy by one setting at least."""
        return int((self.times > 0).sum())


def cozy_zone(
    summer: NDArray[np.int8], winter: NDArray[np.int8], *, method: Method = "recommended"
) -> Zone:
    """Return the summer cold spots that are not winter cold spots.

    Args:
        summer: (N,) codes of `labels.CLASSES`.
        winter: (N,) codes.
        method: Recommended: a square that misses a season is unknown and not cozy. Document: only
            the two comparisons count.

    Raises:
        InputError: The seasons have different numbers of squares.
    """
    if summer.shape != winter.shape:
        raise InputError(
            N_("Summer has {summer:,} squares and winter {winter:,}."),
            summer=len(summer),
            winter=len(winter),
        )
    cozy = (summer == COLD) & (winter != COLD)
    unknown = (summer == MISSING) | (winter == MISSING)
    if method == "document":
        return Zone(cozy, np.zeros(len(cozy), bool))
    return Zone(cozy & ~unknown, unknown)


def patches(zone: NDArray[np.bool_], neighbours: Neighbours, *, square_m2: float) -> Patches:
    """Return the connected parts of a zone; which squares touch is what `neighbours` says.

    Args:
        zone: (N,) squares that belong to it.
        neighbours: Of the N squares: Queen counts corners as touching, Rook does not.
        square_m2: Area of one square.
    """
    inside = neighbours.among(zone)
    number = np.zeros(len(zone), np.int32)
    if not zone.any():
        return Patches(number, np.zeros(0, np.int64), square_m2)
    size = len(inside)
    links = csr_array((np.ones(len(inside.ids), np.int8), inside.ids, inside.starts), (size, size))
    count, part = connected_components(links, directed=False)
    sizes = np.bincount(part, minlength=count)
    order = np.argsort(-sizes, kind="stable")  # of equal size: the one listed first
    new = np.empty(count, np.int32)
    new[order] = np.arange(1, count + 1)
    number[zone] = new[part]
    return Patches(number, sizes[order], square_m2)


def stability(
    seasons: Mapping[Contiguity, tuple[LocalMoran, LocalMoran]],
    *,
    levels: Sequence[float] = LEVELS,
    corrections: Sequence[Correction] = CORRECTIONS,
) -> Stability:
    """Return how often each square is cozy over neighbourhoods, levels and corrections.

    Args:
        seasons: Neighbourhood to summer and winter, in that order.
        levels: Of significance.
        corrections: Left out where the reading does not know one.

    Raises:
        InputError: There is no setting; or see `LocalMoran.labels`.
    """
    times: NDArray[np.int16] | None = None
    settings = []
    for weights, (summer, winter) in seasons.items():
        known = ("none",) if summer.method == "document" else corrections
        for correction in known:
            for level in levels:
                codes = [one.labels(level=level, correction=correction) for one in (summer, winter)]
                zone = cozy_zone(*codes, method=summer.method)
                settings.append(Setting(weights, level, correction, zone.count))
                found = zone.is_cozy.astype(np.int16)
                times = found if times is None else times + found
    if times is None:
        raise InputError(N_("There is no setting to compare."))
    return Stability(times, tuple(settings))


def under_zone(
    zone: NDArray[np.bool_],
    groups: ArrayLike,
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    *,
    method: Method = "recommended",
    surrogates: int = SURROGATES,
    seed: int = 0,
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> pd.DataFrame:
    """Return what lies under a zone: a row a group, most over-represented groups first.

    Columns: `size` squares of the group, `cozy` of them in the zone, `share` = cozy / size,
    `quotient` = share / share of all squares, `low` and `high` its 95 % interval, `expected` cozy
    squares by chance, `p` two-sided by chance, `p_adjusted` for the number of groups
    (Benjamini-Hochberg), `rank` low, moderate or high by natural breaks.

    Chance means surrogates of the zone that keep its spatial autocorrelation (`core.surrogates`).
    The interval resamples square blocks as wide as the zone is alike, so that neighbours count
    as the one observation they nearly are (block bootstrap, percentiles). With few blocks it is
    somewhat too narrow; where it and `p` disagree, `p` counts.

    Args:
        zone: (N,) squares that belong to it.
        groups: (N,) label of each square, such as its cluster; NaN is in no group.
        rows: (N,) of the lattice.
        cols: (N,) of the lattice.
        method: Ranks by natural breaks of the quotients (recommended) or of the counts (document,
            where groups that the zone does not touch get no rank).
        surrogates: How many; 0 leaves `expected`, `p` and `p_adjusted` NaN.
        seed: Of surrogates and intervals.
        threads: None takes the settings'; not part of the result.
        on_progress: Told the share that is done.
        should_stop: Asked several times a second.

    Raises:
        InputError: The zone is empty or everything, or the arrays differ in length.
        TooLargeError, StoppedError: See `surrogates.for_each_surrogate`.
    """
    labels = pd.Series(np.asarray(groups))
    if not len(zone) == len(labels) == len(rows) == len(cols):
        raise InputError(
            N_("There are {labels:,} labels for {squares:,} squares."),
            labels=len(labels),
            squares=len(zone),
        )
    codes, names = pd.factorize(labels, sort=True)
    num = len(names)
    codes = np.where(codes < 0, num, codes).astype(np.int64)  # the last bin: in no group
    model = fit_zone(zone, rows, cols)
    size = np.bincount(codes, minlength=num + 1)
    cozy = np.bincount(codes[zone], minlength=num + 1)
    quotient = _quotients(cozy, size)
    low, high = _interval(zone, codes, model.rows, model.cols, num, model.range_squares, seed)
    chance = np.zeros((surrogates, num + 1), np.int64)

    def count(i: int, squares: NDArray[np.intp]) -> None:
        chance[i] = np.bincount(codes[squares], minlength=num + 1)

    expected, p = np.full(num + 1, np.nan), np.full(num + 1, np.nan)
    if surrogates:
        for_each_surrogate(
            model,
            count,
            num=surrogates,
            seed=seed,
            threads=threads,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        expected = chance.mean(axis=0)
        tail = np.minimum((chance >= cozy).sum(axis=0), (chance <= cozy).sum(axis=0))
        p = np.minimum(1.0, 2.0 * (tail + 1.0) / (surrogates + 1.0))
    made = {
        "size": size, "cozy": cozy, "share": cozy / np.maximum(size, 1), "quotient": quotient,
        "low": low, "high": high, "expected": expected, "p": p,
    }  # fmt: skip
    table = pd.DataFrame(
        {name: column[:num] for name, column in made.items()}, index=pd.Index(names, name="group")
    )
    table["p_adjusted"] = _adjusted(table["p"].to_numpy())
    table["rank"] = rank_groups(table["cozy"], table["quotient"], method=method)
    by = "cozy" if method == "document" else "quotient"
    return table.sort_values([by, "size"], ascending=False, kind="stable")


def rank_groups(
    counts: pd.Series, quotients: pd.Series, *, method: Method = "recommended"
) -> pd.Series:
    """Return low, moderate or high for each group; "" where there is none.

    By natural breaks in three classes: of the quotients, or of the counts above 0 in the document
    reading. Fewer than three different values use the lowest ranks.
    """
    values = counts.astype(np.float64).where(counts > 0) if method == "document" else quotients
    if not np.isfinite(values).any():
        return pd.Series("", index=counts.index, dtype=object)
    found = ranks_by_breaks(values.to_numpy(np.float64), len(RANKS))
    names = [RANKS[rank] if rank >= 0 else "" for rank in found]
    return pd.Series(names, index=counts.index, dtype=object)


def _quotients(cozy: NDArray[np.integer], size: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return (share of a group that is cozy) / (share of all); groups along the last axis."""
    with np.errstate(divide="ignore", invalid="ignore"):
        overall = cozy.sum(axis=-1, keepdims=True) / size.sum(axis=-1, keepdims=True)
        return np.asarray(np.where(size > 0, cozy / size, np.nan) / overall, np.float64)


def block_numbers(
    rows: NDArray[np.integer], cols: NDArray[np.integer], side: int
) -> NDArray[np.int64]:
    """Return (N,) the square block of `side` by `side` cells that each square lies in, from 0."""
    across = int(cols.max()) // side + 1
    blocks = rows.astype(np.int64) // side * across + cols // side
    return np.unique(blocks, return_inverse=True)[1]


def _interval(
    zone: NDArray[np.bool_],
    codes: NDArray[np.int64],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    num: int,
    side: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Blocks as wide as the zone is alike, but enough of them to tell a spread from.
    widest = int(np.sqrt(len(zone) / _FEWEST_BLOCKS))
    block = block_numbers(rows, cols, max(1, min(side, widest)))
    num_blocks = int(block.max()) + 1
    at = block * (num + 1) + codes
    size, cozy = (
        np.bincount(at, weights=weights, minlength=num_blocks * (num + 1)).reshape(num_blocks, -1)
        for weights in (None, zone.astype(np.float64))
    )
    drawn = np.random.default_rng(seed).multinomial(
        num_blocks, np.full(num_blocks, 1.0 / num_blocks), size=_RESAMPLES
    )
    found = _quotients(drawn @ cozy, drawn @ size)
    missed = np.isnan(found).all(axis=0)  # a group without squares has no quotient
    low, high = np.nanpercentile(np.where(missed, 0.0, found), [2.5, 97.5], axis=0)
    return np.where(missed, np.nan, low), np.where(missed, np.nan, high)


def _adjusted(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Benjamini-Hochberg's adjusted p."""
    order = np.argsort(p)[::-1]
    scaled = p[order] * len(p) / np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return out
