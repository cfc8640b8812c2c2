"""Generator against critic: what one batch does to the two networks.

Order of a batch, as fastai's WGAN has it: limit the critic's weights; then, in a critic's turn,
score the real pictures, generate, score those; in a generator's turn, generate and score. Both
networks are in training mode throughout, and a generator's turn uses up a batch of pictures too.
"""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.text import N_
from models import losses
from models.config import AdversaryConfig, NetworkConfig, Row
from models.engine import Engine
from models.optimisers import Optimisers
from models.plan import Place
from models.train import Draws
from models.wgan import networks

Turn = Literal["critic", "generator", "both"]


class Rhythm:
    """Whose turn it is: `critic_steps` batches for the critic, then one for the generator.

    As in fastai, an epoch starts the count anew but not the turn; a fit starts with the critic.
    """

    def __init__(self, critic_steps: int) -> None:
        self.critic_steps = critic_steps
        self.turn: Turn = "critic"
        self.done = 0

    def begin_fit(self) -> None:
        self.turn = "critic"

    def begin_epoch(self) -> None:
        self.done = 0

    def advance(self) -> None:
        """Count one batch."""
        self.done += 1
        if self.turn == "generator":
            self.turn, self.done = "critic", 0
        elif self.done == self.critic_steps:
            self.turn, self.done = "generator", 0


