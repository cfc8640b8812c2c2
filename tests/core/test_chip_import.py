"""Sets that others made: folders, MNIST, and whatever hostile thing may lie in a folder."""

import gzip
import io
import os
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image

from core import intake, works
from core.chips import idx
from core.chips.imports import import_set
from core.chips.pictures import read_picture
from core.chips.sets import ChipSets
from core.errors import AppError, InputError, RefusedFileError, StoppedError, TooLargeError
from core.workspace import Workspace
from tests.core.raster_files import SHARED

MNIST = SHARED / "data" / "chips" / "mnist_t10k"


def picture(path, value=100, size=(16, 16), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": 3, "L": 1, "RGBA": 4}[mode]
    rng = np.random.default_rng(value)
    body = rng.integers(0, 255, (size[1], size[0], channels)).astype(np.uint8).squeeze()
    Image.fromarray(body, mode).save(path, **options)
    return body


def taken(tmp_path, source, **options):
    import_set(Workspace(tmp_path / "space"), "set", source, **options)
    return ChipSets(tmp_path / "space").open("set")


def told(chips):
    return " ".join(text.format(**values) for text, values in chips.info.notes)


def test_a_plain_folder_comes_in_by_name_pixel_by_pixel(tmp_path):
    pixels = [picture(tmp_path / "in" / f"{name}.png", number) for number, name in enumerate("cab")]
    chips = taken(tmp_path, tmp_path / "in")
    assert chips.table["source"].tolist() == ["a.png", "b.png", "c.png"]
    assert_array_equal(chips.pixels()[0], np.moveaxis(pixels[1], 2, 0))
    assert chips.info.splits == {"train": 3} and chips.info.side_m is None
    assert chips.info.labels == () and (chips.labels() == -1).all()


def test_a_folder_a_class_gives_labels(tmp_path):
    for label in ("Forest", "River"):
        for number in range(3):
            picture(tmp_path / "in" / label / f"{label}_{number}.jpg", number)
    chips = taken(tmp_path, tmp_path / "in")
    assert chips.info.labels == ("River", "Forest")[::-1] or chips.info.labels == (
        "River",
        "Forest",
    )
    names = [chips.info.labels[number] for number in chips.labels()]
    assert names == ["Forest"] * 3 + ["River"] * 3
    assert "JPEG images: 6." in told(chips)


def test_the_largest_size_of_a_pyramid_is_taken(tmp_path):
    """The document's layout: its own small sizes were interpolated, ours are averaged."""
    for size in (4, 8, 16, 32):
        for number in range(2):
            picture(tmp_path / "in" / f"patches_{size}" / f"0_{number}.jpg", size=(size, size))
    picture(tmp_path / "in" / "naip_64" / "0_0.jpg", size=(64, 64))
    chips = taken(tmp_path, tmp_path / "in")
    assert chips.info.sizes == (4, 8, 16, 32, 64) and len(chips) == 1
    assert chips.info.labels == ()


def test_folders_named_train_and_test_are_splits(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for number in range(count):
            picture(tmp_path / "in" / split / "cats" / f"{number}.png", number)
    chips = taken(tmp_path, tmp_path / "in")
    assert chips.info.splits == {"test": 2, "train": 3}
    assert chips.info.labels == ("cats",)


def test_larger_images_give_their_middle_averaged_down(tmp_path):
    body = picture(tmp_path / "in" / "a.png", size=(40, 32), mode="L")
    chips = taken(tmp_path, tmp_path / "in", size_px=16)
    middle = body[:, 4:36].reshape(16, 2, 16, 2).mean(axis=(1, 3))
    assert_array_equal(chips.pixels()[0, 0], np.floor(middle + 0.5))
    assert "Images that are not square: 1." in told(chips)


def test_grey_among_coloured_is_made_alike_and_told(tmp_path):
    picture(tmp_path / "in" / "a.png")
    body = picture(tmp_path / "in" / "b.png", mode="L")
    chips = taken(tmp_path, tmp_path / "in")
    assert_array_equal(chips.pixels()[1], np.stack([body] * 3))
    assert "Grey images among coloured ones, or the reverse: 1" in told(chips)


def test_row_10_damaged_and_small_images_are_left_out_by_name(tmp_path):
    """Row 10: the others come in."""
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "b.jpg")
    whole = (tmp_path / "in" / "b.jpg").read_bytes()
    (tmp_path / "in" / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "c.png").write_bytes(b"no image")
    picture(tmp_path / "in" / "d.png", size=(8, 8))
    (tmp_path / "in" / "readme.txt").write_text("x")
    picture(tmp_path / "in" / ".hidden.png")
    chips = taken(tmp_path, tmp_path / "in")
    assert chips.table["source"].tolist() == ["a.png"]
    text = told(chips)
    assert "Images left out: 2 (it is no whole PNG or JPEG): b.jpg; c.png" in text
    assert "Images left out: 1 (smaller than 16 px)" in text
    assert "Files left out: 1 (no PNG or JPEG)" in text
    assert chips.info.options["left_out"] == 3


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_told_in_the_systems_words(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(RefusedFileError, match="Permission denied"):
        read_picture(tmp_path / "a.png")


def png_of(width, height):
    """Return a PNG that declares a size and holds a few bytes."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_row_5_a_picture_that_declares_gigapixels_is_never_unpacked(tmp_path):
    """Row 5."""
    import tracemalloc

    path = tmp_path / "bomb.png"
    tracemalloc.start()
    for side in (7_000, 10_000, 60_000):
        path.write_bytes(png_of(side, side))
        with pytest.raises(RefusedFileError, match="too many pixels"):
            read_picture(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_row_6_text_that_unpacks_without_end_is_refused(tmp_path):
    """Row 6: a PNG's packed text chunk can be a bomb of its own."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    bomb = zlib.compress(bytes(200 << 20), 9)
    whole = png_of(16, 16)
    at = whole.index(b"IDAT") - 4
    path = tmp_path / "text.png"
    path.write_bytes(whole[:at] + chunk(b"zTXt", b"x\0\0" + bomb) + whole[at:])
    with pytest.raises(RefusedFileError):
        read_picture(path)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "BMP", "PPM", "ICO"])
