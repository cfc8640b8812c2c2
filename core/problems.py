"""What is wrong or odd about a layer, in words, from its header, its summary and an overview."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from core import rasters
from core.errors import AppError
from core.georeference import Georeference, is_rotated, pixel_size
from core.raster_info import picture
from core.text import N_, filled
from core.workspace import Area, Layer, Summary, Workspace

_PICTURE_PX = 512
_WORTH_SAYING = 0.001
_SERIOUS = 0.05
_CODES_NAMED = 12
_USUAL_NODATA = (-999, -9999, -99999, -32768, 9999, 32767, 65535)
_NO_QUANTITY = 1e30
_METRES_A_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `text` is marked for translation and holds `{names}` that `values` fills."""

    severity: Literal["warning", "note"]
    text: str
    values: dict[str, Any] = field(default_factory=dict)

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return the finding as one sentence, passed through `translate` first."""
        return filled(self.text, self.values, translate)


def layer_problems(
    workspace: Workspace, area: Area, layer: Layer, *, outside: bool = False
) -> tuple[Problem, ...]:
    """Return what a user should know before trusting a layer, warnings first.

    A file that cannot be read is a finding too, not an error. Shares inside the boundary are
    estimated from at most 512 × 512 pixels of the raster.
    """
    found = _from_summary(layer)
    source = layer.url or workspace.layer_path(area.id, layer)
    try:
        with rasters.open_raster(source, outside=outside) as dataset:
            rasters.check_whole(dataset)
            place = rasters.georeference(dataset)
            boundary = workspace.boundary(area.id).to_crs(4326).geometry.iloc[0]
            found += _from_place(area, place)
            found += _from_cover(dataset, place, boundary)
    except AppError as err:
        found.append(Problem("warning", N_("Its file: {reason}"), {"reason": err.body()}))
    return tuple(sorted(found, key=lambda problem: problem.severity == "note"))


def _from_summary(layer: Layer) -> list[Problem]:
    summary = layer.summary
    found = []
    if summary.valid_share == 0:
        return [Problem("warning", N_("Every pixel is missing."))]
    if summary.minimum == summary.maximum:
        found.append(
            Problem(
                "warning", N_("Every pixel has the value {value:g}."), {"value": summary.minimum}
            )
        )
    elif (value := _like_nodata(summary)) is not None:
        text = N_(
            "The value {value:g} lies far from all others and is often written where pixels are"
            " missing. If so, bring the file in again and name it as nodata."
        )
        found.append(Problem("warning", text, {"value": value}))
    if layer.kind == "classes":
        named = {entry.code for entry in layer.legend}
        unknown = [(code, count) for code, count in summary.counts if code not in named]
        total = sum(count for _, count in summary.counts)
        if unknown:
            codes = ", ".join(str(code) for code, _ in unknown[:_CODES_NAMED])
            values = {
                "codes": codes + (" …" if len(unknown) > _CODES_NAMED else ""),
                "share": sum(count for _, count in unknown) / total,
            }
            text = N_(
                "{share:.2%} of the pixels have codes that the legend does not name: {codes}."
            )
            found.append(Problem("warning", text, values))
    if not summary.exact:
        found.append(Problem("note", N_("Its figures are estimated from a part of the pixels.")))
    return found


def _like_nodata(summary: Summary) -> float | None:
    """Return an extreme that is a usual sign for missing and lies half the range away."""
    low, high, counts = summary.minimum, summary.maximum, summary.histogram
    if low is None or high is None or len(counts) < 2:
        return None
    half = len(counts) // 2
    if (low in _USUAL_NODATA or low < -_NO_QUANTITY) and not any(counts[1:half]):
        return low
    if (high in _USUAL_NODATA or high > _NO_QUANTITY) and not any(counts[half:-1]):
        return high
    return None


def _from_place(area: Area, place: Georeference) -> list[Problem]:
    found = []
    size = max(pixel_size(place.transform))
    if place.crs.is_geographic:
        found.append(
            Problem("note", N_("It is in degrees: its pixels are narrower towards the poles."))
        )
        size *= _METRES_A_DEGREE
    else:
        size *= place.crs.axis_info[0].unit_conversion_factor
    if size > area.quadrat_m:
        text = N_(
            "Its pixels, about {size:.0f} m, are coarser than the quadrats of {quadrat:g} m:"
            " neighbouring quadrats share a pixel, weighted by area."
        )
        found.append(Problem("note", text, {"size": size, "quadrat": area.quadrat_m}))
    if is_rotated(place.transform):
        found.append(Problem("note", N_("Its rows do not run from west to east.")))
    elif place.transform.e > 0:
        found.append(Problem("note", N_("Its rows run from south to north.")))
    return found


def _from_cover(
    dataset: DatasetReader, place: Georeference, boundary: shapely.Geometry
) -> list[Problem]:
    cover = place.cover(boundary)
    if cover == 0:
        return [Problem("warning", N_("It does not reach into the study area."))]
    found = []
    if cover < 1 - _WORTH_SAYING:
        found.append(
            Problem("warning", N_("It covers {share:.1%} of the study area."), {"share": cover})
        )
    missing = _missing_inside(dataset, place, boundary)
    if missing is not None and missing > _WORTH_SAYING:
        severity: Literal["warning", "note"] = "warning" if missing > _SERIOUS else "note"
        text = N_("About {share:.1%} of its pixels inside the study area are missing.")
        found.append(Problem(severity, text, {"share": missing}))
    return found


def _missing_inside(
    dataset: DatasetReader, place: Georeference, boundary: shapely.Geometry
) -> float | None:
    """Return the share of missing pixels within the boundary; None where no pixel centre is."""
    valid = picture(dataset, 1, _PICTURE_PX)[1]
    inside = _inside(place, boundary, valid.shape)
    return float(1 - valid[inside].mean()) if inside.any() else None


def _inside(
    place: Georeference, boundary: shapely.Geometry, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    rows, columns = (
        (np.arange(count) + 0.5) * size / count
        for count, size in zip(shape, (place.height, place.width), strict=True)
    )
    polygon = place.in_pixels(boundary)
    shapely.prepare(polygon)
    grid = np.meshgrid(columns, rows)
    inside: NDArray[np.bool_] = shapely.contains_xy(polygon, *grid)
    return inside
