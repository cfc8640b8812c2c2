"""How near generated pictures come to real ones, measured without any downloaded network.

Pictures are uint8 (n, C, H, W). Every function is deterministic given its `rng`.

There is no Frechet inception distance here: its network is a download, and it was taught on
photographs of things, not on ground seen from above.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_
from models.sets import Chips

Pictures = NDArray[np.uint8]

SMALLEST = 16
"""Side of the smallest pictures that are compared patch by patch."""
_PATCH = 7
_PATCHES = 64
_DIRECTIONS = 128
# The 5-tap binomial kernel of Burt and Adelson (1983), a = 0.375.
_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class ScaleDistance:
    """Sliced Wasserstein distance of one scale."""

    size_px: int
    """Side of the picture at this scale; a detail seen here is a few of its pixels wide."""
    metres: float | None
    """Ground length of one pixel of this scale; None for pictures of no ground."""
    distance: float
    """In thousandths, as the paper prints it; 0: no difference."""


def sliced_wasserstein(
    real: Pictures, fake: Pictures, *, rng: np.random.Generator, metres_per_px: float | None = None
) -> list[ScaleDistance]:
    """Compare patches of real and generated pictures, scale by scale, the finest first.

    Each level of a Laplacian pyramid, from the full size down to 16 pixels, gives 64 patches of
    7 x 7 a picture, at places drawn at random; patches are normalised by channel, projected onto
    128 random directions, and the mean distance of the sorted projections is the measure. Both
    sets count with equally many pictures.

    Reference: Karras et al. (2018), https://arxiv.org/abs/1710.10196, section 5 (there 128
    patches and 512 directions, of 16,384 pictures).

    Raises:
        InputError: Sets of other shapes, or of fewer than two pictures.
    """
    num = min(len(real), len(fake))
    if real.shape[1:] != fake.shape[1:] or num < 2:
        raise InputError(
            N_("Two sets of pictures of one shape are needed, of at least two pictures; these are"
               " {real} and {fake}."),
            real=str(real.shape), fake=str(fake.shape),
        )  # fmt: skip
    found = []
    pairs = zip(_laplacian(real[:num]), _laplacian(fake[:num]), strict=True)
    for level, (real_level, fake_level) in enumerate(pairs):
        places = rng.integers(0, real_level.shape[2] - _PATCH + 1, (2, num, _PATCHES))
        ours = _descriptors(real_level, places)
        theirs = _descriptors(fake_level, places)
        directions = rng.standard_normal((ours.shape[1], _DIRECTIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        apart = np.sort(ours @ directions, axis=0) - np.sort(theirs @ directions, axis=0)
        found.append(
            ScaleDistance(
                size_px=real_level.shape[2],
                metres=None if metres_per_px is None else metres_per_px * 2**level,
                distance=1000 * float(np.abs(apart).mean()),
            )
        )
    return found


def _laplacian(pictures: Pictures) -> list[NDArray[np.float32]]:
    """Return the pyramid (n, C, h, w): what each scale adds to the next coarser, then that."""
    current = pictures.astype(np.float32)
    levels = []
    while current.shape[2] // 2 >= SMALLEST:
        smaller = _blurred(current)[:, :, ::2, ::2]
        levels.append(current - _enlarged(smaller))
        current = smaller
    return [*levels, current]


def _blurred(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import convolve1d

    once = convolve1d(pictures, _KERNEL, axis=2, mode="mirror")
    out: NDArray[np.float32] = convolve1d(once, _KERNEL, axis=3, mode="mirror")
    return out


def _enlarged(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    num, channels, height, width = pictures.shape
    out = np.zeros((num, channels, 2 * height, 2 * width), np.float32)
    out[:, :, ::2, ::2] = 4 * pictures  # three of four pixels are zero: the blur keeps the mean
    return _blurred(out)


def _descriptors(level: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return patches as rows, (n * patches, C * 49), each channel of mean 0 and deviation 1."""
    windows = np.lib.stride_tricks.sliding_window_view(level, (_PATCH, _PATCH), axis=(2, 3))
    pictures = np.arange(len(level))[:, None]
    # The channels' axis lies between the chosen ones: it comes last but the patch's own two.
    patches = windows[pictures, :, places[0], places[1]].reshape(-1, level.shape[1], _PATCH**2)
    mean = patches.mean(axis=(0, 2), keepdims=True)
    deviation = patches.std(axis=(0, 2), keepdims=True)
    scaled = (patches - mean) / np.maximum(deviation, 1e-8)
    return np.ascontiguousarray(scaled.reshape(len(scaled), -1), np.float32)


def diversity(real: Pictures, fake: Pictures, *, rng: np.random.Generator) -> float:
    """Return the mean distance of two generated pictures over that of two real ones.

    1: as varied as the real ones; near 0: they are all alike. Euclidean distance of pixels, of
    1,000 pairs drawn at random without a picture paired with itself. NaN where all real pictures
    are the same.
    """
    usual = _pair_distance(real, rng)
    return _pair_distance(fake, rng) / usual if usual else float("nan")


