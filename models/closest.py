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
from models.metrics import nearest_chips
from models.sets import SetChips


@dataclass(frozen=True, slots=True)
class Closest:
    """The nearest chips of one picture, nearest first."""

    chips: NDArray[np.int64]
    """(k,) numbers of chips in the set."""
    distances: NDArray[np.float64]
    """(k,) as above, 0 to 255."""


def closest(pictures: NDArray[np.uint8], found: ChipSet, *, count: int = 5) -> list[Closest]:
    """Return the nearest chips of each picture (n, C, s, s) among those for training.

    Args:
        pictures: As `generate.as_bytes` makes them.
        found: The set that the model was trained on.
        count: How many for each.

    Raises:
        InputError: The set has no chips of that size or of as many channels.
    """
    if pictures.shape[1] != len(found.info.channels):
        raise InputError(
            N_("The pictures have {pictures} channels, the chips of {name} {chips}."),
            pictures=pictures.shape[1], name=found.info.id, chips=len(found.info.channels),
        )  # fmt: skip
    chips = SetChips(found, pictures.shape[2])
    nearest = nearest_chips(pictures, chips, count=count)
    pairs = zip(chips.numbers[nearest.indices], nearest.distances, strict=True)
    return [Closest(numbers, far) for numbers, far in pairs]
