"""The left column of the Clusters page: what is clustered, over which k, which k is shown."""

from collections.abc import Iterable
from typing import cast

import streamlit as st

from core import cluster_steps, jobs
from core.cluster_steps import ClusterOptions
from core.clusters.sweep import Range, check_range, expected_seconds
from core.quadrat_table import QuadratTable
from core.signatures import EDGES, read_edges
from core.workspace import Area, Method
from ui import cached
from ui.choice import choice, distinct
from ui.columns import column_title, columns_of
from ui.errors import shown_errors
from ui.language import _
from ui.layer_words import layer_title
from ui.quadrat_panel import options_of
from ui.quantities import value_text
from ui.server import workspace
from ui.state import ClusterView, app_state, draw_showing, widget_value

_GROUPING = "cluster-grouping"


def cluster_options(view: ClusterView) -> ClusterOptions:
    """Return what this session clusters."""
    given = dict(view.options)
    low, high, step = given.pop("span", (2, 50, 1))
    return ClusterOptions(**given, span=Range(smallest=low, largest=high, step=step))


def sweep_panel(area: Area, made: QuadratTable, view: ClusterView, *, is_open: bool) -> None:
    """Draw the choice of factors and of the range of k, with the button that starts the sweep."""
    options = cluster_options(view)
    layers = {c.layer.id: c.layer for c in columns_of(area, made.table)}
    names = distinct({name: layer_title(layer) for name, layer in layers.items()})
    causes = [name for name, layer in layers.items() if layer.role == "cause"]
    with st.sidebar.expander(_("Factors and range of k"), expanded=is_open):
        chosen = st.multiselect(
            _("Layers to cluster by"),
            list(layers),
            default=list(options.layers) or causes,
            format_func=lambda name: names[name],
            key=f"factors-{area.id}",
            help=_("At first the causes; columns with gaps or one value are left out and told."),
        )
        named = {c.name: column_title(c) for c in columns_of(area, made.table)}
        columns = st.multiselect(
            _("Or only these columns"),
            list(named),
            default=[name for name in options.columns if name in named],
            format_func=lambda name: named[name],
            key=f"factor-columns-{area.id}",
        )
        left, middle, right = st.columns(3)
        low = int(left.number_input(_("k from"), 2, 500, options.span.smallest))
        high = int(middle.number_input(_("to"), 2, 500, options.span.largest))
        step = int(right.number_input(_("step"), 1, 100, options.span.step))
        seed = int(st.number_input(_("Seed"), 0, 2**31 - 1, options.seed, key=f"cs-{area.id}"))
        span = Range(smallest=low, largest=high, step=step)
        shape = (len(made.lattice), made.table.shape[1])
        with shown_errors():
            check_range(shape, span, method=area.method)
            # The sweep itself, and once more for each run that tells how firm it is.
            seconds = expected_seconds(shape, span, method=area.method) * (1 + options.reruns)
            st.caption(_("About {time} s.").format(time=value_text(max(1.0, round(seconds)))))
        if st.button(_("Sweep over k"), type="primary", width="stretch"):
            # All causes are the default: then what cannot be used is left out and told.
            is_default = set(chosen) == set(causes)
            with shown_errors():
                check_range(shape, span, method=area.method)
                view.options = {
                    "layers": () if is_default or columns else tuple(chosen),
                    "columns": tuple(columns),
                    "span": (low, high, step),
                    "seed": seed,
                }
                start_sweep(area, view)


def k_panel(view: ClusterView, ks: tuple[int, ...], suggested: int) -> int:
    """Draw the slider of k; moving it computes nothing."""
    if view.k not in ks:
        view.k = suggested
    with st.sidebar:
        k = st.select_slider(
            _("Number of clusters, k"),
            ks,
            value=view.k,
            help=_("Suggested: {k}, the best parted among the firm ones up to 12.").format(
                k=suggested
            ),
        )
    if k != view.k:
        view.k, view.picked, view.grouping = int(k), None, ""
    return view.k


def grouping_panel(groupings: Iterable[str], view: ClusterView) -> None:
    """Draw the choice between the clusters themselves and what was merged of them."""
    titles = {"": _("None"), **{name: name for name in groupings}}

    def chosen() -> None:
        found = widget_value(_GROUPING)
        if found != view.grouping:
            view.grouping, view.picked = found, None

    # Merging chooses a grouping too, so the widget follows the view.
    draw_showing(
        view.grouping if view.grouping in titles else "",
        st.sidebar.selectbox,
        _("Grouping"),
        list(titles),
        format_func=lambda title: titles.get(title, title),
        key=_GROUPING,
        on_change=chosen,
    )


def start_sweep(area: Area, view: ClusterView) -> None:
    """Start the sweep, and show how far it is."""
    root = workspace().root
    config = {
        "workspace": str(root.resolve()),
        "area": area.id,
        "quadrats": app_state().quadrat_view(area.id).options,
        "clusters": view.options,
    }
    app_state().jobs[f"clusters-{area.id}"] = jobs.submit(root / "jobs", "clusters", config)
    st.rerun()


def is_swept(area: Area, made: QuadratTable, options: ClusterOptions) -> bool:
    """Tell whether sweep and stability are there, so that the page answers at once."""
    quadrats = options_of(area, app_state().quadrat_view(area.id))
    space = workspace()
    chosen = cached.cluster_factors(area.id, space.stamp(area.id), options, quadrats)
    return cluster_steps.is_swept(space, area, made, quadrats, options, chosen)


def signature_controls(area: Area, view: ClusterView) -> tuple[tuple[float, ...], Method]:
    """Draw the bins and the reading of the signatures, and return them."""
    with st.sidebar.expander(_("Bins and reading of the signatures")):
        text = st.text_input(
            _("Edges of the bins"),
            value=view.edges,
            key=f"edges-{area.id}",
            help=_("Ascending, parted by commas; what equals the first edge is a bin of its own."),
        )
        readings = {"recommended": _("Recommended"), "document": _("As in the document")}
        reading = choice(
            _("Reading"), readings, value=view.reading or area.method, key=f"reading-{area.id}"
        )
    with shown_errors():
        edges = read_edges(text)
        view.edges, view.reading = text, reading
        return edges, cast(Method, reading)
    return EDGES, area.method
