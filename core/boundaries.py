"""Study-area boundaries: polygons, where they lie, and the metres to measure them in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj
from pyproj.exceptions import ProjError

from core.crs import parse_crs
from core.errors import CrsError, ExtentError, InputError, TooLargeError
from core.store import file_digest
from core.text import N_
from core.vectors import read_vector

WIDEST_KM = 500.0
_SMALLEST_KM2 = 1e-4  # a quadrat of 10 m
_MOST_POLYGONS = 50_000
_MOST_CROSSINGS = 2_000_000
_UTM_SOUTH, _UTM_NORTH = -80.0, 84.0  # beyond these UTM is not defined
_AREA_ERROR = 0.02  # metres on the map may be this far from metres on the ground, squared
_EARTH = Geod(ellps="WGS84")
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """Polygons that can become a study area."""

    frame: gpd.GeoDataFrame
    """One row a polygon or multipolygon, two-dimensional and valid, in the file's own CRS."""

    source: dict[str, Any] = field(default_factory=dict)
    """Where it comes from: `file, format, layer, digest, crs, features, repaired, dropped`."""

    bounds_lonlat: Bounds
    """West, south, east, north in degrees."""

    area_km2: float
    """On the ellipsoid, overlaps counted once."""

    notes: tuple[tuple[str, dict[str, object]], ...] = ()
    """What was changed on the way in: translatable templates and their values."""


@dataclass(frozen=True, slots=True)
class ProposedCrs:
    """A coordinate system in metres: `code` as `EPSG:32616`, and its name."""

    code: str
    name: str


def read_boundary(
    path: Path, *, crs: str | None = None, layer: str | None = None, name: str | None = None
) -> Boundary:
    """Read the polygons of a vector file as a boundary.

    Rings that cross themselves are repaired, features without area are left out; both are
    counted in `source` and told in `notes`. Arguments and further errors: `read_vector`.

    Raises:
        InputError: There are points or lines, or no polygon at all.
        ExtentError: It is wider than 500 km, crosses the 180° meridian or touches a pole.
        TooLargeError: There are more than 50,000 polygons, or rings too tangled to repair.
    """
    label = name or path.name
    frame = read_vector(path, layer=layer, crs=crs, name=name)
    source = {
        "file": label,
        "format": frame.attrs["format"],
        "layer": layer or "",
        "digest": file_digest(path),
    }
    return boundary_of(frame, source=source, label=label)


def boundary_of(frame: gpd.GeoDataFrame, *, source: dict[str, Any], label: str) -> Boundary:
    """Check and repair polygons that are in memory; errors as in `read_boundary`."""
    if frame.crs is None:
        raise CrsError(
            N_("{name} does not say which coordinate system it is in."),
            hint=N_("Say which, EPSG:4326 for longitude and latitude."),
            name=label,
        )
    kept = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    _check_polygons(kept, label)
    polygons, repaired = _repaired(kept.geometry.to_numpy(), label)
    has_area = shapely.area(polygons) > 0
    if not has_area.any():
        raise InputError(
            N_("{name} holds no polygon."), hint=N_("Give an area, not a place."), name=label
        )
    kept = kept.set_geometry(gpd.GeoSeries(polygons, index=kept.index, crs=frame.crs))
    kept = kept[has_area].reset_index(drop=True)
    dropped = len(frame) - len(kept)
    lonlat = _lonlat(kept, label)
    united = shapely.union_all(kept.geometry.to_numpy())
    area_km2 = _area_km2(gpd.GeoDataFrame(geometry=[united], crs=frame.crs))
    notes: list[tuple[str, dict[str, object]]] = []
    if repaired:
        notes.append((N_("{count} polygons crossed themselves and were repaired."),
                      {"count": repaired}))  # fmt: skip
    if dropped:
        notes.append((N_("{count} features without an area were left out."), {"count": dropped}))
    return Boundary(
        frame=kept,
        source={
            **source,
            "crs": _crs_label(frame.crs),
            "features": len(kept),
            "repaired": repaired,
            "dropped": dropped,
        },
        bounds_lonlat=lonlat,
        area_km2=area_km2,
        notes=tuple(notes),
    )


