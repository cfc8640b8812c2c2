"""Start: study areas as cards, one that is broken, making and deleting one."""

import shutil
import zipfile

import geopandas as gpd
import pytest
import shapely
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from core import cluster_steps, cozy_steps, quadrat_table, works
from core.default_area import is_left_out
from tests.core.valley import make_valley
from tests.pages.said import button, clean, only, text


def boundary_bytes(tmp_path, *, crs="EPSG:32616", named=True):
    """Return a zipped Shapefile of a rectangle; without .prj where its CRS is not named."""
    folder = tmp_path / "shape"
    folder.mkdir(exist_ok=True)
    box = shapely.box(445_000, 4_634_600, 445_500, 4_635_000)
    gpd.GeoDataFrame({"name": ["a"]}, geometry=[box], crs=crs).to_file(folder / "edge.shp")
    if not named:
        (folder / "edge.prj").unlink()
    with zipfile.ZipFile(tmp_path / "edge.zip", "w") as archive:
        for part in folder.iterdir():
            archive.write(part, part.name)
    return (tmp_path / "edge.zip").read_bytes()


def upload(app, content, name="edge.zip"):
    app.file_uploader(key="upload-boundary-0").set_value((name, content, "application/zip"))
    return clean(app.run())


def test_an_empty_workspace_offers_the_simulated_city_and_a_way_to_ones_own(open_page):
    app = open_page()
    assert button(app, "Make the simulated Chicago")
    assert "Boundary" in app.file_uploader[0].label


def test_an_area_is_a_card_with_its_size_and_its_number_of_layers(town, open_page):
    app = open_page()
    assert "**Town**" in text(app)
    assert "0.2 km² · 2 layers" in text(app)


def test_open_leads_to_the_areas_data(town, open_page):
    app = open_page()
    button(app, "Open").click().run()
    clean(app)
    assert "What do we have here?" in text(app)
    assert app.query_params["area"] == "town"


def test_a_broken_area_is_shown_with_its_reason_and_the_others_still_open(town, open_page):
    folder = town.root / "areas" / "broken"
    folder.mkdir()
    (folder / "area.json").write_text('{"kind": "half')
    app = open_page()
    (error,) = app.error
    assert "broken" in error.value
    assert "**Town**" in text(app)
    button(app, "Open").click().run()
    assert "What do we have here?" in text(clean(app))


def test_a_broken_area_can_be_deleted_but_is_asked_for_first(town, open_page):
    folder = town.root / "areas" / "broken"
    folder.mkdir()
    (folder / "area.json").write_text("{")
    app = open_page()
    assert app.button(key="delete-broken").disabled
    app.checkbox(key="sure-broken").check().run()
    app.button(key="delete-broken").click().run()
    clean(app)
    assert not folder.exists()
    assert town.area_ids() == ["town"]


def test_delete_asks_first(town, open_page):
    app = open_page()
    assert app.button(key="delete-town").disabled
    app.checkbox(key="sure-town").check().run()
    assert not app.button(key="delete-town").disabled
    assert town.area_ids() == ["town"]
    app.button(key="delete-town").click().run()
    clean(app)
    assert town.area_ids() == []
    assert "Town was deleted" in text(app)


def test_an_area_is_renamed_and_its_link_stays(town, open_page):
    app = open_page()
    app.text_input(key="title-town").set_value("Old *town* <b>")
    app.button(key="rename-town").click().run()
    clean(app)
    assert town.area("town").title == "Old *town* <b>"
    assert "Old \\*town\\* \\<b\\>" in text(app)


@pytest.mark.parametrize("title", ["", "   ", "a\x00b", "\u200b"])
def test_a_title_that_cannot_be_is_told_in_a_sentence(town, open_page, title):
    app = open_page()
    app.text_input(key="title-town").set_value(title)
    app.button(key="rename-town").click().run()
    clean(app)
    assert "A name needs 1 to 80" in app.error[0].value
    assert town.area("town").title == "Town"


def test_an_area_is_made_from_an_uploaded_file(space, open_page, tmp_path):
    app = upload(open_page(), boundary_bytes(tmp_path))
    assert r"EPSG\:32616 (WGS 84 / UTM zone 16N)" in text(app)
    only(app.text_input, "Name of the study area").set_value("Neue Stadt")
    button(app, "Create the study area").click().run()
    clean(app)
    (area,) = space.areas()
    assert (area.id, area.title, area.crs) == ("neue-stadt", "Neue Stadt", "EPSG:32616")
    assert "has no layers yet" in text(app)


def test_an_area_without_a_name_takes_the_one_that_is_suggested(space, open_page, tmp_path):
    app = upload(open_page(), boundary_bytes(tmp_path))
    name = only(app.text_input, "Name of the study area")
    assert name.value == ""
    assert name.placeholder
    button(app, "Create the study area").click().run()
    clean(app)
    assert [area.title for area in space.areas()] == [name.placeholder]


def test_an_upload_leaves_the_server_s_memory_and_can_be_turned_down(
    space, open_page, tmp_path, monkeypatch
):
    removed = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_file",
        lambda _self, session_id, file_id: removed.append(file_id),
    )  # fmt: skip
    app = upload(open_page(), boundary_bytes(tmp_path))
    assert len(removed) == 1
    assert app.file_uploader(key="upload-boundary-1").value is None
    assert button(app, "Create the study area")
    app.button(key="drop-boundary").click().run()
    assert not [b for b in clean(app).button if b.label == "Create the study area"]
    assert only(app.selectbox, "Or a file of the server's data folder").disabled


