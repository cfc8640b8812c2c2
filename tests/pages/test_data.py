"""Data: layers of an area, links to them, what is said of one, what a mistake looks like."""

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import streamlit as st

from core import jobs, prepare, raster_info
from core.settings import settings
from core.workspace import Workspace
from tests.core.raster_files import NORTH_UP, checkers, write_tif
from tests.pages.said import button, clean, only, tables, text

HERE = (41.8633, -87.6601)


def layer_rows(app):
    return [b.label for b in app.sidebar.button if (b.key or "").startswith("row-")]


def of_heat(space, widgets, purpose):
    """Return a widget of the style of `heat`, of the file that lies there now."""
    digest = space.area("town").layer("heat").digest[:12]
    return widgets(key=f"{purpose}-town-heat-{digest}")


def sure(app):
    """Return the tick without which a layer is not deleted."""
    (tick,) = [box for box in app.checkbox if (box.key or "").startswith("sure-")]
    return tick


def test_without_an_area_the_page_leads_to_start(space, open_page):
    app = open_page("data")
    assert "There is no study area yet" in text(app)
    button(app, "Choose or make one").click().run()
    assert "Which city do we look at?" in text(clean(app))


def test_an_area_without_layers_offers_to_bring_one_in(town, open_page):
    for layer in ("cover", "heat"):
        town.remove_layer("town", layer)
    app = open_page("data")
    assert "Town has no layers yet. Bring in the first one." in text(app)
    assert app.file_uploader(key="upload-layer-town-0")


def test_the_first_layer_is_shown_with_its_figures_facts_and_history(town, open_page):
    app = open_page("data")
    assert layer_rows(app) == ["Cover"]
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Classes found"] == "7"
    assert figures["Pixel"] == "10 m"
    assert figures["Missing inside the area"] == "0 %"
    facts = dict(row for row in tables(app)[0] if len(row) == 2)
    assert facts["Rows × columns"] == "40 × 50"
    assert "UTM zone 16N" in facts["Coordinate system"]
    assert facts["Made from"] == "cover.tif"


def test_a_link_restores_area_layers_style_point_and_language(town, open_page):
    app = open_page(
        "data", lang="zh_CN", area="town", layers="heat,cover", layer="heat", swipe="cover",
        style="heat:0.4:magma:21:29:linear", at=f"{HERE[0]},{HERE[1]}",
    )  # fmt: skip
    assert app.selectbox(key="area-chip").value == "town"
    assert layer_rows(app) == ["Heat", "Cover"]
    assert app.slider(key="opacity-town-heat").value == 40
    assert of_heat(town, app.selectbox, "colormap").value == "magma"
    assert of_heat(town, app.number_input, "low").value == 21
    assert of_heat(town, app.number_input, "high").value == 29
    assert app.selectbox(key="swipe-town").value == "cover"
    assert app.query_params["style"] == "heat:0.4:magma:21:29:linear"
    assert any(len(table) == 2 for table in tables(app))


def test_a_layer_that_was_only_looked_at_is_drawn_as_its_next_file_says(town, open_page):
    app = open_page("data", area="town", layers="heat")
    assert "style" not in app.query_params
    newer = prepare.About(layer_id="heat", title="Heat", kind="values", colormap="inferno")
    values = np.linspace(300, 310, 40 * 50, dtype="float32").reshape(40, 50)
    prepare.add_array(town, "town", values, newer, transform=NORTH_UP, crs="EPSG:32616", origin={})
    clean(app.run())
    summary = town.area("town").layer("heat").summary
    assert summary.low > 299
    assert of_heat(town, app.number_input, "low").value == summary.low
    assert of_heat(town, app.number_input, "high").value == summary.high
    assert of_heat(town, app.selectbox, "colormap").value == "inferno"
    assert "style" not in app.query_params


