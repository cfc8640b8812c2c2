import math
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pyproj import CRS
from rasterio.transform import from_origin
from shapely import box

from core import cog, prepare, rasters
from core.errors import (
    AppError,
    CrsError,
    ExtentError,
    InputError,
    RefusedFileError,
    StoppedError,
    StoreError,
    TooLargeError,
)
from core.prepare import About
from core.summaries import Tally
from core.workspace import Workspace
from tests.core.raster_files import (
    ALBERS,
    NORTH_UP,
    SINUSOIDAL,
    checkers,
    file_server,
    new_area,
    rotated,
    write_tif,
)

VALUES = About(layer_id="a", title="A", kind="values")
CLASSES = About(layer_id="a", title="A", kind="classes")


def stored(workspace):
    """Return the layer, its values and where they are valid."""
    layer = workspace.area("town").layer("a")
    with rasters.open_raster(workspace.layer_path("town", layer)) as dataset:
        values, valid = rasters.read(dataset)
        return layer, values, valid


def test_summary_by_hand():
    tally = Tally("values", np.dtype("int16"), num_pixels=5, name="x")
    tally.add(np.array([[1, 2], [3, 5]], "int16"), np.array([[True, True], [True, False]]))
    tally.add(np.array([[4]], "int16"), None)
    summary = tally.summary()
    assert (summary.valid_share, summary.minimum, summary.maximum) == (0.8, 1, 4)
    assert summary.mean == 2.5
    assert summary.low == pytest.approx(1.06)  # 2 % of the way from 1 to 4, of four values
    assert sum(summary.histogram) == 4
    assert summary.exact


@settings(max_examples=30, deadline=None)
@given(
    dtype=st.sampled_from(["uint8", "int8", "int16", "uint16", "int32", "float32", "float64"]),
    kind=st.sampled_from(["classes", "values"]),
    seed=st.integers(0, 99),
)
def test_summary_matches_numpy(dtype, kind, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-9 if dtype[0] != "u" else 0, 60, (30, 40)).astype(dtype)
    valid = rng.random((30, 40)) < 0.7
    tally = Tally(kind, values.dtype, num_pixels=values.size, name="x")
    for rows in np.array_split(np.arange(30), 4):
        tally.add(values[rows], valid[rows])
    summary = tally.summary()
    kept = values[valid].astype(float)
    assert summary.valid_share == valid.mean()
    assert_allclose(
        [summary.minimum, summary.maximum, summary.mean, summary.low, summary.high],
        [kept.min(), kept.max(), kept.mean(), *np.quantile(kept, [0.02, 0.98])],
    )
    if kind == "classes":
        codes, counts = np.unique(values[valid], return_counts=True)
        assert summary.counts == tuple(zip(codes.tolist(), counts.tolist(), strict=True))
    else:
        limits = (kept.min(), kept.max())
        assert list(summary.histogram) == np.histogram(kept, 64, limits)[0].tolist()


