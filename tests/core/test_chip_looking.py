"""Looking at sets: filters, figures, sheets over HTTP, any place as a chip, plans beforehand."""

import io
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.chips import preview as previews
from core.chips import sheets
from core.chips.channels import Channel
from core.chips.cut import chip_at
from core.chips.display import to_pictures
from core.chips.material import layer_material
from core.chips.options import CutOptions
from core.chips.places import chip_of
from core.chips.plan import Plan
from core.chips.preview import preview
from core.chips.quality import Duplicates, Quality
from core.chips.requests import Request, run
from core.chips.selection import Wanted, clusters_of, cover_shares, covers_of, dates_of, matching
from core.chips.sets import ChipSets
from core.chips.statistics import figures
from core.errors import AppError, ExtentError, InputError, TooLargeError
from core.prepare import About, add_raster
from core.workspace import Workspace
from tests.core.chip_sources import Drawn, cut
from tests.core.raster_files import checkers, new_area, write_tif

TABLE = pd.DataFrame(
    {
        "split": ["train", "test", "train", "train", "test"],
        "date": ["2009-08-18", "2009-08-18", "2020-08-31", "2020-08-31", ""],
        "cluster": pd.array([0, 2, 2, None, 0], dtype="Int32"),
        "label": ["a", "b", "a", "", "b"],
        "cover_1": np.array([0.5, 0.0, 0.9, 0.2, 0.5], "f4"),
        "cover_4": np.array([0.1, 0.2, 0.1, 0.1, 0.5], "f4"),
        "cover_7": np.zeros(5, "f4"),
    }
)
QUALITY = Quality(
    sharpness=np.array([9.0, 1.0, 0.1, 9.0, 9.0]),
    blurred=np.array([2, 1]),
    duplicates=Duplicates(
        np.array([[3, 4], [0, 3]]), np.array([0.5, 1.5]), np.array([True, False])
    ),
    valid=np.array([1.0, 0.5, 1.0, 0.25, 1.0]),
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({}, [0, 1, 2, 3, 4], id="nothing-asked-is-all"),
        pytest.param({"split": "test"}, [1, 4], id="split"),
        pytest.param({"date": "2009"}, [0, 1], id="a-year"),
        pytest.param({"date": "2020-08-31"}, [2, 3], id="a-day"),
        pytest.param({"cluster": 2}, [1, 2], id="cluster-and-an-unknown-one-is-no-match"),
        pytest.param({"label": "b", "split": "test"}, [1, 4], id="label-and-split"),
        pytest.param({"cover": 1, "low": 0.5}, [2, 0, 4], id="most-cover-first-limits-count"),
        pytest.param({"cover": 1, "high": 0.2}, [3, 1], id="at-most"),
        pytest.param({"cover": 99}, [], id="a-class-that-the-set-has-not"),
        pytest.param({"warning": "blurred"}, [2, 1], id="least-sharp-first"),
        pytest.param({"warning": "gaps"}, [3, 1], id="most-gaps-first"),
        pytest.param({"warning": "alike"}, [3, 4, 0], id="pairs-side-by-side"),
        pytest.param({"warning": "across"}, [3, 4], id="pairs-across-the-split"),
        pytest.param({"warning": "gaps", "split": "test"}, [1], id="a-warning-within-a-split"),
    ],
)
def test_chips_are_those_that_were_asked_for(wanted, found):
    assert matching(TABLE, Wanted(**wanted), QUALITY).tolist() == found


def test_a_warning_without_a_look_and_a_column_that_is_not_there_match_nothing():
    assert not len(matching(TABLE, Wanted(warning="alike")))
    bare = TABLE[["split"]]
    for wanted in (Wanted(date="2009"), Wanted(cluster=0), Wanted(label="a"), Wanted(cover=1)):
        assert not len(matching(bare, wanted))


@given(st.sampled_from(["", "train", "test"]), st.floats(0, 1), st.floats(0, 1))
def test_a_filter_finds_what_a_loop_finds(split, low, high):
    wanted = Wanted(split=split, cover=1, low=low, high=high)
    expected = {
        at
        for at, row in TABLE.iterrows()
        if split in ("", row["split"]) and low - 1e-6 <= row["cover_1"] <= high + 1e-6
    }
    assert set(matching(TABLE, wanted).tolist()) == expected


