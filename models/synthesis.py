"""A generator made ready for pictures alone: quick, read-only, shared by threads.

What is the same for every picture is done once: weights are scaled, doubling and the convolution
after it are one transposed convolution, norm and style one norm with a scale and a shift. Pictures
are made one by one, so that a picture's bytes depend on its own styles alone and not on which
others were asked for. In bfloat16 it is a preview: near, but not the picture.

What the layers put out can be kept, so that a picture that differs in its finer layers alone begins
where it differs. Shape legend: S style, L layers, C channels of a picture, H height, W width.
"""

import copy
import hashlib
import heapq
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.progressive import size_of_depth
from models.style_config import StyleNetworks
from models.style_layers import SLOPE, Epilogue, Up, is_strided, strided
from models.stylegan import StyleGenerator

_LAYOUT = torch.channels_last
_KEPT_BYTES = 64 << 20
_NORM_EPS = 1e-5


class Kept:
    """What layers put out lately, at most so many bytes of it.

    What is large goes before what is small, and what is old before what is new: coarse layers cost
    about as much as fine ones and take little room. Each has a rank, one over its bytes more than
    that of the last to go (Cao and Irani 1997, GreedyDual-Size); the lowest goes first.
    """

    def __init__(self, limit_bytes: int = _KEPT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.num_bytes = 0
        self._found: dict[bytes, tuple[Tensor, float]] = {}
        self._ranks: list[tuple[float, bytes]] = []  # a heap; ranks that have changed stay in it
        self._lowest = 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: bytes) -> Tensor | None:
        with self._lock:
            if key not in self._found:
                return None
            value = self._found[key][0]
            self._rank(key, value)
            return value

    def put(self, key: bytes, value: Tensor) -> None:
        with self._lock:
            if key in self._found or _size(value) > self.limit_bytes:
                return
            self.num_bytes += _size(value)
            self._rank(key, value)
            while self.num_bytes > self.limit_bytes:
                rank, lowest = heapq.heappop(self._ranks)
                if lowest in self._found and self._found[lowest][1] == rank:
                    self._lowest = rank
                    self.num_bytes -= _size(self._found.pop(lowest)[0])

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
            self._ranks.clear()
            self.num_bytes = 0

    def _rank(self, key: bytes, value: Tensor) -> None:
        rank = self._lowest + 1 / _size(value)
        self._found[key] = value, rank
        heapq.heappush(self._ranks, (rank, key))
        if len(self._ranks) > 8 * len(self._found) + 64:
            self._ranks = [(rank, key) for key, (_, rank) in self._found.items()]
            heapq.heapify(self._ranks)


@dataclass(frozen=True, slots=True)
class _Finish:
    """What follows a convolution: strength of the noise, and the layer that reads a style."""

    noise: Tensor
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class _Stage:
    """One size: how it is entered, its second convolution, what follows each, its colours."""

    up: Tensor | None
    up_bias: Tensor
    blur: Tensor | None
    finish_up: _Finish
    conv: Tensor
    conv_bias: Tensor
    finish_conv: _Finish
    rgb: Tensor
    rgb_bias: Tensor


Colours = tuple[Tensor, Tensor]
"""Weight (C, features, 1, 1) and bias (C,) of a layer that makes colours."""


