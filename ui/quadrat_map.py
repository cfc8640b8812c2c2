"""The map of a column of quadrats: tiles of a small raster, and the chosen squares as outlines."""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from pyproj import Transformer

from core.grids import make_grid
from core.quadrat_table import QuadratTable
from core.quadrats import cell_at
from core.rendering import ValueStyle
from core.tiles import default_style, grid_url
from core.workspace import Area, Layer
from ui import cached, maps
from ui.columns import Column, column_title, column_unit
from ui.legend import legend_html
from ui.quantities import value_text
from ui.server import base_path, workspace
from ui.state import LayerView, QuadratView, app_state


def column_grid(area: Area, made: QuadratTable, column: Column, values: NDArray[Any],
                view: QuadratView) -> Layer:  # fmt: skip
    """Return the column as a raster of the area; written once."""
    return make_grid(
        workspace(),
        area.id,
        made.lattice,
        values,
        title=column_title(column),
        unit=column_unit(column, is_normalised=view.is_normalised),
        colormap=view.colormap or "viridis",
    )


def grid_style(grid: Layer, view: QuadratView) -> ValueStyle:
    """Return the colours of a column: its 2nd to 98th percentile, only the chosen range."""
    style = default_style(grid)
    assert isinstance(style, ValueStyle)
    return ValueStyle(
        colormap=view.colormap or style.colormap, low=style.low, high=style.high, only=view.only
    )


def quadrat_map(
    area: Area,
    stamp: int,
    made: QuadratTable,
    grid: Layer,
    values: NDArray[Any],
    view: QuadratView,
) -> None:
    """Draw the map; a click chooses the square under it."""
    style = grid_style(grid, view)
    tiles = maps.base_tiles(app_state().base_map)
    if view.only is not None:  # the squares out of range stay as a pale ground
        pale = ValueStyle(colormap=style.colormap, low=style.low, high=style.high)
        url = grid_url(area.id, grid, style=pale, base=base_path())
        tiles.append(maps.TileSource(url, opacity=0.18))
    url = grid_url(area.id, grid, style=style, base=base_path())
    tiles.append(maps.TileSource(url, opacity=0.92))
    shown = LayerView(colormap=style.colormap, low=style.low, high=style.high)
    group = maps.overlay(
        tiles=tiles,
        outline=cached.boundary_geojson(area.id, stamp),
        legend_html=legend_html([(grid, shown)]),
        squares=[
            maps.Square(square_ring(made, position), label=label)
            for position, label in _chosen(view, values, grid)
        ],
    )
    base = maps.new_map(area.bounds_lonlat, view_key=area.id)
    answer = maps.show(base, group, key=f"quadrats-{area.id}", height_px=540)
    if clicked := answer.get("last_clicked"):
        _take_click(made, view, (round(clicked["lat"], 6), round(clicked["lng"], 6)))


def square_ring(made: QuadratTable, position: int) -> list[tuple[float, float]]:
    """Return the corners of a quadrat as latitude and longitude."""
    lattice = made.lattice
    row, col, side = int(lattice.rows[position]), int(lattice.cols[position]), lattice.side_m
    west, north = lattice.west + col * side, lattice.north - row * side
    xs = np.array([west, west + side, west + side, west])
    ys = np.array([north, north, north - side, north - side])
    lon, lat = Transformer.from_crs(lattice.crs, 4326, always_xy=True).transform(xs, ys)
    return [(float(y), float(x)) for x, y in zip(lon, lat, strict=True)]


def square_at(made: QuadratTable, lat: float, lon: float) -> int | None:
    """Return the position of the quadrat at a place, None where there is none."""
    to_area = Transformer.from_crs(4326, made.lattice.crs, always_xy=True)
    x, y = to_area.transform(lon, lat)
    position = int(cell_at(made.lattice, [x], [y])[0])
    return position if position >= 0 else None


def _chosen(view: QuadratView, values: NDArray[Any], grid: Layer) -> list[tuple[int, str]]:
    found = []
    for position, name in ((view.held, "A"), (view.square, "B" if view.held is not None else "")):
        if position is not None and position < len(values):
            text = value_text(float(values[position]), grid.unit)
            found.append((position, f"{name} {text}".strip()))
    return found


def _take_click(made: QuadratTable, view: QuadratView, point: tuple[float, float]) -> None:
    if point == view.clicked:
        return
    view.clicked = point
    view.square = square_at(made, *point)
    st.rerun()
