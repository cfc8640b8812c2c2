"""Sheets of pictures, as PNG."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import png, store

GAP = 2
"""White pixels between two pictures."""
_BACKGROUND = 255


def sheet(pictures: NDArray[np.uint8], *, columns: int | None = None) -> NDArray[np.uint8]:
    """Lay pictures (n, C, H, W) out in rows, as near to a square as may be.

    One channel is shown as grey, three as RGB; of two the first is shown, of four the first three
    (red, green, blue before near infrared).

    Returns:
        (rows, columns) or (rows, columns, 3), white between the pictures.
    """
    num, channels, height, width = pictures.shape
    shown = pictures[:, :3] if channels >= 3 else pictures[:, :1]
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    out = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, shown.shape[1]),
        _BACKGROUND,
        np.uint8,
    )
    for at, picture in enumerate(shown):
        top, left = at // columns * (height + GAP), at % columns * (width + GAP)
        out[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    return out[:, :, 0] if shown.shape[1] == 1 else out


def write_sheet(path: Path, pictures: NDArray[np.uint8], *, columns: int | None = None) -> None:
    """Write a sheet of pictures (n, C, H, W) as a PNG."""
    with store.atomic_path(path) as tmp:
        tmp.write_bytes(png.truecolour(sheet(pictures, columns=columns)))
