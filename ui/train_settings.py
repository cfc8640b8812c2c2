"""The settings of a new run: those that matter first, the others folded away."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from models import imports, runs, sets
from models.bounds import BATCHES, CRITIC_STEPS, INTERVALS, SAMPLES, SEEDS, WIDTHS
from models.config import (
    AdversaryConfig,
    BestRule,
    Model,
    NetworkConfig,
    Norm,
    Precision,
    RunConfig,
    Schedule,
    TrainConfig,
    read_fits,
)
from models.presets import names_of, preset, sizes_of
from ui.choice import choice, held_choice
from ui.language import _
from ui.quantities import value_text
from ui.server import workspace
from ui.state import TrainView
from ui.train_fields import device_choice, read_number
from ui.train_style import style_presets, style_settings
from ui.train_words import (
    MODELS,
    PRESETS,
    model_words,
    preset_words,
    setting_words,
    value_words,
)


@dataclass(frozen=True, slots=True)
class Begun:
    """Weights that a run can begin with."""

    folder: Path
    title: str
    networks: NetworkConfig


def settings_form(
    facts: sets.SetFacts, found: list[runs.Run], view: TrainView
) -> Callable[[], RunConfig]:
    """Draw the settings and return what makes them; it raises InputError where they cannot be."""
    st.caption(_facts_words(facts))
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    draft = view.draft
    model = held_choice(setting_words("model"), MODELS, draft, "model", place=left)
    own = style_presets(facts) if model == "stylegan" else names_of(model)
    presets = {name: _(PRESETS[name]) for name in own}
    name = held_choice(setting_words("preset"), presets, draft, "preset", place=middle)
    fitting = [size for size in facts.sizes if size in sizes_of(model, name)]
    sizes = {str(size): _("{size} px").format(size=size) for size in fitting}
    label = setting_words("networks.size_px")
    size = int(held_choice(label, sizes, draft, "size", value="64", place=right))
    st.caption(preset_words(name))
    title = st.text_input(
        setting_words("title"),
        _("{model} on {data}").format(model=model_words(model), data=value_words(facts.source)),
        max_chars=80,
        key=f"new-title-{model}-{facts.source}",
    )
    made = _settings(facts, found, model, name, size)
    return lambda: RunConfig(
        title=title, model=_model(model), preset=name, data=facts.source, **made()
    )


Making = Callable[[], dict[str, Any]]
"""Makes settings of what was drawn. All of a form is drawn before anything in it is refused: what
is not drawn forgets what was written in it."""


def _settings(
    facts: sets.SetFacts, found: list[runs.Run], model: str, name: str, size: int
) -> Making:
    """Draw the settings of a model and return what makes them, by their names in `RunConfig`."""
    key = f"new-{model}-{name}-{size}"
    if model == "stylegan":
        style = style_settings(facts, name, size)
        with st.expander(_("More settings")):
            engine = _engine(key, has_exact=False)
        return lambda: {**style(), **engine}
    known = preset(model, name, size_px=size, channels=facts.channels)
    assert isinstance(known.networks, NetworkConfig)
    assert isinstance(known.adversary, AdversaryConfig)
    trained = _training(known.training, key)
    with st.expander(_("More settings")):
        begun = _begin(found, facts, model, size)
        networks = _networks(known.networks, key) if begun is None else begun.networks
        contest = _adversary(known.adversary, key)
        more = _more_training(known.training, key)
        engine = _engine(key)
    return lambda: {
        "networks": networks,
        "adversary": replace(known.adversary, **contest()),
        "training": replace(known.training, **trained(), **more),
        **engine,
        "start_from": "" if begun is None else str(begun.folder),
    }


def _model(name: str) -> Model:
    return next(one for one in get_args(Model) if one == name)


def _facts_words(facts: sets.SetFacts) -> str:
    text = _("Pictures to train on: {count}. Channels: {channels}.")
    if facts.side_m is not None:
        text = _("Pictures to train on: {count}. Channels: {channels}. Side: {side:g} m.")
    return text.format(
        count=value_text(facts.count),
        channels=facts.channels,
        side=round(facts.side_m or 0.0, 2),
    )


def _training(known: TrainConfig, key: str) -> Making:
    """Draw the settings that matter most."""
    left, middle, right = st.columns(3)
    fits = left.text_input(
        setting_words("training.fits"),
        ", ".join(map(str, known.fits)),
        key=f"{key}-fits",
        help=_(
            "An epoch shows all pictures once. A fit is a stretch of epochs for which learning"
            " rate, smoothing and best epoch begin anew. One number is one fit; several as"
            " 5, 10, 10."
        ),
    )
    batch = middle.number_input(
        setting_words("training.batch"), *BATCHES, known.batch, key=f"{key}-batch"
    )
    rate = right.text_input(setting_words("training.lr"), f"{known.lr:g}", key=f"{key}-lr")
    return lambda: {"fits": read_fits(fits), "batch": int(batch), "lr": read_number(rate)}


def _begin(found: list[runs.Run], facts: sets.SetFacts, model: str, size: int) -> Begun | None:
    """Draw the choice of weights to begin with; those that fit the pictures."""
    fitting = {
        str(number): one
        for number, one in enumerate(beginnings(found, model))
        if (one.networks.channels, one.networks.size_px) == (facts.channels, size)
    }
    names = {"": _("New weights, drawn from the seed")}
    names |= {number: one.title for number, one in fitting.items()}
    chosen = choice(
        _("Begins with"), names, help=_("Networks and latent length are then those of the weights.")
    )
    return fitting.get(chosen)


def beginnings(found: list[runs.Run], model: str) -> list[Begun]:
    """Return weights that a run can begin with: imported ones, and the newest of earlier runs."""
    brought = [
        Begun(one.folder.resolve(), one.name, one.networks)
        for one in imports.imported(workspace().root)
        if isinstance(one.networks, NetworkConfig) and {"generator", "critic"} <= set(one.has)
    ]
    for run in found:
        saved = sorted((run.folder / "checkpoints").glob("*/checkpoint.json"))
        networks = run.config.networks
        if saved and run.config.model == model and isinstance(networks, NetworkConfig):
            title = f"{run.config.title} · {int(saved[-1].parent.name):,}"
            brought.append(Begun(saved[-1].parent.resolve(), title, networks))
    return brought


def _networks(known: NetworkConfig, key: str) -> NetworkConfig:
    boxes = st.columns(4)
    latent = boxes[0].number_input(
        setting_words("networks.latent"), *WIDTHS, known.latent, key=f"{key}-latent"
    )
    generator = boxes[1].number_input(
        setting_words("networks.generator_width"), *WIDTHS, known.generator_width, key=f"{key}-gw"
    )
    critic = boxes[2].number_input(
        setting_words("networks.critic_width"), *WIDTHS, known.critic_width, key=f"{key}-cw"
    )
    norms = {name: value_words(name) for name in get_args(Norm)}
    norm = choice(
        setting_words("networks.critic_norm"), norms, value=known.critic_norm, place=boxes[3],
        key=f"{key}-norm",
    )  # fmt: skip
    chosen: Any = {"critic_norm": norm}
    return replace(
        known, latent=int(latent), generator_width=int(generator), critic_width=int(critic),
        **chosen,
    )  # fmt: skip


def _adversary(known: AdversaryConfig, key: str) -> Making:
    """Draw how the networks are set against each other; a model's own kind of loss stays."""
    chosen: dict[str, Any] = {}
    numbers: dict[str, str] = {}
    is_distance = known.objective == "wasserstein"
    boxes = st.columns(3 if is_distance else 2)
    if is_distance:
        steps = boxes[0].number_input(
            setting_words("adversary.critic_steps"),
            *CRITIC_STEPS,
            known.critic_steps,
            key=f"{key}-steps",
        )
        chosen["critic_steps"] = int(steps)
        name = "penalty" if known.penalty else "clip"
        numbers[name] = boxes[1].text_input(
            setting_words(f"adversary.{name}"), f"{getattr(known, name):g}", key=f"{key}-{name}"
        )
    else:
        losses = {name: value_words(name) for name in ("bce", "least-squares")}
        chosen["objective"] = choice(
            setting_words("adversary.objective"), losses, value=known.objective, place=boxes[0],
            key=f"{key}-objective",
        )  # fmt: skip
    numbers["ema"] = boxes[-1].text_input(
        setting_words("adversary.ema"), f"{known.ema:g}", key=f"{key}-ema",
        help=_("Share of the old weights kept at each step; 0: none. Samples come from it."),
    )  # fmt: skip
    return lambda: {**chosen, **{name: read_number(text) for name, text in numbers.items()}}


