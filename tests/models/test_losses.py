import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.losses import LN2, OBJECTIVES, gradient_penalty

REAL = torch.tensor([[2.0], [-1.0]])
FAKE = torch.tensor([[0.5], [3.0], [1.0]])


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        # mean real 0.5, mean fake 1.5
        ("wasserstein", 0.5 - 1.5, 1.5),
        # ((2-1)^2 + (-1-1)^2) / 2 + (0.25 + 9 + 1) / 3; ((0.5-1)^2 + (3-1)^2 + 0) / 3
        ("least-squares", 2.5 + 10.25 / 3, 4.25 / 3),
    ],
)
def test_losses_by_hand(name, critic, generator):
    objective = OBJECTIVES[name]
    assert objective.critic(REAL, FAKE).item() == pytest.approx(critic)
    assert objective.generator(FAKE).item() == pytest.approx(generator)


def test_bce_is_pytorchs():
    objective = OBJECTIVES["bce"]
    bce = functional.binary_cross_entropy_with_logits
    expected = bce(REAL, torch.ones_like(REAL)) + bce(FAKE, torch.zeros_like(FAKE))
    assert objective.critic(REAL, FAKE).item() == pytest.approx(expected.item())
    assert objective.generator(FAKE).item() == pytest.approx(
        bce(FAKE, torch.ones_like(FAKE)).item()
    )


def test_bce_stays_finite_where_a_sigmoid_would_be_one():
    # The document prints scores near 48 and 40: a logarithm of 1 - sigmoid would be infinite.
    loss = OBJECTIVES["bce"].critic(torch.tensor([[48.6]]), torch.tensor([[39.9]]))
    assert loss.item() == pytest.approx(39.9)


@pytest.mark.parametrize(
    ("name", "score", "critic", "generator"),
    [("bce", 0.0, 2 * math.log(2), math.log(2)), ("least-squares", 0.5, 0.5, 0.25)],
)
def test_ideal_values_are_those_of_a_critic_that_cannot_tell(name, score, critic, generator):
    same, objective = torch.full((4, 1), score), OBJECTIVES[name]
    assert objective.critic(same, same).item() == pytest.approx(critic)
    assert objective.generator(same).item() == pytest.approx(generator)
    assert (objective.critic_ideal, objective.generator_ideal) == pytest.approx((critic, generator))
    assert pytest.approx(math.log(2)) == LN2


class Slope(nn.Module):
    """A critic whose gradient is the same everywhere."""

    def __init__(self, *slope):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, pictures):
        return pictures.flatten(1) @ self.slope[:, None]


def test_the_penalty_of_a_linear_critic_by_hand():
    # |(3, 4)| = 5, so (5 - 1)^2 wherever it is taken.
    critic = Slope(3.0, 4.0)
    real, fake = torch.randn(6, 1, 1, 2), torch.randn(6, 1, 1, 2)
    penalty = gradient_penalty(critic, real, fake, torch.rand(6))
    assert penalty.item() == pytest.approx(16)
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    assert critic.slope.grad.tolist() == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5])


def test_the_penalty_is_taken_between_generated_and_real():
    seen = []

    class Spy(Slope):
        def forward(self, pictures):
            seen.append(pictures.detach().clone())
            return super().forward(pictures)

    real, fake = torch.ones(2, 1, 1, 2), torch.zeros(2, 1, 1, 2)
    gradient_penalty(Spy(1.0, 0.0), real, fake, torch.tensor([0.25, 1.0]))
    assert seen[0].flatten(1).tolist() == [[0.25, 0.25], [1.0, 1.0]]
