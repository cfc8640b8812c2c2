"""The server's own side."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import default_area, jobs
from core import settings as core_settings
from ui import server


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    """Jobs that were handed in, in a workspace of their own; none is started."""
    found = []

    def submit(_root, work, _config):
        time.sleep(0.02)  # as a new process takes
        found.append(work)
        return f"{work}-{len(found)}"

    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path))
    core_settings.settings.cache_clear()
    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(server, "running_default_area", lambda: f"{found[0]}-1" if found else None)
    yield found
    core_settings.settings.cache_clear()


def test_sessions_that_come_at_once_start_the_default_area_once(submitted):
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: server.start_default_area(), range(64)))
    assert submitted == ["default-area"]
    assert set(ids) == {"default-area-1"}


def started(submitted):
    """Start the server's own work; return the jobs that it handed in."""
    del submitted[:]

    async def up():
        async with server.lifespan(None):
            pass

    asyncio.run(up())
    return list(submitted)


def test_a_deleted_default_area_is_not_drawn_at_the_next_start_but_on_demand(
    submitted, monkeypatch
):
    monkeypatch.setenv("URBAN_PATTERN_DEFAULT_AREA", "on")
    core_settings.settings.cache_clear()
    assert started(submitted) == ["default-area"]
    default_area.leave_out(server.workspace().root)
    assert started(submitted) == []
    assert server.start_default_area() == "default-area-1"
    assert started(submitted) == ["default-area"]
