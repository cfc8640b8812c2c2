"""Zonal statistics: ours beside rasterstats and exactextract, in one run.

    python -m benchmarks.zonal [--folder DIR] [--rounds 3] [--out FILE]

Data are simulated (30 x 40 km, 25,731 quadrats of 150 m off the pixel grid) and made on the first
run. Each round runs every method once, so that a busy moment hits all alike; the table shows
medians. A peer that is slow works on every 20th quadrat, and its time is multiplied by 20.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterstats
from exactextract import exact_extract
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.transform import from_origin
from rasterio.warp import reproject, transform_bounds
from scipy.ndimage import gaussian_filter

from core.quadrats import Lattice, cell_at, to_frame
from core.zonal.footprint import footprint, plan_blocks
from core.zonal.pixels import RasterSource, opened
from core.zonal.table import ZonalTable, zonal_statistics

WEST, NORTH, WIDTH_M, HEIGHT_M = 430_000.0, 4_655_000.0, 30_000, 40_000
UTM = "EPSG:32616"
SUBSET = 20
GTIFF = {
    "driver": "GTiff", "count": 1, "tiled": True, "blockxsize": 512, "blockysize": 512,
    "compress": "deflate",
}  # fmt: skip

os.environ.setdefault("GDAL_CACHEMAX", "64")
# rasterstats, as a check of the counts, takes the 1 m raster as a whole.
os.environ.setdefault("URBAN_PATTERN_MEMORY_MB", "12000")


def city_lattice() -> Lattice:
    """Return 25,731 quadrats of 150 m whose corners fall on no pixel's edge."""
    num_rows, num_cols = 266, 199
    row, col = (axis.ravel() for axis in np.mgrid[:num_rows, :num_cols])
    far = ((col / num_cols - 0.5) ** 2 + (row / num_rows - 0.5) ** 2) * 4
    far += 0.15 * np.sin(col / 9) * np.cos(row / 11)
    kept = np.sort(np.argsort(far, kind="stable")[:25_731])
    return Lattice(
        crs=CRS(UTM),
        side_m=150.0,
        west=WEST + 33.7,
        south=NORTH - 41.3 - num_rows * 150.0,
        shape=(num_rows, num_cols),
        rows=row[kept].astype(np.int32),
        cols=col[kept].astype(np.int32),
        rule="within",
        method="recommended",
    )


def make_data(folder: Path) -> None:
    """Write the rasters that are missing."""
    if (folder / "classes_1m.tif").exists():
        return
    rng = np.random.default_rng(0)
    classes = _classes(5, 57, 6.0, rng)
    origin = partial(from_origin, WEST, NORTH)
    _write(folder / "classes_5m.tif", classes, UTM, origin(5, 5), 255)
    heights = 800 * gaussian_filter(rng.standard_normal((4000, 3000), dtype=np.float32), 20) + 200
    heights += 0.3 * rng.standard_normal(heights.shape, dtype=np.float32)
    heights[1500:1700, 2600:] = -9999
    _write(folder / "heights_10m.tif", heights, UTM, origin(10, 10), -9999)
    box = (WEST, NORTH - HEIGHT_M, WEST + WIDTH_M, NORTH)
    west, south, east, north = transform_bounds(UTM, "EPSG:4326", *box)
    step = 5 / 111_000
    lonlat = np.full((int((north - south) / step), int((east - west) / step)), 255, np.uint8)
    reproject(
        classes, lonlat, src_transform=origin(5, 5), src_crs=UTM,
        dst_transform=from_origin(west, north, step, step), dst_crs="EPSG:4326",
        src_nodata=255, dst_nodata=255, num_threads=1,
    )  # fmt: skip
    where = from_origin(west, north, step, step)
    _write(folder / "classes_lonlat.tif", lonlat, "EPSG:4326", where, 255)
    coarse = 300 + 20 * gaussian_filter(rng.standard_normal((42, 42)), 2).astype(np.float32)
    where = from_origin(west - 0.01, north + 0.01, 0.01, 0.01)
    _write(folder / "coarse_1km.tif", coarse, "EPSG:4326", where, float("nan"))
    _write_fine(folder / "classes_1m.tif", classes, rng)


