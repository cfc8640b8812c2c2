"""The default study area while it is being made, and the way to make it again."""

import streamlit as st

from core import jobs
from core.default_area import DEFAULT_AREA
from ui.language import _
from ui.progress import job_panel
from ui.server import (
    has_default_area,
    running_default_area,
    start_default_area,
    workspace,
)
from ui.state import app_state


def default_area_panel() -> None:
    """Show how far the simulated area is; offer to make it where it is missing."""
    watched = app_state().jobs
    if has_default_area() and not running_default_area():
        watched.pop("default-area", None)
        return
    if "default-area" not in watched:
        job_id = running_default_area() or _last_failed()
        if job_id:
            watched["default-area"] = job_id
    if "default-area" in watched:
        job_panel(
            "default-area",
            title=_("Drawing Chicago (simulated)"),
            retry=lambda: start_default_area() or "",
            watched_area=DEFAULT_AREA,
        )
    elif st.button(_("Make the simulated Chicago"), type="primary"):
        watched["default-area"] = start_default_area() or ""
        st.rerun()


def being_made(area_id: str, *, is_default: bool) -> bool:
    """Tell whether an area is the simulated one and its results are being worked out now.

    They are those of the default settings: with others nothing is on its way.
    """
    return is_default and area_id == DEFAULT_AREA and running_default_area() is not None


def being_made_note() -> None:
    """Say that what a page shows is on its way."""
    st.info(_("It is being worked out, see above, and appears here by itself."))


def _last_failed() -> str:
    found = jobs.jobs(workspace().root / "jobs", "default-area")
    return found[0].id if found and found[0].state == "failed" else ""
