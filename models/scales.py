"""A StyleGAN's run by scale: what a step trained, and the same latents depth by depth.

Read off the run's own figures, which say what each step trained. No PyTorch.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.chips.display import mosaic
from models.config import Row, RunConfig
from models.pictures import GAP
from models.progressive import depth_of_fit
from models.style_config import StyleAdversary, StyleNetworks

Image = NDArray[np.uint8]
QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Stretch:
    """The epochs of a run that train one depth, and their sheets."""

    depth: int
    epochs: int
    sheets: tuple[int | None, ...]
    """The step of the last sheet in each quarter of the epochs; None where there is none yet."""


def row_of(rows: Sequence[Row], step: int) -> Row | None:
    """Return the row of losses that covers a step: the first one at it or after; else the last.

    Each epoch ends with a row, so what it says of depth and epoch holds for the step.
    """
    at = bisect_left(rows, step, key=lambda row: int(row["step"]))
    return rows[min(at, len(rows) - 1)] if rows else None


def by_depth(config: RunConfig, rows: Sequence[Row], sheets: Iterable[int]) -> list[Stretch]:
    """Return the depths that sheets were made at, coarsest first; none for a model of one size.

    Args:
        config: Of the run.
        rows: Its rows of losses, in order of their steps.
        sheets: Steps at which pictures were made.
    """
    networks, adversary = config.networks, config.adversary
    if not isinstance(networks, StyleNetworks) or not isinstance(adversary, StyleAdversary):
        return []
    first: dict[int, int] = {}
    epochs: dict[int, int] = {}
    begun = 0
    for fit, count in enumerate(config.training.fits):
        depth = depth_of_fit(fit, networks, adversary)
        first.setdefault(depth, begun)
        epochs[depth] = epochs.get(depth, 0) + count
        begun += count
    made: dict[int, dict[int, int]] = {}
    for step in sorted(sheets):
        row = row_of(rows, step)
        if step and row is not None and row.get("depth") in first:  # step 0 has trained nothing
            depth = int(row["depth"])
            made.setdefault(depth, {})[int(row["epoch"]) + 1 - first[depth]] = step
    return [
        Stretch(
            depth,
            epochs[depth],
            tuple(
                None if at is None else made[depth][at]
                for at in by_quarter(made[depth], 0, epochs[depth])
            ),
        )
        for depth in sorted(made)
    ]


def by_quarter(times: Iterable[int], begin: int, end: int) -> list[int | None]:
    """Return the last of the times within each quarter after `begin`, up to `end`; None: none."""
    found: list[int | None] = [None] * QUARTERS
    for time in sorted(times):
        if begin < time <= end:
            found[-(-QUARTERS * (time - begin) // (end - begin)) - 1] = time
    return found


def cut(sheet: Image, side_px: int, count: int) -> Image:
    """Return the first pictures (n, s, s, 3 or 1) of a sheet that `pictures.sheet` laid out.

    Raises:
        ValueError: It is no sheet of pictures of that side.
    """
    step = side_px + GAP
    rows, columns = ((length + GAP) // step for length in sheet.shape[:2])
    if sheet.shape[:2] != (rows * step - GAP, columns * step - GAP) or not rows * columns:
        raise ValueError(sheet.shape)
    whole = sheet.reshape(*sheet.shape[:2], -1)
    places = [divmod(at, columns) for at in range(min(count, rows * columns))]
    return np.stack([
        whole[row * step : row * step + side_px, column * step : column * step + side_px]
        for row, column in places
    ])  # fmt: skip


def coarser(sheet: Image, side_px: int, size_px: int) -> Image:
    """Return a sheet of the same size whose pictures are as of `size_px`, by means.

    Raises:
        ValueError: See `cut`.
    """
    found = cut(sheet, side_px, sheet.size)
    times = side_px // size_px
    found = shrunk(found, size_px).repeat(times, axis=1).repeat(times, axis=2)
    return mosaic(found, (sheet.shape[1] + GAP) // (side_px + GAP), gap_px=GAP)


def shrunk(pictures: Image, size_px: int) -> Image:
    """Return pictures (n, s, s, k) at a smaller size, each pixel the mean of those it covers."""
    num, side, _side, channels = pictures.shape
    times = side // size_px
    parts = pictures.reshape(num, size_px, times, size_px, times, channels)
    means: Image = np.round(parts.mean(axis=(2, 4))).astype(np.uint8)
    return means
