"""Parts of StyleGAN: layers whose weights are scaled as they are used, noise, style, blur.

References: Karras et al. (2018), https://arxiv.org/abs/1710.10196, section 4.1 (equalised rates),
section 3 (spread of a batch); Karras, Laine and Aila (2019), https://arxiv.org/abs/1812.04948.

Weights are stored as N(0, 1) / `rate` and multiplied by gain · rate / sqrt(fan in) at each use, so
that one learning rate suits every layer. Names of parameters are those of the checkpoints that
people have. Shape legend: B batch, C channels, H height, W width, S numbers of a style.
"""

import math
from typing import Any

import torch
from torch import Generator as Draws
from torch import Tensor, nn
from torch.nn import functional

GAIN = math.sqrt(2)
SLOPE = 0.2
# From this many pixels on, of the larger of its two sizes, a layer that doubles or halves works in
# one stride. For the way up that is another function than below: its kernel comes mirrored.
STRIDED_PX = 128
_EPS = 1e-8
_NORM_EPS = 1e-5


class EqualDense(nn.Module):
    """Dense layer with weights scaled at use; (B, inside) to (B, outside)."""

    def __init__(self, inside: int, outside: int, *, gain: float = GAIN, rate: float = 1.0) -> None:
        super().__init__()
        self.scale, self.rate = gain * rate / math.sqrt(inside), rate
        self.weight = nn.Parameter(torch.empty(outside, inside))
        self.bias = nn.Parameter(torch.empty(outside))

    def start(self, draws: Draws) -> None:
        nn.init.normal_(self.weight, 0.0, 1 / self.rate, generator=draws)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """Convolution of the same size with weights scaled at use; (B, C, H, W)."""

    def __init__(self, inside: int, outside: int, size: int, *, gain: float = GAIN) -> None:
        super().__init__()
        self.scale = gain / math.sqrt(inside * size**2)
        self.weight = nn.Parameter(torch.empty(outside, inside, size, size))
        self.bias = nn.Parameter(torch.empty(outside))

    def start(self, draws: Draws) -> None:
        nn.init.normal_(self.weight, generator=draws)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        padding = self.weight.shape[-1] // 2
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=padding)


class Blur(nn.Module):
    """Smooth every channel by one small kernel, held as a buffer (1, 1, 3, 3)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (taps[:, None] * taps / 16)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.expand(x.shape[1], 1, -1, -1).to(x.dtype)
        return functional.conv2d(x, kernel, padding=1, groups=x.shape[1])


class Up(EqualConv):
    """Double the picture, convolve, blur, add the bias."""

    def __init__(self, inside: int, outside: int, *, is_blurred: bool) -> None:
        super().__init__(inside, outside, 3)
        self.intermediate = Blur() if is_blurred else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if is_strided(2 * min(x.shape[2:])):
            x = functional.conv_transpose2d(x, strided(weight.transpose(0, 1)), stride=2, padding=1)
        else:
            x = functional.conv2d(enlarged(x), weight, padding=1)
        out: Tensor = self.intermediate(x)
        return out + self.bias[:, None, None]


class Box(nn.Module):
    """Halve the picture: mean of 2 x 2. The kernel is kept because checkpoints name it."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Module()
        self.blur.register_buffer("kernel", torch.full((1, 1, 2, 2), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2)


class Down(EqualConv):
    """Convolve, halve the picture, add the bias."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 3)
        self.downscale = Box()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if is_strided(min(x.shape[2:])):
            return functional.conv2d(x, strided(weight) / 4, self.bias, stride=2, padding=1)
        out: Tensor = self.downscale(functional.conv2d(x, weight, padding=1))
        return out + self.bias[:, None, None]


class Noise(nn.Module):
    """Add noise (1 or B, 1, H, W), each channel as strongly as it has learnt to."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        strength = self.weight[:, None, None]
        if x.is_contiguous():
            out: Tensor = x + strength * noise
            return out
        return torch.addcmul(x, strength, noise)  # the product alone would lie the other way round


class Style(nn.Module):
    """Scale and shift every channel as a style (B, S) says."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.lin = EqualDense(style, 2 * channels, gain=1.0)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.lin(style).view(len(style), 2, -1, 1, 1).unbind(1)
        out: Tensor = x * (scale + 1) + shift
        return out


class Epilogue(nn.Module):
    """What follows a convolution: noise, leaky ReLU, each picture's own norm, style."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.top_epi: Any = nn.ModuleDict({"noise": Noise(channels)})
        self.style_mod = Style(style, channels)

    @property
    def strength(self) -> Tensor:
        """How strongly each channel takes the noise, (C,)."""
        strength: Tensor = self.top_epi["noise"].weight
        return strength

    def forward(self, x: Tensor, noise: Tensor, style: Tensor) -> Tensor:
        x = functional.leaky_relu(self.top_epi["noise"](x, noise), SLOPE)
        out: Tensor = self.style_mod(picture_norm(x), style)
        return out


def picture_norm(x: Tensor) -> Tensor:
    """Bring each channel of each picture to mean 0 and variance 1.

    Groups of one channel are the same in other words: where channels lie side by side in memory,
    they spare the copies that an instance norm makes.
    """
    if x.is_contiguous():
        return functional.instance_norm(x, eps=_NORM_EPS)
    return functional.group_norm(x, x.shape[1], eps=_NORM_EPS)


def unit_length(z: Tensor) -> Tensor:
    """Bring latents (B, Z) to a mean square of one: their length says nothing."""
    return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + _EPS)


def spread(x: Tensor, group: int) -> Tensor:
    """Append a channel that tells how much the pictures of each group differ, (B, C + 1, H, W).

    Picture i is grouped with i + B/g, i + 2 B/g …; for g see `group_size`.
    """
    batch, channels, height, width = x.shape
    size = group_size(batch, group)
    apart = x.reshape(size, batch // size, channels, height, width)
    apart = (apart - apart.mean(dim=0)).square().mean(dim=0)
    mean = (apart + _EPS).sqrt().mean(dim=(1, 2, 3))
    told = mean.repeat(size).view(batch, 1, 1, 1).expand(-1, -1, height, width)
    return torch.cat([x, told.to(x.dtype)], dim=1)


def group_size(batch: int, most: int) -> int:
    """Return the pictures of a group: the largest divisor of the batch up to `most`."""
    return next(size for size in range(min(most, batch), 0, -1) if batch % size == 0)


def is_strided(larger_px: int) -> bool:
    """Tell whether a layer between two sizes works in one stride."""
    return larger_px >= STRIDED_PX


def strided(weight: Tensor) -> Tensor:
    """Return the kernel (…, 4, 4) whose stride of 2 does a 3 x 3 one on 2 x 2 equal pixels."""
    wide = functional.pad(weight, (1, 1, 1, 1))
    return (
        wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]
    )  # fmt: skip


def enlarged(x: Tensor) -> Tensor:
    """Repeat every pixel twice across and down."""
    return functional.interpolate(x, scale_factor=2, mode="nearest")