def test_one_end_of_the_range_is_chosen_and_the_other_stays_the_layer_s_own(town, open_page):
    app = open_page("data", area="town", layers="heat")
    of_heat(town, app.number_input, "low").set_value(22.0).run()
    assert clean(app).query_params["style"] == "heat:1::22::linear"


def test_what_is_changed_stands_in_the_address(town, open_page):
    app = open_page("data", area="town", layers="heat")
    app.slider(key="opacity-town-heat").set_value(30)
    of_heat(town, app.selectbox, "colormap").set_value("inferno").run()
    assert clean(app).query_params["style"].startswith("heat:0.3:inferno:")
    app.selectbox(key="show-layer").set_value("cover").run()
    assert clean(app).query_params["layers"] == "cover,heat"
    assert app.query_params["layer"] == "cover"
    app.button(key="up-heat").click().run()
    assert clean(app).query_params["layers"] == "heat,cover"
    app.button(key="off-cover").click().run()
    assert clean(app).query_params["layers"] == "heat"


@pytest.mark.parametrize(
    "address",
    [
        {"layers": "nope,heat", "layer": "nope", "swipe": "nope"},
        {"layers": "../../etc/passwd", "layer": "<script>"},
        {"style": "nope:1:viridis:0:1:linear,heat:x:y:z:w:v,:::::,heat:9e99:nope:nan:inf:log"},
        {"at": "nan,inf"}, {"at": "91,0"}, {"at": "1"}, {"at": "1,2,3"}, {"at": "0,9999"},
        {"area": "gone", "layers": "gone"}, {"area": "a\x00b"},
        {"layers": "," * 500, "style": ":" * 500, "lang": "%"},
    ],
    ids=lambda address: ascii(next(iter(address.items())))[:40],
)  # fmt: skip
def test_a_link_to_what_is_not_there_does_no_harm(town, open_page, address):
    app = open_page("data", **address)
    assert layer_rows(app)
    assert app.selectbox(key="area-chip").value == "town"


def test_the_values_at_a_place_are_those_of_the_files(town, open_page):
    app = open_page("data", at=f"{HERE[0]},{HERE[1]}")
    rows = {row[0]: row for table in tables(app) for row in table if len(row) == 4}
    want = {}
    for layer in town.area("town").layers:
        with rasterio.open(town.layer_path("town", layer)) as source:
            x, y = rasterio.warp.transform("EPSG:4326", source.crs, [HERE[1]], [HERE[0]])
            want[layer.title] = next(source.sample([(x[0], y[0])]))[0]
    assert rows["Cover"][1] == f"Class {want['Cover']}"
    assert float(rows["Heat"][2]) == pytest.approx(want["Heat"], rel=1e-6)
    assert rows["Heat"][3] == "°C"


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_a_layer_whose_file_is_gone_says_so_and_the_others_still_show(town, open_page, language):
    """Row 10."""
    town.layer_path("town", town.area("town").layer("heat")).unlink()
    app = open_page("data", layers="cover", lang=language, at=f"{HERE[0]},{HERE[1]}")
    assert app.metric
    broken = open_page("data", layers="heat", lang=language)
    assert broken.error
    assert broken.sidebar.button  # the way out: another layer


def test_a_layer_with_a_damaged_file_can_still_be_deleted(town, open_page):
    """Row 10."""
    path = town.layer_path("town", town.area("town").layer("heat"))
    path.write_bytes(path.read_bytes()[:300])
    app = open_page("data", layers="heat", layer="heat")
    assert "heat.tif" in text(app).replace("\\", "")
    app.button(key="zoom-heat").click().run()
    clean(app)
    sure(app).check().run()
    button(app, "Delete the layer").click().run()
    assert [layer.id for layer in town.area("town").layers] == ["cover"]
    clean(app)


def test_zoom_and_place_are_moves_that_the_map_is_told_once(town, open_page):
    app = open_page("data")
    only(app.number_input, "Latitude (°)").set_value(41.8633)
    only(app.number_input, "Longitude (°)").set_value(-87.6601)
    button(app, "Go to this place").click().run()
    assert clean(app).query_params["at"] == "41.863300,-87.660100"