def from_bounds(west: float, south: float, east: float, north: float) -> Boundary:
    """Make a boundary of a map's view, in degrees.

    Raises:
        ExtentError: The edges are out of order or out of range, the view is empty, or it is too
            wide.
    """
    edges = (west, south, east, north)
    in_order = -180 <= west < east <= 180 and -90 <= south < north <= 90
    if not all(np.isfinite(edges)) or not in_order:
        raise ExtentError(
            N_("West {west:g}, south {south:g}, east {east:g}, north {north:g} is no extent."),
            hint=N_("West must be less than east, south less than north, all in degrees."),
            west=west, south=south, east=east, north=north,
        )  # fmt: skip
    check_extent(edges, N_("The view"))
    frame = gpd.GeoDataFrame(geometry=[shapely.box(*edges)], crs=4326)
    return boundary_of(frame, source={"format": "view"}, label=N_("The view"))


def check_extent(bounds: Bounds, label: str) -> None:
    """Refuse an extent in degrees that no single city fills or no metres fit.

    Raises:
        ExtentError: It crosses the 180° meridian, reaches beyond 84° N or 80° S, or is wider
            than 500 km, or too small to hold anything.
    """
    west, south, east, north = bounds
    if south < _UTM_SOUTH or north > _UTM_NORTH:
        raise ExtentError(
            N_("{name} reaches too near a pole (latitude {south:.1f} to {north:.1f})."),
            hint=N_("Study areas lie between 80° south and 84° north."),
            name=label, south=south, north=north,
        )  # fmt: skip
    if east - west > 180:
        raise ExtentError(
            N_("{name} lies on both sides of the 180° meridian, or goes round the world."),
            hint=N_("Make one study area for each side."),
            name=label,
        )
    nearest = 0.0 if south < 0 < north else min(abs(south), abs(north))
    width_m = _EARTH.inv(west, nearest, east, nearest)[2]
    height_m = _EARTH.inv(west, south, west, north)[2]
    widest_km = max(width_m, height_m) / 1000
    if widest_km > WIDEST_KM:
        raise ExtentError(
            N_("{name} is {found:,.0f} km across."),
            hint=N_("A study area may be {most:.0f} km across. Check the coordinate system."),
            name=label, found=widest_km, most=WIDEST_KM,
        )  # fmt: skip
    if width_m * height_m / 1e6 < _SMALLEST_KM2:
        raise ExtentError(
            N_("{name} is smaller than a quadrat of 10 m."),
            hint=N_("Check the coordinate system, or choose a larger area."),
            name=label,
        )


