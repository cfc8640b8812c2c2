"""What is said of images: rows, outlines, estimates; nothing of a catalogue is taken for markup."""

import io

import numpy as np
import pytest
import shapely
from PIL import Image as Picture

from core import png
from core.connectors import drawing
from core.connectors.imagery import Estimate
from core.connectors.items import Found
from tests.core.raster_files import write_tif
from ui import imagery_words, quantities
from ui.imagery_words import (
    at_point,
    covered_share,
    estimate_lines,
    found_facts,
    found_table,
    image_label,
    outlines,
    outlines_legend,
    time_text,
    years_texts,
)


@pytest.fixture(autouse=True)
def english(monkeypatch):
    for module in (imagery_words, quantities):
        monkeypatch.setattr(module, "_", lambda text: text)


HOSTILE = "<img src=x onerror=alert(1)>"


def image(name="a", date="2021-08-15", box=(0, 0, 1, 1), **more):
    values = {
        "id": name, "collection": "naip", "asset": "image", "href": f"https://x.test/{date}.tif",
        "item_url": "", "date": date, "footprint": shapely.box(*box), "overlap": 0.5,
        "resolution_m": 0.6, "num_bytes": 400_000_000, "bands": ("Red", "NIR"), "itemsize": 1,
        "cloud": None, "thumbnail": "", **more,
    }  # fmt: skip
    return Found(**values)


FOUND = (
    image("new", "2021-08-15"),
    image("old", "2019-08-15", newer="new"),
    image("east", "2021-08-15", box=(1, 0, 2, 1)),
)


def kinds(**more):
    given = {"chosen": set(), "here": set(), "looked": "", **more}
    shapes = outlines(FOUND, **given)["features"]
    return [shape["properties"]["kind"] for shape in shapes]


def test_a_row_tells_date_overlap_pixel_size_licence_and_other_years():
    table = found_table(FOUND, licence="Public domain", here={FOUND[2].key}, pictures={})
    assert table["Date"].tolist() == ["2021-08-15", "2019-08-15", "2021-08-15"]
    assert table["Overlap"].tolist() == [50.0] * 3
    assert table["Pixel"].tolist() == [0.6] * 3
    assert table["Size"].tolist() == [400.0] * 3
    assert table["Other years"].tolist() == [
        "newest of 2", "older: the newest is of 2021-08-15", ""
    ]  # fmt: skip
    assert table["Here"].tolist() == ["", "", "✓"]
    assert set(table["Licence"]) == {"Public domain"}
    assert "Clouds" not in table


def test_what_a_catalogue_does_not_tell_is_empty_in_the_table_and_said_in_words():
    bare = image(resolution_m=None, num_bytes=None, bands=(), cloud=0.25)
    table = found_table([bare], licence="", here=set(), pictures={})
    assert table["Pixel"].tolist() == [None]
    assert table["Size"].tolist() == [None]
    assert table["Clouds"].tolist() == [25.0]
    facts = dict(fact.split("\t") for fact in found_facts(bare, [bare], "", "Loopback"))
    assert facts["Whole file"] == facts["Pixel"] == facts["Bands"] == facts["Licence"] == "not told"
    assert facts["Clouds"] == "25.0 %"
    assert "Other years" not in facts


def test_a_picture_in_the_table_is_held_by_its_address():
    picture = png.truecolour(np.zeros((2, 2, 3), np.uint8))
    table = found_table(FOUND, licence="", here=set(), pictures={FOUND[0].key: picture})
    assert table["Picture"][0].startswith("data:image/png;base64,iVBOR")
    assert table["Picture"].isna().tolist() == [False, True, True]


def test_outlines_are_drawn_from_the_least_to_the_most_important():
    assert kinds() == ["older", "found", "found"]
    assert kinds(chosen={FOUND[1].key}) == ["found", "found", "chosen"]
    assert kinds(chosen={FOUND[0].key}, here={FOUND[0].key}) == ["older", "found", "here"]
    assert kinds(looked=FOUND[1].key)[-2:] == ["halo", "looked"]
    assert kinds(looked="nobody") == ["older", "found", "found"]


def test_the_legend_names_what_is_on_the_map_and_no_more():
    legend = outlines_legend(FOUND[:1], has_chosen=False, has_here=False)
    assert "Older" not in legend
    assert "Chosen" not in legend
    whole = outlines_legend(FOUND, has_chosen=True, has_here=True)
    for text in ("Older image of a place", "Chosen, to be fetched", "Here already", "dotted"):
        assert text in whole


