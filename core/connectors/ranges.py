"""A file on a server as a file that can be read from anywhere, part by part."""

import os
import uuid
from collections.abc import Callable
from typing import TypeVar

from core.connectors import addresses
from core.connectors.door import DeniedError, Door, Head
from core.connectors.signing import Link
from core.errors import AppError, OutsideError, RefusedFileError
from core.text import N_

Answer = TypeVar("Answer")

_PAGE = 1 << 16
_FIRST_PAGES = 4
"""The header of a Cloud-Optimized GeoTIFF and its tables usually lie in so many pages."""
_MOST_PAGES = 512
_MOST_PREFETCHED = _MOST_PAGES // 2
_LARGEST_READ = 256 << 20
"""A block of a raster is smaller; a file that declares a larger one is not read in parts."""
_LONGEST_REQUEST = 128


class RangeFile:
    """Reads by range requests of whole pages of 64 KB and keeps the pages used last.

    GDAL reads through it and swallows errors of what it calls: the first one is kept in `error`.
    """

    def __init__(self, link: Link, door: Door, head: Head) -> None:
        assert head.size is not None
        self._link = link
        self._door = door
        self._version = head.version
        self._place = 0
        self._pages: dict[int, bytes] = {}
        self._size = head.size
        self.error: AppError | None = None

    def read(self, size: int = -1, /) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        if self.error is not None or end <= self._place:
            return b""
        try:
            if end - self._place > _LARGEST_READ:
                raise RefusedFileError(
                    N_("{url} cannot be read in parts: one of them has {size:,.0f} MB."),
                    url=addresses.shown(self._link.href),
                    size=(end - self._place) / 1e6,
                )
            found = self._between(self._place, end)
        except AppError as err:
            self.error = err
            return b""
        self._place = end
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        self._pages.clear()

    def __enter__(self) -> "RangeFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prefetch(self, spans: list[tuple[int, int]]) -> None:
        """Ask for parts (offset, length) that will be read next, in as few requests as may be.

        Raises:
            OutsideError, RefusedFileError, StoppedError: See `Door.ranges`.
        """
        wanted: set[int] = set()
        for offset, length in spans:
            end = min(offset + length, self._size)
            # Counted before they are listed: the numbers are the file's own, of 64 bits.
            pages = range(offset // _PAGE, -(-end // _PAGE) if length > 0 else 0)
            if len(pages) <= _MOST_PREFETCHED:
                wanted.update(pages)
            if max(len(pages), len(wanted)) > _MOST_PREFETCHED:
                return  # more than is kept: read as it comes
        self._keep(self._asked(sorted(wanted - self._pages.keys())))

    def _between(self, first: int, end: int) -> bytes:
        low, high = first // _PAGE, (end - 1) // _PAGE
        wanted = range(low, high + 1)
        pages = {number: self._pages[number] for number in wanted if number in self._pages}
        missing = [number for number in wanted if number not in pages]
        if not self._pages:  # the header
            missing = sorted({*missing, *range(min(_FIRST_PAGES, -(-self._size // _PAGE)))})
        pages |= self._asked(missing)
        self._keep(pages)
        whole = b"".join(pages[number] for number in wanted)
        return whole[first - low * _PAGE : end - low * _PAGE]

    def _asked(self, numbers: list[int]) -> dict[int, bytes]:
        pages = {}
        for start, stop in _runs(numbers):
            body = self._ask(start * _PAGE, min(stop * _PAGE, self._size) - 1)
            for number in range(start, stop):
                pages[number] = body[(number - start) * _PAGE : (number + 1 - start) * _PAGE]
        return pages

    def _keep(self, pages: dict[int, bytes]) -> None:
        """Keep pages as those used last, and let go of those used longest ago."""
        for number, page in pages.items():
            self._pages.pop(number, None)
            self._pages[number] = page
        while len(self._pages) > _MOST_PAGES:
            self._pages.pop(next(iter(self._pages)))

    def _ask(self, first: int, last: int) -> bytes:
        return asking(
            self._link,
            lambda url: self._door.ranges(url, first, last, version=self._version),
        )


def asking(link: Link, ask: Callable[[str], Answer]) -> Answer:
    """Ask an address, and once more with a fresh one where it has expired.

    Raises:
        DeniedError: It is not accepted with a fresh signature either.
    """
    try:
        return ask(link.url())
    except DeniedError:
        if not link.renew():
            raise
    return ask(link.url())


def head_of(link: Link, door: Door) -> Head:
    """Ask what a server says of a file, with a fresh link where the old one has expired.

    Raises:
        OutsideError, RefusedFileError, StoppedError: See `Door.get`.
    """
    found = asking(link, door.head)
    if found.size == 0:
        raise OutsideError(N_("{url} is empty."), url=addresses.shown(link.href))
    return found


def version_of(link: Link, head: Head) -> str:
    """Return what tells this version of a file from others, whichever way its link is signed.

    Where the server names no version, nothing that came before is taken for the same.
    """
    return f"{addresses.unsigned(link.href)} {head.size} {head.version or uuid.uuid4().hex}"


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Join numbers that follow one another into [first, end), none longer than 8 MB of pages."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number and number - runs[-1][0] < _LONGEST_REQUEST:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
