"""StyleGAN's generator and discriminator, plain: the reference for every quicker way.

Reference: Karras, Laine and Aila (2019), https://arxiv.org/abs/1812.04948; layers grow from 4 px up
as in Karras et al. (2018), https://arxiv.org/abs/1710.10196. Parameters have the names and the
order that checkpoints of StyleGAN.pytorch have, so that either side reads the other's.

Depth d makes pictures of 4 · 2^d px; layers are counted from 0, two a depth. Shape legend: B batch,
Z latent, S style, L layers, C channels of a picture, H height, W width.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.style_config import SMALLEST, StyleNetworks
from models.style_layers import (
    SLOPE,
    Blur,
    Down,
    Epilogue,
    EqualConv,
    EqualDense,
    Up,
    enlarged,
    spread,
    unit_length,
)

MAPPING_RATE = 0.01


class Mapping(nn.Module):
    """Make styles (B, S) of latents (B, Z)."""

    def __init__(self, config: StyleNetworks) -> None:
        super().__init__()
        sizes = (config.latent, *config.mapping)
        self.map = nn.ModuleDict({
            f"dense{at}": EqualDense(inside, outside, rate=MAPPING_RATE)
            for at, (inside, outside) in enumerate(pairwise(sizes))
        })  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        x = unit_length(z)
        for dense in self.map.values():
            x = functional.leaky_relu(dense(x), SLOPE)
        return x


class First(nn.Module):
    """The block of 4 x 4: it begins with learnt numbers, the same for every picture."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.ones(1, channels, SMALLEST, SMALLEST))
        self.bias = nn.Parameter(torch.ones(channels))
        self.epi1 = Epilogue(style, channels)
        self.conv = EqualConv(channels, channels, 3)
        self.epi2 = Epilogue(style, channels)

    def forward(self, styles: Tensor, noises: Sequence[Tensor]) -> Tensor:
        x = self.const.expand(len(styles), -1, -1, -1) + self.bias[:, None, None]
        x = self.epi1(x, noises[0], styles[:, 0])
        out: Tensor = self.epi2(self.conv(x), noises[1], styles[:, 1])
        return out


class Block(nn.Module):
    """The block of one size above: double, convolve, convolve; two layers."""

    def __init__(self, style: int, inside: int, outside: int, *, is_blurred: bool) -> None:
        super().__init__()
        self.conv0_up = Up(inside, outside, is_blurred=is_blurred)
        self.epi1 = Epilogue(style, outside)
        self.conv1 = EqualConv(outside, outside, 3)
        self.epi2 = Epilogue(style, outside)

    def forward(self, x: Tensor, styles: Tensor, noises: Sequence[Tensor]) -> Tensor:
        """Take the two styles (B, 2, S) and noises of this block."""
        x = self.epi1(self.conv0_up(x), noises[0], styles[:, 0])
        out: Tensor = self.epi2(self.conv1(x), noises[1], styles[:, 1])
        return out


class Synthesis(nn.Module):
    """Make pictures of a style a layer."""

    def __init__(self, config: StyleNetworks) -> None:
        super().__init__()
        widths, style = config.widths, config.style
        self.init_block = First(style, widths[0])
        self.blocks = nn.ModuleList(
            Block(style, inside, outside, is_blurred=config.is_blurred)
            for inside, outside in pairwise(widths)
        )
        self.to_rgb: Any = nn.ModuleList(
            EqualConv(width, config.channels, 1, gain=1.0) for width in widths
        )

    def forward(
        self, styles: Tensor, noises: Sequence[Tensor], *, depth: int, alpha: float = 1.0
    ) -> Tensor:
        """Return pictures (B, C, H, W) of styles (B, L, S) and a noise (1 or B, 1, h, w) a layer.

        `alpha` is the share of the newest depth; the rest is the depth below, enlarged. Layers
        above the depth are not looked at. About -1 to 1, not cut off.
        """
        x = self.init_block(styles, noises)
        below = x
        for at in range(depth):
            below = x
            layers = slice(2 * at + 2, 2 * at + 4)
            x = self.blocks[at](x, styles[:, layers], noises[layers])
        out: Tensor = self.to_rgb[depth](x)
        if depth and alpha < 1:
            out = alpha * out + (1 - alpha) * self.to_rgb[depth - 1](enlarged(below))
        return out


