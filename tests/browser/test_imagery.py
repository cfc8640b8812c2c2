"""Imagery and layers from a catalogue on this machine: asked only when told to, by the server."""

import re
import threading
import time

import numpy as np
import pytest
import rasterio
from PIL import Image
from playwright.sync_api import expect

from core.connectors import kept, previews, shelf
from core.connectors.search import search
from core.connectors.signing import catalogue_of
from core.prepare import boundary_lonlat
from core.workspace import Workspace
from tests.browser.map_view import FRAME, frame_of, place_on_map
from tests.browser.screen import map_frame, visiting, wait_settled
from tests.browser.small_city import NORTH_M, WEST_M, copied_area, lonlat
from tests.browser.test_data import choose
from tests.browser.valley import open_tab
from tests.core.stac_server import noise, stac_server, write_cog

HOSTILE = "<img src=x onerror=alert(1)> *bold* `${alert(2)}`"
MARKED = "rgba(166, 181, 181, 0.25)"
"""Behind the page in the menu that one is on, or behind its section."""
NEW, OLD, EAST = "west-2021", "west-2018", "east-2021"
PIXELS = {name: noise(4, 750, 450, seed=n) for n, name in enumerate((NEW, OLD, EAST))}


@pytest.fixture(scope="module")
def cogs(tmp_path_factory):
    """Two images of the west and one of the east of the small city, of about 2 MB each."""
    folder = tmp_path_factory.mktemp("cogs")
    bounds = {}
    for name, pixels in PIXELS.items():
        west = WEST_M - 201 + (1000 if name == EAST else 0)
        bounds[name] = write_cog(
            folder / f"{name}.tif", pixels, west=west, north=NORTH_M + 201, pixel=3
        )
        Image.fromarray(np.full((90, 90, 3), (10, 120, 200), np.uint8)).save(folder / f"{name}.png")
    return folder, bounds


@pytest.fixture
def catalogue(cogs):
    """A STAC API on this machine with three images, a hostile name and three hostile links."""
    folder, bounds = cogs
    with stac_server(folder) as server:
        server.page = 50
        for name in PIXELS:
            thumb = {"href": f"{server.url}/files/{name}.png", "type": "image/png"}
            item = server.add(
                "naip", name, {"image": f"{name}.tif", "thumbnail": thumb}, bounds=bounds[name],
                date=f"{name[-4:]}-08-15", properties={"gsd": 3.0},
            )  # fmt: skip
            item["assets"]["image"]["file:size"] = (folder / f"{name}.tif").stat().st_size
        for name, href in (
            (HOSTILE, f"{server.url}/files/nobody.tif"),
            ("../../etc/passwd", "file:///etc/passwd"),
            ("inside", "http://169.254.169.254/latest/x.tif"),
            ("gdal", "/vsicurl/http://127.0.0.1/x.tif"),
        ):
            asset = {"image": {"href": href, "type": "image/tiff; application=geotiff"}}
            server.add("naip", name, asset, bounds=bounds[EAST], date="2016-08-15")["links"] = []
        yield server


