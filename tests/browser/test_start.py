"""Start in a real browser: areas as cards, making one in three ways, the default area's job."""

import re

import pytest
from playwright.sync_api import expect

from core import jobs
from core.default_area import DEFAULT_AREA
from core.workspace import Workspace
from tests.browser.map_view import frame_of, look_at
from tests.browser.screen import (
    MENU_LINKS,
    decoded_tiles,
    painted_share,
    visiting,
    wait_settled,
)
from tests.browser.server import running_server
from tests.browser.sessions import open_at_once
from tests.browser.small_city import (
    TITLE,
    boundary_geojson,
    copied_area,
    lonlat,
    make_small_city,
)

UPLOAD = "[data-testid=stFileUploaderDropzoneInput]"


@pytest.fixture
def space(server, small_city):
    """The server's workspace; areas that a test leaves in it are deleted."""
    found = Workspace(server.workspace)
    before = set(found.area_ids())
    yield found
    for area_id in set(found.area_ids()) - before:
        found.delete(area_id)


def card(page, title):
    """Return the card of an area."""
    cards = page.locator("[data-testid=stVerticalBlock]").filter(has=page.locator(".ups-card"))
    return cards.filter(has_text=title).last


def create(page, name):
    page.get_by_role("textbox", name="Name of the study area").fill(name)
    page.get_by_role("button", name="Create the study area").click()
    expect(page.get_by_text("has no layers yet")).to_be_visible()
    wait_settled(page)


@pytest.mark.every_screen
def test_an_area_is_a_card_with_its_picture(visit, small_city, size, language):
    page = visit.open(language=language)
    picture = page.locator(f".ups-card img[alt='{TITLE}']")
    expect(picture).to_be_visible()
    page.wait_for_function(
        "alt => document.querySelector(`.ups-card img[alt='${alt}']`).naturalWidth > 0", arg=TITLE
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_open_leads_to_the_areas_map(visit, space):
    area = copied_area(space.root, "opened")
    page = visit.open()
    card(page, area).get_by_role("button", name="Open").click()
    expect(page.get_by_role("combobox", name="Study area")).to_have_value(area)
    wait_settled(page)
    assert painted_share(page) > 0.1
    assert f"area={area}" in page.url


def test_an_area_is_made_from_an_uploaded_file(visit, space):
    page = visit.open()
    page.locator(UPLOAD).first.set_input_files(
        {"name": "<b>edge.geojson", "mimeType": "application/json", "buffer": boundary_geojson()}
    )
    create(page, "<img src=x onerror=alert(1)>")
    area = next(area for area in space.areas() if area.title.startswith("<img"))
    assert area.crs == "EPSG:32616"
    west, south, east, north = area.bounds_lonlat
    assert (west, north) == pytest.approx(lonlat(0, 0), abs=5e-4)
    assert (east, south) == pytest.approx(lonlat(1, 1), abs=5e-4)
    page = visit.open()
    expect(page.get_by_text(area.title, exact=True).first).to_be_visible()  # row 8: as text
    assert visit.dialogs == []


def test_an_area_is_made_from_named_zones(visit, space):
    page = visit.open()
    page.get_by_text("From named zones").click()
    wait_settled(page)
    box = page.get_by_role("combobox", name="Zones", exact=True)
    box.click()
    box.press_sequentially("Loop", delay=50)
    page.get_by_role("option", name="Loop", exact=True).click()
    box.press("Escape")  # typed at once, while the page takes the choice in: the name stays
    create(page, "The Loop")
    assert space.area("the-loop").boundary_source


def test_an_area_is_made_from_the_maps_view(visit, space):
    page = visit.open(area="small-city")
    page.get_by_text("From the map's view").click()
    wait_settled(page)
    lon, lat = lonlat(0.5, 0.5)
    look_at(page, lat, lon, 15)
    west, south, east, north = frame_of(page).evaluate(
        "() => { const b = window.map.getBounds();"
        " return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]; }"
    )
    page.wait_for_timeout(700)  # the component tells the view half a second after it rests
    wait_settled(page)
    create(page, "Seen")
    found = space.area("seen").bounds_lonlat
    assert found == pytest.approx((west, south, east, north), abs=(east - west) / 50)


def test_rename_and_delete_ask_and_do(visit, space):
    area = copied_area(space.root, "mine")
    page = visit.open()
    card(page, "mine").get_by_role("button", name="⋯").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("Yours")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("Yours", exact=True).first).to_be_visible()
    wait_settled(page)
    assert space.area(area).title == "Yours"
    delete = page.get_by_role("button", name="Delete", exact=True)
    if not delete.is_visible():
        card(page, "Yours").get_by_role("button", name="⋯").click()
    expect(delete).to_be_disabled()
    page.get_by_text("Yes, delete Yours with all its layers").click()
    expect(delete).to_be_enabled()
    delete.click()
    expect(page.get_by_text("Yours was deleted")).to_be_visible()
    assert area not in space.area_ids()


