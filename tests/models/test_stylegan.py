import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from models import style_losses
from models.data import as_pictures
from models.style_config import StyleAdversary, StyleNetworks, widths
from models.style_layers import spread, strided, unit_length
from models.style_task import fixed_noises, training_styles
from models.stylegan import StyleDiscriminator, StyleGenerator, style_networks
from tests.models import style
from tests.models.style import TINY, noises, reference, reference_pair

ALPHAS = (0.0, 0.5, 1.0)


def test_the_references_settings_are_those_of_the_networks_here():
    made, shape, contest = reference()["config"], style.R64, StyleAdversary()
    assert (made["resolution"], made["num_channels"]) == (shape.size_px, shape.channels)
    assert (made["latent_size"], made["dlatent_size"]) == (shape.latent, shape.style)
    assert (made["mapping_fmaps"],) * made["mapping_layers"] == shape.mapping
    assert (made["truncation_psi"], made["truncation_cutoff"]) == (contest.psi, contest.cutoff)
    assert (made["structure"], made["mbstd_group_size"]) == (contest.structure, shape.group)
    assert reference()["num_layers"] == shape.layers == len(noises())
    for name, noise in zip(reference()["noises"], noises(), strict=True):
        assert f"{name}.weight" in reference_pair()[0].state_dict()
        assert noise.shape[2] == noise.shape[3]
    assert reference().keys() == {
        "config", "noises", "z", "w", "num_layers", "pixelnorm_z", "images", "w_truncated",
        "image_truncated", "intermediates", "truncation", "mixing", "mixing_seed_ranges",
        "mixing_seed_literal_tuple", "train_mode", "dis", "losses",
    }  # fmt: skip
    assert reference()["images"].keys() == {(d, a) for d in range(5) for a in ALPHAS}
    assert reference()["dis"].keys() == {(depth, batch) for depth in range(5) for batch in (4, 8)}


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize("alpha", ALPHAS)
def test_pictures_of_the_references_weights_are_the_references_at_every_depth(depth, alpha):
    generator, _ = reference_pair()
    made = generator(reference()["z"], noises(), depth=depth, alpha=alpha)
    assert (made - reference()["images"][depth, alpha]).abs().max() < 1e-5


def test_styles_and_what_blocks_put_out_are_the_references():
    generator, _ = reference_pair()
    found = generator.g_mapping(reference()["z"])
    assert (found - reference()["w"]).abs().max() < 1e-6
    assert (unit_length(reference()["z"]) - reference()["pixelnorm_z"]).abs().max() < 1e-6
    saved, styles = dict(reference()["intermediates"]), found[:, None].expand(-1, 10, -1)
    x = generator.g_synthesis.init_block(styles, noises())
    assert (x[:1] - saved.pop("init_block")).abs().max() < 1e-5
    for at, block in enumerate(generator.g_synthesis.blocks):
        layers = slice(2 * at + 2, 2 * at + 4)
        x = block(x, styles[:, layers], noises()[layers])
        assert (x[:1] - saved.pop(f"blocks.{at}")).abs().max() < 1e-5
    assert not saved


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize("batch", [4, 8])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_scores_are_the_references_at_every_depth(depth, batch, alpha):
    _, critic = reference_pair()
    saved = reference()["dis"][depth, batch]
    scores = critic(as_pictures(saved["images_u8"]), depth=depth, alpha=alpha)
    assert (scores - saved[alpha]).abs().max() < 1e-5


def test_a_picture_in_training_is_mixed_drawn_in_and_moves_the_mean_as_the_references():
    saved = reference()["train_mode"]
    generator = StyleGenerator(style.R64)
    generator.load_state_dict(reference_pair()[0].state_dict())
    assert torch.equal(generator.truncation.avg_latent, saved["avg_before"])
    torch.manual_seed(saved["torch_seed"])
    draws = random.Random(saved["py_random_seed"])
    other = torch.randn(4, 64)
    first = draws.randint(1, 10) if draws.uniform(0, 1) < 0.9 else 10
    with torch.no_grad():
        styles = training_styles(
            generator,
            reference()["z"],
            other,
            first=first,
            layers=10,
            config=StyleAdversary(mean_keep=0.995),  # one pass alone was recorded
        )
        made = generator.g_synthesis(styles, noises(), depth=4)
    assert (generator.truncation.avg_latent - saved["avg_after"]).abs().max() < 1e-6
    assert (made - saved["image"]).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["logistic", "hinge", "relativistic-hinge"])
