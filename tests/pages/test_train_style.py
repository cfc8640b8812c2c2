"""Train: a new StyleGAN is set up depth by depth, and started."""

import pytest

from models import runs
from models.presets import preset
from models.style_config import StyleNetworks
from tests.pages.said import button, clean, only, text

SMALL = preset("stylegan", "small", size_px=32, channels=1).training


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
    (side,) = [one for one in form.columns if [b.label for b in one.button] == ["Start the run"]]
    assert side.error  # beside the button that it locks, not below the form


def test_digits_are_not_mirrored_unless_somebody_wants_it(form):
    only(form.selectbox, "Preset").set_value("document")
    assert not only(clean(form.run()).checkbox, "Mirrored at random").value


def test_the_run_has_the_settings_of_the_form(form, space, monkeypatch):
    only(form.text_input, "Epochs of each depth").set_value("1, 2, 3, 4")
    only(form.text_input, "Pictures a batch, each depth").set_value("8, 8, 8, 4")
    config = started(form, space, monkeypatch)
    assert (config.model, config.preset) == ("stylegan", "small")
    assert isinstance(config.networks, StyleNetworks)
    assert (config.training.fits, config.training.batches) == ((1, 2, 3, 4), (8, 8, 8, 4))


def test_a_run_of_the_full_size_has_fits_and_no_depths(form, space, monkeypatch):
    only(form.selectbox, "Order of sizes").set_value("fixed")
    clean(form.run())
    assert only(form.text_input, "Epochs of each fit").value == str(SMALL.fits[-1])
    assert only(form.text_input, "Pictures a batch, each fit").value == str(SMALL.batches[-1])
    assert "First depth" not in [one.label for one in form.selectbox]
    adversary = started(form, space, monkeypatch).adversary
    assert (adversary.structure, adversary.start_depth) == ("fixed", 0)


def test_mixing_truncation_and_fading_are_those_of_the_form(form, space, monkeypatch):
    only(form.selectbox, "First depth").set_value("1")
    clean(form.run())
    begun = only(form.text_input, "Epochs of each depth").value
    assert begun == ", ".join(map(str, SMALL.fits[1:]))
    only(form.number_input, "Chance of mixed styles").set_value(0.25)
    only(form.number_input, "Truncation while training: psi").set_value(1.0)
    only(form.number_input, "Truncation while training: below layer").set_value(4)
    only(form.number_input, "Share of a depth in which its layers come in").set_value(0.1)
    found = started(form, space, monkeypatch).adversary
    assert (found.mixing, found.psi, found.cutoff, found.fade_in) == (0.25, 1.0, 4, 0.1)
    assert found.start_depth == 1


def test_the_form_says_how_far_a_run_comes(form):
    only(form.text_input, "Epochs of each depth").set_value("1, 2, 3")
    said = text(clean(form.run())).replace("\\", "")
    assert "3 of 4 depths: the run ends at 16 px, not at 32" in said
    only(form.text_input, "Epochs of each depth").set_value("1, 2, 3, 4, 5")
    assert "train the full size of 32 px on" in text(clean(form.run())).replace("\\", "")


def started(form, space, monkeypatch):
    """Start the run that is set up, and return its settings."""
    monkeypatch.setattr(runs, "start", lambda folder: None)
    monkeypatch.setattr("ui.train_new.has_pytorch", lambda: True)
    clean(form.run())
    button(form, "Start the run").click()
    form.run()
    (found,) = runs.runs(space.root / "runs")
    return found.config
