"""Train: a run that learns by scale, watched and set up."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.models.fake_run import config, make_run
from tests.pages.said import clean, only, text


@pytest.fixture
def run(space):
    """Fits of 4, 4 and 2 epochs of 40 steps: 4, 8 and 16 px; the last epoch is yet to come."""
    (space.root / "runs").mkdir(parents=True)
    settings = config(model="stylegan", fits=(4, 4, 2))
    return make_run(space.root / "runs", settings, state="stopped", epochs=9)


def metrics(app):
    return {one.label: one.value for one in app.metric}


def table(app):
    return next(one.proto.body for one in app.get("html") if "ups-pictures" in one.proto.body)


def pictures(app):
    found = re.findall(r"data:image/png;base64,([^\"]+)", table(app))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_the_monitor_says_what_is_trained_at_the_sliders_step(run, open_page):
    app = open_page("train")
    shown = metrics(app)
    assert shown["Trains pictures of"] == "16 px"
    assert shown["Metres a pixel"] == "4"
    assert shown["Newest layers"] == "100%"
    only(app.select_slider, "Step that all pictures and panels show").set_value(200)
    shown = metrics(clean(app.run()))
    assert shown["Trains pictures of"] == "8 px"
    assert shown["Metres a pixel"] == "8"
    assert shown["Newest layers"] == "83%"
    assert "of the same 16 latents · 8 px · 8 m a pixel · newest layers 83% in" in text(app)


def test_real_chips_beside_generated_ones_have_as_many_metres_a_pixel(run, open_page, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "streamlit.delta_generator.DeltaGenerator.image",
        lambda _place, image, **more: drawn.append(image),
    )
    app = open_page("train")
    assert "64 m a side, 4 m a pixel" in text(app)
    only(app.select_slider, "Step that all pictures and panels show").set_value(200)
    clean(app.run())
    assert "64 m a side, 8 m a pixel" in text(app)
    found, whole = drawn[-1], np.asarray(Image.open(run / "samples" / "reals.png"))
    assert found.shape[:2] == whole.shape[:2]
    first = whole[:64, :64].reshape(8, 8, 8, 8, -1).mean(axis=(1, 3)).round()
    assert np.array_equal(found[:64, :64], first.repeat(8, axis=0).repeat(8, axis=1))


def test_the_same_latents_stand_by_depth_and_quarter(run, open_page):
    app = open_page("train", panel="scales")
    assert "4 px · 16 m a pixel · epochs: 4" in table(app)
    assert "epoch 9, step 360" in table(app)
    found = pictures(app)
    assert len(found) == 4 + 1 + 4 + 1 + 1 + 1  # the third depth is in its second quarter
    assert {one.shape for one in found} == {(130, 130, 3)}
    sheet = np.asarray(Image.open(run / "samples" / "00000040.png"))
    assert np.array_equal(found[0][:64, :64], sheet[:64, :64])
    assert len(np.unique(found[4][:64, :64], axis=0)) <= 4  # the real ones, as at 4 px


def test_the_table_ends_at_the_slider(run, open_page):
    found = pictures(open_page("train", panel="scales", step="80"))
    assert len(found) == 2 + 1


def test_a_model_of_one_size_has_no_such_panel(space, open_page):
    (space.root / "runs").mkdir(parents=True)
    make_run(space.root / "runs", config())
    app = open_page("train", panel="scales")
    assert app.session_state["app_state"].train.panel == "losses"
    assert "Newest layers" not in metrics(app)


def test_a_damaged_sheet_leaves_its_place_empty(run, open_page):
    (run / "samples" / "00000080.png").write_bytes(b"boom")
    assert len(pictures(open_page("train", panel="scales"))) == 11


def test_what_would_be_done_otherwise_is_said_before_the_start(space, open_page):
    app = open_page("train", see="new")
    only(app.selectbox, "Pictures").set_value("digits")
    clean(app.run())
    only(app.selectbox, "Model").set_value("stylegan")
    clean(app.run())
    assert "shadows from every side" not in text(app)
    only(app.text_input, "Epochs of each depth").set_value("1, 2")
    only(app.text_input, "Pictures a batch, each depth").set_value("8, 6")
    only(app.checkbox, "Mirrored at random").set_value(True)
    said = text(clean(app.run())).replace("\\", "")
    assert "Fit 2 takes batches of 4 pictures, not 6" in said
    assert "shadows from every side" in said
    assert "2 of 4 depths: the run ends at 8 px, not at 32" in said
