"""What may be asked of the internet: nothing while it is off, no hostile or silent address."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from core.connectors import addresses
from core.connectors.access import access
from core.connectors.door import Door
from core.connectors.search import search
from core.connectors.signing import PLANETARY_COMPUTER, Catalogue, catalogue_of
from core.connectors.stac_io import CheckedIO
from core.errors import AppError, OutsideError, RefusedFileError, StoppedError
from core.settings import settings
from tests.core.quads import TOWN, WEST, add_quad, add_quads, catalogue, find, names
from tests.core.raster_files import redirecting
from tests.core.stac_server import stac_server


@pytest.fixture
def server(tmp_path):
    with stac_server(tmp_path) as found:
        yield found


@pytest.fixture
def quads(server):
    return add_quads(server)


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
