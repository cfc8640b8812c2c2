"""Layers of a place, made of what a loopback server publishes in the shapes of the real ones."""

import shutil
import socket
import sys
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import Transformer

from core import jobs
from core.connectors import door, layers, recipes
from core.connectors.imagery import one_at_a_time
from core.connectors.layers import Wish, fetch_layers
from core.connectors.median import is_clear, median
from core.connectors.planning import plan_layers
from core.connectors.recipes import layer_recipes, recipe
from core.connectors.signing import Catalogue
from core.errors import BusyError, InputError, OutsideError, StoppedError, TooLargeError
from core.legends import IO_LULC
from core.prepare import About, add_raster, boundary_lonlat
from core.rendering import COLORMAPS
from tests.core.fetch_job import kill_after
from tests.core.raster_files import new_area, write_tif
from tests.core.stac_server import stac_server, write_cog

# The town: 400 m square, in 20 × 20 pixels of 20 m.
WEST, SOUTH, EAST, NORTH = 445_500, 4_634_400, 445_900, 4_634_800


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "_FIRST_WAIT_S", 0.01)
    (tmp_path / "files").mkdir()
    with stac_server(tmp_path / "files") as found:
        yield found


@pytest.fixture
def space(tmp_path):
    return new_area(tmp_path / "ws", bounds=(WEST, SOUTH, EAST, NORTH))


def fetch(server, space, *wishes, **more):
    wishes = [wish if isinstance(wish, Wish) else Wish(recipe=wish) for wish in wishes]
    catalogue = Catalogue(url=server.url, title="Loopback")
    return fetch_layers(space, "town", wishes, catalogue=catalogue, outside=True, **more)


def publish(server, collection, name, asset, values, *, date, west=WEST - 200, north=NORTH + 200,
            pixel=20, crs="EPSG:32616", nodata=None, others=(), **properties):  # fmt: skip
    """Put one raster into the catalogue, of 40 × 40 pixels around the town by default."""
    assets = {}
    for key, pixels in {asset: values, **dict(others)}.items():
        path = server.folder / f"{name}-{key}.tif"
        bounds = write_cog(path, pixels[None], west=west, north=north, pixel=pixel, crs=crs,
                           nodata=nodata if key == asset else None)  # fmt: skip
        assets[key] = path.name
    return server.add(collection, name, assets, bounds=bounds, date=date, properties=properties)


def read(space, layer):
    with rasterio.open(space.layer_path("town", layer)) as dataset:
        return dataset.read(1), dataset.transform, dataset.nodata