def test_offers_are_counted():
    assert dates_of(TABLE) == {"2009-08-18": 2, "2020-08-31": 2}
    assert clusters_of(TABLE) == {0: 2, 2: 2}
    assert covers_of(TABLE) == [1, 4]  # 7 is nowhere
    assert cover_shares(TABLE, [4, 1])["test"] == pytest.approx([0.35, 0.25])


def test_figures_are_those_of_the_pixels_in_the_channel_s_unit(tmp_path):
    chips = cut(tmp_path, channels=None)
    found = figures(chips)
    assert found.looked_at == chips.info.splits
    for row in found.rows:
        number = chips.info.channels.index(row.channel)
        pixels = chips.read(chips.indices(row.split))[:, number].astype(float)
        assert row.mean == pytest.approx(pixels.mean())
        assert row.std == pytest.approx(pixels.std())
        np.testing.assert_array_equal(row.counts, np.histogram(pixels, 64, (0, 256))[0])


def test_figures_of_measurements_are_in_their_unit_and_from_some_chips_of_each_split(tmp_path):
    channel = Channel(name="dem", kind="values", low=-10, high=30, unit="m")
    chips = cut(tmp_path, channels=(channel,))
    found = figures(chips, most=5)
    assert found.looked_at == {"train": 5, "test": 5}
    assert chips.info.dtype == "uint16"
    for row in found.rows:
        assert -10 <= row.mean <= 30
        assert row.counts.sum() == 5 * 16 * 16
    index = chips.indices("train")
    some = index[np.unique(np.linspace(0, len(index) - 1, 5).astype(int))]
    stored = chips.read(some)[:, 0].astype(float)
    assert found.rows[0].mean == pytest.approx(-10 + 40 * stored.mean() / 65535)
    assert found.rows[0].std == pytest.approx(40 * stored.std() / 65535)


@pytest.fixture
def web(tmp_path):
    """A set and a browser on its sheets."""
    chips = cut(tmp_path)
    app = Starlette(routes=sheets.routes(lambda: Workspace(tmp_path), base="/studio"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield chips, client


def address(chips, index=(3, 0, 7), **changed):
    given = {"size_px": 16, "columns": 2, "bands": (0, 1, 2), "base": "/studio", **changed}
    return sheets.sheet_url(chips.info.id, chips.info.digest, index, **given)


def test_a_sheet_holds_its_chips_row_by_row_and_may_be_kept(web):
    chips, client = web
    answer = client.get(address(chips))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert sheet.shape == (32, 32, 3)
    drawn = to_pictures(chips.read([3, 0, 7]), chips.info.channels, (0, 1, 2))
    np.testing.assert_array_equal(sheet[:16, :16], drawn[0])
    np.testing.assert_array_equal(sheet[:16, 16:], drawn[1])
    np.testing.assert_array_equal(sheet[16:, :16], drawn[2])
    assert (sheet[16:, 16:] == 255).all()


def test_a_sheet_at_another_scale_and_of_one_channel_is_grey(web):
    chips, client = web
    body = client.get(address(chips, size_px=4, bands=(2,))).content
    sheet = np.asarray(Image.open(io.BytesIO(body)))
    np.testing.assert_array_equal(sheet[:4, :4], chips.read([3], 4)[0, 2])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("chips=3", "chips=40"), id="no-such-chip"),
        pytest.param(("chips=3", "chips=-1"), id="a-sign"),
        pytest.param(("chips=3", "chips=" + "1," * 200 + "3"), id="too-many-chips"),
        pytest.param(("size=16", "size=17"), id="no-such-size"),
        pytest.param(("columns=2", "columns=0"), id="no-column"),
        pytest.param(("bands=0", "bands=9"), id="no-such-channel"),
        pytest.param(("bands=0%2C1%2C2", "bands=0%2C1"), id="two-channels"),
        pytest.param(("r=1", "r=2"), id="another-program"),
        pytest.param(("r=1", "r=1&x=1"), id="a-word-too-many"),
        pytest.param(("/set/", "/other/"), id="no-such-set"),
        pytest.param(("/set/", "/..%2f..%2fset/"), id="a-path"),
    ],
)
def test_anything_else_is_not_found(web, change):
    """Row 9: ids only, and nothing but what a page asks for."""
    chips, client = web
    found = address(chips)
    assert change[0] in found
    answer = client.get(found.replace(*change))
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert "error" in answer.json()


