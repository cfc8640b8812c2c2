"""Draw land cover, land use and storeys from the objects, window by window."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.simulate.city import City, Objects
from core.simulate.legend import WAY_CLASSES, Cover, Use
from core.simulate.paint import Canvas, Grid

_TILE_PX = 1024  # no slower than larger ones, which hold more and are slower to stop
_MARGIN_M = 40.0
NO_STOREYS = 255
Bytes = NDArray[np.uint8]
Painter = Callable[[Canvas, Objects], None]


def paint_cover(canvas: Canvas, things: Objects) -> None:
    """Paint land cover (`Cover`); 0 stays where no block is drawn."""
    canvas.rects(things.blocks, np.where(things.blocks.code > 0, Cover.WATER, Cover.ROAD))
    drawn = canvas.values != Cover.BACKGROUND
    if not drawn.any():
        return
    canvas.rects(things.ground)
    _paint_ways(canvas, things, 0)
    _paint_water(canvas, things, Cover.WATER)
    canvas.discs(things.crowns, Cover.TREE)
    canvas.rects(things.buildings, np.full(len(things.buildings), Cover.BUILDING, np.int16))
    canvas.values[~drawn] = Cover.BACKGROUND


def paint_use(canvas: Canvas, things: Objects) -> None:
    """Paint land use (`Use`); 0 stays where no block is drawn."""
    canvas.rects(things.blocks, np.where(things.blocks.code > 0, Use.WATER, Use.STREET))
    drawn = canvas.values != Use.NONE
    if not drawn.any():
        return
    canvas.rects(things.parcels)
    _paint_ways(canvas, things, 1)
    _paint_water(canvas, things, Use.WATER)
    canvas.values[~drawn] = Use.NONE


def paint_storeys(canvas: Canvas, things: Objects) -> None:
    """Paint storeys: 0 without a building, `NO_STOREYS` where no block is drawn."""
    canvas.rects(things.blocks, np.ones(len(things.blocks), np.int16))
    drawn = canvas.values > 0
    canvas.values[drawn] = 0
    canvas.rects(things.buildings)
    canvas.values[~drawn] = NO_STOREYS


def _paint_ways(canvas: Canvas, things: Objects, which: int) -> None:
    for kind, classes in WAY_CLASSES.items():
        code = classes[which]
        if code:
            pieces = things.ways.take(things.ways.code == kind)
            canvas.rects(pieces, np.full(len(pieces), code, np.int16))
            canvas.discs(things.bends.take(things.bends.code == kind), code)


def _paint_water(canvas: Canvas, things: Objects, code: int) -> None:
    for ring in things.water:
        canvas.polygon(ring, code)


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a raster that was drawn: place and pixels (R, C)."""

    row: int
    col: int
    values: Bytes


def draw_window(city: City, grid: Grid, paint: Painter, window: tuple[int, int, int, int]) -> Tile:
    """Draw rows and columns (row, col, height, width) of a grid on their own."""
    row, col, height, width = window
    canvas = Canvas(grid, np.zeros((height, width), np.uint8), row, col)
    paint(canvas, city.objects(*canvas.bounds(_MARGIN_M)))
    return Tile(row, col, canvas.values)


def draw_tiles(city: City, grid: Grid, paint: Painter, threads: int) -> Generator[Tile, None, None]:
    """Draw a whole raster tile by tile, in row order; the threads do not change a pixel."""
    rows, cols = grid.shape
    windows = [
        (row, col, min(_TILE_PX, rows - row), min(_TILE_PX, cols - col))
        for row in range(0, rows, _TILE_PX)
        for col in range(0, cols, _TILE_PX)
    ]
    _ = city.plan  # laid out once, before the threads ask for it
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda window: draw_window(city, grid, paint, window), windows)
