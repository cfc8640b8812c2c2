"""A StyleGAN written out a second time: NumPy, double precision, nothing of the package.

Weights of any size under the names and in the order that files of StyleGAN.pytorch have, and what
such a network makes of them, by shifts and sums. Shape legend as in models/stylegan.py.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

ROOT2 = math.sqrt(2)


@dataclass(frozen=True)
class Made:
    """The settings that a file of weights was made with."""

    size_px: int
    channels: int = 3
    latent: int = 12
    inner: int = 12
    style: int = 12
    mapping: int = 2
    base: int = 64
    most: int = 16
    decay: float = 1.0
    is_blurred: bool = True
    has_mean: bool = True

    def __str__(self):
        return f"{self.size_px}px-{self.channels}-{self.mapping}"

    @property
    def top(self):
        return int(math.log2(self.size_px)) - 2

    def width(self, stage):
        return min(int(self.base / 2.0 ** (stage * self.decay)), self.most)


def generator_weights(made, seed=0):
    rng = np.random.default_rng(seed)
    out = {}

    def normal(key, *shape, scale=1.0):
        out[key] = rng.normal(0, scale, shape)

    def pair(key, *shape, scale=1.0):
        normal(f"{key}.weight", *shape, scale=scale)
        normal(f"{key}.bias", shape[0], scale=0.3)

    def epilogue(key, width):
        normal(f"{key}.top_epi.noise.weight", width, scale=0.3)
        pair(f"{key}.style_mod.lin", 2 * width, made.style)

    sizes = [made.latent, *[made.inner] * (made.mapping - 1), made.style]
    for at in range(made.mapping):
        pair(f"g_mapping.map.dense{at}", sizes[at + 1], sizes[at], scale=100)
        out[f"g_mapping.map.dense{at}.bias"] *= 100
    whole, width = "g_synthesis", made.width(1)
    normal(f"{whole}.init_block.const", 1, width, 4, 4)
    normal(f"{whole}.init_block.bias", width)
    epilogue(f"{whole}.init_block.epi1", width)
    pair(f"{whole}.init_block.conv", width, width, 3, 3)
    epilogue(f"{whole}.init_block.epi2", width)
    for at in range(made.top):
        inside, width, block = made.width(at + 1), made.width(at + 2), f"{whole}.blocks.{at}"
        pair(f"{block}.conv0_up", width, inside, 3, 3)
        if made.is_blurred:
            out[f"{block}.conv0_up.intermediate.kernel"] = blur_kernel()[None, None]
        epilogue(f"{block}.epi1", width)
        pair(f"{block}.conv1", width, width, 3, 3)
        epilogue(f"{block}.epi2", width)
    for at in range(made.top + 1):
        pair(f"{whole}.to_rgb.{at}", made.channels, made.width(at + 1), 1, 1)
    if made.has_mean:
        z = rng.normal(size=(4000, made.latent))
        mean = mapped(out, made, z).mean(axis=0)
        out["truncation.avg_latent"] = mean * 1.1
    return {key: torch.tensor(value, dtype=torch.float32) for key, value in out.items()}


def discriminator_weights(made, seed=0):
    rng = np.random.default_rng(seed)
    out = {}

    def pair(key, *shape):
        out[f"{key}.weight"] = rng.normal(size=shape)
        out[f"{key}.bias"] = rng.normal(0, 0.3, shape[0])

    for at in range(made.top):
        inside, outside = made.width(made.top - at + 1), made.width(made.top - at)
        pair(f"blocks.{at}.conv0", inside, inside, 3, 3)
        if made.is_blurred:
            out[f"blocks.{at}.blur.kernel"] = blur_kernel()[None, None]
        pair(f"blocks.{at}.conv1_down", outside, inside, 3, 3)
        out[f"blocks.{at}.conv1_down.downscale.blur.kernel"] = np.full((1, 1, 2, 2), 0.25)
    width = made.width(2)
    pair("final_block.conv", width, width + 1, 3, 3)
    pair("final_block.dense0", made.width(1), width * 16)
    pair("final_block.dense1", 1, made.width(1))
    for at in range(made.top + 1):
        pair(f"from_rgb.{at}", made.width(made.top - at + 1), made.channels, 1, 1)
    return {key: torch.tensor(value, dtype=torch.float32) for key, value in out.items()}


def noises(made, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(1, 1, 4 << at // 2, 4 << at // 2)) for at in range(2 * made.top + 2)]


def mapped(weights, made, z):
    """Return the styles (B, S) of latents (B, Z)."""
    x = z / np.sqrt((z**2).mean(axis=1, keepdims=True) + 1e-8)
    for at in range(made.mapping):
        x = leaky(dense(x, weights, f"g_mapping.map.dense{at}", rate=0.01))
    return x


def pictures(weights, made, styles, noise, *, depth, alpha):
    """Return pictures (B, C, H, W) of styles (B, L, S)."""
    weights = {key: np.asarray(value, np.float64) for key, value in weights.items()}
    layer = iter(range(len(noise)))

    def epilogue(x, key):
        at = next(layer)
        x = leaky(x + weights[f"{key}.top_epi.noise.weight"][:, None, None] * noise[at])
        x = x - x.mean(axis=(2, 3), keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=(2, 3), keepdims=True) + 1e-5)
        told = dense(styles[:, at], weights, f"{key}.style_mod.lin", gain=1.0)
        scale, shift = np.split(told[:, :, None, None], 2, axis=1)
        return x * (scale + 1) + shift

    def colours(x, at):
        return convolved(x, weights, f"g_synthesis.to_rgb.{at}", gain=1.0)

    block = "g_synthesis.init_block"
    bias = weights[f"{block}.bias"][:, None, None]
    x = np.repeat(weights[f"{block}.const"] + bias, len(styles), axis=0)
    x = epilogue(x, f"{block}.epi1")
    x = epilogue(convolved(x, weights, f"{block}.conv"), f"{block}.epi2")
    below = x
    for at in range(depth):
        below, block = x, f"g_synthesis.blocks.{at}"
        x = doubled(x, scaled(weights, f"{block}.conv0_up"))
        if made.is_blurred:
            x = blurred(x)
        x = epilogue(x + weights[f"{block}.conv0_up.bias"][:, None, None], f"{block}.epi1")
        x = epilogue(convolved(x, weights, f"{block}.conv1"), f"{block}.epi2")
    out = colours(x, depth)
    if depth:
        out = alpha * out + (1 - alpha) * colours(repeated(below), depth - 1)
    return out


def scores(weights, made, images, *, depth, alpha):
    """Return the scores (B,) of images (B, C, H, W)."""
    weights = {key: np.asarray(value, np.float64) for key, value in weights.items()}
    first = made.top - depth

    def coloured(x, at):
        return convolved(x, weights, f"from_rgb.{at}")

    x = coloured(images, first)
    for at in range(first, made.top):
        x = leaky(convolved(x, weights, f"blocks.{at}.conv0"))
        if made.is_blurred:
            x = blurred(x)
        x = halved(x, scaled(weights, f"blocks.{at}.conv1_down"))
        x = leaky(x + weights[f"blocks.{at}.conv1_down.bias"][:, None, None])
        if at == first:
            x = alpha * x + (1 - alpha) * coloured(boxed(images), first + 1)
    batch = len(x)
    group = min(4, batch)
    apart = batch // group
    told = np.empty((batch, 1, 4, 4))
    for one in range(apart):
        mates = x[one::apart]
        told[one::apart] = np.sqrt(mates.var(axis=0) + 1e-8).mean()
    x = leaky(convolved(np.concatenate([x, told], axis=1), weights, "final_block.conv"))
    x = leaky(dense(x.reshape(batch, -1), weights, "final_block.dense0"))
    return dense(x, weights, "final_block.dense1", gain=1.0)[:, 0]


def leaky(x):
    return np.where(x < 0, 0.2 * x, x)


def dense(x, weights, key, gain=ROOT2, rate=1.0):
    weight, bias = np.asarray(weights[f"{key}.weight"]), np.asarray(weights[f"{key}.bias"])
    return x @ (weight * gain / math.sqrt(weight.shape[1]) * rate).T + bias * rate


def scaled(weights, key, gain=ROOT2):
    weight = weights[f"{key}.weight"]
    return weight * gain / math.sqrt(math.prod(weight.shape[1:]))


def convolved(x, weights, key, gain=ROOT2):
    out = correlated(x, scaled(weights, key, gain))
    return out + weights[f"{key}.bias"][:, None, None]


def correlated(x, weight, stride=1):
    """Return what a kernel (out, in, k, k) makes of x, padded by 1 (by none where k is 1)."""
    size, pad = weight.shape[2], int(weight.shape[2] > 1)
    wide = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    high, across = (x.shape[2] + 2 * pad - size) // stride + 1, x.shape[3] + 2 * pad - size
    across = across // stride + 1
    out = 0
    for down in range(size):
        for right in range(size):
            seen = wide[:, :, down : down + stride * high : stride,
                        right : right + stride * across : stride]  # fmt: skip
            out = out + np.einsum("bchw,oc->bohw", seen, weight[:, :, down, right], optimize=True)
    return out


def blur_kernel():
    return np.outer([1, 2, 1], [1, 2, 1]) / 16


def blurred(x):
    wide, out = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 0
    for (down, right), share in np.ndenumerate(blur_kernel()):
        out = out + share * wide[:, :, down : down + x.shape[2], right : right + x.shape[3]]
    return out


def repeated(x):
    return x.repeat(2, axis=2).repeat(2, axis=3)


def boxed(x):
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def four(weight):
    """Return the 4 x 4 kernel that four shifts of a 3 x 3 one add up to."""
    out = np.zeros((*weight.shape[:2], 4, 4))
    for down in range(2):
        for right in range(2):
            out[:, :, down : down + 3, right : right + 3] += weight
    return out


def doubled(x, weight):
    """Up to 64 px: repeat, convolve. From 128 px on: every pixel spreads a 4 x 4 kernel."""
    if 2 * x.shape[2] < 128:
        return correlated(repeated(x), weight)
    high, kernel = x.shape[2], four(weight)
    wide = np.zeros((len(x), len(weight), 2 * high + 2, 2 * high + 2))
    for down in range(4):
        for right in range(4):
            wide[:, :, down : down + 2 * high : 2, right : right + 2 * high : 2] += np.einsum(
                "bchw,oc->bohw", x, kernel[:, :, down, right], optimize=True
            )
    return wide[:, :, 1:-1, 1:-1]


def halved(x, weight):
    """Up to 64 px: convolve, mean of 2 x 2. From 128 px on: a 4 x 4 kernel at every other pixel."""
    if x.shape[2] < 128:
        return boxed(correlated(x, weight))
    return correlated(x, four(weight) / 4, stride=2)
