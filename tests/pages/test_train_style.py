"""Train: a new StyleGAN is set up depth by depth, and started."""

import pytest

from models import runs
from models.style_config import StyleNetworks
from tests.pages.said import button, clean, only, text


@pytest.fixture
def form(space, open_page):
    app = open_page("train", see="new")
    only(app.selectbox, "Pictures").set_value("digits")
    clean(app.run())
    only(app.selectbox, "Model").set_value("stylegan")
    return clean(app.run())


def test_it_begins_with_the_small_preset_and_says_its_depths(form):
    assert only(form.selectbox, "Preset").value == "small"
    assert only(form.selectbox, "Side of a picture (px)").value == "32"
    assert "Depths: 4, 8, 16, 32 px" in text(form)
    assert "Time" in [one.label for one in form.metric]


def test_a_preset_offers_the_sizes_that_it_is_made_for(form):
    only(form.selectbox, "Preset").set_value("document")
    clean(form.run())
    assert only(form.selectbox, "Side of a picture (px)").options == ["32 px", "64 px", "128 px"]
    only(form.selectbox, "Preset").set_value("64px")
    clean(form.run())
    assert only(form.selectbox, "Side of a picture (px)").options == ["32 px", "64 px"]


def test_what_cannot_be_is_said_in_a_sentence(form):
    only(form.text_input, "Gradient penalty").set_value("1e300")
    clean(form.run())
    assert "“Gradient penalty” must lie in 0 to 10,000, not 1e+300" in form.error[0].value
    assert button(form, "Start the run").disabled


def test_digits_are_not_mirrored_unless_somebody_wants_it(form):
    only(form.selectbox, "Preset").set_value("document")
    assert not only(clean(form.run()).checkbox, "Mirrored at random").value


def test_the_run_has_the_settings_of_the_form(form, space, monkeypatch):
    monkeypatch.setattr(runs, "start", lambda folder: None)
    monkeypatch.setattr("ui.train_new.has_pytorch", lambda: True)
    only(form.text_input, "Epochs of each depth").set_value("1, 2, 3, 4")
    only(form.text_input, "Pictures a batch, each depth").set_value("8, 8, 8, 4")
    clean(form.run())
    button(form, "Start the run").click()
    form.run()
    (found,) = runs.runs(space.root / "runs")
    config = found.config
    assert (config.model, config.preset) == ("stylegan", "small")
    assert isinstance(config.networks, StyleNetworks)
    assert (config.training.fits, config.training.batches) == ((1, 2, 3, 4), (8, 8, 8, 4))