def propose_crs(frame: gpd.GeoDataFrame) -> ProposedCrs:
    """Return the UTM zone (WGS 84) of the middle of `frame`; errors as in `check_extent`.

    The exceptions of the grid for Norway and Svalbard are left out: any zone within a few
    degrees measures true to 0.1 %.
    """
    west, south, east, north = _lonlat(frame, N_("The boundary"))
    zone = min(60, int(((west + east) / 2 + 180) // 6) + 1)
    is_north = (south + north) / 2 >= 0
    crs = CRS.from_epsg((32600 if is_north else 32700) + zone)
    return ProposedCrs(crs.to_string(), crs.name)


def in_metres(frame: gpd.GeoDataFrame, crs: str | None = None) -> gpd.GeoDataFrame:
    """Return `frame` in a CRS whose metres are metres on the ground, ready for an area.

    Args:
        frame: Polygons with a CRS, such as `Boundary.frame`.
        crs: What was chosen; None takes the proposal of `propose_crs`.

    Raises:
        CrsError: `crs` is unknown, in degrees or feet, or stretches this place by more than
            2 % in area, as Web Mercator does; the hint holds the proposal.
    """
    proposed = propose_crs(frame)
    target = parse_crs(crs or proposed.code)
    hint = N_("Choose one in metres, such as {proposed} ({title}).")
    told = {"crs": target.name, "proposed": proposed.code, "title": proposed.name}
    metres = all(axis.unit_conversion_factor == 1 for axis in target.axis_info[:2])
    if not target.is_projected or not metres:
        raise CrsError(N_("{crs} is not measured in metres."), hint=hint, **told)
    west, south, east, north = _lonlat(frame, N_("The boundary"))
    try:
        scale = Proj(target).get_factors((west + east) / 2, (south + north) / 2).areal_scale
    except ValueError:  # outside of what the projection can show
        scale = np.inf
    if not abs(scale - 1) <= _AREA_ERROR:
        raise CrsError(
            N_("In {crs} this place is drawn at {scale:.2f} times its true area."),
            hint=hint,
            scale=float(scale),
            **told,
        )
    moved = frame.to_crs(target)
    if not np.isfinite(moved.total_bounds).all():
        raise CrsError(N_("The boundary does not fit into {crs}."), hint=hint, **told)
    # Moving vertices alone can make two edges of a thin polygon cross.
    return moved.set_geometry(_repaired(moved.geometry.to_numpy(), N_("The boundary"))[0])


def _check_polygons(frame: gpd.GeoDataFrame, label: str) -> None:
    others = sorted(set(frame.geometry.geom_type) - {"Polygon", "MultiPolygon"})
    if others:
        raise InputError(
            N_("{name} holds {kinds}; a boundary is made of polygons."),
            hint=N_("Give a file with polygons alone."),
            name=label,
            kinds=", ".join(others),
        )
    if len(frame) > _MOST_POLYGONS:
        raise TooLargeError(
            N_("{name} has {found:,} polygons; a boundary may have {most:,}."),
            hint=N_("Unite them into one outline first."),
            name=label, found=len(frame), most=_MOST_POLYGONS,
        )  # fmt: skip


def _repaired(polygons: NDArray[Any], label: str) -> tuple[NDArray[Any], int]:
    """Return valid polygons and how many were not; pieces without area are dropped from them."""
    invalid = ~shapely.is_valid(polygons)
    if not invalid.any():
        return polygons, 0
    for polygon in polygons[invalid]:
        _check_tangle(polygon, label)
    fixed = polygons.copy()
    fixed[invalid] = [
        _polygons_of(shape) for shape in shapely.make_valid(polygons[invalid])
    ]  # make_valid leaves lines where a ring folds onto itself
    return fixed, int(invalid.sum())


def _check_tangle(polygon: Any, label: str) -> None:
    """Refuse rings with so many crossings that repairing would take minutes and gigabytes."""
    lines = shapely.get_parts(shapely.get_rings(polygon))
    ends = np.concatenate([
        np.hstack([xy[:-1], xy[1:]]) for xy in map(shapely.get_coordinates, lines)
    ])  # fmt: skip
    segments = shapely.linestrings(ends.reshape(-1, 2, 2))
    tree = shapely.STRtree(segments)
    found = 0
    for start in range(0, len(segments), 1000):
        found += tree.query(segments[start : start + 1000]).shape[1]
        if found > _MOST_CROSSINGS + 4 * len(segments):
            raise TooLargeError(
                N_("{name} has a ring that crosses itself too often to be repaired."),
                hint=N_("Repair its geometry in a GIS and try again."),
                name=label,
            )


def _polygons_of(shape: Any) -> Any:
    parts = shapely.get_parts(shapely.get_parts(shape))
    areal = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return areal[0] if len(areal) == 1 else shapely.multipolygons(areal)


def _lonlat(frame: gpd.GeoDataFrame, label: str) -> Bounds:
    """Return the checked extent in degrees."""
    try:
        bounds = frame.to_crs(4326).total_bounds
    except ProjError:
        bounds = np.full(4, np.nan)
    if not np.isfinite(bounds).all():
        raise CrsError(
            N_("The coordinates of {name} do not fit {crs}."),
            hint=N_("Check the coordinate system that was given."),
            name=label,
            crs=frame.crs.name,
        )
    west, south, east, north = (float(value) for value in bounds)
    check_extent((west, south, east, north), label)
    return west, south, east, north


def _area_km2(united: gpd.GeoDataFrame) -> float:
    total = 0.0
    for polygon in shapely.get_parts(united.to_crs(4326).geometry.to_numpy()):
        oriented = shapely.orient_polygons(polygon)
        total += abs(_EARTH.geometry_area_perimeter(oriented)[0])
    return total / 1e6


def _crs_label(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.name)
