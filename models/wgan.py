"""Generator and critic of DCGAN, WGAN and WGAN-GP: one family of convolutional networks.

References: Radford, Metz and Chintala (2016), https://arxiv.org/abs/1511.06434 (the shape);
Arjovsky, Chintala and Bottou (2017), https://arxiv.org/abs/1701.07875 (a critic without a
sigmoid); Gulrajani et al. (2017), https://arxiv.org/abs/1704.00028 (no batch norm in the critic).

Shape legend: B batch, Z latent, C image channels, H height, W width (H == W == size_px).
Pictures are float32 in [-1, 1]. Layers lie in the order and under the names that fastai's
`basic_generator` and `basic_critic` give them, so that either side reads the other's weights.
"""

import torch
from torch import nn

from models.config import NetworkConfig
from models.layers import AddChannels, down, initialise, up

_SMALLEST = 4


class Generator(nn.Sequential):
    """Map latents (B, Z) to pictures (B, C, H, W)."""

    def __init__(self, config: NetworkConfig) -> None:
        width = config.generator_width * config.size_px // (2 * _SMALLEST)
        parts: list[nn.Module] = [AddChannels(), up(config.latent, width, stride=1)]
        side = _SMALLEST
        while side < config.size_px // 2:
            parts.append(up(width, width // 2))
            width //= 2
            side *= 2
        parts += [up(width, width, size=3, stride=1) for _ in range(config.extra_layers)]
        last = nn.ConvTranspose2d(width, config.channels, 4, 2, 1, bias=False)
        super().__init__(*parts, last, nn.Tanh())


class Critic(nn.Sequential):
    """Map pictures (B, C, H, W) to scores (B, 1); no sigmoid: a loss takes the raw score."""

    def __init__(self, config: NetworkConfig) -> None:
        width, norm = config.critic_width, config.critic_norm
        parts: list[nn.Module] = [down(config.channels, width, norm="none")]
        parts += [down(width, width, norm=norm, size=3) for _ in range(config.extra_layers)]
        side = config.size_px // 2
        while side > _SMALLEST:
            parts.append(down(width, 2 * width, norm=norm))
            width *= 2
            side //= 2
        super().__init__(*parts, nn.Conv2d(width, 1, _SMALLEST), nn.Flatten())


def networks(config: NetworkConfig, *, seed: int) -> tuple[Generator, Critic]:
    """Return a new generator and critic with weights drawn from `seed`."""
    draws = torch.Generator().manual_seed(seed)
    generator, critic = Generator(config), Critic(config)
    initialise(generator, config.init, draws)
    initialise(critic, config.init, draws)
    return generator, critic
