"""Moran's I, of each square and of all: is a neighbourhood like its square by more than chance?

Recommended reading: islands and missing values are classes of their own, p is two-sided. Document
reading: what esda gives, with its folded p, its islands and its missing values.

References: Anselin (1995), Geographical Analysis 27(2), 93-115; METHODS, row "Local Moran".
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InputError
from core.hotspots.labels import ISLAND, MISSING, Correction, check_level, significant
from core.hotspots.permute import (
    Engine,
    OnProgress,
    ShouldStop,
    check_permutations,
    count_permutations,
    esda_folded,
    fixed_point,
    shuffled_sums,
)
from core.text import N_
from core.weights import Neighbours
from core.workspace import Method

PERMUTATIONS: dict[Method, int] = {"recommended": 99_999, "document": 999}
"""By reading."""
GLOBAL_PERMUTATIONS = 999
MissingRule = Literal["left out", "spread"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LocalMoran:
    """Local Moran's I of N squares. Arrays are (N,); NaN where a square is missing.

    The two axes of a Moran scatter plot are `z` and `lag`.
    """

    method: Method
    engine: Engine
    permutations: int
    seed: int
    statistic: NDArray[np.float64]
    """I_i = (n - 1) z_i lag_i / sum of z squared; 0 on an island."""
    z: NDArray[np.float64]
    """Distance from the mean in standard deviations (of the population)."""
    lag: NDArray[np.float64]
    """Mean z of the neighbours; 0 on an island."""
    quadrant: NDArray[np.int8]
    """1 high among high, 2 low among high, 3 low among low, 4 high among low; 0 is missing."""
    p_folded: NDArray[np.float64]
    """esda's: the smaller tail, at most about a half."""
    p_two_sided: NDArray[np.float64]
    """Twice the smaller tail, at most 1. NaN on islands, where nothing can be tested."""
    is_island: NDArray[np.bool_]
    is_missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.z)

    @property
    def p(self) -> NDArray[np.float64]:
        """Return the p of the reading."""
        return self.p_folded if self.method == "document" else self.p_two_sided

    def labels(
        self, *, level: float = 0.05, correction: Correction | None = None
    ) -> NDArray[np.int8]:
        """Return the class of each square, a code of `labels.CLASSES`; nothing is permuted again.

        Args:
            level: Of significance, or of false discoveries under `bh`.
            correction: None takes the reading's: `bh` (recommended) or `none` (document).

        Raises:
            InputError: The level is not between 0 and 1; or folded p-values are to be corrected,
                which would let twice as much chance through as the level says.
        """
        check_level(level)
        chosen = correction or ("none" if self.method == "document" else "bh")
        if self.method == "document" and chosen != "none":
            raise InputError(
                N_("The document's folded p cannot be corrected for many tests."),
                hint=N_("Choose the recommended reading, or no correction."),
            )
        tells = significant(self.p, level=level, correction=chosen)
        codes = np.where(tells, self.quadrant, 0).astype(np.int8)
        if self.method == "recommended":
            codes[self.is_island] = ISLAND
        codes[self.is_missing & (self.quadrant == 0)] = MISSING
        return codes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GlobalMoran:
    """Moran's I of all squares, beside what it would be if the values lay anywhere."""

    statistic: float
    expected: float
    """-1 / (n - 1)."""
    simulated: NDArray[np.float64]
    """I of each permutation."""
    p_folded: float
    p_two_sided: float
    num_squares: int


