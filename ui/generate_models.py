"""Which model pictures are made with: the choice, what is known of it, the list of all."""

import math
from contextlib import suppress

import pandas as pd
import streamlit as st

from core.chips.channels import Channel
from core.chips.sets import ChipSets, SetInfo
from core.errors import AppError
from core.text import N_
from models import catalogue, imports, runs
from models.catalogue import Entry
from models.progressive import size_of_depth
from models.sets import is_set, source_name
from ui import cached_models
from ui.choice import distinct
from ui.errors import plain, shown_errors
from ui.generate_view import GenerateView
from ui.generate_words import metres_at, scale_words
from ui.language import _
from ui.quantities import value_text
from ui.server import workspace
from ui.state import app_state, draw_showing, widget_value

_SHIPPED = (N_("Aerial pictures, 64 m"), N_("Land cover, 320 m"))
_MODEL, _STEP = "generate-model", "generate-step"
_DIGITS = 16
_TITLE_PX, _STEP_PX, _FIGURES_PX = 480, 150, 520
"""Widths in a row; where they do not fit, as at 900 px, the figures come beneath."""


def pytorch_missing() -> None:
    """Say how to install PyTorch, and end the page."""
    st.info(
        _(
            "Pictures are made with PyTorch, which is not installed: install it with “make models”"
            " in the program's folder (some 5 GB)."
        )
    )
    st.stop()


def no_models() -> None:
    """Say how the first model comes, and end the page."""
    st.info(
        _(
            "There is no StyleGAN to make pictures with yet: train a small one, or bring in a file"
            " of StyleGAN.pytorch."
        )
    )
    left, right, _rest = st.columns([2, 2, 4])
    if left.button(_("Train a small one"), type="primary", width="stretch"):
        to_training("new")
    if right.button(_("Bring in a file"), width="stretch"):
        to_training("old")
    st.stop()


def to_training(see: str) -> None:
    """Turn to a part of the Train page."""
    state = app_state()
    state.train.see = see
    if see == "new":
        state.train.draft["model"] = "stylegan"
    st.switch_page("pages/train.py")


def chosen_model(found: list[Entry], view: GenerateView) -> Entry:
    """Return the model of the session or of a link; the nearest to it where it is not here.

    A link's digest comes first: the same weights may lie under another name here. Of a run that
    went on, its newest checkpoint stands in for one that was let go.
    """
    wanted = _wanted(found, view)
    if wanted is None:
        view.gone = view.model or view.digest
        wanted = _of_same_run(view.model) or found[0]
    elif view.digest and not _has_digest(wanted, view):
        st.warning(
            _(
                "The weights of {name} are not those that the link was made with: its pictures are"
                " others."
            ).format(name=plain(wanted.title))
        )
    if view.gone:
        _say_gone(wanted, view.gone)
    if view.model != wanted.id:
        view.model, view.picture = wanted.id, None
    view.digest = wanted.digest[:_DIGITS]
    return wanted


def _wanted(found: list[Entry], view: GenerateView) -> Entry | None:
    named = [one for one in found if view.model and one.id == view.model]
    if not named and view.model:
        with suppress(AppError, ValueError):
            named = [catalogue.entry(workspace().root, view.model)]
    same = [one for one in [*named, *found] if _has_digest(one, view)]
    return next(iter([*same, *named]), None)


def _has_digest(entry: Entry, view: GenerateView) -> bool:
    return len(view.digest) >= _DIGITS and entry.digest.startswith(view.digest)


def _of_same_run(model_id: str) -> Entry | None:
    """Return the newest checkpoint of a run of which one step is asked for."""
    kind, _slash, rest = model_id.partition("/")
    if kind == "run":
        with suppress(AppError, ValueError):
            return catalogue.entry(workspace().root, f"run/{rest.partition('/')[0]}")
    return None


def _say_gone(shown: Entry, gone: str) -> None:
    """Say that another model is shown than was asked for, as long as it is."""
    step = gone.rpartition("/")[2]
    if _run_of(shown) and gone.startswith(f"run/{_run_of(shown)}/") and step.isdecimal():
        text = _(
            "The checkpoint of step {step} is not kept any more: a run keeps its newest ones, the"
            " ends of its fits and the best. Its newest is shown, step {newest}: other pictures."
        )
        newest = shown.id.rpartition("/")[2]
        st.warning(text.format(step=f"{int(step):,}", newest=f"{int(newest):,}"))
    else:
        text = _("There is no model {name} here; {other} is shown.")
        st.warning(text.format(name=plain(gone), other=plain(shown.title)))


def model_choice(found: list[Entry], chosen: Entry, view: GenerateView) -> None:
    """Draw the choice of the model, and of the step where it is a run's."""
    run_id = _run_of(chosen)
    ids = {one.id: one for one in found if _run_of(one) != run_id or not run_id}
    names = {chosen.id: model_title(chosen)} if chosen.id not in ids else {}
    for one in found:
        if one.id in ids:
            names[one.id] = model_title(one)
    titles = distinct(names)
    steps = catalogue.steps_of(workspace().root, run_id) if run_id else []

    def turned() -> None:
        view.turn_to(widget_value(_MODEL))

    draw_showing(
        chosen.id, st.selectbox, _("Model"), list(titles), key=_MODEL, on_change=turned,
        label_visibility="collapsed", width=_TITLE_PX,
        format_func=lambda one: titles.get(one, one),
    )  # fmt: skip
    if len(steps) < 2:
        return

    def stepped() -> None:
        view.turn_to(f"run/{run_id}/{widget_value(_STEP)}")

    draw_showing(
        int(chosen.id.rpartition("/")[2]), st.selectbox, _("Step"), steps[::-1], key=_STEP,
        on_change=stepped, label_visibility="collapsed", width=_STEP_PX,
        format_func=lambda step: _("step {step}").format(step=f"{step:,}"),
    )  # fmt: skip


