"""Quadrats in the browser: computed, painted, clicked, brushed, listed, downloaded, linked."""

import io
import re
import shutil
import urllib.parse

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from playwright.sync_api import expect

from core.quadrat_table import Options, quadrat_table, write_quadrats
from core.workspace import Workspace
from tests.browser.map_view import colours_at, frame_of, place_on_map
from tests.browser.screen import decoded_tiles, map_frame, painted_share, wait_settled
from tests.browser.small_city import copied_area, lonlat

HEAT = "lst0810_mean"
COUNTED = f"{HEAT}:counted"


def computed(root, area_id):
    """Compute an area's quadrats as a job does; return what is written."""
    space = Workspace(root)
    area = space.area(area_id)
    return gpd.read_parquet(write_quadrats(space, area, quadrat_table(space, area, Options())))


@pytest.fixture(scope="module")
def table(server, small_city):
    """The quadrats of the small city, computed beforehand."""
    return computed(server.workspace, small_city.area)


def opened(visit, column=COUNTED, **more):
    """Open the page on the small city; return it once its map is painted."""
    page = visit.open("quadrats", area="small-city", column=column, **more)
    map_frame(page)
    return page


def click_place(page, right, down):
    x, y = place_on_map(page, *lonlat(right, down))
    frame_of(page).locator(".leaflet-container").click(position={"x": x, "y": y})
    page.get_by_text(re.compile(r"^Square \d+")).last.wait_for()
    page.wait_for_timeout(300)
    wait_settled(page)


def at(table, right, down):
    """Return the row of the table whose square holds a place of the city."""
    lon, lat = lonlat(right, down)
    point = gpd.GeoSeries.from_xy([lon], [lat], crs=4326).to_crs(table.crs).iloc[0]
    (row,) = table.index[table.contains(point)]
    return table.loc[row]


def address(page):
    return {k: v[0] for k, v in urllib.parse.parse_qs(page.url.partition("?")[2]).items()}


