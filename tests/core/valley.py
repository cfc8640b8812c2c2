"""A study area of 3 × 3 km whose patterns and seasons are planted: 20 × 20 squares of 150 m.

A wood in the north-west and a lake in the east are cool in summer; a hill in the south-west is
cold in winter; the dense centre is hot in summer. `cover` (30 m): 1 trees, 2 water, 3 houses,
4 grass. `storeys`, `summer` and `winter` (30 m) are numbers everywhere.
"""

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin

from core import cluster_steps, cozy_steps, prepare
from core.cluster_steps import ClusterOptions
from core.legends import LegendClass
from core.quadrat_table import Options, QuadratTable, quadrat_table, write_quadrats
from core.workspace import Workspace

AREA, TITLE = "valley", "Valley"
WEST_M, NORTH_M, SIDE_M, PIXEL_M = 445_000.0, 4_635_000.0, 3_000.0, 30.0
WOOD, LAKE, CENTRE, HILL = (5, 5), (10, 18), (12, 10), (16, 3)
"""Row and column of a square in each."""
LEGEND = (
    LegendClass(1, "Trees", "#1B7837"),
    LegendClass(2, "Water", "#2166AC"),
    LegendClass(3, "Houses", "#B2182B"),
    LegendClass(4, "Grass", "#A6DBA0"),
)


def make_valley(root: Path, *, method: str = "recommended", has_seasons: bool = True) -> Workspace:
    """Make the area with its layers in the workspace at `root`; nothing is computed."""
    space = Workspace(root)
    box = shapely.box(WEST_M, NORTH_M - SIDE_M, WEST_M + SIDE_M, NORTH_M)
    frame = gpd.GeoDataFrame(geometry=[box], crs=32616)
    space.create(AREA, title=TITLE, boundary=frame, boundary_source={}, method=method)
    cover, storeys, summer, winter = _fields()
    effect = {"kind": "values", "role": "effect", "unit": "K"}
    seasons = ("summer", "winter") if has_seasons else (None, None)
    for values, about in (
        (cover, prepare.About(layer_id="cover", title="Cover", kind="classes", legend=LEGEND)),
        (storeys, prepare.About(layer_id="storeys", title="Storeys", kind="values")),
        (summer, prepare.About(layer_id="warm", title="In July", season=seasons[0], **effect)),
        (winter, prepare.About(layer_id="cool", title="In January", season=seasons[1], **effect)),
    ):
        prepare.add_array(
            space, AREA, values, about, transform=from_origin(WEST_M, NORTH_M, PIXEL_M, PIXEL_M),
            crs="EPSG:32616", nodata=0 if about.kind == "classes" else None, origin={},
        )  # fmt: skip
    return space


def summed_up(space: Workspace) -> QuadratTable:
    """Compute the area's quadrats as the job does."""
    area = space.area(AREA)
    made = quadrat_table(space, area, Options())
    write_quadrats(space, area, made)
    return made


def swept(space: Workspace, options: ClusterOptions = ClusterOptions()) -> None:  # noqa: B008
    """Compute the clusters and their stability as the job does."""
    given = (space, space.area(AREA), summed_up(space), Options(), options)
    cluster_steps.clusters(*given)
    cluster_steps.cluster_stability(*given)


def permuted(space: Workspace, options: cozy_steps.Options = cozy_steps.Options()) -> None:  # noqa: B008
    """Compute hot spots of both seasons and neighbourhoods as the job does."""
    area, made = space.area(AREA), summed_up(space)
    for weights in ("queen", "rook"):
        cozy_steps.cozy_zone(space, area, made, replace(options, weights=weights), Options())


def place_of(row: float, col: float) -> tuple[float, float]:
    """Return longitude and latitude of the middle of a square."""
    to_lonlat = Transformer.from_crs(32616, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(WEST_M + (col + 0.5) * 150, NORTH_M - (row + 0.5) * 150)
    return float(lon), float(lat)


def _fields() -> tuple[np.ndarray, ...]:
    row, col = np.mgrid[:100, :100] / 5.0 - 0.5  # in squares
    rng = np.random.default_rng(7)

    def near(place: tuple[int, int], reach: float) -> np.ndarray:
        return np.hypot(row - place[0], col - place[1]) < reach

    def bowl(place: tuple[int, int]) -> np.ndarray:
        return np.exp(-((np.hypot(row - place[0], col - place[1]) / 2.5) ** 2))

    wood, lake, centre = near(WOOD, 3), col > 16, near(CENTRE, 3)
    drawn = rng.random(row.shape)
    cover = np.where(drawn < 0.3, 3, 4)
    cover[centre] = np.where(drawn < 0.85, 3, 4)[centre]
    cover[wood] = np.where(drawn < 0.9, 1, 4)[wood]
    cover[lake] = np.where(drawn < 0.98, 2, 1)[lake]
    storeys = np.where(cover == 3, 2 + 6 * centre, 0) + rng.random(row.shape) / 2
    summer = 300 - 8 * bowl(WOOD) - 7 * lake + 6 * bowl(CENTRE)
    winter = 275 - 8 * bowl(HILL) + 3 * bowl(CENTRE)
    noise = rng.normal(scale=0.3, size=(2, *row.shape))
    return (
        cover.astype("uint8"),
        storeys.astype("float32"),
        (summer + noise[0]).astype("float32"),
        (winter + noise[1]).astype("float32"),
    )
