"""Count what a layer holds while its pixels stream past."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.ranges import histogram
from core.text import N_
from core.workspace import Kind, Summary

_BINS = 64
_LOW, _HIGH = 0.02, 0.98
_SAMPLE = 4_000_000
_MOST_CODES = 4096


class Tally:
    """Feed it blocks of one raster, in any order; `summary` tells what they held.

    Whole numbers of up to 16 bits are counted one by one, so that every figure is exact. For
    other types minimum, maximum, mean and class counts are exact, while percentiles and
    histogram come from an even sample where there are more than four million values.
    """

    def __init__(self, kind: Kind, dtype: np.dtype[Any], *, num_pixels: int, name: str) -> None:
        self._kind = kind
        self._name = name
        self._pixels = 0
        self._counter: _Counter | _Sampler
        if dtype.kind in "iu" and dtype.itemsize <= 2:
            self._counter = _Counter(dtype)
        elif kind == "classes":
            self._counter = _Codes(name)
        else:
            self._counter = _Sampler(stride=max(1, num_pixels // _SAMPLE))

    def add(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        inside: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count one block.

        Args:
            values: Pixels (rows, columns).
            valid: True where a pixel is not missing; None: none is.
            inside: True where a pixel counts at all; None: all do.
        """
        if inside is not None:
            values, valid = values[inside], None if valid is None else valid[inside]
        self._pixels += values.size
        self._counter.add(values.ravel() if valid is None else values[valid])

    def summary(self) -> Summary:
        """Return the figures of all blocks so far.

        Raises:
            InputError: A class raster holds fractions, or more than 4096 codes.
        """
        counter = self._counter
        share = counter.num / self._pixels if self._pixels else 0.0
        if not counter.num:
            return Summary(valid_share=share)
        low, high = counter.percentiles((_LOW, _HIGH))
        is_classes = self._kind == "classes"
        counts = counter.counts() if is_classes else ()
        if len(counts) > _MOST_CODES:
            raise too_many_codes(self._name)
        return Summary(
            valid_share=share,
            minimum=counter.minimum,
            maximum=counter.maximum,
            mean=counter.total / counter.num,
            low=low,
            high=high,
            counts=counts,
            histogram=() if is_classes else counter.histogram(),
            exact=counter.exact,
        )


def too_many_codes(name: str) -> InputError:
    """Return the error for a raster of measurements brought in as classes."""
    return InputError(
        N_("{name} holds fractions or more than {most} different codes."),
        hint=N_("Bring it in as values, not as classes."),
        name=name,
        most=_MOST_CODES,
    )


class _Counter:
    """Counts of every number of a type of at most 16 bits."""

    exact = True

    def __init__(self, dtype: np.dtype[Any]) -> None:
        limits = np.iinfo(dtype)
        self._unsigned = np.dtype(f"u{dtype.itemsize}")
        codes = np.arange(limits.max - limits.min + 1).astype(self._unsigned)
        self._codes = codes.view(dtype).astype(np.int64)
        self._bins = np.zeros(len(codes), np.int64)

    def add(self, values: NDArray[Any]) -> None:
        flat = np.ascontiguousarray(values).view(self._unsigned)
        self._bins += np.bincount(flat, minlength=len(self._bins))

    def counts(self) -> tuple[tuple[int, int], ...]:
        codes, numbers = self._table()
        return tuple(zip(codes.tolist(), numbers.tolist(), strict=True))

    def _table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self._codes)
        codes, numbers = self._codes[order], self._bins[order]
        return codes[numbers > 0], numbers[numbers > 0]

    @property
    def num(self) -> int:
        return int(self._bins.sum())

    @property
    def minimum(self) -> float:
        return float(self._table()[0][0])

    @property
    def maximum(self) -> float:
        return float(self._table()[0][-1])

    @property
    def total(self) -> float:
        return float(self._codes @ self._bins)

    def percentiles(self, shares: tuple[float, ...]) -> list[float]:
        codes, numbers = self._table()
        ends = np.cumsum(numbers)
        found = []
        for share in shares:
            place = (self.num - 1) * share
            lower, upper = (
                codes[np.searchsorted(ends, rank, side="right")]
                for rank in (math.floor(place), math.ceil(place))
            )
            found.append(float(lower + (upper - lower) * (place - math.floor(place))))
        return found

    def histogram(self) -> tuple[int, ...]:
        codes, numbers = self._table()
        counts = histogram(codes, _BINS, float(codes[0]), float(codes[-1]), weights=numbers)[0]
        return tuple(counts.astype(int).tolist())


class _Codes(_Counter):
    """Counts of class codes of any other type."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[float, int] = {}

    def add(self, values: NDArray[Any]) -> None:
        codes, numbers = np.unique(values, return_counts=True)
        if not np.array_equal(codes, np.round(codes)):
            raise too_many_codes(self._name)
        for code, number in zip(codes.tolist(), numbers.tolist(), strict=True):
            self._found[code] = self._found.get(code, 0) + number
        if len(self._found) > _MOST_CODES:
            raise too_many_codes(self._name)

    def _table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        pairs = sorted((int(code), number) for code, number in self._found.items())
        table = np.array(pairs, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    @property
    def num(self) -> int:
        return sum(self._found.values())

    @property
    def total(self) -> float:
        codes, numbers = self._table()
        return float(codes @ numbers)


class _Sampler:
    """Exact extremes and sum; an even sample for the rest."""

    def __init__(self, *, stride: int) -> None:
        self._stride = stride
        self._skip = 0
        self._parts: list[NDArray[Any]] = []
        self.num = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    @property
    def exact(self) -> bool:
        return self._stride == 1

    def add(self, values: NDArray[Any]) -> None:
        if not values.size:
            return
        self.num += values.size
        self.total += float(values.sum(dtype=np.float64))
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        self._parts.append(values[self._skip :: self._stride].copy())
        # The sample goes on evenly from block to block.
        self._skip = (self._skip - values.size) % self._stride

    def counts(self) -> tuple[tuple[int, int], ...]:
        return ()

    def percentiles(self, shares: tuple[float, ...]) -> list[float]:
        sample = np.concatenate(self._parts).astype(np.float64)
        return [float(value) for value in np.quantile(sample, shares)]

    def histogram(self) -> tuple[int, ...]:
        counts = sum(
            histogram(part, _BINS, self.minimum, self.maximum)[0].astype(np.int64)
            for part in self._parts
        )
        return tuple(np.atleast_1d(counts).tolist())
