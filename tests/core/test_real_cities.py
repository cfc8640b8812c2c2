"""Every raster of two real cities, brought in by the command line and read at known places."""

import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from core import settings as core_settings
from core.__main__ import main
from tests.core.raster_files import SHARED

CITY = SHARED / "data" / "city"
MUENSTER = CITY / "muenster"
GOTHENBURG = CITY / "gothenburg_umep" / "GBG_torgg_3006.zip"
needs_files = pytest.mark.skipif(not CITY.is_dir(), reason="the files of real cities are not here")
pytestmark = needs_files


def rasters_of(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".tif")


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A workspace with both cities' areas, each from its own boundary file."""
    folder = tmp_path_factory.mktemp("cities")
    with zipfile.ZipFile(GOTHENBURG) as archive:
        archive.extractall(folder / "gothenburg")
    with rasterio.open(next((folder / "gothenburg").rglob("*dsm.tif"))) as dsm:
        to_lonlat = Transformer.from_crs(dsm.crs, 4326, always_xy=True)
        west, south, east, north = to_lonlat.transform_bounds(*dsm.bounds)
    with zipfile.ZipFile(folder / "project-area.zip", "w") as archive:
        for part in MUENSTER.glob("Project-Area.*"):
            archive.write(part, part.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("URBAN_PATTERN_WORKSPACE", str(folder / "space"))
        core_settings.settings.cache_clear()
        assert (
            main(["area", "new", "muenster", "--boundary", str(folder / "project-area.zip")]) == 0
        )
        box = f"{west},{south},{east},{north}"
        assert main(["area", "new", "gothenburg", "--bounds", box, "--crs", "EPSG:3006"]) == 0
        yield folder
        core_settings.settings.cache_clear()


def run(capsys, *words):
    capsys.readouterr()
    status = main([*(str(word) for word in words), "--json"])
    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    return json.loads(told.out)


def places_of(path, *, count, seed):
    """Return places in degrees and what rasterio reads of the source there, None where missing."""
    rng = np.random.default_rng(seed)
    with rasterio.open(path) as source:
        values = source.read(1)
        valid = source.read_masks(1) > 0
        rows = rng.integers(source.height, size=count)
        columns = rng.integers(source.width, size=count)
        east, north = source.xy(rows, columns)
        lon, lat = Transformer.from_crs(source.crs, 4326, always_xy=True).transform(east, north)
    for x, y, row, column in zip(lon, lat, rows, columns, strict=True):
        value = values[row, column].item() if valid[row, column] else None
        yield x, y, None if value is None or np.isnan(value) else value


def check(capsys, area, number, path):
    added = run(capsys, "area", "add", area, f"layer-{number}", path)
    assert added["outputs"] == [f"layers/layer-{number}.tif"]
    read = 0
    for lon, lat, want in places_of(path, count=12, seed=number):
        found = run(capsys, "pixel", area, f"layer-{number}", lon, lat)
        assert found["value"] == want, (path.name, lon, lat)
        assert found["is_inside"]
        read += want is not None
    assert read > 3, path.name
    return next(one for one in added["layers"] if one["id"] == f"layer-{number}")


def test_every_raster_of_muenster_reads_as_its_source_does(space, capsys):
    found = {path.name: check(capsys, "muenster", number, path)
             for number, path in enumerate(rasters_of(MUENSTER))}  # fmt: skip
    assert len(found) == 20
    assert found["Klassifikation_rf.tif"]["kind"] == "classes"
    summer = found["landsat-Summer_mean_ST_B10.tif"]
    assert (summer["kind"], summer["role"], summer["season"]) == ("values", "effect", "summer")


def test_every_raster_of_gothenburg_reads_as_its_source_does(space, capsys):
    paths = rasters_of(space / "gothenburg")
    found = {path.name: check(capsys, "gothenburg", number, path)
             for number, path in enumerate(paths)}  # fmt: skip
    assert len(found) == 4
    kinds = {name: one["kind"] for name, one in found.items()}
    assert kinds == {
        "torgg_cdsm.tif": "values", "torgg_dem.tif": "values", "torgg_dsm.tif": "values",
        "torgg_lc.tif": "classes",
    }  # fmt: skip


def test_muensters_area_is_the_united_boundary_of_its_file(space, capsys):
    shown = run(capsys, "area", "show", "muenster")["area"]
    assert shown["crs"] == "EPSG:32632"
    boundary = gpd.read_parquet(Path(space) / "space" / "areas" / "muenster" / "boundary.parquet")
    source = gpd.read_file(MUENSTER / "Project-Area.shp").to_crs(boundary.crs)
    assert boundary.area.sum() == pytest.approx(source.union_all().area, rel=1e-9)