def test_no_valid_pixel_gives_no_figures_row_12():
    """Row 12."""
    for dtype in ("uint8", "float32"):
        tally = Tally("values", np.dtype(dtype), num_pixels=4, name="x")
        tally.add(np.zeros((2, 2), dtype), np.zeros((2, 2), bool))
        assert (tally.summary().valid_share, tally.summary().minimum) == (0, None)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        pytest.param("EPSG:32616", NORTH_UP, id="utm"),
        pytest.param("EPSG:32616", rotated(), id="rotated"),
        pytest.param(ALBERS, from_origin(694_000, 255_000, 100, 100), id="albers"),
        pytest.param(SINUSOIDAL, from_origin(-7_304_000, 4_655_000, 900, 900), id="sinusoidal"),
        pytest.param("EPSG:4326", from_origin(-87.7, 41.9, 0.01, 0.01), id="degrees"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_pixels_crs_type_and_place_are_kept(tmp_path, crs, transform, dtype):
    workspace = new_area(tmp_path / "ws", bounds=(3e5, 4.5e6, 6e5, 4.8e6))
    values = checkers(dtype=dtype)
    source = write_tif(tmp_path / "a.tif", values, crs=crs, transform=transform)
    prepare.add_raster(workspace, "town", source, VALUES)
    layer, found, valid = stored(workspace)
    assert found.dtype == dtype
    assert_array_equal(found, values)
    assert valid.all()
    with rasterio.open(workspace.layer_path("town", layer)) as dataset:
        assert_allclose(dataset.transform, transform)
        assert CRS.from_wkt(dataset.crs.to_wkt()) == CRS(crs) or dataset.crs == crs
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_a_large_layer_is_tiled_with_overviews_of_the_commonest_class(tmp_path):
    workspace = new_area(tmp_path / "ws")
    values = np.full((1200, 1200), 2, "uint8")
    values[::2, ::2] = 9  # the average would be 3.75, the commonest is 2
    source = write_tif(tmp_path / "a.tif", values)
    prepare.add_raster(workspace, "town", source, CLASSES)
    layer, _, _ = stored(workspace)
    path = workspace.layer_path("town", layer)
    with rasters.open_raster(path) as dataset:
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.overviews(1) == [2, 4]
    with rasters.open_raster(path, level=0) as overview:
        assert set(np.unique(overview.read(1))) == {2}
    assert [entry.code for entry in layer.legend] == [2, 9]
    assert layer.steps[-1] == {"step": "cog", "block": 512, "overviews": "mode"}


@settings(max_examples=25, deadline=None)
@given(
    case=st.sampled_from([("uint8", 0), ("int16", -9999), ("float32", -9999.0), ("float32", None),
                          ("float64", math.nan), ("uint8", None)]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_missing_pixels_stay_missing_and_others_stay_equal_row_12(tmp_path_factory, case, seed):
    """Row 12: nodata of any kind, NaN, infinity."""
    dtype, nodata = case
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (20, 30)).astype(dtype)
    if dtype[0] == "f":
        values[rng.random((20, 30)) < 0.2] = rng.choice([math.nan, math.inf])
    if nodata is not None:
        values[rng.random((20, 30)) < 0.2] = nodata
    missing = ~np.isfinite(values) | (values == (99 if nodata is None else nodata))
    folder = tmp_path_factory.mktemp("t")
    workspace = new_area(folder / "ws")
    source = write_tif(folder / "a.tif", values, nodata=nodata)
    prepare.add_raster(workspace, "town", source, VALUES)
    layer, found, valid = stored(workspace)
    assert_array_equal(valid, ~missing)
    assert_array_equal(found[valid], values[~missing])
    assert layer.summary.valid_share == pytest.approx(1 - missing.mean())


def test_an_internal_mask_is_kept_row_12(tmp_path):
    """Row 12."""
    workspace = new_area(tmp_path / "ws")
    mask = np.full((40, 50), 255, "uint8")
    mask[:7] = 0
    source = write_tif(tmp_path / "a.tif", checkers(), mask=mask)
    prepare.add_raster(workspace, "town", source, CLASSES)
    layer, _, valid = stored(workspace)
    assert_array_equal(valid, mask > 0)
    assert sum(count for _, count in layer.summary.counts) == 33 * 50


def test_overviews_leave_missing_pixels_out_row_12(tmp_path):
    """Row 12: an average of 8 and nothing is 8, under a mask, a nodata value and NaN."""
    for number, nodata in enumerate((None, 0, math.nan)):
        workspace = new_area(tmp_path / f"ws{number}")
        dtype = "float32" if nodata is not None and math.isnan(nodata) else "uint8"
        missing = np.zeros((1200, 1200), bool)
        missing[:, ::2] = True
        missing[:600] = True
        values = np.where(missing, 0 if nodata is None else nodata, 8).astype(dtype)
        mask = np.where(missing, 0, 255).astype("uint8") if nodata is None else None
        source = write_tif(tmp_path / f"{number}.tif", values, nodata=nodata, mask=mask)
        prepare.add_raster(workspace, "town", source, VALUES)
        path = workspace.layer_path("town", stored(workspace)[0])
        with rasters.open_raster(path, level=0) as overview:
            found, valid = rasters.read(overview)
        assert not valid[:300].any()
        assert valid[300:].all()
        assert set(np.unique(found[valid])) == {8}


def test_a_given_nodata_joins_that_of_the_file(tmp_path):
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", np.array([[1, 2, 3, 4]], "uint8"), nodata=1)
    prepare.add_raster(workspace, "town", source, VALUES, nodata=4)
    layer, _, valid = stored(workspace)
    assert valid.tolist() == [[False, True, True, False]]
    assert layer.steps[0] == {"step": "nodata", "given": 4, "declared": 1.0}
    with pytest.raises(InputError, match=r"No pixel of a\.tif can be -1"):
        prepare.add_raster(workspace, "town", source, VALUES, nodata=-1)


def test_only_the_band_asked_for_is_kept(tmp_path):
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", np.stack([checkers(), checkers() + 10]))
    prepare.add_raster(workspace, "town", source, VALUES, band=2)
    assert_array_equal(stored(workspace)[1], checkers() + 10)
    with pytest.raises(InputError, match="no band 3"):
        prepare.add_raster(workspace, "town", source, VALUES, band=3)


def test_provenance_names_file_size_digest_and_crs(tmp_path):
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "upload123.tif", checkers())
    prepare.add_raster(workspace, "town", source, CLASSES, source_name="cover.tif")
    layer = stored(workspace)[0]
    assert layer.source["name"] == "cover.tif"
    assert layer.source["bytes"] == source.stat().st_size
    assert (layer.source["crs"], len(layer.source["sha256"])) == ("EPSG:32616", 64)
    assert not list((tmp_path / "ws" / "areas" / "town" / ".scratch").iterdir())


def test_an_array_and_a_file_give_the_same_layer(tmp_path):
    workspace = new_area(tmp_path / "ws")
    prepare.add_raster(workspace, "town", write_tif(tmp_path / "a.tif", checkers()), CLASSES)
    first = stored(workspace)
    prepare.add_array(
        workspace, "town", checkers(), CLASSES, transform=NORTH_UP, crs="EPSG:32616",
        origin={"name": "drawn"},
    )  # fmt: skip
    second = stored(workspace)
    assert first[0].summary == second[0].summary
    assert first[0].digest == second[0].digest
    assert second[0].source["name"] == "drawn"


def test_a_missing_crs_is_asked_for_never_guessed_row_13(tmp_path):
    """Row 13."""
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", checkers(), crs=None)
    with pytest.raises(CrsError, match=r"a\.tif has no coordinate system"):
        prepare.add_raster(workspace, "town", source, VALUES)
    with pytest.raises(CrsError, match="'nonsense' is no coordinate system"):
        prepare.add_raster(workspace, "town", source, VALUES, crs="nonsense")
    prepare.add_raster(workspace, "town", source, VALUES, crs="EPSG:32616")
    assert stored(workspace)[0].steps[0] == {"step": "crs", "given": "EPSG:32616"}


def test_a_raster_without_a_place_is_refused_row_13(tmp_path):
    """Row 13."""
    workspace = new_area(tmp_path / "ws")
    source = tmp_path / "a.tif"
    with rasterio.open(
        source, "w", driver="GTiff", width=3, height=2, count=1, dtype="uint8", crs="EPSG:32616"
    ) as dataset:
        dataset.write(np.ones((1, 2, 3), "uint8"))
    with pytest.raises(CrsError, match="where on the map"):
        prepare.add_raster(workspace, "town", source, VALUES)


def test_no_overlap_is_refused_before_any_work_and_a_part_is_let_in_row_14(tmp_path):
    """Row 14: shifted rasters."""
    workspace = new_area(tmp_path / "ws")
    far = write_tif(
        tmp_path / "far.tif", checkers(), transform=from_origin(445_501, 4.635e6, 10, 10)
    )
    with pytest.raises(ExtentError, match=r"far\.tif lies at .*°E.*do not meet"):
        prepare.add_raster(workspace, "town", far, VALUES)
    assert not (tmp_path / "ws/areas/town/.scratch").exists()
    part = write_tif(
        tmp_path / "p.tif", checkers(), transform=from_origin(445_490, 4.635e6, 10, 10)
    )
    prepare.add_raster(workspace, "town", part, VALUES)
    assert workspace.area("town").layers[0].id == "a"


@pytest.mark.parametrize("west", [178.0, -182.0])
def test_an_area_at_the_180th_meridian_meets_a_raster_across_it_row_15(tmp_path, west):
    """Row 15: 60S ends at 180° east of Fiji; the area lies on its east side."""
    workspace = new_area(
        tmp_path / "ws", bounds=(800_000, 8.1e6, 815_000, 8.12e6), crs="EPSG:32760"
    )
    source = write_tif(
        tmp_path / "a.tif",
        checkers(),
        crs="EPSG:4326",
        transform=from_origin(west, -16, 0.08, 0.08),
    )
    prepare.add_raster(workspace, "town", source, VALUES)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_off_file_is_refused_and_the_old_layer_stays_row_10(tmp_path, share):
    """Row 10."""
    workspace = new_area(tmp_path / "ws")
    values = np.random.default_rng(1).integers(0, 255, (300, 300), dtype="uint8")
    whole = write_tif(tmp_path / "a.tif", values)
    prepare.add_raster(workspace, "town", whole, VALUES)
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    for _ in range(2):
        with pytest.raises(RefusedFileError, match=r"cut\.tif"):
            prepare.add_raster(workspace, "town", cut, VALUES)
    assert_array_equal(stored(workspace)[1], values)


def test_rotten_bytes_are_found_on_demand_row_11(tmp_path):
    """Row 11."""
    workspace = new_area(tmp_path / "ws")
    prepare.add_raster(workspace, "town", write_tif(tmp_path / "a.tif", checkers()), VALUES)
    prepare.verify(workspace, "town", "a")
    path = workspace.layer_path("town", workspace.area("town").layer("a"))
    body = bytearray(path.read_bytes())
    body[-20] ^= 0xFF
    path.write_bytes(body)
    with pytest.raises(StoreError, match="layer A has changed"):
        prepare.verify(workspace, "town", "a")


def test_fractions_cannot_be_classes(tmp_path):
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", checkers(dtype="float32") + 0.5)
    with pytest.raises(InputError, match="holds fractions"):
        prepare.add_raster(workspace, "town", source, CLASSES)


def test_a_raster_above_the_limit_is_refused_first_row_5(tmp_path, monkeypatch):
    """Row 5."""
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", np.ones((2000, 2000), "uint8"))
    monkeypatch.setattr(prepare, "settings", lambda: type("S", (), {"raster_mb": 3})())
    with pytest.raises(TooLargeError, match=r"a\.tif unpacks to"):
        prepare.add_raster(workspace, "town", source, VALUES)


@pytest.mark.parametrize("own_process", [False, True])
def test_stop_is_obeyed_and_changes_nothing(tmp_path, monkeypatch, own_process):
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", np.ones((1600, 1600), "uint8"))
    if own_process:
        monkeypatch.setattr(cog, "_OWN_PROCESS_PIXELS", 1)
    shares = []
    with pytest.raises(StoppedError):
        prepare.add_raster(
            workspace, "town", source, VALUES,
            on_progress=lambda share, text: shares.append(share),
            should_stop=lambda: bool(shares) and shares[-1] >= (0.5 if own_process else 0.1),
        )  # fmt: skip
    assert workspace.area("town").layers == ()
    assert not list((tmp_path / "ws/areas/town/.scratch").iterdir())


def test_a_process_of_its_own_writes_the_same_file(tmp_path, monkeypatch):
    workspace = new_area(tmp_path / "ws")
    source = write_tif(tmp_path / "a.tif", checkers())
    prepare.add_raster(workspace, "town", source, CLASSES)
    digest = stored(workspace)[0].digest
    monkeypatch.setattr(cog, "_OWN_PROCESS_PIXELS", 1)
    shares = []
    prepare.add_raster(
        workspace, "town", source, CLASSES, on_progress=lambda share, _: shares.append(share)
    )
    assert stored(workspace)[0].digest == digest
    assert shares == sorted(shares) and shares[-1] == 1


_FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from core import prepare
from core.errors import TooLargeError
from core.workspace import Workspace
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    prepare.add_raster(Workspace(Path(sys.argv[1])), "town", Path(sys.argv[2]),
                       prepare.About(layer_id="a", title="A", kind="values"))
except TooLargeError as err:
    print(err)
else:
    raise SystemExit("was written")
"""


@pytest.mark.parametrize("limit", [100_000, 1_500_000], ids=["raw-copy", "finished-file"])
def test_a_full_disk_leaves_the_old_layer_row_20(tmp_path, limit):
    """Row 20: writing beyond the limit fails; area and old file stay whole."""
    workspace = new_area(tmp_path / "ws")
    prepare.add_raster(workspace, "town", write_tif(tmp_path / "a.tif", checkers()), VALUES)
    values = np.random.default_rng(0).integers(0, 255, (1200, 1200), dtype="uint8")
    source = write_tif(tmp_path / "b.tif", values)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, tmp_path / "ws", source, str(limit)],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout or "room" in done.stdout
    prepare.verify(workspace, "town", "a")
    assert_array_equal(stored(workspace)[1], checkers())
    assert not list((tmp_path / "ws/areas/town/.scratch").iterdir())


def test_a_remote_layer_has_an_address_and_no_file(tmp_path):
    workspace = new_area(tmp_path / "ws")
    write_tif(tmp_path / "a.tif", checkers(), driver="COG")
    with file_server(tmp_path) as url:
        prepare.add_remote(workspace, "town", f"{url}/a.tif", CLASSES)
        first = workspace.area("town").layer("a")
        assert (first.url, first.file, first.summary.exact) == (f"{url}/a.tif", "", False)
        assert sum(count for _, count in first.summary.counts) == 2000
        write_tif(tmp_path / "a.tif", checkers(41, 50), driver="COG")
        prepare.add_remote(workspace, "town", f"{url}/a.tif", CLASSES)
        assert workspace.area("town").layer("a").digest != first.digest
        with pytest.raises(AppError):
            prepare.add_remote(workspace, "town", f"{url}/none.tif", CLASSES)
        write_tif(tmp_path / "flat.tif", np.ones((2100, 2100), "uint8"))
        with pytest.raises(RefusedFileError, match=r"flat\.tif has no overviews"):
            prepare.add_remote(workspace, "town", f"{url}/flat.tif", CLASSES)


@pytest.mark.parametrize("more", [{"band": 2}, {"crs": "EPSG:4326"}, {"nodata": 0.0}])
def test_what_a_remote_layer_cannot_keep_is_refused(tmp_path, more):
    workspace = new_area(tmp_path / "ws")
    with pytest.raises(InputError, match="read as it is: band 1"):
        prepare.add_remote(workspace, "town", "http://localhost/a.tif", CLASSES, **more)


def test_a_crs_that_contradicts_the_files_own_is_refused(tmp_path):
    workspace = new_area(tmp_path / "ws")
    path = write_tif(tmp_path / "a.tif", checkers())
    with pytest.raises(CrsError, match=r"a\.tif is in EPSG:32616, not in EPSG:4326"):
        prepare.add_raster(workspace, "town", path, CLASSES, crs="EPSG:4326")
    prepare.add_raster(workspace, "town", path, CLASSES, crs="EPSG:32616")


def test_figures_are_of_the_pixels_inside_the_boundary(tmp_path):
    """The boundary holds the north-west 4 × 4 of 10 × 10 pixels: 13 of 1, 2 of 5, 1 missing."""
    space = Workspace(tmp_path)
    corner = gpd.GeoDataFrame(geometry=[box(400_000, 5_000_060, 400_040, 5_000_100)], crs=32632)
    space.create("town", title="Town", boundary=corner, boundary_source={})
    values = np.ones((10, 10), np.uint8)
    values[0, :3] = [5, 5, 0]
    values[9, 9] = 7
    area = prepare.add_array(
        space, "town", values, prepare.About(layer_id="lc", title="LC", kind="classes"),
        transform=Affine(10, 0, 400_000, 0, -10, 5_000_100), crs="EPSG:32632", nodata=0, origin={},
    )  # fmt: skip
    layer = area.layer("lc")
    assert layer.summary.counts == ((1, 13), (5, 2))
    assert layer.summary.valid_share == 15 / 16
    assert [entry.code for entry in layer.legend] == [1, 5, 7]  # every code of the raster


def test_a_boundary_smaller_than_a_pixel_takes_the_figures_of_the_whole_raster(tmp_path):
    space = Workspace(tmp_path)
    small = gpd.GeoDataFrame(geometry=[box(400_001, 5_000_091, 400_004, 5_000_094)], crs=32632)
    space.create("town", title="Town", boundary=small, boundary_source={})
    area = prepare.add_array(
        space, "town", np.arange(4, dtype=np.float32).reshape(2, 2),
        prepare.About(layer_id="v", title="V", kind="values"),
        transform=Affine(50, 0, 400_000, 0, -50, 5_000_100), crs="EPSG:32632", origin={},
    )  # fmt: skip
    assert (area.layer("v").summary.minimum, area.layer("v").summary.maximum) == (0, 3)
