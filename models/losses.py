"""What the two networks are trained to make small. Scores are (B, 1), raw; losses are scalars.

The critic is asked to tell real from generated pictures, the generator to make that hard.

Signs of the Wasserstein objective: the critic makes E[f(real)] - E[f(fake)] small, so it scores
generated pictures HIGH and real ones LOW, and the generator makes E[f(fake)] small. The paper
has both the other way round; with -f for f they are the same. Here it is this way because old
checkpoints of fastai are, and can be used as they come. The estimate of the earth mover's
distance, up to a factor that the weight limit sets, is minus the critic's loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import Objective as Name

LN2 = 0.6931471805599453


@dataclass(frozen=True, slots=True)
class Objective:
    """A pair of losses, and where they stand when the critic cannot tell the two apart."""

    critic: Callable[[Tensor, Tensor], Tensor]
    """Of the scores of real and of generated pictures."""
    generator: Callable[[Tensor], Tensor]
    """Of the scores of generated pictures."""
    critic_ideal: float
    generator_ideal: float | None
    """None where the value says nothing by itself."""
    alternates: bool
    """Whether one batch trains one network only, in turns, or both."""


def _wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    return real.mean() - fake.mean()


def _wasserstein_generator(fake: Tensor) -> Tensor:
    return fake.mean()


def _bce_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-mean log s(real) - mean log(1 - s(fake)), s the sigmoid: Goodfellow et al. (2014)."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def _bce_generator(fake: Tensor) -> Tensor:
    """-mean log s(fake), the form that does not saturate: Goodfellow et al. (2014), section 3."""
    return functional.softplus(-fake).mean()


def _squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Mean squared error against 1 for real and 0 for generated: Mao et al. (2017), a=0 b=1."""
    return (real - 1).square().mean() + fake.square().mean()


def _squares_generator(fake: Tensor) -> Tensor:
    return (fake - 1).square().mean()


OBJECTIVES: dict[Name, Objective] = {
    "wasserstein": Objective(_wasserstein_critic, _wasserstein_generator, 0.0, None, True),
    "bce": Objective(_bce_critic, _bce_generator, 2 * LN2, LN2, False),
    "least-squares": Objective(_squares_critic, _squares_generator, 0.5, 0.25, False),
}


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Return the mean of (|gradient of the critic| - 1)^2 between real and generated pictures.

    Taken in float32 whatever the precision around: squares of small gradients would vanish.

    Args:
        critic: Must not normalise over the batch: the penalty is one picture's own.
        real: (B, C, H, W).
        fake: (B, C, H, W).
        shares: (B,) in [0, 1], where on the line from generated to real each picture lies.

    Reference: Gulrajani et al. (2017), equation 3.
    """
    with torch.autocast(real.device.type, enabled=False):
        between = torch.lerp(fake.float(), real.float(), shares.view(-1, 1, 1, 1))
        between.requires_grad_(True)
        scores = critic(between)
        (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        return penalty
