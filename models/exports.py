"""Generated pictures as files: PNG with its settings inside, GIF of a walk, noise read from NPZ."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core import png, store
from core.errors import InputError, RefusedFileError
from core.text import N_
from models.generate import Mixing, Pictures, as_bytes
from models.npy import DAMAGED
from models.progressive import size_of_depth
from models.style_config import StyleNetworks

KEYWORD, KIND, VERSION = "urban-pattern", "urban-pattern-generated", 1
Image = NDArray[np.uint8]
_GREATEST = 1 << 24
"""Pixels of a PNG or of a GIF's frame."""


def shown(made: Pictures) -> Image:
    """Return pictures (…, H, W, 3 or 1) as they are shown: RGB of three or more channels, or grey.

    Of four channels the first three: red, green and blue come before near infrared.
    """
    channels = made.shape[-3]
    kept = made[..., :3, :, :] if channels >= 3 else made[..., :1, :, :]
    return np.moveaxis(as_bytes(kept), -3, -1)


def tiled(rows: Image) -> Image:
    """Lay pictures (R, C, H, W, k) side by side without a gap: (R · H, C · W, k)."""
    num, columns, height, width, channels = rows.shape
    return np.ascontiguousarray(
        rows.transpose(0, 2, 1, 3, 4).reshape(num * height, columns * width, channels)
    )


def grid_sheet(made: Pictures, *, columns: int) -> Image:
    """Lay pictures (n, C, H, W) out in rows; places left over are white."""
    pictures = shown(made)
    rows = -(-len(pictures) // columns)
    missing = rows * columns - len(pictures)
    filler = np.full((missing, *pictures.shape[1:]), 255, np.uint8)
    whole = np.concatenate([pictures, filler])
    return tiled(whole.reshape(rows, columns, *pictures.shape[1:]))


def mixing_sheet(found: Mixing) -> Image:
    """Lay a mixing out: sources above, destinations on the left, the corner white."""
    top, left, cells = shown(found.sources), shown(found.destinations), shown(found.cells)
    corner = np.full_like(top[:1], 255)
    first = np.concatenate([corner, top])[None]
    return tiled(np.concatenate([first, np.concatenate([left[:, None], cells], axis=1)]))


def write_png(path: Path, image: Image, settings: dict[str, Any]) -> None:
    """Write an image (H, W, 1 or 3) with what it was made of, as `settings_of` reads it.

    Raises:
        InputError: It has more than 16 million pixels.
    """
    if image.shape[0] * image.shape[1] > _GREATEST:
        raise InputError(
            N_("A picture of {width:,} x {height:,} pixels is too large for a sheet."),
            hint=N_("Make fewer pictures, or smaller ones."),
            width=image.shape[1], height=image.shape[0],
        )  # fmt: skip
    with store.atomic_path(path) as tmp:
        tmp.write_bytes(png_bytes(image, settings))


def png_bytes(image: Image, settings: dict[str, Any]) -> bytes:
    """Return the bytes of the PNG that `write_png` writes.

    Raises:
        InputError: The settings are those of a preview, which is near the picture and not it.
    """
    if settings.get("look", {}).get("way") == "preview":
        raise InputError(
            N_("A preview is to look at alone."), hint=N_("Make the picture itself for a file.")
        )
    about = json.dumps({"kind": KIND, "version": VERSION, **settings}, sort_keys=True)
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    return png.truecolour(pixels, {KEYWORD: about})


def settings_of(body: bytes) -> dict[str, Any]:
    """Return what a PNG says that it was made of.

    Raises:
        RefusedFileError: It says nothing, or is from a newer version.
    """
    try:
        found: dict[str, Any] = json.loads(png.texts(body)[KEYWORD])
        if found.pop("kind") != KIND or int(found.pop("version")) > VERSION:
            raise ValueError("another kind or a newer version")
    except (KeyError, ValueError, TypeError, AttributeError) as err:
        raise RefusedFileError(
            N_("This picture does not say what it was made of."),
            hint=N_("Only PNG files that this program wrote do, until somebody saves them anew."),
        ) from err
    return found


def gif_bytes(made: Pictures, *, seconds: float = 0.08) -> bytes:
    """Return pictures (n, C, H, W) as an endless GIF; its 256 colours are those of each frame."""
    return gif_of(list(shown(made)), seconds=seconds)


def gif_of(images: Sequence[Image], *, seconds: float = 0.08) -> bytes:
    """Return images (H, W, 3 or 1) as an endless GIF; see `gif_bytes`."""
    import io

    from PIL import Image as Frames

    coloured = [one.repeat(3, axis=-1) if one.shape[-1] == 1 else one for one in images]
    frames = [Frames.fromarray(np.ascontiguousarray(one)).quantize(256) for one in coloured]
    out = io.BytesIO()
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], loop=0, duration=int(1000 * seconds)
    )
    return out.getvalue()


def read_noises(path: Path, networks: StyleNetworks) -> list[Tensor]:
    """Read a noise a layer from an NPZ of arrays `0`, `1` …, each (1, 1, r, r).

    Raises:
        RefusedFileError: It is no such file.
        InputError: An array is missing or of another shape.
    """
    sizes: Sequence[int] = [size_of_depth(at // 2) for at in range(networks.layers)]
    found: list[Tensor] = []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            given = {name: arrays[name] for name in arrays.files}
    except DAMAGED as err:
        raise RefusedFileError(N_("{name} is no NPZ file of noise."), name=path.name) from err
    for layer, size in enumerate(sizes):
        noise = given.get(str(layer))
        if noise is None or noise.shape != (1, 1, size, size):
            raise InputError(
                N_("{name} lacks the noise of layer {layer}: numbers of shape (1, 1, {size},"
                   " {size}) under the name {layer}."),
                name=path.name, layer=layer, size=size,
            )  # fmt: skip
        found.append(torch.from_numpy(noise.astype(np.float32)))
    return found
