"""One run, as it goes: state, samples through time, and panels at the step of one slider."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from core import store
from core.errors import AppError
from models import runs
from models.alarms import alarms
from models.follow import Figures
from models.series import at_or_before, at_step, pace
from ui import cached
from ui.errors import plain
from ui.language import _
from ui.quantities import left_text, size_text, value_text
from ui.server import workspace
from ui.state import TrainView, app_state, draw_showing, widget_value
from ui.train_address import remember_train
from ui.train_panels import PANELS, Seen, panel_names
from ui.train_scales import by_scale, real_at_scale, scale_figures, scale_words
from ui.train_words import device_words, state_of, state_words

_LOOKS_EVERY_S = 0.5
_DRAWS_EVERY_S = 2.0
_STEP, _PANEL = "train-step", "train-panel"


def watched_run(found: runs.Run) -> None:
    """Draw the monitor of a run; while it runs, what is new appears by itself."""
    every = _DRAWS_EVERY_S if found.is_active else None
    if found.is_active:
        # Drawn anew every two seconds: where the training leaves the app little of the processor,
        # Streamlit would fade the whole page each time.
        st.html('<style>[data-stale="true"] { opacity: 1 !important; transition: none; }</style>')
    st.fragment(_monitor, run_every=every)(found.id)


@st.fragment(run_every=_LOOKS_EVERY_S)
def run_watch(before: tuple[object, ...]) -> None:
    """Run the page again as soon as a run has come, gone, or changed its state."""
    if runs.signature(workspace().root / "runs") != before:
        st.rerun()


def _monitor(run_id: str) -> None:
    root = workspace().root / "runs"
    try:
        found = runs.run(runs.folder_of(root, run_id))
    except AppError:
        return  # deleted: the watch beside this runs the page again
    figures = cached.follower(str(found.folder.resolve())).read()
    _state_line(found, figures)
    if found.state == "queued":
        _queued(root, found)
    sheets = runs.samples(found.folder)
    seen = Seen(
        run=found,
        figures=figures,
        slot=_facts(found.folder, "slot.json", "run-slot"),
        plan=runs.plan_of(found),
        reals=_facts(found.folder, "reals.json", "run-reals"),
        data=_facts(found.folder, "data.json", "run-data"),
        step=None,
    )
    _key_figures(seen)
    scale_figures(seen)
    _alarms(seen)
    step = _slider(list(sheets))
    seen = replace(seen, step=step)
    if step is None:
        if not found.is_active and not figures.training:
            st.info(_("This run has no pictures yet: it ended before its first step."))
    else:
        _pictures(seen, sheets)
    if figures.training or not found.is_active:
        _panels(seen)
    remember_train()


def _facts(folder: Path, name: str, kind: str) -> dict[str, Any]:
    with suppress(AppError):
        return store.read_json(folder / name, kind=kind, version=runs.VERSION)
    return {}


def _state_line(found: runs.Run, figures: Figures) -> None:
    state = state_of(found)
    slot = _facts(found.folder, "slot.json", "run-slot")
    total = slot.get("total", 0)
    text, button = st.columns([5, 1], vertical_alignment="center")
    is_starting = found.state == "queued" and _is_starting(found)
    words = [
        f"**{plain(found.config.title)}**",
        _("is starting") if is_starting else state_words(state),
    ]
    if slot:
        words.append(plain(device_words(slot)))
    step = int(found.result.get("step", figures.step))  # a stop is not at a row of figures
    if total:
        words.append(_("step {step} of {total}").format(
            step=value_text(step), total=value_text(total)
        ))  # fmt: skip
    if found.state == "running" and total:
        left = _pace(found, figures, slot).seconds_left
        words.append(left_text(left) if state == "running" else _("saving a checkpoint"))
        text.progress(min(step / total, 1.0), text=" · ".join(w for w in words if w))
    else:
        text.markdown(" · ".join(words))
    if found.is_active:
        if button.button(
            _("Stop"), key=f"stop-{found.id}", width="stretch", disabled=state == "stopping",
            help=_("Saves a checkpoint first; the run can go on from it."),
        ):  # fmt: skip
            runs.stop(found.folder)
            st.rerun()
    elif _can_generate(found) and button.button(
        _("Generate"), key=f"generate-{found.id}", width="stretch",
        help=_("Make pictures with its newest checkpoint."),
    ):  # fmt: skip
        app_state().generate.turn_to(f"run/{found.id}")
        st.switch_page("pages/generate.py")
    if found.state == "failed":
        error = AppError(found.problem, hint=found.hint, **found.values)
        show = st.warning if found.is_broken_off else st.error
        show(plain(error.message(_)))


def _can_generate(found: runs.Run) -> bool:
    return found.config.model == "stylegan" and runs.newest_checkpoint(found.folder) is not None


def _is_starting(found: runs.Run) -> bool:
    return runs.queue_place(workspace().root / "runs", found) == (1, True)


def _queued(root: Path, found: runs.Run) -> None:
    if _is_starting(found):
        st.info(_("It is starting: PyTorch is loaded and the pictures are read."))
        return
    place, _is_free = runs.queue_place(root, found)
    text = _("It waits for its turn, place {place} of the queue: one run computes at a time on a"
             " device. It begins by itself.").format(place=place)  # fmt: skip
    computing = [plain(one.config.title) for one in runs.runs(root) if one.state == "running"]
    if computing:
        text += " " + _("Computing now: {names}.").format(names=", ".join(computing[:3]))
    st.info(text)


def _pace(found: runs.Run, figures: Figures, slot: dict[str, Any]) -> Any:
    elapsed = 0.0
    with suppress(OSError):
        begun = (found.folder / "slot.json").stat().st_mtime
        elapsed = (found.folder / "metrics.jsonl").stat().st_mtime - begun
    return pace(
        figures.training,
        from_step=slot.get("from_step", 0),
        total=slot.get("total", 0),
        elapsed_s=elapsed,
    )


def _key_figures(seen: Seen) -> None:
    rows, measured = seen.figures.training, seen.figures.measured
    if not rows:
        return
    at = app_state().train.step  # None: the newest figures
    last = (rows[-1] if at is None else at_step(rows, at)) or {}  # nothing before the first row
    boxes = st.columns(5)
    epochs = sum(seen.run.config.training.fits)
    boxes[0].metric(_("Epoch"), f"{last.get('epoch', -1) + 1} / {epochs}")
    if seen.run.config.adversary.objective == "wasserstein":
        value = last.get("critic_smooth")
        boxes[1].metric(
            _("Estimated distance"), _number(None if value is None else -value),
            help=_("Minus the critic's smoothed loss: the earth mover's distance up to a factor."),
        )  # fmt: skip
    else:
        text = " / ".join(_number(last.get(f"{name}_smooth")) for name in ("critic", "generator"))
        boxes[1].metric(_("Loss, critic / generator"), text)
    newest = at_step(measured, seen.figures.step if at is None else at) or {}
    boxes[2].metric(
        _("Sliced Wasserstein"), _number(newest.get("swd_mean")),
        help=_("Mean over the scales, in thousandths; smaller is nearer to real pictures."),
    )  # fmt: skip
    boxes[3].metric(
        _("Diversity"), _number(newest.get("diversity")),
        help=_("Mean distance of two samples over that of two real pictures: 1 is as varied."),
    )  # fmt: skip
    speed = _pace(seen.run, seen.figures, seen.slot).images_per_s
    memory = last.get("memory_mb")
    boxes[4].metric(
        _("Pictures a second"),
        _number(None if speed is None else float(f"{speed:.3g}")),
        help=_("While it trains. Most memory so far: {memory}.").format(
            memory="–" if memory is None else size_text(memory * (1 << 20))
        ),
    )


def _number(value: float | None) -> str:
    """Write a figure that may not be known yet."""
    return "–" if value is None else value_text(value)


def _alarms(seen: Seen) -> None:
    rows = sorted(
        [*seen.figures.training, *seen.figures.measured], key=lambda row: int(row["step"])
    )
    for alarm in alarms(rows):
        st.warning(plain(alarm.message(_)))


def _slider(steps: Sequence[int]) -> int | None:
    """Draw the slider through time and return the step that all panels show."""
    view = app_state().train
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def moved() -> None:
        chosen = widget_value(_STEP)
        view.step = None if chosen == steps[-1] else int(chosen)

    shown = steps[-1] if view.step is None else at_or_before(steps, view.step)
    draw_showing(
        shown,
        st.select_slider,
        _("Step that all pictures and panels show"),
        list(steps),
        key=_STEP,
        on_change=moved,
        format_func=lambda step: f"{step:,}",
        help=_("At its right end it follows the run."),
    )
    return shown


def _pictures(seen: Seen, sheets: dict[int, Path]) -> None:
    left, right = st.columns(2)
    with suppress(OSError):  # taken away by a run that goes on from an earlier checkpoint
        body = sheets[seen.step or 0].read_bytes()
        left.image(body, width="stretch")
        left.caption(
            _("Generated at step {step}, always of the same {count} latents").format(
                step=value_text(seen.step), count=seen.run.config.training.samples
            )
            + scale_words(seen)
        )
    with suppress(OSError):
        found = real_at_scale(seen)
        if found is None:
            right.image((seen.run.folder / "samples" / "reals.png").read_bytes(), width="stretch")
            right.caption(_real_words(seen.data, seen.data.get("size_px", 1)))
        else:
            right.image(found[0], width="stretch")
            right.caption(_real_words(seen.data, found[1]))


def _real_words(data: dict[str, Any], size_px: int) -> str:
    metres = data.get("metres_per_px")
    if not metres:
        return _("Real pictures of the training set")
    side = metres * data["size_px"]
    return _("Real chips of the training set: {side:g} m a side, {metres:g} m a pixel").format(
        side=round(side, 2), metres=round(side / size_px, 3)
    )


def _panel_choice(names: dict[str, str], view: TrainView) -> None:
    def chosen() -> None:
        view.panel = widget_value(_PANEL)

    draw_showing(
        view.panel, st.segmented_control, _("Panel"), list(names), key=_PANEL, on_change=chosen,
        required=True, format_func=lambda name: names[name], label_visibility="collapsed",
    )  # fmt: skip


def _panels(seen: Seen) -> None:
    view = app_state().train
    names = panel_names(by_scale=seen.run.config.model == "stylegan")
    if view.panel not in names:
        view.panel = "losses"
    _panel_choice(names, view)
    {**PANELS, "scales": by_scale}[view.panel](seen)
