"""Pictures as PNG, packed by hand: a few lines, and no imaging library is loaded for them.

Reference: Portable Network Graphics, W3C, sections 4.1, 11.2 and 11.3.2.
"""

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_GREY, _RGB, _INDEXED, _RGBA = 0, 2, 3, 6
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def indexed(numbers: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Pack palette numbers (rows, columns) with a palette of RGBA, (colours, 4)."""
    palette = ((b"PLTE", colours[:, :3].tobytes()), (b"tRNS", colours[:, 3].tobytes()))
    return _packed(numbers, _INDEXED, palette)


def truecolour(pixels: NDArray[np.uint8], texts: Mapping[str, str] | None = None) -> bytes:
    """Pack grey (rows, columns), RGB (…, 3) or RGBA (…, 4), with texts by their keywords."""
    chunks = tuple(
        (b"iTXt", keyword.encode("latin-1") + bytes(5) + text.encode())
        for keyword, text in (texts or {}).items()
    )
    kinds = {3: _RGB, 4: _RGBA}
    return _packed(pixels, _GREY if pixels.ndim == 2 else kinds[pixels.shape[2]], chunks)


def texts(body: bytes) -> dict[str, str]:
    """Return the texts that `truecolour` packed; empty where the file is no PNG or holds none."""
    found: dict[str, str] = {}
    at = len(_SIGNATURE)
    while body.startswith(_SIGNATURE) and at + 8 <= len(body):
        length, kind = struct.unpack(">I4s", body[at : at + 8])
        content = body[at + 8 : at + 8 + length]
        keyword, _, rest = content.partition(b"\0")
        if kind == b"iTXt" and rest.startswith(bytes(4)):
            found[keyword.decode("latin-1")] = rest[4:].decode("utf-8", "replace")
        at += length + 12
    return found


def _packed(
    pixels: NDArray[np.uint8], colour_type: int, chunks: tuple[tuple[bytes, bytes], ...]
) -> bytes:
    rows, columns = pixels.shape[:2]
    flat = pixels.reshape(rows, -1)
    lines = np.zeros((rows, flat.shape[1] + 1), np.uint8)  # each begins with its filter, 0: none
    lines[:, 1:] = flat
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    body = (b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in body
    )
