"""Chips in the browser: cut, reloaded meanwhile, looked through, found on the map, in and out."""

import io
import os
import re
import zipfile
from contextlib import ExitStack, contextmanager

import filelock
import geopandas as gpd
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from shapely import box

from core.chips.imports import import_set
from core.chips.options import CutOptions
from core.chips.places import chip_of
from core.chips.requests import Request, run
from core.chips.sets import ChipSets
from core.workspace import Workspace
from tests.browser.map_view import FRAME
from tests.browser.screen import map_frame, pixels_of, wait_settled
from tests.browser.valley import downloaded

AREA, SET = "simulated-corner", "corner-32"
WEST_M, SOUTH_M, SIDE_M = 447_000.0, 4_634_000.0, 700.0
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def corner(server):
    """A corner of the simulated city in the server's workspace, and a set of 90 chips of it."""
    space = Workspace(server.workspace)
    frame = gpd.GeoDataFrame(
        geometry=[box(WEST_M, SOUTH_M, WEST_M + SIDE_M, SOUTH_M + SIDE_M)], crs=32616
    )
    space.create(
        AREA, title="Corner", boundary=frame, boundary_source={"seed": 0}, is_simulated=True
    )
    options = CutOptions(size_px=32, count=90)
    run(space, Request(out=SET, area=AREA, simulated=0, options=options))
    yield ChipSets(space.root).open(SET)
    space.delete(AREA)
    for name in ChipSets(space.root).ids():
        ChipSets(space.root).delete(name)


def chips_of(page: Page):
    """Return the buttons that show chips."""
    return page.locator("button[aria-pressed][title]")


def loaded(page: Page, url: str) -> np.ndarray:
    """Return a picture that the page shows, asked for as the browser does."""
    body = page.evaluate(
        "async url => [...new Uint8Array(await (await fetch(url)).arrayBuffer())]", url
    )
    return pixels_of(bytes(body))


def sheet_of(page: Page) -> str:
    """Return the address of the first chip's sheet."""
    style = chips_of(page).first.evaluate("chip => chip.style.backgroundImage")
    return re.search(r'url\("(.*)"\)', style)[1]


def frame_of_map(page: Page):
    """Return the map's frame; there may be no tile on it."""
    map_frame(page, has_tiles=False)
    return (
        page.locator("iframe[title='streamlit_folium.st_folium']").element_handle().content_frame()
    )


def show(page: Page, name: str) -> None:
    """Turn to another view of the page."""
    group = page.locator("[data-testid=stMain] [data-testid=stButtonGroup]").first
    group.get_by_text(name, exact=True).click()
    wait_settled(page)


@pytest.mark.every_screen
def test_the_gallery_shows_its_chips_and_nothing_overflows(visit, corner, size, language):
    page = visit.open("chips", area=AREA, set=SET, language=language)
    expect(chips_of(page)).to_have_count(60)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    text = page.inner_text("[data-testid=stMain]")
    assert bool(re.search("[\u4e00-\u9fff]", text)) is (language == "zh_CN")
    sheet = loaded(page, sheet_of(page))
    first = np.moveaxis(corner.read([0])[0, :3], 0, -1)
    np.testing.assert_array_equal(sheet[:32, :32], first)
    legend, scale = frame_of_map(page).evaluate(
        "() => ['.ups-legend', '.leaflet-control-scale'].map(name => {"
        " const box = document.querySelector(name).getBoundingClientRect();"
        " return [box.left, box.top, box.right, box.bottom]; })"
    )
    is_narrow = size[0] < 1000  # the legend may take the whole width
    assert legend[3] <= scale[1] if is_narrow else legend[0] >= scale[2]


@contextmanager
def working_held_up(workspace):
    """Let every job of the server wait for its turn."""
    folder = workspace / "jobs" / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for number in range(os.cpu_count() or 1):
            held.enter_context(filelock.FileLock(folder / f"{number}.lock", timeout=30))
        yield


