"""Sets of chips on disk: the only module that reads or writes `chips/` of a workspace.

    chips/<set>/set.json        all that is known of the set; its rename commits a change
                pixels.npz      the chips at all sizes, see `core.chips.pack`
                chips.parquet   a row a chip: split, CRS, bounds, date, shares …

A replaced set gets files of other names first; a reader sees the old set or the new one.
"""

import math
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
import numpy as np
from numpy.typing import ArrayLike, NDArray

from core import store
from core.chips.channels import Channel
from core.chips.pack import damaged_member, open_pack
from core.errors import AppError, BusyError, InputError, StoreError
from core.text import N_
from core.workspace import sweep_scratch

if TYPE_CHECKING:
    import pandas as pd

SET_KIND, SET_VERSION = "chip-set", 1
_LOCK_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInfo:
    """What is known of a set."""

    id: str
    created: str
    """Time in UTC, ISO 8601."""
    made: Literal["cut", "import"]
    count: int
    splits: dict[str, int]
    """Chips of each split that has any."""
    sizes: tuple[int, ...]
    """Sides of the pyramid's chips in pixels, smallest first; the last is the chip's own."""
    side_m: float | None = None
    """Side of a chip on the ground in metres; None where the images came without a place."""
    dtype: Literal["uint8", "uint16"]
    channels: tuple[Channel, ...]
    crs: str = ""
    """CRS of the chips' outlines, that of the first source; empty without a place."""
    area: str = ""
    labels: tuple[str, ...] = ()
    """Names of the classes that images came sorted into."""
    cover: tuple[dict[str, Any], ...] = ()
    """Code, name and colour of the land cover whose shares the table holds."""
    sources: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[tuple[str, dict[str, Any]], ...] = ()
    """What a careful reader should know: templates and their values."""
    code: str = ""
    """Version of the program that made it."""
    pixels: str = ""
    """Name of the file of pixels."""
    table: str = ""
    """Name of the table's file."""
    digest: str = ""
    """SHA-256 of the file of pixels: the fingerprint of a training set."""
    num_bytes: int = 0
    """Of the file of pixels."""

    @property
    def size_px(self) -> int:
        return self.sizes[-1]

    def metres_per_pixel(self, size_px: int) -> float | None:
        """Return the metres on the ground that a pixel's side means at one size."""
        return None if self.side_m is None else self.side_m / size_px


class ChipSet:
    """A set open for reading; any number of threads may read at once.

    The pixels are mapped, not loaded: opening costs nothing, and what is read stays in the
    system's page cache for every process that trains on it.
    """

    def __init__(self, info: SetInfo, folder: Path) -> None:
        self.info = info
        self._folder = folder
        self._arrays = open_pack(folder / info.pixels)
        self._table: pd.DataFrame | None = None
        self._lock = threading.Lock()
        found = next(iter(self._arrays.values()))
        expected = (info.count, len(info.channels))
        if (
            tuple(self._arrays) != info.sizes
            or found.shape[:2] != expected
            or found.dtype != np.dtype(info.dtype)
        ):
            raise StoreError(
                N_("The chips of {name} are not those that its description names."),
                hint=N_("Cut or import them again."),
                name=info.id,
            )

    def __len__(self) -> int:
        return self.info.count

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the same files; the pixels do not travel."""
        return ChipSet, (self.info, self._folder)

    @property
    def table(self) -> "pd.DataFrame":
        """Return the table, a row a chip in order, with outlines where they have a place.

        Raises:
            StoreError: The file is damaged.
        """
        with self._lock:
            if self._table is None:
                self._table = _read_table(self._folder / self.info.table, self.info)
            return self._table

    def pixels(self, size_px: int | None = None) -> NDArray[Any]:
        """Return all chips of one size, mapped and read-only: (N, C, size, size).

        Raises:
            InputError: The pyramid has no such size.
        """
        size = self.info.size_px if size_px is None else size_px
        if size not in self._arrays:
            raise InputError(
                N_("{name} has no chips of {size} px."),
                hint=N_("It has: {known}."),
                name=self.info.id,
                size=size,
                known=", ".join(map(str, self.info.sizes)),
            )
        return self._arrays[size]

    def read(self, index: ArrayLike, size_px: int | None = None) -> NDArray[Any]:
        """Return a copy of some chips at one size: (n, C, size, size), in the order asked for.

        Raises:
            InputError: The pyramid has no such size, or there is no such chip.
        """
        array = self.pixels(size_px)
        wanted = np.atleast_1d(np.asarray(index, np.int64))
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(array)):
            raise InputError(
                N_("{name} has chips 0 to {last}."), name=self.info.id, last=len(array) - 1
            )
        return np.asarray(array[wanted])

    def indices(self, split: str | None = None) -> NDArray[np.int64]:
        """Return the numbers of the chips of one split, of all where none is named.

        Raises:
            InputError: No chip is of that split.
        """
        if split is None:
            return np.arange(self.info.count)
        if split not in self.info.splits:
            raise InputError(
                N_("{name} has no chips for {split}."),
                hint=N_("It has: {known}."),
                name=self.info.id,
                split=split[:40],
                known=", ".join(self.info.splits),
            )
        return np.flatnonzero(self.table["split"].to_numpy() == split)

    def labels(self) -> NDArray[np.int64]:
        """Return the number of each chip's label in `info.labels`, -1 where it has none."""
        if "label" not in self.table:
            return np.full(self.info.count, -1)
        numbers = {name: number for number, name in enumerate(self.info.labels)}
        found: NDArray[np.int64] = self.table["label"].map(numbers).fillna(-1).to_numpy(np.int64)
        return found