def squares(dtype="uint8", side=40):
    row, column = np.mgrid[:side, :side]
    return np.choose((row // 5 + column // 5) % 3, [2, 7, 11]).astype(dtype)


# --- class rasters and heights ------------------------------------------------------------------


def test_land_cover_comes_cut_to_the_town_with_legend_source_and_licence(server, space):
    values = squares()
    values[12, 12] = 0
    publish(server, "io-lulc-annual-v02", "16T-2022", "data", values, date="2022-01-01")
    publish(server, "io-lulc-annual-v02", "16T-2019", "data", values * 0 + 1, date="2019-01-01")
    done = fetch(server, space, "landcover")
    assert (done.made, done.missed) == (("landcover",), ())
    layer = done.area.layer("landcover")
    found, transform, nodata = read(space, layer)
    assert np.array_equal(found, values[10:30, 10:30])  # the newest, to the pixel
    assert transform == Affine(20, 0, WEST, 0, -20, NORTH)
    assert nodata == 0
    assert layer.summary.valid_share == pytest.approx(399 / 400)
    assert layer.legend == IO_LULC
    assert (layer.kind, layer.role, layer.season) == ("classes", "cause", None)
    source = layer.source
    assert source["licence"] == "CC BY 4.0"
    assert source["licence_told"].startswith("Public domain")
    assert source["catalogue"] == server.url
    assert source["collection"] == "io-lulc-annual-v02"
    assert [item["id"] for item in source["items"]] == ["16T-2022"]
    assert len(source["items"][0]["sha256"]) == 64
    assert not (space.root / "areas/town/fetched/landcover").exists()


def test_a_colour_table_of_the_file_does_no_harm(server, space):
    path = write_tif(server.folder / "map.tif", squares(), tiled=True, blockxsize=16, blockysize=16,
                     transform=Affine(20, 0, WEST - 200, 0, -20, NORTH + 200))  # fmt: skip
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {2: (1, 2, 3, 255), 7: (9, 9, 9, 255)})
    server.add("esa-worldcover", "m", {"map": "map.tif"}, bounds=(-88, 41, -87, 42),
               date="2021-01-01")  # fmt: skip
    done = fetch(server, space, "landcover-esa")
    assert done.missed == ()
    assert np.array_equal(read(space, done.area.layer("landcover-esa"))[0], squares()[10:30, 10:30])


def test_a_season_of_which_most_images_fail_is_tried_again_later(server, space):
    scenes(server)
    for kelvin in (300, 310):
        server.faults[f"LC08_{kelvin}-lwir11.tif"] = ["error", 10_000]
    (missed,) = fetch(server, space, Wish(recipe="lst-summer", years=(2024, 2024))).missed
    assert "status 503" in missed.message()
    server.faults.clear()
    assert fetch(server, space, Wish(recipe="lst-summer", years=(2024, 2024))).made


def test_the_years_that_are_named_are_taken_in_place_of_the_newest(server, space):
    for year in (2018, 2020, 2022):
        values = np.full((40, 40), year - 2016, "uint8")
        publish(server, "io-lulc-annual-v02", str(year), "data", values, date=f"{year}-01-01")
    done = fetch(server, space, Wish(recipe="landcover", years=(2018, 2020)))
    assert done.area.layer("landcover").summary.counts == ((4, 400),)


def test_files_that_meet_in_the_town_are_put_together_across_utm_zones(server, space):
    """The eastern half comes from a file in the neighbouring zone, by nearest pixels."""
    publish(server, "io-lulc-annual-v02", "west", "data", np.full((40, 20), 2, "uint8"),
            date="2022-01-01")  # fmt: skip
    x, y = Transformer.from_crs(32616, 32617, always_xy=True).transform(WEST + 100, NORTH + 200)
    publish(server, "io-lulc-annual-v02", "east", "data", np.full((45, 45), 7, "uint8"),
            date="2022-01-01", west=x, north=y, crs="EPSG:32617")  # fmt: skip
    done = fetch(server, space, "landcover")
    assert done.missed == ()
    layer = done.area.layer("landcover")
    assert dict(layer.summary.counts).keys() == {2, 7}
    assert layer.summary.valid_share > 0.95
    assert {item["id"] for item in layer.source["items"]} == {"west", "east"}


def test_heights_keep_their_numbers_and_the_finest_of_two_resolutions_is_taken(server, space):
    fine = np.arange(1600, dtype="float32").reshape(40, 40) / 7
    publish(server, "3dep-seamless", "fine", "data", fine, date="2020-01-01", nodata=-9999, gsd=10)
    publish(server, "3dep-seamless", "coarse", "data", fine + 1, date="2021-01-01", gsd=30)
    layer = fetch(server, space, "dem-us").area.layer("dem-us")
    assert np.array_equal(read(space, layer)[0], fine[10:30, 10:30])
    assert layer.unit == "m"


def test_a_hole_in_a_mosaic_is_no_layer(server, space):
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 20), "float32"), date="2015-01-01")
    publish(server, "cop-dem-glo-30", "b", "data", np.ones((40, 20), "float32"), date="2015-01-01",
            west=WEST + 200)  # fmt: skip
    server.faults["b-data.tif"] = ["error", 10_000]
    (missed,) = fetch(server, space, "dem").missed
    assert "status 503" in missed.message()
    assert not space.area("town").layers


# --- surface temperature ------------------------------------------------------------------------

