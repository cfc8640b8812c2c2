"""Chips as tensors: sets of small pictures, the order they are shown in, and the way to the device.

A set hands out uint8 batches by index, (n, C, H, W), and knows its scale. Which chips make up a
batch follows from the seed, the epoch and the place in it alone, so a run that goes on after a
break sees the pictures that it would have seen.
"""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.chips.sets import ChipSet, ChipSets
from core.errors import InputError, RefusedFileError, TooLargeError
from core.settings import settings
from core.text import N_
from models.config import SIZES
from models.engine import Engine

DIGITS = "digits"
"""Name of the set that comes with scikit-learn: 1,797 digits of 8 x 8 pixels."""

_IDX_PICTURES = 0x0803
_AHEAD = 2
_TRAIN = "train"
# Share of the device's free memory that pictures may take; the rest is for the networks.
_RESIDENT_SHARE = 0.3


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
        self._numbers = found.indices(_TRAIN if _TRAIN in info.splits else None)
        self.size_px = size_px
        self.channels = len(info.channels)
        self.metres_per_px = info.metres_per_pixel(size_px)
        self.digest = info.digest
        found.pixels(size_px)  # refuses a size that the pyramid has not

    def __len__(self) -> int:
        return len(self._numbers)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        pixels = self._set.read(self._numbers[indices], self.size_px)
        if pixels.dtype == np.uint8:
            return pixels
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def is_set(source: str) -> bool:
    """Tell whether a source is the name of a set, not of a file; `digits` is neither."""
    return source != DIGITS and "." not in source and Path(source).name == source


def open_chips(source: str, *, size_px: int) -> Chips:
    """Open a set by its name; or `digits`, an IDX file, an NPY file of uint8 (n, C, H, W).

    Digits and IDX pictures are brought to `size_px`: repeated a whole number of times, then framed
    by the background. An NPY file must have that size already.

    Raises:
        InputError: There is no such file, or it holds pictures of another size.
        RefusedFileError: The file is neither.
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
        chips = ArrayChips(framed(read_idx(path), size_px))
    if chips.size_px != size_px:
        raise InputError(
            N_("The chips of {name} have {found} pixels, the networks {wanted}."),
            hint=N_("Choose networks of that size."),
            name=path.name, found=chips.size_px, wanted=size_px,
        )  # fmt: skip
    return chips


def size_of(source: str) -> int:
    """Return the size of network that fits a set: its own, or the next larger of `SIZES`.

    Raises:
        InputError: There is no such file, or its pictures are larger than any network.
        RefusedFileError: It holds no pictures.
    """
    if source == DIGITS:
        return SIZES[0]
    if is_set(source):
        info = ChipSets(settings().workspace).info(source)
        fitting = [size for size in SIZES if size in info.sizes]
        if not fitting:
            raise InputError(
                N_("The chips of {name} come in {sizes} pixels; networks take 32, 64 or 128."),
                name=info.id, sizes=", ".join(map(str, info.sizes)),
            )  # fmt: skip
        return fitting[-1]
    path = Path(source)
    if not path.is_file():
        raise InputError(N_("There is no set of chips at {path}."), path=source[:200])
    pictures = _mapped(path) if path.suffix == ".npy" else read_idx(path)
    side = max(pictures.shape[2:], default=0)
    for size in SIZES:
        if side <= size:
            return size
    raise InputError(
        N_("The chips of {name} have {found} pixels; networks go up to {largest}."),
        name=path.name, found=side, largest=SIZES[-1],
    )  # fmt: skip


def _digits() -> NDArray[np.uint8]:
    from sklearn.datasets import load_digits

    values: NDArray[np.float64] = load_digits().images  # 0 to 16
    return np.round(values * (255 / 16)).astype(np.uint8)[:, None]


def _mapped(path: Path) -> NDArray[np.uint8]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as err:
        raise RefusedFileError(
            N_("{name} is not a whole NPY file of numbers."), name=path.name
        ) from err
    return found


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read pictures (n, 1, H, W) from an IDX file, packed with gzip or not.

    Raises:
        RefusedFileError: It is no whole IDX file of pictures.
        TooLargeError: It unpacks to more than the memory limit.
    """
    limit = settings().memory_mb << 20
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(2) == b"\x1f\x8b"
        opener = gzip.open if is_packed else open
        with opener(path, "rb") as file:
            magic, num, rows, columns = struct.unpack(">4I", file.read(16))
            if magic != _IDX_PICTURES or not num * rows * columns:
                raise ValueError("not an IDX file of pictures")
            if num * rows * columns > limit:
                raise TooLargeError(
                    N_("{name} holds {needed:.1f} GB of pictures; the limit is {limit:.1f} GB."),
                    name=path.name, needed=num * rows * columns / 1e9, limit=limit / 1e9,
                )  # fmt: skip
            body = file.read(num * rows * columns)
            if file.read(1):  # this also makes gzip compare its checksum
                raise ValueError("more than the pictures it names")
        return np.frombuffer(body, np.uint8).reshape(num, 1, rows, columns)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as err:
        raise RefusedFileError(
            N_("{name} is not a whole IDX file of pictures."),
            hint=N_("Give a set of chips, an NPY file of uint8 or MNIST's IDX file."),
            name=path.name,
        ) from err


