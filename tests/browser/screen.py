"""What tests ask of a page in the browser: is it done, is its map painted, with what pictures."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FrameLocator,
    Page,
    Request,
    Response,
    expect,
)

WIDE, NARROW = (1400, 900), (900, 900)
LANGUAGES = ("en", "zh_CN")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MENU_LINKS = "[data-testid=stTopNavLink], [data-testid=stSidebarNavLink]"
MENU_GROUPS = "[data-testid=stTopNavSection]"
MENU_GROUP_LINKS = "[data-testid=stTopNavDropdownLink]"
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
# Without what lies over the tiles: outlines, legend, scale bar, marker.
_TILES_ONLY = """
.leaflet-container * { visibility: hidden !important; }
.leaflet-container img.leaflet-tile-loaded { visibility: visible !important; }
"""
_TILES_PENDING = """root => [...root.querySelectorAll('img.leaflet-tile')]
    .filter(tile => !tile.complete).length
    + (root.querySelector('.leaflet-zoom-anim') ? 1 : 0)"""
_DECODED = """tiles => Promise.all(tiles.filter(t => t.complete && t.naturalWidth > 0).map(
    async t => [t.src, (await fetch(t.src)).headers.get('content-type')]))"""

# The page says that a script runs only when the server has said so. On a busy machine that is long
# after a click, and a test that looked in between would see the page as it was. So what the page
# sends and gets is listened to: `__asked` stands from a request to run until a run has ended that
# no other one has overtaken. Parts that look for news by themselves ask nothing on a user's behalf.
# Protocol buffers: BackMsg.rerun_script is field 11, with fragment_id 5 and is_auto_rerun 6;
# ForwardMsg.script_finished is field 6, with 2 for "early, for another run", 3 for a fragment's.
_LISTEN = """(() => {
    window.__asked = '';
    function fields(bytes) {
        const found = {};
        let at = 0;
        function number() {
            let value = 0, step = 1, byte;
            do {
                byte = bytes[at++];
                value += (byte & 127) * step;
                step *= 128;
            } while (byte > 127);
            return value;
        }
        while (at < bytes.length) {
            const key = number(), value = number();
            found[key >> 3] = (key & 7) === 2 ? bytes.subarray(at, at += value) : value;
        }
        return found;
    }
    window.WebSocket = class extends window.WebSocket {
        constructor(...given) {
            super(...given);
            this.addEventListener('message', event => {
                const end = fields(new Uint8Array(event.data))[6];
                const answers = window.__asked === 'part' ? [0, 1, 3] : [0, 1];
                if (answers.includes(end)) { window.__asked = ''; window.__quietSince = null; }
            });
        }
        send(data) {
            const request = fields(data)[11], asked = request && fields(request);
            if (asked && !asked[6]) {
                window.__asked = asked[5] && window.__asked !== 'page' ? 'part' : 'page';
            }
            super.send(data);
        }
    };
})()"""


def chromium_path() -> str | None:
    """Return the Chromium of this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Visit:
    """One page of the app in a browser context of its own, with all that went wrong on it."""

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self.page = context.new_page()
        self.base_url = base_url
        self.outside: list[str] = []
        self.console_errors: list[str] = []
        self.failed: list[str] = []
        self._dialogs: list[str] = []
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        self.page.on("websocket", lambda socket: self._check_address(socket.url))
        self.page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        self.page.on("console", self._on_console)
        self.page.on("dialog", self._on_dialog)

    @property
    def dialogs(self) -> list[str]:
        """Texts of the browser's own dialogs that a page opened, such as by `alert`."""
        return self._dialogs

    def open(self, path: str = "", *, language: str = "en", **parameters: str) -> Page:
        """Go to a page of the app and wait until it has settled."""
        query = "&".join(
            f"{key}={value}" for key, value in {"lang": language, **parameters}.items()
        )
        self.page.goto(f"{self.base_url}/{path}?{query}")
        wait_settled(self.page)
        return self.page

    def problems(self) -> list[str]:
        """Return each exception shown, outside request, console error and failed answer."""
        shown = self.page.locator("[data-testid=stException]").all_inner_texts()
        return [
            *(f"exception: {text}" for text in shown),
            *(f"outside request: {url}" for url in self.outside),
            *(f"console error: {text}" for text in self.console_errors),
            *(f"failed: {text}" for text in self.failed),
        ]

    def pass_over(self, part: str) -> None:
        """Forget failed answers to addresses that hold `part`, such as of what was just deleted."""
        for told in (self.failed, self.console_errors):
            told[:] = [text for text in told if part not in text]

    def _check_address(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        own = self.base_url.partition("://")[2].partition("/")[0]
        if scheme in {"http", "https", "ws", "wss"} and rest.partition("/")[0] != own:
            self.outside.append(url)

    def _on_request(self, request: Request) -> None:
        self._check_address(request.url)

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")

    def _on_console(self, message) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _on_dialog(self, dialog) -> None:
        self._dialogs.append(dialog.message)
        dialog.dismiss()


@contextmanager
def visiting(
    browser: Browser, base_url: str, *, size: tuple[int, int] = WIDE, shot: Path | None = None
) -> Iterator[Visit]:
    """Open a fresh browser context; afterwards fail if anything went wrong on its pages."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="en-US", color_scheme="light"
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_LISTEN)
    visit = Visit(context, base_url)
    try:
        yield visit
        if shot is not None:
            visit.page.screenshot(path=shot)
        problems = visit.problems()
    finally:
        context.close()
    assert not problems, "\n".join(problems)


def wait_settled(page: Page) -> None:
    """Wait until each run that was asked for has ended, nothing is stale, and it stays so."""
    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED", timeout=PATIENCE_MS)
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid=stApp]');
            const busy = !app || window.__asked || app.dataset.testScriptState !== 'notRunning'
                || document.querySelector('[data-stale=true], [data-testid=stSkeleton]');
            const now = performance.now();
            if (busy) { window.__quietSince = null; return false; }
            window.__quietSince ??= now;
            return now - window.__quietSince > 400;
        }""",
        timeout=PATIENCE_MS,
    )


