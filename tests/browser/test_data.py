"""Data in a real browser: layers of every kind of CRS painted where they lie, and kept there."""

import re
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import rasterio
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect
from rasterio.transform import from_origin

from core.rasters import read_pixel
from core.workspace import Workspace
from tests.browser.map_view import (
    FRAME,
    click_map,
    colours_at,
    frame_of,
    legend_of,
    look_at,
    place_on_map,
    readings_of,
    view_of,
)
from tests.browser.screen import (
    MENU_LINKS,
    WIDE,
    decoded_tiles,
    map_frame,
    map_png,
    painted_share,
    pixels_of,
    visiting,
    wait_settled,
)
from tests.browser.small_city import HOSTILE, HOSTILE_TITLE, copied_area, lonlat
from tests.core.raster_files import SHARED, file_server, write_tif

QUARTERS = {
    "Tree canopy": lonlat(0.25, 0.25),
    "Water": lonlat(0.75, 0.25),
    "Buildings": lonlat(0.25, 0.75),
    "Roads and rail": lonlat(0.75, 0.75),
}
OVER_THE_CITY = from_origin(446_000, 4_636_000, 50, 50)
BESIDE = lonlat(0.5, 1.06)


@pytest.fixture
def own_area(small_city, server, request):
    """A copy of the small city for one test to change."""
    return copied_area(server.workspace, re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60])


def choose(page, label, option):
    """Choose an option of a select box as a user does: long lists are narrowed by typing."""
    box = page.get_by_role("combobox", name=re.compile(re.escape(label)))
    wanted = page.get_by_role("option", name=option).first
    for _ in range(10):  # a page that runs again meanwhile closes the list
        box.click()
        box.fill(option)
        with suppress(PlaywrightTimeout):
            wanted.click(timeout=3_000)
            break
    wait_settled(page)
    assert wanted.count() == 0


def drag_slider(page, label, *, to):
    """Move a slider by its keys."""
    thumb = page.get_by_role("slider", name=re.compile(label))
    thumb.focus()
    for _ in range(60):
        now = float(thumb.input_value())
        if now == to:
            break
        thumb.press("ArrowLeft" if now > to else "ArrowRight")
    wait_settled(page)


def open_tab(page, label):
    page.get_by_role("tab", name=label).click()


def close(found, want, *, by=6):
    return np.abs(np.subtract(found, want)).max() <= by


@pytest.mark.every_screen
def test_the_map_is_painted_large_and_in_sight(visit, small_city, size, language):
    page = visit.open("data", language=language, area=small_city.area)
    assert decoded_tiles(page)
    assert painted_share(page) > 0.1
    box = page.locator(FRAME).bounding_box()
    assert box["y"] + box["height"] <= size[1]
    if size == WIDE:
        assert box["width"] >= 0.6 * size[0]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    legend = legend_of(page)
    assert len(legend) == 4
    chinese = any("\u4e00" <= letter <= "\u9fff" for name in legend for letter in name)
    assert chinese is (language == "zh_CN")


@pytest.mark.parametrize("layer", ["landcover", "lst0810", "landuse", "light"])
def test_a_layer_of_any_crs_is_painted_from_its_tiles(visit, small_city, layer):
    page = visit.open("data", area=small_city.area, layers=layer)
    tiles = decoded_tiles(page)
    assert tiles
    assert all(url.startswith(visit.base_url + "/tiles/") for url in tiles)
    assert painted_share(page) > 0.1


def test_every_class_is_painted_in_its_place_in_the_legends_colour(visit, small_city):
    page = visit.open("data", area=small_city.area, layers=small_city.cover)
    legend = legend_of(page)
    assert legend.keys() == QUARTERS.keys()
    found = colours_at(page, [*QUARTERS.values(), BESIDE])
    for name, colour in zip(QUARTERS, found, strict=False):
        assert close(colour, legend[name]), name
    assert not any(close(found[-1], colour) for colour in legend.values())


