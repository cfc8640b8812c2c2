"""Which kind a place is, for sets that take as many chips of each."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from core.chips.drawn import DrawnCover
from core.chips.material import Material
from core.chips.options import CutOptions
from core.chips.plan import StratumOf, window_shape
from core.chips.under import Clusters, Surroundings
from core.chips.windows import Windows, hull, tiles
from core.errors import InputError
from core.text import N_


def stratum_of(
    options: CutOptions, material: Material, around: Surroundings, check: Callable[[], None]
) -> StratumOf | None:
    """Return what tells of windows which kind they are; None where nothing is balanced.

    Args:
        options: What is balanced.
        material: What is cut.
        around: Clusters and land cover.
        check: Called for each window; may raise to end the work.

    Raises:
        InputError: What is to be balanced is not known of the place.
    """
    if not options.balance:
        return None
    known = around.clusters if options.balance == "clusters" else around.cover
    if known is None:
        raise InputError(
            N_("There is nothing to balance by: no {what} of the place are known."),
            hint=N_("Compute the clusters of the study area, or name its land cover."),
            what=N_("clusters") if options.balance == "clusters" else N_("classes of land cover"),
        )
    look = known.under if isinstance(known, Clusters) else known.dominant
    drawn = None if isinstance(known, Clusters) else known.source
    places = [source.place for source in material.sources]
    shapes = [window_shape(place, options) for place in places]

    def look_at(windows: Windows) -> NDArray[np.int64]:
        found = np.empty(len(windows), np.int64)
        for members in tiles(windows, shapes):
            number = int(windows.source[members[0]])
            rows, cols = shapes[number]
            whole = hull(windows.take(members), shapes[number])
            dense = whole.width * whole.height <= DrawnCover.spread * rows * cols * len(members)
            if isinstance(drawn, DrawnCover) and drawn.place == places[number] and dense:
                drawn.read(whole)  # kept, so that what follows is not drawn one by one
            for at in members:
                check()
                window = Window(int(windows.col[at]), int(windows.row[at]), cols, rows)
                found[at] = look(places[number], window)
        return found

    return look_at
