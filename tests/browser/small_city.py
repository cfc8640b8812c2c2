"""A study area of 2 × 2 km with two layers whose values are known at every place.

Land cover (5 m, UTM 16): a quarter each of trees (north-west), water (north-east), buildings
(south-west) and roads (south-east). Summer temperature (0.001°, longitude and latitude): as many
degrees as the row counts from the north, missing in the southernmost fifth.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

from tests.browser.server import core_command

AREA, TITLE = "small-city", "Small city"
WEST_M, NORTH_M, SIDE_M = 446_000.0, 4_636_000.0, 2_000.0
QUARTERS = {"north-west": 1, "north-east": 4, "south-west": 5, "south-east": 6}
COLOURS = {1: "#1B7837", 4: "#4393C3", 5: "#B2182B", 6: "#525252"}
_TO_LONLAT = Transformer.from_crs(32616, 4326, always_xy=True)


@dataclass(frozen=True)
class SmallCity:
    """Ids of the area and its layers."""

    area: str = AREA
    cover: str = "landcover"
    heat: str = "lst0810"


def lonlat(right: float, down: float) -> tuple[float, float]:
    """Return longitude and latitude of a place, from 0, 0 (north-west) to 1, 1 (south-east)."""
    lon, lat = _TO_LONLAT.transform(WEST_M + right * SIDE_M, NORTH_M - down * SIDE_M)
    return float(lon), float(lat)


def make_small_city(folder: Path, workspace: Path) -> SmallCity:
    """Write the sources into `folder` and bring them in by the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    city = SmallCity()
    core_command(
        *("area", "new", city.area, "--title", TITLE, "--crs", "EPSG:32616"),
        *("--boundary", str(_boundary(folder / "boundary.geojson"))),
        workspace=workspace,
    )
    core_command(
        *("area", "add", city.area, city.cover, str(_land_cover(folder / "landcover.tif"))),
        *("--kind", "classes", "--legend", "chicago-land-cover", "--title", "Land cover"),
        workspace=workspace,
    )
    core_command(
        *("area", "add", city.area, city.heat, str(_temperature(folder / "lst0810.tif"))),
        *("--kind", "values", "--role", "effect", "--season", "summer", "--unit", "°C"),
        *("--title", "Summer temperature"),
        workspace=workspace,
    )
    return city


def _boundary(path: Path) -> Path:
    corners = [lonlat(*corner) for corner in ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))]
    geometry = {"type": "Polygon", "coordinates": [corners]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def _land_cover(path: Path) -> Path:
    half = int(SIDE_M / 5) // 2
    codes = np.array(list(QUARTERS.values()), dtype=np.uint8).reshape(2, 2)
    _write(path, np.kron(codes, np.ones((half, half), np.uint8)), 32616,
           from_origin(WEST_M, NORTH_M, 5, 5), nodata=0)  # fmt: skip
    return path


def _temperature(path: Path) -> Path:
    west, north = lonlat(-0.1, -0.1)
    rows, cols = 25, 32
    degrees = np.repeat(np.arange(rows, dtype=np.float32)[:, None], cols, axis=1)
    degrees[rows * 4 // 5 :] = -9999
    _write(path, degrees, 4326, from_origin(west, north, 0.001, 0.001), nodata=-9999)
    return path


def _write(path: Path, values: np.ndarray, crs: int, transform: object, *, nodata: float) -> None:
    rows, cols = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype=values.dtype,
        crs=f"EPSG:{crs}", transform=transform, nodata=nodata,
    ) as out:  # fmt: skip
        out.write(values, 1)
