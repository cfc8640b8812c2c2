import io
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image
from pyproj import CRS, Transformer
from rasterio.transform import from_origin
from rio_tiler.io import Reader
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core import prepare, rasters, rendering, tiles
from core.errors import InputError
from core.legends import LegendClass
from core.prepare import About
from core.rendering import Levels, ValueStyle
from tests.core.raster_files import (
    ALBERS,
    NORTH_UP,
    SINUSOIDAL,
    canary,
    checkers,
    file_server,
    new_area,
    rotated,
    write_tif,
)

CLASSES = About(layer_id="cover", title="Cover", kind="classes")
VALUES = About(layer_id="heat", title="Heat", kind="values", colormap="inferno")
LEGEND = (
    LegendClass(1, "one", "#FF0000"),
    LegendClass(2, "two", ""),
    LegendClass(300, "x", "#0000FF"),
)
PLACES = [
    pytest.param("EPSG:32616", from_origin(440_000, 4_640_000, 10, 10), id="utm"),
    pytest.param("EPSG:32616", rotated((440_000, 4_640_000)), id="rotated"),
    pytest.param(ALBERS, from_origin(690_000, 250_000, 10, 10), id="albers"),
    pytest.param(SINUSOIDAL, from_origin(-7_310_000, 4_660_000, 30, 30), id="sinusoidal"),
    pytest.param("EPSG:4326", from_origin(-87.8, 41.95, 0.0001, 0.0001), id="degrees"),
    pytest.param("EPSG:3006", from_origin(319_000, 6_400_000, 2, 2), id="sweref"),
]  # fmt: skip


def served(workspace, **options):
    app = Starlette(routes=tiles.routes(lambda: workspace, **options))
    return TestClient(app, raise_server_exceptions=True)


@pytest.fixture
def town(tmp_path):
    workspace = new_area(tmp_path / "ws")
    prepare.add_array(
        workspace, "town", checkers(), CLASSES, transform=NORTH_UP, crs="EPSG:32616", nodata=7,
        origin={},
    )  # fmt: skip
    heat = checkers(dtype="float32") * 1.5
    heat[:, :5] = np.nan
    prepare.add_array(
        workspace, "town", heat, VALUES, transform=NORTH_UP, crs="EPSG:32616", origin={}
    )
    return workspace


def tile_at(lon, lat, z):
    x = (lon + 180) / 360 * 2**z
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z
    return {"z": z, "x": int(x), "y": int(y)}


