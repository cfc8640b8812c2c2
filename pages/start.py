"""Start: choose a study area, or make one."""

import streamlit as st

from ui.area_cards import area_cards, broken_cards
from ui.default_area import default_area_panel
from ui.frame import all_areas, page_top, remember_area
from ui.language import _
from ui.new_area import new_area_form
from ui.server import workspace

# Inputs
areas = all_areas()
page_top(_("Start"), _("Which city do we look at?"))

# Outputs
st.markdown(
    _(
        "Find the spatial patterns of a city in four steps: look at its maps on **Data**, sum them "
        "up in squares on **Quadrats**, find what makes the city on **Clusters**, and where it is "
        "cool in summer and not cold in winter on **Cozy zones**."
    )
    + " "
    + _(
        "Then make new ones: take pictures from the air on **Imagery**, cut them for training on "
        "**Chips**, teach a network on **Train**, and see what it has learned on **Generate**."
    )
)
default_area_panel()
area_cards(areas)
broken_cards(workspace().broken())
st.subheader(_("Make a study area"))
new_area_form(areas)
remember_area()
