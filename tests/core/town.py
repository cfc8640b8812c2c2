"""A small study area whose quadrats can be counted by hand.

Boundary: 500 × 400 m, so 3 × 2 quadrats of 150 m within. `cover` (10 m, UTM): codes 1 to 7, each
unlike its neighbours. `heat` (10 m, UTM): 100 * row + column, missing in the first ten columns.
"""

import numpy as np

from core import prepare
from core.legends import LegendClass
from core.workspace import Workspace
from tests.core.raster_files import NORTH_UP, checkers, new_area

LEGEND = tuple(LegendClass(code, f"Class {code}", f"#{code:02d}7733") for code in range(1, 8))
SIDE_PX = 15


def heat_values():
    row, column = np.mgrid[:40, :50]
    values = (100 * row + column).astype("float32")
    values[:, :10] = np.nan
    return values


def make_town(root) -> Workspace:
    """Make the area `town` with the layers `cover` (classes) and `heat` (values)."""
    space = new_area(root)
    add_cover(space)
    add_heat(space, heat_values())
    return space


def add_heat(space, values):
    about = prepare.About(layer_id="heat", title="Heat", kind="values", role="effect", unit="°C")
    prepare.add_array(space, "town", values, about, transform=NORTH_UP, crs="EPSG:32616", origin={})


def add_cover(space, values=None, legend=LEGEND):
    about = prepare.About(layer_id="cover", title="Cover", kind="classes", legend=legend)
    prepare.add_array(
        space, "town", checkers() if values is None else values, about,
        transform=NORTH_UP, crs="EPSG:32616", nodata=0, origin={},
    )  # fmt: skip


def pixels_of(lattice, position):
    """Return the rows and columns of the 10 m pixels in a quadrat, as two slices."""
    # The lattice hangs from the south-west corner of the boundary, which is the raster's too.
    bottom = 40 - (lattice.shape[0] - 1 - int(lattice.rows[position])) * SIDE_PX
    left = int(lattice.cols[position]) * SIDE_PX
    return slice(bottom - SIDE_PX, bottom), slice(left, left + SIDE_PX)