def picture(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


@pytest.mark.parametrize(("crs", "transform"), PLACES)
@pytest.mark.parametrize("zoom", [15, 17, 19])
def test_tiles_show_the_nearest_pixel_of_any_crs(tmp_path, crs, transform, zoom):
    # Every pixel differs from its neighbours. The expected value comes from transforming each
    # pixel centre exactly, with pyproj alone.
    row, column = np.mgrid[:600, :600]
    values = (row * 600 + column).astype("int32")
    path = write_tif(tmp_path / "a.tif", values, crs=crs, transform=transform, driver="COG",
                     BLOCKSIZE=256)  # fmt: skip
    levels = Levels(path)
    rng = np.random.default_rng(zoom)
    to_own = Transformer.from_crs(3857, CRS(crs), always_xy=True)
    total = wrong = 0
    for _ in range(2):
        x, y = transform @ tuple(rng.uniform(100, 500, 2))
        lon, lat = to_own.transform(x, y, direction="INVERSE")
        lon, lat = Transformer.from_crs(3857, 4326, always_xy=True).transform(lon, lat)
        west, south, east, north = tiles._tile_bounds(*tile_at(lon, lat, zoom).values())
        found, valid = levels.sample((west, south, east, north), (256, 256))
        steps = (np.arange(256) + 0.5) / 256
        xs, ys = np.meshgrid(west + (east - west) * steps, north - (north - south) * steps)
        own = to_own.transform(xs, ys)
        columns, rows = (np.floor(v).astype(int) for v in ~transform @ own)
        inside = (columns >= 0) & (columns < 600) & (rows >= 0) & (rows < 600)
        assert (valid != inside).mean() < 0.001
        both = inside & valid
        if levels.level(rendering._coarseness(columns * 1.0, rows * 1.0, inside)).width == 600:
            total += both.sum()
            wrong += (found[both] != (rows * 600 + columns)[both]).sum()
    assert total > 0
    assert wrong / total <= 0.001


def test_an_overview_is_used_when_the_tile_is_coarser(tmp_path):
    values = np.full((2048, 2048), 2, "uint8")
    values[::2, ::2] = 9
    path = write_tif(tmp_path / "a.tif", values, driver="COG", overview_resampling="mode")
    levels = Levels(path)
    assert [levels.level(ratio).width for ratio in (1, 1.6, 1.7, 3.3, 3.4, 50)] == [
        2048, 2048, 1024, 1024, 512, 512,
    ]  # fmt: skip
    found, valid = levels.sample(tiles._tile_bounds(**tile_at(-87.55, 41.8, 12)), (256, 256))
    assert set(np.unique(found[valid])) == {2}


def test_tiles_agree_with_rio_tiler(tmp_path):
    values = np.random.default_rng(2).integers(1, 255, (900, 900)).astype("uint8")
    path = write_tif(tmp_path / "a.tif", values, driver="COG")
    place = tile_at(-87.61, 41.82, 16)
    found, valid = Levels(path).sample(tiles._tile_bounds(**place), (256, 256))
    with Reader(str(path)) as reader:
        theirs = reader.tile(place["x"], place["y"], place["z"], resampling_method="nearest")
    both = valid & ~theirs.array.mask[0]
    assert both.mean() > 0.9
    # GDAL's warper moves centres by up to an eighth of a pixel, so edges may fall otherwise.
    assert (found[both] == theirs.array.data[0][both]).mean() > 0.95


def test_the_polynomial_gives_way_where_the_projection_breaks(tmp_path):
    # The whole world in one tile, seen from a UTM zone: no polynomial follows that.
    path = write_tif(tmp_path / "a.tif", checkers())
    levels = Levels(path)
    bounds = tiles._tile_bounds(0, 0, 0)
    columns, rows = rendering.picture_pixels(levels.place, bounds, (64, 64))
    steps = (np.arange(64) + 0.5) / 64
    x, y = np.meshgrid(
        bounds[0] + (bounds[2] - bounds[0]) * steps, bounds[3] - (bounds[3] - bounds[1]) * steps
    )
    exact = levels.place.to_pixels(x.ravel(), y.ravel(), frame="mercator")
    assert_array_equal(columns.ravel(), exact[0])
    assert_array_equal(rows.ravel(), exact[1])


@pytest.mark.parametrize("x", [0, 15])
def test_both_sides_of_the_180th_meridian_are_drawn_row_15(tmp_path, x):
    """Row 15."""
    values = np.ones((40, 80), "uint8")
    path = write_tif(
        tmp_path / "a.tif", values, crs="EPSG:4326", transform=from_origin(176, 2, 0.1, 0.1)
    )
    found = Levels(path).sample(tiles._tile_bounds(4, x, 7), (256, 256))
    assert found is not None
    assert found[1].any()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_classes_by_hand(dtype):
    values = np.array([[1, 2, 3], [1, 2, 44]], dtype)
    if dtype != "uint8":
        values[1, 2] = 300
    valid = np.array([[True, True, True], [False, True, True]])
    last = 0 if dtype == "uint8" else 3
    assert rendering.colour_numbers(values, valid, LEGEND).tolist() == [[1, 2, 0], [0, 2, last]]
    assert rendering.palette(LEGEND).tolist() == [
        [0, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 255, 255],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "low", "expected"), [("linear", 0.0, [1, 1, 13, 128, 255, 255, 0]),
                                   ("log", 1.0, [1, 1, 128, 217, 255, 255, 0])],
)  # fmt: skip
def test_values_by_hand(scale, low, expected):
    values = np.array([[-5, low, 5 if scale == "linear" else 10, 50, 100, 1e9, np.nan]])
    style = ValueStyle(colormap="viridis", low=low, high=100, scale=scale)
    assert rendering.colour_numbers(values, np.isfinite(values), style)[0].tolist() == expected


def test_stops_are_the_ends_of_the_colormap():
    assert rendering.colormap_stops("viridis", 3)[::2] == ("#440154", "#FDE724")
    for name in rendering.COLORMAPS:
        assert len(rendering.colormap_stops(name, 5)) == 5
    with pytest.raises(InputError, match="no colour scale 'jet"):
        rendering.colormap_stops("jet")


