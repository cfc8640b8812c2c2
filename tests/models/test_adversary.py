import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import InputError
from models.adversary import Adversary, Rhythm
from models.config import AdversaryConfig, NetworkConfig
from models.data import as_pictures
from models.engine import Engine, engine
from models.losses import OBJECTIVES
from models.train import Draws
from tests.models.conftest import SHARED
from tests.models.small import NETWORKS, chips, networks
from tests.models.small import OBJECTIVES as KINDS

PLAIN = Engine(torch.device("cpu"), None, torch.contiguous_format)


def reals(num=8, seed=0):
    return as_pictures(torch.from_numpy(chips(num, seed=seed)))


class Given:
    """Hands out latents that were recorded."""

    def __init__(self, latents):
        self._left = list(latents)

    def normal(self, num, _latent):
        return self._left.pop(0)


def test_the_recorded_training_of_fastai_is_replayed():
    """14 batches: every loss and every final weight within 1e-6."""
    path = SHARED / "fixtures/wgan/trajectory_wgan.pt"
    if not path.exists():
        pytest.skip("the recording lies beside the project")
    recorded = torch.load(path, weights_only=True)
    shape = NetworkConfig(generator_width=8, critic_width=8)
    task = Adversary(shape, AdversaryConfig(), PLAIN, seed=0)
    task.load_weights(named(recorded["init"]["gen"], recorded["init"]["critic"]))
    draws = Given(recorded["Z"].split(recorded["bs"]))
    task.begin_fit()
    task.begin_epoch()
    for row, batch in zip(recorded["log"], recorded["X_u8"].split(recorded["bs"]), strict=True):
        turn = {"critic": "critic", "gen": "generator"}[row["mode"]]
        assert task.rhythm.turn == turn
        found = task.step(as_pictures(batch), draws, row["lr"])
        assert float(found[turn]) == pytest.approx(row["loss"], abs=1e-6)
    final = named(recorded["final_gen"], recorded["final_critic"])
    weights = task.weights()
    assert weights.keys() == final.keys()
    for name, value in final.items():
        assert (weights[name].double() - value.double()).abs().max() < 1e-6, name


def named(generator, critic):
    return {f"generator.{k}": v for k, v in generator.items()} | {
        f"critic.{k}": v for k, v in critic.items()
    }


def test_a_wgan_batch_is_the_plain_loop_written_out():
    """Against one RMSprop over both networks, gradients zeroed, weights limited before a batch."""
    config = AdversaryConfig(critic_steps=2)
    task = Adversary(NETWORKS, config, PLAIN, seed=0)
    generator, critic = copy.deepcopy(task.generator), copy.deepcopy(task.critic)
    optimiser = torch.optim.RMSprop(
        [*generator.parameters(), *critic.parameters()], alpha=0.99, eps=1e-8
    )
    ours, theirs = Draws(3), Draws(3)
    task.begin_fit()
    task.begin_epoch()
    for at in range(7):
        real, rate, is_critic = reals(seed=at), 1e-3, at % 3 < 2
        found = task.step(real, ours, rate)
        with torch.no_grad():
            for parameter in critic.parameters():
                parameter.clamp_(-0.01, 0.01)
        for network, trains in ((generator, not is_critic), (critic, is_critic)):
            network.requires_grad_(trains)
        z = theirs.normal(8, 8)
        if is_critic:
            loss = critic(real).mean() - critic(generator(z)).mean()
        else:
            loss = critic(generator(z)).mean()
        optimiser.zero_grad(set_to_none=False)
        loss.backward()
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
        assert found["critic" if is_critic else "generator"].item() == loss.item()
    for own, other in ((task.generator, generator), (task.critic, critic)):
        for a, b in zip(own.state_dict().values(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_a_dcgan_batch_is_the_plain_loop_written_out():
    task = Adversary(networks("dcgan"), replace(KINDS["dcgan"], ema=0.0), PLAIN, seed=0)
    generator, critic = copy.deepcopy(task.generator), copy.deepcopy(task.critic)
    adam = {
        network: torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999))
        for network in (generator, critic)
    }
    ours, theirs, bce = Draws(3), Draws(3), torch.nn.functional.binary_cross_entropy_with_logits
    for at in range(3):
        real = reals(seed=at)
        found = task.step(real, ours, 1e-3)
        fake = generator(theirs.normal(8, 8))
        ones, zeros = torch.ones(8, 1), torch.zeros(8, 1)
        critic_loss = bce(critic(real), ones) + bce(critic(fake.detach()), zeros)
        adam[critic].zero_grad()
        critic_loss.backward()
        adam[critic].step()
        generator_loss = bce(critic(fake), ones)
        adam[generator].zero_grad()
        generator_loss.backward()
        adam[generator].step()
        assert found["critic"].item() == pytest.approx(critic_loss.item(), abs=1e-5)
        assert found["generator"].item() == pytest.approx(generator_loss.item(), abs=1e-5)
    ours_now, theirs_now = task.generator.state_dict(), generator.state_dict()
    assert all(torch.allclose(ours_now[k], theirs_now[k], atol=1e-4) for k in ours_now)


def test_an_epoch_starts_the_count_anew_but_not_the_turn():
    rhythm = Rhythm(5)
    rhythm.begin_fit()

    def epoch(batches):
        rhythm.begin_epoch()
        turns = []
        for _ in range(batches):
            turns.append(rhythm.turn[0])
            rhythm.advance()
        return "".join(turns)

    assert epoch(14) == "cccccgcccccgcc"
    assert epoch(5) == "ccccc"  # the two before the end of the epoch are forgotten
    assert epoch(2) == "gc"  # the turn was the generator's
    rhythm.begin_fit()
    assert epoch(6) == "cccccg"


