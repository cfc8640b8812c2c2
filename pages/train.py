"""Train: is it learning?"""

import streamlit as st

from models import runs
from ui.frame import page_top
from ui.language import _
from ui.server import workspace
from ui.state import app_state
from ui.train_address import remember_train
from ui.train_compare import compare
from ui.train_list import (
    all_runs,
    ended_panel,
    pytorch_note,
    run_choice,
    sharp_pictures,
    view_choice,
)
from ui.train_monitor import run_watch, watched_run
from ui.train_new import new_run
from ui.train_old import old_work

# Inputs
page_top(_("Train"), _("Is it learning?"))
view = app_state().train
seen = runs.signature(workspace().root / "runs")
found = all_runs()
views = {
    "watch": _("Watch a run"),
    "new": _("New run"),
    "compare": _("Compare"),
    "old": _("Old work"),
}
left, right = st.columns(2)
with left:
    view_choice(views, view)
with right:
    chosen = run_choice(found, view) if view.see == "watch" else None
pytorch_note()
sharp_pictures()

# Call and outputs
if view.see == "new":
    new_run(found, view)
elif view.see == "compare":
    compare(found, view)
elif view.see == "old":
    old_work(found, view)
elif chosen is None:
    st.info(_("There are no runs yet."))
    if st.button(_("Set up the first run"), type="primary"):
        view.see = "new"
        st.rerun()
else:
    if not chosen.is_active:
        ended_panel(chosen, view)
    watched_run(chosen)
run_watch(seen)
remember_train()
