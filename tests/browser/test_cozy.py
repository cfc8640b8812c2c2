"""Cozy zones in the browser: found, four maps, the swipe, the brushed plot, downloads."""

import re

import geopandas as gpd
import numpy as np
import pytest
from playwright.sync_api import expect

from core import cozy_steps
from core.cozy_steps import cozy_zone
from core.quadrat_table import Options, quadrat_table
from core.workspace import Workspace
from tests.browser.map_view import colours_at, frame_of, legend_of
from tests.browser.screen import decoded_tiles, painted_share, wait_settled
from tests.browser.valley import click_square, downloaded, open_tab, opened, valley_in
from tests.core.valley import (
    AREA,
    CENTRE,
    HILL,
    LAKE,
    WOOD,
    make_valley,
    permuted,
    place_of,
    summed_up,
)

COZY = "cozy: cool in summer, not cold in winter"
CLOSE = 20  # 95 % of the colour over a light ground


@pytest.fixture(scope="module")
def found(server):
    """The valley in the server's workspace, permuted beforehand; its zone."""
    space = valley_in(server.workspace)
    permuted(space)
    area = space.area(AREA)
    made = quadrat_table(space, area, Options())
    return cozy_zone(space, area, made, cozy_steps.Options(), Options())


def is_close(colour, other):
    return np.abs(np.subtract(colour, other)).max() <= CLOSE


@pytest.mark.every_screen
def test_the_map_is_painted_and_nothing_overflows(visit, found, size, language):
    page = opened(visit, "cozy", language=language)
    assert any(f"/grids/{AREA}/" in url for url in decoded_tiles(page))
    assert painted_share(page) > 0.1
    assert len(legend_of(page)) >= 2
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert ("舒适" in page.inner_text("[data-testid=stMain]")) is (language == "zh_CN")


def test_spots_are_found_as_a_job(visit, server, tmp_path):
    space = make_valley(tmp_path / "space")
    summed_up(space)
    (space.root / "areas" / AREA).rename(server.workspace / "areas" / "cozy-valley")
    Workspace(server.workspace).rename("cozy-valley", "Cozy valley")
    page = visit.open("cozy", area="cozy-valley")
    page.get_by_role("button", name="Find hot spots of both seasons and the cozy zone").click()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    wait_settled(page)
    assert painted_share(page) > 0.1
    Workspace(server.workspace).delete("cozy-valley")


@pytest.mark.parametrize("shown", ["zone", "seasons", "stability", "rank"])
def test_each_map_is_painted(visit, found, shown):
    page = opened(visit, "cozy", map=shown)
    assert painted_share(page) > 0.05
    if shown == "zone":
        colour = legend_of(page)[COZY]
        wood, lake, centre = colours_at(page, [place_of(*p) for p in (WOOD, LAKE, CENTRE)])
        assert is_close(wood, colour)
        assert is_close(lake, colour)
        assert not is_close(centre, colour)


def test_the_swipe_parts_summer_from_winter(visit, found):
    page = opened(visit, "cozy", map="seasons")
    legend = legend_of(page)
    # West of the line summer, east of it winter: the wood is cold, the lake is not cold here.
    wood, lake, hill = colours_at(page, [place_of(*p) for p in (WOOD, LAKE, HILL)])
    assert is_close(wood, legend["cold spot"])
    assert not is_close(lake, legend["cold spot"])
    assert not is_close(hill, legend["cold spot"])
    handle = frame_of(page).locator(".ups-swipe-handle")
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] - 600, box["y"] + 10, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    wood, hill = colours_at(page, [place_of(*p) for p in (WOOD, HILL)])
    assert not is_close(wood, legend["cold spot"])
    assert is_close(hill, legend["cold spot"])


def test_a_box_in_the_scatter_plot_darkens_its_squares(visit, found):
    page = opened(visit, "cozy")
    places = [place_of(*WOOD), place_of(*CENTRE)]
    before = np.array(colours_at(page, places))
    open_tab(page, "Scatter plot")
    area = page.locator(".js-plotly-plot:visible .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    left, middle = box["x"] + 3, box["x"] + 0.45 * box["width"]
    page.mouse.move(left, box["y"] + 3)
    page.mouse.down()
    page.mouse.move((left + middle) / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.move(middle, box["y"] + box["height"] - 3, steps=4)
    page.mouse.up()
    expect(page.get_by_text(re.compile("squares are chosen"))).to_be_visible()
    wait_settled(page)
    wood, centre = np.array(colours_at(page, places)) - before
    assert wood.max() < -5  # darker in every part of the colour
    assert np.abs(centre).max() < 10


def test_a_click_reads_both_seasons_of_the_square(visit, found):
    page = opened(visit, "cozy")
    click_square(page, WOOD)
    cells = page.locator("[data-testid=stDataFrame]:visible canvas td").all_text_contents()
    assert "cold spot" in cells
    expect(frame_of(page).get_by_text("summer: cold spot")).to_be_visible()


def test_the_files_download_and_open(visit, found, tmp_path):
    page = opened(visit, "cozy")
    open_tab(page, "Export")
    name, body = downloaded(page, "GeoPackage")
    assert name == f"{AREA}-cozy.gpkg"
    (tmp_path / name).write_bytes(body)
    frame = gpd.read_file(tmp_path / name)
    assert int(frame["cozy"].sum()) == found.zone.count
    name, body = downloaded(page, "What lies under, as CSV")
    assert b"quotient" in body
