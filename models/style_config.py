"""What is asked of a StyleGAN: its networks, and how the two are set against each other.

No PyTorch is loaded here. The shape of the networks is written out width by width, so that any
file of weights has one, whatever rule its widths came from.
"""

from dataclasses import dataclass
from typing import Literal

from core.errors import InputError
from core.text import N_
from models import bounds
from models.bounds import check, check_choice, check_count

Structure = Literal["linear", "fixed"]
StyleObjective = Literal["logistic", "hinge", "relativistic-hinge"]
StyleOptimiser = Literal["adam"]

SMALLEST, LARGEST = 4, 1024
STYLE_SIZES = tuple(2**power for power in range(2, 11))
_MOST_LAYERS = 32
_MOST_CHANNELS = 16
_MOST_CUTOFF = 1000
_BOUNDS: dict[str, bounds.Bounds] = {
    "start_depth": (0, len(STYLE_SIZES) - 1),
    "fade_in": bounds.SHARES,
    "penalty": bounds.PENALTIES,
    "penalty_every": bounds.PENALTY_EVERY,
    "mixing": bounds.SHARES,
    "psi": bounds.PSI,
    "cutoff": (0, _MOST_CUTOFF),
    "mean_keep": bounds.SHARES,
    "clip_norm": bounds.NORMS,
    "betas": bounds.KEPT,
    "ema": bounds.SHARES,
}


def widths(size_px: int, *, base: int = 8192, most: int = 512) -> tuple[int, ...]:
    """Return the channels of the feature maps at 4, 8, … `size_px` px by the paper's rule.

    base / 2^k at the k-th doubling from 2 px, at most `most`: with its numbers 512 up to 32 px,
    then 256, 128, 64, 32, 16 at 1024 px.
    """
    steps = range(1, size_px.bit_length() - 1)
    return tuple(min(base // 2**step, most) for step in steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleNetworks:
    """Everything needed to rebuild the two networks from a checkpoint."""

    size_px: int = 64
    channels: int = 3
    latent: int = 512
    mapping: tuple[int, ...] = (512,) * 8
    """Width of each dense layer that makes a style of a latent; the last is the style's own."""
    widths: tuple[int, ...] = (512, 512, 512, 512, 256)
    """Channels of the generator's feature maps at 4, 8, … `size_px` px."""
    critic_widths: tuple[int, ...] = (512, 512, 512, 512, 256)
    """Channels of the discriminator's feature maps at 4, 8, … `size_px` px."""
    critic_head: tuple[int, int] = (512, 512)
    """Width of the discriminator's last convolution and of the dense layer after it."""
    group: int = 4
    """Pictures over which the discriminator measures how much they differ."""
    is_blurred: bool = True
    """Whether pictures are smoothed by [1, 2, 1] on their way up and down."""

    def __post_init__(self) -> None:
        if self.size_px not in STYLE_SIZES:
            raise InputError(
                N_("A StyleGAN makes pictures of 4, 8, 16 … 1024 pixels, not {size}."),
                size=self.size_px,
            )
        if not 1 <= self.channels <= _MOST_CHANNELS:
            raise InputError(
                N_("A StyleGAN makes pictures of 1 to {most} channels, not {channels}."),
                most=_MOST_CHANNELS, channels=self.channels,
            )  # fmt: skip
        if not 1 <= len(self.mapping) <= _MOST_LAYERS:
            raise InputError(
                N_("The way from latent to style has 1 to {most} layers, not {layers}."),
                most=_MOST_LAYERS, layers=len(self.mapping),
            )  # fmt: skip
        for name in ("widths", "critic_widths"):
            check_count(f"networks.{name}", getattr(self, name), self.depths)
        check_count("networks.critic_head", self.critic_head, 2)
        for name in ("latent", "group", "mapping", "widths", "critic_widths", "critic_head"):
            check(f"networks.{name}", getattr(self, name), bounds.STYLE_WIDTHS)

    @property
    def depths(self) -> int:
        """How many sizes there are from 4 px to the full one."""
        return self.size_px.bit_length() - 2

    @property
    def layers(self) -> int:
        """How many layers take a style: two a size."""
        return 2 * self.depths

    @property
    def style(self) -> int:
        """Numbers of a style."""
        return self.mapping[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleAdversary:
    """How generator and discriminator are set against each other, and the order of depths."""

    objective: StyleObjective = "logistic"
    structure: Structure = "linear"
    """`linear`: each fit trains one depth, 4 px first. `fixed`: all fits train the full size."""
    start_depth: int = 0
    """Depth of the first fit of a linear run; those below are taken from `start_from`."""
    fade_in: float = 0.5
    """Share of a fit during which its new layers come in."""
    penalty: float = 10.0
    """Gamma of R1, the squared gradient of the scores of real pictures; logistic only."""
    penalty_every: int = 1
    """R1 is taken every so many steps, and so many times as strong."""
    mixing: float = 0.9
    """Chance that a batch takes the styles of its finer layers from a second latent."""
    psi: float = 0.7
    """How far styles stand from their mean while training; not drawn in outside of 0 to 1."""
    cutoff: int = 8
    """Layers below this number are drawn in by `psi`."""
    mean_keep: float = 0.995**2
    """Share of the old mean style that is kept at each step. StyleGAN.pytorch keeps 0.995 at each
    of two passes with the same latents; here one set of pictures serves both networks."""
    clip_norm: float = 10.0
    """Largest norm of the generator's gradient; 0: no limit."""
    optimiser: StyleOptimiser = "adam"
    betas: tuple[float, float] = (0.0, 0.99)
    ema: float = 0.999
    """Share of the old weights that the generator's moving average keeps at each step."""
    turns: bool = False
    """Whether real pictures are shown turned by quarters too; `training.flips` mirrors them."""

    def __post_init__(self) -> None:
        check_choice("adversary.objective", self.objective, StyleObjective)
        check_choice("adversary.structure", self.structure, Structure)
        check_choice("adversary.optimiser", self.optimiser, StyleOptimiser)
        check_count("adversary.betas", self.betas, 2)
        for name, limits in _BOUNDS.items():
            check(f"adversary.{name}", getattr(self, name), limits)
