"""What tests ask of the map in its frame: where it looks, what it shows, what lies at a place."""

from dataclasses import dataclass

from playwright.sync_api import Frame, Page

from tests.browser.screen import PATIENCE_MS, map_frame, map_png, pixels_of, wait_settled

FRAME = "iframe[title='streamlit_folium.st_folium']"
LEGEND = """root => [...root.querySelectorAll('.ups-legend .row')].map(row =>
    [row.innerText.trim(), getComputedStyle(row.querySelector('.box')).backgroundColor])"""

# One label, which names a place within a pixel or two of the click.
_SAYS_PLACE = """([lat, lon]) => {
    const labels = document.querySelectorAll('.ups-point');
    if (labels.length !== 1) { return false; }
    const place = labels[0].rows[labels[0].rows.length - 1].cells[1].innerText.split(',');
    const twoPixels = 2 * 360 / 256 / 2 ** window.map.getZoom();
    return Math.abs(place[0] - lat) < twoPixels && Math.abs(place[1] - lon) < twoPixels;
}"""


@dataclass(frozen=True)
class View:
    """Centre and zoom of the map, rounded to what a user could see."""

    lat: float
    lon: float
    zoom: float


def frame_of(page: Page, *, has_tiles: bool = True) -> Frame:
    """Return the map's frame once its tiles have stopped loading; there must be some."""
    map_frame(page, has_tiles=has_tiles)
    handle = page.locator(FRAME).element_handle()
    frame = handle.content_frame()
    assert frame is not None
    return frame


def view_of(page: Page) -> View:
    """Return where the map looks."""
    found = frame_of(page).evaluate(
        "() => { const c = window.map.getCenter(); return [c.lat, c.lng, window.map.getZoom()]; }"
    )
    return View(round(found[0], 4), round(found[1], 4), found[2])


def look_at(page: Page, lat: float, lon: float, zoom: int) -> View:
    """Move the map as a user does, with the wheel's and the mouse's mark on it."""
    frame = frame_of(page)
    frame.locator(".leaflet-container").dispatch_event("mousedown", {"button": 2})
    frame.evaluate(
        "([lat, lon, zoom]) => window.map.setView([lat, lon], zoom, {animate: false})",
        [lat, lon, zoom],
    )
    return view_of(page)


def place_on_map(
    page: Page, lon: float, lat: float, *, has_tiles: bool = True
) -> tuple[float, float]:
    """Return where a place lies on the map, in pixels from its north-western corner."""
    point = frame_of(page, has_tiles=has_tiles).evaluate(
        "([lat, lon]) => { const p = window.map.latLngToContainerPoint([lat, lon]);"
        " return [p.x, p.y]; }",
        [lat, lon],
    )
    return point[0], point[1]


def click_map(page: Page, lon: float, lat: float) -> None:
    """Click a place on the map and wait for the answer beside it."""
    x, y = place_on_map(page, lon, lat)
    frame = frame_of(page)
    frame.locator(".leaflet-container").click(position={"x": x, "y": y})
    frame.wait_for_function(_SAYS_PLACE, arg=[lat, lon], timeout=PATIENCE_MS)
    wait_settled(page)


def readings_of(page: Page) -> dict[str, str]:
    """Return what stands beside the clicked place: layer and value in words."""
    rows = frame_of(page).locator(".ups-point tr")
    return dict(rows.evaluate_all(
        "rows => rows.map(row => [row.cells[0].innerText, row.cells[1].innerText])"
    ))  # fmt: skip


def colours_at(page: Page, places: list[tuple[float, float]]) -> list[tuple[int, ...]]:
    """Return the colours that the map's tiles paint at places given as longitude and latitude."""
    points = [place_on_map(page, lon, lat) for lon, lat in places]
    pixels = pixels_of(map_png(page))
    return [tuple(int(part) for part in pixels[int(y), int(x)]) for x, y in points]


def legend_of(page: Page) -> dict[str, tuple[int, ...]]:
    """Return class names and colours of the legend on the map."""
    rows = frame_of(page).locator(".leaflet-container").evaluate(LEGEND)
    return {name: tuple(int(part) for part in colour[4:-1].split(",")) for name, colour in rows}
