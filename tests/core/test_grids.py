"""A column of quadrats as a raster and as tiles."""

import io
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core import grids, store, tiles
from core.errors import InputError, StoreError
from core.grids import grid_layer, make_grid
from core.legends import LegendClass
from core.quadrat_table import Options, quadrat_table
from core.rendering import ValueStyle
from tests.core.town import make_town

GROUPS = (LegendClass(0, "Quiet", "#0000FF"), LegendClass(1, "Busy", "#FF0000"))


@pytest.fixture
def town(tmp_path):
    return make_town(tmp_path / "space")


@pytest.fixture
def made(town):
    return quadrat_table(town, town.area("town"), Options(layers=("heat",)))


@pytest.fixture
def heat(town, made):
    """The column heat_mean as a grid: 6 quadrats, the warmest in the south-east."""
    values = made.table["heat_mean"].to_numpy()
    return make_grid(town, "town", made.lattice, values, title="Heat: mean", unit="°C")


def centres(lattice):
    ys, xs = lattice.lines()
    half = lattice.side_m / 2
    return xs[lattice.cols] + half, ys[lattice.rows] - half


def served(space):
    app = Starlette(routes=tiles.routes(lambda: space))
    return TestClient(app, raise_server_exceptions=True)


def tile_of(lattice, position, z=17):
    """Return the tile at a quadrat's centre, and the pixel in it."""
    x, y = (axis[position] for axis in centres(lattice))
    lon, lat = Transformer.from_crs(lattice.crs, 4326, always_xy=True).transform(x, y)
    across = (lon + 180) / 360 * 2**z
    down = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z
    at = (int(down % 1 * 256), int(across % 1 * 256))
    return {"z": z, "x": int(across), "y": int(down)}, at


def picture(answer):
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def colour_at(client, lattice, position, url):
    tile, at = tile_of(lattice, position)
    return tuple(int(part) for part in picture(client.get(url.format(**tile)))[at])


def test_the_raster_holds_the_table_s_value_at_each_quadrat_s_centre(town, made, heat):
    with rasterio.open(town.layer_path("town", heat)) as dataset:
        assert (dataset.shape, dataset.dtypes, dataset.crs.to_epsg()) == (
            (3, 4),
            ("float32",),
            32616,
        )
        assert dataset.res == (150, 150)
        found = [
            float(value[0]) for value in dataset.sample(zip(*centres(made.lattice), strict=True))
        ]
        whole = dataset.read(1)
    np.testing.assert_array_equal(found, made.table["heat_mean"].to_numpy(np.float32))
    assert np.isnan(whole).sum() == 12 - 6


@pytest.mark.parametrize("method", ["recommended", "document"])
def test_every_order_of_the_quadrats_gives_the_same_raster(town, made, heat, method):
    area = town.set_quadrats("town", side_m=120.0, rule="touching", method=method)
    other = quadrat_table(town, area, Options(layers=("heat",)))
    grid = make_grid(town, "town", other.lattice, other.table["heat_mean"].to_numpy(), title="x")
    with rasterio.open(town.layer_path("town", grid)) as dataset:
        found = [value[0] for value in dataset.sample(zip(*centres(other.lattice), strict=True))]
    np.testing.assert_array_equal(found, other.table["heat_mean"].to_numpy(np.float32))


def test_a_raster_of_classes_keeps_codes_and_legend(town, made):
    codes = np.array([0, 1, -1, 1, 0, 1])
    grid = make_grid(town, "town", made.lattice, codes, title="Groups", legend=GROUPS)
    assert (grid.kind, grid.legend, grid.summary.counts) == ("classes", GROUPS, ((0, 2), (1, 3)))
    with rasterio.open(town.layer_path("town", grid)) as dataset:
        band = dataset.read(1)
        assert (dataset.nodata, band.dtype) == (grids.NO_CLASS, np.int32)
    assert band[made.lattice.rows, made.lattice.cols].tolist() == codes.tolist()
    client, url = served(town), tiles.grid_url("town", grid)
    shown = [colour_at(client, made.lattice, k, url) for k in range(6)]
    blue, red, nothing = (0, 0, 255, 255), (255, 0, 0, 255), (0, 0, 0, 0)
    assert shown == [blue, red, nothing, red, blue, red]


def test_the_same_column_is_written_once_and_another_never_over_it_row_26(town, made, heat):
    """Row 26."""
    values = made.table["heat_mean"].to_numpy()
    path = town.layer_path("town", heat)
    before = path.stat().st_mtime_ns
    again = make_grid(town, "town", made.lattice, values, title="Heat: mean", unit="°C")
    assert again == heat == grid_layer(town, "town", heat.digest)
    assert path.stat().st_mtime_ns == before
    others = [
        make_grid(town, "town", made.lattice, values + 1, title="Heat: mean", unit="°C"),
        make_grid(town, "town", replace(made.lattice, side_m=151.0), values, title="Heat: mean",
                  unit="°C"),
    ]  # fmt: skip
    assert len({heat.digest, *(other.digest for other in others)}) == 3