class QuickGenerator:
    """Styles of latents, and pictures of styles, as `StyleGenerator` makes them."""

    def __init__(self, generator: StyleGenerator, *, dtype: torch.dtype = torch.float32) -> None:
        """Take the weights of a generator over; it is not needed afterwards."""
        self.config: StyleNetworks = generator.config
        self.dtype = dtype
        with torch.inference_mode():
            first = generator.g_synthesis.init_block
            start = first.const + first.bias[:, None, None]
            self._start = self._laid(start.detach())
            self._mapping = copy.deepcopy(generator.g_mapping).double()
            self._stages = [self._stage(generator, at) for at in range(self.config.depths)]
            self.mean = generator.truncation.avg_latent.detach().clone()

    @property
    def device(self) -> torch.device:
        return self.mean.device

    @property
    def num_bytes(self) -> int:
        """Memory that its weights take: more than the plain ones, kernels of 3 x 3 become 4 x 4."""
        held = [self._start, self.mean, *self._mapping.parameters()]
        for stage in self._stages:
            parts = [stage.up, stage.blur, stage.up_bias, stage.conv, stage.conv_bias, stage.rgb,
                     stage.rgb_bias]  # fmt: skip
            for finish in (stage.finish_up, stage.finish_conv):
                parts += [finish.noise, finish.weight, finish.bias]
            held += [one for one in parts if one is not None]
        return sum(map(_size, held))

    def styles(self, z: Tensor) -> Tensor:
        """Return the styles (n, S) of latents (n, Z).

        In double precision, so that a style does not depend on which others are asked for.
        """
        with torch.inference_mode():
            out: Tensor = self._mapping(z.to(self.device).double())
            return out.float()

    def picture(
        self,
        styles: Tensor,
        noises: Sequence[Tensor] | None,
        *,
        depth: int,
        alpha: float = 1.0,
        kept: Kept | None = None,
        kept_as: str = "",
        colours: Colours | None = None,
    ) -> Tensor:
        """Return one picture (C, H, W), float32, about -1 to 1.

        Args:
            styles: (L, S), layers up to the depth at least.
            noises: One (1, 1, h, w) a layer; None: no noise.
            depth: Of the picture.
            alpha: Share of the newest depth.
            kept: Where to find and leave what the layers put out.
            kept_as: Tells noises (and generators) apart in it.
            colours: Stand in for the depth's own.
        """
        with torch.inference_mode():
            below, x = self._deep(styles, noises, depth, kept, kept_as)
            out = self._coloured(x, depth) if colours is None else functional.conv2d(x, *colours)
            if depth and alpha < 1:
                coarse = self._coloured(below, depth - 1)
                coarse = functional.interpolate(coarse, scale_factor=2, mode="nearest")
                out = alpha * out + (1 - alpha) * coarse
            return out[0].float().contiguous()

    def features(self, styles: Tensor, noises: Sequence[Tensor] | None, *, depth: int) -> Tensor:
        """Return what colours are made of at a depth (1, features, H, W); see `picture`."""
        with torch.inference_mode():
            return self._deep(styles, noises, depth, None, "")[1]

    def _deep(
        self, styles: Tensor, noises: Sequence[Tensor] | None, depth: int, kept: Kept | None,
        kept_as: str,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return what enters a depth's layers and what they put out."""
        styles = styles.to(self.device)
        begin, x = self._begun(styles, depth, kept, kept_as)
        for at in range(begin, depth + 1):
            below = x
            pair = None if noises is None else noises[2 * at : 2 * at + 2]
            x = self._staged(at, x, styles[2 * at : 2 * at + 2], pair)
            if kept is not None and at < depth:  # of the last one a picture is made, and kept
                kept.put(_key(styles, at, kept_as), x)
        return below, x

    def _begun(
        self, styles: Tensor, depth: int, kept: Kept | None, kept_as: str
    ) -> tuple[int, Tensor]:
        """Return the first stage to compute and what enters it."""
        if kept is not None:
            for at in range(depth - 1, -1, -1):
                found = kept.get(_key(styles, at, kept_as))
                if found is not None:
                    return at + 1, found
        return 0, self._start

    def _staged(
        self, at: int, x: Tensor, styles: Tensor, noises: Sequence[Tensor] | None
    ) -> Tensor:
        stage = self._stages[at]
        if stage.up is not None:
            bias = stage.up_bias if stage.blur is None else None
            x = functional.conv_transpose2d(x, stage.up, bias, stride=2, padding=1)
            if stage.blur is not None:
                x = functional.conv2d(
                    x, stage.blur, stage.up_bias, padding=1, groups=len(stage.blur)
                )
        else:
            x = x.clone()  # what follows works in place
        x = self._finished(x, stage.finish_up, styles[0], None if noises is None else noises[0])
        x = functional.conv2d(x, stage.conv, stage.conv_bias, padding=1)
        return self._finished(
            x, stage.finish_conv, styles[1], None if noises is None else noises[1]
        )

    def _finished(self, x: Tensor, finish: _Finish, style: Tensor, noise: Tensor | None) -> Tensor:
        if noise is not None:
            x = torch.addcmul(x, finish.noise, noise.to(device=x.device, dtype=x.dtype))
        x = functional.leaky_relu_(x, SLOPE)
        scale, shift = functional.linear(style, finish.weight, finish.bias).chunk(2)
        # A view with channels last, as they lie in memory. PyTorch's own norm of such
        # pictures subtracts squares of sums from sums of squares, which loses digits that the
        # layers above enlarge.
        rows = x[0].permute(1, 2, 0)  # (H, W, C); short sums of sums round less than long ones
        rows = rows - rows.mean(dim=1).mean(dim=0)
        spread = rows.square().mean(dim=1, dtype=torch.float32).mean(dim=0)
        scale = (scale * torch.rsqrt(spread + _NORM_EPS)).to(x.dtype)
        return rows.mul_(scale).add_(shift.to(x.dtype)).permute(2, 0, 1)[None]

    def _coloured(self, x: Tensor, depth: int) -> Tensor:
        stage = self._stages[depth]
        return functional.conv2d(x, stage.rgb, stage.rgb_bias)

    def _stage(self, generator: StyleGenerator, at: int) -> _Stage:
        whole = generator.g_synthesis
        rgb = whole.to_rgb[at]
        block: Any = whole.blocks[at - 1] if at else whole.init_block
        conv = block.conv1 if at else block.conv
        up, blur = None, None
        if at:
            up = self._laid(_transposed(block.conv0_up, size_px=size_of_depth(at)))
            if self.config.is_blurred:
                kernel = block.conv0_up.intermediate.kernel
                blur = self._laid(kernel.expand(up.shape[1], 1, -1, -1))
        return _Stage(
            up=up,
            up_bias=self._laid(block.conv0_up.bias if at else block.bias),
            blur=blur,
            finish_up=self._finish(block.epi1),
            conv=self._laid(conv.weight * conv.scale),
            conv_bias=self._laid(conv.bias),
            finish_conv=self._finish(block.epi2),
            rgb=self._laid(rgb.weight * rgb.scale),
            rgb_bias=self._laid(rgb.bias),
        )

    def _finish(self, epilogue: Epilogue) -> _Finish:
        style = epilogue.style_mod.lin
        bias = style.bias.detach().clone()
        bias[: len(bias) // 2] += 1  # a style scales by one more than it says
        noise = epilogue.strength[:, None, None]
        return _Finish(
            noise=noise.detach().to(self.dtype), weight=(style.weight * style.scale).detach(),
            bias=bias,
        )  # fmt: skip

    def _laid(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach().to(self.dtype)
        layout = _LAYOUT if tensor.ndim == 4 else torch.contiguous_format
        return tensor.clone(memory_format=layout)


def _transposed(up: Up, *, size_px: int) -> Tensor:
    """Return the kernel (in, out, 4, 4) of the transposed convolution that doubling comes to."""
    weight = (up.weight * up.scale).transpose(0, 1)
    if not is_strided(size_px):  # the plain layer convolves, which is a mirrored kernel here
        weight = weight.flip(2, 3)
    return strided(weight)


def _key(styles: Tensor, at: int, kept_as: str) -> bytes:
    body = styles[: 2 * at + 2].float().cpu().contiguous().numpy().tobytes()
    return hashlib.blake2b(kept_as.encode() + b"|" + bytes([at]) + body, digest_size=16).digest()


def _size(tensor: Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())
