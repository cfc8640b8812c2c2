"""Quadrats: computing them, a column on the map, links, squares side by side, mistakes."""

import io
import json
import time
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from core import jobs, prepare
from core.quadrat_table import Options, quadrat_table, write_quadrats
from tests.core.raster_files import NORTH_UP, checkers
from tests.pages.said import button, clean, only, tables, text
from ui import cached

COMPUTE = "Compute statistics of every layer in every square"
AGAIN = "Compute statistics"


def computed(space, area_id="town"):
    """Compute the quadrats as a job does; return the table."""
    area = space.area(area_id)
    made = quadrat_table(space, area, Options())
    write_quadrats(space, area, made)
    return made


def ended(space, app):
    """Wait for the job that the page has started, let the page take it over; return the page."""
    deadline = time.monotonic() + 60
    while any(job.state == "running" for job in jobs.jobs(space.root / "jobs")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return clean(app.run())


def figures(app):
    return {metric.label: metric.value for metric in app.metric}


def view(app):
    return app.session_state["app_state"].quadrat_view("town")


def numbers(app):
    """Return the widgets of the panel in which squares are made, by what their key is for."""
    return {(field.key or "").partition("-")[0]: field for field in app.number_input}


def test_without_an_area_the_page_leads_to_start(space, open_page):
    app = open_page("quadrats")
    assert "There is no study area yet" in text(app)
    button(app, "Choose or make one").click().run()
    assert "Which city do we look at?" in text(clean(app))


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_an_area_without_layers_says_where_to_bring_one_in(town, open_page, language):
    for layer in ("cover", "heat"):
        town.remove_layer("town", layer)
    app = open_page("quadrats", lang=language)
    (error,) = app.error
    assert "Town" in error.value
    assert ("Data page" in error.value) is (language == "en")


def test_statistics_are_computed_as_a_job_and_then_shown(town, open_page):
    app = open_page("quadrats")
    assert "The layers of Town are not summed up in squares yet." in text(app)
    assert "About 9 squares." in text(app)
    button(app, COMPUTE).click().run()
    assert not [b for b in clean(app).button if b.label == COMPUTE]  # not twice
    ended(town, app)
    assert figures(app)["Squares of 150 m"] == "6"
    assert "Done: Summing up the layers in every square" in text(app)
    assert (town.folder("town") / "quadrats.parquet").is_file()
    assert app.query_params["column"].startswith("cover_fre_")


def test_what_was_computed_before_is_shown_at_once(town, open_page):
    made = computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    heat = made.table["heat_mean"]
    assert not [b for b in app.button if b.label == COMPUTE]
    shown = figures(app)
    assert shown["Squares of 150 m"] == "6"
    assert float(shown["Mean"].split()[0]) == pytest.approx(heat.mean(), rel=1e-3)
    assert shown["Mean"].endswith("°C")
    assert (shown["Filled from neighbours"], shown["Still missing"]) == ("0", "0")


def test_a_column_is_chosen_by_layer_class_and_scale(town, open_page):
    computed(town)
    app = open_page("quadrats", column="cover_fre_1:counted")
    assert only(app.sidebar.selectbox, "Layer").options == ["Cover (Cause)", "Heat (Effect)"]
    what = only(app.sidebar.selectbox, "What of it")
    assert what.options == [f"Class {code}" for code in range(1, 8)]
    what.set_value("cover_fre_3").run()
    # A class is read as a share first: squares of different cover stay comparable.
    assert clean(app).query_params["column"] == "cover_fre_3:normalised"
    only(app.sidebar.selectbox, "Layer").set_value("heat").run()
    assert clean(app).query_params["column"] == "heat_mean:counted"


def test_a_link_restores_column_scale_range_and_language(town, open_page):
    heat = computed(town).table["heat_mean"]
    low, high = float(heat.sort_values().iloc[1]) - 0.01, float(heat.sort_values().iloc[3]) + 0.01
    limits = f"{low:.6g}~{high:.6g}"
    app = open_page("quadrats", lang="zh_CN", area="town", column="heat_mean:counted", only=limits)
    assert app.query_params["column"] == "heat_mean:counted"
    assert app.query_params["only"] == limits
    assert app.query_params["lang"] == "zh_CN"
    assert "50.0 %" in text(app)  # three of six squares
    assert view(app).only == pytest.approx((low, high), rel=1e-5)


def test_a_range_is_let_go_by_its_button_and_by_another_column(town, open_page):
    computed(town)
    app = open_page("quadrats", column="heat_mean:counted", only="21~29")
    button(app, "Show all squares").click().run()
    assert "only" not in clean(app).query_params
    app = open_page("quadrats", column="heat_mean:counted", only="21~29")
    only(app.sidebar.selectbox, "Layer").set_value("cover").run()
    assert "only" not in clean(app).query_params


@pytest.mark.parametrize(
    "address",
    [
        {"column": "nope_mean:counted"}, {"column": "<script>"}, {"column": ":" * 500},
        {"column": "heat_mean:counted", "only": "nan~inf"},
        {"column": "heat_mean:counted", "only": "5~1"},
        {"column": "heat_mean:counted", "only": "~~~"},
        {"column": "heat_mean:counted", "only": "9e99~1"},
        {"area": "gone", "column": "../../etc/passwd"},
    ],
    ids=lambda address: "-".join(address.values())[:30],
)  # fmt: skip
def test_a_link_to_what_is_not_there_does_no_harm(town, open_page, address):
    computed(town)
    app = open_page("quadrats", **address)
    assert figures(app)["Squares of 150 m"] == "6"
    assert app.selectbox(key="area-chip").value == "town"


def test_a_square_shows_the_table_s_values_ranks_and_class_shares(town, open_page):
    made = computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    assert "Click a square on the map" in text(app)
    view(app).square = 4
    clean(app.run())
    lattice = made.lattice
    assert f"Square {lattice.ids[4]}** · row {lattice.rows[4]}, column {lattice.cols[4]}" in text(
        app
    )
    (row,) = [row for table in tables(app) for row in table if row[0] == "Heat: mean"][:1]
    value = made.table["heat_mean"].iloc[4]
    assert float(row[1].split()[0]) == pytest.approx(value, rel=1e-3)
    below = (made.table["heat_mean"] < value).mean()
    assert f"{100 * below:.1f}" in row[2]


def test_two_squares_are_held_side_by_side(town, open_page):
    made = computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    view(app).square = 0
    app.run()
    button(app, "Hold this square and compare it with the next one").click().run()
    assert (view(clean(app)).held, view(app).square) == (0, None)
    view(app).square = 5
    clean(app.run())
    ids = made.lattice.ids
    assert f"Square {ids[0]}**" in text(app)
    assert f"Square {ids[5]}**" in text(app)
    button(app, "Let the held square go").click().run()
    assert view(clean(app)).held is None


def test_the_held_square_clicked_again_is_shown_once(town, open_page):
    made = computed(town)
    app = open_page("quadrats")
    view(app).square = view(app).held = 5
    assert text(clean(app.run())).count(f"Square {made.lattice.ids[5]}**") == 1


@pytest.mark.parametrize("value", [0.3, -3.4028e38, 1e17], ids=str)
def test_a_column_of_one_value_or_nearly_so_is_shown(town, open_page, value):
    """Values lie a rounding apart: too near for so many bins."""
    values = np.full((40, 50), value)
    values[:, :20] = np.nextafter(value, np.inf)
    about = prepare.About(layer_id="heat", title="Heat", kind="values")
    prepare.add_array(town, "town", values, about, transform=NORTH_UP, crs="EPSG:32616", origin={})
    computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    shown = [json.loads(chart.proto.spec) for chart in clean(app).sidebar.get("plotly_chart")]
    assert len(shown) == 1
    clean(open_page("data", layers="heat"))


def test_the_table_lists_rows_columns_and_values(town, open_page):
    made = computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    shown = next(t for t in app.dataframe if "heat_mean" in t.value)
    titles = {name: said["label"] for name, said in json.loads(shown.proto.columns).items()}
    assert titles == {"row": "Row", "col": "Column", "heat_mean": "Heat: mean (°C)"}
    assert shown.value["row"].tolist() == made.lattice.rows.tolist()
    assert shown.value["col"].tolist() == made.lattice.cols.tolist()
    np.testing.assert_array_equal(shown.value["heat_mean"], made.table["heat_mean"])


def test_two_layers_of_one_title_stay_two_columns(town, open_page):
    town.change_layer("town", "cover", lambda layer: replace(layer, kind="values"))
    town.change_layer("town", "heat", lambda layer: replace(layer, title="Cover", unit=""))
    computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    shown = next(t for t in clean(app).dataframe if "heat_mean" in t.value)
    said = json.loads(shown.proto.columns)
    assert said["heat_mean"]["label"] == said["cover_mean"]["label"] == "Cover: mean"


def test_exports_hold_what_the_map_shows(town):
    made = computed(town)
    normal = made.normalised(Options())
    given = ("town", town.stamp("town"), Options())
    for is_normalised, table in ((False, made.table), (True, normal.table)):
        found = pd.read_csv(io.BytesIO(cached.exported_quadrats(*given, "csv", is_normalised)))
        np.testing.assert_allclose(found[table.columns], table)
        with rasterio.open(
            io.BytesIO(cached.exported_column(*given, "heat_mean", is_normalised))
        ) as made_tif:
            band = made_tif.read(1)
        got = band[made.lattice.rows, made.lattice.cols]
        np.testing.assert_allclose(got, table["heat_mean"], rtol=1e-6)


def test_the_method_is_told_layer_by_layer(town, open_page):
    computed(town)
    app = open_page("quadrats")
    rows = {row[0]: row for table in tables(app) for row in table if len(row) == 8}
    assert rows.keys() == {"Cover", "Heat"}
    assert rows["Cover"][1:4] == ["Cause", "lattice", "centre"]
    assert rows["Heat"][4] == "100 %"


@pytest.mark.parametrize(
    ("method", "fill_m", "said"),
    [
        ("recommended", None, "up to 750 m"),
        ("recommended", 300.0, "up to 300 m"),
        ("recommended", 0.0, "Gaps are not filled"),
        ("document", None, "Gaps are not filled"),
        ("document", 300.0, "Gaps are not filled"),
    ],
)
def test_what_is_said_of_filled_gaps_is_what_was_done(town, open_page, method, fill_m, said):
    town.set_quadrats("town", side_m=150.0, rule="within", method=method)
    computed(town)
    app = open_page("quadrats")
    view(app).options = {"fill_m": fill_m}
    captions = [caption.value for caption in clean(app.run()).caption]
    assert [said in text for text in captions].count(True) == 1
    assert sum("8 nearest squares" in text for text in captions) == (said.startswith("up to"))


def test_filled_squares_are_counted_for_the_layer_whose_columns_they_are(town, open_page):
    """`heat` must not count the gaps of `heat_night`."""
    values = np.tile(np.arange(50, dtype="float32"), (40, 1))
    values[:, :20] = np.nan
    about = prepare.About(layer_id="heat_night", title="Night", kind="values", role="effect")
    prepare.add_array(town, "town", values, about, transform=NORTH_UP, crs="EPSG:32616", origin={})
    gaps = int(computed(town).table["heat_night_mean"].isna().sum())
    assert gaps > 0
    app = open_page("quadrats")
    filled = {row[0]: row[6] for table in tables(app) for row in table if len(row) == 8}
    assert (filled["Heat"], filled["Night"]) == ("0", str(gaps))


def test_another_side_makes_other_squares(town, open_page):
    computed(town)
    app = open_page("quadrats", column="heat_mean:counted", only="21~29")
    view(app).square = view(app).held = 5
    cozy = app.session_state["app_state"].cozy_view("town")
    cozy.square = 5
    assert numbers(app)["fill"].value == 750
    numbers(app)["side"].set_value(100.0)
    app.run()
    assert "About 20 squares." in text(clean(app))
    assert numbers(app)["fill"].value == 500
    button(app, AGAIN).click().run()
    ended(town, app)
    assert figures(app)["Squares of 100 m"] == "20"
    assert town.area("town").quadrat_m == 100
    assert (view(app).square, view(app).held) == (None, None)  # they lay in the old squares
    assert (view(app).only, cozy.square) == (None, None)
    assert view(app).options["fill_m"] is None


def test_the_document_s_method_makes_its_own_squares(town, open_page):
    computed(town)
    app = open_page("quadrats")
    only(app.sidebar.selectbox, "Method").set_value("document").run()
    button(app, AGAIN).click().run()
    ended(town, app)
    assert town.area("town").method == "document"
    assert "document: as published, its flaws included" in text(app)


def test_statistics_are_added_to_the_columns(town, open_page):
    computed(town)
    app = open_page("quadrats", column="heat_mean:counted")
    only(app.sidebar.multiselect, "Statistics of values").set_value(["mean", "std"]).run()
    button(app, AGAIN).click().run()
    ended(town, app)
    what = only(app.sidebar.selectbox, "What of it")
    assert what.options == ["mean", "standard deviation"]


@pytest.fixture
def wide(town):
    """An area of 60 × 60 km beside the town."""
    box = shapely.box(440_000, 4_600_000, 500_000, 4_660_000)
    frame = gpd.GeoDataFrame(geometry=[box], crs="EPSG:32616")
    town.create("wide", title="Wide", boundary=frame, boundary_source={}, quadrat_m=10_000.0)
    about = prepare.About(layer_id="cover", title="Cover", kind="classes")
    prepare.add_array(
        town, "wide", checkers(), about, transform=NORTH_UP, crs="EPSG:32616", nodata=0, origin={}
    )
    return town


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_a_silly_side_is_refused_in_a_sentence_and_the_area_keeps_its_own_row_28(
    wide, open_page, language
):
    """Row 28."""
    app = open_page("quadrats", area="wide", lang=language)
    numbers(app)["side"].set_value(1.0)
    begun = time.monotonic()
    app.run()
    assert time.monotonic() - begun < 5
    assert any("3,600,000,000" in error.value for error in clean(app).error)
    label = AGAIN if language == "en" else "计算统计"
    assert button(app, label).disabled
    assert any("2,000,000" in error.value for error in app.error)
    assert wide.area("wide").quadrat_m == 10_000
    assert not list(jobs.jobs(wide.root / "jobs"))


def test_a_side_that_fits_nowhere_fails_in_a_sentence_and_can_be_changed(town, open_page):
    app = open_page("quadrats")
    numbers(app)["side"].set_value(5_000.0)
    button(app, AGAIN).click().run()
    ended(town, app)
    assert any("No quadrat of 5000 m fits" in error.value for error in app.error)
    numbers(app)["side"].set_value(150.0)
    button(app, AGAIN).click().run()
    ended(town, app)
    assert figures(app)["Squares of 150 m"] == "6"


def test_an_engine_that_cannot_follow_the_rule_says_so_on_the_page(town, open_page):
    app = open_page("quadrats")
    only(app.sidebar.selectbox, "Engine").set_value("exactextract").run()
    button(app, AGAIN).click().run()
    ended(town, app)
    assert any("cannot follow the rule centre" in error.value for error in app.error)


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_a_layer_whose_file_is_gone_is_named_row_10(town, open_page, language):
    """Row 10."""
    town.layer_path("town", town.area("town").layer("heat")).unlink()
    app = open_page("quadrats", lang=language)
    main_button = [b for b in app.main.button if b.proto.type == "primary"]
    main_button[-1].click().run()
    ended(town, app)
    assert app.error
    assert all("Traceback" not in error.value for error in app.error)
