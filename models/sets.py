"""Sets of pictures to train on: of the workspace, of scikit-learn, of a file. No PyTorch is loaded.

A set hands out uint8 batches by index, (n, C, H, W), and knows its scale.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core import store
from core.chips.idx import idx_shape, read_images
from core.chips.sets import ChipSet, ChipSets
from core.errors import InputError, RefusedFileError, TooLargeError
from core.settings import settings
from core.text import N_
from models.config import SIZES
from models.npy import DAMAGED

DIGITS = "digits"
"""Name of the set that comes with scikit-learn: digits of 8 x 8 pixels."""
NUM_DIGITS = 1797

_TRAIN = "train"


class Chips(Protocol):
    """A set of pictures of one size."""

    @property
    def channels(self) -> int: ...

    @property
    def size_px(self) -> int:
        """Pixels of a side; pictures are square."""
        ...

    @property
    def metres_per_px(self) -> float | None:
        """Ground length of one pixel; None where the pictures are of no ground."""
        ...

    @property
    def digest(self) -> str:
        """What the pictures are, as 64 hex digits: the same pictures give the same."""
        ...

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return pictures (n, C, H, W)."""
        ...


class ArrayChips:
    """Pictures in one array, in memory or mapped from a file."""

    def __init__(self, pictures: NDArray[np.uint8], *, metres_per_px: float | None = None) -> None:
        """Take uint8 (n, C, H, W) with H == W; the array is not copied."""
        if pictures.ndim != 4 or pictures.dtype != np.uint8:
            raise InputError(
                N_("Pictures must be whole numbers 0 to 255 of shape (n, channels, height, width);"
                   " these are {dtype} {shape}."),
                dtype=str(pictures.dtype), shape=str(pictures.shape),
            )  # fmt: skip
        if not len(pictures) or pictures.shape[2] != pictures.shape[3]:
            raise InputError(
                N_("A set needs square pictures, at least one; this has the shape {shape}."),
                shape=str(pictures.shape),
            )
        self._pictures = pictures
        self._digest = ""
        self.channels = int(pictures.shape[1])
        self.size_px = int(pictures.shape[2])
        self.metres_per_px = metres_per_px

    @property
    def digest(self) -> str:
        if not self._digest:
            digest = hashlib.sha256(str(self._pictures.shape).encode())
            step = max(1, (1 << 24) // max(1, self._pictures[0].nbytes))
            for first in range(0, len(self._pictures), step):
                digest.update(self._pictures[first : first + step].tobytes())
            self._digest = digest.hexdigest()
        return self._digest

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.asarray(self._pictures[indices])


class SetChips:
    """The chips of a workspace's set that are for training, at one size of its pyramid.

    Numbers of 16 bits are brought to 8: the generator's range has no more steps to show.
    """

    def __init__(self, found: ChipSet, size_px: int) -> None:
        info = found.info
        self._set = found
        self.numbers = found.indices(_TRAIN if _TRAIN in info.splits else None)
        """Which of the set they are."""
        self.size_px = size_px
        self.channels = len(info.channels)
        self.bands = tuple(channel.name for channel in info.channels)
        self.metres_per_px = info.metres_per_pixel(size_px)
        self.digest = info.digest
        found.pixels(size_px)  # refuses a size that the pyramid has not

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        pixels = self._set.read(self.numbers[indices], self.size_px)
        if pixels.dtype == np.uint8:
            return pixels
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def is_set(source: str) -> bool:
    """Tell whether a source is the name of a set, not of a file; `digits` is neither."""
    return source != DIGITS and "." not in source and Path(source).name == source


def source_name(source: str) -> str:
    """Return what a source is called: of a file its name, not where it lies on this machine."""
    return re.split(r"[/\\]", source)[-1]


def open_chips(source: str, *, size_px: int) -> Chips:
    """Open a set by its name; or `digits`, an IDX file, an NPY file of uint8 (n, C, H, W).

    Digits and IDX pictures are brought to `size_px`: repeated a whole number of times, then framed
    by the background. An NPY file must have that size, or a multiple to take the means of.

    Raises:
        InputError: There is no such file, or it holds pictures of another size.
        RefusedFileError: The file is neither.
        TooLargeError: IDX pictures, brought to that size, take more than the memory limit.
    """
    if source == DIGITS:
        return ArrayChips(framed(_digits(), size_px))
    if is_set(source):
        return SetChips(ChipSets(settings().workspace).open(source), size_px)
    path = Path(source)
    if not path.is_file():
        raise InputError(N_("There is no set of chips at {path}."), path=source[:200])
    if path.suffix == ".npy":
        chips = ArrayChips(_mapped(path))
    else:
        chips = ArrayChips(_read_idx(path, size_px))
    if chips.size_px > size_px and chips.size_px % size_px == 0:
        return ShrunkChips(chips, size_px)
    if chips.size_px != size_px:
        raise InputError(
            N_("The chips of {name} have {found} pixels, the networks {wanted}."),
            hint=N_("Choose networks of that size."),
            name=path.name, found=chips.size_px, wanted=size_px,
        )  # fmt: skip
    return chips


def shrunk(pictures: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Bring pictures (n, C, H, W) to a side that divides theirs; half a step rounds up."""
    num, channels, height, width = pictures.shape
    times = height // size_px
    if times == 1:
        return pictures
    parts = pictures.reshape(num, channels, size_px, times, width // times, times)
    sums = parts.sum(axis=(3, 5), dtype=np.uint32)
    out: NDArray[np.uint8] = ((2 * sums + times**2) // (2 * times**2)).astype(np.uint8)
    return out


def bands_of(chips: Chips) -> tuple[str, ...]:
    """Return the names of a set's channels; none where its pictures came without."""
    return tuple(getattr(chips, "bands", ()))


class ShrunkChips:
    """A set whose pictures are handed out smaller."""

    def __init__(self, chips: Chips, size_px: int) -> None:
        self._chips = chips
        self.size_px = size_px
        self.channels = chips.channels
        self.bands: tuple[str, ...] = bands_of(chips)
        metres = chips.metres_per_px
        self.metres_per_px = None if metres is None else metres * chips.size_px / size_px
        self.digest = chips.digest

    def __len__(self) -> int:
        return len(self._chips)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return shrunk(self._chips.batch(indices), self.size_px)


@dataclass(frozen=True, slots=True)
class SetFacts:
    """What must be known of a set before a run on it can be set up."""

    source: str
    count: int
    """Pictures to train on."""
    channels: int
    sizes: tuple[int, ...]
    """Sides that networks can have for it, in pixels; at least one."""
    side_m: float | None
    """Side of a picture on the ground in metres; None for pictures of no ground."""


def facts(source: str) -> SetFacts:
    """Return what is known of a set, read off its description or the head of its file alone.

    Raises:
        InputError: There is no such set, or no network takes pictures of its size.
        RefusedFileError: The file holds no pictures.
        TooLargeError: See `open_chips`.
    """
    largest = size_of(source)
    if is_set(source):
        info = ChipSets(settings().workspace).info(source)
        count = info.splits.get(_TRAIN, info.count)
        sizes = tuple(size for size in SIZES if size in info.sizes)
        return SetFacts(source, count, len(info.channels), sizes, info.side_m)
    sizes = tuple(size for size in SIZES if size >= largest)
    chips = _outline(source, largest)
    is_fixed = Path(source).suffix == ".npy"
    return SetFacts(source, len(chips), chips.channels, sizes[:1] if is_fixed else sizes, None)


def keep_pictures(root: Path, source: Path) -> Path:
    """Move an uploaded file of pictures to where runs find it again, and return its place.

    `pictures/<digest>-<name>` of the workspace: the same file is kept once.

    Raises:
        InputError: Its pictures are larger than any network.
        RefusedFileError: It holds no pictures, or is not whole.
        TooLargeError: See `open_chips`.
    """
    facts(str(source))
    if source.suffix != ".npy":
        for _part in read_images(source):  # its end may be missing
            pass
    place = root / "pictures" / f"{store.file_digest(source)[:12]}-{source.name[-60:]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    store.move_into_place(source, place)
    return place


def kept_pictures(root: Path) -> list[Path]:
    """Return the files of pictures that were kept, by name."""
    found = (path for path in (root / "pictures").glob("[0-9a-f]*-*") if path.is_file())
    return sorted(found, key=lambda path: path.name.partition("-")[2])


def forget_pictures(root: Path, path: Path) -> None:
    """Delete a file of pictures that was kept; any other path is left alone."""
    if path.parent.resolve() == (root / "pictures").resolve():
        path.unlink(missing_ok=True)


def size_of(source: str, sizes: tuple[int, ...] = SIZES) -> int:
    """Return the size of network that fits a set: its own, or the next larger of `sizes`.

    Raises:
        InputError: There is no such file, or its pictures are larger than any network.
        RefusedFileError: It holds no pictures.
    """
    if source == DIGITS:
        return SIZES[0]
    if is_set(source):
        info = ChipSets(settings().workspace).info(source)
        fitting = [size for size in sizes if size in info.sizes]
        if not fitting:
            raise InputError(
                N_("The chips of {name} come in {sizes} pixels; networks take {known}."),
                name=info.id, sizes=", ".join(map(str, info.sizes)),
                known=", ".join(map(str, sizes)),
            )  # fmt: skip
        return fitting[-1]
    path = Path(source)
    if not path.is_file():
        raise InputError(N_("There is no set of chips at {path}."), path=source[:200])
    sides = _mapped(path).shape[2:] if path.suffix == ".npy" else idx_shape(path)[1:]
    side = max(sides, default=0)
    for size in sizes:
        if side <= size:
            return size
    raise InputError(
        N_("The chips of {name} have {found} pixels; networks go up to {largest}."),
        hint=N_("Name a size that theirs is a multiple of: their means are taken."),
        name=path.name, found=side, largest=sizes[-1],
    )  # fmt: skip


def _digits() -> NDArray[np.uint8]:
    from sklearn.datasets import load_digits

    values: NDArray[np.float64] = load_digits().images  # 0 to 16
    return np.round(values * (255 / 16)).astype(np.uint8)[:, None]


def _mapped(path: Path) -> NDArray[np.uint8]:
    try:
        found: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except DAMAGED as err:
        raise RefusedFileError(
            N_("{name} is not a whole NPY file of numbers."), name=path.name
        ) from err
    return found


def _outline(source: str, size_px: int) -> Chips:
    """Return a set as `open_chips` does, without the pictures of digits and IDX files."""
    path = Path(source)
    if source == DIGITS:
        count = NUM_DIGITS
    elif is_set(source) or path.suffix == ".npy" or not path.is_file():
        return open_chips(source, size_px=size_px)
    else:
        count = _idx_count(path, size_px)
    return ArrayChips(np.broadcast_to(np.uint8(0), (count, 1, size_px, size_px)))


def _read_idx(path: Path, size_px: int) -> NDArray[np.uint8]:
    """Read the pictures of an IDX file, framed as they come: (n, 1, size_px, size_px)."""
    out = np.empty((_idx_count(path, size_px), 1, size_px, size_px), np.uint8)
    first = 0
    for part in read_images(path):
        out[first : first + len(part)] = framed(part[:, None], size_px)
        first += len(part)
    return out


def _idx_count(path: Path, size_px: int) -> int:
    """Return how many pictures an IDX file names; refuse those that do not fit once framed."""
    count, rows, columns = idx_shape(path)
    _times(rows, columns, size_px)
    limit, needed = settings().memory_mb << 20, count * size_px**2
    if needed > limit:  # pictures of a few pixels grow a thousandfold
        raise TooLargeError(
            N_("{num:,} pictures of {size} pixels take {needed:.1f} GB; the limit is"
               " {limit:.1f} GB."),
            num=count, size=size_px, needed=needed / 1e9, limit=limit / 1e9,
        )  # fmt: skip
    return count


def framed(pictures: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Enlarge (n, C, H, W) a whole number of times and frame it by zeros to `size_px` square.

    Raises:
        InputError: The pictures are larger than that.
    """
    height, width = pictures.shape[2:]
    times = _times(height, width, size_px)
    large = pictures.repeat(times, axis=2).repeat(times, axis=3)
    top, left = (size_px - large.shape[2]) // 2, (size_px - large.shape[3]) // 2
    out = np.zeros((*pictures.shape[:2], size_px, size_px), np.uint8)
    out[:, :, top : top + large.shape[2], left : left + large.shape[3]] = large
    return out


def _times(height: int, width: int, size_px: int) -> int:
    """Return how many times pictures are enlarged to fit into a square."""
    times = min(size_px // max(height, 1), size_px // max(width, 1))
    if times < 1:
        raise InputError(
            N_("Pictures of {width} x {height} pixels do not fit into {size} x {size}."),
            hint=N_("Choose networks of a larger size."),
            width=width, height=height, size=size_px,
        )  # fmt: skip
    return times


def check_source(source: str, *, batch: int, size_px: int, channels: int) -> None:
    """Do what `check_chips` does, without reading pictures.

    Raises:
        InputError: There is no such set, or no step could be made with it.
        RefusedFileError: The file holds no pictures.
        TooLargeError: See `open_chips`.
    """
    check_chips(_outline(source, size_px), batch=batch, size_px=size_px, channels=channels)


def check_chips(chips: Chips, *, batch: int, size_px: int, channels: int) -> None:
    """Refuse a set that no step could be made with.

    Raises:
        InputError: Fewer pictures than one batch, or pictures of another size.
    """
    if len(chips) < batch:
        raise InputError(
            N_("The set holds {num} chips, fewer than one batch of {batch}."),
            hint=N_("Make more chips, or choose a smaller batch."),
            num=len(chips), batch=batch,
        )  # fmt: skip
    if chips.size_px != size_px:
        raise InputError(
            N_("The chips have {found} pixels, the networks {wanted}."),
            found=chips.size_px, wanted=size_px,
        )  # fmt: skip
    if chips.channels != channels:
        raise InputError(
            N_("The chips have {found} channels, the networks {wanted}."),
            found=chips.channels, wanted=channels,
        )  # fmt: skip
