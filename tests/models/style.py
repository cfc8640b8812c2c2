"""Small StyleGANs, and what the reference made of one where its files lie beside the project."""

import json
from functools import cache

import numpy as np
import pytest
import torch

from models.config import RunConfig, TrainConfig
from models.foreign_style import mean_style
from models.style_config import StyleAdversary, StyleNetworks, widths
from models.stylegan import StyleDiscriminator, StyleGenerator, style_networks
from tests.models.conftest import SHARED
from tests.models.small import chips

TINY = StyleNetworks(
    size_px=16, channels=1, latent=8, mapping=(8, 8), widths=(8, 8, 4), critic_widths=(8, 8, 4),
    critic_head=(8, 8),
)  # fmt: skip
R64 = StyleNetworks(
    size_px=64, latent=64, mapping=(64,) * 8, widths=widths(64, base=256, most=32),
    critic_widths=widths(64, base=256, most=32), critic_head=(32, 32),
)  # fmt: skip
PLACE = SHARED / "fixtures/stylegan"


def shared(name):
    path = PLACE / name
    if not path.exists():
        pytest.skip("the reference's files lie beside the project")
    return path


@cache
def reference():
    return torch.load(shared("r64_tiny_outputs.pt"), weights_only=True)


@cache
def reference_pair():
    generator, critic = StyleGenerator(R64), StyleDiscriminator(R64)
    generator.load_state_dict(torch.load(shared("r64_tiny_GAN_GEN_4_1.pth"), weights_only=True))
    critic.load_state_dict(torch.load(shared("r64_tiny_GAN_DIS_4_1.pth"), weights_only=True))
    return generator.eval().requires_grad_(False), critic.eval().requires_grad_(False)


def noises():
    return list(reference()["noises"].values())


def shapes_table():
    return json.loads(shared("keys_shapes_default.json").read_text())


def lively(config, *, seed=0):
    """Return a pair whose biases and noise are no longer zero, as after some training."""
    pair = style_networks(config, seed=seed)
    draws = torch.Generator().manual_seed(seed + 1)
    for network in pair:
        for parameter in network.parameters():
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, 0.0, 0.3, generator=draws)
        network.eval().requires_grad_(False)
    near = torch.randn(config.style, generator=draws) / 10
    pair[0].truncation.avg_latent.copy_(mean_style(pair[0], num=500) + near)
    return pair


def style_run(folder, *, num=40, structure="linear", **training):
    """Write a set into `folder` and return the settings of a StyleGAN's run on it."""
    path = folder / "chips.npy"
    if not path.exists():
        np.save(path, chips(num, size=16))
    given = {"fits": (1, 1, 2), "batch": 8, "batches": (8, 8, 4), **training}
    return RunConfig(
        title="A small StyleGAN",
        model="stylegan",
        data=str(path),
        networks=TINY,
        adversary=StyleAdversary(structure=structure, penalty=0.1, ema=0.9),
        training=TrainConfig(**{
            "lr": 1e-3, "schedule": "constant", "samples": 4, "log_every": 3, **given
        }),
        device="cpu",
        precision="float32",
    )  # fmt: skip
