"""What StyleGAN's networks are trained to make small. Scores are (B, 1), raw; losses are scalars.

Real pictures score high here, generated ones low.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.style_config import StyleObjective


@dataclass(frozen=True, slots=True)
class StyleLoss:
    """A pair of losses."""

    critic: Callable[[Tensor, Tensor], Tensor]
    """Of the scores of real and of generated pictures."""
    generator: Callable[[Tensor | None, Tensor], Tensor]
    """Of the same; the first is None where it is not needed."""
    generator_needs_real: bool = False


def _logistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-mean ln s(real) - mean ln(1 - s(fake)), s the sigmoid: Goodfellow et al. (2014)."""
    return functional.softplus(fake).mean() + functional.softplus(-real).mean()


def _logistic_generator(_real: Tensor | None, fake: Tensor) -> Tensor:
    return functional.softplus(-fake).mean()


def _hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Lim and Ye (2017), https://arxiv.org/abs/1705.02894."""
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def _hinge_generator(_real: Tensor | None, fake: Tensor) -> Tensor:
    return -fake.mean()


def _relative(real: Tensor | None, fake: Tensor) -> tuple[Tensor, Tensor]:
    assert real is not None
    return real - fake.mean(), fake - real.mean()


def _relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Each against the mean of the other: Jolicoeur-Martineau (2019), arXiv:1807.00734."""
    ahead, behind = _relative(real, fake)
    return functional.relu(1 - ahead).mean() + functional.relu(1 + behind).mean()


def _relativistic_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    ahead, behind = _relative(real, fake)
    return functional.relu(1 + ahead).mean() + functional.relu(1 - behind).mean()


OBJECTIVES: dict[StyleObjective, StyleLoss] = {
    "logistic": StyleLoss(_logistic_critic, _logistic_generator),
    "hinge": StyleLoss(_hinge_critic, _hinge_generator),
    "relativistic-hinge": StyleLoss(
        _relativistic_critic, _relativistic_generator, generator_needs_real=True
    ),
}


def r1(scores: Tensor, real: Tensor) -> Tensor:
    """Return the squared gradient of the scores of real pictures, SUMMED over the batch.

    Summed as in StyleGAN.pytorch, not averaged: with its weight of gamma / 2 a batch of 128 is held
    back 128 times as much as one picture.

    Reference: Mescheder, Geiger and Nowozin (2018), https://arxiv.org/abs/1801.04406, equation 9.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return gradient.square().sum()
