"""Pictures of a StyleGAN: the quick way and the preview beside the plain layers, in one run.

    python -m benchmarks.stylegan [--sizes 64,128,256] [--rounds 5] [--threads 1] [--out FILE]

Networks of the published width with weights as after some training; one picture at a time. Each
round runs every contender once, so that a busy moment hits all alike; the table shows medians of
the time of the processor. `slider` changes the styles of the finest two layers of a picture and
makes it anew, with what the layers below put out kept. How far pictures lie from the plain ones is
shown as a share of the largest value.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

try:
    import torch
except ModuleNotFoundError:  # the other benchmarks need none
    print("PyTorch is not installed: nothing to measure. It comes with `make models`.")
    raise SystemExit(0) from None
from torch import Tensor

from core.settings import settings
from models.engine import engine
from models.style_config import StyleNetworks, widths
from models.style_task import fixed_noises
from models.stylegan import StyleGenerator, style_networks
from models.synthesis import Kept, QuickGenerator

Contender = Callable[[], Tensor]


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


def contenders(size: int, device: torch.device) -> dict[str, Contender]:
    """Return the ways to make one and the same picture, and the slider."""
    generator = trained(size, device)
    depth = generator.config.depths - 1
    noises = fixed_noises(depth, device)
    quick = QuickGenerator(generator)
    preview = QuickGenerator(generator, dtype=torch.bfloat16)
    z = torch.randn(1, generator.config.latent, generator=torch.Generator().manual_seed(2))
    z = z.to(device)
    styles = quick.styles(z).expand(generator.config.layers, -1)
    kept, kept_preview = Kept(), Kept()
    moving = styles.clone()

    def plain() -> Tensor:
        with torch.inference_mode():
            return generator(z, noises, depth=depth)[0]

    def slider(maker: QuickGenerator, found: Kept) -> Tensor:
        moving[-2:] += 0.01
        return maker.picture(moving, noises, depth=depth, kept=found)

    return {
        "plain, float32": plain,
        "quick, float32": lambda: quick.picture(styles, noises, depth=depth),
        "preview, bfloat16": lambda: preview.picture(styles, noises, depth=depth),
        "slider, float32": lambda: slider(quick, kept),
        "slider, preview": lambda: slider(preview, kept_preview),
    }


def measure(size: int, device: torch.device, rounds: int) -> list[str]:
    """Return the table's rows of one size."""
    ways = contenders(size, device)
    pictures = {name: way() for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    for _ in range(rounds):
        for name, way in ways.items():
            begun = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(clock() - begun)
    base = statistics.median(seconds["plain, float32"])
    plain = pictures["plain, float32"]
    rows = []
    for name in ways:
        median = statistics.median(seconds[name])
        apart = float((pictures[name] - plain).abs().max() / plain.abs().max())
        told = "" if name.startswith("slider") else f"{apart:.1e}"
        rows.append(
            f"| {size} | {name} | {1000 * median:.0f} | {1 / median:.1f} | {base / median:.2f} "
            f"| {told} |"
        )
    return rows


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,128,256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ["URBAN_PATTERN_THREADS"] = str(args.threads)
    settings.cache_clear()
    device = engine(args.device, "float32", args.threads, exact=True).device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    lines = [
        "# Pictures of a StyleGAN",
        "",
        f"`python -m benchmarks.stylegan`: one picture at a time, published width; {name}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}; medians of {args.rounds} "
        "rounds in which the ways take turns.",
        "",
        "| px | way | ms | pictures a second | times as fast | largest difference |",
        "|---|---|---|---|---|---|",
    ]
    for size in map(int, args.sizes.split(",")):
        lines += measure(size, device, args.rounds)
    lines.append("")
    lines.append(f"Load {os.getloadavg()[0]:.1f} at the end.")
    text = "\n".join(lines) + "\n"
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
