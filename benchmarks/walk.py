"""The whole walk: layers → quadrats → clusters → hot spots → cozy zone, from files, nothing cached.

    python -m benchmarks.walk [--rounds 3] [--document]

Two areas: Chicago (simulated), and seven generated layers in the published study's sizes,
resolutions and projections (57 land uses and 8 land covers at 5 m, storeys at 10 m, heights at 1
arc second, surface temperatures at 1 km, night lights at 15 arc seconds). Each round is a process
of its own over an area whose results were deleted: nothing is cached but compiled code. The areas
are made before and not timed. k = 10, as in the study.

With `--document` the study's own chain runs over the same files beside it, once: the calls that its
library makes to rasterio, rasterstats, scikit-learn, libpysal and esda, with its settings.
rasterstats works on every 20th quadrat, and its time is multiplied by 20.
"""

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.transform import from_bounds, from_origin
from rasterio.warp import reproject, transform_bounds
from scipy.ndimage import gaussian_filter

STEPS = "quadrats,zonal,normalise,clusters,hotspots,cozy"
SIMULATED, GENERATED = "chicago-simulated", "generated"
UTM = "EPSG:32616"
WEST, NORTH, WIDTH_M, HEIGHT_M = 421_000.0, 4_653_500.0, 37_000, 45_000
ALBERS = "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +datum=NAD83 +units=m +type=crs"
SINUSOIDAL = "+proj=sinu +R=6371007.181 +units=m +type=crs"
SUBSET = 20


def walk(workspace: Path, area: str, *more: str) -> tuple[float, dict]:
    """Run every step with nothing cached; return the seconds of the process and its record."""
    for name in ("results", "grids"):
        shutil.rmtree(workspace / "areas" / area / name, ignore_errors=True)
    begun = time.perf_counter()
    done = core(workspace, "area", "run", area, "--steps", STEPS, "--k", "10", *more, "--json")
    return time.perf_counter() - begun, json.loads(done)


