"""One measurement of a run: samples held against real chips, as a row of figures."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import metrics
from models.config import Row
from models.data import as_bytes, as_pictures
from models.sets import Chips, ShrunkChips
from models.train import Draws

_COUNT = 256
_COPIES = 64
_SHOWN = 8
_QUANTILES = np.linspace(0, 1, 41)


class Judged(Protocol):
    """What is judged: networks that make pictures and score them."""

    @property
    def size_px(self) -> int: ...

    def sample(self, latents: Tensor) -> Tensor: ...

    def scores(self, pictures: Tensor) -> Tensor: ...

    def clipped_share(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class _Real:
    """Real chips of one size, and what is known of them."""

    chips: Chips
    pictures: NDArray[np.uint8]
    usual: float
    """Median distance of a chip to the nearest other one."""


class Judge:
    """Measures samples of fixed latents against a fixed part of the chips.

    What does not change is taken once a size: the real chips, how far they keep apart.
    """

    def __init__(self, chips: Chips, task: Judged, *, latent: int, seed: int, samples: int) -> None:
        self._chips, self._task, self._seed = chips, task, seed
        self.latents: Tensor = Draws(seed + 1).normal(max(_COUNT, samples), latent)
        self.samples = samples
        self._by_size: dict[int, _Real] = {}
        self.real = self._at(chips.size_px).pictures

    def _at(self, size_px: int) -> _Real:
        if size_px not in self._by_size:
            rng = np.random.default_rng((self._seed, 1))
            chips = self._chips
            if size_px != chips.size_px:
                chips = ShrunkChips(chips, size_px)
            chosen = np.sort(rng.permutation(len(chips))[:_COUNT])
            usual = float(np.median(metrics.nearest_other(chips, num=_COPIES, rng=rng)))
            self._by_size[size_px] = _Real(chips, chips.batch(chosen), usual)
        return self._by_size[size_px]

    def facts(self) -> dict[str, Any]:
        """Return what is known of the real chips."""
        return {
            "count": len(self.real),
            "spectrum": metrics.radial_spectrum(self.real).tolist(),
            "nearest_other": self._at(self._chips.size_px).usual,
        }

    def sheet(self) -> NDArray[np.uint8]:
        """Return the pictures of the sample sheet, always of the same latents and one size."""
        pictures = as_bytes(self._task.sample(self.latents[: self.samples]))
        times = self._chips.size_px // self._task.size_px
        return pictures.repeat(times, axis=2).repeat(times, axis=3)

    def measured(self, step: int) -> tuple[Row, NDArray[np.uint8]]:
        """Measure and return a row, and the samples nearest to a chip with those chips.

        `swd`: sliced Wasserstein distances, a scale an entry; none below 16 px. `diversity`: see
        `metrics`. `nearest_ratio`: median distance of samples to their nearest chip over that of
        chips to theirs. `nearest`: the eight samples that lie nearest to a chip, with its number
        in the set. `spectrum`: of the samples. `real_scores`, `fake_scores`: 41 quantiles of the
        critic's scores. `score_distance`: their 1-D earth mover's distance. `clipped`: share of
        the critic's weights at the limit.

        Returns:
            The row, and pictures (2n, C, H, W): the samples of `nearest`, then their chips.
        """
        real = self._at(self._task.size_px)
        pictures = self._task.sample(self.latents[:_COUNT])
        fake = as_bytes(pictures)
        rng = np.random.default_rng((self._seed, 2))
        scales = []
        if self._task.size_px >= metrics.SMALLEST:
            metres = real.chips.metres_per_px
            scales = metrics.sliced_wasserstein(real.pictures, fake, rng=rng, metres_per_px=metres)
        nearest = metrics.nearest_chips(fake[:_COPIES], real.chips)
        chosen, far = nearest.indices[:, 0], nearest.distances[:, 0]
        shown = np.argsort(far, kind="stable")[:_SHOWN]
        chips = as_pictures(torch.from_numpy(real.pictures))
        real_scores = self._task.scores(chips).cpu().numpy()
        fake_scores = self._task.scores(pictures).cpu().numpy()
        row = {
            "step": step,
            "swd": [
                {"size_px": one.size_px, "metres": one.metres, "distance": one.distance}
                for one in scales
            ],
            "swd_mean": float(np.mean([one.distance for one in scales])) if scales else None,
            "diversity": _number(metrics.diversity(real.pictures, fake, rng=rng)),
            "nearest_ratio": _number(float(np.median(far)) / real.usual) if real.usual else None,
            "nearest": [
                {
                    "sample": int(at),
                    "chip": int(chosen[at]),
                    "distance": float(far[at]),
                }
                for at in shown
            ],
            "spectrum": metrics.radial_spectrum(fake).tolist(),
            "real_scores": np.quantile(real_scores, _QUANTILES).tolist(),
            "fake_scores": np.quantile(fake_scores, _QUANTILES).tolist(),
            "score_distance": metrics.wasserstein_1d(real_scores, fake_scores),
            "clipped": self._task.clipped_share(),
        }
        return row, np.concatenate([fake[shown], real.chips.batch(chosen[shown])])


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
