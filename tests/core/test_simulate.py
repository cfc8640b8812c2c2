import hashlib
import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pyproj import CRS, Transformer

from core import legends
from core.errors import InputError
from core.simulate import fields, layers, noise, paint, rasters
from core.simulate.city import City
from core.simulate.geography import chicago_boundary, great_lake
from core.simulate.legend import LAND_USE, Cover, Use
from core.simulate.paint import Canvas, Grid
from core.simulate.shapes import Discs, Rects, codes_of

UTM, ALBERS = CRS.from_epsg(32616), CRS.from_epsg(5070)
# The mouth of the river: lake, park, tower blocks, railway, expressway, bridges.
DOWNTOWN = (446500.0, 4635500.0, 451500.0, 4640000.0)


@pytest.fixture(scope="module")
def city() -> City:
    return City(0)


@pytest.fixture(scope="module")
def progress() -> list[tuple[float, str]]:
    """What was told while `drawn` was made."""
    return []


@pytest.fixture(scope="module")
def drawn(city, progress) -> dict[str, layers.DrawnLayer]:
    """All layers, the painted ones in coarse pixels; the objects are the same."""
    with pytest.MonkeyPatch.context() as patch:
        coarse = {name: (how, epsg, 20.0) for name, (how, epsg, _) in layers._PAINTED.items()}
        patch.setattr(layers, "_PAINTED", coarse)
        return {
            layer.id: layer
            for layer in layers.draw_layers(
                city, on_progress=lambda *now: progress.append(now), threads=2
            )
        }


def grid_of(crs: CRS, size_m: float = 5.0) -> Grid:
    return paint.make_grid(crs, DOWNTOWN, size_m)


def whole(city: City, grid: Grid, painter: rasters.Painter) -> np.ndarray:
    return rasters.draw_window(city, grid, painter, (0, 0, *grid.shape)).values


# Numbers from keys


def test_keys_are_those_of_splitmix64():
    # The first three outputs for seed 0 of the reference program.
    keys = noise.key(np.zeros((), np.uint64), np.arange(3))
    assert [int(k) for k in keys] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_numbers_are_even_and_independent_between_salts():
    keys = noise.key(noise.root(0), np.arange(40_000))
    one, other = noise.uniform(keys, 1), noise.uniform(keys, 2)
    assert np.histogram(one, 10, (0, 1))[0] == pytest.approx(4000, abs=260)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02


def test_smooth_noise_meets_its_lattice_and_moves_little_over_a_step():
    x = np.linspace(-500.0, 500.0, 4001)
    values = noise.smooth(noise.root(3), x, np.zeros_like(x), 100.0)
    assert values.min() >= 0
    assert values.max() < 1
    # The steepest slope of the smoothing curve is 1.5 a lattice step.
    assert np.abs(np.diff(values)).max() <= 1.5 * 0.25 / 100 + 1e-9


# Painting


@pytest.fixture(scope="module")
def small_grid() -> Grid:
    return paint.make_grid(UTM, (440000.0, 4640000.0, 440300.0, 4640200.0), 5.0)


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.indices(grid.shape)
    t = grid.transform
    return t.c + (cols + 0.5) * t.a, t.f + (rows + 0.5) * t.e


@settings(deadline=None, max_examples=60)
@given(
    x=st.floats(439990, 440310), y=st.floats(4639990, 4640210), u=st.floats(0.5, 90),
    v=st.floats(0.5, 90), turn=st.floats(0, 3.14),
)  # fmt: skip
def test_a_rectangle_holds_the_pixels_whose_centres_it_holds(small_grid, x, y, u, v, turn):
    ux, uy = np.cos(turn), np.sin(turn)
    rects = Rects(*(np.array([n]) for n in (x, y, u, v, ux, uy)), codes_of(1, 7))
    canvas = Canvas(small_grid, np.zeros(small_grid.shape, np.uint8))
    canvas.rects(rects)
    px, py = centres(small_grid)
    along, off = (px - x) * ux + (py - y) * uy, (py - y) * ux - (px - x) * uy
    edge = np.minimum(np.abs(np.abs(along) - u), np.abs(np.abs(off) - v)) < 1e-6
    expected = (np.abs(along) < u) & (np.abs(off) < v)
    assert_array_equal((canvas.values == 7)[~edge], expected[~edge])


