"""One file of chips that is read by memory map: an uncompressed `.npz`, a member for each size.

`px_64.npy` … `px_4.npy` hold (N, C, size, size) each. `numpy.load` opens the file anywhere; because
nothing in it is compressed, the arrays lie in it as they are and `open_pack` maps them: a batch is
a copy out of the page cache, without decoding, without a lock, for any number of threads.
"""

import math
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from core.errors import StoreError
from core.text import N_

_MEMBER = re.compile(r"px_([1-9]\d{0,3})\.npy")
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ZIP64_EXTRA_BYTES = 20
_PADDING_ID = 0xD935  # the same field that Android's zipalign uses
_ALIGNED = 64
_COPY_BYTES = 8 << 20
_DAMAGE = (
    OSError,
    ValueError,
    OverflowError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    struct.error,
)
"""What `zipfile` may raise over bytes that are not those written."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no time of day: the same chips make the same bytes
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_PREFIX = struct.Struct("<8sH")
_NPY_HEAD = re.compile(
    r"\{'descr': '(\|u1|<u2)', 'fortran_order': False,"
    r" 'shape': \(([1-9]\d{0,9}(?:, [1-9]\d{0,9}){3})\), \} *\n"
)


class PackWriter:
    """Gathers chips of all sizes in plain files of a folder, and packs them at the end.

    How many chips there will be is not known before the last one.
    """

    def __init__(self, folder: Path, sizes: tuple[int, ...]) -> None:
        self._paths = {size: folder / f"px_{size}.raw" for size in sizes}
        self._files: dict[int, BinaryIO] = {
            size: path.open("wb") for size, path in self._paths.items()
        }
        self._channels = 0
        self._dtype = np.dtype("u1")
        self.num = 0

    def add(self, chips: dict[int, NDArray[Any]]) -> None:
        """Add chips (n, C, size, size) of every size."""
        for size, file in self._files.items():
            found = np.ascontiguousarray(chips[size])
            file.write(found.data)
            self._channels, self._dtype = found.shape[1], found.dtype
        self.num += len(next(iter(chips.values())))

    def close(self) -> None:
        """Close what is open."""
        for file in self._files.values():
            file.close()

    def pack(self, path: Path, check: Callable[[], None] = lambda: None) -> None:
        """Write the pack; the plain files are deleted as they go in.

        `check` is called every some megabytes and may raise to end it.
        """
        self.close()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for size, raw in sorted(self._paths.items()):
                info = zipfile.ZipInfo(f"px_{size}.npy", _EPOCH)
                info.extra = _padding(archive.start_dir, info.filename)
                shape = (self.num, self._channels, size, size)
                head = {
                    "descr": npy.dtype_to_descr(self._dtype),
                    "fortran_order": False,
                    "shape": shape,
                }
                with archive.open(info, "w", force_zip64=True) as member, raw.open("rb") as source:
                    npy.write_array_header_1_0(member, head)
                    while chunk := source.read(_COPY_BYTES):
                        check()
                        member.write(chunk)
                raw.unlink()


def open_pack(path: Path) -> dict[int, NDArray[Any]]:
    """Map a pack into memory, read-only.

    Returns:
        Arrays (N, C, size, size) by size, smallest first.

    Raises:
        StoreError: The file is missing, cut off, or no pack.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            found = {}
            for info in archive.infolist():
                name = _MEMBER.fullmatch(info.filename)
                if name is None or info.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{info.filename[:40]!r} does not belong here")
                found[int(name[1])] = _mapped(path, file, info)
        _check_pack(found)
    except _DAMAGE as err:
        raise StoreError(
            N_("The chips in {name} cannot be read: {reason}."),
            hint=N_("Cut or import them again."),
            name=path.name,
            reason=str(err)[:200],
        ) from err
    return dict(sorted(found.items()))


def damaged_member(path: Path) -> str | None:
    """Return the name of the first part whose bytes are not those written; None if all are.

    Raises:
        StoreError: The file is missing or no pack at all.
    """
    open_pack(path)
    with zipfile.ZipFile(path) as archive:
        try:
            return archive.testzip()
        except (*_DAMAGE, RuntimeError) as err:  # a flag that says it is encrypted
            return str(err)


def _mapped(path: Path, file: BinaryIO, info: zipfile.ZipInfo) -> NDArray[Any]:
    file.seek(info.header_offset)
    magic, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise ValueError("a header is not where it should be")
    start = file.seek(name_bytes + extra_bytes, 1)
    prefix = file.read(_NPY_PREFIX.size)
    magic, num_head = _NPY_PREFIX.unpack(prefix)
    # Read by its own pattern: the general reader evaluates the head as Python.
    head = _NPY_HEAD.fullmatch(file.read(num_head).decode("latin-1"))
    if magic != _NPY_MAGIC or head is None:
        raise ValueError("an array does not begin as it should")
    dtype, shape = np.dtype(head[1]), tuple(int(length) for length in head[2].split(","))
    offset = file.tell()
    num_bytes = math.prod(shape) * dtype.itemsize
    if offset + num_bytes != start + info.file_size or offset + num_bytes > path.stat().st_size:
        raise ValueError("an array is shorter or longer than it says")
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def _check_pack(found: dict[int, NDArray[Any]]) -> None:
    if not found:
        raise ValueError("there is no array in it")
    kinds = {(array.dtype.str, *array.shape[:2]) for array in found.values()}
    if len(kinds) != 1 or any(array.shape[2:] != (size, size) for size, array in found.items()):
        raise ValueError("its arrays do not fit one another")


def _padding(position: int, name: str) -> bytes:
    """Return an extra field that makes a member's bytes begin at a multiple of 64."""
    fixed = position + 30 + len(name) + _ZIP64_EXTRA_BYTES
    num = -fixed % _ALIGNED
    if num < 4:  # a field has a head of four bytes
        num += _ALIGNED
    return struct.pack("<HH", _PADDING_ID, num - 4) + bytes(num - 4)
