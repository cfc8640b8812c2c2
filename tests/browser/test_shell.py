"""The app opens, at both widths and in both languages, and asks nothing of the outside."""

import io
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.screen import (
    MENU_GROUP_LINKS,
    MENU_GROUPS,
    MENU_LINKS,
    decoded_tiles,
    painted_share,
    share_unlike,
    visiting,
    wait_settled,
)
from tests.browser.server import SocketWatch

_WATCH = Path(__file__).parent / "watch"


@pytest.mark.every_screen
def test_the_app_opens_without_an_error_or_an_outside_request(visit, language):
    page = visit.open(language=language)
    heading = page.locator("h1, h2").first
    expect(heading).to_be_visible()
    chinese = re.compile(r"[\u4e00-\u9fff]")
    assert bool(chinese.search(page.inner_text("[data-testid=stMain]"))) is (language == "zh_CN")


def test_the_first_page_is_found_by_its_name_too(visit):
    page = visit.open("start", language="zh_CN")
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert page.url.split("?")[0].endswith("/")
    assert "lang=zh_CN" in page.url


@pytest.mark.every_screen
def test_nothing_reaches_beyond_the_window(visit, size, language):
    page = visit.open(language=language)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_every_page_of_the_menu_opens(visit):
    page = visit.open()
    links = page.locator(MENU_LINKS)
    expect(links.first).to_be_visible()
    for number in range(links.count()):
        links.nth(number).click()
        wait_settled(page)
        assert not visit.problems()
    groups = page.locator(MENU_GROUPS)
    for group in range(groups.count()):
        groups.nth(group).click()
        expect(page.locator(MENU_GROUP_LINKS).first).to_be_visible()
        for number in range(page.locator(MENU_GROUP_LINKS).count()):
            if number:  # choosing a page closed the group
                groups.nth(group).click()
            page.locator(MENU_GROUP_LINKS).nth(number).click()
            wait_settled(page)
            assert not visit.problems()


def test_the_watch_of_the_page_sees_an_outside_request(browser, server):
    found = pytest.raises(AssertionError, match=r"outside request: http://192\.0\.2\.1/")
    with found, visiting(browser, server.url) as opened:
        page = opened.open()
        page.evaluate("fetch('http://192.0.2.1/canary').catch(() => 0); 0")
        page.wait_for_timeout(100)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("s.connect_ex(('192.0.2.1', 80))", id="a-connection"),
        pytest.param("socket.gethostbyname('canary.invalid')", id="a-name-looked-up"),
    ],
)
def test_the_watch_of_the_server_sees_a_step_outward(tmp_path, step):
    tried = tmp_path / "sockets.log"
    code = f"import socket; s = socket.socket(); s.settimeout(0.2)\n{step}"
    environment = {
        "PYTHONPATH": str(_WATCH),
        "URBAN_PATTERN_TEST_SOCKETS": str(tried),
    }
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=-3)
    with SocketWatch(child.pid, tried) as watch:
        child.wait(timeout=20)
    assert any("192.0.2.1" in line or "canary" in line for line in watch.outward())


def test_the_watch_lets_the_machine_talk_to_itself(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        code = f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.recv(1)"
        tried = tmp_path / "sockets.log"
        environment = {"PYTHONPATH": str(_WATCH), "URBAN_PATTERN_TEST_SOCKETS": str(tried)}
        child = subprocess.Popen([sys.executable, "-c", code], env=environment)
        with SocketWatch(child.pid, tried) as watch:
            talk, _ = listening.accept()
            time.sleep(0.2)
            talk.close()
            child.wait(timeout=20)
    assert watch.outward() == []


def test_painted_share_by_hand():
    picture = Image.new("RGB", (4, 1), (200, 200, 200))
    picture.putpixel((0, 0), (10, 10, 10))
    picture.putpixel((1, 0), (204, 200, 200))  # a trace of smoothing is no paint
    assert share_unlike(png(picture), (200, 200, 200)) == 0.25


def test_what_counts_as_a_painted_map(browser):
    """Half the map is a picture; half is a page sent in a picture's place; a legend covers both."""
    answers = {
        "/": ("text/html", "<iframe title='streamlit_folium.st_folium' src='/map'></iframe>"),
        "/map": ("text/html", _MAP),
        "/tile.png": ("image/png", png(Image.new("RGB", (100, 100), (200, 0, 0)))),
        "/broken.png": ("text/html", "<html>not found</html>"),
    }

    def answer(route):
        kind, body = answers[route.request.url.removeprefix("http://app.test")]
        route.fulfill(content_type=kind, body=body)

    page = browser.new_page()
    page.route("http://app.test/**", answer)
    page.goto("http://app.test/")
    assert decoded_tiles(page) == ["http://app.test/tile.png"]
    assert painted_share(page) == pytest.approx(0.5, abs=0.01)
    page.close()


_MAP = """
<body style="margin: 0"><style>img, .legend { position: absolute; width: 100px; height: 100px }
</style><div class="leaflet-container" style="position: relative; width: 200px; height: 100px;
background: rgb(221, 221, 221)"><div class="leaflet-tile-pane">
<img class="leaflet-tile leaflet-tile-loaded" src="/tile.png">
<img class="leaflet-tile" src="/broken.png"
style="left: 100px"></div><div class="legend" style="width: 200px; background: black"></div></div>
"""


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()
