"""The one door through which image files of foreign sets are opened: PNG and JPEG, bounded.

What a header says is checked before anything is unpacked, and Pillow is told which two formats it
may try, so that a file of another kind is never interpreted.
"""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import RefusedFileError
from core.text import N_

SUFFIXES = (".png", ".jpg", ".jpeg")
_FORMATS = ("PNG", "JPEG")
_LARGEST_PX = 40_000_000
_LARGEST_BYTES = 128 << 20
_GREY = {"1", "L", "LA"}
_DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


def read_picture(path: Path, *, most_px: int = _LARGEST_PX) -> NDArray[np.uint8]:
    """Read an image as (rows, columns) where it is grey, else (rows, columns, 3).

    Transparency is dropped, palettes become colours. More than `most_px` pixels are refused.

    Raises:
        RefusedFileError: No PNG or JPEG, too large, damaged, or of more than 8 bits.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise _refused(path, N_("it is no plain file"))
        if path.stat().st_size > _LARGEST_BYTES:
            raise _refused(path, N_("the file is too large"))
        with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
            _check_header(path, image, most_px)
            wanted = "L" if image.mode in _GREY else "RGB"
            # Without conversion where there is none to do: that would copy every picture twice.
            return np.array(image if image.mode == wanted else image.convert(wanted))
    except RefusedFileError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise _refused(path, N_("it has too many pixels")) from err
    except (
        OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error, zlib.error,
    ) as err:  # fmt: skip
        # Pillow's words name objects and paths. What the system says, such as of a permission,
        # has a number.
        said = err.strerror if isinstance(err, OSError) and err.errno else None
        raise _refused(path, said or N_("it is no whole PNG or JPEG")) from err


def _check_header(path: Path, image: Any, most_px: int) -> None:
    width, height = image.size
    if width * height > most_px:
        raise _refused(path, N_("it has too many pixels"))
    if image.mode in _DEEP:
        raise _refused(path, N_("it has more than 8 bits"))


def _refused(path: Path, reason: str) -> RefusedFileError:
    return RefusedFileError(
        N_("{name} cannot be taken as an image: {reason}."),
        hint=N_("Only PNG and JPEG of 8 bits and at most 40 million pixels are read."),
        name=path.name[:80],
        reason=reason,
    )