def test_values_grow_along_the_colormap_and_missing_pixels_are_not_painted(visit, small_city):
    page = visit.open("data", area=small_city.area, layers=small_city.heat)
    down = [lonlat(0.5, share) for share in (0.05, 0.3, 0.55, 0.75)]
    colours = colours_at(page, down)
    lightness = [sum(colour) for colour in colours]
    assert lightness == sorted(lightness)
    assert len(set(lightness)) == 4
    ground = colours_at(page, [lonlat(0.5, 1.1)])[0]
    assert close(ground, (238, 241, 241), by=8)


def test_a_changed_layer_opacity_or_colormap_keeps_the_view(visit, small_city):
    page = visit.open("data", area=small_city.area, layers=small_city.heat)
    lon, lat = lonlat(0.4, 0.6)
    there = look_at(page, lat, lon, 16)
    before = map_png(page)
    choose(page, "Colours", "Viridis")
    assert view_of(page) == there
    changed = map_png(page)
    assert changed != before
    drag_slider(page, "Opacity", to=50)
    assert view_of(page) == there
    assert map_png(page) != changed
    choose(page, "Show another layer", "Land cover")
    assert view_of(page) == there
    assert len(legend_of(page)) == 4
    page.get_by_role("button", name="▲").last.click()
    wait_settled(page)
    assert view_of(page) == there


def test_the_view_survives_another_page_and_the_way_back(visit, small_city):
    page = visit.open("data", area=small_city.area)
    lon, lat = lonlat(0.3, 0.3)
    there = look_at(page, lat, lon, 15)
    for name in ("Start", "Data"):
        page.locator(MENU_LINKS).get_by_text(name, exact=True).click()
        wait_settled(page)
    assert view_of(page) == there


def test_a_map_that_was_only_clicked_shows_the_whole_area_at_any_size(visit, small_city):
    """Neither a click nor a frame of another size is a move: only a move is kept."""
    page = visit.open("data", area=small_city.area)
    whole = view_of(page)
    click_map(page, *lonlat(0.3, 0.4))
    # As in a frame that is still growing; Leaflet tells of the size 0.2 s later.
    frame_of(page).evaluate("""() => {
        window.map.getContainer().style.height = '120px';
        window.dispatchEvent(new Event('resize'));
    }""")
    page.wait_for_timeout(500)
    assert view_of(page).zoom < whole.zoom
    page.reload()
    wait_settled(page)
    assert view_of(page) == whole


def test_swipe_shows_both_layers_and_the_handle_moves_the_border(visit, small_city):
    page = visit.open("data", area=small_city.area, layers=small_city.cover, swipe=small_city.use)
    legend = legend_of(page)
    trees, water = QUARTERS["Tree canopy"], QUARTERS["Water"]
    left, right = colours_at(page, [trees, water])
    stripes = [legend[name] for name in legend if name not in QUARTERS]
    assert close(left, legend["Tree canopy"])
    assert any(close(right, stripe) for stripe in stripes)
    frame = frame_of(page)
    handle = frame.locator(".ups-swipe-handle")
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 16, box["y"] + 16)
    page.mouse.down()
    page.mouse.move(box["x"] - 60, box["y"] + 16, steps=4)
    page.mouse.move(page.locator(FRAME).bounding_box()["x"] + 30, box["y"] + 16, steps=6)
    page.mouse.up()
    left, right = colours_at(page, [trees, water])
    assert any(close(left, stripe) for stripe in stripes)
    handle.focus()
    for _ in range(50):
        handle.press("ArrowRight")
    left, right = colours_at(page, [trees, water])
    assert close(left, legend["Tree canopy"])
    assert close(right, legend["Water"])


