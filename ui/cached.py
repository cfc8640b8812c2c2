"""Cached doors into `core`. Every argument is small, hashable and part of the key.

Areas are keyed by the time stamp of their description, layers by their digest: a changed file
gives a new result.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from shapely import simplify
from shapely.geometry.base import BaseGeometry

from core import (
    boundaries,
    cluster_steps,
    cozy_steps,
    effects,
    export,
    prepare,
    raster_info,
    rasters,
    rendering,
    zones,
)
from core import problems as core_problems
from core.chips.display import mosaic
from core.chips.pictures import read_picture
from core.cluster_steps import ClusterOptions, Clusters, Factors
from core.clusters.stability import Stability as ClusterStability
from core.connectors import drawing, items, kept, planning, previews
from core.connectors.layers import Wish
from core.cozy import Stability
from core.effects import Effects
from core.errors import AppError
from core.normalise import Filled, Normalised
from core.quadrat_table import Options, QuadratTable, quadrat_table, whole_frame
from core.quadrats import estimate_count
from models import estimate, old_runs, runs, scales, sets
from models.estimate import Speed
from models.follow import Follower
from ui.server import outside_allowed, workspace

# About 5 m: finer than a boundary line on a screen can show.
_SIMPLIFY_DEG = 5e-5
_CORNER_PX, _SHEET_PX = 128, 480


@st.cache_data(max_entries=32, show_spinner=False)
def boundary_geojson(area_id: str, stamp: int) -> dict[str, Any]:
    """Return the boundary in degrees, simplified for drawing."""
    del stamp
    return drawn_geojson(workspace().boundary(area_id))


@st.cache_resource(max_entries=16, show_spinner=False)
def boundary_shape(area_id: str, stamp: int) -> BaseGeometry:
    """Return the boundary in degrees as one shape. Read only."""
    del stamp
    return prepare.boundary_lonlat(workspace(), area_id)


@st.cache_data(max_entries=64, show_spinner=False)
def boundary_km2(area_id: str, stamp: int) -> float:
    """Return the area inside the boundary, in square kilometres, measured in the area's CRS."""
    del stamp
    return float(workspace().boundary(area_id).area.sum() / 1e6)


@st.cache_data(max_entries=256, show_spinner=False)
def layer_problems(
    area_id: str, layer_id: str, digest: str, stamp: int
) -> tuple[core_problems.Problem, ...]:
    """Return what is wrong with a layer."""
    del digest, stamp
    space = workspace()
    found = space.area(area_id)
    layer = found.layer(layer_id)
    outside = bool(layer.url) and outside_allowed()
    return core_problems.layer_problems(space, found, layer, outside=outside)


@st.cache_data(max_entries=32, show_spinner=False)
def inspected(source: str, stamp: int, outside: bool) -> raster_info.RasterInfo:
    """Inspect a raster file that is not in an area yet."""
    del stamp
    return raster_info.inspect(source if outside else Path(source), outside=outside)


@st.cache_data(max_entries=128, show_spinner=False)
def layer_file(area_id: str, layer_id: str, digest: str) -> raster_info.RasterInfo:
    """Return what the file of a layer says of itself."""
    del digest
    space = workspace()
    layer = space.area(area_id).layer(layer_id)
    source = layer.url or space.layer_path(area_id, layer)
    return raster_info.inspect(source, outside=bool(layer.url) and outside_allowed())


@st.cache_data(max_entries=32, show_spinner=False)
def guessed(source: str, stamp: int, band: int, outside: bool) -> raster_info.Guess:
    """Guess what a raster file is."""
    path = source if outside else Path(source)
    return raster_info.guess(inspected(source, stamp, outside), path, band=band, outside=outside)


@st.cache_data(max_entries=32, show_spinner=False)
def raster_preview(source: str, stamp: int, band: int, outside: bool, kind: str) -> bytes:
    """Draw a raster file small, as PNG bytes, in the colours that are proposed for it."""
    path = source if outside else Path(source)
    picture = raster_info.preview(path, band=band, outside=outside)
    guess = guessed(source, stamp, band, outside)
    legend = guess.legend if kind == "classes" else ()
    return rendering.picture_of(picture, legend=legend, colormap=guess.colormap)


