import numpy as np
import pytest
import torch

from core.chips.sets import ChipSets
from core.errors import InputError, RefusedFileError, TooLargeError
from core.settings import settings
from core.workspace import Workspace
from models import checkpoint, exports, generate, generating, latents, loaded
from models.generate import Look, as_bytes, layers_read
from models.loaded import Loaded
from models.synthesis import QuickGenerator
from tests.models.small import bounded_work
from tests.models.style import R64, TINY, lively, noises, reference, reference_pair


@pytest.fixture
def model():
    generator, _ = lively(TINY)
    return Loaded("digest", 2, 1.0, generator, QuickGenerator(generator))


def referred(way="exact"):
    generator, _ = reference_pair()
    found = Loaded("reference", 4, 1.0, generator, QuickGenerator(generator), given_noises=noises())
    return found, Look(way=way)


def near(made, recorded):
    """Within 1e-5 of the largest value; bytes within one step."""
    made, recorded = np.asarray(made), np.asarray(recorded)
    assert np.abs(made - recorded).max() < 1e-5 * np.abs(recorded).max()


@pytest.mark.parametrize("way", ["exact", "plain"])
def test_the_truncation_figure_is_the_references(way):
    found, look = referred(way)
    saved = reference()["truncation"]
    made = generate.truncation(found, latents.of_seeds(saved["seeds"], 64), saved["psis"], look)
    near(made, saved["rows_float"])
    apart = as_bytes(made).astype(int) - saved["rows_u8"].numpy()
    assert np.abs(apart).max() <= 1


@pytest.mark.parametrize("name", ["mixing", "mixing_seed_ranges", "mixing_seed_literal_tuple"])
@pytest.mark.parametrize("way", ["exact", "plain"])
def test_the_mixing_figures_are_the_references_in_both_readings(name, way):
    found, look = referred(way)
    saved = reference()[name]
    made = generate.mixing(
        found, latents.of_seeds(saved["src_seeds"], 64), latents.of_seeds(saved["dst_seeds"], 64),
        saved["style_ranges"], look, source_psis=saved["src_psis"],
        destination_psis=saved["dst_psis"],
    )  # fmt: skip
    near(made.sources, saved["src"])
    near(made.destinations, saved["dst"])
    near(made.cells, saved["mixed"])
    assert np.abs(as_bytes(made.cells).astype(int) - saved["mixed_u8"].numpy()).max() <= 1


def test_styles_below_the_cutoff_alone_are_moved():
    found, _ = referred()
    look = Look(psi=0.7, cutoff=8)
    own = reference()["w"].numpy()
    styles = generate.moved(found, own, [0.7] * 4, cutoff=8)
    assert np.abs(styles - reference()["w_truncated"].numpy()).max() < 1e-6
    made = generate.pictures(found, styles, look)
    near(made, reference()["image_truncated"])


def test_layers_in_both_readings():
    assert layers_read("0-4,5-9") == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    assert layers_read("0-5,5-9", reading="tuples") == [(0, 5), (5, 9)]
    assert layers_read("3") == [(3,)]
    for wrong in ("", "a", "4-1", "0:3", "1-2-3"):
        with pytest.raises(InputError, match="are no layers"):
            layers_read(wrong)


@pytest.mark.parametrize("text", ["0-30000000", "0-9999999999", "0-17," * 300 + "0-18"])
@pytest.mark.parametrize("reading", ["ranges", "tuples"])
def test_row_28_layers_that_no_model_has_are_refused_before_they_are_written_out(text, reading):
    """Row 28: a few characters of a link take neither time nor memory."""
    with bounded_work(), pytest.raises(InputError, match="are no layers"):
        layers_read(text, reading=reading)


def test_row_28_seeds_are_counted_while_they_are_read():
    """Row 28: by all parts together; and no latents are drawn of too many."""
    assert len(generating.numbers("0-4094,7")) == 4096
    for text in ("0-4095," * 284 + "0-4095", "0-4094,7,8", "0-9999999999"):
        with bounded_work(), pytest.raises(InputError, match="no list of seeds"):
            generating.numbers(text)
    with bounded_work(), pytest.raises(InputError, match="at most 1,024 pictures, not 4,096"):
        latents.of_seeds(range(4096), 512)