def test_a_set_is_cut_as_a_job_that_survives_a_reload(visit, server, corner):
    page = visit.open("chips", area=AREA, view="cut")
    page.get_by_label("Number", exact=True).fill("150")
    page.get_by_label("Number", exact=True).press("Enter")
    expect(page.get_by_text("All 150 chips fit.")).to_be_visible()
    name = page.get_by_role("textbox", name="Name of the set").input_value()
    with working_held_up(server.workspace):  # so that it cannot be done before the page is back
        page.get_by_role("button", name="Cut the set").click()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        page.reload()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_text("All 150 chips", exact=False).first).to_be_visible()
    expect(chips_of(page)).to_have_count(60)
    wait_settled(page)
    assert f"set={name}" in page.url
    assert ChipSets(server.workspace).info(name).splits["test"] == 30


def test_a_cut_can_be_cancelled_and_leaves_nothing(visit, server, corner):
    page = visit.open("chips", area=AREA, view="cut")
    page.get_by_label("Number", exact=True).fill("4000")
    page.get_by_label("Number", exact=True).press("Enter")
    wait_settled(page)
    page.get_by_role("textbox", name="Name of the set").fill("never")
    page.get_by_role("textbox", name="Name of the set").press("Enter")
    wait_settled(page)
    page.get_by_role("button", name="Cut the set").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("cancelled. Nothing half-done was kept.")).to_be_visible()
    assert "never" not in ChipSets(server.workspace).ids()


