import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from rasterio.transform import from_origin

from core import georeference, raster_info, rasters
from core.errors import CrsError, InputError, RefusedFileError
from core.settings import Settings
from tests.core.raster_files import (
    ALBERS,
    SHARED,
    SINUSOIDAL,
    canary,
    checkers,
    file_server,
    redirecting,
    rotated,
    write_tif,
)

VRT = """<VRTDataset rasterXSize="2" rasterYSize="2"><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename>{target}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
</VRTRasterBand></VRTDataset>"""


def test_pixel_by_hand(tmp_path):
    # 2 × 3 pixels of one degree from 10°E 52°N: 11.5°E 50.5°N is the second row, second column.
    values = np.arange(6, dtype="int16").reshape(2, 3)
    path = write_tif(
        tmp_path / "a.tif", values, crs="EPSG:4326", transform=from_origin(10, 52, 1, 1), nodata=0
    )
    assert rasters.read_pixel(path, 11.5, 50.5) == rasters.Pixel(1, 1, 4)
    assert rasters.read_pixel(path, 10.5, 51.5) == rasters.Pixel(0, 0, None)
    assert rasters.read_pixel(path, 9.9, 51.5) == rasters.Pixel(None, None, None)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        pytest.param("EPSG:32616", from_origin(445_000, 4_635_000, 10, 10), id="utm"),
        pytest.param("EPSG:32616", rotated(), id="rotated"),
        pytest.param("EPSG:32616", Affine(10, 0, 445_000, 0, 10, 4_634_000), id="south-up"),
        pytest.param(ALBERS, from_origin(600_000, 2_100_000, 30, 30), id="albers"),
        pytest.param(SINUSOIDAL, from_origin(-7_300_000, 4_650_000, 926, 926), id="sinusoidal"),
    ],
)
def test_each_pixel_centre_reads_its_own_pixel_row_13(tmp_path, crs, transform):
    """Row 13: rotated and south-up rasters are read where they lie."""
    values = checkers(dtype="int32")
    path = write_tif(tmp_path / "a.tif", values, crs=crs, transform=transform)
    for row, column in ((0, 0), (39, 49), (17, 31)):
        x, y = transform @ (column + 0.5, row + 0.5)
        with rasters.open_raster(path) as dataset:
            own = rasters.dataset_crs(dataset)
        lon, lat = georeference.transformer(own, "lonlat").transform(x, y)
        assert rasters.read_pixel(path, lon, lat) == rasters.Pixel(row, column, values[row, column])


@pytest.mark.parametrize("lon", [179.9, -179.9, 180.1])
def test_both_sides_of_the_180th_meridian_are_read_row_15(tmp_path, lon):
    """Row 15."""
    values = np.array([[1, 2]], "uint8")
    path = write_tif(
        tmp_path / "a.tif", values, crs="EPSG:4326", transform=from_origin(179, 1, 1, 1)
    )
    assert raster_info.inspect(path).bounds_lonlat == (179.0, 0.0, -179.0, 1.0)
    assert rasters.read_pixel(path, lon, 0.5).value == (1 if lon == 179.9 else 2)


def test_a_pole_is_inside_its_polar_raster_row_15(tmp_path):
    """Row 15."""
    path = write_tif(
        tmp_path / "a.tif",
        checkers(20, 20),
        crs="EPSG:3413",
        transform=from_origin(-1000, 1000, 100, 100),
    )
    west, _, east, north = raster_info.inspect(path).bounds_lonlat
    assert (west, east, north) == (-180, 180, 90)
    assert rasters.read_pixel(path, 0, 90).row == 10


@pytest.mark.parametrize("outside", [(0, 91), (400, 0), (math.nan, 0)])
def test_a_point_off_the_earth_is_refused(tmp_path, outside):
    path = write_tif(tmp_path / "a.tif", checkers())
    with pytest.raises(InputError, match="no longitude and latitude"):
        rasters.read_pixel(path, *outside)


def test_a_vrt_named_tif_is_refused_and_its_target_unread_row_1(tmp_path):
    """Row 1."""
    secret = write_tif(tmp_path / "secret.tif", np.full((2, 2), 77, "uint8"))
    path = tmp_path / "harmless.tif"
    path.write_text(VRT.format(target=secret))
    for act in (raster_info.inspect, raster_info.preview):
        with pytest.raises(RefusedFileError, match=r"harmless\.tif is a VRT") as caught:
            act(path)
        assert "77" not in str(caught.value) and "secret" not in str(caught.value)


