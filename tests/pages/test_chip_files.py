"""Chips and files: taken in, told when left out, followed when they are replaced."""

import io
from types import SimpleNamespace

import numpy as np
from PIL import Image
from rasterio.transform import from_origin

from core import intake, jobs
from core.chips.imports import import_set
from core.chips.options import CutOptions
from core.chips.requests import Request, run
from core.chips.sets import ChipSets
from core.connectors import shelf
from tests.core.raster_files import write_tif
from tests.pages.said import button, clean, only, text


def test_a_failed_import_holds_up_no_other(town, open_page, data_folder, handed_in, monkeypatch):
    for name in ("bad.zip", "good.zip"):
        (data_folder / name).write_bytes(b"PK")
    app = open_page("chips", view="import")
    nothing = jobs.Progress(0.0, "")
    failed = jobs.Job(id="x", work="import-chips", config={}, state="failed", started=0.0,
                      progress=nothing, problem="bad.zip cannot be read.")  # fmt: skip
    monkeypatch.setattr(jobs, "job", lambda *_: failed)
    app.session_state["app_state"].jobs["import"] = "x"
    only(app.selectbox, "Or a file of the server's data folder").set_value("good.zip").run()
    assert "bad.zip cannot be read." in text(app)
    button(app, "Take the images in").click().run()
    assert handed_in[0][1]["out"] == "good"


def test_images_that_were_left_out_are_told_at_once_and_where_they_are_listed(
    town, open_page, tmp_path, monkeypatch
):
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no image")
    import_set(town, "few", folder)
    app = open_page("chips")
    assert "split by folders *train* and *test*" in text(app)
    done = jobs.Job(id="x", work="import-chips", config={}, state="done", started=0.0,
                    progress=jobs.Progress(0.0, ""), result={"set": "few"})  # fmt: skip
    monkeypatch.setattr(jobs, "job", lambda *_: done)
    app.session_state["app_state"].jobs["import"] = "x"
    app.run()
    assert "few is there: 3 chips. Images left out: 1. See Sets" in text(clean(app))
    said = text(open_page("chips", view="sets"))
    assert "Images left out: 1 (it is no whole PNG or JPEG): bad.png" in said.replace("\\", "")


def test_a_place_is_never_shown_from_another_file_of_the_same_name(town, open_page, data_folder):
    """Row 26."""
    rgb = np.random.default_rng(0).integers(1, 255, (3, 60, 60)).astype("u1")
    path = write_tif(data_folder / "a_20200831.tif", rgb)
    body = path.read_bytes()
    options = CutOptions(size_px=8, count=5, split="none")
    run(town, Request(out="files", files=(str(path),), options=options))
    centre = ChipSets(town.root).open("files").table.geometry.centroid.to_crs(4326).iloc[0]
    app = open_page("chips", place=f"{centre.y},{centre.x}")
    assert "This place as a chip" in text(app)
    write_tif(path, 255 - rgb)
    assert path.stat().st_size == len(body)
    assert "are not here any more, or have changed" in text(clean(app.run()))
    intake.save_upload(town.root, path.name, io.BytesIO(body))
    app.run()
    assert "This place as a chip" in text(clean(app))
    assert not app.error


def test_a_fetched_image_is_found_though_its_set_names_no_area(
    town, open_page, tmp_path, monkeypatch
):
    rgb = np.random.default_rng(0).integers(1, 255, (3, 60, 60)).astype("u1")
    path = write_tif(tmp_path / "fetched.tif", rgb)
    options = CutOptions(size_px=8, count=5, split="none")
    run(town, Request(out="files", files=(str(path),), options=options))
    image = SimpleNamespace(path=path)
    monkeypatch.setattr(shelf, "fetched", lambda _space, area: [image] if area == "town" else [])
    centre = ChipSets(town.root).open("files").table.geometry.centroid.to_crs(4326).iloc[0]
    app = open_page("chips", place=f"{centre.y},{centre.x}")
    assert "This place as a chip" in text(clean(app))


def test_a_plan_of_a_file_that_was_replaced_is_made_anew(town, open_page, data_folder):
    """Row 26."""
    rng = np.random.default_rng(0)
    path = write_tif(data_folder / "a.tif", rng.integers(1, 255, (3, 80, 80)).astype("u1"))
    app = open_page("chips", view="cut")
    only(app.selectbox, "Cut from").set_value("files").run()
    only(app.multiselect, "Fetched images and files of the server's data folder").set_value(
        [str(path.resolve())]
    )
    only(app.selectbox, "Train and test").set_value("none")
    only(app.number_input, "Side (px)").set_value(16)
    assert "A chip is 160 m wide." in text(clean(app.run()))
    pixels = rng.integers(1, 255, (3, 80, 80)).astype("u1")
    write_tif(path, pixels, transform=from_origin(445_000, 4_635_000, 5, 5))
    assert "A chip is 80 m wide." in text(clean(app.run()))
