"""Cut a set of chips: windows from the plan, pixels from the sources, files of the set.

Windows are read in the order of the ground, neighbours together, so that no block of a file is
unpacked more often than needed. What comes out does not depend on the number of threads.
"""

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from core import store
from core.chips.channels import encode, stored_dtype
from core.chips.describe import describe
from core.chips.material import Material
from core.chips.options import SPLITS, CutOptions, check_count, pack_bytes
from core.chips.pack import PackWriter
from core.chips.plan import Plan, check_found, window_shape
from core.chips.pyramid import pyramid
from core.chips.sets import ChipSets, SetInfo
from core.chips.sources import Source
from core.chips.strata import stratum_of
from core.chips.tables import Row, chip_table, write_table
from core.chips.under import Surroundings
from core.chips.windows import Windows, hull, tiles
from core.cog import OnProgress, ShouldStop, stop_if, writing
from core.errors import ExtentError
from core.prepare import never, no_progress
from core.settings import settings
from core.text import N_
from core.workspace import Workspace

_PIECE_BYTES = 64 << 20
_AHEAD = 2
_PATIENCE = 50
"""A ground where fewer than one place in so many has enough valid pixels is given up."""


@dataclass(slots=True)
class _Batch:
    """Chips of one piece of ground, those with too many missing pixels left out."""

    chips: NDArray[Any]
    rows: list[Row]
    turned_down: int = 0


@dataclass(slots=True)
class _Found:
    """What has come out so far."""

    rows: list[Row] = field(default_factory=list)
    turned_down: int = 0

    def missing(self, wanted: dict[int, int | None]) -> dict[int, int | None]:
        """Return what is still wanted; nothing where everything was."""
        left: dict[int, int | None] = {}
        for split, count in wanted.items():
            have = sum(row.split == SPLITS[split] for row in self.rows)
            left[split] = 0 if count is None else count - have
        return left


