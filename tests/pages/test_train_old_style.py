"""Train, Old work: what StyleGAN.pytorch left behind."""

import base64
import io
import json
import re

import numpy as np
from PIL import Image

from models import history
from tests.models.test_old_runs import LOG
from tests.pages.said import button, clean, only, tables, text


def charts(app):
    return [
        json.loads(one.proto.spec)["layout"]["title"]["text"] for one in app.get("plotly_chart")
    ]


def test_a_pasted_log_becomes_curves_and_a_table_by_depth(space, open_page):
    app = open_page("train", see="old")
    only(app.text_input, "Its name").set_value("MapGAN")
    only(app.text_area, "Paste the table").set_value(LOG)
    clean(button(clean(app.run()), "Read the table").click().run())
    assert "Losses of the log of MapGAN" in charts(app)
    (rows,) = tables(app)
    assert [row[:4] for row in rows] == [["0", "4", "2", "1"], ["2", "16", "1", "1"]]
    clean(button(app, "Delete this table").click().run())
    assert history.old_runs(space.root) == []
    assert not charts(app)


def test_a_log_stands_not_among_the_tables_to_compare(space, open_page):
    """It tells neither epochs through all depths nor smoothed losses."""
    history.keep(space.root, "MapGAN", LOG)
    history.keep(space.root, "NAIP", "0\t-0.01\t0.02\t-0.03\t00:17\n")
    (found,) = open_page("train", see="compare").multiselect
    assert len(found.options) == 1
    assert "NAIP" in found.options[0]


def test_a_folder_of_samples_is_shown_by_depth_and_epoch(space, data_folder, open_page):
    samples = data_folder / "mapgan" / "samples"
    samples.mkdir(parents=True)
    for depth, epoch in ((0, 1), (0, 2), (1, 1)):
        image = np.full((13, 13, 3), 40 * depth + epoch, np.uint8)
        Image.fromarray(image).save(samples / f"gen_{depth}_{epoch}_8.png")
    (samples / "gen_1_2_8.png").write_bytes(b"boom")
    (data_folder / "mapgan" / "run.log").write_text(LOG)
    app = open_page("train", see="old")
    only(app.selectbox, "A folder of the server's data folder").set_value("mapgan")
    clean(app.run())
    body = next(one.proto.body for one in app.get("html") if "ups-pictures" in one.proto.body)
    found = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one))))[0, 0, 0]
             for one in re.findall(r"data:image/png;base64,([^\"]+)", body)]  # fmt: skip
    assert found == [1, 2, 41]
    assert "8 px · epochs: 2" in body
    assert "Sheets of samples: 4. Files of weights: 0. Lines of the log: 3." in text(app)
    assert "This sheet cannot be read." in text(app)  # the last one
    assert "Losses of the log of mapgan" in charts(app)


def test_without_such_folders_it_says_what_would_be_one(space, open_page):
    app = open_page("train", see="old")
    assert only(app.selectbox, "A folder of the server's data folder").disabled
