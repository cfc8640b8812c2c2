import numpy as np
import pytest
import torch

from models.style_config import StyleNetworks, widths
from models.style_task import fixed_noises
from models.synthesis import Kept, QuickGenerator
from tests.models.style import TINY, lively, noises, reference, reference_pair

DEVICE = torch.device("cpu")


def shape(size):
    across = widths(size, base=256, most=16)
    return StyleNetworks(
        size_px=size, latent=12, mapping=(12, 12), widths=across, critic_widths=across,
        critic_head=(16, 16),
    )  # fmt: skip


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_quick_way_makes_the_references_pictures(depth, alpha):
    """Within 1e-5 of the largest value, and a step of 255 once they are bytes."""
    quick = QuickGenerator(reference_pair()[0])
    for one, style in zip(reference()["images"][depth, alpha], reference()["w"], strict=True):
        made = quick.picture(style.expand(10, -1), noises(), depth=depth, alpha=alpha)
        assert (made - one).abs().max() < 1e-5 * one.abs().max()
        ours, theirs = ((x * 0.5 + 0.5).clamp(0, 1).mul(255).byte().int() for x in (made, one))
        assert (ours - theirs).abs().max() <= 1


@pytest.mark.parametrize("size", [4, 32, 64, 128, 256])
def test_the_quick_way_is_the_plain_one_on_both_sides_of_the_strided_layers(size):
    generator, _ = lively(shape(size))
    quick = QuickGenerator(generator)
    top = generator.config.depths - 1
    noise = fixed_noises(top, DEVICE)
    z = torch.randn(1, 12, generator=torch.Generator().manual_seed(1))
    styles = generator.g_mapping(z).expand(generator.config.layers, -1)
    for at, alpha in ((top, 1.0), (top, 0.3), (top // 2, 1.0)):
        plain = generator(z, noise, depth=at, alpha=alpha)[0]
        made = quick.picture(styles, noise, depth=at, alpha=alpha)
        assert (made - plain).abs().max() < 1e-5 * plain.abs().max()


def test_networks_without_blur_and_pictures_without_noise():
    config = StyleNetworks(
        size_px=16, latent=8, mapping=(8,), widths=(8, 8, 4), critic_widths=(8, 8, 4),
        critic_head=(8, 8), is_blurred=False,
    )  # fmt: skip
    generator, _ = lively(config)
    z = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    zeros = [torch.zeros_like(noise) for noise in fixed_noises(2, DEVICE)]
    made = QuickGenerator(generator).picture(generator.g_mapping(z).expand(6, -1), None, depth=2)
    plain = generator(z, zeros, depth=2)[0]
    # Without noise the first block is the same everywhere: what rounding leaves is enlarged.
    assert (made - plain).abs().max() < 1e-2 * plain.abs().max()


def test_styles_do_not_depend_on_which_others_are_asked_for():
    quick = QuickGenerator(lively(TINY)[0])
    z = torch.randn(9, 8, generator=torch.Generator().manual_seed(2))
    whole = quick.styles(z)
    assert all(torch.equal(quick.styles(z[at : at + 1])[0], whole[at]) for at in range(9))


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_what_is_kept_changes_no_bit(depth, alpha):
    quick, kept = QuickGenerator(lively(TINY)[0]), Kept()
    noise = fixed_noises(2, DEVICE)
    styles = torch.randn(6, 8, generator=torch.Generator().manual_seed(3))
    for changed in (6, 5, 4, 3, 2, 1, 0, 6):
        styles = styles.clone()
        styles[changed:] += 0.1
        made = quick.picture(styles, noise, depth=depth, alpha=alpha, kept=kept)
        assert torch.equal(made, quick.picture(styles, noise, depth=depth, alpha=alpha))


def test_layers_below_a_changed_one_are_not_computed_again(monkeypatch):
    quick, kept = QuickGenerator(lively(TINY)[0]), Kept()
    noise, styles = fixed_noises(2, DEVICE), torch.randn(6, 8)
    quick.picture(styles, noise, depth=2, kept=kept)
    stages = []
    inner = quick._staged

    def counted(at, *rest):
        stages.append(at)
        return inner(at, *rest)

    monkeypatch.setattr(quick, "_staged", counted)
    styles = styles.clone()
    styles[4:] += 1
    quick.picture(styles, noise, depth=2, kept=kept)
    styles[2:] += 1
    quick.picture(styles, noise, depth=2, kept=kept)
    assert stages == [2, 1, 2]


def test_coarse_layers_of_many_pictures_stay_where_fine_ones_have_no_room(monkeypatch):
    """A mixing of 3 x 2: its last layer is moved, so the finest stage alone is computed."""
    quick = QuickGenerator(lively(shape(64))[0])
    kept = Kept(limit_bytes=11 * 16 * 4 * (16 + 64 + 256) + 16 * 4 * 1024 * 4)
    noise = fixed_noises(4, DEVICE)
    draws = torch.Generator().manual_seed(0)
    sources, own = torch.randn(3, 10, 12, generator=draws), torch.randn(2, 10, 12, generator=draws)
    stages = []
    inner = quick._staged
    monkeypatch.setattr(quick, "_staged", lambda at, *rest: stages.append(at) or inner(at, *rest))

    def mixed(last):
        for row in own:
            for source in sources:
                cell = row.clone()
                cell[: last + 1] = source[: last + 1]
                quick.picture(cell, noise, depth=4, kept=kept)

    for alone in (*sources, *own):
        quick.picture(alone, noise, depth=4, kept=kept)
    mixed(5)
    stages.clear()
    mixed(6)
    assert sorted(stages) == [3] * 6 + [4] * 6
    assert kept.num_bytes <= kept.limit_bytes


def test_other_noise_is_kept_apart():
    quick, kept = QuickGenerator(lively(TINY)[0]), Kept()
    styles = torch.randn(6, 8)
    for seed in (0, 1):
        noise = fixed_noises(2, DEVICE, seed=seed)
        made = quick.picture(styles, noise, depth=2, kept=kept, kept_as=str(seed))
        assert torch.equal(made, quick.picture(styles, noise, depth=2))


def test_row_25_what_is_kept_is_bounded():
    """Row 25: the oldest goes first, large ones before, and what has no room is not kept."""
    kept = Kept(limit_bytes=100)
    for name in (b"a", b"b", b"c"):
        kept.put(name, torch.zeros(10))
    assert (kept.get(b"a"), len(kept), kept.num_bytes) == (None, 2, 80)
    kept.get(b"b")
    kept.put(b"d", torch.zeros(10))
    assert kept.get(b"c") is None
    kept.put(b"large", torch.zeros(100))
    assert kept.get(b"large") is None
    kept.put(b"small", torch.zeros(1))
    kept.put(b"e", torch.zeros(10))
    assert kept.get(b"small") is not None
    for number in range(100):  # what nobody asks for goes in the end, however small
        kept.put(b"%d" % number, torch.zeros(10))
    assert kept.get(b"small") is None
    assert kept.num_bytes <= 100
    kept.clear()
    assert (len(kept), kept.num_bytes) == (0, 0)


def test_what_was_asked_for_often_leaves_no_trace():
    kept = Kept()
    kept.put(b"a", torch.zeros(10))
    for _ in range(1000):
        kept.get(b"a")
    assert len(kept._ranks) < 100


def test_the_preview_is_near():
    generator, _ = lively(shape(32))
    z = torch.randn(1, 12, generator=torch.Generator().manual_seed(5))
    styles = generator.g_mapping(z).expand(8, -1)
    noise = fixed_noises(3, DEVICE)
    exact = QuickGenerator(generator).picture(styles, noise, depth=3)
    near = QuickGenerator(generator, dtype=torch.bfloat16).picture(styles, noise, depth=3)
    assert near.dtype == torch.float32
    assert np.corrcoef(near.flatten(), exact.flatten())[0, 1] > 0.95
    assert not torch.equal(near, exact)


def test_a_generator_is_not_changed_by_being_made_quick():
    generator, _ = lively(TINY)
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    quick = QuickGenerator(generator)
    quick.picture(torch.randn(6, 8), fixed_noises(2, DEVICE), depth=2)
    quick.picture(torch.randn(6, 8), None, depth=2)
    assert all(torch.equal(before[k], v) for k, v in generator.state_dict().items())
    again = QuickGenerator(generator)
    styles = torch.randn(6, 8)
    assert np.array_equal(
        quick.picture(styles, None, depth=2).numpy(), again.picture(styles, None, depth=2).numpy()
    )
