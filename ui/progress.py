"""Long work on a page: how far it is, how long it still takes, cancel, what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import streamlit as st

from core import jobs
from core.errors import AppError
from ui.errors import plain
from ui.language import _
from ui.quantities import left_text
from ui.server import workspace
from ui.state import app_state

_WORKS = {
    "add": ("add-layer", "make-layer", "image-layer"),
    "quadrats": ("quadrats",),
    "clusters": ("clusters",),
    "cozy": ("cozy-zone",),
    "search": ("search-imagery",),
    "imagery": ("fetch-imagery",),
    "layers": ("fetch-layers",),
    "cut": ("cut-chips",),
    "import": ("import-chips",),
    "export": ("export-chips",),
}
"""What the jobs of a purpose do, by the first part of its name."""


def job_panel(
    purpose: str,
    *,
    title: str,
    area: str = "",
    retry: Callable[[], str] | None = None,
    on_done: Callable[[jobs.Job], str] | None = None,
    watched_area: str = "",
    is_kept: bool = False,
    names: Mapping[str, str] = MappingProxyType({}),
    anywhere: bool = False,
) -> None:
    """Show the job that this session watches for `purpose`; nothing where there is none.

    Where `area` is given, a session that is new, as after a reload, looks once for a job of the
    purpose that runs on it, whoever started it; with `anywhere` for one on any area. When the job
    ends the whole page runs again; `on_done` takes its result over and returns the sentence to
    show. Where `watched_area` is given, the page also runs again whenever that area changes.
    `is_kept`: what has come stays when the job ends before its time, and the next one goes on from
    there. `names` are shown in place of ids that a report holds.
    """
    if (area or anywhere) and purpose not in app_state().jobs:
        app_state().jobs[purpose] = _running_job(purpose, None if anywhere else area)
    job_id = app_state().jobs.get(purpose)
    if not job_id:
        return
    try:
        found = jobs.job(workspace().root / "jobs", job_id)
    except AppError:
        app_state().jobs.pop(purpose)
        return
    if found.state == "running":
        stamp = workspace().stamp(watched_area)
        _running(purpose, job_id, title, watched_area, stamp, dict(names))
    elif found.state == "done":
        app_state().jobs.pop(purpose)
        done = _("Done: {title}").format(title=plain(title))
        try:
            app_state().notice = on_done(found) if on_done else done
        except AppError as err:  # what the job made was deleted meanwhile
            app_state().notice = plain(err.message(_))
        st.rerun()
    else:
        _ended(purpose, found, title, retry, is_kept)


def is_watched(*purposes: str) -> bool:
    """Tell whether this session watches a job of one of the purposes."""
    return any(app_state().jobs.get(purpose) for purpose in purposes)


def is_running(purpose: str) -> bool:
    """Tell whether a job that this session watches runs; one that failed keeps nobody waiting."""
    job_id = app_state().jobs.get(purpose)
    if not job_id:
        return False
    try:
        return jobs.job(workspace().root / "jobs", job_id).state == "running"
    except AppError:
        return False


def forget_ended(purpose: str) -> None:
    """Let go of a job that has ended, so that its error does not stay beside what comes next."""
    if not is_running(purpose):
        app_state().jobs.pop(purpose, None)


def _running_job(purpose: str, area: str | None) -> str:
    """Return the id of the running job of a purpose, on an area unless None; "" for none."""
    root = workspace().root / "jobs"
    for work in _WORKS.get(purpose.split("-")[0], ()):
        for found in jobs.jobs(root, work):
            is_here = area is None or found.config.get("area") == area
            if found.state == "running" and is_here:
                return found.id
    return ""


@st.fragment(run_every=0.5)
def _running(
    purpose: str, job_id: str, title: str, watched_area: str, stamp: int, names: dict[str, str]
) -> None:
    found = jobs.job(workspace().root / "jobs", job_id)
    if found.state != "running" or workspace().stamp(watched_area) != stamp:
        st.rerun()
    with st.container(border=True):
        text, button = st.columns([5, 1], vertical_alignment="center")
        values = {key: names.get(str(of), of) for key, of in found.progress.values.items()}
        doing = replace(found.progress, values=values)
        parts = [doing.message(_), left_text(found.progress.seconds_left)]
        text.progress(
            found.progress.share,
            text=f"**{plain(title)}** · " + " · ".join(plain(part) for part in parts if part),
        )
        if button.button(_("Cancel"), key=f"cancel-{purpose}", width="stretch"):
            jobs.cancel(workspace().root / "jobs", job_id)


def submit_again(purpose: str) -> str:
    """Start the job that this session watches for a purpose once more; return the new id."""
    root = workspace().root / "jobs"
    old = jobs.job(root, app_state().jobs[purpose])
    return jobs.submit(root, old.work, old.config)


def _ended(
    purpose: str,
    found: jobs.Job,
    title: str,
    retry: Callable[[], str] | None,
    is_kept: bool,
) -> None:
    with st.container(border=True):
        if found.state == "cancelled":
            text = _("{title}: cancelled. Nothing half-done was kept.")
            if is_kept:
                text = _("{title}: cancelled. What has come is kept and is not fetched again.")
            st.info(text.format(title=plain(title)))
        else:
            error = AppError(found.problem, hint=found.hint, **found.values)
            st.error(f"{plain(title)}: {plain(error.message(_))}")
        with st.container(horizontal=True):
            if retry and st.button(
                _("Go on") if is_kept else _("Try again"), key=f"again-{purpose}", type="primary"
            ):
                app_state().jobs[purpose] = retry()
                st.rerun()
            if st.button(_("Dismiss"), key=f"dismiss-{purpose}"):
                app_state().jobs.pop(purpose)
                st.rerun()
