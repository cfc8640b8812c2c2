"""The server's own side: extra routes, start-up work, and facts a page needs for its addresses."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache, lru_cache
from importlib import import_module
from threading import Lock, Thread

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from streamlit.runtime.pages_manager import PagesManager

from core import default_area, jobs
from core.default_area import DEFAULT_AREA
from core.errors import AppError
from core.settings import settings
from core.workspace import Workspace
from ui.address import RootAddress

_starting = Lock()


def base_path() -> str:
    """Return the path below which the app is served: `""`, or `/studio`."""
    text = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{text}" if text else ""


def routes() -> list[BaseRoute]:
    """Return the routes beside Streamlit's own: pictures, assets, the first page by its name."""
    from core import tiles
    from core.chips import sheets

    base = base_path()
    return [
        Route(f"{base}/start", _first_page),
        *tiles.routes(workspace, base=base, outside=outside_allowed),
        *sheets.routes(workspace, base=base),
    ]


async def _first_page(request: Request) -> RedirectResponse:
    """Lead to the Start page, which Streamlit knows by the empty address only."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{base_path()}/{query}")


def middleware() -> list[Middleware]:
    """Return what wraps every answer."""
    return [Middleware(RootAddress, base=base_path())]


def workspace() -> Workspace:
    """Return the workspace of this server."""
    return Workspace(settings().workspace)


def outside_allowed() -> bool:
    """Tell whether this server may be asked to open remote layers at all."""
    return settings().outside


def running_default_area() -> str | None:
    """Return the id of the job that is making the default area now."""
    for job in jobs.jobs(workspace().root / "jobs", "default-area"):
        if job.state == "running":
            return job.id
    return None


def has_default_area() -> bool:
    """Tell whether the default area is there with all of its layers, or cannot be read."""
    space = workspace()
    if not space.stamp(DEFAULT_AREA):
        return False
    with suppress(AppError):
        return space.area(DEFAULT_AREA).is_whole
    return True  # the Start page shows what is wrong with it


def start_default_area() -> str | None:
    """Start making the simulated default area where it is missing; return the job's id."""
    space = workspace()
    config = {"workspace": str(space.root.resolve()), "area": DEFAULT_AREA, "seed": 0}
    with _starting:  # two sessions at once must not start two
        if has_default_area():
            return None
        default_area.take_in(space.root)
        return running_default_area() or jobs.submit(space.root / "jobs", "default-area", config)


@cache
def warm_up() -> None:
    """Import what a map needs, once the first page stands, while the user still looks at it."""

    def load() -> None:
        for name in ("rio_tiler.colormap", "plotly.graph_objects", "leafmap.foliumap"):
            import_module(name)

    Thread(target=load, daemon=True).start()


def set_modules_aside() -> None:
    """Spare the garbage collection what imported modules hold, which stays as long as the server.

    Streamlit collects at the end of every run, also of a part of a page that looks for news twice a
    second. Half a million objects of the libraries would be gone through each time: 0.4 s in which
    no session and no tile gets on.
    """
    _set_aside(len(sys.modules))


@lru_cache(maxsize=1)
def _set_aside(num_modules: int) -> None:
    del num_modules  # once for each number: what was set aside before is looked through again
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Begin the start-up work when the server starts."""
    # Until st.navigation has run once, Streamlit takes the folder pages/ for an app of its older
    # kind: a link straight to a page would then open it without the menu.
    PagesManager.uses_pages_directory = False
    # Before the first visit, so that the area is being drawn while the browser still opens.
    # A failure is told by the Start page, which finds the area missing.
    with suppress(AppError, OSError):
        if settings().default_area and not default_area.is_left_out(workspace().root):
            start_default_area()
    yield
