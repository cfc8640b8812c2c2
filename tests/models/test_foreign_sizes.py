"""Files of any size and make give the pictures and scores that a second implementation makes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.errors import AppError, TooLargeError
from models import foreign_style, generate, scores
from models.foreign import read_foreign
from models.generate import Look, as_bytes
from models.loaded import load_file
from tests.models import plain_stylegan as plain
from tests.models import style
from tests.models.plain_stylegan import Made
from tests.models.small import bounded_work
from tests.models.style import shared

KINDS = [
    Made(4, channels=1, mapping=1, inner=5, style=5, latent=5),
    Made(8, channels=4, mapping=1, latent=3, style=7),
    Made(8, is_blurred=False, has_mean=False),
    Made(16, channels=1, mapping=4, latent=20, inner=9, style=6, decay=0.6, base=40),
    Made(32, channels=4, mapping=8, has_mean=False),
    Made(32, channels=3, is_blurred=False),
    Made(32, channels=3, base=32, most=64),
    Made(64, channels=2, mapping=3, latent=7),
    Made(128, channels=4, base=128),
    Made(128, channels=1, is_blurred=False),
    Made(256, base=256, most=8, mapping=5),
]


def saved(tmp_path, body, name="GAN_GEN_9_1.pth"):
    path = tmp_path / name
    torch.save(body, path)
    return path


def of_noise(model, noise):
    model.given_noises = [torch.tensor(one, dtype=torch.float32) for one in noise]
    return model


def check_pictures(path, made, weights, seed=1):
    """At every depth that is there and in between, plain and quick."""
    z = np.random.default_rng(seed).normal(size=(2, made.latent)).astype(np.float32)
    noise = plain.noises(made, seed)
    model = of_noise(load_file(path, device="cpu"), noise)
    styles = plain.mapped(weights, made, z)[:, None].repeat(2 * made.top + 2, axis=1)
    for depth in {0, made.top // 2, made.top}:
        for alpha in (0.0, 0.4, 1.0):
            wanted = plain.pictures(weights, made, styles, noise, depth=depth, alpha=alpha)
            assert np.isfinite(wanted).all()
            for way in ("plain", "exact"):
                found = generate.grid(model, z, Look(depth=depth, alpha=alpha, way=way))
                assert found.shape == (2, made.channels, 4 << depth, 4 << depth)
                assert np.abs(found - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())
                apart = as_bytes(found).astype(int) - as_bytes(wanted.astype(np.float32))
                assert np.abs(apart).max() <= 1


@pytest.mark.parametrize("made", KINDS, ids=str)
def test_generators_open_key_for_key_and_make_the_same_pictures(tmp_path, made):
    weights = plain.generator_weights(made)
    path = saved(tmp_path, weights)
    found = read_foreign(path)
    own = {key.removeprefix("generator."): value for key, value in found.weights.items()}
    assert own.keys() - {"truncation.avg_latent"} == weights.keys() - {"truncation.avg_latent"}
    assert all(torch.equal(own[key], value) for key, value in weights.items())
    assert (found.networks.size_px, found.networks.channels) == (made.size_px, made.channels)
    assert found.facts["mean"] == ("file" if made.has_mean else "recomputed")
    check_pictures(path, made, weights)


@pytest.mark.parametrize("cutoff", [None, 3])
def test_styles_are_drawn_in_to_the_mean_of_the_file(tmp_path, cutoff):
    made, z = Made(32, latent=5, style=9), np.random.default_rng(0).normal(size=(2, 5))
    weights, noise = plain.generator_weights(made), plain.noises(made)
    mean = weights["truncation.avg_latent"].numpy().astype(np.float64)
    styles = plain.mapped(weights, made, z.astype(np.float32))[:, None].repeat(8, axis=1)
    styles[:, :cutoff] = mean + 0.6 * (styles[:, :cutoff] - mean)
    wanted = plain.pictures(weights, made, styles, noise, depth=3, alpha=1.0)
    model = of_noise(load_file(saved(tmp_path, weights), device="cpu"), noise)
    found = generate.grid(model, z.astype(np.float32), Look(psi=0.6, cutoff=cutoff))
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_a_file_of_the_fixed_structure_is_drawn_at_its_full_size(tmp_path):
    """Its smaller layers to colours are as training found them: no bias, never used."""
    made = Made(32)
    weights = plain.generator_weights(made)
    for depth in range(made.top):
        weights[f"g_synthesis.to_rgb.{depth}.bias"].zero_()
    path = saved(tmp_path, weights, "faces.pth")
    assert read_foreign(path).facts["depth"] == 3
    z, noise = np.ones((1, 12), np.float32), plain.noises(made)
    styles = plain.mapped(weights, made, z)[:, None].repeat(8, axis=1)
    wanted = plain.pictures(weights, made, styles, noise, depth=3, alpha=1.0)
    found = generate.grid(of_noise(load_file(path, device="cpu"), noise), z, Look())
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("made", [one for one in KINDS if one.width(1) == one.width(2)], ids=str)
def test_discriminators_give_the_same_scores(tmp_path, made):
    weights = plain.discriminator_weights(made)
    path = saved(tmp_path, weights, "GAN_DIS_9_1.pth")
    found = read_foreign(path)
    for depth, batches in {0: (1, 3, 4, 8), made.top // 2: (4, 8), made.top: (4,)}.items():
        for batch in batches:
            check_scores(path, tmp_path / "images.npy", made, weights, depth, batch)
    assert {key.removeprefix("critic."): value.shape for key, value in found.weights.items()} == {
        key: value.shape for key, value in weights.items()
    }


def check_scores(path, images_path, made, weights, depth, batch):
    size, rng = 4 << depth, np.random.default_rng(depth)
    images = rng.uniform(-1, 1, (batch, made.channels, size, size)).astype(np.float32)
    np.save(images_path, images)
    for alpha in (0.4, 1.0):
        wanted = plain.scores(weights, made, images, depth=depth, alpha=alpha)
        found = scores.score_file(path, images_path, alpha=alpha)
        assert np.abs(found - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())


def test_the_second_implementation_makes_the_references_pictures_and_scores():
    made = Made(64, latent=64, inner=64, style=64, mapping=8, base=256, most=32)
    weights = torch.load(shared("r64_tiny_GAN_GEN_4_1.pth"), weights_only=True)
    assert list(weights) == list(plain.generator_weights(made))
    recorded, noise = style.reference(), [np.asarray(one) for one in style.noises()]
    styles = plain.mapped(weights, made, recorded["z"].numpy().astype(np.float64))
    styles = styles[:, None].repeat(10, axis=1)
    for (depth, alpha), wanted in recorded["images"].items():
        found = plain.pictures(weights, made, styles, noise, depth=depth, alpha=alpha)
        # That far single precision lies from double.
        assert np.abs(found - wanted.numpy()).max() < 1e-5 * wanted.abs().max()
    weights = torch.load(shared("r64_tiny_GAN_DIS_4_1.pth"), weights_only=True)
    assert list(weights) == list(plain.discriminator_weights(made))
    for (depth, _), part in recorded["dis"].items():
        images = part["images_u8"].numpy() / 127.5 - 1
        for alpha in (0.0, 0.5, 1.0):
            found = plain.scores(weights, made, images, depth=depth, alpha=alpha)
            assert np.abs(found - part[alpha].numpy()[:, 0]).max() < 1e-5


SMALL = Made(16)


def inside(weights, *names):
    for name in reversed(names):
        weights = {name: weights}
    return weights


@pytest.mark.parametrize(
    "wrap",
    [
        lambda body: {f"module.{key}": value for key, value in body.items()},
        lambda body: inside(body, "state_dict"),
        lambda body: inside(body, "model"),
        lambda body: {**inside(body, "generator"), "epoch": 7, "optimizer": {"state": {0: [1]}}},
        lambda body: inside({f"net.module.{key}": value for key, value in body.items()}, "x", "y"),
        lambda body: {key: torch.nn.Parameter(value) for key, value in body.items()},
        lambda body: {key: value.double() for key, value in body.items()},
    ],
    ids=["gpus", "state_dict", "model", "generator", "deep", "parameters", "double"],
)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_weights_open_in_the_wrappings_that_people_save_them_in(tmp_path, wrap, network):
    if network == "generator":
        weights = plain.generator_weights(SMALL)
        check_pictures(saved(tmp_path, wrap(weights)), SMALL, weights)
    else:
        weights = plain.discriminator_weights(SMALL)
        path = saved(tmp_path, wrap(weights), "mine.pth")
        check_scores(path, tmp_path / "images.npy", SMALL, weights, 2, 4)


def test_weights_in_half_precision_make_nearly_the_same_pictures(tmp_path):
    weights = {key: value.half() for key, value in plain.generator_weights(SMALL).items()}
    exact = {key: value.float() for key, value in weights.items()}
    check_pictures(saved(tmp_path, weights), SMALL, exact)


def test_of_several_generators_the_moving_average_is_taken(tmp_path):
    weights = [plain.generator_weights(SMALL, seed=seed) for seed in (0, 1)]
    both = {"generator": weights[0], "g_ema": weights[1], "d": plain.discriminator_weights(SMALL)}
    path = saved(tmp_path, both, "last.pth")
    found = read_foreign(path)
    assert (found.what, found.facts["has"]) == ("StyleGAN generator, moving average", ["generator"])
    check_pictures(path, SMALL, weights[1])


@pytest.mark.parametrize("name", ["GAN_GEN_SHADOW_2_40.pth", "GAN_GEN_SHADOW_2_40 (1).pth"])
def test_a_moving_average_makes_its_pictures_and_says_its_depth(tmp_path, name):
    weights = plain.generator_weights(SMALL)
    path = saved(tmp_path, weights, name)
    assert (read_foreign(path).facts["depth"], read_foreign(path).facts["epoch"]) == (2, 40)
    check_pictures(path, SMALL, weights)


def refused():
    """Return what cannot be told or made, and the words that say so."""
    weights, others = (plain.generator_weights(SMALL, seed=seed) for seed in (0, 1))
    without_noise = {key: value for key, value in weights.items() if ".noise." not in key}
    without_styles = {key: value for key, value in weights.items() if ".style_mod." not in key}
    dense = {key: value for key, value in weights.items() if not key.endswith(".const")}
    wide = {**weights}
    for key in [key for key in wide if key.endswith(".kernel")]:
        wide[key] = torch.full((1, 1, 5, 5), 0.04)
    classes = {**weights, "class_embedding.weight": torch.zeros(3, 12)}
    early = {key.replace("init_block", "blocks.4x4"): value for key, value in weights.items()}
    return {
        "two": ({"a": weights, "b": others}, "several StyleGAN networks: a, b"),
        "two-averages": ({"ema": weights, "ema2": others}, "several StyleGAN networks"),
        "no-noise": (without_noise, "does not know: .*noise.weight"),
        "no-styles": (without_styles, "does not know: .*style_mod"),
        "no-constant": (dense, "does not know: .*const"),
        "wide-blur": (wide, "does not know: .*kernel"),
        "classes": (classes, "pictures of named classes"),
        "early-names": (early, "does not know: .*init_block.const"),
        "words": ({**weights, "about": "mine"}, "holds no networks"),
        "half-a-file": (dict(list(weights.items())[:9]), "does not know"),
        "mapping-alone": (dict(list(weights.items())[:4]), "holds no networks"),
        "flat": ({key: value.flatten() for key, value in weights.items()}, "does not know"),
        "whole-numbers": ({k: v.int() for k, v in weights.items()}, "are no numbers"),
        "infinite": ({k: v * 1e39 for k, v in weights.items()}, "are no numbers"),
        "list": ([weights], "holds no networks"),
    }


@pytest.mark.parametrize("kind", refused())
def test_a_make_that_is_not_known_is_refused_in_a_sentence(tmp_path, kind):
    body, words = refused()[kind]
    with pytest.raises(AppError, match=words) as caught:
        read_foreign(saved(tmp_path, body))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_row_28_dictionaries_that_hold_each_other_many_times_are_counted(tmp_path):
    """Row 28: a few kilobytes that would be laid out to millions of names."""
    body = {"g_synthesis.x": torch.zeros(1)}
    for _ in range(4):
        body = {f"{number}": body for number in range(1000)}
    path = saved(tmp_path, body)
    assert path.stat().st_size < 200_000
    with bounded_work(), pytest.raises(AppError, match="holds no networks"):
        read_foreign(path)


def test_a_generator_whose_layers_take_too_much_memory_is_refused(tmp_path, monkeypatch):
    """A small file of a wide network at a large size: what it puts out counts, not its weights."""
    networks = replace(style.TINY, size_px=128, widths=(6,) * 6, critic_widths=(6,) * 6)
    generator, _ = style.lively(networks)
    path = saved(tmp_path, generator.state_dict())
    assert path.stat().st_size < 1 << 20
    read_foreign(path)
    monkeypatch.setattr(foreign_style, "settings", lambda: SimpleNamespace(memory_mb=1))
    with pytest.raises(TooLargeError, match=r"A picture of .* takes 0.0 GB"):
        read_foreign(path)


def test_one_network_of_several_gpus_and_of_one_opens_alike(tmp_path):
    """Where some of its names begin with `module.` and some do not."""
    generator, _ = style.lively(style.TINY)
    named = generator.state_dict()
    mixed = {f"module.{key}" if at % 2 else key: one for at, (key, one) in enumerate(named.items())}
    assert read_foreign(saved(tmp_path, mixed)).networks.size_px == style.TINY.size_px