CLEAR, CLOUD, SHADOW, CIRRUS, DILATED, FILL = 21824, 22280, 23888, 54596, 21826, 1


def scenes(server, year=2024):
    """Three summers' images of the town: 300 K, 310 K under clouds, 304 K."""
    shape = (40, 40)
    dn = {kelvin: round((kelvin - 149) / 0.00341802) for kelvin in (300, 304, 310)}
    for kelvin, quality, cloud in ((300, CLEAR, 5), (310, CLOUD, 30), (304, CLEAR, 10)):
        values = np.full(shape, dn[kelvin], "uint16")
        mask = np.full(shape, quality, "uint16")
        mask[10, 10] = CLOUD  # one pixel of the town is never clear
        values[11, 11] = 0  # and one has no reading
        publish(
            server, "landsat-c2-l2", f"LC08_{kelvin}", "lwir11", values,
            date=f"{year}-07-{cloud:02}", nodata=0, others={"qa_pixel": mask},
            **{"eo:cloud_cover": cloud},
        )  # fmt: skip


def test_surface_temperature_is_the_median_of_clear_pixels_in_degrees(server, space):
    scenes(server)
    done = fetch(server, space, Wish(recipe="lst-summer", years=(2024, 2024)))
    assert done.missed == ()
    layer = done.area.layer("lst-summer")
    found, transform, _ = read(space, layer)
    assert transform == Affine(20, 0, WEST, 0, -20, NORTH)
    assert np.isnan(found[0, 0])
    assert np.isnan(found[1, 1])
    rest = np.delete(found.ravel(), [0, 21])
    assert rest == pytest.approx(np.full(398, 302 - 273.15), abs=0.01)
    assert (layer.role, layer.season, layer.unit) == ("effect", "summer", "°C")
    steps = {step["step"]: step for step in layer.steps}
    assert steps["clear"]["bits"] == [0, 1, 2, 3, 4]
    assert steps["median"]["scenes"] == 3
    assert steps["median"]["pixels_without"] == 2
    assert steps["median"]["clear"]["LC08_310"] == 0.0
    assert steps["scale"] == {"step": "scale", "factor": 0.00341802, "offset": -124.15}
    assert layer.source["licence"] == "Public domain"


def test_a_season_of_other_months_or_years_is_not_taken(server, space):
    scenes(server)
    for wish in (
        Wish(recipe="lst-winter", years=(2024, 2024)),
        Wish(recipe="lst-summer", years=(2022, 2023)),
    ):
        (missed,) = fetch(server, space, wish).missed
        assert "nothing of landsat-c2-l2" in missed.message()


def test_an_image_without_a_thermal_band_is_passed_over_and_told_of(server, space):
    scenes(server)
    server.add("landsat-c2-l2", "LE07", {"lwir": "x.tif"}, bounds=(-88, 41, -87, 42),
               date="2024-07-01")  # fmt: skip
    done = fetch(server, space, Wish(recipe="lst-summer", years=(2024, 2024)))
    assert done.made == ("lst-summer",)
    told = [text.format(**values) for text, values in done.notes]
    assert told == ["LE07 has no file 'lwir11'."]


def test_a_broken_scene_does_not_lose_the_season(server, space):
    scenes(server)
    server.faults["LC08_304-qa_pixel.tif"] = ["error", 10_000]
    done = fetch(server, space, Wish(recipe="lst-summer", years=(2024, 2024)))
    found = read(space, done.area.layer("lst-summer"))[0]
    assert found[5, 5] == pytest.approx(300 - 273.15, abs=0.01)
    assert any("503" in text.format(**values) for text, values in done.notes)


