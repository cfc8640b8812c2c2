"""Generate: which model is shown, and how what was set for another one fits it."""

import pytest

from tests.models.fake_run import config, make_run
from tests.pages.said import clean, only, text
from tests.pages.test_generate import needs_torch, pictures, view
from tests.pages.tiny_model import make_model


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
