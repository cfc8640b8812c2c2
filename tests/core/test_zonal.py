"""What the numbers are: by hand, by brute force, by the peers; and what is refused."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import from_origin

from core.errors import ExtentError, InputError
from core.quadrats import to_frame
from core.zonal.statistics import FREQUENCY, STATISTICS
from core.zonal.table import zonal_statistics
from tests.core.zonal_inputs import (
    NORTH,
    UTM,
    WEST,
    brute_force,
    cells_of_centres,
    lattice_of,
    one_table,
    raster_of,
)

COMMON = ("count", "min", "max", "mean", "sum", "std", "median", "unique", "range")
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")


# Worked by hand: 1..9 on 3 x 3 pixels of 10 m, one square of 20 m around the middle. The exact rule
# takes 5 whole, 2 4 6 8 by half, 1 3 7 9 by a quarter: 4 pixels, sum 20.
NINE = np.arange(1, 10, dtype=np.float64).reshape(3, 3)
BY_HAND = {"count": 4, "sum": 20, "mean": 5, "min": 1, "max": 9, "range": 8, "unique": 9,
           "majority": 5, "minority": 1, "median": 5, "std": np.sqrt(20 / 4), "nodata": 0,
           "nan": 0}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "value"), BY_HAND.items())
def test_exact_rule_by_hand(dtype, name, value):
    square = lattice_of((1, 1), 20, west=WEST + 5, north=NORTH - 5)
    found = one_table(raster_of(NINE.astype(dtype)), square, [name], rule="exact")
    assert found[name].tolist() == pytest.approx([value])


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 4), ("sum", 20), ("mean", 5), ("min", 1), ("max", 9), ("median", 5), ("unique", 4),
     ("majority", 1), ("minority", 1), ("range", 8), ("std", np.sqrt(10)), ("nodata", 1),
     ("nan", 1)],
)  # fmt: skip
def test_centre_rule_by_hand(name, value):
    # Corners of the 3 x 3; the others are nodata, not a number, or outside the two-cell squares.
    array = np.array([[1, -9, 3], [np.nan, 0, 0], [7, 0, 9]], np.float32)[[0, 2, 1]]
    array = np.array([[1, -9, 3], [7, np.nan, 9]], np.float32)
    found = one_table(raster_of(array, nodata=-9), lattice_of((1, 1), 30), [name])
    # The square is 3 x 3 pixels, of which the last row lies outside the raster.
    expected = {"nodata": 1 + 3}.get(name, value)
    assert found[name].tolist() == pytest.approx([expected])


def test_frequencies_are_a_column_a_class():
    array = np.array([[31, 31, 7], [31, 31, 7]], np.uint8)
    lattice = lattice_of((1, 2), 20)
    source = raster_of(array, key="landuse", codes=frozenset({31}))
    result = zonal_statistics(source, lattice, stats=["frequency", "mean"], threads=1)
    assert list(result.table) == ["landuse_mean", "landuse_fre_7", "landuse_fre_31"]
    assert result.table["landuse_fre_31"].tolist() == [4, 0]
    assert result.table["landuse_fre_7"].tolist() == [0, 2]
    assert result.cover["landuse"].tolist() == [1.0, 0.5]
    assert result.notes[0].unknown_codes == ((7, 2.0),)
    document = zonal_statistics(source, lattice, stats=["frequency"], method="document", threads=1)
    assert document.table["landuse_fre_31"].isna().tolist() == [False, True]


@st.composite
def scenes(draw):
    """A small raster of any type, lying in any way, and quadrats off its pixels."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.tuples(st.integers(1, 18), st.integers(1, 18)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = 0 if dtype.kind == "u" else -4
    wide = draw(st.booleans()) and dtype.itemsize > 1
    array = rng.integers(low, 30_000 if wide else 5, shape).astype(dtype)
    if dtype.kind == "f":
        array += rng.integers(0, 2, shape) / 4
        for odd in (np.nan, np.inf, -np.inf):
            array[rng.random(shape) < draw(st.sampled_from([0, 0.1]))] = odd
    nodata = draw(st.sampled_from([None, 0, 1, "out", "nan", "all"]))
    if nodata == "all":
        array[:] = 3
        nodata = 3
    elif nodata == "nan":
        nodata = np.nan if dtype.kind == "f" else None
    elif nodata == "out":
        nodata = None if dtype.itemsize == 1 else 30_100
    angle = draw(st.sampled_from([0, 0, 180, 33, 90]))
    flip = draw(st.sampled_from([-1, 1]))
    transform = (
        Affine.translation(WEST + draw(st.floats(-80, 80)), NORTH + draw(st.floats(-80, 80)))
        @ Affine.rotation(angle)
        @ Affine.scale(10, flip * draw(st.sampled_from([10, 7.3])))
    )
    side = draw(st.floats(16, 60))
    kept = rng.random((draw(st.integers(1, 5)), draw(st.integers(1, 5)))) < 0.8
    kept[0, 0] = True
    lattice = lattice_of(kept.shape, side, kept=kept, north=NORTH + draw(st.floats(-50, 150)))
    masked = rng.random(shape) < 0.2 if draw(st.booleans()) and nodata is None else None
    return array, nodata, transform, lattice, masked


