import gzip
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError, RefusedFileError
from models import data
from models.data import Feeder, as_bytes, as_pictures, epoch_order
from models.engine import engine
from models.sets import NUM_DIGITS, ArrayChips, check_chips, framed, open_chips, size_of
from tests.models.small import chips


def feeder(num=20, batch=6, seed=0):
    return Feeder(ArrayChips(chips(num)), batch=batch, seed=seed, engine=engine("cpu", "float32"))


def shown(source, epoch, first=0):
    with source.batches(epoch=epoch, first=first) as batches:
        return [batch.clone() for batch in batches]


def idx(pictures, packed=False):
    body = struct.pack(">4I", 0x803, *pictures.shape) + pictures.tobytes()
    return gzip.compress(body) if packed else body


def test_bytes_become_minus_one_to_one_and_come_back():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    pictures = as_pictures(values)
    assert (pictures.min().item(), pictures.max().item()) == (-1, 1)
    assert np.array_equal(as_bytes(pictures), values.numpy())


def test_values_out_of_range_are_cut():
    assert as_bytes(torch.tensor([[[[-3.0, 3.0]]]])).tolist() == [[[[0, 255]]]]


@given(st.integers(1, 200), st.integers(0, 2**40), st.integers(0, 10**6))
def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own(num, seed, epoch):
    order = epoch_order(num, seed=seed, epoch=epoch)
    assert sorted(order) == list(range(num))
    assert np.array_equal(order, epoch_order(num, seed=seed, epoch=epoch))


def test_two_epochs_and_two_seeds_have_different_orders():
    first = epoch_order(50, seed=0, epoch=0)
    assert not np.array_equal(first, epoch_order(50, seed=0, epoch=1))
    assert not np.array_equal(first, epoch_order(50, seed=1, epoch=0))


def test_what_does_not_fill_a_batch_is_left_for_another_epoch():
    source = feeder()
    batches = shown(source, 0)
    assert source.per_epoch == 3
    assert [len(batch) for batch in batches] == [6, 6, 6]
    assert batches[0].dtype == torch.float32


def test_streamed_and_resident_batches_are_the_same(monkeypatch):
    resident = feeder()
    monkeypatch.setattr(data, "_resident_limit", lambda _device: 0)
    streamed = feeder()
    assert (resident.is_resident, streamed.is_resident) == (True, False)
    for epoch in (0, 3):
        pairs = zip(shown(resident, epoch), shown(streamed, epoch), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_set_is_held_without_a_second_copy_of_it(monkeypatch):
    monkeypatch.setattr(data, "_PART_BYTES", 3 * 32**2)
    source = ArrayChips(chips(20))
    asked = []
    batch = source.batch

    def told(numbers):
        asked.append(len(numbers))
        return batch(numbers)

    monkeypatch.setattr(source, "batch", told)
    held = Feeder(source, batch=6, seed=0, engine=engine("cpu", "float32"))
    assert asked == [3] * 6 + [2]
    assert torch.equal(held._resident, torch.from_numpy(chips(20)))


@pytest.mark.parametrize("first", [0, 1, 2])
def test_an_epoch_can_be_entered_in_the_middle(first):
    whole, rest = shown(feeder(), 1), shown(feeder(), 1, first)
    assert len(rest) == 3 - first
    assert all(torch.equal(a, b) for a, b in zip(whole[first:], rest, strict=True))


def test_an_error_of_the_reader_reaches_the_loop(monkeypatch):
    monkeypatch.setattr(data, "_resident_limit", lambda _device: 0)
    source = feeder()
    source._chips.batch = lambda _part: 1 / 0
    with pytest.raises(ZeroDivisionError):
        shown(source, 0)


def test_mnists_files_are_read_packed_or_not(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for packed in (False, True):
        path = tmp_path / f"images-{packed}"
        path.write_bytes(idx(pictures, packed))
        found = open_chips(str(path), size_px=32)
        assert np.array_equal(found.batch(np.arange(5))[:, 0, 2:30, 2:30], pictures)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x1f\x8b",
        b"\x1f\x8bnot gzip at all....",
        idx(np.zeros((2, 4, 4), np.uint8))[:-1],
        idx(np.zeros((2, 4, 4), np.uint8)) + b"x",
        idx(np.zeros((2, 4, 4), np.uint8), packed=True)[:-9],
        struct.pack(">4I", 0x801, 1, 1, 1) + b"\0",
        struct.pack(">4I", 0x803, 0, 28, 28),
    ],
    ids=["empty", "no-gzip", "bad-gzip", "cut", "too-long", "cut-gzip", "labels", "none"],
)
def test_files_that_are_no_whole_set_are_refused(tmp_path, body):
    path = tmp_path / "images"
    path.write_bytes(body)
    with pytest.raises(RefusedFileError, match="IDX"):
        open_chips(str(path), size_px=32)


