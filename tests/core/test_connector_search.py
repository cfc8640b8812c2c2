"""Searching a STAC API over real HTTP, on a loopback port."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from core import store
from core.connectors import addresses, items
from core.connectors.access import access
from core.connectors.door import Door
from core.connectors.recipes import recipe
from core.connectors.search import checked_dates, search
from core.connectors.seasons import best_scenes, checked_years, periods, tile_urls
from core.connectors.signing import (
    PLANETARY_COMPUTER,
    Catalogue,
    Link,
    Signer,
    catalogue_of,
)
from core.connectors.stac_io import CheckedIO
from core.errors import AppError, InputError, OutsideError, RefusedFileError, StoppedError
from core.settings import settings
from tests.core.raster_files import redirecting
from tests.core.stac_server import stac_server

TOWN = shapely.box(-87.70, 41.80, -87.60, 41.90)


@pytest.fixture
def server(tmp_path):
    with stac_server(tmp_path) as found:
        yield found


def add_quad(server, name, bounds, year, **more):
    return server.add(
        "naip", name, {"image": f"{name}.tif"}, bounds=bounds, date=f"{year}-08-15",
        properties={"gsd": 0.6}, **more,
    )  # fmt: skip


def catalogue(server, **more):
    return Catalogue(url=server.url, title="Loopback", **more)


def find(server, **more):
    return search(TOWN, catalogue=catalogue(server), outside=True, **more)


def names(results):
    return [image.id for image in results.found]


WEST = (-87.75, 41.75, -87.65, 41.95)
EAST = (-87.65, 41.75, -87.55, 41.95)
CORNER = (-87.61, 41.89, -87.50, 42.0)
AWAY = (-80, 30, -79, 31)


@pytest.fixture
def quads(server):
    add_quad(server, "west-2017", WEST, 2017)
    add_quad(server, "west-2021", WEST, 2021)
    add_quad(server, "east-2021", EAST, 2021)
    add_quad(server, "corner-2019", CORNER, 2019)
    add_quad(server, "away-2021", AWAY, 2021)
    return server


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


# --- outside access -----------------------------------------------------------------------------


@pytest.fixture
def no_sockets(monkeypatch):
    """Fail on any look-up of a name and any connection."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"the network was asked: {args}")

    addresses._numbers.cache_clear()
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_row_2_nothing_is_asked_while_outside_access_is_off(no_sockets):
    """Row 2."""
    for known in (PLANETARY_COMPUTER, Catalogue(url="http://127.0.0.1:1", title="x")):
        with pytest.raises(OutsideError, match="switched off") as caught:
            search(TOWN, catalogue=known, outside=False)
        assert "files of your own" in str(caught.value)


def test_a_server_that_forbids_outside_access_says_so_without_asking(no_sockets, monkeypatch):
    monkeypatch.setenv("URBAN_PATTERN_OUTSIDE", "0")
    settings.cache_clear()
    try:
        with pytest.raises(OutsideError, match="does not allow"):
            search(TOWN, outside=True)
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_without_internet_the_search_says_so_at_once(monkeypatch):
    def unknown(*args):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    addresses._numbers.cache_clear()
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    begun = time.monotonic()
    with pytest.raises(OutsideError, match=r"planetarycomputer.* is not known") as caught:
        search(TOWN, outside=True)
    assert time.monotonic() - begun < 1
    assert "without internet, bring in files" in str(caught.value)


def test_access_is_told_at_once_with_the_ways_that_work(server, monkeypatch):
    assert access(catalogue(server), outside=True).is_open
    assert access(catalogue(server), outside=True).message() == ""
    off = access(catalogue(server), outside=False)
    assert "switched off" in off.message()
    assert len(off.ways) == 4

    def asleep(*args):
        time.sleep(1.5)
        raise socket.gaierror(-3, "too late")

    addresses._numbers.cache_clear()
    monkeypatch.setattr(socket, "getaddrinfo", asleep)
    begun = time.monotonic()
    silent = access(
        Catalogue(url="https://stac.example", title="Example"), outside=True, wait_s=0.2
    )
    assert time.monotonic() - begun < 1
    assert silent.message().startswith("Example does not answer within 0.2 s")
    assert silent.ways == off.ways


