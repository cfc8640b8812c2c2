"""Imagery: which aerial images there are of a study area, and which of them are taken."""

import streamlit as st

from core.connectors import shelf
from ui.errors import stopping_errors
from ui.frame import all_areas, chosen_area, empty_state, page_top
from ui.imagery_found import (
    chosen_keys,
    found_panel,
    imagery_figures,
    looked_panel,
    shown_search,
)
from ui.imagery_jobs import imagery_jobs, nothing_yet
from ui.imagery_map import imagery_map
from ui.imagery_panel import fetch_panel, remember_imagery, search_panel
from ui.imagery_shelf import drawn_of, failed_panel, shelf_panel
from ui.language import _
from ui.outside import no_access_panel
from ui.server import workspace
from ui.state import app_state

# Inputs
areas = all_areas()
area = chosen_area(areas)
page_top(_("Imagery"), _("What does it look like from above?"), areas=areas)
if area is None:
    empty_state(_("There is no study area yet."), _("Choose or make one"), "pages/start.py")
    st.stop()
stamp = workspace().stamp(area.id)
view = app_state().imagery_view(area.id)
with stopping_errors():
    kept = shown_search(area, view)
search_panel(area, view, kept)
with st.container():  # always there, so that an open tab stays open when a job begins
    no_access_panel("imagery")
    imagery_jobs(area, view)

# Call
with stopping_errors():
    images = shelf.fetched(workspace(), area.id)
    failures = shelf.failures(workspace(), area.id)
    found = kept.results.found if kept else ()
    keys = set(chosen_keys(area, stamp, view)) if kept else set()
    chosen = [image for image in found if image.key in keys]
    have = shelf.places_of(images, kept.query.catalogue) if kept else set()
    here = {image.key for image in found if image.place in have}
    drawn = drawn_of(images, view)
    if kept:
        fetch_panel(area, view, kept, chosen, images)

# Outputs
with st.container():
    if kept or images:
        imagery_figures(area, stamp, found, chosen, images)
    else:
        nothing_yet(area)
imagery_map(area, stamp, found, view, chosen=keys, here=here, drawn=drawn)
with st.container():
    failed_panel(area, failures)
listed, shelved = st.tabs(
    [
        _("Found ({count})").format(count=len(found)),
        _("Here ({count})").format(count=len(images)),
    ]
)
with listed:
    if kept:
        found_panel(area, stamp, kept, view, here)
        looked_panel(area, kept, view)
    else:
        st.caption(_("What a search finds is listed here."))
with shelved:
    shelf_panel(area, images, view)
remember_imagery(area, view)
