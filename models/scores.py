"""The discriminator's opinion of pictures."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError, RefusedFileError
from core.text import N_
from models import checkpoint
from models.config import networks_of
from models.data import as_pictures
from models.engine import engine
from models.foreign import read_foreign
from models.npy import DAMAGED
from models.style_config import StyleNetworks
from models.style_layers import group_size
from models.stylegan import StyleDiscriminator

_PIXELS_AT_ONCE = 1 << 18
"""Of a call of the network: 64 pictures of 64 px, one group from 256 px on. At the published width
what its layers put out then takes some hundred megabytes."""


def score_file(model: Path, images: Path, *, alpha: float = 1.0) -> NDArray[np.float32]:
    """Return the scores (n,) that a StyleGAN's discriminator gives to pictures of an NPY file.

    The discriminator looks at how much those of a group differ, and groups are taken from the
    whole file. They go through some groups at a time. Their size says which depth.

    Args:
        model: A checkpoint's folder, or a GAN_DIS file.
        images: (n, C, side, side), uint8, or float32 in -1 to 1.
        alpha: Share of the newest depth.

    Raises:
        InputError: There is no discriminator, or pictures of a size that it does not know.
        RefusedFileError: A file is damaged.
    """
    network = _discriminator(model)
    try:
        found = np.load(images, allow_pickle=False)
        pictures = torch.from_numpy(np.ascontiguousarray(found))
    except DAMAGED as err:
        raise RefusedFileError(N_("{name} is no NPY file of pictures."), name=images.name) from err
    shape = network.config
    sizes = [4 << depth for depth in range(shape.depths)]
    if (
        pictures.ndim != 4
        or not len(pictures)
        or pictures.shape[1] != shape.channels
        or pictures.shape[2] not in sizes
        or pictures.shape[2] != pictures.shape[3]
        or pictures.dtype not in (torch.uint8, torch.float32)
        or not 0 <= alpha <= 1
    ):
        raise InputError(
            N_("{name} holds pictures of shape {shape}; this discriminator takes (n, {channels},"
               " side, side) with a side of 4 to {size} px, whole numbers or float32."),
            name=images.name, shape=str(tuple(pictures.shape)), channels=shape.channels,
            size=shape.size_px,
        )  # fmt: skip
    side = pictures.shape[2]
    return _scores(network, pictures, depth=sizes.index(side), alpha=alpha)


def _scores(
    network: StyleDiscriminator, pictures: Tensor, *, depth: int, alpha: float
) -> NDArray[np.float32]:
    """Return the scores (n,) of pictures (n, C, side, side) as if all went through at once."""
    group = group_size(len(pictures), network.config.group)
    network.final_block.group = group  # of the whole: a piece might take a larger one
    apart = len(pictures) // group  # picture i is grouped with i + apart, i + 2 apart …
    members = torch.arange(len(pictures)).reshape(group, apart)
    step = max(1, _PIXELS_AT_ONCE // (group * pictures.shape[2] ** 2))
    out = torch.empty(len(pictures))
    with torch.inference_mode():
        for first in range(0, apart, step):
            some = members[:, first : first + step].flatten()
            part = pictures[some]
            shown = as_pictures(part) if part.dtype == torch.uint8 else part
            out[some] = network(shown, depth=depth, alpha=alpha).flatten()
    found: NDArray[np.float32] = out.numpy()
    return found


def _discriminator(model: Path) -> StyleDiscriminator:
    engine("cpu", "float32", exact=True)  # bounds the threads
    if model.is_dir():
        found = checkpoint.read_checkpoint(model, with_state=False)
        networks = networks_of(str(found.facts.get("model")), found.facts["networks"])
        weights = found.weights
    else:
        foreign = read_foreign(model)
        networks, weights = foreign.networks, foreign.weights
    own = {k.removeprefix("critic."): v for k, v in weights.items() if k.startswith("critic.")}
    if not isinstance(networks, StyleNetworks) or not own:
        raise InputError(N_("{name} holds no StyleGAN discriminator."), name=model.name)
    network = StyleDiscriminator(networks)
    network.load_state_dict(own)
    network.eval().requires_grad_(False)
    return network
