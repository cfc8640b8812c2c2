"""What is asked of a StyleGAN: its networks, and how the two are set against each other.

No PyTorch is loaded here. The shape of the networks is written out width by width, so that any
file of weights has one, whatever rule its widths came from.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import InputError
from core.text import N_

Structure = Literal["linear", "fixed"]
StyleObjective = Literal["logistic", "hinge", "relativistic-hinge"]

SMALLEST, LARGEST = 4, 1024
STYLE_SIZES = tuple(2**power for power in range(2, 11))
_WIDEST = 4096
_MOST_LAYERS = 32
_MOST_CHANNELS = 16


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
            if len(getattr(self, name)) != self.depths:
                raise InputError(
                    N_("{name} needs {wanted} numbers for pictures of {size} px, not {found}."),
                    name=name, wanted=self.depths, size=self.size_px,
                    found=len(getattr(self, name)),
                )  # fmt: skip
        every = (self.latent, self.group, *self.mapping, *self.widths, *self.critic_widths,
                 *self.critic_head)  # fmt: skip
        if len(self.critic_head) != 2 or not all(1 <= width <= _WIDEST for width in every):
            raise InputError(N_("Widths of layers lie in 1 to {most}."), most=_WIDEST)

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
    optimiser: Literal["adam"] = "adam"
    betas: tuple[float, float] = (0.0, 0.99)
    ema: float = 0.999
    """Share of the old weights that the generator's moving average keeps at each step."""
    turns: bool = False
    """Whether real pictures are shown turned by quarters too; `training.flips` mirrors them."""

    def __post_init__(self) -> None:
        for name, kind in (("objective", StyleObjective), ("structure", Structure)):
            if getattr(self, name) not in get_args(kind):
                raise InputError(
                    N_("There is no {what} {name!r}."), hint=N_("There are: {known}."),
                    what=name, name=str(getattr(self, name))[:40], known=", ".join(get_args(kind)),
                )  # fmt: skip
        shares = {"fade_in": self.fade_in, "mixing": self.mixing, "ema": self.ema,
                  "mean_keep": self.mean_keep}  # fmt: skip
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise InputError(N_("{name} is a share of 0 to 1, not {value}."),
                                 name=name, value=value)  # fmt: skip
        least = {"penalty": 0, "penalty_every": 1, "clip_norm": 0, "start_depth": 0, "cutoff": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(N_("{name} is at least {bound}, not {value}."),
                                 name=name, bound=bound, value=getattr(self, name))  # fmt: skip