def _more_training(known: TrainConfig, key: str) -> dict[str, Any]:
    boxes = st.columns(4)
    schedules = {name: value_words(name) for name in get_args(Schedule)}
    chosen: dict[str, Any] = {
        "schedule": choice(
            setting_words("training.schedule"), schedules, value=known.schedule, place=boxes[0],
            key=f"{key}-schedule",
        )
    }  # fmt: skip
    row = st.columns(3)
    for box, name, bounds in (
        (boxes[1], "seed", SEEDS),
        (boxes[2], "samples", SAMPLES),
        (boxes[3], "checkpoint_every", INTERVALS),
        (row[1], "sample_every", INTERVALS),
        (row[2], "measure_every", INTERVALS),
    ):
        chosen[name] = int(
            box.number_input(
                setting_words(f"training.{name}"), *bounds, getattr(known, name),
                key=f"{key}-{name}",
            )
        )  # fmt: skip
    rules = {name: value_words(name) for name in get_args(BestRule)}
    chosen["better"] = choice(
        setting_words("training.better"), rules, value=known.better, place=row[0],
        key=f"{key}-better",
    )  # fmt: skip
    chosen["flips"] = st.checkbox(
        setting_words("training.flips"), known.flips, key=f"{key}-flips",
        help=_("Left to right and top to bottom: ground from above has no up."),
    )  # fmt: skip
    return chosen


def _engine(key: str, *, has_exact: bool = True) -> dict[str, Any]:
    boxes = st.columns(3)
    device = device_choice(place=boxes[0], key=f"{key}-device")
    precisions = {name: value_words(name) for name in get_args(Precision)}
    precision = choice(
        setting_words("precision"), precisions, place=boxes[1], key=f"{key}-precision"
    )
    threads = boxes[2].number_input(
        _("Threads at most (0: all cores but one)"), 0, 1024, 0, key=f"{key}-threads"
    )
    is_exact = has_exact and st.checkbox(
        setting_words("exact"), key=f"{key}-exact",
        help=_("float32, sums in fastai's order: for comparing with it to the digit."),
    )  # fmt: skip
    return {
        "device": device,
        "precision": precision,
        "threads": int(threads) or None,
        "exact": is_exact,
    }
