"""A fetched image as a picture that lies right on a map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.warp import calculate_default_transform, reproject

from core import png, rasters

SIDE_PX = 640
_MERCATOR = "EPSG:3857"
_SHARES = (2.0, 98.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture in web-mercator."""

    picture: bytes
    """PNG; transparent where the image has no values."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees."""


def drawn(path: Path, *, side_px: int = SIDE_PX) -> Drawn:
    """Draw the first three bands as red, green and blue; one or two bands in grey.

    Bytes are shown as they are; other numbers are stretched from the 2nd to the 98th percentile of
    each band. Where a band is missing, the pixel is transparent.

    Args:
        path: A raster on this machine.
        side_px: The longer side of the picture, at most.

    Raises:
        InputError, RefusedFileError, CrsError: It cannot be read, or has no place.
    """
    with rasters.open_raster(path) as dataset:
        place = rasters.georeference(dataset, name=path.name)
        values, valid, transform = _read(dataset, side_px)
        colours = np.stack([_bytes(band, valid, dataset.dtypes[0]) for band in values])
        layers = np.concatenate([colours, np.where(valid, 255, 0).astype(np.uint8)[None]])
        rows, columns = valid.shape
        west, south, east, north = rasterio.transform.array_bounds(rows, columns, transform)
        to, width, height = calculate_default_transform(
            place.crs.to_wkt(), _MERCATOR, columns, rows, west, south, east, north
        )
        out = np.zeros((4, height, width), np.uint8)
        reproject(
            layers, out, src_transform=transform, src_crs=place.crs.to_wkt(), dst_transform=to,
            dst_crs=_MERCATOR, resampling=Resampling.nearest,
        )  # fmt: skip
    left, bottom, right, top = rasterio.transform.array_bounds(height, width, to)
    lonlat = Transformer.from_crs(_MERCATOR, 4326, always_xy=True)
    (west, east), (south, north) = lonlat.transform([left, right], [bottom, top])
    picture = png.truecolour(np.ascontiguousarray(np.moveaxis(out, 0, -1)))
    return Drawn(picture, (west, south, east, north))


def _read(dataset: DatasetReader, side_px: int) -> tuple[NDArray[Any], NDArray[np.bool_], Affine]:
    """Return three bands, coarser, where they are valid, and where they lie."""
    bands = [1, 2, 3] if dataset.count >= 3 else [1, 1, 1]
    scale = max(1.0, max(dataset.width, dataset.height) / side_px)
    rows = max(1, round(dataset.height / scale))
    columns = max(1, round(dataset.width / scale))
    values = dataset.read(bands, out_shape=(3, rows, columns))
    nodata = rasters.nodata_of(dataset, 1)
    valid = np.logical_or.reduce([rasters.is_value(band, nodata) for band in values])
    across = Affine.scale(dataset.width / columns, dataset.height / rows)
    return values, valid, dataset.transform @ across


def _bytes(band: NDArray[Any], valid: NDArray[np.bool_], dtype: str) -> NDArray[np.uint8]:
    if dtype == "uint8":
        return np.asarray(band, np.uint8)
    if not valid.any():
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(band[valid].astype(float), _SHARES)
    share = (np.where(valid, band, low).astype(float) - low) / max(high - low, 1e-12)
    return np.asarray(np.rint(255 * np.clip(share, 0, 1)), np.uint8)
