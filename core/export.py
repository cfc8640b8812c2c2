"""Quadrats as files for other programs: GeoPackage, GeoParquet, CSV, GeoTIFF of a column."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import store
from core.errors import InputError
from core.grids import write_raster
from core.quadrat_table import QuadratTable
from core.quadrats import Lattice, to_frame
from core.text import N_

FORMATS = {
    "gpkg": N_("GeoPackage (QGIS, ArcGIS)"),
    "parquet": N_("GeoParquet (Python, R, DuckDB)"),
    "csv": N_("CSV (spreadsheets)"),
}


def write_quadrats(frame: gpd.GeoDataFrame, path: Path) -> Path:
    """Write quadrats in the format that the suffix of `path` names.

    CSV holds row, column and the centre of each quadrat in degrees instead of its outline.

    Raises:
        InputError: The suffix is none of `FORMATS`.
        TooLargeError: There is no room.
    """
    kind = path.suffix.lstrip(".")
    if kind not in FORMATS:
        raise InputError(
            N_("{name} names no format."),
            hint=N_("There are: {known}."),
            name=path.name,
            known=", ".join(FORMATS),
        )
    with store.atomic_path(path) as tmp:
        if kind == "gpkg":
            frame.to_file(tmp, layer=path.stem, driver="GPKG", engine="pyogrio")
        elif kind == "parquet":
            frame.to_parquet(tmp)
        else:
            centres = frame.geometry.centroid.to_crs(4326)
            table = frame.drop(columns="geometry")
            table.insert(2, "lon", centres.x.round(6))
            table.insert(3, "lat", centres.y.round(6))
            table.to_csv(tmp, index_label="quadrat")
    return path


def frame_of(made: QuadratTable, table: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return squares with row, col and the columns of a table, a row a quadrat."""
    frame = to_frame(made.lattice)
    joined = pd.concat([frame[["row", "col"]], table], axis=1)
    return gpd.GeoDataFrame(joined, geometry=frame.geometry.to_numpy(), crs=frame.crs)


def write_column(lattice: Lattice, values: NDArray[Any], path: Path) -> Path:
    """Write a value a quadrat as a GeoTIFF, float32, a pixel a quadrat, NaN where missing.

    Args:
        lattice: N quadrats.
        values: (N,) as they are to be written: measured, filled or normalised.
        path: The file.
    """
    with store.atomic_path(path) as tmp:
        write_raster(tmp, lattice, np.asarray(values, np.float32), float("nan"))
    return path


def write_all(frame: gpd.GeoDataFrame, path: Path) -> list[Path]:
    """Write squares in every format; `path` has no suffix."""
    return [write_quadrats(frame, path.with_name(f"{path.name}.{kind}")) for kind in FORMATS]


def check_columns(made: QuadratTable, columns: Sequence[str]) -> None:
    """Refuse columns that the table has not.

    Raises:
        InputError: The message names it and those that there are.
    """
    for name in columns:
        if name not in made.table:
            raise InputError(
                N_("There is no column {name!r}."),
                hint=N_("There are: {known}."),
                name=name[:80],
                known=", ".join(made.table.columns[:40]),
            )
