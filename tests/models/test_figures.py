"""Figures picture by picture: the same bytes as at once, kept within bounds, broken off and on."""

from itertools import islice

import numpy as np
import pytest

from core.errors import InputError, TooLargeError
from core.settings import settings
from models import exports, figures, generate, latents
from models.figures import Finished
from models.generate import Look, as_bytes
from models.loaded import Loaded
from models.synthesis import QuickGenerator
from tests.models.style import TINY, lively


@pytest.fixture
def model():
    generator, _ = lively(TINY)
    return Loaded("digest", 2, 1.0, generator, QuickGenerator(generator))


def z(*seeds):
    return latents.of_seeds(seeds, 8)


def made(model, figure, finished=None):
    kept = Finished() if finished is None else finished  # an empty one is false
    found = dict(figures.drawn(model, figure, kept))
    return [found[at] for at in range(len(figure))]


def test_a_grid_is_generates_with_empty_places_at_the_end(model):
    look = Look(psi=0.6, noise_seed=3)
    figure = figures.grid(model, z(1, 2, 3), look, columns=2)
    assert figure.cells == ((0, 1), (2, None))
    whole = generate.grid(model, z(1, 2, 3), look)
    assert np.array_equal(made(model, figure), as_bytes(whole))
    sheet = figures.sheet(figure, made(model, figure))
    assert np.array_equal(sheet, exports.grid_sheet(whole, columns=2))


def test_truncation_and_mixing_are_generates(model):
    values = [-1.0, 0.0, 0.5]
    figure = figures.truncation(model, z(1, 2), values, Look())
    whole = generate.truncation(model, z(1, 2), values, Look())
    expected = exports.tiled(exports.shown(whole))
    assert np.array_equal(figures.sheet(figure, made(model, figure)), expected)
    given = {"source_psis": [0.5, 1.0], "destination_psis": [-0.5]}
    figure = figures.mixing(model, z(1, 2), z(3), [(0, 1)], Look(), **given)
    mixed = generate.mixing(model, z(1, 2), z(3), [(0, 1)], Look(), **given)
    assert figure.cells == ((None, 0, 1), (2, 3, 4))
    expected = exports.mixing_sheet(mixed)
    assert np.array_equal(figures.sheet(figure, made(model, figure)), expected)


def test_walks_and_sums_are_pictures_of_their_styles(model):
    look = Look(psi=0.7)
    figure = figures.walk(model, z(1, 2), look, frames=3)
    assert figure.cells == ((0, 1, 2), (3, 4, 5))
    styles = generate.walk_styles(model, z(1, 2), look, frames=3)
    assert np.array_equal(made(model, figure), as_bytes(generate.pictures(model, styles, look)))
    figure = figures.combined(model, z(1, 2), [1.0, -1.0], Look())
    styles = generate.sum_styles(model, z(1, 2), [1.0, -1.0], Look())
    out = as_bytes(generate.pictures(model, styles, Look()))[0]
    assert np.array_equal(made(model, figure)[2], out)


def test_depths_are_those_whose_colours_were_learnt(model):
    for depth, found in ((1, (0, 1)), (2, (0, 1, 2)), (None, (0, 1, 2))):
        figure = figures.depths(model, z(1)[0], Look(depth=depth))
        assert (figure.depths, figure.look.depth) == (found, found[-1])
    for depth, picture in enumerate(made(model, figure)):
        assert np.array_equal(picture, as_bytes(generate.grid(model, z(1), Look(depth=depth)))[0])
    assert figures.sheet(figure, made(model, figure)).shape == (16, 48, 1)
    for depth in (0, 1):
        model.plain.g_synthesis.to_rgb[depth].bias.zero_()
    assert figures.trained_depths(model) == [2]


def test_a_depth_that_is_coming_in_is_drawn_as_far_as_it_has_come(model):
    model.alpha = 0.25
    figure = figures.grid(model, z(1), Look(), columns=1)
    expected = generate.grid(model, z(1), Look(alpha=0.25))
    assert np.array_equal(made(model, figure), as_bytes(expected))
    both = figures.depths(model, z(1)[0], Look())
    assert np.array_equal(made(model, both)[2], as_bytes(expected)[0])
    expected = generate.grid(model, z(1), Look(depth=1, alpha=1.0))
    assert np.array_equal(made(model, both)[1], as_bytes(expected)[0])


def test_what_was_finished_is_not_made_again(model):
    finished = Finished()
    look = Look(psi=0.5)
    figure = figures.grid(model, z(1, 2, 3), look, columns=3)
    list(islice(figures.drawn(model, figure, finished), 2))
    assert figures.missing(model, figure, finished) == [2]
    other = figures.grid(model, z(2, 9), look, columns=2)
    assert figures.missing(model, other, finished) == [1]
    assert finished.seconds(model, 2) > 0
    assert figures.missing(model, figures.grid(model, z(1), Look(), columns=1), finished) == [0]


