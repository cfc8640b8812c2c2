"""Fetching images over real HTTP from a loopback server that also misbehaves."""

import json
import os
import random
import resource
import shutil
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine

from core import jobs, store
from core.connectors import assets, door, imagery, items, shelf
from core.connectors.search import search
from core.connectors.signing import Catalogue
from core.errors import BusyError, InputError, OutsideError, StoppedError, TooLargeError
from core.prepare import About, boundary_lonlat
from tests.core.fetch_job import kill_after
from tests.core.raster_files import new_area
from tests.core.stac_server import noise, stac_server, times, write_cog

SIDE = 700
PIXELS = {
    "quad-west": noise(4, SIDE, SIDE, seed=1),
    "quad-east": noise(4, SIDE, SIDE, seed=2),
}
BANDS = [{"name": name} for name in ("Red", "Green", "Blue", "NIR")]
PLACES = {"quad-west": (445_000, 4_635_000), "quad-east": (445_700, 4_635_000)}


@pytest.fixture(scope="module")
def cogs(tmp_path_factory):
    """Make two neighbouring images of 700 m, of about 2.5 MB each."""
    folder = tmp_path_factory.mktemp("cogs")
    bounds = {
        name: write_cog(folder / f"{name}.tif", pixels, west=west, north=north)
        for (name, pixels), (west, north) in zip(PIXELS.items(), PLACES.values(), strict=True)
    }
    return folder, bounds


@pytest.fixture
def server(cogs, tmp_path, monkeypatch):
    monkeypatch.setattr(door, "_FIRST_WAIT_S", 0.01)
    folder, bounds = cogs
    (tmp_path / "files").mkdir()
    for name in PIXELS:
        shutil.copy(folder / f"{name}.tif", tmp_path / "files")
    with stac_server(tmp_path / "files") as found:
        for name in PIXELS:
            found.add(
                "naip", name, {"image": f"{name}.tif"}, bounds=bounds[name], date="2021-08-15",
                properties={"gsd": 1.0},
            )["assets"]["image"]["eo:bands"] = BANDS  # fmt: skip
        yield found


@pytest.fixture
def space(tmp_path):
    """A town that meets both images, 400 × 400 m."""
    return new_area(tmp_path / "ws", bounds=(445_500, 4_634_400, 445_900, 4_634_800))


def loopback(server, **more):
    return Catalogue(url=server.url, title="Loopback", **more)


def find(server, space, **more):
    area = boundary_lonlat(space, "town")
    return search(area, catalogue=loopback(server), outside=True, **more).found


def fetch(server, space, found=None, **more):
    found = found or find(server, space)
    more.setdefault("catalogue", loopback(server))
    return imagery.fetch(space, "town", found, outside=True, **more)


def plan(server, space, found):
    return imagery.plan_fetch(space, "town", found, catalogue=server.url)


def only(server, space, name="quad-west"):
    return [image for image in find(server, space) if image.id == name]


def check_west(path):
    """The town lies in columns 500 to 699 and rows 200 to 599 of the western image."""
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 32616
        assert dataset.transform == Affine(1, 0, 445_500, 0, -1, 4_634_800)
        assert np.array_equal(dataset.read(), PIXELS["quad-west"][:, 200:600, 500:700])


# --- windows ------------------------------------------------------------------------------------


def test_only_the_window_of_the_area_is_fetched_to_the_pixel(server, space):
    done = fetch(server, space)
    assert not done.failures
    by_name = {image.title: image for image in done.images}
    check_west(by_name["quad-west"].path)
    with rasterio.open(by_name["quad-east"].path) as dataset:
        assert dataset.shape == (400, 200)
        assert np.array_equal(dataset.read(), PIXELS["quad-east"][:, 200:600, :200])
    assert {image.mode for image in done.images} == {"window"}


def test_row_18_no_byte_of_an_image_is_asked_for_twice_and_most_never(server, space):
    """Row 18. Blocks of 128 px: the window touches 3 of 6 columns and 4 of 6 rows."""
    fetch(server, space, only(server, space))
    sent = server.bytes_of("quad-west.tif")
    assert sent[1:].max() == 1
    assert (sent > 0).mean() < 0.6


