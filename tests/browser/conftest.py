"""A real browser on the real server. Left out, with the reason, where there is no Chromium.

`URBAN_PATTERN_REQUIRE_BROWSER=1` makes a missing Chromium a failure.
`URBAN_PATTERN_SHOTS=folder` keeps a picture of every page at the end of its test.
"""

import os
from pathlib import Path

import pytest

from tests.browser.screen import FLAGS, LANGUAGES, NARROW, WIDE, chromium_path, visiting
from tests.browser.server import running_server
from tests.browser.small_city import make_small_city

_HERE = Path(__file__).parent
_REASON = "no Chromium on this machine (Debian: apt-get install chromium fonts-noto-cjk)"


def pytest_collection_modifyitems(items):
    required = os.environ.get("URBAN_PATTERN_REQUIRE_BROWSER") == "1"
    for item in items:
        if _HERE in item.path.parents and "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            if chromium_path() is None and not required:
                item.add_marker(pytest.mark.skip(reason=_REASON))


def pytest_terminal_summary(terminalreporter):
    left_out = [
        report.nodeid
        for report in terminalreporter.stats.get("skipped", [])
        if _REASON in str(report.longrepr)
    ]
    if left_out:
        terminalreporter.section("left out")
        terminalreporter.write_line(f"{len(left_out)} browser tests: {_REASON}")
        terminalreporter.write_line("  " + ", ".join(sorted({n.split("::")[0] for n in left_out})))


# Package scope: Playwright keeps an event loop in this thread, which other tests would run into.
@pytest.fixture(scope="package")
def browser():
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    assert path is not None, f"Browser tests are required, but there is {_REASON}."
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """The server over an empty workspace, without the default area."""
    with running_server(tmp_path_factory.mktemp("server")) as started:
        yield started
        assert not started.watch.outward(), "the server turned to the outside"


@pytest.fixture(scope="package")
def small_city(server, tmp_path_factory):
    """A study area with two layers whose values are known, in the server's workspace."""
    return make_small_city(tmp_path_factory.mktemp("small-city"), server.workspace)


@pytest.fixture
def visit(browser, server, size, request):
    """A fresh browser context on the server; fails on console errors and outside requests."""
    shots = os.environ.get("URBAN_PATTERN_SHOTS")
    shot = Path(shots) / f"{request.node.name}.png" if shots else None
    with visiting(browser, server.url, size=size, shot=shot) as opened:
        yield opened
        if opened.problems():
            tail = server.log.read_text(errors="replace").splitlines()[-60:]
            request.node.add_report_section("teardown", "server log", "\n".join(tail))
    assert not server.watch.outward(), "the server turned to the outside"


@pytest.fixture
def page(visit, language):
    """The app's first page, settled."""
    return visit.open(language=language)


@pytest.fixture
def size():
    """Width and height of the window; `sizes` runs a test at both."""
    return WIDE


@pytest.fixture
def language():
    return "en"


def pytest_generate_tests(metafunc):
    """Run a test marked `every_screen` at both widths and in both languages."""
    if metafunc.definition.get_closest_marker("every_screen"):
        metafunc.parametrize("size", [WIDE, NARROW], ids=["1400", "900"])
        metafunc.parametrize("language", LANGUAGES)