class Truncation(nn.Module):
    """Holds the mean of all styles."""

    avg_latent: Tensor

    def __init__(self, style: int) -> None:
        super().__init__()
        self.register_buffer("avg_latent", torch.zeros(style))


class StyleGenerator(nn.Module):
    """Latents to styles, styles to pictures, and the mean style."""

    def __init__(self, config: StyleNetworks) -> None:
        super().__init__()
        self.config = config
        self.g_mapping = Mapping(config)
        self.g_synthesis = Synthesis(config)
        self.truncation = Truncation(config.style)

    def forward(
        self, z: Tensor, noises: Sequence[Tensor], *, depth: int, alpha: float = 1.0
    ) -> Tensor:
        """Return pictures of latents (B, Z), one style for all layers, nothing drawn in."""
        styles = self.g_mapping(z)[:, None].expand(-1, self.config.layers, -1)
        out: Tensor = self.g_synthesis(styles, noises, depth=depth, alpha=alpha)
        return out


class CriticBlock(nn.Module):
    """One size down: convolve, blur, convolve and halve."""

    def __init__(self, inside: int, outside: int, *, is_blurred: bool) -> None:
        super().__init__()
        self.conv0 = EqualConv(inside, inside, 3)
        self.blur = Blur() if is_blurred else nn.Identity()
        self.conv1_down = Down(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blur(functional.leaky_relu(self.conv0(x), SLOPE))
        return functional.leaky_relu(self.conv1_down(x), SLOPE)


class CriticHead(nn.Module):
    """The last block: the batch's spread, a convolution of 4 x 4, two dense layers."""

    def __init__(self, config: StyleNetworks) -> None:
        super().__init__()
        convolved, dense = config.critic_head
        self.group = config.group
        self.conv = EqualConv(config.critic_widths[0] + 1, convolved, 3)
        self.dense0 = EqualDense(convolved * SMALLEST**2, dense)
        self.dense1 = EqualDense(dense, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.conv(spread(x, self.group)), SLOPE)
        x = functional.leaky_relu(self.dense0(x.flatten(1)), SLOPE)
        out: Tensor = self.dense1(x)
        return out


class StyleDiscriminator(nn.Module):
    """Map pictures (B, C, H, W) to raw scores (B, 1); its parts lie from the largest size down."""

    def __init__(self, config: StyleNetworks) -> None:
        super().__init__()
        self.config = config
        down = config.critic_widths[::-1]
        self.blocks = nn.ModuleList(
            CriticBlock(inside, outside, is_blurred=config.is_blurred)
            for inside, outside in pairwise(down)
        )
        self.final_block = CriticHead(config)
        self.from_rgb = nn.ModuleList(EqualConv(config.channels, width, 1) for width in down)

    def forward(self, pictures: Tensor, *, depth: int, alpha: float = 1.0) -> Tensor:
        """Score pictures of depth `depth`; `alpha` as for the generator."""
        first = self.config.depths - 1 - depth
        x = self.from_rgb[first](pictures)
        if depth:
            x = self.blocks[first](x)
            if alpha < 1:
                smaller = self.from_rgb[first + 1](functional.avg_pool2d(pictures, 2))
                x = alpha * x + (1 - alpha) * smaller
            for block in self.blocks[first + 1 :]:
                x = block(x)
        out: Tensor = self.final_block(x)
        return out


def style_networks(
    config: StyleNetworks, *, seed: int
) -> tuple[StyleGenerator, StyleDiscriminator]:
    """Return a new generator and discriminator with weights drawn from `seed`."""
    draws = torch.Generator().manual_seed(seed)
    pair = StyleGenerator(config), StyleDiscriminator(config)
    for network in pair:
        for part in network.modules():
            if isinstance(part, EqualDense | EqualConv):
                part.start(draws)
    return pair