def test_a_click_reads_the_pixel_of_every_layer_there(visit, small_city, server):
    page = visit.open("data", area=small_city.area, layers=",".join(small_city.layers))
    space = Workspace(server.workspace)
    area = space.area(small_city.area)
    for place in (lonlat(0.31, 0.27), lonlat(0.8, 0.62)):
        click_map(page, *place)
        found = readings_of(page)
        lat, lon = (float(part) for part in found["Place"].split(","))
        for layer in area.layers:
            value = read_pixel(space.layer_path(area.id, layer), lon, lat).value
            if layer.kind == "classes":
                names = {entry.code: entry.name for entry in layer.legend}
                assert found[layer.title] == names[int(value)]
            else:
                assert found[layer.title] == f"{value:g} {layer.unit}".strip()
    assert page.url.count("at=") == 1


def test_zoom_to_layer_and_go_to_a_place_move_the_view_once(visit, small_city):
    page = visit.open("data", area=small_city.area, layers=small_city.light)
    lon, lat = lonlat(0.5, 0.5)
    look_at(page, lat, lon, 17)
    page.get_by_role("button", name="Zoom to layer").click()
    wait_settled(page)
    assert view_of(page).zoom < 16
    elsewhere = look_at(page, lat, lon, 17)
    choose(page, "Colours", "Magma")
    assert view_of(page) == elsewhere
    page.get_by_text("Place and base map").click()
    target = lonlat(0.2, 0.8)
    page.get_by_label("Latitude (°)").fill(f"{target[1]:.5f}")
    page.get_by_label("Longitude (°)").fill(f"{target[0]:.5f}")
    page.get_by_role("button", name="Go to this place").click()
    wait_settled(page)
    there = view_of(page)
    assert (there.lat, there.lon) == pytest.approx((target[1], target[0]), abs=2e-3)
    elsewhere = look_at(page, lat, lon, 15)
    choose(page, "Colours", "Viridis")
    assert view_of(page) == elsewhere
    page.locator(MENU_LINKS).get_by_text("Start", exact=True).click()
    wait_settled(page)
    page.locator(MENU_LINKS).get_by_text("Data", exact=True).click()
    wait_settled(page)
    assert view_of(page) == elsewhere


def test_a_link_restores_layers_style_and_point(visit, browser, small_city):
    page = visit.open("data", area=small_city.area, layers=small_city.heat)
    choose(page, "Colours", "Viridis")
    drag_slider(page, "Opacity", to=60)
    choose(page, "Swipe", "Land cover")
    click_map(page, *lonlat(0.3, 0.4))
    said, link = readings_of(page), page.url
    with visiting(browser, visit.base_url) as other:
        other.page.goto(link)
        wait_settled(other.page)
        assert readings_of(other.page) == said
        assert legend_of(other.page).keys() == QUARTERS.keys()
        assert pixels_of(map_png(other.page)).shape == pixels_of(map_png(page)).shape
        assert map_png(other.page) == map_png(page)


def test_names_with_html_are_text(visit, small_city):
    """Row 8: of areas, layers and classes; in the legend, beside a click, on cards, in lists."""
    page = visit.open("data", area=small_city.area, layers=f"{small_city.use},{small_city.cover}")
    assert set(HOSTILE) <= legend_of(page).keys()
    frame = frame_of(page)
    expect(frame.locator(".ups-legend summary").first).to_have_text(HOSTILE_TITLE)
    expect(page.get_by_role("button", name=HOSTILE_TITLE)).to_be_visible()
    click_map(page, *lonlat(0.3, 0.4))
    assert readings_of(page)[HOSTILE_TITLE] in HOSTILE
    open_tab(page, "Distribution")
    chart = page.locator(".js-plotly-plot")
    expect(chart.locator(".gtitle")).to_contain_text(HOSTILE_TITLE)
    for name in HOSTILE:
        expect(chart.locator(".ytick").filter(has_text=name)).to_be_visible()
    for tab in ("About the layer", "Problems", "Edit the layer"):
        open_tab(page, tab)
    wait_settled(page)
    assert visit.dialogs == []


