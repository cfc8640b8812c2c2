"""The settings of a new StyleGAN: one fit a depth, 4 px first, or the full size throughout."""

from collections.abc import Callable, Iterator
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

Making = Callable[[], dict[str, Any]]
"""Makes settings of what was drawn; raises InputError where one of them cannot be."""


def style_presets(facts: SetFacts) -> tuple[str, ...]:
    """Return the presets that are made for one of a set's sizes."""
    names = names_of("stylegan")
    return tuple(name for name in names if set(sizes_of("stylegan", name)) & set(facts.sizes))


def style_settings(facts: SetFacts, name: str, size: int) -> Making:
    """Draw the settings of a StyleGAN that matter and return what makes them, as in `RunConfig`."""
    known = preset("stylegan", name, size_px=size, channels=facts.channels)
    networks, adversary, training = known.networks, known.adversary, known.training
    assert isinstance(networks, StyleNetworks)
    assert isinstance(adversary, StyleAdversary)
    st.caption(_depths_words(networks, facts))
    key = f"new-stylegan-{name}-{size}"
    first = st.container()
    with st.expander(_("More settings of the StyleGAN")):
        places = _places()
        order = _order(adversary, networks, places, key)
        styles = _styles(adversary, networks, places, key)
        contest = _contest(adversary, places, key)
        more = _training(training, places, key)
        flips, turns = _turned(training, adversary, key, is_ground=facts.side_m is not None)
    # Drawn last and shown first: what an epoch trains follows from the order of sizes.
    with first:
        trained = _epochs(training, order, key)
    return lambda: {
        "networks": networks,
        "adversary": replace(adversary, **order, **styles(), **contest(), turns=turns),
        "training": replace(training, **trained(), **more, flips=flips),
    }


def _depths_words(networks: StyleNetworks, facts: SetFacts) -> str:
    """Say what each depth means, in pixels and in metres where they are known."""
    sizes = [size_of_depth(at) for at in range(networks.depths)]
    text = _("Depths: {sizes} px").format(sizes=", ".join(map(str, sizes)))
    if facts.side_m is None:
        return text + "."
    metres = ", ".join(value_text(facts.side_m / size) for size in sizes)
    return text + "; " + _("a pixel is {metres} m.").format(metres=metres)


def _places() -> Iterator[Any]:
    """Return places for widgets, two a row, whose fields stand level under labels of any length."""
    while True:
        yield from st.columns(2, vertical_alignment="bottom")


def _epochs(known: TrainConfig, order: dict[str, Any], key: str) -> Making:
    """Draw the settings that matter most; an order of sizes has epochs of its own."""
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    start = order["start_depth"]
    begun, batch = known.fits[start:], known.batches[start:]
    labels = _("Epochs of each depth"), _("Pictures a batch, each depth")
    told = _("From the first depth on. One number is one depth; more than there are depths train"
             " the full size on.")  # fmt: skip
    if order["structure"] == "fixed":
        begun, batch = known.fits[-1:], known.batches[-1:]
        labels = setting_words("training.fits"), setting_words("training.batches")
        told = _("Every fit trains the full size.")
    key = f"{key}-{order['structure']}-{start}"
    fits = left.text_input(labels[0], ", ".join(map(str, begun)), key=f"{key}-fits", help=told)
    batches = middle.text_input(labels[1], ", ".join(map(str, batch)), key=f"{key}-batches")
    rate = right.text_input(setting_words("training.lr"), f"{known.lr:g}", key=f"{key}-lr")

    def made() -> dict[str, Any]:
        of_fits = read_fits(batches)
        return {
            "fits": read_fits(fits), "batches": of_fits, "batch": of_fits[-1],
            "lr": read_number(rate),
        }  # fmt: skip

    return made