def test_a_layer_is_renamed_and_its_legend_kept(town, open_page):
    app = open_page("data")
    only(app.text_input, "Name").set_value("<b>Roofs</b> & *more*")
    button(app, "Save").click().run()
    clean(app)
    layer = town.area("town").layer("cover")
    assert layer.title == "<b>Roofs</b> & *more*"
    assert [entry.name for entry in layer.legend] == [f"Class {code}" for code in range(1, 8)]


def test_saving_what_is_said_keeps_a_file_that_came_meanwhile(town, open_page, monkeypatch):
    app = open_page("data", layers="heat")
    change = Workspace.change_layer
    newer = prepare.About(layer_id="heat", title="Newer heat", kind="values", unit="K")

    def later(space, area_id, layer_id, said):
        prepare.add_array(
            space, area_id, checkers().astype("float32"), newer, transform=NORTH_UP,
            crs="EPSG:32616", origin={},
        )  # fmt: skip
        return change(space, area_id, layer_id, said)

    monkeypatch.setattr(Workspace, "change_layer", later)
    only(app.text_input, "Name").set_value("Warmth")
    button(app, "Save").click().run()
    assert any("somebody else" in error.value for error in clean(app).error)
    heat = town.area("town").layer("heat")
    assert (heat.title, heat.unit) == ("Newer heat", "K")
    prepare.verify(town, "town", "heat")


def test_what_is_said_may_change_in_two_places_and_the_later_one_wins(town, open_page, monkeypatch):
    app = open_page("data", layers="heat")
    change = Workspace.change_layer

    def later(space, area_id, layer_id, said):
        change(space, area_id, layer_id, lambda old: replace(old, colormap="magma"))
        return change(space, area_id, layer_id, said)

    monkeypatch.setattr(Workspace, "change_layer", later)
    only(app.text_input, "Name").set_value("Warmth")
    button(app, "Save").click().run()
    clean(app)
    heat = town.area("town").layer("heat")
    assert (heat.title, heat.colormap) == ("Warmth", "magma")


def test_a_wrong_row_of_the_legend_cannot_be_saved(town, open_page, monkeypatch):
    app = open_page("data", layers="cover")

    def twice(table, **_more):
        return pd.concat([table, table.iloc[:1]])

    monkeypatch.setattr(st, "data_editor", twice)
    app.run()
    assert any("comes twice" in error.value for error in clean(app).error)
    assert button(app, "Save").disabled


def test_a_layer_with_a_wrong_row_in_its_legend_is_not_brought_in(
    town, open_page, data_folder, monkeypatch
):
    app = chosen(open_page, data_folder, "use.tif", nodata=0)
    app.button_group(key=next(g.key for g in app.button_group if (g.key or "").startswith("kind-"))
                     ).set_value("classes").run()  # fmt: skip
    assert not button(app, "Bring in the layer").disabled
    monkeypatch.setattr(st, "data_editor", lambda table, **_more: table.assign(colour="red"))
    app.run()
    assert any("is no colour" in error.value for error in clean(app).error)
    assert button(app, "Bring in the layer").disabled


def test_the_tick_before_a_delete_does_not_carry_over_to_another_area(town, open_page):
    shutil.copytree(town.folder("town"), town.root / "areas" / "other")
    town.rename("other", "Other")
    app = open_page("data", area="town", layers="heat")
    sure(app).check().run()
    assert not button(app, "Delete the layer").disabled
    app.session_state["app_state"].view("other").shown = ["heat"]
    app.selectbox(key="area-chip").set_value("other").run()
    assert not sure(clean(app)).value
    assert button(app, "Delete the layer").disabled