def test_seeds_are_numpys_old_ones():
    found = latents.of_seeds([0, 730], 4)
    assert found.dtype == np.float32
    assert np.allclose(found[0], [1.76405235, 0.40015721, 0.97873798, 2.2408932])
    for wrong in (-1, 2**32):
        with pytest.raises(InputError, match="seed lies in"):
            latents.of_seeds([wrong], 4)


def test_the_same_call_gives_the_same_bytes_whatever_else_was_asked_for(model):
    look = Look(psi=0.6, noise_seed=3)
    alone = generate.grid(model, latents.of_seeds([5], 8), look)
    among = generate.grid(model, latents.of_seeds([1, 5, 9], 8), look)
    generator, _ = lively(TINY)
    other = Loaded("again", 2, 1.0, generator, QuickGenerator(generator))
    again = generate.grid(other, latents.of_seeds([5], 8), look)
    assert alone.tobytes() == among[1:2].tobytes() == again.tobytes()


def test_a_depth_that_is_still_coming_in_is_drawn_as_far_as_it_has_come(model):
    z = latents.of_seeds([1], 8)
    whole = generate.grid(model, z, Look())
    model.alpha = 0.25
    quarter = generate.grid(model, z, Look(alpha=0.25))
    assert np.array_equal(generate.grid(model, z, Look()), quarter)
    assert np.array_equal(generate.grid(model, z, Look(alpha=1.0)), whole)
    below = generate.grid(model, z, Look(depth=1))
    assert np.array_equal(below, generate.grid(model, z, Look(depth=1, alpha=1.0)))
    assert generate.checked(model, Look()).alpha == 0.25


def test_psi_zero_is_the_mean_for_every_seed(model):
    found = generate.truncation(model, latents.of_seeds([1, 2], 8), [0.0, 1.0], Look())
    assert np.array_equal(found[0, 0], found[1, 0])
    mean = generate.moved(model, model.quick.mean.numpy()[None], [1.0])
    assert np.array_equal(found[0, 0], generate.pictures(model, mean, Look())[0])
    assert np.array_equal(found[:, 1], generate.grid(model, latents.of_seeds([1, 2], 8), Look()))


def test_with_a_cutoff_psi_zero_is_no_mean_picture(model):
    z = latents.of_seeds([1, 2], 8)
    found = generate.truncation(model, z, [0.0], Look(cutoff=2))
    assert not np.array_equal(found[0, 0], found[1, 0])
    whole = generate.truncation(model, z, [0.0], Look(cutoff=6))
    assert np.array_equal(whole[0, 0], whole[1, 0])


def test_noise_can_be_another_or_none(model):
    z = latents.of_seeds([4], 8)
    made = [generate.grid(model, z, Look(noise_seed=seed)) for seed in (0, 1, None)]
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_mixing_all_layers_is_the_source_and_none_the_destination(model):
    sources, destinations = latents.of_seeds([1, 2], 8), latents.of_seeds([3, 4, 5], 8)
    found = generate.mixing(model, sources, destinations, [range(6)], Look())
    assert all(np.array_equal(row, found.sources) for row in found.cells)
    found = generate.mixing(model, sources, destinations, [()], Look())
    assert all(np.array_equal(c, d) for row, d in zip(found.cells, found.destinations, strict=True)
               for c in row)  # fmt: skip


def test_a_walk_begins_at_each_latent_and_a_sum_of_one_is_it(model):
    z = latents.of_seeds([1, 2], 8)
    found = generate.walk_styles(model, z, Look(), frames=3)
    ends = generate.styles_of(model, z, Look())
    assert np.array_equal(found[[0, 3]], ends)
    assert len(found) == 6
    one = generate.sum_styles(model, z, [1.0, 0.0], Look())
    assert np.allclose(one[0], ends[0], atol=1e-5)


def test_without_a_depth_the_largest_that_was_trained_is_made(model):
    model.depth = 1
    assert generate.grid(model, latents.of_seeds([1], 8), Look()).shape[2] == 8


@pytest.mark.parametrize(
    ("look", "match"),
    [
        (Look(depth=3), "depths 0 to 2"),
        (Look(depth=-1), "depths 0 to 2"),
        (Look(alpha=1.5), "alpha is a share"),
        (Look(psi=99.0), "psi lies in"),
        (Look(psi=float("nan")), "psi lies in"),
        (Look(cutoff=7), "cutoff lies in 0 to 6"),
        (Look(noise_seed=-1), "seed lies in"),
    ],
)
def test_a_look_that_the_model_cannot_do_is_refused(model, look, match):
    with pytest.raises(InputError, match=match):
        generate.grid(model, latents.of_seeds([1], 8), look)


