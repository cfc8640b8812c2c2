"""What the settings of a run are called, and between what their numbers lie.

Names are those of `runs.settings_of`; forms, tables and refusals call a setting the same.
"""

from collections.abc import Iterable, Sized
from typing import Any, get_args

from core.errors import InputError
from core.text import N_

SETTINGS = {
    "title": N_("Name"),
    "model": N_("Model"),
    "preset": N_("Preset"),
    "data": N_("Pictures"),
    "device": N_("Device"),
    "precision": N_("Number format"),
    "exact": N_("To the digit of fastai"),
    "threads": N_("Threads"),
    "start_from": N_("Begins with the weights of"),
    "code": N_("Program"),
    "networks.size_px": N_("Side of a picture (px)"),
    "networks.channels": N_("Channels"),
    "networks.latent": N_("Latent numbers a picture"),
    "networks.generator_width": N_("Width of the generator"),
    "networks.critic_width": N_("Width of the critic"),
    "networks.extra_layers": N_("Extra layers"),
    "networks.critic_norm": N_("Norm in the critic"),
    "networks.init": N_("First weights"),
    "networks.mapping": N_("Widths on the way from latent to style"),
    "networks.widths": N_("Widths of the generator, by size"),
    "networks.critic_widths": N_("Widths of the discriminator, by size"),
    "networks.critic_head": N_("Widths of the discriminator's last layers"),
    "networks.group": N_("Pictures that the discriminator compares"),
    "networks.is_blurred": N_("Smoothed on the way up and down"),
    "adversary.objective": N_("Loss"),
    "adversary.clip": N_("Weight limit of the critic"),
    "adversary.penalty": N_("Gradient penalty"),
    "adversary.penalty_every": N_("Gradient penalty every … steps"),
    "adversary.critic_steps": N_("Batches for the critic before one for the generator"),
    "adversary.optimiser": N_("Optimiser"),
    "adversary.betas": N_("Betas of Adam"),
    "adversary.ema": N_("Moving average of the generator"),
    "adversary.structure": N_("Order of sizes"),
    "adversary.start_depth": N_("First depth"),
    "adversary.fade_in": N_("Share of a depth in which its layers come in"),
    "adversary.mixing": N_("Chance of mixed styles"),
    "adversary.psi": N_("Truncation while training: psi"),
    "adversary.cutoff": N_("Truncation while training: below layer"),
    "adversary.mean_keep": N_("Share of the mean style kept at each step"),
    "adversary.clip_norm": N_("Largest gradient of the generator (0: no limit)"),
    "adversary.turns": N_("Turned by quarters at random"),
    "training.fits": N_("Epochs of each fit"),
    "training.batch": N_("Pictures a batch"),
    "training.batches": N_("Pictures a batch, each fit"),
    "training.lr": N_("Learning rate"),
    "training.schedule": N_("Schedule of the rate"),
    "training.flips": N_("Mirrored at random"),
    "training.seed": N_("Seed"),
    "training.log_every": N_("Figures every … steps"),
    "training.sample_every": N_("Samples every … steps (0: an epoch)"),
    "training.measure_every": N_("Judged every … steps (0: an epoch)"),
    "training.checkpoint_every": N_("Checkpoint every … steps (0: an epoch)"),
    "training.samples": N_("Samples on a sheet"),
    "training.better": N_("Rule for the best epoch"),
}

Bounds = tuple[float, float]
WIDTHS = (1, 2048)
"""Least and most of the latent's and the layers' widths; below of a batch, and so on."""
STYLE_WIDTHS = (1, 4096)
EXTRA_LAYERS = (0, 8)
THREADS = (0, 1024)
BATCHES = (2, 4096)
SAMPLES = (4, 256)
SEEDS = (0, 2**53 - 1)
INTERVALS = (0, 1_000_000)
EPOCHS = (1, 1_000_000)
FITS = (1, 1000)
"""How many fits a run has."""
RATES = (1e-10, 1)
LIMITS = (1e-6, 100)
PENALTIES = (0, 10_000)
CRITIC_STEPS = (1, 100)
PENALTY_EVERY = (1, 1000)
SHARES = (0, 1)
KEPT = (0, 0.999999)
"""Of old values in Adam's averages: of all of them nothing would ever move."""
PSI = (0, 10)
NORMS = (0, 1_000_000)


def check(name: str, values: float | Iterable[float], bounds: Bounds) -> None:
    """Refuse numbers of a setting outside of its bounds, in a sentence that names both.

    Raises:
        InputError: One of them is, or is no number.
    """
    for value in (values,) if isinstance(values, int | float) else values:
        if not bounds[0] <= value <= bounds[1]:
            raise InputError(
                N_("“{name}” must lie in {least:,} to {most:,}, not {value}."),
                name=SETTINGS[name], least=bounds[0], most=bounds[1], value=value,
            )  # fmt: skip


def check_count(name: str, values: Sized, wanted: int) -> None:
    """Refuse a setting of several numbers that has more or fewer of them.

    Raises:
        InputError: It has.
    """
    if len(values) != wanted:
        raise InputError(
            N_("“{name}” needs {wanted} numbers, not {found}."),
            name=SETTINGS[name], wanted=wanted, found=len(values),
        )  # fmt: skip


def check_choice(name: str, value: object, kind: Any) -> None:
    """Refuse a word that is none of a `Literal`.

    Raises:
        InputError: It is none.
    """
    known = get_args(kind)
    if value not in known:
        raise InputError(
            N_("“{name}” cannot be {value!r}."), hint=N_("There are: {known}."),
            name=SETTINGS[name], value=str(value)[:40], known=", ".join(known),
        )  # fmt: skip
