"""Chips: the first set, planning, links, filters, warnings, verifying, deleting, hostile names."""

import json
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image

from core import jobs, works
from core.chips.imports import import_set
from core.chips.options import CutOptions
from core.chips.requests import Request, run
from core.chips.sets import ChipSets
from core.workspace import Workspace
from models import runs
from tests.models.fake_run import config
from tests.pages.said import button, clean, marked, only, tables, text

FIRST = "Cut 2,000 chips of the simulated imagery"
PICTURE = "![x](https://evil.example/p) <i>"
VIEWS = ("gallery", "scales", "statistics", "sets", "export", "cut", "import")


def cut_cover(space, name="covers", **options):
    """Cut a set of the town's classes."""
    chosen = CutOptions(**{"size_px": 8, "count": 30, "block_m": 100.0, **options})
    request = Request(out=name, area="town", layers=("cover",), options=chosen)
    return run(space, request, on_progress=lambda *_, **__: None)


@pytest.fixture
def covers(town):
    """The town with a set of 30 chips of its classes."""
    cut_cover(town)
    return town


def view(app):
    return app.session_state["app_state"].chips


def figures(app):
    return {metric.label: metric.value for metric in app.metric}


def done(config):
    """Do a job's work here and now."""
    return works.cut_chips(config, lambda *_, **__: None, lambda: False)


def test_without_a_set_one_click_cuts_the_first(space, open_page, handed_in):
    app = open_page("chips")
    assert "There is no set of chips yet." in text(app)
    button(app, FIRST).click().run()
    work, config = handed_in[0]
    assert work == "cut-chips"
    assert config["request"]["simulated"] == 0
    assert config["request"]["out"] == "simulated-chips"
    assert only(app.text_input, "Name of the set").value == "simulated-chips"
    assert config["request"]["options"]["count"] == 2000
    assert Request(**{**config["request"], "options": CutOptions()}).area == ""


def test_a_plan_says_what_fits_and_is_what_is_cut(town, open_page, handed_in):
    app = open_page("chips", view="cut")
    only(app.number_input, "Side (px)").set_value(8)
    only(app.number_input, "Number").set_value(40)
    only(app.number_input, "Block (m)").set_value(100.0)
    app.run()
    assert "**All 40 chips fit.** 32 for training, 8 (20.0 %) for the test" in text(clean(app))
    button(app, "Cut the set").click().run()
    _, config = handed_in[0]
    told = done(config)
    info = ChipSets(town.root).info(told["set"])
    assert (info.id, info.splits) == ("town-chips", {"train": 32, "test": 8})


def test_all_that_fit_on_a_grid(town, open_page):
    app = open_page("chips", view="cut")
    only(app.number_input, "Side (px)").set_value(8)
    only(app.button_group, "Places").set_value("grid")
    only(app.selectbox, "Train and test").set_value("none")
    said = text(clean(app.run()))
    assert only(app.number_input, "Number").value is None
    info = cut_cover(town, "grid", grid=True, count=None, split="none", block_m=None)
    assert f"**{info.count:,} chips fit.**" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("Side (px)", 1024), "A chip takes 1024 × 1024 pixels", id="too-large"),
        pytest.param(("Side (m)", 10.0), "fewer than 64", id="too-few-metres"),
        pytest.param(("Number", 2_000_000), "The chip set needs about", id="no-room"),
    ],
)
def test_what_cannot_be_cut_is_said_before_it_is_tried(town, open_page, monkeypatch, change, said):
    from core import store

    if said.endswith("about"):
        monkeypatch.setattr(store.shutil, "disk_usage", lambda _path: type("", (), {"free": 1e9}))
    app = open_page("chips", view="cut")
    only(app.number_input, change[0]).set_value(change[1])
    assert said in text(clean(app.run()))


@pytest.mark.parametrize("name", ["", "../up", "Big Name", "covers"])
def test_a_name_that_cannot_be_used_starts_nothing(covers, open_page, handed_in, name):
    """Row 4."""
    app = open_page("chips", view="cut")
    only(app.number_input, "Side (px)").set_value(8)
    only(app.text_input, "Name of the set").set_value(name)
    app.run()
    button(app, "Cut the set").click().run()
    assert clean(app).error
    assert not handed_in


def test_a_taken_name_may_replace_its_set(covers, open_page, handed_in):
    app = open_page("chips", view="cut")
    only(app.number_input, "Side (px)").set_value(8)
    only(app.text_input, "Name of the set").set_value("covers")
    only(app.run().checkbox, "Replace the set of that name").check()
    button(app.run(), "Cut the set").click().run()
    assert handed_in[0][1]["request"]["replace"] is True


def test_the_set_that_a_job_made_is_shown(town, open_page, monkeypatch):
    app = open_page("chips")
    cut_cover(town, "made")
    job_id = jobs.submit(town.root / "jobs", "cut-chips", {"workspace": "", "request": {}})
    jobs.wait(town.root / "jobs", job_id, timeout_s=60)
    found = jobs.job(town.root / "jobs", job_id)
    ended = jobs.Job(id=job_id, work="cut-chips", config={}, state="done", started=0.0,
                     progress=found.progress, result={"set": "made"})  # fmt: skip
    monkeypatch.setattr(jobs, "job", lambda *_: ended)
    app.session_state["app_state"].jobs["cut"] = job_id
    app.run()
    assert "made is there: 30 chips." in text(clean(app))
    assert figures(app)["Chips"] == "30"


