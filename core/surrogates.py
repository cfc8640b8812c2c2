"""Zones that look like a zone but lie elsewhere: a null that keeps spatial autocorrelation.

A zone is patchy, and so are the clusters under it; dealing its squares out one by one would call
almost any overlap significant. These surrogates have as many squares as the zone, and as nearly as
can be the same share of like pairs at every distance, but otherwise know nothing of where it lies.

How: the zone is read as the part of a stationary Gaussian field above a threshold. The share of
pairs at distance h that both lie in the zone fixes the field's correlation at h (Sheppard's
formula for two normal variables), smoothed by a sum of exponential and Gaussian models. Fields of
that correlation are drawn by Fourier transform on a torus large enough that its seam is never
seen, and cut where as many squares lie above.

References: the truncated Gaussian model, Matheron et al. (1987), SPE 16753; circulant embedding,
Dietrich and Newsam (1997), SIAM J. Sci. Comput. 18(4); a null by surrogates that keep the
variogram, Viladomat et al. (2014), Biometrics 70(2), 409-418, and Burt et al. (2020), NeuroImage
220, 117038. It supposes that the zone is patchy alike in all directions and all over the area; a
trend across the whole area is not kept.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import nnls
from scipy.special import ndtri

from core.errors import InputError
from core.hotspots.permute import OnProgress, ShouldStop, refuse_long, run_blocks
from core.text import N_

_BLOCK = 8
_ANGLES = 2001
_SCALES = 24
_SECONDS_A_CELL = 6e-8


@dataclass(frozen=True, slots=True, eq=False)
class ZoneModel:
    """The Gaussian field whose upper part looks like a zone."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    """(N,), both counted from 0."""
    num_cozy: int
    amplitude: NDArray[np.float32]
    """Square root of the field's spectrum on the torus."""
    range_squares: int
    """Distance in squares at which likeness ends."""

    def __len__(self) -> int:
        return len(self.rows)

    def estimate_seconds(self, num: int) -> float:
        """Return about how long `num` surrogates take on one thread."""
        return num * self.amplitude.size * _SECONDS_A_CELL


def fit_zone(
    zone: NDArray[np.bool_], rows: NDArray[np.integer], cols: NDArray[np.integer]
) -> ZoneModel:
    """Return the model of a zone.

    Args:
        zone: (N,) squares that belong to it.
        rows: (N,) of the lattice.
        cols: (N,) of the lattice.

    Raises:
        InputError: The zone is empty or everything.
    """
    count = int(zone.sum())
    if not 0 < count < len(zone):
        raise InputError(
            N_("A zone of {count:,} of {all:,} squares cannot be compared with chance."),
            count=count,
            all=len(zone),
        )
    row, col = (np.asarray(axis, np.int64) - int(axis.min()) for axis in (rows, cols))
    shape = (int(row.max()) + 1, int(col.max()) + 1)
    share = count / len(zone)
    at, likeness = _likeness(zone.astype(np.float64) - share, row, col, shape)
    likeness /= share * (1.0 - share)
    gone = np.flatnonzero(likeness <= 0)
    end = int(gone[0]) if len(gone) else len(likeness) - 1
    near = slice(0, end + 1)
    wanted = np.append(_gaussian(likeness[:end], share), 0.0)
    scales, weights = _mixture(at[near], wanted)
    reach = max(1, math.ceil(at[end]))
    torus = tuple(fft.next_fast_len(side + reach + 1) for side in shape)
    dy, dx = (np.minimum(np.arange(side), side - np.arange(side)) for side in torus)
    distance = np.hypot(dy[:, None], dx[None, :])
    field = np.zeros(torus)
    for (scale, power), weight in zip(scales, weights, strict=True):
        if weight > 0:
            field += weight * np.exp(-((distance / scale) ** power))
    # Only the seam of the torus leaves a trace of negative power.
    spectrum = np.maximum(fft.fft2(field).real, 0.0)
    return ZoneModel(row, col, count, np.sqrt(spectrum).astype(np.float32), reach)


