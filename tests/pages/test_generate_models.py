"""Generate: which model is shown, and how what was set for another one fits it."""

import shutil

import numpy as np
import pytest
import streamlit as st

from core.settings import settings
from tests.models.fake_run import config, make_run
from tests.pages.said import clean, only, text
from tests.pages.test_generate import expected, needs_torch, pictures, view
from tests.pages.tiny_model import make_model
from ui import cached_models


@pytest.fixture
def run(space):
    """A run of a StyleGAN whose checkpoints of the steps 40 and 80 are kept; and a newer run."""
    space.root.mkdir()
    settings = config(model="stylegan", fits=(4,))
    folder = make_run(space.root / "runs", settings, epochs=2)
    newer = make_run(space.root / "runs", settings, epochs=2)
    for place, step in ((folder, 40), (folder, 80), (newer, 60)):
        make_model(space.root, name=f"at{step}", seed=step)
        (place / "checkpoints").mkdir(exist_ok=True)
        (space.root / "weights" / f"at{step}").rename(place / "checkpoints" / f"{step:08d}")
    return folder.name


@needs_torch
def test_of_a_checkpoint_that_is_gone_the_runs_newest_is_shown_and_it_says_so(run, open_page):
    app = open_page("generate", model=f"run/{run}/20", digest="0" * 16, seeds="1")
    assert view(app).model == f"run/{run}/80"
    for _again in range(2):  # it stays
        (warning,) = app.warning
        assert "The checkpoint of step 20 is not kept any more" in warning.value
        assert "Its newest is shown, step 80" in warning.value
        clean(app.run())
    only(app.selectbox, "Step").set_value(40)
    assert not clean(app.run()).warning
    assert view(app).model == f"run/{run}/40"


@needs_torch
def test_a_digest_of_a_few_digits_names_no_model(run, open_page):
    app = open_page("generate", model=f"run/{run}/80", seeds="1")
    short = view(app).digest[:1]
    app = open_page("generate", model="import/none", digest=short, seeds="1")
    assert "There is no model import/none here" in text(app)
    assert not view(app).model.startswith(f"run/{run}")


@needs_torch
def test_what_was_set_for_a_larger_model_fits_the_next(space, open_page):
    """Cutoff 5 of 6 layers is more than the 4 layers of the smaller one."""
    large, small = make_model(space.root), make_model(space.root, name="zwei", size_px=8)
    app = open_page("generate", model=large, seeds="1", cutoff="5", depth="2")
    only(app.selectbox, "Model").set_value(small)
    clean(app.run())
    assert not app.error
    assert only(app.slider, "Cutoff").value == 4
    assert view(app).cutoff is None
    assert pictures(app)[0].shape == (8, 8, 3)
    app = open_page("generate", model=small, seeds="1", depth="9", cutoff="99")
    assert not app.error
    assert pictures(app)[0].shape == (8, 8, 3)


@pytest.fixture
def three(space):
    """Three models of other weights, and of other sizes."""
    return [
        make_model(space.root, name=f"m{size}", seed=size, size_px=size, channels=channels)
        for size, channels in ((8, 1), (16, 3), (32, 4))
    ]


@needs_torch
@pytest.mark.parametrize("memory_mb", [256, 4096], ids=["room-for-one", "room-for-all"])
def test_sessions_with_several_models_at_once_see_their_own_pixels(
    three, space, open_page, monkeypatch, memory_mb
):
    """Each in turn, moved and turned to another model; though but one may be held at a time."""
    monkeypatch.setenv("URBAN_PATTERN_MEMORY_MB", str(memory_mb))
    settings.cache_clear()
    sessions = [open_page("generate", model=one, seeds="1-2", psi="1") for one in three]
    for psi in (0.5, -0.5):
        for app, model in zip(sessions, three, strict=True):
            only(app.slider, "psi, distance from the mean").set_value(psi)
            clean(app.run())
            assert shows(app, expected(space.root, model, [1, 2], psi=psi))
    for app, model in zip(sessions, three[1:] + three[:1], strict=True):
        only(app.selectbox, "Model").set_value(model)
        clean(app.run())
        assert view(app).model == model
        assert shows(app, expected(space.root, model, [1, 2], psi=-0.5))
    held = cached_models._shelf()
    assert len(held) == (1 if memory_mb == 256 else 3)
    listed = open_page("generate", model=three[0], show="models").dataframe[0].value["Model"]
    names = {f"m{size}.pth · {size} px · brought in" for size in (8, 16, 32)}
    assert names <= set(listed)


