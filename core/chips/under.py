"""What lies under a chip: shares of land cover, and the cluster of its quadrats."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window

from core.chips.sources import RasterSource, Source, sample
from core.errors import InputError, StoreError
from core.georeference import Georeference
from core.legends import Legend, LegendClass
from core.text import N_
from core.workspace import Area, Layer, Workspace

POINTS = 64
_MOST_CLUSTER_CELLS = 16_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """A class raster to take shares from; band 0 holds the codes."""

    source: Source
    title: str
    legend: Legend

    def shares(self, place: Georeference, window: Window, points: int = POINTS) -> dict[int, float]:
        """Return the share of each class under a window, of `points` × `points` places in it.

        Classes that are not there are left out; the shares add up to the share that is covered.
        """
        values, valid = sample(self.source, place, window, (points, points))
        codes, counts = np.unique(values[0][valid], return_counts=True)
        return {
            int(code): int(count) / points**2 for code, count in zip(codes, counts, strict=True)
        }

    def dominant(self, place: Georeference, window: Window) -> int:
        """Return the class that is the most of a window, -1 where nothing is known."""
        shares = self.shares(place, window, 16)
        return max(shares, key=lambda code: (shares[code], -code)) if shares else -1


class Clusters:
    """The cluster of every quadrat of an area, as a raster of one pixel a quadrat.

    It is a source itself: missing where there is no quadrat.
    """

    name = "clusters"
    date = ""
    spread = 4.0

    def __init__(self, labels: NDArray[np.int32], place: Georeference) -> None:
        self.labels = labels
        self.place = place

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the numbers of the clusters in a window."""
        found = self.labels[window.toslices()]
        return found[None], found >= 0

    def close(self) -> None:
        """Nothing is open."""

    def under(self, place: Georeference, window: Window) -> int:
        """Return the cluster that is the most of a window, -1 where there is none."""
        values, valid = sample(self, place, window, (16, 16))
        codes, counts = np.unique(values[0][valid], return_counts=True)
        return int(codes[np.argmax(counts)]) if len(codes) else -1


def area_clusters(workspace: Workspace, area: Area) -> Clusters | None:
    """Return the clusters that an area's last run wrote; None where there was none.

    Raises:
        StoreError: The file is damaged.
    """
    path = workspace.folder(area.id) / "clusters.parquet"
    if not path.is_file():
        return None
    import geopandas as gpd

    try:
        frame = gpd.read_parquet(path)
        row, col = frame["row"].to_numpy(np.int64), frame["col"].to_numpy(np.int64)
        labels = frame["cluster"].to_numpy(np.int32)
        west, _, east, north = frame.geometry.iloc[0].bounds
        side = east - west
        shape = (int(row.max()) + 1, int(col.max()) + 1)
        if row.min() < 0 or col.min() < 0 or shape[0] * shape[1] > _MOST_CLUSTER_CELLS:
            raise ValueError("rows and columns are out of range")
        crs = CRS(frame.crs)
    except (OSError, ValueError, KeyError, IndexError) as err:
        raise StoreError(
            N_("The clusters of {area} cannot be read: {reason}."),
            hint=N_("Compute them again."),
            area=area.title,
            reason=str(err)[:200],
        ) from err
    raster = np.full(shape, -1, np.int32)
    raster[row, col] = labels
    transform = Affine(side, 0, west - col[0] * side, 0, -side, north + row[0] * side)
    return Clusters(raster, Georeference(crs, transform, shape[1], shape[0]))


def cover_layer(workspace: Workspace, area: Area, chosen: str = "") -> Cover | None:
    """Return the land cover of an area: the chosen layer, else its first layer of classes.

    Raises:
        InputError: The chosen layer is not there, holds no classes, or stays on a server.
    """
    if chosen:
        layer = area.layer(chosen)
    else:
        layers = [each for each in area.layers if each.kind == "classes" and each.file]
        if not layers:
            return None
        layer = layers[0]
    return cover_of(workspace, area, layer)


def cover_of(workspace: Workspace, area: Area, layer: Layer) -> Cover:
    """Return one layer of classes as land cover.

    Raises:
        InputError: It holds no classes, or stays on a server.
    """
    if layer.kind != "classes" or not layer.file:
        raise InputError(
            N_("{layer} cannot serve as land cover: it holds no classes here."),
            hint=N_("Choose a layer of classes that is on this machine."),
            layer=layer.title,
        )
    named = {entry.code for entry in layer.legend}
    unnamed = [code for code, _ in layer.summary.counts if code not in named]
    legend = (*layer.legend, *(LegendClass(code, str(code), "") for code in unnamed))
    return Cover(
        RasterSource(workspace.layer_path(area.id, layer), name=layer.title), layer.title, legend
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the ground: all of it may be missing."""

    area: Area | None = None
    boundary: shapely.Geometry | None = None
    """In degrees; chips have their centre inside."""
    cover: Cover | None = None
    clusters: Clusters | None = None

    def close(self) -> None:
        """Close what is open."""
        if self.cover is not None:
            self.cover.source.close()
