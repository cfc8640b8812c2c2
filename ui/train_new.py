"""A new run: pictures, model, preset, what it takes, and the settings that matter first."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from core import intake
from core.chips.sets import ChipSets
from core.errors import AppError
from models import estimate, imports, runs, sets
from models.config import (
    AdversaryConfig,
    BestRule,
    Model,
    NetworkConfig,
    Norm,
    Objective,
    Precision,
    RunConfig,
    Schedule,
    TrainConfig,
    read_fits,
)
from models.presets import preset
from ui import cached, charts, train_charts
from ui.choice import choice, held_choice
from ui.choose_file import choose_file
from ui.errors import plain, show_error, shown_errors
from ui.language import _
from ui.quantities import size_text, value_text
from ui.server import workspace
from ui.state import TrainView, app_state
from ui.train_list import has_pytorch, read_rate
from ui.train_words import (
    MODELS,
    PRESETS,
    model_words,
    preset_words,
    setting_words,
    value_words,
)

_SUFFIXES = (".npy", ".gz", ".idx", "idx3-ubyte")
_UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Begun:
    """Weights that a run can begin with."""

    folder: Path
    title: str
    networks: NetworkConfig


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
        config = _settings(facts, found, view)
    with side:
        if config is not None:
            _expected(config, facts, found)
            if st.button(
                _("Start the run"), type="primary", width="stretch", disabled=not has_pytorch()
            ):
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


def _settings(facts: sets.SetFacts, found: list[runs.Run], view: TrainView) -> RunConfig | None:
    """Draw the settings and return them; None, with a sentence, where they cannot be."""
    st.caption(_facts_words(facts))
    left, middle, right = st.columns(3)
    draft = view.draft
    model = held_choice(setting_words("model"), MODELS, draft, "model", place=left)
    presets = {name: _(title) for name, title in PRESETS.items()}
    name = held_choice(setting_words("preset"), presets, draft, "preset", place=middle)
    sizes = {str(size): _("{size} px").format(size=size) for size in facts.sizes}
    label = setting_words("networks.size_px")
    size = int(held_choice(label, sizes, draft, "size", value="64", place=right))
    st.caption(preset_words(name))
    known = preset(model, name, size_px=size, channels=facts.channels)
    key = f"new-{model}-{name}-{size}"
    title = st.text_input(
        setting_words("title"),
        _("{model} on {data}").format(model=model_words(model), data=value_words(facts.source)),
        max_chars=80,
        key=f"new-title-{model}-{facts.source}",
    )
    try:
        training = _training(known.training, key)
        with st.expander(_("More settings")):
            begun = _begin(found, facts, model, size)
            networks = _networks(known.networks, key) if begun is None else begun.networks
            adversary = _adversary(known.adversary, key)
            training = _more_training(training, key)
            device, precision, threads, is_exact = _engine(key)
        return RunConfig(
            title=title, model=_model(model), preset=name, data=facts.source, networks=networks,
            adversary=adversary, training=training, device=device, precision=precision,
            threads=threads, exact=is_exact, start_from="" if begun is None else str(begun.folder),
        )  # fmt: skip
    except AppError as err:
        show_error(err)
        return None


def _model(name: str) -> Model:
    return next(one for one in get_args(Model) if one == name)


def _facts_words(facts: sets.SetFacts) -> str:
    text = _("{count} pictures to train on, {channels} channels").format(
        count=value_text(facts.count), channels=facts.channels
    )
    if facts.side_m is None:
        return text
    return text + ", " + _("{side:g} m a side").format(side=round(facts.side_m, 2))


def _training(known: TrainConfig, key: str) -> TrainConfig:
    """Draw the settings that matter most."""
    left, middle, right = st.columns(3)
    fits = left.text_input(
        setting_words("training.fits"),
        ", ".join(map(str, known.fits)),
        key=f"{key}-fits",
        help=_("Several fits as 5, 10, 10: rate, smoothing and best epoch begin anew with each."),
    )
    batch = middle.number_input(
        setting_words("training.batch"), 1, 8192, known.batch, key=f"{key}-batch"
    )
    rate = right.text_input(setting_words("training.lr"), f"{known.lr:g}", key=f"{key}-lr")
    return replace(known, fits=read_fits(fits), batch=int(batch), lr=read_rate(rate))


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
    ]
    for run in found:
        saved = sorted((run.folder / "checkpoints").glob("*/checkpoint.json"))
        if saved and run.config.model == model:
            title = f"{run.config.title} · {int(saved[-1].parent.name):,}"
            brought.append(Begun(saved[-1].parent.resolve(), title, run.config.networks))
    return brought


def _networks(known: NetworkConfig, key: str) -> NetworkConfig:
    boxes = st.columns(4)
    latent = boxes[0].number_input(
        setting_words("networks.latent"), 1, 4096, known.latent, key=f"{key}-latent"
    )
    generator = boxes[1].number_input(
        setting_words("networks.generator_width"), 1, 4096, known.generator_width, key=f"{key}-gw"
    )
    critic = boxes[2].number_input(
        setting_words("networks.critic_width"), 1, 4096, known.critic_width, key=f"{key}-cw"
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


def _adversary(known: AdversaryConfig, key: str) -> AdversaryConfig:
    boxes = st.columns(4)
    # The Wasserstein losses belong to networks that take turns, the others to DCGAN.
    fitting = [
        name
        for name in get_args(Objective)
        if (name == "wasserstein") == (known.objective == "wasserstein")
    ]
    objective = choice(
        setting_words("adversary.objective"), {name: value_words(name) for name in fitting},
        value=known.objective, place=boxes[0], key=f"{key}-objective",
    )  # fmt: skip
    chosen: Any = {"objective": objective}
    if known.objective == "wasserstein":
        steps = boxes[1].number_input(
            setting_words("adversary.critic_steps"), 1, 100, known.critic_steps, key=f"{key}-steps"
        )
        chosen["critic_steps"] = int(steps)
    if known.clip is not None:
        clip = boxes[2].number_input(
            setting_words("adversary.clip"), 0.0, 10.0, known.clip, format="%g", key=f"{key}-clip"
        )
        chosen["clip"] = float(clip)
    if known.penalty:
        penalty = boxes[2].number_input(
            setting_words("adversary.penalty"), 0.1, 1000.0, known.penalty * 1.0,
            format="%g", key=f"{key}-penalty",
        )  # fmt: skip
        chosen["penalty"] = float(penalty)
    average = boxes[3].number_input(
        setting_words("adversary.ema"), 0.0, 0.9999, known.ema, format="%g", key=f"{key}-ema",
        help=_("Share of the old weights kept at each step; 0: none. Samples come from it."),
    )  # fmt: skip
    return replace(known, ema=float(average), **chosen)


def _more_training(known: TrainConfig, key: str) -> TrainConfig:
    boxes = st.columns(4)
    schedules = {name: value_words(name) for name in get_args(Schedule)}
    chosen: Any = {
        "schedule": choice(
            setting_words("training.schedule"), schedules, value=known.schedule, place=boxes[0],
            key=f"{key}-schedule",
        )
    }  # fmt: skip
    for box, name, least, most in (
        (boxes[1], "seed", 0, 2**31 - 1),
        (boxes[2], "samples", 4, 256),
        (boxes[3], "checkpoint_every", 0, 1_000_000),
    ):
        chosen[name] = int(
            box.number_input(
                setting_words(f"training.{name}"), least, most, getattr(known, name),
                key=f"{key}-{name}",
            )
        )  # fmt: skip
    boxes = st.columns(4)
    rules = {name: value_words(name) for name in get_args(BestRule)}
    chosen["better"] = choice(
        setting_words("training.better"), rules, value=known.better, place=boxes[0],
        key=f"{key}-better",
    )  # fmt: skip
    for box, name in ((boxes[1], "sample_every"), (boxes[2], "measure_every")):
        chosen[name] = int(
            box.number_input(
                setting_words(f"training.{name}"), 0, 1_000_000, getattr(known, name),
                key=f"{key}-{name}",
            )
        )  # fmt: skip
    chosen["flips"] = boxes[3].checkbox(
        setting_words("training.flips"), known.flips, key=f"{key}-flips",
        help=_("Left to right and top to bottom: ground from above has no up."),
    )  # fmt: skip
    return replace(known, **chosen)


def _engine(key: str) -> tuple[str, Precision, int | None, bool]:
    boxes = st.columns(4)
    gpus = estimate.gpus()
    devices = {"auto": value_words("auto"), "cpu": value_words("cpu")}
    devices |= {f"cuda:{number}": f"{name} ({number})" for number, name in enumerate(gpus)}
    device = choice(setting_words("device"), devices, place=boxes[0], key=f"{key}-device")
    precisions = {name: value_words(name) for name in get_args(Precision)}
    precision: Any = choice(
        setting_words("precision"), precisions, place=boxes[1], key=f"{key}-precision"
    )
    threads = boxes[2].number_input(
        _("Threads at most (0: the program's setting)"), 0, 1024, 0, key=f"{key}-threads"
    )
    is_exact = boxes[3].checkbox(
        setting_words("exact"), key=f"{key}-exact",
        help=_("float32, sums in fastai's order: for comparing with it to the digit."),
    )  # fmt: skip
    return device, precision, int(threads) or None, is_exact


def _expected(config: RunConfig, facts: sets.SetFacts, found: list[runs.Run]) -> None:
    """Say what the run would take, draw its learning rate, and say what speaks against it."""
    ended = tuple(run.id for run in found if not run.is_active)[:12]
    speed = estimate.fitting(cached.run_speeds(ended), config, gpus=len(estimate.gpus()))
    expected = None
    if speed is not None:
        expected = estimate.estimate(config, facts.count, speed)
        boxes = st.columns(3)
        boxes[0].metric(_("Time, about"), duration_text(expected.seconds))
        boxes[1].metric(_("Memory, about"), size_text(expected.memory_mb * (1 << 20)))
        boxes[2].metric(_("Disk, about"), size_text(expected.disk_mb * (1 << 20)))
        text = (
            _("{steps} steps. Time from the run “{run}” on this device.")
            if speed.run
            else _("{steps} steps. Time as on one thread of another machine: no run was made here.")
        )
        st.caption(text.format(steps=value_text(expected.steps), run=plain(speed.run)))
    else:
        st.caption(_("How long it takes is known after the first run on this GPU."))
    training = config.training
    figure = train_charts.learning_rates(training.schedule, training.lr, training.fits)
    st.plotly_chart(figure, config=charts.config(), width="stretch", key="new-rates")
    for template, values in estimate.doubts(config, facts.count, expected):
        st.warning(plain(_(template).format(**values)))


def duration_text(seconds: float) -> str:
    """Write how long something takes: 40 s, 7 min, 3.5 h, 12 days."""
    if seconds < 90:
        return _("{count} s").format(count=max(1, round(seconds)))
    if seconds < 5400:
        return _("{count} min").format(count=round(seconds / 60))
    if seconds < 48 * 3600:
        return _("{count:.1f} h").format(count=seconds / 3600)
    return _("{count:.0f} days").format(count=seconds / 86_400)


def _start(config: RunConfig, view: TrainView) -> None:
    root = workspace().root / "runs"
    with shown_errors():
        networks = config.networks
        chips = sets.open_chips(config.data, size_px=networks.size_px)
        sets.check_chips(
            chips, batch=config.training.batch, size_px=networks.size_px,
            channels=networks.channels,
        )  # fmt: skip
        folder = runs.create(root, config)
        runs.start(folder)
        view.see, view.run, view.step = "watch", folder.name, None
        app_state().notice = _("The run is started.")
        st.rerun()