def test_deleting_a_layer_asks_first(town, open_page):
    app = open_page("data", layers="heat")
    assert button(app, "Delete the layer").disabled
    sure(app).check().run()
    button(app, "Delete the layer").click().run()
    clean(app)
    assert [layer.id for layer in town.area("town").layers] == ["cover"]
    assert "Heat was deleted" in text(app)


def test_the_file_is_checked_against_its_digest_on_demand(town, open_page):
    """Row 11."""
    app = open_page("data")
    button(app, "Check the file against its digest").click().run()
    assert any("as it was written" in said.value for said in clean(app).success)
    path = town.layer_path("town", town.area("town").layer("cover"))
    body = bytearray(path.read_bytes())
    body[-30] ^= 0xFF
    path.write_bytes(body)
    button(app, "Check the file against its digest").click().run()
    assert "has changed since it was written" in clean(app).error[0].value


def chosen(open_page, data_folder, name, values=None, **profile):
    """Open the page with a file of the data folder chosen to be brought in."""
    write_tif(data_folder / name, checkers() if values is None else values, **profile)
    app = open_page("data")
    app.selectbox(key="path-layer-town").set_value(name).run()
    return clean(app)


def ended(space, app):
    """Wait for the job that the page has started, let the page take it over; return the page."""
    deadline = time.monotonic() + 60
    while any(job.state == "running" for job in jobs.jobs(space.root / "jobs")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return clean(app.run())


def test_a_file_of_the_data_folder_is_inspected_confirmed_and_brought_in(
    town, open_page, data_folder
):
    app = chosen(open_page, data_folder, "storeys.tif", nodata=0)
    assert "WGS 84 / UTM zone 16N" in text(app)
    only_form = [field for field in app.text_input if field.label == "Short name"]
    only_form[0].set_value("floors")
    button(app, "Bring in the layer").click().run()
    ended(town, app)
    layer = town.area("town").layer("floors")
    with rasterio.open(town.layer_path("town", layer)) as made:
        assert np.array_equal(made.read(1), checkers())
    assert layer_rows(app)[0] == layer.title
    assert "is on the map" in text(app)


def test_a_raster_without_a_crs_is_asked_for_it(town, open_page, data_folder):
    """Row 13."""
    app = chosen(open_page, data_folder, "plain.tif", crs=None)
    fields = [field for field in app.text_input if field.label == "Coordinate system"]
    button(app, "Bring in the layer").click().run()
    ended(town, app)
    assert "has no coordinate system" in app.error[0].value
    fields = [field for field in app.text_input if field.label == "Coordinate system"]
    fields[0].set_value("EPSG:32616")
    button(app, "Bring in the layer").click().run()
    ended(town, app)
    assert len(town.area("town").layers) == 3


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("Short name", "../x", "../x"),
        ("Name", "", "1 to 80"),
        ("Value of missing pixels", "many", "many"),
    ],
)
def test_a_wrong_entry_is_told_in_a_sentence_and_changes_nothing(
    town, open_page, data_folder, field, value, names
):
    app = chosen(open_page, data_folder, "a.tif")
    fields = [found for found in app.text_input if found.label == field]
    fields[0].set_value(value)
    button(app, "Bring in the layer").click().run()
    clean(app)
    if not app.error:
        ended(town, app)
    assert names in app.error[0].value
    assert len(town.area("town").layers) == 2


def test_a_file_that_is_no_raster_is_told_in_a_sentence(town, open_page, data_folder):
    (data_folder / "fake.tif").write_text('<VRTDataset rasterXSize="1" rasterYSize="1"/>')
    app = open_page("data")
    app.selectbox(key="path-layer-town").set_value("fake.tif").run()
    clean(app)
    assert "fake.tif" in app.error[0].value.replace("\\", "")


