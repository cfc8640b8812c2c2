"""Train: runs and old tables side by side."""

import json
from pathlib import Path

import pytest

from models import history
from tests.models.fake_run import config, make_run
from tests.pages.said import button, charts, clean, numbers, only, tables, text
from ui import cached

FIXTURES = Path(__file__).parents[1] / "models" / "fixtures"
TABLES = ("t09_wgan_log_5.csv", "t10_wgan_log_10a.csv", "t11_wgan_log_10b.csv")


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


@pytest.mark.parametrize(("other", "figure"), [("dcgan", "swd_mean"), ("wgan", "critic_smooth")])
def test_losses_of_different_kinds_are_not_the_first_that_is_compared(
    root, open_page, other, figure
):
    made = [make_run(root, config("First", model="wgan")), make_run(root, config(model=other))]
    app = open_page("train", see="compare", **{"with": ",".join(one.name for one in made)})
    assert only(app.selectbox, "Figure").value == figure
    assert "cannot be compared" not in text(app)


def test_settings_that_read_alike_are_told_apart(root, open_page):
    """Checkpoints of one step, files of one name, numbers that differ in a late digit."""
    starts = [f"/srv/runs/{name}/checkpoints/00000156" for name in "ab"]
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
