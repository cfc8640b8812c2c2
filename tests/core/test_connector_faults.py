"""Fetching images from a server that misbehaves: faults, links that expire, kills, a full disk."""

import json
import random
import resource
import shutil
import sys
import threading
import time

import psutil
import pytest
import rasterio
from affine import Affine

from core import jobs, store
from core.connectors import assets, door, imagery, items, shelf
from core.connectors.signing import Catalogue
from core.errors import BusyError, InputError, OutsideError, StoppedError, TooLargeError
from tests.core.fetch_job import kill_after
from tests.core.raster_files import new_area
from tests.core.two_images import (
    PIXELS,
    check_west,
    fetch,
    find,
    loopback,
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


# --- killed at any moment -----------------------------------------------------------------------


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
