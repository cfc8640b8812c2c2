"""Cozy zones: where is it cool in summer and not cold in winter, and what lies there."""

from functools import partial

import streamlit as st

from core.default_area import DEFAULT_AREA
from core.quadrat_table import chosen_layers, is_made
from ui import cached
from ui.choice import choice
from ui.columns import columns_of, short_titles
from ui.cozy_charts import (
    effects_panel,
    key_figures,
    report_figures,
    scatter_panel,
    seasons_panel,
    square_panel,
    stability_panel,
    under_panel,
)
from ui.cozy_export import cozy_export, cozy_method
from ui.cozy_map import cozy_map, rank_codes
from ui.cozy_panel import cozy_options, cozy_panel, draws_as_usual, is_ready, start_cozy
from ui.default_area import being_made, being_made_note, default_area_panel
from ui.errors import plain, shown_errors, stopping_errors
from ui.frame import all_areas, chosen_area, empty_state, page_top, remember_cozy
from ui.groups import NO_GROUP, group_choices, groups_of
from ui.language import _
from ui.progress import is_watched, job_panel
from ui.quadrat_panel import newer_layers_panel, options_of
from ui.report import html_report
from ui.server import workspace
from ui.state import app_state

# Inputs
areas = all_areas()
area = chosen_area(areas)
subtitle = _("Where is it cool in summer and not cold in winter, and why?")
page_top(_("Cozy zones"), subtitle, areas=areas)
if area is None:
    empty_state(_("There is no study area yet."), _("Choose or make one"), "pages/start.py")
    st.stop()
stamp = workspace().stamp(area.id)
view = app_state().cozy_view(area.id)
if area.id == DEFAULT_AREA:
    default_area_panel()
job_panel(f"cozy-{area.id}", title=_("Looking for hot and cold spots"), area=area.id)

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
    cozy_panel(area, made, view)
    options = cozy_options(view)
    ready = is_ready(area, made, options)
are_first = are_first and draws_as_usual(options)
if not ready and being_made(area.id, is_default=are_first):
    being_made_note()
    st.stop()
if not ready:
    st.info(_("Hot and cold spots of the two seasons are not there yet for these settings."))
    if not is_watched(f"cozy-{area.id}") and st.button(
        _("Find hot spots of both seasons and the cozy zone"), type="primary"
    ):
        start_cozy(area, view)
    st.stop()
with stopping_errors():
    found = cached.cozy_zone(area.id, stamp, options, squares)
    stability = cached.cozy_stability(area.id, stamp, options, squares)
choices = group_choices(area, made)
under = ranks = None
names: dict[int, str] = {}
if choices:
    with st.sidebar:
        view.groups = choice(_("Compare with"), choices, value=view.groups, key=f"cg-{area.id}")
    labels, names = groups_of(area, made, stamp, view.groups)
    with shown_errors():
        under = cached.under_zone(
            area.id, stamp, options, squares, (view.groups, labels.tobytes())
        ).drop(index=NO_GROUP, errors="ignore")
        ranks = rank_codes(labels, under)

# Outputs
place = st.container()
key_figures(found)
titles = [_("The square"), _("Seasons"), _("Scatter plot"), _("How sure"), _("What lies under"),
          _("Which factors"), _("Method"), _("Export")]  # fmt: skip
square, seasons, scatter, sure, below, factors, method, files = st.tabs(titles)
with scatter:
    picked = scatter_panel(found, view)
with place:
    cozy_map(area, stamp, made, found, view, stability=stability, ranks=ranks, picked=picked)
with square:
    square_panel(made, found, view.square)
with seasons:
    seasons_panel(found)
with sure:
    stability_panel(stability)
with below:
    if under is None:
        st.info(_("A layer of classes is needed: bring one in on the Data page."))
    else:
        under_panel(under, names)
causes = [c for c in columns_of(area, made.table) if c.layer.role == "cause"]
effects = None
with factors, shown_errors():
    used = tuple(c.name for c in causes)
    effects = cached.zone_effects(area.id, stamp, options, squares, used)
    effects_panel(effects, short_titles(causes))
with method:
    cozy_method(area, options)
with files:
    figures = partial(report_figures, found, under, names, effects, short_titles(causes))
    groups = labels if choices else None
    report = partial(html_report, subtitle, figures)
    cozy_export(area, stamp, made, found, stability, under, groups, report)
remember_cozy(area, view)
