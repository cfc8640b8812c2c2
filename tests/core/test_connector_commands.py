"""`imagery …` and `area fetch` on the command line, against the loopback server."""

import json

import numpy as np
import pytest

from core.__main__ import main
from core.commands.fetching import years_of
from core.connectors import recipes, shelf
from core.errors import InputError
from core.prepare import About, add_raster
from core.settings import settings
from tests.core.raster_files import new_area
from tests.core.stac_server import noise, stac_server, write_cog


@pytest.fixture
def server(tmp_path):
    (tmp_path / "files").mkdir()
    with stac_server(tmp_path / "files") as found:
        for year in (2019, 2021):
            path = found.folder / f"quad-{year}.tif"
            bounds = write_cog(path, noise(4, 300, 300, seed=year), west=445_000, north=4_635_000)
            found.add("naip", path.stem, {"image": path.name}, bounds=bounds,
                      date=f"{year}-08-01", properties={"gsd": 1.0})  # fmt: skip
        yield found


@pytest.fixture
def space(tmp_path):
    yield new_area(tmp_path / "ws", bounds=(445_100, 4_634_750, 445_250, 4_634_900))
    settings.cache_clear()


@pytest.fixture
def say(server, space, capsys, monkeypatch):
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(space.root))

    def call(*words):
        status = main([*words, "--workspace", str(space.root), "--catalogue", server.url])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def body(said):
    status, out, _ = said
    assert status == 0
    return json.loads(out)


def test_images_are_listed_with_their_year_overlap_and_newer_ones(say):
    status, out, _ = say("imagery", "search", "town", "--outside")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("2021-08-01 100.0%   1.00 m")
    assert lines[1].endswith("quad-2019  (newer: quad-2021)")
    found = body(say("imagery", "search", "town", "--outside", "--json"))
    assert found["kind"] == "imagery-search"
    assert [image["year"] for image in found["images"]] == [2021, 2019]
    assert found["images"][0]["footprint"]["type"] == "Polygon"


def test_the_newest_images_are_planned_fetched_and_listed(say, space):
    plan = body(say("imagery", "fetch", "town", "--outside", "--plan", "--json"))["plan"]
    assert (plan["num"], plan["num_there"]) == (1, 0)
    _, out, _ = say("imagery", "fetch", "town", "--outside", "--plan")
    assert "at 20 Mbit/s" in out
    done = body(say("imagery", "fetch", "town", "--outside", "--json"))
    assert len(done["outputs"]) == 1
    assert done["outputs"][0].endswith("imagery/naip/quad-2021.image.tif")
    assert main(["imagery", "list", "town", "--workspace", str(space.root)]) == 0


def test_older_images_come_when_they_are_named_or_all_are_wanted(say):
    named = body(say("imagery", "fetch", "town", "--ids", "quad-2019", "--outside", "--json"))
    assert named["outputs"][0].endswith("quad-2019.image.tif")
    assert (
        len(body(say("imagery", "fetch", "town", "--all", "--outside", "--json"))["outputs"]) == 2
    )
    status, _, err = say("imagery", "fetch", "town", "--ids", "nope", "--outside")
    assert (status, "no image 'nope'" in err) == (2, True)


def test_what_failed_is_fetched_again_alone(say, server, monkeypatch):
    monkeypatch.setattr("core.connectors.door._FIRST_WAIT_S", 0.01)
    server.faults["quad-2021.tif"] = ["error", 1000]
    status, out, _ = say("imagery", "fetch", "town", "--outside")
    assert status == 2
    assert "quad-2021: " in out
    assert "status 503" in out
    server.faults.clear()
    assert (
        len(body(say("imagery", "fetch", "town", "--failed", "--outside", "--json"))["outputs"])
        == 1
    )
    status, _, err = say("imagery", "fetch", "town", "--failed", "--outside")
    assert (status, "No image of town failed" in err) == (2, True)


