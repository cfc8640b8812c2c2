"""Which run is watched, and what can be done with one that has ended."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any, cast, get_args

import pandas as pd
import streamlit as st

from core.errors import AppError
from core.text import filled
from models import resuming, runs
from models.config import Precision, RunConfig, Schedule
from models.progressive import further
from ui.choice import choice, distinct
from ui.errors import plain, show_error, shown_errors
from ui.language import _
from ui.server import workspace
from ui.state import TrainView, app_state, draw_showing, widget_value
from ui.train_fields import device_choice, read_number
from ui.train_words import run_line, setting_words, told_apart, value_words

_RUN, _SEE = "train-run", "train-see"


def has_pytorch() -> bool:
    """Tell whether runs can be computed here; the library itself is not loaded."""
    return all(find_spec(name) is not None for name in ("torch", "safetensors"))


def pytorch_note() -> None:
    """Say how to install PyTorch where it is missing."""
    if not has_pytorch():
        st.info(
            _(
                "PyTorch is not installed: runs can be looked at, not started. Install it with"
                " “make models” in the program's folder (some 5 GB)."
            )
        )


def all_runs() -> list[runs.Run]:
    """Return all readable runs, newest first."""
    return runs.runs(workspace().root / "runs")


def sharp_pictures() -> None:
    """Show every pixel of the page's pictures as it is, enlarged without smoothing."""
    st.html(
        '<style>[data-testid="stImage"] img { image-rendering: pixelated; border-radius: 0; }'
        "</style>"
    )


def view_choice(views: dict[str, str], view: TrainView) -> None:
    """Draw the choice between the parts of the page."""

    def chosen() -> None:
        view.see = widget_value(_SEE)

    if view.see not in views:
        view.see = "watch"
    draw_showing(
        view.see,
        st.segmented_control,
        _("Show"),
        list(views),
        key=_SEE,
        on_change=chosen,
        required=True,
        label_visibility="collapsed",
        format_func=lambda name: views[name],
    )  # fmt: skip


def run_choice(found: list[runs.Run], view: TrainView) -> runs.Run | None:
    """Draw the choice of the watched run, and return it; None where there are no runs."""
    if not found:
        return None
    by_id = {one.id: one for one in found}
    if view.run not in by_id:
        if view.run:
            text = _("There is no run {name}; the newest is shown.")
            st.toast(text.format(name=plain(view.run)))
            view.step = None
        view.run = found[0].id
    lines = distinct({one.id: run_line(one) for one in found})

    def chosen() -> None:
        found = widget_value(_RUN)
        if found != view.run:
            view.run, view.step, view.asked = found, None, ""

    draw_showing(
        view.run, st.selectbox, _("Run"), list(lines), key=_RUN, on_change=chosen,
        label_visibility="collapsed", format_func=lambda one: lines[one],
    )  # fmt: skip
    return by_id[view.run]


def ended_panel(found: runs.Run, view: TrainView) -> None:
    """Draw what can be done with a run that has ended: go on, add epochs, delete."""
    is_done = found.state == "done"
    with st.expander(_("Go on with this run, or delete it"), expanded=not is_done):
        config = _changed(found, is_done=is_done)
        left, right, _rest = st.columns([2, 1, 3])
        pressed = left.button(
            _("Go on"), type="primary", width="stretch", key=f"on-{found.id}",
            disabled=not has_pytorch() or config is None,
            help=_("From its newest checkpoint, in a process of its own."),
        )  # fmt: skip
        with right.popover(_("Delete"), width="stretch"):
            st.write(_("Delete the run with its samples and checkpoints?"))
            if st.button(_("Delete for good"), type="primary", key=f"delete-{found.id}"):
                _delete(found, view)
        if config is None:
            return
        if pressed:
            view.asked = "" if _resumed(found, config, is_sure=False) else "resume"
        if view.asked == "resume":
            _ask(found, config, view)


def _changed(found: runs.Run, *, is_done: bool) -> RunConfig | None:
    """Draw the settings that a run may go on with, and return them; None if it cannot."""
    before, training = found.config, found.config.training
    boxes = st.columns(5, vertical_alignment="bottom")
    more = boxes[0].number_input(
        _("More epochs (one more fit)"), int(is_done), 100_000, 5 if is_done else 0,
        key=f"more-{found.id}",
        help=_("The schedule of the learning rate begins anew with each fit."),
    )  # fmt: skip
    rate = boxes[1].text_input(
        setting_words("training.lr"), f"{training.lr:g}", key=f"re-lr-{found.id}"
    )
    schedules = {name: value_words(name) for name in get_args(Schedule)}
    schedule = choice(
        setting_words("training.schedule"), schedules, value=training.schedule,
        place=boxes[2], key=f"re-schedule-{found.id}",
    )  # fmt: skip
    precisions = {name: value_words(name) for name in get_args(Precision)}
    precision = choice(
        setting_words("precision"), precisions, value=before.precision,
        place=boxes[3], key=f"re-precision-{found.id}",
    )  # fmt: skip
    device = device_choice(place=boxes[4], key=f"re-device-{found.id}", value=before.device)
    with shown_errors():
        changed = replace(training, lr=read_number(rate), schedule=cast(Schedule, schedule))
        config = replace(
            before, training=changed, precision=cast(Precision, precision), device=device
        )
        resuming.check_pictures(found.folder, config)
        if more:
            config = resuming.extended(config, int(more))
            for template, values in further(config):
                st.caption(plain(filled(template, values, _)))
        return config
    return None


def _resumed(found: runs.Run, config: RunConfig, *, is_sure: bool) -> bool:
    """Go on with a run unless the user has to be asked; tell whether that is settled."""
    try:
        if not is_sure and resuming.differences(found.folder, config):
            return False
        resuming.resume(found.folder, config)
    except AppError as err:
        show_error(err)
    else:
        app_state().train.step = None
        st.rerun()
    return True


def _ask(found: runs.Run, config: RunConfig, view: TrainView) -> None:
    changes = resuming.differences(found.folder, config)
    if not changes:
        view.asked = ""
        return
    st.warning(_("The run would go on with these differences from before. Is that meant?"))
    st.dataframe(changes_table(changes), hide_index=True, width="stretch")
    yes, no, _rest = st.columns([2, 1, 3])
    if yes.button(_("Go on with these differences"), type="primary", width="stretch"):
        view.asked = ""
        _resumed(found, config, is_sure=True)
    if no.button(_("Leave it"), width="stretch"):
        view.asked = ""
        st.rerun()


def changes_table(changes: list[resuming.Change]) -> pd.DataFrame:
    """Return settings that differ, as people read them."""
    rows: list[dict[str, Any]] = []
    for one in changes:
        before, after = told_apart([one.before, one.after])
        rows.append({_("Setting"): setting_words(one.name), _("Before"): before, _("Now"): after})
    return pd.DataFrame(rows)


def _delete(found: runs.Run, view: TrainView) -> None:
    with shown_errors():
        runs.delete(workspace().root / "runs", found.id)
        view.run, view.step, view.asked = "", None, ""
        text = _("The run {title} is deleted.").format(title=plain(found.config.title))
        app_state().notice = text
        st.rerun()
