"""Charts of the Clusters page: scores and quality by k, signatures, distances."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.figure_factory as ff
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.cluster_steps import Clusters
from core.clusters.stability import Stability
from core.distances import distances, nearest, nearly_one, tree
from core.nni import nni_table
from core.signatures import Signatures
from core.workspace import Method
from ui import charts
from ui.cluster_words import Shown
from ui.errors import plain
from ui.language import _
from ui.theme import ACCENT

_MEASURES = {
    "silhouette": ("Silhouette", True),
    "calinski_harabasz": ("Calinski–Harabasz", True),
    "davies_bouldin": ("Davies–Bouldin", False),
    "inertia": ("Inertia", False),
}
_LEGEND = {"orientation": "h", "y": -0.22, "font_size": 10, "traceorder": "normal"}
# A large k has dozens of them; after each merge the next ones come up.
_MOST_PAIRS = 6
_BIN_COLOURS = ("#F0F0F0", "#BFD3E6", "#8C96C6", "#88419D", "#4D004B")


def choosing_panel(
    found: Clusters, firm: Stability, titles: dict[str, str], k: int, method: Method
) -> None:
    """Draw what speaks for one k or another."""
    left, right = st.columns(2)
    left.plotly_chart(_scores(found, titles, k), config=charts.config(), width="stretch")
    right.plotly_chart(_quality(found, firm, k), config=charts.config(), width="stretch")
    text = _(
        "Separation score: between-cluster over within-cluster spread of a factor (F of an analysis"
        " of variance). Its p-value would say nothing, since the clusters come from the same"
        " columns. Silhouettes are taken from {rows} squares."
    )
    st.caption(text.format(rows=found.quality.silhouette_rows))
    scores = found.scores()
    if np.isfinite(scores.to_numpy()).all() and scores.shape[1] > 1:
        recommended = nni_table(scores, method="recommended")
        document = nni_table(scores, method="document")
        table = pd.DataFrame(
            {
                _("Index, scale free"): recommended["nni"].round(3),
                _("Rank"): recommended["rank"],
                _("Index of the document"): document["nni"].round(3),
                _("Rank in the document's reading"): document["rank"],
            }
        )
        table.index.name = "k"
        st.markdown(_("Nearest neighbour index of the scores on a line: how evenly they spread"))
        st.dataframe(table.sort_index(), width="stretch", height=240)
    del method


def _scores(found: Clusters, titles: dict[str, str], k: int) -> go.Figure:
    scores = found.scores()
    figure = go.Figure()
    for name in scores:
        figure.add_trace(
            go.Scatter(
                x=scores.index, y=scores[name], mode="lines",
                name=charts.as_text(titles.get(name, name)),
                line={"width": 1.3}, hovertemplate="k %{x}: %{y:.4g}",
            )
        )  # fmt: skip
    charts.frame(
        figure,
        title=_("Which factors part the clusters"),
        x=_("Number of clusters, k"),
        y=_("Separation score (log scale)"),
        height=420,
    )
    figure.update_yaxes(type="log")
    figure.add_vline(x=k, line={"dash": "dot", "color": ACCENT})
    figure.update_layout(hovermode="closest")
    return figure


def _quality(found: Clusters, firm: Stability, k: int) -> go.Figure:
    measures = found.measures()
    names = [(_(title), better) for title, better in _MEASURES.values()]
    titles = [
        f"{title} · " + (_("larger is better") if better else _("smaller is better"))
        for title, better in names
    ]
    titles.append(_("Stability (adjusted Rand) · larger is better"))
    figure = make_subplots(rows=5, cols=1, shared_xaxes=True, subplot_titles=titles,
                           vertical_spacing=0.07)  # fmt: skip
    curves = [*(measures[name] for name in _MEASURES), firm.mean]
    for row, values in enumerate(curves, start=1):
        figure.add_trace(
            go.Scatter(
                x=measures.index, y=values, mode="lines+markers",
                line={"color": ACCENT, "width": 1.5}, marker={"size": 3},
            ),
            row=row, col=1,
        )  # fmt: skip
        figure.add_vline(x=k, line={"dash": "dot", "color": ACCENT}, row=row, col=1)
    charts.frame(figure, title=_("How good each k is"), x="", y="", height=620)
    figure.update_annotations(font_size=12)
    return figure


def signature_panel(
    found: Signatures, shown: Shown, titles: dict[str, str], picked: int | None
) -> None:
    """Draw one panel a cluster: share of its squares by bin, factor by factor."""
    order = [number for number in found.clusters if picked is None or number == picked]
    if picked is not None:
        others = [number for number in found.clusters if number != picked]
        other = st.selectbox(
            _("Compare with"),
            others,
            index=None,
            format_func=lambda number: f"{number + 1} {shown.names[number]}",
        )
        order += [] if other is None else [other]
    columns = 1 if len(order) == 1 else 2
    boxes = st.columns(columns)
    for place, number in enumerate(order):
        figure = _signature(found, shown, titles, number)
        boxes[place % columns].plotly_chart(
            figure, config=charts.config(), width="stretch", key=f"signature-{number}"
        )


def _signature(found: Signatures, shown: Shown, titles: dict[str, str], number: int) -> go.Figure:
    shares = found.shares[found.clusters.index(number)]
    # Factors that are nothing but zeros in this cluster say nothing here.
    telling = np.flatnonzero(shares[0] < 0.9995)
    order = telling[np.argsort(-(shares[1:, telling].sum(axis=0)), kind="stable")][:14][::-1]
    figure = go.Figure()
    for rank, name in enumerate(found.bins):
        figure.add_trace(
            go.Bar(
                y=list(range(len(order))),
                x=100 * shares[rank, order],
                orientation="h",
                name=name,
                marker={"color": _BIN_COLOURS[min(rank, 4)]},
                hovertemplate=f"{name}: %{{x:.1f}} %<extra></extra>",
            )
        )
    title = f"{number + 1} {shown.names[number]}"
    charts.frame(
        figure, title=title, x=_("Share of its squares (%)"), y="", height=130 + 20 * len(order)
    )
    names = [found.columns[at] for at in order]
    charts.name_rows(figure, [titles.get(name, name) for name in names])
    figure.update_layout(barmode="stack", showlegend=True, legend=_LEGEND)
    return figure


def distance_panel(found: Signatures, shown: Shown) -> tuple[int, int] | None:
    """Draw the distances; return a pair of clusters that is to be merged."""
    matrix = distances(found)
    names = [f"{n + 1} {shown.names[n]}" for n in found.clusters]
    left, right = st.columns([3, 2])
    left.plotly_chart(_heat(matrix, names), config=charts.config(), width="stretch")
    if len(names) > 2:
        right.plotly_chart(_dendrogram(matrix, names), config=charts.config(), width="stretch")
    index, apart = nearest(matrix)
    table = pd.DataFrame(
        {
            _("Distance"): apart.round(3),
            _("Cluster"): names,
            _("Nearest"): [names[at] for at in index],
        }
    )
    right.dataframe(table, hide_index=True, width="stretch")
    pairs = nearly_one(matrix, found.clusters)
    for pair in pairs[:_MOST_PAIRS]:
        text, button = st.columns([3, 1], vertical_alignment="center")
        said = _("“{first}” and “{second}” are nearly one: distance {distance:.3f}.")
        text.info(
            said.format(
                first=plain(f"{pair.first + 1} {shown.names[pair.first]}"),
                second=plain(f"{pair.second + 1} {shown.names[pair.second]}"),
                distance=pair.distance,
            )
        )
        merge = _("Merge {first} and {second}").format(first=pair.first + 1, second=pair.second + 1)
        if button.button(merge, key=f"merge-{pair.first}-{pair.second}"):
            return pair.first, pair.second
    if len(pairs) > _MOST_PAIRS:
        more = _("{count} further pairs are nearly one; the nearest are shown first.")
        st.caption(more.format(count=len(pairs) - _MOST_PAIRS))
    return None


def _heat(matrix: NDArray[np.float64], names: Sequence[str]) -> go.Figure:
    order = list(tree(matrix).order) if len(names) > 1 else [0]
    shown = matrix[np.ix_(order, order)]
    numbers = [names[at].partition(" ")[0] for at in order]
    hover = [[f"{names[row]}<br>{names[col]}" for col in order] for row in order]
    figure = go.Figure(
        go.Heatmap(
            z=shown, x=numbers, y=numbers, colorscale="Viridis_r",
            text=np.round(shown, 2) if len(names) <= 20 else None,
            texttemplate="%{text}" if len(names) <= 20 else None,
            customdata=[[charts.as_text(cell) for cell in row] for row in hover],
            hovertemplate="%{customdata}<br>%{z:.3f}<extra></extra>",
            colorbar={"title": _("Distance"), "thickness": 12},
        )
    )  # fmt: skip
    charts.frame(
        figure,
        title=_("How far the signatures of two clusters are apart (0: the same)"),
        x=_("Number of the cluster; neighbours are alike"),
        y="",
        height=max(320, 140 + 34 * len(names)),
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def _dendrogram(matrix: NDArray[np.float64], names: Sequence[str]) -> go.Figure:
    merges = tree(matrix).merges
    figure = ff.create_dendrogram(
        matrix,
        orientation="left",
        labels=[name.partition(" ")[0] for name in names],
        linkagefun=lambda _condensed: merges,
        color_threshold=0,
        colorscale=[ACCENT] * 8,
    )
    charts.frame(
        figure,
        title=_("Which clusters join first"),
        x=_("Mean distance"),
        y="",
        height=max(260, 140 + 22 * len(names)),
    )
    figure.update_layout(width=None, autosize=True)
    figure.update_xaxes(mirror=False, tickangle=0)
    figure.update_yaxes(mirror=False)
    return figure


def report_figures(
    found: Clusters,
    firm: Stability,
    signed: Signatures,
    shown: Shown,
    titles: dict[str, str],
    k: int,
) -> list[go.Figure]:
    """Return the page's charts, for a file that stands alone."""
    figures = [_scores(found, titles, k), _quality(found, firm, k)]
    figures += [_signature(signed, shown, titles, number) for number in signed.clusters]
    matrix = distances(signed)
    names = [f"{n + 1} {shown.names[n]}" for n in signed.clusters]
    figures.append(_heat(matrix, names))
    if len(names) > 2:
        figures.append(_dendrogram(matrix, names))
    return figures


def event_point(event: Any) -> int | None:
    """Return the number of the point that was chosen in a chart, None for none."""
    points = (event or {}).get("selection", {}).get("points", [])
    return int(points[0]["point_index"]) if points else None
