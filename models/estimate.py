"""What a run would take, before it is started: time and memory. No PyTorch is loaded.

Multiplications are counted from the shapes of the networks; how many a device does in a second is
learnt from the runs that were made on it, or taken from a measurement on another machine.
"""

import json
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from core import store
from core.errors import AppError
from core.text import N_
from models import runs, style_estimate
from models.config import AdversaryConfig, NetworkConfig, RunConfig
from models.style_config import StyleNetworks

_SMALLEST = 4
_TAIL = 64 << 10
_BACKWARD = 2
"""Work of the way back, in ways forth: one for the inputs, one for the weights."""
# One thread of a server processor of 2023, PyTorch 2.13, see docs/benchmarks.md: the published
# WGAN did 61 thousand million a second in float32, and a step of a narrow network costs this much
# besides.
_USUAL_PER_S, _STEP_S = 60e9, 0.025
_USUAL_MEASURE_S = 2.5
# A process on the processor before its first measurement; a measurement's arrays, by the numbers in
# its pictures (seen in runs of 64 px and 4 channels: 680 and 200 MB).
_PROCESS_MB = 650
_MEASURED, _MEASURE_BYTES = 256, 48


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a device is, by a run that was made on it."""

    run: str
    """Title of the run; empty where no run was made here and another machine's speed is taken."""
    device: str
    kind: str
    """The run's model."""
    per_s: float
    """Multiplications a second, everything included."""
    measure_s: float
    """Seconds for measuring, drawing and saving at the end of an epoch."""


OTHER_MACHINE = Speed("", "cpu", "", _USUAL_PER_S, _USUAL_MEASURE_S)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take."""

    steps: int
    seconds: float
    memory_mb: float
    """Of the GPU, or of the process where it computes on the processor."""
    disk_mb: float
    """Checkpoints and sheets."""


def estimate(config: RunConfig, count: int, speed: Speed) -> Estimate:
    """Return about what a run on `count` pictures takes on a device of a known speed."""
    training = config.training
    per_epoch = [max(count // training.batch_of(fit), 1) for fit in range(len(training.fits))]
    epochs = sum(training.fits)
    steps = sum(map(operator.mul, training.fits, per_epoch))
    work = step_work(config)
    step_s = work / speed.per_s + (0.0 if speed.run else _STEP_S)
    measured = steps / training.measure_every if training.measure_every else epochs
    weights = sum(parameters(config.networks))
    size = config.networks.channels * config.networks.size_px**2
    # Weights, their gradients, the optimiser's state; what a step's layers put out, kept for the
    # way back, of the real pictures, the generated ones and the generator; all pictures.
    copies = 4 if config.adversary.optimiser == "adam" else 3
    activations = 3 * training.batch * _outputs(config.networks) * (2 if _penalised(config) else 1)
    memory = 4 * (copies * weights + activations) + count * size
    if not speed.device.startswith("cuda"):
        memory += (_PROCESS_MB << 20) + _MEASURE_BYTES * _MEASURED * size
    state = 4 * weights * (3 if config.adversary.optimiser == "adam" else 2)
    sampled = steps / training.sample_every if training.sample_every else epochs
    sheets = sampled * training.samples * size
    return Estimate(
        steps=steps,
        seconds=steps * step_s + measured * speed.measure_s,
        memory_mb=memory / (1 << 20),
        disk_mb=((3 + len(training.fits)) * state + 0.8 * sheets) / (1 << 20),
    )


Doubt = tuple[str, dict[str, object]]
"""A template (marked with `N_`) and what fills it."""

_HIGHEST_RATES = {"adam": 2e-3, "shared-rmsprop": 1e-3}
_HIGHEST_STYLE_RATE = 1e-2
_FEW_CHIPS = 200
_LONG_S = 2 * 86_400


def doubts(config: RunConfig, count: int, expected: Estimate | None) -> list[Doubt]:
    """Return what speaks against settings that are possible, a sentence each."""
    training = config.training
    found: list[Doubt] = []
    most = _HIGHEST_RATES[config.adversary.optimiser]
    if config.model == "stylegan":
        most = _HIGHEST_STYLE_RATE
    if training.lr > most:
        found.append((
            N_("A learning rate of {lr:g} is above what such networks bear ({most:g}): expect"
               " losses that are no numbers."),
            {"lr": training.lr, "most": most},
        ))  # fmt: skip
    networks = config.networks
    is_normed = isinstance(networks, NetworkConfig) and networks.critic_norm == "batch"
    if training.batch < 8 and is_normed:
        found.append((
            N_("Batch norm needs more than {batch} pictures a batch to mean anything; take at"
               " least 8."),
            {"batch": training.batch},
        ))  # fmt: skip
    if count < _FEW_CHIPS:
        found.append((
            N_("{count} pictures are few: the generator will soon repeat them."), {"count": count}
        ))  # fmt: skip
    if expected is None:
        return found
    if expected.seconds > _LONG_S:
        found.append((
            N_("It would take about {days:.0f} days on this device."),
            {"days": expected.seconds / 86_400},
        ))  # fmt: skip
    memory_mb = psutil.virtual_memory().total / (1 << 20)
    if expected.memory_mb > 0.9 * memory_mb and not config.device.startswith("cuda"):
        found.append((
            N_("It would need about {needed:.1f} GB of memory; this machine has {there:.1f} GB."),
            {"needed": expected.memory_mb / 1000, "there": memory_mb / 1000},
        ))  # fmt: skip
    return found


def step_work(config: RunConfig) -> float:
    """Return about how many multiplications the mean step of a run takes."""
    if not isinstance(config.networks, NetworkConfig):
        return style_estimate.step_work(config)
    assert isinstance(config.adversary, AdversaryConfig)
    generator, critic = forward_work(config.networks)
    there_and_back = 1 + _BACKWARD
    # The critic sees real and generated pictures; the penalty goes through it and back, twice.
    of_critic = generator + 2 * there_and_back * critic
    if _penalised(config):
        of_critic += 2 * there_and_back * critic
    of_generator = there_and_back * (generator + critic)
    turns = config.adversary.critic_steps
    if config.adversary.objective == "wasserstein":
        mean = (turns * of_critic + of_generator) / (turns + 1)
    else:
        mean = of_critic + of_generator - generator  # both learn from the same pictures
    return config.training.batch * mean


def forward_work(config: NetworkConfig) -> tuple[float, float]:
    """Return the multiplications of one picture's way through generator and critic."""
    generator = sum(inputs * outputs * size**2 * places
                    for inputs, outputs, size, places, _ in _generator(config))  # fmt: skip
    critic = sum(inputs * outputs * size**2 * places
                 for inputs, outputs, size, places, _ in _critic(config))  # fmt: skip
    return float(generator), float(critic)


