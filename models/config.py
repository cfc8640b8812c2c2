"""Everything that is asked of a run, as objects that JSON can hold.

No PyTorch is loaded here: pages list runs and show settings without it.
"""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from core.errors import InputError, StoreError
from core.text import N_
from models import bounds
from models.bounds import check, check_choice, check_count
from models.style_config import StyleAdversary, StyleNetworks

Norm = Literal["batch", "layer", "none"]
Init = Literal["fastai", "dcgan"]
Objective = Literal["wasserstein", "bce", "least-squares"]
Optimiser = Literal["shared-rmsprop", "adam"]
Schedule = Literal["one-cycle", "constant"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Model = Literal["dcgan", "wgan", "wgan-gp", "stylegan"]
BestRule = Literal["recommended", "document"]
Row = dict[str, Any]
"""A line of a run's figures."""

SIZES = (32, 64, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Everything needed to rebuild the two networks from a checkpoint."""

    size_px: int = 64
    channels: int = 3
    latent: int = 100
    generator_width: int = 64
    """Channels of the generator's last hidden layer; doubled at each size below."""
    critic_width: int = 64
    """Channels of the critic's first layer; doubled at each size below."""
    extra_layers: int = 1
    """Convolutions of 3 x 3 at half the picture's size, in both networks."""
    critic_norm: Norm = "batch"
    init: Init = "fastai"

    def __post_init__(self) -> None:
        if self.size_px not in SIZES:
            raise InputError(
                N_("Networks are made for pictures of 32, 64 or 128 pixels, not {size}."),
                size=self.size_px,
            )
        if not 1 <= self.channels <= 4:
            raise InputError(
                N_("Pictures have 1 to 4 channels, not {channels}."), channels=self.channels
            )
        for name in ("latent", "generator_width", "critic_width"):
            check(f"networks.{name}", getattr(self, name), bounds.WIDTHS)
        check_choice("networks.critic_norm", self.critic_norm, Norm)
        check_choice("networks.init", self.init, Init)
        check("networks.extra_layers", self.extra_layers, bounds.EXTRA_LAYERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversaryConfig:
    """How the two networks are set against each other."""

    objective: Objective = "wasserstein"
    clip: float | None = 0.01
    """Limit of every weight of the critic, norms included; None: no limit."""
    penalty: float = 0.0
    """Weight of the gradient penalty; 10 in WGAN-GP."""
    critic_steps: int = 5
    """Batches for the critic before one for the generator, where they take turns."""
    optimiser: Optimiser = "shared-rmsprop"
    betas: tuple[float, float] = (0.5, 0.999)
    """Of Adam."""
    ema: float = 0.0
    """Share of the old weights that the generator's moving average keeps at each of its steps; 0:
    no average. Pictures are drawn from the average."""

    def __post_init__(self) -> None:
        check_choice("adversary.objective", self.objective, Objective)
        check_choice("adversary.optimiser", self.optimiser, Optimiser)
        check_count("adversary.betas", self.betas, 2)
        check("adversary.critic_steps", self.critic_steps, bounds.CRITIC_STEPS)
        check("adversary.penalty", self.penalty, bounds.PENALTIES)
        check("adversary.betas", self.betas, bounds.KEPT)
        check("adversary.ema", self.ema, bounds.SHARES)
        if self.clip is not None:
            check("adversary.clip", self.clip, bounds.LIMITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long and how fast to train, and how often to write down what.

    Intervals are in steps (batches); 0 means once an epoch.
    """

    fits: tuple[int, ...] = (5,)
    """Epochs of each fit. The schedule, the smoothing and the search for the best start anew."""
    batch: int = 128
    batches: tuple[int, ...] = ()
    """Batch of each fit, the last one for all fits after; empty: `batch` for all."""
    lr: float = 1e-5
    schedule: Schedule = "one-cycle"
    flips: bool = False
    """Whether pictures are shown mirrored at random, left to right and top to bottom."""
    seed: int = 0
    log_every: int = 10
    sample_every: int = 0
    measure_every: int = 0
    checkpoint_every: int = 0
    samples: int = 64
    """Pictures of a sample sheet, from latents that never change."""
    better: BestRule = "recommended"
    """Which epoch counts as the best so far, see `Best`."""

    def __post_init__(self) -> None:
        for count in (len(self.fits), max(1, len(self.batches))):
            if not bounds.FITS[0] <= count <= bounds.FITS[1]:
                raise InputError(
                    N_("A run has {least} to {most} fits, not {count:,}."),
                    least=bounds.FITS[0], most=bounds.FITS[1], count=count,
                )  # fmt: skip
        check_choice("training.schedule", self.schedule, Schedule)
        check_choice("training.better", self.better, BestRule)
        check("training.fits", self.fits, bounds.EPOCHS)
        check("training.batch", self.batch, bounds.BATCHES)
        check("training.batches", self.batches, bounds.BATCHES)
        check("training.lr", self.lr, bounds.RATES)
        for name in ("log_every", "sample_every", "measure_every", "checkpoint_every"):
            check(f"training.{name}", getattr(self, name), bounds.INTERVALS)
        check("training.seed", self.seed, bounds.SEEDS)
        check("training.samples", self.samples, bounds.SAMPLES)

    def batch_of(self, fit: int) -> int:
        """Return the pictures of a batch in a fit."""
        return self.batches[min(fit, len(self.batches) - 1)] if self.batches else self.batch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """All that is asked of a run."""

    title: str
    model: Model
    preset: str = ""
    """Which preset the settings began as; they may differ from it since."""
    data: str
    """What `models.data.open_chips` takes."""
    networks: NetworkConfig | StyleNetworks
    adversary: AdversaryConfig | StyleAdversary
    training: TrainConfig
    device: str = "auto"
    precision: Precision = "auto"
    exact: bool = False
    """Whether to compute in float32 and in fastai's order: for comparing with it to the digit."""
    threads: int | None = None
    """None or 0: one fewer than the settings of the program allow, at least one."""
    start_from: str = ""
    """Folder of a checkpoint that the run begins with: its weights, and the optimiser's state where
    the kind is the same. Empty: weights are drawn from the seed."""

    def __post_init__(self) -> None:
        check_choice("model", self.model, Model)
        check_choice("precision", self.precision, Precision)
        if not re.fullmatch(r"auto|cpu|cuda(:(0|[1-9][0-9]?))?", self.device):
            raise InputError(
                N_("There is no device {device!r}."),
                hint=N_("Choose auto, cpu, or cuda:0 and so on."),
                device=self.device[:40],
            )
        if not self.title.strip() or len(self.title) > 80:
            raise InputError(N_("A run needs a title of 1 to 80 characters."))
        if (type(self.networks), type(self.adversary)) != kinds_of(self.model):
            raise InputError(
                N_("These networks are not those of the model {name}."), name=self.model
            )
        if self.threads is not None:
            check("threads", self.threads, bounds.THREADS)
        if not isinstance(self.networks, NetworkConfig):
            if isinstance(self.adversary, StyleAdversary):
                last = self.networks.depths - 1
                check("adversary.start_depth", self.adversary.start_depth, (0, last))
            return
        if self.adversary.penalty and self.networks.critic_norm == "batch":
            raise InputError(
                N_("A gradient penalty is one picture's own: the critic must not normalise over"
                   " the batch."),
                hint=N_("Choose layer norm, or none."),
            )  # fmt: skip

    def body(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self, dict_factory=_plain)

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> "RunConfig":
        """Read what `body` returned.

        Raises:
            StoreError: A field is missing or unknown.
            InputError: A value is out of its range.
        """
        try:
            networks, adversary = kinds_of(body["model"])
            parts = {"networks": networks, "adversary": adversary, "training": TrainConfig}
            given = {name: value for name, value in body.items() if name not in parts}
            made = {name: made_of(kind, body[name]) for name, kind in parts.items()}
            return cls(**given, **made)
        except (KeyError, TypeError, AttributeError) as err:
            raise StoreError(
                N_("The settings of this run cannot be read: {reason}."), reason=str(err)
            ) from err


def read_fits(text: str) -> tuple[int, ...]:
    """Read the epochs of each fit, written as 5, 10, 10.

    Raises:
        InputError: It is no list of whole numbers.
    """
    try:
        return tuple(int(part) for part in text.replace("，", ",").split(","))
    except ValueError:
        raise InputError(
            N_("{text!r} is no list of whole numbers."), hint=N_("Give them as 5,10,10."),
            text=text[:40],
        ) from None  # fmt: skip


def kinds_of(model: str) -> tuple[type[Any], type[Any]]:
    """Return which kinds of settings the networks of a model and their contest have."""
    if model == "stylegan":
        return StyleNetworks, StyleAdversary
    return NetworkConfig, AdversaryConfig


def networks_of(model: str, body: dict[str, Any]) -> NetworkConfig | StyleNetworks:
    """Read the networks that a checkpoint names.

    Raises:
        StoreError: They are not of this model.
    """
    try:
        found: NetworkConfig | StyleNetworks = made_of(kinds_of(model)[0], body)
    except TypeError as err:
        raise StoreError(
            N_("The networks of this checkpoint cannot be read: {reason}."), reason=str(err)
        ) from err
    return found


def made_of(kind: type[Any], body: dict[str, Any]) -> Any:
    """Make settings of one kind from JSON: lists become tuples."""
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in body.items()})


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the settings of one kind."""
    return tuple(field.name for field in fields(kind))


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in pairs}
