"""Searching a STAC API over real HTTP, on a loopback port: what comes, and what is read of it."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from core import store
from core.connectors import items
from core.connectors.door import Door
from core.connectors.recipes import recipe
from core.connectors.search import checked_dates
from core.connectors.seasons import best_scenes, checked_years, periods, tile_urls
from core.connectors.signing import PLANETARY_COMPUTER, Link, Signer
from core.errors import InputError, OutsideError
from tests.core.quads import TOWN, WEST, add_quad, add_quads, catalogue, find, names
from tests.core.stac_server import stac_server


@pytest.fixture
def server(tmp_path):
    with stac_server(tmp_path) as found:
        yield found


@pytest.fixture
def quads(server):
    return add_quads(server)


def test_images_come_sorted_by_overlap_then_newest(quads):
    results = find(quads)
    assert names(results) == ["east-2021", "west-2021", "west-2017", "corner-2019"]
    assert [image.overlap for image in results.found] == pytest.approx([0.5, 0.5, 0.5, 0.01])
    assert [image.year for image in results.found] == [2021, 2021, 2017, 2019]
    assert results.found[0].resolution_m == 0.6
    assert not results.is_cut


def test_older_images_of_a_place_are_marked_with_the_newest(quads):
    newer = {image.id: image.newer for image in find(quads).found}
    assert newer == {"west-2021": "", "west-2017": "west-2021", "east-2021": "", "corner-2019": ""}


def test_the_suggestion_is_the_newest_of_each_place_until_all_is_covered(quads):
    chosen = items.suggested(find(quads).found, TOWN)
    assert {image.id for image in chosen} == {"west-2021", "east-2021"}


@pytest.mark.parametrize("is_posted", [True, False], ids=["posted", "in the address"])
def test_every_page_is_read_in_either_way_of_asking(server, is_posted):
    server.posts = is_posted
    for number in range(7):
        add_quad(server, f"quad-{number}", WEST, 2010 + number)
    assert len(find(server).found) == 7
    methods = [one.method for one in server.asked if one.path == "/search"]
    assert methods == ["POST" if is_posted else "GET"] * 4


def test_a_search_can_be_narrowed_to_dates(quads):
    assert names(find(quads, dates=("2018", "2020"))) == ["corner-2019"]
    assert names(find(quads, dates=("", "2017-08-15"))) == ["west-2017"]


def test_the_licence_of_the_collection_is_told(quads):
    results = find(quads)
    assert results.licence == f"Public domain, {quads.url}/licence"
    assert results.title == "Title of naip"


def test_the_preview_of_an_image_is_its_thumbnail(server):
    picture = {"href": f"{server.url}/files/small.jpg", "type": "image/jpeg"}
    image = {"href": f"{server.url}/files/a.tif", "type": "image/tiff"}
    server.add("naip", "a", {"image": image, "thumbnail": picture}, bounds=WEST, date="2020-01-01")
    server.add("naip", "b", {"image": image}, bounds=WEST, date="2019-01-01")
    assert [image.thumbnail for image in find(server).found] == [picture["href"], ""]


def test_a_search_stops_at_the_number_that_is_asked_for_and_says_so(quads):
    results = find(quads, most=2)
    assert len(results.found) == 2
    assert results.is_cut


@pytest.mark.parametrize(
    "dates", [("2020", "2019"), ("yesterday", ""), ("2020-13x", ""), ("2020/2021", "")]
)
def test_dates_that_are_none_are_refused_before_anything_is_asked(server, dates):
    with pytest.raises(InputError):
        find(server, dates=dates)
    assert not server.asked


def test_a_date_in_the_same_year_is_in_order():
    assert checked_dates(("2020-06", "2020")) == "2020-06/2020"
    assert checked_dates(("", "")) is None


def test_an_unknown_collection_is_named(quads):
    with pytest.raises(InputError, match="no collection 'nope'"):
        find(quads, collection="nope")


@pytest.mark.parametrize("name", ["../items", "a b", "", "naip?x=1", "x" * 200])
def test_a_collections_name_is_checked_before_it_is_asked_for(quads, name):
    """Row 4."""
    with pytest.raises(InputError, match="no name of a collection"):
        find(quads, collection=name)


def test_an_image_survives_the_way_through_json(quads):
    for image in find(quads).found:
        assert items.from_row(json.loads(json.dumps(items.to_row(image)))) == image
    with pytest.raises(InputError, match="damaged"):
        items.from_row({"id": 3})


DAMAGED = {
    "a figure without an area": {
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]}
    },
    "no id": {"id": None},
    "a long id": {"id": "x" * 10_000},
    "no assets": {"assets": None},
    "assets that are a list": {"assets": [1]},
    "an asset that is a text": {"assets": {"image": "x.tif"}},
    "no geometry": {"geometry": None},
    "a point": {"geometry": {"type": "Point", "coordinates": [0, 0]}},
    "coordinates in metres": {
        "geometry": {"type": "Polygon", "coordinates": [[[4e5, 4e6], [5e5, 4e6], [5e5, 5e6]]]}
    },
    "coordinates that are texts": {"geometry": {"type": "Polygon", "coordinates": [["a"]]}},
    "no properties": {"properties": None},
    "no date": {"properties": {"datetime": "soon"}},
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_entry_is_passed_over_with_its_reason(quads, change):
    add_quad(quads, "bad", WEST, 2022).update(change)
    results = find(quads)
    assert len(results.found) == 4
    assert len(results.refused) == 1


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "collection", "assets", "image", "href", "geometry", "type",
                         "coordinates", "properties", "datetime", "links", "rel", "gsd"]),
        inner, max_size=6),
    max_leaves=12,
))  # fmt: skip
def test_any_json_is_an_image_or_an_input_error(body):
    with suppress(InputError, OutsideError):
        items.read_item(body, TOWN, asset="", base="http://127.0.0.1/", check=str)


def test_row_4_two_images_never_share_a_name():
    """Row 4."""
    pairs = [("a-b", "c"), ("a", "b-c"), ("a.b", "c"), ("a", "b.c"), ("A", "b"), ("a", "b"),
             ("con", "x"), ("a", "")]  # fmt: skip
    keys = {replace(scene("x", 1, None), id=one, asset=two).key for one, two in pairs}
    assert len(keys) == len(pairs)
    assert not any(store.is_device(key) for key in keys)


@given(st.text(max_size=300), st.text(max_size=300))
def test_row_4_any_id_becomes_a_harmless_name_of_its_own(one, other):
    """Row 4."""
    for text in (one, other):
        name = items.harmless(text)
        assert name
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        assert len(name) < 80
    assert (items.harmless(one) == items.harmless(other)) == (one == other)


# --- signed links -------------------------------------------------------------------------------


def signed(server):
    return catalogue(server, token_url=f"{server.url}/token", signed_hosts=("127.0.0.1",))


def test_links_get_a_token_that_is_asked_for_once_for_each_container(server):
    with Door(server.url, outside=True) as door:
        signer = Signer(signed(server), door)
        for name in ("a", "b"):
            href = f"{server.url}/files/{name}.tif"
            assert signer.sign(href) == f"{href}?sig=1"
        assert signer.sign("https://example.org/x/y.tif") == "https://example.org/x/y.tif"
    assert [one.path for one in server.asked] == ["/token/127/files"]


def test_a_token_that_is_not_accepted_is_asked_for_again(server):
    with Door(server.url, outside=True) as door:
        link = Link(f"{server.url}/files/a.tif", Signer(signed(server), door))
        assert link.url().endswith("sig=1")
        server.signature = 2
        assert link.renew()
        assert link.url().endswith("sig=2")


def test_only_links_into_blob_storage_of_the_planetary_computer_are_signed():
    signer = Signer(PLANETARY_COMPUTER, None)
    assert signer._container("https://naipeuwest.blob.core.windows.net/naip/v002/x.tif") == (
        "naipeuwest/naip"
    )
    for href in (
        "https://evil.example/blob.core.windows.net/naip/x.tif",
        "https://naipeuwest.blob.core.windows.net/naip/x.tif?sig=1",
        "https://naipeuwest.blob.core.windows.net/",
        "https://blob.core.windows.net.evil.example/naip/x.tif",
    ):
        assert signer._container(href) is None


# --- seasons and squares ------------------------------------------------------------------------


def test_seasons_are_those_of_the_hemisphere():
    years = range(2022, 2024)
    summer, winter = [("2022-06", "2022-08"), ("2023-06", "2023-08")], [
        ("2021-12", "2022-02"), ("2022-12", "2023-02"),
    ]  # fmt: skip
    assert periods("summer", years, latitude=42) == summer
    assert periods("winter", years, latitude=42) == winter
    assert periods("summer", years, latitude=-34) == winter
    assert periods("winter", years, latitude=-34) == summer


def test_the_last_three_whole_years_are_the_default():
    today = datetime(2026, 11, 21, tzinfo=UTC)
    assert list(checked_years(None, today=today)) == [2023, 2024, 2025]


@pytest.mark.parametrize("years", [(2025, 2024), (1900, 1950), (1990, 2020), (2020, 9999)])
def test_row_28_years_that_cannot_be_are_refused(years):
    """Row 28."""
    with pytest.raises(InputError):
        checked_years(years)


def scene(name, overlap, cloud, date="2020-06-01"):
    return items.Found(
        id=name, collection="c", asset="a", href="", item_url="", date=date, footprint=TOWN,
        overlap=overlap, resolution_m=30, num_bytes=None, bands=("1",), itemsize=2, cloud=cloud,
        thumbnail="",
    )  # fmt: skip


def test_the_clearest_scenes_that_show_most_are_chosen():
    scenes = [scene("a", 1.0, 0.6), scene("b", 0.9, 0.1), scene("c", 1.0, 0.9), scene("d", 0.01, 0)]
    assert [image.id for image in best_scenes(scenes, 5)] == ["b", "a"]


def test_without_word_of_clouds_scenes_are_spread_over_the_time():
    scenes = [scene(f"{day:02}", 1.0, None, f"2020-06-{day:02}") for day in range(1, 31)]
    chosen = [image.id for image in best_scenes(scenes, 4)]
    assert chosen == ["01", "11", "20", "30"]


def test_the_squares_of_building_heights_are_those_that_hold_the_place():
    """Changsha lies in R6_C29, whose columns run from 9,959 to 10,959 km in Mollweide."""
    changsha = shapely.box(112.8, 28.0, 113.2, 28.4)
    assert [name for name, _ in tile_urls(recipe("height"), changsha)] == ["r6-c29"]
    chicago = shapely.box(-87.94, 41.64, -87.52, 42.03)
    # Chicago lies across the edge of two, at 5,020 km.
    assert [name for name, _ in tile_urls(recipe("height"), chicago)] == ["r4-c11", "r5-c11"]


# --- the shapes of real answers -----------------------------------------------------------------

NAIP = {
    "id": "il_m_4108760_nw_16_060_20210902",
    "type": "Feature",
    "collection": "naip",
    "stac_version": "1.1.0",
    "stac_extensions": ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"],
    "bbox": [-87.6906, 41.8717, -87.6219, 41.9408],
    "geometry": {"type": "Polygon", "coordinates": [[
        [-87.6219, 41.8722], [-87.6224, 41.9408], [-87.6906, 41.9403], [-87.69, 41.8717],
        [-87.6219, 41.8722]]]},
    "properties": {"gsd": 0.6, "datetime": "2021-09-02T16:00:00Z", "naip:year": "2021",
                   "naip:state": "il", "proj:shape": [12680, 9530], "proj:code": "EPSG:26916"},
    "links": [{"rel": "self", "href": "http://127.0.0.1/collections/naip/items/il_m"}],
    "assets": {
        "image": {
            "href": "http://127.0.0.1/naip/v002/il/2021/il_060cm_2021/m_4108760_nw.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "eo:bands": [{"name": "Red"}, {"name": "Green"}, {"name": "Blue"}, {"name": "NIR"}],
            "roles": ["data"]},
        "thumbnail": {"href": "http://127.0.0.1/naip/v002/m_4108760_nw.200.jpg",
                      "type": "image/jpeg", "roles": ["thumbnail"]},
        "tilejson": {"href": "http://127.0.0.1/data/tilejson.json", "type": "application/json"},
        "rendered_preview": {"href": "http://127.0.0.1/data/preview.png?item=il_m&assets=image",
                             "type": "image/png", "roles": ["overview"]},
    },
}  # fmt: skip


LANDSAT = {
    **NAIP,
    "id": "LC08_L2SP_023031_20240716_02_T1",
    "collection": "landsat-c2-l2",
    "properties": {"datetime": "2024-07-16T16:34:56.123456Z", "gsd": 30, "eo:cloud_cover": 3.21,
                   "platform": "landsat-8", "landsat:collection_category": "T1"},
    "assets": {
        "lwir11": {
            "href": "http://127.0.0.1/landsat-c2/LC08_ST_B10.TIF",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized", "gsd": 100.0,
            "raster:bands": [{"unit": "kelvin", "scale": 0.00341802, "nodata": 0, "offset": 149.0,
                              "data_type": "uint16", "spatial_resolution": 30}]},
        "qa_pixel": {"href": "http://127.0.0.1/landsat-c2/LC08_QA_PIXEL.TIF",
                     "raster:bands": [{"nodata": 1, "data_type": "uint16"}]},
    },
}  # fmt: skip


def read(item, **more):
    more.setdefault("asset", "")
    return items.read_item(item, TOWN, base="http://127.0.0.1/", check=str, **more)


def test_an_aerial_image_of_the_planetary_computer_is_understood():
    image = read(NAIP)
    assert (image.asset, image.date, image.year) == ("image", "2021-09-02", 2021)
    assert (image.resolution_m, image.itemsize) == (0.6, 1)
    assert image.bands == ("Red", "Green", "Blue", "NIR")
    assert image.thumbnail.endswith("preview.png?item=il_m&assets=image")
    assert image.key == "il_m_4108760_nw_16_060_20210902.image"
    assert 0.19 < image.overlap < 0.2


def test_a_landsat_scene_of_the_planetary_computer_is_understood():
    image = read(LANDSAT, asset="lwir11", also="qa_pixel")
    assert (image.resolution_m, image.itemsize, image.cloud) == (30, 2, pytest.approx(0.0321))
    assert image.other("qa_pixel").href.endswith("LC08_QA_PIXEL.TIF")


def test_a_year_of_land_cover_begins_where_it_has_no_moment():
    properties = {"datetime": None, "start_datetime": "2022-01-01T00:00:00Z",
                  "end_datetime": "2023-01-01T00:00:00Z"}  # fmt: skip
    assert read({**NAIP, "properties": properties}).date == "2022-01-01"


def test_a_token_of_the_planetary_computer_is_understood(server, monkeypatch):
    token = "st=2026-11-20T03%3A00%3A00Z&se=2026-11-21T03%3A45%3A00Z&sp=rl&sr=c&sig=a%2Fb%3D"
    answer = {"msft:expiry": "2999-11-21T03:45:00Z", "token": token}
    with Door(server.url, outside=True) as door:
        monkeypatch.setattr(door, "text", lambda url: json.dumps(answer))
        signed_link = Signer(signed(server), door).sign(f"{server.url}/files/a.tif")
    assert signed_link == f"{server.url}/files/a.tif?{token}"