def test_the_losses_are_the_references(name):
    saved, pair = reference()["losses"], style_losses.OBJECTIVES[name]
    _, critic = reference_pair()
    real = as_pictures(reference()["dis"][4, 4]["images_u8"]).requires_grad_(True)
    at = {"depth": saved["depth"], "alpha": saved["alpha"]}
    real_scores = critic(real, **at)
    fake_scores = critic(reference()["images"][4, 1.0], **at)
    loss = pair.critic(real_scores, fake_scores)
    if name == "logistic":
        assert loss.item() == pytest.approx(saved["logistic_no_r1"], abs=1e-5)
        # What it calls standard-gan is half of it.
        assert loss.item() / 2 == pytest.approx(saved["standard_gan_dis"], abs=1e-5)
        penalty = style_losses.r1(real_scores, real)
        assert penalty.item() == pytest.approx(saved["r1_penalty_sum_no_gamma"], abs=1e-7)
        loss = loss + 5 * penalty
    printed = saved[name.replace("-", "_")]
    assert loss.item() == pytest.approx(printed["dis"], abs=1e-5)
    assert pair.generator(real_scores, fake_scores).item() == pytest.approx(
        printed["gen"], abs=1e-5
    )


def test_losses_by_hand():
    real, fake = torch.tensor([[0.5], [2.0]]), torch.tensor([[-0.5], [1.0]])
    hinge = style_losses.OBJECTIVES["hinge"]
    assert hinge.critic(real, fake).item() == pytest.approx((0.5 + 0) / 2 + (0.5 + 2) / 2)
    assert hinge.generator(None, fake).item() == pytest.approx(-0.25)
    relative = style_losses.OBJECTIVES["relativistic-hinge"]
    # real - mean fake: 0.25, 1.75; fake - mean real: -1.75, -0.25
    assert relative.critic(real, fake).item() == pytest.approx((0.75 + 0) / 2 + (0 + 0.75) / 2)
    assert relative.generator(real, fake).item() == pytest.approx(
        (1.25 + 2.75) / 2 + (2.75 + 1.25) / 2
    )
    logistic = style_losses.OBJECTIVES["logistic"]
    zero = torch.zeros(3, 1)
    assert logistic.critic(zero, zero).item() == pytest.approx(2 * np.log(2))


def test_r1_is_the_squared_gradient_summed_over_the_batch():
    pictures = torch.zeros(3, 1, 2, 2, requires_grad=True)
    scores = (pictures * torch.tensor([[1.0, 2.0], [0.0, 2.0]])).sum(dim=(1, 2, 3))
    assert style_losses.r1(scores, pictures).item() == pytest.approx(3 * 9)


@pytest.mark.parametrize("size", [64, 128, 256, 512, 1024])
def test_keys_and_shapes_of_the_published_networks_are_the_references_in_their_order(size):
    table = style.shapes_table()[str(size)]
    config = StyleNetworks(size_px=size, widths=widths(size), critic_widths=widths(size))
    with torch.device("meta"):
        pair = StyleGenerator(config), StyleDiscriminator(config)
    for letter, network in zip("GD", pair, strict=True):
        shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
        assert list(shapes.items()) == list(table[letter].items())
        assert sum(p.numel() for p in network.parameters()) == table[f"{letter}_params"]