@st.cache_data(max_entries=16, show_spinner=False)
def boundary_file(path: str, stamp: int, crs: str, layer: str, name: str) -> boundaries.Boundary:
    """Read a boundary from a file that is not an area yet."""
    del stamp
    return boundaries.read_boundary(Path(path), crs=crs or None, layer=layer or None, name=name)


@st.cache_data(max_entries=16, show_spinner=False)
def zone_names(set_id: str) -> list[str]:
    """Return the names of the zones of a set, in order."""
    return list(zones.zones(set_id)["name"])


@st.cache_data(max_entries=16, show_spinner=False)
def zone_boundary(set_id: str, names: tuple[str, ...]) -> boundaries.Boundary:
    """Unite the chosen zones of a set; all of them where none is chosen."""
    return zones.zone_boundary(set_id, list(names) or None)


@st.cache_resource(max_entries=6, show_spinner=False)
def quadrats(area_id: str, stamp: int, options: Options) -> QuadratTable:
    """Return the statistics of an area's quadrats that were computed before. Read only."""
    del stamp
    space = workspace()
    return quadrat_table(space, space.area(area_id), options)


@st.cache_resource(max_entries=6, show_spinner=False)
def filled_quadrats(area_id: str, stamp: int, options: Options) -> Filled:
    """Return the same with the gaps filled. Read only."""
    return quadrats(area_id, stamp, options).filled(options)


@st.cache_resource(max_entries=6, show_spinner=False)
def normalised_quadrats(area_id: str, stamp: int, options: Options) -> Normalised:
    """Return the same, every column in 0 to 1. Read only."""
    return quadrats(area_id, stamp, options).normalised(options)


@st.cache_data(max_entries=2, show_spinner=False)
def exported_quadrats(
    area_id: str, stamp: int, options: Options, kind: str, is_normalised: bool
) -> bytes:
    """Return the quadrats, as counted or normalised, as a file of one of `export.FORMATS`."""
    made = quadrats(area_id, stamp, options)
    frame = whole_frame(made)
    if is_normalised:
        frame = export.frame_of(made, normalised_quadrats(area_id, stamp, options).table)
    folder = workspace().scratch(area_id)
    try:
        return export.write_quadrats(frame, folder / f"quadrats.{kind}").read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@st.cache_data(max_entries=2, show_spinner=False)
def exported_column(
    area_id: str, stamp: int, options: Options, column: str, is_normalised: bool
) -> bytes:
    """Return one column as a GeoTIFF as it is on the map: filled, and normalised if so shown."""
    lattice = quadrats(area_id, stamp, options).lattice
    shown = normalised_quadrats if is_normalised else filled_quadrats
    values = shown(area_id, stamp, options).table[column].to_numpy()
    folder = workspace().scratch(area_id)
    try:
        return export.write_column(lattice, values, folder / "column.tif").read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@st.cache_data(max_entries=4, show_spinner=False)
def estimated_quadrats(area_id: str, stamp: int, side_m: float) -> int:
    """Return about how many quadrats of a side the area has."""
    del stamp
    return estimate_count(workspace().boundary(area_id), side_m=side_m)


@st.cache_resource(max_entries=6, show_spinner=False)
def clusters(
    area_id: str, stamp: int, options: ClusterOptions, quadrat_options: Options
) -> Clusters:
    """Return the sweep over k that was made before. Read only."""
    space = workspace()
    made = quadrats(area_id, stamp, quadrat_options)
    return cluster_steps.clusters(space, space.area(area_id), made, quadrat_options, options)


@st.cache_resource(max_entries=6, show_spinner=False)
def cluster_stability(
    area_id: str, stamp: int, options: ClusterOptions, quadrat_options: Options
) -> ClusterStability:
    """Return how firm each k is; made before. Read only."""
    space = workspace()
    made = quadrats(area_id, stamp, quadrat_options)
    area = space.area(area_id)
    return cluster_steps.cluster_stability(space, area, made, quadrat_options, options)