@pytest.mark.parametrize(
    ("number", "clear"),
    [(CLEAR, True), (CLOUD, False), (SHADOW, False), (CIRRUS, False), (DILATED, False),
     (FILL, False), (21952, True), (30048, True)],
    ids=["clear", "cloud", "shadow", "cirrus", "dilated", "fill", "water", "snow"],
)  # fmt: skip
def test_quality_numbers_of_landsat_are_read_by_their_bits(number, clear):
    """Values as the Landsat 8-9 Collection 2 Level 2 product guide lists them."""
    bits = recipe("lst-summer").mask_bits
    assert is_clear(np.array([number], "uint16"), bits).tolist() == [clear]


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(-100, 100, width=32) | st.just(np.nan),
    )
)
def test_the_median_is_numpys(stack):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.nanmedian(stack, axis=0)
    np.testing.assert_allclose(median(stack), expected, atol=1e-12)


# --- night lights and building heights, by their addresses --------------------------------------


@pytest.fixture
def direct(server, monkeypatch):
    """Let the recipes with addresses of their own point to the loopback server."""
    moved = {
        "nightlights": f"{server.url}/files/npp_{{year}}{{month:02}}-{{days}}.tif",
        "height": f"{server.url}/files/R{{row}}_C{{column}}.zip",
    }
    monkeypatch.setattr(
        recipes,
        "RECIPES",
        tuple(replace(known, url=moved.get(known.id, known.url)) for known in recipes.RECIPES),
    )
    return server


def test_night_lights_are_the_median_of_the_months_that_are_published(direct, space):
    west, _, _, north = boundary_lonlat(space, "town").bounds
    for month, light in (("01-31", 4.0), ("02-28", 8.0), ("06-30", 100.0), ("12-31", -999.3)):
        values = np.full((1, 30, 30), light, "float32")
        values[0, 0, 0] = -1.5
        path = direct.folder / f"npp_2023{month}.tif"
        write_cog(path, values, west=west - 0.05, north=north + 0.05, pixel=0.00416667,
                  crs="EPSG:4326")  # fmt: skip
    done = fetch(direct, space, "nightlights")
    layer = done.area.layer("nightlights")
    found = read(space, layer)[0]
    assert found.size < 30 * 30
    assert (found == 8.0).all()
    assert (layer.unit, layer.role) == ("nW/cm²/sr", "effect")
    assert layer.source["licence"] == "CC BY 4.0"
    assert len(layer.source["items"]) == 4
    assert sum("is not published" in text for text, _ in done.notes) == 8


def test_building_heights_are_unpacked_from_the_square_of_the_place(direct, space, tmp_path):
    values = np.full((60, 60), 12.5, "float32")
    values[:30] = 255
    x, y = Transformer.from_crs(32616, "ESRI:54009", always_xy=True).transform(WEST, NORTH)
    tif = write_tif(tmp_path / "tile.tif", values, crs="ESRI:54009",
                    transform=Affine(100, 0, x - 3000, 0, -100, y + 2800))  # fmt: skip
    with zipfile.ZipFile(direct.folder / "R4_C11.zip", "w") as archive:
        archive.write(tif, "../../GHS_R4_C11.tif")  # a hostile name is never a path
        archive.writestr("readme.pdf", b"x")
    (missed,) = fetch(direct, space, "height").missed
    assert "points outside" in missed.message()
    with zipfile.ZipFile(direct.folder / "R4_C11.zip", "w") as archive:
        archive.write(tif, "GHS_R4_C11.tif")
    done = fetch(direct, space, "height")
    assert done.missed == ()
    layer = done.area.layer("height")
    found, _, nodata = read(space, layer)
    assert nodata == 255
    assert set(np.unique(found)) == {12.5, 255}
    assert layer.summary.maximum == 12.5
    assert layer.source["provider"].startswith("European Commission")


# --- the whole of it ----------------------------------------------------------------------------


def test_a_layer_that_is_there_is_not_fetched_again_unless_asked(server, space):
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    fetch(server, space, "dem")
    before = len(server.asked)
    done = fetch(server, space, "dem")
    assert (done.made, done.there) == ((), ("dem",))
    assert len(server.asked) == before
    assert fetch(server, space, Wish(recipe="dem", again=True)).made == ("dem",)


