"""Where and how precisely the arithmetic is done: device, number format, threads."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import get_args

import torch
from torch import nn

from core.errors import InputError
from core.settings import settings
from core.text import N_
from models.config import Precision

_DTYPES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Engine:
    """One device and one number format. Weights stay float32; half formats are for the layers."""

    device: torch.device
    dtype: torch.dtype | None
    """The format that layers compute in; None for float32."""
    layout: torch.memory_format = torch.channels_last
    """How pictures and kernels lie in memory: sums are taken in another order for it."""

    @property
    def precision(self) -> str:
        return next(name for name, dtype in _DTYPES.items() if dtype == self.dtype)

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which layers compute in the engine's format."""
        enabled = self.dtype is not None
        context: AbstractContextManager[object] = torch.autocast(
            self.device.type, self.dtype, enabled=enabled
        )
        return context

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return what keeps small gradients of float16 from vanishing; None where none do."""
        if self.dtype != torch.float16:
            return None
        return torch.amp.GradScaler(self.device.type)

    def placed(self, network: nn.Module) -> nn.Module:
        """Bring a network to the device, its kernels laid out as pictures are."""
        network.to(device=self.device)
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=self.layout)
        return network


def engine(
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    *,
    exact: bool = False,
) -> Engine:
    """Choose device and format, and bound the threads of this process.

    `auto` takes the first GPU if there is one; a half format where the hardware computes in it:
    bfloat16 on newer GPUs and on processors with tiles for it (AMX), float16 on older GPUs.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: See `Precision`.
        threads: At most the number that the settings allow, which is the default.
        exact: Whether to compute in float32 and in the order in which fastai does, for comparing
            with it to the digit. Otherwise the channels of a pixel lie side by side in memory,
            which is quicker and takes sums in another order.

    Raises:
        InputError: No such device or format.
    """
    if precision not in get_args(Precision):
        raise InputError(
            N_("There is no precision {precision!r}."), hint=N_("There are: {known}."),
            precision=precision[:40], known=", ".join(get_args(Precision)),
        )  # fmt: skip
    torch.set_num_threads(max(1, min(threads or settings().threads, settings().threads)))
    place = _device(device)
    if precision == "auto":
        precision = fitting(place)
    # Which of the GPU's kernels is quickest is tried out; their sums differ in the last digits, and
    # numbers of float32 are cut to 10 bits (TF32) on the way into convolutions.
    cudnn = torch.backends.cudnn
    cudnn.benchmark = place.type == "cuda" and not exact
    cudnn.deterministic = exact
    cudnn.allow_tf32 = not exact
    if exact:
        return Engine(place, None, torch.contiguous_format)
    return Engine(place, _DTYPES[precision])


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cuda" and not (device.index or 0) < torch.cuda.device_count():
        raise InputError(
            N_("This machine has no GPU {device}."), hint=N_("Choose the device cpu."), device=name
        )
    if device.type not in {"cpu", "cuda"}:
        raise InputError(
            N_("There is no device {device!r}."),
            hint=N_("Choose auto, cpu, or cuda:0 and so on."),
            device=name[:40],
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def fitting(device: torch.device) -> str:
    """Return the format in which a device computes fastest: a half one where it is made for it."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    # Without tiles the conversions cost more than the shorter numbers save.
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bfloat16" if has_tiles() else "float32"
