"""Cutting: pixels and places right, other bands and classes, what lies under, real imagery."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_allclose, assert_array_equal
from rasterio.transform import from_origin
from rasterio.windows import Window, from_bounds

from core import prepare
from core.chips.channels import Channel, decode
from core.chips.cut import chip_at, cut_set
from core.chips.drawn import DrawnCover, DrawnSource
from core.chips.material import file_material, layer_material
from core.chips.options import CutOptions
from core.chips.requests import Request, run
from core.chips.sets import ChipSets
from core.chips.sources import RasterSource, checked_date, date_in, sample
from core.chips.under import Cover, Surroundings, area_clusters
from core.errors import AppError, CrsError, InputError, RefusedFileError, TooLargeError
from core.legends import LegendClass
from core.settings import settings
from core.workspace import Workspace
from tests.core.chip_sources import Drawn, cut, drawn_material, place
from tests.core.raster_files import ALBERS, NORTH_UP, SHARED, canary, rotated, write_tif
from tests.core.town import make_town

NAIP = SHARED / "data" / "chips" / "naip_nd"


def test_every_chip_holds_the_pixels_of_its_window(tmp_path):
    source = Drawn(200, 240)
    chips = cut(tmp_path, source)
    for number, row in enumerate(chips.table.itertuples()):
        window = source.pixels[:, row.row : row.row + 16, row.col : row.col + 16]
        assert_array_equal(chips.pixels()[number], window)
        assert (row.west, row.north) == (445_000 + row.col, 4_635_000 - row.row)
        assert (row.east - row.west, row.north - row.south) == (16, 16)
        assert row.geometry.bounds == (row.west, row.south, row.east, row.north)
    assert set(chips.table["date"]) == {"2020-08-31"}
    assert chips.info.side_m == 16 and chips.info.metres_per_pixel(4) == 4


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_row_27_the_same_bytes_on_any_number_of_threads(tmp_path, monkeypatch, threads):
    """Row 27."""
    one = cut(tmp_path / "one", Drawn(300, 300), count=200)
    monkeypatch.setenv("URBAN_PATTERN_THREADS", str(threads))
    settings.cache_clear()
    try:
        again = cut(tmp_path / "again", Drawn(300, 300), count=200)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert again.info.digest == one.info.digest
    assert again.table.equals(one.table)


def test_another_seed_cuts_other_chips(tmp_path):
    digests = {cut(tmp_path / str(n), seed=n).info.digest for n in range(3)}
    assert len(digests) == 3


def test_chips_larger_on_the_ground_are_averaged(tmp_path):
    source = Drawn(200, 240)
    chips = cut(tmp_path, source, metres=32.0)
    row = chips.table.iloc[3]
    window = source.pixels[:, row["row"] : row["row"] + 32, row["col"] : row["col"] + 32]
    means = window.reshape(3, 16, 2, 16, 2).mean(axis=(2, 4))
    assert_array_equal(chips.pixels()[3], np.floor(means + 0.5))
    assert chips.info.side_m == 32 and chips.info.metres_per_pixel(16) == 2


def test_chips_with_missing_pixels_are_replaced_by_others(tmp_path):
    valid = np.ones((200, 240), bool)
    valid[:, ::40] = False  # a chip is 16 wide, so two in five places are clean
    chips = cut(tmp_path, Drawn(200, 240, valid=valid))
    assert len(chips) == 40
    assert (chips.table["valid"] == 1).all()
    assert any("passed over" in text for text, _ in chips.info.notes)
    some = cut(tmp_path, Drawn(200, 240, valid=valid), name="some", min_valid=0.9, seed=4)
    shares = some.table["valid"]
    assert shares.min() == pytest.approx(1 - 1 / 16) and (shares < 1).any()
    for number in np.flatnonzero(shares < 1)[:5]:
        row = some.table.iloc[number]
        part = slice(row["row"], row["row"] + 16), slice(row["col"], row["col"] + 16)
        gone = ~valid[part]
        filled = some.pixels()[number][:, gone]
        clean = Drawn(200, 240).pixels[:, *part][:, ~gone].mean(axis=1)
        assert_allclose(filled, np.broadcast_to(clean[:, None], filled.shape), atol=0.5)


def test_what_was_not_found_is_told(tmp_path):
    chips = cut(tmp_path, Drawn(100, 100), count=500, overlap=0.0)
    assert len(chips) < 500
    told = " ".join(text.format(**values) for text, values in chips.info.notes)
    assert "of 400 chips for train could be found" in told


def test_nothing_but_missing_pixels_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="No chip fits"):
        cut(tmp_path, Drawn(200, 240, valid=np.zeros((200, 240), bool)))
    assert not (tmp_path / "chips").exists()
    assert not list((tmp_path / ".scratch").iterdir())


def test_no_window_is_read_outside_and_close_ones_are_read_together(tmp_path):
    source = Drawn(200, 240)  # its read() refuses what is outside
    cut(tmp_path, source, count=200)
    assert len(source.asked) < 20


def test_a_grid_of_unknown_number_is_held_to_the_disk_once_it_is_laid_out(tmp_path, monkeypatch):
    from core import store

    usage = store.shutil.disk_usage(tmp_path)
    room = (64 << 20) + 2 * 100 * 3 * (16**2 + 8**2 + 4**2)  # for a hundred chips
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=room))
    with pytest.raises(TooLargeError, match="The chip set needs"):
        cut(tmp_path, grid=True, count=None)
    assert len(cut(tmp_path, grid=True, count=90)) == 90


def test_any_place_can_be_had_as_a_chip():
    source = Drawn(200, 240)
    lon, lat = _lonlat(source, 100.2, 60.2)
    chip = chip_at(source, drawn_material(source), CutOptions(size_px=16), lon=lon, lat=lat)
    assert_array_equal(chip, source.pixels[:, 52:68, 92:108])
    corner = _lonlat(source, 1.0, 1.0)
    chip = chip_at(
        source, drawn_material(source), CutOptions(size_px=16), lon=corner[0], lat=corner[1]
    )
    assert_array_equal(chip, source.pixels[:, :16, :16])
    with pytest.raises(InputError, match="is not on drawn"):
        chip_at(source, drawn_material(source), CutOptions(size_px=16), lon=0.0, lat=0.0)


def _lonlat(source, column, row):
    from core.georeference import transformer

    x, y = source.place.transform @ (column, row)
    return transformer(source.place.crs, "lonlat").transform(x, y)


def test_a_lattice_of_points_is_the_nearest_pixel_in_any_projection(tmp_path):
    from pyproj import CRS, Transformer

    where = place(300, 300)
    other = Drawn(
        600, 600, crs=CRS.from_user_input(ALBERS), west=660_000.0, north=210_000.0, pixel=3.0
    )
    to_albers = Transformer.from_crs(where.crs, other.place.crs, always_xy=True)
    x, y = to_albers.transform(445_100.0, 4_634_900.0)
    other = Drawn(600, 600, crs=other.place.crs, west=x - 900, north=y + 900, pixel=3.0)
    values, valid = sample(other, where, Window(0, 0, 300, 300), (64, 64))
    assert valid.all()
    at = (np.arange(64) + 0.5) / 64 * 300
    east, north = np.meshgrid(445_000 + at, 4_635_000 - at)
    ax, ay = to_albers.transform(east, north)
    col = np.floor((ax - (x - 900)) / 3).astype(int)
    row = np.floor((y + 900 - ay) / 3).astype(int)
    assert (values == other.pixels[:, row, col]).mean() > 0.999


def test_outside_a_source_nothing_is_valid(tmp_path):
    values, valid = sample(Drawn(50, 50), place(50, 50, west=0.0), Window(0, 0, 16, 16), (8, 8))
    assert not valid.any() and values.shape == (3, 8, 8)
    _, half = sample(Drawn(50, 50), place(50, 50), Window(-8, 0, 16, 16), (8, 8))
    assert half.mean() == 0.5


def test_one_chip_over_too_many_fine_pixels_is_refused():
    class Huge(Drawn):
        def __init__(self):
            super().__init__(4, 4)
            self.place = place(100_000, 100_000, pixel=0.001)

    with pytest.raises(TooLargeError, match="One chip covers"):
        sample(Huge(), place(10, 10, pixel=10.0), Window(0, 0, 10, 10), (8, 8))


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return make_town(tmp_path_factory.mktemp("town"))


def asked(town, name, **fields):
    options = {"size_px": 8, "count": 12, "split": "none", **fields.pop("options", {})}
    run(town, Request(out=name, options=CutOptions(**options), **fields))
    return ChipSets(town.root).open(name)


def test_classes_come_as_one_channel_each(town):
    chips = asked(town, "cover", area="town", layers=("cover",))
    assert [channel.code for channel in chips.info.channels] == list(range(1, 8))
    stack = chips.read(np.arange(12))
    assert (stack.max(axis=1) == 255).all() and (stack.astype(int).sum(axis=1) == 255).all()
    row = chips.table.iloc[0]
    with rasterio.open(town.layer_path("town", town.area("town").layer("cover"))) as dataset:
        codes = dataset.read(1)[row["row"] : row["row"] + 8, row["col"] : row["col"] + 8]
    assert_array_equal(stack[0].argmax(axis=0) + 1, codes)


def test_values_come_back_by_their_scale(town):
    chips = asked(town, "heat", area="town", layers=("heat",))
    channel = chips.info.channels[0]
    assert (channel.kind, channel.low, channel.high, channel.unit) == ("values", 10.0, 3949.0, "°C")
    row = chips.table.iloc[0]
    found = decode(chips.pixels()[0, 0], channel)
    want = 100 * np.arange(row["row"], row["row"] + 8)[:, None] + np.arange(
        row["col"], row["col"] + 8
    )
    assert_allclose(found, want, atol=(3949 - 10) / 65535)
    assert row["col"] >= 10  # the first ten columns are missing


def test_layers_are_stacked_on_the_grid_of_the_first(town):
    chips = asked(town, "both", area="town", layers=("cover", "heat"))
    assert len(chips.info.channels) == 8 and chips.info.dtype == "uint16"
    heat = decode(chips.pixels()[5, 7], chips.info.channels[7])
    row = chips.table.iloc[5]
    assert heat[0, 0] == pytest.approx(100 * row["row"] + row["col"], abs=0.1)


def test_shares_of_land_cover_are_those_of_its_pixels(town):
    chips = asked(town, "shares", area="town", layers=("heat",))
    with rasterio.open(town.layer_path("town", town.area("town").layer("cover"))) as dataset:
        codes = dataset.read(1)
    for row in chips.table.itertuples():
        window = codes[row.row : row.row + 8, row.col : row.col + 8]
        for code in range(1, 8):
            assert getattr(row, f"cover_{code}") == pytest.approx((window == code).mean(), abs=1e-6)
    assert chips.info.cover[0]["name"] == "Class 1"


def test_clusters_are_those_of_the_quadrats_under_a_chip(tmp_path):
    import geopandas as gpd
    import shapely

    space = make_town(tmp_path)
    # Two by three quadrats of 150 m; the western ones are cluster 1, the others 0.
    rows, cols = np.mgrid[:2, :3]
    boxes = [
        shapely.box(445_000 + 150 * c, 4_634_900 - 150 * r - 150, 445_150 + 150 * c,
                    4_634_900 - 150 * r)
        for r, c in zip(rows.ravel(), cols.ravel(), strict=True)
    ]  # fmt: skip
    frame = gpd.GeoDataFrame(
        {"row": rows.ravel(), "col": cols.ravel(), "cluster": (cols.ravel() == 0).astype(int)},
        geometry=boxes, crs="EPSG:32616",
    )  # fmt: skip
    frame.to_parquet(space.folder("town") / "clusters.parquet")
    chips = asked(space, "set", area="town", layers=("cover",), options={"count": 40})
    for row in chips.table.itertuples():
        middle = (row.west + row.east) / 2
        if abs(middle - 445_150) > 40 and row.north < 4_634_860 and row.south > 4_634_640:
            assert row.cluster == (1 if middle < 445_150 else 0)
    balanced = asked(
        space, "balanced", area="town", layers=("cover",),
        options={"count": 20, "balance": "clusters"},
    )  # fmt: skip
    assert balanced.table["cluster"].value_counts().to_dict() == {0: 10, 1: 10}
    (space.folder("town") / "clusters.parquet").write_bytes(b"PAR1")
    with pytest.raises(AppError, match="clusters of Town cannot be read"):
        area_clusters(space, space.area("town"))


def test_balance_needs_something_to_balance_by(town):
    with pytest.raises(InputError, match="no clusters of the place are known"):
        asked(town, "x", area="town", layers=("cover",), options={"balance": "clusters"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "from layers of a study area, from files"),
        ({"layers": ("cover",)}, "Layers belong to a study area"),
        ({"area": "town", "layers": ("nothing",)}, "has no layer 'nothing'"),
        ({"area": "nowhere", "layers": ("cover",)}, "There is no study area"),
        ({"area": "town", "layers": ("cover",), "cover": "heat"}, "cannot serve as land cover"),
        ({"files": ("/nowhere.tif",)}, "There is no file"),
        ({"files": ("/vsicurl/http://x/y.tif",)}, "is no plain file"),
        ({"area": "town", "layers": ("heat",), "value_range": (5.0, 5.0)}, "from a smaller to a"),
        ({"files": ("x.tif",), "cover": "cover"}, "Land cover is a layer"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_requests_that_cannot_be_met_are_refused(town, fields, words):
    with pytest.raises(AppError, match=words):
        asked(town, "x", **fields)
    assert not (town.root / "chips" / "x").exists()


def test_files_of_one_set_have_the_same_bands(tmp_path):
    one = write_tif(tmp_path / "a.tif", np.ones((3, 40, 40), np.uint8))
    two = write_tif(tmp_path / "b.tif", np.ones((4, 40, 40), np.uint8), photometric="MINISBLACK")
    with pytest.raises(InputError, match=r"b\.tif has other bands than a\.tif"):
        file_material([one, two])
    with pytest.raises(InputError, match="no band 7"):
        file_material([one], bands=[1, 7])
    with pytest.raises(InputError, match="only once"):
        file_material([one], bands=[1, 1])
    with pytest.raises(InputError, match="as many dates as files"):
        file_material([one], dates=["2020-01-01", "2020-01-02"])


def test_a_file_of_classes_gets_a_channel_a_class(tmp_path):
    path = write_tif(
        tmp_path / "c.tif", np.array([[3, 9], [9, 200]], np.uint8).repeat(30, 0).repeat(30, 1)
    )
    material = file_material([path], kind="classes")
    assert [channel.code for channel in material.channels] == [3, 9, 200]
    with pytest.raises(InputError, match="65 channels; 64 are the most"):
        many = np.arange(65, dtype=np.uint8).repeat(4)[None].repeat(20, 0)
        file_material([write_tif(tmp_path / "d.tif", many)], kind="classes")
    with pytest.raises(InputError, match="fractions"):
        half = np.full((20, 20), 0.5, "float32")
        file_material([write_tif(tmp_path / "e.tif", half)], kind="classes")


def test_images_of_16_bits_keep_their_range(tmp_path):
    values = np.random.default_rng(2).integers(100, 9000, (3, 60, 60)).astype(np.uint16)
    path = write_tif(tmp_path / "deep.tif", values)
    run(
        Workspace(tmp_path),
        Request(
            out="deep", files=(str(path),), options=CutOptions(size_px=8, count=5, split="none")
        ),
    )
    chips = ChipSets(tmp_path).open("deep")
    row = chips.table.iloc[0]
    want = values[1, row["row"] : row["row"] + 8, row["col"] : row["col"] + 8]
    step = (chips.info.channels[1].high - chips.info.channels[1].low) / 65535
    assert_allclose(decode(chips.pixels()[0, 1], chips.info.channels[1]), want, atol=step)


def test_an_alpha_band_is_a_mask_and_no_channel(tmp_path):
    bands = np.full((4, 40, 40), 90, np.uint8)
    bands[3, :, :20] = 0
    bands[3, :, 20:] = 255
    path = write_tif(tmp_path / "rgba.tif", bands, photometric="RGB", alpha="YES")
    source = RasterSource(path)
    assert source.bands == (1, 2, 3)
    _, valid = source.read(Window(0, 0, 40, 40))
    assert valid[:, 20:].all() and not valid[:, :20].any()
    as_infrared = RasterSource(path, bands=[1, 2, 3, 4])
    assert as_infrared.read(Window(0, 0, 40, 40))[1].all()


def test_black_in_one_band_is_not_missing(tmp_path):
    """Imagery with nodata 0: only where all bands are 0 is there nothing."""
    bands = np.full((3, 20, 20), 90, np.uint8)
    bands[0, :5] = 0
    bands[:, 10:] = 0
    source = RasterSource(write_tif(tmp_path / "n.tif", bands, nodata=0))
    _, valid = source.read(Window(0, 0, 20, 20))
    assert valid[:10].all() and not valid[10:].any()


def test_rows_1_2_and_13_a_file_of_another_kind_is_never_interpreted(tmp_path):
    """Rows 1, 2 and 13."""
    with canary() as (url, paths):
        vrt = tmp_path / "evil.tif"
        vrt.write_text(
            '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1">'
            f"<SimpleSource><SourceFilename>/vsicurl/{url}/x.tif</SourceFilename></SimpleSource>"
            "</VRTRasterBand></VRTDataset>"
        )
        with pytest.raises(RefusedFileError, match="VRT"):
            file_material([vrt])
        assert paths == []
    lost = write_tif(tmp_path / "lost.tif", np.ones((3, 40, 40), np.uint8), crs=None)
    with pytest.raises(CrsError, match="no coordinate system"):
        file_material([lost])


def test_row_13_rotated_and_south_up_rasters_keep_their_place(tmp_path):
    """Row 13: cut by pixels, outlined by corners."""
    bands = np.random.default_rng(3).integers(0, 255, (3, 80, 80)).astype(np.uint8)
    for number, transform in enumerate((rotated(), NORTH_UP @ from_origin(0, 0, 1, -1))):
        path = write_tif(tmp_path / f"{number}.tif", bands, transform=transform)
        run(
            Workspace(tmp_path),
            Request(
                out=f"set-{number}", files=(str(path),),
                options=CutOptions(size_px=8, count=6, split="none"),
            ),
        )  # fmt: skip
        chips = ChipSets(tmp_path).open(f"set-{number}")
        row = chips.table.iloc[0]
        corner = transform @ (row["col"], row["row"])
        assert row["geometry"].distance(_point(corner)) < 1e-6
        assert row["geometry"].area == pytest.approx(6400, rel=1e-9)


def _point(xy):
    import shapely

    return shapely.Point(*xy)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("m_4709963_se_14_1_20090818.tif", "2009-08-18"),
        ("m_4108702_sw_16_060_20210902_20220101.tif", "2022-01-01"),
        ("scene-2020-08-31.tif", "2020-08-31"),
        ("LC08_023031_20201345.tif", ""),
        ("dem.tif", ""),
    ],
)
def test_dates_are_read_from_file_names(name, date):
    assert date_in(name) == date


def test_a_date_that_is_none_is_refused():
    assert checked_date("20200831") == "2020-08-31" and checked_date("") == ""
    with pytest.raises(InputError, match="is no date"):
        checked_date("yesterday")


def test_a_source_without_a_file_can_be_cut(tmp_path):
    info = cut_set(
        Workspace(tmp_path), "drawn", drawn_material(Drawn(100, 100)),
        CutOptions(size_px=16, count=None, grid=True),
    )  # fmt: skip
    assert info.count == sum(info.splits.values()) > 20


def test_channels_may_be_chosen_freely(tmp_path):
    chosen = (Channel(name="only", kind="image", band=2),)
    chips = cut(tmp_path, Drawn(200, 240), channels=chosen)
    row = chips.table.iloc[0]
    want = Drawn(200, 240).pixels[2, row["row"] : row["row"] + 16, row["col"] : row["col"] + 16]
    assert_array_equal(chips.pixels()[0, 0], want)


def test_a_stacked_layer_in_another_projection_is_the_nearest_pixel(tmp_path):
    from pyproj import CRS, Transformer

    space = make_town(tmp_path)
    # Bands of 2000 m in degrees would be one value; here 0.0002° steps from west to east.
    lon, lat = Transformer.from_crs(32616, 4326, always_xy=True).transform(445_000, 4_635_000)
    steps = np.arange(200, dtype="float32")[None].repeat(200, 0)
    about = prepare.About(layer_id="east", title="East", kind="values")
    prepare.add_array(
        space, "town", steps, about, transform=from_origin(lon - 0.01, lat + 0.01, 0.0002, 0.0002),
        crs="EPSG:4326", origin={},
    )  # fmt: skip
    material = layer_material(space, space.area("town"), ["cover", "east"])
    values, valid = material.sources[0].read(Window(0, 0, 40, 40))
    assert valid.all() and values.shape == (2, 40, 40)
    x, y = 445_000 + 10 * (np.arange(40) + 0.5), 4_635_000 - 10 * (np.arange(40) + 0.5)
    east, north = np.meshgrid(x, y)
    lons, _ = Transformer.from_crs(CRS(32616), CRS(4326), always_xy=True).transform(east, north)
    assert_array_equal(values[1], np.floor((lons - (lon - 0.01)) / 0.0002))
    material.close()


class Imagery:
    """Draws 1 m windows; counts the drawings."""

    crs = place(1, 1).crs
    bounds = (445_000, 4_634_800, 445_240, 4_635_000)
    resolution_m = 1.0

    def __init__(self):
        self.pixels = np.maximum(Drawn(200, 240).pixels, 1)
        self.codes = (self.pixels[2] % 4).astype(np.uint8)
        self.drawings = 0

    def read(self, bounds):
        self.drawings += 1
        west, south, east, north = (int(value) for value in bounds)
        part = slice(4_635_000 - north, 4_635_000 - south), slice(west - 445_000, east - 445_000)
        return SimpleNamespace(image=self.pixels[:, *part], cover=self.codes[part])


def test_drawn_imagery_is_drawn_once_for_its_pixels_and_its_land_cover(tmp_path):
    imagery = Imagery()
    source = DrawnSource(imagery, name="drawn", date="2024-07-01")
    legend = tuple(LegendClass(code, str(code), "") for code in range(4))
    around = Surroundings(cover=Cover(DrawnCover(source), "truth", legend))
    chips = cut(tmp_path, source, around=around)
    assert imagery.drawings <= 8
    for number, row in enumerate(chips.table.itertuples()):
        part = slice(row.row, row.row + 16), slice(row.col, row.col + 16)
        assert_array_equal(chips.pixels()[number], imagery.pixels[:, *part])
        share = (imagery.codes[part] == 2).mean()
        assert row.cover_2 == pytest.approx(share, abs=1e-6)


needs_naip = pytest.mark.skipif(
    not NAIP.is_dir(), reason="the NAIP files are not beside the project"
)


@needs_naip
@pytest.mark.parametrize("size", [64, 128])
def test_ten_dates_of_one_place_are_split_by_place(tmp_path, size):
    import shapely

    files = tuple(str(path) for path in sorted(NAIP.glob("*.tif")))
    request = Request(out="naip", files=files, options=CutOptions(size_px=size, count=120))
    info = run(Workspace(tmp_path), request)
    chips = ChipSets(tmp_path).open("naip")
    table = chips.table
    assert info.splits == {"test": 24, "train": 96} and table["date"].nunique() == 10
    assert [channel.name for channel in info.channels] == ["red", "green", "blue", "nir"]
    train, test = (
        shapely.union_all(table.geometry[table["split"] == split].to_numpy())
        for split in ("train", "test")
    )
    assert shapely.area(shapely.intersection(train, test)) == 0
    for number, row in enumerate(table.iloc[::12].itertuples()):
        with rasterio.open(NAIP / row.source) as dataset:
            bounds = (row.west, row.south, row.east, row.north)
            window = from_bounds(*bounds, dataset.transform)
            assert window.col_off == pytest.approx(row.col, abs=0.5)
            assert window.row_off == pytest.approx(row.row, abs=0.5)
            direct = dataset.read(window=window.round_offsets().round_lengths())
        assert_array_equal(chips.pixels()[12 * number], direct)
