"""Networks of StyleGAN.pytorch: their shape read off the shapes of their weights, the mean mended.

Files are state dicts named GAN_GEN_<depth>_<epoch>.pth, GAN_GEN_SHADOW_… (the moving average of
weights) and GAN_DIS_…; others lie in a dictionary of their file, or have names that begin with
something else. A generator that was trained without truncation has no mean style; the mean in a
SHADOW file was never followed while training, so that it is near nothing at first. Both get the
mean of 10,000 styles, and so does a file of any name whose mean comes less than half the way to it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.errors import InputError, TooLargeError
from core.settings import settings
from core.text import N_
from models.progressive import size_of_depth
from models.style_config import SMALLEST, StyleNetworks
from models.stylegan import StyleDiscriminator, StyleGenerator

MEAN_OF = 10_000
_MEAN = "truncation.avg_latent"
_NAME = re.compile(r"GAN_(GEN_SHADOW|GEN|DIS)_(\d{1,2})_(\d{1,6})", re.IGNORECASE)
_ROOTS = (re.compile(r"(?:^|\.)(g_synthesis\.)"), re.compile(r"(?:^|\.)(from_rgb\.)"))
_SEVERAL = re.compile(r"(?<![^.])module\.")
_AVERAGE = re.compile(r"(?<![a-z])ema|shadow|average", re.IGNORECASE)
_HALF = 0.5
_CHUNK = 1000
Mean = Literal["auto", "file", "recompute"]
"""Which mean style is taken: the file's unless it is wrong; the file's, where it has one; a new
one."""


@dataclass(frozen=True, slots=True)
class ForeignStyle:
    """One network of a StyleGAN under our names, and what is known of it."""

    what: str
    networks: StyleNetworks
    weights: dict[str, Tensor]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One network among what a file holds."""

    weights: dict[str, Any]
    """What lies under it: tensors, if the file is sound."""
    is_average: bool
    """Whether the file calls it a moving average."""


def part(leaves: dict[str, object], name: str) -> Part | None:
    """Find a StyleGAN's network in a file; None where there is none.

    The generator where there is one, of several the moving average, else the discriminator;
    whatever stands before its own names is left away. One that stands there twice is one.

    Args:
        leaves: What the file holds, under names with dots.
        name: Of the file.

    Raises:
        InputError: There are several, and none is known to be the one.
    """
    leaves = {_SEVERAL.sub("", key): value for key, value in leaves.items()}
    for root in _ROOTS:
        known = {key[: at.start(1)] for key in leaves if (at := root.search(key))}
        known = _different(leaves, known)
        averages = {before for before in known if _AVERAGE.search(before)}
        if len(known) > 1 and len(averages) != 1:
            names = [one.rstrip(".")[:40] or "-" for one in sorted(known)[:4]]
            raise InputError(
                N_("{name} holds several StyleGAN networks: {parts}."),
                hint=N_("Save the weights of one as a state dict, and import that."),
                name=name, parts=", ".join(names),
            )  # fmt: skip
        for before in averages if len(known) > 1 else known:
            return Part(_own(leaves, before), before in averages)
    return None


def _own(leaves: dict[str, object], before: str) -> dict[str, object]:
    return {key.removeprefix(before): v for key, v in leaves.items() if key.startswith(before)}


def _different(leaves: dict[str, object], known: set[str]) -> set[str]:
    """Return the networks without those that are another one once more, the averages first."""
    found: dict[str, dict[str, object]] = {}
    for before in sorted(known, key=lambda one: (not _AVERAGE.search(one), one)):
        own = _own(leaves, before)
        if not any(_are_equal(own, other) for other in found.values()):
            found[before] = own
    return set(found)


def _are_equal(left: dict[str, object], right: dict[str, object]) -> bool:
    def equal(one: object, other: object) -> bool:
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            return one.dtype == other.dtype and bool(torch.equal(one, other))
        return one is other

    return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)