def cut_set(
    workspace: Workspace,
    set_id: str,
    material: Material,
    options: CutOptions,
    *,
    around: Surroundings | None = None,
    is_replaced: bool = False,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never,
) -> SetInfo:
    """Cut chips and keep them as a set.

    Args:
        workspace: Where the set goes.
        set_id: Its name.
        material: What is cut.
        options: How.
        around: Boundary, land cover and clusters, where they are known.
        is_replaced: Whether a set of that name may be replaced; it stays until the new one is
            whole.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked often; True ends the work and changes nothing.

    Raises:
        InputError, ExtentError: The name is taken, or no chip can be cut that way.
        TooLargeError: It would not fit on the disk.
        StoppedError: `should_stop` said so.
    """
    around = around or Surroundings()
    sets = ChipSets(workspace.root)
    sets.check_free(set_id, is_replaced=is_replaced)
    dtype = stored_dtype(material.channels)
    check_room(workspace.root, options, len(material.channels), dtype.itemsize)

    def check() -> None:
        stop_if(should_stop, set_id)

    def check_windows(count: int) -> None:
        # How many a grid has is known only once it is laid out.
        num_channels = len(material.channels)
        check_room(workspace.root, options, num_channels, dtype.itemsize, count=count)

    plan = Plan(
        [source.place for source in material.sources],
        options,
        boundary=around.boundary,
        stratum_of=stratum_of(options, material, around, check),
        on_batch=check,
    )
    cutter = _Cutter(plan, material, around, dtype, check)
    folder = workspace.scratch()
    try:
        with writing(set_id):
            writer = PackWriter(folder, options.sizes)
            try:
                found = _cut_all(cutter, writer, on_progress, should_stop, set_id, check_windows)
                check_found(writer.num, plan.wanted())
                on_progress(0.92, N_("Packing"))
                with store.atomic_path(folder / "pixels.npz") as packed:
                    writer.pack(packed, check)
            finally:
                writer.close()
            crs = material.sources[0].place.crs
            write_table(chip_table(found.rows, crs), folder / "chips.parquet")
        on_progress(0.97, N_("Computing the digest"))
        info = describe(
            set_id,
            plan,
            material,
            around,
            found.rows,
            turned_down=found.turned_down,
            pixels=folder / "pixels.npz",
        )
        stop_if(should_stop, set_id)
        return sets.put(
            info, folder / "pixels.npz", folder / "chips.parquet", is_replaced=is_replaced
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_room(
    root: Path, options: CutOptions, channels: int, itemsize: int, *, count: int | None = None
) -> None:
    """Refuse a set that would not fit on the disk.

    `count` is how many chips there will be; None: as many as asked for, of a grid that takes all
    that fit at least one.

    Raises:
        TooLargeError: The message holds the estimate.
    """
    count = options.count or 1 if count is None else count
    check_count(count)
    # The gathered pixels and the pack lie side by side while the last size is packed.
    needed = 2 * pack_bytes(count, channels, options.size_px, itemsize)
    store.require_space(root, needed, what=N_("The chip set"))


def chip_at(
    source: Source, material: Material, options: CutOptions, *, lon: float, lat: float
) -> NDArray[Any]:
    """Return the chip (C, size, size) whose middle is a place in degrees.

    Near the edge of the source it is moved so that it lies inside.

    Raises:
        ExtentError: The place lies outside the source, or the source is smaller than a chip.
        InputError: See `plan.window_shape`.
    """
    window = window_at(source, options, lon=lon, lat=lat)
    raw, valid = source.read(window)
    dtype = stored_dtype(material.channels)
    return encode(raw, valid, material.channels, size_px=options.size_px, dtype=dtype)


def window_at(source: Source, options: CutOptions, *, lon: float, lat: float) -> Window:
    """Return the window of a chip whose middle is a place in degrees; see `chip_at`.

    Raises:
        ExtentError, InputError: See `chip_at`.
    """
    place = source.place
    rows, cols = window_shape(place, options)
    column, row = place.to_pixels(np.array([lon]), np.array([lat]), frame="lonlat")
    if not (0 <= column[0] < place.width and 0 <= row[0] < place.height):
        raise ExtentError(N_("{lon}, {lat} is not on {name}."), lon=lon, lat=lat, name=source.name)
    left = int(np.clip(round(column[0] - cols / 2), 0, place.width - cols))
    top = int(np.clip(round(row[0] - rows / 2), 0, place.height - rows))
    return Window(left, top, cols, rows)


class _Cutter:
    """Cuts the windows of one piece of ground; several threads may use it at once."""

    def __init__(
        self,
        plan: Plan,
        material: Material,
        around: Surroundings,
        dtype: np.dtype[Any],
        check: Callable[[], None],
    ) -> None:
        self.plan, self.material, self.around, self.dtype = plan, material, around, dtype
        self._check = check
        self.options = plan.options

    def pieces(self, windows: Windows) -> list[Windows]:
        """Return the windows in pieces of neighbours, in the order of the ground."""
        rows, cols = self.plan.shapes[0]
        most = max(1, _PIECE_BYTES // (rows * cols * len(self.material.channels) * 8))
        return [
            windows.take(members[at : at + most])
            for members in tiles(windows, self.plan.shapes)
            for at in range(0, len(members), most)
        ]

    def cut(self, windows: Windows) -> _Batch:
        """Read, check and encode the windows of one piece."""
        number = int(windows.source[0])
        source = self.material.sources[number]
        chips, rows, turned_down = [], [], 0
        for at, window, (raw, valid) in self._read(source, number, windows):
            self._check()
            share = float(valid.mean())
            if share < self.options.min_valid:
                turned_down += 1
                continue
            chips.append(
                encode(
                    raw,
                    valid,
                    self.material.channels,
                    size_px=self.options.size_px,
                    dtype=self.dtype,
                )
            )
            rows.append(self._row(source, windows, at, window, share))
        size = self.options.size_px
        empty = np.empty((0, len(self.material.channels), size, size), self.dtype)
        return _Batch(np.stack(chips) if chips else empty, rows, turned_down)

    def _read(
        self, source: Source, number: int, windows: Windows
    ) -> Iterator[tuple[int, Window, tuple[NDArray[Any], NDArray[np.bool_]]]]:
        """Read windows one by one, or all in one piece where they lie close together."""
        rows, cols = self.plan.shapes[number]
        around = hull(windows, (rows, cols))
        top, left, num = int(around.row_off), int(around.col_off), around.height * around.width
        whole = None
        few = num * len(self.material.channels) * 8 <= _PIECE_BYTES
        if few and num <= source.spread * rows * cols * len(windows):
            whole = source.read(around)
        for at in range(len(windows)):
            row, col = int(windows.row[at]), int(windows.col[at])
            window = Window(col, row, cols, rows)
            if whole is None:
                yield at, window, source.read(window)
                continue
            part = slice(row - top, row - top + rows), slice(col - left, col - left + cols)
            yield at, window, (whole[0][:, *part], whole[1][part])

    def _row(self, source: Source, windows: Windows, at: int, window: Window, valid: float) -> Row:
        """Return what the table keeps of one chip."""
        place, around = source.place, self.around
        return Row(
            split=SPLITS[int(windows.split[at])],
            source=int(windows.source[at]),
            source_name=source.name,
            date=source.date,
            place=place,
            window=window,
            valid=valid,
            block=(int(windows.block_row[at]), int(windows.block_col[at])),
            shares=around.cover.shares(place, window) if around.cover else {},
            cluster=around.clusters.under(place, window) if around.clusters else -1,
        )


def _cut_all(
    cutter: _Cutter,
    writer: PackWriter,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    set_id: str,
    check_windows: Callable[[int], None],
) -> _Found:
    """Cut until there are as many chips as wanted or no more windows."""
    plan = cutter.plan
    wanted = plan.wanted()
    found = _Found()
    left = wanted
    while any(count != 0 for count in left.values()):
        stop_if(should_stop, set_id)
        on_progress(0.9 * _done(found, wanted), N_("Choosing places"))
        windows = plan.take(left)
        if not len(windows):
            break
        total = sum(count or 0 for count in wanted.values()) or len(windows)
        check_windows(len(windows))
        for batch in _in_order(cutter.cut, cutter.pieces(windows)):
            stop_if(should_stop, set_id)
            if batch.rows:
                writer.add(pyramid(batch.chips))
            found.rows += batch.rows
            found.turned_down += batch.turned_down
            on_progress(0.9 * min(1.0, len(found.rows) / total), N_("Cutting chips"))
        left = found.missing(wanted)
        if found.turned_down > _PATIENCE * max(1000, len(found.rows)):
            break
    return found


def _done(found: _Found, wanted: dict[int, int | None]) -> float:
    total = sum(count or 0 for count in wanted.values())
    return len(found.rows) / total if total else 0.0


def _in_order(work: Callable[[Windows], _Batch], pieces: Sequence[Windows]) -> Iterator[_Batch]:
    """Run the work on several threads, a few pieces ahead, and return what comes out in order."""
    threads = min(settings().threads, 8)
    waiting: deque[Future[_Batch]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) >= threads + _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
