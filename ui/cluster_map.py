"""The map of the clusters; one is picked out by a click, in the list or in a chart."""

import numpy as np
import streamlit as st

from core.grids import NO_CLASS, make_grid
from core.quadrat_table import QuadratTable
from core.text import N_
from core.tiles import grid_url
from core.workspace import Area
from ui import cached, maps
from ui.cluster_words import Shown
from ui.legend import legend_html
from ui.quadrat_map import square_at, square_ring
from ui.server import base_path, workspace
from ui.state import ClusterView, LayerView, app_state


def cluster_map(
    area: Area,
    stamp: int,
    made: QuadratTable,
    shown: Shown,
    view: ClusterView,
    marked: list[int],
) -> None:
    """Draw the map; `marked` squares are outlined. A click picks the cluster under it."""
    title = N_("Clusters")
    grid = make_grid(
        workspace(), area.id, made.lattice, shown.labels, title=title, legend=shown.legend
    )
    tiles = maps.base_tiles(app_state().base_map)
    url = grid_url(area.id, grid, base=base_path())
    tiles.append(maps.TileSource(url, opacity=0.95 if view.picked is None else 0.22))
    if view.picked is not None:
        own = np.where(shown.labels == view.picked, view.picked, NO_CLASS)
        picked = make_grid(
            workspace(), area.id, made.lattice, own, title=title, legend=shown.legend
        )
        tiles.append(maps.TileSource(grid_url(area.id, picked, base=base_path())))
    group = maps.overlay(
        tiles=tiles,
        outline=cached.boundary_geojson(area.id, stamp),
        legend_html=legend_html([(grid, LayerView())]),
        squares=[maps.Square(square_ring(made, position)) for position in marked],
    )
    base = maps.new_map(area.bounds_lonlat, view_key=area.id)
    answer = maps.show(base, group, key=f"clusters-{area.id}", height_px=540)
    clicked = answer.get("last_clicked")
    if clicked and (point := (round(clicked["lat"], 6), round(clicked["lng"], 6))) != view.clicked:
        view.clicked, view.square = point, square_at(made, *point)
        found = None if view.square is None else int(shown.labels[view.square])
        view.picked = None if found == view.picked else found
        st.rerun()
