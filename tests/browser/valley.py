"""What tests of the later steps do on the valley in the browser."""

import re
from pathlib import Path

from playwright.sync_api import Page

from core.workspace import Workspace
from tests.browser.map_view import frame_of, place_on_map
from tests.browser.screen import map_frame, wait_settled
from tests.core.valley import AREA, make_valley, place_of

PLACE = tuple[float, float]


def valley_in(root: Path) -> Workspace:
    """Make the valley in the server's workspace, or return it where another test did."""
    space = Workspace(root)
    return space if AREA in space.area_ids() else make_valley(root)


def opened(visit, path: str, **parameters: str) -> Page:
    """Open a page on the valley; return it once its map is painted."""
    page = visit.open(path, area=AREA, **parameters)
    map_frame(page)
    return page


def click_square(page: Page, place: PLACE) -> None:
    """Click the middle of a square, given by row and column, on the map."""
    x, y = place_on_map(page, *place_of(*place))
    frame_of(page).locator(".leaflet-container").click(position={"x": x, "y": y})
    page.wait_for_timeout(600)
    wait_settled(page)


def open_tab(page: Page, label: str) -> None:
    """Open a tab of the page."""
    page.get_by_role("tab", name=label, exact=True).click()
    wait_settled(page)


def downloaded(page: Page, label: str) -> tuple[str, bytes]:
    """Click a button that downloads; return the file's name and bytes."""
    with page.expect_download() as got:
        page.get_by_role("button", name=re.compile(f"^{label}")).first.click()
    return got.value.suggested_filename, got.value.path().read_bytes()