def test_a_broken_area_says_why_and_the_others_open(visit, space):
    folder = space.root / "areas" / "broken"
    folder.mkdir()
    (folder / "area.json").write_text("{")
    page = visit.open()
    expect(page.locator("[data-testid=stAlert]").filter(has_text="broken")).to_be_visible()
    card(page, TITLE).get_by_role("button", name="Open").click()
    expect(page.get_by_role("combobox", name="Study area")).to_be_visible()
    wait_settled(page)
    assert decoded_tiles(page)


def test_a_deep_link_is_a_fresh_servers_first_visit_below_a_base_path(browser, tmp_path):
    with running_server(tmp_path, base_path="/studio") as server:
        city = make_small_city(tmp_path / "city", server.workspace)
        with visiting(browser, server.url) as visit:
            page = visit.open("data", area=city.area, layers=city.cover)
            expect(page.locator(MENU_LINKS).get_by_text("Data", exact=True)).to_be_visible()
            tiles = decoded_tiles(page)
            assert tiles
            assert all(url.startswith(f"{server.url}/tiles/") for url in tiles)
            assert painted_share(page) > 0.1
            page.locator(MENU_LINKS).get_by_text("Start", exact=True).click()
            expect(page.locator(f".ups-card img[alt='{TITLE}']")).to_be_visible()
            wait_settled(page)
            assert page.url.startswith(server.url)
        assert not server.watch.outward()


def test_the_default_areas_job_is_seen_by_every_browser_and_can_be_cancelled(browser, tmp_path):
    with running_server(tmp_path, default_area="on") as server:
        title = "Drawing Chicago (simulated)"
        with visiting(browser, server.url) as first, visiting(browser, server.url) as second:
            for one in (first, second):
                one.page.goto(f"{server.url}/?lang=en")
                panel = one.page.locator("[data-testid=stProgress]").filter(has_text=title)
                expect(panel).to_be_visible()
            first.page.get_by_role("button", name="Cancel").click()
            for one in (first, second):
                expect(one.page.get_by_text(f"{title}: cancelled.")).to_be_visible()
                wait_settled(one.page)
            (job,) = jobs.jobs(server.workspace / "jobs")
            assert job.state == "cancelled"
            expect(first.page.get_by_role("button", name="Try again")).to_be_visible()
            for one in (first, second):  # cancelling takes the area away, whoever looks at its card
                one.pass_over(f"/thumbs/{DEFAULT_AREA}/")
        assert not server.watch.outward()


def test_twenty_sessions_at_once_run_without_an_error(server, small_city):
    query = f"area={small_city.area}&lang=en&at={lonlat(0.5, 0.5)[1]},{lonlat(0.5, 0.5)[0]}"
    for page in ("", "data"):
        found = open_at_once(server.url, 20, page=page, query=query)
        assert [session.errors for session in found] == [[]] * 20
        assert all(session.finished for session in found)
        assert min(session.num_elements for session in found) > 5
    assert not re.search(r"Traceback", server.log.read_text(errors="replace"))