def test_what_is_there_is_not_asked_for_again(server, space):
    found = find(server, space)
    fetch(server, space, found)
    before = len(server.asked)
    done = fetch(server, space, found)
    assert len(done.images) == 2
    assert done.received == 0
    assert len(server.asked) == before


def test_an_image_that_another_catalogue_calls_the_same_is_fetched(server, space):
    """A mirror may hold something else under the ids of a catalogue that is trusted."""
    found = only(server, space)
    path = server.folder / "quad-west.tif"
    true = path.read_bytes()
    write_cog(path, noise(4, SIDE, SIDE, seed=9), west=445_000, north=4_635_000)
    mirror = Catalogue(url=server.url.replace("127.0.0.1", "localhost"), title="Mirror")
    (image,) = fetch(server, space, found, catalogue=mirror).images
    assert image.source["catalogue"] == mirror.url
    path.write_bytes(true)
    assert plan(server, space, found).num == 1
    (image,) = fetch(server, space, found).images
    assert image.source["catalogue"] == server.url
    check_west(image.path)
    assert plan(server, space, found).num == 0
    assert imagery.plan_fetch(space, "town", found, catalogue=mirror.url).num == 1


def test_a_fetched_image_tells_where_it_comes_from_and_under_which_licence(server, space):
    (image,) = fetch(server, space, only(server, space), licence="Public domain").images
    assert image.source["licence"] == "Public domain"
    assert image.source["catalogue"] == server.url
    assert image.source["id"] == "quad-west"
    assert image.source["href"] == f"{server.url}/files/quad-west.tif"
    assert image.date == "2021-08-15"
    assert image.facts["bands"] == 4
    assert image.path.parent == space.root / "areas" / "town" / "imagery" / "naip"
    assert image == shelf.fetched(space, "town")[0]
    with rasterio.open(image.path) as dataset:
        assert dataset.profile["tiled"]


def test_a_server_that_answers_no_head_requests_serves_windows(server, space):
    server.has_head = False
    assert fetch(server, space).images[0].mode == "window"
    assert not [one for one in server.files() if one.method == "HEAD"]


def test_one_band_of_another_type_comes_with_its_nodata_value(server, space, monkeypatch):
    monkeypatch.setattr(assets, "_SMALL", 1000)
    values = noise(1, SIDE, SIDE, seed=5, dtype="int32")
    values[0, 200:300] = -32768
    path = server.folder / "dem.tif"
    bounds = write_cog(path, values, west=445_000, north=4_635_000, nodata=-32768)
    server.add("dem", "dem", {"data": "dem.tif"}, bounds=bounds, date="2015-01-01")
    (image,) = fetch(server, space, find(server, space, collection="dem")).images
    assert image.mode == "window"
    with rasterio.open(image.path) as dataset:
        assert dataset.nodata == -32768
        assert np.array_equal(dataset.read(1), values[0, 200:600, 500:700])


def test_colours_names_scales_and_masks_of_bands_are_kept(server, space, monkeypatch):
    monkeypatch.setattr(assets, "_SMALL", 1000)
    values = noise(3, SIDE, SIDE, seed=6)
    mask = np.full((SIDE, SIDE), 255, "uint8")
    mask[300:350, 520:560] = 0
    path = server.folder / "rgb.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8",
            crs="EPSG:32616", transform=Affine(1, 0, 445_000, 0, -1, 4_635_000), tiled=True,
            blockxsize=128, blockysize=128, photometric="rgb",
        ) as dataset,
    ):  # fmt: skip
        dataset.write(values)
        dataset.write_mask(mask)
        dataset.descriptions = ("red", "green", "blue")
        dataset.scales = (0.1, 0.1, 0.1)
    bounds = server.items["naip"][0]["bbox"]
    server.add("rgb", "rgb", {"image": "rgb.tif"}, bounds=bounds, date="2020-01-01")
    (image,) = fetch(server, space, find(server, space, collection="rgb")).images
    with rasterio.open(image.path) as dataset:
        assert dataset.descriptions == ("red", "green", "blue")
        assert dataset.scales == (0.1, 0.1, 0.1)
        assert [color.name for color in dataset.colorinterp] == ["red", "green", "blue"]
        assert np.array_equal(dataset.dataset_mask(), mask[200:600, 500:700])
        shown = dataset.dataset_mask() != 0
        assert np.array_equal(dataset.read()[:, shown], values[:, 200:600, 500:700][:, shown])


