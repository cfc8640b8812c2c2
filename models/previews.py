"""Previews of a figure: small pictures, quickly made, in the colours of the finished ones.

In a model that learned by scale the colours of a smaller size are those of the day when training
moved on from it; the layers beneath went on. So a preview has colours of its own, fitted to
finished pictures: the linear map, by least squares, from what the layers put out at a place to the
mean of the picture's pixels there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.figures import Figure, Finished, Picture
from models.loaded import Loaded
from models.progressive import size_of_depth
from models.synthesis import Colours

SIZES_PX = (16, 32)
"""Of previews."""
_LEAST, _MOST = 8, 16
"""Finished pictures that colours are fitted to: of fewer they come out wrong."""
_BETTER = 1.5
_NOTHING = 1e-9
_ROWS = 4096
"""Places of them that are looked at."""
_RIDGE = 1e-3
"""Of the mean square of what the layers put out, added to each: what is alike shares its weight."""


def preview(
    model: Loaded, figure: Figure, finished: Finished, *, most_px: int = SIZES_PX[-1]
) -> Figure | None:
    """Return a quicker figure that looks alike: of 16 px to `most_px`, in the quickest format.

    To be looked at while something moves, never to be kept: these are not the pictures. None until
    its colours were fitted, see `learn`, and where its pictures were seen to take more than half
    as long as those of the figure.
    """
    full = figure.depths[0]
    small = _small_depth(figure, most_px)
    if small is None or (full, small) not in model.colours:
        return None
    quick = finished.seconds(model, small, is_preview=True) or 0
    if quick > (finished.seconds(model, full) or math.inf) / 2:
        return None
    return replace(
        figure,
        depths=(small,) * len(figure),
        look=replace(figure.look, way="preview"),
        colours=model.colours[full, small],
    )


def learn(
    model: Loaded, figure: Figure, pictures: Mapping[int, Picture], *, most_px: int = SIZES_PX[-1]
) -> None:
    """Fit the colours of a preview to finished pictures of a figure.

    It takes about as long as sixteen pictures of the preview, and is done anew only for a figure
    of clearly more different styles than the one before: what was learnt from one seed at many psi
    would be wrong for all others. Nothing is done with fewer than eight pictures, or where a figure
    has pictures of several sizes.
    """
    small = _small_depth(figure, most_px)
    if len(pictures) < _LEAST or small is None:
        return
    key = figure.depths[0], small
    places = np.linspace(0, len(pictures) - 1, min(len(pictures), _MOST)).round().astype(int)
    numbers = [sorted(pictures)[at] for at in places]
    variety = _variety(figure, numbers)
    if variety <= _BETTER * model.varieties.get(key, 0.0):
        return
    found = _fitted(model, figure, {at: pictures[at] for at in numbers}, small)
    if all(bool(part.isfinite().all()) for part in found):
        model.colours[key], model.varieties[key] = found, variety


def _variety(figure: Figure, numbers: Sequence[int]) -> float:
    """Return in how many directions, and how far, styles lie apart; 0 where all are the same."""
    styles = np.stack([np.ravel(figure.styles[at]) for at in numbers]).astype(np.float64)
    styles -= styles.mean(axis=0)
    squares = styles @ styles.T
    total, crowded = float(np.trace(squares)), float((squares**2).sum())
    return total**2.5 / crowded if np.isfinite(crowded) and total > _NOTHING else 0.0


def _small_depth(figure: Figure, most_px: int) -> int | None:
    if len(set(figure.depths)) > 1:
        return None
    sizes = [px for px in SIZES_PX if px <= most_px]
    return max((at for at in range(figure.depths[0]) if size_of_depth(at) in sizes), default=None)


def _fitted(model: Loaded, figure: Figure, pictures: Mapping[int, Picture], small: int) -> Colours:
    maker, noise = model.preview, model.noises(figure.look.noise_seed)
    side = size_of_depth(small)
    every = max(1, len(pictures) * side * side // _ROWS)
    features, wanted = [], []
    for at, picture in pictures.items():
        with model.turn:
            found = maker.features(torch.from_numpy(figure.styles[at]), noise, depth=small)
        features.append(_rows(found[0].float().cpu().numpy())[at % every :: every])
        times = picture.shape[-1] // side
        pooled = picture.reshape(len(picture), side, times, side, times).mean(axis=(2, 4))
        wanted.append(_rows(pooled / 127.5 - 1)[at % every :: every])
    seen = np.concatenate(features).astype(np.float64)
    seen = np.concatenate([seen, np.ones((len(seen), 1))], axis=1)
    squares = seen.T @ seen
    squares[np.diag_indices(len(squares))] += _RIDGE * np.trace(squares) / len(squares)
    weights = np.linalg.solve(squares, seen.T @ np.concatenate(wanted))
    weight, bias = weights[:-1].T[:, :, None, None], weights[-1]
    kind = {"dtype": maker.dtype, "device": maker.device}
    return torch.tensor(weight, **kind), torch.tensor(bias, **kind)


def _rows(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Lay values (C, h, w) out as a row a place (h · w, C)."""
    return values.reshape(len(values), -1).T
