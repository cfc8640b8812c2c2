"""A column of quadrats as a small raster, one pixel a quadrat, so that maps draw it as tiles.

    grids/<digest>.tif    float32 (NaN: no value) or int32 class codes
          <digest>.json   what a layer says of itself: kind, legend, figures, and its first title

The digest covers places, values and the colours of classes, so that another language or another
colour scale draws the same file.

25,000 squares as vectors take a browser seconds; as a raster of 25,000 pixels they take none.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from core import store
from core.errors import AppError, InputError, StoreError
from core.legends import Legend
from core.quadrats import Lattice
from core.summaries import Tally
from core.text import N_
from core.workspace import Kind, Layer, Workspace, layer_from

GRID_VERSION = 1
NO_CLASS = -1
_KEPT = 256
_DIGEST = re.compile(r"[0-9a-f]{16}")


def make_grid(
    workspace: Workspace,
    area_id: str,
    lattice: Lattice,
    values: NDArray[Any],
    *,
    title: str,
    unit: str = "",
    colormap: str = "viridis",
    legend: Legend = (),
) -> Layer:
    """Write one value a quadrat as a raster and return it as a layer that tiles can be drawn of.

    Args:
        workspace: Where the area is.
        area_id: The area.
        lattice: N quadrats.
        values: (N,) numbers, NaN where missing; codes where there is a legend, -1 where missing.
        title: What the map's legend is headed with.
        unit: Of the values.
        colormap: Of the values.
        legend: Makes it a raster of classes.
    """
    kind: Kind = "classes" if legend else "values"
    missing: float = NO_CLASS if legend else float("nan")
    flat = np.asarray(values).astype(np.int32 if legend else np.float32)
    # What it is called is said by the caller, in any language; colours of classes are drawn.
    digest = _digest(lattice, flat, [[entry.code, entry.colour] for entry in legend])
    folder = workspace.folder(area_id) / "grids"
    with suppress(AppError, OSError):  # not there, or damaged: written again
        kept = grid_layer(workspace, area_id, digest)
        os.utime(folder / f"{digest}.json")  # used now: deleted last
        (folder / f"{digest}.tif").stat()
        return replace(kept, title=title, unit=unit, colormap=colormap, legend=legend)
    tally = Tally(kind, flat.dtype, num_pixels=flat.size, name=title)
    tally.add(flat, flat != NO_CLASS if legend else np.isfinite(flat))
    layer = Layer(
        id=f"grid-{digest}",
        title=title,
        kind=kind,
        file=f"grids/{digest}.tif",
        unit=unit,
        colormap=colormap,
        legend=legend,
        digest=digest,
        summary=tally.summary(),
    )
    with store.atomic_path(folder / f"{digest}.tif") as tmp:
        write_raster(tmp, lattice, flat, missing)
    # Last: whoever finds the description finds the raster too.
    body = {"layer": asdict(layer)}
    store.write_json(folder / f"{digest}.json", body, kind="grid", version=GRID_VERSION)
    _forget_old(folder)
    return layer


def grid_layer(workspace: Workspace, area_id: str, digest: str) -> Layer:
    """Return a column that was written before.

    Raises:
        InputError: There is no such column.
        StoreError: Its description is damaged.
    """
    folder = workspace.folder(area_id) / "grids"
    if not _DIGEST.fullmatch(digest) or not (folder / f"{digest}.json").is_file():
        raise InputError(N_("There is no such column of quadrats."))
    body = store.read_json(folder / f"{digest}.json", kind="grid", version=GRID_VERSION)
    try:
        return layer_from(body["layer"])
    except (KeyError, TypeError, ValueError) as err:
        raise StoreError(N_("{name} is damaged."), name=f"{digest}.json") from err


def write_raster(path: Path, lattice: Lattice, values: NDArray[Any], missing: float) -> None:
    """Write one value a quadrat as a GeoTIFF, `missing` where there is no quadrat."""
    filled = np.full(lattice.shape, missing, values.dtype)
    filled[lattice.rows, lattice.cols] = values
    profile = {
        "driver": "GTiff",
        "height": lattice.shape[0],
        "width": lattice.shape[1],
        "count": 1,
        "dtype": filled.dtype.name,
        "crs": lattice.crs.to_wkt(),
        "transform": Affine(lattice.side_m, 0, lattice.west, 0, -lattice.side_m, lattice.north),
        "nodata": missing,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **profile) as target:  # noqa: TID251 (a new file of our own)
        target.write(filled, 1)


def _digest(lattice: Lattice, values: NDArray[Any], said: list[Any]) -> str:
    place = [lattice.crs.to_wkt(), lattice.side_m, lattice.west, lattice.south, lattice.shape]
    digest = hashlib.sha256(json.dumps([place, said, str(values.dtype)]).encode())
    for array in (lattice.rows, lattice.cols, values):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _forget_old(folder: Path) -> None:
    used: list[tuple[float, Path]] = []
    for path in folder.glob("*.json"):
        with suppress(OSError):  # another session deleted it just now
            used.append((path.stat().st_mtime, path))
    for _, path in sorted(used, reverse=True)[_KEPT:]:
        with suppress(PermissionError):  # Windows: a tile still reads it; the next one
            path.with_suffix(".tif").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
