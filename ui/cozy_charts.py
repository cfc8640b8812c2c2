"""Charts of the Cozy zones page: Moran's I and its chance, scatter plot, quotients, effects."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.cozy import Stability
from core.cozy_steps import CozyZone, Spots
from core.effects import Effects
from core.hotspots.labels import CLASSES
from core.hotspots.moran import GlobalMoran
from core.quadrat_table import QuadratTable
from ui import charts
from ui.errors import plain
from ui.language import _
from ui.quantities import area_text, share_text, value_text
from ui.state import CozyView
from ui.theme import ACCENT

_MOST_POINTS = 4000


def key_figures(found: CozyZone) -> None:
    """Draw the strip of key figures of the zone."""
    parts = found.patches
    boxes = st.columns(5)
    boxes[0].metric(_("Cozy squares"), value_text(float(found.zone.count)))
    boxes[1].metric(_("Share of the known squares"), share_text(found.zone.share))
    boxes[2].metric(_("Patches"), str(len(parts)))
    largest = float(parts.areas_m2[0]) if len(parts) else 0.0
    boxes[3].metric(_("Largest patch"), area_text(largest / 1e6))
    both = f"{found.summer.whole.statistic:.3f} | {found.winter.whole.statistic:.3f}"
    boxes[4].metric(_("Moran's I, summer | winter"), both)


def seasons_panel(found: CozyZone) -> None:
    """Draw, season by season, how many squares are of each class, and the global I."""
    for box, (title, spots, labels) in zip(
        st.columns(2),
        (
            (_("Summer"), found.summer, found.summer_labels),
            (_("Winter"), found.winter, found.winter_labels),
        ),
        strict=True,
    ):
        with box:
            st.plotly_chart(_class_counts(title, labels), config=charts.config(), width="stretch")
            st.plotly_chart(_permuted(title, spots.whole), config=charts.config(), width="stretch")
            st.caption(_engine_line(spots))


def _engine_line(spots: Spots) -> str:
    local = spots.local
    return _(
        "Local Moran of {column}: engine {engine}, {permutations} permutations, seed {seed},"
        " {weights} neighbours."
    ).format(
        column=plain(spots.column),
        engine=local.engine,
        permutations=value_text(float(local.permutations)),
        seed=local.seed,
        weights=spots.weights,
    )


def _class_counts(title: str, labels: NDArray[np.int8]) -> go.Figure:
    counts = np.bincount(labels, minlength=len(CLASSES))
    shown = [one for one in reversed(CLASSES) if counts[one.code]]
    figure = go.Figure(
        go.Bar(
            y=[_(one.name) for one in shown],
            x=[int(counts[one.code]) for one in shown],
            orientation="h",
            marker={
                "color": [one.colour for one in shown],
                "line": {"width": 0.5, "color": "#6B7676"},
            },
            text=[value_text(float(counts[one.code])) for one in shown],
            textposition="outside",
            cliponaxis=False,
        )
    )
    heading = _("{season}: what the squares are").format(season=title)
    charts.frame(figure, title=heading, x=_("Squares"), y="", height=230)
    figure.update_xaxes(range=[0, float(counts.max()) * 1.2])
    return figure


def _permuted(title: str, whole: GlobalMoran) -> go.Figure:
    figure = go.Figure(go.Histogram(x=whole.simulated, marker={"color": "#B9C4C4"}, nbinsx=40))
    figure.add_vline(
        x=whole.statistic,
        line={"color": ACCENT, "width": 3},
        annotation_text=_("here: {value:.3f}").format(value=whole.statistic),
        annotation_position="top left",
    )
    heading = _("{season}: Moran's I beside {count} shuffled maps (p = {p:.3g})").format(
        season=title, count=len(whole.simulated), p=whole.p_two_sided
    )
    charts.frame(figure, title=heading, x=_("Moran's I"), y=_("Shuffled maps"), height=220)
    return figure


def scatter_panel(found: CozyZone, view: CozyView) -> NDArray[np.bool_] | None:
    """Draw the Moran scatter plot; return the squares in the box drawn in it."""
    names = {"summer": _("Summer"), "winter": _("Winter")}
    view.season = st.radio(
        _("Season"), list(names), format_func=names.get, horizontal=True,
        index=list(names).index(view.season), label_visibility="collapsed",
    )  # fmt: skip
    spots = found.summer if view.season == "summer" else found.winter
    labels = found.summer_labels if view.season == "summer" else found.winter_labels
    z, lag = spots.local.z, spots.local.lag
    known = np.flatnonzero(np.isfinite(z))
    shown = known
    if len(known) > _MOST_POINTS:
        shown = np.random.default_rng(0).choice(known, _MOST_POINTS, replace=False)
    figure = go.Figure()
    for one in CLASSES:
        own = shown[labels[shown] == one.code]
        if len(own):
            figure.add_trace(
                go.Scattergl(
                    x=z[own], y=lag[own], mode="markers", name=_(one.name),
                    marker={"color": one.colour, "size": 4, "line": {"width": 0}},
                )
            )  # fmt: skip
    title = _("Each square and its neighbours, in standard deviations from the mean")
    charts.frame(figure, title=title, x=_("The square"), y=_("Mean of its neighbours"), height=420)
    figure.update_layout(showlegend=True, dragmode="select")
    figure.add_hline(y=0, line={"width": 1, "color": "#9AA5A5"})
    figure.add_vline(x=0, line={"width": 1, "color": "#9AA5A5"})
    if len(known) > len(shown):
        text = _("{shown} of {count} squares are drawn; a box chooses among all of them.")
        st.caption(text.format(shown=len(shown), count=len(known)))
    event: Any = st.plotly_chart(
        figure, config=charts.config(), width="stretch", on_select="rerun", selection_mode="box",
        key=f"scatter-{view.season}",
    )  # fmt: skip
    boxes = (event or {}).get("selection", {}).get("box", [])
    if not boxes:
        return None
    (x0, x1), (y0, y1) = (sorted(boxes[0][axis][:2]) for axis in ("x", "y"))
    inside: NDArray[np.bool_] = (z >= x0) & (z <= x1) & (lag >= y0) & (lag <= y1)
    st.caption(_("{count} squares are chosen; the map of the zone shows them dark.").format(
        count=int(inside.sum())))  # fmt: skip
    return inside


def stability_panel(stability: Stability) -> None:
    """Draw how the zone grows and shrinks with the settings."""
    rows = [
        {
            _("Neighbours"): one.weights,
            _("Level"): f"{one.level:g}",
            _("Correction"): {"bh": "Benjamini–Hochberg", "none": _("None")}[one.correction],
            _("Cozy squares"): one.count,
        }
        for one in stability.settings
    ]
    text = _("{always} squares are cozy in all {count} settings, {ever} in at least one.")
    st.markdown(text.format(always=stability.always, count=len(rows), ever=stability.ever))
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def report_figures(
    found: CozyZone,
    under: pd.DataFrame | None,
    names: dict[int, str],
    effects: Effects | None,
    titles: dict[str, str],
) -> list[go.Figure]:
    """Return the page's charts, for a file that stands alone."""
    figures = []
    for title, spots, labels in (
        (_("Summer"), found.summer, found.summer_labels),
        (_("Winter"), found.winter, found.winter_labels),
    ):
        figures += [_class_counts(title, labels), _permuted(title, spots.whole)]
    if under is not None:
        figures.append(_quotients(under, names))
    if effects is not None:
        figures.append(_effects(effects, titles))
    return figures


