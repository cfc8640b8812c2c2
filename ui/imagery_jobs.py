"""The long work of the Imagery page: searching, fetching, making a layer of a band."""

from functools import partial

import streamlit as st

from core.jobs import Job
from core.workspace import Area
from ui.errors import plain
from ui.frame import area_title
from ui.language import _
from ui.layer_panel import show_new_layer
from ui.progress import is_running, job_panel, submit_again
from ui.state import ImageryView, app_state


def imagery_jobs(area: Area, view: ImageryView) -> None:
    """Show the jobs of the page that run or have ended badly."""
    for purpose, title, taken in (
        (f"search-{area.id}", _("Searching for images"), partial(_take_search, view)),
        (f"imagery-{area.id}", _("Fetching images"), partial(_take_fetch, view)),
    ):
        job_panel(
            purpose,
            title=title,
            area=area.id,
            on_done=taken,
            retry=partial(submit_again, purpose) if app_state().outside else None,
            is_kept=True,
        )
    job_panel(f"add-{area.id}", title=_("Working on a layer"), area=area.id, on_done=show_new_layer)


def _take_search(view: ImageryView, job: Job) -> str:
    """Show the answer of a search that has ended, and say how many images it found."""
    view.search, view.looked = str(job.result["search"]), ""
    view.chosen.pop(view.search, None)
    view.turn += 1
    text = _("Images found: {count}.").format(count=job.result["found"])
    if job.result["refused"]:
        text += " " + _("Entries passed over: {count}.").format(count=job.result["refused"])
    return text


def _take_fetch(view: ImageryView, job: Job) -> str:
    """Put the first image of a fetch that has ended on the map, and say what came of it."""
    view.shelf = next(iter(job.result["images"]), view.shelf)
    images, failed = len(job.result["images"]), len(job.result["failed"])
    text = _("Fetched and here: {count}.").format(count=images)
    if failed:
        text += " " + _("Not fetched: {count}.").format(count=failed)
    return text


def nothing_yet(area: Area) -> None:
    """Say how to begin, where nothing was found yet; nothing while a search runs or has failed."""
    if is_running(f"search-{area.id}") or "imagery" in app_state().no_access:
        return
    text = _(
        "No images of {area} were searched for yet. Switch requests on, on the left, and search:"
        " the catalogue tells which images there are, and nothing is fetched before you choose."
    )
    if app_state().outside:
        text = _(
            "No images of {area} were searched for yet. Press Search on the left: the catalogue"
            " tells which images there are, and nothing is fetched before you choose."
        )
    st.info(text.format(area=plain(area_title(area))))