@st.cache_resource(max_entries=6, show_spinner=False)
def cluster_factors(
    area_id: str, stamp: int, options: ClusterOptions, quadrat_options: Options
) -> Factors:
    """Return the columns that are clustered. Read only."""
    normal = normalised_quadrats(area_id, stamp, quadrat_options)
    return cluster_steps.factors(workspace().area(area_id), normal, options)


@st.cache_resource(max_entries=12, show_spinner=False)
def cozy_zone(
    area_id: str, stamp: int, options: cozy_steps.Options, quadrat_options: Options
) -> cozy_steps.CozyZone:
    """Return hot spots of two seasons and the cozy zone; permuted before. Read only."""
    space = workspace()
    made = quadrats(area_id, stamp, quadrat_options)
    return cozy_steps.cozy_zone(space, space.area(area_id), made, options, quadrat_options)


@st.cache_resource(max_entries=6, show_spinner=False)
def cozy_stability(
    area_id: str, stamp: int, options: cozy_steps.Options, quadrat_options: Options
) -> Stability:
    """Return in how many settings each square is cozy. Read only."""
    space = workspace()
    made = quadrats(area_id, stamp, quadrat_options)
    return cozy_steps.zone_stability(space, space.area(area_id), made, options, quadrat_options)


@st.cache_data(max_entries=24, show_spinner=False)
def under_zone(
    area_id: str,
    stamp: int,
    options: cozy_steps.Options,
    quadrat_options: Options,
    groups: tuple[str, bytes],
) -> pd.DataFrame:
    """Return what lies under the zone; `groups` is a name and the label of each square, int16."""
    space = workspace()
    made = quadrats(area_id, stamp, quadrat_options)
    found = cozy_zone(area_id, stamp, options, quadrat_options)
    labels = np.frombuffer(groups[1], np.int16)
    return cozy_steps.under_zone(space.area(area_id), made, found, labels, options)


@st.cache_resource(max_entries=12, show_spinner=False)
def zone_effects(
    area_id: str,
    stamp: int,
    options: cozy_steps.Options,
    quadrat_options: Options,
    columns: tuple[str, ...],
) -> Effects:
    """Return how factors go with being in the zone. Read only."""
    made = quadrats(area_id, stamp, quadrat_options)
    found = cozy_zone(area_id, stamp, options, quadrat_options)
    factors = normalised_quadrats(area_id, stamp, quadrat_options).table[list(columns)]
    return effects.zone_effects(found.zone.is_cozy, factors, made.lattice.rows, made.lattice.cols)


@st.cache_resource(max_entries=8, show_spinner=False)
def imagery_search(area_id: str, search_id: str, written: int) -> kept.Kept:
    """Return the answer to a search that was kept. Read only."""
    del written
    return kept.kept_search(workspace(), area_id, search_id)


@st.cache_data(max_entries=16, show_spinner=False)
def suggested_images(area_id: str, stamp: int, search_id: str, written: int) -> list[str]:
    """Return the keys of the fewest images that cover what can be covered."""
    found = imagery_search(area_id, search_id, written).results.found
    return [image.key for image in items.suggested(found, boundary_shape(area_id, stamp))]


@st.cache_data(max_entries=32, show_spinner=False)
def planned_layers(
    area_id: str, stamp: int, wishes: tuple[Wish, ...], mbit_s: float
) -> tuple[planning.LayerEstimate, ...]:
    """Estimate what fetching layers would take."""
    del stamp
    return planning.plan_layers(workspace(), area_id, wishes, mbit_s=mbit_s)


@st.cache_data(max_entries=64, show_spinner=False)
def small_picture(path: str, written: int, side_px: int) -> bytes:
    """Return a picture of our own, made smaller, as PNG."""
    del written
    return previews.smaller(Path(path), side_px)


@st.cache_data(max_entries=8, show_spinner=False)
def drawn_image(path: str, written: int) -> drawing.Drawn:
    """Return a fetched image drawn for a map."""
    del written
    return drawing.drawn(Path(path))