def map_frame(page: Page, *, has_tiles: bool = True) -> FrameLocator:
    """Return the map's frame once its tiles have stopped loading; there must be some."""
    frame = page.frame_locator("iframe[title='streamlit_folium.st_folium']")
    root = frame.locator(".leaflet-container")
    expect(root).to_be_visible(timeout=PATIENCE_MS)
    if has_tiles:
        frame.locator("img.leaflet-tile").first.wait_for(state="attached", timeout=PATIENCE_MS)
    waited_ms = quiet_ms = 0
    while quiet_ms < 400:
        page.wait_for_timeout(100)
        waited_ms += 100
        quiet_ms = 0 if root.evaluate(_TILES_PENDING) else quiet_ms + 100
        assert waited_ms < PATIENCE_MS, "tiles still load after a minute"
    return frame


def decoded_tiles(page: Page) -> list[str]:
    """Return the addresses of the map's tiles that are decoded pictures, sent as PNG."""
    tiles = map_frame(page).locator("img.leaflet-tile")
    decoded: list[tuple[str, str]] = tiles.evaluate_all(_DECODED)
    assert all(kind == "image/png" for _, kind in decoded), decoded
    return [url for url, _ in decoded]


def map_png(page: Page) -> bytes:
    """Return a picture of the map's tiles alone, without outlines, legend and marker."""
    root = map_frame(page).locator(".leaflet-container")
    return root.screenshot(style=_TILES_ONLY, animations="disabled")


def painted_share(page: Page) -> float:
    """Return the share of the map, 0 to 1, that its tiles paint over the background."""
    root = map_frame(page).locator(".leaflet-container")
    colour: str = root.evaluate("root => getComputedStyle(root).backgroundColor")
    red, green, blue = (float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return share_unlike(map_png(page), (red, green, blue))


def share_unlike(png: bytes, background: tuple[float, float, float]) -> float:
    """Return the share of pixels that differ from `background` by more than 8 of 255 anywhere."""
    pixels = pixels_of(png).astype(float)
    return float((np.abs(pixels - np.array(background)).max(axis=2) > 8).mean())


def pixels_of(png: bytes) -> np.ndarray:
    """Return a picture as rows × columns × red, green, blue, 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
