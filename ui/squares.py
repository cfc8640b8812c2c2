"""Everything known of a square: values with units and ranks, class shares, its place."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.quadrat_table import QuadratTable
from core.workspace import Area, Layer
from ui import charts
from ui.columns import Column, column_title, column_unit
from ui.errors import plain
from ui.language import _
from ui.layer_words import class_name, layer_title
from ui.quadrat_map import square_ring
from ui.quantities import share_text, value_text
from ui.state import QuadratView


def squares(
    area: Area, made: QuadratTable, table: pd.DataFrame, columns: Sequence[Column],
    view: QuadratView,
) -> None:  # fmt: skip
    """Draw the clicked square, beside the held one where there is one."""
    # The held square may be clicked again: it is shown once.
    both = dict.fromkeys((view.held, view.square))
    chosen = [item for item in both if item is not None and item < len(table)]
    if not chosen:
        st.info(_("Click a square on the map to see everything known of it."))
        return
    if view.square is not None and view.held is None:
        if st.button(_("Hold this square and compare it with the next one")):
            view.held, view.square = view.square, None
            st.rerun()
    elif view.held is not None and st.button(_("Let the held square go")):
        view.held = None
        st.rerun()
    for box, position in zip(st.columns(len(chosen)), chosen, strict=True):
        with box:
            _square(area, made, table, columns, position)


def _square(
    area: Area, made: QuadratTable, table: pd.DataFrame, columns: Sequence[Column], position: int
) -> None:
    lattice = made.lattice
    ring = square_ring(made, position)
    lat = sum(point[0] for point in ring) / 4
    lon = sum(point[1] for point in ring) / 4
    st.markdown(
        _("**Square {id}** · row {row}, column {col} · centre {lat:.5f}°, {lon:.5f}°").format(
            id=int(lattice.ids[position]),
            row=int(lattice.rows[position]),
            col=int(lattice.cols[position]),
            lat=lat,
            lon=lon,
        )
    )
    measured = [column for column in columns if not column.is_class]
    rows = [_row(table, column, position) for column in measured]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    for layer in area.layers:
        own = [column for column in columns if column.layer.id == layer.id and column.is_class]
        if own:
            figure = _shares(layer, own, table, position)
            st.plotly_chart(
                figure, config=charts.config(), width="stretch", key=f"shares-{layer.id}-{position}"
            )
    cover = made.cover.iloc[position]
    lacking = [
        f"{name} {share_text(float(share))}" for name, share in cover.items() if share < 0.999
    ]
    if lacking:
        st.caption(_("Valid cover below 100 %: {layers}.").format(layers=plain(", ".join(lacking))))


def _row(table: pd.DataFrame, column: Column, position: int) -> dict[str, str]:
    values = table[column.name].to_numpy(float)
    value = float(values[position])
    known = values[np.isfinite(values)]
    rank = ""
    if np.isfinite(value) and known.size:
        below = float((known < value).mean())
        rank = _("higher than {share} of the squares").format(share=share_text(below))
    return {
        _("What"): column_title(column),
        _("Value"): value_text(value, column_unit(column, is_normalised=False)),
        _("Rank"): rank,
    }


def _shares(
    layer: Layer, columns: Sequence[Column], table: pd.DataFrame, position: int
) -> go.Figure:
    counts = {
        column.code: float(np.nan_to_num(table[column.name].iloc[position]))
        for column in columns
        if column.code is not None
    }
    total = sum(counts.values()) or 1.0
    colours = {entry.code: entry.colour or "#D9DEDE" for entry in layer.legend}
    shown = [(code, count / total) for code, count in counts.items() if count > 0]
    shown.sort(key=lambda pair: pair[1])
    figure = go.Figure(
        go.Bar(
            y=list(range(len(shown))),
            x=[100 * share for _code, share in shown],
            orientation="h",
            marker={"color": [colours.get(code, "#FF00FF") for code, _share in shown]},
            text=[share_text(share) for _code, share in shown],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    )
    title = _("{layer} in this square (% of pixels)").format(layer=layer_title(layer))
    charts.frame(figure, title=title, x="", y="", height=70 + 24 * max(len(shown), 1))
    charts.name_rows(figure, [class_name(layer, code) for code, _share in shown])
    figure.update_xaxes(visible=False, range=[0, 125])
    return figure