def test_no_path_or_vrt_makes_a_request_row_2(tmp_path):
    """Row 2: the listener on loopback stays silent."""
    with canary() as (url, asked):
        path = tmp_path / "a.tif"
        path.write_text(VRT.format(target=f"/vsicurl/{url}/b.tif"))
        names = [path, f"/vsicurl/{url}/b.tif", f"{url}/b.tif", f"GTIFF_DIR:1:/vsicurl/{url}/b"]
        for name in (*names, Path(f"/vsicurl/{url}/b.tif"), f"vrt://{url}/b.tif"):
            for act in (raster_info.inspect, raster_info.preview):
                with pytest.raises(InputError):
                    act(name)
            with pytest.raises(InputError):
                rasters.read_pixel(name, 0, 0)
        assert asked == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_a_cut_off_tiff_is_refused_by_name_each_time_row_10(tmp_path, share, driver):
    """Row 10."""
    values = np.random.default_rng(1).integers(0, 255, (700, 700), dtype="uint8")
    whole = write_tif(tmp_path / "whole.tif", values, driver=driver).read_bytes()
    path = tmp_path / "cut.tif"
    path.write_bytes(whole[: int(len(whole) * share)])
    for _ in range(2):
        with pytest.raises(RefusedFileError, match=r"cut\.tif.*(damaged|cut off)"):
            raster_info.inspect(path)
        with pytest.raises(RefusedFileError, match=r"cut\.tif"), rasters.open_raster(path) as data:
            rasters.read(data)


_HUGE = """
import resource, sys
from core import georeference, raster_info, rasters
from core.errors import TooLargeError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
info = raster_info.inspect(sys.argv[1])
assert info.unpacked_bytes == 40_000_000_000, info
assert 8 <= raster_info.preview(sys.argv[1]).shape[0] <= 512
try:
    with rasters.open_raster(sys.argv[1]) as dataset:
        rasters.read(dataset)
except TooLargeError as err:
    assert "80.0 GB" in str(err), err
else:
    raise SystemExit("read 40 GB")
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert grown < 200, grown
"""


def test_a_small_file_that_declares_40_gb_row_5(tmp_path):
    """Row 5: header and preview work, the whole is refused with an estimate, memory is bounded."""
    path = tmp_path / "huge.tif"
    profile = {"tiled": True, "blockxsize": 4096, "blockysize": 4096, "sparse_ok": True}
    with rasterio.open(
        path, "w", driver="GTiff", width=200_000, height=200_000, count=1, dtype="uint8",
        crs="EPSG:32616", transform=from_origin(0, 0, 1, 1), **profile,
    ):  # fmt: skip
        pass
    assert path.stat().st_size < 100_000
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", _HUGE, path], check=True, cwd=root)


def test_one_block_too_large_to_unpack_is_refused_row_5(tmp_path):
    """Row 5: a strip of the size of the whole picture."""
    path = tmp_path / "block.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=40_000, height=40_000, count=1, dtype="uint8",
        tiled=True, blockxsize=20_480, blockysize=20_480, sparse_ok=True,
    ):  # fmt: skip
        pass
    with pytest.raises(RefusedFileError, match="20480 × 20480"):
        raster_info.inspect(path)


def test_a_picture_without_overviews_takes_pixels_from_their_places(tmp_path, monkeypatch):
    row, column = np.mgrid[:3000, :2000]
    values = (row * 2000 + column).astype("int32")
    path = write_tif(tmp_path / "a.tif", values, tiled=True, blockxsize=256, blockysize=256)
    monkeypatch.setattr(raster_info, "settings", lambda: Settings(gdal_cache_mb=1))
    picture = raster_info.preview(path, max_px=300)
    assert picture.shape == (300, 200)
    assert_array_equal(picture, values[5::10, 5::10])
    monkeypatch.setattr(raster_info, "_PICTURE_BYTES", 256 * 256 * 4 * 10)
    assert raster_info.preview(path, max_px=300).shape == (2, 1)


def test_the_block_cache_is_bounded(tmp_path):
    with rasters.gdal_env() as env:
        assert env.options["GDAL_CACHEMAX"] == 64 << 20


def test_sidecar_files_are_not_read(tmp_path):
    path = write_tif(tmp_path / "a.tif", checkers())
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>3</NoDataValue></PAMRasterBand>'
        "</PAMDataset>"
    )
    assert raster_info.inspect(path).bands[0].nodata is None


