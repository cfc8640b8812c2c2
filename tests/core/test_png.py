import io

import numpy as np
import pytest
from PIL import Image

from core import png


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 2, 3)])
def test_grey_and_colour_are_what_another_decoder_reads(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(png.truecolour(pixels))) as picture:
        assert picture.mode == ("L" if len(shape) == 2 else "RGB")
        assert np.array_equal(np.asarray(picture), pixels)


def test_palette_numbers_are_what_another_decoder_reads():
    colours = np.array([[1, 2, 3, 0], [250, 120, 0, 255]], np.uint8)
    numbers = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    with Image.open(io.BytesIO(png.indexed(numbers, colours))) as picture:
        assert np.array_equal(np.asarray(picture.convert("RGBA")), colours[numbers])
