"""The one loop that trains every model. It knows tensors and numbers; files are its watcher's.

A run is a row of *fits*, each some epochs long with a learning-rate schedule of its own; a run is
made longer by one more fit. One step is one batch. Everything that the next step depends on is in
the task and in `Memory`: both are saved and restored, and on a processor the steps after a break
are, to the bit, those that would have come without it.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from core.errors import JobError
from core.text import N_
from models.config import Row, TrainConfig
from models.data import Feeder
from models.plan import Best, Place, Plan, Smoothed, learning_rate

Outcome = Literal["finished", "stopped"]


class Task(Protocol):
    """What is trained: networks, their optimisers, and what one batch does to them."""

    def begin_fit(self) -> None: ...

    def begin_epoch(self) -> None: ...

    def enter(self, place: Place) -> None:
        """Take in where the next step lies."""
        ...

    def step(self, real: Tensor, draws: "Draws", rate: float) -> dict[str, Tensor]: ...


class Draws:
    """Random numbers of a run, drawn on the processor whatever the device, so all devices agree."""

    def __init__(self, seed: int) -> None:
        self._source = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._source)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._source)

    def state(self) -> Tensor:
        return self._source.get_state()

    def load_state(self, state: Tensor) -> None:
        self._source.set_state(state)


@dataclass(slots=True)
class Memory:
    """What a run must remember beside the weights."""

    draws: Draws
    best: Best
    step: int = 0
    seconds: float = 0.0
    """Spent in training, measuring and saving left out."""
    critic: Smoothed = field(default_factory=Smoothed)
    generator: Smoothed = field(default_factory=Smoothed)
    window: list[dict[str, float]] = field(default_factory=list)
    """What the steps since the last row measured."""

    def notes(self) -> dict[str, Any]:
        """Return all but the random state, as JSON can hold it."""
        return {
            "step": self.step, "seconds": self.seconds, "best": self.best.value,
            "critic": [self.critic.value, self.critic.count],
            "generator": [self.generator.value, self.generator.count],
            "window": self.window,
        }  # fmt: skip

    def load(self, notes: dict[str, Any], draws: Tensor) -> None:
        self.step, self.seconds = int(notes["step"]), float(notes["seconds"])
        self.best.value = notes["best"]
        self.critic, self.generator = Smoothed(*notes["critic"]), Smoothed(*notes["generator"])
        self.window = list(notes["window"])
        self.draws.load_state(draws)


class Watcher(Protocol):
    """Who is told how a run goes; it may stop it."""

    def should_stop(self) -> bool: ...

    def row(self, row: Row) -> None: ...

    def sample(self, step: int) -> None: ...

    def measure(self, step: int) -> None: ...

    def checkpoint(self, memory: Memory, *, is_best: bool) -> None: ...


def train(
    task: Task, feeder: Feeder, config: TrainConfig, memory: Memory, watcher: Watcher
) -> Outcome:
    """Train from `memory.step` to the end of the last fit, or until the watcher wants a stop.

    A checkpoint is asked for at its interval, at the end of a fit, at a better epoch and at a
    stop.

    Raises:
        JobError: A loss is no longer a number. The checkpoint before it is whole.
    """
    loop = _Loop(task, config, memory, watcher)
    plan = Plan(config.fits, feeder.per_epoch)
    while memory.step < plan.total:
        place = plan.place(memory.step)
        if place.batch == 0:
            if place.epoch_in_fit == 0:
                loop.begin_fit()
            task.begin_epoch()
        at = {"fit": place.fit, "epoch": place.epoch, "first": place.batch}
        with feeder.batches(**at) as batches:
            if loop.run(batches, plan) == "stopped":
                return "stopped"
    return "finished"


class _Loop:
    """One epoch after another; holds what the steps measured until somebody needs it."""

    def __init__(self, task: Task, config: TrainConfig, memory: Memory, watcher: Watcher) -> None:
        self._task, self._config, self._memory, self._watcher = task, config, memory, watcher
        self._pending: list[dict[str, Tensor]] = []

    def begin_fit(self) -> None:
        self._task.begin_fit()
        self._memory.critic, self._memory.generator = Smoothed(), Smoothed()
        self._memory.best.begin_fit()

    def run(self, batches: Iterator[Tensor], plan: Plan) -> Outcome:
        config, memory = self._config, self._memory
        begun = time.perf_counter()
        for real in batches:
            place = plan.place(memory.step)
            rate = learning_rate(config.schedule, place.share, config.lr)
            self._task.enter(place)
            shown = _flipped(real, memory.draws) if config.flips else real
            self._pending.append(self._task.step(shown, memory.draws, rate))
            memory.step += 1
            stops = self._watcher.should_stop()
            if not (stops or self._has_work(memory.step, place, plan)):
                continue
            self._settle()
            memory.seconds += time.perf_counter() - begun
            self._report(place, rate, plan, stops=stops)
            if stops:
                return "stopped"
            begun = time.perf_counter()
        return "finished"

    @staticmethod
    def _due(interval: int, step: int, place: Place) -> bool:
        return step % interval == 0 if interval else place.ends_epoch

    def _has_work(self, step: int, place: Place, plan: Plan) -> bool:
        config = self._config
        intervals = (
            config.log_every, config.sample_every, config.measure_every, config.checkpoint_every, 0
        )  # fmt: skip
        return step == plan.total or any(self._due(one, step, place) for one in intervals)

    def _settle(self) -> None:
        """Bring what the steps measured from the device, all at once, and take it in.

        Raises:
            JobError: Some of it is not a number.
        """
        memory = self._memory
        names = [(at, name) for at, one in enumerate(self._pending) for name in one]
        if not names:
            return
        values = torch.stack([self._pending[at][name] for at, name in names]).tolist()
        rows: list[dict[str, float]] = [{} for _ in self._pending]
        for (at, name), value in zip(names, values, strict=True):
            rows[at][name] = value
        self._pending = []
        for row in rows:
            if not all(math.isfinite(value) for value in row.values()):
                raise JobError(
                    N_("At step {step} the losses were no longer numbers."),
                    hint=N_("The last checkpoint is whole. Go on from it with a smaller learning"
                            " rate, or in float32."),
                    step=memory.step,
                )  # fmt: skip
            if "critic" in row:
                memory.critic.add(row["critic"])
            if "generator" in row:
                memory.generator.add(row["generator"])
        memory.window += rows

    def _report(self, place: Place, rate: float, plan: Plan, *, stops: bool) -> None:
        config, memory, step = self._config, self._memory, self._memory.step
        ends_epoch = place.ends_epoch
        ends_fit = ends_epoch and place.epoch_in_fit == plan.fits[place.fit] - 1
        is_best = False
        if ends_epoch:
            loss = memory.critic.mean()
            share = (place.epoch_in_fit + 1) / plan.fits[place.fit]
            is_best = loss is not None and memory.best.is_better(loss, share)
        if ends_epoch or self._due(config.log_every, step, place):
            self._watcher.row(self._row(place, rate, plan, is_best=is_best))
            memory.window = []
        if self._due(config.sample_every, step, place) or step == plan.total:
            self._watcher.sample(step)
        if self._due(config.measure_every, step, place) or step == plan.total:
            self._watcher.measure(step)
        if self._due(config.checkpoint_every, step, place) or ends_fit or is_best or stops:
            self._watcher.checkpoint(memory, is_best=is_best)

    def _row(self, place: Place, rate: float, plan: Plan, *, is_best: bool) -> Row:
        memory = self._memory
        names = {name for one in memory.window for name in one}
        means = {
            name: _mean([one[name] for one in memory.window if name in one])
            for name in sorted(names)
        }
        row: Row = {
            "step": memory.step,
            "images": plan.images(memory.step, self._config.batch_of),
            "fit": place.fit,
            "epoch": place.epoch,
            "seconds": round(memory.seconds, 3),
            "lr": rate,
            **means,
            "critic_smooth": memory.critic.mean(),
            "generator_smooth": memory.generator.mean(),
        }
        if place.ends_epoch:
            row |= {"ends_epoch": True, "is_best": is_best}
        return row


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _flipped(real: Tensor, draws: Draws) -> Tensor:
    """Mirror each picture left to right and top to bottom, each with a chance of a half."""
    chances = draws.uniform(2, len(real)).to(real.device, non_blocking=True)[:, :, None, None, None]
    real = torch.where(chances[0] < 0.5, real.flip(3), real)
    return torch.where(chances[1] < 0.5, real.flip(2), real)
