"""Generated pictures as files: PNG with its settings inside, GIF of a walk, noise read from NPZ."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core import png, store
from core.chips.channels import Channel
from core.chips.display import to_pictures
from core.errors import InputError, RefusedFileError, TooLargeError
from core.settings import settings
from core.text import N_
from models.arrays import Shape, opened_arrays
from models.generate import Mixing, Pictures, as_bytes
from models.npy import DAMAGED
from models.progressive import size_of_depth
from models.style_config import StyleNetworks

KEYWORD, KIND, VERSION = "urban-pattern", "urban-pattern-generated", 1
Image = NDArray[np.uint8]
_GREATEST = 1 << 26
"""Pixels of a PNG, 8192 x 8192: more than most programs open."""
_PIXEL_BYTES = 12
"""Memory that a pixel takes while a sheet is laid out and packed."""
_HEAD_BYTES = 1 << 20
"""Of a PNG: the settings stand before the pixels."""


def shown(made: Pictures, channels: Sequence[Channel] = ()) -> Image:
    """Return pictures (…, C, H, W) as they are shown: see `coloured`."""
    return coloured(as_bytes(made), channels)


def coloured(pictures: NDArray[np.uint8], channels: Sequence[Channel] = ()) -> Image:
    """Return pictures (…, C, H, W) of bytes as (…, H, W, 3 or 1): RGB or grey.

    Where the channels are known, as chips are shown: red, green and blue, or the colour of the
    strongest class. Else the first three, or the first.
    """
    count = pictures.shape[-3]
    if len(channels) != count:
        kept = pictures[..., :3, :, :] if count >= 3 else pictures[..., :1, :, :]
        return np.moveaxis(kept, -3, -1)
    flat = to_pictures(pictures.reshape(-1, *pictures.shape[-3:]), channels)
    flat = flat[..., None] if flat.ndim == 3 else flat
    return flat.reshape(*pictures.shape[:-3], *flat.shape[1:])


def tiled(rows: Image) -> Image:
    """Lay pictures (R, C, H, W, k) side by side without a gap: (R · H, C · W, k)."""
    num, columns, height, width, channels = rows.shape
    return np.ascontiguousarray(
        rows.transpose(0, 2, 1, 3, 4).reshape(num * height, columns * width, channels)
    )


def grid_sheet(made: Pictures, *, columns: int, channels: Sequence[Channel] = ()) -> Image:
    """Lay pictures (n, C, H, W) out in rows; places left over are white."""
    pictures = shown(made, channels)
    rows = -(-len(pictures) // columns)
    missing = rows * columns - len(pictures)
    filler = np.full((missing, *pictures.shape[1:]), 255, np.uint8)
    whole = np.concatenate([pictures, filler])
    return tiled(whole.reshape(rows, columns, *pictures.shape[1:]))


def mixing_sheet(found: Mixing, channels: Sequence[Channel] = ()) -> Image:
    """Lay a mixing out: sources above, destinations on the left, the corner white."""
    every = (found.sources, found.destinations, found.cells)
    top, left, cells = (shown(made, channels) for made in every)
    corner = np.full_like(top[:1], 255)
    first = np.concatenate([corner, top])[None]
    return tiled(np.concatenate([first, np.concatenate([left[:, None], cells], axis=1)]))


def check_sheet(rows: int, columns: int, *, size_px: int) -> None:
    """Refuse a sheet that is too large, before its pictures are made.

    Raises:
        TooLargeError: It has more than 67 million pixels, or takes more memory than may be.
    """
    width, height = columns * size_px, rows * size_px
    if width * height > min(_GREATEST, (settings().memory_mb << 20) // _PIXEL_BYTES):
        raise TooLargeError(
            N_("A picture of {width:,} x {height:,} pixels is too large for a sheet."),
            hint=N_("Make fewer pictures, or smaller ones."), width=width, height=height,
        )  # fmt: skip


def write_png(path: Path, image: Image, told: dict[str, Any]) -> None:
    """Write an image (H, W, 1 or 3) with what it was made of, as `settings_of` reads it."""
    with store.atomic_path(path) as tmp:
        tmp.write_bytes(png_bytes(image, told))


def png_bytes(image: Image, told: dict[str, Any]) -> bytes:
    """Return the bytes of the PNG that `write_png` writes.

    Raises:
        InputError: The settings are those of a preview, which is near the picture and not it.
    """
    if told.get("look", {}).get("way") == "preview":
        raise InputError(
            N_("A preview is to look at alone."), hint=N_("Make the picture itself for a file.")
        )
    about = json.dumps({"kind": KIND, "version": VERSION, **told}, sort_keys=True)
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    return png.truecolour(pixels, {KEYWORD: about})


def settings_in(path: Path) -> dict[str, Any]:
    """Return what a PNG file says that it was made of; its pixels are not read.

    Raises:
        RefusedFileError: See `settings_of`.
    """
    with path.open("rb") as stream:
        return settings_of(stream.read(_HEAD_BYTES))


def settings_of(body: bytes) -> dict[str, Any]:
    """Return what a PNG says that it was made of.

    Raises:
        RefusedFileError: It says nothing, or is from a newer version.
    """
    try:
        found: dict[str, Any] = json.loads(png.texts(body)[KEYWORD])
        if found.pop("kind") != KIND or int(found.pop("version")) > VERSION:
            raise ValueError("another kind or a newer version")
    except DAMAGED as err:
        raise RefusedFileError(
            N_("This picture does not say what it was made of."),
            hint=N_("Only PNG files that this program wrote do, until somebody saves them anew."),
        ) from err
    return found


def gif_of(images: Sequence[Image], *, seconds: float = 0.08) -> bytes:
    """Return images (H, W, 3 or 1) as an endless GIF; its 256 colours are those of each frame."""
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
    found: list[Tensor] = []
    try:
        with opened_arrays(path) as read:
            for layer in range(networks.layers):
                check = partial(_check_noise, path.name, layer)
                try:
                    noise = read(str(layer), check)
                except KeyError:
                    check((), np.dtype(np.float32))  # missing
                found.append(torch.from_numpy(noise.astype(np.float32)))
    except InputError:
        raise
    except DAMAGED as err:
        raise RefusedFileError(N_("{name} is no NPZ file of noise."), name=path.name) from err
    return found


def _check_noise(name: str, layer: int, shape: Shape, dtype: "np.dtype[np.generic]") -> None:
    size = size_of_depth(layer // 2)
    if shape != (1, 1, size, size) or dtype.kind not in "fiu":
        raise InputError(
            N_("{name} lacks the noise of layer {layer}: numbers of shape (1, 1, {size},"
               " {size}) under the name {layer}."),
            name=name, layer=layer, size=size,
        )  # fmt: skip
