"""Chips: what will the networks learn from?"""

import streamlit as st

from ui import cached_chips
from ui.chip_files import export_panel, exported, import_panel
from ui.chip_gallery import (
    chip_panel,
    filter_panel,
    found_chips,
    gallery,
    picture_panel,
    scales,
)
from ui.chip_map import set_map
from ui.chip_plan import cut_panel
from ui.chip_sets import (
    all_sets,
    area_of,
    chosen_set,
    first_set,
    key_figures,
    made_set,
    set_choice,
    sets_panel,
    view_choice,
)
from ui.chip_statistics import statistics_panel
from ui.errors import stopping_errors
from ui.frame import all_areas, chosen_area, page_top, remember_chips
from ui.language import _
from ui.progress import job_panel
from ui.state import app_state

# Inputs
areas = all_areas()
area = chosen_area(areas)
page_top(_("Chips"), _("What will the networks learn from?"), areas=areas)
view = app_state().chips
for purpose, title, on_done in (
    ("cut", _("Cutting chips"), made_set),
    ("import", _("Taking images in"), made_set),
    ("export", _("Writing images"), exported),
):
    job_panel(purpose, title=title, on_done=on_done, anywhere=True)
infos = all_sets()
info = chosen_set(infos, view)
if info is None:
    first_set(area)
shown = view_choice(view, has_sets=info is not None)
if shown in ("cut", "import") or info is None:
    remember_chips(view)
    if shown == "import":
        import_panel(infos)
    else:
        cut_panel(area, infos)
    st.stop()

# Call
set_choice(infos, view)
own = area_of(info, areas)
key_figures(info, own)
with stopping_errors():
    chips = cached_chips.chip_set(info.id, info.digest)
    index = None
    bands: tuple[int, ...] = ()
    if shown in ("gallery", "scales"):
        bands = picture_panel(info, own, view)
        filter_panel(chips, view)
        index = found_chips(info, view)
        view.keep(index)

# Outputs
if shown == "gallery" and index is not None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        gallery(chips, index, view, bands)
    with right:
        if info.crs:  # above what grows and shrinks, so that it stays under the pointer
            set_map(chips, index, own, view, height_px=360)
        chip_panel(chips, view, bands)
elif shown == "scales" and index is not None:
    scales(chips, index, view, bands)
elif shown == "statistics":
    statistics_panel(chips, own, view)
elif shown == "export":
    export_panel(info, own)
else:
    sets_panel(infos, info, own, view)
remember_chips(view)
