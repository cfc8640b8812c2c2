"""Clusters: which patterns make the city."""

from functools import partial

import numpy as np
import streamlit as st

from core.clusters.stability import advice, suggested
from core.default_area import DEFAULT_AREA
from core.quadrat_table import chosen_layers, is_made
from core.signatures import signatures
from core.text import filled
from ui import cached
from ui.cluster_charts import (
    choosing_panel,
    distance_panel,
    report_figures,
    signature_panel,
)
from ui.cluster_list import (
    cluster_export,
    cluster_list,
    cluster_method,
    key_figures,
    typical_squares,
)
from ui.cluster_map import cluster_map
from ui.cluster_panel import (
    cluster_options,
    grouping_panel,
    is_swept,
    k_panel,
    signature_controls,
    start_sweep,
    sweep_panel,
)
from ui.cluster_words import merge_clusters, shown_clusters
from ui.columns import columns_of, short_titles
from ui.default_area import being_made, being_made_note, default_area_panel
from ui.errors import plain, shown_errors, stopping_errors
from ui.frame import all_areas, chosen_area, empty_state, page_top, remember_clusters
from ui.language import _
from ui.progress import is_watched, job_panel
from ui.quadrat_panel import newer_layers_panel, options_of
from ui.report import html_report
from ui.server import workspace
from ui.state import ClusterView, app_state

# Inputs
areas = all_areas()
area = chosen_area(areas)
page_top(_("Clusters"), _("Which patterns make the city?"), areas=areas)
if area is None:
    empty_state(_("There is no study area yet."), _("Choose or make one"), "pages/start.py")
    st.stop()
stamp = workspace().stamp(area.id)
view = app_state().cluster_view(area.id)
if area.id == DEFAULT_AREA:
    default_area_panel()
job_panel(f"clusters-{area.id}", title=_("Sweeping over the numbers of clusters"), area=area.id)

# Call
are_first = not app_state().quadrat_view(area.id).options
with stopping_errors():
    squares = options_of(area, app_state().quadrat_view(area.id))
    chosen_layers(area, squares)
    has_table = is_made(workspace(), area, squares)
if not has_table and being_made(area.id, is_default=are_first):
    being_made_note()
    st.stop()
if not has_table:
    text = _("The layers of {area} are not summed up in squares yet.")
    empty_state(
        text.format(area=plain(area.title)),
        _("Sum them up on the Quadrats page"),
        "pages/quadrats.py",
    )
    st.stop()
with stopping_errors():
    made = cached.quadrats(area.id, stamp, squares)
newer_layers_panel(area, app_state().quadrat_view(area.id))
options = cluster_options(view)
ready = False
with shown_errors():  # the factors can be chosen otherwise, so the page goes on
    ready = is_swept(area, made, options)
are_first = are_first and options == cluster_options(ClusterView())
if not ready and being_made(area.id, is_default=are_first):
    being_made_note()
    st.stop()
if not ready:
    sweep_panel(area, made, view, is_open=True)
    st.info(_("The squares of {area} are not clustered yet.").format(area=plain(area.title)))
    if not is_watched(f"clusters-{area.id}") and st.button(
        _("Sweep over the numbers of clusters"), type="primary"
    ):
        start_sweep(area, view)
    st.stop()
with stopping_errors():
    found = cached.clusters(area.id, stamp, options, squares)
    firm = cached.cluster_stability(area.id, stamp, options, squares)
    factors = cached.cluster_factors(area.id, stamp, options, squares)
ks = found.sweep.ks
k = k_panel(view, ks, suggested(ks, firm, found.quality.calinski_harabasz))
with stopping_errors():
    own = found.sweep.of(k).astype(np.int32)
    shown = shown_clusters(area, made, factors.table, own, view)
    if shown.notes.groupings:
        grouping_panel(shown.notes.groupings, view)
    if view.picked not in shown.sizes:  # a link can ask for what is not there
        view.picked = None
    edges, reading = signature_controls(area, view)
    signed = signatures(factors.table, shown.labels, edges=edges, method=reading)
sweep_panel(area, made, view, is_open=False)
titles = short_titles(columns_of(area, made.table))

# Outputs
place = st.container()
key_figures(found, shown, k, float(firm.mean[ks.index(k)]))
said = advice(k, ks, firm)
sentence = filled(said.text, said.values, _)
st.markdown(plain(sentence))
names = [_("Clusters"), _("Choosing k"), _("Signatures"), _("Distances"), _("Typical squares"),
         _("Method"), _("Export")]  # fmt: skip
listed, choosing, signature, distance, typical, method, files = st.tabs(names)
with listed:
    cluster_list(area, shown, view)
with choosing:
    choosing_panel(found, firm, titles, k, area.method)
with signature:
    signature_panel(signed, shown, titles, view.picked)
with distance, shown_errors():
    if pair := distance_panel(signed, shown):
        title = _("Merged")
        merge_clusters(area, shown, pair, title)
        view.grouping, view.picked = title, None
        st.rerun()
with typical:
    marked = typical_squares(made, factors, shown, view)
with place:
    cluster_map(area, stamp, made, shown, view, marked)
with method:
    cluster_method(area, factors, options, titles)
with files:
    figures = partial(report_figures, found, firm, signed, shown, titles, k)
    cluster_export(area, made, found, shown, signed, partial(html_report, sentence, figures))
remember_clusters(area, view)
