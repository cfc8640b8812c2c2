"""The server's own side: extra routes, start-up work, and facts a page needs for its addresses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import streamlit as st

from core import jobs
from core.errors import AppError
from core.settings import settings
from core.workspace import Workspace

DEFAULT_AREA = "chicago-simulated"


def base_path() -> str:
    """Return the path below which the app is served: `""`, or `/studio`."""
    text = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{text}" if text else ""


def make_app(script: str) -> st.App:
    """Return the ASGI app: Streamlit with the tile and asset routes beside it."""
    from core.tiles import routes

    return st.App(
        script,
        routes=routes(workspace, base_path(), allow_outside=outside_allowed),
        lifespan=_lifespan,
    )


def workspace() -> Workspace:
    """Return the workspace of this server."""
    return Workspace(settings().workspace)


def outside_allowed() -> bool:
    """Tell whether this server may be asked to open remote layers at all."""
    return settings().outside


def running_default_area() -> str | None:
    """Return the id of the job that is making the default area now."""
    for job in jobs.jobs(workspace().root / "jobs"):
        if job.work == "default-area" and job.state == "running":
            return job.id
    return None


def start_default_area() -> str | None:
    """Start making the simulated default area where it is missing; return the job's id."""
    space = workspace()
    if space.stamp(DEFAULT_AREA):
        return None
    config = {"workspace": str(space.root.resolve()), "area": DEFAULT_AREA, "seed": 0}
    return running_default_area() or jobs.submit(space.root / "jobs", "default-area", config)


@asynccontextmanager
async def _lifespan(_: object) -> AsyncIterator[None]:
    # Before the first visit, so that the area is being drawn while the browser still opens.
    # A failure is told by the Start page, which finds the area missing.
    with suppress(AppError, OSError):
        if settings().default_area:
            start_default_area()
    yield