@settings(max_examples=120, deadline=None)
@given(scenes(), st.lists(st.sampled_from([*COMMON, "majority", "minority"]), min_size=1))
def test_every_statistic_equals_brute_force(scene, names):
    """Rows 12 and 13: NaN, infinity, any nodata, mask; rotated and south-up rasters."""
    array, nodata, transform, lattice, masked = scene
    mask = None if masked is None else np.where(masked, 0, 255).astype(np.uint8)
    source = raster_of(array, transform=transform, nodata=nodata, mask=mask)
    cells, nearest = cells_of_centres(source, lattice)
    assume(nearest > 1e-6)
    values = array.astype(np.float64)
    if nodata is not None:
        values[array == nodata] = np.nan
    if masked is not None:
        values[masked] = np.nan
    expected = brute_force(values, cells, len(lattice))
    try:
        result = zonal_statistics(source, lattice, stats=[*names, "frequency", "nan"], threads=1)
    except ExtentError:
        assert (cells < 0).all()
        return
    assume(not result.notes[0].is_coarse)
    found = result.table.rename(columns=lambda name: name.removeprefix("x_"))
    for name in names:
        blank = np.zeros(len(lattice)) if name == "count" else np.full(len(lattice), np.nan)
        wanted = expected.get(name, default=blank)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-12, atol=1e-9, err_msg=name)
    codes = [name for name in expected if name.startswith("fre_")]
    assert {name for name in found if name.startswith("fre_")} == set(codes)
    for name in codes:
        np.testing.assert_array_equal(found[name].fillna(0), expected[name].fillna(0))
    hidden = np.zeros(array.shape, bool) if masked is None else masked
    odd = ~np.isfinite(array.astype(float)) & ~hidden
    strange = np.bincount(cells[(cells >= 0) & odd], minlength=len(lattice))
    np.testing.assert_array_equal(found["nan"], strange)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("how", [{"tiled": True, "blockxsize": 16, "blockysize": 16}, {}])