def test_an_uploaded_file_with_its_legend_becomes_a_layer(visit, own_area, server, tmp_path):
    page = visit.open("data", area=own_area)
    open_tab(page, "Add a layer")
    codes = np.where(np.arange(40) < 20, 3, 9).astype("uint8")
    path = write_tif(
        tmp_path / "<b>zones & ${x}.tif", np.tile(codes, (40, 1)), nodata=0, transform=OVER_THE_CITY
    )
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(path)
    expect(page.get_by_text("These are guesses")).to_be_visible()
    wait_settled(page)
    legend = tmp_path / "legend.csv"
    legend.write_text("code,name,colour\n3,Old <i>town</i>,#FF0088\n9,Harbour,#0055FF\n")
    choose(page, "Legend", "A CSV of code, name, colour")
    # Until the second place for a file is drawn, the last one is the raster's.
    expect(page.locator("[data-testid=stFileUploaderDropzoneInput]")).to_have_count(2)
    page.locator("[data-testid=stFileUploaderDropzoneInput]").last.set_input_files(legend)
    expect(page.get_by_text("legend.csv")).to_be_visible()
    wait_settled(page)
    page.get_by_role("textbox", name="Short name").fill("zones")
    page.get_by_role("button", name="Bring in the layer").click()
    expect(page.get_by_text("is on the map.")).to_be_visible()
    wait_settled(page)
    want = {"Old <i>town</i>": (255, 0, 136), "Harbour": (0, 85, 255)}
    assert legend_of(page).items() >= want.items()
    west, east = colours_at(page, [lonlat(0.2, 0.5), lonlat(0.8, 0.5)])
    assert close(west, (255, 0, 136))
    assert close(east, (0, 85, 255))
    assert Workspace(server.workspace).area(own_area).layer("zones").kind == "classes"
    assert not list((server.workspace / "uploads").glob("*/*"))
    assert visit.dialogs == []


def test_a_file_of_the_servers_data_folder_becomes_a_layer(visit, own_area, server):
    folder = server.workspace.parent / "data"
    write_tif(folder / "lst_winter.tif", np.linspace(-5, 5, 1600, dtype="float32").reshape(40, 40),
              transform=OVER_THE_CITY)  # fmt: skip
    page = visit.open("data", area=own_area)
    open_tab(page, "Add a layer")
    choose(page, "Or a file of the server", "lst_winter.tif")
    page.get_by_role("textbox", name="Short name").fill("winter")
    page.get_by_role("button", name="Bring in the layer").click()
    expect(page.get_by_text("is on the map.")).to_be_visible()
    wait_settled(page)
    assert painted_share(page) > 0.1
    assert Workspace(server.workspace).area(own_area).layer("winter").season == "winter"


def test_a_mistake_on_the_way_in_is_a_sentence(visit, own_area, tmp_path):
    page = visit.open("data", area=own_area)
    open_tab(page, "Add a layer")
    (tmp_path / "fake.tif").write_bytes(b"MZ no picture")
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(
        tmp_path / "fake.tif"
    )
    expect(page.locator("[data-testid=stAlert]").filter(has_text="fake.tif")).to_be_visible()


def test_a_layer_is_renamed_and_deleted(visit, own_area, server):
    page = visit.open("data", area=own_area, layers="light")
    open_tab(page, "Edit the layer")
    page.get_by_role("textbox", name="Name").fill("Lamps")
    page.get_by_role("button", name="Save").click()
    expect(frame_of(page).locator(".ups-legend summary")).to_have_text("Lamps")
    open_tab(page, "Edit the layer")
    page.get_by_text("Yes, delete Lamps").click()
    page.get_by_role("button", name="Delete the layer").click()
    expect(page.get_by_text("Lamps was deleted")).to_be_visible()
    wait_settled(page)
    kept = [layer.id for layer in Workspace(server.workspace).area(own_area).layers]
    assert kept == ["landcover", "lst0810", "landuse"]


