"""Named sets of settings: the document's, a workshop's, and a quick look."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.errors import InputError
from core.text import N_
from models.config import AdversaryConfig, Model, NetworkConfig, TrainConfig

Name = Literal["document", "workshop", "quick"]
MODELS: tuple[str, ...] = get_args(Model)
NAMES: tuple[str, ...] = get_args(Name)


@dataclass(frozen=True, slots=True)
class Preset:
    """What a run needs beside its pictures."""

    networks: NetworkConfig
    adversary: AdversaryConfig
    training: TrainConfig


def preset(model: str, name: str, *, size_px: int, channels: int) -> Preset:
    """Return settings for pictures of `size_px` and `channels`.

    `document`: the networks and rates of the document (64 px, latent 100, batch 128; for WGAN its
    five fits of 5, 10, 10, 200 and 100 epochs). `workshop`: narrower networks and Adam, to see
    something within minutes on two cores. `quick`: a minute, to see that everything works.

    Raises:
        InputError: No such model or preset.
    """
    for text, known in ((model, MODELS), (name, NAMES)):
        if text not in known:
            raise InputError(
                N_("There is no model or preset {name!r}."), hint=N_("There are: {known}."),
                name=text[:40], known=", ".join(known),
            )  # fmt: skip
    made = _MODELS[model](name)  # type: ignore[index]
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
    made = _small(name, replace(adversary, critic_steps=2, ema=0.99), lr=4e-4, epochs=40)
    return replace(made, networks=replace(made.networks, critic_norm="layer"))


def _dcgan(name: str) -> Preset:
    adversary = AdversaryConfig(objective="bce", clip=None, optimiser="adam")
    if name == "document":
        return Preset(
            NetworkConfig(extra_layers=0, init="dcgan"),
            adversary,
            TrainConfig(fits=(100,), lr=2e-4, schedule="constant"),
        )
    # Half the batch: twice the steps in the same time, and better pictures for it (measured).
    made = _small(name, replace(adversary, ema=0.99), lr=4e-4, epochs=30, batch=16)
    return replace(made, networks=replace(made.networks, init="dcgan"))


def _small(
    name: str, adversary: AdversaryConfig, *, lr: float, epochs: int, batch: int = 32
) -> Preset:
    width, epochs = (24, epochs) if name == "workshop" else (12, 4)
    return Preset(
        NetworkConfig(generator_width=width, critic_width=width, latent=64, extra_layers=0),
        adversary,
        TrainConfig(fits=(epochs,), batch=batch, lr=lr, schedule="constant"),
    )


_MODELS: dict[Model, Callable[[str], Preset]] = {
    "dcgan": _dcgan,
    "wgan": _wgan,
    "wgan-gp": _wgan_gp,
}
