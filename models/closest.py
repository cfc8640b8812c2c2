"""Training chips that lie nearest to a generated picture.

Distance is the root of the mean squared difference of pixels, over all channels, 0 to 255, between
the picture and a chip at the picture's own size (of a set's pyramid, each pixel the mean of those
it covers). It tells copies from new pictures; it says nothing of likeness of kind.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.chips.sets import ChipSet
from core.errors import InputError
from core.text import N_

_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Closest:
    """The nearest chips of one picture, nearest first."""

    chips: NDArray[np.int64]
    """(k,) numbers of chips in the set."""
    distances: NDArray[np.float64]
    """(k,) as above, 0 to 255."""


def closest(
    pictures: NDArray[np.uint8], found: ChipSet, *, count: int = 5, split: str | None = "train"
) -> list[Closest]:
    """Return the nearest chips of each picture (n, C, s, s), streaming through the set.

    Args:
        pictures: As `generate.as_bytes` makes them.
        found: The set that the model was trained on.
        count: How many for each.
        split: Whose chips; None, or a set without that split: all.

    Raises:
        InputError: The set has no chips of that size or of as many channels.
    """
    size = pictures.shape[2]
    if pictures.shape[1] != len(found.info.channels):
        raise InputError(
            N_("The pictures have {pictures} channels, the chips of {name} {chips}."),
            pictures=pictures.shape[1], name=found.info.id, chips=len(found.info.channels),
        )  # fmt: skip
    numbers = found.indices(split if split in found.info.splits else None)
    wide = found.info.dtype == "uint16"
    wanted = pictures.reshape(len(pictures), -1).astype(np.float64)
    squares = np.square(wanted).sum(axis=1)
    count = min(count, len(numbers))
    best = np.full((len(wanted), 0), np.inf)
    kept = np.zeros((len(wanted), 0), np.int64)
    for first in range(0, len(numbers), _CHUNK):
        part = numbers[first : first + _CHUNK]
        chips = found.read(part, size).reshape(len(part), -1).astype(np.float64)
        if wide:
            chips = np.floor((chips * 255 + 32767) / 65535)
        apart = squares[:, None] + np.square(chips).sum(axis=1) - 2 * (wanted @ chips.T)
        best = np.concatenate([best, np.maximum(apart, 0)], axis=1)
        kept = np.concatenate([kept, np.broadcast_to(part, apart.shape)], axis=1)
        order = np.argsort(best, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(best, order, axis=1)
        kept = np.take_along_axis(kept, order, axis=1)
    distances = np.sqrt(best / wanted.shape[1])
    return [Closest(chips, far) for chips, far in zip(kept, distances, strict=True)]
