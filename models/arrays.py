"""Arrays of NPY and NPZ files from outside: what the header says is looked at before the numbers.

A few bytes of a file can say that it holds terabytes, and megabytes can unpack to gigabytes.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Check = Callable[[Shape, "np.dtype[np.generic]"], None]
Reader = Callable[[str, Check], NDArray[np.generic]]

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextmanager
def opened_arrays(path: Path) -> Iterator[Reader]:
    """Open an NPZ, and give what reads one of its arrays by name.

    Raises:
        DAMAGED: It is no such file; an array is missing (KeyError) or would run code.
    """
    with zipfile.ZipFile(path) as archive:

        def read(name: str, check: Check) -> NDArray[np.generic]:
            with archive.open(f"{name}.npy") as stream:
                return read_array(stream, check)

        yield read


def read_array(stream: IO[bytes], check: Check) -> NDArray[np.generic]:
    """Read an NPY from its start; `check` raises where shape or kind are not to be read."""
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if dtype.hasobject:
        raise ValueError("reading it could run code")
    check(shape, dtype)
    stream.seek(0)
    found: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
    return found
