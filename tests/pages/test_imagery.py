"""Imagery and Fetch layers without a browser: what is said, offered and refused in each state."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from core import jobs, store
from core import settings as core_settings
from core.connectors import assets, kept, layers, planning
from core.connectors.access import Access
from core.connectors.items import Found, Refused
from core.connectors.search import Results
from core.connectors.shelf import Failure, failures, write_failures
from core.errors import OutsideError
from core.jobs import Job, Progress
from core.workspace import Workspace
from tests.core.raster_files import write_tif
from tests.pages.said import button, clean, failed_job, marked, only, tables, text
from ui import fetch_layers, outside

HOSTILE = "<img src=x onerror=alert(1)> *b* [l](https://x.invalid) `c`"


def image(name="a", year=2021, **more):
    west, south, east, north = -87.67, 41.85, -87.65, 41.87
    values = {
        "id": name, "collection": "naip", "asset": "image",
        "href": f"https://x.test/{year}.tif?sig=secret", "item_url": "", "date": f"{year}-08-15",
        "footprint": shapely.box(west, south, east, north), "overlap": 1.0, "resolution_m": 0.6,
        "num_bytes": 400_000_000, "bands": ("Red", "NIR"), "itemsize": 1, "cloud": None,
        "thumbnail": "", **more,
    }  # fmt: skip
    return Found(**values)


def keep(space, *found, refused=(), **more):
    """Keep the answer to a search that was never made."""
    values = {"licence": "Public domain", "title": "NAIP", "is_cut": False, **more}
    results = Results(found=found, refused=tuple(refused), **values)
    query = kept.Query(catalogue="https://x.test/stac", dates=("2019", ""))
    return kept.keep(space, "town", query, results)


@pytest.fixture
def forbidden(monkeypatch):
    monkeypatch.setenv("URBAN_PATTERN_OUTSIDE", "off")
    core_settings.settings.cache_clear()


def switch(app, where="imagery"):
    return app.toggle(key=f"outside-{where}")


def figures(app):
    return {metric.label: metric.value for metric in app.metric}


def test_without_an_area_the_page_leads_to_start(space, open_page):
    app = open_page("imagery")
    button(app, "Choose or make one").click().run()
    assert "Which city do we look at?" in text(clean(app))


def test_the_switch_is_off_at_first_and_a_link_cannot_turn_it_on(town, open_page):
    app = open_page("imagery", area="town", outside="1", search="x" * 5000)
    assert switch(app).value is False
    assert button(app, "Search").disabled
    assert "nothing is fetched before you choose" in text(app)
    assert "Nothing is asked of the internet while the switch is off." in text(app)
    switch(app).set_value(True).run()
    assert "Switch requests on" not in text(app)
    assert "Press Search on the left" in text(app)
    assert not button(clean(app), "Search").disabled
    assert jobs.jobs(town.root / "jobs") == []


def test_a_server_that_forbids_requests_has_no_switch_and_says_what_works(
    town, open_page, forbidden
):
    app = open_page("imagery", area="town")
    assert not app.toggle
    assert "This server does not allow requests to the internet." in text(app)
    assert "Cut chips from the simulated aerial imagery" in text(app)
    assert button(app, "Cut chips on the Chips page")
    assert button(app, "Search").disabled
    app.switch_page("pages/data.py").run()
    assert not clean(app).toggle
    assert "Take the simulated city, which needs no internet." in text(app)


def test_a_search_that_was_kept_is_shown_without_asking_anybody(town, open_page):
    search_id = keep(town, image("new"), image("old", 2019, newer="new"))
    app = open_page("imagery", area="town")
    assert figures(app)["Images found"] == "2"
    assert figures(app)["Chosen"] == "1"  # the newest covers the town
    assert figures(app)["Area covered by the chosen"] == "100 %"
    assert app.query_params["search"] == search_id
    (rows,) = tables(app)
    assert [row[1] for row in rows] == ["2021-08-15", "2019-08-15"]
    assert [row[5] for row in rows] == ["newest of 2", "older: the newest is of 2021-08-15"]
    assert "x.test · NAIP · Public domain · 2019 – …, asked on" in text(app).replace("\\", "")
    assert "Download: about" in text(app).replace("\\", "")
    assert button(app, "Fetch the chosen (1)").disabled  # the switch is off
    for label, chosen in (("All", "2"), ("None", "0"), ("Newest", "1"), ("Suggested", "1")):
        button(app, label).click().run()
        assert figures(clean(app))["Chosen"] == chosen


def test_a_full_search_costs_no_look_at_the_disk_for_each_of_its_images(
    town, open_page, monkeypatch
):
    keep(town, *(image(f"a{number}") for number in range(500)))
    app = open_page("imagery", area="town")
    button(app, "All").click().run()
    looks, folder = [], Workspace.folder

    def counted(space, area_id):
        looks.append(area_id)
        return folder(space, area_id)

    monkeypatch.setattr(Workspace, "folder", counted)
    app.run()
    assert figures(clean(app))["Chosen"] == "500"
    assert len(looks) < 50


def test_one_image_is_looked_at_and_the_address_names_it(town, open_page):
    keep(town, image("new"), image("old", 2019, newer="new"))
    app = open_page("imagery", area="town", image="old.image")
    assert only(app.selectbox, "Image to look at").value == "old.image"
    assert "Pixel: **0.6 m**" in text(app)
    assert [block.value for block in app.code] == ["https://x.test/2019.tif"]  # no signature
    only(app.selectbox, "Image to look at").select("new.image").run()
    assert clean(app).query_params["image"] == "new.image"


def test_a_search_without_images_and_one_that_was_cut_say_so(town, open_page):
    keep(town)
    app = open_page("imagery", area="town")
    assert "There are no images of naip of this study area in this time." in text(app)
    keep(town, image(), is_cut=True)
    app = open_page("imagery", area="town")
    assert "The catalogue has more: narrow the search by dates." in text(app)


def test_row_8_hostile_names_are_escaped_wherever_they_are_read_as_markup(town, open_page):
    """row 8."""
    refused = Refused(HOSTILE, "{id} has no date.", {"id": HOSTILE})
    named = image(HOSTILE, bands=(HOSTILE,))
    keep(town, named, refused=[refused], licence=HOSTILE, title=HOSTILE)
    failure = Failure(image=named, catalogue="https://x.test/stac", licence="", hint="",
                      problem="{name} is gone.", values={"name": HOSTILE}, when=0.0)  # fmt: skip
    write_failures(town, "town", [], [failure])
    app = open_page("imagery", area="town", image=named.key)
    assert not [said for said in marked(app) if "<img" in said.replace("\\<", "")]
    assert not [said for said in marked(app) if "[l](" in said]


def test_a_catalogue_that_does_not_answer_is_told_where_it_was_asked_and_leads_to_chips(
    town, open_page, monkeypatch
):
    gone = OutsideError("The host {host} is not known.", host="planetarycomputer.microsoft.com")
    monkeypatch.setattr(outside, "access", lambda *given, **more: Access(gone))
    app = open_page("imagery", area="town")
    switch(app).set_value(True).run()
    button(app, "Search").click().run()
    assert "is not known" in text(clean(app))
    assert "searched for yet" not in text(app)
    assert "Press Search" not in text(app)
    app.switch_page("pages/data.py").run()
    assert "is not known" not in text(clean(app))
    assert "What works without the internet" not in text(app)
    button(app, "Fetch the chosen layers (6)").click().run()
    assert "is not known" in text(app)
    assert "Take the simulated city, which needs no internet." in text(app)
    app.switch_page("pages/imagery.py").run()
    button(app, "Cut chips on the Chips page").click().run()
    assert "Chips" in text(clean(app))


def test_names_of_catalogues_fit_into_their_column(town, open_page):
    app = open_page("imagery", area="town")
    box = only(app.selectbox, "Catalogue")
    assert box.options == ["Planetary Computer", "Earth Search", "Another STAC API"]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [("soon", "", "is no date"), ("2023", "2019", "before it begins")],
)
def test_dates_that_are_none_are_one_sentence_and_nothing_starts(
    town, open_page, first, last, said
):
    app = open_page("imagery", area="town")
    switch(app).set_value(True).run()
    only(app.text_input, "From").set_value(first)
    only(app.text_input, "To").set_value(last)
    button(app, "Search").click().run()
    assert any(said in error.value for error in clean(app).error)
    assert jobs.jobs(town.root / "jobs") == []


def test_an_error_goes_when_something_else_is_tried_and_locks_no_button(town, open_page):
    app = open_page("imagery", area="town")
    state = app.session_state["app_state"]
    state.jobs["search-town"] = failed_job(town, "search-imagery", "The catalogue was away.")
    switch(app).set_value(True).run()
    state.no_access["imagery"] = OutsideError("Nobody answers.")
    clean(app.run())
    assert "The catalogue was away." in text(app) and "Nobody answers." in text(app)
    assert not button(app, "Search").disabled
    only(app.text_input, "From").set_value("soon")
    button(app, "Search").click().run()
    assert "'soon' is no date" in text(clean(app))
    assert "The catalogue was away." not in text(app) and "Nobody answers." not in text(app)


def test_a_failure_that_will_never_come_can_be_dismissed(town, open_page):
    failure = Failure(image=image(), catalogue="https://x.test/stac", licence="", hint="",
                      problem="{id} is gone.", values={"id": "a"}, when=0.0)  # fmt: skip
    write_failures(town, "town", [], [failure])
    app = open_page("imagery", area="town")
    assert "Could not be fetched: 1." in text(app)
    button(app, "Dismiss").click().run()
    assert "Could not be fetched" not in text(clean(app))
    assert failures(town, "town") == ()


def test_a_second_image_of_one_day_can_become_a_layer(town, open_page, monkeypatch):
    """Its name holds a dot, which no short name may."""
    asked = []
    monkeypatch.setattr(jobs, "submit", lambda *given: asked.append(given) or "none")
    path = town.folder("town") / "imagery" / "naip" / "m_41_20210815.image.tif"
    path.parent.mkdir(parents=True)
    write_tif(path, np.ones((4, 30, 30), "uint8"))
    facts = {"crs": "EPSG:32616", "width": 30, "height": 30, "bands": 4, "dtype": "uint8",
             "pixel": [10, 10], "bounds": [0, 0, 1, 1], "cover": 1.0}  # fmt: skip
    body = {"digest": "", "bytes": path.stat().st_size, "received": 0, "mode": "whole",
            "facts": facts, "title": "m_41", "source": {"date": "2021-08-15"}}  # fmt: skip
    store.write_json(path.with_suffix(".json"), body, kind=assets.KIND, version=assets.VERSION)
    taken = town.area("town").layers[0]
    town.put_layer("town", replace(taken, id="2021-08-15-b4", file="", url="https://x.test"), None)
    app = open_page("imagery", area="town")
    button(app, "Make the layer").click().run()
    ((_root, work, config),) = asked
    assert not clean(app).error
    assert (work, config["layer_id"]) == ("image-layer", "m-41-20210815-image-b4")
    assert config["replaces"] == ""


# --- layers -------------------------------------------------------------------------------------


def test_every_layer_is_offered_with_source_licence_pixel_and_size(town, open_page):
    app = open_page("data", area="town")
    said = text(app).replace("\\", "")
    for part in ("Esri, Impact Observatory · pixel 10 m", "CC BY 4.0", "values in °C",
                 "World Bank, NOAA", "at most", "files: 24"):  # fmt: skip
        assert part in said, part
    offered = {box.label: box.value for box in app.checkbox if (box.key or "").startswith("fetch-")}
    assert len(offered) == 11
    assert sum(offered.values()) == 6  # what an analysis needs
    assert button(app, "Fetch the chosen layers (6)").disabled
    switch(app, "layers").set_value(True).run()
    assert not button(clean(app), "Fetch the chosen layers (6)").disabled
    only(app.checkbox, "Night lights").uncheck().run()
    assert button(app, "Fetch the chosen layers (5)")
    assert jobs.jobs(town.root / "jobs") == []


def test_what_layers_would_take_is_reckoned_again_only_when_something_changed(
    town, open_page, monkeypatch
):
    reckoned = []
    plan = planning.plan_layers
    monkeypatch.setattr(
        planning,
        "plan_layers",
        lambda *given, **more: reckoned.append(more) or plan(*given, **more),
    )
    app = open_page("data", area="town")
    app.run()
    assert len(reckoned) == 1
    only(app.number_input, "Speed of the connection (Mbit/s)").set_value(2.0).run()
    assert [more["mbit_s"] for more in reckoned] == [20.0, 2.0]
    town.remove_layer("town", "heat")
    clean(app.run())
    assert len(reckoned) == 3


def test_the_short_name_of_a_layer_is_left_to_the_fetch(town, open_page, monkeypatch):
    """By then another layer may have it."""
    asked = []
    monkeypatch.setattr(fetch_layers, "is_reachable", lambda *given: True)
    monkeypatch.setattr(jobs, "submit", lambda *given: asked.append(given) or "none")
    app = open_page("data", area="town")
    switch(app, "layers").set_value(True).run()
    button(app, "Fetch the chosen layers (6)").click().run()
    ((_root, work, config),) = asked
    assert work == "fetch-layers"
    assert {wish["layer_id"] for wish in config["wishes"]} == {""}


def test_an_area_without_layers_offers_to_fetch_them(town, open_page):
    for layer in ("cover", "heat"):
        town.remove_layer("town", layer)
    app = open_page("data", area="town")
    assert button(app, "Fetch the chosen layers (6)").disabled


def test_what_the_last_fetch_missed_is_told_until_it_is_dismissed(town, open_page, monkeypatch):
    missed = layers.Missed(recipe="dem", problem="{url} does not answer.", hint="",
                           values={"url": "https://x.test"})  # fmt: skip
    row = {"recipe": "dem", "problem": missed.problem, "hint": "", "values": missed.values}
    gone = {**row, "recipe": "landcover"}
    ended = Job(
        id="20260101t000000000-fetch-layers-abc123", work="fetch-layers", state="done",
        config={"area": "town", "wishes": [], "catalogue": "https://x.test"}, started=0.0,
        progress=Progress(1.0, ""), result={"missed": [row, gone]},
    )  # fmt: skip
    real = jobs.jobs
    monkeypatch.setattr(
        jobs, "jobs", lambda root, work="*": [ended] if work == "fetch-layers" else real(root, work)
    )
    app = open_page("data", area="town")
    assert "Layers that could not be made: 2. The others are there." in text(app)
    assert "does not answer" in text(app)
    assert button(app, "Try the missed ones again").disabled  # the switch is off
    button(app, "Dismiss").click().run()
    assert "could not be made" not in text(clean(app))
