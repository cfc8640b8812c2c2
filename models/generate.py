"""Pictures of a loaded model: grids, truncation, mixing; styles of walks and sums.

Everything follows from the model's digest, what a function is given and the seed of the noise: the
same call gives the same bytes on one machine with the same versions. Nothing is mixed or drawn in
that was not asked for. Pictures are float32 (…, C, H, W), about -1 to 1, not cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError, TooLargeError
from core.settings import settings
from core.text import N_
from models.latents import MOST_LATENTS, Latents, of_seeds
from models.loaded import Loaded
from models.progressive import size_of_depth
from models.style_config import STYLE_SIZES
from models.synthesis import Colours

Pictures = NDArray[np.float32]
Styles = NDArray[np.float32]
Way = Literal["exact", "preview", "plain"]
Reading = Literal["ranges", "tuples"]

MOST_PICTURES = MOST_LATENTS
"""Pictures of one call: more would keep others waiting for minutes."""
MOST_LAYERS = 2 * len(STYLE_SIZES)
"""Layers of the largest model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How pictures are made of latents."""

    psi: float = 1.0
    """How far a style stands from the mean style: 0 is the mean, 1 the style itself."""
    cutoff: int | None = None
    """Layers below this number are moved by psi; None: all."""
    depth: int | None = None
    """None: the largest that was trained."""
    alpha: float | None = None
    """Share of the newest depth; None: as far as the largest trained one had come in, else 1."""
    noise_seed: int | None = 0
    """None: no noise."""
    way: Way = "exact"
    """`exact`: the quick way in float32. `preview`: bfloat16 where that is quicker, to look at
    alone. `plain`: layer by layer as in training; slow, for comparing."""

    def body(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "psi": self.psi, "cutoff": self.cutoff, "depth": self.depth, "alpha": self.alpha,
            "noise_seed": self.noise_seed, "way": self.way,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mixing:
    """Sources (C of them), destinations (R), and for each pair the destination mixed."""

    sources: Pictures
    """(C, channels, H, W)."""
    destinations: Pictures
    """(R, channels, H, W)."""
    cells: Pictures
    """(R, C, channels, H, W)."""


def checked(model: Loaded, look: Look) -> Look:
    """Return a look with its depth and alpha filled in.

    Raises:
        InputError: A value is out of what the model can do.
    """
    networks = model.networks
    depth = model.depth if look.depth is None else look.depth
    if not 0 <= depth < networks.depths:
        raise InputError(
            N_("This model has the depths 0 to {top} (4 to {size} px), not {depth}."),
            top=networks.depths - 1, size=networks.size_px, depth=depth,
        )  # fmt: skip
    alpha = look.alpha
    if alpha is None:
        alpha = model.alpha if depth == model.depth else 1.0
    if not 0 <= alpha <= 1:
        raise InputError(N_("alpha is a share of 0 to 1, not {value}."), value=alpha)
    if not -10 <= look.psi <= 10:
        raise InputError(N_("psi lies in -10 to 10, not {psi}."), psi=look.psi)
    if look.cutoff is not None and not 0 <= look.cutoff <= networks.layers:
        raise InputError(
            N_("The cutoff lies in 0 to {layers}, the model's layers, not {cutoff}."),
            layers=networks.layers, cutoff=look.cutoff,
        )  # fmt: skip
    if look.noise_seed is not None:
        of_seeds([look.noise_seed], 1)
    return Look(psi=look.psi, cutoff=look.cutoff, depth=depth, alpha=alpha,
                noise_seed=look.noise_seed, way=look.way)  # fmt: skip


def bounded(model: Loaded, look: Look, count: int) -> None:
    """Refuse more pictures than one call should make, before any is made.

    Raises:
        InputError: Their number.
        TooLargeError: Their memory.
    """
    if count > MOST_PICTURES:
        raise InputError(
            N_("One call makes at most {most:,} pictures, not {count:,}."),
            most=MOST_PICTURES, count=count,
        )  # fmt: skip
    depth = model.depth if look.depth is None else look.depth
    needed = 8 * count * model.networks.channels * size_of_depth(depth) ** 2
    limit = settings().memory_mb << 20
    if needed > limit:
        raise TooLargeError(
            N_("{count:,} pictures of {size} px need {needed:.1f} GB; the limit is"
               " {limit:.1f} GB."),
            hint=N_("Make fewer, or smaller ones."),
            count=count, size=size_of_depth(depth), needed=needed / 1e9, limit=limit / 1e9,
        )  # fmt: skip


def styles_of(model: Loaded, latents: Latents, look: Look) -> Styles:
    """Return the styles (n, L, S) of latents (n, Z), moved by psi below the cutoff."""
    own = own_styles(model, latents)
    return moved(model, own, [look.psi] * len(own), cutoff=look.cutoff)


def own_styles(model: Loaded, latents: Latents) -> NDArray[np.float32]:
    """Return the styles (n, S) of latents (n, Z) as they are."""
    found: NDArray[np.float32] = (
        model.quick.styles(torch.from_numpy(np.ascontiguousarray(latents))).cpu().numpy()
    )
    return found


def moved(
    model: Loaded, own: NDArray[np.float32], psis: Sequence[float], *, cutoff: int | None = None
) -> Styles:
    """Return styles (n, L, S): the mean plus psi times the way from it, one psi each."""
    layers = model.networks.layers
    mean = model.quick.mean.cpu().numpy()
    apart = np.asarray(psis, np.float64)[:, None]
    drawn = np.where(apart == 1, own, (own - mean) * apart + mean).astype(np.float32)
    out = np.repeat(drawn[:, None], layers, axis=1)
    if cutoff is not None:
        out[:, cutoff:] = own[:, None]
    return out


def pictures(
    model: Loaded, styles: Styles, look: Look, *, colours: Colours | None = None
) -> Pictures:
    """Return the pictures (n, C, H, W) of styles (n, L, S).

    Args:
        model: The generator.
        styles: One a layer.
        look: psi and cutoff are not looked at: styles have them already.
        colours: Of a preview; None: the depth's own.

    Raises:
        InputError: More pictures than one call may make, or a depth that the model has not.
    """
    look = checked(model, look)
    bounded(model, look, len(styles))
    assert look.depth is not None
    assert look.alpha is not None
    maker = model.preview if look.way == "preview" else model.quick
    kept_as = f"{maker.dtype}/{look.noise_seed}"
    noise = model.noises(look.noise_seed)
    size = size_of_depth(look.depth)
    out = np.empty((len(styles), model.networks.channels, size, size), np.float32)
    for number, style in enumerate(torch.from_numpy(np.ascontiguousarray(styles))):
        with model.turn:
            if look.way == "plain":
                picture = _plain(model, style, noise, look)
            else:
                picture = maker.picture(
                    style, noise, depth=look.depth, alpha=look.alpha, kept=model.kept,
                    kept_as=kept_as, colours=colours,
                )  # fmt: skip
        out[number] = picture.cpu().numpy()
    return out


def _plain(model: Loaded, style: Tensor, noise: Sequence[Tensor] | None, look: Look) -> Tensor:
    assert look.depth is not None
    assert look.alpha is not None
    device = model.quick.device
    if noise is None:
        noise = [torch.zeros(1, 1, size_of_depth(at // 2), size_of_depth(at // 2), device=device)
                 for at in range(2 * look.depth + 2)]  # fmt: skip
    with torch.inference_mode():
        whole = model.plain.g_synthesis(
            style[None].to(device), noise, depth=look.depth, alpha=look.alpha
        )
    picture: Tensor = whole[0]
    return picture


def grid(model: Loaded, latents: Latents, look: Look) -> Pictures:
    """Return the pictures (n, C, H, W) of latents."""
    look = checked(model, look)
    return pictures(model, styles_of(model, latents, look), look)


def truncation(model: Loaded, latents: Latents, psis: Sequence[float], look: Look) -> Pictures:
    """Return for each latent its picture at each psi: (n, len(psis), C, H, W).

    At psi 0 all are the same, the picture of the mean style; with a cutoff they are alike only in
    what the layers below it make. psi of the look is not looked at.
    """
    look = checked(model, look)
    bounded(model, look, len(latents) * len(psis))
    styles = truncated_styles(model, latents, psis, look)
    return np.stack([pictures(model, row, look) for row in styles])


def truncated_styles(model: Loaded, latents: Latents, psis: Sequence[float], look: Look) -> Styles:
    """Return for each latent its styles at each psi: (n, len(psis), L, S); see `truncation`."""
    if not len(latents) or not len(psis):
        raise InputError(N_("Truncation needs a latent and a psi at least."))
    rows = [
        moved(model, np.repeat(one[None], len(psis), axis=0), psis, cutoff=look.cutoff)
        for one in own_styles(model, latents)
    ]
    return np.stack(rows)


def layers_read(
    text: str, *, reading: Reading = "ranges", count: int = MOST_LAYERS
) -> list[tuple[int, ...]]:
    """Read layers written as 0-4,5-9: from-to with both ends in, parted by commas.

    With the reading `tuples` only the two ends are meant: what a pair of numbers says to NumPy, and
    what the published figure was made with. `count` is how many layers there are to choose from.

    Raises:
        InputError: It is written otherwise, or there are not so many layers.
    """
    found = []
    try:
        for part in text.replace("，", ",").split(","):
            first, dash, last = part.strip().partition("-")
            ends = int(first), int(last if dash else first)
            if not ends[0] <= ends[1] < count:  # before a range is written out
                raise ValueError(part)
            every = range(ends[0], ends[1] + 1) if reading == "ranges" else sorted(set(ends))
            found.append(tuple(every))
    except ValueError:
        raise InputError(
            N_("{text!r} are no layers."),
            hint=N_("Write them as 0-4,5-9; the last can be {last}."),
            text=text[:60], last=count - 1,
        ) from None  # fmt: skip
    return found


def mixing(
    model: Loaded,
    sources: Latents,
    destinations: Latents,
    layers: Sequence[Sequence[int]],
    look: Look,
    *,
    source_psis: Sequence[float] | None = None,
    destination_psis: Sequence[float] | None = None,
) -> Mixing:
    """Put the styles of sources into some layers of destinations.

    Args:
        model: The generator.
        sources: (C, Z), the columns.
        destinations: (R, Z), the rows.
        layers: Which of each row's layers come from the source; one for all rows, or one each.
        look: psi of the look is not looked at.
        source_psis: One a source; None: 1.
        destination_psis: One a destination; None: 1.

    Raises:
        InputError: Layers that the model has not, or another number of them or of psis.
    """
    look = checked(model, look)
    bounded(model, look, (len(sources) + 1) * (len(destinations) + 1))
    from_sources, own, mixed = mixed_styles(
        model, sources, destinations, layers, look, source_psis=source_psis,
        destination_psis=destination_psis,
    )  # fmt: skip
    cells = [pictures(model, row, look) for row in mixed]
    return Mixing(pictures(model, from_sources, look), pictures(model, own, look), np.stack(cells))


def mixed_styles(
    model: Loaded,
    sources: Latents,
    destinations: Latents,
    layers: Sequence[Sequence[int]],
    look: Look,
    *,
    source_psis: Sequence[float] | None = None,
    destination_psis: Sequence[float] | None = None,
) -> tuple[Styles, Styles, Styles]:
    """Return styles of sources (C, L, S), destinations (R, L, S), mixed (R, C, L, S).

    See `mixing`.
    """
    rows = list(layers) * len(destinations) if len(layers) == 1 else list(layers)
    _check_mixing(model, rows, len(sources), len(destinations), source_psis, destination_psis)

    def of(latents: Latents, psis: Sequence[float] | None) -> Styles:
        own = own_styles(model, latents)
        return moved(model, own, psis or [1.0] * len(own), cutoff=look.cutoff)

    from_sources, own = of(sources, source_psis), of(destinations, destination_psis)
    mixed = np.repeat(own[:, None], len(from_sources), axis=1)
    for row, chosen in zip(mixed, rows, strict=True):
        row[:, list(chosen)] = from_sources[:, list(chosen)]
    return from_sources, own, mixed


def _check_mixing(
    model: Loaded, rows: Sequence[Sequence[int]], num_sources: int, num_destinations: int,
    source_psis: Sequence[float] | None, destination_psis: Sequence[float] | None,
) -> None:  # fmt: skip
    counts = ((source_psis, num_sources), (destination_psis, num_destinations))
    if not num_sources or not num_destinations:
        raise InputError(N_("Mixing needs a source and a destination at least."))
    if len(rows) != num_destinations or any(p and len(p) != count for p, count in counts):
        raise InputError(
            N_("Give layers once or for each of the {rows} destinations, and a psi for each"
               " picture."),
            rows=num_destinations,
        )  # fmt: skip
    last = model.networks.layers - 1
    wrong = sorted({at for row in rows for at in row if not 0 <= at <= last})
    if wrong:
        raise InputError(
            N_("This model has the layers 0 to {last}; there is no {wrong}."),
            last=last, wrong=", ".join(map(str, wrong)),
        )  # fmt: skip


def walk_styles(model: Loaded, latents: Latents, look: Look, *, frames: int = 12) -> Styles:
    """Return styles on the way from style to style and back to the first, evenly spaced.

    Args:
        model: The generator.
        latents: (n, Z), at least two.
        look: How.
        frames: From one latent to the next, the first of them in.

    Returns:
        (n · frames, L, S); the last is followed by the first.

    Raises:
        InputError: Fewer latents, or too many frames.
    """
    if len(latents) < 2 or not 1 <= frames <= 240:
        raise InputError(N_("A walk needs two latents, and 1 to 240 pictures between them."))
    styles = styles_of(model, latents, look)
    shares = (np.arange(frames, dtype=np.float32) / frames)[:, None, None]
    legs = [
        one + shares * (other - one)
        for one, other in zip(styles, np.roll(styles, -1, axis=0), strict=True)
    ]
    return np.concatenate(legs)


def sum_styles(model: Loaded, latents: Latents, weights: Sequence[float], look: Look) -> Styles:
    """Return the styles (1, L, S) of a sum of latents: the mean style plus weighted ways from it.

    (1, -1, 1) is the first without what the second has, plus what the third has.

    Raises:
        InputError: There is not a weight for each latent.
    """
    if len(weights) != len(latents) or not len(latents):
        raise InputError(N_("A sum needs a weight for each latent."))
    own = own_styles(model, latents)
    mean = model.quick.mean.cpu().numpy()
    total = mean + np.einsum("n,ns->s", np.asarray(weights, np.float64), own - mean)
    return moved(model, total[None].astype(np.float32), [look.psi], cutoff=look.cutoff)


def as_bytes(made: Pictures) -> NDArray[np.uint8]:
    """Bring pictures to 0..255, cut off and rounded down, as the published figures were."""
    scaled = np.clip(made * np.float32(0.5) + np.float32(0.5), 0, 1) * np.float32(255)
    out: NDArray[np.uint8] = scaled.astype(np.uint8)
    return out
