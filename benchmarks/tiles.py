"""Map tiles: ours over HTTP beside rio-tiler in process and localtileserver over HTTP.

    python -m benchmarks.tiles [--tiles 48] [--rounds 3]

One seeded set of tiles over zooms 11 to 18 from two COGs, 1 m classes and 5 m values, both made
here in a temporary folder. The contenders take turns within each round; a figure is the median of
the rounds. "drawn" is with files open and no tile kept, "kept" is a tile asked for again.
"""

import argparse
import http.client
import math
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import geopandas as gpd
import numpy as np
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin

from core import prepare, rasters, rendering, tiles
from core.workspace import Layer, Workspace

WEST, NORTH = 440_000, 4_640_000
CRS = "EPSG:32616"
CLASSES = ("classes-1m", 12_000, 8_000, 1)
VALUES = ("values-5m", 8_000, 6_000, 5)


def build(root: Path) -> Workspace:
    """Make a workspace with the two layers."""
    workspace = Workspace(root)
    box = shapely.box(WEST + 1000, NORTH - 7_000, WEST + 11_000, NORTH - 1000)
    frame = gpd.GeoDataFrame(geometry=[box], crs=CRS)
    workspace.create("bench", title="Bench", boundary=frame, boundary_source={})
    rng = np.random.default_rng(0)
    for (name, width, height, pixel), kind in ((CLASSES, "classes"), (VALUES, "values")):
        if kind == "classes":  # lots of 8 to 40 m with single trees
            values = np.kron(
                rng.integers(1, 8, (height // 8, width // 8), dtype="uint8"),
                np.ones((8, 8), "uint8"),
            )
            values[rng.random(values.shape, dtype="float32") < 0.02] = 3
        else:
            coarse = rng.normal(20, 5, (height // 50, width // 50)).astype("float32")
            values = np.kron(coarse, np.ones((50, 50), "float32"))
            values += rng.normal(0, 0.3, values.shape).astype("float32")
        about = prepare.About(layer_id=name, title=name, kind=kind)
        transform = from_origin(WEST, NORTH, pixel, pixel)
        prepare.add_array(
            workspace, "bench", values, about, transform=transform, crs=CRS, origin={}
        )
    return workspace


def chosen_tiles(count: int, zooms: range, seed: int = 1) -> list[tuple[int, int, int]]:
    """Return z, x, y of tiles whose centre region lies on both rasters."""
    rng = np.random.default_rng(seed)
    to_degrees = Transformer.from_crs(CRS, 4326, always_xy=True)
    found = []
    for number in range(count):
        x, y = WEST + rng.uniform(1000, 11_000), NORTH - rng.uniform(1000, 7_000)
        lon, lat = to_degrees.transform(x, y)
        z = zooms[number % len(zooms)]
        column = int((lon + 180) / 360 * 2**z)
        row = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
        found.append((z, column, row))
    return found


@contextmanager
def child(*arguments: str) -> Iterator[str]:
    """Run this file as a server in a process of its own; yield the address it prints."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.tiles", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            _wait(url)
            yield url
        finally:
            process.terminate()


def _wait(url: str) -> None:
    parts = urlsplit(url)
    for _ in range(200):
        try:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(url)


def serve_ours(root: str, cache_mb: str) -> None:
    """Serve the workspace on a free port until stopped."""
    import socket

    import uvicorn
    from starlette.applications import Starlette

    routes = tiles.routes(lambda: Workspace(Path(root)), cache_mb=int(cache_mb))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error"))
        server.run(sockets=[listener])


def serve_localtileserver(path: str, kind: str) -> None:
    """Serve one file with localtileserver until stopped."""
    from localtileserver import TileClient

    client = TileClient(path)
    low, high = (1, 7) if kind == "classes" else (5, 35)
    print(client.get_tile_url(indexes=[1], colormap="viridis", vmin=low, vmax=high), flush=True)
    time.sleep(3600)


class Http:
    """Fetches tiles over one kept connection."""

    def __init__(self, template: str) -> None:
        parts = urlsplit(template)
        self._path = f"{parts.path}?{parts.query}".replace("%7B", "{").replace("%7D", "}")
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def __call__(self, tile: tuple[int, int, int]) -> bytes:
        z, x, y = tile
        path = self._path.format(z=z, x=x, y=y)
        try:
            answer = self._ask(path)
        except (http.client.RemoteDisconnected, ConnectionError):  # idle for five seconds
            self._connection.close()
            answer = self._ask(path)
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {body[:200]!r}")
        return body

    def _ask(self, path: str) -> http.client.HTTPResponse:
        self._connection.request("GET", path)
        return self._connection.getresponse()


def rio_tiler(path: Path, kind: str) -> Callable[[tuple[int, int, int]], bytes]:
    """Return stock rio-tiler with the file kept open."""
    from rio_tiler.colormap import cmap
    from rio_tiler.io import Reader

    reader = Reader(str(path))
    shades = cmap.get("viridis")
    colours = {code: shades[code * 30] for code in range(1, 8)} if kind == "classes" else shades

    def draw(tile: tuple[int, int, int]) -> bytes:
        z, x, y = tile
        image = reader.tile(x, y, z, indexes=1, resampling_method="nearest")
        if kind == "values":
            image.rescale(in_range=((5, 35),))
        return bytes(image.render(img_format="PNG", colormap=colours))

    return draw


def timed(draw: Callable[[tuple[int, int, int]], bytes], chosen: list) -> tuple[float, float]:
    """Return the median and the 95th percentile in milliseconds."""
    spent = []
    for tile in chosen:
        start = time.perf_counter()
        draw(tile)
        spent.append((time.perf_counter() - start) * 1e3)
    return statistics.median(spent), float(np.percentile(spent, 95))


def per_second(template: str, chosen: list, connections: int) -> float:
    """Return tiles a second over this many connections at once."""
    clients = [Http(template) for _ in range(connections)]
    shares = [chosen[number::connections] for number in range(connections)]
    start = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(lambda pair: [pair[0](tile) for tile in pair[1]],
                      zip(clients, shares, strict=True)))  # fmt: skip
    return len(chosen) / (time.perf_counter() - start)


def exactness(path: Path, chosen: list) -> tuple[float, float]:
    """Return the share of tile pixels that equal the nearest raster pixel: ours, rio-tiler's."""
    from rio_tiler.io import Reader

    to_own = Transformer.from_crs(3857, CRS, always_xy=True)
    steps = (np.arange(256) + 0.5) / 256
    equal = np.zeros(2)
    with rasters.open_raster(path) as dataset, Reader(str(path)) as reader:
        levels = rendering.Levels(path)
        whole = rasters.read(dataset)[0]
        for z, x, y in chosen:
            west, south, east, north = bounds = tiles._tile_bounds(z, x, y)
            grid = np.meshgrid(west + (east - west) * steps, north - (north - south) * steps)
            columns, rows = ~dataset.transform @ to_own.transform(*grid)
            columns = np.clip(np.floor(columns), 0, dataset.width - 1).astype(int)
            rows = np.clip(np.floor(rows), 0, dataset.height - 1).astype(int)
            true = whole[rows, columns]
            ours = levels.sample(bounds, (256, 256))
            theirs = reader.tile(x, y, z, resampling_method="nearest").array.data[0]
            equal += [(ours[0] == true).mean() if ours else 0, (theirs == true).mean()]
    return tuple(equal / len(chosen))


def measure(workspace: Workspace, layer: Layer, num_tiles: int, rounds: int) -> Iterator[list]:
    """Yield table rows for one layer."""
    path = workspace.layer_path("bench", layer)
    chosen = chosen_tiles(num_tiles, range(11, 19))
    style = None
    if layer.kind == "values":
        style = rendering.ValueStyle(colormap="viridis", low=5, high=35)
    address = tiles.tile_url("bench", layer, style=style)
    with ExitStack() as stack:
        drawn = stack.enter_context(child("ours", str(workspace.root), "0")) + address
        kept = stack.enter_context(child("ours", str(workspace.root), "64")) + address
        local = stack.enter_context(child("localtileserver", str(path), layer.kind))
        contenders = {
            "ours, HTTP, drawn": Http(drawn),
            "rio-tiler, in process": rio_tiler(path, layer.kind),
            "localtileserver, HTTP": Http(local),
            "ours, HTTP, kept": Http(kept),
        }
        cold = {name: timed(draw, chosen) for name, draw in contenders.items()}
        warm: dict[str, list] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, draw in contenders.items():
                warm[name].append(timed(draw, chosen))
        templates = {"ours, HTTP, drawn": drawn, "localtileserver, HTTP": local,
                     "ours, HTTP, kept": kept}  # fmt: skip
        rates: dict[tuple[str, int], list] = {}
        for _ in range(rounds):
            for name, template in templates.items():
                for connections in (1, 2):
                    rate = per_second(template, chosen, connections)
                    rates.setdefault((name, connections), []).append(rate)
    for name in contenders:
        middle, late = (statistics.median(column) for column in zip(*warm[name], strict=True))
        speeds = [
            f"{statistics.median(rates[name, count]):.0f}" if (name, count) in rates else ""
            for count in (1, 2)
        ]
        first = "" if "kept" in name else f"{cold[name][0]:.1f} / {cold[name][1]:.1f}"
        yield [layer.id, name, first, f"{middle:.1f} / {late:.1f}", *speeds]


def main() -> None:
    """Build, measure, print."""
    if sys.argv[1:2] == ["ours"]:
        serve_ours(*sys.argv[2:])
        return
    if sys.argv[1:2] == ["localtileserver"]:
        serve_localtileserver(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # rio-tiler fills masked pixels with a NaN cast to bytes
    with tempfile.TemporaryDirectory() as folder:
        workspace = build(Path(folder))
        layers = workspace.area("bench").layers
        print("| layer | who | first round, ms p50 / p95 | warm, ms p50 / p95 |"
              " tiles/s, 1 connection | 2 connections |\n|---|---|---|---|---|---|")  # fmt: skip
        for layer in layers:
            for row in measure(workspace, layer, options.tiles, options.rounds):
                print("| " + " | ".join(row) + " |", flush=True)
        print("\n| layer | pixels equal to the nearest one: ours | rio-tiler |\n|---|---|---|")
        for layer, zooms in zip(layers, (range(18, 20), range(16, 18)), strict=True):
            path = workspace.layer_path("bench", layer)
            ours, theirs = exactness(path, chosen_tiles(20, zooms))
            print(f"| {layer.id} | {ours:.4%} | {theirs:.2%} |")


if __name__ == "__main__":
    main()
