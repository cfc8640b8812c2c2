"""Where a step lies in a run, how fast it learns there, and which epoch is the best so far.

Plain numbers: no PyTorch.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from models.config import BestRule, Schedule

# fastai's fit_one_cycle: a quarter of the way up, from 1/25 of the rate, and down to 1/100,000.
_RISE, _START, _END = 0.25, 25.0, 1e5
# fastai's AvgSmoothLoss, the figures of its training table.
_SMOOTHING = 0.98
_WARM_UP = 0.25


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step lies: fits and epochs are counted from 0, epochs through all fits."""

    fit: int
    epoch: int
    epoch_in_fit: int
    batch: int
    share: float
    """Of its fit, 0 at its first step."""
    step_in_fit: int = 0
    steps_in_fit: int = 1
    ends_epoch: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Fits laid end to end, as steps."""

    fits: tuple[int, ...]
    per_epoch: int | tuple[int, ...]
    """Batches of an epoch; one number a fit where they differ."""

    @property
    def total(self) -> int:
        return sum(self.ends()[-1:])

    def batches_of(self, fit: int) -> int:
        """Return the batches of an epoch of a fit."""
        if isinstance(self.per_epoch, int):
            return self.per_epoch
        return self.per_epoch[min(fit, len(self.per_epoch) - 1)]

    def ends(self) -> list[int]:
        """Return the step at which each fit ends."""
        lengths = (epochs * self.batches_of(fit) for fit, epochs in enumerate(self.fits))
        return list(accumulate(lengths))

    def epochs_at(self, steps: int | Sequence[int]) -> NDArray[np.float64]:
        """Return how many epochs the first steps are, in parts too; of one number or of many."""
        ends = [0, *self.ends()], [0, *accumulate(self.fits)]
        return np.asarray(np.interp(steps, *ends))

    def images(self, step: int, batch_of: Callable[[int], int]) -> int:
        """Return how many pictures the first `step` steps have shown."""
        begin, shown = 0, 0
        for fit, end in enumerate(self.ends()):
            shown += max(0, min(step, end) - begin) * batch_of(fit)
            begin = end
        return shown

    def place(self, step: int) -> Place:
        """Return where the step numbered `step` (from 0) lies."""
        begin = 0
        for fit, end in enumerate(self.ends()):
            if step < end or fit == len(self.fits) - 1:
                inside, per_epoch = step - begin, self.batches_of(fit)
                return Place(
                    fit=fit,
                    epoch=sum(self.fits[:fit]) + inside // per_epoch,
                    epoch_in_fit=inside // per_epoch,
                    batch=inside % per_epoch,
                    share=inside / (end - begin),
                    step_in_fit=inside,
                    steps_in_fit=end - begin,
                    ends_epoch=(inside + 1) % per_epoch == 0,
                )
            begin = end
        raise AssertionError("a plan has at least one fit")


def one_cycle(share: float, peak: float) -> float:
    """Return the learning rate at `share` (0 to 1) of a fit: cosine up, then cosine down."""
    if share < _RISE:
        return _cosine(peak / _START, peak, share / _RISE)
    return _cosine(peak, peak / _END, (share - _RISE) / (1 - _RISE))


def _cosine(first: float, last: float, share: float) -> float:
    return first + (1 + math.cos(math.pi * (1 - share))) * (last - first) / 2


def learning_rate(schedule: Schedule, share: float, peak: float) -> float:
    """Return the learning rate at `share` (0 to 1) of a fit."""
    return one_cycle(share, peak) if schedule == "one-cycle" else peak


@dataclass(slots=True)
class Smoothed:
    """A running mean that forgets, with the pull of its start from zero taken out."""

    value: float = 0.0
    count: int = 0

    def add(self, number: float) -> None:
        self.value = number + (self.value - number) * _SMOOTHING
        self.count += 1

    def mean(self) -> float | None:
        """Return the mean; None before the first number."""
        return self.value / (1 - _SMOOTHING**self.count) if self.count else None


@dataclass(slots=True)
class Best:
    """Which epoch is the best of its fit so far, judged by the critic's smoothed loss.

    `document`: the loss fell by more than 0.01 below the best one, the rule of fastai's
    SaveModelCallback with `min_delta=0.01`. With the signs of the Wasserstein objective that is
    the epoch whose pictures the critic tells from real ones most easily.

    `recommended`: the estimate of the earth mover's distance, minus the loss, is smaller than
    ever since the first quarter of the fit, while which the critic still learns to measure. For
    other objectives the loss says nothing of the pictures, and no epoch counts as better.
    """

    rule: BestRule
    is_distance: bool
    value: float | None = None

    def begin_fit(self) -> None:
        self.value = None

    def is_better(self, loss: float, share: float) -> bool:
        """Take in the loss at the end of an epoch, `share` of the fit being over."""
        if self.rule == "document":
            found = self.value is None or loss + 0.01 < self.value
        elif not self.is_distance or share <= _WARM_UP:
            found = False
        else:
            found = self.value is None or -loss < -self.value
        if found:
            self.value = loss
        return found
