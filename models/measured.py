"""What generated pictures show, measured: so that what psi is said to change can be true or false.

Bands are known by name where the chips' channels were (`red`, `green`, `blue`, `nir`); pictures of
three bands without names are taken as red, green, blue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.text import N_
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
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure at each psi: mean over the seeds, and the middle eighty of a hundred of them."""

    name: str
    """`brightness` (0 to 255), `edges` or `green` (shares of pixels)."""
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    """The tenth percentile."""
    high: NDArray[np.float64]
    """The ninetieth percentile."""
    rises: float
    """Share of the seeds whose measure is higher at the last psi than at the first."""


def brightness(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean (n,) of the visible bands of pictures (n, C, H, W), 0 to 255."""
    return np.asarray(_visible(pictures).mean(axis=(1, 2, 3)), np.float64)


def edges(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the share (n,) of pixels whose brightness changes by 16 and more to a neighbour.

    The change is the length of the gradient by central differences, of pixels inside the border.
    """
    grey = _visible(pictures).mean(axis=1)
    down = (grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]) / 2
    across = (grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]) / 2
    return np.asarray((np.hypot(down, across) >= EDGE_STEP).mean(axis=(1, 2)), np.float64)


def green(pictures: NDArray[np.uint8], bands: Sequence[str] = ()) -> NDArray[np.float64] | None:
    """Return the share (n,) of pixels that are green; None where the bands do not tell.

    By NDVI where there is near infrared, else by excess green (Woebbecke et al. 1995). Black pixels
    are not green.
    """
    names = tuple(bands) or (("red", "green", "blue") if pictures.shape[1] == 3 else ())
    found = {
        name: pictures[:, at].astype(np.float64)
        for at, name in enumerate(names[: pictures.shape[1]])
    }
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


def psi_curves(
    model: Loaded, seeds: Sequence[int], psis: Sequence[float], look: Look,
    *, bands: Sequence[str] = (),
) -> list[Curve]:  # fmt: skip
    """Measure the pictures of many seeds at each psi.

    Args:
        model: The generator.
        seeds: As many as may be: spread is over them.
        psis: In order, at least two.
        look: psi of the look is not looked at.
        bands: Names of the model's channels.

    Raises:
        InputError: Fewer than two psis or seeds, or a picture too small for edges.
    """
    if len(psis) < 2 or len(seeds) < 2:
        raise InputError(N_("A curve needs two values of psi and two seeds at least."))
    found: dict[str, list[NDArray[np.float64]]] = {}
    chunk = max(1, _CHUNK // len(psis))
    for first in range(0, len(seeds), chunk):
        part = psi_values(model, seeds[first : first + chunk], psis, look, bands=bands)
        for name, values in part.items():
            found.setdefault(name, []).append(values)
    return curves({name: np.concatenate(parts) for name, parts in found.items()})


def psi_values(
    model: Loaded, seeds: Sequence[int], psis: Sequence[float], look: Look,
    *, bands: Sequence[str] = (),
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Return the measures of each seed's pictures at each psi by their names, (seeds, psis)."""
    latents = of_seeds(seeds, model.networks.latent)
    made = generate.as_bytes(generate.truncation(model, latents, psis, look))
    flat = made.reshape(-1, *made.shape[2:])
    values = {"brightness": brightness(flat), "green": green(flat, bands)}
    if flat.shape[2] > 2:
        values["edges"] = edges(flat)
    shape = len(seeds), len(psis)
    return {name: found.reshape(shape) for name, found in values.items() if found is not None}


def curves(values: Mapping[str, NDArray[np.float64]]) -> list[Curve]:
    """Sum up measures (seeds, psis) over the seeds, in the order of their names."""
    return [_curve(name, found) for name, found in sorted(values.items())]


def _curve(name: str, values: NDArray[np.float64]) -> Curve:
    low, high = np.percentile(values, (10, 90), axis=0)
    rises = float((values[:, -1] > values[:, 0]).mean())
    return Curve(name, values.mean(axis=0), low, high, rises)


def _visible(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    kept = pictures[:, :3] if pictures.shape[1] >= 3 else pictures[:, :1]
    return kept.astype(np.float64)
