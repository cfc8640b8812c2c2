"""Clusters in the browser: swept, painted, picked on the map and in the chart, downloaded."""

import io
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from core.cluster_steps import ClusterOptions, find_clusters
from core.quadrat_table import Options, quadrat_table
from core.workspace import Workspace
from tests.browser.map_view import colours_at, legend_of
from tests.browser.screen import decoded_tiles, painted_share, wait_settled
from tests.browser.valley import click_square, downloaded, open_tab, opened, valley_in
from tests.core.valley import AREA, CENTRE, LAKE, WOOD, make_valley, place_of, summed_up, swept

PLACES = (WOOD, LAKE, CENTRE)


@pytest.fixture(scope="module")
def labels(server):
    """The valley in the server's workspace, swept beforehand; its labels at k = 5 by square."""
    space = valley_in(server.workspace)
    swept(space)
    area = space.area(AREA)
    made = quadrat_table(space, area, Options())
    found = find_clusters(space, area, made, Options(), ClusterOptions())
    at = np.full(made.lattice.shape, -1)
    at[made.lattice.rows, made.lattice.cols] = found.sweep.of(5)
    return at


@pytest.mark.every_screen
def test_the_map_is_painted_and_nothing_overflows(visit, labels, size, language):
    page = opened(visit, "clusters", k="5", language=language)
    assert any(f"/grids/{AREA}/" in url for url in decoded_tiles(page))
    assert painted_share(page) > 0.1
    assert len(legend_of(page)) == 5
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert ("聚类" in page.inner_text("[data-testid=stMain]")) is (language == "zh_CN")


def test_the_sweep_runs_as_a_job_and_paints_its_clusters(visit, server, tmp_path):
    space = make_valley(tmp_path / "space")
    summed_up(space)
    root = server.workspace / "areas"
    (space.root / "areas" / AREA).rename(root / "swept-valley")
    Workspace(server.workspace).rename("swept-valley", "Swept valley")
    page = visit.open("clusters", area="swept-valley")
    page.get_by_role("button", name="Sweep over the numbers of clusters").click()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    wait_settled(page)
    assert painted_share(page) > 0.1
    Workspace(server.workspace).delete("swept-valley")


def test_squares_have_the_legend_s_colour_of_their_cluster(visit, labels):
    page = opened(visit, "clusters", k="5")
    by_number = {int(name.split()[0]): colour for name, colour in legend_of(page).items()}
    found = colours_at(page, [place_of(*place) for place in PLACES])
    numbers = [int(labels[place]) + 1 for place in PLACES]
    assert len(set(numbers)) == 3
    for number, colour in zip(numbers, found, strict=True):
        # 95 % of the colour over a light ground.
        assert np.abs(np.subtract(colour, by_number[number])).max() <= 20


def test_a_click_on_the_map_picks_the_cluster_out_and_lets_it_go(visit, labels):
    page = opened(visit, "clusters", k="5")
    places = [place_of(*LAKE), place_of(*CENTRE)]
    before = np.array(colours_at(page, places))
    click_square(page, LAKE)
    number = int(labels[LAKE]) + 1
    expect(page.get_by_label(f"Name of cluster {number}")).to_be_visible()
    assert f"pick={number - 1}" in page.url
    picked, other = np.abs(np.array(colours_at(page, places)) - before).max(axis=1)
    assert picked < 25
    assert other > 40
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("!location.search.includes('pick=')")
    wait_settled(page)
    assert np.abs(np.array(colours_at(page, places)) - before).max() < 10


def test_a_click_in_the_bar_chart_picks_its_cluster_again_and_again(visit, labels):
    page = opened(visit, "clusters", k="5")
    for _attempt in range(2):
        bar = page.locator(
            ".js-plotly-plot:visible .barlayer .point path"
        ).last  # cluster 1, on top
        bar.scroll_into_view_if_needed()
        box = bar.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
        expect(page.get_by_label(re.compile("^Name of cluster 1"))).to_be_visible()
        wait_settled(page)
        assert "pick=0" in page.url
        page.get_by_role("button", name="Show all").click()
        page.wait_for_function("!location.search.includes('pick=')")
        wait_settled(page)


def test_each_tab_has_its_charts(visit, labels):
    page = opened(visit, "clusters", k="12")
    for tab, titles in {
        "Choosing k": ("Which factors part the clusters", "How good each k is"),
        "Signatures": ("1 ", "12 "),
        "Distances": ("How far the signatures", "Which clusters join first"),
    }.items():
        open_tab(page, tab)
        shown = page.locator(".js-plotly-plot:visible .gtitle")
        expect(shown.first).to_be_visible()
        told = [text.strip() for text in shown.all_text_contents()]
        for title in titles:
            assert any(text.startswith(title) for text in told), (title, told)
    expect(page.get_by_role("button", name=re.compile(r"Merge \d+ and \d+")).first).to_be_visible()


def test_the_files_download_and_open(visit, labels, tmp_path):
    page = opened(visit, "clusters", k="5")
    open_tab(page, "Export")
    name, body = downloaded(page, "GeoPackage")
    assert name == f"{AREA}-clusters.gpkg"
    (tmp_path / name).write_bytes(body)
    frame = gpd.read_file(tmp_path / name)
    np.testing.assert_array_equal(frame["cluster"], labels[frame["row"], frame["col"]] + 1)
    assert frame["cluster_name"].nunique() == 5
    name, body = downloaded(page, "Distances, CSV")
    matrix = pd.read_csv(io.BytesIO(body), index_col=0)
    assert matrix.shape == (5, 5)
    name, body = downloaded(page, "All charts as one HTML file")
    assert name == f"{AREA}-clusters.html"
    assert b"plotly" in body.lower()