def test_row_2_access_opens_no_socket_while_it_is_off(no_sockets):
    """Row 2."""
    assert not access(outside=False).is_open


def test_a_server_that_is_gone_is_named_in_one_sentence(server, monkeypatch):
    monkeypatch.setattr("core.connectors.door._FIRST_WAIT_S", 0.01)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OutsideError, match="does not answer: Connection refused"):
        search(TOWN, catalogue=catalogue_of(f"http://127.0.0.1:{port}"), outside=True)


def test_what_is_no_stac_api_is_told_apart(tmp_path):
    for body in ('{"hello": 1}', "<html>", "[]", '{"type": "Catalog"}', "\xff"):
        (tmp_path / "x").write_text(body, encoding="latin-1")
        with stac_server(tmp_path) as server:
            wrong = Catalogue(url=f"{server.url}/files/x", title="x")
            with pytest.raises(OutsideError):
                search(TOWN, catalogue=wrong, outside=True)


def test_a_search_can_be_stopped(quads):
    with pytest.raises(StoppedError):
        find(quads, should_stop=lambda: True)


@contextmanager
def dripping(answer, *, pause_s=0.05):
    """Serve one byte of an answer after the other; yield its address and a list of the visits."""
    visits, over = [], threading.Event()

    def drip(visitor):
        with visitor, suppress(OSError):
            visitor.recv(10_000)
            for byte in answer:
                if over.wait(pause_s):
                    return
                visitor.sendall(bytes([byte]))

    def serve():
        with suppress(OSError):
            while True:
                visitor, _ = listener.accept()
                visits.append(visitor)
                threading.Thread(target=drip, args=(visitor,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", visits
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize("should_stop", [None, lambda: False], ids=["without", "with a stop"])
def test_row_28_a_server_that_drips_headers_is_given_up_and_not_asked_again(
    monkeypatch, should_stop
):
    """Row 28. Each byte begins the time limit of the socket anew."""
    monkeypatch.setattr("core.connectors.door._ANSWER_S", 0.4)
    begun = time.monotonic()
    with (
        dripping(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 60_000) as (url, visits),
        Door(url, outside=True, should_stop=should_stop) as door,
        pytest.raises(OutsideError, match="too slow"),
    ):
        door.text(url)
    assert len(visits) == 1
    assert time.monotonic() - begun < 2


def test_row_28_an_answer_of_no_told_length_that_drips_is_not_taken_for_whole(monkeypatch):
    """Row 28."""
    monkeypatch.setattr("core.connectors.door._CHUNK_S", 0.4)
    monkeypatch.setattr("core.connectors.door._TRIES", 1)
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000
    with (
        dripping(answer, pause_s=0.01) as (url, _),
        Door(url, outside=True) as door,
        pytest.raises(OutsideError, match="too slow"),
    ):
        door.text(url)


@pytest.fixture
def look_ups(monkeypatch):
    """Answer look-ups of names ourselves: all fail; yield the names that were asked for."""
    asked, look_up = [], socket.getaddrinfo

    def unknown(host, *args, **more):
        if host == "127.0.0.1":
            return look_up(host, *args, **more)
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    addresses._numbers.cache_clear()
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    yield asked
    addresses._numbers.cache_clear()


def dead(name):
    return {"href": f"https://{name}.invalid/a.jpg", "type": "image/jpeg"}


def test_row_28_hosts_of_thumbnails_are_not_looked_up_by_a_search(server, look_ups):
    """Row 28. Each dead name takes the name service seconds; they are checked when they come."""
    for number in range(30):
        image = {"href": f"{server.url}/files/a.tif", "type": "image/tiff"}
        assets = {"image": image, "thumbnail": dead(f"t{number}")}
        server.add("naip", f"a{number}", assets, bounds=WEST, date="2020-01-01")
    assert len(find(server).found) == 30
    assert look_ups == []


def test_row_28_a_search_looks_few_hosts_up_and_each_once(server, look_ups):
    """Row 28."""
    for number in range(60):
        image = {"href": f"https://h{number // 2}.invalid/a.tif", "type": "image/tiff"}
        server.add("naip", f"a{number}", {"image": image}, bounds=WEST, date="2020-01-01")
    results = find(server)
    assert look_ups == [f"h{number}.invalid" for number in range(20)]
    said = [entry.message() for entry in results.refused]
    assert said[:2] == ["The host h0.invalid is not known."] * 2
    assert "one of too many machines" in said[-1]
    assert len(said) == 60


def test_row_28_a_search_is_cancelled_between_look_ups(server, look_ups):
    """Row 28."""
    for number in range(10):
        image = {"href": f"https://h{number}.invalid/a.tif", "type": "image/tiff"}
        server.add("naip", f"a{number}", {"image": image}, bounds=WEST, date="2020-01-01")
    with pytest.raises(StoppedError):
        find(server, should_stop=lambda: len(look_ups) > 2)
    assert len(look_ups) == 3


def test_row_28_a_name_service_that_is_silent_is_not_waited_for(monkeypatch):
    """Row 28."""
    over = threading.Event()
    addresses._numbers.cache_clear()
    monkeypatch.setattr(addresses, "_LOOK_UP_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: over.wait(5) and [])
    begun = time.monotonic()
    with pytest.raises(OutsideError, match="not known"):
        addresses.checked_link("https://silent.invalid/x", home="internet")
    over.set()
    assert time.monotonic() - begun < 1


# --- hostile catalogues -------------------------------------------------------------------------

HOSTILE = {
    "a file": "file:///etc/passwd",
    "a path": "/etc/passwd",
    "GDAL's files": "/vsicurl/http://127.0.0.1/x.tif",
    "GDAL's archives": "/vsizip//etc/x.zip",
    "another scheme": "ftp://example.org/x.tif",
    "link-local": "http://169.254.169.254/latest/meta-data/x.tif",
    "link-local in IPv6": "http://[fe80::1]/x.tif",
    "translated link-local": "http://[64:ff9b::a9fe:a9fe]/x.tif",
    "mapped link-local": "http://[::ffff:169.254.169.254]/x.tif",
    "the private network": "http://10.0.0.1/x.tif",
    "no host": "http:///x.tif",
    "a password": "http://user:secret@127.0.0.1/x.tif",
    "a bad port": "http://127.0.0.1:99999999/x.tif",
    "every address": "http://0.0.0.0/x.tif",
    "a line break": "http://127.0.0.1/x\r\nHost: y",
    "nothing": "",
    "a number": 17,
    "half an address": "http://[::1",
}


@pytest.mark.parametrize("href", HOSTILE.values(), ids=HOSTILE)
def test_row_2_a_hostile_link_is_refused_in_one_sentence_and_others_go_on(quads, href):
    """Row 2."""
    quads.add(
        "naip", "bad", {"image": {"href": href, "type": "image/tiff"}},
        bounds=WEST, date="2022-01-01",
    )  # fmt: skip
    results = find(quads)
    assert "bad" not in names(results)
    assert len(results.found) == 4
    (refused,) = results.refused
    assert refused.id == "bad"
    assert refused.message().count(".") >= 1
    assert "Traceback" not in refused.message()


def test_row_2_a_catalogue_on_the_internet_cannot_point_into_this_machine(monkeypatch):
    """Row 2."""
    for url in (
        "http://127.0.0.1/x.tif",
        "http://[::1]/x",
        "http://192.168.1.1/",
        "http://10.1.2.3/",
    ):
        with pytest.raises(RefusedFileError, match="inside this machine or its network"):
            addresses.checked_link(url, home="internet")
    assert addresses.checked_link("http://127.0.0.1/x.tif", home="machine")
    assert addresses.checked_link("http://192.168.1.1/x.tif", home="network")
    with pytest.raises(RefusedFileError):
        addresses.checked_link("http://192.168.1.1/x.tif", home="machine")
    # A name that lies both outside and inside counts as inside.
    addresses._numbers.cache_clear()
    both = [(0, 0, 0, "", ("8.8.8.8", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: both)
    with pytest.raises(RefusedFileError):
        addresses.checked_link("http://two-faced.example/x.tif", home="internet")
    addresses._numbers.cache_clear()


def test_row_2_a_name_that_changes_its_meaning_is_caught_when_it_answers(server, monkeypatch):
    """Row 2. The look-up says internet, the connection reaches this machine: not a byte is sent."""
    monkeypatch.setattr(addresses, "realm_of_host", lambda host: "internet")
    with Door(server.url, outside=True) as door, pytest.raises(RefusedFileError, match="inside"):
        door.text(f"{server.url}/collections")
    assert not server.asked


@pytest.mark.parametrize("href", HOSTILE.values(), ids=HOSTILE)
def test_row_2_no_connection_is_even_tried_to_a_hostile_address(server, monkeypatch, href):
    """Row 2."""
    with Door(server.url, outside=True) as door:
        tried = []
        monkeypatch.setattr(socket.socket, "connect", lambda self, to: tried.append(to))
        with pytest.raises((RefusedFileError, OutsideError)):
            door.text(str(href))
    assert not tried


@pytest.mark.parametrize("source", ["/etc/passwd", "file:///etc/passwd", "../../etc/passwd"])
def test_row_2_a_catalogue_is_never_read_from_a_file(server, source):
    """Row 2. pystac-client itself would open the path."""
    with Door(server.url, outside=True) as door, pytest.raises((RefusedFileError, OutsideError)):
        CheckedIO(door, server.url).read_text(source)


def test_row_2_a_redirection_is_not_followed(server):
    """Row 2."""
    with redirecting(f"{server.url}/") as url, pytest.raises(RefusedFileError, match="another"):
        search(TOWN, catalogue=Catalogue(url=url, title="x"), outside=True)
    assert not server.asked


def test_a_catalogue_that_leads_on_within_its_own_host_is_followed(quads):
    moved = Catalogue(url=f"{quads.url}/moved/", title="x")
    with Door(quads.url, outside=True) as door:
        assert json.loads(door.text(f"{quads.url}/moved/collections/naip"))["id"] == "naip"
        assert json.loads(door.text(moved.url))["type"] == "Catalog"
        with pytest.raises(RefusedFileError, match="another"):
            door.text(f"{quads.url}/moved/moved/moved/moved/collections/naip")
        with pytest.raises(RefusedFileError, match="another"):
            door.head(f"{quads.url}/moved/files/x.tif")


@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "/vsicurl/x",
        "http://169.254.169.254/search",
        "ftp://x/y",
    ],
)
def test_row_2_a_hostile_next_page_is_not_followed(quads, href):
    """Row 2. pystac-client itself would open a path as a file."""
    quads.next_page = lambda number: {"rel": "next", "href": href}
    with pytest.raises(AppError) as caught:
        find(quads)
    assert isinstance(caught.value, OutsideError | RefusedFileError)
    assert "root:" not in str(caught.value)


def test_a_catalogue_without_a_last_page_ends(quads):
    quads.next_page = lambda number: {
        "rel": "next", "href": f"{quads.url}/search", "method": "POST", "merge": True,
        "body": {"token": "0"},
    }  # fmt: skip
    results = find(quads)
    assert len(results.found) == 2  # the first page, again and again
    assert len([one for one in quads.asked if one.path == "/search"]) == 2


def test_a_catalogue_with_ever_new_pages_is_cut(server, monkeypatch):
    monkeypatch.setattr("core.connectors.search._MOST_PAGES", 5)
    for number in range(60):
        add_quad(server, f"quad-{number}", WEST, 2020)
    results = find(server)
    assert len(results.found) == 10
    assert results.is_cut


def test_row_5_a_page_without_end_is_refused(server, monkeypatch):
    """Row 5."""
    monkeypatch.setattr("core.connectors.door._LARGEST_PAGE", 100_000)
    for number in range(200):
        add_quad(server, f"quad-{number}", WEST, 2020, padding="x" * 1000)
    server.page = 1000
    with pytest.raises(RefusedFileError, match=r"more than the 0\.1 MB"):
        find(server)


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