@pytest.mark.parametrize(
    "other",
    [Look(noise_seed=1), Look(noise_seed=None), Look(depth=1), Look(alpha=0.5), Look(way="plain")],
)
def test_another_look_is_another_picture(model, other):
    finished = Finished()
    made(model, figures.grid(model, z(1), Look(), columns=1), finished)
    figure = figures.grid(model, z(1), other, columns=1)
    assert figures.missing(model, figure, finished) == [0]


def test_of_a_figure_some_pictures_alone_are_made(model):
    finished = Finished()
    figure = figures.grid(model, z(1, 2, 3), Look(), columns=3)
    assert [at for at, _ in figures.drawn(model, figure, finished, only=[2, 0])] == [2, 0]
    assert figures.missing(model, figure, finished) == [1]


def test_row_25_finished_pictures_are_bounded_by_their_bytes():
    """Row 25: the oldest is forgotten first."""
    finished = Finished(limit_bytes=100)
    for number in range(5):
        finished.put(bytes([number]), np.zeros((1, 6, 6), np.uint8))
    assert len(finished) == 2
    assert finished.num_bytes == 72
    assert finished.get(bytes([0])) is None
    assert finished.get(bytes([4])) is not None


def test_row_28_a_figure_that_cannot_be_kept_whole_is_refused(model, monkeypatch):
    """Row 28: by its bytes; up to there a second look makes no picture."""
    monkeypatch.setenv("URBAN_PATTERN_MEMORY_MB", "256")
    settings.cache_clear()
    assert Finished().limit_bytes == 32 << 20
    finished = Finished(limit_bytes=4 * 16 * 16)
    figure = figures.grid(model, z(1, 2, 3, 4), Look(), columns=2)
    figures.check_room(model, figure, finished)
    made(model, figure, finished)
    assert figures.missing(model, figure, finished) == []
    figure = figures.grid(model, z(1, 2, 3, 4, 5), Look(), columns=2)
    with pytest.raises(TooLargeError, match="5 pictures of 16 px take"):
        figures.check_room(model, figure, finished)


def test_row_28_a_figure_of_too_many_pictures_is_refused_before_any_is_made(model):
    """Row 28: by number."""
    with pytest.raises(InputError, match="at most 1,024"):
        figures.grid(model, np.zeros((2000, 8), np.float32), Look(), columns=8)
    with pytest.raises(InputError, match="needs a seed"):
        figures.grid(model, np.zeros((0, 8), np.float32), Look(), columns=8)


def test_kept_latents_open_by_their_id_alone(tmp_path):
    given = tmp_path / "mine.npy"
    np.save(given, z(1, 2))
    kept_id = latents.keep_latents(tmp_path, given, 8)
    assert np.array_equal(latents.kept_latents(tmp_path, kept_id, 8)[0], z(1, 2))
    with pytest.raises(InputError, match="takes"):
        latents.kept_latents(tmp_path, kept_id, 9)


@pytest.mark.parametrize("name", ["../secret", "a/b", "", "nul\0", "a" * 80])
def test_row_4_latents_are_looked_for_inside_their_folder_alone(tmp_path, name):
    """Row 4: hostile ids are refused."""
    with pytest.raises(InputError):
        latents.kept_latents(tmp_path, name, 8)


def test_classes_are_drawn_in_the_colour_of_the_strongest():
    from core.chips.channels import Channel

    channels = [
        Channel(name="water", kind="class", code=1, colour="#0000FF"),
        Channel(name="trees", kind="class", code=2, colour="#00FF00"),
    ]
    picture = np.array([[[9, 0]], [[5, 7]]], np.uint8)
    assert figures.as_shown(picture, channels).tolist() == [[[0, 0, 255], [0, 255, 0]]]
    assert figures.as_shown(picture).tolist() == [[[9], [0]]]
    floats = np.array([[[1.0, -1.0]], [[0.5, 0.5]]], np.float32)
    assert exports.shown(floats[None], channels).tolist() == [[[[0, 0, 255], [0, 255, 0]]]]


def test_known_bands_are_shown_as_red_green_and_blue_wherever_they_lie():
    from core.chips.channels import Channel

    channels = [Channel(name=name, kind="image") for name in ("nir", "red", "green", "blue")]
    picture = np.arange(4, dtype=np.uint8).reshape(4, 1, 1)
    assert figures.as_shown(picture, channels).tolist() == [[[1, 2, 3]]]
    assert figures.as_shown(picture).tolist() == [[[0, 1, 2]]]
