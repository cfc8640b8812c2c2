"""What fetching layers would take, reckoned from the size of the area alone: nothing is asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import shapely

from core.connectors.layers import Wish, is_layer_there, own_id
from core.connectors.recipes import Recipe, recipe
from core.connectors.reckoning import box_m, checked_speed, seconds
from core.connectors.seasons import checked_years, tile_urls
from core.prepare import boundary_lonlat
from core.workspace import Workspace

_HEADER_BYTES = 300_000
"""Of a Cloud-Optimized GeoTIFF, and the rest of the blocks along the area's edge."""
_TILE_BYTES = 45_000_000
"""Of a square of GHS-BUILT-H; that of southern China has 41 MB."""
_KEPT = 4.5
"""Times the unpacked pixels of all files: pieces, the files, and the layer that is made of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEstimate:
    """What one layer would take, at most and about."""

    recipe: str
    is_there: bool
    """It would not be fetched."""
    num_files: int
    download_bytes: int
    disk_bytes: int
    """While it is made; the layer itself is a small part of it."""
    seconds: float
    """At the speed that was given."""


def plan_layers(
    workspace: Workspace, area_id: str, wishes: Sequence[Wish], *, mbit_s: float = 20.0
) -> tuple[LayerEstimate, ...]:
    """Estimate files, download, disk space and time of each layer.

    Pixels are reckoned as if nothing were packed, so a download is usually half of it or less.

    Raises:
        InputError: There is no such area, recipe, year or speed.
    """
    checked_speed(mbit_s)
    area = workspace.area(area_id)
    boundary = boundary_lonlat(workspace, area_id)
    square_m = math.prod(box_m(boundary))
    found = []
    for wish in wishes:
        known = recipe(wish.recipe)
        checked_years(wish.years)
        layer_id = wish.layer_id or own_id(area, known)
        is_there = not wish.again and is_layer_there(area, layer_id, known.id)
        files = 0 if is_there else _num_files(known, boundary)
        pixels = square_m / known.resolution_m**2 * files
        unpacked = int(pixels * (1 if known.kind == "classes" else 4))
        each = _TILE_BYTES if known.how == "tiles" else _HEADER_BYTES
        download = files * each + (0 if known.how == "tiles" else unpacked)
        found.append(
            LayerEstimate(
                recipe=known.id,
                is_there=is_there,
                num_files=files,
                download_bytes=download,
                disk_bytes=int(_KEPT * unpacked) + (4 * download if known.how == "tiles" else 0),
                seconds=seconds(files, download, mbit_s),
            )
        )
    return tuple(found)


def _num_files(known: Recipe, boundary: shapely.Geometry) -> int:
    """Return how many files a layer needs; one where that depends on how they are cut."""
    if known.how == "median":
        return known.most_scenes * (2 if known.mask_asset else 1)
    if known.how == "months":
        return 12
    return len(tile_urls(known, boundary)) if known.how == "tiles" else 1