def test_row_1_only_png_and_jpeg_are_interpreted_whatever_the_name(tmp_path, kind):
    """Row 1: an allow-list of formats is passed to open."""
    path = tmp_path / "named.png"
    Image.new("RGB", (32, 32)).save(path, kind)
    with pytest.raises(RefusedFileError, match="cannot be taken as an image"):
        read_picture(path)


def test_pictures_of_more_than_8_bits_are_refused_not_cut(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(path)
    with pytest.raises(RefusedFileError, match="more than 8 bits"):
        read_picture(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_pictures_are_read_or_refused(tmp_path, data):
    form = data.draw(st.sampled_from(["png", "jpg"]))
    path = tmp_path / f"x.{form}"
    picture(path)
    body = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=5)):
        body[at] = data.draw(st.integers(0, 255))
    path.write_bytes(body)
    with suppress(RefusedFileError):
        assert read_picture(path).dtype == np.uint8


def test_row_4_links_out_of_the_folder_are_refused(tmp_path):
    """Row 4."""
    picture(tmp_path / "secret" / "s.png")
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").symlink_to(tmp_path / "secret" / "s.png")
    with pytest.raises(RefusedFileError, match=r"b\.png is a link that leads out"):
        taken(tmp_path, tmp_path / "in")
    (tmp_path / "in" / "b.png").unlink()
    (tmp_path / "in" / "more").symlink_to(tmp_path / "secret")
    with pytest.raises(RefusedFileError, match="more is a link that leads out"):
        taken(tmp_path, tmp_path / "in")
    (tmp_path / "in" / "more").unlink()
    (tmp_path / "in" / "loop.png").symlink_to(tmp_path / "in" / "loop.png")
    with pytest.raises(RefusedFileError, match=r"loop\.png"):
        taken(tmp_path, tmp_path / "in")
    assert not (tmp_path / "space" / "chips").exists()


def test_links_inside_the_folder_are_files_like_others(tmp_path):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").symlink_to("a.png")
    assert len(taken(tmp_path, tmp_path / "in")) == 2


@pytest.mark.skipif(os.name != "posix", reason="mkfifo")
def test_a_pipe_among_the_images_does_not_hold_up_the_work(tmp_path):
    picture(tmp_path / "in" / "a.png")
    os.mkfifo(tmp_path / "in" / "b.png")
    assert len(taken(tmp_path, tmp_path / "in")) == 1