class ChipSets:
    """The sets of one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sets = root / "chips"

    def ids(self) -> list[str]:
        """Return the ids of all sets, readable or not, in order."""
        return sorted(path.parent.name for path in self._sets.glob("[a-z0-9]*/set.json"))

    def sets(self) -> list[SetInfo]:
        """Return every readable set, oldest first; `broken` tells of the others."""
        found = []
        for set_id in self.ids():
            with suppress(AppError):
                found.append(self.info(set_id))
        return sorted(found, key=lambda info: (info.created, info.id))

    def broken(self) -> dict[str, AppError]:
        """Return the sets that cannot be read, each with the reason."""
        reasons = {}
        for set_id in self.ids():
            try:
                self.info(set_id)
            except AppError as err:
                reasons[set_id] = err
        return reasons

    def info(self, set_id: str) -> SetInfo:
        """Read what is known of a set.

        Raises:
            InputError: There is no such set.
            StoreError: Its description is damaged or newer than this program.
        """
        path = self._folder(set_id) / "set.json"
        if not path.is_file():
            raise InputError(
                N_("There is no chip set {name!r}."),
                hint=N_("There are: {known}."),
                name=set_id[:80],
                known=", ".join(self.ids()) or "-",
            )
        return _info_from(store.read_json(path, kind=SET_KIND, version=SET_VERSION), set_id)

    def open(self, set_id: str) -> ChipSet:
        """Open a set for reading.

        Raises:
            InputError, StoreError: See `info`; or its pixels are damaged.
        """
        for _ in range(2):
            info = self.info(set_id)
            # Replaced between two lines: its files are gone, the new description names others.
            if (self._folder(set_id) / info.pixels).is_file():
                break
        return ChipSet(info, self._folder(set_id))

    def check_free(self, set_id: str, *, is_replaced: bool) -> None:
        """Refuse a name that cannot be used, or that is taken and is not to be replaced.

        Raises:
            InputError: Which of the two it is.
        """
        if (self._folder(set_id) / "set.json").exists() and not is_replaced:
            raise InputError(
                N_("There is a chip set {name!r} already."),
                hint=N_("Choose another name, or let it be replaced."),
                name=set_id,
            )

    def put(
        self, info: SetInfo, pixels: Path, table: Path, *, is_replaced: bool = False
    ) -> SetInfo:
        """Take in a set whose files lie in a scratch folder of this workspace.

        Raises:
            InputError: See `check_free`.
            BusyError: Somebody else is writing the same set.
        """
        folder = self._folder(info.id)
        with self._writing(info.id):
            self.check_free(info.id, is_replaced=is_replaced)
            folder.mkdir(parents=True, exist_ok=True)
            tail = f"-{uuid.uuid4().hex[:12]}" if (folder / "set.json").exists() else ""
            info = replace(info, pixels=f"pixels{tail}.npz", table=f"chips{tail}.parquet")
            pixels.replace(folder / info.pixels)
            table.replace(folder / info.table)
            body = asdict(info)
            store.write_json(folder / "set.json", body, kind=SET_KIND, version=SET_VERSION)
            self._sweep(info)
        return info

    def delete(self, set_id: str) -> None:
        """Delete a set with its files, also one that cannot be read.

        Raises:
            InputError: There is no such set.
            BusyError: Somebody is writing it.
        """
        folder = self._folder(set_id)
        if not folder.is_dir():
            self.info(set_id)  # says what there is
        with self._writing(set_id):
            gone = self.root / ".scratch" / uuid.uuid4().hex[:12]
            gone.parent.mkdir(exist_ok=True)
            folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def verify(self, set_id: str) -> None:
        """Read a set's pixels through and compare them with what was written.

        Raises:
            StoreError: Bytes have changed since, or a file is gone.
        """
        info = self.info(set_id)
        path = self._folder(set_id) / info.pixels
        if (part := damaged_member(path)) is None and store.file_digest(path) == info.digest:
            self.open(set_id).table  # noqa: B018 (reads it)
            return
        raise StoreError(
            N_("The chips of {name} have changed since they were written: {part}."),
            hint=N_("Cut or import them again."),
            name=set_id,
            part=part or info.pixels,
        )

    def _folder(self, set_id: str) -> Path:
        return store.inside(self._sets, store.checked_id(set_id, what=N_("chip set")))

    @contextmanager
    def _writing(self, set_id: str) -> Iterator[None]:
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(locks / f"chips-{set_id}.lock", timeout=_LOCK_SECONDS):
                yield
        except filelock.Timeout as err:
            raise BusyError(
                N_("The chip set {name} is being changed by somebody else."),
                hint=N_("Nothing was changed. Try again in a moment."),
                name=set_id,
            ) from err

    def _sweep(self, info: SetInfo) -> None:
        """Delete files of the set before this one, and leftovers of a crash."""
        folder = self._folder(info.id)
        for path in (*folder.glob("pixels*.npz"), *folder.glob("chips*.parquet")):
            if path.name not in {info.pixels, info.table}:
                with suppress(PermissionError):  # Windows: somebody still reads it; the next one
                    path.unlink(missing_ok=True)
        sweep_scratch(self.root)


def split_counts(splits: Sequence[str]) -> dict[str, int]:
    """Return the number of chips of each split that has any."""
    names, counts = np.unique(np.asarray(splits, str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _read_table(path: Path, info: SetInfo) -> "pd.DataFrame":
    import geopandas as gpd
    import pandas as pd

    try:
        frame = gpd.read_parquet(path) if info.crs else pd.read_parquet(path)
        if len(frame) != info.count or "split" not in frame:
            raise ValueError("its rows are not those of the chips")
    except (OSError, ValueError, KeyError) as err:
        raise StoreError(
            N_("The table of {name} cannot be read: {reason}."),
            hint=N_("Cut or import the chips again."),
            name=info.id,
            reason=str(err)[:200],
        ) from err
    return frame


def _info_from(body: Mapping[str, Any], set_id: str) -> SetInfo:
    try:
        found = dict(body)
        found["id"] = set_id  # the folder counts: a copied one must not write to its original
        for name in ("sizes", "labels", "cover", "sources"):
            found[name] = tuple(found[name])
        found["channels"] = tuple(Channel(**entry) for entry in found["channels"])
        found["notes"] = tuple((str(text), dict(values)) for text, values in found["notes"])
        info = SetInfo(**found)
        _check_info(info)
    except (KeyError, TypeError, ValueError) as err:
        raise StoreError(
            N_("The description of {name} is damaged: {reason}."),
            hint=N_("Cut or import the chips again."),
            name=set_id,
            reason=str(err)[:200],
        ) from err
    return info


def _check_info(info: SetInfo) -> None:
    sizes_fit = all(isinstance(size, int) and size > 0 for size in info.sizes)
    if not sizes_fit or list(info.sizes) != sorted(set(info.sizes)) or not info.sizes:
        raise ValueError("sizes must be whole numbers in order")
    if info.dtype not in ("uint8", "uint16") or not info.channels or info.count < 1:
        raise ValueError("dtype, channels or count cannot be used")
    if info.side_m is not None and not (math.isfinite(info.side_m) and info.side_m > 0):
        raise ValueError("side_m must be a length")
    if sum(info.splits.values()) != info.count:
        raise ValueError("the splits do not add up to the count")
    for name in (info.pixels, info.table):
        if Path(name).name != name or not name:
            raise ValueError("a file's name is no plain name")
