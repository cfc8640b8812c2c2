"""A part of an image on a server: ours beside GDAL's own way over HTTP and the whole file.

    python -m benchmarks.fetching

One Cloud-Optimized GeoTIFF made by the script (6,000 × 6,000 pixels, 4 bands, of the kind that
packs to half) lies on a loopback server that lets every request wait 40 ms, as a server across a
continent does. The study area is a square of 2 km. Each round takes the contenders in turn.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import requests
import shapely

from core import rasters
from core.connectors import windows
from core.connectors.assets import Wish, fetch_file
from core.connectors.door import Door
from core.connectors.signing import Catalogue, Link, Signer
from core.georeference import Georeference, transformer
from tests.core.stac_server import StacServer, stac_server, write_cog

SIDE, TOWN_M, DELAY_S, ROUNDS = 6000, 2000, 0.04, 3


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, stac_server(Path(name)) as server:
        folder = Path(name)
        ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)) // 60
        rng = np.random.default_rng(0)
        values = np.stack([ramp % 200 + rng.integers(0, 16, ramp.shape) for _ in range(4)])
        write_cog(
            folder / "image.tif", values.astype("uint8"), west=440_000, north=4_640_000, block=512
        )
        del values, ramp
        size = (folder / "image.tif").stat().st_size
        server.delay_s = DELAY_S
        boundary = _boundary(folder / "image.tif")
        ways: dict[str, Callable[[], np.ndarray]] = {
            "ours: checked, kept piece by piece": lambda: _ours(server, folder, boundary),
            "GDAL's /vsicurl, read in one go": lambda: _gdal(server, boundary),
            "the whole file": lambda: _whole(server, folder, boundary),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        requests_: dict[str, int] = {}
        megabytes: dict[str, float] = {}
        pictures: list[np.ndarray] = []
        for _ in range(ROUNDS):
            pictures.clear()
            for way, fetch in ways.items():
                server.asked.clear()
                begun = time.perf_counter()
                pictures.append(fetch())
                seconds[way].append(time.perf_counter() - begun)
                asked = [one for one in server.asked if one.path == "/files/image.tif"]
                requests_[way] = len(asked)
                megabytes[way] = sum(one.sent for one in asked) / 1e6
        assert all(np.array_equal(pictures[0], other) for other in pictures[1:])
        print(f"file {size / 1e6:.0f} MB, window {pictures[0].shape}, {DELAY_S} s a request")
        print("| way | requests | MB | seconds |\n|---|---|---|---|")
        for way in ways:
            median = statistics.median(seconds[way])
            print(f"| {way} | {requests_[way]} | {megabytes[way]:.1f} | {median:.2f} |")


def _boundary(path: Path) -> shapely.Geometry:
    with rasters.open_raster(path) as dataset:
        place = rasters.georeference(dataset)
    middle = Georeference(
        place.crs, place.transform @ rasterio.Affine.translation(2100, 1900), TOWN_M, TOWN_M
    )
    west, south, east, north = middle.bounds
    box = shapely.box(west, south, east, north)
    return shapely.transform(
        box,
        lambda points: np.column_stack(
            transformer(place.crs, "lonlat").transform(points[:, 0], points[:, 1])
        ),
    )


def _ours(server: StacServer, folder: Path, boundary: shapely.Geometry) -> np.ndarray:
    with tempfile.TemporaryDirectory(dir=folder) as name, Door(server.url, outside=True) as door:
        catalogue = Catalogue(url=server.url, title="Loopback")
        link = Link(f"{server.url}/files/image.tif", Signer(catalogue, door))
        wish = Wish(key="image", title="image", source={}, for_layer=True)
        found = fetch_file(
            link, door, Path(name), wish, boundary, on_share=lambda _: None, check=lambda: None
        )
        with rasters.open_raster(found.path) as dataset:
            return dataset.read()


def _gdal(server: StacServer, boundary: shapely.Geometry) -> np.ndarray:
    # Another address each time, since GDAL keeps what it read of the last one.
    url = f"{server.url}/files/image.tif?round={time.monotonic_ns()}"
    with rasters.open_raster(url, outside=True) as dataset:
        cut = windows.cut_of(dataset, boundary, name="image")
        return dataset.read(window=cut.window)


def _whole(server: StacServer, folder: Path, boundary: shapely.Geometry) -> np.ndarray:
    path = folder / "whole.tif"
    url = f"{server.url}/files/image.tif"
    with requests.get(url, stream=True, timeout=60) as answer, path.open("wb") as file:
        for chunk in answer.iter_content(1 << 20):
            file.write(chunk)
    with rasters.open_raster(path) as dataset:
        cut = windows.cut_of(dataset, boundary, name="image")
        return dataset.read(window=cut.window)


if __name__ == "__main__":
    main()
