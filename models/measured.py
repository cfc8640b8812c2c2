"""What generated pictures show, measured: so that what psi is said to change can be true or false.

Of pictures whose bands are known, or are three: brightness, edges, green. Of classes: the share of
each, and how often neighbours differ. Of bands whose meaning is not known: nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.chips.channels import Channel
from core.chips.display import is_classes
from models import generate
from models.generate import Look
from models.latents import of_seeds
from models.loaded import Loaded

GREEN_EXCESS = 0.1
"""Of 2g - r - b, shares of the three bands in their sum, from which a pixel counts as green."""
GREEN_NDVI = 0.2
"""Of (nir - red) / (nir + red) from which a pixel counts as green where there is near infrared."""
EDGE_STEP = 16.0
"""Change of brightness from a pixel to the next, of 255, from which a pixel lies on an edge."""
CLASS = "class "
"""Begins the names of shares of classes."""
_VISIBLE = ("grey", "red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure at each psi: mean over the seeds, and the middle eighty of a hundred of them."""

    name: str
    """`brightness` (0 to 255); shares of pixels: `edges`, `green`, `borders`, `class <name>`."""
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    """The tenth percentile."""
    high: NDArray[np.float64]
    """The ninetieth percentile."""
    rises: float
    """Share of the seeds whose measure is higher at the last psi than at the first."""
    falls: float
    """Share of those whose measure is lower there; of the rest it is the same."""


def measures(
    pictures: NDArray[np.uint8], channels: Sequence[Channel] = ()
) -> dict[str, NDArray[np.float64]]:
    """Return what pictures (n, C, H, W) show, a number (n,) each by its name; see `Curve`.

    Args:
        pictures: Of 0 to 255.
        channels: What their channels mean; nothing: three are red, green, blue, and one is grey.
    """
    if channels and is_classes(channels):
        return _of_classes(pictures, channels)
    names = _names(pictures.shape[1], channels)
    visible = [names.index(name) for name in _VISIBLE if name in names]
    found: dict[str, NDArray[np.float64]] = {}
    if len(visible) in (1, 3):
        kept = pictures[:, visible].astype(np.float64)
        found["brightness"] = kept.mean(axis=(1, 2, 3))
        if pictures.shape[2] > 2:
            found["edges"] = edges(kept)
    if (share := green(pictures, names)) is not None:
        found["green"] = share
    return found


def is_measured(count: int, channels: Sequence[Channel] = ()) -> bool:
    """Tell whether anything can be measured of pictures of so many channels."""
    return bool(measures(np.zeros((1, count, 4, 4), np.uint8), channels))


def _names(count: int, channels: Sequence[Channel]) -> tuple[str, ...]:
    if channels:
        names = tuple(one.name if one.kind == "image" else "" for one in channels)
        is_grey = sum(one.kind == "image" for one in channels) == 1
        return tuple("grey" if is_grey and name else name for name in names)
    return {1: ("grey",), 3: ("red", "green", "blue")}.get(count, ("",) * count)


def edges(visible: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share (n,) of pixels of visible bands (n, B, H, W) that lie on an edge.

    The brightness there has a gradient, by central differences, of 16 of 255 a pixel and more;
    pixels inside the border count.
    """
    grey = visible.mean(axis=1)
    down = (grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]) / 2
    across = (grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]) / 2
    return np.asarray((np.hypot(down, across) >= EDGE_STEP).mean(axis=(1, 2)), np.float64)


def green(pictures: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.float64] | None:
    """Return the share (n,) of pixels that are green; None where the bands' names do not tell.

    By NDVI where there is near infrared, else by excess green (Woebbecke et al. 1995). Black pixels
    are not green.
    """
    found = {name: pictures[:, at].astype(np.float64) for at, name in enumerate(names)}
    if {"red", "nir"} <= found.keys():
        total = found["nir"] + found["red"]
        index = np.divide(found["nir"] - found["red"], total, out=np.zeros_like(total),
                          where=total > 0)  # fmt: skip
        return np.asarray((index >= GREEN_NDVI).mean(axis=(1, 2)), np.float64)
    if {"red", "green", "blue"} <= found.keys():
        total = found["red"] + found["green"] + found["blue"]
        excess = np.divide(3 * found["green"] - total, total, out=np.zeros_like(total),
                           where=total > 0)  # fmt: skip
        return np.asarray((excess >= GREEN_EXCESS).mean(axis=(1, 2)), np.float64)
    return None


def _of_classes(
    pictures: NDArray[np.uint8], channels: Sequence[Channel]
) -> dict[str, NDArray[np.float64]]:
    """A pixel has the class whose channel is the strongest, and none where all are 0."""
    strongest = np.where(pictures.max(axis=1) > 0, pictures.argmax(axis=1), len(channels))
    found = {
        f"{CLASS}{one.name}": (strongest == at).mean(axis=(1, 2)) for at, one in enumerate(channels)
    }
    down = strongest[:, 1:] != strongest[:, :-1]
    across = strongest[:, :, 1:] != strongest[:, :, :-1]
    pairs = np.concatenate([one.reshape(len(pictures), -1) for one in (down, across)], axis=1)
    return {**found, "borders": pairs.mean(axis=1)}


def psi_values(
    model: Loaded, seeds: Sequence[int], psis: Sequence[float], look: Look,
    *, channels: Sequence[Channel] = (),
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Return the measures of each seed's pictures at each psi by their names, (seeds, psis).

    psi of the look is not looked at; `channels` is what the model's channels mean.
    """
    latents = of_seeds(seeds, model.networks.latent)
    made = generate.as_bytes(generate.truncation(model, latents, psis, look))
    flat = made.reshape(-1, *made.shape[2:])
    shape = len(seeds), len(psis)
    return {name: found.reshape(shape) for name, found in measures(flat, channels).items()}


def curves(values: Mapping[str, NDArray[np.float64]]) -> list[Curve]:
    """Sum up measures (seeds, psis) over the seeds, in the order of their names."""
    return [_curve(name, found) for name, found in sorted(values.items())]


def _curve(name: str, values: NDArray[np.float64]) -> Curve:
    low, high = np.percentile(values, (10, 90), axis=0)
    way = values[:, -1] - values[:, 0]
    rises, falls = float((way > 0).mean()), float((way < 0).mean())
    return Curve(name, values.mean(axis=0), low, high, rises, falls)