NODATA = [
    ("uint8", 0), ("int16", -32768), ("int32", -9999), ("uint16", 65535), ("float32", -9999.9),
    ("float32", float(np.finfo("float32").min)), ("float64", math.nan), ("float32", math.inf),
    ("float32", None), ("uint8", None),
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(case=st.sampled_from(NODATA), seed=st.integers(0, 999))
def test_valid_pixels_match_brute_force_row_12(tmp_path_factory, case, seed):
    """Row 12: nodata of any kind, NaN, infinity; all of them or none."""
    dtype, nodata = case
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (6, 7)).astype(dtype)
    if nodata is not None:
        values[rng.random((6, 7)) < rng.choice([0.0, 0.4, 1.0])] = nodata
    if dtype.startswith("f"):
        values[rng.random((6, 7)) < 0.2] = rng.choice([math.nan, math.inf, -math.inf])
    path = write_tif(tmp_path_factory.mktemp("t") / "a.tif", values, nodata=nodata)
    stored = values.dtype.type(nodata) if nodata is not None else None
    expected = [[bool(v != stored) and math.isfinite(v) for v in row] for row in values]
    with rasters.open_raster(path) as dataset:
        found, valid = rasters.read(dataset)
    assert_array_equal(valid, np.array(expected))
    assert_array_equal(found, values)
    assert raster_info.inspect(path).missing_share == pytest.approx(1 - np.mean(expected))


def test_mask_and_alpha_bands_are_missing_pixels_row_12(tmp_path):
    """Row 12."""
    mask = np.zeros((40, 50), "uint8")
    mask[:, 10:] = 255
    masked = write_tif(tmp_path / "m.tif", checkers(), mask=mask)
    alpha = write_tif(tmp_path / "a.tif", np.stack([checkers(), mask]), photometric="MINISBLACK",
                      alpha="YES")  # fmt: skip
    for path in (masked, alpha):
        assert raster_info.inspect(path).missing_share == pytest.approx(0.2)
        assert raster_info.preview(path).mask[:, :10].all()


def test_info_says_what_the_header_holds(tmp_path):
    path = write_tif(tmp_path / "a.tif", checkers(), nodata=255)
    info = raster_info.inspect(path)
    assert (info.driver, info.crs, info.unit) == ("GTiff", "EPSG:32616", "metre")
    assert info.crs_title == "WGS 84 / UTM zone 16N"
    assert (info.width, info.height, info.resolution) == (50, 40, (10.0, 10.0))
    assert info.bounds == (445_000, 4_634_600, 445_500, 4_635_000)
    assert info.unpacked_bytes == 2000
    assert info.bands[0].nodata == 255
    assert not (info.is_tiled or info.is_rotated or info.is_south_up or info.overviews)


def test_albers_keeps_its_full_description_and_has_no_code(tmp_path):
    path = write_tif(tmp_path / "a.tif", checkers(), crs=ALBERS)
    assert raster_info.inspect(path).crs.startswith("PROJCRS")


def test_no_crs_is_said_and_never_guessed_row_13(tmp_path):
    """Row 13."""
    path = write_tif(tmp_path / "a.tif", checkers(), crs=None)
    info = raster_info.inspect(path)
    assert (info.crs, info.bounds_lonlat, info.unit) == (None, None, "")
    with pytest.raises(CrsError, match=r"a\.tif has no coordinate system"):
        rasters.read_pixel(path, 0, 0)


def test_erdas_imagine_reads_like_tiff_with_its_large_companion(tmp_path):
    values = checkers()
    path = write_tif(tmp_path / "a.img", values, driver="HFA", USE_SPILL="YES")
    assert path.with_suffix(".ige").exists()
    assert raster_info.inspect(path).driver == "HFA"
    assert_array_equal(raster_info.preview(path), values)


@pytest.mark.parametrize("body", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"CDF\x01"])
def test_other_kinds_of_file_are_refused(tmp_path, body):
    path = tmp_path / "x.tif"
    path.write_bytes(body)
    with pytest.raises(RefusedFileError, match=r"x\.tif is neither"):
        raster_info.inspect(path)


def test_missing_file_missing_band_complex_numbers(tmp_path):
    with pytest.raises(InputError, match="no file"):
        raster_info.inspect(tmp_path / "none.tif")
    with pytest.raises(InputError, match="no band 2; it has 1"):
        raster_info.preview(write_tif(tmp_path / "a.tif", checkers()), band=2)
    with pytest.raises(RefusedFileError, match="complex"):
        raster_info.inspect(write_tif(tmp_path / "c.tif", checkers(dtype="complex64")))