def for_each_surrogate(
    model: ZoneModel,
    use: Callable[[int, NDArray[np.intp]], None],
    *,
    num: int,
    seed: int = 0,
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Call `use(i, squares)` with the positions of the squares of surrogate i, i from 0 on.

    Called from several threads, in any order; surrogate i is the same on any number of them.

    Raises:
        TooLargeError: It would take longer than five minutes.
        StoppedError: `should_stop` said so.
    """
    refuse_long(num, model.estimate_seconds(num))

    def work(first: int) -> None:
        for pair in range(first // 2, min(first + _BLOCK, num + 1) // 2):
            # Real and imaginary part of one transform are two independent fields.
            for half, squares in enumerate(_pair(model, np.random.default_rng([seed, pair]))):
                if 2 * pair + half < num:
                    use(2 * pair + half, squares)

    run_blocks(work, num, _BLOCK, threads, on_progress, should_stop)


def _pair(model: ZoneModel, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    noise = rng.standard_normal((*model.amplitude.shape, 2), np.float32)
    waves = noise.view(np.complex64)[..., 0]
    field = fft.ifft2(waves * model.amplitude)[model.rows, model.cols]
    rest = len(model) - model.num_cozy
    return [np.argpartition(part, rest)[rest:] for part in (field.real, field.imag)]


def _likeness(
    values: NDArray[np.float64],
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    shape: tuple[int, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances up to half the extent, and the mean product of two squares that far apart.

    Pairs are gathered by distance, to half a square.
    """
    farthest = max(1, min(shape) // 2)
    size = tuple(fft.next_fast_len(side + farthest + 1, real=True) for side in shape)
    pairs = []
    for column in (values, np.ones(len(values))):
        grid = np.zeros(size)
        grid[row, col] = column
        waves = fft.rfft2(grid)
        pairs.append(fft.irfft2(waves * waves.conj(), s=size)[: farthest + 1, :])
    dy = np.arange(farthest + 1)
    dx = np.minimum(np.arange(size[1]), size[1] - np.arange(size[1]))
    distance = np.hypot(dy[:, None], dx[None, :])
    near = distance <= farthest
    total, number = (part[near] for part in pairs)
    number = np.maximum(np.rint(number), 0.0)
    bins = np.rint(2.0 * distance[near]).astype(np.int64)
    far, product, many = (
        np.bincount(bins, weights=part) for part in (number * distance[near], total, number)
    )
    known = many > 0
    return far[known] / many[known], product[known] / many[known]


def _mixture(
    at: NDArray[np.float64], wanted: NDArray[np.float64]
) -> tuple[list[tuple[float, float]], NDArray[np.float64]]:
    """Return (scale, power) and weights of the exp(-(h / scale)^power) whose sum is a correlation.

    Weights are not negative and their sum is 1, so that the sum is the correlation of some field,
    which the noisy one as it was found never is. The smallest scale stands for noise square by
    square.
    """
    widest = max(2.0, float(at[-1]))
    steps = np.geomspace(0.75, 1.5 * widest, _SCALES)
    scales = [(0.1, 1.0)] + [(float(step), power) for power in (1.0, 2.0) for step in steps]
    shapes = np.stack([np.exp(-((at / scale) ** power)) for scale, power in scales], axis=1)
    heavy = 100.0
    weights = nnls(
        np.vstack([shapes, np.full(len(scales), heavy)]), np.append(wanted, heavy), maxiter=10_000
    )[0]
    return scales, np.asarray(weights / weights.sum(), np.float64)


def _gaussian(likeness: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return the correlation of two normal variables whose upper parts are that much alike.

    P(both above t) - share^2 is the integral of exp(-t^2 / (1 + sin a)) / (2 pi) over a from 0 to
    the arc sine of the correlation.
    """
    angle = np.linspace(0.0, np.pi / 2, _ANGLES)
    height = np.exp(-(float(ndtri(share)) ** 2) / (1.0 + np.sin(angle))) / (2 * np.pi)
    step = angle[1] - angle[0]
    both = np.concatenate([[0.0], np.cumsum((height[1:] + height[:-1]) / 2 * step)])
    return np.interp(likeness, both / both[-1], np.sin(angle))
