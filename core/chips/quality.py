"""What is wrong with chips: blurred, nearly the same as another, missing pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.chips.display import shown_channels
from core.chips.sets import ChipSet
from core.text import N_

_PART_BYTES = 16 << 20
_ASKED_AT_ONCE = 65_536
_LOOK_PX = 16
_COARSE_PX = 4
_NEIGHBOURS = 4
NEAR = 2.5
"""Root mean square difference, of 255, at 16 px, below which two chips are nearly the same."""
BLURRED = 0.1
"""A chip is called blurred where its sharpness is below this share of the set's median."""


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """Pairs of chips (P, 2) that are nearly the same, the nearest first.

    Of each chip at most the nearest few are looked at, so a hundred equal chips give some hundred
    pairs and not five thousand. `across` tells which pairs have one chip in train and one in test.
    """

    pairs: NDArray[np.int64]
    difference: NDArray[np.float64]
    across: NDArray[np.bool_]

    @property
    def num_chips(self) -> int:
        """Return how many chips have a near duplicate."""
        return len(np.unique(self.pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """What was found in a set of N chips."""

    sharpness: NDArray[np.float64]
    """(N,): see `sharpness`."""
    blurred: NDArray[np.int64]
    """Chips that are far less sharp than most, the least sharp first."""
    duplicates: Duplicates
    valid: NDArray[np.float64]
    """(N,): share of each chip that is not missing."""

    def notes(self) -> list[tuple[str, dict[str, Any]]]:
        """Return warnings as templates and their values."""
        found: list[tuple[str, dict[str, Any]]] = []
        if len(self.blurred):
            found.append(
                (
                    N_("Chips with far less detail than most: {count:,} (blur, water or fog)."),
                    {"count": len(self.blurred)},
                )
            )
        if self.duplicates.num_chips:
            found.append(
                (
                    N_("Chips that look nearly like another one: {count:,}."),
                    {"count": self.duplicates.num_chips},
                )
            )
        across = int(self.duplicates.across.sum())
        if across:
            found.append(
                (
                    N_("Pairs of these with one in train and one in test: {count:,}."),
                    {"count": across},
                )
            )
        gaps = int((self.valid < 1).sum())
        if gaps:
            found.append(
                (
                    N_("Chips with missing pixels: {count:,}; the worst has {worst:.0%} valid."),
                    {"count": gaps, "worst": float(self.valid.min())},
                )
            )
        return found


def look(chips: ChipSet) -> Quality:
    """Look through a whole set.

    Raises:
        StoreError: The set's table is damaged.
    """
    pixels = chips.pixels()
    sharp = np.concatenate([sharpness(pixels[part]) for part in _parts(pixels)])
    order = np.argsort(sharp, kind="stable")
    limit = BLURRED * float(np.median(sharp))
    table = chips.table
    valid = table["valid"].to_numpy(float) if "valid" in table else np.ones(len(chips))
    return Quality(
        sharpness=sharp,
        blurred=order[sharp[order] < limit],
        duplicates=near_duplicates(chips),
        valid=valid,
    )


def sharpness(chips: NDArray[Any]) -> NDArray[np.float64]:
    """Return the variance of the Laplacian of each chip (N, C, s, s), its channels averaged.

    Stored numbers are taken as 0 to 255. A blurred picture has few edges, so a small variance; so
    has calm water. Reference: J. L. Pech-Pacheco et al. (2000), Diatom autofocusing in brightfield
    microscopy, doi:10.1109/ICPR.2000.903548.

    Returns:
        (N,); 0 for chips of less than 3 × 3 pixels.
    """
    if chips.shape[-1] < 3:
        return np.zeros(len(chips))
    grey = chips.mean(axis=1, dtype=np.float32) * np.float32(255 / np.iinfo(chips.dtype).max)
    edges = (
        grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    ) - 4 * grey[:, 1:-1, 1:-1]
    found: NDArray[np.float64] = edges.var(axis=(1, 2), dtype=np.float64)
    return found


def near_duplicates(chips: ChipSet, limit: float = NEAR) -> Duplicates:
    """Find pairs of chips that look nearly the same, as they are or as ground on other dates.

    Chips are compared at 16 px, over the channels that make a picture, by the root mean square
    difference in steps of 255. A mean at 4 px can differ no more than the 16 px under it, so
    whoever is too far apart at 4 px need not be looked at closer.
    """
    sizes = chips.info.sizes
    look_px = min((size for size in sizes if size >= _LOOK_PX), default=sizes[-1])
    coarse_px = _COARSE_PX if _COARSE_PX in sizes else sizes[0]
    shown = shown_channels(chips.info.channels)
    scale = 255 / np.iinfo(np.dtype(chips.info.dtype)).max
    # A step more for the rounding of both.
    reach = (limit + 1.0) * np.sqrt(len(shown) * coarse_px**2)
    pairs = _near(_rows(chips.pixels(coarse_px), shown, scale), reach)
    difference = np.empty(len(pairs))
    for first in range(0, len(pairs), 4096):
        some = pairs[first : first + 4096]
        ours, theirs = (chips.read(some[:, side], look_px)[:, shown] for side in (0, 1))
        off = (ours.astype(np.float32) - theirs.astype(np.float32)) * scale
        difference[first : first + 4096] = np.sqrt((off**2).mean(axis=(1, 2, 3)))
    order = np.argsort(difference, kind="stable")
    order = order[difference[order] <= limit]
    split = chips.table["split"].to_numpy()
    across = split[pairs[:, 0]] != split[pairs[:, 1]]
    return Duplicates(pairs[order], difference[order], across[order])


def _rows(pixels: NDArray[Any], shown: list[int], scale: float) -> NDArray[np.float64]:
    """Return some channels of all chips, a row a chip, in steps of 255.

    768 MB for two million chips at 4 px: the only copy of them all. The tree keeps these numbers.
    """
    rows = np.empty((len(pixels), len(shown) * pixels.shape[2] * pixels.shape[3]))
    for part in _parts(pixels):
        some = pixels[part][:, shown]
        np.multiply(some.reshape(len(some), -1), scale, out=rows[part])
    return rows


def _near(rows: NDArray[np.float64], reach: float) -> NDArray[np.int64]:
    """Return pairs (P, 2) of rows that are near, each row with at most its nearest few."""
    tree = cKDTree(rows)
    found = []
    for first in range(0, len(rows), _ASKED_AT_ONCE):
        asked = rows[first : first + _ASKED_AT_ONCE]
        count = min(_NEIGHBOURS + 1, len(rows))
        near, at = tree.query(asked, k=count, distance_upper_bound=reach)
        near, at = near.reshape(len(asked), -1), at.reshape(len(asked), -1)
        one = np.broadcast_to(np.arange(first, first + len(asked))[:, None], at.shape)
        met = np.isfinite(near) & (one != at)
        found.append(np.sort(np.stack([one[met], at[met]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _parts(pixels: NDArray[Any]) -> Iterator[slice]:
    """Return slices of the chips that hold some megabytes each."""
    step = max(1, _PART_BYTES // pixels[0].nbytes)
    for first in range(0, len(pixels), step):
        yield slice(first, min(first + step, len(pixels)))