def own_layer(space):
    """Bring in a layer of the user's own under the recipe's short name; return it and its bytes."""
    path = write_tif(space.root / "own.tif", np.full((40, 40), 7.0, "float32"),
                     transform=Affine(20, 0, WEST - 200, 0, -20, NORTH + 200))  # fmt: skip
    add_raster(space, "town", path, About(layer_id="dem", title="My own", kind="values"))
    layer = space.area("town").layer("dem")
    return layer, space.layer_path("town", layer).read_bytes()


def is_untouched(space, own):
    layer, content = own
    now = space.area("town").layer("dem")
    return (now, space.layer_path("town", now).read_bytes()) == (layer, content)


def test_a_layer_of_the_users_own_keeps_its_name_and_every_byte(server, space):
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    own = own_layer(space)
    assert fetch(server, space, "dem").made == ("dem-fetched",)
    assert fetch(server, space, "dem").there == ("dem-fetched",)
    (planned,) = plan_layers(space, "town", [Wish(recipe="dem")])
    assert planned.is_there
    assert fetch(server, space, Wish(recipe="dem", again=True)).made == ("dem-fetched",)
    assert is_untouched(space, own)
    before = len(server.asked)
    with pytest.raises(InputError, match="another origin"):
        fetch(server, space, Wish(recipe="dem", layer_id="dem", again=True))
    assert len(server.asked) == before
    assert is_untouched(space, own)


def test_a_layer_brought_in_while_the_same_is_fetched_is_not_replaced(server, space):
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    own = []

    def bring_in(share, text, /, **values):
        if not own:
            own.append(own_layer(space))

    assert fetch(server, space, "dem", on_progress=bring_in).made == ("dem-fetched",)
    assert is_untouched(space, own[0])


def test_a_layer_brought_in_at_the_last_moment_is_not_replaced(server, space, monkeypatch):
    """The name was free when it was chosen; the area is looked at again under its lock."""
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    own = []

    add = layers.prepare.add_made

    def add_late(*given, **more):
        own.append(own_layer(space))
        return add(*given, **more)

    monkeypatch.setattr(layers.prepare, "add_made", add_late)
    (missed,) = fetch(server, space, "dem").missed
    assert "another origin" in missed.message()
    assert is_untouched(space, own[0])
    monkeypatch.setattr(layers.prepare, "add_made", add)
    before = len(server.files())
    assert fetch(server, space, "dem").made == ("dem-fetched",)
    assert len(server.files()) == before  # what had come was kept


def test_one_layer_that_fails_does_not_lose_the_others(server, space):
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    done = fetch(server, space, "landcover", "dem", "lst-winter")
    assert done.made == ("dem",)
    assert [missed.recipe for missed in done.missed] == ["landcover", "lst-winter"]
    assert "no collection 'io-lulc-annual-v02'" in done.missed[0].message()


def test_after_a_break_only_what_is_missing_is_fetched(server, space):
    for number in range(4):
        publish(server, "cop-dem-glo-30", f"t{number}", "data", np.ones((40, 10), "float32"),
                date="2015-01-01", west=WEST - 200 + 200 * number)  # fmt: skip

    def stop():
        return len(server.files("t")) > 2

    with pytest.raises(StoppedError):
        fetch(server, space, "dem", should_stop=stop)
    kept = list((space.root / "areas/town/fetched/dem").glob("*.tif"))
    assert kept
    done_before = {path.name.split(".")[0] for path in kept}
    before = len(server.asked)
    assert fetch(server, space, "dem").made == ("dem",)
    again = {one.path.split("/")[-1].split("-")[0] for one in server.asked[before:]}
    assert not again & done_before