def _classes(cell_m: int, num: int, sigma: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    shape = (HEIGHT_M // cell_m, WIDTH_M // cell_m)
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
    cuts = np.quantile(field[::7, ::7], np.linspace(0, 1, num + 1)[1:-1])
    codes = rng.permutation(num).astype(np.uint8)[np.searchsorted(cuts, field)]
    speckle = rng.random(shape) < 0.02
    codes[speckle] = rng.integers(0, num, speckle.sum())
    codes[3000:3400, 5200:] = 255
    return codes


def _write(path: Path, array: NDArray, crs: str, transform: object, nodata: float) -> None:
    height, width = array.shape
    size = {"height": height, "width": width, "dtype": array.dtype.name, "nodata": nodata}
    profile = GTIFF | {"crs": crs, "transform": transform} | size
    if array.dtype.kind == "f":
        profile["predictor"] = 3
    with rasterio.open(path, "w", **profile) as file:  # noqa: TID251  (the benchmark's own file)
        file.write(array, 1)


def _write_fine(path: Path, classes: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Write the 5 m classes at 1 m (1.2 GB of pixels) with speckle of their own, in strips."""
    height, width = classes.shape[0] * 5, classes.shape[1] * 5
    size = {"height": height, "width": width, "dtype": "uint8", "nodata": 255}
    where = from_origin(WEST, NORTH, 1, 1)
    with rasterio.open(path, "w", **GTIFF | size, crs=UTM, transform=where) as file:  # noqa: TID251
        for top in range(0, height, 512):
            rows = np.arange(top, min(top + 512, height))
            strip = classes[rows // 5].repeat(5, 1)
            speckle = rng.random(strip.shape, dtype=np.float32) < 0.02
            speckle &= strip != 255
            strip[speckle] = rng.integers(0, 57, speckle.sum(), dtype=np.uint8)
            file.write(strip, 1, window=((top, top + len(rows)), (0, width)))


def source(path: Path) -> RasterSource:
    """Return a raster of the benchmark as a source."""
    return RasterSource(key="x", open=partial(rasterio.open, path))  # noqa: TID251


@dataclass
class Timing:
    """Seconds of one method, round by round."""

    name: str
    run: Callable[[], object]
    scale: int = 1
    wall_s: list[float] | None = None
    cpu_s: list[float] | None = None

    def once(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.run()
        self.wall_s = [*(self.wall_s or []), (time.perf_counter() - wall) * self.scale]
        self.cpu_s = [*(self.cpu_s or []), (time.process_time() - cpu) * self.scale]

    @property
    def wall(self) -> float:
        return statistics.median(self.wall_s or [])

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_s or [])


def read_needed(raster: RasterSource, lattice: Lattice) -> None:
    """Read every block that a quadrat needs, and do nothing with it."""
    with opened(raster) as pixels:
        place = footprint(lattice, pixels.grid, key="x")
        for task in plan_blocks(place, pixels.grid):
            pixels.read(task.window)


def methods(path: Path, lattice: Lattice, stat: str, *, peers: bool) -> list[Timing]:
    """Return what is timed for one raster; the last ones are the peers."""
    frame, raster = to_frame(lattice), source(path)
    call = partial(zonal_statistics, raster, stats=[stat], threads=1)
    timings = [
        Timing("read the needed blocks", partial(read_needed, raster, lattice)),
        Timing("lattice, centre", partial(call, lattice)),
        Timing("lattice, centre, 2 threads", partial(call, lattice, threads=2)),
        Timing("lattice, exact", partial(call, lattice, rule="exact")),
    ]
    if peers:
        timings.append(Timing("exactextract", partial(by_exactextract, path, frame, stat)))
        part = partial(by_rasterstats, path, frame.iloc[::SUBSET], stat)
        timings.append(Timing(f"rasterstats (1 in {SUBSET})", part, scale=SUBSET))
    return timings


def by_exactextract(path: Path, frame: gpd.GeoDataFrame, stat: str) -> None:
    """Call exactextract as its own users do."""
    with rasterio.open(path) as dataset:  # noqa: TID251
        zones = frame.to_crs(dataset.crs)
    ops = ["count", "unique", "frac"] if stat == "frequency" else [stat]
    exact_extract(str(path), zones, ops, output="pandas")


def by_rasterstats(path: Path, frame: gpd.GeoDataFrame, stat: str) -> None:
    """Call rasterstats as its own users do."""
    with rasterio.open(path) as dataset:  # noqa: TID251
        zones = frame.to_crs(dataset.crs)
    how = {"categorical": True, "stats": "count"} if stat == "frequency" else {"stats": stat}
    rasterstats.zonal_stats(zones.geometry, str(path), **how)


def interleaved(timings: list[Timing], rounds: int) -> list[Timing]:
    """Run all methods once to warm up, then round by round."""
    for timing in timings:
        timing.run()
    for _ in range(rounds):
        for timing in timings:
            timing.once()
    return timings


def agreement(raster: RasterSource, lattice: Lattice, stat: str) -> str:
    """Compare with both peers on every 20th quadrat; return the largest differences in words."""
    frame = to_frame(lattice).iloc[::SUBSET]
    call = partial(zonal_statistics, raster, stats=["count", stat])
    return "; ".join(
        f"{engine} {_difference(call(lattice, rule=rule), call(frame, rule=rule, engine=engine))}"
        for rule, engine in (("centre", "rasterstats"), ("exact", "exactextract"))
    )


def _difference(ours: ZonalTable, theirs: ZonalTable) -> str:
    mine = ours.table.iloc[::SUBSET]
    columns = mine.columns.intersection(theirs.table.columns)
    gap = np.abs(mine[columns].fillna(0).to_numpy() - theirs.table[columns].fillna(0).to_numpy())
    return f"{gap.max():.1e}"


def true_transform_gap(raster: RasterSource, lattice: Lattice) -> str:
    """Count pixels that the exact transform of every pixel centre puts elsewhere."""
    ours = zonal_statistics(raster, lattice, stats=["frequency"], threads=1).table.fillna(0)
    codes = np.array([int(name.rsplit("_", 1)[1]) for name in ours])
    truth = np.zeros((len(lattice), 256), np.int64)
    with opened(raster) as pixels:
        grid = pixels.grid
        move = Transformer.from_crs(grid.crs, lattice.crs, always_xy=True)
        for task in plan_blocks(footprint(lattice, grid, key="x"), grid):
            w = task.window
            col, row = np.meshgrid(w.col_off + np.arange(w.width), w.row_off + np.arange(w.height))
            cell = cell_at(lattice, *move.transform(*(grid.transform @ (col + 0.5, row + 0.5))))
            values = pixels.read(w)
            kept = (cell >= 0) & (values != 255)
            np.add.at(truth, (cell[kept], values[kept]), 1)
    # A pixel that lies elsewhere is missing in one count and too many in another.
    wrong = np.abs(ours.to_numpy() - truth[:, codes]).sum() / 2
    return f"{wrong / truth.sum() * 1e6:.2f} pixels in a million lie elsewhere"


def peak_mb(what: str, folder: Path) -> tuple[float, float]:
    """Return the peak memory of a bare process and of one that does `what`, in MB."""
    peaks = []
    for task in ("bare", what):
        command = [sys.executable, "-m", "benchmarks.zonal", "--folder", folder, "--peak", task]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout.split()[-1]))
    return peaks[0], peaks[1]


def print_peak(what: str, folder: Path) -> None:
    """Do one piece of work in this process and print its peak memory."""
    lattice = city_lattice()
    if what == "sparse":
        path = folder / "sparse.tif"
        size = {"height": 200_000, "width": 200_000, "dtype": "uint8", "nodata": 255}
        where = from_origin(WEST - 80_000, NORTH + 80_000, 1, 1)
        profile = GTIFF | size | {"crs": UTM, "transform": where, "sparse_ok": True}
        rasterio.open(path, "w", bigtiff="yes", **profile).close()  # noqa: TID251
        zonal_statistics(source(path), lattice, stats=["frequency"], threads=2)
    elif what == "median":
        raster = source(folder / "heights_10m.tif")
        zonal_statistics(raster, lattice, stats=["median", "unique"], threads=2)
    elif what != "bare":
        zonal_statistics(source(folder / what), lattice, stats=["frequency"], threads=2)
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def report(folder: Path, rounds: int) -> str:
    """Run everything and return it as Markdown."""
    lattice = city_lattice()
    cases = (
        ("57 classes, 5 m, 6000 x 8000 uint8: frequency", "classes_5m.tif", "frequency"),
        ("heights, 10 m, float32: mean", "heights_10m.tif", "mean"),
        ("57 classes, 5 m in EPSG:4326: frequency", "classes_lonlat.tif", "frequency"),
        ("about 1 km in EPSG:4326, float32: mean", "coarse_1km.tif", "mean"),
        ("57 classes, 1 m, 30000 x 40000 uint8: frequency", "classes_1m.tif", "frequency"),
    )
    lines = [
        "## Zonal statistics",
        "",
        f"{len(lattice):,} quadrats of 150 m; {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; medians of {rounds} rounds, first run (compilation) "
        "left out. `×` is CPU time over that of `lattice, centre`.",
        "",
    ]
    for title, file, stat in cases:
        raster = source(folder / file)
        timings = interleaved(methods(folder / file, lattice, stat, peers=True), rounds)
        base = timings[1]
        lines += [f"### {title}", "", "| | wall s | CPU s | × |", "|---|---|---|---|"]
        lines += [
            f"| {t.name} | {t.wall:.3f} | {t.cpu:.3f} | {t.cpu / base.cpu:.1f} |" for t in timings
        ]
        exact, peer, slow = timings[3:]
        lines += [
            "",
            f"CPU of counting over CPU of reading: {base.cpu / timings[0].cpu:.2f}. rasterstats / "
            f"ours: {slow.cpu / base.cpu:.0f}. exactextract / ours (exact): "
            f"{peer.cpu / exact.cpu:.1f}.",
        ]
        if file != "coarse_1km.tif":
            lines.append(
                f"Largest difference of a count or value: {agreement(raster, lattice, stat)}."
            )
        if file == "classes_lonlat.tif":
            lines.append(f"Exact transform: {true_transform_gap(raster, lattice)}.")
        lines.append("")
    lines += _growth(folder, lattice, rounds)
    lines += ["### Memory", "", "| | peak MB above the bare process |", "|---|---|"]
    for what, title in (
        ("classes_5m.tif", "57 classes, 5 m, 2 threads"),
        ("median", "median and unique of heights, 10 m, 2 threads"),
        ("classes_1m.tif", "57 classes, 1 m, 2 threads"),
        ("sparse", "200,000 x 200,000 sparse, 2 threads"),
    ):
        bare, peak = peak_mb(what, folder)
        lines.append(f"| {title} | {peak - bare:.0f} (bare {bare:.0f}) |")
    return "\n".join(lines) + "\n"


def _growth(folder: Path, lattice: Lattice, rounds: int) -> list[str]:
    """Return how the time of one pass grows with pixels, quadrats and classes."""
    coarser = folder / "classes_10m.tif"
    if not coarser.exists():
        with rasterio.open(folder / "classes_5m.tif") as file:  # noqa: TID251
            codes = file.read(1)[::2, ::2]
        _write(coarser, codes, UTM, from_origin(WEST, NORTH, 10, 10), 255)
        _write(
            folder / "classes_8.tif",
            np.where(codes == 255, 255, codes % 8).astype(np.uint8).repeat(2, 0).repeat(2, 1),
            UTM, from_origin(WEST, NORTH, 5, 5), 255,
        )  # fmt: skip
    cases = (
        ("a quarter of the pixels (10 m)", "classes_10m.tif", lattice),
        ("8 classes in place of 57", "classes_8.tif", lattice),
        ("four times the quadrats (75 m)", "classes_5m.tif", _finer(lattice, 2)),
        ("16 times the quadrats (37.5 m)", "classes_5m.tif", _finer(lattice, 4)),
    )
    timings = [Timing("57 classes, 5 m, 150 m", _pass(folder / "classes_5m.tif", lattice))]
    timings += [Timing(title, _pass(folder / file, zones)) for title, file, zones in cases]
    interleaved(timings, rounds)
    rows = [f"| {t.name} | {t.wall:.3f} | {t.cpu:.3f} |" for t in timings]
    return ["### How one pass grows", "", "| | wall s | CPU s |", "|---|---|---|", *rows, ""]


def _pass(path: Path, lattice: Lattice) -> Callable[[], object]:
    return partial(zonal_statistics, source(path), lattice, stats=["frequency"], threads=1)


def _finer(lattice: Lattice, times: int) -> Lattice:
    """Return the same area in quadrats `times` smaller each way."""
    rows, cols = np.nonzero(lattice.kept.repeat(times, 0).repeat(times, 1))
    return replace(
        lattice,
        side_m=lattice.side_m / times,
        shape=(lattice.shape[0] * times, lattice.shape[1] * times),
        rows=rows.astype(np.int32),
        cols=cols.astype(np.int32),
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(tempfile.gettempdir()) / "urban-pattern-bench"
    parser.add_argument("--folder", type=Path, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    make_data(args.folder)
    if args.peak:
        print_peak(args.peak, args.folder)
        return
    text = report(args.folder, args.rounds)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
