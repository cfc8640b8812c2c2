"""A file on a server, read in parts whose numbers are the file's own and not to be trusted."""

import resource
import time

import psutil
import pytest

from core.connectors.door import Head
from core.connectors.ranges import RangeFile, version_of
from core.connectors.signing import Link
from core.errors import RefusedFileError

PAGE = 1 << 16


class FakeDoor:
    """Serves any part of a file of zeros, and remembers what was asked."""

    def __init__(self):
        self.asked = []

    def ranges(self, url, first, last, *, version=""):
        self.asked.append((first, last))
        return bytes(last - first + 1)

    def sign(self, href, *, is_fresh=False):
        return href


@pytest.fixture
def door():
    return FakeDoor()


@pytest.fixture
def opened(door):
    def of(size):
        link = Link("https://x.test/a.tif?sig=secret", door)
        return RangeFile(link, door, Head(size, True, "v"))

    return of


@pytest.fixture
def little_memory():
    """Fail soon where a list of all pages is made."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 10**13)],
        [(0, 2**64 - 1)],
        [(2**63, 2**63)],
        [(number * 10**9, 1000) for number in range(100_000)],
    ],
    ids=["one huge", "the largest number", "at the end", "many"],
)
def test_row_5_blocks_that_a_file_declares_beyond_all_bounds_are_not_listed(
    opened, door, little_memory, spans
):
    """Row 5."""
    begun = time.perf_counter()
    opened(10**17).prefetch(spans)
    assert time.perf_counter() - begun < 0.5
    assert door.asked == []


def test_blocks_that_will_be_read_are_asked_for_together(opened, door):
    file = opened(100 * PAGE)
    file.prefetch([(10, 20), (PAGE, PAGE), (5 * PAGE, 1), (10**9, 5), (7, 0), (99 * PAGE, 10**6)])
    assert door.asked == [
        (0, 2 * PAGE - 1),
        (5 * PAGE, 6 * PAGE - 1),
        (99 * PAGE, 100 * PAGE - 1),
    ]
    file.seek(PAGE)
    assert file.read(100) == bytes(100)
    assert len(door.asked) == 3


def test_as_many_blocks_as_are_kept_are_prefetched_and_not_one_more(opened, door):
    opened(10**9).prefetch([(0, 256 * PAGE)])
    assert sum(last - first + 1 for first, last in door.asked) == 256 * PAGE
    door.asked.clear()
    opened(10**9).prefetch([(0, 256 * PAGE), (300 * PAGE, 1)])
    assert door.asked == []


def test_row_5_a_part_that_no_block_has_is_refused_before_it_is_asked_for(
    opened, door, little_memory
):
    """Row 5."""
    file = opened(10**17)
    assert file.read() == b""
    assert isinstance(file.error, RefusedFileError)
    assert "cannot be read in parts" in file.error.message()
    assert "secret" not in file.error.message()
    assert door.asked == []
    assert file.read(10) == b""  # and nothing is read after it


def test_the_version_of_a_file_is_told_by_address_size_and_validator_not_by_its_signature(door):
    def of(path, head):
        return version_of(Link(f"https://x.test/{path}", door), head)

    known = of("a.tif?sig=1", Head(5, True, "v"))
    assert known == of("a.tif?sig=2", Head(5, True, "v"))
    long = f"{'a' * 200}"
    others = [
        of("b.tif?sig=1", Head(5, True, "v")),
        of("a.tif?sig=1", Head(6, True, "v")),
        of("a.tif?sig=1", Head(5, True, "w")),
        of(f"{long}1", Head(5, True, "v")),
        of(f"{long}2", Head(5, True, "v")),
        of("a.tif", Head(5, True, "")),
        of("a.tif", Head(5, True, "")),  # where the server names none, each is another
    ]
    assert len({known, *others}) == 8