@st.cache_resource(max_entries=12, show_spinner=False)
def follower(folder: str) -> Follower:
    """Return what reads the figures of a run as they come, shared by all who watch it.

    Eight runs are compared at once: with fewer entries than these each drawing reads all anew.
    """
    return Follower(Path(folder))


@st.cache_data(max_entries=64, show_spinner=False)
def picture_set(source: str, stamp: int) -> sets.SetFacts:
    """Return what is known of pictures to train on; `stamp` changes with them."""
    del stamp
    return sets.facts(source)


@st.cache_data(max_entries=2, show_spinner=False)
def run_speeds(ended: tuple[str, ...]) -> list[Speed]:
    """Return how fast runs that have ended went, in the order of their ids."""
    root = workspace().root / "runs"
    found = (estimate.speed_of(runs.run(runs.folder_of(root, run_id))) for run_id in ended)
    return [speed for speed in found if speed is not None]


@st.cache_data(max_entries=256, show_spinner=False)
def sheet_corner(path: str, stamp: int, side_px: int, size_px: int) -> NDArray[np.uint8] | None:
    """Return the first four pictures of a run's sheet side by side; None where it is no such sheet.

    Pictures of `side_px` become ones of `size_px` first, by means; shown at 128 px at most.
    """
    del stamp
    try:
        found = scales.cut(read_picture(Path(path)), side_px, 4)
    except (AppError, ValueError):
        return None
    seen = scales.shrunk(found, size_px)
    times = max(1, min(side_px, _CORNER_PX) // size_px)
    seen = scales.shrunk(seen, min(size_px, _CORNER_PX)).repeat(times, 1).repeat(times, 2)
    return mosaic(seen, 2, gap_px=2)


@st.cache_data(max_entries=8, show_spinner=False)
def coarser_sheet(path: str, stamp: int, side_px: int, size_px: int) -> NDArray[np.uint8] | None:
    """Return a run's sheet with pictures as of `size_px`; None where it is no such sheet."""
    del stamp
    try:
        return scales.coarser(read_picture(Path(path)), side_px, size_px)
    except (AppError, ValueError):
        return None


@st.cache_data(max_entries=4, ttl=60, show_spinner=False)
def old_style_folders(data: str) -> list[str]:
    """Return folders of StyleGAN.pytorch below the server's data folder."""
    return old_runs.style_folders(Path(data))


@st.cache_resource(max_entries=4, ttl=60, show_spinner=False)
def old_style_run(folder: str) -> old_runs.OldStyleRun:
    """Return what StyleGAN.pytorch left in a folder. Read only."""
    return old_runs.old_style_run(Path(folder))


@st.cache_data(max_entries=64, show_spinner=False)
def old_sheet(path: str, stamp: int) -> NDArray[np.uint8] | None:
    """Return an old sheet of samples (h, w, 3 or 1), small; None where it is no picture."""
    del stamp
    try:
        found = read_picture(Path(path))
    except AppError:
        return None
    whole = found.reshape(*found.shape[:2], -1)
    times = -(-max(whole.shape[:2]) // _SHEET_PX)
    return whole[times // 2 :: times, times // 2 :: times]


def pixel(area_id: str, layer_id: str, lat: float, lon: float) -> rasters.Pixel:
    """Read a layer at a point; fast enough to need no cache."""
    space = workspace()
    found = space.area(area_id)
    layer = found.layer(layer_id)
    source = layer.url or space.layer_path(area_id, layer)
    return rasters.read_pixel(source, lon, lat, outside=bool(layer.url) and outside_allowed())


def drawn_geojson(frame: Any) -> dict[str, Any]:
    """Return a frame's geometry in degrees, simplified for drawing on a map."""
    lonlat = frame.to_crs(4326)
    lonlat = lonlat.set_geometry(simplify(lonlat.geometry.values, _SIMPLIFY_DEG))
    drawn: dict[str, Any] = json.loads(lonlat[["geometry"]].to_json())
    return drawn