def test_another_language_unit_or_colour_scale_writes_nothing_new(town, made, heat):
    values = made.table["heat_mean"].to_numpy()
    named = make_grid(
        town, "town", made.lattice, values, title="温度", unit="K", colormap="inferno"
    )
    assert (named.title, named.unit, named.colormap) == ("温度", "K", "inferno")
    assert (named.digest, named.summary) == (heat.digest, heat.summary)
    assert len(list((town.folder("town") / "grids").iterdir())) == 2


def test_classes_in_other_colours_are_another_raster_and_in_other_words_the_same(town, made):
    codes = np.array([0, 1, -1, 1, 0, 1])

    def grid(name, colour):
        legend = (replace(GROUPS[0], name=name, colour=colour), GROUPS[1])
        return make_grid(town, "town", made.lattice, codes, title="Groups", legend=legend)

    blue, green = grid("Quiet", "#0000FF"), grid("Quiet", "#00FF00")
    assert blue.digest == grid("安静", "#0000FF").digest != green.digest
    assert grid("安静", "#0000FF").legend[0].name == "安静"
    client = served(town)
    for one, colour in ((blue, (0, 0, 255, 255)), (green, (0, 255, 0, 255))):
        assert colour_at(client, made.lattice, 0, tiles.grid_url("town", one)) == colour


def test_the_columns_used_last_are_kept(town, made, heat, monkeypatch):
    monkeypatch.setattr(grids, "_KEPT", 2)
    values = made.table["heat_mean"].to_numpy()
    folder = town.folder("town") / "grids"
    os.utime(folder / f"{heat.digest}.json", (1e9, 1e9))
    other = make_grid(town, "town", made.lattice, values + 1, title="Other")
    os.utime(folder / f"{other.digest}.json", (1.1e9, 1.1e9))
    make_grid(town, "town", made.lattice, values, title="Heat: mean")  # used now
    make_grid(town, "town", made.lattice, values + 2, title="Third")
    assert (folder / f"{heat.digest}.tif").is_file()
    assert not (folder / f"{other.digest}.tif").exists()


def test_a_column_whose_raster_is_gone_is_written_again(town, made, heat):
    town.layer_path("town", heat).unlink()
    make_grid(town, "town", made.lattice, made.table["heat_mean"].to_numpy(), title="Heat")
    assert town.layer_path("town", heat).is_file()


def test_a_grid_is_described_once_for_all_of_its_tiles(town, made, heat, monkeypatch):
    client, url = served(town), tiles.grid_url("town", heat)
    colour_at(client, made.lattice, 0, url)
    monkeypatch.setattr(grids, "grid_layer", None)
    assert client.get(url.format(z=17, x=0, y=0)).status_code == 200


def test_a_raster_that_a_tile_still_reads_is_deleted_later(town, made, heat, monkeypatch):
    monkeypatch.setattr(grids, "_KEPT", 1)
    unlink = Path.unlink

    def busy(path, **how):
        if path.suffix == ".tif" and path.stem == heat.digest:
            raise PermissionError(13, "in use")
        unlink(path, **how)

    values = made.table["heat_mean"].to_numpy()
    folder = town.folder("town") / "grids"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", busy)
        make_grid(town, "town", made.lattice, values + 1, title="Other")
        assert (folder / f"{heat.digest}.json").is_file()
    make_grid(town, "town", made.lattice, values + 2, title="Third")
    assert not (folder / f"{heat.digest}.tif").exists()


def test_a_bounded_number_of_columns_is_kept_row_25(town, made, heat, monkeypatch):
    """Row 25."""
    monkeypatch.setattr(grids, "_KEPT", 3)
    values = made.table["heat_mean"].to_numpy()
    for number in range(5):
        make_grid(town, "town", made.lattice, values + number, title=f"{number}")
    folder = town.folder("town") / "grids"
    assert len(list(folder.glob("*.json"))) == len(list(folder.glob("*.tif"))) == 3


def test_a_column_that_is_not_there_and_a_damaged_one_are_refused(town, heat):
    for digest in ("0" * 16, "", "..", "../../area", heat.digest.upper(), heat.digest + "\n"):
        with pytest.raises(InputError, match="no such column"):
            grid_layer(town, "town", digest)
    path = town.folder("town") / "grids" / f"{heat.digest}.json"
    store.write_json(path, {"layer": {"id": "x"}}, kind="grid", version=grids.GRID_VERSION)
    with pytest.raises(StoreError, match="is damaged"):
        grid_layer(town, "town", heat.digest)