def under_panel(under: pd.DataFrame, names: dict[int, str]) -> None:
    """Draw the location quotient of each group with its interval, and the table."""
    st.plotly_chart(_quotients(under, names), config=charts.config(), width="stretch")
    table = pd.DataFrame(
        {
            _("Group"): [names.get(int(group), str(group)) for group in under.index],
            _("Squares"): under["size"].to_numpy(),
            _("Cozy"): under["cozy"].to_numpy(),
            _("Expected by chance"): under["expected"].round(1).to_numpy(),
            _("Location quotient"): under["quotient"].round(2).to_numpy(),
            _("95 % interval"): [
                f"{low:.2f} – {high:.2f}"
                for low, high in zip(under["low"], under["high"], strict=True)
            ],
            _("p"): under["p"].round(4).to_numpy(),
            _("p, corrected"): under["p_adjusted"].round(4).to_numpy(),
            _("Rank"): [_(rank) for rank in under["rank"]],
        }
    )
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption(
        _(
            "Chance: surrogate zones that keep the spatial autocorrelation of the real one. The"
            " interval resamples blocks of squares. Association, not cause."
        )
    )


def _quotients(under: pd.DataFrame, names: dict[int, str]) -> go.Figure:
    rows = under.iloc[::-1]
    figure = go.Figure(
        go.Scatter(
            x=rows["quotient"],
            y=list(range(len(rows))),
            mode="markers",
            marker={"color": ACCENT, "size": 10},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": rows["high"] - rows["quotient"],
                "arrayminus": rows["quotient"] - rows["low"],
                "color": "#6B7676",
            },
        )
    )
    charts.frame(
        figure,
        title=_("How much more often than everywhere a group is cozy (95 % interval)"),
        x=_("Location quotient; 1: as everywhere"),
        y="",
        height=110 + 30 * len(rows),
    )
    charts.name_rows(figure, [names.get(int(group), str(group)) for group in rows.index])
    figure.add_vline(x=1, line={"dash": "dot", "width": 1})
    return figure


