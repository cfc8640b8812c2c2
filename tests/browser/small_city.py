"""A study area of 2 × 2 km with four layers whose values are known at every place.

Land cover (5 m, UTM 16): a quarter each of trees (north-west), water (north-east), buildings
(south-west) and roads (south-east). Summer temperature (0.001°, longitude and latitude): as many
degrees as the row counts from the north, missing in the southernmost fifth. Land use (20 m,
Albers): stripes of two classes whose names are HTML. Night light (250 m, sinusoidal): numbers
that differ from pixel to pixel.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin
from shapely import box

from core.legends import PRESETS, LegendClass
from core.prepare import About, add_raster
from core.workspace import Workspace
from tests.core.raster_files import ALBERS, SINUSOIDAL

AREA, TITLE = "small-city", "Small city"
WEST_M, NORTH_M, SIDE_M = 446_000.0, 4_636_000.0, 2_000.0
QUARTERS = {"north-west": 1, "north-east": 4, "south-west": 5, "south-east": 6}
LAND_COVER = PRESETS["chicago-land-cover"][1]
HOSTILE = ("<img src=x onerror=alert(1)>", "`${alert(2)}` </script><script>alert(3)</script>")
HOSTILE_TITLE = "<b onclick=alert(4)>Use</b> & *more* ![x](https://x.invalid/p)"
_TO_LONLAT = Transformer.from_crs(32616, 4326, always_xy=True)


@dataclass(frozen=True)
class SmallCity:
    """Ids of the area and its layers."""

    area: str = AREA
    cover: str = "landcover"
    heat: str = "lst0810"
    use: str = "landuse"
    light: str = "light"

    @property
    def layers(self) -> tuple[str, ...]:
        """Ids of all layers, in the order they were brought in."""
        return (self.cover, self.heat, self.use, self.light)


def lonlat(right: float, down: float) -> tuple[float, float]:
    """Return longitude and latitude of a place, from 0, 0 (north-west) to 1, 1 (south-east)."""
    lon, lat = _TO_LONLAT.transform(WEST_M + right * SIDE_M, NORTH_M - down * SIDE_M)
    return float(lon), float(lat)


def make_small_city(folder: Path, root: Path) -> SmallCity:
    """Write the sources into `folder` and bring them into the workspace at `root`."""
    folder.mkdir(parents=True, exist_ok=True)
    city, space = SmallCity(), Workspace(root)
    frame = gpd.GeoDataFrame(geometry=[box(WEST_M, NORTH_M - SIDE_M, WEST_M + SIDE_M, NORTH_M)],
                             crs=32616)  # fmt: skip
    space.create(city.area, title=TITLE, boundary=frame, boundary_source={})
    stripes = tuple(LegendClass(code, name, colour) for code, name, colour in
                    zip((1, 2), HOSTILE, ("#AA5500", "#00AA55"), strict=True))  # fmt: skip
    for path, about in (
        (_land_cover(folder / "landcover.tif"),
         About(layer_id=city.cover, title="Land cover", kind="classes", legend=LAND_COVER)),
        (_temperature(folder / "lst0810.tif"),
         About(layer_id=city.heat, title="Summer temperature", kind="values", role="effect",
               season="summer", unit="°C", colormap="inferno")),
        (_land_use(folder / "landuse.tif"),
         About(layer_id=city.use, title=HOSTILE_TITLE, kind="classes", legend=stripes)),
        (_light(folder / "light.tif"),
         About(layer_id=city.light, title="Night light", kind="values", role="effect")),
    ):  # fmt: skip
        add_raster(space, city.area, path, about)
    return city


def copied_area(root: Path, area_id: str) -> str:
    """Copy the small city under another id, for a test that changes it; return the id."""
    shutil.copytree(root / "areas" / AREA, root / "areas" / area_id)
    Workspace(root).rename(area_id, area_id)
    return area_id


def boundary_geojson() -> bytes:
    """Return the city's boundary in degrees."""
    corners = [lonlat(*corner) for corner in ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))]
    geometry = {"type": "Polygon", "coordinates": [corners]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    return json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()


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


def _land_use(path: Path) -> Path:
    west, north = _corner(ALBERS)
    rows, cols = 150, 150
    codes = np.tile((np.arange(cols) // 25 % 2 + 1).astype(np.uint8), (rows, 1))
    _write(path, codes, ALBERS, from_origin(west, north, 20, 20), nodata=0)
    return path


def _light(path: Path) -> Path:
    west, north = _corner(SINUSOIDAL)
    row, column = np.mgrid[:14, :14]
    numbers = (10 * row + column + 1).astype(np.float32)
    _write(path, numbers, SINUSOIDAL, from_origin(west, north, 250, 250), nodata=-1)
    return path


def _corner(crs: str) -> tuple[float, float]:
    """Return the north-western corner of a box around the city, with room for its turn."""
    to_crs = Transformer.from_crs(32616, crs, always_xy=True)
    edges = (WEST_M - 200, NORTH_M - SIDE_M - 200, WEST_M + SIDE_M + 200, NORTH_M + 200)
    west, _south, _east, north = to_crs.transform_bounds(*edges)
    return west, north


def _write(
    path: Path, values: np.ndarray, crs: int | str, transform: object, *, nodata: float
) -> None:
    rows, cols = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype=values.dtype,
        crs=crs, transform=transform, nodata=nodata,
    ) as out:  # fmt: skip
        out.write(values, 1)
