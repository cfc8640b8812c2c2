"""IDX files, the format of MNIST: images and labels, packed with gzip or not.

A head of type and lengths, then the numbers; big-endian. Reference: Y. LeCun, C. Cortes and C. J.
C. Burges, The MNIST database of handwritten digits.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.chips.options import LARGEST_PX, MOST_CHIPS, SMALLEST_PX
from core.errors import RefusedFileError
from core.text import N_

_GZIP_MAGIC = b"\x1f\x8b"
_BYTES = 0x08
_AT_ONCE = 2000


def is_idx(path: Path) -> bool:
    """Tell whether a file begins like an IDX file of images of bytes."""
    try:
        with _opened(path) as file:
            return file.read(4) == bytes([0, 0, _BYTES, 3])
    except (RefusedFileError, OSError):
        return False


def idx_shape(path: Path) -> tuple[int, int, int]:
    """Return how many images a file says it holds, and their rows and columns.

    Raises:
        RefusedFileError: It is no IDX file of images of bytes, or its lengths are out of range.
    """
    with _opened(path) as file:
        count, rows, columns = _lengths(file, path, 3)
    sides_fit = all(SMALLEST_PX <= side <= LARGEST_PX for side in (rows, columns))
    if not (1 <= count <= MOST_CHIPS and sides_fit):
        raise _refused(path, f"{count} × {rows} × {columns}")
    return count, rows, columns


def read_images(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Read the images, some thousand at a time: (n, rows, columns).

    Raises:
        RefusedFileError: See `idx_shape`; or the file holds less or more than it says.
    """
    count, rows, columns = idx_shape(path)
    with _opened(path) as file:
        _lengths(file, path, 3)
        for first in range(0, count, _AT_ONCE):
            num = min(_AT_ONCE, count - first)
            yield _numbers(file, path, (num, rows, columns))
        _check_end(file, path)


def read_labels(path: Path, count: int) -> NDArray[np.uint8]:
    """Read `count` labels.

    Raises:
        RefusedFileError: It is no IDX file of labels, or holds another number of them.
    """
    with _opened(path) as file:
        (found,) = _lengths(file, path, 1)
        if found != count:
            raise RefusedFileError(
                N_("{name} holds {found:,} labels for {count:,} images."),
                name=path.name[:80],
                found=found,
                count=count,
            )
        labels = _numbers(file, path, (count,))
        _check_end(file, path)
    return labels


def labels_beside(images: Path) -> Path | None:
    """Return the file of labels that usually lies beside a file of images, if it is there."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    path = images.with_name(name)
    return path if name != images.name and path.is_file() else None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if is_packed:
                with gzip.open(file) as unpacked:
                    yield unpacked
            else:
                yield file
    except (EOFError, zlib.error, OSError) as err:
        raise _refused(path, (getattr(err, "strerror", None) or str(err))[:120]) from err


def _lengths(file: BinaryIO | gzip.GzipFile, path: Path, dimensions: int) -> tuple[int, ...]:
    head = file.read(4)
    if head != bytes([0, 0, _BYTES, dimensions]):
        raise RefusedFileError(
            N_("{name} is no IDX file of {what}."),
            name=path.name[:80],
            what=N_("images") if dimensions == 3 else N_("labels"),
        )
    lengths = file.read(4 * dimensions)
    if len(lengths) < 4 * dimensions:
        raise _refused(path, N_("it is cut off"))
    return struct.unpack(f">{dimensions}I", lengths)


def _numbers(
    file: BinaryIO | gzip.GzipFile, path: Path, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    wanted = math.prod(shape)
    found = file.read(wanted)
    if len(found) < wanted:
        raise _refused(path, N_("it is cut off"))
    return np.frombuffer(found, np.uint8).reshape(shape)


def _check_end(file: BinaryIO | gzip.GzipFile, path: Path) -> None:
    if file.read(1):
        raise _refused(path, N_("it holds more than it says"))


def _refused(path: Path, reason: str) -> RefusedFileError:
    return RefusedFileError(
        N_("{name} cannot be read as IDX: {reason}."),
        hint=N_("Copy or download it again."),
        name=path.name[:80],
        reason=reason,
    )
