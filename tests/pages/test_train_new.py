"""Train: a new run set up, what it takes, what it begins with."""

from dataclasses import asdict

import numpy as np
import pytest

from core import store
from models import runs
from models.config import NetworkConfig
from models.style_config import StyleNetworks
from tests.pages.said import button, charts, clean, failed_job, metrics, only, text


def view(app):
    return app.session_state["app_state"].train


def test_a_new_run_on_digits_says_what_it_takes_and_starts(root, open_page, started):
    app = open_page("train", see="new")
    assert "Pictures to train on: 1,797. Channels: 1." in text(app)
    assert {"Time", "Memory", "Disk"} <= set(metrics(app))
    clean(button(app, "Start the run").click().run())
    found = runs.run(started[0])
    assert (found.config.data, found.config.model, found.config.preset) == (
        "digits", "dcgan", "workshop"
    )  # fmt: skip
    assert (view(app).see, view(app).run) == ("watch", found.id)


def test_the_schedule_of_the_document_is_drawn_before_the_start(root, open_page):
    app = open_page("train", see="new")
    only(app.selectbox, "Model").set_value("wgan").run()
    only(app.selectbox, "Preset").set_value("document").run()
    assert only(app.text_input, "Epochs of each fit").value == "5, 10, 10, 200, 100"
    figure = charts(app)["Learning rate: up and down once a fit"]
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [5, 15, 25, 225]


def bring(space, name, what, networks, model="wgan", **facts):
    """Write what is known of imported weights, as the job does."""
    folder = space.root / "weights" / name
    folder.mkdir(parents=True)
    body = {"step": 0, "model": model, "networks": asdict(networks), "what": what,
            "source": {"name": f"{name}.pth"}, **facts}  # fmt: skip
    store.write_json(folder / "checkpoint.json", body, kind="urban-pattern-checkpoint", version=1)


def test_a_run_begins_with_weights_of_both_networks_alone(space, open_page):
    shape = NetworkConfig(size_px=64, channels=1)
    bring(space, "learner", "learner of fastai", shape, has=["generator", "critic"])
    bring(space, "generator", "generator of fastai", shape, has=["generator"])
    bring(space, "older", "generator of fastai", shape)
    style = StyleNetworks(size_px=32, channels=1, widths=(8,) * 4, critic_widths=(8,) * 4)
    bring(space, "style", "StyleGAN generator", style, model="stylegan", has=["generator"])
    app = open_page("train", see="new")
    offered = only(app.selectbox, "Begins with").options
    assert offered == ["New weights, drawn from the seed", "learner.pth"]
    listed = [name for name in ("learner", "generator", "older", "style")
              if f"**{name}.pth**" in text(open_page("train", see="old"))]  # fmt: skip
    assert listed == ["learner", "generator", "older", "style"]
    app = open_page("train", see="old")
    clean(app.button(key="forget-style").click().run())
    assert not (space.root / "weights" / "style").exists()


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [
        ("Epochs of each fit", "many", "'many' is no list of whole numbers. Give them as 5,10,10."),
        ("Epochs of each fit", "0", "“Epochs of each fit” must lie in 1 to 1,000,000, not 0."),
        ("Learning rate", "3", "“Learning rate” must lie in 1e-10 to 1, not 3.0."),
        ("Learning rate", "banana", "'banana' is no number. Write one as 0.0002 or 2e-4."),
        ("Learning rate", "nan", "'nan' is no number. Write one as 0.0002 or 2e-4."),
    ],
)
def test_impossible_settings_are_one_sentence(root, open_page, label, value, sentence):
    app = open_page("train", see="new")
    only(app.number_input, "Seed").set_value(7).run()
    clean(only(app.text_input, label).set_value(value).run())
    assert [one.value.replace("\\", "") for one in app.error] == [sentence]
    assert button(app, "Start the run").disabled
    assert only(app.number_input, "Seed").value == 7  # nothing else that was written is lost


def test_silly_settings_are_told_and_possible(root, open_page):
    app = open_page("train", see="new")
    clean(only(app.text_input, "Learning rate").set_value("0.5").run())
    assert "above what such networks bear" in text(app)
    clean(only(app.text_input, "Epochs of each fit").set_value("900000").run())
    assert "days on this device" in text(app)


def test_a_batch_larger_than_the_set_is_told_before_the_start(root, open_page, started):
    app = open_page("train", see="new")
    clean(only(app.number_input, "Pictures a batch").set_value(2000).run())
    assert "The set holds 1797 chips, fewer than one batch of 2000." in text(app)
    assert button(app, "Start the run").disabled


def test_an_uploaded_file_is_kept_and_chosen_and_can_be_deleted(root, space, open_page):
    pictures = np.zeros((20, 1, 32, 32), np.uint8)
    place = space.root / "uploads" / "abc" / "mine.npy"
    place.parent.mkdir(parents=True)
    np.save(place, pictures)
    app = open_page("train", see="new")
    app.session_state["app_state"].uploads["training-pictures"] = ("mine.npy", str(place))
    only(app.selectbox, "Pictures").set_value("upload").run()
    clean(app)
    assert view(app).draft["data"].endswith("-mine.npy")
    assert "20 pictures are few" in text(app)
    delete = next(one for one in app.button if one.label.startswith("Delete this file"))
    clean(delete.click().run())
    assert not list((space.root / "pictures").iterdir())


def test_weights_are_brought_in_when_asked_and_a_failure_locks_nothing(space, open_page, started):
    (space.root.parent / "data" / "mine.pth").write_bytes(b"x")
    app = open_page("train", see="old")
    state = app.session_state["app_state"]
    state.jobs["import-weights"] = failed_job(space, "import-weights", "mine.pth is refused.")
    app.selectbox(key="path-weights").set_value("mine.pth").run()
    assert "mine.pth is refused." in text(clean(app))
    assert len(list((space.root / "jobs").iterdir())) == 1  # choosing a file starts nothing
    assert not button(app, "Bring in these weights").disabled