def _run_of(entry: Entry) -> str:
    return entry.id.split("/")[1] if entry.kind == "run" else ""


def model_title(entry: Entry) -> str:
    """Write a model with where it comes from: Prairie · comes with the program."""
    kinds = {
        "shipped": _("comes with the program"),
        "run": _("run of {time}").format(time=_started(entry)),
        "import": _("brought in"),
        "file": _("file"),
    }
    title = _(entry.title) if entry.kind == "shipped" else entry.title
    return f"{title} · {entry.networks.size_px} px · {kinds[entry.kind]}"


def _started(entry: Entry) -> str:
    """Return when a run was made, in UTC, as its id says."""
    day, _t, clock = _run_of(entry).partition("-")[0].partition("t")
    return f"{day[:4]}-{day[4:6]}-{day[6:8]} {clock[:2]}:{clock[2:4]}"


def model_figures(entry: Entry, view: GenerateView) -> None:
    """Draw what is known of a model."""
    size, full = size_of_depth(entry.depth), entry.networks.size_px
    metres = metres_at(entry, entry.depth, view.metres)
    places = st.container(width=_FIGURES_PX).columns(3)
    text = f"{size} px" if size == full else f"{size} / {full} px"
    places[0].metric(
        _("Trained to"), text,
        help=_("{count} layers, two for each size from 4 px on. Each takes a style of its own.")
        .format(count=2 * (entry.depth + 1)),
    )  # fmt: skip
    places[1].metric(
        _("On the ground"),
        _("not known") if metres is None else f"{value_text(size * metres)} m",
        help=_("Side of a picture; a pixel is {metres} m.").format(
            metres=value_text(metres) if metres is not None else "?"
        ),
    )
    places[2].metric(
        _("Trained on"), plain(source_name(entry.data)) or _("not known"),
        help=_("Digest of the weights: {digest}").format(digest=entry.digest[:_DIGITS]),
    )  # fmt: skip


def set_of(entry: Entry) -> SetInfo | None:
    """Return the chip set that a model was trained on, where it is at hand: the very same chips.

    By its name and the ground that a pixel covers where the model does not know the digest of its
    chips.
    """
    info = _set_called(entry)
    if info is None or entry.data_digest not in ("", info.digest):
        return None
    return info if entry.data_digest or is_of_scale(entry, info) else None


def is_of_scale(entry: Entry, info: SetInfo) -> bool:
    """Tell whether chips have the model's metres a pixel, as far as both are known."""
    own, metres = entry.metres_per_px, info.metres_per_pixel(entry.networks.size_px)
    return own is None or metres is None or math.isclose(own, metres, rel_tol=0.01)


def has_other_set(entry: Entry) -> bool:
    """Tell whether a set of that name is here that is not the one a model was trained on."""
    return _set_called(entry) is not None and set_of(entry) is None


def _set_called(entry: Entry) -> SetInfo | None:
    if not entry.data or not is_set(entry.data):
        return None
    try:
        return ChipSets(workspace().root).info(entry.data)
    except AppError:
        return None


def channels_of(entry: Entry) -> tuple[Channel, ...]:
    """Return what the channels of a model mean; nothing where that is not known."""
    return catalogue.channels_of(entry, workspace().root)


def models_list(found: list[Entry], view: GenerateView) -> None:
    """Draw all models at hand, and the ways to more."""
    table = pd.DataFrame(
        [
            {
                _("Model"): model_title(one),
                _("Trained to"): f"{size_of_depth(one.depth)} px",
                _("Metres a pixel"): _metres_text(one),
                _("A pixel holds"): scale_words(metres_at(one, one.depth, None)) or "–",
                _("Trained on"): source_name(one.data) or "–",
                _("Licence"): str(one.card.get("licence", "–")),
                _("Digest"): one.digest[:_DIGITS],
            }
            for one in found
        ]
    )
    st.dataframe(table, hide_index=True, width="stretch")
    left, right, _rest = st.columns([2, 2, 4])
    if left.button(_("Train another"), width="stretch"):
        to_training("new")
    if right.button(_("Bring in a file"), width="stretch"):
        to_training("old")
    st.caption(
        _(
            "Files of StyleGAN.pytorch (GAN_GEN_….pth) are brought in on the Train page, under Old"
            " work; they then stand in this list. Models are held in memory as far as there is"
            " room, and let go when nobody used them for a quarter of an hour."
        )
    )
    others = [one for one in runs.runs(workspace().root / "runs") if one.config.model != "stylegan"]
    if others:
        st.caption(
            _(
                "Runs of DCGAN and WGAN ({count}) are not listed: their networks know no styles, so"
                " there is nothing to truncate or to mix. Their pictures stand on the Train page."
            ).format(count=len(others))
        )
    for one in found:
        if one.kind == "import":
            _forget_row(one)
    if view.metres is None and any(one.metres_per_px is None for one in found):
        st.caption(
            _("A file does not say what its pixels mean on the ground: say it under More settings.")
        )


def _metres_text(entry: Entry) -> str:
    metres = metres_at(entry, entry.depth, None)
    return "–" if metres is None else value_text(metres)


def _forget_row(entry: Entry) -> None:
    """Draw the way to delete a model that was brought in."""
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.markdown(plain(model_title(entry)))
    with button.popover(_("Delete"), width="stretch"):
        st.write(_("Delete the weights? Links to them show nothing any more."))
        if st.button(_("Delete for good"), type="primary", key=f"forget-{entry.id}"):
            with shown_errors():
                imports.forget(workspace().root, entry.id.partition("/")[2])
                cached_models.models_at_hand.clear()
                st.rerun()
