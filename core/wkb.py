"""Well-known binary geometry from files that nobody has checked, and how much of it is let in.

WKB nests, and GEOS follows it by recursion: 900 kB of multipolygons inside one another crash the
process. Each geometry's structure is walked here before GEOS sees it.

Reference: OGC 06-103r4, section 8.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import shapely
from numpy.typing import NDArray

from core.errors import RefusedFileError, TooLargeError
from core.text import N_, Marked, as_json

MOST_FEATURES = 200_000
MOST_COLUMNS = 255
MOST_VERTICES = 10_000_000

_POINT, _LINE, _POLYGON = 1, 2, 3
_MULTI_OF = {4: _POINT, 5: _LINE, 6: _POLYGON}


def check_counts(label: str, features: int, columns: int = 0, vertices: int = 0) -> None:
    """Refuse a file with more than could be a boundary or a set of zones.

    Raises:
        TooLargeError: The message names the count and the limit.
    """
    for found, most, what in (
        (features, MOST_FEATURES, N_("features")),
        (columns, MOST_COLUMNS, N_("columns")),
        (vertices, MOST_VERTICES, N_("vertices")),
    ):
        if found > most:
            raise TooLargeError(
                N_("{name} has more than {most:,} {what}."),
                hint=N_("Simplify it, or keep only what is needed, and try again."),
                name=label,
                most=most,
                what=what,
            )


def geometries(blobs: Iterable[bytes | None], label: str) -> NDArray[Any]:
    """Turn WKB into two-dimensional geometry, (N,); None stays None.

    Raises:
        RefusedFileError: A geometry is damaged, nested, curved or a collection.
        TooLargeError: There are more than `MOST_VERTICES` vertices.
    """
    checked = list(_walked(blobs, label))
    try:
        return shapely.force_2d(shapely.from_wkb(checked))  # type: ignore[no-any-return]
    except shapely.errors.GEOSException as err:
        raise damaged(label, str(err)) from err


def _walked(blobs: Iterable[bytes | None], label: str) -> Iterator[bytes | None]:
    vertices = 0
    for blob in blobs:
        if blob is not None:
            try:
                vertices += _walk(blob, 0, None)[1]
            except (struct.error, IndexError, OverflowError) as err:
                raise damaged(label, N_("a geometry ends too early")) from err
            except _NestedError as err:
                raise RefusedFileError(
                    N_("{name} holds a geometry that is no point, line or polygon (type {kind})."),
                    hint=N_("Save it with simple geometry: polygons or multipolygons."),
                    name=label,
                    kind=err.args[0],
                ) from err
            check_counts(label, 0, vertices=vertices)
        yield blob


class _NestedError(Exception):
    """A geometry of a kind that is not let in at this place."""


def _walk(blob: bytes, at: int, only: int | None) -> tuple[int, int]:
    """Return where the geometry at `at` ends and its vertices; depth never passes two."""
    order = "<" if blob[at] else ">"
    (code,) = struct.unpack_from(order + "I", blob, at + 1)
    at += 5
    kind, size = _kind_and_size(code)
    if kind == _POINT and only in (None, kind):
        return at + size, 1
    if kind not in (_LINE, _POLYGON, *_MULTI_OF) or (only is not None and kind != only):
        raise _NestedError(code)
    (count,) = struct.unpack_from(order + "I", blob, at)
    at += 4
    if kind == _LINE:
        return at + count * size, count
    total = 0
    for _ in range(count):
        if kind == _POLYGON:
            (points,) = struct.unpack_from(order + "I", blob, at)
            at += 4 + points * size
            total += points
        else:
            at, points = _walk(blob, at, _MULTI_OF[kind])
            total += points
    return at, total


def _kind_and_size(code: int) -> tuple[int, int]:
    """Return the base kind and the bytes of one vertex, of ISO and of extended codes."""
    extended, base = code >> 28, code & 0x0FFFFFFF
    iso = base // 1000
    if extended & 0b0011 or iso > 3:  # with a reference system inside, or unknown
        raise _NestedError(code)
    dimensions = 2 + (extended >> 3 & 1) + (extended >> 2 & 1) + (iso in (1, 3)) + (iso in (2, 3))
    return base % 1000, 8 * dimensions


def damaged(label: str, reason: str, **values: object) -> RefusedFileError:
    """Return the error that says a file cannot be read, and why: a marked template or any text."""
    why: object = reason if isinstance(reason, Marked) else reason[:160].rstrip(". ") or "?"
    if values:
        why = {"problem": reason, "hint": "", "values": as_json(values)}
    return RefusedFileError(
        N_("{name} cannot be read: {reason}."),
        hint=N_("Save it again from the program that made it."),
        name=label,
        reason=why,
    )
