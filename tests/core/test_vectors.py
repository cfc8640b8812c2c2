import contextlib
import json
import resource
import socket
import sqlite3
import struct
import tempfile
import threading
import time
import warnings
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crs import parse_crs
from core.errors import AppError, CrsError, InputError, RefusedFileError, TooLargeError
from core.vectors import read_vector
from core.wkb import geometries

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LOOP = shapely.box(447_000, 4_636_000, 449_000, 4_638_000)  # metres, UTM 16N: the centre of Chicago
FRAME = gpd.GeoDataFrame(
    {"name": ["Loop", "<script>alert(1)</script>"], "storeys": [40, 3]},
    geometry=[LOOP, shapely.box(449_000, 4_636_000, 450_000, 4_637_000)],
    crs=32616,
)


def written(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as folder:
            shp = Path(folder) / "zones.shp"
            pyogrio.write_dataframe(frame, shp)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for part in sorted(shp.parent.glob("zones.*")):
                    archive.write(part, f"a folder/{part.name}")
    else:
        pyogrio.write_dataframe(frame, path)
    return path


def geojson(path, *geometries_, **members):
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in geometries_]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
    return path


def square(west, south, side):
    return shapely.geometry.mapping(shapely.box(west, south, west + side, south + side))


@pytest.fixture
def no_scratch_left(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".zip", ".shp"])
def test_each_format_gives_back_what_was_written(tmp_path, suffix, no_scratch_left):
    found = read_vector(written(FRAME, tmp_path / f"zones{suffix}"))
    found.attrs.clear()
    expected = FRAME.copy()
    pd.testing.assert_series_equal(found["name"], expected["name"], check_dtype=False)
    assert found["storeys"].tolist() == [40, 3]
    assert shapely.equals(found.geometry.to_numpy(), expected.geometry.to_numpy()).all()
    assert found.crs.to_epsg() == 32616


@pytest.mark.parametrize("suffix", [".geojson", ".json"])
def test_geojson_gives_back_what_was_written(tmp_path, suffix):
    lonlat = FRAME.to_crs(4326)
    path = tmp_path / f"zones{suffix}"
    path.write_text(lonlat.to_json(drop_id=True))
    found = read_vector(path)
    found.attrs.clear()
    assert_geodataframe_equal(found, lonlat, check_dtype=False, check_less_precise=True)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".zip"])
def test_geometry_of_every_simple_kind_equals_gdals(tmp_path, suffix):
    shapes = {
        "points": [shapely.Point(1, 2), shapely.Point(3, 4)],
        "lines": [shapely.LineString([(0, 0), (1, 1), (2, 0)])],
        "holes": [shapely.box(0, 0, 9, 9).difference(shapely.box(1, 1, 2, 2))],
        "multi": [shapely.union(shapely.box(0, 0, 1, 1), shapely.box(5, 5, 6, 6))],
        "height": [shapely.Polygon([(0, 0, 5), (1, 0, 6), (1, 1, 7)])],
    }
    for name, rows in shapes.items():
        path = tmp_path / f"{name}{suffix}"
        written(gpd.GeoDataFrame({"a": range(len(rows))}, geometry=rows, crs=4326), path)
        ours = read_vector(path).geometry
        source = f"/vsizip/{path}/a folder/zones.shp" if suffix == ".zip" else path
        theirs = pyogrio.read_dataframe(source, force_2d=True).geometry
        assert shapely.equals(ours.to_numpy(), theirs.to_numpy()).all(), name
        assert not ours.has_z.any()


def test_markup_in_attributes_stays_plain_text(tmp_path):
    """Row 8, as far as reading goes."""
    found = read_vector(written(FRAME, tmp_path / "zones.gpkg"))
    assert found["name"].iloc[1] == "<script>alert(1)</script>"


def test_an_attribute_called_geometry_does_not_replace_the_geometry(tmp_path):
    path = tmp_path / "a.geojson"
    feature = {"type": "Feature", "properties": {"geometry": "x", "list": [1, {"a": 2}]}}
    path.write_text(json.dumps({**feature, "geometry": square(8, 50, 0.1)}))
    found = read_vector(path)
    assert found["geometry_"].tolist() == ["x"]
    assert found["list"].tolist() == ['[1, {"a": 2}]']
    assert found.geometry.iloc[0].area == pytest.approx(0.01)


