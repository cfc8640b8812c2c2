"""A cycle of the document's WGAN: ours beside fastai's loop written out plainly, in one run.

    python -m benchmarks.training [--rounds 3] [--threads 1] [--device cpu] [--out FILE]

A cycle is five batches for the critic and one for the generator: pictures of 64 px, batch 128,
the document's networks. The reference is what fastai's GANLearner.wgan does with its optimiser,
tensor by tensor, in float32; it starts from the same weights and gets the same pictures and
latents. Each round runs every contender once, so that a busy moment hits all alike; the table
shows medians. How far the losses of the first cycle lie from the reference's is shown beside.
"""

import argparse
import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

try:
    import torch
except ModuleNotFoundError:  # the other benchmarks need none
    print("PyTorch is not installed: nothing to measure. It comes with `make models`.")
    raise SystemExit(0) from None
from torch import Tensor, nn

from core.settings import settings
from models.adversary import Adversary
from models.config import AdversaryConfig, NetworkConfig
from models.engine import Engine, engine
from models.train import Draws
from models.wgan import networks

BATCH, CRITIC_STEPS = 128, 5
RATE, CLIP = 1e-5, 0.01


class Plain:
    """fastai's loop: one optimiser over both networks, whose resting half keeps zero gradients."""

    def __init__(self, shape: NetworkConfig, device: torch.device) -> None:
        self.generator, self.critic = (copy.deepcopy(n).to(device) for n in networks(shape, seed=0))
        self._squares: dict[nn.Parameter, Tensor] = {}

    def step(self, real: Tensor, z: Tensor, *, is_critic: bool) -> Tensor:
        """Train with one batch and return the loss."""
        with torch.no_grad():
            for parameter in self.critic.parameters():
                parameter.clamp_(-CLIP, CLIP)
        for network, trains in ((self.generator, not is_critic), (self.critic, is_critic)):
            for parameter in network.parameters():
                parameter.requires_grad_(trains)
        if is_critic:
            loss = self.critic(real).mean() - self.critic(self.generator(z)).mean()
        else:
            loss = self.critic(self.generator(z)).mean()
        loss.backward()
        with torch.no_grad():
            for network in (self.generator, self.critic):
                for parameter in network.parameters():
                    self._follow(parameter)
        return loss.detach()

    def _follow(self, parameter: nn.Parameter) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        squares = self._squares.setdefault(parameter, torch.zeros_like(parameter))
        squares.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
        parameter.addcdiv_(gradient, squares.sqrt().add_(1e-8), value=-RATE)
        gradient.zero_()


@dataclass
class Contender:
    """A way to do a cycle, and what it took."""

    name: str
    cycle: Callable[[Tensor, Draws], list[float]]
    wall: list[float]
    cpu: list[float]
    first: list[float]


def reference(shape: NetworkConfig, device: torch.device) -> Contender:
    """Return fastai's loop."""
    plain = Plain(shape, device)

    def cycle(real: Tensor, draws: Draws) -> list[float]:
        losses = [
            plain.step(
                real, draws.normal(BATCH, shape.latent).to(device), is_critic=at < CRITIC_STEPS
            )
            for at in range(CRITIC_STEPS + 1)
        ]
        return torch.stack(losses).tolist()

    return Contender("fastai's loop, float32", cycle, [], [], [])


def ours(name: str, shape: NetworkConfig, place: Engine) -> Contender:
    """Return our step on an engine."""
    task = Adversary(shape, AdversaryConfig(), place, seed=0)
    task.begin_fit()

    def cycle(real: Tensor, draws: Draws) -> list[float]:
        shown = real.contiguous(memory_format=place.layout)
        task.begin_epoch()
        found = [task.step(shown, draws, RATE) for _ in range(CRITIC_STEPS + 1)]
        losses = [one["critic" if "critic" in one else "generator"] for one in found]
        return torch.stack(losses).tolist()

    return Contender(name, cycle, [], [], [])


def measure(contenders: list[Contender], real: Tensor, rounds: int) -> None:
    """Run every contender once a round; the first round warms up and gives the losses."""
    for number in range(rounds + 1):
        for one in contenders:
            draws = Draws(number)
            begun, used = time.perf_counter(), time.process_time()
            losses = one.cycle(real, draws)
            if number == 0:
                one.first = losses
            else:
                one.wall.append(time.perf_counter() - begun)
                one.cpu.append(time.process_time() - used)


def report(contenders: list[Contender], device: torch.device, rounds: int) -> str:
    """Return the table as Markdown."""
    base = contenders[0]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    lines = [
        "# A cycle of the document's WGAN",
        "",
        f"`python -m benchmarks.training`: 5 + 1 batches of {BATCH} pictures of 64 px; {name}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores (load "
        f"{os.getloadavg()[0]:.1f} at the end), Python {platform.python_version()}, PyTorch "
        f"{torch.__version__}; medians of {rounds} rounds in which the contenders take turns.",
        "",
        "| | wall s | CPU s | times as fast | largest difference of a loss |",
        "|---|---|---|---|---|",
    ]
    for one in contenders:
        apart = max(abs(a - b) for a, b in zip(one.first, base.first, strict=True))
        ratio = statistics.median(base.wall) / statistics.median(one.wall)
        lines.append(
            f"| {one.name} | {statistics.median(one.wall):.2f} | {statistics.median(one.cpu):.2f} "
            f"| {ratio:.2f} | {apart:.1e} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ["URBAN_PATTERN_THREADS"] = str(args.threads)
    settings.cache_clear()
    shape = NetworkConfig()
    automatic = engine(args.device, "auto", args.threads)
    device = automatic.device
    contenders = [
        reference(shape, device),
        ours("ours, exact", shape, engine(str(device), exact=True, threads=args.threads)),
        ours("ours, float32", shape, engine(str(device), "float32", args.threads)),
    ]
    if automatic.dtype is not None:
        contenders.append(ours(f"ours, {automatic.precision} (automatic)", shape, automatic))
    source = torch.Generator().manual_seed(0)
    real = torch.rand(BATCH, shape.channels, shape.size_px, shape.size_px, generator=source)
    measure(contenders, (real * 2 - 1).to(device), args.rounds)
    text = report(contenders, device, args.rounds)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