def test_a_chip_tells_what_is_known_of_it_and_its_link_restores_it(visit, corner):
    page = visit.open("chips", area=AREA, set=SET)
    frame_of_map(page)
    before = page.locator(FRAME).bounding_box()
    chips_of(page).nth(7).click()
    expect(page.get_by_text("Chip 7", exact=True)).to_be_visible()
    wait_settled(page)
    assert page.locator(FRAME).bounding_box() == before  # the map stays where it was
    assert "chip=7" in page.url
    page.goto(page.url)
    expect(page.get_by_text("Chip 7", exact=True)).to_be_visible()
    expect(chips_of(page).nth(7)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Go there on the map").click()
    wait_settled(page)
    centre = frame_of_map(page).evaluate("() => [map.getCenter().lng, map.getCenter().lat]")
    here = corner.table.geometry.iloc[[7]].to_crs(4326).iloc[0]
    assert here.contains(gpd.points_from_xy([centre[0]], [centre[1]])[0])


def test_filters_and_channels_of_a_link_are_those_that_are_shown(visit, corner):
    page = visit.open("chips", area=AREA, set=SET, split="test", bands="infrared")
    tests = corner.indices("test").tolist()
    expect(page.get_by_text(f"{len(tests)} of 90 chips")).to_be_visible()
    titles = [chip.get_attribute("title") for chip in chips_of(page).all()]
    assert all(" · Test · " in title for title in titles)
    assert [int(title.split(" · ")[0]) for title in titles] == tests
    first = np.moveaxis(corner.read(tests[:1])[0, [3, 0, 1]], 0, -1)
    np.testing.assert_array_equal(loaded(page, sheet_of(page))[:32, :32], first)


def test_any_place_on_the_map_is_shown_as_a_chip(visit, server, corner):
    page = visit.open("chips", area=AREA, set=SET)
    here = gpd.GeoSeries.from_xy([WEST_M + 300], [SOUTH_M + 400], crs=32616).to_crs(4326).iloc[0]
    frame = frame_of_map(page)
    x, y = frame.evaluate(
        "([lat, lon]) => { const p = map.latLngToContainerPoint([lat, lon]); return [p.x, p.y]; }",
        [here.y, here.x],
    )
    frame.locator(".leaflet-container").click(position={"x": x, "y": y})
    expect(page.get_by_text("This place as a chip")).to_be_visible()
    wait_settled(page)
    lat, lon = map(float, re.search(r"place=([-\d.]+)%2C([-\d.]+)", page.url).groups())
    found = chip_of(Workspace(server.workspace), corner.info, lat=lat, lon=lon)
    url = page.locator("img[src^='data:image/png']").get_attribute("src")
    np.testing.assert_array_equal(loaded(page, url), np.moveaxis(found.pixels[:3], 0, -1))


def test_scales_and_statistics_are_drawn(visit, corner):
    page = visit.open("chips", area=AREA, set=SET, view="scales")
    expect(chips_of(page)).to_have_count(4 * 8)
    expect(page.get_by_text("16 px · 2 m a pixel")).to_be_visible()
    show(page, "Statistics and warnings")
    page.get_by_role("button", name="Look for blur").click()
    expect(page.get_by_text("About 1 s.")).to_be_hidden()
    shown = page.locator(".js-plotly-plot:visible .gtitle")
    expect(shown.first).to_be_visible()
    titles = [text.strip() for text in shown.all_text_contents()]
    assert titles == ["Are train and test alike?", "What lies under the chips"]


def test_images_are_written_and_downloaded_as_one_zip(visit, corner):
    page = visit.open("chips", area=AREA, set=SET, view="export")
    page.locator("[data-testid=stMain]").get_by_text("JPEG", exact=True).click()
    expect(page.get_by_text("Distances between sets of images")).to_be_visible()
    page.get_by_role("button", name="Write the images").click()
    expect(page.get_by_role("button", name="Download")).to_be_visible()
    wait_settled(page)
    name, body = downloaded(page, "Download")
    assert name.startswith(f"{SET}-")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        images = [each for each in archive.namelist() if each.endswith(".jpg")]
        assert len(images) == 90
        assert len([each for each in images if each.startswith("test/")]) == 18


def test_a_zip_of_images_is_taken_in_with_its_classes(visit, server, corner, tmp_path):
    path = tmp_path / "fields.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label, shade in (("Forest", 40), ("Crops", 200)):
            for number in range(3):
                stream = io.BytesIO()
                Image.new("RGB", (20, 20), (shade, shade + number, 0)).save(stream, "PNG")
                archive.writestr(f"{label}/{number}.png", stream.getvalue())
    page = visit.open("chips", area=AREA, view="import")
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_role("button", name="Take the images in").click()
    expect(page.get_by_text("All 6 chips")).to_be_visible()
    wait_settled(page)
    expect(chips_of(page)).to_have_count(6)
    assert "set=fields" in page.url
    titles = [chip.get_attribute("title") for chip in chips_of(page).all()]
    assert [title.split(" · ")[-1] for title in titles] == ["Crops"] * 3 + ["Forest"] * 3
    assert not page.locator(FRAME).count()


def test_hostile_names_of_classes_are_shown_as_text(visit, server, corner, tmp_path):
    folder = tmp_path / "images"
    for label in (HOSTILE, "*b* `${alert(2)}`"):
        (folder / label).mkdir(parents=True)
        Image.new("RGB", (16, 16), (9, 99, 9)).save(folder / label / "a.png")
    import_set(Workspace(server.workspace), "hostile", folder)
    page = visit.open("chips", area=AREA, set="hostile")
    expect(chips_of(page)).to_have_count(2)
    chips_of(page).nth(1).click()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    for view in ("Scales", "Statistics and warnings", "Sets", "Export"):
        show(page, view)
    assert not visit.dialogs


def test_another_language_keeps_what_was_chosen_in_a_form(visit, corner):
    page = visit.open("chips", area=AREA, view="cut")
    page.get_by_role("combobox", name="Cut from").click()
    page.get_by_role("option", name="Raster files").click()
    wait_settled(page)
    page.get_by_role("combobox", name="Language").click()
    page.get_by_role("option", name="中文").click()
    box = page.get_by_role("combobox", name="切取自")
    expect(box).to_have_value("栅格文件")
    page.get_by_role("textbox", name="集的名称").fill("neu")  # a next run of the page
    page.get_by_role("textbox", name="集的名称").press("Enter")
    wait_settled(page)
    expect(box).to_have_value("栅格文件")