# -- coordinate systems ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".zip"])
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_missing_crs_is_asked_for_and_never_guessed(tmp_path, suffix):
    """Row 13."""
    path = written(FRAME.set_crs(None, allow_override=True), tmp_path / f"zones{suffix}")
    with pytest.raises(CrsError, match="does not say which coordinate system"):
        read_vector(path)
    assert read_vector(path, crs="EPSG:32616").crs.to_epsg() == 32616


def test_a_given_crs_never_replaces_the_files_own(tmp_path):
    path = written(FRAME, tmp_path / "zones.gpkg")
    assert read_vector(path, crs="EPSG:4326").crs.to_epsg() == 32616
    lonlat = geojson(tmp_path / "a.geojson", square(8, 50, 0.1))
    assert read_vector(lonlat, crs="EPSG:32616").crs.to_epsg() == 4326


def test_geojson_in_metres_is_reported_and_read_once_its_crs_is_given(tmp_path):
    """Row 13."""
    path = geojson(tmp_path / "metres.geojson", shapely.geometry.mapping(LOOP))
    with pytest.raises(CrsError, match="not in degrees: they reach 4638000"):
        read_vector(path)
    assert read_vector(path, crs="32616").geometry.iloc[0].equals(LOOP)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("urn:ogc:def:crs:EPSG::32616", 32616),
        ("EPSG:32616", 32616),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
    ],
)
def test_the_older_crs_member_of_geojson_is_obeyed(tmp_path, name, code):
    crs = {"type": "name", "properties": {"name": name}}
    path = geojson(tmp_path / "a.geojson", square(8, 50, 0.1), crs=crs)
    assert read_vector(path).crs.to_epsg() == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<script>",
        "EPSG:999999",
        "9" * 5000,
        "+proj=longlat +nadgrids=/etc/passwd",
        "+init=/etc/passwd:1",
        "{" * 3000,
        "EPSG:5703",  # heights alone
        "\0",
        "http://localhost/crs",
        'LOCAL_CS["here"]',
    ],
)
def test_a_crs_that_cannot_be_used_gives_one_sentence(text):
    with pytest.raises(CrsError) as caught:
        parse_crs(text)
    assert len(str(caught.value)) < 300


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_crs_text_is_read_or_refused(text):
    try:
        crs = parse_crs(text)
    except CrsError:
        return
    assert crs.is_geographic or crs.is_projected


# -- what is not let in ---------------------------------------------------------------------------

