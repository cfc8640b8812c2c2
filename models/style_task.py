"""StyleGAN's way with a batch: real pictures at the depth that is trained, both networks, the mean.

Every batch trains the discriminator and then the generator, with one set of generated pictures for
both. What is drawn at random (latents, which layers are mixed, noise) comes from the run's draws in
a fixed order, so that a run goes on to the bit.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models import style_losses
from models.adversary import follow, freeze, load_network
from models.config import Row
from models.engine import Engine
from models.optimisers import Optimisers
from models.plan import Place
from models.progressive import alpha_at, depth_of_fit, size_of_depth
from models.style_config import StyleAdversary, StyleNetworks
from models.style_layers import enlarged
from models.stylegan import StyleGenerator, style_networks
from models.train import Draws

_AT_ONCE = 32
_SHOWN_NOISE = 0


class StyleTask:
    """Generator, its moving average, discriminator, their optimisers, and the depth now trained."""

    def __init__(
        self, shape: StyleNetworks, config: StyleAdversary, engine: Engine, *, seed: int
    ) -> None:
        self.shape, self.config, self.engine = shape, config, engine
        self._objective = style_losses.OBJECTIVES[config.objective]
        self.generator, self.critic = style_networks(shape, seed=seed)
        for network in (self.generator, self.critic):
            engine.placed(network).train()
        self.average: StyleGenerator = copy.deepcopy(self.generator).eval()
        self.depth = depth_of_fit(0, shape, config)
        self.alpha = 1.0
        self._steps = 0
        self._scaler = engine.scaler()
        self._optimisers = Optimisers(
            {"generator": self.generator, "critic": self.critic},
            config.optimiser,
            betas=config.betas,
            scaler=self._scaler,
        )

    def begin_fit(self) -> None:
        """Do nothing: where a step lies says all."""

    def begin_epoch(self) -> None:
        """Do nothing: where a step lies says all."""

    def enter(self, place: Place) -> None:
        """Choose depth and share of the newest layers for the next step."""
        self.depth = depth_of_fit(place.fit, self.shape, self.config)
        self.alpha = alpha_at(place, self.shape, self.config)

    @property
    def size_px(self) -> int:
        """Pixels of a side of the pictures that `sample` returns."""
        return size_of_depth(self.depth)

    def facts(self) -> Row:
        """Return what a row of figures should say: depth, its share, its pixels."""
        return {"depth": self.depth, "alpha": self.alpha, "size_px": self.size_px}

    def step(self, real: Tensor, draws: Draws, rate: float) -> dict[str, Tensor]:
        """Train with one batch (B, C, H, W) of full size and return what was measured.

        `critic`, `generator`: losses, the critic's with R1 where it was taken, which `penalty`
        tells by itself. `real`, `fake`: mean scores. `critic_gradient`, `generator_gradient`:
        norms, before they are limited.
        """
        if self.config.turns:
            real = turned(real, draws)
        real = at_depth(real, self.depth, self.alpha, top=self.shape.depths - 1)
        real = real.contiguous(memory_format=self.engine.layout)
        with self.engine.autocast():
            fake = self._generated(len(real), draws)
        found: dict[str, Tensor] = {}
        self._critic_step(real, fake.detach(), rate, found)
        self._generator_step(real, fake, rate, found)
        self._steps += 1
        return found

    def _generated(self, num: int, draws: Draws) -> Tensor:
        """Make pictures as training wants them: mixed, drawn in, with noise of their own."""
        config, device = self.config, self.engine.device
        z, other = draws.normal(2, num, self.shape.latent).to(device, non_blocking=True)
        chance, place = draws.uniform(2).tolist()
        layers = 2 * (self.depth + 1)
        noises = [
            draws.normal(num, 1, size, size).to(device, non_blocking=True)
            for size in (size_of_depth(at // 2) for at in range(layers))
        ]
        first = layers
        if chance < config.mixing:
            first = 1 + int(place * layers)  # one of 1 … layers, each as likely
        styles = training_styles(
            self.generator, z, other, first=min(first, layers), config=config, layers=layers
        )
        out: Tensor = self.generator.g_synthesis(styles, noises, depth=self.depth, alpha=self.alpha)
        return out

    def _scores(self, pictures: Tensor) -> Tensor:
        with self.engine.autocast():
            scores: Tensor = self.critic(pictures, depth=self.depth, alpha=self.alpha)
        return scores if self.engine.dtype is None else scores.float()

    def _critic_step(
        self, real: Tensor, fake: Tensor, rate: float, found: dict[str, Tensor]
    ) -> None:
        config = self.config
        freeze(self.critic, frozen=False)
        takes_penalty = (
            config.objective == "logistic"
            and config.penalty > 0
            and self._steps % config.penalty_every == 0
        )
        real = real.requires_grad_(takes_penalty)
        real_scores, fake_scores = self._scores(real), self._scores(fake)
        loss = self._objective.critic(real_scores, fake_scores)
        if takes_penalty:
            penalty = style_losses.r1(real_scores, real)
            penalty = 0.5 * config.penalty * config.penalty_every * penalty
            found["penalty"] = penalty.detach()
            loss = loss + penalty
        found["critic"] = loss.detach()
        found["real"], found["fake"] = real_scores.detach().mean(), fake_scores.detach().mean()
        found["critic_gradient"] = self._optimisers.step("critic", loss, rate)

    def _generator_step(
        self, real: Tensor, fake: Tensor, rate: float, found: dict[str, Tensor]
    ) -> None:
        freeze(self.critic, frozen=True)
        needs_real = self._objective.generator_needs_real
        with torch.no_grad():
            real_scores = self._scores(real.detach()) if needs_real else None
        loss = self._objective.generator(real_scores, self._scores(fake))
        found["generator"] = loss.detach()
        found["generator_gradient"] = self._optimisers.step(
            "generator", loss, rate, clip_norm=self.config.clip_norm
        )
        follow(self.average, self.generator, self.config.ema)

    def sample(self, latents: Tensor) -> Tensor:
        """Return pictures (n, C, h, w) of the moving average at the depth and share of now.

        About -1 to 1. Noise is the same for every picture and every call; styles are not drawn in.
        """
        noises = fixed_noises(self.depth, self.engine.device)
        with torch.inference_mode(), self.engine.autocast():
            parts = [
                self.average(part.to(self.engine.device), noises, depth=self.depth,
                             alpha=self.alpha).float()
                for part in latents.split(_AT_ONCE)
            ]  # fmt: skip
        return torch.cat(parts)

    def scores(self, pictures: Tensor) -> Tensor:
        """Return the discriminator's scores (n,) of pictures (n, C, h, w) of the present depth."""
        with torch.inference_mode():
            parts = [self._scores(part.to(self.engine.device)) for part in pictures.split(_AT_ONCE)]
        return torch.cat(parts).flatten()

    def clipped_share(self) -> float | None:
        """Return None: no weight has a limit."""
        return None

    def weights(self) -> dict[str, Tensor]:
        """Return the networks' weights, by `generator.…`, `critic.…` and `average.…`."""
        return {
            f"{name}.{key}": value
            for name, network in self._named().items()
            for key, value in network.state_dict().items()
        }

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over weights; networks that are not among them stay, or follow the generator.

        Raises:
            InputError: They are not of these networks; the message names what is amiss.
        """
        for name, network in self._named().items():
            prefix = f"{name}."
            part = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            if name == "average" and not part:
                part = self.generator.state_dict()
            if part:
                load_network(network, part, name)

    def _named(self) -> dict[str, torch.nn.Module]:
        return {"generator": self.generator, "critic": self.critic, "average": self.average}

    def state(self) -> dict[str, Tensor]:
        """Return the optimisers' tensors."""
        return self._optimisers.tensors()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self._optimisers.load(tensors)

    def notes(self) -> dict[str, Any]:
        """Return the rest of the state, as JSON can hold it."""
        scaler = None if self._scaler is None else self._scaler.state_dict()
        return {"steps": self._steps, "depth": self.depth, "alpha": self.alpha, "scaler": scaler}

    def load_notes(self, notes: dict[str, Any]) -> None:
        self._steps, self.depth = int(notes["steps"]), int(notes["depth"])
        self.alpha = float(notes["alpha"])
        if self._scaler is not None and notes["scaler"]:
            self._scaler.load_state_dict(notes["scaler"])