def test_a_failed_job_says_why(town, open_page):
    app = open_page("chips")
    request = {"out": "x", "area": "town", "layers": ["gone"]}
    config = {"workspace": str(town.root), "request": request}
    job_id = jobs.submit(town.root / "jobs", "cut-chips", config)
    jobs.wait(town.root / "jobs", job_id, timeout_s=60)
    app.session_state["app_state"].jobs["cut"] = job_id
    assert "has no layer 'gone'" in text(clean(app.run()))


@pytest.mark.parametrize("shown", VIEWS)
def test_every_view_of_a_set_opens(covers, open_page, shown):
    app = clean(open_page("chips", view=shown, set="covers"))
    if shown != "cut":  # a chip of 64 px does not fit in the town, as is said
        assert not app.error
    if shown not in ("cut", "import"):
        info = ChipSets(covers.root).info("covers")
        splits = f"{info.splits['train']} / {info.splits['test']}"
        assert figures(app)["Train / test"] == splits
        assert figures(app)["A pixel means"] == f"{info.side_m / 8:g} m"


def test_a_link_to_a_set_that_is_gone_says_so(covers, open_page):
    app = open_page("chips", set="gone")
    assert "There is no chip set gone; covers is shown." in text(app)
    assert view(app).set_id == "covers"


def test_a_set_leads_to_the_form_of_a_run_on_it(covers, open_page):
    app = open_page("chips")
    app.button(key="chips-train").click().run()
    assert app.session_state["app_state"].train.see == "new"
    assert only(app.selectbox, "Pictures").value == view(app).set_id


def test_choosing_a_land_cover_filters_at_once(covers, open_page):
    path = covers.root / "chips" / "covers" / ChipSets(covers.root).info("covers").table
    frame = gpd.read_parquet(path)
    frame["cover_2"] = 0.0
    frame.loc[:10, "cover_2"] = 0.5
    frame.to_parquet(path)
    app = open_page("chips", view="scales")
    assert "All 30 chips · 8 are drawn" in text(app)
    only(app.selectbox, "Land cover").set_value("2").run()
    assert "11 of 30 chips · 8 are drawn" in text(clean(app))
    only(app.slider, "Its share of the chip (%)").set_range(0, 100).run()
    assert "All 30 chips" in text(clean(app))


def test_filters_narrow_the_gallery_and_can_be_let_go(covers, open_page):
    chips = ChipSets(covers.root).open("covers")
    app = open_page("chips", split="test")
    tests = len(chips.indices("test"))
    assert f"{tests} of 30 chips" in text(app)
    code = int(next(c for c in chips.table if c.startswith("cover_")).removeprefix("cover_"))
    app = open_page("chips", cover=f"{code}:0.99~1")
    fitting = int((chips.table[f"cover_{code}"] >= 0.99).sum())
    if fitting:
        assert f"{fitting} of 30 chips" in text(app)
    app = open_page("chips", date="1999")
    assert "No chip is like that." in text(app)
    button(app, "Show all chips").click().run()
    assert "All 30 chips" in text(clean(app))


def test_a_chip_of_a_link_is_told_and_one_beyond_the_end_is_not(covers, open_page):
    chips = ChipSets(covers.root).open("covers")
    app = open_page("chips", chip="3")
    assert "**Chip 3**" in text(app)
    assert "Cover" in text(app)
    lat = chips.table.geometry.centroid.to_crs(4326).iloc[3].y
    assert f"{lat:.6f}"[:7] in text(app)
    assert "Click a chip" in text(open_page("chips", chip="99"))


def test_a_chip_that_the_filters_hide_is_let_go(covers, open_page):
    splits = ChipSets(covers.root).open("covers").table["split"].tolist()
    kept, hidden = splits.index("test"), splits.index("train")
    assert f"**Chip {kept}**" in text(open_page("chips", split="test", chip=str(kept)))
    app = open_page("chips", chip=str(hidden))
    assert f"**Chip {hidden}**" in text(app)
    only(app.button_group, "Split").set_value("test")
    clean(app.run())
    assert "**Chip" not in text(app) and "Click a chip" in text(app)
    assert view(app).chip is None


def test_a_place_outside_is_said_beside_the_map(covers, open_page):
    app = open_page("chips", place="0,0")
    assert "lies outside what covers was cut from" in text(clean(app))


def test_warnings_are_told_and_shown(covers, open_page):
    app = open_page("chips", view="statistics")
    button(app, "Look for blur, near duplicates and missing pixels").click().run()
    assert "Chips that look nearly like another one" in text(clean(app))
    next(b for b in app.button if b.label == "Show them").click().run()
    assert view(clean(app)).shown == "gallery"
    assert view(app).wanted.warning
    assert " of 30 chips" in text(app)