def drag_range(page, low, high):
    """Drag in the histogram from one share of its width to another."""
    area = page.locator("[data-testid=stSidebar] .js-plotly-plot .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + low * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (low + high) / 2 * box["width"], y + 3, steps=4)
    page.mouse.move(box["x"] + high * box["width"], y, steps=4)
    page.mouse.up()
    page.wait_for_function("location.search.includes('only=')")
    wait_settled(page)


@pytest.mark.every_screen
def test_the_map_is_painted_with_its_legend_and_nothing_overflows(visit, table, size, language):
    page = opened(visit, language=language)
    tiles = decoded_tiles(page)
    assert any("/grids/small-city/" in url for url in tiles)
    assert painted_share(page) > 0.1
    legend = map_frame(page).locator(".ups-legend").first
    expect(legend).to_be_visible()
    expect(legend).to_contain_text("°C")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    main = page.inner_text("[data-testid=stMain]")
    assert ("方格" in main or "样方" in main) is (language == "zh_CN")


def test_statistics_are_computed_as_a_job_with_progress(visit, server, small_city):
    copied_area(server.workspace, "other-city")
    shutil.rmtree(server.workspace / "areas" / "other-city" / "results", ignore_errors=True)
    page = visit.open("quadrats", area="other-city")
    page.get_by_role("button", name="Compute statistics of every layer in every square").click()
    expect(page.get_by_role("progressbar").first).to_be_visible()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    wait_settled(page)
    assert painted_share(page) > 0.1
    Workspace(server.workspace).delete("other-city")


def test_a_click_shows_the_square_under_it_with_the_table_s_values(visit, table):
    page = opened(visit)
    click_place(page, 0.31, 0.71)
    row = at(table, 0.31, 0.71)
    expect(page.get_by_text(f"Square {row.name}")).to_be_visible()
    expect(page.get_by_text(f"row {row['row']}, column {row['col']}")).to_be_visible()
    cells = page.locator("[data-testid=stDataFrame] canvas td").all_text_contents()
    shown = next(text for text in cells if text.endswith("°C"))
    assert float(shown.split()[0]) == pytest.approx(row[HEAT], rel=1e-3)
    map_label = map_frame(page).locator(".leaflet-container")
    expect(map_label).to_contain_text(shown)


def test_two_squares_stand_side_by_side(visit, table):
    page = opened(visit)
    click_place(page, 0.27, 0.27)
    page.get_by_role("button", name="Hold this square and compare it with the next one").click()
    wait_settled(page)
    click_place(page, 0.79, 0.79)
    one, other = at(table, 0.27, 0.27), at(table, 0.79, 0.79)
    left = page.get_by_text(f"Square {one.name}", exact=False)
    right = page.get_by_text(f"Square {other.name}", exact=False)
    expect(left).to_be_visible()
    expect(right).to_be_visible()
    assert left.bounding_box()["x"] < right.bounding_box()["x"]
    page.get_by_role("button", name="Let the held square go").click()
    wait_settled(page)
    expect(left).to_have_count(0)


def test_a_range_dragged_in_the_histogram_dims_the_other_squares(visit, table):
    page = opened(visit)
    north, south = (0.4, 0.19), (0.4, 0.83)
    places = [lonlat(*north), lonlat(*south)]
    before = np.array(colours_at(page, places))
    drag_range(page, 0.6, 0.99)  # the warm end, which lies in the south
    after = np.array(colours_at(page, places))
    low, high = (float(part) for part in address(page)["only"].split("~"))
    inside = table[HEAT].between(low, high)
    assert at(table, *south)[HEAT] >= low > at(table, *north)[HEAT]
    said = re.compile(rf"{100 * inside.mean():.1f} % of the squares")
    expect(page.get_by_text(said)).to_be_visible()
    dimmed, lit = np.abs(before - after).max(axis=1)
    assert dimmed > 40
    assert lit < 30
    page.get_by_role("button", name="Show all squares").click()
    page.wait_for_function("!location.search.includes('only=')")
    wait_settled(page)
    assert np.abs(before - np.array(colours_at(page, places))).max() < 10


def test_a_link_restores_column_scale_and_range(visit, table):
    page = opened(visit)
    drag_range(page, 0.5, 1.0)
    link = address(page)
    caption = page.get_by_text(re.compile("of the squares$")).last.inner_text()
    other = opened(visit, column=link["column"], only=link["only"])
    assert address(other) == link
    expect(other.get_by_text(caption)).to_be_visible()
    assert any("only=" in url for url in decoded_tiles(other))


def test_the_table_can_be_searched_and_downloaded(visit, table):
    # A dialog of the system asks where to save; without it the browser downloads.
    visit.page.add_init_script("delete window.showSaveFilePicker")
    page = opened(visit)
    page.get_by_role("tab", name="Table").click()
    grid = page.locator("[data-testid=stDataFrame]:visible")
    expect(grid).to_be_visible()
    grid.hover()
    toolbar = page.locator("[data-testid=stElementToolbar]:visible")
    expect(toolbar.get_by_role("button", name="Search")).to_be_visible()
    with page.expect_download() as got:
        toolbar.get_by_role("button", name=re.compile("Download")).click()
    found = pd.read_csv(got.value.path())
    assert len(found) == len(table)
    np.testing.assert_allclose(found[HEAT], table[HEAT])


def downloaded(page, label):
    with page.expect_download() as got:
        page.get_by_role("button", name=label).click()
    return got.value.suggested_filename, got.value.path().read_bytes()


def test_each_file_downloads_and_opens(visit, table, tmp_path):
    page = opened(visit)
    page.get_by_role("tab", name="Export").click()
    found = {}
    for label, suffix in (("GeoPackage", "gpkg"), ("GeoParquet", "parquet"), ("CSV", "csv")):
        name, body = downloaded(page, re.compile(f"^{label}"))
        assert name == f"small-city-quadrats.{suffix}"
        path = tmp_path / name
        path.write_bytes(body)
        read = {"gpkg": gpd.read_file, "parquet": gpd.read_parquet, "csv": pd.read_csv}[suffix]
        found[suffix] = read(path)
    for frame in found.values():
        np.testing.assert_allclose(frame[HEAT], table[HEAT], rtol=1e-12)
        np.testing.assert_allclose(frame["landcover_cover"], table["landcover_cover"])
    assert found["gpkg"].crs == found["parquet"].crs == table.crs
    name, body = downloaded(page, re.compile("GeoTIFF"))
    assert name == f"small-city-{HEAT}.tif"
    with rasterio.open(io.BytesIO(body)) as dataset:
        band = dataset.read(1)
    np.testing.assert_array_equal(band[table["row"], table["col"]], table[HEAT].astype("float32"))