def test_a_click_takes_the_newest_image_and_then_the_older_ones_in_turn():
    first = at_point(FOUND, 0.5, 0.5)
    assert first.id == "new"
    second = at_point(FOUND, 0.5, 0.5, looked=first.key)
    assert second.id == "old"
    assert at_point(FOUND, 0.5, 0.5, looked=second.key) == first
    assert at_point(FOUND, 0.5, 1.5, looked=second.key).id == "east"
    assert at_point(FOUND, 5, 5) is None


@pytest.mark.parametrize(
    ("boxes", "share"),
    [
        ([], 0.0),
        ([(0, 0, 1, 1)], 0.5),
        ([(0, 0, 1, 1), (0, 0, 1, 1)], 0.5),
        ([(0, 0, 1, 1), (0.5, 0, 1.5, 1)], 0.75),
        ([(-9, -9, 9, 9)], 1.0),
    ],
    ids=["none", "half", "the same half twice", "an overlap counts once", "all and more"],
)
def test_the_share_that_images_cover_together(boxes, share):
    images = [image(str(number), box=box) for number, box in enumerate(boxes)]
    assert covered_share(images, shapely.box(0, 0, 2, 1)) == pytest.approx(share)


def estimate(**more):
    values = {
        "num": 3, "num_there": 1, "download_bytes": 412_000_000, "disk_bytes": 1_200_000_000,
        "free_bytes": 54_000_000_000, "seconds": 165.0, "mbit_s": 20.0, "is_rough": False, **more,
    }  # fmt: skip
    return Estimate(**values)


def test_an_estimate_says_bytes_time_and_disk_with_their_units():
    assert estimate_lines(estimate()) == [
        "3 to fetch, 1 here already",
        "Download: about 412 MB",
        "Time: about 3 min at 20 Mbit/s",
        "Disk: at most 1.2 GB of 54 GB free",
    ]
    assert "roughly" in estimate_lines(estimate(is_rough=True))[1]
    assert estimate_lines(estimate(num=0)) == ["All chosen images are here already."]
    full = estimate_lines(estimate(free_bytes=1_200_000_000))
    assert full[-1] == "There is not enough room on the disk: choose fewer."


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_times_are_human(seconds, text):
    assert time_text(seconds) == text


def test_a_hostile_name_stays_the_text_it_is():
    """Row 8: escaping is left to what shows it; nothing here builds markup from a name."""
    hostile = image(HOSTILE, newer=HOSTILE)
    table = found_table([hostile], licence=HOSTILE, here=set(), pictures={})
    assert table["Name"].tolist() == [HOSTILE]
    assert HOSTILE not in outlines_legend([hostile], has_chosen=True, has_here=True)
    assert image_label(hostile).endswith(HOSTILE)
    assert years_texts([hostile])[0] == "older: the newest is of 2021-08-15"


# --- a fetched image on the map -----------------------------------------------------------------


def picture_of(drawn):
    with Picture.open(io.BytesIO(drawn.picture)) as found:
        return np.array(found)


def test_a_fetched_image_is_drawn_in_its_colours_where_it_lies(tmp_path):
    values = np.zeros((4, 100, 100), np.uint8)
    values[:3] = np.array([200, 100, 50], np.uint8)[:, None, None]
    values[0, :50] = 10
    values[3] = 255
    path = write_tif(tmp_path / "q.tif", values, nodata=0)
    drawn = drawing.drawn(path, side_px=50)
    pixels = picture_of(drawn)
    assert max(pixels.shape[:2]) <= 60
    rows, columns = pixels.shape[:2]
    assert pixels[rows // 4, columns // 2].tolist() == [10, 100, 50, 255]
    assert pixels[3 * rows // 4, columns // 2].tolist() == [200, 100, 50, 255]
    west, south, east, north = drawn.bounds
    assert -87.67 < west < east < -87.64
    assert 41.85 < south < north < 41.88


def test_missing_pixels_are_transparent_and_other_numbers_are_stretched(tmp_path):
    values = np.tile(np.linspace(100, 4000, 80, dtype="float32"), (80, 1))
    values[:20] = np.nan
    drawn = picture_of(drawing.drawn(write_tif(tmp_path / "t.tif", values), side_px=80))
    rows, columns = drawn.shape[:2]
    assert drawn[rows // 8, columns // 2, 3] == 0
    line = drawn[3 * rows // 4, 3:-3, 0].astype(int)
    assert (np.diff(line) >= 0).all()
    assert (line[0], line[-1]) == (pytest.approx(0, abs=12), pytest.approx(255, abs=12))
