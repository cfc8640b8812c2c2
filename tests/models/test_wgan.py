import json

import pytest
import safetensors.torch
import torch

from core.errors import InputError
from models.config import NetworkConfig
from models.data import as_pictures
from models.metrics import wasserstein_1d
from models.wgan import Critic, Generator, networks
from tests.models.conftest import FIXTURES

SMALL = NetworkConfig(generator_width=8, critic_width=8)


@pytest.fixture(scope="module")
def saved():
    return safetensors.torch.load_file(FIXTURES / "wgan_nf8.safetensors")


@pytest.fixture(scope="module")
def loaded(saved):
    pair = networks(SMALL, seed=0)
    for name, network in zip(("generator", "critic"), pair, strict=True):
        part = {k.removeprefix(f"{name}."): v for k, v in saved.items() if k.startswith(f"{name}.")}
        network.load_state_dict(part)
        network.eval()
    return pair


def test_pictures_and_scores_of_fastais_weights_are_fastais(saved, loaded):
    generator, critic = loaded
    with torch.no_grad():
        pictures = generator(saved["z"])
        assert (pictures[:2] - saved["image"]).abs().max() < 1e-5
        assert (critic(pictures) - saved["fake_scores"]).abs().max() < 1e-5
        assert (critic(as_pictures(saved["real"])) - saved["real_scores"]).abs().max() < 1e-5


def test_the_distance_of_the_scores_is_the_one_that_scipy_gave(saved, loaded):
    generator, critic = loaded
    with torch.no_grad():
        fake = critic(generator(saved["z"])).numpy()
        real = critic(as_pictures(saved["real"])).numpy()
    assert wasserstein_1d(real, fake) == pytest.approx(float(saved["em"]), abs=1e-6)


def test_keys_and_shapes_of_the_documents_networks_are_fastais_in_their_order():
    table = json.loads((FIXTURES / "nf64_keys_shapes.json").read_text())
    for letter, network in zip("GC", networks(NetworkConfig(), seed=0), strict=True):
        shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
        assert list(shapes.items()) == list(table[letter].items())


def test_parameter_counts_of_the_documents_networks():
    counts = [
        sum(parameter.numel() for parameter in network.parameters())
        for network in networks(NetworkConfig(), seed=0)
    ]
    assert counts == [3_613_696, 2_802_625]


@pytest.mark.parametrize(
    ("size_px", "channels", "norm"),
    [(32, 1, "batch"), (32, 4, "none"), (64, 2, "layer"), (64, 4, "batch"), (128, 3, "none")],
)
def test_any_size_and_number_of_channels_goes_from_latent_to_score(size_px, channels, norm):
    config = NetworkConfig(
        size_px=size_px, channels=channels, latent=5, generator_width=2, critic_width=2,
        critic_norm=norm,
    )  # fmt: skip
    generator, critic = networks(config, seed=1)
    pictures = generator(torch.randn(2, 5))
    assert pictures.shape == (2, channels, size_px, size_px)
    assert pictures.abs().max() <= 1
    assert critic(pictures).shape == (2, 1)


def test_weights_begin_in_the_ranges_of_fastai():
    generator, critic = networks(NetworkConfig(), seed=3)
    block = generator[2][0].weight.detach()  # (512, 256, 4, 4): uniform of variance 2 / fan in
    fan_in = block.shape[1] * 16
    assert float(block.std() * fan_in**0.5) == pytest.approx(2**0.5, rel=0.01)
    assert float(block.abs().max()) == pytest.approx((6 / fan_in) ** 0.5, rel=1e-3)
    last = critic[5].weight.detach()
    assert float(last.std() * (512 * 16) ** 0.5) == pytest.approx(2**0.5, rel=0.03)
    assert float(last.abs().max() / last.std()) > 2.5  # a normal, not a uniform
    assert float(generator[1][1].bias.detach().min()) == pytest.approx(1e-3)


def test_the_same_seed_makes_the_same_weights_and_another_does_not():
    first, second, other = (networks(SMALL, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first[1][0].weight, second[1][0].weight)
    assert not torch.equal(first[1][0].weight, other[1][0].weight)


def test_dcgans_weights_begin_near_zero_and_its_norms_near_one():
    generator, _ = networks(NetworkConfig(init="dcgan"), seed=0)
    assert float(generator[2][0].weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert float(generator[1][1].weight.detach().mean()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"size_px": 48}, "32, 64 or 128"),
        ({"channels": 5}, "1 to 4 channels"),
        ({"latent": 0}, "Latent numbers a picture. must lie"),
        ({"extra_layers": 9}, "Extra layers. must lie"),
    ],
)
def test_networks_that_cannot_be_are_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        NetworkConfig(**wrong)


def test_a_picture_depends_on_its_own_latent_alone_once_it_is_drawn_for_show():
    generator = Generator(SMALL).eval()
    z = torch.randn(3, 100)
    with torch.no_grad():
        assert torch.allclose(generator(z)[:1], generator(z[:1]), atol=1e-6)
        assert Critic(SMALL).eval()(generator(z)).shape == (3, 1)
