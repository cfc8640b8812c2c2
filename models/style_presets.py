"""Named settings of StyleGAN: the document's, one that a class can watch, one for 64 px.

`document`: the published networks and rates; needs a GPU and days. `small`: 4 to 32 px on two
cores, some minutes a size. `64px`: narrow networks for a few hours on a processor, or minutes on a
GPU.
"""

from core.errors import InputError
from core.text import N_
from models.config import TrainConfig
from models.style_config import STYLE_SIZES, StyleAdversary, StyleNetworks, widths

NAMES = ("small", "64px", "document")
MOST_PX = {"small": 32, "64px": 64}
"""Largest picture that a preset is made for."""

# Of the published run: batches and epochs of each depth, from 4 px on. The last number of epochs is
# ours: the text has eight for nine depths of 1024 px.
_BATCHES = (128, 128, 128, 64, 32, 16, 8, 4, 2)
_EPOCHS = (40, 80, 80, 80, 80, 160, 160, 160, 160)
_RATE = 3e-3


def preset(
    name: str, *, size_px: int, channels: int
) -> tuple[StyleNetworks, StyleAdversary, TrainConfig]:
    """Return settings for pictures of `size_px` and `channels`.

    Raises:
        InputError: No such preset, or it is not made for such large pictures.
    """
    most = MOST_PX.get(name, STYLE_SIZES[-1])
    if size_px > most:
        raise InputError(
            N_("The preset {name} goes up to {most} px; these pictures have {size}."),
            hint=N_("Train on a smaller size, or choose the preset document."),
            name=name, most=most, size=size_px,
        )  # fmt: skip
    if name == "document":
        return _document(size_px, channels)
    depths = size_px.bit_length() - 2
    if name == "small":
        shape = _narrow(size_px, channels, latent=64, layers=4, base=1024, most=64)
        batches, epochs = (32, 32, 16, 16)[:depths], (24, 20, 16, 24)[:depths]
        # Some hundred steps a size: an average over more of them still held the random beginning.
        keep, fade_in = 0.99, 0.25
    else:
        shape = _narrow(size_px, channels, latent=96, layers=6, base=1024, most=96)
        batches, epochs = (32, 32, 32, 16, 16)[:depths], (10, 15, 20, 24, 80)[:depths]
        keep, fade_in = 0.998, 0.3
    # R1 is summed over the batch. With a weight of 1 (and of 4 every fourth step) discriminators as
    # narrow as these told nothing apart any more: their loss stood at 2 ln 2.
    adversary = StyleAdversary(penalty=0.1, penalty_every=4, ema=keep, fade_in=fade_in)
    training = TrainConfig(
        fits=epochs, batch=batches[-1], batches=batches, lr=_RATE, schedule="constant",
        samples=36, log_every=20,
    )  # fmt: skip
    return shape, adversary, training


def _document(size_px: int, channels: int) -> tuple[StyleNetworks, StyleAdversary, TrainConfig]:
    depths = size_px.bit_length() - 2
    across = widths(size_px)
    shape = StyleNetworks(size_px=size_px, channels=channels, widths=across, critic_widths=across)
    training = TrainConfig(
        fits=_EPOCHS[:depths], batch=_BATCHES[depths - 1], batches=_BATCHES[:depths], lr=_RATE,
        schedule="constant", flips=True, samples=36,
    )  # fmt: skip
    return shape, StyleAdversary(), training


def _narrow(
    size_px: int, channels: int, *, latent: int, layers: int, base: int, most: int
) -> StyleNetworks:
    across = widths(size_px, base=base, most=most)
    return StyleNetworks(
        size_px=size_px, channels=channels, latent=latent, mapping=(latent,) * layers,
        widths=across, critic_widths=across, critic_head=(most, most),
    )  # fmt: skip
