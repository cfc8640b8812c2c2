"""One measurement of a run: samples held against real chips, as a row of figures."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import metrics
from models.adversary import Adversary
from models.config import Row
from models.data import as_bytes, as_pictures
from models.sets import Chips
from models.train import Draws

_COUNT = 256
_COPIES = 64
_SHOWN = 8
_QUANTILES = np.linspace(0, 1, 41)


class Judge:
    """Measures samples of fixed latents against a fixed part of the chips.

    What does not change is taken once: the real chips, their spectrum, how far they keep apart.
    """

    def __init__(self, chips: Chips, task: Adversary, *, seed: int, samples: int) -> None:
        rng = np.random.default_rng((seed, 1))
        self._chips, self._task, self._seed = chips, task, seed
        chosen = np.sort(rng.permutation(len(chips))[:_COUNT])
        self.real: NDArray[np.uint8] = chips.batch(chosen)
        self.latents: Tensor = Draws(seed + 1).normal(max(_COUNT, samples), task.shape.latent)
        self.samples = samples
        self._usual = float(np.median(metrics.nearest_other(chips, num=_COPIES, rng=rng)))

    def facts(self) -> dict[str, Any]:
        """Return what is known of the real chips."""
        return {
            "count": len(self.real),
            "spectrum": metrics.radial_spectrum(self.real).tolist(),
            "nearest_other": self._usual,
        }

    def sheet(self) -> NDArray[np.uint8]:
        """Return the pictures of the sample sheet, always of the same latents."""
        return as_bytes(self._task.sample(self.latents[: self.samples]))

    def measured(self, step: int) -> tuple[Row, NDArray[np.uint8]]:
        """Measure and return a row, and the samples nearest to a chip with those chips.

        `swd`: sliced Wasserstein distances, a scale an entry. `diversity`: see `metrics`.
        `nearest_ratio`: median distance of samples to their nearest chip over that of chips to
        theirs. `nearest`: the eight samples that lie nearest to a chip, with its number in the
        set. `spectrum`: of the samples. `real_scores`, `fake_scores`: 41 quantiles of the
        critic's scores. `score_distance`: their 1-D earth mover's distance. `clipped`: share of
        the critic's weights at the limit.

        Returns:
            The row, and pictures (2n, C, H, W): the samples of `nearest`, then their chips.
        """
        pictures = self._task.sample(self.latents[:_COUNT])
        fake = as_bytes(pictures)
        rng = np.random.default_rng((self._seed, 2))
        scales = metrics.sliced_wasserstein(
            self.real, fake, rng=rng, metres_per_px=self._chips.metres_per_px
        )
        nearest = metrics.nearest_chips(fake[:_COPIES], self._chips)
        shown = np.argsort(nearest.distances, kind="stable")[:_SHOWN]
        real_scores = self._task.scores(as_pictures(torch.from_numpy(self.real))).cpu().numpy()
        fake_scores = self._task.scores(pictures).cpu().numpy()
        row = {
            "step": step,
            "swd": [
                {"size_px": one.size_px, "metres": one.metres, "distance": one.distance}
                for one in scales
            ],
            "swd_mean": float(np.mean([one.distance for one in scales])),
            "diversity": _number(metrics.diversity(self.real, fake, rng=rng)),
            "nearest_ratio": _number(float(np.median(nearest.distances)) / self._usual)
            if self._usual
            else None,
            "nearest": [
                {
                    "sample": int(at),
                    "chip": int(nearest.indices[at]),
                    "distance": float(nearest.distances[at]),
                }
                for at in shown
            ],
            "spectrum": metrics.radial_spectrum(fake).tolist(),
            "real_scores": np.quantile(real_scores, _QUANTILES).tolist(),
            "fake_scores": np.quantile(fake_scores, _QUANTILES).tolist(),
            "score_distance": metrics.wasserstein_1d(real_scores, fake_scores),
            "clipped": self._task.clipped_share(),
        }
        return row, np.concatenate([fake[shown], self._chips.batch(nearest.indices[shown])])


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
