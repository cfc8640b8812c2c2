"""Parts that several networks are built from.

Shape legend: B batch, C channels, H height, W width.
"""

from torch import Generator as Draws
from torch import Tensor, nn

from models.config import Init, Norm

_BLOCK_BIAS_STD = 0.01
_NORM_BIAS = 1e-3
_DCGAN_STD = 0.02


class AddChannels(nn.Module):
    """Give latents (B, Z) a height and a width of one: (B, Z, 1, 1)."""

    def forward(self, z: Tensor) -> Tensor:
        return z[:, :, None, None]


def down(inside: int, outside: int, *, norm: Norm = "batch", size: int = 4) -> nn.Sequential:
    """Convolve, normalise, leaky ReLU of 0.2; a size of 4 halves the picture, 3 keeps it.

    A convolution that is normalised needs no bias, and has none.
    """
    stride = 2 if size == 4 else 1
    parts: list[nn.Module] = [
        nn.Conv2d(inside, outside, size, stride, padding=1, bias=norm == "none")
    ]
    if norm == "batch":
        parts.append(nn.BatchNorm2d(outside))
    elif norm == "layer":
        parts.append(nn.GroupNorm(1, outside))
    return nn.Sequential(*parts, nn.LeakyReLU(0.2))


def up(inside: int, outside: int, *, size: int = 4, stride: int = 2) -> nn.Sequential:
    """Transposed convolution, batch norm, ReLU; a stride of 2 doubles the picture.

    Without padding (size 4, stride 1) a single pixel becomes 4 x 4.
    """
    padding = 0 if size == 4 and stride == 1 else 1
    return nn.Sequential(
        nn.ConvTranspose2d(inside, outside, size, stride, padding, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


def initialise(network: nn.Sequential, how: Init, draws: Draws) -> None:
    """Draw all weights of a network made of blocks and single convolutions.

    `fastai`: Kaiming uniform in the blocks with biases N(0, 0.01), PyTorch's own range in a last
    transposed convolution, Kaiming normal in a last convolution, norms 1 and 0.001.
    `dcgan`: convolutions N(0, 0.02), norms N(1, 0.02) and 0 (Radford et al. 2016, section 4).
    """
    for part in network:
        for layer in part.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
                _start_norm(layer, how, draws)
            elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                _start_convolution(layer, how, draws, is_last=layer is part)


def _start_norm(layer: nn.BatchNorm2d | nn.GroupNorm, how: Init, draws: Draws) -> None:
    if how == "dcgan":
        nn.init.normal_(layer.weight, 1.0, _DCGAN_STD, generator=draws)
        nn.init.zeros_(layer.bias)
    else:
        nn.init.ones_(layer.weight)
        nn.init.constant_(layer.bias, _NORM_BIAS)


def _start_convolution(
    layer: nn.Conv2d | nn.ConvTranspose2d, how: Init, draws: Draws, *, is_last: bool
) -> None:
    if how == "dcgan":
        nn.init.normal_(layer.weight, 0.0, _DCGAN_STD, generator=draws)
    elif not is_last:
        nn.init.kaiming_uniform_(layer.weight, generator=draws)
    elif isinstance(layer, nn.ConvTranspose2d):
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=draws)
    else:
        nn.init.kaiming_normal_(layer.weight, generator=draws)
    if layer.bias is None:
        return
    if how == "fastai" and not is_last:
        nn.init.normal_(layer.bias, 0.0, _BLOCK_BIAS_STD, generator=draws)
    else:
        nn.init.zeros_(layer.bias)
