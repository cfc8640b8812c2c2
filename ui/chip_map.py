"""Chips on the map: outlines of a set or of a plan, the blocks of the split, any place clicked."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import folium
import numpy as np
import shapely
import streamlit as st
from numpy.typing import NDArray
from pyproj import CRS

from core.chips.preview import Preview
from core.chips.sets import ChipSet, SetInfo
from core.georeference import transformer
from core.tiles import tile_url
from core.workspace import Area, Layer
from ui import cached, cached_chips, maps
from ui.chip_view import ChipView
from ui.chip_words import SPLIT_COLOURS, split_names
from ui.language import _
from ui.server import base_path, workspace
from ui.state import app_state

MOST_OUTLINES = 600
Ring = list[tuple[float, float]]
"""Corners as latitude and longitude."""


def chip_ring(chips: ChipSet, number: int) -> Ring | None:
    """Return the corners of a chip, None where it has no place."""
    if not chips.info.crs:
        return None
    return _ring(_lonlat(chips, np.array([number]))[0])


def ring_bounds(ring: Ring) -> maps.Bounds:
    """Return what to look at to see a chip: it, and as much ground again on each side."""
    lats, lons = zip(*ring, strict=True)
    high, wide = max(lats) - min(lats), max(lons) - min(lons)
    return min(lons) - wide, min(lats) - high, max(lons) + wide, max(lats) + high


def set_map(
    chips: ChipSet, index: NDArray[np.int64], area: Area | None, view: ChipView, *, height_px: int
) -> None:
    """Draw the outlines of some chips, the chosen one; a click looks at a place as a chip."""
    info = chips.info
    shown, below = st.container(), st.container()
    some = index[
        np.unique(np.linspace(0, len(index) - 1, min(len(index), MOST_OUTLINES), dtype=int))
    ]
    splits = chips.table["split"].to_numpy()
    shapes = {}
    for split in SPLIT_COLOURS:
        own = some[splits[some] == split]
        if len(own):
            shapes[split] = shapely.MultiPolygon(list(_lonlat(chips, own)))
    squares = []
    if view.place is not None:
        with below:  # what is said while one waits must not push the map from under the pointer
            ring = _place_ring(info, view.place)
        squares = [maps.Square(ring, label=_("this place"))] if ring else []
    elif view.chip is not None and (ring := _chosen_ring(chips, view.chip)):
        squares = [maps.Square(ring, label=str(view.chip))]
    note = ""
    if len(some) < len(index):
        note = _("{some:,} of {all:,} are drawn").format(some=len(some), all=len(index))
    group = chips_overlay(info, area, legend=_legend(shapes, note), squares=squares, go=view.go)
    for split, shape in shapes.items():
        group.add_child(_drawn(shape, SPLIT_COLOURS[split], is_filled=False))
    base = maps.new_map(_bounds(chips, area), view_key=f"chips-{info.id}")
    with shown:
        answer = maps.show(base, group, key=f"chip-map-{info.id}", height_px=height_px)
    clicked = answer.get("last_clicked")
    if clicked and (point := (round(clicked["lat"], 6), round(clicked["lng"], 6))) != view.clicked:
        view.clicked, view.place, view.chip = point, point, None
        st.rerun()


def plan_map(found: Preview, area: Area | None, *, height_px: int) -> None:
    """Draw the blocks of train and test, and where chips would be cut."""
    notes = []
    if found.block_m is not None and not found.ground:
        notes.append(_("too many blocks to draw"))
    shapes = {name: shape for name, shape in found.footprints.items() if name in SPLIT_COLOURS}
    drawn = sum(len(shape.geoms) for shape in shapes.values())
    if drawn < sum(found.found.values()):
        notes.append(
            _("{some:,} of {all:,} are drawn").format(some=drawn, all=sum(found.found.values()))
        )
    ground = found.ground.get("test")
    legend = _legend(shapes, "; ".join(notes), has_ground=ground is not None)
    group = chips_overlay(None, area, legend=legend, opacity=0.2)
    if ground is not None and not ground.is_empty:
        group.add_child(_drawn(ground, SPLIT_COLOURS["test"], is_filled=True))
    for split, shape in shapes.items():
        group.add_child(_drawn(shape, SPLIT_COLOURS[split], is_filled=False))
    bounds = area.bounds_lonlat if area else found.bounds
    key = area.id if area else ",".join(f"{value:.3f}" for value in bounds)
    base = maps.new_map(bounds, view_key=f"plan-{key}")
    maps.show(base, group, key=f"plan-map-{key}", height_px=height_px)


def chips_overlay(
    info: SetInfo | None,
    area: Area | None,
    *,
    legend: str = "",
    opacity: float = 0.3,
    squares: Sequence[maps.Square] = (),
    go: tuple[str, maps.Bounds] | None = None,
) -> folium.FeatureGroup:
    """Return the ground: an online map if chosen, the layer that was cut, the area's outline."""
    tiles = maps.base_tiles(app_state().base_map)
    layer = _ground_layer(info, area)
    if layer is not None and area is not None:
        tiles.append(maps.TileSource(tile_url(area.id, layer, base=base_path()), opacity=opacity))
    outline = None
    if area is not None:
        outline = cached.boundary_geojson(area.id, workspace().stamp(area.id))
    return maps.overlay(tiles=tiles, outline=outline, legend_html=legend, squares=squares, go=go)


