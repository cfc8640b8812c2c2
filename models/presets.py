"""Named sets of settings: the document's, a workshop's, and a quick look."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.errors import InputError
from core.text import N_
from models import style_presets
from models.config import SIZES, AdversaryConfig, Init, Model, NetworkConfig, Norm, TrainConfig
from models.style_config import STYLE_SIZES, StyleAdversary, StyleNetworks

Name = Literal["document", "workshop", "quick"]
MODELS: tuple[str, ...] = get_args(Model)
NAMES: tuple[str, ...] = get_args(Name)
"""Presets of DCGAN and its kin; see `names_of`."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What a run needs beside its pictures."""

    networks: NetworkConfig | StyleNetworks
    adversary: AdversaryConfig | StyleAdversary
    training: TrainConfig


def names_of(model: str) -> tuple[str, ...]:
    """Return the presets of a model, the one to begin with first."""
    if model == "stylegan":
        return style_presets.NAMES
    return ("workshop", "quick", "document")


def sizes_of(model: str, name: str) -> tuple[int, ...]:
    """Return the sizes of pictures, in pixels, that a preset of a model is made for."""
    if model != "stylegan":
        return SIZES
    most = style_presets.MOST_PX.get(name, STYLE_SIZES[-1])
    return tuple(size for size in STYLE_SIZES if size <= most)


def preset(model: str, name: str, *, size_px: int, channels: int) -> Preset:
    """Return settings for pictures of `size_px` and `channels`.

    `document`: the networks and rates of the document (64 px, latent 100, batch 128; for WGAN its
    five fits of 5, 10, 10, 200 and 100 epochs). `workshop`: narrower networks and Adam, to see
    something within minutes on two cores. `quick`: a minute, to see that everything works. For
    StyleGAN see `models.style_presets`.

    Raises:
        InputError: No such model or preset.
    """
    for text, known in ((model, MODELS), (name, names_of(model))):
        if text not in known:
            raise InputError(
                N_("There is no model or preset {name!r}."), hint=N_("There are: {known}."),
                name=text[:40], known=", ".join(known),
            )  # fmt: skip
    if model == "stylegan":
        return Preset(*style_presets.preset(name, size_px=size_px, channels=channels))
    made = _MODELS[model](name)  # type: ignore[index]
    assert isinstance(made.networks, NetworkConfig)
    return replace(made, networks=replace(made.networks, size_px=size_px, channels=channels))


def _wgan(name: str) -> Preset:
    if name == "document":
        return Preset(
            NetworkConfig(),
            AdversaryConfig(),
            TrainConfig(fits=(5, 10, 10, 200, 100), measure_every=0),
        )
    return _small(name, AdversaryConfig(), lr=2e-4, epochs=60)


def _wgan_gp(name: str) -> Preset:
    adversary = AdversaryConfig(clip=None, penalty=10, optimiser="adam", betas=(0.0, 0.9))
    if name == "document":
        return Preset(
            NetworkConfig(critic_norm="layer"),
            adversary,
            TrainConfig(fits=(100,), lr=1e-4, schedule="constant"),
        )
    return _small(
        name, replace(adversary, critic_steps=2, ema=0.99), lr=4e-4, epochs=40, critic_norm="layer"
    )


def _dcgan(name: str) -> Preset:
    adversary = AdversaryConfig(objective="bce", clip=None, optimiser="adam")
    if name == "document":
        return Preset(
            NetworkConfig(extra_layers=0, init="dcgan"),
            adversary,
            TrainConfig(fits=(100,), lr=2e-4, schedule="constant"),
        )
    # Half the batch: twice the steps in the same time, and better pictures for it (measured).
    return _small(name, replace(adversary, ema=0.99), lr=4e-4, epochs=30, batch=16, init="dcgan")


def _small(
    name: str, adversary: AdversaryConfig, *, lr: float, epochs: int, batch: int = 32,
    critic_norm: Norm = "batch", init: Init = "fastai",
) -> Preset:  # fmt: skip
    width, epochs = (24, epochs) if name == "workshop" else (12, 4)
    return Preset(
        NetworkConfig(
            generator_width=width,
            critic_width=width,
            latent=64,
            extra_layers=0,
            critic_norm=critic_norm,
            init=init,
        ),
        adversary,
        TrainConfig(fits=(epochs,), batch=batch, lr=lr, schedule="constant"),
    )


_MODELS: dict[Model, Callable[[str], Preset]] = {
    "dcgan": _dcgan,
    "wgan": _wgan,
    "wgan-gp": _wgan_gp,
}