def test_discs_and_polygons_hold_the_pixels_whose_centres_they_hold(small_grid):
    px, py = centres(small_grid)
    disc = Discs(np.array([440101.3]), np.array([4640097.1]), np.array([61.7]), codes_of(1, 0))
    canvas = Canvas(small_grid, np.zeros(small_grid.shape, np.uint8))
    canvas.discs(disc, 3)
    assert_array_equal(canvas.values == 3, np.hypot(px - 440101.3, py - 4640097.1) < 61.7)
    ring = np.array([(439950, 4640020), (440203, 4640011), (440120, 4640090), (440250, 4640177),
                     (440013, 4640301), (439950, 4640020)], float)  # fmt: skip
    canvas.polygon(ring, 4)
    inside = shapely.contains_xy(shapely.Polygon(ring), px, py)
    assert_array_equal(canvas.values == 4, inside)


def test_pixels_of_the_albers_raster_lie_within_five_centimetres_of_the_exact_place():
    grid = paint.make_grid(ALBERS, layers._bounds(1500.0), 5.0)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(420000, 458000, 5000), rng.uniform(4609000, 4654000, 5000)
    col, row, _ = grid.place(x, y)
    east, north = Transformer.from_crs(UTM, ALBERS, always_xy=True).transform(x, y)
    t = grid.transform
    assert np.abs(t.c + col * t.a - east).max() < 0.05
    assert np.abs(t.f + row * t.e - north).max() < 0.05


# Any window alone


@pytest.mark.parametrize("crs", [UTM, ALBERS], ids=["utm", "albers"])
@pytest.mark.parametrize(
    "painter",
    [rasters.paint_cover, rasters.paint_use, rasters.paint_storeys],
    ids=lambda p: p.__name__,
)  # fmt: skip
def test_a_window_is_that_part_of_the_whole(city, crs, painter):
    grid = grid_of(crs)
    picture = whole(city, grid, painter)
    for row, col, rows, cols in ((0, 0, 300, 301), (311, 402, 5, 411), (500, 7, 250, 99)):
        part = rasters.draw_window(city, grid, painter, (row, col, rows, cols)).values
        assert_array_equal(part, picture[row : row + rows, col : col + cols])


def test_crowns_that_reach_over_the_edge_of_their_block_are_in_every_window(city):
    # A wood: blocks grown together, with trees up to the edges. Windows of 105 m against blocks of
    # 101 m bring every phase of the two edges.
    grid = paint.make_grid(UTM, (436000.0, 4648600.0, 437600.0, 4649200.0), 5.0)
    picture = whole(city, grid, rasters.paint_cover)
    assert (picture == Cover.TREE).mean() > 0.3
    for col in range(0, grid.shape[1], 21):
        window = (0, col, grid.shape[0], min(21, grid.shape[1] - col))
        part = rasters.draw_window(city, grid, rasters.paint_cover, window).values
        assert_array_equal(part, picture[:, col : col + 21])


def test_threads_and_tiles_do_not_change_a_pixel(city, monkeypatch):
    grid = grid_of(UTM, 10.0)
    monkeypatch.setattr(rasters, "_TILE_PX", 130)
    picture = whole(city, grid, rasters.paint_cover)
    for threads in (1, 4):
        tiled = np.zeros(grid.shape, np.uint8)
        for tile in rasters.draw_tiles(city, grid, rasters.paint_cover, threads):
            rows, cols = tile.values.shape
            tiled[tile.row : tile.row + rows, tile.col : tile.col + cols] = tile.values
        assert_array_equal(tiled, picture)


def rows_of(table) -> set[bytes]:
    columns = [getattr(table, name) for name in type(table).__slots__]
    wide = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    return {row.tobytes() for row in wide}


