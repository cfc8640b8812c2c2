"""The layers of Chicago (simulated), each on the grid that its kind of data usually comes on.

Projections and resolutions differ on purpose, as those of real downloads do.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from core.legends import CHICAGO_LAND_COVER, Legend
from core.settings import settings
from core.simulate import fields, geography, rasters
from core.simulate.city import VERSION, City
from core.simulate.fields import Raster
from core.simulate.legend import LAND_USE
from core.simulate.paint import make_grid
from core.text import N_

_ALBERS = 5070
_UTM = 32616
# The grid of the MODIS land products, on a sphere; it has no EPSG code.
_SINUSOIDAL = (
    'PROJCS["MODIS Sinusoidal",GEOGCS["MODIS sphere",DATUM["MODIS sphere",'
    'SPHEROID["MODIS sphere",6371007.181,0]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],'
    'PARAMETER["longitude_of_center",0],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)
_SINUSOIDAL_M = 926.625433138760
_NEAR_M, _WIDE_M = 1500.0, 4000.0
_MOST_THREADS = 4
_DEM_SPLIT, _DEM_OVERLAP = 42.0, 8 / 3600

Kind = Literal["classes", "values"]
Role = Literal["cause", "effect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLayer:
    """One raster of the simulated city and what a layer of an area needs to know of it.

    Attributes:
        season: "summer", "winter" or "".
        colormap: Name of a colormap for values, "" for classes.
        values: (R, C), row 0 in the north.
        nodata: Value of pixels without a value; None where every pixel has one.
        steps: Where it came from: seed and version of the simulation.
    """

    id: str
    title: str
    kind: Kind
    role: Role
    season: str
    unit: str
    colormap: str
    legend: Legend
    values: NDArray[Any]
    transform: Affine
    crs: CRS
    nodata: float | None
    steps: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Recipe:
    id: str
    title: str
    unit: str
    colormap: str
    role: Role
    nodata: float | None
    work: float  # share of the whole time
    season: str = ""
    legend: Legend = ()


# Most wanted first.
_RECIPES = (
    _Recipe("landcover", N_("Land cover"), "", "", "cause", 0, 0.43, "", CHICAGO_LAND_COVER),
    _Recipe("landuse", N_("Land use"), "", "", "cause", 0, 0.24, "", LAND_USE),
    _Recipe(
        "stories", N_("Building storeys"), N_("storeys"), "viridis", "cause",
        rasters.NO_STOREYS, 0.17,
    ),
    _Recipe(
        "lst0810", N_("Surface temperature, summer"), "K", "inferno", "effect",
        fields.LST_NODATA, 0.02, "summer",
    ),
    _Recipe(
        "lst0226", N_("Surface temperature, winter"), "K", "inferno", "effect",
        fields.LST_NODATA, 0.02, "winter",
    ),
    _Recipe("nightlight", N_("Night light"), "nW/cm²/sr", "cividis", "effect", None, 0.02),
    _Recipe(
        "dem_n41", N_("Elevation, south of 42° N"), "m", "viridis", "cause", fields.DEM_NODATA, 0.07
    ),
    _Recipe(
        "dem_n42", N_("Elevation, north of 42° N"), "m", "viridis", "cause", fields.DEM_NODATA, 0.03
    ),
)  # fmt: skip
LAYER_IDS = tuple(recipe.id for recipe in _RECIPES)


class _StoppedError(Exception):
    """Asked to stop in the middle of a layer."""


def draw_layers(
    city: City,
    *,
    on_progress: Callable[[float, str], None] = lambda _share, _title: None,
    should_stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> Iterator[DrawnLayer]:
    """Draw the layers one after the other, land cover first.

    The same seed gives the same bytes, however many threads work.

    Args:
        city: What to draw.
        on_progress: Told the share done (0 to 1) and the title of the layer in work.
        should_stop: Asked between tiles; True ends the drawing without the layer in work.
        threads: How many may work at once, 4 at most, since each holds some 200 MB; those of the
            settings if None.
    """
    threads = min(threads or settings().threads, _MOST_THREADS)
    done = 0.0
    for recipe in _RECIPES:
        before = done

        def report(share: float, recipe: _Recipe = recipe, before: float = before) -> None:
            if should_stop():
                raise _StoppedError
            on_progress(min(1.0, before + share * recipe.work), recipe.title)

        try:
            report(0.0)
            values, transform, crs = _draw(city, recipe.id, report, threads)
            report(1.0)
        except _StoppedError:
            return
        done += recipe.work
        yield DrawnLayer(
            id=recipe.id, title=recipe.title, kind="classes" if recipe.legend else "values",
            role=recipe.role, season=recipe.season, unit=recipe.unit, colormap=recipe.colormap,
            legend=recipe.legend, values=values, transform=transform, crs=crs,
            nodata=recipe.nodata,
            steps=({"step": "simulated", "seed": city.seed, "version": VERSION},),
        )  # fmt: skip


# Painter, coordinate system and pixel size in metres.
_PAINTED: dict[str, tuple[rasters.Painter, int, float]] = {
    "landcover": (rasters.paint_cover, _ALBERS, 5.0),
    "landuse": (rasters.paint_use, _UTM, 5.0),
    "stories": (rasters.paint_storeys, _UTM, 10.0),
}
Drawn = tuple[NDArray[Any], Affine, CRS]


def _draw(city: City, layer: str, report: Callable[[float], None], threads: int) -> Drawn:
    if layer in _PAINTED:
        return _painted(city, layer, report, threads)
    return _field(city, layer)


def _painted(city: City, layer: str, report: Callable[[float], None], threads: int) -> Drawn:
    paint, epsg, size_m = _PAINTED[layer]
    grid = make_grid(CRS.from_epsg(epsg), _bounds(_NEAR_M), size_m)
    values = np.empty(grid.shape, np.uint8)
    area = 0
    _ = city.plan  # laid out once, which takes a second
    report(0.0)
    # Closed at once when `report` stops the drawing, so that no further tile is begun.
    with closing(rasters.draw_tiles(city, grid, paint, threads)) as tiles:
        for tile in tiles:
            rows, cols = tile.values.shape
            values[tile.row : tile.row + rows, tile.col : tile.col + cols] = tile.values
            area += rows * cols
            report(area / values.size)
    return values, grid.transform, grid.crs


def _field(city: City, layer: str) -> Drawn:
    recipe = _FIELDS[layer]
    place = recipe.raster()
    return recipe.draw(city, place), place.transform, place.crs


def _bounds(margin_m: float) -> tuple[float, float, float, float]:
    west, south, east, north = geography.city_outline().bounds
    return west - margin_m, south - margin_m, east + margin_m, north + margin_m


def _lonlat_bounds(margin_m: float) -> tuple[float, float, float, float]:
    to_lonlat = Transformer.from_crs(_UTM, 4326, always_xy=True)
    west, south, east, north = to_lonlat.transform_bounds(*_bounds(margin_m))
    return west, south, east, north


def _lonlat(seconds: int) -> Raster:
    return fields.degrees(_lonlat_bounds(_WIDE_M), seconds)


def _dem_tile(is_north: bool) -> Raster:
    west, south, east, north = _lonlat_bounds(_NEAR_M)
    if is_north:
        return fields.degrees((west, _DEM_SPLIT - _DEM_OVERLAP / 2, east, north), 1)
    return fields.degrees((west, south, east, _DEM_SPLIT + _DEM_OVERLAP / 2), 1)


def _sinusoidal() -> Raster:
    """Return the cells of the worldwide one-kilometre sinusoidal grid that cover the city."""
    crs = CRS.from_user_input(_SINUSOIDAL)
    to_map = Transformer.from_crs(_UTM, crs, always_xy=True)
    west, south, east, north = (
        v / _SINUSOIDAL_M for v in to_map.transform_bounds(*_bounds(_WIDE_M))
    )
    left, top = int(np.floor(west)), int(np.ceil(north))
    shape = top - int(np.floor(south)), int(np.ceil(east)) - left
    size = _SINUSOIDAL_M
    return Raster(crs, Affine(size, 0, left * size, 0, -size, top * size), shape)


@dataclass(frozen=True, slots=True)
class _FieldRecipe:
    draw: Callable[[City, Raster], NDArray[Any]]
    raster: Callable[[], Raster]


_FIELDS = {
    "lst0810": _FieldRecipe(partial(fields.temperature, is_summer=True), _sinusoidal),
    "lst0226": _FieldRecipe(partial(fields.temperature, is_summer=False), partial(_lonlat, 30)),
    "nightlight": _FieldRecipe(fields.night_light, partial(_lonlat, 15)),
    "dem_n41": _FieldRecipe(fields.elevation, partial(_dem_tile, is_north=False)),
    "dem_n42": _FieldRecipe(fields.elevation, partial(_dem_tile, is_north=True)),
}
