"""Previews: small, quick, in the colours of the finished pictures, never kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import catalogue, figures, generate, latents, loaded, previews
from models.figures import Finished
from models.generate import Look, as_bytes
from models.loaded import Loaded
from models.synthesis import QuickGenerator
from tests.models.style import TINY, lively


@pytest.fixture
def model():
    networks = replace(TINY, size_px=32, widths=(8, 8, 4, 4), critic_widths=(8, 8, 4, 4))
    generator, _ = lively(networks)
    return Loaded("large", 3, 1.0, generator, QuickGenerator(generator))


def grid(model, seeds, **look):
    z = latents.of_seeds(seeds, model.networks.latent)
    return figures.grid(model, z, Look(**look), columns=0)


def learnt(model, seeds, **more):
    figure = grid(model, seeds)
    previews.learn(model, figure, dict(figures.drawn(model, figure, Finished())), **more)


def test_there_is_no_preview_until_eight_pictures_were_finished(model):
    learnt(model, range(7))
    assert previews.preview(model, grid(model, [9]), Finished()) is None
    learnt(model, range(8))
    assert previews.preview(model, grid(model, [9]), Finished()).size_px == 16


def test_a_preview_is_small_and_never_kept(model):
    learnt(model, range(8))
    finished = Finished()
    quick = previews.preview(model, grid(model, [1, 2]), finished)
    assert (quick.look.way, quick.depths) == ("preview", (2, 2))
    drawn = dict(figures.drawn(model, quick, finished))
    assert drawn[1].shape == (1, 16, 16)
    assert len(finished) == 0
    assert finished.seconds(model, 2) is None
    assert finished.seconds(model, 2, is_preview=True) > 0


def test_there_is_no_preview_where_it_would_gain_nothing(model):
    """Of small pictures, of several sizes at once, and where it takes about as long."""
    learnt(model, range(8))
    finished = Finished()
    assert previews.preview(model, grid(model, [1], depth=2), finished) is None
    every = figures.depths(model, latents.of_seeds([1], 8)[0], Look())
    assert previews.preview(model, every, finished) is None
    figure = grid(model, [1, 2])
    finished.took(model, 3, 1.0)
    finished.took(model, 2, 0.4, is_preview=True)
    assert previews.preview(model, figure, finished) is not None
    finished.took(model, 2, 3.0, is_preview=True)
    assert previews.preview(model, figure, finished) is None


@pytest.mark.parametrize(("size_px", "most"), [(16, 0.85), (32, 0.65)])
def test_previews_have_the_colours_of_the_pictures(size_px, most):
    """Of the aerial model, over seeds that were not fitted: far nearer than that size's own
    colours, and nearer than the mean colour alone (1).
    """
    entry = next(one for one in catalogue.entries(catalogue.SHIPPED) if "aerial" in one.id)
    model = loaded.load(entry.folder)
    learnt(model, range(16), most_px=size_px)
    figure = grid(model, range(100, 112))
    side = 64 // size_px
    whole = np.stack([one for _, one in figures.drawn(model, figure, Finished())])
    wanted = whole.reshape(12, -1, size_px, side, size_px, side).mean(axis=(3, 5))
    quick = previews.preview(model, figure, Finished(), most_px=size_px)
    fitted = np.stack([one for _, one in figures.drawn(model, quick, Finished())])
    own = as_bytes(generate.pictures(model, figure.styles, Look(depth=quick.depths[0])))
    plain = wanted.mean(axis=(0, 2, 3), keepdims=True)

    def far(found):
        return np.sqrt(((found - wanted) ** 2).mean() / ((plain - wanted) ** 2).mean())

    assert far(fitted.astype(float)) < most
    assert far(fitted.astype(float)) < far(own.astype(float)) / 2


@pytest.mark.parametrize(("has_tiles", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_a_preview_is_in_short_numbers_where_the_hardware_computes_in_them(
    model, monkeypatch, has_tiles, dtype
):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_tiles, raising=False)
    assert model.preview.dtype == getattr(torch, dtype)
    look, z = Look(depth=2, way="preview"), latents.of_seeds([1], 8)
    near = generate.grid(model, z, look)
    exact = generate.grid(model, z, replace(look, way="exact"))
    assert np.array_equal(near, exact) == (not has_tiles)


def test_colours_are_learnt_anew_from_styles_that_differ_more(model):
    """What one seed at many psi taught gives way; the mean alone teaches nothing."""
    learnt_from = []

    def learn(figure):
        before = model.colours.get((3, 2))
        previews.learn(model, figure, dict(figures.drawn(model, figure, Finished())))
        learnt_from.append(model.colours.get((3, 2)) is not before)

    z = latents.of_seeds([5], model.networks.latent)
    psis = list(np.linspace(-1, 1, 9))
    learn(grid(model, range(9), psi=0.0))
    learn(figures.truncation(model, z, psis, Look()))
    learn(figures.truncation(model, z, psis, Look()))
    learn(grid(model, range(16)))
    learn(grid(model, range(20, 36)))
    learn(figures.truncation(model, z, psis, Look()))
    assert learnt_from == [False, True, False, True, False, False]
