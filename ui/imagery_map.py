"""The map of the Imagery page: footprints of what was found, and a fetched image where it lies."""

from collections.abc import Sequence

import folium
import streamlit as st

from core.connectors.drawing import Drawn
from core.connectors.items import Found
from core.workspace import Area
from ui import cached, maps
from ui.imagery_words import STYLES, at_point, data_uri, outlines, outlines_legend
from ui.state import ImageryView, app_state


def imagery_map(
    area: Area,
    stamp: int,
    found: Sequence[Found],
    view: ImageryView,
    *,
    chosen: set[str],
    here: set[str],
    drawn: Drawn | None,
) -> None:
    """Draw the map; a click looks at the newest image there, the next click at the one before."""
    shapes = outlines(found, chosen=chosen, here=here, looked=view.looked)
    has_chosen, has_here = bool(chosen - here), bool(here & {image.key for image in found})
    legend = outlines_legend(found, has_chosen=has_chosen, has_here=has_here)
    group = maps.overlay(
        tiles=maps.base_tiles(app_state().base_map),
        outline=cached.boundary_geojson(area.id, stamp),
        legend_html=legend if found else "",
    )
    if drawn is not None:
        west, south, east, north = drawn.bounds
        group.add_child(
            folium.raster_layers.ImageOverlay(
                data_uri(drawn.picture),
                [[south, west], [north, east]],
                pane="context",
                pixelated=False,
                alt="",
            )
        )
    if shapes["features"]:
        group.add_child(
            folium.GeoJson(
                shapes,
                pane="outline",
                style_function=lambda feature: {
                    **STYLES[feature["properties"]["kind"]],
                    "interactive": False,
                },
                zoom_on_click=False,
            )
        )
    base = maps.new_map(area.bounds_lonlat, view_key=area.id)
    answer = maps.show(base, group, key=f"imagery-{area.id}", height_px=460)
    clicked = answer.get("last_clicked")
    if clicked and (point := (round(clicked["lat"], 6), round(clicked["lng"], 6))) != view.clicked:
        view.clicked = point
        at = at_point(found, *point, looked=view.looked)
        view.looked = at.key if at else ""
        st.rerun()