@pytest.fixture
def area(small_city, server, request):
    """A copy of the small city for one test to change."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    return copied_area(server.workspace, name)


@pytest.fixture
def space(server):
    return Workspace(server.workspace)


def switch_on(page):
    page.get_by_text("Allow requests to the internet").last.click()
    wait_settled(page)


def search_button(page):
    """Return the button of the form; a table has one of that name too."""
    return page.get_by_test_id("stSidebar").get_by_role("button", name="Search", exact=True)


def ask(page, url):
    """Choose another catalogue and press Search."""
    choose(page, "Catalogue", "Another STAC API")
    page.get_by_role("textbox", name="Address of a STAC API").fill(url)
    search_button(page).click()


def searched(space, area, catalogue):
    """Keep an answer of the catalogue, as a search that was made earlier."""
    known = catalogue_of(catalogue.url)
    results = search(boundary_lonlat(space, area), catalogue=known, outside=True)
    catalogue.asked.clear()
    return kept.keep(space, area, kept.Query(catalogue=catalogue.url), results)


def tick(page, row):
    """Tick a row of the table of what was found, counted from 0."""
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.click(position={"x": 16, "y": 36 + 44 * row + 22})
    wait_settled(page)


def closed_gate(catalogue, name):
    """Hold back an image until the event that is returned is set."""
    gate = catalogue.gates[f"{name}.tif"] = threading.Event()
    return gate


def sentence(page, text):
    """Return the messages that hold a text."""
    return page.get_by_test_id("stAlert").filter(has_text=text)


def test_nothing_is_asked_before_the_switch_is_on_and_search_is_pressed(visit, area, catalogue):
    page = visit.open("imagery", area=area)
    button = search_button(page)
    expect(button).to_be_disabled()
    expect(page.get_by_text("nothing is fetched before you choose")).to_be_visible()
    switch_on(page)
    expect(button).to_be_enabled()
    choose(page, "Catalogue", "Another STAC API")
    page.get_by_role("textbox", name="Address of a STAC API").fill(catalogue.url)
    page.get_by_role("textbox", name="Collection").click()
    wait_settled(page)
    assert catalogue.asked == []
    button.click()
    expect(page.get_by_text("Images found: 4.")).to_be_visible()
    wait_settled(page)
    assert [one.path for one in catalogue.asked if one.path.endswith(".tif")] == []
    assert len([one for one in catalogue.asked if one.path.endswith(".png")]) == 3


def test_the_images_are_chosen_looked_at_and_drawn_where_they_lie(visit, area, catalogue, space):
    """The browser asks nobody but the app: the visit fails otherwise."""
    searched(space, area, catalogue)
    known = catalogue_of(catalogue.url)
    found = search(boundary_lonlat(space, area), catalogue=known, outside=True).found
    previews.fetch_previews(space, area, found, catalogue=known, outside=True)
    page = visit.open("imagery", area=area)
    switch_on(page)
    the_map = frame_of(page, has_tiles=False)
    expect(the_map.locator(".leaflet-outline-pane path")).to_have_count(5)  # and the boundary
    expect(page.get_by_role("button", name="Fetch the chosen (2)")).to_be_enabled()  # the suggested
    expect(page.get_by_test_id("stMetric").filter(has_text="covered")).to_contain_text("100 %")
    x, y = place_on_map(page, *lonlat(0.2, 0.5), has_tiles=False)
    for wanted, nudge in ((NEW, 0), (OLD, 3)):
        the_map.locator(".leaflet-container").click(position={"x": x + nudge, "y": y})
        expect(page.get_by_role("listitem").filter(has_text=f"Name: {wanted}")).to_be_visible()
        wait_settled(page)
    older = page.get_by_role("listitem").filter(has_text="older: the newest is of 2021-08-15")
    expect(older).to_be_visible()
    picture = page.get_by_test_id("stImage").locator("img")
    assert picture.evaluate("img => img.naturalWidth") == 90
    assert picture.get_attribute("src").startswith(("/media/", f"{visit.base_url}/media/"))
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.get_by_text("Choose images in the table.")).to_be_visible()
    wait_settled(page)
    tick(page, 1)
    expect(page.get_by_role("button", name="Fetch the chosen (1)")).to_be_visible()


def test_a_fetch_outlives_a_reload_and_what_failed_is_tried_again_alone(
    visit, area, catalogue, space
):
    searched(space, area, catalogue)
    page = visit.open("imagery", area=area)
    catalogue.faults[f"{EAST}.tif"] = ["denied", 1_000_000]
    gate = closed_gate(catalogue, NEW)
    switch_on(page)
    page.get_by_role("button", name="Fetch the chosen (2)").click()
    progress = page.get_by_text(re.compile("Fetching images.*MB received"))
    expect(progress).to_be_visible()
    page.reload()
    wait_settled(page)
    expect(progress).to_be_visible()
    gate.set()
    expect(page.get_by_text("Fetched and here: 1. Not fetched: 1.")).to_be_visible()
    wait_settled(page)
    expect(sentence(page, "Could not be fetched: 1.")).to_be_visible()
    (failure,) = shelf.failures(space, area)
    assert "status 403" in failure.message()
    again = page.get_by_role("button", name="Try the failed ones again")
    expect(again).to_be_disabled()  # a reload is a new session: its switch is off
    switch_on(page)
    catalogue.faults.clear()
    catalogue.asked.clear()
    again.click()
    expect(page.get_by_role("tab", name="Here (2)")).to_be_visible()
    wait_settled(page)
    expect(sentence(page, "Could not be fetched")).to_have_count(0)
    assert {one.path for one in catalogue.files()} == {f"/files/{EAST}.tif"}
    open_tab(page, "Here (2)")
    expect(page.get_by_text("areas/").last).to_contain_text("imagery/naip/*.tif")
    images = {image.title: image for image in shelf.fetched(space, area)}
    assert images.keys() == {NEW, EAST}
    with rasterio.open(images[NEW].path) as dataset:
        assert dataset.transform.c == WEST_M
        assert np.array_equal(dataset.read()[:, 0, :9], PIXELS[NEW][:, 67, 67:76])


def test_a_fetched_image_is_drawn_on_the_map_becomes_a_layer_and_is_deleted(
    visit, area, catalogue, space
):
    searched(space, area, catalogue)
    page = visit.open("imagery", area=area)
    switch_on(page)
    page.get_by_role("button", name="Fetch the chosen (2)").click()
    expect(page.get_by_text("Fetched and here: 2.")).to_be_visible()
    wait_settled(page)
    drawn = map_frame(page, has_tiles=False).locator("img.leaflet-image-layer")
    assert drawn.evaluate("img => img.naturalWidth") > 100
    open_tab(page, "Here (2)")
    page.get_by_role("button", name="Make a layer of a band").click()
    page.get_by_role("textbox", name="Name").fill("Near infrared")
    page.get_by_role("button", name="Make the layer").click()
    expect(page.get_by_text("Near infrared is on the map.")).to_be_visible()
    wait_settled(page)
    (layer,) = (layer for layer in space.area(area).layers if layer.title == "Near infrared")
    assert layer.source["licence"].startswith("Public domain")
    assert layer.source["band"] == 4
    open_tab(page, "Here (2)")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Yes, delete this image").click()
    expect(page.get_by_role("tab", name="Here (1)")).to_be_visible()
    assert len(shelf.fetched(space, area)) == 1


def test_a_cancelled_fetch_keeps_what_has_come_and_goes_on_from_there(
    visit, area, catalogue, space
):
    searched(space, area, catalogue)
    page = visit.open("imagery", area=area)
    # The east covers more of the city, so it comes first.
    gate = closed_gate(catalogue, NEW)
    switch_on(page)
    page.get_by_role("button", name="Fetch the chosen (2)").click()
    expect(page.get_by_text("Image 2 of 2")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("What has come is kept and is not fetched again.")).to_be_visible()
    assert [image.title for image in shelf.fetched(space, area)] == [EAST]
    gate.set()
    catalogue.asked.clear()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Fetched and here: 2.")).to_be_visible()
    assert {one.path for one in catalogue.files()} == {f"/files/{NEW}.tif"}


def test_row_8_hostile_names_are_text_and_hostile_links_refused(visit, area, catalogue, space):
    """Rows 2 and 8: nothing of a catalogue runs or is followed."""
    searched(space, area, catalogue)
    page = visit.open("imagery", area=area)
    page.get_by_text("Entries of the catalogue that were passed over: 3").click()
    refused = page.get_by_test_id("stExpander").filter(has_text="Entries of the catalogue")
    for name in ("../../etc/passwd", "inside", "gdal"):
        expect(refused.get_by_text(name)).to_be_visible()
    choose(page, "Image to look at", "onerror")
    expect(page.get_by_role("listitem").filter(has_text=HOSTILE)).to_be_visible()
    expect(page.get_by_text("There is no small picture of it here.")).to_be_visible()
    wait_settled(page)
    assert visit.dialogs == []
    assert page.locator("img[src=x]").count() == 0


def test_a_link_shows_the_same_search_and_image_without_asking_anybody(
    visit, browser, area, catalogue, space
):
    search_id = searched(space, area, catalogue)
    page = visit.open("imagery", area=area)
    choose(page, "Image to look at", OLD)
    expect(page.get_by_role("listitem").filter(has_text=f"Name: {OLD}")).to_be_visible()
    wait_settled(page)
    assert f"search={search_id}" in page.url
    with visiting(browser, visit.base_url) as other:
        other.page.goto(page.url)
        wait_settled(other.page)
        expect(other.page.get_by_role("listitem").filter(has_text=f"Name: {OLD}")).to_be_visible()
        expect(other.page.get_by_text("Allow requests to the internet")).to_be_visible()
        expect(other.page.get_by_role("button", name="Fetch the chosen (2)")).to_be_disabled()
    assert catalogue.asked == []


def test_without_internet_both_screens_say_so_and_offer_what_works(visit, area):
    page = visit.open("imagery", area=area)
    switch_on(page)
    begun = time.monotonic()
    ask(page, "http://127.0.0.1:9")
    expect(sentence(page, "127.0.0.1:9 does not answer")).to_be_visible()
    assert time.monotonic() - begun < 30  # the machine may be busy
    expect(page.get_by_text("What works without the internet:")).to_be_visible()
    expect(page.get_by_text("copy the folder of the study area here")).to_be_visible()
    expect(page.get_by_text("were searched for yet")).to_be_hidden()
    page.get_by_role("button", name="Cut chips on the Chips page").click()
    wait_settled(page)
    expect(page.get_by_role("button", name="Training data")).to_have_css("background-color", MARKED)
    networks = page.get_by_role("button", name="Networks")
    expect(networks).not_to_have_css("background-color", MARKED)
    page.get_by_role("link", name="Data").click()
    wait_settled(page)
    section = page.get_by_role("button", name="Training data")
    expect(section).not_to_have_css("background-color", MARKED)
    open_tab(page, "Fetch layers")
    expect(page.get_by_text("What works without the internet:")).to_be_hidden()  # not asked here
    page.get_by_text("Years, catalogue, speed").click()
    box = page.get_by_role("textbox", name="Address of a STAC API")
    box.fill("http://127.0.0.1:9")
    box.press("Enter")
    wait_settled(page)
    page.get_by_role("button", name="Fetch the chosen layers").click()
    expect(page.get_by_text("What works without the internet:")).to_be_visible()
    expect(page.get_by_role("button", name="Bring in a file")).to_be_visible()


def test_an_address_that_may_not_be_asked_is_one_sentence(visit, area):
    page = visit.open("imagery", area=area)
    switch_on(page)
    ask(page, "file:///etc/passwd")
    expect(sentence(page, "is no plain http or https address")).to_be_visible()
    page.get_by_role("textbox", name="Address of a STAC API").fill("http://169.254.169.254/stac")
    search_button(page).click()
    expect(sentence(page, "never asked")).to_be_visible()


@pytest.mark.every_screen
def test_the_screens_fit_their_window_and_speak_their_language(
    visit, small_city, catalogue, space, size, language
):
    searched(space, small_city.area, catalogue)
    page = visit.open("imagery", language=language, area=small_city.area, image=f"{OLD}.image")
    expect(page.get_by_role("listitem").filter(has_text=OLD)).to_be_visible()
    box = page.locator(FRAME).bounding_box()
    assert box["y"] + box["height"] <= size[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def put(server, collection, name, asset, values, *, date):
    """Put one raster of 20 m around the small city into the catalogue."""
    path = server.folder / f"{name}.tif"
    bounds = write_cog(path, values[None], west=WEST_M - 400, north=NORTH_M + 400, pixel=20)
    server.add(collection, name, {asset: path.name}, bounds=bounds, date=date)


def test_layers_are_fetched_and_the_missed_one_is_tried_again_alone(visit, area, catalogue, space):
    row, column = np.mgrid[:140, :140]
    cover = np.choose((row // 9 + column // 9) % 3, [2, 7, 11]).astype("uint8")
    put(catalogue, "io-lulc-annual-v02", "cover-2022", "data", cover, date="2022-01-01")
    put(catalogue, "cop-dem-glo-30", "dem-n41", "data", (row / 7).astype("float32"),
        date="2021-04-22")  # fmt: skip
    catalogue.faults["dem-n41.tif"] = ["denied", 1_000_000]
    page = visit.open("data", area=area)
    open_tab(page, "Fetch layers")
    expect(page.get_by_text("CC BY 4.0").first).to_be_visible()
    expect(page.get_by_role("button", name="Fetch the chosen layers (6)")).to_be_disabled()
    switch_on(page)
    page.get_by_text("Years, catalogue, speed").click()
    address = page.get_by_role("textbox", name="Address of a STAC API")
    address.fill(catalogue.url)
    address.press("Enter")
    wait_settled(page)
    for name in ("Surface temperature in summer", "Surface temperature in winter", "Night lights",
                 "Height of buildings, 100 m"):  # fmt: skip
        page.get_by_test_id("stCheckbox").filter(has_text=name).first.click()
        wait_settled(page)
    assert catalogue.asked == []
    page.get_by_role("button", name="Fetch the chosen layers (2)").click()
    expect(page.get_by_text("Layers made and on the map: 1. Not made: 1")).to_be_visible()
    wait_settled(page)
    expect(sentence(page, "could not be made: 1")).to_be_visible()  # the tab is still open
    expect(page.get_by_role("listitem").filter(has_text="status 403")).to_be_visible()
    catalogue.faults.clear()
    catalogue.asked.clear()
    page.get_by_role("button", name="Try the missed ones again").click()
    expect(page.get_by_text("✓ is there already")).to_have_count(2)
    wait_settled(page)
    assert {one.path for one in catalogue.files()} == {"/files/dem-n41.tif"}
    made = {layer.id: layer for layer in space.area(area).layers}
    # The city's own land cover stays.
    assert {"landcover", "landcover-fetched", "dem"} <= made.keys()
    assert made["dem"].source["provider"] == "ESA, Airbus"
    expect(sentence(page, "could not be made")).to_have_count(0)