def test_statistics_are_merged_over_blocks(dtype, how):
    rng = np.random.default_rng(2)
    array = (rng.integers(0, 90, (110, 130)) + 3 * np.arange(110)[:, None] // 9).astype(dtype)
    source = raster_of(array, nodata=17, **how)
    lattice = lattice_of((4, 5), 271.3, west=WEST + 3.1)
    cells, _ = cells_of_centres(source, lattice)
    values = np.where(array == 17, np.nan, array.astype(float))
    expected = brute_force(values, cells, len(lattice))
    for names in (("count", "sum", "mean", "std", "min", "max"), (*COMMON, "majority", FREQUENCY)):
        found = one_table(source, lattice, names)
        for name in found:
            np.testing.assert_allclose(found[name], expected[name].fillna(0), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("stat", ["frequency", "sum"])
def test_mask_and_nodata_hide_a_pixel_each(dtype, stat):
    """Row 12."""
    array = np.array([[1, 2], [3, 4]], dtype)
    mask = np.array([[255, 0], [255, 255]], np.uint8)
    found = one_table(raster_of(array, nodata=3, mask=mask), lattice_of((1, 1), 20), [stat])
    assert (found.to_numpy() @ [1, 4] if stat == "frequency" else found["sum"]).tolist() == [5]


@pytest.mark.parametrize("num", [255, 256, 257, 400])
@pytest.mark.parametrize(("dtype", "factor"), [("uint8", 1), ("int16", 1), ("int32", 1000)])
def test_no_code_is_lost_around_a_byte_s_worth_of_them(num, dtype, factor):
    num = min(num, 256) if dtype == "uint8" else num
    array = (np.arange(20 * 20).reshape(20, 20) % num * factor).astype(dtype)
    mask = np.full(array.shape, 255, np.uint8)
    mask[0, 0] = 0
    for hidden, shown in ((None, mask >= 0), (mask, mask > 0)):
        found = one_table(raster_of(array, mask=hidden), lattice_of((1, 1), 200), ["frequency"])
        expected = np.bincount(array[shown] // factor)
        codes = np.flatnonzero(expected)
        assert [int(name.removeprefix("fre_")) // factor for name in found] == codes.tolist()
        assert found.to_numpy()[0].tolist() == expected[codes].tolist()


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from([3.0, 14.0, 70.0]))
def test_exact_coverage_equals_intersected_areas(scene, cell):
    """Rows 13 and 16: by polygons of pixels and quadrats, however the raster lies."""
    array, _, transform, lattice, _ = scene
    transform = transform @ Affine.scale(cell / 10)
    rng = np.random.default_rng(array.size)
    numbers = rng.integers(0, 5, array.shape).astype(np.uint8)
    source = raster_of(numbers, transform=transform, nodata=4)
    frame = to_frame(lattice)
    expected = np.zeros((len(lattice), 5))
    for row, col in np.ndindex(array.shape):
        corners = [transform @ (col + i, row + j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
        pixel = shapely.Polygon(corners)
        shared = frame.geometry.intersection(pixel).area.to_numpy() / pixel.area
        expected[:, numbers[row, col]] += shared
    try:
        names = ["frequency", "count", "mean"]
        result = zonal_statistics(source, lattice, stats=names, rule="exact", threads=1)
    except ExtentError:
        assert expected.max() < 1e-9
        return
    found = result.table.fillna(0.0)
    codes = [k for k in range(4) if f"x_fre_{k}" in found]
    assert expected[:, [k for k in range(4) if k not in codes]].max(initial=0) < 1e-6
    np.testing.assert_allclose(found[[f"x_fre_{k}" for k in codes]], expected[:, codes], atol=1e-6)
    np.testing.assert_allclose(found["x_count"], expected[:, :4].sum(axis=1), atol=1e-6)
    moments = zonal_statistics(source, lattice, stats=["mean", "std"], rule="exact", threads=1)
    np.testing.assert_allclose(moments.table["x_mean"].fillna(0), found["x_mean"], atol=1e-9)


def peers_scene(dtype, *, nodata=None, crs=UTM):
    rng = np.random.default_rng(11)
    array = rng.integers(0, 9, (120, 130)).astype(dtype)
    if array.dtype.kind == "f":
        array += rng.random(array.shape).astype(dtype)
        array[rng.random(array.shape) < 0.05] = np.nan
    where = None
    if crs != UTM:
        x, y = Transformer.from_crs(UTM, crs, always_xy=True).transform(WEST, NORTH)
        where = from_origin(x, y, 0.00011, 0.00009)
    lattice = lattice_of((7, 8), 143.7, west=WEST + 21.3, north=NORTH - 17.9)
    return raster_of(array, nodata=nodata, transform=where, crs=crs), lattice


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 3), ("int16", None), ("float32", None)])
def test_centre_rule_equals_rasterstats(dtype, nodata, crs):
    source, lattice = peers_scene(dtype, nodata=nodata, crs=crs)
    stats = [*STATISTICS, FREQUENCY] if dtype != "float32" else STATISTICS
    ours = zonal_statistics(source, lattice, stats=stats, threads=1)
    theirs = zonal_statistics(source, to_frame(lattice), stats=stats, engine="rasterstats")
    for name in ours.table:
        expected = theirs.table[name].fillna(0)
        np.testing.assert_allclose(ours.table[name].fillna(0), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.cover, theirs.cover)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 3), ("int16", None), ("float32", None)])
def test_exact_rule_equals_exactextract(dtype, nodata, crs):
    source, lattice = peers_scene(dtype, nodata=nodata, crs=crs)
    stats = [*COMMON, FREQUENCY] if dtype != "float32" else COMMON
    ours = zonal_statistics(source, lattice, stats=stats, rule="exact", threads=1)
    theirs = zonal_statistics(source, to_frame(lattice), stats=stats, rule="exact")
    assert theirs.notes[0].engine == "exactextract"
    for name in ours.table:
        expected = theirs.table[name].fillna(0)
        # The peer keeps coverage in single precision: 1e-6 of a pixel, times values up to 9.
        atol = 1e-5 if name in ("x_sum", "x_median") else 1e-6
        np.testing.assert_allclose(
            ours.table[name].fillna(0), expected, rtol=1e-9, atol=atol, err_msg=name
        )
    np.testing.assert_allclose(ours.cover, theirs.cover, atol=1e-6)


