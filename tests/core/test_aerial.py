"""Aerial imagery of the simulated city: the same pixels from every window, and what they show."""

import hashlib
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pyproj import CRS, Transformer
from scipy.ndimage import maximum_filter, minimum_filter

from core import settings as core_settings
from core.__main__ import main
from core.errors import ExtentError, InputError, StoppedError, TooLargeError
from core.legends import CHICAGO_LAND_COVER
from core.simulate import layers, paint, rasters
from core.simulate.aerial import AerialSource, aerial, extent, snapped
from core.simulate.aerial_file import write_aerial
from core.simulate.city import City
from core.simulate.legend import Build, Cover
from core.simulate.plan import Form
from core.simulate.scene import kernels, roofs, scene
from core.simulate.scene.decals import decals, lay
from core.simulate.scene.ground import block_of
from core.simulate.scene.kernels import CAR, GABLE
from core.simulate.scene.keys import place_keys
from core.simulate.scene.materials import Stuff, any_of
from core.simulate.scene.picture import blank
from core.simulate.scene.sun import Sun
from core.simulate.shapes import Rects, codes_of

ROOT = Path(__file__).parents[2]
# West and south of squares in EPSG:32616: towers, houses, works, a beach, the river, an airport,
# tracks.
PLACES = {
    "towers": (447300, 4636300), "homes": (441500, 4630500), "works": (438057, 4627995),
    "beach": (447640, 4640860), "river": (448600, 4637300), "airport": (425033, 4647410),
    "yard": (438800, 4624500),
}  # fmt: skip
SIDE = 300


@pytest.fixture(scope="module")
def city() -> City:
    return City(0)


@pytest.fixture(scope="module")
def drawn(city):
    """A picture of each place."""
    return {name: aerial(city, (x, y, x + SIDE, y + SIDE)) for name, (x, y) in PLACES.items()}


def part_of(whole, west, south, east, north):
    """Image and land cover of a box of metres from the south-west corner of a place."""
    rows, cols = slice(SIDE - north, SIDE - south), slice(west, east)
    return whole.image[:, rows, cols], whole.cover[rows, cols]


# Any window


@settings(deadline=None, max_examples=40)
@given(data=st.data(), name=st.sampled_from(sorted(PLACES)))
def test_a_window_is_that_part_of_every_larger_one(city, drawn, data, name):
    west, south = (data.draw(st.integers(0, SIDE - 2)) for _ in range(2))
    east = data.draw(st.integers(west + 1, min(west + 90, SIDE)))
    north = data.draw(st.integers(south + 1, min(south + 90, SIDE)))
    x, y = PLACES[name]
    found = aerial(city, (x + west, y + south, x + east, y + north))
    image, cover = part_of(drawn[name], west, south, east, north)
    assert_array_equal(found.image, image)
    assert_array_equal(found.cover, cover)


@pytest.mark.parametrize("azimuth", [0, 45, 90, 146, 225, 300])
def test_windows_agree_wherever_the_sun_stands(city, azimuth):
    sun = Sun(azimuth, 35)
    x, y = PLACES["towers"]
    whole = aerial(city, (x, y, x + 120, y + 120), sun=sun).image
    part = aerial(city, (x + 37, y + 51, x + 90, y + 88), sun=sun).image
    assert_array_equal(part, whole[:, 120 - 88 : 120 - 51, 37:90])


def test_tiles_of_a_large_window_meet_without_a_seam(city, drawn, monkeypatch):
    monkeypatch.setattr("core.simulate.aerial._TILE_PX", 77)
    x, y = PLACES["homes"]
    tiled = aerial(city, (x, y, x + SIDE, y + SIDE))
    assert_array_equal(tiled.image, drawn["homes"].image)
    assert_array_equal(tiled.cover, drawn["homes"].cover)


def test_threads_draw_the_same_bytes(city, drawn):
    boxes = [(PLACES[name], name) for name in sorted(PLACES)] * 2

    def image(job):
        (x, y), _ = job
        return aerial(city, (x, y, x + SIDE, y + SIDE)).image

    with ThreadPoolExecutor(4) as pool:
        for job, found in zip(boxes, pool.map(image, boxes), strict=True):
            assert_array_equal(found, drawn[job[1]].image)


def digest(window) -> str:
    return hashlib.sha256(window.image.tobytes() + window.cover.tobytes()).hexdigest()[:16]


