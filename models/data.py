"""Chips as tensors: the order they are shown in, and the way to the device.

Which chips make up a batch follows from the seed, the epoch and the place in it alone, so a run
that goes on after a break sees the pictures that it would have seen.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.settings import settings
from models.engine import Engine
from models.sets import Chips

_AHEAD = 2
# Share of the device's free memory that pictures may take; the rest is for the networks.
_RESIDENT_SHARE = 0.3
# Numbers of 16 bits take seven times as much for a moment while they are brought to 8.
_PART_BYTES = 32 << 20


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
            self._resident = _held(chips, self._device)

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


def _held(chips: Chips, device: torch.device) -> Tensor:
    """Return all pictures on the device, brought there part by part: uint8 (n, C, H, W)."""
    shape = (len(chips), chips.channels, chips.size_px, chips.size_px)
    out = torch.empty(shape, dtype=torch.uint8, device=device)
    step = max(1, _PART_BYTES // (chips.channels * chips.size_px**2))
    for first in range(0, len(chips), step):
        numbers = np.arange(first, min(first + step, len(chips)))
        part = torch.from_numpy(np.ascontiguousarray(chips.batch(numbers)))
        out[first : first + step].copy_(part)
    return out


def _resident_limit(device: torch.device) -> float:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return _RESIDENT_SHARE * float(free)
    return _RESIDENT_SHARE * (settings().memory_mb << 20)