def test_small_pictures_are_enlarged_whole_times_and_framed():
    out = framed(np.full((1, 1, 28, 28), 9, np.uint8), 64)
    assert out.shape == (1, 1, 64, 64)
    assert (out[0, 0, 4:60, 4:60] == 9).all()
    assert out.sum() == 9 * 56 * 56
    assert np.array_equal(
        framed(np.array([[[[1, 2], [3, 4]]]], np.uint8), 4)[0, 0],
        [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]],
    )
    with pytest.raises(InputError, match="do not fit"):
        framed(np.zeros((1, 1, 40, 40), np.uint8), 32)


def test_digits_come_with_the_program():
    digits = open_chips("digits", size_px=32)
    assert (len(digits), digits.channels, digits.size_px) == (NUM_DIGITS, 1, 32)
    pictures = digits.batch(np.array([0, 1]))
    assert (pictures.min(), pictures.max()) == (0, 255)
    assert size_of("digits") == 32


def test_an_npy_file_is_mapped_and_known_by_its_content(tmp_path):
    np.save(tmp_path / "a.npy", chips(5))
    np.save(tmp_path / "b.npy", chips(5))
    np.save(tmp_path / "c.npy", chips(5, seed=1))
    sets = [open_chips(str(tmp_path / f"{name}.npy"), size_px=32) for name in "abc"]
    assert sets[0].digest == sets[1].digest != sets[2].digest
    assert np.array_equal(sets[0].batch(np.array([3])), chips(5)[3:4])
    assert size_of(str(tmp_path / "a.npy")) == 32


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 1, 32, 32)), "whole numbers 0 to 255"),
        (np.zeros((2, 32, 32), np.uint8), "whole numbers 0 to 255"),
        (np.zeros((2, 1, 32, 16), np.uint8), "square pictures"),
        (np.zeros((0, 1, 32, 32), np.uint8), "square pictures"),
        (np.zeros((2, 1, 48, 48), np.uint8), "have 48 pixels, the networks 32"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, array, match):
    np.save(tmp_path / "set.npy", array)
    with pytest.raises(InputError, match=match):
        open_chips(str(tmp_path / "set.npy"), size_px=32)


def test_an_npy_file_with_objects_is_refused(tmp_path):
    np.save(tmp_path / "set.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RefusedFileError, match="not a whole NPY file"):
        open_chips(str(tmp_path / "set.npy"), size_px=32)


def test_a_set_that_no_step_can_be_made_with_is_refused():
    with pytest.raises(InputError, match="5 chips, fewer than one batch of 8"):
        check_chips(ArrayChips(chips(5)), batch=8, size_px=32, channels=1)
    with pytest.raises(InputError, match="have 32 pixels, the networks 64"):
        check_chips(ArrayChips(chips(5)), batch=5, size_px=64, channels=1)
    with pytest.raises(InputError, match="have 1 channels, the networks 3"):
        check_chips(ArrayChips(chips(5)), batch=5, size_px=32, channels=3)


def test_pictures_of_no_network_are_refused(tmp_path):
    with pytest.raises(InputError, match="no set of chips"):
        open_chips(str(tmp_path / "none.npy"), size_px=32)
    np.save(tmp_path / "large.npy", np.zeros((1, 1, 256, 256), np.uint8))
    with pytest.raises(InputError, match="networks go up to 128"):
        size_of(str(tmp_path / "large.npy"))