def test_bands_of_images_of_one_day_become_layers_of_their_own(server, space):
    """Names of quads hold dots and capitals, and one flight takes many of them."""
    (west,) = fetch(server, space, only(server, space)).images
    twin = replace(west, key="m_4108701_ne_16_060_20210815.image")
    long = replace(west, key=f"{'m' * 60}-0123abcd.image")
    made = []
    for image in (west, twin, twin, long, long, west):
        area = space.area("town")
        name = shelf.free_layer_id(area, image, 4)
        about = About(layer_id=name, title="Infrared", kind="values", replaces="")
        shelf.add_image(space, "town", image, about, band=4)
        made.append(name)
    assert made[:3] == [
        "2021-08-15-b4",
        "m-4108701-ne-16-060-20210815-image-b4",
        "m-4108701-ne-16-060-20210815-image-b4-2",
    ]
    assert {layer.id for layer in space.area("town").layers} == set(made)
    assert len(set(made)) == 6
    late = About(layer_id=made[0], title="Infrared", kind="values", replaces="")
    before = space.area("town")
    with pytest.raises(InputError, match="another origin"):  # taken since the name was chosen
        shelf.add_image(space, "town", twin, late, band=4)
    assert space.area("town") == before


def test_an_image_can_be_removed(server, space):
    (image,) = fetch(server, space, only(server, space)).images
    shelf.remove(space, "town", image.collection, image.key)
    assert shelf.fetched(space, "town") == ()
    with pytest.raises(InputError, match="no image"):
        shelf.remove(space, "town", image.collection, image.key)


# --- whole files --------------------------------------------------------------------------------


def test_without_ranges_the_whole_file_is_fetched(server, space):
    server.has_ranges = False
    (image,) = fetch(server, space, only(server, space)).images
    assert image.mode == "whole"
    assert image.path.read_bytes() == (server.folder / "quad-west.tif").read_bytes()


def test_a_whole_file_goes_on_after_the_last_byte_that_came(server, space, monkeypatch):
    monkeypatch.setattr(assets, "_SMALL", 1 << 30)
    server.faults["quad-west.tif"] = ["cut", 3]
    (image,) = fetch(server, space, only(server, space)).images
    assert image.path.read_bytes() == (server.folder / "quad-west.tif").read_bytes()
    sent = server.bytes_of("quad-west.tif")
    # A broken connection may hold back what was sent last; nothing that came is asked for again.
    ranges = [one.range for one in server.files("quad-west") if one.range != "bytes=0-0"]
    assert len(ranges) == 4
    assert ranges[0] == ""
    assert sent[1:].min() == 1


def stopped_halfway(server, space, found):
    """Fetch until some bytes are there, and return their number."""
    server.faults["quad-west.tif"] = ["slow", 10_000]
    part = space.root / "areas/town/imagery/naip/quad-west.image.part"

    def has_some():
        return part.is_file() and part.stat().st_size > 0

    with pytest.raises(StoppedError):
        fetch(server, space, found, should_stop=has_some)
    server.faults.clear()
    server.asked.clear()
    return part.stat().st_size


def test_a_whole_file_goes_on_where_its_link_was_signed_anew(server, space, monkeypatch):
    """Some catalogues sign links themselves, differently for each search."""
    monkeypatch.setattr(assets, "_SMALL", 1 << 30)
    server.is_signed = True
    link = server.items["naip"][0]["assets"]["image"]
    plain, link["href"] = link["href"], f"{link['href']}?sig=1"
    have = stopped_halfway(server, space, only(server, space))
    server.signature = 2
    link["href"] = f"{plain}?sig=2"
    (image,) = fetch(server, space, only(server, space)).images
    assert image.path.read_bytes() == (server.folder / "quad-west.tif").read_bytes()
    assert f"bytes={have}-" in {one.range for one in server.files("quad-west")}
    assert server.bytes_of("quad-west.tif")[1:have].max() == 0


