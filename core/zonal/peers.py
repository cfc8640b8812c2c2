"""The peers behind the same door: exactextract and rasterstats, for polygons of any shape.

Both take the polygons as `to_crs` makes them: corners transformed, edges straight in the raster.
"""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from core.errors import ExtentError, InputError, TooLargeError
from core.settings import settings
from core.text import N_
from core.zonal.lattice import Summed
from core.zonal.pixels import Grid, Pixels, read_values
from core.zonal.pool import Pool
from core.zonal.statistics import Request

# Stands for a hidden pixel in a raster of whole numbers; no band holds this one.
_NOTHING = int(np.iinfo(np.int64).min) + 1

# What exactextract calls our statistics; range and frequency are worked out from others.
_EXACTEXTRACT = {
    "count": "count",
    "min": "min",
    "max": "max",
    "mean": "mean",
    "sum": "sum",
    "std": "stdev",
    "median": "median",
    "majority": "mode",
    "minority": "minority",
    "unique": "variety",
}


def placed(zones: gpd.GeoDataFrame, grid: Grid, *, key: str) -> gpd.GeoDataFrame:
    """Return the zones in the raster's CRS.

    Raises:
        ExtentError: They do not meet the raster, or cannot be brought into its CRS.
    """
    moved = zones.geometry.to_crs(grid.crs)
    bounds = moved.total_bounds
    if not np.isfinite(bounds).all():
        raise ExtentError(
            N_("Some zones cannot be expressed in the coordinate system of {key}."), key=key
        )
    west, south, east, north = _bounds(grid)
    if bounds[0] >= east or bounds[2] <= west or bounds[1] >= north or bounds[3] <= south:
        raise ExtentError(
            N_("{key} does not meet the zones."),
            hint=N_("Check its coordinate system and its extent."),
            key=key,
        )
    return gpd.GeoDataFrame(geometry=moved.to_numpy(), crs=grid.crs)


def by_exactextract(pool: Pool, zones: gpd.GeoDataFrame, request: Request) -> Summed:
    """Sum a raster up by exactextract: the exact rule, zones in the raster's CRS.

    Raises:
        InputError: The raster is rotated, or a statistic is asked for that the peer lacks.
    """
    from exactextract import exact_extract

    lacking = [name for name in request.names if name not in (*_EXACTEXTRACT, "range")]
    if lacking:
        raise InputError(
            N_("exactextract has no statistic {names}."),
            hint=N_("Leave it out, or use another engine."),
            names=", ".join(lacking),
        )
    _refuse_rotated(pool)
    names = dict.fromkeys(["count", *request.names])
    ops = {_EXACTEXTRACT[name] for name in names if name != "range"}
    ops |= {"min", "max"} if "range" in names else set()
    ops |= {"unique", "frac"} if request.frequency else set()
    with pool.open() as pixels:
        found = exact_extract(_source_of(pixels), zones, sorted(ops), output="pandas")
    values = {
        name: found[_EXACTEXTRACT[name]].to_numpy(np.float64) for name in names if name != "range"
    }
    if "range" in names:
        values["range"] = (found["max"] - found["min"]).to_numpy(np.float64)
    count = values["count"]
    codes, frequencies = np.empty(0), np.empty((len(zones), 0))
    if request.frequency:
        shares = [
            dict(zip(unique, share, strict=True))
            for unique, share in zip(found["unique"], found["frac"], strict=True)
        ]
        codes, frequencies = _table(shares)
        frequencies *= count[:, None]
    t = pool.grid.transform
    area_px = shapely.area(zones.geometry.to_numpy()) / abs(t.a * t.e)
    return Summed(
        {name: values[name] for name in request.names},
        codes,
        frequencies,
        (count / np.maximum(area_px, 1e-300)).clip(0, 1),
    )


