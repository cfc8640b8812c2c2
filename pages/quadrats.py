"""Quadrats: what is in each block of the city."""

import streamlit as st

from core.default_area import DEFAULT_AREA
from core.quadrat_table import chosen_layers, is_made
from ui import cached
from ui.columns import columns_of
from ui.default_area import default_area_panel
from ui.errors import plain, stopping_errors
from ui.frame import all_areas, chosen_area, empty_state, page_top, remember_quadrats
from ui.language import _
from ui.progress import is_watched, job_panel
from ui.quadrat_charts import brushed_histogram, key_figures
from ui.quadrat_export import export_panel, method_panel, quadrat_list
from ui.quadrat_map import column_grid, quadrat_map
from ui.quadrat_panel import column_panel, newer_layers_panel, options_of, square_panel, start_job
from ui.server import workspace
from ui.squares import squares
from ui.state import app_state

# Inputs
areas = all_areas()
area = chosen_area(areas)
page_top(_("Quadrats"), _("What is in each block?"), areas=areas)
if area is None:
    empty_state(_("There is no study area yet."), _("Choose or make one"), "pages/start.py")
    st.stop()
stamp = workspace().stamp(area.id)
view = app_state().quadrat_view(area.id)
if area.id == DEFAULT_AREA:
    default_area_panel()
job_panel(f"quadrats-{area.id}", title=_("Summing up the layers in every square"), area=area.id)

# Call
with stopping_errors():
    options = options_of(area, view)
    chosen_layers(area, options)
    is_ready = is_made(workspace(), area, options)
if not is_ready:
    square_panel(area, view, is_open=True)
    st.info(
        _("The layers of {area} are not summed up in squares yet.").format(area=plain(area.title))
    )
    if not is_watched(f"quadrats-{area.id}", "default-area") and st.button(
        _("Compute statistics of every layer in every square"), type="primary"
    ):
        start_job(area, view)
    st.stop()
with stopping_errors():
    made = cached.quadrats(area.id, stamp, options)
    filled = cached.filled_quadrats(area.id, stamp, options)
    normal = cached.normalised_quadrats(area.id, stamp, options)
    columns = columns_of(area, made.table)
newer_layers_panel(area, view)
column = column_panel(area, view, columns)
table = normal.table if view.is_normalised else filled.table
values = table[column.name].to_numpy(float)
with stopping_errors():
    grid = column_grid(area, made, column, values, view)
brushed_histogram(area, grid, values, view)
square_panel(area, view, is_open=False)

# Outputs
quadrat_map(area, stamp, made, grid, values, view)
key_figures(made, filled, column, values, grid)
square, listed, method, files = st.tabs([_("The square"), _("Table"), _("Method"), _("Export")])
with square:
    squares(area, made, filled.table, columns, view)
with listed:
    quadrat_list(made, filled.table, columns, column)
with method:
    method_panel(area, made, filled, normal, options)
with files:
    export_panel(area, stamp, options, column, is_normalised=view.is_normalised)
remember_quadrats(area, view)