def test_what_came_of_a_file_without_a_version_is_not_joined_with_more(server, space, monkeypatch):
    """Another file of the same size may lie there by now."""
    monkeypatch.setattr(assets, "_SMALL", 1 << 30)
    server.has_etag = False
    stopped_halfway(server, space, only(server, space))
    (image,) = fetch(server, space, only(server, space)).images
    assert image.path.read_bytes() == (server.folder / "quad-west.tif").read_bytes()
    assert {one.range for one in server.files("quad-west")} == {"bytes=0-0", ""}


def test_a_file_that_changes_on_the_server_is_not_mixed(server, space, monkeypatch):
    monkeypatch.setattr(assets, "_SMALL", 1 << 30)
    other = noise(4, SIDE, SIDE, seed=9)
    stops = iter([False] * 25 + [True] * 1000)
    server.faults["quad-west.tif"] = ["slow", 1]
    found = only(server, space)
    with pytest.raises(StoppedError):
        fetch(server, space, found, should_stop=lambda: next(stops))
    part = space.root / "areas/town/imagery/naip/quad-west.image.part"
    assert part.stat().st_size > 0
    write_cog(server.folder / "quad-west.tif", other, west=445_000, north=4_635_000)
    (image,) = fetch(server, space, found).images
    assert image.path.read_bytes() == (server.folder / "quad-west.tif").read_bytes()


def test_a_file_that_changes_between_two_parts_is_begun_anew(server, space, monkeypatch):
    monkeypatch.setattr(assets, "_SMALL", 1 << 30)
    server.faults["quad-west.tif"] = ["cut", 1]
    part = space.root / "areas/town/imagery/naip/quad-west.image.part"
    path = server.folder / "quad-west.tif"
    found = only(server, space)

    def swap():
        if part.is_file() and part.stat().st_size and not server.faults["quad-west.tif"][1]:
            os.utime(path, (1, 1))  # another version, to the server
        return False

    (failure,) = fetch(server, space, found, should_stop=swap).failures
    assert "was changed on its server" in failure.message()
    (image,) = fetch(server, space, found).images
    assert image.path.read_bytes() == path.read_bytes()


def test_an_image_that_was_cut_short_on_the_disk_is_fetched_again(server, space):
    found = only(server, space)
    (image,) = fetch(server, space, found).images
    with image.path.open("r+b") as file:
        file.truncate(1000)
    assert shelf.fetched(space, "town") == ()
    (image,) = fetch(server, space, found).images
    check_west(image.path)


# --- servers that misbehave ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "error"])
def test_passing_faults_are_tried_again(server, space, fault):
    server.faults["quad-west.tif"] = [fault, 2]
    (image,) = fetch(server, space, only(server, space)).images
    check_west(image.path)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut", "broke off or is too slow"),
        ("error", "status 503"),
        ("denied", "not open to us"),
        ("wrong", "no GeoTIFF"),
        ("longer", "more than"),
    ],
)
def test_row_10_a_failed_image_is_listed_with_its_reason_and_others_go_on(
    server, space, fault, reason
):
    """Row 10. Nothing of it is taken for an image."""
    server.faults["quad-west.tif"] = [fault, 10_000]
    done = fetch(server, space)
    assert [image.title for image in done.images] == ["quad-east"]
    (failure,) = done.failures
    assert reason in failure.message()
    assert failure.image.id == "quad-west"
    assert shelf.failures(space, "town") == done.failures


def test_failed_images_are_tried_again_alone(server, space):
    server.faults["quad-west.tif"] = ["error", 10_000]
    fetch(server, space)
    server.faults.clear()
    before = len(server.files("quad-east"))
    failed = [failure.image for failure in shelf.failures(space, "town")]
    done = fetch(server, space, failed)
    assert [image.title for image in done.images] == ["quad-west"]
    assert len(server.files("quad-east")) == before
    assert shelf.failures(space, "town") == ()
    assert len(shelf.fetched(space, "town")) == 2


@pytest.fixture
def both_failed(server, space):
    """Both images are listed as failed; the server is well again."""
    server.faults = {f"{name}.tif": ["denied", 10_000] for name in PIXELS}
    done = fetch(server, space)
    assert len(done.failures) == 2
    server.faults.clear()
    return done.failures


