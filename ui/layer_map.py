"""The map of the Data page, from a study area and the session's view of it."""

from collections.abc import Sequence

import streamlit as st

from core.tiles import tile_url
from core.workspace import Area, Layer
from ui import cached, maps
from ui.errors import shown_errors
from ui.language import _
from ui.layer_panel import style_of
from ui.layer_words import class_name, layer_title
from ui.legend import drawn_style, legend_html
from ui.quantities import value_text
from ui.server import base_path
from ui.state import MapView, app_state

Reading = tuple[Layer, float | None, str]
"""A layer, its value at a point, and the value in words."""


def readings(area: Area, point: tuple[float, float] | None) -> list[Reading]:
    """Read every layer at a point given as latitude and longitude."""
    found: list[Reading] = []
    for layer in area.layers if point else ():
        with shown_errors():
            value = cached.pixel(area.id, layer.id, *point).value  # type: ignore[misc]
            if value is not None and layer.kind == "classes":
                text = class_name(layer, int(value))
            else:
                text = value_text(value, layer.unit)
            found.append((layer, value, text))
    return found


def layer_map(area: Area, stamp: int, view: MapView, found: Sequence[Reading]) -> None:
    """Draw the map; a new click is kept in `view` and runs the page again."""
    group = maps.overlay(
        tiles=_tiles(area, view),
        outline=cached.boundary_geojson(area.id, stamp),
        legend_html=legend_html(
            [(area.layer(item), style_of(view, item)) for item in _in_legend(view)],
            unfolded={view.active, view.swipe},
        ),
        marker=_marker(view, found),
        go=view.go,
    )
    base = maps.new_map(area.bounds_lonlat, view_key=area.id)
    answer = maps.show(base, group, key=f"map-{area.id}", height_px=560)
    clicked = answer.get("last_clicked")
    if clicked:
        _take_click(view, (round(clicked["lat"], 6), round(clicked["lng"], 6)))


def _take_click(view: MapView, point: tuple[float, float]) -> None:
    if point != view.clicked:
        view.clicked = view.point = point
        st.rerun()


def _in_legend(view: MapView) -> list[str]:
    return list(dict.fromkeys([*view.shown, *([view.swipe] if view.swipe else [])]))


def _tiles(area: Area, view: MapView) -> list[maps.TileSource]:
    sources = maps.base_tiles(app_state().base_map)
    for layer_id in reversed(view.shown):
        sources.append(_tile_source(area, area.layer(layer_id), view, on_swipe=False))
    if view.swipe:
        sources.append(_tile_source(area, area.layer(view.swipe), view, on_swipe=True))
    return sources


def _tile_source(area: Area, layer: Layer, view: MapView, *, on_swipe: bool) -> maps.TileSource:
    style = style_of(view, layer.id)
    url = tile_url(area.id, layer, style=drawn_style(layer, style), base=base_path())
    if on_swipe:
        return maps.TileSource(url, pane="swipe")
    return maps.TileSource(url, opacity=style.opacity)


def _marker(view: MapView, found: Sequence[Reading]) -> maps.Marker | None:
    if view.point is None:
        return None
    shown = set(_in_legend(view))
    lines = [(layer_title(layer), text) for layer, _value, text in found if layer.id in shown]
    lat, lon = view.point
    place = (_("Place"), f"{lat:.5f}, {lon:.5f}")
    return maps.Marker(lat, lon, (*lines, place))
