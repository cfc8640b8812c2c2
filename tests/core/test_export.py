"""Quadrats for other programs: each file opens elsewhere and holds the table's values."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from pyproj import Transformer

from core import export
from core.errors import InputError
from core.quadrat_table import Options, quadrat_table, whole_frame
from tests.core.town import make_town


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    space = make_town(tmp_path_factory.mktemp("town") / "space")
    return quadrat_table(space, space.area("town"), Options())


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    export.write_all(whole_frame(made), out / "quadrats")
    for name in ("heat_mean", "cover_fre_3"):
        export.write_column(made.lattice, made.table[name].to_numpy(), out / f"{name}.tif")
    return out


def test_the_files_are_those_that_were_asked_for(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "cover_fre_3.tif", "heat_mean.tif", "quadrats.csv", "quadrats.gpkg", "quadrats.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["gpkg", "parquet"])
def test_geopandas_reads_squares_and_values(made, folder, kind):
    path = folder / f"quadrats.{kind}"
    found = gpd.read_file(path) if kind == "gpkg" else gpd.read_parquet(path)
    want = whole_frame(made)
    assert found.crs.to_epsg() == 32616
    assert found.geometry.geom_equals(want.geometry.reset_index(drop=True), align=False).all()
    for name in want.columns.drop("geometry"):
        np.testing.assert_array_equal(found[name], want[name], err_msg=name)


def test_gdal_lists_one_layer_of_polygons_in_the_geopackage(made, folder):
    path = folder / "quadrats.gpkg"
    assert pyogrio.list_layers(path).tolist() == [["quadrats", "Polygon"]]
    info = pyogrio.read_info(path, layer="quadrats")
    assert info["features"] == len(made.lattice)
    assert info["crs"] == "EPSG:32616"
    assert {"row", "col", "heat_mean", "heat_cover"} <= set(info["fields"])
    assert all(kind != "object" for kind in info["dtypes"])


def test_a_spreadsheet_gets_row_column_and_centre_in_degrees(made, folder):
    table = pd.read_csv(folder / "quadrats.csv", index_col="quadrat")
    assert list(table)[:4] == ["row", "col", "lon", "lat"]
    assert table.index.tolist() == made.lattice.ids.tolist()
    np.testing.assert_allclose(table[made.table.columns], made.table, rtol=1e-15)
    np.testing.assert_allclose(table["heat_cover"], made.cover["heat"], rtol=1e-15)
    to_utm = Transformer.from_crs(4326, 32616, always_xy=True)
    x, y = to_utm.transform(table["lon"], table["lat"])
    centre = whole_frame(made).geometry.centroid
    assert np.hypot(x - centre.x, y - centre.y).max() < 0.2  # six digits of a degree


def test_a_column_s_geotiff_holds_its_values_in_place(made, folder):
    with rasterio.open(folder / "heat_mean.tif") as dataset:
        band = dataset.read(1)
        assert dataset.crs.to_epsg() == 32616
        assert dataset.bounds == (445_000, 4_634_600, 445_600, 4_635_050)
        assert np.isnan(dataset.nodata)
    lattice = made.lattice
    np.testing.assert_array_equal(
        band[lattice.rows, lattice.cols], made.table["heat_mean"].to_numpy(np.float32)
    )
    assert np.isnan(band[~lattice.kept]).all()


def test_another_table_of_the_quadrats_gets_their_squares(made):
    normal = made.normalised(Options()).table
    frame = export.frame_of(made, normal)
    assert list(frame) == ["row", "col", *normal.columns, "geometry"]
    assert frame.geometry.geom_equals(whole_frame(made).geometry).all()
    pd.testing.assert_frame_equal(pd.DataFrame(frame[list(normal)]), normal)


@pytest.mark.parametrize("name", ["quadrats.shp", "quadrats", "quadrats.gpkg.exe", ".csv.tmp"])
def test_an_unknown_format_is_refused_with_those_there_are(made, tmp_path, name):
    with pytest.raises(InputError, match=r"names no format\. There are: gpkg, parquet, csv"):
        export.write_quadrats(whole_frame(made), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_unknown_column_is_refused_by_name(made):
    with pytest.raises(InputError, match=r"no column '\.\./heat'.*heat_mean"):
        export.check_columns(made, ["heat_mean", "../heat"])


def test_an_export_that_fails_leaves_the_older_file_row_18(made, tmp_path, monkeypatch):
    """Row 18."""
    path = tmp_path / "quadrats.gpkg"
    export.write_quadrats(whole_frame(made), path)
    before = path.read_bytes()

    def broken(frame, tmp, **_how):
        tmp.write_bytes(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", broken)
    with pytest.raises(RuntimeError):
        export.write_quadrats(whole_frame(made), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["quadrats.gpkg"]