def by_rasterstats(
    pool: Pool, zones: gpd.GeoDataFrame, request: Request, *, keep_inf: bool
) -> Summed:
    """Sum a raster up by rasterstats: the centre rule, zones in the raster's CRS.

    Raises:
        InputError: The raster is rotated.
        TooLargeError: The window around the zones would not fit into the memory that may be used.
    """
    import rasterstats

    _refuse_rotated(pool)
    grid = pool.grid
    window = _window(zones, grid)
    if window.height * window.width * 8 > settings().memory_mb << 20:
        raise TooLargeError(
            N_("rasterstats would hold {gb:.1f} GB of {key} at a time."),
            hint=N_("Use the engine lattice or exactextract, or raise URBAN_PATTERN_MEMORY_MB."),
            gb=window.height * window.width * 8 / 1e9,
            key=pool.key,
        )
    with pool.open() as pixels:
        array, nodata = _whole(pixels, grid, window, keep_inf=keep_inf)
    rows = rasterstats.zonal_stats(
        zones.geometry,
        array,
        affine=grid.transform @ Affine.translation(window.col_off, window.row_off),
        nodata=nodata,
        stats=list(dict.fromkeys(["count", "nodata", "nan", *request.names])),
        categorical=request.frequency,
    )
    figures = {
        name: np.array([np.nan if row.get(name) is None else row[name] for row in rows], np.float64)
        for name in dict.fromkeys(["count", "nodata", "nan", *request.names])
    }
    count = figures["count"]
    total = count + figures["nodata"] + figures["nan"]
    codes, frequencies = np.empty(0), np.empty((len(zones), 0))
    if request.frequency:
        codes, frequencies = _table(
            [{code: n for code, n in row.items() if not isinstance(code, str)} for row in rows]
        )
    cover = np.where(total > 0, count / np.maximum(total, 1), 0.0)
    return Summed({name: figures[name] for name in request.names}, codes, frequencies, cover)


def _table(rows: Sequence[dict[Any, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    codes = sorted({float(code) for row in rows for code in row})
    column = {code: k for k, code in enumerate(codes)}
    table = np.zeros((len(rows), len(codes)))
    for i, row in enumerate(rows):
        for code, weight in row.items():
            table[i, column[float(code)]] = weight
    return np.array(codes, dtype=np.float64), table


def _refuse_rotated(pool: Pool) -> None:
    if pool.grid.transform.b != 0 or pool.grid.transform.d != 0 or pool.grid.transform.e > 0:
        raise InputError(
            N_("{key} is rotated or stands on its head, which this engine cannot read."),
            hint=N_("Use the engine lattice, or reproject the layer first."),
            key=pool.key,
        )


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    corners = [grid.transform @ (c, r) for c in (0, grid.width) for r in (0, grid.height)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _window(zones: gpd.GeoDataFrame, grid: Grid) -> Window:
    west, south, east, north = zones.total_bounds
    t = grid.transform
    col0 = max(0, int(np.floor((west - t.c) / t.a)))
    row0 = max(0, int(np.floor((north - t.f) / t.e)))
    col1 = min(grid.width, int(np.ceil((east - t.c) / t.a)))
    row1 = min(grid.height, int(np.ceil((south - t.f) / t.e)))
    return Window(col0, row0, max(1, col1 - col0), max(1, row1 - row0))


def _whole(
    pixels: Pixels, grid: Grid, window: Window, *, keep_inf: bool
) -> tuple[NDArray[Any], float]:
    if grid.dtype.kind == "f" and keep_inf:
        return pixels.read(window), np.nan if grid.nodata is None else grid.nodata
    values, nodata = read_values(pixels, window)
    if grid.dtype.kind == "f":
        values = np.where(np.isinf(values), np.nan, values)
        return values, np.finfo(np.float64).min if np.isnan(nodata) else nodata
    return _whole_numbers(values, nodata), _NOTHING


def _whole_numbers(values: NDArray[np.float64], nodata: float) -> NDArray[np.int64]:
    """Return whole numbers as such, so that class codes keep their names."""
    hidden = values == nodata
    return np.where(hidden, _NOTHING, np.where(hidden, 0, values).astype(np.int64))


def _source_of(pixels: Pixels) -> Any:
    """Return an exactextract source that reads as we do: masks, nodata, infinity.

    No masked arrays: exactextract 0.3 reads their mask after Python has freed it.
    """
    from exactextract.raster import RasterSource as ExactSource

    grid = pixels.grid
    is_float = grid.dtype.kind == "f"

    class Source(ExactSource):  # type: ignore[misc]  # the peer's class is not typed
        def res(self) -> tuple[float, float]:
            return grid.transform.a, -grid.transform.e

        def extent(self) -> tuple[float, float, float, float]:
            return _bounds(grid)

        def nodata_value(self) -> int | None:
            return None if is_float else _NOTHING

        def srs_wkt(self) -> str:
            return str(grid.crs.to_wkt())

        def read_window(self, x0: int, y0: int, nx: int, ny: int) -> NDArray[Any]:
            if not nx or not ny:  # asked for once, to learn the type
                return np.zeros((ny, nx), np.float64 if is_float else np.int64)
            values, nodata = read_values(pixels, Window(x0, y0, nx, ny))
            if not is_float:
                return _whole_numbers(values, nodata)
            return np.where((values == nodata) | np.isinf(values), np.nan, values)

    return Source()