class Adversary:
    """Two networks, their optimisers and whose turn it is.

    Raises:
        InputError: A gradient penalty with a critic that normalises over the batch.
    """

    def __init__(
        self, shape: NetworkConfig, config: AdversaryConfig, engine: Engine, *, seed: int
    ) -> None:
        if config.penalty and shape.critic_norm == "batch":
            raise InputError(
                N_("A gradient penalty is one picture's own: the critic must not normalise over"
                   " the batch."),
                hint=N_("Choose layer norm, or none."),
            )  # fmt: skip
        self.shape, self.config, self.engine = shape, config, engine
        self._objective = losses.OBJECTIVES[config.objective]
        self.generator, self.critic = networks(shape, seed=seed)
        for network in (self.generator, self.critic):
            engine.placed(network).train()
        self.average = copy.deepcopy(self.generator).eval() if config.ema else None
        self.rhythm = Rhythm(config.critic_steps)
        self._scaler = engine.scaler()
        self._optimisers = Optimisers(
            {"generator": self.generator, "critic": self.critic},
            config.optimiser,
            betas=config.betas,
            scaler=self._scaler,
        )

    def begin_fit(self) -> None:
        self.rhythm.begin_fit()

    def begin_epoch(self) -> None:
        self.rhythm.begin_epoch()

    def enter(self, place: Place) -> None:
        """Do nothing: a step is the same wherever it lies."""

    @property
    def size_px(self) -> int:
        """Pixels of a side of the pictures that `sample` returns."""
        return self.shape.size_px

    def facts(self) -> Row:
        """Return what a row of figures should say of the networks: nothing that changes."""
        return {}

    def step(self, real: Tensor, draws: Draws, rate: float) -> dict[str, Tensor]:
        """Train with one batch (B, C, H, W) and return what was measured, scalars on the device.

        `critic`, `generator`: losses. `real`, `fake`: mean scores in a critic's turn. `penalty`
        is in `critic` no more than in the estimate of the distance: it is told by itself.
        `critic_gradient`, `generator_gradient`: norms. Only what this turn computed is there.
        """
        if self.config.clip is not None:
            parameters = [parameter.data for parameter in self.critic.parameters()]
            torch._foreach_clamp_min_(parameters, -self.config.clip)
            torch._foreach_clamp_max_(parameters, self.config.clip)
        turn: Turn = self.rhythm.turn if self._objective.alternates else "both"
        found: dict[str, Tensor] = {}
        z = draws.normal(len(real), self.shape.latent)
        z = z.to(self.engine.device, non_blocking=True)
        fake: Tensor | None = None
        if turn == "both":
            with self.engine.autocast():
                fake = self.generator(z)
        if turn != "generator":
            self._critic_step(real, z, fake, draws, rate, found)
        if turn != "critic":
            self._generator_step(z, fake, rate, found)
        self.rhythm.advance()
        return found

    def _critic_step(
        self, real: Tensor, z: Tensor, fake: Tensor | None, draws: Draws, rate: float,
        found: dict[str, Tensor],
    ) -> None:  # fmt: skip
        freeze(self.critic, frozen=False)
        with self.engine.autocast():
            real_scores = self.critic(real)
            if fake is None:
                with torch.no_grad():
                    fake = self.generator(z)
            fake = fake.detach()
            fake_scores = self.critic(fake)
        loss = self._objective.critic(real_scores.float(), fake_scores.float())
        found["critic"] = loss.detach()
        found["real"] = real_scores.detach().float().mean()
        found["fake"] = fake_scores.detach().float().mean()
        if self.config.penalty:
            shares = draws.uniform(len(real)).to(real.device, non_blocking=True)
            penalty = self.config.penalty * losses.gradient_penalty(self.critic, real, fake, shares)
            found["penalty"] = penalty.detach()
            loss = loss + penalty
        found["critic_gradient"] = self._optimisers.step("critic", loss, rate)

    def _generator_step(
        self, z: Tensor, fake: Tensor | None, rate: float, found: dict[str, Tensor]
    ) -> None:
        freeze(self.critic, frozen=True)
        with self.engine.autocast():
            scores = self.critic(self.generator(z) if fake is None else fake)
        loss = self._objective.generator(scores.float())
        found["generator"] = loss.detach()
        found["generator_gradient"] = self._optimisers.step("generator", loss, rate)
        if self.average is not None:
            follow(self.average, self.generator, self.config.ema)

    def sample(self, latents: Tensor) -> Tensor:
        """Return pictures (n, C, H, W) in [-1, 1] of latents (n, Z), drawn as a user would.

        From the moving average where there is one; norms use their running values, so that a
        picture depends on its own latent alone.
        """
        network = self.generator if self.average is None else self.average
        return self._in_parts(network, latents)

    def scores(self, pictures: Tensor) -> Tensor:
        """Return the critic's scores (n,) of pictures (n, C, H, W) in [-1, 1]."""
        found = self._in_parts(self.critic, pictures)
        return found.flatten()

    def _in_parts(self, network: nn.Module, inputs: Tensor, size: int = 128) -> Tensor:
        was_training = network.training
        network.eval()
        try:
            with torch.inference_mode(), self.engine.autocast():
                parts = [
                    network(inputs[at : at + size].to(self.engine.device)).float()
                    for at in range(0, len(inputs), size)
                ]
                return torch.cat(parts)
        finally:
            network.train(was_training)

    def clipped_share(self) -> float | None:
        """Return the share of the critic's weights that stand at the limit; None without one."""
        if self.config.clip is None:
            return None
        weights = torch.cat(
            [parameter.detach().flatten() for parameter in self.critic.parameters()]
        )
        return float((weights.abs() >= 0.999 * self.config.clip).float().mean())

    def weights(self) -> dict[str, Tensor]:
        """Return the networks' weights, by `generator.…`, `critic.…` and `average.…`."""
        return {
            f"{name}.{key}": value
            for name, network in self._named()
            for key, value in network.state_dict().items()
        }

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over weights; an average that is not among them starts as the generator.

        Raises:
            InputError: They are not of these networks; the message names what is amiss.
        """
        for name, network in self._named():
            prefix = f"{name}."
            part = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            if name == "average" and not part:
                part = self.generator.state_dict()
            load_network(network, part, name)

    def _named(self) -> Sequence[tuple[str, nn.Module]]:
        pairs: list[tuple[str, nn.Module]] = [
            ("generator", self.generator), ("critic", self.critic)
        ]  # fmt: skip
        return pairs if self.average is None else [*pairs, ("average", self.average)]

    def state(self) -> dict[str, Tensor]:
        """Return the optimisers' tensors."""
        return self._optimisers.tensors()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self._optimisers.load(tensors)

    def notes(self) -> dict[str, Any]:
        """Return the rest of the state, as JSON can hold it."""
        scaler = None if self._scaler is None else self._scaler.state_dict()
        return {"turn": self.rhythm.turn, "done": self.rhythm.done, "scaler": scaler}

    def load_notes(self, notes: dict[str, Any]) -> None:
        self.rhythm.turn, self.rhythm.done = notes["turn"], int(notes["done"])
        if self._scaler is not None and notes["scaler"]:
            self._scaler.load_state_dict(notes["scaler"])


def freeze(network: nn.Module, *, frozen: bool) -> None:
    """Spare the gradients of a network that only passes them on."""
    for parameter in network.parameters():
        parameter.requires_grad_(not frozen)


def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move an average towards a network; buffers, such as running means, are taken over."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
        for old, new in zip(average.buffers(), network.buffers(), strict=True):
            old.copy_(new)


def load_network(network: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Take over the weights of one network, all of them and no other.

    Raises:
        InputError: They are not of this network; the message names what is amiss.
    """
    own = network.state_dict()
    absent, foreign = own.keys() - weights.keys(), weights.keys() - own.keys()
    unlike = [k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape]
    wrong = sorted([*absent, *foreign, *unlike])
    if wrong:
        raise InputError(
            N_("These are not the weights of this {name}: {wrong} do not fit."),
            name=name,
            wrong=", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else ""),
        )
    network.load_state_dict(weights)