def test_a_tile_paints_each_quadrat_in_the_colour_of_its_value(town, made, heat):
    client, url = served(town), tiles.grid_url("town", heat)
    values = made.table["heat_mean"].to_numpy()
    shown = [colour_at(client, made.lattice, k, url) for k in range(6)]
    assert len(set(shown)) == 6
    assert all(colour[3] == 255 for colour in shown)
    brightness = [sum(colour[:3]) for colour in shown]  # viridis grows lighter
    assert np.argsort(brightness).tolist() == np.argsort(values).tolist()
    far = client.get(url.format(z=17, x=0, y=0))
    assert not picture(far)[..., 3].any()


def test_only_a_range_of_values_is_painted_the_rest_is_transparent(town, made, heat):
    client, values = served(town), made.table["heat_mean"].to_numpy().astype(np.float32)
    low, high = sorted(float(v) for v in values)[1:4:2]
    style = tiles.default_style(heat)
    lit = tiles.grid_url("town", heat, style=replace(style, only=(low, high)))
    plain = tiles.grid_url("town", heat, style=style)
    for position, value in enumerate(values):
        colour = colour_at(client, made.lattice, position, lit)
        if low <= value <= high:  # both ends count
            assert colour == colour_at(client, made.lattice, position, plain)
        else:
            assert colour[3] == 0
    assert sum(low <= value <= high for value in values) == 3


def test_anything_wrong_with_a_grid_s_address_is_an_uncached_404_row_9(town, heat):
    """Row 9."""
    client = served(town)
    good = tiles.grid_url("town", heat).format(z=12, x=1050, y=1522)
    assert client.get(good).status_code == 200
    place, query = good.split("?")
    digest = heat.digest
    wrong = [
        good.replace(digest, "0" * 16),
        good.replace(digest, digest[:12]),
        good.replace(digest, digest.upper()),
        good.replace(digest, "..%2f..%2farea"),
        good.replace(digest, f"..%5c{digest}"),
        good.replace(digest, f"{digest}.json"),
        good.replace("/town/", "/nope/"),
        good.replace("/town/", "/../"),
        good.replace("/town/", "/%2e%2e/"),
        good.replace("/town/", "/to%00wn/"),
        good.replace("/town/", "/TOWN/"),
        f"/grids/town/{digest}.tif",
        f"/grids/town/{digest}.json",
        "/grids/",
        "/grids/town/../../area.json",
        place,
        f"{place}?",
        good.replace(".png", ".tif"),
        good.replace("/1050/", "/4096/"),
        good.replace("/1050/", "/-1/"),
        good.replace("/1050/", "/01050/"),
        good.replace("/12/", "/99/"),
        good.replace("cmap=viridis", "cmap=nope"),
        good.replace("low=", "low=x"),
        good.replace("low=", "low=nan&x="),
        good.replace("scale=linear", "scale=cubic"),
        f"{good}&more=1",
        f"{good}&{query}",
        f"{good}&only=1",
        f"{good}&only=a~b",
        f"{good}&only=1~2~3",
        f"{good}&only=5~1",
        f"{good}&only=nan~1",
        f"{good}&only=1~inf",
        f"{good}&only=1~2&only=3~4",
        f"{good}&v=0",
        good.replace("r=1", "r=0"),
    ]
    for address in wrong:
        answer = client.get(address)
        assert answer.status_code == 404, address
        if answer.url.path.startswith("/grids/"):  # the client folds `..` away before it asks
            assert answer.headers["cache-control"] == "no-store", address
        assert str(town.root) not in answer.text


def test_a_range_is_no_part_of_a_layer_s_address(town):
    client = served(town)
    layer = town.area("town").layer("heat")
    url = tiles.tile_url("town", layer).format(z=12, x=1050, y=1522)
    assert client.get(url).status_code == 200
    assert client.get(f"{url}&only=1.0~2.0").status_code == 404


@pytest.mark.parametrize("suffix", [".tif", ".json"])
def test_a_grid_whose_file_is_gone_or_damaged_is_a_404_row_10(town, heat, suffix):
    """Row 10."""
    client = served(town)
    url = tiles.grid_url("town", heat).format(z=12, x=1050, y=1522)
    path = town.folder("town") / "grids" / f"{heat.digest}{suffix}"
    path.write_bytes(path.read_bytes()[:30])
    assert client.get(url).status_code == 404
    path.unlink()
    assert client.get(url).status_code == 404


def test_a_range_stands_in_the_address():
    style = ValueStyle(colormap="viridis", low=0.0, high=1.0, only=(0.25, 0.5))
    assert "only=0.25~0.5" in tiles._query(style).replace("%7E", "~")