def test_row_2_with_outside_access_off_nothing_is_asked(space, monkeypatch):
    """Row 2."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(OutsideError, match="switched off"):
        fetch_layers(space, "town", [Wish(recipe="dem")], outside=False)


def test_row_28_wishes_that_make_no_sense_are_refused_before_anything_is_asked(server, space):
    """Row 28."""
    for wishes, error in (
        ([Wish(recipe="nope")], InputError),
        ([Wish(recipe="dem"), Wish(recipe="dem")], InputError),
        ([Wish(recipe="dem", layer_id="../x")], InputError),
        ([Wish(recipe="dem", years=(9999, 10**9))], InputError),
    ):
        with pytest.raises(error):
            fetch(server, space, *wishes)
    large = new_area(space.root.parent / "large", bounds=(0, 3e6, 9e5, 5e6))
    with pytest.raises(TooLargeError, match="km²"):
        fetch(server, large, "dem")
    assert not server.asked


def test_row_18_a_second_fetch_waits_its_turn(server, space):
    """Row 18."""
    with one_at_a_time(space, "town"), pytest.raises(BusyError):
        fetch(server, space, "dem")


def test_row_20_a_full_disk_is_told_before_anything_is_written(server, space, monkeypatch):
    """Row 20."""
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10**6))
    (missed,) = fetch(server, space, "dem").missed
    assert "are free" in missed.message()


def test_the_job_makes_the_layer_and_says_what_it_does(server, space):
    publish(server, "cop-dem-glo-30", "a", "data", np.ones((40, 40), "float32"), date="2015-01-01")
    config = {
        "workspace": str(space.root), "area": "town", "catalogue": server.url, "outside": True,
        "wishes": [{"recipe": "dem"}, {"recipe": "landcover"}],
    }  # fmt: skip
    job_id = jobs.submit(space.root / "jobs", "fetch-layers", config)
    job = jobs.wait(space.root / "jobs", job_id, timeout_s=30)
    jobs._started.pop(job_id).wait()
    assert job.state == "done", job
    assert job.result["made"] == ["dem"]
    assert [row["recipe"] for row in job.result["missed"]] == ["landcover"]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 15))]
)
def test_row_18_a_layer_killed_at_a_random_moment_is_made_by_the_next_try(
    server, space, seed, monkeypatch
):
    """Row 18. Files that had come are not asked for again, and the area is whole all the time."""
    monkeypatch.setattr(
        jobs, "_command", lambda folder: [sys.executable, "-m", "tests.core.fetch_job", str(folder)]
    )
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (40, 40)).astype("float32")
    for name, half in {"west": values[:, :20], "east": values[:, 20:]}.items():
        publish(server, "cop-dem-glo-30", name, "data", half, date="2015-01-01", nodata=-9999,
                west=WEST - 200 + 400 * (name == "east"))  # fmt: skip
        server.faults[f"{name}-data.tif"] = ["slow", 10_000]
    config = {
        "workspace": str(space.root), "area": "town", "catalogue": server.url, "outside": True,
        "wishes": [{"recipe": "dem"}],
    }  # fmt: skip
    root = space.root / "jobs"
    kill_after(rng.uniform(1, 6000), root, jobs.submit(root, "fetch-layers", config), server)
    assert space.area("town").layers == () or space.area("town").layer("dem")
    done = {path.stem.split(".")[0] for path in space.root.glob("areas/town/fetched/dem/*.tif")}
    before = len(server.asked)
    job_id = jobs.submit(root, "fetch-layers", config)
    job = jobs.wait(root, job_id, timeout_s=30)
    jobs._started.pop(job_id).wait()
    assert job.state == "done", job
    assert {*job.result["made"], *job.result["there"]} == {"dem"}
    assert np.array_equal(read(space, space.area("town").layer("dem"))[0], values[10:30, 10:30])
    again = {one.path.split("/")[-1].split("-")[0] for one in server.asked[before:]}
    assert not again & done
    assert not (space.root / "areas/town/fetched/dem").exists()


def test_every_recipe_is_complete():
    for known in layer_recipes():
        assert known.licence
        assert known.homepage.startswith("https://")
        assert known.colormap in COLORMAPS
        assert bool(known.legend) == (known.kind == "classes")
        assert (known.role == "effect") == (known.season is not None or known.id == "nightlights")
    assert {recipe(name).id for name in recipes.USUAL} == set(recipes.USUAL)
    assert layers.Wish(recipe="dem").years is None
