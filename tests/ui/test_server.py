"""The server's own side."""

import asyncio
import gc
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import default_area, jobs
from core import settings as core_settings
from ui import server

APP = Path(__file__).parents[2] / "app.py"


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


@pytest.fixture
def collected():
    server._set_aside.cache_clear()
    yield
    gc.unfreeze()
    server._set_aside.cache_clear()


def test_what_modules_hold_is_spared_the_collection_until_another_one_comes(collected, monkeypatch):
    server.set_modules_aside()
    before = gc.get_freeze_count()
    assert before > 50_000
    kept = [[number] for number in range(20_000)]
    server.set_modules_aside()
    assert gc.get_freeze_count() <= before
    monkeypatch.setitem(sys.modules, "one_more", object())
    server.set_modules_aside()
    assert gc.get_freeze_count() > before + 19_000
    assert len(kept) == 20_000


def test_a_run_of_a_page_leaves_little_for_the_collection(collected, tmp_path, monkeypatch):
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("URBAN_PATTERN_DEFAULT_AREA", "off")
    core_settings.settings.cache_clear()
    AppTest.from_file(str(APP), default_timeout=60).run()
    core_settings.settings.cache_clear()
    assert len(gc.get_objects()) < 0.2 * gc.get_freeze_count()


def test_what_was_set_aside_is_not_kept_for_ever(collected, monkeypatch):
    class Node:
        pass

    ring = Node()
    ring.itself = ring
    gone = weakref.ref(ring)
    server.set_modules_aside()
    del ring
    gc.collect()
    assert gone() is not None
    monkeypatch.setitem(sys.modules, "one_more", object())
    server.set_modules_aside()
    assert gone() is None