def listed(space):
    return {failure.image.id for failure in shelf.failures(space, "town")}


def test_trying_again_at_an_unreachable_host_forgets_no_failure(server, space, both_failed):
    gone = Catalogue(url="http://nowhere.invalid/stac", title="Gone")
    with pytest.raises(OutsideError, match="is not known"):
        fetch(server, space, [failure.image for failure in both_failed], catalogue=gone)
    assert shelf.failures(space, "town") == both_failed


def test_trying_again_without_room_forgets_no_failure(server, space, both_failed, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10**6))
    with pytest.raises(TooLargeError):
        fetch(server, space, [failure.image for failure in both_failed])
    assert shelf.failures(space, "town") == both_failed


def test_a_cancelled_try_keeps_the_failures_that_it_did_not_reach(server, space, both_failed):
    first, second = (failure.image for failure in both_failed)

    def has_first():
        return bool(shelf.fetched(space, "town"))

    with pytest.raises(StoppedError):
        fetch(server, space, [first, second], should_stop=has_first)
    assert [image.title for image in shelf.fetched(space, "town")] == [first.id]
    assert listed(space) == {second.id}


def test_a_server_that_drips_is_given_up(server, space, monkeypatch):
    """No byte is far from the one before, so no socket's time limit ends it."""
    monkeypatch.setattr(door, "_CHUNK_S", 0.3)
    monkeypatch.setattr(door, "_TRIES", 1)
    server.faults["quad-west.tif"] = ["drip", 10_000]
    begun = time.monotonic()
    (failure,) = fetch(server, space, only(server, space)).failures
    assert "too slow" in failure.message()
    assert time.monotonic() - begun < 3


def test_an_expired_signature_is_renewed_in_mid_fetch(server, space):
    server.is_signed = True
    catalogue = loopback(server, token_url=f"{server.url}/token", signed_hosts=("127.0.0.1",))

    def expire(share, text, /, **values):
        server.signature += 1  # the token that is held is not accepted any more

    done = fetch(server, space, catalogue=catalogue, on_progress=expire)
    assert not done.failures
    check_west(next(image.path for image in done.images if image.title == "quad-west"))
    refused = [one for one in server.files() if one.status == 403]
    assert refused
    assert "sig" not in json.dumps([image.source for image in done.images])


def test_a_link_that_expired_in_the_catalogue_is_asked_for_anew(server, space):
    """Some catalogues hand out signed links themselves."""
    server.is_signed = True
    item = server.items["naip"][0]
    item["assets"]["image"]["href"] += "?sig=1"
    (found,) = only(server, space)
    server.signature = 2
    item["assets"]["image"]["href"] = f"{server.url}/files/quad-west.tif?sig=2"
    (image,) = fetch(server, space, [found]).images
    check_west(image.path)


def test_a_link_that_leads_elsewhere_when_asked_for_anew_is_refused(server, space):
    server.is_signed = True
    (found,) = only(server, space)
    server.items["naip"][0]["assets"]["image"]["href"] = "file:///etc/passwd"
    (failure,) = fetch(server, space, [found]).failures
    assert "no plain http or https address" in failure.message()


# --- safety -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../../evil", "/abs/olute", "a\x00b", "con", "..", "x" * 200, "a/../../b", "%2e%2e", ""],
)
def test_row_4_no_name_of_a_catalogue_leaves_the_imagery_folder(server, space, name):
    """Row 4."""
    (found,) = only(server, space)
    row = {
        **items.to_row(found),
        "id": name,
        "collection": name or "naip",
        "asset": name or "image",
    }
    hostile = items.from_row(row)
    outside = set(space.root.parent.rglob("*")) - set(space.root.rglob("*"))
    done = fetch(server, space, [hostile])
    root = space.root / "areas" / "town" / "imagery"
    assert [image.path.is_relative_to(root) for image in done.images] == [True]
    after = set(space.root.parent.rglob("*")) - set(space.root.rglob("*"))
    assert after == outside


