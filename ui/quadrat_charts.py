"""The histogram of a column, in which a range is chosen, and the column's key figures."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.normalise import Filled
from core.quadrat_table import QuadratTable
from core.ranges import histogram
from core.workspace import Area, Layer
from ui import charts
from ui.columns import Column
from ui.errors import plain
from ui.language import _
from ui.quantities import share_text, value_text
from ui.state import QuadratView
from ui.theme import ACCENT

_BINS = 40


def brushed_histogram(area: Area, grid: Layer, values: NDArray[Any], view: QuadratView) -> None:
    """Draw the histogram into the sidebar; a range dragged in it lights up on the map."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return
    counts, edges = histogram(known, _BINS, float(known.min()), float(known.max()))
    centres = edges[:-1] / 2 + edges[1:] / 2
    inside = np.ones(len(counts), bool)
    if view.only is not None:
        inside = (centres >= view.only[0]) & (centres <= view.only[1])
    figure = go.Figure(
        go.Bar(
            x=centres,
            y=counts,
            width=np.diff(edges),
            marker={"color": np.where(inside, ACCENT, "#B9C4C4"), "line": {"width": 0}},
            hovertemplate="%{x:.4g}: %{y}<extra></extra>",
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
        )
    )
    unit = f" ({grid.unit})" if grid.unit else ""
    charts.frame(figure, title="", x=_("Value") + unit, y=_("Squares"), height=190)
    figure.update_layout(
        dragmode="select", selectdirection="h", margin={"l": 4, "r": 4, "t": 6, "b": 4}
    )
    with st.sidebar:
        st.caption(_("Drag a range: its squares light up on the map."))
        event = st.plotly_chart(
            figure,
            config={"displayModeBar": False},
            width="stretch",
            on_select="rerun",
            selection_mode="box",
            key=f"brush-{area.id}-{grid.digest}",
        )
        _take_range(event, view)
        if view.only is not None:
            share = float(((known >= view.only[0]) & (known <= view.only[1])).mean())
            text = plain(f"{value_text(view.only[0])} – {value_text(view.only[1], grid.unit)}")
            st.caption(
                _("{range}: {share} of the squares").format(range=text, share=share_text(share))
            )
            if st.button(_("Show all squares"), width="stretch"):
                view.only = None
                st.rerun()


def _take_range(event: Any, view: QuadratView) -> None:
    boxes = (event or {}).get("selection", {}).get("box", [])
    if not boxes:
        return
    # As many digits as the address holds, so that a link lights up the same squares.
    low, high = sorted(float(f"{float(x):.6g}") for x in boxes[0]["x"])
    if view.only != (low, high) and view.brushed != (low, high):
        view.only = view.brushed = (low, high)
        st.rerun()


def key_figures(
    made: QuadratTable, filled: Filled, column: Column, values: NDArray[Any], grid: Layer
) -> None:
    """Draw the strip of key figures of the mapped column."""
    known = values[np.isfinite(values)]
    boxes = st.columns(5)
    side = value_text(made.lattice.side_m, "m")
    count = value_text(float(len(made.lattice)))
    boxes[0].metric(_("Squares of {side}").format(side=side), count)
    if known.size:
        boxes[1].metric(_("Mean"), value_text(float(known.mean()), plain(grid.unit)))
        low, high = np.percentile(known, [2, 98])
        boxes[2].metric(
            _("2nd to 98th percentile"), f"{value_text(float(low))} – {value_text(float(high))}"
        )
    boxes[3].metric(_("Filled from neighbours"), str(filled.filled.get(column.name, 0)))
    boxes[4].metric(_("Still missing"), str(int(len(values) - known.size)))
