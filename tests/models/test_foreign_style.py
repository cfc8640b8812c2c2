import pytest
import torch

from core.errors import InputError, RefusedFileError
from models import checkpoint
from models.__main__ import main
from models.foreign import read_foreign
from models.foreign_style import mean_style
from models.style_config import StyleNetworks, widths
from models.stylegan import style_networks
from tests.models import style
from tests.models.style import R64, TINY, lively, shared
from tests.models.test_foreign import Canary

SHAPES = [
    TINY,
    StyleNetworks(size_px=4, latent=3, mapping=(5,), widths=(6,), critic_widths=(6,),
                  critic_head=(6, 6)),
    StyleNetworks(size_px=32, channels=4, latent=7, mapping=(9, 8, 6), widths=(5, 4, 3, 2),
                  critic_widths=(5, 4, 3, 2), critic_head=(5, 5), is_blurred=False),
]  # fmt: skip


def saved(tmp_path, network, name="GAN_GEN_1_7.pth", *, without=(), more=None, prefix=""):
    body = {f"{prefix}{k}": v for k, v in network.state_dict().items() if k not in without}
    path = tmp_path / name
    torch.save({**body, **(more or {})}, path)
    return path


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.size_px))
def test_the_shape_of_networks_is_read_off_their_weights(tmp_path, shape):
    generator, critic = lively(shape)
    found = read_foreign(saved(tmp_path, generator))
    assert (found.model, found.what) == ("stylegan", "StyleGAN generator")
    for name in ("size_px", "channels", "latent", "mapping", "widths", "is_blurred"):
        assert getattr(found.networks, name) == getattr(shape, name) or shape.size_px == 4
    for key, value in generator.state_dict().items():
        assert torch.equal(found.weights[f"generator.{key}"], value)
    found = read_foreign(saved(tmp_path, critic, "GAN_DIS_1_7.pth"))
    assert found.what == "StyleGAN discriminator"
    assert found.networks.critic_widths == shape.critic_widths
    assert found.networks.critic_head == shape.critic_head


@pytest.mark.parametrize("size", [64, 128, 256, 512, 1024])
def test_every_published_size_is_known_by_its_shapes(tmp_path, size):
    """Weights that take no room: one number laid out as many times as a shape asks for."""
    from models import foreign_style

    table = style.shapes_table()[str(size)]["G"]
    shapes = {key: tuple(shape) for key, shape in table.items()}
    found = foreign_style._generator_shape(shapes)
    assert found.size_px == size
    assert found.widths == widths(size)
    shapes = {k: tuple(v) for k, v in style.shapes_table()[str(size)]["D"].items()}
    assert foreign_style._discriminator_shape(shapes).critic_widths == widths(size)


def test_the_references_files_open():
    found = read_foreign(shared("r64_tiny_GAN_GEN_4_1.pth"))
    assert found.networks == R64
    assert found.facts == {"depth": 4, "epoch": 1, "mean": "file", "has": ["generator"]}
    assert read_foreign(shared("r64_tiny_GAN_DIS_4_1.pth")).networks.critic_widths == R64.widths


def test_an_absent_mean_is_computed(tmp_path):
    generator, _ = lively(TINY)
    found = read_foreign(saved(tmp_path, generator, without={"truncation.avg_latent"}))
    assert found.facts["mean"] == "recomputed"
    mean = found.weights["generator.truncation.avg_latent"]
    assert torch.equal(mean, mean_style(generator))
    z = torch.randn(20_000, TINY.latent, generator=torch.Generator().manual_seed(9))
    exact = generator.g_mapping(z).mean(dim=0)
    assert (mean - exact).abs().max() < 0.05 * generator.g_mapping(z).std()


def test_the_mean_of_a_moving_average_is_mended_and_others_are_kept(tmp_path):
    generator, _ = lively(TINY)
    kept = read_foreign(saved(tmp_path, generator))
    assert torch.equal(kept.weights["generator.truncation.avg_latent"],
                       generator.truncation.avg_latent)  # fmt: skip
    shadow = read_foreign(saved(tmp_path, generator, "GAN_GEN_SHADOW_2_40.pth"))
    assert shadow.what == "StyleGAN generator, moving average"
    assert shadow.facts == {
        "depth": 2, "epoch": 40, "mean": "recomputed", "has": ["generator"]
    }  # fmt: skip
    assert torch.equal(shadow.weights["generator.truncation.avg_latent"], mean_style(generator))


