"""A film: every frame in one picture, and the rule by which the browser moves it."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ui.generate_film import film_html


def sheet(body):
    packed = re.search(r"base64,([^']+)'", body)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))))


def far(body, axis):
    found = re.search(rf"background-position-{axis}: ([0-9.]+)%", body)
    return float(found[1]) if found else None


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_lie_row_by_row(channels):
    frames = np.random.default_rng(0).integers(0, 256, (6, 8, 8, channels), dtype=np.uint8)
    found = sheet(film_html(list(frames), 3, alt="x")).reshape(2, 8, 3, 8, channels)
    assert np.array_equal(found.swapaxes(1, 2).reshape(6, 8, 8, channels), frames)


def test_each_step_moves_by_one_frame():
    """Of n frames side by side the position of k is k / (n - 1): n of them lead to n / (n - 1)."""
    body = film_html([np.zeros((4, 4, 3), np.uint8)] * 15, 5, alt="x")
    assert far(body, "x") == 125
    assert far(body, "y") == 150
    assert "0.40s steps(5)" in body
    assert "1.20s steps(3)" in body


def test_one_frame_stands_still():
    body = film_html([np.zeros((4, 4, 3), np.uint8)], 1, alt="x")
    assert "animation: none" in body
    assert far(body, "x") is None


def test_large_frames_are_shown_smaller_and_words_are_text():
    body = film_html([np.full((256, 256, 3), 7, np.uint8)] * 2, 2, alt='"><i>')
    assert sheet(body).shape == (128, 256, 3)
    assert "<i>" not in body