VRT = """<OGRVRTDataSource><OGRVRTLayer name="passwd"><SrcDataSource>CSV:/etc/passwd</SrcDataSource>
<SrcLayer>passwd</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""
ENTITIES = (
    "<!DOCTYPE x ["
    + "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(12))
    + ']><gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml">&e11;</gml:FeatureCollection>'
)
PIPELINE = '{"type":"gdal_streamed_alg","command_line":"gdal vector read /etc/passwd"}'
BIG = "[" * 200_000


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".parquet", ".zip", ".shp", ".gml"])
@pytest.mark.parametrize(
    "content",
    [
        VRT.encode(),
        ENTITIES.encode(),
        b'<?xml version="1.0"?><kml/>',
        b'<?xml version="1.0"?><gpx/>',
        PIPELINE.encode(),
        b'{"type":"FeatureCollection","features":{"url":"http://127.0.0.1:9/x"}}',
        b'{"type":"Topology","objects":{},"arcs":[]}',
        b'{"geometryType":"esriGeometryPolygon","features":[{"rings":[]}]}',
        b'{"type":"FeatureCollection","features":' + BIG.encode(),
        b'{"type":"GeometryCollection","geometries":[]}',
        b'{"type":"Polygon","coordinates":[[[NaN,0],[1,1],[2,0]]]}',
        b'{"type":"Polygon","coordinates":[[[1e999,0],[1,1],[2,0]]]}',
        b'{"type":"Polygon","coordinates":[[0,1],[2,3]]}',
        b'{"type":"Polygon","coordinates":{"a":1}}',
        b'{"type":"Polygon","coordinates":[[["1",2]]]}',
        b'{"type":["Polygon"]}',
        b'{"type":"Feature","geometry":{"type":{}},"properties":[]}',
        b"\xff\xfe{\x00",
        b"",
        b"PK\x03\x04",
        b"PAR1",
        b"PAR1" + bytes(20) + b"\xff\xff\xff\x7fPAR1",
        b"SQLite format 3\0" + bytes(52) + b"GPKG" + bytes(5000),
        struct.pack(">i", 9994) + bytes(200),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_foreign_and_broken_content_is_refused_quickly(tmp_path, content, suffix, no_scratch_left):
    """Row 3: whatever the name says."""
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    start = time.monotonic()
    with pytest.raises((RefusedFileError, InputError)) as caught:
        read_vector(path)
    assert time.monotonic() - start < 5
    assert "root:" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "address",
    [
        "/vsicurl/http://127.0.0.1:9/a.geojson",
        "/vsizip//etc/a.zip/a.shp",
        "/vsimem/a.gpkg",
        "http://127.0.0.1:9/a.geojson",
        "https://127.0.0.1:9/a.geojson",
        "PG:dbname=x.geojson",
        "missing.geojson",
        "nul\0.geojson",
        "/dev/zero",
        ".",
    ],
)
def test_addresses_and_paths_that_are_no_file_are_refused(address):
    """Row 3."""
    with pytest.raises(InputError):
        read_vector(Path(address))


def test_no_file_makes_a_request(tmp_path):
    """Rows 2 and 3: a server on this machine stays unvisited."""
    visits = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    url = f"http://127.0.0.1:{server.getsockname()[1]}/a.geojson"

    def listen():
        with contextlib.suppress(TimeoutError):
            visits.append(server.accept())

    watcher = threading.Thread(target=listen)
    watcher.start()
    link = {"type": "link", "properties": {"href": url, "type": "proj4"}}
    files = {
        "crs.geojson": {**square(8, 50, 1), "crs": link},
        "named.geojson": {**square(8, 50, 1), "crs": {"properties": {"name": url}}},
        "url.geojson": {"type": "FeatureCollection", "url": url},
        "service.geojson": {"type": "gdal_streamed_alg", "command_line": f"gdal vector read {url}"},
    }
    for name, body in files.items():
        (tmp_path / name).write_text(json.dumps(body))
        with pytest.raises(AppError):
            read_vector(tmp_path / name)
    watcher.join()
    server.close()
    assert visits == []


# -- GeoPackage: a database that means harm -------------------------------------------------------


def changed(tmp_path, *statements):
    path = written(FRAME, tmp_path / "zones.gpkg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        db = sqlite3.connect(path)
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            db.create_function(name, 1, lambda _: 0)
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.close()
    return path


def test_a_view_in_place_of_a_table_is_refused(tmp_path):
    """Row 3: a view can run for ever."""
    path = changed(
        tmp_path,
        "ALTER TABLE zones RENAME TO plain",
        "CREATE VIEW zones AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM r)"
        " SELECT x AS fid, geom FROM plain, r",
        "UPDATE gpkg_geometry_columns SET table_name='zones'",
    )
    with pytest.raises(RefusedFileError, match="is a view"):
        read_vector(path)


def test_a_list_of_layers_that_is_an_endless_view_is_refused(tmp_path):
    """Row 3."""
    path = changed(
        tmp_path,
        "DROP TABLE gpkg_geometry_columns",
        "CREATE VIEW gpkg_geometry_columns AS WITH RECURSIVE r(x) AS"
        " (SELECT 1 UNION ALL SELECT x+1 FROM r)"
        " SELECT x AS table_name, 'geom' AS column_name, 4326 AS srs_id FROM r",
    )
    start = time.monotonic()
    with pytest.raises(InputError):
        read_vector(path)
    assert time.monotonic() - start < 5


def test_a_computed_column_does_not_run(tmp_path):
    """Row 3: functions are denied, so a file cannot ask for a gigabyte of zeros."""
    path = changed(
        tmp_path, "ALTER TABLE zones ADD COLUMN bomb GENERATED ALWAYS AS (zeroblob(1000000000))"
    )
    with pytest.raises(RefusedFileError, match="cannot be read"):
        read_vector(path)


def test_a_geopackage_open_elsewhere_is_refused_rather_than_read_half(tmp_path):
    path = written(FRAME, tmp_path / "zones.gpkg")
    path.with_name("zones.gpkg-wal").write_bytes(b"changes")
    with pytest.raises(RefusedFileError, match="open in another program"):
        read_vector(path)


def test_reading_a_geopackage_leaves_nothing_beside_it(tmp_path):
    path = written(FRAME, tmp_path / "zones.gpkg")
    before = path.read_bytes()
    read_vector(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["zones.gpkg"]
    assert path.read_bytes() == before


def test_several_layers_are_named_and_one_is_chosen(tmp_path):
    path = written(FRAME, tmp_path / "zones.gpkg")
    pyogrio.write_dataframe(FRAME.iloc[:1], path, layer="second; DROP", append=True)
    with pytest.raises(InputError, match=r"several layers.*second; DROP, zones"):
        read_vector(path)
    assert len(read_vector(path, layer="second; DROP")) == 1
    with pytest.raises(InputError, match="has no layer 'third'"):
        read_vector(path, layer="third")


# -- WKB ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [4, 5, 6, 7, 1006, 10, 15])
def test_nested_geometry_is_refused_before_it_overflows_the_stack(kind):
    """Row 3: 100,000 levels crash GEOS."""
    blob = struct.pack("<BII", 1, kind, 1) * 100_000
    with pytest.raises(RefusedFileError):
        geometries([blob], "file")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_wkb_is_read_or_refused(data):
    shape = data.draw(st.sampled_from([LOOP, shapely.MultiPolygon([LOOP]), shapely.Point(1, 2)]))
    blob = bytearray(shapely.to_wkb(shape))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RefusedFileError, TooLargeError):
        geometries([bytes(blob[: data.draw(st.integers(0, len(blob)))])], "file")


# -- limits ---------------------------------------------------------------------------------------


def test_a_file_over_the_upload_limit_is_refused_unread(tmp_path, monkeypatch):
    """Row 24."""
    path = tmp_path / "large.geojson"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # sparse
    with pytest.raises(TooLargeError, match="larger than 2048 MB"):
        read_vector(path)


def test_large_geojson_is_refused_with_a_way_out(tmp_path):
    path = tmp_path / "large.geojson"
    with path.open("wb") as file:
        file.write(b"{")
        file.truncate(65 << 20)
    with pytest.raises(TooLargeError, match="save it as a GeoPackage"):
        read_vector(path)


def test_features_with_a_column_each_are_refused(tmp_path):
    """Row 3: 20,000 features of 20,000 different attributes are 400 million cells."""
    features = [
        {"type": "Feature", "geometry": None, "properties": {f"p{i}": 1}} for i in range(20_000)
    ]
    path = tmp_path / "wide.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(TooLargeError, match="more than 255 columns"):
        read_vector(path)


def test_a_parquet_file_of_many_repeated_rows_is_refused_within_memory(tmp_path):
    """Row 3: a small file that unpacks to many gigabytes."""
    blob = shapely.to_wkb(shapely.LineString(np.zeros((60_000, 2))))
    geo = {"primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    index = pa.array(np.zeros(150_000, dtype=np.int32))
    column = pa.DictionaryArray.from_arrays(index, pa.array([blob]))
    table = pa.table({"geometry": column})
    path = tmp_path / "bomb.parquet"
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"geo": json.dumps(geo)})
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with pytest.raises(TooLargeError):
        read_vector(path)
    assert time.monotonic() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # kB


def test_parquet_without_geometry_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(RefusedFileError, match="without geometry"):
        read_vector(tmp_path / "a.parquet")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # GDAL's remarks on a damaged shapefile
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_cut_or_damaged_file_is_read_or_refused(tmp_path_factory, data):
    """Row 10, for vectors."""
    folder = tmp_path_factory.mktemp("damaged")
    suffix = data.draw(st.sampled_from([".gpkg", ".parquet", ".zip", ".geojson", ".shp"]))
    path = folder / f"a{suffix}"
    written(FRAME.to_crs(4326), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    with contextlib.suppress(AppError):
        read_vector(path)


# -- real files -----------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("file", "code", "rows"),
    [
        ("data/city/muenster/Project-Area.shp", 32632, 1),
        ("data/city/gothenburg_umep/GBG_torgg_3006.zip", 3006, 20),
        ("data/city/chicago/chicago_boundary.geojson", 4326, 1),
        ("fixtures/city/inputs/boundary.gpkg", 32616, 1),
    ],
)
def test_real_files_equal_gdals_reading(file, code, rows):
    path = SHARED / file
    found = read_vector(path)
    source = f"/vsizip/{path}/gbgcity_grid_300m.shp" if path.suffix == ".zip" else path
    theirs = pyogrio.read_dataframe(source)
    assert (found.crs.to_epsg(), len(found)) == (code, rows)
    assert shapely.equals(found.geometry.to_numpy(), theirs.geometry.to_numpy()).all()
