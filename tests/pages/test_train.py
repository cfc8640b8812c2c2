"""Train: runs listed, watched and judged, gone on with."""

import importlib.util
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core import store
from models import history, runs
from models.presets import MODELS
from tests.models.fake_run import config, make_run
from tests.pages.said import (
    button,
    charts,
    clean,
    marked,
    metrics,
    modules_after,
    numbers,
    only,
    tables,
    text,
)
from ui import cached_models

FIXTURES = Path(__file__).parents[1] / "models" / "fixtures"
TABLES = ("t09_wgan_log_5.csv", "t10_wgan_log_10a.csv", "t11_wgan_log_10b.csv")


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
    assert "torch" not in modules_after(tmp_path, "app.switch_page('pages/train.py').run()")


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


def test_a_collapse_is_told_in_words_with_what_to_try(root, open_page):
    make_run(root, config(), diversity=[0.8, 0.7, 0.1, 0.1])
    said = text(open_page("train"))
    assert "nearly the same picture again and again" in said
    assert "smaller learning rate" in said


def test_why_there_is_no_fid_is_said(root, open_page):
    make_run(root, config())
    assert "its network is a download" in text(open_page("train", panel="judgement"))


def test_a_killed_run_is_told_as_such_and_can_go_on(root, open_page):
    folder = make_run(root, config(), state="killed", epochs=2)
    place = folder / "checkpoints" / "00000040"
    place.mkdir(parents=True)
    (place / "checkpoint.json").write_text("{}")
    app = open_page("train")
    assert "It has all up to step 40. Go on from there." in text(app)
    assert "· broken off ·" in only(app.selectbox, "Run").options[0]
    assert "failed" not in text(app)
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
    assert "Computing now: At work." in text(app)
    assert "is starting" not in text(app)


def test_a_run_that_starts_is_not_said_to_wait(root, open_page):
    folder = make_run(root, config(), state="running", epochs=1)
    for name in ("slot.json", "metrics.jsonl"):
        (folder / name).unlink()
    said = " ".join(one.value for one in open_page("train").markdown)
    assert "is starting" in said
    assert "waits" not in said


def test_a_run_of_a_stylegan_leads_to_generate(root, open_page, monkeypatch):
    monkeypatch.setattr(cached_models, "has_pytorch", lambda: False)
    folder = make_run(root, config(model="stylegan", fits=(4,)), epochs=2)
    app = open_page("train")
    assert not [one for one in app.button if one.label == "Generate"]
    (folder / "checkpoints" / "00000080").mkdir(parents=True)
    (folder / "checkpoints" / "00000080" / "checkpoint.json").write_text("{}")
    app = open_page("train")
    button(app, "Generate").click().run()
    assert "What has it learned?" in text(app)
    assert app.session_state["app_state"].generate.model.startswith(f"run/{folder.name}")


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