def _ground_layer(info: SetInfo | None, area: Area | None) -> Layer | None:
    """Return the layer that a set was cut from, else the first layer of classes."""
    if area is None:
        return None
    cut = info.sources[0].get("layers", ()) if info and info.sources else ()
    wanted = {entry["id"] for entry in cut}
    own = [layer for layer in area.layers if layer.id in wanted and not layer.url]
    classes = [layer for layer in area.layers if layer.kind == "classes" and not layer.url]
    return next(iter([*own, *classes]), None)


def _drawn(shape: shapely.Geometry, colour: str, *, is_filled: bool) -> folium.GeoJson:
    style = {
        "color": colour,
        # Wide enough for a dot where a chip is smaller than a pixel of the map.
        "weight": 0.6 if is_filled else 2.4,
        "fill": is_filled,
        "fillColor": colour,
        "fillOpacity": 0.35,
        "interactive": False,
    }
    return folium.GeoJson(
        shapely.geometry.mapping(shapely.set_precision(shape, 1e-6, mode="pointwise")),
        pane="outline",
        style_function=lambda _: style,
        smooth_factor=1.0,
        zoom_on_click=False,
    )


def _legend(shapes: Mapping[str, Any], note: str, *, has_ground: bool = False) -> str:
    """Return the legend of outlines as HTML."""
    names = split_names()
    rows = [(f"border:2px solid {SPLIT_COLOURS[name]}", names[name]) for name in shapes]
    if has_ground:
        rows.append((f"background:{SPLIT_COLOURS['test']}77", _("blocks for the test")))
    lines = "".join(
        f'<div class="row"><span class="box" style="{style}"></span><span>{html.escape(name)}'
        "</span></div>"
        for style, name in rows
    )
    said = f'<div class="note">{html.escape(note)}</div>' if note else ""
    return f"<details open><summary>{html.escape(_('Chips'))}</summary>{lines}{said}</details>"


def _chosen_ring(chips: ChipSet, number: int) -> Ring | None:
    return chip_ring(chips, number) if number < chips.info.count else None


def _place_ring(info: SetInfo, place: tuple[float, float]) -> Ring | None:
    """Return the outline of a place as a chip; None where it cannot be one, as is said beside."""
    from core.errors import AppError

    try:
        with st.spinner(_("Looking for places")):  # a large file may have to be told by its bytes
            return _ring(cached_chips.place_chip(info.id, info.digest, *place).outline)
    except AppError:
        return None


def _lonlat(chips: ChipSet, index: NDArray[np.int64]) -> NDArray[Any]:
    """Return the outlines of some chips in degrees."""
    table = chips.table
    to_lonlat = transformer(CRS.from_user_input(table.crs), "lonlat")

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(to_lonlat.transform(points[:, 0], points[:, 1]))

    found: NDArray[Any] = shapely.transform(table.geometry.to_numpy()[index], place)
    return found


def _ring(polygon: shapely.Polygon) -> Ring:
    corners = shapely.get_coordinates(polygon.exterior)[:4]
    return [(float(lat), float(lon)) for lon, lat in corners]


def _bounds(chips: ChipSet, area: Area | None) -> maps.Bounds:
    """Return the bounds of the area, or of the chips where they have none."""
    if area is not None:
        return area.bounds_lonlat
    west, south, east, north = chips.table.total_bounds
    to_lonlat = transformer(CRS.from_user_input(chips.table.crs), "lonlat")
    found = to_lonlat.transform_bounds(west, south, east, north)
    return float(found[0]), float(found[1]), float(found[2]), float(found[3])