def test_row_5_a_small_file_that_declares_gigabytes_is_refused_with_the_estimate(
    server, space, tmp_path, monkeypatch
):
    """Row 5. Its header alone is read."""
    path = server.folder / "huge.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200_000, height=200_000, count=1, dtype="uint8",
        crs="EPSG:32616", transform=Affine(0.005, 0, 445_550, 0, -0.005, 4_634_900), tiled=True,
        blockxsize=4096, blockysize=4096, SPARSE_OK=True, compress="deflate",
    ):  # fmt: skip
        pass
    with path.open("ab") as file:
        file.write(bytes(2 << 20))
    server.add("naip", "huge", {"image": "huge.tif"}, bounds=(-88, 41, -87, 42), date="2022-01-01")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, 10**10))
    before = psutil.Process().memory_info().rss
    (failure,) = fetch(server, space, only(server, space, "huge")).failures
    assert "GB" in failure.message()
    assert psutil.Process().memory_info().rss - before < 200 << 20
    assert server.bytes_of("huge.tif").sum() < 600_000


def test_row_5_a_file_that_is_announced_as_huge_is_refused_before_it_comes(server, space):
    """Row 5."""
    server.has_ranges = False
    server.declared["quad-west.tif"] = 10**15
    (failure,) = fetch(server, space, only(server, space)).failures
    assert "GB" in failure.message()


def test_row_20_a_full_disk_is_told_and_what_was_there_stays(server, space):
    """Row 20. No file may grow beyond 300 kB."""
    east = only(server, space, "quad-east")
    fetch(server, space, east)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        (failure,) = fetch(server, space, only(server, space)).failures
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no room" in failure.message() or "could not be written" in failure.message()
    assert [image.title for image in shelf.fetched(space, "town")] == ["quad-east"]
    assert [image.title for image in fetch(server, space, only(server, space)).images]


def test_row_20_the_disk_is_looked_at_before_anything_is_asked(server, space, monkeypatch):
    """Row 20."""
    found = find(server, space)
    before = len(server.asked)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10**6))
    with pytest.raises(TooLargeError, match="Fetching these images needs about"):
        fetch(server, space, found)
    assert len(server.asked) == before
    assert not plan(server, space, found).fits


def test_row_18_two_fetches_of_one_area_do_not_meet(server, space):
    """Row 18."""
    found = find(server, space)
    with imagery.one_at_a_time(space, "town"), pytest.raises(BusyError, match="already"):
        fetch(server, space, found)


def test_row_28_a_fetch_ends_within_a_second_of_being_cancelled(server, space):
    """Row 28. Each answer takes half a minute by itself."""
    server.faults["quad-west.tif"] = ["slow", 10_000]
    monitor = threading.Event()
    threading.Timer(0.4, monitor.set).start()
    begun = time.monotonic()
    with pytest.raises(StoppedError):
        fetch(server, space, only(server, space), should_stop=monitor.is_set)
    assert time.monotonic() - begun < 0.4 + 1.0 + 0.7  # the machine may be busy


def test_row_28_a_silent_server_does_not_hold_a_cancelled_fetch(server, space):
    """Row 28. The server takes the question and says nothing for half a minute."""
    found = only(server, space)
    server.delay_s = 30
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    begun = time.monotonic()
    with pytest.raises(StoppedError):
        fetch(server, space, found, should_stop=stopped.is_set)
    assert time.monotonic() - begun < 0.3 + 1.0 + 0.7


def test_row_28_no_number_of_images_is_planned_for_longer_than_a_moment(server, space):
    """Row 28."""
    (found,) = only(server, space)
    begun = time.perf_counter()
    for many in ([], [found] * 1001, [found] * 10**6):
        with pytest.raises(InputError, match="1 to 1000"):
            plan(server, space, many)
    assert time.perf_counter() - begun < 0.5


def test_row_2_with_outside_access_off_nothing_is_asked(server, space):
    """Row 2."""
    found = find(server, space)
    before = len(server.asked)
    with pytest.raises(OutsideError, match="switched off"):
        imagery.fetch(space, "town", found, catalogue=loopback(server), outside=False)
    assert len(server.asked) == before


def test_a_deleted_area_does_not_come_back(server, space):
    def delete(share, text, /, **values):
        shutil.rmtree(space.root / "areas" / "town", ignore_errors=True)

    with pytest.raises((StoppedError, InputError)):
        fetch(server, space, on_progress=delete)
    assert not (space.root / "areas" / "town" / "area.json").exists()
    assert not list((space.root / "areas").rglob("*.tif"))