@pytest.mark.parametrize("name", ["gan_gen_shadow_2_40.pth", "shadow.pth", "GAN_GEN_2_40.pth"])
def test_a_mean_that_training_never_followed_is_mended_under_any_name(tmp_path, name):
    generator, _ = lively(TINY)
    exact = mean_style(generator)
    generator.truncation.avg_latent.copy_(0.05 * exact)
    path = saved(tmp_path, generator, name)
    found = read_foreign(path)
    assert found.facts["mean"] == "recomputed"
    assert torch.equal(found.weights["generator.truncation.avg_latent"], exact)
    kept = read_foreign(path, mean="file")
    assert kept.facts["mean"] == "file"
    assert torch.equal(kept.weights["generator.truncation.avg_latent"], 0.05 * exact)


def test_a_mean_can_be_computed_anew_though_it_seems_right(capsys, tmp_path):
    generator, _ = lively(TINY)
    exact = mean_style(generator)
    generator.truncation.avg_latent.copy_(1.1 * exact)
    path, out = saved(tmp_path, generator), tmp_path / "out"
    assert main(["import", str(path), "--mean", "recompute", "--out", str(out)]) == 0
    assert "that of 10,000 styles" in capsys.readouterr().out
    weights = checkpoint.read_checkpoint(out).weights
    assert torch.equal(weights["generator.truncation.avg_latent"], exact)


def test_the_trained_depth_is_in_the_name_or_seen_in_the_weights(tmp_path):
    generator, _ = style_networks(TINY, seed=0)
    with torch.no_grad():
        generator.g_synthesis.to_rgb[1].bias += 1
    assert read_foreign(saved(tmp_path, generator, "mine.pth")).facts["depth"] == 1
    assert read_foreign(saved(tmp_path, generator, "GAN_GEN_0_3.pth")).facts["depth"] == 0
    assert read_foreign(saved(tmp_path, generator, "GAN_GEN_9_3.pth")).facts["depth"] == 2


def test_weights_saved_from_several_gpus_open(tmp_path):
    generator, _ = lively(TINY)
    assert read_foreign(saved(tmp_path, generator, prefix="module.")).networks.widths == TINY.widths


def test_a_network_that_stands_in_a_file_twice_is_one(tmp_path):
    generator, _ = lively(TINY)
    weights = generator.state_dict()
    copied = {key: value.clone() for key, value in weights.items()}
    torch.save({"netG": weights, "g_ema": copied}, tmp_path / "twice.pth")
    assert read_foreign(tmp_path / "twice.pth").networks.widths == TINY.widths
    copied["g_synthesis.init_block.const"] += 1
    torch.save({"netG": weights, "generator": copied}, tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"several StyleGAN networks: generator, netG\."):
        read_foreign(tmp_path / "two.pth")


@pytest.mark.parametrize(
    ("without", "more", "match"),
    [
        ({"g_synthesis.init_block.const"}, {}, "a make that this program does not know"),
        ({"g_synthesis.to_rgb.2.bias"}, {}, "does not know: .*to_rgb.2.bias"),
        ((), {"g_synthesis.extra": torch.zeros(1)}, "does not know: .*extra"),
        ((), {"class_embedding.weight": torch.zeros(3, 8)}, "pictures of named classes"),
        ((), {"g_synthesis.to_rgb.0.bias": torch.tensor([float("nan")])}, "are no numbers"),
        ((), {"g_synthesis.init_block.const": torch.full((1, 8, 4, 4), 3e38)}, "too large"),
        ((), {"g_synthesis.blocks.0.conv1.bias": torch.full((8,), 3e38)}, "too large"),
        ((), {"g_synthesis.init_block.conv.bias": torch.zeros(3)}, "does not know"),
        ((), {"g_mapping.map.dense1.weight": torch.zeros(8)}, "does not know"),
    ],
    ids=[
        "no-constant",
        "a-bias-missing",
        "one-more",
        "classes",
        "nan",
        "large",
        "large-above",
        "shape",
        "flat",
    ],
)
def test_another_make_is_refused_in_one_sentence(tmp_path, without, more, match):
    generator, _ = lively(TINY)
    with pytest.raises(InputError, match=match) as caught:
        read_foreign(saved(tmp_path, generator, without=without, more=more))
    assert "\n" not in str(caught.value)


def test_row_7_a_stylegan_with_code_in_it_is_refused(tmp_path):
    """Row 7: the canary stays silent."""
    generator, _ = lively(TINY)
    path = saved(tmp_path, generator, more={"x": Canary(tmp_path / "canary")})
    with pytest.raises(RefusedFileError, match="could run its code"):
        read_foreign(path)
    assert not (tmp_path / "canary").exists()
