"""The maps of the Cozy zones page: the zone, two seasons to swipe, how sure, ranks."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.cozy import RANKS, Stability
from core.cozy_steps import CozyZone
from core.grids import make_grid
from core.hotspots.labels import CLASSES
from core.legends import Legend, LegendClass
from core.quadrat_table import QuadratTable
from core.rendering import Style, ValueStyle
from core.text import N_
from core.tiles import grid_url
from core.workspace import Area, Layer
from ui import cached, maps
from ui.language import _
from ui.legend import legend_html
from ui.quadrat_map import square_at, square_ring
from ui.server import base_path, workspace
from ui.state import CozyView, LayerView, app_state

SPOTS: Legend = tuple(LegendClass(one.code, one.name, one.colour) for one in CLASSES)
ZONE: Legend = (
    LegendClass(0, N_("not cozy"), "#E5E5E5"),
    LegendClass(1, N_("cozy: cool in summer, not cold in winter"), "#1D6E5A"),
    LegendClass(2, N_("unknown: a season is missing"), "#FFFFFF"),
)
RANK_COLOURS = {"low": "#FEE8C8", "moderate": "#7FCDBB", "high": "#1D6E5A"}
RANKED: Legend = tuple(
    LegendClass(code, name, RANK_COLOURS[name]) for code, name in enumerate(RANKS)
)


def cozy_map(
    area: Area,
    stamp: int,
    made: QuadratTable,
    found: CozyZone,
    view: CozyView,
    *,
    stability: Stability | None = None,
    ranks: NDArray[Any] | None = None,
    picked: NDArray[np.bool_] | None = None,
) -> None:
    """Draw the chosen map; a click chooses the square under it."""
    left, right = _layers(area, made, found, view, stability, ranks)
    tiles = maps.base_tiles(app_state().base_map)
    style, look = None, LayerView()
    if view.shown == "stability" and stability is not None and left.kind == "values":
        # Every square has a number: 0 of the settings is an answer too.
        style = ValueStyle(colormap="viridis", low=0.0, high=float(len(stability.settings)))
        look = LayerView(colormap=style.colormap, low=style.low, high=style.high)
    tiles.append(maps.TileSource(_url(area, left, style), opacity=0.95))
    if right is not None:
        tiles.append(maps.TileSource(_url(area, right), pane="swipe"))
    if picked is not None and right is None:
        chosen: Legend = (LegendClass(1, N_("chosen in the plot"), "#111111"),)
        codes = np.where(picked, 1, -1)
        grid = make_grid(
            workspace(), area.id, made.lattice, codes, title=N_("Chosen"), legend=chosen
        )
        tiles.append(maps.TileSource(_url(area, grid), opacity=0.65))
    squares = []
    if view.square is not None and view.square < len(made.lattice):
        squares = [maps.Square(square_ring(made, view.square), label=_label(found, view.square))]
    shown = [(left, look)]
    if right is not None:
        shown.append((right, LayerView()))
    group = maps.overlay(
        tiles=tiles,
        outline=cached.boundary_geojson(area.id, stamp),
        legend_html=legend_html(shown),
        squares=squares,
    )
    base = maps.new_map(area.bounds_lonlat, view_key=area.id)
    answer = maps.show(base, group, key=f"cozy-{area.id}", height_px=540)
    clicked = answer.get("last_clicked")
    if clicked and (point := (round(clicked["lat"], 6), round(clicked["lng"], 6))) != view.clicked:
        view.clicked, view.square = point, square_at(made, *point)
        st.rerun()


def zone_codes(found: CozyZone) -> NDArray[np.int32]:
    """Return 1 for cozy squares, 2 for unknown ones, 0 for the rest."""
    return np.where(found.zone.is_unknown, 2, found.zone.is_cozy.astype(np.int32))


def rank_codes(groups: NDArray[Any], under: pd.DataFrame) -> NDArray[np.int32]:
    """Return the rank of each square's group, -1 where it has none."""
    codes = {name: code for code, name in enumerate(RANKS)}
    of_group = {group: codes.get(rank, -1) for group, rank in under["rank"].items()}
    return np.array([of_group.get(group, -1) for group in groups], np.int32)


def _layers(
    area: Area,
    made: QuadratTable,
    found: CozyZone,
    view: CozyView,
    stability: Stability | None,
    ranks: NDArray[Any] | None,
) -> tuple[Layer, Layer | None]:
    def grid(values: NDArray[Any], title: str, **more: Any) -> Layer:
        return make_grid(workspace(), area.id, made.lattice, values, title=title, **more)

    if view.shown == "seasons":
        return (
            grid(found.summer_labels, _("Left: summer"), legend=SPOTS),
            grid(found.winter_labels, _("Right: winter"), legend=SPOTS),
        )
    if view.shown == "stability" and stability is not None:
        title = _("Cozy in so many of {count} settings").format(count=len(stability.settings))
        values = stability.times.astype(float)
        return grid(values, title, colormap="viridis"), None
    if view.shown == "rank" and ranks is not None:
        return grid(ranks, _("Rank of what lies under"), legend=RANKED), None
    return grid(zone_codes(found), _("Cozy zone"), legend=ZONE), None


def _url(area: Area, grid: Layer, style: Style | None = None) -> str:
    return grid_url(area.id, grid, style=style, base=base_path())


def _label(found: CozyZone, position: int) -> str:
    names = {one.code: _(one.name) for one in CLASSES}
    summer = names[int(found.summer_labels[position])]
    winter = names[int(found.winter_labels[position])]
    return _("summer: {summer}, winter: {winter}").format(summer=summer, winter=winter)