def test_a_missing_crs_is_asked_for_and_taken(space, open_page, tmp_path):
    """Row 13."""
    app = upload(open_page(), boundary_bytes(tmp_path, named=False))
    assert "coordinate system" in app.error[0].value
    assert not [b for b in app.button if b.label == "Create the study area"]
    only(app.text_input, "Coordinate system of the file").set_value("EPSG:32616").run()
    clean(app)
    assert not app.error
    button(app, "Create the study area").click().run()
    clean(app)
    assert space.areas()[0].crs == "EPSG:32616"


def test_an_unknown_crs_is_told_and_can_be_corrected(open_page, tmp_path):
    app = upload(open_page(), boundary_bytes(tmp_path, named=False))
    only(app.text_input, "Coordinate system of the file").set_value("EPSG:0").run()
    clean(app)
    assert r"EPSG\:0" in app.error[0].value
    only(app.text_input, "Coordinate system of the file").set_value("EPSG:32616").run()
    assert not clean(app).error


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"<xml/>"], ids=ascii)
def test_a_file_that_is_no_boundary_is_told_in_a_sentence(open_page, content):
    app = upload(open_page(), content)
    assert len(app.error) == 1
    assert "edge" in app.error[0].value
    assert not [b for b in app.button if b.label == "Create the study area"]


def test_a_boundary_of_the_servers_data_folder_can_be_chosen(space, open_page, data_folder):
    box = shapely.box(445_000, 4_634_600, 445_500, 4_635_000)
    gpd.GeoDataFrame(geometry=[box], crs=32616).to_crs(4326).to_file(data_folder / "b.geojson")
    app = open_page()
    app.selectbox(key="path-boundary").set_value("b.geojson").run()
    button(clean(app), "Create the study area").click().run()
    clean(app)
    assert space.areas()[0].title == "b"


def test_named_zones_make_an_area(space, open_page):
    app = open_page()
    app.button_group(key="new-area-way").set_value("zones").run()
    clean(app)
    only(app.multiselect, "Zones").set_value(["Loop", "Near South Side"]).run()
    button(clean(app), "Create the study area").click().run()
    clean(app)
    assert space.areas()[0].boundary_source
    assert space.area_ids() == ["loop-near-south-side"]


def test_a_second_area_of_the_same_name_gets_an_id_of_its_own(town, open_page, tmp_path):
    app = upload(open_page(), boundary_bytes(tmp_path))
    only(app.text_input, "Name of the study area").set_value("Town")
    button(app, "Create the study area").click().run()
    clean(app)
    assert town.area_ids() == ["town", "town-2"]


def test_degrees_for_metres_are_refused_in_a_sentence(space, open_page, tmp_path):
    """Row 13."""
    app = upload(open_page(), boundary_bytes(tmp_path))
    only(app.text_input, "Coordinate system in metres").set_value("EPSG:4326")
    button(app, "Create the study area").click().run()
    clean(app)
    assert "metres" in app.error[0].value
    assert space.areas() == []


def test_the_language_comes_from_the_address_and_can_be_changed(town, open_page):
    app = open_page(lang="zh_CN")
    assert app.selectbox(key="language-chip").value == "zh_CN"
    assert any("\u4e00" <= letter <= "\u9fff" for letter in text(app))
    app.selectbox(key="language-chip").set_value("en").run()
    assert clean(app).query_params["lang"] == "en"
    assert "Which city do we look at?" in text(app)


@pytest.mark.parametrize("address", [{"lang": "xx"}, {"area": "../x"}, {"area": "nowhere"}])
def test_an_address_that_names_nothing_does_no_harm(town, open_page, address):
    app = open_page(**address)
    assert "**Town**" in text(app)


def test_deleting_the_default_area_is_remembered(town, open_page):
    shutil.move(town.folder("town"), town.root / "areas" / "chicago-simulated")
    app = open_page()
    app.checkbox(key="sure-chicago-simulated").check().run()
    app.button(key="delete-chicago-simulated").click().run()
    clean(app)
    assert town.area_ids() == []
    assert is_left_out(town.root)


def test_the_job_of_the_default_area_analyses_what_it_made(space, monkeypatch):
    valley = make_valley(space.root)
    calls = []

    def made(workspace, area_id, **more):
        calls.append((workspace.root, area_id, more["seed"]))
        return workspace.area(area_id)

    monkeypatch.setattr("core.simulate.area.make_simulated_area", made)
    config = {"workspace": str(valley.root), "area": "valley", "seed": 3}
    told = []
    outcome = works.default_area(config, lambda share, _text: told.append(share), lambda: False)
    assert outcome == {"area": "valley"}
    assert calls == [(valley.root, "valley", 3)]
    assert told == sorted(told)
    area = valley.area("valley")
    quadrats = quadrat_table.Options()
    table = quadrat_table.quadrat_table(valley, area, quadrats)
    assert all(step.cached for step in table.steps[1:])
    options = cozy_steps.Options()
    assert cozy_steps.is_made(valley, area, table, options, quadrats)
    given = (valley, area, table, quadrats, cluster_steps.ClusterOptions())
    assert cluster_steps.find_clusters(*given)
    assert cluster_steps.find_stability(*given)
