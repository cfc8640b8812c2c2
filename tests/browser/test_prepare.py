"""Preparing in the browser: two layers become one, seen before it is made, told afterwards."""

import re

import numpy as np
from playwright.sync_api import expect
from rasterio.transform import from_origin

from core.prepare import About, add_raster
from core.rasters import read_pixel
from core.workspace import Workspace
from tests.browser.map_view import colours_at
from tests.browser.screen import decoded_tiles, map_frame, wait_settled
from tests.browser.small_city import NORTH_M, copied_area, lonlat
from tests.browser.valley import open_tab
from tests.core.raster_files import write_tif

WEST, EAST = lonlat(0.2, 0.5), lonlat(0.8, 0.5)
MIDDLE = lonlat(0.5, 0.5)
TITLE = "Both halves"


def with_halves(root, folder):
    """Return a copy of the small city with a layer of its west and one of its east.

    They overlap in the middle, where the eastern one says 20 and the western one 10.
    """
    space = Workspace(root)
    area = copied_area(root, "halves-city")
    for name, left, value in (("west", 446_000, 10), ("east", 446_800, 20)):
        pixels = np.full((200, 120), value, "float32")
        pixels[0] = np.linspace(0, 30, 120)  # so that both have a range to be coloured by
        path = write_tif(
            folder / f"{name}.tif", pixels, transform=from_origin(left, NORTH_M, 10, 10)
        )
        about = About(layer_id=name, title=f"{name.title()} half", kind="values", unit="°C")
        add_raster(space, area, path, about)
    return area


def pick(page, label, options):
    """Choose options of a multiple choice, one after the other."""
    box = page.get_by_role("combobox", name=re.compile(label))
    for option in options:
        box.click()
        box.press_sequentially(option)
        page.get_by_role("option", name=option).first.click(timeout=5_000)
        wait_settled(page)
    page.keyboard.press("Escape")


def test_two_layers_become_one_through_the_prepare_tab(visit, small_city, server, tmp_path):
    area = with_halves(server.workspace, tmp_path)
    page = visit.open("data", area=area, layers="west")
    open_tab(page, "Prepare")
    pick(page, "Layers, the first on top", ["West half", "East half"])
    preview = page.get_by_text(re.compile("What would come out:"))
    expect(preview).to_be_visible()
    expect(preview).to_contain_text("200 × 200")  # together 2 km wide, of 10 m
    expect(preview).to_contain_text("float32")
    page.get_by_label("Name of the new layer").fill(TITLE)
    page.get_by_role("button", name="Make the layer").click()
    expect(page.get_by_role("alert").get_by_text("Traceback")).to_have_count(0)
    space = Workspace(server.workspace)
    for _ in range(100):
        if any(layer.title == TITLE for layer in space.area(area).layers):
            break
        page.wait_for_timeout(200)
    (made,) = (layer for layer in space.area(area).layers if layer.title == TITLE)
    for place, value in ((WEST, 10), (MIDDLE, 10), (EAST, 20)):
        assert read_pixel(space.layer_path(area, made), *place).value == value
    # The page learns of the finished job when it next looks at it.
    tile = map_frame(page).locator(f"img.leaflet-tile[src*='/{made.id}/']")
    expect(tile.first).to_be_attached()
    wait_settled(page)
    assert any(f"/{made.id}/" in url for url in decoded_tiles(page))
    west, middle, east = colours_at(page, [WEST, MIDDLE, EAST])
    assert np.abs(np.subtract(west, middle)).max() < 10
    assert np.abs(np.subtract(west, east)).max() > 40
    open_tab(page, "About the layer")
    expect(page.get_by_text("Put together from several layers")).to_be_visible()
    space.delete(area)


def test_layers_of_two_coordinate_systems_are_refused_with_the_way_out(visit, small_city):
    page = visit.open("data", area=small_city.area)
    open_tab(page, "Prepare")
    pick(page, "Layers, the first on top", ["Summer temperature", "Night light"])
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("button", name="Make the layer")).to_have_count(0)
    page.get_by_text("Bring other coordinate systems into that of the first").click()
    expect(page.get_by_role("button", name="Make the layer")).to_be_visible()
