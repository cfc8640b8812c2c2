"""Generate: what has it learned?"""

import streamlit as st

from ui import cached_models
from ui.frame import page_top
from ui.generate_figure import figure_panel, part_place, remember_generate, view_choice
from ui.generate_models import (
    chosen_model,
    model_choice,
    model_figures,
    models_list,
    no_models,
    pytorch_missing,
)
from ui.language import _
from ui.server import workspace
from ui.state import app_state

# Inputs
page_top(_("Generate"), _("What has it learned?"))
view = app_state().generate
if not cached_models.has_pytorch():
    pytorch_missing()
found = cached_models.models_at_hand(str(workspace().root.resolve()))
if not found:
    no_models()
view_choice(view)
chosen = chosen_model(found, view)
with st.container(horizontal=True, vertical_alignment="center"):
    model_choice(found, chosen, view)
    model_figures(chosen, view)

# Call and outputs
with part_place(view):
    if view.shown == "models":
        models_list(found, view)
        remember_generate(chosen)
    else:
        figure_panel(chosen)
