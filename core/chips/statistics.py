"""Figures of a set: mean, spread and histogram of each channel, for train and for test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.chips.channels import Channel
from core.chips.options import SPLITS
from core.chips.sets import ChipSet

BINS = 64
_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChannelFigures:
    """One channel over the looked-at chips of one split, in the channel's own unit.

    `counts` (BINS,) are pixels in equal bins from `low` to `high`, what stored 0 and the largest
    stored number mean. `std` is that of all pixels (divided by their number).
    """

    channel: Channel
    split: str
    mean: float
    std: float
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Figures:
    """Figures of all channels and splits, and from how many chips of each split they are."""

    rows: tuple[ChannelFigures, ...]
    looked_at: dict[str, int]


def figures(chips: ChipSet, *, most: int = 4000) -> Figures:
    """Return figures of a set, over at most `most` chips of each split, evenly through the set.

    Mean and spread are exact over the pixels that are looked at; missing pixels hold their chip's
    mean, so they narrow the spread a little.
    """
    levels = np.iinfo(np.dtype(chips.info.dtype)).max + 1
    rows: list[ChannelFigures] = []
    looked_at: dict[str, int] = {}
    for split in (name for name in SPLITS if name in chips.info.splits):
        index = chips.indices(split)
        some = index[np.unique(np.linspace(0, len(index) - 1, min(len(index), most)).astype(int))]
        looked_at[split] = len(some)
        counts = np.zeros((len(chips.info.channels), levels), np.int64)
        for first in range(0, len(some), _AT_ONCE):
            pixels = chips.read(some[first : first + _AT_ONCE])
            for number in range(len(counts)):
                counts[number] += np.bincount(pixels[:, number].ravel(), minlength=levels)
        rows += [
            _channel(channel, split, own)
            for channel, own in zip(chips.info.channels, counts, strict=True)
        ]
    return Figures(rows=tuple(rows), looked_at=looked_at)


def _channel(channel: Channel, split: str, counts: NDArray[np.int64]) -> ChannelFigures:
    """Return what the counts of each stored number say."""
    number = np.arange(len(counts), dtype=np.float64)
    total = max(int(counts.sum()), 1)
    mean = float((counts * number).sum()) / total
    variance = float((counts * (number - mean) ** 2).sum()) / total
    step = (channel.high - channel.low) / (len(counts) - 1)
    return ChannelFigures(
        channel=channel,
        split=split,
        mean=channel.low + mean * step,
        std=float(np.sqrt(variance)) * abs(step),
        counts=counts.reshape(BINS, -1).sum(axis=1),
    )
