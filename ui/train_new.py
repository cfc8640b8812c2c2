"""A new run: pictures, model, preset, what it takes, and the settings that matter first."""

from pathlib import Path

import streamlit as st

from core import intake
from core.chips.sets import ChipSets
from core.text import filled
from models import estimate, resuming, runs, sets
from models.config import RunConfig
from ui import cached, charts, train_charts
from ui.choice import held_choice
from ui.choose_file import choose_file
from ui.errors import plain, shown_errors
from ui.language import _
from ui.quantities import size_text, value_text
from ui.server import workspace
from ui.state import TrainView, app_state
from ui.train_list import has_pytorch
from ui.train_scales import notes_before
from ui.train_settings import settings_form
from ui.train_words import setting_words

_SUFFIXES = (".npy", ".gz", ".idx", "idx3-ubyte")
_UPLOAD = "upload"


def new_run(found: list[runs.Run], view: TrainView) -> None:
    """Draw the form of a new run."""
    form, side = st.columns([3, 2], gap="large")
    with form:
        source = _pictures(view)
    if source is None:
        with side:
            st.info(
                _(
                    "Choose what the networks learn from: a set of chips, a file of pictures, or"
                    " the digits that come with scikit-learn."
                )
            )
        return
    with form:
        facts = None
        with shown_errors():
            facts = cached.picture_set(source, _stamp(source))
        if facts is None:
            return
        making = settings_form(facts, found, view)
    with side:
        config = None
        with shown_errors():  # above the button that it locks
            config = making()
        if config is not None:
            _expected(config, facts, found)
        is_possible = config is not None and _is_possible(config)
        pressed = st.button(
            _("Start the run"), type="primary", width="stretch",
            disabled=not (is_possible and has_pytorch()),
        )  # fmt: skip
        if pressed and config is not None:
            _start(config, view)


def _pictures(view: TrainView) -> str | None:
    """Draw the choice of pictures and return what `models.sets.open_chips` takes."""
    space = workspace()
    names = {name: name for name in ChipSets(space.root).ids()}
    for path in sets.kept_pictures(space.root):
        names[str(path.resolve())] = path.name.partition("-")[2]
    names[sets.DIGITS] = _("Digits of scikit-learn: 1,797 of 8 × 8 pixels")
    names[_UPLOAD] = _("A file of my own: NPY or MNIST's IDX …")
    chosen = held_choice(
        setting_words("data"),
        names,
        view.draft,
        "data",
        help=_("Sets of chips are cut on the Chips page, or by “core chips make”."),
    )
    if chosen != _UPLOAD:
        _forgetting(space.root, chosen, view)
        return chosen
    file = choose_file(
        "training-pictures", _SUFFIXES, label=_("NPY of uint8 (n, channels, side, side), or IDX")
    )
    if file is None:
        return None
    with shown_errors():
        path = file[0]
        if (space.root / "uploads").resolve() in path.resolve().parents:
            path = sets.keep_pictures(space.root, path)
            app_state().uploads.pop("training-pictures", None)
            view.draft["data"] = str(path.resolve())
            st.rerun()
        return str(path.resolve())
    return None


def _forgetting(root: Path, chosen: str, view: TrainView) -> None:
    """Offer to delete an uploaded file of pictures."""
    path = Path(chosen)
    if path.parent != (root / "pictures").resolve():
        return
    if st.button(
        _("Delete this file ({size})").format(size=size_text(path.stat().st_size)),
        type="tertiary",
        help=_("Runs on it can be looked at, but not go on any more."),
    ):
        sets.forget_pictures(root, path)
        view.draft.pop("data", None)
        st.rerun()


def _stamp(source: str) -> int:
    """Return a number that changes with the pictures."""
    if sets.is_set(source):
        source = str(workspace().root / "chips" / source / "set.json")
    path = Path(source)
    return intake.stamp(path) if path.is_file() else 0


def _expected(config: RunConfig, facts: sets.SetFacts, found: list[runs.Run]) -> None:
    """Say what the run would take, draw its learning rate, and say what speaks against it."""
    ended = tuple(run.id for run in found if not run.is_active)[:12]
    speed = estimate.fitting(cached.run_speeds(ended), config, gpus=len(estimate.gpus()))
    expected = None
    if speed is not None:
        expected = estimate.estimate(config, facts.count, speed)
        boxes = st.columns(3)
        boxes[0].metric(_("Time"), duration_text(expected.seconds))
        boxes[1].metric(_("Memory"), size_text(expected.memory_mb * (1 << 20)))
        boxes[2].metric(_("Disk"), size_text(expected.disk_mb * (1 << 20)))
        text = (
            _("Estimates for {steps} steps. Time from the run “{run}” on this device.")
            if speed.run
            else _(
                "Estimates for {steps} steps. Time as on one thread of another machine: no run was"
                " made here."
            )
        )
        st.caption(text.format(steps=value_text(expected.steps), run=plain(speed.run)))
    else:
        st.caption(_("How long it takes is known after the first run on this GPU."))
    training = config.training
    figure = train_charts.learning_rates(training.schedule, training.lr, training.fits)
    st.plotly_chart(figure, config=charts.config(), width="stretch", key="new-rates")
    for template, values in estimate.doubts(config, facts.count, expected):
        st.warning(plain(filled(template, values, _)))
    notes_before(config)


def duration_text(seconds: float) -> str:
    """Write how long something takes: 40 s, 7 min, 3.5 h, 12 days."""
    if seconds < 90:
        return _("{count} s").format(count=max(1, round(seconds)))
    if seconds < 5400:
        return _("{count} min").format(count=round(seconds / 60))
    if seconds < 48 * 3600:
        return _("{count:.1f} h").format(count=seconds / 3600)
    return _("{count:.0f} days").format(count=seconds / 86_400)


def _is_possible(config: RunConfig) -> bool:
    """Tell whether a run could train on its pictures; say why not."""
    with shown_errors():
        resuming.check_source(config)
        return True
    return False


def _start(config: RunConfig, view: TrainView) -> None:
    root = workspace().root / "runs"
    with shown_errors():
        folder = runs.create(root, config)
        runs.start(folder)
        view.see, view.run, view.step = "watch", folder.name, None
        app_state().notice = _("The run is started.")
        st.rerun()