def training_styles(
    generator: StyleGenerator, z: Tensor, other: Tensor, *, first: int, layers: int,
    config: StyleAdversary,
) -> Tensor:  # fmt: skip
    """Return styles (B, L, S) as training wants them, and move the mean style on.

    Layers from `first` on take the style of `other`; then layers below the cutoff are drawn in
    towards the mean, which follows the first style of the batch.
    """
    own: Tensor = generator.g_mapping(z)
    mean = generator.truncation.avg_latent
    with torch.no_grad():
        mean.copy_(config.mean_keep * mean + (1 - config.mean_keep) * own[0])
    styles = own[:, None].expand(-1, layers, -1)
    at = torch.arange(layers, device=z.device)[None, :, None]
    if first < layers:
        styles = torch.where(at < first, styles, generator.g_mapping(other)[:, None])
    if 0 < config.psi < 1:
        drawn_in = torch.lerp(mean.to(styles.dtype), styles, config.psi)
        styles = torch.where(at < config.cutoff, drawn_in, styles)
    return styles


def at_depth(real: Tensor, depth: int, alpha: float, *, top: int) -> Tensor:
    """Bring pictures of full size to a depth: means of pixels, mixed with the depth below."""
    if depth < top:
        real = functional.avg_pool2d(real, 2 ** (top - depth))
    if depth and alpha < 1:
        real = alpha * real + (1 - alpha) * enlarged(functional.avg_pool2d(real, 2))
    return real


def turned(real: Tensor, draws: Draws) -> Tensor:
    """Turn each picture by none, one, two or three quarters, each as likely."""
    quarters = (draws.uniform(len(real)) * 4).long().clamp(max=3).to(real.device)
    quarters = quarters[:, None, None, None]
    out = real
    for number in (1, 2, 3):
        out = torch.where(quarters == number, real.rot90(number, (2, 3)), out)
    return out


def fixed_noises(depth: int, device: torch.device, *, seed: int = _SHOWN_NOISE) -> list[Tensor]:
    """Return the noise (1, 1, r, r) of every layer up to a depth, always the same for a seed.

    Layers are drawn one after the other, the coarsest first, so that a depth has the noise of the
    depths below. NumPy's old generator: its numbers are the same in every version.
    """
    source = np.random.RandomState(seed)
    sizes = (size_of_depth(at // 2) for at in range(2 * (depth + 1)))
    return [
        torch.from_numpy(source.randn(1, 1, size, size).astype(np.float32)).to(device)
        for size in sizes
    ]
