"""What a StyleGAN's training takes, counted from its layers: multiplications, weights, outputs."""

from itertools import pairwise

from models.config import RunConfig
from models.progressive import depth_of_fit, size_of_depth
from models.style_config import StyleAdversary, StyleNetworks

_THERE_AND_BACK = 3
# Real and generated pictures through the discriminator; both networks for the generator's step.
_CRITIC_WAYS, _GENERATOR_WAYS = 2, 1


def parameters(networks: StyleNetworks) -> tuple[int, int]:
    """Return how many weights generator and discriminator have."""
    style, channels, wide = networks.style, networks.channels, networks.widths
    generator = sum(a * b + b for a, b in pairwise((networks.latent, *networks.mapping)))
    finish = [width + 2 * width * (style + 1) for width in wide]  # noise, and what reads a style
    generator += wide[0] * (16 + 1) + 9 * wide[0] ** 2 + wide[0] + 2 * finish[0]
    for (a, b), of in zip(pairwise(wide), finish[1:], strict=True):
        generator += 9 * a * b + b + 9 * b * b + b + 2 * of
    generator += sum(width * channels + channels for width in wide)
    critic_wide, (convolved, dense) = networks.critic_widths, networks.critic_head
    critic = sum(channels * width + width for width in critic_wide)
    critic += sum(9 * b * b + b + 9 * b * a + a for a, b in pairwise(critic_wide))
    critic += 9 * (critic_wide[0] + 1) * convolved + convolved
    critic += 16 * convolved * dense + dense + dense + 1
    return generator, critic


def forward_work(networks: StyleNetworks, depth: int) -> tuple[float, float]:
    """Return the multiplications of one picture's way through both networks at a depth."""
    generator = 9.0 * networks.widths[0] ** 2 * 16
    critic = 9.0 * networks.critic_widths[0] * networks.critic_head[0] * 16
    for at in range(1, depth + 1):
        places = size_of_depth(at) ** 2
        (a, b), (c, d) = networks.widths[at - 1 : at + 1], networks.critic_widths[at - 1 : at + 1]
        generator += 9.0 * (a * b + b * b) * places
        critic += 9.0 * (d * d + c * d) * places
    return generator, critic


def outputs(networks: StyleNetworks) -> int:
    """Return how many numbers the layers put out for a picture of full size, epilogues counted."""
    wide = zip(networks.widths, networks.critic_widths, strict=True)
    return sum(
        (10 * ours + 6 * theirs) * size_of_depth(at) ** 2 for at, (ours, theirs) in enumerate(wide)
    )


def step_work(config: RunConfig) -> float:
    """Return the multiplications of a run's mean step, over all its depths."""
    networks, adversary, training = config.networks, config.adversary, config.training
    assert isinstance(networks, StyleNetworks)
    assert isinstance(adversary, StyleAdversary)
    work = steps = 0.0
    for fit, epochs in enumerate(training.fits):
        generator, critic = forward_work(networks, depth_of_fit(fit, networks, adversary))
        ways = float(_CRITIC_WAYS + _GENERATOR_WAYS)
        if adversary.objective == "logistic" and adversary.penalty:
            ways += _CRITIC_WAYS / adversary.penalty_every
        work += epochs * _THERE_AND_BACK * (ways * critic + generator)
        steps += epochs / training.batch_of(fit)
    return work / steps