@pytest.mark.parametrize(
    ("layers", "psis", "match"),
    [
        ([range(7)], None, "layers 0 to 5; there is no 6"),
        ([(0,), (1,), (2,)], None, "for each of the 2 destinations"),
        ([(0,)], [1.0, 2.0, 3.0], "a psi for each"),
    ],
)
def test_a_mixing_that_cannot_be_is_refused(model, layers, psis, match):
    z = latents.of_seeds([1, 2], 8)
    with pytest.raises(InputError, match=match):
        generate.mixing(model, z, z, layers, Look(), source_psis=psis)


def test_row_28_too_many_pictures_are_refused_before_any_is_made(model, monkeypatch):
    """Row 28: the number and the memory are told at once."""
    monkeypatch.setattr(model.quick, "picture", lambda *a, **k: pytest.fail("made one"))
    z = np.zeros((5000, 8), np.float32)
    with pytest.raises(InputError, match=r"at most 1,024 pictures, not 5,000"):
        generate.grid(model, z, Look())
    with pytest.raises(InputError, match="at most 1,024"):
        generate.truncation(model, z[:40], [0.0] * 40, Look())
    monkeypatch.setenv("URBAN_PATTERN_MEMORY_MB", "1")
    settings.cache_clear()
    with pytest.raises(TooLargeError, match="need"):
        generate.grid(model, z[:1000], Look())


def test_a_png_tells_what_it_was_made_of(tmp_path, model):
    made = generate.grid(model, latents.of_seeds([1, 2, 3], 8), Look())
    told = {"command": "sample", "seeds": [1, 2, 3], "look": Look().body(), "city": "上海"}
    image = exports.grid_sheet(made, columns=2)
    assert image.shape == (32, 32, 1)
    assert (image[16:, 16:] == 255).all()
    exports.write_png(tmp_path / "a.png", image, told)
    body = (tmp_path / "a.png").read_bytes()
    assert exports.settings_of(body) == told
    from PIL import Image

    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(np.asarray(opened), image[..., 0])
    assert exports.png_bytes(image, told) == body
    with pytest.raises(RefusedFileError, match="does not say"):
        exports.settings_of(b"\x89PNG\r\n\x1a\n")


def test_a_preview_goes_into_no_file(model):
    look = Look(way="preview")
    image = exports.grid_sheet(generate.grid(model, latents.of_seeds([1], 8), look), columns=1)
    with pytest.raises(InputError, match="to look at alone"):
        exports.png_bytes(image, {"look": look.body()})


def test_a_mixing_sheet_has_sources_above_and_destinations_on_the_left(model):
    found = generate.mixing(
        model, latents.of_seeds([1, 2], 8), latents.of_seeds([3], 8), [(0,)], Look()
    )
    image = exports.mixing_sheet(found)
    assert image.shape == (32, 48, 1)
    assert (image[:16, :16] == 255).all()
    assert np.array_equal(image[:16, 16:32], exports.shown(found.sources)[0])
    assert np.array_equal(image[16:, :16], exports.shown(found.destinations)[0])
    assert np.array_equal(image[16:, 32:], exports.shown(found.cells)[0, 1])


def test_pictures_become_a_gif(model):
    import io

    from PIL import Image

    made = generate.grid(model, latents.of_seeds(range(4), 8), Look())
    with Image.open(io.BytesIO(exports.gif_of(list(exports.shown(made))))) as opened:
        assert (opened.size, opened.n_frames, opened.info["loop"]) == ((16, 16), 4, 0)


def test_saved_latents_open_again(tmp_path):
    z = latents.of_seeds([1, 2], 8)
    latents.write_latents(tmp_path / "z.npz", z, {"seeds": [1, 2]})
    found, told = latents.read_latents(tmp_path / "z.npz", 8)
    assert np.array_equal(found, z)
    assert told == {"seeds": [1, 2]}
    np.save(tmp_path / "z.npy", z.astype(np.float64))
    assert np.array_equal(latents.read_latents(tmp_path / "z.npy", 8)[0], z)