def effects_panel(found: Effects, titles: dict[str, str]) -> None:
    """Draw the effect of each factor, and say what it means in two sentences."""
    st.plotly_chart(_effects(found, titles), config=charts.config(), width="stretch")
    sure = [titles.get(name, name) for name, row in found.table.iterrows() if row["p"] < 0.05]
    first = _("Of {count} factors these go with being cozy beyond chance: {names}.").format(
        count=len(found.table), names=", ".join(sure[:6]) or _("none")
    )
    second = _(
        "In parts of the city that the model has not seen it ranks a cozy square above another in"
        " {auc} of cases (50 % is guessing); this is association, not proof of a cause."
    ).format(auc=share_text(found.auc))
    st.markdown(f"{plain(first)} {second}")
    told = []
    if found.left_out:
        names = ", ".join(titles.get(name, name) for name in found.left_out)
        told.append(_("The same in every square, so left out: {names}.").format(names=names))
    if found.too_sparse:
        names = ", ".join(titles.get(name, name) for name in found.too_sparse)
        told.append(_("Missing in too many squares, so left out: {names}.").format(names=names))
    if found.num_missing:
        count = value_text(float(found.num_missing))
        told.append(_("{count} squares lack a factor and are left out.").format(count=count))
    if told:
        st.caption(plain(" ".join(told)))


def _effects(found: Effects, titles: dict[str, str]) -> go.Figure:
    rows = found.table.iloc[::-1]
    figure = go.Figure(
        go.Scatter(
            x=rows["effect"],
            y=list(range(len(rows))),
            mode="markers",
            marker={"color": np.where(rows["effect"] > 0, "#2166AC", "#B2182B"), "size": 10},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": rows["high"] - rows["effect"],
                "arrayminus": rows["effect"] - rows["low"],
                "color": "#6B7676",
            },
        )
    )
    charts.frame(
        figure,
        title=_("What goes with being cozy (95 % interval)"),
        x=_("Change of the log odds for one standard deviation more"),
        y="",
        height=110 + 28 * len(rows),
    )
    charts.name_rows(figure, [titles.get(name, name) for name in rows.index])
    figure.add_vline(x=0, line={"dash": "dot", "width": 1})
    return figure


def square_panel(made: QuadratTable, found: CozyZone, position: int | None) -> None:
    """Say what the clicked square is in both seasons."""
    if position is None:
        st.info(_("Click a square on the map to read both seasons there."))
        return
    if found.zone.is_unknown[position]:
        st.markdown(_("**Unknown**: a season is missing here."))
    elif found.zone.is_cozy[position]:
        st.markdown(_("**Cozy**: cool in summer and not cold in winter."))
    else:
        st.markdown(_("**Not cozy**: not cool in summer, or cold in winter."))
    names = {one.code: _(one.name) for one in CLASSES}
    rows = []
    for title, spots, labels in (
        (_("Summer"), found.summer, found.summer_labels),
        (_("Winter"), found.winter, found.winter_labels),
    ):
        rows.append(
            {
                _("Season"): title,
                _("Value"): value_text(float(made.table[spots.column].iloc[position])),
                _("Class"): names[int(labels[position])],
                _("Local I"): f"{spots.local.statistic[position]:.3f}",
                _("p"): f"{spots.local.p[position]:.2g}",
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
