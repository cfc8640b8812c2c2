"""Data: the layers of a study area as tiled maps."""

import streamlit as st

from core.default_area import DEFAULT_AREA
from ui import cached, charts
from ui.add_layer import add_layer_form
from ui.default_area import default_area_panel
from ui.edit_layer import edit_layer_form
from ui.errors import plain, shown_errors, stopping_errors
from ui.frame import all_areas, chosen_area, empty_state, page_top, remember
from ui.language import _
from ui.layer_facts import key_figures, metadata, problem_list, values_at
from ui.layer_map import layer_map, readings
from ui.layer_panel import layer_panel, prepare_view, show_new_layer
from ui.prepare_layers import prepare_form
from ui.progress import job_panel
from ui.server import workspace

# Inputs
areas = all_areas()
area = chosen_area(areas)
page_top(_("Data"), _("What do we have here?"), areas=areas)
if area is None:
    empty_state(_("There is no study area yet."), _("Choose or make one"), "pages/start.py")
    st.stop()
stamp = workspace().stamp(area.id)
if area.id == DEFAULT_AREA:
    default_area_panel()
job_panel(f"add-{area.id}", title=_("Working on a layer"), area=area.id, on_done=show_new_layer)
if not area.layers:
    st.info(_("{area} has no layers yet. Bring in the first one.").format(area=plain(area.title)))
    add_layer_form(area)
    st.stop()
view = prepare_view(area)
layer_panel(area, view)
view = prepare_view(area)

# Call
with stopping_errors():
    found = readings(area, view.point)
    active = area.layer(view.active) if view.active else area.layers[0]
    problems = cached.layer_problems(area.id, active.id, active.digest, stamp)
info = None
with shown_errors():  # a layer whose file is damaged can still be taken out or replaced
    info = cached.layer_file(area.id, active.id, active.digest)

# Outputs
layer_map(area, stamp, view, found)
key_figures(active, info, problems)
point, shares, about, wrong, add, prepare, edit = st.tabs(
    [
        _("At the clicked place"),
        _("Distribution"),
        _("About the layer"),
        _("Problems ({count})").format(count=len(problems)),
        _("Add a layer"),
        _("Prepare"),
        _("Edit the layer"),
    ]
)
with point:
    values_at(view.point, found)
with shares:
    chart = charts.class_shares if active.kind == "classes" else charts.histogram
    st.plotly_chart(chart(active), config=charts.config(), width="stretch")
with about:
    if info is not None:
        metadata(active, info)
    else:
        problem_list(problems)
with wrong:
    problem_list(problems)
with add:
    add_layer_form(area)
with prepare:
    prepare_form(area)
with edit:
    edit_layer_form(area, active)
remember(area, view)