def test_a_tile_paints_the_colour_of_the_pixel_under_the_point(town):
    client = served(town)
    for layer_id in ("cover", "heat"):
        layer = town.area("town").layer(layer_id)
        style = tiles.default_style(layer)
        colours = rendering.palette(style)
        source = town.layer_path("town", layer)
        for lon, lat in ((-87.6605, 41.863), (-87.659, 41.8645), (-87.6583, 41.8622)):
            place = tile_at(lon, lat, 17)
            shown = picture(client.get(tiles.tile_url("town", layer).format(**place)))
            west, south, east, north = tiles._tile_bounds(**place)
            x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
            column, row = (
                int((x - west) / (east - west) * 256),
                int((north - y) / (north - south) * 256),
            )
            x = west + (column + 0.5) * (east - west) / 256
            y = north - (row + 0.5) * (north - south) / 256
            lon, lat = Transformer.from_crs(3857, 4326, always_xy=True).transform(x, y)
            pixel = rasters.read_pixel(source, lon, lat)
            value = np.array([[0 if pixel.value is None else pixel.value]])
            number = rendering.colour_numbers(value, np.array([[pixel.value is not None]]), style)
            assert shown[row, column].tolist() == colours[number[0, 0]].tolist()


def test_addresses_never_change_their_picture_row_26(town):
    """Row 26: a replaced file and a changed legend have other addresses; old ones are gone."""
    client = served(town)
    place = tile_at(-87.6595, 41.8635, 16)
    layer = town.area("town").layer("cover")
    old = tiles.tile_url("town", layer).format(**place)
    before = client.get(old)
    assert before.headers["cache-control"] == "public, max-age=31536000, immutable"
    prepare.add_array(
        town, "town", checkers() % 3 + 1, CLASSES, transform=NORTH_UP, crs="EPSG:32616", origin={}
    )
    assert client.get(old).status_code == 404
    new = tiles.tile_url("town", town.area("town").layer("cover")).format(**place)
    query = old.split("?")[1]
    assert client.get(new.split("?")[0] + "?" + query).status_code == 404  # the legend is new too
    after = client.get(new)
    assert (picture(after) != picture(before)).any()
    town.change_layer(
        "town", "cover", lambda was: replace(was, legend=(LegendClass(1, "1", "#00FF00"),))
    )
    assert client.get(new).status_code == 404
    recoloured = tiles.tile_url("town", town.area("town").layer("cover")).format(**place)
    assert [0, 255, 0, 255] in picture(client.get(recoloured)).reshape(-1, 4).tolist()


def test_a_replaced_file_leaves_no_old_address_row_26(town):
    """Row 26: the same id and the same colours, another file."""
    client = served(town)
    style = ValueStyle(colormap="viridis", low=0, high=20)
    urls = []
    for factor in (1, 2):
        heat = checkers(dtype="float32") * factor
        prepare.add_array(
            town, "town", heat, VALUES, transform=NORTH_UP, crs="EPSG:32616", origin={}
        )
        url = tiles.tile_url("town", town.area("town").layer("heat"), style=style)
        urls.append(url.format(**tile_at(-87.6595, 41.8635, 16)))
        assert client.get(urls[-1]).status_code == 200
    assert client.get(urls[0]).status_code == 404


