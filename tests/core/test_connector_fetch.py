"""Fetching images over real HTTP from a loopback server: windows and whole files, to the byte."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine

from core import jobs
from core.connectors import assets, imagery, shelf
from core.connectors.signing import Catalogue
from core.errors import InputError, StoppedError
from core.prepare import About
from tests.core.stac_server import noise, times, write_cog
from tests.core.two_images import (
    PIXELS,
    SIDE,
    check_west,
    fetch,
    find,
    new_space,
    only,
    plan,
    serving,
    start,
    write_cogs,
)


@pytest.fixture(scope="module")
def cogs(tmp_path_factory):
    return write_cogs(tmp_path_factory.mktemp("cogs"))


@pytest.fixture
def server(cogs, tmp_path, monkeypatch):
    with serving(cogs, tmp_path / "files", monkeypatch) as found:
        yield found


@pytest.fixture
def space(tmp_path):
    return new_space(tmp_path / "ws")


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