def framed(pictures: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Enlarge (n, C, H, W) a whole number of times and frame it by zeros to `size_px` square.

    Raises:
        InputError: The pictures are larger than that.
    """
    height, width = pictures.shape[2:]
    times = min(size_px // max(height, 1), size_px // max(width, 1))
    if times < 1:
        raise InputError(
            N_("Pictures of {width} x {height} pixels do not fit into {size} x {size}."),
            hint=N_("Choose networks of a larger size."),
            width=width, height=height, size=size_px,
        )  # fmt: skip
    large = pictures.repeat(times, axis=2).repeat(times, axis=3)
    top, left = (size_px - large.shape[2]) // 2, (size_px - large.shape[3]) // 2
    out = np.zeros((*pictures.shape[:2], size_px, size_px), np.uint8)
    out[:, :, top : top + large.shape[2], left : left + large.shape[3]] = large
    return out


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


def epoch_order(num: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which the `num` pictures are shown in an epoch; always the same."""
    order: NDArray[np.int64] = np.random.default_rng((seed, epoch)).permutation(num)
    return order


def as_pictures(batch: Tensor) -> Tensor:
    """Bring uint8 0..255 to float32 -1..1, the range of the generator's tanh."""
    return (batch.float() / 255 - 0.5) / 0.5


def as_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """Bring -1..1 (n, C, H, W) to uint8 0..255 in memory, rounded."""
    scaled = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    out: NDArray[np.uint8] = scaled.cpu().contiguous().numpy()
    return out


class Feeder:
    """Brings batches to the device: all pictures lie there where they fit, else they stream.

    `batches` yields (n, C, H, W) float32 in [-1, 1], laid out as the engine wants.
    """

    def __init__(
        self, chips: Chips, *, batch: int | Sequence[int], seed: int, engine: Engine
    ) -> None:
        """Take pictures by `batch`, one number for all fits or one each."""
        self._chips, self._seed = chips, seed
        self._sizes = (batch,) if isinstance(batch, int) else tuple(batch)
        self._device, self._layout = engine.device, engine.layout
        counts = tuple(len(chips) // size for size in self._sizes)
        self.per_epoch = counts[0] if len(counts) == 1 else counts
        """Batches of an epoch; what is left over comes another time, the order being another."""
        self._resident: Tensor | None = None
        size = len(chips) * chips.channels * chips.size_px**2
        if size <= _resident_limit(self._device):
            everything = torch.from_numpy(chips.batch(np.arange(len(chips))))
            self._resident = everything.to(self._device)

    @property
    def is_resident(self) -> bool:
        return self._resident is not None

    @contextmanager
    def batches(self, *, epoch: int, first: int, fit: int = 0) -> Iterator[Iterator[Tensor]]:
        """Yield what iterates over the batches of an epoch, from the one numbered `first`."""
        order = epoch_order(len(self._chips), seed=self._seed, epoch=epoch)
        size = self._sizes[min(fit, len(self._sizes) - 1)]
        parts = [order[at * size : (at + 1) * size] for at in range(first, len(order) // size)]
        if self._resident is not None:
            yield self._picked(parts)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="chips") as reader:
            yield self._streamed(parts, reader)

    def _picked(self, parts: list[NDArray[np.int64]]) -> Iterator[Tensor]:
        assert self._resident is not None
        for part in parts:
            indices = torch.from_numpy(part).to(self._device, non_blocking=True)
            yield self._finished(self._resident[indices])

    def _streamed(
        self, parts: list[NDArray[np.int64]], reader: ThreadPoolExecutor
    ) -> Iterator[Tensor]:
        waiting: list[Future[Tensor]] = []
        for number in range(len(parts) + _AHEAD):
            if number < len(parts):
                waiting.append(reader.submit(self._read, parts[number]))
            if number >= _AHEAD:
                batch = waiting.pop(0).result()
                yield self._finished(batch.to(self._device, non_blocking=True))

    def _read(self, part: NDArray[np.int64]) -> Tensor:
        batch = torch.from_numpy(np.ascontiguousarray(self._chips.batch(part)))
        return batch.pin_memory() if self._device.type == "cuda" else batch

    def _finished(self, batch: Tensor) -> Tensor:
        return as_pictures(batch).contiguous(memory_format=self._layout)


def _resident_limit(device: torch.device) -> float:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return _RESIDENT_SHARE * float(free)
    return _RESIDENT_SHARE * (settings().memory_mb << 20)