def test_without_outside_nothing_is_asked_and_the_ways_that_work_are_named(say, server):
    for words in (
        ("imagery", "search", "town"),
        ("imagery", "fetch", "town"),
        ("area", "fetch", "town"),
    ):
        status, out, err = say(*words)
        assert (status, out) == (2, "")
        assert "switched off" in err
        assert "files of your own" in err
    assert not server.asked


def test_layers_are_fetched_by_their_names(say, server):
    values = np.full((1, 40, 40), 7, "uint8")
    bounds = write_cog(server.folder / "lc.tif", values, west=445_000, north=4_635_000, pixel=10)
    server.add("io-lulc-annual-v02", "16T", {"data": "lc.tif"}, bounds=bounds, date="2023-01-01")
    done = body(say("area", "fetch", "town", "--layers", "landcover,dem", "--outside", "--json"))
    assert done["made"] == ["landcover"]
    assert done["missed"][0].startswith("dem: ")
    (layer,) = done["layers"]
    assert layer["unknown_codes"] == []
    status, _, err = say("area", "fetch", "town", "--layers", "nope", "--outside")
    assert (status, "landcover, landcover-esa, dem" in err) == (2, True)


def test_a_fetch_by_command_leaves_a_layer_of_the_users_own_alone(say, server, space):
    values = np.full((1, 40, 40), 7, "uint8")
    bounds = write_cog(server.folder / "lc.tif", values, west=445_000, north=4_635_000, pixel=10)
    server.add("io-lulc-annual-v02", "16T", {"data": "lc.tif"}, bounds=bounds, date="2023-01-01")
    about = About(layer_id="landcover", title="My own", kind="classes")
    own = add_raster(space, "town", server.folder / "lc.tif", about).layer("landcover")
    content = space.layer_path("town", own).read_bytes()
    done = body(say("area", "fetch", "town", "--layers", "landcover", "--outside", "--json"))
    assert done["made"] == ["landcover-fetched"]
    assert space.area("town").layer("landcover") == own
    assert space.layer_path("town", own).read_bytes() == content


def test_layers_are_planned_without_asking_anything(say, server):
    plan = body(say("area", "fetch", "town", "--plan", "--json"))["plan"]
    assert [row["recipe"] for row in plan] == list(recipes.USUAL)
    rows = {row["recipe"]: row for row in plan}
    # 150 m square: 15 x 15 pixels of 10 m, one byte each; the rest is the header.
    assert 300_000 + 200 < rows["landcover"]["download_bytes"] < 300_000 + 280
    assert rows["lst-summer"]["num_files"] == 24
    assert rows["height"]["num_files"] in (1, 2)
    assert rows["nightlights"]["num_files"] == 12
    slow = body(say("area", "fetch", "town", "--plan", "--mbit", "2", "--json"))["plan"]
    assert all(one["seconds"] > other["seconds"] for one, other in zip(slow, plan, strict=True))
    status, out, _ = say("area", "fetch", "town", "--plan", "--layers", "dem")
    assert (status, "1 files, at most" in out) == (0, True)
    assert say("area", "fetch", "town", "--plan", "--mbit", "0")[0] == 2
    assert not server.asked


def test_an_image_can_become_a_layer_with_its_licence(say, space):
    say("imagery", "fetch", "town", "--outside")
    (image,) = shelf.fetched(space, "town")
    about = About(layer_id="nir", title="Near infrared", kind="values")
    layer = shelf.add_image(space, "town", image, about, band=4).layer("nir")
    assert layer.source["collection"] == "naip"
    assert layer.source["licence"].startswith("Public domain")
    assert layer.source["band"] == 4
    assert layer.summary.valid_share == 1.0


def test_years_are_read_from_text():
    assert years_of("2022-2024") == (2022, 2024)
    assert years_of("2023") == (2023, 2023)
    assert years_of(None) is None
    for text in ("", "last", "20222024", "2022-"):
        with pytest.raises(InputError, match="no years"):
            years_of(text)