def test_an_estimate_is_of_the_size_of_what_comes(server, space):
    found = find(server, space)
    planned = plan(server, space, found)
    assert planned.num == 2
    assert planned.fits
    done = fetch(server, space, found)
    written = sum(image.num_bytes for image in done.images)
    assert 0.9 * written < planned.download_bytes < 1.3 * written
    assert planned.disk_bytes > written
    assert plan(server, space, found).num == 0


# --- killed at any moment -----------------------------------------------------------------------


def start(server, space, found):
    config = {
        "workspace": str(space.root),
        "area": "town",
        "catalogue": server.url,
        "licence": "",
        "outside": True,
        "found": [items.to_row(image) for image in found],
    }
    return jobs.submit(space.root / "jobs", "fetch-imagery", config)


@pytest.mark.parametrize("way", ["window", "whole"])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 15))]
)
def test_row_18_killed_at_random_moments_nothing_is_lost_and_nothing_comes_twice(
    server, space, way, seed, monkeypatch
):
    """Row 18. With the slow ones, 30 moments each way."""
    monkeypatch.setattr(
        jobs, "_command", lambda folder: [sys.executable, "-m", "tests.core.fetch_job", str(folder)]
    )
    if way == "whole":  # a town that the western image is too small for
        space.delete("town")
        space = new_area(space.root, bounds=(444_900, 4_634_200, 445_750, 4_635_100))
    rng = random.Random(seed)
    found = find(server, space)
    server.faults = {f"{name}.tif": ["slow", 10_000] for name in PIXELS}
    # Once somewhere in the pixels, after the header; and once anywhere.
    moments = [rng.uniform(4e5, 9e5), rng.uniform(0, 9e5)]
    server.slow_s = 0.02
    folder = space.root / "areas/town/imagery/naip"
    kept: dict = {}
    ends = {name: set() for name in PIXELS}
    for num_bytes in moments:
        kill_after(num_bytes, space.root / "jobs", start(server, space, found), server)
        for path, written in kept.items():  # what had come was not written anew
            assert not path.parent.exists() or path.stat().st_mtime_ns == written
        kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
        for part in folder.glob("*.part"):
            ends[part.name.split(".")[0]].add(part.stat().st_size)
        for image in shelf.fetched(space, "town"):  # what counts is whole
            assert store.file_digest(image.path) == assets.have(image.path.parent, image.key).digest
    server.faults.clear()
    job_id = start(server, space, found)
    job = jobs.wait(space.root / "jobs", job_id, timeout_s=30)
    jobs._started.pop(job_id).wait()
    assert job.state == "done"
    assert len(job.result["images"]) == 2
    assert job.result["failed"] == []
    images = {image.title: image for image in shelf.fetched(space, "town")}
    if way == "window":
        check_west(images["quad-west"].path)
    else:
        whole = (server.folder / "quad-west.tif").read_bytes()
        assert images["quad-west"].path.read_bytes() == whole
    left = [path.name for path in (space.root / "areas/town/imagery/naip").iterdir()]
    assert sorted(left) == sorted(
        f"{image.key}{end}" for image in images.values() for end in (".tif", ".json")
    )
    for name in PIXELS:  # each try began where the one before had ended
        size = (server.folder / f"{name}.tif").stat().st_size
        asked = {one.range for one in server.files(name)}
        assert {f"bytes={end}-" for end in ends[name] - {0, size}} <= asked
    # The header is read anew; of the rest at most what was on its way when the process died.
    for name in PIXELS:
        sent = server.bytes_of(f"{name}.tif")[4 << 16 :]
        assert (sent > 1).sum() <= len(moments) * 250_000


def test_the_job_tells_of_bytes_and_time(server, space):
    server.delay_s = 0.02
    found = find(server, space)
    job_id = start(server, space, found)
    seen = set()
    while (job := jobs.job(space.root / "jobs", job_id)).state == "running":
        seen.add(job.progress.message())
        time.sleep(0.02)
    jobs._started.pop(job_id).wait()
    assert job.state == "done"
    assert any("MB received" in text for text in seen)
    assert times(server, "quad-west")