def test_all_sets_are_listed_and_a_broken_one_can_be_deleted(covers, open_page):
    cut_cover(covers, "second")
    broken = covers.root / "chips" / "broken"
    broken.mkdir()
    (broken / "set.json").write_text("{")
    app = open_page("chips", view="sets")
    assert [row[1] for row in tables(app)[0]] == ["second", "covers"]
    assert "broken" in text(app)
    app.checkbox(key="sure-set-broken").check().run()
    app.button(key="delete-set-broken").click().run()
    assert not broken.exists()
    assert "broken was deleted." in text(clean(app))


def test_a_set_is_deleted_only_when_that_is_confirmed(covers, open_page):
    app = open_page("chips", view="sets")
    assert app.button(key="delete-set-covers").disabled
    app.checkbox(key="sure-set-covers").check().run()
    app.button(key="delete-set-covers").click().run()
    assert not ChipSets(covers.root).ids()
    assert "There is no set of chips yet." in text(clean(app))


def test_runs_that_learn_from_a_set_are_named_before_it_is_deleted(covers, open_page):
    cut_cover(covers, "second")
    folder = covers.root / "runs"
    for number, data in enumerate(["covers", "digits", *["covers"] * 5, "second"]):
        runs.create(folder, replace(config(f"Run *{number}*"), data=data))
    app = open_page("chips", view="sets", set="covers")
    said = of_runs(app)
    assert "not go on" in said and "1 more" in said
    assert [f"Run *{number}* · DCGAN" in said for number in range(8)] == [
        False, False, True, True, True, True, True, False,
    ]  # fmt: skip
    app.checkbox(key="sure-set-covers").check().run()
    app.button(key="delete-set-covers").click().run()
    assert ChipSets(covers.root).ids() == ["second"]  # warned, not forbidden
    assert "Run *7*" in of_runs(open_page("chips", view="sets"))


def of_runs(app):
    """Return the one warning that names runs."""
    found = [said.value for said in app.warning if "learn from it" in said.value]
    assert len(found) == 1
    return found[0].replace("\\", "")


def test_verifying_tells_of_a_byte_that_changed(covers, open_page):
    """Row 11."""
    app = open_page("chips", view="sets")
    button(app, "Verify the files").click().run()
    assert "covers is as it was written." in text(clean(app))
    path = covers.root / "chips" / "covers" / ChipSets(covers.root).info("covers").pixels
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 255
    path.write_bytes(body)
    button(app, "Verify the files").click().run()
    assert "have changed since they were written" in text(clean(app))


def test_a_damaged_set_is_said_and_others_stay_usable(covers, open_page):
    """Row 10."""
    cut_cover(covers, "second")
    path = covers.root / "chips" / "second" / ChipSets(covers.root).info("second").pixels
    path.write_bytes(path.read_bytes()[:2000])
    assert "cannot be read" in text(clean(open_page("chips", set="second")))
    assert not open_page("chips", set="covers").error


def test_writing_images_starts_a_job_with_what_was_chosen(covers, open_page, handed_in):
    app = open_page("chips", view="export")
    assert "PNG keeps every pixel" in text(app)
    # Classes are never packed as JPEG.
    assert only(app.button_group, "Format").options == ["PNG"]
    only(app.selectbox, "Split").set_value("test")
    button(app.run(), "Write the images").click().run()
    work, config = handed_in[0]
    assert work == "export-chips"
    assert config["options"]["split"] == "test"
    assert config["options"]["sizes"] == [8]


@pytest.mark.parametrize("shown", VIEWS)
def test_names_are_text_on_every_view(town, open_page, tmp_path, shown):
    """Row 8."""
    folder = tmp_path / "images"
    rng = np.random.default_rng(1)
    for label in (PICTURE.replace("/", ""), "b"):
        (folder / label).mkdir(parents=True)
        pixels = rng.integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / label / f"{PICTURE.replace('/', '')}.png")
    import_set(Workspace(town.root), "images", folder)
    town.rename("town", PICTURE)
    app = clean(open_page("chips", view=shown, set="images", chip="0"))
    assert not [said for said in marked(app) if "![x](" in said]
    for chart in app.get("plotly_chart"):
        assert "<i>" not in json.dumps(json.loads(chart.proto.spec))
    for block in app.get("html"):
        assert "<i>" not in block.proto.body


def test_names_of_classes_are_text_on_every_view(space, open_page, town_template, monkeypatch):
    """Row 8."""
    import shutil

    shutil.copytree(town_template, space.root)

    def renamed(layer):
        legend = tuple(replace(one, name=f"{PICTURE} {one.code}") for one in layer.legend)
        return replace(layer, title=PICTURE, legend=legend)

    space.change_layer("town", "cover", renamed)
    cut_cover(space, "hostile")
    for shown in VIEWS:
        app = clean(open_page("chips", view=shown, chip="0"))
        assert not [said for said in marked(app) if "![x](" in said], shown
        for chart in app.get("plotly_chart"):
            assert "<i>" not in json.dumps(json.loads(chart.proto.spec))
        for block in app.get("html"):
            assert "<i>" not in block.proto.body
