"""The clusters as a list to pick from and to name, their typical squares, method and files."""

import shutil
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.cluster_steps import ClusterOptions, Clusters, Factors
from core.clusters.squares import squares
from core.distances import distances
from core.export import FORMATS, write_quadrats
from core.quadrat_table import QuadratTable, whole_frame
from core.signatures import Signatures
from core.text import filled
from core.workspace import Area
from ui import charts
from ui.choice import switch
from ui.cluster_charts import event_point
from ui.cluster_words import Shown, rename_cluster
from ui.errors import plain, shown_errors
from ui.frame import area_title
from ui.language import _
from ui.quadrat_map import square_ring
from ui.quantities import share_text, value_text
from ui.server import workspace
from ui.state import ClusterView


def cluster_list(area: Area, shown: Shown, view: ClusterView) -> None:
    """Draw the sizes; a click on a bar picks a cluster, a form names it."""
    total = sum(shown.sizes.values())
    numbers = list(shown.sizes)[::-1]
    figure = go.Figure(
        go.Bar(
            y=[charts.as_text(f"{n + 1} {shown.names[n]}") for n in numbers],
            x=[shown.sizes[n] for n in numbers],
            orientation="h",
            marker={
                "color": [shown.colours[n] for n in numbers],
                "line": {
                    "color": "#1F2D2D",
                    "width": [2.5 if n == view.picked else 0.3 for n in numbers],
                },
            },
            text=[share_text(shown.sizes[n] / total) for n in numbers],
            textposition="outside",
            cliponaxis=False,
        )
    )
    charts.frame(
        figure,
        title=_("Clusters by size; click one to pick it out on the map"),
        x=_("Squares"),
        y="",
        height=110 + 26 * len(numbers),
    )
    event = st.plotly_chart(
        figure, config=charts.config(), width="stretch", on_select="rerun", key=f"sizes-{area.id}",
        selection_mode="points",
    )  # fmt: skip
    at = event_point(event)
    if at is None:
        view.listed = None  # let go in the chart: the same bar can be chosen again
    if at is not None and numbers[at] != view.picked and view.listed != numbers[at]:
        view.picked = view.listed = numbers[at]
        st.rerun()
    if view.picked not in shown.sizes:
        return
    with st.form(f"name-{area.id}-{view.picked}"):
        text, save, free = st.columns([4, 1, 1], vertical_alignment="bottom")
        label = _("Name of cluster {number}").format(number=view.picked + 1)
        name = text.text_input(label, value=shown.names[view.picked], max_chars=80)
        is_grouped = shown.labels is not shown.own
        if save.form_submit_button(_("Save"), type="primary", disabled=is_grouped):
            with shown_errors():
                rename_cluster(area, shown, view.picked, name)
                st.rerun()
        if free.form_submit_button(_("Show all")):
            view.picked = None
            st.rerun()


def typical_squares(
    made: QuadratTable, factors: Factors, shown: Shown, view: ClusterView
) -> list[int]:
    """Draw the typical and the unusual squares of the picked cluster; return the typical ones."""
    if view.picked not in shown.sizes:
        st.info(_("Pick a cluster on the map or in the list to see its typical squares."))
        return []
    found = squares(factors.table.to_numpy(float), shown.labels, view.picked, count=8)
    left, right = st.columns(2)
    for box, title, rows, apart in (
        (left, _("Most typical: nearest to the cluster's centre"), found.typical,
         found.typical_distance),
        (right, _("Most unusual: farthest from it"), found.unusual, found.unusual_distance),
    ):  # fmt: skip
        box.markdown(f"**{title}**")
        table = []
        for position, distance in zip(rows, apart, strict=True):
            ring = square_ring(made, int(position))
            lat, lon = (sum(point[axis] for point in ring) / 4 for axis in (0, 1))
            table.append(
                {
                    _("Square"): int(made.lattice.ids[position]),
                    _("Latitude (°)"): round(lat, 5),
                    _("Longitude (°)"): round(lon, 5),
                    _("Distance"): round(float(distance), 3),
                }
            )
        box.dataframe(pd.DataFrame(table), hide_index=True, width="stretch")
    marks = {"typical": _("The typical ones"), "unusual": _("The unusual ones")}
    view.marks = switch(_("Outlined on the map"), marks, value=view.marks, key="marks")
    rows = found.unusual if view.marks == "unusual" else found.typical
    return [int(position) for position in rows]


def cluster_method(
    area: Area, factors: Factors, options: ClusterOptions, titles: dict[str, str]
) -> None:
    """Say how the clusters came about."""
    readings = {
        "recommended": _("recommended: k-means, each k started from the one before, seeded"),
        "document": _("document: MiniBatchKMeans as published, seeded here"),
    }
    st.markdown(_("Method: **{method}**.").format(method=readings[area.method]))
    st.markdown(
        _("Seed {seed}; {count} factors of {squares} squares, each from 0 to 1.").format(
            seed=options.seed, count=factors.table.shape[1], squares=len(factors.table)
        )
    )
    st.caption(plain(", ".join(titles.get(name, name) for name in factors.table)))
    for left in factors.left_out:
        st.warning(plain(filled(left.text, left.values, _)))


def key_figures(found: Clusters, shown: Shown, k: int, stability: float) -> None:
    """Draw the strip of key figures of the chosen k."""
    at = found.sweep.ks.index(k)
    boxes = st.columns(5)
    boxes[0].metric(_("Clusters"), str(len(shown.sizes)))
    boxes[1].metric(_("Largest"), share_text(max(shown.sizes.values()) / len(shown.labels)))
    boxes[2].metric(_("Smallest, squares"), value_text(float(min(shown.sizes.values()))))
    boxes[3].metric(_("Silhouette"), f"{found.quality.silhouette[at]:.3f}")
    boxes[4].metric(_("Stability"), f"{stability:.2f}")


def cluster_export(
    area: Area,
    made: QuadratTable,
    found: Clusters,
    shown: Shown,
    signed: Signatures,
    report: Callable[[str], str],
) -> None:
    """Draw the files; each is written when it is asked for."""
    boxes = st.columns(len(FORMATS))

    def labelled(kind: str) -> bytes:
        frame = whole_frame(made)
        frame.insert(2, "cluster", shown.labels + 1)
        frame.insert(3, "cluster_name", [shown.names[int(n)] for n in shown.labels])
        folder = workspace().scratch(area.id)
        try:
            return write_quadrats(frame, folder / f"clusters.{kind}").read_bytes()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    for box, (kind, title) in zip(boxes, FORMATS.items(), strict=True):
        box.download_button(
            _(title), partial(labelled, kind), file_name=f"{area.id}-clusters.{kind}",
            width="stretch", on_click="ignore",
        )  # fmt: skip
    names = [n + 1 for n in signed.clusters]
    matrix = pd.DataFrame(np.asarray(distances(signed)), index=names, columns=names)
    tables = {
        "scores": (_("Scores, CSV"), found.scores()),
        "signatures": (_("Signatures, CSV"), signed.frame()),
        "distances": (_("Distances, CSV"), matrix),
    }
    for box, (name, (title, table)) in zip(st.columns(3), tables.items(), strict=True):
        box.download_button(
            title, table.to_csv, file_name=f"{area.id}-{name}.csv", width="stretch",
            on_click="ignore",
        )  # fmt: skip
    title = f"{area_title(area)}: " + _("Clusters")
    st.download_button(
        _("All charts as one HTML file"),
        partial(report, title),
        file_name=f"{area.id}-clusters.html",
        on_click="ignore",
        help=_("It opens by itself, without this program and without the internet."),
    )
    charts.picture_choice()