@pytest.mark.parametrize(("rule", "engine"), [("centre", "rasterstats"), ("exact", "exactextract")])
def test_zones_that_are_no_squares_go_to_the_peers(rule, engine):
    source, _ = peers_scene("uint8", nodata=3)
    triangle = shapely.Polygon([(0, 0), (700, -100), (300, -800)])
    zones = gpd.GeoDataFrame(
        {"ward": ["a"]},
        geometry=[shapely.affinity.translate(triangle, WEST + 40, NORTH - 40)],
        crs=UTM,
        index=["north"],
    ).to_crs(3435)
    result = zonal_statistics(source, zones, stats=["count", "frequency"], rule=rule)
    assert result.notes[0].engine == engine
    assert result.table.index.tolist() == ["north"]
    assert result.table["x_count"].item() == pytest.approx(2650 * 8 / 9, rel=0.1)
    shares = result.table.filter(like="_fre_").sum(axis=1)
    assert shares.item() == pytest.approx(result.table["x_count"].item())


def test_a_block_of_very_many_small_quadrats_equals_the_pixels_themselves():
    array = np.random.default_rng(0).integers(0, 90, (130, 130)).astype(np.uint8)
    found = one_table(raster_of(array), lattice_of((130, 130), 10), ["frequency"])
    codes = np.array([int(name.removeprefix("fre_")) for name in found])
    assert np.array_equal(found.to_numpy() @ codes, array.ravel())


def test_whole_numbers_of_more_than_a_byte_are_sorted_instead():
    array = np.arange(90_000, dtype=np.int32).reshape(300, 300) * 3
    lattice = lattice_of((10, 10), 300)
    found = one_table(raster_of(array), lattice, ["median", "unique", "minority"])
    blocks = array.reshape(10, 30, 10, 30).swapaxes(1, 2).reshape(100, 900)
    np.testing.assert_array_equal(found["median"], np.median(blocks, axis=1))
    np.testing.assert_array_equal(found["minority"], blocks.min(axis=1))
    assert (found["unique"] == 900).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"stats": ["mode"]}, InputError, "no statistic 'mode'.*There are: count"),
        ({"stats": []}, InputError, "no statistic"),
        ({"engine": "rasterstats", "rule": "exact"}, InputError, "cannot follow the rule exact"),
        ({"engine": "exactextract"}, InputError, "cannot follow the rule centre"),
        (
            {"engine": "exactextract", "rule": "exact", "stats": ["nodata"]},
            InputError,
            "has no statistic nodata",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(change, error, message):
    source, lattice = peers_scene("uint8")
    with pytest.raises(error, match=message):
        zonal_statistics(source, lattice, **{"stats": ["mean"], **change})


def test_layers_of_one_name_are_refused():
    source, lattice = peers_scene("uint8")
    with pytest.raises(InputError, match="names that differ: x"):
        zonal_statistics([source, source], lattice)


def test_the_lattice_engine_refuses_polygons():
    source, lattice = peers_scene("uint8")
    with pytest.raises(InputError, match="need quadrats"):
        zonal_statistics(source, to_frame(lattice), engine="lattice")


def test_measured_values_have_no_frequencies():
    rng = np.random.default_rng(0)
    source = raster_of(rng.random((200, 200)).astype(np.float32))
    with pytest.raises(InputError, match="these are no classes"):
        zonal_statistics(source, lattice_of((4, 4), 500), stats=["frequency"])


def test_an_empty_raster_counts_as_invalid_and_never_as_zero():
    """Row 12."""
    source = raster_of(np.full((30, 30), np.nan, np.float32))
    found = zonal_statistics(source, lattice_of((3, 3), 100), stats=STATISTICS, threads=1)
    assert (found.table["x_count"] == 0).all()
    assert (found.table["x_nan"] == 100).all()
    rest = found.table.drop(columns=["x_count", "x_nan", "x_nodata"])
    assert rest.isna().all(axis=None)
    assert (found.cover["x"] == 0).all()
