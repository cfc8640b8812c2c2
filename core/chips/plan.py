"""Where chips are cut: windows that keep to the boundary, the split, the spacing and the balance.

A plan hands out windows as they are asked for, so that chips with too many missing pixels can be
replaced by others. The same seed hands out the same windows.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from core.chips.blocks import NEITHER, TEST, TRAIN, Blocks, Boxes, boxes_of, make_blocks
from core.chips.options import MOST_CHIPS, CutOptions
from core.chips.sources import ground_px
from core.chips.spacing import Spacing, in_turns
from core.chips.windows import Windows, no_windows
from core.errors import ExtentError, InputError, TooLargeError
from core.georeference import Georeference
from core.text import N_

_SAME_SIDE = 0.02
_ON_LINE_PX = 1e-6
_BATCH = 4096
_LARGEST_BATCH = 1 << 18
_MOST_IDLE_ROUNDS = 12
_MOST_DRAWN = 20_000_000
_MOST_TRIALS = 2_000_000
_MOST_READY = 1 << 16
_MOST_ON_GRID = 10_000_000
_POOLS = (4, 16)
"""Windows looked at for each one that a balanced set takes; the second where a kind is rare."""

StratumOf = Callable[[Windows], NDArray[np.int64]]
"""Tells of windows which of the kinds to be balanced they are; -1 where unknown."""


def window_shape(place: Georeference, options: CutOptions) -> tuple[int, int]:
    """Return the rows and columns that a chip takes of a source.

    Raises:
        InputError: The source's pixels are coarser than the chip's would be.
        ExtentError: The source is smaller than a chip.
    """
    down, across = ground_px(place)
    size = options.size_px
    if options.metres is None:
        # Pixels that are not square on the ground, as in degrees: as many as make a square of it.
        side = size * max(down, across)
        rows, cols = round(side / down), round(side / across)
        if abs(down / across - 1) < _SAME_SIDE:
            rows = cols = size
    else:
        rows, cols = round(options.metres / down), round(options.metres / across)
        if min(rows, cols) < size:
            raise InputError(
                N_("A chip of {metres:g} m has {px} pixels here, fewer than {size}."),
                hint=N_("Choose more metres, or fewer pixels."),
                metres=options.metres,
                px=min(rows, cols),
                size=size,
            )
    if rows > place.height or cols > place.width:
        raise ExtentError(
            N_("A chip takes {rows} × {cols} pixels; the source has {height} × {width}."),
            hint=N_("Choose smaller chips."),
            rows=rows,
            cols=cols,
            height=place.height,
            width=place.width,
        )
    return rows, cols


class Plan:
    """Hands out windows of sources.

    Args:
        places: Where the sources lie; the first measures the blocks.
        options: What was chosen.
        boundary: Polygon in degrees that has to hold a chip's centre; None: anywhere.
        stratum_of: What a balanced set is balanced by; None: nothing.
        on_batch: Called every some tenths of a second of drawing; may raise to end it.

    Raises:
        InputError, ExtentError: See `window_shape` and `make_blocks`; no source meets the boundary.
        TooLargeError: A grid has too many chips, or the blocks are too many.
    """

    def __init__(
        self,
        places: list[Georeference],
        options: CutOptions,
        *,
        boundary: shapely.Geometry | None = None,
        stratum_of: StratumOf | None = None,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self.options = options
        self._on_batch = on_batch
        self.places = places
        self.shapes = [window_shape(place, options) for place in places]
        # A stream of its own for each purpose: another count draws the same blocks.
        of_blocks, of_places = np.random.default_rng(options.seed).spawn(2)
        self._rng = of_places
        self._boundaries = [
            None if boundary is None else place.in_pixels(boundary) for place in places
        ]
        self._ranges = [
            _range(place, shape, polygon)
            for place, shape, polygon in zip(places, self.shapes, self._boundaries, strict=True)
        ]
        if not any(found is not None for found in self._ranges):
            raise ExtentError(
                N_("No chip has its centre inside the study area."),
                hint=N_("Choose smaller chips, or another layer."),
            )
        self.blocks: Blocks | None = None
        if options.split == "place":
            self.blocks = make_blocks(
                places, self.shapes, options, boundary=boundary, rng=of_blocks
            )
        self._spacing = [
            Spacing(shape, ground_px(place), options)
            for place, shape in zip(places, self.shapes, strict=True)
        ]
        self._ready: dict[int, deque[Windows]] = {TRAIN: deque(), TEST: deque()}
        self._stream = self._on_grid() if options.grid else self._at_random()
        self._stratum_of = stratum_of
        self._is_pooled = False
        self._filling = TRAIN

    @property
    def side_m(self) -> tuple[float, float]:
        """Return the height and width of a chip of the first source on the ground."""
        px = ground_px(self.places[0])
        return self.shapes[0][0] * px[0], self.shapes[0][1] * px[1]

    def window(self, windows: Windows, at: int) -> Window:
        """Return one of the windows in the pixels of its source."""
        rows, cols = self.shapes[int(windows.source[at])]
        return Window(int(windows.col[at]), int(windows.row[at]), cols, rows)

    def wanted(self) -> dict[int, int | None]:
        """Return how many chips of each split are asked for; None: all there are."""
        count = self.options.count
        if self.options.split == "none":
            return {TRAIN: count, TEST: 0}
        if count is None:
            return {TRAIN: None, TEST: None}
        tests = min(max(round(count * self.options.test_share), 1), count - 1) if count > 1 else 0
        return {TRAIN: count - tests, TEST: tests}

    def take(self, wanted: dict[int, int | None]) -> Windows:
        """Return windows, as many of each split as wanted; fewer once there are no more."""
        if self._stratum_of is not None and not self._is_pooled:
            self._pool(wanted)
        parts = []
        for split, count in wanted.items():
            if count == 0:
                continue
            self._fill(split, count)
            ready = self._ready[split]
            have = 0
            while ready and (count is None or have < count):
                part = ready.popleft()
                if count is not None and have + len(part) > count:
                    keep = count - have
                    ready.appendleft(part.take(np.arange(keep, len(part))))
                    part = part.take(np.arange(keep))
                parts.append(part)
                have += len(part)
        return Windows.join(parts) if parts else no_windows()

    def _fill(self, split: int, count: int | None) -> None:
        """Draw until there are enough windows of a split ready, or no more to be had."""
        self._filling = split
        while count is None or self._num_ready(split) < count:
            self._on_batch()
            batch = next(self._stream, None)
            if batch is None:
                return
            for each in (TRAIN, TEST):
                self._ready[each].append(batch.take(batch.split == each))

    def ready(self) -> dict[int, int]:
        """Return how many windows of each split are drawn and not yet taken."""
        return {split: self._num_ready(split) for split in self._ready}

    def _num_ready(self, split: int) -> int:
        return sum(map(len, self._ready[split]))

    def _pool(self, wanted: dict[int, int | None]) -> None:
        """Draw more windows than needed and order them so that the kinds take turns."""
        self._is_pooled = True
        for split, count in wanted.items():
            if count == 0:
                continue
            pool, strata = no_windows(), np.empty(0, np.int64)
            for times in _POOLS:
                self._fill(split, None if count is None else times * count)
                drawn = Windows.join([no_windows(), *self._ready[split]])
                new = drawn.take(
                    np.arange(len(pool), min(len(drawn), times * (count or MOST_CHIPS)))
                )
                pool = Windows.join([pool, new])
                strata = np.concatenate([strata, self._kinds(new)])
                _, of_kind = np.unique(strata[strata >= 0], return_counts=True)
                # Enough of the rarest for its turn to come as often as that of the others.
                if len(new) == 0 or of_kind.min(initial=len(pool)) * len(of_kind) >= (count or 0):
                    break
            self._ready[split] = deque([pool.take(in_turns(strata))])
        self._stream = iter(())

    def _kinds(self, windows: Windows) -> NDArray[np.int64]:
        assert self._stratum_of is not None
        return self._stratum_of(windows)

    def _at_random(self) -> Iterator[Windows]:
        """Draw windows batch by batch; ends when next to none fits any more."""
        counts = np.array([0 if r is None else r.rows * r.cols for r in self._ranges], float)
        batch, idle, drawn, tried = _BATCH, 0, 0, 0
        while idle < _MOST_IDLE_ROUNDS and drawn < _MOST_DRAWN and tried < _MOST_TRIALS:
            which = self._rng.choice(len(counts), size=batch, p=counts / counts.sum())
            row, col = np.empty(batch, np.int64), np.empty(batch, np.int64)
            for number, found in enumerate(self._ranges):
                at = np.flatnonzero(which == number)
                if found is not None and len(at):
                    row[at] = found.top + self._rng.integers(found.rows, size=len(at))
                    col[at] = found.left + self._rng.integers(found.cols, size=len(at))
            fitting = self._fitting(which, row, col)
            kept = self._spaced(fitting)
            drawn += batch
            tried += len(fitting)
            idle = 0 if len(kept) else idle + 1
            # Larger batches where the boundary or the blocks turn most away; not where windows
            # are too near, which is looked at one by one.
            if len(fitting) * 8 < batch:
                batch = min(batch * 4, _LARGEST_BATCH)
            yield kept

    def _on_grid(self) -> Iterator[Windows]:
        """List all windows side by side, in a random order."""
        source, row, col = [], [], []
        for number, (place, shape) in enumerate(zip(self.places, self.shapes, strict=True)):
            steps = [max(1, round(side * (1 - (self.options.overlap or 0)))) for side in shape]
            top, left = self._first_on_grid(place, shape, steps)
            rows = np.arange(top, place.height - shape[0] + 1, steps[0])
            cols = np.arange(left, place.width - shape[1] + 1, steps[1])
            if len(rows) * len(cols) > _MOST_ON_GRID:
                raise TooLargeError(
                    N_("The grid would have {count:,} chips."),
                    hint=N_("Choose larger chips or less overlap."),
                    count=len(rows) * len(cols),
                )
            y, x = np.meshgrid(rows, cols, indexing="ij")
            source.append(np.full(y.size, number))
            row.append(y.ravel())
            col.append(x.ravel())
        order = self._rng.permutation(sum(map(len, row)))
        listed = (np.concatenate(part)[order] for part in (source, row, col))
        yield self._spaced(self._fitting(*listed))

    def _first_on_grid(
        self, place: Georeference, shape: tuple[int, int], steps: list[int]
    ) -> tuple[int, int]:
        """Return the first row and column of a source whose chips lie on the lines of the blocks.

        Neighbouring files then share one grid; one that is shifted by part of a pixel cannot.
        """
        none = np.zeros(1, np.int64)
        left, top = boxes_of(self.places[0], place, none, none, shape)[0, :2]
        line = (0, 0) if self.blocks is None else (self.blocks.top, self.blocks.left)
        return (
            math.ceil((line[0] - top) % steps[0] - _ON_LINE_PX) % steps[0],
            math.ceil((line[1] - left) % steps[1] - _ON_LINE_PX) % steps[1],
        )

    def _fitting(
        self, source: NDArray[np.int64], row: NDArray[np.int64], col: NDArray[np.int64]
    ) -> Windows:
        """Keep windows by boundary and split, in order; none of a split that has plenty."""
        kept = np.ones(len(row), bool)
        boxes: Boxes = np.empty((len(row), 4))
        for number, place in enumerate(self.places):
            at = np.flatnonzero(source == number)
            if not len(at):
                continue
            shape, polygon = self.shapes[number], self._boundaries[number]
            if polygon is not None:
                x, y = col[at] + shape[1] / 2, row[at] + shape[0] / 2
                kept[at] = shapely.contains_xy(polygon, x, y)
            boxes[at] = boxes_of(self.places[0], place, row[at], col[at], shape)
        split = np.zeros(len(row), np.int8)
        block_row = block_col = np.full(len(row), -1, np.int64)
        if self.blocks is not None:
            split = self.blocks.split_of(boxes)
            kept &= split != NEITHER
            block_row, block_col = self.blocks.block_of(boxes)
        if not self.options.grid:
            for each in (TRAIN, TEST):
                if each != self._filling and self._num_ready(each) > _MOST_READY:
                    kept &= split != each
        return Windows(source, row, col, split, block_row, block_col).take(kept)

    def _spaced(self, found: Windows) -> Windows:
        """Keep windows that are far enough from those before them."""
        if self.options.grid and not self.options.min_distance_m:
            return found  # apart as they were laid out
        spaced = [
            self._spacing[number].admits(int(top), int(left))
            for number, top, left in zip(found.source, found.row, found.col, strict=True)
        ]
        return found.take(np.array(spaced, bool))


@dataclass(frozen=True, slots=True)
class _Range:
    """First rows and columns that windows may have."""

    top: int
    left: int
    rows: int
    cols: int


def _range(
    place: Georeference, shape: tuple[int, int], polygon: shapely.Geometry | None
) -> _Range | None:
    top, left, bottom, right = 0, 0, place.height - shape[0], place.width - shape[1]
    if polygon is not None:
        if polygon.is_empty:
            return None
        shapely.prepare(polygon)
        west, north, east, south = polygon.bounds
        top = max(top, int(np.floor(north - shape[0] / 2)))
        left = max(left, int(np.floor(west - shape[1] / 2)))
        bottom = min(bottom, int(np.ceil(south - shape[0] / 2)))
        right = min(right, int(np.ceil(east - shape[1] / 2)))
    if bottom < top or right < left:
        return None
    return _Range(top, left, bottom - top + 1, right - left + 1)


def check_found(num: int, wanted: dict[int, int | None]) -> None:
    """Refuse a set without any chip.

    Raises:
        InputError: Nothing was found.
    """
    if num == 0 and any(count != 0 for count in wanted.values()):
        raise InputError(
            N_("No chip fits what was asked for."),
            hint=N_("Ask for a smaller valid share, distance, gap or block."),
        )
