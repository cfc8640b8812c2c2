"""Small rasters in memory and small lattices, and the plainest way to sum one up over the other."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import rasterio
from pyproj import CRS, Transformer
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from core.quadrats import Lattice, cell_at
from core.zonal.pixels import RasterSource
from core.zonal.table import zonal_statistics

UTM = "EPSG:32616"
WEST, NORTH = 430_000.0, 4_655_000.0


def lattice_of(shape, side_m, *, west=WEST, north=NORTH, kept=None, crs=UTM):
    mask = np.ones(shape, bool) if kept is None else kept
    rows, cols = np.nonzero(mask)
    return Lattice(
        crs=CRS(crs),
        side_m=float(side_m),
        west=west,
        south=north - shape[0] * side_m,
        shape=shape,
        rows=rows.astype(np.int32),
        cols=cols.astype(np.int32),
        rule="within",
        method="recommended",
    )


def raster_of(
    array, *, cell=10.0, transform=None, nodata=None, crs=UTM, key="x", mask=None, codes=None, **how
):
    """Write an array into a GeoTIFF in memory and return it as a source."""
    transform = transform or from_origin(WEST, NORTH, cell, cell)
    file = MemoryFile()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), file.open(
        driver="GTiff", height=array.shape[0], width=array.shape[1], count=1,
        dtype=array.dtype.name, crs=crs, transform=transform, nodata=nodata, **how,
    ) as dataset:  # fmt: skip
        dataset.write(array, 1)
        if mask is not None:
            dataset.write_mask(mask)

    @contextmanager
    def open_again():
        with file.open() as dataset:
            yield dataset

    return RasterSource(key=key, open=open_again, codes=codes)


def cells_of_centres(source, lattice):
    """Return for each pixel the quadrat that its exactly transformed centre lies in, -1 for none.

    Also how far, in sides of a quadrat, the nearest centre is from any line of the lattice.
    """
    with source.open() as dataset:
        transform, crs = dataset.transform, dataset.crs
        height, width = dataset.shape
    col, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = transform @ (col, row)
    if CRS(crs.to_wkt()) != lattice.crs:
        x, y = Transformer.from_crs(crs.to_wkt(), lattice.crs, always_xy=True).transform(x, y)
    units = np.stack([(x - lattice.west) / lattice.side_m, (y - lattice.south) / lattice.side_m])
    return cell_at(lattice, x, y), float(np.abs(units - np.round(units)).min())


def brute_force(values, cells, n):
    """Return every statistic of the valid pixels (float64, NaN: none) of each quadrat."""
    rows = []
    for k in range(n):
        inside = values[cells == k]
        valid = inside[np.isfinite(inside)]
        row = {"count": len(valid)}
        if len(valid):
            codes, counts = np.unique(valid, return_counts=True)
            row |= {
                "min": valid.min(), "max": valid.max(), "mean": valid.mean(), "sum": valid.sum(),
                "std": valid.std(), "median": np.median(valid),
                "majority": codes[counts.argmax()], "minority": codes[counts.argmin()],
                "unique": len(codes), "range": valid.max() - valid.min(),
            }  # fmt: skip
            row |= {f"fre_{float(v):.12g}": n for v, n in zip(codes, counts, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows)


def one_table(source, lattice, stats, **how):
    """Return the zonal table of one source named x, its columns without that prefix."""
    table = zonal_statistics(source, lattice, stats=stats, threads=1, **how).table
    return table.rename(columns=lambda name: name.removeprefix("x_"))
