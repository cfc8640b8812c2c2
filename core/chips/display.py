"""Chips as pictures of 8 bits, for export, galleries and mosaics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.chips.channels import Channel
from core.errors import InputError
from core.text import N_

_COLOURS = ("red", "green", "blue")


def shown_channels(
    channels: Sequence[Channel], names: Sequence[str | int] | None = None
) -> list[int]:
    """Return the numbers of the channels that make a picture: three, or one for grey.

    Args:
        channels: Those of a set.
        names: Which to show, by name or by number; None: red, green and blue where there are, else
            the first three bands, else the first.

    Raises:
        InputError: No such channel, or neither one nor three are named.
    """
    known = [channel.name for channel in channels]
    if names is not None:
        if len(names) not in (1, 3):
            raise InputError(N_("A picture is made of one channel or three."))
        return [_number(known, name) for name in names]
    if all(name in known for name in _COLOURS):
        return [known.index(name) for name in _COLOURS]
    images = [number for number, channel in enumerate(channels) if channel.kind == "image"]
    return images[:3] if len(images) >= 3 else [images[0] if images else 0]


def _number(known: Sequence[str], name: str | int) -> int:
    if isinstance(name, int) and 0 <= name < len(known):
        return name
    if name in known:
        return known.index(str(name))
    raise InputError(
        N_("There is no channel {name!r}."),
        hint=N_("There are: {known}."),
        name=str(name)[:40],
        known=", ".join(known),
    )


def is_classes(channels: Sequence[Channel]) -> bool:
    """Tell whether a set holds classes and nothing else."""
    return all(channel.kind == "class" for channel in channels)


def to_pictures(
    chips: NDArray[Any], channels: Sequence[Channel], names: Sequence[str | int] | None = None
) -> NDArray[np.uint8]:
    """Return chips (n, C, s, s) as pictures (n, s, s, 3), or (n, s, s) where grey.

    Classes are drawn in the colour of the one that is the most of a pixel, black where none is.
    """
    if names is None and is_classes(channels):
        palette = np.array([_rgb(channel.colour) for channel in channels], np.uint8)
        drawn = palette[chips.argmax(axis=1)]
        drawn[chips.max(axis=1) == 0] = 0
        return np.asarray(drawn, np.uint8)
    chosen = chips[:, shown_channels(channels, names)]
    if chosen.dtype == np.uint16:
        chosen = ((chosen.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if chosen.shape[1] == 1:
        return np.ascontiguousarray(chosen[:, 0])
    return np.ascontiguousarray(np.moveaxis(chosen, 1, 3))


def mosaic(pictures: NDArray[np.uint8], columns: int, gap_px: int = 1) -> NDArray[np.uint8]:
    """Lay pictures (n, s, s[, 3]) side by side, row by row, on white, with a gap between."""
    count, side = len(pictures), pictures.shape[1]
    rows = -(-count // columns)
    step = side + gap_px
    shape = (rows * step - gap_px, columns * step - gap_px, *pictures.shape[3:])
    sheet = np.full(shape, 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * step, number % columns * step
        sheet[top : top + side, left : left + side] = picture
    return sheet


def _rgb(colour: str) -> tuple[int, int, int]:
    if not colour:
        return 0, 0, 0
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