@pytest.mark.parametrize("size", [4, 8, 32])
def test_any_size_goes_from_latent_to_score(size):
    across = widths(size, base=32, most=8)
    config = StyleNetworks(
        size_px=size, channels=2, latent=5, mapping=(6, 7), widths=across, critic_widths=across,
        critic_head=(8, 3),
    )  # fmt: skip
    generator, critic = style_networks(config, seed=0)
    top = config.depths - 1
    made = generator(torch.randn(3, 5), fixed_noises(top, torch.device("cpu")), depth=top)
    assert made.shape == (3, 2, size, size)
    assert critic(made, depth=top).shape == (3, 1)


def test_all_of_the_newest_depth_is_what_the_fixed_structure_makes():
    """With alpha 1 nothing of the depth below is left."""
    generator, critic = style.lively(TINY)
    noise = fixed_noises(2, torch.device("cpu"))
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    made = generator(z, noise, depth=2, alpha=1.0)
    assert torch.allclose(made, generator(z, noise, depth=2, alpha=1 - 1e-7), atol=1e-5)
    scores = critic(made, depth=2, alpha=1.0)
    assert torch.allclose(scores, critic(made, depth=2, alpha=1 - 1e-7), atol=1e-5)


def test_a_strided_layer_is_the_plain_one_mirrored():
    """From 128 px on the way up is another function: the kernel comes turned by half."""
    x, weight = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
    large = torch.nn.functional.interpolate(x, scale_factor=2)
    plain = torch.nn.functional.conv2d(large, weight.flip(2, 3), padding=1)
    kernel = strided(weight.transpose(0, 1))
    quick = torch.nn.functional.conv_transpose2d(x, kernel, stride=2, padding=1)
    assert torch.allclose(plain, quick, atol=1e-5)


@pytest.mark.parametrize(("batch", "group"), [(1, 1), (3, 3), (4, 4), (8, 4), (6, 3), (5, 1)])
def test_the_spread_of_a_batch_by_hand(batch, group):
    x = torch.randn(batch, 2, 2, 2)
    told = spread(x, 4)[:, 2]
    for picture in range(batch):
        apart = batch // group
        mates = x[picture % apart :: apart]
        assert len(mates) == group
        deviation = (mates.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        assert torch.allclose(told[picture], deviation.expand(2, 2), atol=1e-5)


@given(scale=st.floats(0.01, 100))
def test_the_length_of_a_latent_says_nothing(scale):
    z = torch.tensor([[3.0, -1.0, 2.0, 0.5]])
    assert torch.allclose(unit_length(z * scale), unit_length(z), atol=1e-3)


def test_noise_of_a_depth_is_that_of_the_depths_below_and_some():
    device = torch.device("cpu")
    small, large = fixed_noises(1, device, seed=4), fixed_noises(3, device, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(small, large, strict=False))
    assert not torch.equal(small[0], fixed_noises(1, device, seed=5)[0])
    assert float(small[0][0, 0, 0, 0]) == pytest.approx(np.random.RandomState(4).randn())


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"size_px": 48}, "4, 8, 16"),
        ({"size_px": 2048}, "4, 8, 16"),
        ({"channels": 0}, "1 to 16 channels"),
        ({"mapping": ()}, "1 to 32 layers"),
        ({"widths": (8,)}, "needs 5 numbers"),
        ({"latent": 0}, "“Latent numbers a picture” must lie in 1 to 4,096, not 0"),
        ({"critic_head": (8,)}, "discriminator's last layers” needs 2 numbers, not 1"),
    ],
)
def test_networks_that_cannot_be_are_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        StyleNetworks(**wrong)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"objective": "bce"}, "“Loss” cannot be 'bce'"),
        ({"structure": "wide"}, "“Order of sizes” cannot be 'wide'"),
        ({"fade_in": 2.0}, "must lie in 0 to 1, not 2.0"),
        ({"penalty_every": 0}, "“Gradient penalty every … steps” must lie in 1 to 1,000, not 0"),
        ({"penalty": -1.0}, "“Gradient penalty” must lie in 0 to 10,000, not -1.0"),
    ],
)
def test_a_contest_that_cannot_be_is_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        StyleAdversary(**wrong)
