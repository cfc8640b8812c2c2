"""What other programs left: learners saved by fastai, state dicts of their networks and StyleGAN's.

A `.pth` file is a pickle. It is read with `weights_only=True`, which runs no code of the file; a
file that needs more is refused. fastai keeps its settings in a list class of its own: an inert
class stands in for it, so that those files open without fastai.
"""

import re
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from core.errors import InputError, RefusedFileError, TooLargeError
from core.settings import settings
from core.text import N_
from models import foreign_style
from models.config import Model, NetworkConfig
from models.style_config import StyleNetworks
from models.wgan import Critic, Generator

_PARTS = ("generator", "critic")
_MOST_LEVELS, _MOST_LEAVES, _MOST_LETTERS = 4, 20_000, 200


class _Inert:
    """Takes the place of fastai's list; holds what the file says, does nothing."""


_STAND_INS: list[Any] = [(_Inert, "fastcore.foundation.L")]


@dataclass(frozen=True, slots=True)
class Foreign:
    """Weights of another program, under our names."""

    what: str
    """What the file is, in words (marked with `N_`)."""
    networks: NetworkConfig | StyleNetworks
    weights: dict[str, Tensor]
    state: dict[str, Tensor] = field(default_factory=dict)
    """The optimiser's mean squares, where the file holds them."""
    model: Model = "wgan"
    optimiser: str = "shared-rmsprop"
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is known, as JSON can hold it: depth, epoch, where the mean style comes from."""


def read_foreign(path: Path, *, mean: foreign_style.Mean = "auto") -> Foreign:
    """Read a learner saved by fastai, or a state dict: of its networks, or of a StyleGAN's.

    Args:
        path: The file.
        mean: Of a StyleGAN's generator: which mean style to take.

    Raises:
        RefusedFileError: The file is no such file, is damaged, or would have to run code.
        InputError: It holds other networks, or there is none.
        TooLargeError: It unpacks to more than the memory limit.
    """
    body = _loaded(path)
    if (found := foreign_style.part(_leaves(body, path), path.name)) is not None:
        style = foreign_style.read(_tensors(found.weights, path), path.name, mean=mean,
                                   is_average=found.is_average)  # fmt: skip
        return Foreign(
            what=style.what, networks=style.networks, weights=style.weights, model="stylegan",
            optimiser="adam", facts=style.facts,
        )  # fmt: skip
    model = body.get("model", body) if isinstance(body, dict) else None
    if not isinstance(model, dict) or not model:
        raise _not_networks(path)
    weights = _tensors(model, path)
    if not any(key.startswith(f"{part}.") for part in _PARTS for key in weights):
        part = "generator" if "1.0.weight" in weights and "0.0.weight" not in weights else "critic"
        weights = {f"{part}.{key}": value for key, value in weights.items()}
    config = _config(weights, path)
    has = [part for part in _PARTS if any(key.startswith(f"{part}.") for key in weights)]
    _check(weights, config, has, path)
    state = _mean_squares(body, config) if "opt" in body and len(has) == 2 else {}
    what = N_("learner of fastai, with optimiser") if state else N_("learner of fastai")
    if has == ["generator"]:
        what = N_("generator of fastai")
    elif has == ["critic"]:
        what = N_("critic of fastai")
    return Foreign(what, config, weights, state, facts={"has": has})


def _loaded(path: Path) -> Any:
    if not path.is_file():
        raise InputError(N_("There is no file {path}."), path=str(path)[:200])
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(entry.file_size for entry in archive.infolist()))
        _check_size(path, size)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # of pickles by other writers than PyTorch
            return torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError,
            TypeError, KeyError, AttributeError, IndexError, AssertionError) as err:  # fmt: skip
        if "Unsupported global" in str(err) or "Unsupported class" in str(err):
            raise RefusedFileError(
                N_("{name} is refused: it holds more than weights, and opening it could run its"
                   " code."),
                hint=N_("Save the weights alone, as a state dict, and import that."),
                name=path.name,
            ) from err  # fmt: skip
        raise RefusedFileError(
            N_("{name} is not a whole file of PyTorch weights."), name=path.name
        ) from err


def _leaves(body: object, path: Path) -> dict[str, object]:
    """Return what lies in dictionaries within dictionaries, under names with dots.

    One dictionary may lie in many places of a file: what is laid out is counted.
    """
    out: dict[str, object] = {}
    inside: list[tuple[str, object, int]] = [("", body, 0)]
    for name, value, level in inside:
        if not isinstance(value, dict) or level == _MOST_LEVELS:
            out[name] = value
        elif len(inside) + len(value) > _MOST_LEAVES:
            raise _not_networks(path)
        else:
            before = f"{name}." if name else ""
            inside += [(before + key[:_MOST_LETTERS], one, level + 1)
                       for key, one in value.items() if isinstance(key, str)]  # fmt: skip
    return out


def _tensors(model: dict[Any, Any], path: Path) -> dict[str, Tensor]:
    """Return the weights of a state dict that holds nothing else and does not take too much."""
    weights = {str(key): value for key, value in model.items() if _is_plain(value)}
    if len(weights) != len(model):
        raise _not_networks(path)
    # A tensor may show one number as many times as its shape asks for.
    _check_size(path, sum(one.numel() * one.element_size() for one in weights.values()))
    return weights


def _is_plain(value: object) -> bool:
    """Tell whether a value is a tensor that holds its numbers, one beside the other."""
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout is torch.strided
        and not value.is_quantized
    )


def _check_size(path: Path, size: int) -> None:
    limit = settings().memory_mb << 20
    if size > limit:
        raise TooLargeError(
            N_("{name} unpacks to {needed:.1f} GB; the limit is {limit:.1f} GB."),
            name=path.name, needed=size / 1e9, limit=limit / 1e9,
        )  # fmt: skip


def _not_networks(path: Path) -> InputError:
    return InputError(
        N_("{name} holds no networks that this program knows."),
        hint=N_(
            "Give a file written by fastai's learn.save, a state dict of its networks, or"
            " a GAN_GEN or GAN_DIS file of StyleGAN."
        ),
        name=path.name,
    )


def _config(weights: dict[str, Tensor], path: Path) -> NetworkConfig:
    """Read the shape of the networks off the shapes of their weights."""
    found: dict[str, int] = {}
    for part in _PARTS:
        convolutions = {
            int(match[1]): tuple(value.shape)
            for key, value in weights.items()
            if (match := re.fullmatch(rf"{part}\.(\d+)\.(?:0\.)?weight", key)) and value.ndim == 4
        }
        if len(convolutions) < 3:
            continue
        shapes = [convolutions[at] for at in sorted(convolutions)]
        extra = sum(shape[2] == 3 for shape in shapes)
        found["extra_layers"] = extra
        found["size_px"] = 2 ** (len(shapes) - extra + 1)
        if part == "generator":
            found |= {"latent": shapes[0][0], "generator_width": shapes[-1][0],
                      "channels": shapes[-1][1]}  # fmt: skip
        else:
            found |= {"critic_width": shapes[0][0], "channels": shapes[0][1]}
    if not found:
        raise _not_networks(path)
    return NetworkConfig(**found)  # type: ignore[arg-type]  # all of them are whole numbers


def _check(weights: dict[str, Tensor], config: NetworkConfig, has: list[str], path: Path) -> None:
    for part, network in (("generator", Generator), ("critic", Critic)):
        if part not in has:
            continue
        with torch.device("meta"):
            own = {f"{part}.{k}": v.shape for k, v in network(config).state_dict().items()}
        given = {k: v.shape for k, v in weights.items() if k.startswith(f"{part}.")}
        if own != given:
            raise _not_networks(path)


def _mean_squares(body: dict[str, Any], config: NetworkConfig) -> dict[str, Tensor]:
    """Return fastai's `sqr_avg` under the names of `Optimisers.tensors`; empty if they do not fit.

    fastai keeps a list, in the order of the parameters: the generator's, then the critic's.
    """
    saved = body["opt"].get("state") if isinstance(body["opt"], dict) else None
    with torch.device("meta"):
        named = [
            (f"{part}/{name}", value.shape)
            for part, network in (("generator", Generator(config)), ("critic", Critic(config)))
            for name, value in network.named_parameters()
        ]
    if not isinstance(saved, list) or len(saved) != len(named):
        return {}
    state: dict[str, Tensor] = {}
    for (name, shape), entry in zip(named, saved, strict=True):
        squares = entry.get("sqr_avg") if isinstance(entry, dict) else None
        if not isinstance(squares, Tensor):
            continue
        if squares.shape != shape:
            return {}
        state[f"{name}/square_avg"] = squares
        state[f"{name}/step"] = torch.tensor(0.0)
    return state
