"""Learning by scale: which depth a fit trains, how far its new layers have come in, what it sees.

Plain numbers: no PyTorch.
"""

from dataclasses import replace
from typing import Any

from core.text import N_
from models.config import RunConfig
from models.plan import Place
from models.style_config import SMALLEST, StyleAdversary, StyleNetworks

Note = tuple[str, dict[str, Any]]
"""A template marked with `N_`, and what fills it."""

SHADOWS = N_(
    "Mirrored and turned pictures have shadows from every side: fine for plans and for pictures"
    " taken under clouds; with sunlit ones the model learns a light that no place has."
)


def size_of_depth(depth: int) -> int:
    """Return the pixels of a picture's side at a depth: 4 at depth 0, doubled at each above."""
    return SMALLEST << depth


def depth_of_fit(fit: int, networks: StyleNetworks, adversary: StyleAdversary) -> int:
    """Return the depth that a fit trains; fits beyond the last depth train that one on."""
    top = networks.depths - 1
    if adversary.structure == "fixed":
        return top
    return min(adversary.start_depth + fit, top)


def alpha_at(place: Place, networks: StyleNetworks, adversary: StyleAdversary) -> float:
    """Return the share of the newest depth at a step: up to 1 in even steps, then 1.

    At the t-th of a fit's steps, from 1, it is t / int(fade_in · steps) up to 1. The lowest depth
    has nothing to fade from, a depth trained on is in already.
    """
    first = adversary.start_depth + place.fit
    if adversary.structure == "fixed" or first == 0 or first >= networks.depths:
        return 1.0
    fades = int(adversary.fade_in * place.steps_in_fit)
    return min(1.0, (place.step_in_fit + 1) / fades) if fades else 1.0


def fitting_batch(batch: int, group: int) -> int:
    """Return the largest batch up to this one that the discriminator can part into its groups."""
    return batch if batch <= group else batch - batch % group


def largest_batch(config: RunConfig) -> int:
    """Return the pictures of the largest batch of a run's fits."""
    training = corrected(config)[0].training
    return max(training.batch_of(fit) for fit in range(len(training.fits)))


def corrected(config: RunConfig) -> tuple[RunConfig, list[Note]]:
    """Return settings of a run that can be followed, and a word on each that was changed.

    The discriminator compares pictures in groups of four: a larger batch must be a multiple.
    """
    networks = config.networks
    if not isinstance(networks, StyleNetworks):
        return config, []
    notes: list[Note] = []
    fits = range(len(config.training.fits))
    asked = [config.training.batch_of(fit) for fit in fits]
    fitted = [fitting_batch(batch, networks.group) for batch in asked]
    for fit, (before, after) in enumerate(zip(asked, fitted, strict=True)):
        if before != after:
            note: Note = (
                N_("Fit {fit} takes batches of {after} pictures, not {before}: the discriminator"
                   " compares them in groups of {group}."),
                {"fit": fit + 1, "before": before, "after": after, "group": networks.group},
            )  # fmt: skip
            notes.append(note)
    if notes:
        batches = tuple(fitted) if config.training.batches else ()
        training = replace(config.training, batches=batches, batch=fitted[-1])
        config = replace(config, training=training)
    adversary = config.adversary
    if isinstance(adversary, StyleAdversary):
        notes += _reach(len(fits), networks, adversary)
    if config.training.flips or (isinstance(adversary, StyleAdversary) and adversary.turns):
        notes.append((SHADOWS, {}))
    return config, notes


def _reach(fits: int, networks: StyleNetworks, adversary: StyleAdversary) -> list[Note]:
    """Say how far a run comes that has more or fewer fits than depths to train."""
    count = networks.depths - adversary.start_depth
    if adversary.structure == "fixed" or fits == count:
        return []
    values = {"given": fits, "count": count, "full": networks.size_px,
              "last": size_of_depth(depth_of_fit(fits - 1, networks, adversary))}  # fmt: skip
    if fits < count:
        return [(N_("Epochs are given for {given} of {count} depths: the run ends at {last} px, not"
                    " at {full}."), values)]  # fmt: skip
    return [(N_("Epochs are given for {given} fits, and there are {count} depths: the fits after"
                " that train the full size of {full} px on."), values)]  # fmt: skip


def further(config: RunConfig) -> list[Note]:
    """Say what the last fit of a run trains, which is added where one goes on with it."""
    networks, adversary = config.networks, config.adversary
    if not isinstance(networks, StyleNetworks) or not isinstance(adversary, StyleAdversary):
        return []
    fit = len(config.training.fits) - 1
    size = size_of_depth(depth_of_fit(fit, networks, adversary))
    if adversary.structure == "fixed" or adversary.start_depth + fit >= networks.depths:
        return [(N_("The further epochs train the full size of {size} px on."), {"size": size})]
    return [(N_("The further epochs train {size} px, the next size; the full size is {full} px."),
             {"size": size, "full": networks.size_px})]  # fmt: skip