def test_another_process_draws_the_same_bytes(drawn):
    x, y = PLACES["river"]
    code = (
        "import hashlib; from core.simulate.aerial import aerial;"
        "from core.simulate.city import City;"
        f"w = aerial(City(0), ({x}, {y}, {x + SIDE}, {y + SIDE}));"
        "print(hashlib.sha256(w.image.tobytes() + w.cover.tobytes()).hexdigest()[:16])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == digest(drawn["river"]), done.stderr


def test_seed_0_gives_the_picture_of_this_version(drawn):
    # Golden: if this changes on purpose, raise core.simulate.aerial.VERSION with it.
    assert digest(drawn["homes"]) == "44c92cea346e8a02"


def test_another_seed_draws_another_picture(drawn):
    x, y = PLACES["homes"]
    other = aerial(City(1), (x, y, x + SIDE, y + SIDE))
    assert (other.image != drawn["homes"].image).mean() > 0.5


def test_transform_and_crs_place_the_window_on_whole_metres(city):
    window = aerial(city, (447300.2, 4636300.9, 447310.0, 4636305.1))
    assert window.image.shape == (4, 6, 10)
    assert window.cover.shape == (6, 10)
    assert tuple(window.transform)[:6] == (1, 0, 447300, 0, -1, 4636306)
    assert window.crs == CRS.from_epsg(32616)


# Land cover


def against_five_metres(city, window):
    """The class of the 5 m layer under each pixel of 1 m, and where it and its 8 are alike."""
    albers = CRS.from_epsg(5070)
    grid = paint.make_grid(albers, layers._bounds(layers._NEAR_M), 5.0)
    n = window.cover.shape[0]
    x, y = window.transform.c + np.arange(n) + 0.5, window.transform.f - np.arange(n) - 0.5
    to_albers = Transformer.from_crs(window.crs, albers, always_xy=True)
    mx, my = to_albers.transform(*np.meshgrid(x, y))
    col = np.floor((mx - grid.transform.c) / 5).astype(int)
    row = np.floor((grid.transform.f - my) / 5).astype(int)
    first, left = row.min() - 1, col.min() - 1
    box = (first, left, np.ptp(row) + 3, np.ptp(col) + 3)
    five = rasters.draw_window(city, grid, rasters.paint_cover, box).values
    alike = minimum_filter(five, 3) == maximum_filter(five, 3)
    return five[row - first, col - left], alike[row - first, col - left]


def test_land_cover_is_that_of_the_five_metre_layer_away_from_class_edges(city, drawn):
    edge_free = equal = both_free = both_equal = 0
    for window in drawn.values():
        five, alike = against_five_metres(city, window)
        same = window.cover == five
        # Two metres and more from the next pixel of another class.
        inner = minimum_filter(window.cover, 5) == maximum_filter(window.cover, 5)
        edge_free, equal = edge_free + inner.sum(), equal + same[inner].sum()
        both_free, both_equal = (
            both_free + (inner & alike).sum(),
            both_equal + same[inner & alike].sum(),
        )
    assert equal / edge_free > 0.99
    assert both_equal / both_free > 0.9999
    assert edge_free > 0.3 * len(drawn) * SIDE**2  # not a handful of pixels


def test_every_class_of_the_legend_is_drawn_and_no_other(drawn):
    found = set(np.unique(np.concatenate([w.cover.ravel() for w in drawn.values()])))
    known = {entry.code for entry in CHICAGO_LAND_COVER}
    assert found <= known
    assert known - found <= {Cover.BACKGROUND}


def test_pixels_without_a_block_are_zero_and_no_other(city):
    north = extent(city)[3]
    plan = city.plan
    column = np.flatnonzero(plan.is_drawn.any(axis=1))[-1]
    x = int(plan.x[column][plan.is_drawn[column]].min())
    window = aerial(city, (x - 400, north - 600, x + 100, north))
    empty = window.cover == Cover.BACKGROUND
    assert 0.05 < empty.mean() < 0.95
    assert (window.image[:, empty] == 0).all()
    assert window.image[:, ~empty].min() >= 1


# Light


def box_on_ground(height_m, size=120):
    """Flat ground with a box of 20 × 20 m in its middle."""
    picture = blank(np.full((size, size), Stuff.LAWN, np.uint8), 440000, 4640000)
    middle = slice(size // 2 - 10, size // 2 + 10)
    picture.height[middle, middle] = height_m
    return picture


@pytest.mark.parametrize(
    ("azimuth", "towards"),
    [(0, "south"), (90, "west"), (180, "north"), (270, "east")],
)
def test_a_shadow_falls_away_from_the_sun_as_far_as_height_times_cotangent(azimuth, towards):
    # 12 m under a sun at 40 degrees: 12 / tan 40 = 14.30 m.
    sun = Sun(azimuth, 40)
    shadow = kernels.shade(box_on_ground(12.0), sun.towards, sun.cot)
    lines = {
        "north": shadow[:50, 60][::-1], "south": shadow[70:, 60], "east": shadow[60, 70:],
        "west": shadow[60, :50][::-1],
    }  # fmt: skip
    # The pixels at the tip are shaded in part.
    assert lines[towards].sum() == pytest.approx(12 / math.tan(math.radians(40)), abs=0.75)
    for side, line in lines.items():
        if side != towards:
            assert line.max() < 0.3


def test_a_slanting_shadow_ends_where_trigonometry_says():
    sun = Sun(146.0, 55.0)
    shadow = kernels.shade(box_on_ground(30.0), sun.towards, sun.cot)
    rows, cols = np.nonzero(shadow > 0.5)
    long = 30 / math.tan(math.radians(55))
    assert 50 - rows.min() == pytest.approx(long * -math.cos(math.radians(146)), abs=1.5)
    assert 50 - cols.min() == pytest.approx(long * math.sin(math.radians(146)), abs=1.5)


def test_shadows_are_those_of_rays_followed_one_by_one():
    rng = np.random.default_rng(3)
    picture = blank(np.full((90, 90), Stuff.LAWN, np.uint8), 440000, 4640000)
    for _ in range(12):
        r, c = rng.integers(15, 75, 2)
        picture.height[r : r + 8, c : c + 8] = rng.uniform(3, 14)
    sun = Sun(212.0, 48.0)
    shadow = kernels.shade(picture, sun.towards, sun.cot)
    expected = np.zeros((90, 90), bool)
    steps = np.arange(0.5, 30, 0.25)
    for r in range(30, 60):
        for c in range(30, 60):
            y, x = r + 0.5 - steps * sun.towards[1], c + 0.5 + steps * sun.towards[0]
            along = picture.height[y.astype(int), x.astype(int)]
            expected[r, c] = (along > picture.height[r, c] + steps / sun.cot).any()
    inner = (slice(30, 60), slice(30, 60))
    assert 0.1 < expected[inner].mean() < 0.9
    assert (expected[inner] == (shadow[inner] > 0.5)).mean() > 0.94


def one_rect(x, y, half_u, half_v):
    columns = (np.array([float(v)]) for v in (x, y, half_u, half_v, 1.0, 0.0))
    return Rects(*columns, codes_of(1, 1))


def test_the_side_of_a_roof_towards_the_sun_is_brighter():
    picture = blank(np.full((40, 40), Stuff.LAWN, np.uint8), 440000, 4640000)
    body = one_rect(440020, 4639980, 12, 8)
    gable = roofs.Roofs(
        body, codes_of(1, Build.HOUSE), np.zeros(1, np.uint64), np.array([GABLE]), np.array([0.6]),
        np.array([6.0]), np.full((1, 4), 0.5),
    )  # fmt: skip
    roofs.draw_roofs(picture, gable, Sun(180, 45).slant)
    south, north = picture.light[24, 20], picture.light[15, 20]
    # (1 ± 0.6 cot 45) / sqrt(1 + 0.6²)
    assert south == pytest.approx(1.6 / math.sqrt(1.36))
    assert north == pytest.approx(0.4 / math.sqrt(1.36))
    assert picture.height[20, 20] == pytest.approx(6 + 0.6 * 7.5)  # half a pixel off the ridge


def test_heights_follow_storeys(city):
    kinds = np.array([Build.HOUSE, Build.TOWER, Build.GARAGE], np.int16)
    assert_allclose(roofs.height_m(kinds, np.array([2, 40, 1], np.int16)), [6.0, 120.0, 2.6])


@pytest.mark.parametrize("seed", [0, 7])
def test_nothing_is_higher_than_what_windows_look_out_for(seed):
    # Else a shadow would be missing from some windows.
    city = City(seed)
    for name in ("towers", "homes", "river"):
        x, y = PLACES[name]
        things = city.objects(x - 1500, y - 1500, x + 1500, y + 1500)
        b = things.buildings
        table = roofs.roofs(b, things.building_kind, place_keys(seed, 403, b.x, b.y))
        units = roofs.roof_units(table)
        ridge = table.eave + np.maximum(table.slope * np.minimum(b.half_u, b.half_v), 0.9)
        for things_x, things_y, top in ((b.x, b.y, ridge), (units.x, units.y, units.top)):
            form = city.plan.form.ravel()[block_of(things_x, things_y)]
            most = np.array([scene._HIGHEST_M.get(f, scene._USUAL_M) for f in Form])
            assert (top <= most[form]).all()


# Colours


def ndvi_of(drawn, code):
    red, infrared = [], []
    for window in drawn.values():
        red.append(window.image[0][window.cover == code])
        infrared.append(window.image[3][window.cover == code])
    r, n = (np.concatenate(part).astype(float) for part in (red, infrared))
    return np.median((n - r) / (n + r)), np.median(n)


def test_leaves_are_bright_in_the_infrared_and_water_is_dark(drawn):
    ndvi = {code: ndvi_of(drawn, code) for code in list(Cover)[1:]}
    assert ndvi[Cover.TREE][0] > 0.35
    assert ndvi[Cover.GRASS][0] > 0.2
    assert ndvi[Cover.WATER][0] < -0.3
    assert ndvi[Cover.WATER][1] < 30
    for code in (Cover.BARE, Cover.BUILDING, Cover.ROAD, Cover.PAVED):
        assert -0.12 < ndvi[code][0] < 0.12


def test_a_thin_line_is_a_faint_one():
    picture = blank(np.full((9, 9), Stuff.ASPHALT, np.uint8), 440000, 4640000)
    line = decals(one_rect(440004.5, 4639995.5, 9, 0.15), (1.0,) * 4, any_of(Stuff.ASPHALT))
    lay(picture, line)
    # 0.3 m of the metre.
    assert_allclose(picture.albedo[4], 0.3, rtol=1e-6)
    assert not picture.albedo[:4].any()
    assert not picture.albedo[5:].any()
    assert not picture.height.any()


def test_a_car_stands_where_all_of_its_ground_is_street():
    picture = blank(np.full((30, 30), Stuff.ASPHALT, np.uint8), 440000, 4640000)
    picture.stuff[:, 20:] = Stuff.LAWN
    for x, stands in ((440010, True), (440018.5, False), (440001, False)):
        table = decals(
            one_rect(x, 4639990, 2.3, 0.95), (0.5,) * 4, any_of(Stuff.ASPHALT), top=1.5, sort=CAR
        )
        fresh = blank(picture.stuff, 440000, 4640000)
        lay(fresh, table)
        assert fresh.height.any() == stands
        assert (fresh.height.max() == 1.5) == stands


# Refusals


@pytest.mark.parametrize(
    "bounds",
    [(1, 2, 1, 3), (5, 0, 1, 9), (0, math.nan, 1, 1), (-math.inf, 0, 1, 1)],
    ids=["no-width", "turned", "nan", "infinite"],
)
def test_bounds_that_enclose_nothing_are_refused(city, bounds):
    with pytest.raises(InputError, match="encloses nothing"):
        aerial(city, bounds)


def test_a_window_too_large_for_memory_is_refused_with_the_estimate(city):
    """Row 28."""
    west, south, east, north = extent(city)
    with pytest.raises(TooLargeError, match=r"would take [\d.]+ GB") as caught:
        aerial(city, (west, south, east, north))
    assert "smaller window" in caught.value.hint
    with pytest.raises(TooLargeError):
        aerial(city, (-9e7, -9e7, 9e7, 9e7))


def test_a_window_away_from_the_city_is_refused(city):
    with pytest.raises(ExtentError, match="do not meet"):
        aerial(city, (-87.6, 41.8, -87.5, 41.9))  # degrees taken for metres


@given(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 4))
def test_any_four_numbers_are_snapped_or_refused(bounds):
    try:
        west, south, east, north = snapped(bounds)
    except InputError:
        return
    assert west < east
    assert south < north


@pytest.mark.parametrize(("azimuth", "elevation"), [(140, 5), (140, 90), (math.nan, 50)])
def test_a_sun_that_casts_no_usable_shadow_is_refused(azimuth, elevation):
    with pytest.raises(InputError, match="casts no usable shadows"):
        Sun(azimuth, elevation)


# Source and file


def test_the_source_tells_where_pixels_are_and_reads_them(city, drawn):
    source = AerialSource(city)
    west, south, east, north = source.bounds
    assert (source.resolution_m, source.nodata, len(source.bands)) == (1.0, 0, 4)
    assert source.crs == CRS.from_epsg(32616)
    plan = city.plan
    assert west < plan.x[plan.is_drawn].min() < plan.x[plan.is_drawn].max() < east
    assert south < plan.y[plan.is_drawn].min() < plan.y[plan.is_drawn].max() < north
    x, y = PLACES["works"]
    found = source.read((x, y, x + SIDE, y + SIDE))
    assert_array_equal(found.image, drawn["works"].image)
    json.dumps(source.steps())


def test_a_file_holds_the_pixels_of_the_window(city, tmp_path):
    source = AerialSource(city)
    x, y = PLACES["beach"]
    bounds = (x, y, x + 700, y + 530)
    told = []
    files = write_aerial(
        source, bounds, tmp_path / "new" / "a.tif", cover_path=tmp_path / "cover.tif",
        on_progress=lambda share, text: told.append(share),
    )  # fmt: skip
    expected = source.read(bounds)
    with rasterio.open(files[0]) as image, rasterio.open(files[1]) as cover:
        assert_array_equal(image.read(), expected.image)
        assert_array_equal(cover.read(1), expected.cover)
        for dataset in (image, cover):
            assert dataset.transform == expected.transform
            assert (dataset.crs.to_epsg(), dataset.nodata) == (32616, 0)
            assert dataset.block_shapes[0] == (512, 512)
            assert dataset.overviews(1) == [2]
            assert dataset.tags()["seed"] == "0"
        assert [c.name for c in image.colorinterp] == ["red", "green", "blue", "undefined"]
        assert image.descriptions == source.bands
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert {p.name for p in tmp_path.iterdir()} == {"new", "cover.tif"}


def test_a_stopped_file_leaves_nothing(city, tmp_path):
    x, y = PLACES["homes"]
    with pytest.raises(StoppedError):
        write_aerial(
            AerialSource(city), (x, y, x + 64, y + 64), tmp_path / "a.tif",
            should_stop=lambda: True,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_two_pictures_in_one_file_are_refused(city, tmp_path):
    x, y = PLACES["homes"]
    path = tmp_path / "a.tif"
    with pytest.raises(InputError, match=r"cannot both be written to a\.tif"):
        write_aerial(AerialSource(city), (x, y, x + 9, y + 9), path, cover_path=path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_room_is_refused_before_anything_is_drawn(city, tmp_path):
    """Row 20."""
    with pytest.raises(TooLargeError, match="needs about"):
        write_aerial(AerialSource(city), (4e5, 4e6, 4e7, 5e7), tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def plain_settings(monkeypatch):
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", "")
    yield
    core_settings.settings.cache_clear()


def test_the_command_writes_a_window_given_in_degrees(tmp_path, capsys, plain_settings):
    out = tmp_path / "a.tif"
    words = ["simulate", "aerial", "--bounds", "-87.628,41.88,-87.627,41.881", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["outputs"] == [str(out)]
    assert body["steps"][0]["step"] == "simulated aerial"
    with rasterio.open(out) as dataset:
        assert dataset.count == 4
        to_degrees = Transformer.from_crs(32616, 4326, always_xy=True)
        found = to_degrees.transform_bounds(*dataset.bounds)
    assert_allclose(found, (-87.628, 41.88, -87.627, 41.881), atol=4e-5)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ("1,2,3", "no rectangle"),
        ("-80,41,-79.9,41.1", "do not meet"),
        ("nan,1,2,3", "encloses nothing"),
    ],
)
def test_the_command_refuses_in_one_sentence(tmp_path, capsys, plain_settings, bounds, said):
    words = ["simulate", "aerial", "--bounds", bounds, "--out", str(tmp_path / "a.tif")]
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
