"""Cut chips and read them in batches, beside image files opened one by one.

    python -m benchmarks.chips [--count 20000] [--rounds 5] [--raster FILE]

Cuts chips of 64 px with their pyramid out of a raster of four bands (made by the script, textured
like imagery, unless one is given), writes a part of them as PNG and JPEG, and reads random batches
of 128: ours by memory map, the files with Pillow. All contenders run in turn within each round, on
one thread, with everything in the page cache. Prints Markdown tables.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin
from scipy.ndimage import zoom

from core.chips.export import export_set, jpeg_effect
from core.chips.options import CutOptions
from core.chips.quality import look
from core.chips.requests import Request, run
from core.chips.sets import ChipSet, ChipSets
from core.workspace import Workspace

_BATCH = 128
_FILES = 4096
_SIDE_PX = 8192
_OURS = "ours, all 4 bands"
_Read = Callable[[NDArray[np.int64]], NDArray[np.uint8]]


def make_raster(path: Path) -> None:
    """Write four bands of 1 m with structure at many scales, so that PNG and JPEG do real work."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff", "width": _SIDE_PX, "height": _SIDE_PX, "count": 4, "dtype": "uint8",
        "crs": "EPSG:32616", "transform": from_origin(440_000, 4_640_000, 1, 1), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "photometric": "MINISBLACK",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:  # noqa: TID251  (the benchmark's own file)
        for band in range(1, 5):
            values = rng.normal(0, 5, (_SIDE_PX, _SIDE_PX)).astype(np.float32)
            for cells, size in ((16, 30), (128, 20), (1024, 14)):
                coarse = rng.normal(0, size, (cells, cells)).astype(np.float32)
                values += zoom(coarse, _SIDE_PX // cells, order=1, grid_mode=True, mode="nearest")
            file.write(np.clip(values + 110, 1, 255).astype(np.uint8), band)


def cut(workspace: Path, raster: Path, count: int) -> tuple[float, ChipSet]:
    """Cut a set; return the seconds."""
    begun = time.perf_counter()
    options = CutOptions(size_px=64, count=count)
    run(Workspace(workspace), Request(out="bench", files=(str(raster),), options=options))
    return time.perf_counter() - begun, ChipSets(workspace).open("bench")


def readers(chips: ChipSet, folder: Path) -> dict[tuple[int, str], _Read]:
    """Return the contenders, each reading a batch of chips into one array."""

    def pillow(suffix: str, size: int) -> _Read:
        base = folder / suffix / f"patches_{size}"
        names = [str(base / f"{number:06d}.{suffix}") for number in range(_FILES)]

        def read(index: NDArray[np.int64]) -> NDArray[np.uint8]:
            batch = np.empty((len(index), size, size, 3), np.uint8)
            for number, at in enumerate(index):
                with Image.open(names[at]) as image:
                    batch[number] = np.asarray(image)
            return batch

        return read

    return {
        (64, "PNG, Pillow"): pillow("png", 64),
        (64, "JPEG, Pillow"): pillow("jpg", 64),
        (64, _OURS): lambda index: chips.read(index, 64),
        (16, "PNG, Pillow"): pillow("png", 16),
        (16, "JPEG, Pillow"): pillow("jpg", 16),
        (16, _OURS): lambda index: chips.read(index, 16),
    }


def write_files(chips: ChipSet, folder: Path) -> None:
    """Write the first chips as files, numbered as in the set, both formats and two sizes."""
    for form, suffix in (("png", "png"), ("jpeg", "jpg")):
        export_set(chips, folder / suffix, form=form, sizes=[64, 16])
        for size in (64, 16):  # test chips lie apart; here they are only files
            for path in (folder / suffix / "test" / f"patches_{size}").iterdir():
                path.rename(folder / suffix / f"patches_{size}" / path.name)


def timed(
    contenders: dict[tuple[int, str], _Read], rounds: int
) -> dict[tuple[int, str], list[float]]:
    """Return microseconds a chip, a figure a round."""
    rng = np.random.default_rng(1)
    found: dict[tuple[int, str], list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, read in contenders.items():
            batches = rng.integers(0, _FILES, (16, _BATCH))
            begun = time.perf_counter()
            for index in batches:
                read(index)
            if number:  # the first round warms the page cache
                found[name].append((time.perf_counter() - begun) / batches.size * 1e6)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--raster", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster = args.raster or folder / "imagery.tif"
        if args.raster is None:
            make_raster(raster)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        seconds, chips = cut(folder / "space", raster, args.count)
        few = min(args.count, _FILES + _FILES // 2)
        _, part = cut(folder / "part", raster, few)
        begun = time.perf_counter()
        write_files(part, folder)
        writing = (time.perf_counter() - begun) / (4 * len(part))
        begun = time.perf_counter()
        look(chips)
        looking = time.perf_counter() - begun
        print(
            f"{len(chips):,} chips of 64 px, {len(chips.info.channels)} bands; {platform.machine()}"
        )
        print(f"{os.cpu_count()} cores (load {load:.1f}), Python {platform.python_version()}.\n")
        size = chips.info.num_bytes / 1e6
        print("| work | s |\n|---|---|")
        print(f"| cut, with pyramid, table and digest ({size:,.0f} MB) | {seconds:.1f} |")
        print(f"| look for blur and near duplicates | {looking:.1f} |")
        print(f"| write 1,000 image files | {writing * 1000:.2f} |\n")
        _print_reading(timed(readers(part, folder), args.rounds))
        effect = jpeg_effect(part)
        print(
            f"\nJPEG at quality {effect.quality}: mean difference {effect.mean_difference:.2f} of"
            f" 255, PSNR {effect.psnr_db:.1f} dB, fine detail {effect.sharpness:.0%}."
        )


def _print_reading(found: dict[tuple[int, str], list[float]]) -> None:
    """Print what a chip took, and how many times as fast ours is as each file of its size."""
    middle = {key: statistics.median(each) for key, each in found.items()}
    print("| read in random batches of 128 | µs a chip | ours is faster, times |\n|---|---|---|")
    for (size, who), each in middle.items():
        times = each / middle[size, _OURS]
        print(f"| {size} px, {who} | {each:.1f} | {'' if who == _OURS else f'{times:.0f}'} |")


if __name__ == "__main__":
    main()
