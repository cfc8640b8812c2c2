"""Small sets and runs that train in a fraction of a second."""

import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from models.config import AdversaryConfig, NetworkConfig, RunConfig, TrainConfig

NETWORKS = NetworkConfig(
    size_px=32, channels=1, latent=8, generator_width=4, critic_width=4, extra_layers=0
)
TRAINING = TrainConfig(fits=(2,), batch=8, lr=1e-3, log_every=3, samples=4, checkpoint_every=3)
OBJECTIVES = {
    "wgan": AdversaryConfig(critic_steps=2),
    "dcgan": AdversaryConfig(objective="bce", clip=None, optimiser="adam", ema=0.9),
    "least-squares": AdversaryConfig(objective="least-squares", clip=None, optimiser="adam"),
    "wgan-gp": AdversaryConfig(clip=None, penalty=10, optimiser="adam", critic_steps=2),
}


def networks(name):
    return replace(NETWORKS, critic_norm="layer") if name == "wgan-gp" else NETWORKS


def chips(num=44, size=32, channels=1, seed=0):
    """Return pictures of one bright square each, (num, channels, size, size)."""
    rng = np.random.default_rng(seed)
    out = rng.integers(0, 60, (num, channels, size, size), dtype=np.uint8)
    for picture in out:
        top, left = rng.integers(0, size // 2, 2)
        picture[:, top : top + size // 2, left : left + size // 2] += 150
    return out


def run_config(folder, *, objective="dcgan", num=44, **training):
    """Write a set into `folder` and return the settings of a run on it."""
    path = folder / "chips.npy"
    if not path.exists():
        np.save(path, chips(num))
    return RunConfig(
        title="A small run",
        model="dcgan" if objective == "least-squares" else objective,
        data=str(path),
        networks=networks(objective),
        adversary=OBJECTIVES[objective],
        training=replace(TRAINING, **training),
        device="cpu",
        precision="float32",
    )


@contextmanager
def bounded_work(most_bytes=4 << 20):
    """Fail where more memory was taken on the way."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_bytes
    finally:
        tracemalloc.stop()