def shows(app, wanted):
    """Tell whether the first pictures are these; one of a single channel is drawn in grey."""
    found = pictures(app)[: len(wanted)]
    return all(
        np.array_equal(one, other.squeeze(-1) if other.shape[-1] == 1 else other)
        for one, other in zip(found, wanted, strict=True)
    )


@needs_torch
def test_the_steps_that_a_run_kept_are_at_hand_and_make_their_own_pictures(space, open_page):
    """A run as training left it: of many checkpoints it kept a few."""
    from models import catalogue, runs
    from models.worker import work
    from tests.models.style import style_run

    space.root.mkdir(exist_ok=True)
    folder = runs.create(
        space.root / "runs", style_run(space.root.parent, num=8, checkpoint_every=1)
    )
    work(folder)
    steps = catalogue.steps_of(space.root, folder.name)
    assert {1, 2, 5, 6} <= set(steps) <= {1, 2, 4, 5, 6}  # ends of fits, the newest two, a best
    app = open_page("generate", model=f"run/{folder.name}", seeds="3", psi="1")
    box = only(app.selectbox, "Step")
    assert box.options == [f"step {step}" for step in reversed(steps)]
    sizes = set()
    for step in steps:
        only(app.selectbox, "Step").set_value(step)
        assert not clean(app.run()).warning
        name = f"run/{folder.name}/{step}"
        assert view(app).model == name
        assert shows(app, expected(space.root, name, [3], psi=1.0))
        sizes.add(len(pictures(app)[0]))
    assert sizes == {4, 8, 16}  # each as far as it was trained
    app = open_page("generate", model=f"run/{folder.name}/3", seeds="3")
    assert "The checkpoint of step 3 is not kept any more" in app.warning[0].value


@needs_torch
@pytest.mark.parametrize("is_held", [True, False])
def test_a_checkpoint_that_a_run_lets_go_while_it_is_looked_at_leaves_no_traceback(
    run, space, open_page, is_held
):
    """Between two moves of a slider; for three seconds the list may still name it."""
    app = open_page("generate", model=f"run/{run}/40", seeds="1", psi="1")
    shutil.rmtree(space.root / "runs" / run / "checkpoints" / "00000040")
    if not is_held:
        cached_models._shelf().release()
    only(app.slider, "psi, distance from the mean").set_value(0.5)
    clean(app.run())
    assert is_held or app.error or app.warning
    st.cache_data.clear()
    clean(app.run())
    assert view(app).model == f"run/{run}/80"
    assert "The checkpoint of step 40 is not kept any more" in app.warning[0].value
    assert shows(app, expected(space.root, f"run/{run}/80", [1], psi=0.5))


@needs_torch
def test_a_model_in_mid_fade_is_shown_as_far_as_it_has_come_in_every_part(space, open_page):
    name = make_model(space.root, alpha=0.25)
    part = "Newest layers, how far in"
    app = open_page("generate", model=name, seeds="1", psi="1")
    assert only(app.slider, part).value == 25
    assert shows(app, expected(space.root, name, [1], alpha=0.25))
    only(app.slider, part).set_value(100.0)
    clean(app.run())
    assert shows(app, expected(space.root, name, [1], alpha=1.0))
    assert "1" in app.query_params["alpha"]
    linked = open_page("generate", model=name, seeds="1", psi="1", alpha="1")
    assert shows(linked, expected(space.root, name, [1], alpha=1.0))
    only(app.selectbox, "Depth").set_value(1)
    clean(app.run())  # the size below is in full
    assert shows(app, expected(space.root, name, [1], depth=1, alpha=1.0))
    (own,) = expected(space.root, name, [1], alpha=0.25)
    for shown in (
        {"show": "truncation", "rows": "1", "psis": "1"},
        {"show": "mixing", "sources": "1", "destinations": "2", "source_psis": "1"},
        {"show": "walk", "stops": "1,2", "psi": "1"},
    ):
        found = pictures(open_page("generate", model=name, **shown))
        assert any(np.array_equal(one, own) for one in found), shown
    depths = pictures(open_page("generate", model=name, show="depths", one="1", psi="1"))
    assert np.array_equal(depths[1], expected(space.root, name, [1], depth=1, alpha=1.0)[0])
    assert np.array_equal(depths[2], own)
