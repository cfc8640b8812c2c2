"""The app's script run without a browser, over a small workspace of its own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from rasterio.transform import from_origin
from streamlit.testing.v1 import AppTest

from core import jobs, prepare
from core import settings as core_settings
from core.legends import LegendClass
from core.workspace import Workspace
from models import runs
from tests.core.raster_files import checkers, new_area, write_tif

APP = Path(__file__).parents[2] / "app.py"
LEGEND = tuple(LegendClass(code, f"Class {code}", f"#{code:02d}7733") for code in range(1, 8))


@pytest.fixture(scope="session")
def town_template(tmp_path_factory):
    """The area `town` with the layers `cover` (classes, UTM) and `heat` (values, degrees)."""
    folder = tmp_path_factory.mktemp("town")
    space = new_area(folder / "space")
    cover = write_tif(folder / "cover.tif", checkers(), nodata=0)
    degrees = np.linspace(20, 30, 40 * 50, dtype="float32").reshape(40, 50)
    heat = write_tif(
        folder / "heat.tif", degrees, crs="EPSG:4326",
        transform=from_origin(-87.668, 41.868, 3e-4, 2.5e-4),
    )  # fmt: skip
    prepare.add_raster(
        space, "town", cover,
        prepare.About(layer_id="cover", title="Cover", kind="classes", legend=LEGEND),
    )  # fmt: skip
    prepare.add_raster(
        space, "town", heat,
        prepare.About(layer_id="heat", title="Heat", kind="values", role="effect", unit="°C"),
    )  # fmt: skip
    return folder / "space"


@pytest.fixture
def space(tmp_path, monkeypatch):
    """An empty workspace and an empty data folder, which the app uses."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(tmp_path / "space"))
    monkeypatch.setenv("URBAN_PATTERN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("URBAN_PATTERN_DEFAULT_AREA", "off")
    core_settings.settings.cache_clear()
    st.cache_resource.clear()
    st.cache_data.clear()  # keyed by area and time stamp: two tests' towns could be alike
    yield Workspace(tmp_path / "space")
    core_settings.settings.cache_clear()


@pytest.fixture
def town(space, town_template):
    """The workspace with the area `town`."""
    shutil.copytree(town_template, space.root)
    return space


@pytest.fixture
def open_page(space):
    """Open a page of the app by its name; keywords stand in the address."""

    def opened(page="start", **address):
        app = AppTest.from_file(APP, default_timeout=60)
        app.query_params.update({"lang": "en", **address})
        app.run()
        if page != "start":
            app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, app.exception
        return app

    return opened


@pytest.fixture
def data_folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def handed_in(monkeypatch):
    """Jobs that the page hands in; none is started."""
    found = []
    monkeypatch.setattr(jobs, "submit", lambda _root, work, config: found.append((work, config)))
    return found


@pytest.fixture
def root(space):
    """The folder of runs of the workspace."""
    folder = space.root / "runs"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def started(monkeypatch):
    """Folders of runs whose processes the page wants to start; none is."""
    folders = []
    monkeypatch.setattr(runs, "start", folders.append)
    monkeypatch.setattr("ui.train_list.find_spec", lambda name: object())
    return folders