def test_every_weight_of_the_critic_is_limited_before_each_batch_norms_too():
    task = Adversary(NETWORKS, AdversaryConfig(critic_steps=1), PLAIN, seed=0)
    for turn in ("critic", "generator"):
        assert task.rhythm.turn == turn
        task.step(reals(), Draws(0), 0.0)
        assert max(float(p.detach().abs().max()) for p in task.critic.parameters()) <= 0.01
    # Norm weights begin at 1 and most others above the limit: nearly all stand at it.
    assert task.clipped_share() > 0.9


def test_the_generator_rests_in_the_critics_turn_and_the_other_way_round():
    task = Adversary(NETWORKS, AdversaryConfig(critic_steps=1, clip=None), PLAIN, seed=0)
    for resting in ("generator", "critic"):
        before = {k: v.clone() for k, v in task.weights().items()}
        task.step(reals(), Draws(0), 1e-2)
        for name, value in task.weights().items():
            is_counted = "running" in name or "num_batches" in name
            if name.startswith(resting) and not is_counted:
                assert torch.equal(value, before[name])
        trained = {"generator": "critic", "critic": "generator"}[resting]
        assert not torch.equal(
            task.weights()[f"{trained}.1.0.weight"], before[f"{trained}.1.0.weight"]
        )


@pytest.mark.parametrize("name", list(KINDS))
def test_every_objective_trains_both_networks_with_finite_figures(name):
    task = Adversary(networks(name), KINDS[name], PLAIN, seed=0)
    seen = set()
    for at in range(4):
        found = task.step(reals(seed=at), Draws(at), 1e-3)
        assert all(np.isfinite(float(value)) for value in found.values())
        seen |= found.keys()
    assert seen >= {"critic", "generator", "real", "fake", "critic_gradient", "generator_gradient"}
    assert ("penalty" in seen) == (name == "wgan-gp")


def test_the_estimate_of_the_distance_leaves_the_penalty_out():
    task = Adversary(networks("wgan-gp"), KINDS["wgan-gp"], PLAIN, seed=0)
    found = task.step(reals(), Draws(0), 1e-3)
    assert found["critic"].item() == pytest.approx((found["real"] - found["fake"]).item(), abs=1e-6)


def test_a_penalty_on_a_critic_that_looks_at_the_whole_batch_is_refused():
    with pytest.raises(InputError, match="one picture's own"):
        Adversary(NETWORKS, KINDS["wgan-gp"], PLAIN, seed=0)


def test_the_average_follows_the_generator_and_pictures_come_from_it():
    task = Adversary(NETWORKS, replace(KINDS["dcgan"], ema=0.9), PLAIN, seed=0)
    start = task.generator[1][0].weight.detach().clone()
    task.step(reals(), Draws(0), 1e-2)
    moved = task.generator[1][0].weight.detach()
    assert torch.allclose(task.average[1][0].weight, 0.9 * start + 0.1 * moved, atol=1e-7)
    buffers = zip(task.average.buffers(), task.generator.buffers(), strict=True)
    assert all(torch.equal(a, b) for a, b in buffers)
    z = torch.randn(2, 8)
    with torch.no_grad():
        expected = task.average(z)
    assert torch.allclose(task.sample(z), expected, atol=1e-6)


def test_drawing_pictures_changes_nothing():
    task = Adversary(NETWORKS, KINDS["wgan"], PLAIN, seed=0)
    before = {k: v.clone() for k, v in task.weights().items()}
    first, second = task.sample(torch.ones(3, 8)), task.sample(torch.ones(3, 8))
    task.scores(first)
    assert torch.equal(first, second)
    assert all(torch.equal(v, before[k]) for k, v in task.weights().items())
    assert task.generator.training


def test_weights_of_other_networks_are_refused_by_name():
    task = Adversary(NETWORKS, KINDS["wgan"], PLAIN, seed=0)
    weights = task.weights()
    weights.pop("generator.1.0.weight")
    with pytest.raises(InputError, match=r"not the weights of this generator: 1\.0\.weight"):
        task.load_weights(weights)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_half_format_follows_float32(precision):
    """Losses agree to the few digits that the format has; weights stay float32."""
    found = {}
    for name in ("float32", precision):
        task = Adversary(NETWORKS, KINDS["dcgan"], engine("cpu", name), seed=0)
        draws = Draws(0)
        found[name] = [float(task.step(reals(seed=at), draws, 1e-4)["critic"]) for at in range(4)]
        assert all(p.dtype == torch.float32 for p in task.generator.parameters())
    assert found[precision] == pytest.approx(found["float32"], rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [{"objective": "hinge"}, {"critic_steps": 0}, {"penalty": -1.0}, {"ema": 1.0}, {"clip": 0.0}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        AdversaryConfig(**wrong)


def test_objectives_are_the_ones_that_settings_name():
    assert set(OBJECTIVES) == {"wasserstein", "bce", "least-squares"}


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "/etc/passwd", "meta"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InputError):
        engine(device)


def test_threads_are_bounded_by_the_settings(monkeypatch):
    """Row 22."""
    engine("cpu", threads=64)
    assert torch.get_num_threads() == 1  # the workspace of these tests allows one


def test_exact_means_all_digits_and_the_same_kernels_each_time():
    """These numbers a GPU reads; a processor has them too."""
    cudnn = torch.backends.cudnn
    engine("cpu")
    assert (cudnn.deterministic, cudnn.allow_tf32) == (False, True)
    engine("cpu", exact=True)
    assert (cudnn.deterministic, cudnn.allow_tf32, cudnn.benchmark) == (True, False, False)
