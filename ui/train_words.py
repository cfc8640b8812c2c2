"""What runs, models and settings are called on the Train page."""

import time
from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from core.text import N_
from models import runs
from models.bounds import SETTINGS
from models.config import AdversaryConfig, RunConfig
from models.style_config import StyleAdversary
from ui.language import _
from ui.quantities import value_text

MODELS = {"dcgan": "DCGAN", "wgan": "WGAN", "wgan-gp": "WGAN-GP", "stylegan": "StyleGAN"}
PRESETS = {
    "workshop": N_("Workshop"),
    "quick": N_("Quick look"),
    "small": N_("Small"),
    "64px": "64 px",
    "document": N_("As in the document"),
}
_PRESET_WORDS = {
    "small": N_("Narrow networks up to 32 px: a class can watch it learn on two cores."),
    "64px": N_("Narrow networks up to 64 px: hours on a processor, minutes on a GPU."),
    "workshop": N_("Narrow networks and Adam: something to see within minutes on two cores."),
    "quick": N_("A minute, to see that everything works."),
    "document": N_("Networks, rates and fits of the published study; made for a GPU."),
}
_STATES = {
    "queued": N_("waits for its turn"),
    "running": N_("running"),
    "stopping": N_("stopping"),
    "stopped": N_("stopped"),
    "done": N_("finished"),
    "failed": N_("failed"),
    "broken": N_("broken off"),
}
_MARKS = {
    "queued": "◷",
    "running": "▶",
    "stopping": "◼",
    "stopped": "◼",
    "done": "✓",
    "failed": "✕",
    "broken": "◼",
}
_VALUES = {
    "wasserstein": N_("Wasserstein"),
    "bce": N_("Binary cross-entropy (BCE)"),
    "least-squares": N_("Least squares (MSE)"),
    "logistic": N_("Logistic"),
    "hinge": N_("Hinge"),
    "relativistic-hinge": N_("Relativistic hinge"),
    "linear": N_("By scale, the smallest first"),
    "fixed": N_("The full size from the start"),
    "one-cycle": N_("One cycle a fit"),
    "constant": N_("Constant"),
    "shared-rmsprop": N_("RMSProp, one for both networks"),
    "adam": "Adam",
    "batch": N_("Batch norm"),
    "layer": N_("Layer norm"),
    "none": N_("None"),
    "auto": N_("Automatic"),
    "cpu": N_("Processor"),
    "float32": "float32",
    "bfloat16": "bfloat16",
    "float16": "float16",
    "recommended": N_("Recommended"),
    "document": N_("As in the document"),
    "fastai": "fastai",
    "digits": N_("Digits of scikit-learn"),
    **PRESETS,
    **MODELS,
}


def preset_words(name: str) -> str:
    """Say what a preset is for."""
    return _(_PRESET_WORDS[name])


def model_words(name: str) -> str:
    """Return the name of a model as people write it."""
    return MODELS.get(name, name)


def state_of(found: runs.Run) -> str:
    """Return the state of a run; `stopping` once somebody asked for a stop, `broken` half-way."""
    if found.is_broken_off:
        return "broken"
    return "stopping" if found.is_active and runs.is_stopping(found.folder) else found.state


def state_words(state: str) -> str:
    """Return a state in words."""
    return _(_STATES[state])


def run_line(found: runs.Run) -> str:
    """Return a run as a line of a list: mark, title, model, state, when it was started."""
    state = state_of(found)
    when = time.strftime("%m-%d %H:%M", time.localtime(found.sessions[0]["started"]))
    return (
        f"{_MARKS[state]} {found.config.title} · {model_words(found.config.model)}"
        f" · {state_words(state)} · {when}"
    )


def setting_words(name: str) -> str:
    """Return the name of a setting as people read it."""
    return _(SETTINGS[name]) if name in SETTINGS else name


def value_words(value: object) -> str:
    """Return the value of a setting as people read it."""
    if value is None:
        return _("none")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return value_text(value)
    if isinstance(value, list | tuple):
        return ", ".join(value_words(one) for one in value) or _("none")
    if isinstance(value, Mapping):  # the program's version
        return " ".join(str(one)[:12] for one in value.values())
    text = str(value)
    if text in _VALUES:
        return _(_VALUES[text])
    return text.replace("\\", "/").rpartition("/")[2] or _("none")


def told_apart(values: Sequence[object]) -> list[str]:
    """Return values as people read them; in full where different ones would read alike."""
    words = [value_words(value) for value in values]
    kinds: dict[str, list[object]] = {}
    for word, value in zip(words, values, strict=True):
        if value not in kinds.setdefault(word, []):
            kinds[word].append(value)
    return [
        str(value) if len(kinds[word]) > 1 else word
        for word, value in zip(words, values, strict=True)
    ]


def loss_words(config: AdversaryConfig | StyleAdversary) -> str:
    """Say what the losses mean and where they would stand if the critic could not tell."""
    if config.objective == "bce":
        return _(
            "Binary cross-entropy. A critic that cannot tell real from generated has ln 2 = 0.693"
            " for each half, 2 ln 2 = 1.386 summed; the generator's loss is then ln 2. A critic"
            " near 0 has won, and the generator learns little from it."
        )
    if isinstance(config, StyleAdversary):
        return _(
            "Discriminator and generator of StyleGAN; R1, where it is taken, is in the"
            " discriminator's loss. Losses say nothing of how good pictures look, and jump where a"
            " new depth comes in: look at the same latents from depth to depth."
        )
    if config.objective == "least-squares":
        return _(
            "Least squares. A critic that cannot tell real from generated has 0.25 for each half,"
            " 0.5 summed; the generator's loss is then 0.25. Losses say nothing of how good"
            " pictures look."
        )
    return _(
        "The critic's loss is E f(real) − E f(generated): it scores generated pictures high. Minus"
        " the loss estimates the earth mover's distance of the two, up to a factor that the weight"
        " limit sets; 0 says that the critic cannot tell, or has not learnt to. A falling critic's"
        " loss is a growing distance."
    )


def unlike_note(objectives: Iterable[str]) -> None:
    """Say it where losses of different kinds stand in one chart."""
    if len(set(objectives)) > 1:
        st.caption(_("The losses are of different kinds: their values cannot be compared."))


def device_words(slot: Mapping[str, object]) -> str:
    """Say where a run computes."""
    name = str(slot.get("name") or "")
    device = _("Processor") if slot.get("device") == "cpu" else str(slot.get("device"))
    parts = [f"{device} ({name})" if name else device, str(slot.get("precision"))]
    if slot.get("device") == "cpu":
        parts.append(_("threads: {count}").format(count=slot.get("threads")))
    return " · ".join(parts)


def config_words(config: RunConfig) -> list[tuple[str, str]]:
    """Return all settings of a run, named and written out."""
    return [(setting_words(k), value_words(v)) for k, v in runs.settings_of(config).items()]