def read(
    weights: dict[str, Tensor], name: str, *, mean: Mean = "auto", is_average: bool = False
) -> ForeignStyle:
    """Read a generator or discriminator.

    `facts` holds `depth`, the largest that was trained (from the file's name, else the largest
    whose layers have moved from where training starts), `epoch` where the name tells it, and
    `mean`: `file` or `recomputed`.

    Args:
        weights: A state dict, see `part`.
        name: Of the file.
        mean: See `Mean`.
        is_average: Whether the file calls it a moving average.

    Raises:
        InputError: It is of a make that this program does not know.
    """
    named = _NAME.search(PurePath(name).name)
    if any(key.startswith("g_synthesis.") for key in weights):
        return _generator(weights, name, named, mean, is_average)
    return _discriminator(weights, name, named)


def _generator(
    weights: dict[str, Tensor], name: str, named: "re.Match[str] | None", wanted: Mean,
    is_average: bool,
) -> ForeignStyle:  # fmt: skip
    if any(key.startswith("class_embedding.") for key in weights):
        raise InputError(
            N_("{name} is a StyleGAN generator that makes pictures of named classes; this program"
               " knows those without classes."),
            name=name,
        )  # fmt: skip
    config = _shaped(_generator_shape, weights, name)
    is_shadow = bool(named and named[1].upper() == "GEN_SHADOW")
    mean = weights.get(_MEAN)
    if mean is None:
        weights = {**weights, _MEAN: torch.zeros(config.style)}
    network = StyleGenerator(config)
    _fill(network, weights, name)
    keeps_mean = mean is not None and wanted != "recompute" and bool(mean.any())
    if keeps_mean and wanted == "auto":
        keeps_mean = not is_shadow and _is_near(network.truncation.avg_latent, mean_style(network))
    if not keeps_mean:
        network.truncation.avg_latent.copy_(mean_style(network))
    top = config.depths - 1
    facts: dict[str, Any] = {
        "depth": min(int(named[2]), top) if named else _moved_depth(weights, top),
        "mean": "file" if keeps_mean else "recomputed",
        "has": ["generator"],
    }
    if named:
        facts["epoch"] = int(named[3])
    _check_picture(network, facts["depth"], name)
    what = N_("StyleGAN generator")
    if is_shadow or is_average:
        what = N_("StyleGAN generator, moving average")
    found = {f"generator.{key}": value for key, value in network.state_dict().items()}
    return ForeignStyle(what, config, found, facts)


def _discriminator(
    weights: dict[str, Tensor], name: str, named: "re.Match[str] | None"
) -> ForeignStyle:
    config = _shaped(_discriminator_shape, weights, name)
    network = StyleDiscriminator(config)
    _fill(network, weights, name)
    facts: dict[str, Any] = {
        "depth": min(int(named[2]), config.depths - 1) if named else config.depths - 1,
        "has": ["critic"],
    }
    if named:
        facts["epoch"] = int(named[3])
    found = {f"critic.{key}": value for key, value in network.state_dict().items()}
    return ForeignStyle(N_("StyleGAN discriminator"), config, found, facts)


def _shaped(
    shape: Callable[[dict[str, tuple[int, ...]]], StyleNetworks],
    weights: dict[str, Tensor],
    name: str,
) -> StyleNetworks:
    try:
        return shape({key: tuple(value.shape) for key, value in weights.items()})
    except (KeyError, IndexError, ValueError) as err:
        if isinstance(err, InputError):
            raise
        raise _unknown(name, [str(err).strip("'") or "-"]) from err


def _generator_shape(shapes: dict[str, tuple[int, ...]]) -> StyleNetworks:
    dense = [shapes[f"g_mapping.map.dense{at}.weight"]
             for at in range(_count(shapes, r"g_mapping\.map\.dense(\d+)\.weight"))]  # fmt: skip
    blocks = _count(shapes, r"g_synthesis\.blocks\.(\d+)\.conv1\.weight")
    widths = (
        shapes["g_synthesis.init_block.const"][1],
        *(shapes[f"g_synthesis.blocks.{at}.conv1.weight"][0] for at in range(blocks)),
    )
    blurred = "g_synthesis.blocks.0.conv0_up.intermediate.kernel" in shapes
    return StyleNetworks(
        size_px=SMALLEST << blocks,
        channels=shapes["g_synthesis.to_rgb.0.weight"][0],
        latent=dense[0][1],
        mapping=tuple(outside for outside, _ in dense),
        widths=widths,
        critic_widths=widths,
        critic_head=(widths[0], widths[0]),
        is_blurred=blurred or not blocks,
    )