def test_anything_wrong_is_an_uncached_404_row_9(town, tmp_path):
    """Row 9: paths, dots, encodings, foreign ids and digests, numbers out of range, odd colours."""
    (tmp_path / "secret.txt").write_text("canary")
    client = served(town)
    url = tiles.tile_url("town", town.area("town").layer("heat"))
    good = url.format(**tile_at(-87.6595, 41.8635, 16))
    assert client.get(good).status_code == 200
    head, query = good.split("?")
    parts = head.split("/")

    def changed(rank, text):
        return "/".join([*parts[:rank], text, *parts[rank + 1 :]]) + "?" + query

    bad = [
        *(changed(2, name) for name in ("..", "%2e%2e", "other", "TOWN", "town%00", "a" * 300)),
        *(changed(3, name) for name in ("..%2f..%2fsecret.txt", "cover.tif", "none", "%5c..")),
        *(changed(4, name) for name in ("", "0" * 12, parts[4][:11], parts[4] + "0")),
        *(changed(5, name) for name in ("25", "-1", "1e3", "016", "٣", "1" * 400)),
        *(changed(6, name) for name in ("65536", "-1", "0x1")),
        *(changed(7, name) for name in ("65536.png", "1.jpg", "1.png.png")),
        head,
        *(good.replace(*pair) for pair in (
            ("inferno", "jet"), ("scale=linear", "scale=log10"), ("low=", "low=nan&x="),
            ("high=", "high=inf&y="), ("&scale", "&extra=1&scale"), ("r=1", "r=0"),
        )),
        good + "&low=1",
        "/tiles/", "/tiles/../area.json", "/tiles/%2e%2e/%2e%2e/secret.txt", "/thumbs/town",
        "/assets/../secret.txt", "/assets/leaflet/..%2f..%2f__init__.py", "/assets/leaflet",
        "/assets/jquery//etc/passwd", "/assets/%2fetc%2fpasswd",
    ]  # fmt: skip
    for address in bad:
        answer = client.get(address, follow_redirects=False)
        assert answer.status_code == 404, address
        assert "canary" not in answer.text
    assert client.get(bad[2]).headers["cache-control"] == "no-store"


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30))
def test_no_text_in_an_address_breaks_the_route_row_9(text):
    """Row 9."""
    for place in ("z", "low"):
        try:
            (tiles._whole_number if place == "z" else tiles._number)(text)
        except InputError as err:
            assert err.message()


def test_a_log_scale_from_zero_is_refused(town):
    url = tiles.tile_url("town", town.area("town").layer("heat"), style=None)
    url = url.format(**tile_at(-87.6595, 41.8635, 16))
    answer = served(town).get(url.replace("scale=linear", "scale=log").replace("low=", "low=-"))
    assert (answer.status_code, "logarithmic" in answer.text) == (404, True)


def test_tiles_far_away_are_transparent(town):
    url = tiles.tile_url("town", town.area("town").layer("cover"))
    shown = picture(served(town).get(url.format(z=3, x=0, y=0)))
    assert shown.shape == (256, 256, 4)
    assert not shown.any()


def test_routes_keep_below_the_base_path(town):
    client = served(town, base="/city/")
    url = tiles.tile_url("town", town.area("town").layer("cover"), base="/city/")
    assert url.startswith("/city/tiles/town/cover/")
    place = tile_at(-87.6595, 41.8635, 16)
    assert picture(client.get(url.format(**place))).any()
    assert client.get(tiles.asset_url("leaflet/leaflet.js", base="city")).status_code == 200


def test_assets_come_with_their_type(town):
    client = served(town)
    for path, kind in (("leaflet/leaflet.js", "javascript"), ("leaflet/leaflet.css", "text/css"),
                       ("jquery/jquery.min.js", "javascript"),
                       ("leaflet/images/marker-icon.png", "image/png")):  # fmt: skip
        answer = client.get(tiles.asset_url(path))
        assert answer.status_code == 200, path
        assert kind in answer.headers["content-type"]
        assert len(answer.content) > 500


def test_a_thumbnail_shows_the_area_with_a_margin(town):
    layer = town.area("town").layer("cover")
    client = served(town)
    shown = picture(client.get(tiles.thumb_url("town", layer, size=100)))
    assert shown.shape == (82, 100, 4)
    assert not shown[0].any() and not shown[:, 0].any()
    assert shown[41, 50, 3] == 255 or shown[30:50, 30:60, 3].any()
    assert client.get(tiles.thumb_url("town", layer, size=5000)).status_code == 404


def test_a_damaged_layer_is_404_and_never_kept_while_others_work_row_10(town):
    """Row 10."""
    client = served(town)
    place = tile_at(-87.6595, 41.8635, 16)
    layer = town.area("town").layer("cover")
    path = town.layer_path("town", layer)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    url = tiles.tile_url("town", layer).format(**place)
    answer = client.get(url)
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
    assert "cover.tif" in answer.json()["error"]
    heat = tiles.tile_url("town", town.area("town").layer("heat")).format(**place)
    assert client.get(heat).status_code == 200
    path.write_bytes(whole)
    assert served(town).get(url).status_code == 200


