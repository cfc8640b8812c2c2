"""Pictures as PNG, packed by hand: a few lines, and no imaging library is loaded for them.

Reference: Portable Network Graphics, W3C, sections 4.1, 11.2 and 11.3.2.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_GREY, _RGB, _INDEXED, _RGBA = 0, 2, 3, 6


def indexed(numbers: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Pack palette numbers (rows, columns) with a palette of RGBA, (colours, 4)."""
    palette = ((b"PLTE", colours[:, :3].tobytes()), (b"tRNS", colours[:, 3].tobytes()))
    return _packed(numbers, _INDEXED, palette)


def truecolour(pixels: NDArray[np.uint8]) -> bytes:
    """Pack grey (rows, columns), RGB (rows, columns, 3) or RGBA (rows, columns, 4)."""
    kinds = {3: _RGB, 4: _RGBA}
    return _packed(pixels, _GREY if pixels.ndim == 2 else kinds[pixels.shape[2]], ())


def _packed(
    pixels: NDArray[np.uint8], colour_type: int, chunks: tuple[tuple[bytes, bytes], ...]
) -> bytes:
    rows, columns = pixels.shape[:2]
    flat = pixels.reshape(rows, -1)
    lines = np.zeros((rows, flat.shape[1] + 1), np.uint8)  # each begins with its filter, 0: none
    lines[:, 1:] = flat
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    body = (b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in body
    )
