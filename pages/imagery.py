"""Imagery: which aerial images there are of a study area, and which of them are taken."""

import streamlit as st

from core.connectors import shelf
from ui.errors import plain, stopping_errors
from ui.frame import all_areas, area_title, chosen_area, empty_state, page_top
from ui.imagery_found import (
    chosen_keys,
    found_panel,
    imagery_figures,
    looked_panel,
    shown_search,
    take_search,
)
from ui.imagery_map import imagery_map
from ui.imagery_panel import fetch_panel, remember_imagery, search_panel
from ui.imagery_shelf import drawn_of, failed_panel, shelf_panel, take_fetch
from ui.language import _
from ui.layer_panel import show_new_layer
from ui.outside import IMAGE_WAYS, no_access_panel
from ui.progress import is_watched, job_panel, submit_again
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
no_access_panel(IMAGE_WAYS)
for purpose, title, taken in (
    ("search", _("Searching for images"), lambda job: take_search(view, job)),
    ("imagery", _("Fetching images"), lambda job: take_fetch(view, job)),
):
    name = f"{purpose}-{area.id}"
    again = (lambda name=name: submit_again(name)) if app_state().outside else None
    job_panel(name, title=title, area=area.id, on_done=taken, retry=again, is_kept=True)
job_panel(f"add-{area.id}", title=_("Working on a layer"), area=area.id, on_done=show_new_layer)

# Call
with stopping_errors():
    images = shelf.fetched(workspace(), area.id)
    failures = shelf.failures(workspace(), area.id)
found = kept.results.found if kept else ()
keys = set(chosen_keys(area, stamp, view)) if kept else set()
chosen = [image for image in found if image.key in keys]
here = {image.key for image in found if shelf.is_there(workspace(), area.id, image)}
drawn = drawn_of(images, view)
if kept:
    fetch_panel(area, view, kept, chosen)

# Outputs
if not (kept or images or is_watched(f"search-{area.id}")):
    text = _(
        "No images of {area} were searched for yet. Switch requests on, on the left, and search:"
        " the catalogue tells which images there are, and nothing is fetched before you choose."
    )
    st.info(text.format(area=plain(area_title(area))))
if kept or images:
    imagery_figures(area, stamp, found, chosen, images)
imagery_map(area, stamp, found, view, chosen=keys, here=here, drawn=drawn)
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
