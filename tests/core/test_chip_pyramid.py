"""Area averaging: by hand, against plain means, and as a property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from core.chips.channels import Channel, decode, encode, stored_dtype
from core.chips.pyramid import area_mean, metres_per_pixel, pyramid, pyramid_sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(64, (4, 8, 16, 32, 64), id="powers-of-two-from-4"),
        pytest.param(512, (4, 8, 16, 32, 64, 128, 256, 512), id="the-document's"),
        pytest.param(28, (4, 8, 16, 28), id="its-own-size-on-top"),
        pytest.param(4, (4,), id="the-smallest"),
    ],
)
def test_a_pyramid_has_the_powers_of_two_below_its_size(size, expected):
    assert pyramid_sizes(size) == expected


def test_metres_of_the_document_are_the_side_over_the_pixels():
    metres = [metres_per_pixel(512.0, size) for size in reversed(pyramid_sizes(512))]
    assert metres == [1, 2, 4, 8, 16, 32, 64, 128]
    assert metres_per_pixel(None, 64) is None


def test_half_a_step_rounds_up_and_no_size_is_rounded_twice():
    # 8 × 8 px of 0 and 1, each 2 × 2 with a sum of 2: 0.5 → 1. Their sixteen: 0.5 again, not 1
    # because four ones were averaged.
    chip = np.zeros((1, 1, 8, 8), np.uint8)
    chip[0, 0, :, ::2] = 1
    found = pyramid(chip)
    assert (found[4] == 1).all()
    chip[0, 0, 4:] = 0
    assert_array_equal(pyramid(chip)[4][0, 0], [[1] * 4] * 2 + [[0] * 4] * 2)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.uint8, (2, 3, 16, 16)),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_every_size_is_the_plain_area_mean_of_the_finest(values, dtype):
    chips = values.astype(dtype) * dtype(257 if dtype is np.uint16 else 1)
    for size, found in pyramid(chips).items():
        step = 16 // size
        blocks = chips.reshape(2, 3, size, step, size, step).astype(float)
        assert_array_equal(found, np.floor(blocks.mean(axis=(3, 5)) + 0.5))
        assert found.dtype == dtype


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 30), st.data())
def test_an_area_mean_keeps_the_mean_of_the_whole(many, data):
    few = data.draw(st.integers(1, many))
    values = data.draw(arrays(np.uint8, (many, many)))
    assert_allclose(area_mean(values, (few, few)).mean(), values.mean(), atol=1e-9)


def test_pixels_cut_by_a_line_count_by_their_share():
    # Three pixels into two: the middle one is half in each.
    assert_allclose(area_mean(np.array([[0.0, 30.0, 90.0]]), (1, 2)), [[10, 70]])


def test_28_px_come_down_to_16_like_brute_force():
    values = np.random.default_rng(1).integers(0, 255, (28, 28)).astype(float)
    # Each pixel as 4 × 4 equal ones, so that 28 × 4 = 16 × 7 divides.
    fine = values.repeat(4, 0).repeat(4, 1).reshape(16, 7, 16, 7).mean(axis=(1, 3))
    assert_allclose(area_mean(values, (16, 16)), fine)
    found = pyramid(values.astype(np.uint8)[None, None])[16]
    assert_array_equal(found[0, 0], np.floor(fine + 0.5 + 1e-9))


HEIGHT = Channel(name="height", kind="values", low=-10.0, high=90.0, unit="m")


def test_values_keep_their_scale():
    raw = np.array([[[-10.0, 40.0], [90.0, 65.0]]] * 2).repeat(2, 1).repeat(2, 2)
    chip = encode(raw, np.ones((4, 4), bool), [HEIGHT], size_px=4, dtype=stored_dtype([HEIGHT]))
    assert chip.dtype == np.uint16
    assert_allclose(decode(chip[0], HEIGHT), raw[0], atol=100 / 65535 / 2)
    assert chip[0, 0, 0] == 0 and chip[0, 2, 0] == 65535


def test_classes_become_shares_when_chips_are_coarser():
    grass = Channel(name="grass", kind="class", low=0, high=1, code=2)
    raw = np.ones((1, 8, 8), np.uint8)
    raw[0, 0, 0] = 2
    chip = encode(raw, np.ones((8, 8), bool), [grass], size_px=4, dtype=np.dtype("u1"))
    assert chip[0, 0, 0] == 64  # a quarter of 255, rounded
    assert chip.sum() == 64


def test_missing_pixels_get_the_mean_of_the_valid_ones():
    raw = np.full((1, 4, 4), 100, np.uint8)
    raw[0, :2] = 250
    valid = np.ones((4, 4), bool)
    valid[:2] = False
    chip = encode(raw, valid, [Channel(name="grey", kind="image")], size_px=4, dtype=np.dtype("u1"))
    assert (chip == 100).all()
    none = np.zeros((4, 4), bool)
    empty = encode(raw, none, [Channel(name="grey", kind="image")], size_px=4, dtype=np.dtype("u1"))
    assert (empty == 0).all()


def test_nan_and_infinity_never_become_numbers_by_chance():
    raw = np.array([[[np.nan, np.inf, -np.inf, 40.0]] * 4])
    valid = np.isfinite(raw[0])
    chip = encode(raw, valid, [HEIGHT], size_px=4, dtype=np.dtype("<u2"))
    assert (chip == chip[0, 0, 3]).all()