def test_a_remote_layer_is_drawn_only_where_outside_access_is_on_row_2(tmp_path):
    """Row 2: while it is off, the server that holds the layer hears nothing."""
    workspace = new_area(tmp_path / "ws")
    write_tif(tmp_path / "a.tif", checkers(), driver="COG")
    place = tile_at(-87.6595, 41.8635, 16)
    with file_server(tmp_path) as url:
        prepare.add_remote(workspace, "town", f"{url}/a.tif", CLASSES)
        address = tiles.tile_url("town", workspace.area("town").layer("cover")).format(**place)
        allowed = [True]
        client = served(workspace, outside=lambda: allowed[0], cache_mb=0)
        assert picture(client.get(address)).any()
        allowed[0] = False
        assert client.get(address).status_code == 404
    with canary() as (url, asked):
        layer = workspace.area("town").layer("cover")
        workspace.put_layer("town", replace(layer, url=f"{url}/a.tif"), None)
        answer = served(workspace).get(address)
        assert (answer.status_code, asked) == (404, [])
        assert "switched off" in answer.text


def test_sixteen_threads_read_what_one_reads_row_23(tmp_path):
    """Row 23: 16 threads, 500 pictures."""
    values = np.random.default_rng(3).integers(0, 255, (2048, 2048)).astype("uint8")
    path = write_tif(tmp_path / "a.tif", values, driver="COG", BLOCKSIZE=256)
    opened = rendering.OpenRasters()
    rng = np.random.default_rng(4)
    x, y = Transformer.from_crs(32616, 3857, always_xy=True).transform(445_000, 4_635_000)
    boxes = [(x + a, y - b - 600, x + a + 600, y - b) for a, b in rng.uniform(0, 25_000, (500, 2))]

    def draw(box):
        with opened.taken(path, "d") as levels:
            found = levels.sample(box, (64, 64))
        return b"" if found is None else found[0].tobytes()

    serial = [draw(box) for box in boxes]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(draw, boxes)) == serial


def test_few_files_stay_open_whatever_the_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "_MOST_IDLE", 3)
    opened = rendering.OpenRasters()
    paths = [write_tif(tmp_path / f"{number}.tif", checkers()) for number in range(8)]
    used = []

    def use(number):
        with opened.taken(paths[number % 8], str(number % 8)) as levels:
            used.append(levels)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, range(64)))
    assert sum(not levels._open[None].closed for levels in set(used)) == 3
    with opened.taken(paths[7], "7") as first, opened.taken(paths[7], "7") as second:
        assert first is not second


def test_a_raster_is_closed_after_an_error(tmp_path):
    opened = rendering.OpenRasters()
    path = write_tif(tmp_path / "a.tif", checkers())
    with pytest.raises(RuntimeError), opened.taken(path, "a") as levels:
        raise RuntimeError
    assert levels._open[None].closed
    with opened.taken(path, "a") as again:
        assert again is not levels


def test_no_more_pictures_are_drawn_at_once_than_twice_the_cores(town, monkeypatch):
    now, most, lock = [], [], threading.Lock()

    def slow(*_):
        with lock:
            now.append(1)
            most.append(len(now))
        time.sleep(0.02)
        now.pop()
        return b""

    monkeypatch.setattr(tiles.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(tiles, "render", slow)
    client = served(town, cache_mb=0)
    layer = town.area("town").layer("cover")
    address = tiles.tile_url("town", layer).format(**tile_at(-87.66, 41.863, 15))
    with ThreadPoolExecutor(12) as pool:
        codes = {answer.status_code for answer in pool.map(client.get, [address] * 24)}
    assert codes == {200}
    assert max(most) <= 2


def test_a_system_out_of_handles_is_a_503_that_is_not_kept(town, monkeypatch):
    def full(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(tiles, "render", full)
    layer = town.area("town").layer("cover")
    address = tiles.tile_url("town", layer).format(**tile_at(-87.66, 41.863, 15))
    answer = served(town).get(address)
    assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")


def test_the_cache_stays_within_its_bytes():
    cache = tiles.ByteCache(100)
    for number in range(50):
        cache.put(number % 7, bytes(30 - number % 3))
        assert cache.size <= 100
    assert cache.get(0) is not None
    assert cache.get("never") is None


def test_error_answers_are_json_and_name_no_folder(town, tmp_path):
    body = json.loads(served(town).get("/tiles/none/a/b/1/1/1.png?r=1").text)
    assert "none" in body["error"]
    assert str(tmp_path) not in body["error"]
