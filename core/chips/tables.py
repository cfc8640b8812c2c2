"""The table of a set: a row a chip, with its outline where it has a place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window

from core import store
from core.chips.sources import outline
from core.georeference import Georeference
from core.workspace import crs_name

SHARE = "cover_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One chip that was cut."""

    split: str
    source: int
    source_name: str
    date: str
    place: Georeference
    window: Window
    valid: float
    block: tuple[int, int] = (-1, -1)
    shares: dict[int, float] = field(default_factory=dict)
    cluster: int = -1


def chip_table(rows: Sequence[Row], crs: CRS) -> gpd.GeoDataFrame:
    """Return a row a chip; outlines in `crs`, bounds in each chip's own CRS.

    Columns: split, source, date, valid, row, col, height, width (the window in the source's
    pixels), crs, west, south, east, north, block_row, block_col (-1 without a split by place),
    cluster (null where unknown), cover_<code> (0 where a class is not there).
    """
    names = {id(row.place): crs_name(row.place.crs) for row in rows}
    corners = np.stack([_corners(row) for row in rows]) if rows else np.empty((0, 4, 2))
    frame = pd.DataFrame(
        {
            "split": [row.split for row in rows],
            "source": [row.source_name for row in rows],
            "date": [row.date for row in rows],
            "valid": [row.valid for row in rows],
            "row": [int(row.window.row_off) for row in rows],
            "col": [int(row.window.col_off) for row in rows],
            "height": [int(row.window.height) for row in rows],
            "width": [int(row.window.width) for row in rows],
            "crs": [names[id(row.place)] for row in rows],
            "west": corners[..., 0].min(axis=1),
            "south": corners[..., 1].min(axis=1),
            "east": corners[..., 0].max(axis=1),
            "north": corners[..., 1].max(axis=1),
            "block_row": [row.block[0] for row in rows],
            "block_col": [row.block[1] for row in rows],
        }
    )
    if any(row.cluster >= 0 for row in rows):
        clusters = pd.array([row.cluster for row in rows], dtype="Int32")
        frame["cluster"] = clusters
        frame.loc[frame["cluster"] < 0, "cluster"] = pd.NA
    codes = sorted({code for row in rows for code in row.shares})
    for code in codes:
        frame[f"{SHARE}{code}"] = np.array([row.shares.get(code, 0.0) for row in rows], np.float32)
    frame.index.name = "chip"
    shapes = [outline(row.place, row.window, crs) for row in rows]
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=crs.to_wkt())


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table: GeoParquet where it has outlines, else plain Parquet."""
    with store.atomic_path(path) as tmp:
        table.to_parquet(tmp)


def chip_facts(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what a record says of each chip.

    Keys: chip, split, crs, bounds (west, south, east, north in that CRS), date, shares (of land
    cover, by code), cluster, label, valid; null or empty where unknown.
    """
    shares = [name for name in table.columns if name.startswith(SHARE)]
    plain = pd.DataFrame(table.drop(columns="geometry", errors="ignore"))
    rows: list[dict[str, Any]] = json.loads(plain.to_json(orient="records", double_precision=12))
    return [
        {
            "chip": number,
            "split": row["split"],
            "crs": row.get("crs"),
            "bounds": [row[side] for side in ("west", "south", "east", "north")]
            if "west" in row
            else None,
            "date": row.get("date") or None,
            "source": row.get("source"),
            "valid": row.get("valid"),
            "shares": {name.removeprefix(SHARE): row[name] for name in shares},
            "cluster": row.get("cluster"),
            "label": row.get("label"),
        }
        for number, row in enumerate(rows)
    ]


def _corners(row: Row) -> NDArray[np.float64]:
    window = row.window
    xs = window.col_off + np.array([0, 1, 1, 0]) * window.width
    ys = window.row_off + np.array([0, 0, 1, 1]) * window.height
    return np.column_stack(row.place.transform @ (xs, ys))