def _order(
    known: StyleAdversary, networks: StyleNetworks, places: Iterator[Any], key: str
) -> dict[str, Any]:
    """Draw which sizes are trained, and how one follows the other."""
    structures = {name: value_words(name) for name in ("linear", "fixed")}
    structure = choice(
        setting_words("adversary.structure"), structures, value=known.structure,
        place=next(places), key=f"{key}-structure",
        help=_("By scale: each fit trains one size, the smallest first. Full size: every fit trains"
               " that alone."),
    )  # fmt: skip
    chosen: dict[str, Any] = {"structure": structure, "start_depth": 0}
    if structure == "fixed":
        return chosen
    depths = {
        str(at): _("{depth}: {size} px").format(depth=at, size=size_of_depth(at))
        for at in range(networks.depths)
    }
    chosen["start_depth"] = int(
        choice(
            setting_words("adversary.start_depth"), depths, value="0", place=next(places),
            key=f"{key}-start",
            help=_("Smaller sizes are not trained by themselves, only as part of larger ones."),
        )
    )  # fmt: skip
    chosen["fade_in"] = next(places).number_input(
        setting_words("adversary.fade_in"), 0.0, 1.0, known.fade_in, 0.05, key=f"{key}-fade",
        help=_("Over this share of a depth's steps its pictures go over from the size below,"
               " enlarged, to its own. 0: at once."),
    )  # fmt: skip
    return chosen


def _styles(
    known: StyleAdversary, networks: StyleNetworks, places: Iterator[Any], key: str
) -> Making:
    """Draw what is done with styles while training."""
    mixing = next(places).number_input(
        setting_words("adversary.mixing"), 0.0, 1.0, known.mixing, 0.05, key=f"{key}-mixing",
        help=_("How often a batch takes the styles of its finer layers from a second latent, so"
               " that layers do not rely on one another. 0: never."),
    )  # fmt: skip
    psi = next(places).number_input(
        setting_words("adversary.psi"), 0.0, 1.0, known.psi, 0.05, key=f"{key}-psi",
        help=_("Styles stand this far from their mean while training. 0 and 1: they are left as"
               " they are. Samples and pictures made later are not changed by it."),
    )  # fmt: skip
    cutoff = next(places).number_input(
        setting_words("adversary.cutoff"), 0, networks.layers, min(known.cutoff, networks.layers),
        key=f"{key}-cutoff",
        help=_("Layers below this number are drawn to the mean; there are two a size, so 8 means"
               " up to 32 px."),
    )  # fmt: skip
    average = next(places).text_input(
        setting_words("adversary.ema"), f"{known.ema:g}", key=f"{key}-ema",
        help=_("Share of the old weights kept at each step; 0: none. Samples come from it."),
    )  # fmt: skip
    return lambda: {"mixing": mixing, "psi": psi, "cutoff": int(cutoff),
                    "ema": read_number(average)}  # fmt: skip


def _contest(known: StyleAdversary, places: Iterator[Any], key: str) -> Making:
    """Draw how the two networks are set against each other."""
    losses = {name: value_words(name) for name in get_args(StyleObjective)}
    objective = choice(
        setting_words("adversary.objective"), losses, value=known.objective, place=next(places),
        key=f"{key}-objective",
    )  # fmt: skip
    penalty = next(places).text_input(
        setting_words("adversary.penalty"), f"{known.penalty:g}", key=f"{key}-penalty",
        help=_("Gamma of R1, the squared gradient on real pictures; with the logistic loss alone."),
    )  # fmt: skip
    every = next(places).number_input(
        setting_words("adversary.penalty_every"), *PENALTY_EVERY, known.penalty_every,
        key=f"{key}-every", help=_("Taken more rarely, it is as many times as strong."),
    )  # fmt: skip
    return lambda: {"objective": objective, "penalty": read_number(penalty),
                    "penalty_every": int(every)}  # fmt: skip


def _training(known: TrainConfig, places: Iterator[Any], key: str) -> dict[str, Any]:
    limits = {"seed": SEEDS, "samples": SAMPLES, "checkpoint_every": INTERVALS}
    return {
        name: int(
            next(places).number_input(
                setting_words(f"training.{name}"), *bounds, getattr(known, name),
                key=f"{key}-{name}",
            )
        )
        for name, bounds in limits.items()
    }  # fmt: skip


def _turned(
    known: TrainConfig, adversary: StyleAdversary, key: str, *, is_ground: bool
) -> tuple[bool, bool]:
    """Draw whether pictures are mirrored and turned; a mirrored digit is none."""
    flips = st.checkbox(
        setting_words("training.flips"), known.flips and is_ground,
        key=f"{key}-flips-{is_ground}",
        help=_("Left to right and top to bottom: ground from above has no up."),
    )  # fmt: skip
    turns = st.checkbox(
        setting_words("adversary.turns"), adversary.turns, key=f"{key}-turns",
        help=_("Ground from above has no up; but shadows do, and then fall everywhere."),
    )  # fmt: skip
    return flips, turns