@pytest.mark.parametrize("kind", ["blocks", "ground", "parcels", "crowns", "buildings"])
def test_objects_of_two_neighbour_windows_are_those_of_both(city, kind):
    west, south, east, north = DOWNTOWN
    middle = 448123.4
    both = rows_of(getattr(city.objects(*DOWNTOWN), kind))
    left = rows_of(getattr(city.objects(west, south, middle, north), kind))
    right = rows_of(getattr(city.objects(middle, south, east, north), kind))
    assert left | right == both
    assert 0 < len(left & right) < 0.1 * len(both)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_city(city):
    grid = grid_of(UTM, 10.0)
    picture = whole(city, grid, rasters.paint_cover)
    assert_array_equal(whole(City(0), grid, rasters.paint_cover), picture)
    assert (whole(City(1), grid, rasters.paint_cover) != picture).mean() > 0.1


def test_seed_0_draws_the_city_of_this_version(city):
    # Golden: if this changes on purpose, raise core.simulate.city.VERSION with it.
    picture = whole(city, grid_of(UTM, 10.0), rasters.paint_cover)
    assert hashlib.sha256(picture.tobytes()).hexdigest()[:16] == "46990f2a1473b8c2"


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InputError, match="cannot be a seed"):
        City(seed)


# Agreement of the layers


def test_storeys_stand_exactly_on_buildings(city):
    grid = grid_of(UTM)
    cover = whole(city, grid, rasters.paint_cover)
    storeys = whole(city, grid, rasters.paint_storeys)
    has_storeys = (storeys > 0) & (storeys != rasters.NO_STOREYS)
    assert_array_equal(has_storeys, cover == Cover.BUILDING)
    assert_array_equal(storeys == rasters.NO_STOREYS, cover == Cover.BACKGROUND)


def test_water_is_water_in_cover_and_use(city):
    grid = grid_of(UTM)
    cover = whole(city, grid, rasters.paint_cover) == Cover.WATER
    use = whole(city, grid, rasters.paint_use) == Use.WATER
    assert (cover & use).sum() > 0.995 * (cover | use).sum()


def test_no_building_and_no_tree_stands_in_the_lake(city):
    objects = city.objects(*DOWNTOWN)
    lake = shapely.Polygon(great_lake())
    shapely.prepare(lake)
    for things in (objects.buildings, objects.crowns):
        assert not shapely.contains_xy(lake, things.x, things.y).any()


def test_no_building_and_no_tree_stands_on_a_river_a_railway_or_an_expressway(city):
    objects, s = city.objects(*DOWNTOWN), city.ways
    for half, kind in {(h, k) for h, k in zip(s.half, s.kind, strict=True) if k in (2, 6, 8)}:
        which = (s.half == half) & (s.kind == kind)
        ends = np.stack([s.x0, s.y0, s.x1, s.y1], axis=1)[which].reshape(-1, 2, 2)
        course = shapely.STRtree(shapely.linestrings(ends))
        for things in (objects.buildings, objects.crowns):
            points = shapely.points(things.x, things.y)
            assert course.query(points, predicate="dwithin", distance=half).size == 0


def inside_city(layer: layers.DrawnLayer) -> np.ndarray:
    """Pixels of a raster whose centres lie in the city."""
    x, y = utm_centres(layer)
    city = chicago_boundary().geometry.iloc[0].simplify(20)
    shapely.prepare(city)
    return shapely.contains_xy(city, x, y)


def utm_centres(layer: layers.DrawnLayer) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.indices(layer.values.shape)
    t = layer.transform
    to_utm = Transformer.from_crs(layer.crs, UTM, always_xy=True)
    return to_utm.transform(t.c + (cols + 0.5) * t.a, t.f + (rows + 0.5) * t.e)


# Land cover of Chicago itself: canopy 16 to 19 %, roofs 20 to 25 % (city tree and roof censuses).
PLAUSIBLE = {
    Cover.TREE: (0.10, 0.25), Cover.GRASS: (0.2, 0.45), Cover.BARE: (0.005, 0.06),
    Cover.WATER: (0.005, 0.06), Cover.BUILDING: (0.15, 0.30), Cover.ROAD: (0.08, 0.2),
    Cover.PAVED: (0.06, 0.2),
}  # fmt: skip


def test_shares_of_land_cover_are_those_of_a_city(drawn):
    layer = drawn["landcover"]
    cover = layer.values[inside_city(layer)]
    assert (cover != Cover.BACKGROUND).all()
    for code, (low, high) in PLAUSIBLE.items():
        assert low < (cover == code).mean() < high, code