@pytest.mark.parametrize(
    ("body", "error", "match"),
    [
        (np.zeros((2, 7), np.float32), InputError, r"takes \(n, 8\)"),
        (np.zeros(8, np.float32), InputError, r"takes \(n, 8\)"),
        (np.full((1, 8), np.nan, np.float32), InputError, "no numbers"),
        (np.zeros((2, 8), int), InputError, r"takes \(n, 8\)"),
        (np.array([{"a": 1}], dtype=object), RefusedFileError, "no file of latents"),
    ],
)
def test_other_latents_are_refused(tmp_path, body, error, match):
    np.save(tmp_path / "z.npy", body, allow_pickle=True)
    with pytest.raises(error, match=match):
        latents.read_latents(tmp_path / "z.npy", 8)


def test_the_chips_nearest_to_a_copy_are_found(tmp_path, workspace):
    from models.closest import closest

    found = small_set(workspace)
    chip = int(found.indices("train")[3])
    picture = found.read([chip], 16)
    (best,) = closest(picture, found, count=3)
    assert (int(best.chips[0]), float(best.distances[0])) == (chip, 0.0)
    others = found.read(best.chips[1:], 16).astype(float)
    exact = np.sqrt(np.square(others - picture).mean(axis=(1, 2, 3)))
    assert np.allclose(best.distances[1:], exact)
    (small,) = closest(found.read([chip], 8), found, count=1)
    assert int(small.chips[0]) == chip
    with pytest.raises(InputError, match="channels"):
        closest(np.zeros((1, 5, 16, 16), np.uint8), found)


def small_set(workspace):
    from PIL import Image

    from core.chips.imports import import_set

    rng = np.random.default_rng(0)
    place = workspace.parent / "images"
    place.mkdir()
    for number in range(12):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
            place / f"{number:02}.png"
        )
    import_set(Workspace(workspace), "small", place)
    return ChipSets(workspace).open("small")


def networks_body(config):
    from dataclasses import asdict

    return asdict(config)


def test_the_moving_average_is_what_pictures_are_made_of(tmp_path):
    pair = [lively(TINY, seed=seed)[0] for seed in (0, 1)]
    weights = {
        f"{name}.{k}": v
        for name, network in zip(("generator", "average"), pair, strict=True)
        for k, v in network.state_dict().items()
    }
    body = {"step": 0, "model": "stylegan", "networks": networks_body(TINY)}
    checkpoint.write_checkpoint(tmp_path / "c", body, weights, {})
    found = loaded.load(tmp_path / "c")
    assert torch.equal(found.quick.mean, pair[1].truncation.avg_latent)
    assert found.depth == 2


def test_a_file_and_what_is_imported_of_it_have_one_digest(tmp_path):
    from models.catalogue import at_folder
    from models.imports import bring

    generator, _ = lively(TINY)
    torch.save(generator.state_dict(), tmp_path / "GAN_GEN_1_3.pth")
    bring(tmp_path / "GAN_GEN_1_3.pth", tmp_path / "imported")
    found = loaded.load_file(tmp_path / "GAN_GEN_1_3.pth", device="cpu")
    assert found.digest == at_folder(tmp_path / "imported").digest


def test_values_of_psi_end_where_it_is_written():
    assert generating.psis("-1:1:0.5") == [-1, -0.5, 0, 0.5, 1]
    assert generating.psis("1:0:-0.25") == [1, 0.75, 0.5, 0.25, 0]
    assert len(generating.psis("-1:1:0.1")) == 21
    assert generating.psis("0.5:0.5:1") == [0.5]
    for wrong in ("-1:1:0.3", "0:1:0.4", "0:1:0.99"):
        with pytest.raises(InputError, match="do not come to its end"):
            generating.psis(wrong)
    for wrong in ("0:1:-1", "0:1:1e-9", "nan", "0:1", "0:nan:1", "11", "0:1:0"):
        with pytest.raises(InputError, match="no values of psi"):
            generating.psis(wrong)


def test_the_reference_opens_as_a_file():
    from tests.models.style import shared

    found = loaded.load_file(shared("r64_tiny_GAN_GEN_4_1.pth"))
    assert (found.networks, found.depth) == (R64, 4)
    with pytest.raises(InputError, match="holds no StyleGAN generator"):
        loaded.load_file(shared("r64_tiny_GAN_DIS_4_1.pth"))
