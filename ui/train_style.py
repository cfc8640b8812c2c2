"""The settings of a new StyleGAN: one fit a depth, 4 px first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import streamlit as st

from models.bounds import INTERVALS, PENALTY_EVERY, SAMPLES, SEEDS
from models.config import TrainConfig, read_fits
from models.presets import names_of, preset, sizes_of
from models.progressive import size_of_depth
from models.sets import SetFacts
from models.style_config import StyleAdversary, StyleNetworks, StyleObjective
from ui.choice import choice
from ui.language import _
from ui.quantities import value_text
from ui.train_fields import read_number
from ui.train_words import setting_words, value_words


def style_presets(facts: SetFacts) -> tuple[str, ...]:
    """Return the presets that are made for one of a set's sizes."""
    names = names_of("stylegan")
    return tuple(name for name in names if set(sizes_of("stylegan", name)) & set(facts.sizes))


def style_settings(facts: SetFacts, name: str, size: int) -> Callable[[], dict[str, Any]]:
    """Draw the settings of a StyleGAN that matter and return what makes them.

    By their names in `RunConfig`; making raises InputError where one of them cannot be.
    """
    known = preset("stylegan", name, size_px=size, channels=facts.channels)
    networks, adversary, training = known.networks, known.adversary, known.training
    assert isinstance(networks, StyleNetworks)
    assert isinstance(adversary, StyleAdversary)
    st.caption(_depths_words(networks, facts))
    key = f"new-stylegan-{name}-{size}"
    left, middle, right = st.columns(3)
    fits = left.text_input(
        _("Epochs of each depth"), ", ".join(map(str, training.fits)), key=f"{key}-fits",
        help=_("From 4 px on. In the first half of a depth its layers come in."),
    )  # fmt: skip
    batches = middle.text_input(
        _("Pictures a batch, each depth"), ", ".join(map(str, training.batches)),
        key=f"{key}-batches",
    )  # fmt: skip
    rate = right.text_input(setting_words("training.lr"), f"{training.lr:g}", key=f"{key}-lr")
    with st.expander(_("More settings of the StyleGAN")):
        contest = _adversary(adversary, key)
        more = _training(training, key, is_ground=facts.side_m is not None)

    def made() -> dict[str, Any]:
        of_depths = read_fits(batches)
        chosen = replace(
            training, fits=read_fits(fits), batches=of_depths, batch=of_depths[-1],
            lr=read_number(rate), **more,
        )  # fmt: skip
        return {"networks": networks, "adversary": contest(), "training": chosen}

    return made


def _depths_words(networks: StyleNetworks, facts: SetFacts) -> str:
    """Say what each depth means, in pixels and in metres where they are known."""
    sizes = [size_of_depth(at) for at in range(networks.depths)]
    text = _("Depths: {sizes} px").format(sizes=", ".join(map(str, sizes)))
    if facts.side_m is None:
        return text + "."
    metres = ", ".join(value_text(facts.side_m / size) for size in sizes)
    return text + "; " + _("a pixel is {metres} m.").format(metres=metres)


def _adversary(known: StyleAdversary, key: str) -> Callable[[], StyleAdversary]:
    boxes = st.columns(4)
    losses = {name: value_words(name) for name in get_args(StyleObjective)}
    chosen: Any = {
        "objective": choice(
            setting_words("adversary.objective"), losses, value=known.objective, place=boxes[0],
            key=f"{key}-objective",
        )
    }  # fmt: skip
    penalty = boxes[1].text_input(
        setting_words("adversary.penalty"), f"{known.penalty:g}", key=f"{key}-penalty",
        help=_("Weight of the squared gradient on real pictures; with the logistic loss alone."),
    )  # fmt: skip
    every = boxes[2].number_input(
        setting_words("adversary.penalty_every"),
        *PENALTY_EVERY,
        known.penalty_every,
        key=f"{key}-every",
    )
    average = boxes[3].text_input(
        setting_words("adversary.ema"), f"{known.ema:g}", key=f"{key}-ema",
        help=_("Share of the old weights kept at each step; 0: none. Samples come from it."),
    )  # fmt: skip
    chosen["turns"] = st.checkbox(
        _("Turned by quarters at random"), known.turns, key=f"{key}-turns",
        help=_("Ground from above has no up; but shadows do, and then fall everywhere."),
    )  # fmt: skip
    return lambda: replace(
        known, penalty=read_number(penalty), penalty_every=int(every), ema=read_number(average),
        **chosen,
    )  # fmt: skip


def _training(known: TrainConfig, key: str, *, is_ground: bool) -> dict[str, Any]:
    boxes = st.columns(3)
    chosen: dict[str, Any] = {
        name: int(
            box.number_input(
                setting_words(f"training.{name}"), *bounds, getattr(known, name),
                key=f"{key}-{name}",
            )
        )
        for box, name, bounds in (
            (boxes[0], "seed", SEEDS),
            (boxes[1], "samples", SAMPLES),
            (boxes[2], "checkpoint_every", INTERVALS),
        )
    }  # fmt: skip
    # A mirrored digit is none.
    chosen["flips"] = st.checkbox(
        setting_words("training.flips"), known.flips and is_ground,
        key=f"{key}-flips-{is_ground}",
        help=_("Left to right and top to bottom: ground from above has no up."),
    )  # fmt: skip
    return chosen
