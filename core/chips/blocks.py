"""Train and test kept apart by place: blocks of ground, each for one of the two.

Chips of one place look alike, whatever their date, so a test on chips that were drawn at random
says nothing of other places. Here the ground is cut into square blocks, some are drawn for the
test, and a chip counts only if every block that it touches is of the same split: no pixel of the
ground is in both.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from core.chips.options import CutOptions
from core.chips.sources import ground_px, move
from core.errors import InputError, TooLargeError
from core.georeference import Georeference
from core.text import N_

TRAIN, TEST, NEITHER = 0, 1, -1
_MOST_BLOCKS = 1_000_000
_WANTED_BLOCKS = 48
_FEWEST_CHIPS, _MOST_CHIPS = 2, 8
_EDGE_PX = 1e-6
_BENT_PX = 0.5
"""Edges of a raster in another CRS are bent by less than this over a chip."""

Boxes = NDArray[np.float64]
"""(N, 4): left, top, right, bottom in pixels of the reference raster."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Blocks:
    """Blocks over a reference raster, north-west first; `is_test` (rows, columns)."""

    reference: Georeference
    left: int
    top: int
    width_px: int
    height_px: int
    gap_px: tuple[float, float]
    """Down and across."""
    is_test: NDArray[np.bool_]

    def split_of(self, boxes: Boxes) -> NDArray[np.int8]:
        """Return TRAIN or TEST of each box, NEITHER where blocks of both are nearer than the gap.

        A box on the line between two blocks touches only the one that it lies in.
        """
        down, across = self.gap_px
        first_col, last_col = _touched(
            boxes[:, 0] - across - self.left, boxes[:, 2] + across - self.left, self.width_px
        )
        first_row, last_row = _touched(
            boxes[:, 1] - down - self.top, boxes[:, 3] + down - self.top, self.height_px
        )
        rows, cols = self.is_test.shape
        first_row, last_row = (np.clip(v, 0, rows - 1) for v in (first_row, last_row))
        first_col, last_col = (np.clip(v, 0, cols - 1) for v in (first_col, last_col))
        total = np.zeros((rows + 1, cols + 1), np.int64)
        total[1:, 1:] = self.is_test.cumsum(0).cumsum(1)
        tests = (
            total[last_row + 1, last_col + 1]
            - total[first_row, last_col + 1]
            - total[last_row + 1, first_col]
            + total[first_row, first_col]
        )
        all_of_them = (last_row - first_row + 1) * (last_col - first_col + 1)
        found = np.full(len(boxes), NEITHER, np.int8)
        found[tests == 0] = TRAIN
        found[tests == all_of_them] = TEST
        return found

    def block_of(self, boxes: Boxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the row and column of the block that holds each box's centre."""
        col = np.floor(((boxes[:, 0] + boxes[:, 2]) / 2 - self.left) / self.width_px)
        row = np.floor(((boxes[:, 1] + boxes[:, 3]) / 2 - self.top) / self.height_px)
        rows, cols = self.is_test.shape
        return (
            np.clip(row, 0, rows - 1).astype(np.int64),
            np.clip(col, 0, cols - 1).astype(np.int64),
        )


def _touched(low: NDArray[np.float64], high: NDArray[np.float64], side: int) -> tuple[
    NDArray[np.int64], NDArray[np.int64]
]:  # fmt: skip
    first = np.floor((low + _EDGE_PX) / side).astype(np.int64)
    last = np.ceil((high - _EDGE_PX) / side).astype(np.int64) - 1
    return first, np.maximum(first, last)


def boxes_of(
    reference: Georeference,
    place: Georeference,
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    shape: tuple[int, int],
) -> Boxes:
    """Return windows of a raster as boxes in pixels of the reference raster.

    Args:
        reference: The raster whose pixels measure.
        place: The raster that has the windows.
        row: First rows (N,).
        col: First columns (N,).
        shape: Rows and columns of every window.
    """
    if place == reference:
        return np.column_stack([col, row, col + shape[1], row + shape[0]]).astype(np.float64)
    around = np.array([[0, 0.5, 1, 1, 1, 0.5, 0, 0], [0, 0, 0, 0.5, 1, 1, 1, 0.5]])
    columns = np.asarray(col, float)[:, None] + around[0] * shape[1]
    rows = np.asarray(row, float)[:, None] + around[1] * shape[0]
    x, y = move(columns, rows, place, reference)
    pad = 0.0 if place.crs == reference.crs else _BENT_PX
    return np.column_stack([
        x.min(axis=1) - pad, y.min(axis=1) - pad, x.max(axis=1) + pad, y.max(axis=1) + pad
    ])  # fmt: skip


def make_blocks(
    places: list[Georeference],
    shapes: list[tuple[int, int]],
    options: CutOptions,
    *,
    boundary: shapely.Geometry | None,
    rng: np.random.Generator,
) -> Blocks:
    """Cut the ground of all sources into blocks and draw those of the test.

    Blocks are drawn one by one until they hold the test's share of the ground.

    Args:
        places: The sources; the first measures.
        shapes: Rows and columns of a chip's window in each.
        options: Test share, side of a block, gap.
        boundary: Polygon in degrees that bounds the ground that counts; None: all of it.
        rng: Draws the blocks.

    Raises:
        InputError: The place is too small for blocks of both kinds.
        TooLargeError: The blocks would be too many.
    """
    reference = places[0]
    extents = np.concatenate([
        boxes_of(reference, place, np.array([0]), np.array([0]), (place.height, place.width))
        for place in places
    ])  # fmt: skip
    left, top = np.floor(extents[:, :2].min(axis=0)).astype(int)
    right, bottom = np.ceil(extents[:, 2:].max(axis=0)).astype(int)
    height, width = _block_px(reference, shapes[0], (bottom - top, right - left), options)
    rows, cols = math.ceil((bottom - top) / height), math.ceil((right - left) / width)
    if rows * cols > _MOST_BLOCKS:
        raise TooLargeError(
            N_("Blocks of this side would be {count:,}."),
            hint=N_("Choose larger blocks."),
            count=rows * cols,
        )
    weight = _weights(extents, (left, top), (height, width), (rows, cols))
    if boundary is not None:
        weight *= _inside(reference, boundary, (left, top), (height, width), (rows, cols))
    px = ground_px(reference)
    return Blocks(
        reference=reference,
        left=int(left),
        top=int(top),
        width_px=width,
        height_px=height,
        gap_px=(options.gap_m / px[0], options.gap_m / px[1]),
        is_test=_drawn(weight, options.test_share, rng),
    )


def _block_px(
    reference: Georeference,
    shape: tuple[int, int],
    extent: tuple[int, int],
    options: CutOptions,
) -> tuple[int, int]:
    """Return the rows and columns of a block."""
    if options.block_m is None:
        chips = extent[0] * extent[1] / (shape[0] * shape[1])
        times = min(max(int(math.sqrt(chips / _WANTED_BLOCKS)), _FEWEST_CHIPS), _MOST_CHIPS)
        return shape[0] * times, shape[1] * times
    px = ground_px(reference)
    height, width = (max(1, round(options.block_m / side)) for side in px)
    if height < shape[0] or width < shape[1]:
        raise InputError(
            N_("Blocks of {block:g} m are smaller than a chip of {chip:g} m."),
            hint=N_("Choose blocks of at least twice the chip."),
            block=options.block_m,
            chip=max(shape[0] * px[0], shape[1] * px[1]),
        )
    return height, width


def _weights(
    extents: Boxes, corner: tuple[int, int], side: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return how much ground of the sources each block holds, each source counted."""
    total = np.zeros(shape)
    for left, top, right, bottom in extents:
        rows = corner[1] + np.arange(shape[0] + 1) * side[0]
        cols = corner[0] + np.arange(shape[1] + 1) * side[1]
        down = np.clip(np.minimum(rows[1:], bottom) - np.maximum(rows[:-1], top), 0, None)
        across = np.clip(np.minimum(cols[1:], right) - np.maximum(cols[:-1], left), 0, None)
        total += down[:, None] * across[None, :]
    return total


def _inside(
    reference: Georeference,
    boundary: shapely.Geometry,
    corner: tuple[int, int],
    side: tuple[int, int],
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the share of each block inside the boundary."""
    polygon = reference.in_pixels(boundary)
    shapely.prepare(polygon)
    tops = corner[1] + np.arange(shape[0]) * side[0]
    lefts = corner[0] + np.arange(shape[1]) * side[1]
    x, y = np.meshgrid(lefts, tops)
    boxes = shapely.box(x, y, x + side[1], y + side[0])
    shares: NDArray[np.float64] = shapely.contains_properly(polygon, boxes).astype(np.float64)
    cut = ~shapely.contains_properly(polygon, boxes) & shapely.intersects(polygon, boxes)
    shares[cut] = shapely.area(shapely.intersection(polygon, boxes[cut])) / (side[0] * side[1])
    return shares


def _drawn(
    weight: NDArray[np.float64], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw blocks until as near to the share as whole blocks allow; at least one of each kind."""
    order = rng.permutation(np.flatnonzero(weight > 0))
    if len(order) < 2:
        raise InputError(
            N_("The place is too small to keep train and test apart: it is one block."),
            hint=N_("Choose smaller blocks or chips, or no split."),
        )
    # The sum before and after a block: it is taken where that brings the sum nearer.
    reached = np.cumsum(weight.ravel()[order])
    wanted = share * reached[-1]
    count = int(np.argmin(np.abs(np.concatenate([[0.0], reached]) - wanted)))
    is_test = np.zeros(weight.shape, np.bool_)
    is_test.ravel()[order[: min(max(count, 1), len(order) - 1)]] = True
    return is_test