def test_what_is_no_folder_of_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="There is no folder or file"):
        taken(tmp_path, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        taken(tmp_path, tmp_path / "empty")
    (tmp_path / "x.bin").write_bytes(b"\0" * 100)
    with pytest.raises(RefusedFileError, match=r"x\.bin is no IDX file of images"):
        taken(tmp_path, tmp_path / "x.bin")
    picture(tmp_path / "in" / "a.png")
    with pytest.raises(InputError, match="No image is at least 64 px"):
        taken(tmp_path, tmp_path / "in", size_px=64)
    with pytest.raises(InputError, match="size in pixels"):
        taken(tmp_path, tmp_path / "in", size_px=0)


def test_a_stop_leaves_nothing(tmp_path):
    for number in range(5):
        picture(tmp_path / "in" / f"{number}.png", number)
    with pytest.raises(StoppedError):
        taken(tmp_path, tmp_path / "in", should_stop=lambda: True)
    assert not (tmp_path / "space" / "chips").exists()


def idx_file(path, images, *, count=None, packed=False, tail=b""):
    head = struct.pack(">4B3I", 0, 0, 8, 3, count or len(images), *images.shape[1:])
    body = head + images.tobytes() + tail
    path.write_bytes(gzip.compress(body) if packed else body)
    return path


def label_file(path, labels):
    path.write_bytes(struct.pack(">4BI", 0, 0, 8, 1, len(labels)) + bytes(labels))
    return path


DIGITS = np.random.default_rng(5).integers(0, 255, (7, 28, 28)).astype(np.uint8)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_idx_files_come_in_with_the_labels_beside_them(tmp_path, packed):
    idx_file(tmp_path / "t10k-images-idx3-ubyte", DIGITS, packed=packed)
    label_file(tmp_path / "t10k-labels-idx1-ubyte", [3, 1, 4, 1, 5, 9, 2])
    chips = taken(tmp_path, tmp_path / "t10k-images-idx3-ubyte")
    assert_array_equal(chips.pixels()[:, 0], DIGITS)
    assert [chips.info.labels[n] for n in chips.labels()] == ["3", "1", "4", "1", "5", "9", "2"]
    assert chips.info.splits == {"train": 7}


def test_uploads_that_were_taken_in_are_discarded_with_their_labels(tmp_path):
    paths = [
        intake.save_upload(tmp_path, path.name, io.BytesIO(path.read_bytes()))
        for path in (
            idx_file(tmp_path / "digits-ubyte", DIGITS),
            label_file(tmp_path / "names-ubyte", [3, 1, 4, 1, 5, 9, 2]),
        )
    ]
    source, labels = map(str, paths)
    config = {"workspace": str(tmp_path), "out": "set", "source": source, "labels": labels}
    works.import_chips(config, lambda *_, **__: None, lambda: False)
    assert not list((tmp_path / "uploads").iterdir())
    info = ChipSets(tmp_path).info("set")
    assert len(info.labels) == 6
    assert info.sources[0]["name"] == "digits-ubyte"  # not the folder that the upload lay in


def test_a_folder_with_both_halves_of_mnist_is_split(tmp_path):
    (tmp_path / "in").mkdir()
    idx_file(tmp_path / "in" / "train-images-idx3-ubyte", DIGITS)
    idx_file(tmp_path / "in" / "t10k-images-idx3-ubyte", DIGITS[:2])
    chips = taken(tmp_path, tmp_path / "in")
    assert chips.info.splits == {"test": 2, "train": 7}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body[:-1], "cut off"),
        (lambda body: body + b"\0", "more than it says"),
        (lambda body: body[:10], "cut off"),
        (lambda body: b"\0\0\x0d\x03" + body[4:], "no IDX file of images"),
        (lambda body: body[:4] + struct.pack(">I", 2**31) + body[8:], "cannot be read as IDX"),
        (lambda body: body[:8] + struct.pack(">I", 2**20) + body[12:], "cannot be read as IDX"),
        (lambda body: gzip.compress(body)[:-20], "cannot be read as IDX"),
        (lambda body: gzip.compress(body)[:30] + b"\xff" * 40, "cannot be read as IDX"),
    ],
    ids=["short", "long", "no-head", "floats", "many", "wide", "gzip-cut", "gzip-rot"],
)
def test_damaged_idx_files_are_refused(tmp_path, change, words):
    path = idx_file(tmp_path / "images", DIGITS)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RefusedFileError, match=words):
        taken(tmp_path, path)


def test_row_6_a_packed_idx_file_is_never_unpacked_past_what_it_says(tmp_path):
    """Row 6: 200 MB of zeros behind seven digits."""
    path = idx_file(tmp_path / "images", DIGITS, packed=True, tail=bytes(200 << 20))
    begun = time.perf_counter()
    with pytest.raises(RefusedFileError, match="more than it says"):
        taken(tmp_path, path)
    assert time.perf_counter() - begun < 2


def test_row_20_an_idx_file_that_declares_terabytes_is_refused_by_the_disk(tmp_path):
    """Row 20."""
    path = idx_file(tmp_path / "images", np.zeros((1, 1024, 1024), np.uint8), count=2_000_000)
    with pytest.raises(TooLargeError, match="needs about"):
        taken(tmp_path, path)


def test_labels_of_another_number_are_refused(tmp_path):
    path = idx_file(tmp_path / "images", DIGITS)
    with pytest.raises(RefusedFileError, match="3 labels for 7 images"):
        taken(tmp_path, path, labels=label_file(tmp_path / "labels", [1, 2, 3]))


def test_a_name_that_is_taken_is_refused_before_anything_is_read(tmp_path):
    picture(tmp_path / "in" / "a.png")
    taken(tmp_path, tmp_path / "in")
    with pytest.raises(AppError, match="already"):
        taken(tmp_path, Path("/nowhere"))


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside the project")
def test_mnist_is_read_whole(tmp_path):
    chips = taken(tmp_path, MNIST)
    assert len(chips) == 10_000 and chips.info.sizes == (4, 8, 16, 28)
    labels = chips.labels()
    # The published count of each digit among the 10,000.
    expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert [int((labels == digit).sum()) for digit in range(10)] == expected
    assert chips.info.labels == tuple("0123456789")
    with gzip.open(MNIST / "t10k-images-idx3-ubyte.gz") as file:
        body = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    assert_array_equal(chips.pixels()[:, 0], body)


def test_a_file_is_known_as_idx_by_its_head(tmp_path):
    assert idx.is_idx(idx_file(tmp_path / "images", DIGITS, packed=True))
    assert not idx.is_idx(label_file(tmp_path / "labels", [1]))
