"""What a request would cut, before it runs: how many fit, where, how large, about how long.

A few chips are cut on trial: they are shown, and time is told from them.
"""

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from core.chips.blocks import TEST, TRAIN, Blocks
from core.chips.channels import Channel, encode, stored_dtype
from core.chips.cut import check_room
from core.chips.material import Material
from core.chips.options import SPLITS, pack_bytes
from core.chips.plan import Plan
from core.chips.requests import Request, check_request, material_of, surroundings
from core.chips.simulated import with_truth
from core.chips.sources import outline
from core.chips.under import Surroundings
from core.chips.windows import Windows
from core.errors import TooLargeError
from core.georeference import transformer
from core.text import N_
from core.workspace import Workspace

_DEGREES = CRS(4326)
_SEARCH_S = 1.0
_TRIAL_S = 0.7
TRIALS, _FEWEST_TRIALS = 8, 3
_MOST_ON_GRID = 500_000
_MOST_DRAWN = 600
_MOST_BLOCKS_DRAWN = 20_000
_EDGE_PARTS = 8


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Preview:
    """What would come out of a request."""

    wanted: int | None
    """None: all that fit."""
    found: dict[str, int]
    """Places of each split, among as many as wanted."""
    is_whole: bool
    """False where the search was broken off for time: there are at least so many."""
    side_m: float
    num_bytes: int
    """Of the set on the disk, for as many chips as were found."""
    free_bytes: int
    seconds: float | None
    """About so long on one thread, told from the trial; None where no chip came out of it."""
    channels: tuple[Channel, ...]
    trial: NDArray[Any]
    """Chips cut on trial (n, C, size, size)."""
    block_m: float | None
    """Side of a block of the split; None without one."""
    ground: dict[str, shapely.Geometry]
    """In degrees: the blocks of each split; empty without a split or with too many blocks."""
    footprints: dict[str, shapely.MultiPolygon]
    """In degrees: outlines of places of each split, at most some hundred."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north of the first source in degrees."""


def preview(workspace: Workspace, request: Request) -> Preview:
    """Look at a request without cutting its set; about two seconds at most.

    What is balanced is not looked at: it decides which of the places are taken. Large files are
    not read through: the range of their values, or their classes, are told from a part of them.

    Raises:
        AppError: What `requests.run` refuses before it cuts, but for the name, and for what only
            a file's every pixel tells.
    """
    check_request(request)
    check_room(workspace.root, request.options, 1, 1)
    around = surroundings(workspace, request)
    material = None
    try:
        material = material_of(workspace, request, is_rough=True)
        if not request.cover:
            around = with_truth(around, material)
        return _look(workspace.root, request, material, around)
    finally:
        around.close()
        if material is not None:
            material.close()


class _EnoughError(Exception):
    """The search has taken its time."""


def _look(root: Path, request: Request, material: Material, around: Surroundings) -> Preview:
    options = request.options
    places = [source.place for source in material.sources]
    until = time.monotonic() + _SEARCH_S

    def check() -> None:
        if time.monotonic() > until:
            raise _EnoughError

    plan = Plan(places, options, boundary=around.boundary, on_batch=check)
    _check_grid(plan)
    windows, is_whole = _searched(plan)
    num = len(windows)
    dtype = stored_dtype(material.channels)
    size = pack_bytes(num, len(material.channels), options.size_px, dtype.itemsize)
    trial, seconds = _tried(material, around, plan, windows)
    down, across = plan.side_m
    return Preview(
        wanted=options.count,
        found={SPLITS[split]: int((windows.split == split).sum()) for split in (TRAIN, TEST)},
        is_whole=is_whole,
        side_m=math.sqrt(down * across),
        num_bytes=size,
        free_bytes=shutil.disk_usage(root if root.exists() else root.parent).free,
        seconds=None if seconds is None else seconds * num,
        channels=material.channels,
        trial=trial,
        block_m=None if plan.blocks is None else _block_m(plan, plan.blocks),
        ground=_ground(plan.blocks, around.boundary),
        footprints=_footprints(plan, windows),
        bounds=_bounds(material),
    )


def _check_grid(plan: Plan) -> None:
    """Refuse to lay out a grid that a page would have to wait for."""
    if not plan.options.grid:
        return
    places = 0.0
    for place, shape in zip(plan.places, plan.shapes, strict=True):
        step = 1 - (plan.options.overlap or 0)
        places += (place.height / (shape[0] * step)) * (place.width / (shape[1] * step))
    if places > _MOST_ON_GRID:
        raise TooLargeError(
            N_("The grid has about {count:,.0f} places: too many to look at beforehand."),
            hint=N_("It can be cut all the same; or choose larger chips or less overlap."),
            count=places,
        )