def local_moran(
    values: ArrayLike,
    neighbours: Neighbours,
    *,
    method: Method = "recommended",
    permutations: int | None = None,
    seed: int = 0,
    engine: Engine = "ranks",
    missing: MissingRule | None = None,
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> LocalMoran:
    """Return local Moran's I with its conditional permutation p.

    A square's own value stays, its neighbours are drawn out of all other squares. The two-sided p
    counts draws equal to the observed sum in both tails, so it is 1 where nothing can be told;
    without such ties it is min(1, 2 * folded).

    Args:
        values: Numbers (N,); NaN and infinities are missing.
        neighbours: Of the N squares, row-standardised here.
        method: Which reading.
        permutations: Number of draws a square is compared with; None takes the reading's.
        seed: Same seed, same bytes, on any number of threads.
        engine: `ranks`, or `esda` for comparison (up to a few thousand permutations).
        missing: `left out`: as if those squares were not there (recommended). `spread`: what esda
            makes of them: one missing value makes every square a cold spot of the smallest p
            (document). None takes the reading's.
        threads: None takes the settings'; not part of the result.
        on_progress: Told the share that is done.
        should_stop: Asked between blocks of draws, several times a second.

    Raises:
        InputError: Values and neighbours differ in number, fewer than 3 squares have a value, all
            have the same, or a parameter makes no sense.
        TooLargeError: It would take longer than five minutes; the message holds the estimate.
        StoppedError: `should_stop` said so.
    """
    column = _column(values, neighbours)
    if permutations is None:
        permutations = PERMUTATIONS[method]
    check_permutations(neighbours, permutations, engine, seed=seed)
    present = np.isfinite(column)
    rule = missing or ("spread" if method == "document" else "left out")
    if rule == "spread" and not present.all():
        return _spread(present, neighbours, method, engine, permutations, seed)
    near = neighbours if present.all() else neighbours.among(present)
    z = standardised(column[present])
    lag = near.mean(z)
    island = near.counts == 0
    if engine == "esda":
        statistic, folded = esda_folded(column[present], near, permutations=permutations, seed=seed)
        two_sided = np.minimum(1.0, 2.0 * folded)
    else:
        statistic = (len(z) - 1) * z * lag / float((z * z).sum())
        exact = fixed_point(z, int(near.counts.max()))
        at_least, at_most = count_permutations(
            exact,
            near,
            permutations=permutations,
            seed=seed,
            threads=threads,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        sign = np.where(island, 0, np.sign(exact))
        folded = folded_p(at_least, at_most, sign, permutations)
        two_sided = two_sided_p(at_least, at_most, sign, permutations)

    return LocalMoran(
        method=method,
        engine=engine,
        permutations=permutations,
        seed=seed,
        statistic=_at(present, statistic),
        z=_at(present, z),
        lag=_at(present, lag),
        quadrant=np.nan_to_num(_at(present, quadrants(z, lag).astype(float))).astype(np.int8),
        p_folded=_at(present, folded),
        p_two_sided=_at(present, np.where(island, np.nan, two_sided)),
        is_island=np.nan_to_num(_at(present, island.astype(float))).astype(bool),
        is_missing=~present,
    )


def global_moran(
    values: ArrayLike,
    neighbours: Neighbours,
    *,
    permutations: int = GLOBAL_PERMUTATIONS,
    seed: int = 0,
    threads: int | None = None,
    should_stop: ShouldStop = lambda: False,
) -> GlobalMoran:
    """Return Moran's I over all squares that have a value, and its permutation distribution.

    Args:
        values: Numbers (N,); NaN and infinities are missing and left out.
        neighbours: Of the N squares, row-standardised here.
        permutations: How often the values are dealt out anew over all squares.
        seed: Same seed, same bytes.
        threads: None takes the settings'; not part of the result.
        should_stop: Asked several times a second.

    Raises:
        InputError, TooLargeError, StoppedError: See `local_moran`; or no square has a neighbour.
    """
    column = _column(values, neighbours)
    check_permutations(neighbours, permutations, "ranks", seed=seed)
    present = np.isfinite(column)
    near = neighbours.among(present)
    z = standardised(column[present])
    linked = int((near.counts > 0).sum())
    if linked == 0:
        raise InputError(N_("No square has a neighbour with a value."))
    scale = len(z) / linked / float((z * z).sum())
    statistic = scale * float((z * near.mean(z)).sum())
    simulated = scale * shuffled_sums(
        z, near, permutations=permutations, seed=seed, threads=threads, should_stop=should_stop
    )
    at_least = np.array([(simulated >= statistic).sum()])
    at_most = np.array([(simulated <= statistic).sum()])
    one = np.array([1])
    return GlobalMoran(
        statistic=statistic,
        expected=-1.0 / (len(z) - 1),
        simulated=simulated,
        p_folded=float(folded_p(at_least, at_most, one, permutations)[0]),
        p_two_sided=float(two_sided_p(at_least, at_most, one, permutations)[0]),
        num_squares=len(z),
    )


def standardised(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (x - mean) / standard deviation, the population's.

    Raises:
        InputError: Fewer than 3 values, or all the same.
    """
    if len(column) < 3:
        raise InputError(
            N_("Only {count} squares have a value."),
            hint=N_("Three are needed at least."),
            count=len(column),
        )
    if column.min() == column.max():
        raise InputError(N_("All squares have the same value, so no spots can be told apart."))
    largest = float(np.abs(column).max())
    # Within the range of floats whatever the unit; a power of two changes no digit.
    scaled = np.ldexp(column, -math.frexp(largest)[1]) if not 1e-100 < largest < 1e100 else column
    z = scaled - scaled.mean()
    z /= scaled.std()
    return np.asarray(z, np.float64)


def quadrants(z: NDArray[np.float64], lag: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return esda's quadrants 1 to 4; exactly 0 counts as low."""
    codes = np.array([[3, 2], [4, 1]], np.int8)
    return np.asarray(codes[(z > 0).astype(np.intp), (lag > 0).astype(np.intp)], np.int8)


def folded_p(
    at_least: NDArray[np.int64],
    at_most: NDArray[np.int64],
    sign: NDArray[np.int64],
    permutations: int,
) -> NDArray[np.float64]:
    """Return esda's p: (smaller of #(I* >= I) and the rest, plus 1) / (permutations + 1).

    `sign` is that of z: where it is 0 every I* is 0, which esda takes for the smallest p.
    """
    larger = np.where(sign > 0, at_least, np.where(sign < 0, at_most, permutations))
    rarer = np.minimum(larger, permutations - larger)
    return np.asarray((rarer + 1.0) / (permutations + 1.0), np.float64)


def two_sided_p(
    at_least: NDArray[np.int64],
    at_most: NDArray[np.int64],
    sign: NDArray[np.int64],
    permutations: int,
) -> NDArray[np.float64]:
    """Return min(1, 2 * (smaller tail + 1) / (permutations + 1)); ties are in both tails."""
    tail = (np.minimum(at_least, at_most) + 1.0) / (permutations + 1.0)
    return np.where(sign == 0, 1.0, np.minimum(1.0, 2.0 * tail))


def _column(values: ArrayLike, neighbours: Neighbours) -> NDArray[np.float64]:
    try:
        column = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InputError(N_("The column does not hold numbers.")) from None
    if column.shape != (len(neighbours),):
        raise InputError(
            N_("There are {values:,} values for {squares:,} squares."),
            values=column.size,
            squares=len(neighbours),
        )
    return column


def _at(present: NDArray[np.bool_], found: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.full(len(present), np.nan)
    whole[present] = found
    return whole


def _spread(
    present: NDArray[np.bool_],
    neighbours: Neighbours,
    method: Method,
    engine: Engine,
    permutations: int,
    seed: int,
) -> LocalMoran:
    """Return what esda gives once the mean is NaN: no comparison holds, so all is low and rare."""
    nothing = np.full(len(present), np.nan)
    smallest = np.full(len(present), 1.0 / (permutations + 1.0))
    return LocalMoran(
        method=method,
        engine=engine,
        permutations=permutations,
        seed=seed,
        statistic=nothing,
        z=nothing,
        lag=nothing,
        quadrant=np.full(len(present), 3, np.int8),
        p_folded=smallest,
        p_two_sided=np.minimum(1.0, 2.0 * smallest),
        is_island=neighbours.counts == 0,
        is_missing=~present,
    )
