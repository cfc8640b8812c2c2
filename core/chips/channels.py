"""What the channels of a chip mean, and how measured numbers become stored ones and back.

Chips are whole numbers from 0 to 255 (`uint8`), or to 65535 (`uint16`) where a measurement needs
finer steps. A channel says what 0 and the largest number mean, so no scale is ever lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.chips.pyramid import area_mean, to_whole

MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel: stored 0 means `low`, the largest stored number means `high`.

    `kind`: `image`, a band of a picture; `values`, a measurement in `unit`; `class`, the share of
    a pixel that has the class `code`, from 0 to 1.
    """

    name: str
    kind: Literal["image", "values", "class"]
    band: int = 0
    """Which of the source's bands it is made from, counted from 0."""
    low: float = 0.0
    high: float = 255.0
    unit: str = ""
    code: int | None = None
    colour: str = ""


def stored_dtype(channels: Sequence[Channel]) -> np.dtype[Any]:
    """Return the type that keeps the channels: 16 bits as soon as one is not plain 8-bit."""
    plain = all(
        channel.kind == "class"
        or (channel.kind == "image" and (channel.low, channel.high) == (0, 255))
        for channel in channels
    )
    return np.dtype("u1" if plain else "<u2")


def encode(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    channels: Sequence[Channel],
    *,
    size_px: int,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Turn one window of a source into a chip.

    Where the window has more pixels than the chip, each chip pixel is the mean of the area it
    covers. Missing pixels get the mean of the chip's valid ones (0 where none is), so that they
    move no average.

    Args:
        raw: (B, h, w), the source's bands.
        valid: (h, w), False where missing.
        channels: What to make of them.
        size_px: Side of the chip, at most h and w.
        dtype: See `stored_dtype`.

    Returns:
        (C, size_px, size_px).
    """
    chip = np.empty((len(channels), size_px, size_px), dtype)
    whole = valid.all()
    is_same = raw.shape[1:] == (size_px, size_px)
    for number, channel in enumerate(channels):
        band = raw[channel.band]
        if is_same and whole and _is_plain(channel, band.dtype, dtype):
            chip[number] = band
            continue
        shares = fractions(band, channel)
        if not whole:
            shares = np.where(valid, shares, shares[valid].mean() if valid.any() else 0.0)
        if not is_same:
            shares = area_mean(shares, (size_px, size_px))
        chip[number] = to_whole(shares * np.iinfo(dtype).max, dtype)
    return chip


def fractions(band: NDArray[Any], channel: Channel) -> NDArray[np.float64]:
    """Return a band in 0 to 1; what lies outside `low` to `high` is cut to it, NaN becomes 0."""
    if channel.kind == "class":
        is_it: NDArray[np.bool_] = band == channel.code
        return is_it.astype(np.float64)
    span = channel.high - channel.low
    found = (band.astype(np.float64) - channel.low) / (span if span > 0 else 1.0)
    shares: NDArray[np.float64] = np.nan_to_num(found, nan=0.0, posinf=1.0, neginf=0.0)
    return shares.clip(0, 1)


def decode(stored: NDArray[Any], channel: Channel) -> NDArray[np.float64]:
    """Return what stored numbers of one channel mean, in the channel's unit."""
    step = (channel.high - channel.low) / np.iinfo(stored.dtype).max
    return channel.low + stored.astype(np.float64) * step


def _is_plain(channel: Channel, found: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    return channel.kind == "image" and found == dtype == np.uint8