def test_a_remote_raster_needs_permission_and_then_reads_the_same(tmp_path):
    values = checkers(300, 300)
    path = write_tif(tmp_path / "a.tif", values, driver="COG")
    with file_server(tmp_path) as url:
        with pytest.raises(RefusedFileError, match="switched off"):
            raster_info.inspect(f"{url}/a.tif")
        assert raster_info.inspect(f"{url}/a.tif", outside=True).crs == "EPSG:32616"
        assert_array_equal(raster_info.preview(f"{url}/a.tif", outside=True), values)
        with pytest.raises(RefusedFileError, match="does not answer with a file"):
            raster_info.inspect(f"{url}/none.tif", outside=True)
        (tmp_path / "words.tif").write_text("no raster")
        with pytest.raises(RefusedFileError, match="cannot be read from"):
            raster_info.inspect(f"{url}/words.tif", outside=True)
    assert path.exists()


def test_a_redirection_is_refused_before_anybody_follows_it():
    with canary() as (target, asked), redirecting(f"{target}/secret.tif") as url:
        with pytest.raises(RefusedFileError, match=r"does not answer with a file: .*302"):
            raster_info.inspect(f"{url}/a.tif", outside=True)
        with pytest.raises(RefusedFileError), rasters.open_raster(f"{url}/a.tif", outside=True):
            pass
    assert asked == []


def test_a_servers_answer_is_taken_for_a_minute(tmp_path, monkeypatch):
    write_tif(tmp_path / "a.tif", checkers(), driver="COG")
    with file_server(tmp_path) as url:
        first = rasters.answer_headers(f"{url}/a.tif")
    assert rasters.answer_headers(f"{url}/a.tif") == first
    monkeypatch.setattr(rasters, "_SECONDS_ANSWERED", 0.0)
    with pytest.raises(RefusedFileError, match="does not answer"):
        rasters.answer_headers(f"{url}/a.tif")


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/a.tif", "http://[fe80::1]/a.tif", "http://[::ffff:169.254.1.1]/a",
     "http://0.0.0.0/a.tif", "http:// /a.tif", "http://"],
)  # fmt: skip
def test_link_local_and_malformed_addresses_are_refused_always(url):
    with pytest.raises(RefusedFileError):
        rasters.checked_address(url, outside=True)


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("landsat-Summer_mean_ST_B10", "float32", ("values", "effect", "summer", "°C")),
        ("lst0226_30s", "float32", ("values", "effect", "winter", "°C")),
        ("LC08_L2SP_20230811_20230818_ST_B10", "float32", ("values", "effect", "summer", "°C")),
        ("Klassifikation_rf", "uint8", ("classes", "cause", None, "")),
        ("torgg_dem", "float32", ("values", "cause", None, "m")),
        ("stories_10m_utm", "int32", ("values", "cause", None, "")),
        ("mystery", "float32", ("values", "cause", None, "")),
        ("mystery", "uint8", ("classes", "cause", None, "")),
        ("nightlight_15s", "float32", ("values", "effect", None, "")),
    ],
)
def test_guess_from_name_and_values(tmp_path, name, dtype, expected):
    values = checkers(dtype=dtype)
    if dtype == "float32":
        values += 0.25
    path = write_tif(tmp_path / f"{name}.tif", values)
    guess = raster_info.guess(raster_info.inspect(path), path)
    assert (guess.kind, guess.role, guess.season, guess.unit) == expected
    assert len(guess.legend) == (7 if guess.kind == "classes" else 0)


def test_kelvin_is_told_from_celsius(tmp_path):
    path = write_tif(tmp_path / "lst.tif", checkers(dtype="float32") + 290)
    assert raster_info.guess(raster_info.inspect(path), path).unit == "K"


def test_guess_takes_the_colours_of_the_files_own_table(tmp_path):
    path = tmp_path / "palette.tif"
    write_tif(path, checkers())
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (255, 0, 0, 255), 2: (0, 0, 255, 255)})
    guess = raster_info.guess(raster_info.inspect(path), path)
    assert [entry.colour for entry in guess.legend[:2]] == ["#FF0000", "#0000FF"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_real_files_are_told_apart():
    folder = SHARED / "data" / "city" / "muenster"
    kinds = {}
    for name in ("Klassifikation_rf", "landsat-Summer_mean_ST_B10", "B11_20m_clipped"):
        path = folder / f"{name}.tif"
        guess = raster_info.guess(raster_info.inspect(path), path)
        kinds[name] = (guess.kind, guess.role, guess.season)
    assert kinds == {
        "Klassifikation_rf": ("classes", "cause", None),
        "landsat-Summer_mean_ST_B10": ("values", "effect", "summer"),
        "B11_20m_clipped": ("values", "cause", None),
    }
