"""Pictures of a StyleGAN: the quick way and the preview beside the plain layers, in one run.

    python -m benchmarks.stylegan [--sizes 64,128,256,512,1024] [--rounds 3] [--threads 1]
        [--out FILE]

Networks of the published width with weights as after some training; one picture at a time. Each
round runs every contender once, so that a busy moment hits all alike, after one that is not
counted; tables show medians of the time of the processor. How far pictures lie from the plain ones
is shown as a share of the largest value.

`separate` is the forward pass as the paper writes it down, each step by itself and weights scaled
at each use: pixels repeated, convolved, blurred, bias, noise, leaky ReLU, norm, style. `plain` are
the layers as they train, which from 128 px on are one transposed convolution, as in
StyleGAN.pytorch. Sliders: psi moves every layer. The last layer of a mixing is moved by one, in the
middle or at the fine end, where what the layers below put out is kept: six pictures (3 sources, 2
destinations), two from 512 px on.
"""

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

try:
    import torch
except ModuleNotFoundError:  # the other benchmarks need none
    print("PyTorch is not installed: nothing to measure. It comes with `make models`.")
    raise SystemExit(0) from None
from torch import Tensor
from torch.nn import functional

from core.settings import settings
from models.engine import engine
from models.style_config import StyleNetworks, widths
from models.style_layers import SLOPE, STRIDED_PX
from models.style_task import fixed_noises
from models.stylegan import StyleGenerator, style_networks
from models.synthesis import Kept, QuickGenerator

Contender = Callable[[], Any]


def trained(size: int, device: torch.device) -> StyleGenerator:
    """Return a generator of the published width whose noise and biases are no longer zero."""
    across = widths(size)
    config = StyleNetworks(size_px=size, widths=across, critic_widths=across)
    generator, _ = style_networks(config, seed=0)
    draws = torch.Generator().manual_seed(1)
    for parameter in generator.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.0, 0.3, generator=draws)
    return generator.to(device).eval().requires_grad_(False)


