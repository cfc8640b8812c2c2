"""What may be chosen when chips are cut, checked before any work."""

import math
from dataclasses import dataclass
from typing import Literal

from core.chips.pyramid import pyramid_sizes
from core.errors import InputError, TooLargeError
from core.text import N_

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")

SMALLEST_PX, LARGEST_PX = 4, 1024
MOST_CHIPS = 2_000_000
LARGEST_SIDE_M = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOptions:
    """How chips are cut.

    Raises:
        InputError: A value is out of its range.
        TooLargeError: More than `MOST_CHIPS` are asked for.
    """

    size_px: int = 64
    """Side of a chip in pixels."""
    metres: float | None = None
    """Side of a chip on the ground; None: as many of the source's pixels as `size_px`."""
    count: int | None = 2000
    """How many; None, with `grid`: all that fit."""
    grid: bool = False
    """Side by side from the north-west; else at random places."""
    overlap: float | None = None
    """Largest share of its area that a chip may share with another of the same source, 0 to 1;
    with `grid` the share of its side that the next one repeats. None: 0 with `grid`, else any."""
    min_distance_m: float = 0.0
    """Between the centres of two chips of the same source."""
    min_valid: float = 1.0
    """Smallest share of pixels that are not missing."""
    split: Literal["place", "none"] = "place"
    """`place`: train and test lie in different blocks. `none`: all are for training."""
    test_share: float = 0.2
    block_m: float | None = None
    """Side of a block; None: 2 to 8 chips, fewer where the place is small."""
    gap_m: float = 0.0
    """Least distance between the ground of train and of test."""
    balance: Literal["", "clusters", "cover"] = ""
    """Take about as many chips from each cluster, or each land cover that is the most of a chip."""
    seed: int = 0

    def __post_init__(self) -> None:
        _in_range(N_("size in pixels"), self.size_px, SMALLEST_PX, LARGEST_PX)
        if self.metres is not None:
            _in_range(N_("side in metres"), self.metres, 0.01, LARGEST_SIDE_M)
        if self.count is None and not self.grid:
            raise InputError(
                N_("Say how many chips to cut."), hint=N_("Only a grid can do without.")
            )
        if self.count is not None:
            check_count(self.count)
        most = 0.9 if self.grid else 1.0
        if self.overlap is not None:
            _in_range(N_("overlap"), self.overlap, 0, most)
        _in_range(N_("minimum distance"), self.min_distance_m, 0, LARGEST_SIDE_M)
        _in_range(N_("minimum valid share"), self.min_valid, 0, 1)
        _in_range(N_("test share"), self.test_share, 0.01, 0.9)
        if self.block_m is not None:
            _in_range(N_("side of a block"), self.block_m, 0.01, LARGEST_SIDE_M)
        _in_range(N_("gap"), self.gap_m, 0, LARGEST_SIDE_M)
        _in_range(N_("seed"), self.seed, 0, 2**63 - 1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the pyramid's sizes in pixels, smallest first."""
        return pyramid_sizes(self.size_px)


def pack_bytes(count: int, channels: int, size_px: int, itemsize: int) -> int:
    """Return the bytes of a pack, all sizes of the pyramid together."""
    return count * channels * itemsize * sum(size**2 for size in pyramid_sizes(size_px))


def check_count(count: int) -> None:
    """Refuse a number of chips that no set can hold.

    Raises:
        InputError: It is 0 or less.
        TooLargeError: It is above `MOST_CHIPS`.
    """
    if count > MOST_CHIPS:
        raise TooLargeError(
            N_("{count:,} chips are too many; one set holds at most {most:,}."),
            hint=N_("Ask for fewer, or make several sets."),
            count=count,
            most=MOST_CHIPS,
        )
    _in_range(N_("number of chips"), count, 1, MOST_CHIPS)


def _in_range(what: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(
            N_("The {what} must be from {low:g} to {high:g}, not {value:g}."),
            what=what,
            low=low,
            high=high,
            value=value,
        )