def parameters(config: NetworkConfig | StyleNetworks) -> tuple[int, int]:
    """Return how many weights generator and critic have, norms included."""
    if isinstance(config, StyleNetworks):
        return style_estimate.parameters(config)
    generator = sum(a * b * size**2 + 2 * b for a, b, size, _, _ in _generator(config))
    generator -= 2 * config.channels  # no norm after the last layer
    critic_layers = _critic(config)
    critic = sum(a * b * size**2 for a, b, size, _, _ in critic_layers)
    normed = critic_layers[1:-1]
    if config.critic_norm == "none":
        critic += sum(b for _, b, _, _, _ in normed)
    else:
        critic += sum(2 * b for _, b, _, _, _ in normed)
    return generator, critic + config.critic_width + 1


Layer = tuple[int, int, int, int, int]
"""Channels in and out, side of the kernel, places it is laid on, side of the output."""


def _generator(config: NetworkConfig) -> list[Layer]:
    width = config.generator_width * config.size_px // (2 * _SMALLEST)
    side = _SMALLEST
    layers = [(config.latent, width, 4, 1, side)]
    while side < config.size_px // 2:
        layers.append((width, width // 2, 4, side**2, 2 * side))
        width, side = width // 2, 2 * side
    layers += [(width, width, 3, side**2, side)] * config.extra_layers
    return [*layers, (width, config.channels, 4, side**2, 2 * side)]


def _critic(config: NetworkConfig) -> list[Layer]:
    width, side = config.critic_width, config.size_px // 2
    layers = [(config.channels, width, 4, side**2, side)]
    layers += [(width, width, 3, side**2, side)] * config.extra_layers
    while side > _SMALLEST:
        side //= 2
        layers.append((width, 2 * width, 4, side**2, side))
        width *= 2
    return [*layers, (width, 1, 4, 1, 1)]


def _outputs(config: NetworkConfig | StyleNetworks) -> int:
    """Return how many numbers the layers put out for a picture, norms and activations counted."""
    if isinstance(config, StyleNetworks):
        return style_estimate.outputs(config)
    return (
        sum(
            3 * outputs * side**2
            for layers in (_generator(config), _critic(config))
            for _, outputs, _, _, side in layers
        )
        // 2
    )


def _penalised(config: RunConfig) -> bool:
    return config.adversary.penalty > 0


def speed_of(found: runs.Run) -> Speed | None:
    """Return how fast a run went; None where it has not come far enough to tell.

    A run that grows by depths tells only once it has ended: its first steps are the quickest.
    """
    if found.config.model == "stylegan" and found.state != "done":
        return None
    try:
        slot = store.read_json(found.folder / "slot.json", kind="run-slot", version=runs.VERSION)
        begun = (found.folder / "slot.json").stat().st_mtime
        newest = (found.folder / "metrics.jsonl").stat().st_mtime
        last = _last_row(found.folder / "metrics.jsonl")
    except (AppError, OSError):
        return None
    if last is None or slot["from_step"] or last["seconds"] < 1:
        return None  # gone on with: its figures tell of two sessions
    plan, steps = runs.plan_of(found), int(last["step"])
    epochs = float(plan.epochs_at(steps)) if plan else 0.0
    work = step_work(found.config)
    rest = max(0.0, newest - begun - last["seconds"])
    return Speed(
        run=found.config.title, device=slot["device"], kind=found.config.model,
        per_s=work * steps / last["seconds"], measure_s=rest / max(epochs, 1.0),
    )  # fmt: skip


def _last_row(path: Path) -> dict[str, float] | None:
    """Return the newest row of losses."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "seconds" in row:
            return row
    return None


def fitting(speeds: Iterable[Speed], config: RunConfig, *, gpus: int) -> Speed | None:
    """Return the speed that tells most of a run: of the same device and model, the newest first.

    None where the run would compute on a GPU that no run has been on yet.
    """
    device = config.device
    is_gpu = device.startswith("cuda") or (device == "auto" and gpus > 0)
    alike = [one for one in speeds if one.device.startswith("cuda") == is_gpu]
    of_kind = [one for one in alike if one.kind == config.model]
    if found := next(iter([*of_kind, *alike]), None):
        return found
    return None if is_gpu else OTHER_MACHINE


def gpus() -> list[str]:
    """Return the names of this machine's NVIDIA GPUs, as far as the system tells without CUDA."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key == "Model":
                names.append(value.strip())
    return names