def _pair_distance(pictures: Pictures, rng: np.random.Generator) -> float:
    num = len(pictures)
    if num < 2:
        raise InputError(N_("Diversity needs at least two pictures."))
    first = rng.integers(0, num, 1000)
    second = (first + rng.integers(1, num, 1000)) % num
    flat = pictures.reshape(num, -1).astype(np.float32)
    return float(np.sqrt(np.square(flat[first] - flat[second]).mean(axis=1)).mean())


@dataclass(frozen=True, slots=True)
class Nearest:
    """The training chips nearest to each picture, nearest first."""

    indices: NDArray[np.int64]
    """(n, k) numbers of chips."""
    distances: NDArray[np.float64]
    """(n, k) root mean square difference of pixels, 0 to 255."""


def nearest_chips(pictures: Pictures, chips: Chips, *, count: int = 1) -> Nearest:
    """Find the chips of a set nearest to each picture, streaming through the set.

    A generator that has learnt by heart repeats chips: distances then are far below those between
    one chip and its own nearest (`nearest_other`).

    Args:
        pictures: (n, C, s, s) as the chips are.
        chips: All of the set are looked at.
        count: How many for each; fewer where the set holds fewer.
    """
    wanted = pictures.reshape(len(pictures), -1).astype(np.float32)
    squares = np.square(wanted, dtype=np.float64).sum(axis=1)
    best = np.zeros((len(wanted), 0))
    indices = np.zeros((len(wanted), 0), np.int64)
    for first in range(0, len(chips), _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, len(chips)))
        part = chips.batch(numbers).reshape(len(numbers), -1)
        own = np.einsum("ij,ij->i", part, part, dtype=np.int64)
        apart = squares[:, None] + own - 2.0 * (wanted @ part.astype(np.float32).T)
        best = np.concatenate([best, apart], axis=1)
        indices = np.concatenate([indices, np.broadcast_to(numbers, apart.shape)], axis=1)
        best, indices = _ordered(best, indices, count)
    # Large sums of float32 lose the small differences that matter most: those are taken again.
    found = chips.batch(indices.ravel()).reshape(*indices.shape, -1).astype(np.float64)
    exact = np.sqrt(np.square(found - wanted[:, None]).mean(axis=2))
    return Nearest(*_ordered(exact, indices, count)[::-1])


def _ordered(
    distances: NDArray[np.float64], indices: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the `count` smallest of each row, in order; of equal ones those that came first."""
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)


def nearest_other(chips: Chips, *, num: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return for up to `num` chips the distance to the nearest other one, as `nearest_chips`."""
    chosen = rng.permutation(len(chips))[:num]
    wanted = chips.batch(chosen).reshape(len(chosen), -1).astype(np.float32)
    best = np.full(len(chosen), np.inf)
    for first in range(0, len(chips), _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, len(chips)))
        part = chips.batch(numbers).reshape(len(numbers), -1).astype(np.float32)
        apart = (
            np.square(wanted).sum(axis=1)[:, None]
            + np.square(part).sum(axis=1)
            - 2 * (wanted @ part.T)
        )
        apart[chosen[:, None] == numbers] = np.inf
        best = np.minimum(best, apart.min(axis=1))
    out: NDArray[np.float64] = np.sqrt(np.maximum(best, 0) / wanted.shape[1])
    return out


def radial_spectrum(pictures: Pictures) -> NDArray[np.float64]:
    """Return the mean power of each spatial frequency, (size / 2 + 1,), over pictures and channels.

    Entry f holds waves of f periods across the picture, entry 0 the mean; the power is that of
    values in 0 to 1 with a Hann window over the deviation from each picture's mean, so that
    borders do not count as edges. Generators with the wrong upsampling show a rise at the end.

    Reference: Durall, Keuper and Keuper (2020), https://arxiv.org/abs/2003.01826.
    """
    size = pictures.shape[2]
    values = pictures.astype(np.float64) / 255
    means = values.mean(axis=(2, 3), keepdims=True)
    window = np.hanning(size + 1)[:-1]
    shaped = (values - means) * np.outer(window, window)
    power = np.abs(np.fft.fft2(shaped)) ** 2 / size**4
    frequency = np.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(frequency[:, None], frequency)).astype(np.int64)
    inside = ring <= size // 2
    mean_power = power.mean(axis=(0, 1))
    sums = np.bincount(ring[inside], mean_power[inside], minlength=size // 2 + 1)
    spectrum = sums / np.bincount(ring[inside], minlength=size // 2 + 1)
    spectrum[0] = float(np.square(means).mean())
    return np.asarray(spectrum)


def wasserstein_1d(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """Return the earth mover's distance of two sets of numbers, such as a critic's scores.

    Free of the sign that a critic's scores happen to have.
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(np.ravel(real), np.ravel(fake)))
