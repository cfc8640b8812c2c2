import pytest
import torch
from torch import nn

from models.optimisers import Optimisers


def pair():
    torch.manual_seed(0)
    return {"generator": nn.Linear(3, 2), "critic": nn.Linear(2, 1)}


def loss_of(networks, name, x):
    score = networks["critic"](networks["generator"](x)).square().mean()
    return score if name == "generator" else -score + networks["critic"].weight.square().sum()


TURNS = ["critic", "critic", "generator", "critic", "generator", "critic", "critic", "generator"]


def test_the_shared_optimiser_is_one_rmsprop_over_both_with_zeroed_gradients():
    """Against PyTorch's own optimiser used the way fastai uses its: to the bit."""
    ours, theirs = pair(), pair()
    optimisers = Optimisers(ours, "shared-rmsprop")
    reference = torch.optim.RMSprop(
        [p for network in theirs.values() for p in network.parameters()], alpha=0.99, eps=1e-8
    )
    for at, turn in enumerate(TURNS):
        x, rate = torch.randn(4, 3, generator=torch.Generator().manual_seed(at)), 0.01 * (at + 1)
        for name, network in theirs.items():
            for parameter in network.parameters():
                parameter.requires_grad_(name == turn)
        reference.zero_grad(set_to_none=False)
        loss_of(theirs, turn, x).backward()
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        optimisers.step(turn, loss_of(ours, turn, x), rate)
        for name in ours:
            for a, b in zip(ours[name].parameters(), theirs[name].parameters(), strict=True):
                assert torch.equal(a, b)


def test_the_mean_squares_of_the_resting_network_fade():
    networks = pair()
    optimisers = Optimisers(networks, "shared-rmsprop")
    x = torch.ones(2, 3)
    optimisers.step("generator", loss_of(networks, "generator", x), 0.1)
    before = optimisers.tensors()["generator/weight/square_avg"].clone()
    optimisers.step("critic", loss_of(networks, "critic", x), 0.1)
    after = optimisers.tensors()["generator/weight/square_avg"]
    assert torch.equal(after, before * 0.99)


def test_adams_of_two_networks_leave_one_another_alone():
    networks = pair()
    optimisers = Optimisers(networks, "adam")
    x = torch.ones(2, 3)
    optimisers.step("generator", loss_of(networks, "generator", x), 0.1)
    before = {k: v.clone() for k, v in optimisers.tensors().items()}
    optimisers.step("critic", loss_of(networks, "critic", x), 0.1)
    assert all(torch.equal(optimisers.tensors()[k], v) for k, v in before.items())


@pytest.mark.parametrize("kind", ["shared-rmsprop", "adam"])
def test_a_restored_state_goes_on_to_the_bit(kind):
    whole, parts = pair(), pair()
    optimisers, first = Optimisers(whole, kind), Optimisers(parts, kind)
    second = Optimisers(parts, kind)
    for at, turn in enumerate(TURNS):
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(at))
        optimisers.step(turn, loss_of(whole, turn, x), 0.01)
        if at == 4:
            second.load({k: v.clone() for k, v in first.tensors().items()})
        (first if at < 4 else second).step(turn, loss_of(parts, turn, x), 0.01)
    for name in whole:
        for a, b in zip(whole[name].parameters(), parts[name].parameters(), strict=True):
            assert torch.equal(a, b)


def test_the_norm_that_is_told_is_the_gradients():
    networks = pair()
    norm = Optimisers(networks, "adam").step(
        "critic", loss_of(networks, "critic", torch.ones(2, 3)), 0.0
    )
    gradients = [p.grad.flatten() for p in networks["critic"].parameters()]
    assert norm.item() == pytest.approx(torch.cat(gradients).norm().item())