def test_a_remote_raster_is_read_only_after_the_switch(visit, own_area, server, tmp_path):
    source = Workspace(server.workspace)
    path = source.layer_path(own_area, source.area(own_area).layer("landcover"))
    (tmp_path / "remote.tif").write_bytes(path.read_bytes())
    with file_server(tmp_path) as url:
        page = visit.open("data", area=own_area)
        open_tab(page, "Add a layer")
        page.get_by_text("An address on the internet").click()
        address = page.get_by_role("textbox", name="Address of a Cloud-Optimized GeoTIFF")
        expect(address).to_be_disabled()
        page.get_by_text("Allow this server to read from the internet").click()
        expect(address).to_be_enabled()
        address.fill(f"{url}/remote.tif")
        address.press("Enter")
        expect(page.get_by_text("These are guesses")).to_be_visible()
        wait_settled(page)
        page.get_by_role("textbox", name="Short name").fill("far")
        page.get_by_role("button", name="Bring in the layer").click()
        expect(page.get_by_text("is on the map.")).to_be_visible()
        wait_settled(page)
        assert painted_share(page) > 0.1
        click_map(page, *QUARTERS["Water"])
        layer = Workspace(server.workspace).area(own_area).layer("far")
        assert layer.url == f"{url}/remote.tif"
        assert not layer.file
        expect(page.get_by_text("outside access is switched off")).to_have_count(0)


CITY = SHARED / "data" / "city" / "muenster"


@pytest.mark.skipif(not CITY.is_dir(), reason="the files of real cities are not here")
def test_muenster_is_brought_in_by_browser_and_reads_as_its_sources_do(visit, server, tmp_path):
    page = visit.open()
    with zipfile.ZipFile(tmp_path / "muenster.zip", "w") as archive:
        for part in CITY.glob("Project-Area.*"):
            archive.write(part, part.name)
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(
        tmp_path / "muenster.zip"
    )
    page.get_by_role("textbox", name="Name of the study area").fill("Münster")
    page.get_by_role("button", name="Create the study area").click()
    expect(page.get_by_text("has no layers yet")).to_be_visible()
    wait_settled(page)
    for number, name in enumerate(("Klassifikation_rf.tif", "landsat-Summer_mean_ST_B10.tif")):
        if number:
            open_tab(page, "Add a layer")
        page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(CITY / name)
        expect(page.get_by_text("These are guesses")).to_be_visible()
        wait_settled(page)
        page.get_by_role("textbox", name="Short name").fill(f"layer-{number}")
        page.get_by_role("button", name="Bring in the layer").click()
        expect(page.get_by_text("is on the map.")).to_be_visible(timeout=90_000)
        wait_settled(page)
        assert painted_share(page) > 0.2
    space = Workspace(server.workspace)
    area = next(area for area in space.areas() if area.title == "Münster")
    west, south, east, north = area.bounds_lonlat
    click_map(page, west + 0.45 * (east - west), south + 0.55 * (north - south))
    said = readings_of(page)
    lat, lon = (float(part) for part in said["Place"].split(","))
    with rasterio.open(CITY / "landsat-Summer_mean_ST_B10.tif") as source:
        x, y = rasterio.warp.transform("EPSG:4326", source.crs, [lon], [lat])
        want = next(source.sample([(x[0], y[0])]))[0]
    layer = area.layers[1]
    assert read_pixel(space.layer_path(area.id, layer), lon, lat).value == want
    assert float(said[layer.title].split()[0]) == pytest.approx(float(want), abs=0.01)
    space.delete(area.id)


def test_the_place_of_a_click_is_where_the_marker_stands(visit, small_city):
    page = visit.open("data", area=small_city.area)
    place = lonlat(0.6, 0.4)
    x, y = place_on_map(page, *place)
    click_map(page, *place)
    box = frame_of(page).locator("path.leaflet-interactive").last.bounding_box()
    frame = page.locator(FRAME).bounding_box()
    assert box["x"] + box["width"] / 2 - frame["x"] == pytest.approx(x, abs=1.5)
    assert box["y"] + box["height"] / 2 - frame["y"] == pytest.approx(y, abs=1.5)
    assert map_frame(page)