def separate(generator: StyleGenerator, styles: Tensor, noises: list[Tensor]) -> Tensor:
    """Return the picture (1, C, H, W) of styles (L, S), each step of the paper by itself."""
    whole: Any = generator.g_synthesis

    def epilogue(x: Tensor, part: Any, layer: int) -> Tensor:
        x = x + part.strength.view(1, -1, 1, 1) * noises[layer]
        x = functional.instance_norm(functional.leaky_relu(x, SLOPE))
        lin = part.style_mod.lin
        scale, shift = functional.linear(styles[layer], lin.weight * lin.scale, lin.bias).chunk(2)
        return x * (scale.view(1, -1, 1, 1) + 1) + shift.view(1, -1, 1, 1)

    def convolved(x: Tensor, part: Any, size: int) -> Tensor:
        return functional.conv2d(x, part.weight * part.scale, part.bias, padding=size // 2)

    first = whole.init_block
    x = epilogue(first.const + first.bias.view(1, -1, 1, 1), first.epi1, 0)
    x = epilogue(convolved(x, first.conv, 3), first.epi2, 1)
    for at, block in enumerate(whole.blocks):
        up = block.conv0_up
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        weight = up.weight * up.scale
        # What takes one stride in the checkpoints of this make has its kernel mirrored.
        weight = weight.flip(2, 3) if x.shape[2] >= STRIDED_PX else weight
        x = functional.conv2d(x, weight, padding=1)
        kernel = up.intermediate.kernel.expand(x.shape[1], 1, -1, -1)
        x = functional.conv2d(x, kernel, padding=1, groups=x.shape[1])
        x = epilogue(x + up.bias.view(1, -1, 1, 1), block.epi1, 2 * at + 2)
        x = epilogue(convolved(x, block.conv1, 3), block.epi2, 2 * at + 3)
    return convolved(x, whole.to_rgb[-1], 1)


def contenders(generator: StyleGenerator, quick: QuickGenerator) -> dict[str, Contender]:
    """Return the ways to make one and the same picture."""
    device = quick.device
    depth = generator.config.depths - 1
    noises = fixed_noises(depth, device)
    preview = QuickGenerator(generator, dtype=torch.bfloat16)
    z = torch.randn(1, generator.config.latent, generator=torch.Generator().manual_seed(2))
    z = z.to(device)
    styles = quick.styles(z).expand(generator.config.layers, -1)

    def plain() -> Tensor:
        with torch.inference_mode():
            return generator(z, noises, depth=depth)[0]

    def stepwise() -> Tensor:
        with torch.inference_mode():
            return separate(generator, styles, noises)[0]

    return {
        "plain, float32": plain,
        "separate, float32": stepwise,
        "quick, float32": lambda: quick.picture(styles, noises, depth=depth),
        "preview, bfloat16": lambda: preview.picture(styles, noises, depth=depth),
    }


class Sliders:
    """What a move of a slider makes anew, and what it would make if nothing were kept."""

    def __init__(self, generator: StyleGenerator, quick: QuickGenerator) -> None:
        self.quick, self.config = quick, generator.config
        self.small = QuickGenerator(generator, dtype=torch.bfloat16)
        self.noises = fixed_noises(self.config.depths - 1, quick.device)
        self.draws = torch.Generator().manual_seed(3)
        self.psi = 0.9
        self.grid = (3, 2) if self.config.size_px <= 256 else (2, 1)
        self.draw()

    def draw(self) -> None:
        """Begin anew: other latents, nothing kept."""
        self.sources, self.own = map(self._styles, self.grid)
        self.kept = Kept()

    def _styles(self, count: int) -> Tensor:
        z = torch.randn(count, self.config.latent, generator=self.draws)
        return self.quick.styles(z.to(self.quick.device))

    def psi_moved(self) -> None:
        self._at_psi(self.quick, self.config.depths - 1)

    def psi_preview(self) -> None:
        self._at_psi(self.small, 3)

    def _at_psi(self, maker: QuickGenerator, depth: int) -> None:
        self.psi -= 0.01
        style = torch.lerp(self.quick.mean, self.own[0], self.psi)
        maker.picture(style.expand(self.config.layers, -1), self.noises, depth=depth)

    def mixed(self, last: int) -> None:
        for own in self.own:
            for source in self.sources:
                styles = own.repeat(self.config.layers, 1)
                styles[: last + 1] = source
                self.quick.picture(styles, self.noises, depth=self.config.depths - 1,
                                   kept=self.kept)  # fmt: skip

    def ways(self) -> dict[str, Contender]:
        """Return them in the order in which one leads to the next."""
        middle, top = self.config.layers // 2, self.config.layers - 1
        name = f"mixing of {self.grid[0]} x {self.grid[1]}"
        return {
            "psi moved, one picture": self.psi_moved,
            "psi moved, its preview of 32 px": self.psi_preview,
            "": self.draw,
            f"{name}, first made": lambda: self.mixed(middle),
            f"{name}, moved in the middle": lambda: self.mixed(middle + 1),
            " ": lambda: self.mixed(top - 1),
            f"{name}, moved at the fine end": lambda: self.mixed(top),
        }


def timed(ways: Mapping[str, Contender], device: torch.device, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; they take turns, and the first turn is not counted.

    Ways without a name lead from one to the next and are not told.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    for _ in range(rounds + 1):
        for name, way in ways.items():
            begun = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(clock() - begun)
    return {name: statistics.median(found[1:]) for name, found in seconds.items() if name.strip()}


def measure(size: int, device: torch.device, rounds: int) -> tuple[list[str], list[str]]:
    """Return the rows of one size: of pictures, of sliders."""
    generator = trained(size, device)
    quick = QuickGenerator(generator)
    ways = contenders(generator, quick)
    made = {name: way() for name, way in ways.items()}
    seconds = timed(ways, device, rounds)
    plain, rows = made["plain, float32"], []
    for name, median in seconds.items():
        apart = float((made[name] - plain).abs().max() / plain.abs().max())
        told = "not the picture" if "preview" in name else f"{apart:.1e}"
        rows.append(
            f"| {size} | {name} | {1000 * median:.0f} | {1 / median:.2f} "
            f"| {seconds['plain, float32'] / median:.2f} "
            f"| {seconds['separate, float32'] / median:.2f} | {told} |"
        )
    movable = Sliders(generator, quick)
    sliders = timed(movable.ways(), device, rounds)
    alone = seconds["plain, float32"]
    others = []
    for name, median in sliders.items():
        count = 1 if name.startswith("psi") else math.prod(movable.grid)
        others.append(f"| {size} | {name} | {1000 * median:.0f} | {count * alone / median:.1f} |")
    return rows, others


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,128,256,512,1024")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ["URBAN_PATTERN_THREADS"] = str(args.threads)
    settings.cache_clear()
    device = engine(args.device, "float32", args.threads, exact=True).device
    load = os.getloadavg()[0]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    lines = [
        "# Pictures of a StyleGAN",
        "",
        f"`python -m benchmarks.stylegan`: one picture at a time, published width; {name}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}; medians of {args.rounds} "
        f"rounds in which the ways take turns, one more before them. Load {load:.1f} at the start.",
        "",
        "| px | way | ms | pictures a second | times as fast as plain | as separate "
        "| largest difference from plain |",
        "|---|---|---|---|---|---|---|",
    ]
    sliders = ["", "| px | slider | ms | times as fast as plain pictures |", "|---|---|---|---|"]
    for size in map(int, args.sizes.split(",")):
        rows, others = measure(size, device, args.rounds)
        lines += rows
        sliders += others
    lines += sliders
    lines.append("")
    lines.append(f"Load {os.getloadavg()[0]:.1f} at the end.")
    text = "\n".join(lines) + "\n"
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