def _searched(plan: Plan) -> tuple[Windows, bool]:
    """Return the windows that a set would take, or those that were found in the time."""
    try:
        return plan.take(plan.wanted()), True
    except _EnoughError:
        ready = plan.ready()
        wanted = plan.wanted()
        have: dict[int, int | None] = {
            split: min(ready[split], ready[split] if count is None else count)
            for split, count in wanted.items()
        }
        return plan.take(have), False


def _tried(
    material: Material, around: Surroundings, plan: Plan, windows: Windows
) -> tuple[NDArray[Any], float | None]:
    """Cut some of the windows; return the chips and the seconds that one took."""
    options, dtype = plan.options, stored_dtype(material.channels)
    chips: list[NDArray[Any]] = []
    took: list[float] = []
    begun = time.monotonic()
    some = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), TRIALS)).astype(int))
    for at in some:
        at_first = time.monotonic()
        number = int(windows.source[at])
        source, window = material.sources[number], plan.window(windows, int(at))
        raw, valid = source.read(window)
        if around.cover:
            around.cover.shares(source.place, window)
        size = options.size_px
        chip = encode(raw, valid, material.channels, size_px=size, dtype=dtype)
        took.append(time.monotonic() - at_first)
        if valid.mean() >= options.min_valid:
            chips.append(chip)
        # The first one also opens files and draws plans: time is told from the others.
        if len(took) > _FEWEST_TRIALS and time.monotonic() - begun > _TRIAL_S:
            break
    size = options.size_px
    empty = np.empty((0, len(material.channels), size, size), dtype)
    rest = took[1:] or took
    return np.stack(chips) if chips else empty, float(np.median(rest)) if rest else None


def _block_m(plan: Plan, blocks: Blocks) -> float:
    return plan.side_m[0] / plan.shapes[0][0] * blocks.height_px


def _ground(
    blocks: Blocks | None, boundary: shapely.Geometry | None
) -> dict[str, shapely.Geometry]:
    """Return the ground of train and of test in degrees."""
    if blocks is None or blocks.is_test.size > _MOST_BLOCKS_DRAWN:
        return {}
    place = blocks.reference
    inside = None if boundary is None else place.in_pixels(boundary)
    found = {}
    for split, is_it in (("train", ~blocks.is_test), ("test", blocks.is_test)):
        row, col = np.nonzero(is_it)
        left, top = blocks.left + col * blocks.width_px, blocks.top + row * blocks.height_px
        ground = shapely.union_all(
            shapely.box(left, top, left + blocks.width_px, top + blocks.height_px)
        )
        if inside is not None:
            ground = shapely.intersection(ground, inside)
        edge = max(blocks.width_px, blocks.height_px) / _EDGE_PARTS
        found[split] = shapely.transform(
            shapely.segmentize(ground, max(edge, 1.0)),
            lambda points: _lonlat(blocks, points),
        )
    return found


def _lonlat(blocks: Blocks, points: NDArray[np.float64]) -> NDArray[np.float64]:
    place = blocks.reference
    matrix = place.transform
    x = matrix.a * points[:, 0] + matrix.b * points[:, 1] + matrix.c
    y = matrix.d * points[:, 0] + matrix.e * points[:, 1] + matrix.f
    lon, lat = transformer(place.crs, "lonlat").transform(x, y)
    return np.column_stack([lon, lat])


def _footprints(plan: Plan, windows: Windows) -> dict[str, shapely.MultiPolygon]:
    found: dict[str, shapely.MultiPolygon] = {}
    for split in (TRAIN, TEST):
        own = np.flatnonzero(windows.split == split)
        some = own[
            np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST_DRAWN // 2), dtype=int))
        ]
        if len(some):
            outlines = [
                outline(
                    plan.places[int(windows.source[at])], plan.window(windows, int(at)), _DEGREES
                )
                for at in some
            ]
            found[SPLITS[split]] = shapely.MultiPolygon(outlines)
    return found


def _bounds(material: Material) -> tuple[float, float, float, float]:
    place = material.sources[0].place
    to_lonlat = transformer(place.crs, "lonlat")
    west, south, east, north = to_lonlat.transform_bounds(*place.bounds, densify_pts=21)
    return float(west), float(south), float(east), float(north)