def test_a_legend_csv_names_and_colours_the_classes(town, open_page, data_folder):
    app = chosen(open_page, data_folder, "use.tif", nodata=0)
    app.button_group(key=next(g.key for g in app.button_group if (g.key or "").startswith("kind-"))
                     ).set_value("classes").run()  # fmt: skip
    only(app.selectbox, "Legend").set_value("csv").run()
    rows = "code,name,colour\n" + "".join(f"{c},Use {c},#00{c:02d}00\n" for c in range(1, 8))
    only(app.file_uploader, "Legend CSV").set_value(("l.csv", rows.encode(), "text/csv")).run()
    button(clean(app), "Bring in the layer").click().run()
    ended(town, app)
    added = town.area("town").layers[-1]
    assert [(e.code, e.name, e.colour) for e in added.legend] == [
        (c, f"Use {c}", f"#00{c:02d}00") for c in range(1, 8)
    ]


def test_a_broken_legend_csv_is_told_in_a_sentence(town, open_page, data_folder):
    app = chosen(open_page, data_folder, "use.tif", nodata=0)
    app.button_group(key=next(g.key for g in app.button_group if (g.key or "").startswith("kind-"))
                     ).set_value("classes").run()  # fmt: skip
    only(app.selectbox, "Legend").set_value("csv").run()
    only(app.file_uploader, "Legend CSV").set_value(("l.csv", b"\xff\xfe\x00", "text/csv")).run()
    assert clean(app).error


def test_the_switch_to_the_internet_is_there_only_where_the_server_allows_it(
    town, open_page, monkeypatch
):
    app = open_page("data")
    assert app.button_group(key="way-town")
    assert app.selectbox(key="base-map").value == ""
    monkeypatch.setenv("URBAN_PATTERN_OUTSIDE", "off")
    settings.cache_clear()
    app = open_page("data")
    assert not [group for group in app.button_group if group.key == "way-town"]
    assert not [box for box in app.selectbox if box.key == "base-map"]


def test_an_address_is_asked_for_only_after_the_switch(town, open_page):
    app = open_page("data")
    app.button_group(key="way-town").set_value("url").run()
    clean(app)
    assert app.text_input(key="url-town").disabled
    app.toggle(key="outside-town").set_value(True).run()
    assert not clean(app).text_input(key="url-town").disabled


def test_a_remote_raster_is_not_asked_for_what_would_be_dropped(
    town, open_page, data_folder, monkeypatch
):
    path = write_tif(
        data_folder / "far.tif", np.stack([checkers(), checkers()]), crs=None, nodata=None
    )
    for name in ("inspect", "guess", "preview"):
        read = getattr(raster_info, name)
        given = 1 if name == "guess" else 0

        def from_file(*args, outside, read=read, given=given, **more):
            return read(*(path if at == given else arg for at, arg in enumerate(args)), **more)

        monkeypatch.setattr(raster_info, name, from_file)
    app = open_page("data")
    app.button_group(key="way-town").set_value("url").run()
    app.toggle(key="outside-town").set_value(True).run()
    app.text_input(key="url-town").set_value("https://evil.example/far.tif").run()
    assert button(clean(app), "Bring in the layer")
    assert only(app.selectbox, "Band").disabled
    labels = [field.label for field in app.text_input]
    assert "Coordinate system" not in labels
    assert "Value of missing pixels" not in labels


def test_a_job_whose_layer_is_gone_again_says_so(town, open_page, monkeypatch):
    app = open_page("data")
    done = jobs.Job(
        id="x", work="add-layer", config={}, state="done", started=0.0,
        progress=jobs.Progress(1.0, ""),
        result={"area": "town", "layer": "gone"},
    )  # fmt: skip
    monkeypatch.setattr(jobs, "job", lambda *_args: done)
    app.session_state["app_state"].jobs["add-town"] = "x"
    clean(app.run())
    assert "has no layer" in text(app)
    assert layer_rows(app)


def test_the_session_holds_ids_and_small_values_only(town, open_page):
    """Row 25."""
    app = open_page("data", at=f"{HERE[0]},{HERE[1]}")
    state = app.session_state["app_state"]
    assert len(repr(state)) < 2000
    assert json.dumps(state.view("town").shown) == '["cover"]'