@pytest.mark.parametrize("name", ["landcover", "landuse"])
def test_every_class_of_the_legend_occurs_and_no_other(drawn, name):
    codes = set(np.unique(drawn[name].values).tolist())
    assert codes == {entry.code for entry in drawn[name].legend}


def test_land_use_has_named_classes_with_colours_of_their_own():
    shown = [entry for entry in LAND_USE if entry.colour]
    assert len(shown) >= 12
    assert len({entry.colour for entry in shown}) == len({entry.name for entry in shown}) == 18
    assert {entry.code for entry in LAND_USE} == set(Use)
    assert {entry.code for entry in legends.CHICAGO_LAND_COVER} == set(Cover)


# Complete protanopia, deuteranopia and tritanopia on linear RGB: Machado et al. (2009).
SEEN = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.transpose(to_xyz) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("eyes", SEEN)
def test_colours_of_land_use_differ_for_every_kind_of_eye(eyes):
    colours = [entry.colour for entry in LAND_USE if entry.colour]
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = lab(np.clip(linear @ np.transpose(SEEN[eyes]), 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 100 * np.eye(len(seen))
    assert apart.min() > 15


def share_around(layer: layers.DrawnLayer, x, y, codes, half_m=450.0) -> np.ndarray:
    """Share of classes in the square around each point, of a raster in EPSG:32616."""
    is_class = np.isin(layer.values, codes)
    t, half = layer.transform, int(half_m / layer.transform.a)
    row, col = ((y - t.f) / t.e).astype(int), ((x - t.c) / t.a).astype(int)
    places = zip(row, col, strict=True)
    return np.array([is_class[r - half : r + half, c - half : c + half].mean() for r, c in places])


@pytest.mark.parametrize("name", ["lst0810", "lst0226"])
def test_temperature_follows_cover_storeys_and_lake(drawn, name):
    layer = drawn[name]
    x, y = utm_centres(layer)
    use = layer.values != layer.nodata
    use &= inside_city(layer)
    x, y, kelvin = x[use], y[use], layer.values[use]
    green = share_around(drawn["landuse"], x, y, [Use.PARK, Use.NATURE, Use.CEMETERY])
    sealed = share_around(drawn["landuse"], x, y, [Use.CENTRE, Use.INDUSTRY, Use.SHOPS, Use.MIXED])
    hot = -1 if name == "lst0810" else 1
    lake_shore = shapely.distance(shapely.Polygon(great_lake()), shapely.points(x, y))
    assert np.corrcoef(kelvin, green)[0, 1] < -0.15
    assert np.corrcoef(kelvin, sealed)[0, 1] > 0.15
    by_lake, inland = kelvin[lake_shore < 900], kelvin[lake_shore > 5000]
    assert hot * (np.median(by_lake) - np.median(inland)) > 0.5
    assert np.corrcoef(kelvin, green)[0, 1] > -0.97  # noise of its own


@pytest.mark.parametrize("name", ["lst0810", "lst0226"])
def test_temperature_has_gaps_but_few(drawn, name):
    layer = drawn[name]
    assert (layer.nodata, layer.values.dtype) == (0, np.float32)
    missing = layer.values == 0
    in_city = inside_city(layer)
    assert 0.01 < missing.mean() < 0.10
    assert 0.02 < missing[in_city].mean() < 0.12
    assert layer.values[~missing].min() > 250


def test_night_light_is_brightest_in_the_centre_and_nowhere_missing(drawn):
    layer = drawn["nightlight"]
    assert layer.nodata is None
    assert np.isfinite(layer.values).all()
    assert layer.values.min() > 0
    x, y = utm_centres(layer)
    at = np.unravel_index(np.argmax(layer.values), layer.values.shape)
    assert np.hypot(x[at] - 447880, y[at] - 4636720) < 3000


def test_elevation_tiles_are_equal_where_they_overlap(drawn):
    south, north = drawn["dem_n41"], drawn["dem_n42"]
    assert south.transform.a == pytest.approx(1 / 3600)
    first = round((south.transform.f - north.transform.f) / south.transform.e)
    overlap = north.values.shape[0] - first
    assert overlap == 8
    assert_array_equal(south.values[:overlap], north.values[-overlap:])
    for tile in (south, north):
        assert (tile.values.dtype, tile.nodata) == (np.int16, -32767)
        assert 0.01 < (tile.values == -32767).mean() < 0.4
        assert not (tile.values == -32767)[inside_city(tile)].any()
        ground = tile.values[tile.values != -32767]
        assert ground.min() == 176
        assert ground.max() < 230


def test_every_layer_covers_the_city_with_a_kilometre_around(drawn):
    west, south, east, north = chicago_boundary().buffer(1000).total_bounds
    for layer in drawn.values():
        t, (rows, cols) = layer.transform, layer.values.shape
        bounds = (t.c, t.f + rows * t.e, t.c + cols * t.a, t.f)
        to_utm = Transformer.from_crs(layer.crs, UTM, always_xy=True)
        w, s, e, n = to_utm.transform_bounds(*bounds)
        meets = {"dem_n41": s <= south, "dem_n42": n >= north}
        assert w <= west and e >= east, layer.id
        assert meets.get(layer.id, s <= south and n >= north), layer.id


def test_layers_come_with_what_an_area_needs_to_know(drawn):
    assert tuple(drawn) == layers.LAYER_IDS
    assert layers.LAYER_IDS[0] == "landcover"
    effects = {name for name, layer in drawn.items() if layer.role == "effect"}
    assert effects == {"lst0226", "lst0810", "nightlight"}
    assert (drawn["lst0226"].season, drawn["lst0810"].season) == ("winter", "summer")
    for layer in drawn.values():
        assert layer.steps == ({"step": "simulated", "seed": 0, "version": 1},)
        assert (layer.kind == "classes") == bool(layer.legend) == (not layer.colormap)


def test_projections_and_resolutions_are_those_of_the_usual_sources(drawn):
    assert {name: size for name, (_, _, size) in layers._PAINTED.items()} == {
        "landcover": 5.0, "landuse": 5.0, "stories": 10.0,
    }  # fmt: skip
    assert [drawn[n].crs.to_epsg() for n in ("landcover", "landuse", "stories")] == [
        5070,
        32616,
        32616,
    ]
    assert drawn["lst0226"].transform.a == pytest.approx(30 / 3600)
    assert drawn["nightlight"].transform.a == pytest.approx(15 / 3600)
    assert drawn["lst0810"].transform.a == pytest.approx(926.625, abs=0.001)
    assert "Sinusoidal" in drawn["lst0810"].crs.to_wkt()


# Progress and stopping


def test_progress_rises_to_one(drawn, progress):
    shares = [share for share, _ in progress]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, pytest.approx(1.0))
    assert list(dict.fromkeys(title for _, title in progress)) == [d.title for d in drawn.values()]


def test_a_stop_ends_between_tiles_without_the_layer_in_work(city, monkeypatch):
    monkeypatch.setattr(rasters, "_TILE_PX", 600)
    asked = itertools.count()
    stopped = layers.draw_layers(city, should_stop=lambda: next(asked) >= 3, threads=1)
    assert list(stopped) == []
    assert next(asked) == 4


def test_a_stop_while_the_city_is_laid_out_ends_before_the_first_tile(city, monkeypatch):
    monkeypatch.setattr(rasters, "draw_tiles", None)
    asked = itertools.count()
    assert list(layers.draw_layers(city, should_stop=lambda: next(asked) >= 1)) == []


def test_the_boundary_is_the_city_of_598_square_kilometres():
    frame = chicago_boundary()
    assert len(frame) == 1
    assert frame.crs.to_epsg() == 32616
    assert frame.geometry.iloc[0].area == pytest.approx(598.1e6, rel=1e-3)


def test_a_block_of_houses_has_the_storeys_of_houses(city):
    outskirts = city.objects(437000.0, 4640500.0, 439000.0, 4642500.0).buildings
    centre = city.objects(447300.0, 4636300.0, 448300.0, 4637300.0).buildings
    assert np.median(outskirts.code) <= 2
    assert np.quantile(centre.code, 0.9) > 15
    assert fields.DEM_NODATA == -32767