def _discriminator_shape(shapes: dict[str, tuple[int, ...]]) -> StyleNetworks:
    depths = _count(shapes, r"from_rgb\.(\d+)\.weight")
    widths = tuple(shapes[f"from_rgb.{depths - 1 - at}.weight"][0] for at in range(depths))
    head = shapes["final_block.conv.weight"][0], shapes["final_block.dense0.weight"][0]
    return StyleNetworks(
        size_px=SMALLEST << (depths - 1),
        channels=shapes["from_rgb.0.weight"][1],
        widths=widths,
        critic_widths=widths,
        critic_head=head,
        is_blurred="blocks.0.blur.kernel" in shapes or depths == 1,
    )


def _count(shapes: dict[str, tuple[int, ...]], pattern: str) -> int:
    return len({match[1] for key in shapes if (match := re.fullmatch(pattern, key))})


def _fill(network: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Take over all weights, and no other."""
    own = network.state_dict()
    wrong = sorted(own.keys() ^ weights.keys())
    wrong += [k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape]
    if wrong:
        raise _unknown(name, wrong)
    broken = [k for k, v in weights.items() if not v.is_floating_point() or not v.isfinite().all()]
    if broken:
        raise InputError(
            N_("{name} holds weights that are no numbers: {wrong}."),
            name=name, wrong=", ".join(sorted(broken)[:3]),
        )  # fmt: skip
    network.load_state_dict(weights)


def _check_picture(network: StyleGenerator, depth: int, name: str) -> None:
    """Make the picture of the mean style: of numbers that are too large black ones would come.

    Raises:
        InputError: It is not finite.
        TooLargeError: What the layers put out takes more than the memory limit.
    """
    shape, limit = network.config, settings().memory_mb << 20
    needed = 16 * max(wide * size_of_depth(at) ** 2 for at, wide in enumerate(shape.widths))
    if needed > limit:
        raise TooLargeError(
            N_("A picture of {name} takes {needed:.1f} GB of memory; the limit is {limit:.1f} GB."),
            name=name, needed=needed / 1e9, limit=limit / 1e9,
        )  # fmt: skip
    sides = [size_of_depth(at // 2) for at in range(network.config.layers)]
    styles = network.truncation.avg_latent.expand(1, network.config.layers, -1)
    with torch.inference_mode():
        made = network.g_synthesis(
            styles, [torch.zeros(1, 1, side, side) for side in sides[: 2 * depth + 2]], depth=depth
        )
    if not made.isfinite().all():
        raise InputError(
            N_("{name} makes no pictures: its weights are too large to compute with."), name=name
        )


def _unknown(name: str, wrong: list[str]) -> InputError:
    return InputError(
        N_("{name} is a StyleGAN of a make that this program does not know: {wrong} does not fit."),
        name=name, wrong=", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else ""),
    )  # fmt: skip


def _moved_depth(weights: dict[str, Tensor], top: int) -> int:
    """Return the largest depth whose layer to colours has a bias: training starts at none."""
    moved = [d for d in range(top + 1) if bool(weights[f"g_synthesis.to_rgb.{d}.bias"].any())]
    return moved[-1] if moved else top


def _is_near(mean: Tensor, exact: Tensor) -> bool:
    """Tell whether a mean style comes at least half the way to the exact one, as one does that was
    followed while training. One that was not is what training starts with, near nothing.
    """
    return float(mean @ exact) >= _HALF * float(exact @ exact)


def mean_style(network: StyleGenerator, *, num: int = MEAN_OF, seed: int = 0) -> Tensor:
    """Return the mean (S,) of the styles of `num` latents, always the same for a seed."""
    draws = torch.Generator().manual_seed(seed)
    device = network.truncation.avg_latent.device
    total = torch.zeros(network.config.style, dtype=torch.float64, device=device)
    with torch.inference_mode():
        for first in range(0, num, _CHUNK):
            count = min(_CHUNK, num - first)
            z = torch.randn(count, network.config.latent, generator=draws)
            total += network.g_mapping(z.to(device)).double().sum(dim=0)
    return (total / num).to(network.truncation.avg_latent.dtype)
