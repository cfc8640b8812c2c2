"""Train: runs listed and judged, a new one set up, gone on with, compared; old tables."""

import base64
import importlib.util
import json
import math
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from core import store
from models import history, runs
from models.config import NetworkConfig
from models.presets import MODELS
from models.style_config import StyleNetworks
from tests.models.fake_run import config, make_run
from tests.pages.said import button, clean, marked, only, tables, text
from ui import cached

FIXTURES = Path(__file__).parents[1] / "models" / "fixtures"
TABLES = ("t09_wgan_log_5.csv", "t10_wgan_log_10a.csv", "t11_wgan_log_10b.csv")
HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))


@pytest.fixture
def root(space):
    folder = space.root / "runs"
    folder.mkdir(parents=True)
    return folder


def metrics(app):
    return {one.label: one.value for one in app.metric}


def charts(app):
    """Return the figures of a page by their titles."""
    found = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return {one["layout"]["title"]["text"]: one for one in found}


def view(app):
    return app.session_state["app_state"].train


def test_without_a_run_the_page_leads_to_the_first_one(space, open_page):
    app = open_page("train")
    assert "There are no runs yet." in text(app)
    clean(button(app, "Set up the first run").click().run())
    assert view(app).see == "new"


def test_without_pytorch_runs_are_shown_and_the_page_says_how_to_install_it(
    root, open_page, monkeypatch
):
    make_run(root, config())
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "ui.train_list.find_spec", lambda name: None if name == "torch" else found(name)
    )
    app = open_page("train")
    assert "make models" in text(app)
    assert "**Roofs** · finished" in text(app)
    assert button(app, "Go on").disabled


