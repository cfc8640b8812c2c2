"""Quadrats as files for other programs: GeoPackage, GeoParquet, CSV, GeoTIFF of a column."""

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np

from core import store
from core.errors import InputError
from core.grids import write_raster
from core.quadrat_table import QuadratTable, whole_frame
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
            frame.to_file(tmp, layer="quadrats", driver="GPKG", engine="pyogrio")
        elif kind == "parquet":
            frame.to_parquet(tmp)
        else:
            centres = frame.geometry.centroid.to_crs(4326)
            table = frame.drop(columns="geometry")
            table.insert(2, "lon", centres.x.round(6))
            table.insert(3, "lat", centres.y.round(6))
            table.to_csv(tmp, index_label="quadrat")
    return path


def write_column(made: QuadratTable, column: str, path: Path) -> Path:
    """Write one column as a GeoTIFF, float32, a pixel a quadrat, NaN where missing.

    Raises:
        InputError: There is no such column.
    """
    _check_columns(made, [column])
    values = made.table[column].to_numpy(np.float32)
    with store.atomic_path(path) as tmp:
        write_raster(tmp, made.lattice, values, float("nan"))
    return path


def write_all(made: QuadratTable, folder: Path, *, columns: Sequence[str] = ()) -> list[Path]:
    """Write the quadrats in every format, and some columns as GeoTIFF, into `folder`.

    Raises:
        InputError: There is no such column; nothing is written then.
    """
    _check_columns(made, columns)
    frame = whole_frame(made)
    paths = [write_quadrats(frame, folder / f"quadrats.{kind}") for kind in FORMATS]
    return paths + [write_column(made, name, folder / f"{name}.tif") for name in columns]


def _check_columns(made: QuadratTable, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in made.table:
            raise InputError(
                N_("There is no column {name!r}."),
                hint=N_("There are: {known}."),
                name=name[:80],
                known=", ".join(made.table.columns[:40]),
            )
