import gzip
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.__main__ import main as core_main
from core.chips.sets import ChipSets
from core.errors import AppError, InputError, RefusedFileError, TooLargeError
from core.settings import settings
from models.runs import create
from models.sets import (
    check_source,
    facts,
    forget_pictures,
    is_set,
    keep_pictures,
    kept_pictures,
    open_chips,
    size_of,
)
from models.worker import work
from tests.models.small import chips, run_config


@pytest.fixture
def city(tmp_path, workspace, capsys):
    """Keep 20 pictures of 32 px as the set `city`, and return their pixels."""
    pictures = chips(20, channels=3)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{number:02}.png")
    assert core_main(["chips", "import", str(folder), "--out", "city"]) == 0
    capsys.readouterr()
    return pictures


def test_a_set_is_opened_by_its_name_with_its_own_pixels(city, workspace):
    found = open_chips("city", size_px=32)
    assert (len(found), found.channels, found.size_px) == (20, 3, 32)
    assert np.array_equal(found.batch(np.array([3, 0])), city[[3, 0]])
    assert found.digest == ChipSets(workspace).info("city").digest
    assert size_of("city") == 32


def test_a_run_trains_on_a_set(city, workspace, tmp_path):
    config = run_config(tmp_path)
    config = replace(config, data="city", networks=replace(config.networks, channels=3))
    assert work(create(workspace / "runs", config)).state == "done"


def test_a_set_or_a_size_that_is_not_there_is_told(city):
    with pytest.raises(InputError, match="There are: city"):
        open_chips("town", size_px=32)
    with pytest.raises(InputError, match="no chips of 128 px"):
        open_chips("city", size_px=128)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("city", True), ("digits", False), ("a.npy", False), ("/a/b", False), ("../x", False)],
)
def test_a_name_is_told_from_a_file(source, expected):
    assert is_set(source) is expected


def test_facts_say_what_a_run_on_a_set_can_be(tmp_path):
    np.save(tmp_path / "mine.npy", chips(20, size=64, channels=3))
    found = facts(str(tmp_path / "mine.npy"))
    assert (found.count, found.channels, found.sizes, found.side_m) == (20, 3, (64,), None)
    digits = facts("digits")
    assert (digits.count, digits.channels, digits.sizes) == (1797, 1, (32, 64, 128))


def test_facts_of_a_workspaces_set_count_what_is_for_training(city):
    found = facts("city")
    info = ChipSets(settings().workspace).info("city")
    assert found.count == info.splits.get("train", info.count)
    assert set(found.sizes) <= set(info.sizes)


def test_an_upload_is_kept_once_and_only_kept_files_are_forgotten(workspace, tmp_path):
    for _ in range(2):
        np.save(tmp_path / "mine.npy", chips(20))
        place = keep_pictures(workspace, tmp_path / "mine.npy")
    assert kept_pictures(workspace) == [place]
    assert len(open_chips(str(place), size_px=32)) == 20
    np.save(tmp_path / "other.npy", chips(20))
    forget_pictures(workspace, tmp_path / "other.npy")
    assert (tmp_path / "other.npy").exists()
    forget_pictures(workspace, place)
    assert kept_pictures(workspace) == []


def test_an_upload_that_holds_no_pictures_is_not_kept(workspace, tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"no pictures")
    with pytest.raises(RefusedFileError):
        keep_pictures(workspace, tmp_path / "bad.npy")
    assert kept_pictures(workspace) == []


def write_idx(path, num, side, body=None):
    """Write an IDX file that names so many pictures; they are black at first."""
    body = bytes(num * side**2) if body is None else body
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x0803, num, side, side) + body))
    return path


@pytest.mark.parametrize("read", [facts, lambda source: open_chips(source, size_px=32)])
def test_a_few_bytes_that_unpack_to_more_than_memory_are_refused_unread(
    tmp_path, monkeypatch, read
):
    """Pictures of a few pixels grow a thousandfold on the way into a network."""
    monkeypatch.setenv("URBAN_PATTERN_MEMORY_MB", "1024")
    settings.cache_clear()
    single = write_idx(tmp_path / "single.gz", 100_000, 1)
    small = write_idx(tmp_path / "small.gz", 2_000_000, 4, body=b"")
    claims = write_idx(tmp_path / "claims.gz", 2**31, 2**10, body=b"")
    limits = ((single, RefusedFileError), (small, TooLargeError), (claims, InputError))
    large = write_idx(tmp_path / "large.gz", 100, 512, body=b"")
    tracemalloc.start()
    for path, error in (*limits, (large, InputError)):
        assert path.stat().st_size < 1000
        with pytest.raises(error):
            read(str(path))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_facts_read_the_head_of_a_file_alone(tmp_path):
    """Half a gigabyte of pictures once they are framed, of which none is there."""
    path = write_idx(tmp_path / "mnist.gz", 500_000, 28, body=b"")
    tracemalloc.start()
    found = facts(str(path))
    check_source(str(path), batch=16, size_px=64, channels=1)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert (found.count, found.channels, found.sizes) == (500_000, 1, (32, 64, 128))
    with pytest.raises(RefusedFileError, match="cut off"):
        open_chips(str(path), size_px=32)


def test_a_source_is_checked_as_its_pictures_would_be(city, tmp_path):
    check_source("city", batch=8, size_px=32, channels=3)
    path = str(write_idx(tmp_path / "mnist.gz", 20, 28))
    check_source(path, batch=20, size_px=32, channels=1)
    for source, wrong, match in (
        ("city", {"batch": 8, "channels": 1}, "3 channels, the networks 1"),
        ("town", {"batch": 8, "channels": 3}, "no chip set 'town'"),
        (path, {"batch": 21, "channels": 1}, "20 chips, fewer than one batch of 21"),
        (path + "x", {"batch": 2, "channels": 1}, "no set of chips at"),
    ):
        with pytest.raises(InputError, match=match):
            check_source(source, size_px=32, **wrong)


def test_an_upload_that_is_cut_off_is_not_kept(workspace, tmp_path):
    path = write_idx(tmp_path / "mnist.gz", 20, 28)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(RefusedFileError):
        keep_pictures(workspace, path)
    assert kept_pictures(workspace) == []


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    path = write_idx(tmp_path / "mnist.gz", 20, 28)

    def broken(_self, _mode):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(RefusedFileError, match=r"mnist\.gz cannot be read as IDX: Input/output"):
        facts(str(path))


def test_an_archive_under_the_name_of_an_array_is_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", chips(20))
    (tmp_path / "mine.npz").rename(tmp_path / "mine.npy")
    with zipfile.ZipFile(tmp_path / "other.npy", "w") as archive:
        archive.writestr("x", "x")
    for name in ("mine", "other"):
        with pytest.raises(RefusedFileError, match="not a whole NPY file"):
            facts(str(tmp_path / f"{name}.npy"))


@given(st.data())
def test_no_spoilt_array_breaks_the_page(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("npy")
    np.save(folder / "mine.npy", chips(4))
    body = bytearray((folder / "mine.npy").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, 130))] = data.draw(st.integers(0, 255))
    (folder / "mine.npy").write_bytes(bytes(body[: data.draw(st.integers(0, len(body)))]))
    with suppress(AppError):
        facts(str(folder / "mine.npy"))