def test_the_app_does_not_load_pytorch_for_it(tmp_path):
    """A page of figures must not pay for a library of half a gigabyte."""
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "app.switch_page('pages/train.py').run()\n"
        "assert not app.exception, app.exception\n"
        "print('torch' in sys.modules)\n"
    )
    environment = {"URBAN_PATTERN_WORKSPACE": str(tmp_path), "URBAN_PATTERN_DEFAULT_AREA": "off"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120,
        cwd=Path(__file__).parents[2], env={"PATH": "/usr/bin:/bin", **environment}, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "False", done.stderr[-2000:]


def test_key_figures_are_the_newest_rows(root, open_page):
    folder = make_run(root, config())
    rows = runs.rows(folder)
    app = open_page("train")
    shown = metrics(app)
    assert shown["Epoch"] == "4 / 4"
    critic = next(row["critic_smooth"] for row in reversed(rows) if "critic" in row)
    assert shown["Loss, critic / generator"].startswith(f"{critic:.4g}"[:5])
    assert shown["Sliced Wasserstein"] == "100"
    assert shown["Diversity"] == "1"


def test_one_slider_moves_all_panels_and_stands_in_the_address(root, open_page):
    make_run(root, config())
    app = open_page("train", panel="judgement")
    slider = only(app.select_slider, "Step that all pictures and panels show")
    assert slider.options == ["0", "40", "80", "120", "160"]
    assert "Generated at step 160" in text(app)
    slider.set_value(80)
    clean(app.run())
    assert "Generated at step 80" in text(app)
    assert "Spectrum at step 80" in charts(app)
    assert metrics(app)["Sliced Wasserstein"] == "200"
    assert app.query_params["step"] == "80"
    assert app.query_params["panel"] == "judgement"
    only(app.select_slider, "Step that all pictures and panels show").set_value(160)
    clean(app.run())
    assert "step" not in app.query_params  # it follows again


def test_before_the_first_figures_there_are_none_and_a_later_judgement_is_named(root, open_page):
    make_run(root, config())
    app = open_page("train", panel="judgement", step="0")
    shown = metrics(app)
    assert (shown["Epoch"], shown["Sliced Wasserstein"], shown["Diversity"]) == ("0 / 4", "–", "–")
    assert shown["Loss, critic / generator"] == "– / –"
    assert "At step 0 nothing was judged yet. Judged first, at step 40:" in text(app)
    assert "Spectrum at step 40" in charts(app)
    assert "nothing was judged yet" not in text(open_page("train", panel="judgement", step="40"))


def test_a_stopped_run_stands_where_it_stopped(root, open_page):
    """That need not be at a row of figures."""
    folder = make_run(root, config(), state="stopped", epochs=2)
    body = {"outcome": "stopped", "step": 86, "seconds": 4.3, "best": None}
    store.write_json(folder / "result.json", body, kind="run-result", version=1)
    assert "step 86 of 160" in text(open_page("train"))


def test_a_link_restores_run_panel_and_step(root, open_page):
    first = make_run(root, config("First"))
    make_run(root, config("Second"))
    app = open_page("train", run=first.name, panel="scores", step="40")
    assert "**First**" in text(app)
    assert "Scores at step 40: 2 apart" in charts(app)


def test_a_link_to_a_run_that_is_gone_shows_the_newest_and_says_so(root, open_page):
    make_run(root, config("First"))
    app = open_page("train", run="gone")
    assert "There is no run gone; the newest is shown." in text(app)
    assert "**First**" in text(app)


@pytest.mark.parametrize(
    ("model", "objective", "lines", "words"),
    [
        ("dcgan", "bce", [2 * math.log(2), math.log(2)], "ln 2 = 0.693"),
        ("dcgan", "least-squares", [0.5, 0.25], "0.25"),
        ("wgan", "wasserstein", [], "earth mover's distance"),
    ],
)
def test_losses_stand_with_their_meaning_and_ideal_lines(
    root, open_page, model, objective, lines, words
):
    made = config(model=model)
    make_run(root, replace(made, adversary=replace(made.adversary, objective=objective)))
    app = open_page("train")
    drawn = charts(app)
    shapes = [
        shape["y0"]
        for shape in drawn["Losses"]["layout"].get("shapes", [])
        if shape.get("xref") == "paper"
    ]
    assert shapes == pytest.approx(lines)
    assert words in text(app)
    assert ("Estimated distance (−critic loss)" in drawn) is (model == "wgan")


def test_the_estimated_distance_is_drawn_as_minus_the_critics_loss(root, open_page):
    folder = make_run(root, config(model="wgan"))
    app = open_page("train")
    figure = charts(app)["Estimated distance (−critic loss)"]
    last = [row for row in runs.rows(folder) if "critic" in row][-1]
    newest = numbers(figure["data"][1]["y"])[-1]
    assert newest == pytest.approx(-last["critic_smooth"])
    assert float(metrics(app)["Estimated distance"]) == pytest.approx(-last["critic_smooth"], 1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_every_panel_of_every_model_is_drawn(root, open_page, model):
    make_run(root, config(model=model, fits=(1, 2)), per_epoch=(20, 40))
    for panel in ("losses", "scores", "judgement", "pace", "log"):
        clean(open_page("train", panel=panel))


def test_fits_with_other_batches_end_and_stand_where_they_do(root, open_page):
    settings = config(model="stylegan", fits=(2, 2, 4))
    folder = make_run(root, settings, state="stopped", per_epoch=(10, 20, 40), epochs=6)
    drawn = charts(open_page("train", panel="losses"))["Losses"]["layout"]["shapes"]
    assert [one["x0"] for one in drawn if one.get("yref") == "paper"] == [20, 60, 140]
    rates = charts(open_page("train", panel="pace"))["Learning rate: constant"]["layout"]["shapes"]
    assert [one["x0"] for one in rates] == [2, 4, 6]  # two ends of fits, and six epochs done
    app = open_page("train", see="compare", by="epoch", figure="lr", **{"with": folder.name})
    (line,) = charts(app)["Learning rate"]["data"]
    assert numbers(line["x"])[-1] == 6


def test_an_old_table_stands_beside_the_first_epoch_of_a_run(root, space, open_page):
    """A quarter of its first epoch lies at a quarter, not at one."""
    history.keep(space.root, "NAIP", old_text())
    make_run(root, config(model="wgan"), state="running", epochs=0)
    (folder,) = root.glob("2*")
    row = {"step": 10, "images": 160, "fit": 0, "epoch": 0, "seconds": 1.0, "lr": 1e-4,
           "critic": -0.1, "critic_smooth": -0.1, "generator_smooth": 0.1}  # fmt: skip
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    lines = charts(open_page("train", see="old"))["Losses of the old table and of a run"]["data"]
    assert numbers(next(one for one in lines if one["name"] == "Roofs: critic")["x"]) == [0.25]


def numbers(found):
    """Return the numbers of a chart, packed or not."""
    if isinstance(found, dict):
        found = np.frombuffer(base64.b64decode(found["bdata"]), found["dtype"]).tolist()
    return found


def test_a_collapse_is_told_in_words_with_what_to_try(root, open_page):
    make_run(root, config(), diversity=[0.8, 0.7, 0.1, 0.1])
    said = text(open_page("train"))
    assert "nearly the same picture again and again" in said
    assert "smaller learning rate" in said


def test_why_there_is_no_fid_is_said(root, open_page):
    make_run(root, config())
    assert "its network is a download" in text(open_page("train", panel="judgement"))


def test_a_killed_run_is_told_as_such_and_can_go_on(root, open_page):
    make_run(root, config(), state="killed", epochs=2)
    app = open_page("train")
    assert "The run ended without a result. Go on from its last checkpoint." in text(app)
    assert button(app, "Go on").label == "Go on"


def test_a_failed_run_says_why(root, open_page):
    make_run(root, config(), state="failed", epochs=2)
    assert "At step 80 the losses were no longer numbers." in text(open_page("train"))


def test_stop_asks_by_a_file_and_is_shown(root, open_page):
    folder = make_run(root, config(), state="running", epochs=2)
    app = open_page("train")
    assert "running" in app.get("progress")[0].proto.text
    clean(button(app, "Stop").click().run())
    assert (folder / "stop").exists()
    assert "stopping" in app.get("progress")[0].proto.text
    assert button(app, "Stop").disabled


def test_a_waiting_run_tells_its_place(root, open_page):
    make_run(root, config("At work"), state="running", epochs=1)
    for title in ("First", "Second"):
        folder = make_run(root, config(title), state="running", epochs=1)
        for name in ("slot.json", "metrics.jsonl"):
            (folder / name).unlink()
        for name in ("samples", "nearest"):
            shutil.rmtree(folder / name)
    app = open_page("train", run=folder.name)
    assert "place 2 of the queue" in text(app)


@pytest.fixture
def started(monkeypatch):
    """Folders of runs whose processes the page wants to start; none is."""
    folders = []
    monkeypatch.setattr(runs, "start", folders.append)
    monkeypatch.setattr("ui.train_list.find_spec", lambda name: object())
    return folders


def test_going_on_with_other_settings_shows_the_difference_and_asks(root, open_page, started):
    folder = make_run(root, config(), state="stopped", epochs=2)
    app = open_page("train")
    app.text_input(key=f"re-lr-{folder.name}").set_value("0.0001").run()
    clean(button(app, "Go on").click().run())
    assert not started
    assert ["Learning rate", "0.0004", "0.0001"] in tables(app)[0]
    clean(button(app, "Go on with these differences").click().run())
    assert [one.name for one in started] == [folder.name]
    assert runs.run(folder).config.training.lr == 1e-4
    assert runs.run(folder).sessions[-1]["changes"][0]["name"] == "training.lr"


def test_without_a_difference_it_goes_on_at_once(root, open_page, started):
    folder = make_run(root, config(), state="stopped", epochs=2)
    clean(button(open_page("train"), "Go on").click().run())
    assert [one.name for one in started] == [folder.name]


def test_a_finished_run_goes_on_by_one_more_fit(root, open_page, started):
    folder = make_run(root, config(fits=(4,)))
    app = open_page("train")
    app.number_input(key=f"more-{folder.name}").set_value(7).run()
    clean(button(app, "Go on").click().run())
    assert started
    assert runs.run(folder).config.training.fits == (4, 7)


def test_a_rate_that_is_no_number_is_one_sentence(root, open_page, started):
    folder = make_run(root, config())
    app = open_page("train")
    app.text_input(key=f"re-lr-{folder.name}").set_value("fast").run()
    assert [one.value for one in app.error] == ["'fast' is no number. Write one as 0.0002 or 2e-4."]
    assert button(app, "Go on").disabled


def test_a_finished_run_whose_pictures_are_gone_stays_finished_and_says_why(
    root, open_page, started
):
    folder = make_run(root, config())
    Path(runs.run(folder).config.data).unlink()
    app = open_page("train")
    assert "There is no set of chips at" in app.error[0].value
    assert button(app, "Go on").disabled
    assert runs.run(folder).state == "done"


def test_a_run_goes_on_on_devices_that_there_are(root, open_page, started, monkeypatch):
    monkeypatch.setattr("ui.train_fields.estimate.gpus", lambda: ["H200"])
    folder = make_run(root, replace(config(), device="cuda:3"), state="stopped", epochs=2)
    app = open_page("train")
    box = app.selectbox(key=f"re-device-{folder.name}")
    assert box.options == ["Automatic", "Processor", "H200 (0)"]
    clean(button(app, "Go on").click().run())
    assert ["Device", "cuda:3", "Automatic"] in tables(app)[0]


def test_a_run_is_deleted_after_asking(root, open_page):
    folder = make_run(root, config("Gone soon"))
    app = open_page("train")
    clean(button(app, "Delete for good").click().run())
    assert not folder.exists()
    assert "The run Gone soon is deleted." in text(app)


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
        ("Epochs of each fit", "0", "A fit lasts 1 to 1,000,000 epochs; these are 0."),
        ("Learning rate", "3", "The learning rate lies above 0 and up to 1, not 3.0."),
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


def test_curves_and_settings_of_runs_are_compared(root, open_page):
    first = make_run(root, config("Fast", lr=4e-4))
    second = make_run(root, config("Slow", model="wgan", lr=1e-4, batch=32))
    app = open_page(
        "train", see="compare", figure="swd_mean", by="step",
        **{"with": f"{first.name},{second.name}"},
    )  # fmt: skip
    figure = charts(app)["Sliced Wasserstein distance (thousandths)"]
    assert [one["name"] for one in figure["data"]] == ["Fast", "Slow"]
    assert figure["layout"]["xaxis"]["title"]["text"] == "Step"
    rows = {row[0]: row[1:] for row in tables(app)[0]}
    assert rows["Model"] == ["DCGAN", "WGAN"]
    assert rows["Learning rate"] == ["0.0004", "0.0001"]
    assert "Seed" not in rows
    assert "Fast, step 160" in text(app)
    note = "The losses are of different kinds"
    assert note not in text(app)
    only(app.selectbox, "Figure").set_value("critic_smooth").run()
    assert note in text(app)


def test_settings_that_read_alike_are_told_apart(root, open_page):
    """Checkpoints of one step, files of one name, numbers that differ in a late digit."""
    starts = [f"/work/runs/{name}/checkpoints/00000156" for name in "ab"]
    made = [
        make_run(root, config(name, start_from=start, lr=lr))
        for name, start, lr in zip(("First", "Second"), starts, (1e-4, 1.0000001e-4), strict=True)
    ]
    app = open_page("train", see="compare", **{"with": ",".join(one.name for one in made)})
    rows = {row[0]: row[1:] for row in tables(app)[0]}
    assert rows["Begins with the weights of"] == starts
    assert rows["Learning rate"] == ["0.0001", "0.00010000001"]
    assert len(rows) == 2


def test_figures_of_all_compared_runs_are_kept_between_drawings(tmp_path):
    folders = [str(tmp_path / str(at)) for at in range(8)]
    first = [cached.follower(folder) for folder in folders]
    assert all(cached.follower(path) is one for path, one in zip(folders, first, strict=True))


def old_text():
    """Return the published tables, one after another, with the lines between them."""
    better = (FIXTURES / "f04_better_model_lines.csv").read_text().splitlines()[1:]
    lines = [
        f"Better model found at epoch {line.split(',')[0]} with crit_loss value: "
        f"{line.split(',')[1].rstrip('.')}."
        for line in better[:22]
    ]
    return "\n".join([*((FIXTURES / name).read_text() for name in TABLES), *lines])


def test_the_documents_table_is_drawn_and_its_better_models_follow_from_the_rule(
    root, space, open_page
):
    make_run(root, config(model="wgan"))
    app = open_page("train", see="old")
    only(app.text_input, "Its name").set_value("NAIP")
    only(app.text_area, "Paste the table").set_value(old_text())
    clean(button(app, "Read the table").click().run())
    assert [one.title for one in history.old_runs(space.root)] == ["NAIP"]
    figure = charts(app)["Losses of the old table and of a run"]
    names = [one["name"] for one in figure["data"]]
    assert names == ["NAIP: critic", "NAIP: generator", "Roofs: critic", "Roofs: generator",
                     "better model"]  # fmt: skip
    assert "The text names 22 better models; 22 of them follow by this rule." in text(app)
    assert "The estimated distance went from 0.02271 to 1.494" in text(app)
    only(app.selectbox, "Better by the rule").set_value("recommended").run()
    assert "22 of them" not in text(app)


def test_a_short_table_has_ticks_at_whole_epochs_alone(space, open_page):
    history.keep(space.root, "Two", "0,-1,2,-1,0:18\n1,-1.2,2,-1.1,0:18")
    figure = charts(open_page("train", see="old"))["Losses of the old table and of a run"]
    assert figure["layout"]["xaxis"]["dtick"] == 1


def test_a_word_in_a_table_is_named_with_its_line(space, open_page):
    app = open_page("train", see="old")
    only(app.text_area, "Paste the table").set_value("0,-1,2,-1,0:18\n1,nan,2,-1.1,0:18")
    clean(button(app, "Read the table").click().run())
    assert "Line 2 of the table holds 'nan', which is no number." in text(app)


def test_text_without_a_table_is_one_sentence(space, open_page):
    app = open_page("train", see="old")
    only(app.text_area, "Paste the table").set_value("nothing")
    clean(button(app, "Read the table").click().run())
    assert "There is no row of a training table in this text." in text(app)


@pytest.mark.parametrize("see", ["watch", "new", "compare", "old"])
def test_row_8_names_of_runs_and_tables_are_text(root, space, open_page, see):
    """Row 8."""
    name = "![x](https://evil.example/p) <i>"
    make_run(root, config(name))
    make_run(root, config(name, model="wgan"))
    history.keep(space.root, name, (FIXTURES / TABLES[0]).read_text())
    app = open_page("train", see=see, panel="log")
    assert not [text for text in marked(app) if "![x](" in text]
    for chart in app.get("plotly_chart"):
        assert "<i>" not in json.dumps(json.loads(chart.proto.spec))


@pytest.mark.parametrize("name", ["../../etc", "a/b", "%00", "x" * 200])
def test_row_4_a_link_names_runs_of_the_workspace_alone(root, open_page, name):
    """Row 4."""
    make_run(root, config("Mine"))
    app = open_page("train", run=name)
    assert "**Mine**" in text(app)