def core(workspace: Path, *words: str) -> str:
    """Call the command line; return what it prints."""
    command = [sys.executable, "-m", "core", *words, "--workspace", str(workspace)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make_layers(folder: Path) -> dict[str, Path]:
    """Write the seven generated layers; return them by the study's names."""
    rng = np.random.default_rng(0)
    use = _codes(_field(rng, 5, 30), 57, rng)
    cover = _codes(_field(rng, 5, 60), 8, rng)
    storeys = np.maximum(0, 6 * _field(rng, 10, 8) - 3).astype(np.float32)
    warm = _field(rng, 30, 60)
    layers = {
        "lst0226": (16 + 3 * warm + 273.15, 926.6, SINUSOIDAL),
        "lst0810": (27 + 5 * warm + _field(rng, 30, 40) + 273.15, 926.6, SINUSOIDAL),
        "stories": (storeys, 10, UTM),
        "dem": (180 + 10 * _field(rng, 30, 80), 1 / 3600, "EPSG:4326"),
        "nightlight": (np.exp(3 + _field(rng, 30, 40)), 15 / 3600, "EPSG:4326"),
        "landuse": (use, 5, UTM),
        "landcover": (cover, 5, ALBERS),
    }
    for name, (array, step, crs) in layers.items():
        _write(folder / f"{name}.tif", array, step, crs)
    return {name: folder / f"{name}.tif" for name in layers}


def _field(rng: np.random.Generator, cell_m: int, sigma: float) -> NDArray[np.float32]:
    noise = rng.standard_normal((HEIGHT_M // cell_m, WIDTH_M // cell_m), dtype=np.float32)
    smooth = gaussian_filter(noise, sigma)
    return smooth / smooth.std()


def _codes(field: NDArray[np.float32], num: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    cuts = np.quantile(field[::7, ::7], np.linspace(0, 1, num + 1)[1:-1])
    codes = rng.permutation(num).astype(np.uint8)[np.searchsorted(cuts, field)]
    speckle = rng.random(codes.shape, dtype=np.float32) < 0.02
    codes[speckle] = rng.integers(0, num, speckle.sum(), dtype=np.uint8)
    return codes


def _write(path: Path, array: NDArray, step: float, crs: str) -> None:
    """Write an array that fills the box in UTM as a raster of another step and CRS."""
    height, width = array.shape
    nodata = 255 if array.dtype == np.uint8 else -9999
    source = from_bounds(WEST, NORTH - HEIGHT_M, WEST + WIDTH_M, NORTH, width, height)
    if crs == UTM:
        out, transform = array, source
    else:
        box = transform_bounds(UTM, crs, WEST, NORTH - HEIGHT_M, WEST + WIDTH_M, NORTH)
        transform = from_origin(box[0], box[3], step, step)
        shape = math.ceil((box[3] - box[1]) / step), math.ceil((box[2] - box[0]) / step)
        out = np.full(shape, nodata, array.dtype)
        how = Resampling.nearest if array.dtype == np.uint8 else Resampling.average
        reproject(
            array, out, src_transform=source, src_crs=UTM, dst_transform=transform,
            dst_crs=crs, dst_nodata=nodata, resampling=how,
        )  # fmt: skip
    with rasterio.open(  # noqa: TID251  (the benchmark's own file)
        path, "w", driver="GTiff", height=out.shape[0], width=out.shape[1], count=1,
        dtype=out.dtype.name, crs=CRS.from_user_input(crs).to_wkt(), transform=transform,
        nodata=nodata, tiled=True, compress="deflate",
    ) as file:  # fmt: skip
        file.write(out, 1)


def make_generated(workspace: Path, layers: dict[str, Path]) -> None:
    """Bring the generated layers into an area of Chicago's boundary."""
    core(workspace, "area", "new", GENERATED, "--zones", "chicago77")
    about = {
        "lst0226": ("values", "effect", "--season", "winter"),
        "lst0810": ("values", "effect", "--season", "summer"),
        "stories": ("values", "cause"),
        "dem": ("values", "cause"),
        "nightlight": ("values", "effect"),
        "landuse": ("classes", "cause"),
        "landcover": ("classes", "cause"),
    }
    for name, path in layers.items():
        kind, role, *season = about[name]
        words = ("--kind", kind, "--role", role, *season)
        core(workspace, "area", "add", GENERATED, name, str(path), *words)


def print_walk(workspace: Path, area: str, title: str, rounds: int, *more: str) -> None:
    """Print the table of one area."""
    walk(workspace, area, *more)  # compiles what is compiled once
    runs = [walk(workspace, area, *more) for _ in range(rounds)]
    record = runs[0][1]
    print(f"### {title}: {len(record['layers'])} layers, {record['quadrats']['count']:,} quadrats")
    print("\n| step | s |\n|---|---|")
    for number, step in enumerate(record["steps"]):
        seconds = [found["steps"][number]["seconds"] for _, found in runs]
        print(f"| {step['name']} | {statistics.median(seconds):.3f} |")
    total = statistics.median(seconds for seconds, _ in runs)
    steps = statistics.median(sum(s["seconds"] for s in found["steps"]) for _, found in runs)
    peak = max(found["peak_rss_mb"] for _, found in runs)
    print(f"| **all steps** | **{steps:.2f}** |")
    print(f"| **whole process, start included** | **{total:.2f}** |")
    print(f"\nPeak memory {peak:.0f} MB; medians of {rounds} rounds, each a new process.\n")


@contextmanager
def part(name: str, seconds: dict[str, float], scale: int = 1) -> Iterator[None]:
    """Time one part of the study's chain."""
    begun = time.perf_counter()
    yield
    seconds[name] = (time.perf_counter() - begun) * scale


def document_squares(boundary: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the squares of 150 m within the boundary, made out of lines as in the study."""
    west, south, east, north = boundary.total_bounds
    x, y = np.arange(west, east, 150.0), np.arange(south, north, 150.0)
    lines = [shapely.LineString([(at, y[0]), (at, y[-1])]) for at in x]
    lines += [shapely.LineString([(x[0], at), (x[-1], at)]) for at in y]
    cells = shapely.polygonize([shapely.unary_union(lines)])
    squares = gpd.GeoDataFrame(geometry=list(cells.geoms), crs=boundary.crs)
    return squares.sjoin(boundary, predicate="within").reset_index(drop=True)


def document_chain(boundary: gpd.GeoDataFrame, layers: dict[str, Path]) -> dict[str, float]:
    """Run the study's chain as its library calls the others; return the seconds of its parts."""
    import esda
    import libpysal
    import rasterstats
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_selection import SelectKBest, f_classif

    seconds: dict[str, float] = {}
    with part("quadrats (polygonise, within)", seconds):
        squares = document_squares(boundary)
    for name, path in layers.items():
        with rasterio.open(path) as file:  # noqa: TID251
            zones = squares.to_crs(file.crs)
            ring = zones.geometry[0].exterior.coords
            length = min(math.dist(ring[0], ring[1]), math.dist(ring[1], ring[2]))
            factor = max(1, math.ceil(max(file.res) / length) + 2 if max(file.res) > length else 1)
            with part(f"read {name}", seconds):
                shape = (file.height * factor, file.width * factor)
                array = file.read(1, out_shape=shape, resampling=Resampling.bilinear)
                array = array.astype(np.int32) if array.dtype == np.uint8 else array
                transform = file.transform @ file.transform.scale(1 / factor, 1 / factor)
        how = {"categorical": True} if name.startswith("land") else {"stats": "mean"}
        with part(f"statistics of {name} (rasterstats)", seconds, SUBSET):
            rasterstats.zonal_stats(
                zones.geometry[::SUBSET], array, affine=transform, nodata=-9999, **how
            )
        seconds[f"statistics of {name} (rasterstats)"] += seconds.pop(f"read {name}")
    rng = np.random.default_rng(0)  # as many columns as the study's: 8 covers, storeys, heights
    table = gaussian_filter(rng.random((len(squares), 10)), (3, 0))
    with part("sweep, k = 2 to 50 (MiniBatchKMeans, f_classif)", seconds):
        for k in range(2, 51):
            labels = MiniBatchKMeans(
                k, batch_size=4096, init="k-means++", n_init=10, max_no_improvement=10,
                random_state=0,
            ).fit(table).labels_  # fmt: skip
            SelectKBest(f_classif, k="all").fit(table, labels)
    tiny = libpysal.weights.lat2W(3, 3)
    esda.Moran_Local(np.arange(9.0), tiny, permutations=9)  # compiles what is compiled once
    for season in ("summer", "winter"):
        with part(f"local Moran, {season} (libpysal, esda, 999)", seconds):
            weights = libpysal.weights.Queen.from_dataframe(squares, use_index=False)
            weights.transform = "r"
            esda.Moran_Local(table[:, 0], weights, permutations=999)
    return seconds


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--document", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace, files = Path(folder) / "workspace", Path(folder) / "files"
        files.mkdir(parents=True)
        core(workspace, "area", "simulate")
        layers = make_layers(files)
        make_generated(workspace, layers)
        print_walk(workspace, SIMULATED, "Chicago (simulated)", args.rounds)
        # The study's factors; all causes would be 67 of them.
        factors = ("--factors", "landcover,stories,dem")
        print_walk(workspace, GENERATED, "Generated layers", args.rounds, *factors)
        print_walk(workspace, GENERATED, "The same, 67 factors", args.rounds)
        if args.document:
            boundary = gpd.read_parquet(workspace / "areas" / GENERATED / "boundary.parquet")
            print("### The study's chain on the generated layers\n\n| part | s |\n|---|---|")
            seconds = document_chain(boundary[["geometry"]].dissolve(), layers)
            for name, value in seconds.items():
                print(f"| {name} | {value:.2f} |")
            print(f"| **all** | **{sum(seconds.values()):.1f}** |")


if __name__ == "__main__":
    main()
