"""Names that hold Markdown or HTML are text on every page: a picture in one would be fetched."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasterio.transform import from_origin

from core import cluster_steps, cozy_steps, prepare
from core.legends import LegendClass
from core.quadrat_table import Options, quadrat_table
from tests.pages.said import button, clean, marked
from ui.cluster_panel import cluster_options
from ui.cozy_panel import cozy_options

PICTURE = "![x](https://evil.example/p) <i>"
WEST, NORTH, SIDE_PX = 446_000, 4_636_000, 100


@pytest.fixture
def hostile(space):
    """A kilometre of a town in which every name is hostile, in squares of 50 m."""
    box = shapely.box(WEST, NORTH - 1000, WEST + 1000, NORTH)
    frame = gpd.GeoDataFrame(geometry=[box], crs="EPSG:32616")
    space.create("town", title=PICTURE, boundary=frame, boundary_source={}, quadrat_m=50.0)
    rng = np.random.default_rng(0)
    south, east = np.mgrid[:SIDE_PX, :SIDE_PX]
    cover = (east // 20 % 3 + 1).astype("uint8")
    cover[rng.random(cover.shape) < 0.2] = 2
    bowl = -8.0 * np.exp(-(((south - 30) / 15.0) ** 2) - ((east - 30) / 15.0) ** 2)
    legend = tuple(LegendClass(code, f"{PICTURE} {code}", f"#0{code}7733") for code in (1, 2, 3))
    for values, about in (
        (cover, prepare.About(layer_id="a_b_c", title=PICTURE, kind="classes", legend=legend)),
        (bowl, prepare.About(layer_id="warm", title=PICTURE, kind="values", unit="![x](u)",
                             role="effect", season="summer")),
        (-bowl, prepare.About(layer_id="cool", title=PICTURE, kind="values", unit="![x](u)",
                              role="effect", season="winter")),
    ):  # fmt: skip
        noise = 0 if about.kind == "classes" else rng.normal(scale=0.3, size=values.shape)
        prepare.add_array(
            space, "town", (values + noise).astype("uint8" if about.kind == "classes" else "f4"),
            about, transform=from_origin(WEST, NORTH, 10, 10), crs="EPSG:32616", origin={},
        )  # fmt: skip
    return space


def assert_text(app):
    """Assert that the page holds the hostile names as text."""
    assert not [text for text in marked(clean(app)) if "![x](" in text]
    for chart in app.get("plotly_chart"):
        assert "<i>" not in json.dumps(json.loads(chart.proto.spec))


def summed_up(space):
    return quadrat_table(space, space.area("town"), Options())


def test_names_are_text_on_start(hostile, open_page):
    """Row 8."""
    app = open_page("start")
    assert_text(app)
    assert any("evil" in said for said in marked(app))


@pytest.mark.parametrize("layer", ["a_b_c", "warm"])
def test_names_are_text_on_data(hostile, open_page, layer):
    """Row 8."""
    app = open_page("data", layers=layer, at="41.8633,-87.6601")
    assert_text(app)
    button(app, "Zoom to layer").click().run()
    assert_text(app)


def test_the_name_of_an_area_without_layers_is_text(hostile, open_page):
    """Row 8."""
    for layer in ("a_b_c", "warm", "cool"):
        hostile.remove_layer("town", layer)
    assert_text(open_page("data"))


@pytest.mark.parametrize("column", ["a_b_c_fre_1:counted", "warm_mean:counted"])
def test_names_are_text_on_quadrats(hostile, open_page, column):
    """Row 8."""
    assert_text(open_page("quadrats"))
    made = summed_up(hostile)
    middle = float(made.table["warm_mean"].median())
    app = open_page("quadrats", column=column, only=f"-9~{middle}")
    app.session_state["app_state"].quadrat_view("town").square = 4
    assert_text(app.run())


def test_names_are_text_on_clusters(hostile, open_page):
    """Row 8."""
    assert_text(open_page("clusters"))
    made = summed_up(hostile)
    app = open_page("clusters")
    assert_text(app)
    view = app.session_state["app_state"].cluster_view("town")
    view.options = {"span": (2, 4, 1), "layers": ("a_b_c", "warm")}
    given = (hostile, hostile.area("town"), made, Options(), cluster_options(view))
    cluster_steps.clusters(*given)
    cluster_steps.cluster_stability(*given)
    view.picked = 0
    assert_text(app.run())


def test_names_are_text_on_cozy_zones(hostile, open_page):
    """Row 8."""
    assert_text(open_page("cozy"))
    made = summed_up(hostile)
    app = open_page("cozy")
    view = app.session_state["app_state"].cozy_view("town")
    view.options["permutations"] = 99
    given = (hostile, hostile.area("town"), made, cozy_options(view), Options())
    cozy_steps.cozy_zone(*given)
    cozy_steps.zone_stability(*given)
    view.square = 4
    app.number_input(key="perm-town").set_value(99)
    assert_text(app.run())
    assert any("Cozy squares" in metric.label for metric in app.metric)