def test_a_set_that_was_replaced_has_another_address(web, tmp_path):
    """Row 26."""
    chips, client = web
    old = address(chips)
    assert client.get(old).status_code == 200
    assert client.get(old.replace(chips.info.digest[:12], "0" * 12)).status_code == 404
    ChipSets(tmp_path).delete("set")
    new = cut(tmp_path, seed=5)
    assert address(new) != old
    assert client.get(address(new)).status_code == 200


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town with a layer of classes and a layer of values."""
    folder = tmp_path_factory.mktemp("town")
    space = new_area(folder / "space")
    add_raster(space, "town", write_tif(folder / "c.tif", checkers(), nodata=0),
               About(layer_id="cover", title="Cover", kind="classes"))  # fmt: skip
    return space


def of_layers(space, name="", **options):
    chosen = CutOptions(**{"size_px": 8, "count": 30, "split": "none", **options})
    return Request(out=name or "planned", area="town", layers=("cover",), options=chosen)


def test_a_place_of_a_set_is_the_chip_that_lies_there(town):
    info = run(town, of_layers(town, "placed", count=10))
    chips = ChipSets(town.root).open("placed")
    centres = chips.table.geometry.centroid.to_crs(4326)
    for number in range(4):
        lon, lat = centres.iloc[number].x, centres.iloc[number].y
        found = chip_of(town, info, lon=lon, lat=lat)
        np.testing.assert_array_equal(found.pixels, chips.read([number])[0])
        own = chips.table.to_crs(4326).geometry.iloc[number]
        assert found.outline.symmetric_difference(own).area < 1e-3 * own.area
        shares = {
            int(name[6:]): float(chips.table[name].iloc[number])
            for name in chips.table.columns
            if name.startswith("cover_") and chips.table[name].iloc[number] > 0
        }
        assert found.shares == pytest.approx(shares)


def test_a_place_outside_and_a_layer_that_changed_are_refused(town, tmp_path):
    info = run(town, of_layers(town, "outside"))
    with pytest.raises(ExtentError, match="lies outside what outside was cut from"):
        chip_of(town, info, lon=0.0, lat=0.0)
    changed = write_tif(tmp_path / "c.tif", checkers() % 3 + 1, nodata=0)
    about = About(layer_id="again", title="Again", kind="classes")
    add_raster(town, "town", changed, about)
    other = Request(out="gone", area="town", layers=("again",), options=of_layers(town).options)
    info = run(town, other)
    add_raster(town, "town", write_tif(tmp_path / "d.tif", checkers(), nodata=0), about)
    with pytest.raises(InputError, match="has changed since gone was cut"):
        chip_of(town, info, lon=-87.66, lat=41.86)
    town.remove_layer("town", "again")


def test_files_are_found_again_by_name_and_content(town, tmp_path):
    rgb = np.random.default_rng(0).integers(1, 255, (3, 60, 60)).astype("u1")
    path = write_tif(tmp_path / "a_20200831.tif", rgb)
    request = Request(
        out="files", files=(str(path),), options=CutOptions(size_px=8, count=5, split="none")
    )
    info = run(town, request)
    chips = ChipSets(town.root).open("files")
    centre = chips.table.geometry.centroid.to_crs(4326).iloc[0]
    with pytest.raises(InputError, match="are not here any more"):
        chip_of(town, info, lon=centre.x, lat=centre.y, files=[tmp_path / "other.tif"])
    found = chip_of(town, info, lon=centre.x, lat=centre.y, files=[path])
    assert found.date == "2020-08-31"
    np.testing.assert_array_equal(found.pixels, chips.read([0])[0])
    (tmp_path / "other").mkdir()
    other = write_tif(tmp_path / "other" / path.name, 255 - rgb)  # of another year, say
    assert other.stat().st_size == path.stat().st_size
    with pytest.raises(InputError, match="are not here any more, or have changed"):
        chip_of(town, info, lon=centre.x, lat=centre.y, files=[other])
    found = chip_of(town, info, lon=centre.x, lat=centre.y, files=[other, path])
    np.testing.assert_array_equal(found.pixels, chips.read([0])[0])


@pytest.mark.parametrize("options", [{}, {"grid": True, "count": None}, {"split": "place"},
                                     {"overlap": 0.0, "count": 3000},
                                     {"min_distance_m": 40.0}], ids=str)  # fmt: skip
def test_a_preview_tells_what_the_set_will_be(town, options, monkeypatch):
    monkeypatch.setattr("core.chips.preview._SEARCH_S", 60)  # the machine may be busy
    request = of_layers(town, **options)
    seen = preview(town, request)
    info = run(town, Request(**{**as_fields(request), "out": "seen", "replace": True}))
    assert seen.is_whole
    assert {k: v for k, v in seen.found.items() if v} == info.splits
    assert seen.side_m == pytest.approx(info.side_m)
    assert seen.channels == info.channels
    # The file also holds headers.
    assert seen.num_bytes <= info.num_bytes <= seen.num_bytes + 4096
    assert seen.seconds is not None
    assert (seen.block_m is not None) == (request.options.split == "place")


def as_fields(request):
    return {name: getattr(request, name) for name in request.__dataclass_fields__}


def test_footprints_lie_on_the_ground_of_their_split(town):
    seen = preview(town, of_layers(town, split="place", count=60))
    for split, shape in seen.footprints.items():
        ground = seen.ground[split].buffer(1e-7)
        assert len(shape.geoms) == seen.found[split]
        # Chips whose centre is inside reach over the boundary; the ground is drawn inside it.
        assert all(ground.contains(each.centroid) for each in shape.geoms)
    assert seen.ground["train"].intersection(seen.ground["test"]).area < 1e-12


def test_a_chip_cut_on_trial_is_one_of_the_source(town):
    request = of_layers(town, count=4)
    seen = preview(town, request)
    material = layer_material(town, town.area("town"), ("cover",))
    outlines = seen.footprints["train"].geoms
    for chip, outline in zip(seen.trial, outlines, strict=True):
        lon, lat = outline.centroid.x, outline.centroid.y
        source = material.sources[0]
        own = chip_at(source, material, request.options, lon=lon, lat=lat)
        np.testing.assert_array_equal(chip, own)
    material.close()


def test_a_preview_stops_searching_and_says_so(town, monkeypatch):
    """Row 28: what would take long is not waited for."""
    monkeypatch.setattr(previews, "_SEARCH_S", 0.0)
    begun = time.monotonic()
    seen = preview(town, of_layers(town, min_distance_m=25.0, count=2_000_000))
    assert time.monotonic() - begun < 20
    assert not seen.is_whole
    monkeypatch.setattr(previews, "_MOST_ON_GRID", 10)
    with pytest.raises(TooLargeError, match="too many to look at beforehand"):
        preview(town, of_layers(town, grid=True, count=None))


@pytest.mark.parametrize(
    "request_",
    [
        Request(out="x"),
        Request(out="x", layers=("cover",)),
        Request(out="x", area="town", layers=("nope",)),
        Request(out="x", area="town", layers=("cover",), simulated=0),
        Request(out="x", files=("/nowhere.tif",)),
        Request(out="x", area="town", layers=("cover",), options=CutOptions(size_px=1024)),
    ],
    ids=["nothing", "no-area", "no-layer", "two-sources", "no-file", "too-large"],
)
def test_a_preview_refuses_what_cutting_would_refuse(town, request_):
    with pytest.raises(AppError) as seen:
        preview(town, request_)
    with pytest.raises(type(seen.value)):
        run(town, request_)


def test_a_grid_needs_no_search_and_repeats_no_place():
    drawn = Drawn(2000, 2000)
    plan = Plan([drawn.place], CutOptions(size_px=4, grid=True, count=None, split="none"))
    found = plan.take(plan.wanted())
    assert len(found) == 250_000
    assert len(np.unique(found.row * 2000 + found.col)) == 250_000


def test_a_layer_of_degrees_has_a_preview_in_metres(town, tmp_path):
    values = np.linspace(0, 1, 60 * 60, dtype="f4").reshape(60, 60)
    path = write_tif(tmp_path / "deg.tif", values, crs="EPSG:4326",
                     transform=from_origin(-87.67, 41.87, 1e-4, 1e-4))  # fmt: skip
    options = CutOptions(size_px=8, count=6, split="none")
    seen = preview(town, Request(out="x", files=(str(path),), options=options))
    assert 70 < seen.side_m < 95
    west, south, east, north = seen.bounds
    assert (west, north) == pytest.approx((-87.67, 41.87))
    assert east - west == pytest.approx(0.006)
    assert north - south == pytest.approx(0.006)
