"""Which squares are neighbours: Queen or Rook contiguity.

On a lattice the neighbours follow from rows and columns alone; zones that are no squares ask
libpysal. A square without a neighbour is an island.
"""

from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InputError
from core.text import N_

Contiguity = Literal["queen", "rook"]
CONTIGUITIES: tuple[Contiguity, ...] = ("queen", "rook")

# In the order of positions row by row, so that a square's neighbours need no sorting there.
_STEPS: dict[Contiguity, tuple[tuple[int, int], ...]] = {
    "queen": ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)),
    "rook": ((-1, 0), (0, -1), (0, 1), (1, 0)),
}
_MOST_CELLS = 64_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Neighbours of N zones as compressed rows.

    Those of zone `i` are `ids[starts[i] : starts[i + 1]]`, rising; both arrays are int64. The
    relation goes both ways and no zone is its own neighbour.
    """

    starts: NDArray[np.int64]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Return the number of neighbours of each zone."""
        return np.diff(self.starts)

    @property
    def islands(self) -> NDArray[np.int64]:
        """Return the positions of the zones without a neighbour."""
        return np.flatnonzero(self.counts == 0)

    def of(self, position: int) -> NDArray[np.int64]:
        """Return the neighbours of one zone."""
        return self.ids[self.starts[position] : self.starts[position + 1]]

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of each zone's neighbours (the row-standardised lag); 0 on an island."""
        total = np.bincount(self._owners(), weights=values[self.ids], minlength=len(self))
        return np.asarray(total / np.maximum(self.counts, 1), np.float64)

    def among(self, kept: NDArray[np.bool_]) -> "Neighbours":
        """Return the relation among some zones only, renumbered, as if the others were not."""
        new = np.cumsum(kept) - 1
        owners = self._owners()
        stays = kept[owners] & kept[self.ids]
        counts = np.bincount(new[owners[stays]], minlength=int(kept.sum()))
        return Neighbours(_starts(counts), new[self.ids[stays]])

    def to_libpysal(self) -> Any:
        """Return a binary `libpysal.weights.W` with zones numbered from 0."""
        from libpysal.weights import W

        lists = np.split(self.ids, self.starts[1:-1])
        return W({i: list(map(int, ids)) for i, ids in enumerate(lists)}, silence_warnings=True)

    def _owners(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self)), self.counts)


def lattice_neighbours(rows: ArrayLike, cols: ArrayLike, kind: Contiguity = "queen") -> Neighbours:
    """Return the neighbours of squares on a lattice.

    Args:
        rows: Whole numbers (N,), a row a square; the origin does not matter.
        cols: Whole numbers (N,).
        kind: Squares meet along an edge (`rook`), or also at a corner (`queen`).

    Raises:
        InputError: Rows and columns are of different length, no whole numbers, name a square
            twice, or span more than 64 million cells; or the kind is unknown.
    """
    row, col = _whole(rows), _whole(cols)
    if kind not in _STEPS:
        raise InputError(
            N_("There are no neighbours called {kind!r}."),
            hint=N_("There are: {known}."),
            kind=str(kind)[:40],
            known=", ".join(_STEPS),
        )
    if row.shape != col.shape or row.ndim != 1 or len(row) == 0:
        raise InputError(
            N_("A lattice needs a row and a column for every square: there are {rows} and {cols}."),
            rows=row.size,
            cols=col.size,
        )
    row, col = row - row.min() + 1, col - col.min() + 1
    height, width = int(row.max()) + 2, int(col.max()) + 2
    if height * width > _MOST_CELLS:
        raise InputError(
            N_("The rows and columns span {height:,} by {width:,} cells."),
            hint=N_("Give the squares' row and column numbers, not their coordinates."),
            height=height - 2,
            width=width - 2,
        )
    at = (row * width + col).astype(np.int32)
    order = np.arange(len(at), dtype=np.int32)
    position = np.full(height * width, -1, np.int32)
    position[at] = order
    if not np.array_equal(position[at], order):
        line = int(np.flatnonzero(position[at] != order)[0]) + 1
        raise InputError(
            N_("The lattice names a square twice: line {line:,} is one of them."), line=line
        )
    steps = np.array([down * width + right for down, right in _STEPS[kind]], np.int32)
    found = position[at[:, None] + steps]
    # Listed row by row, the steps above come to each square's neighbours in rising order.
    if not np.all(at[1:] > at[:-1]):
        found.sort(axis=1)
    exists = found >= 0
    return Neighbours(_starts(exists.sum(axis=1)), found[exists].astype(np.int64))


def polygon_neighbours(zones: gpd.GeoDataFrame, kind: Contiguity = "queen") -> Neighbours:
    """Return the neighbours of zones of any shape, as libpysal finds them.

    Args:
        zones: Polygons; their order numbers them.
        kind: Shared edge (`rook`), or also a shared corner (`queen`).

    Raises:
        InputError: There is no zone.
    """
    from libpysal.weights import Queen, Rook

    if zones.empty:
        raise InputError(N_("There are no zones."))
    made = (Queen if kind == "queen" else Rook).from_dataframe(
        zones, use_index=False, silence_warnings=True
    )
    lists = [sorted(made.neighbors[i]) for i in range(len(zones))]
    counts = np.array([len(ids) for ids in lists])
    flat = np.array([i for ids in lists for i in ids], np.int64)
    return Neighbours(_starts(counts), flat)


def _whole(numbers: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(numbers)
    if given.dtype.kind in "iu" and given.itemsize <= 4:
        return given.astype(np.int64)
    try:
        values = given.astype(np.float64)
        fits = bool(np.all(np.isfinite(values) & (values == np.rint(values))))
        fits &= bool(np.all(np.abs(values) < 2**31))
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(N_("Rows and columns of a lattice are whole numbers."))
    return given.astype(np.int64)


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
