"""What layers, their classes, roles and pixels are called on every page."""

from typing import Any

from core.raster_info import RasterInfo
from core.text import N_
from core.workspace import Layer
from ui.language import _
from ui.quantities import value_text


def layer_title(layer: Layer) -> str:
    """Return the name of a layer; names that the program gave are translated."""
    return _(layer.title)


def class_name(layer: Layer, code: int) -> str:
    """Return the name of a class code; a code outside the legend says so."""
    for entry in layer.legend:
        if entry.code == code:
            return _(entry.name)
    return _("{code} (not in the legend)").format(code=code)


def role_names() -> dict[str, str]:
    """Return the roles of a layer and their visible names."""
    return {"cause": _("Cause (land, buildings)"), "effect": _("Effect (heat, light)")}


def season_names() -> dict[str, str]:
    """Return the seasons of a layer and their visible names."""
    return {"": _("None"), "summer": _("Summer"), "winter": _("Winter")}


def rule_names() -> dict[str, str]:
    """Return the rules by which a quadrat counts and their visible names."""
    return {
        "within": _("wholly inside"),
        "centroid": _("centre inside"),
        "touching": _("touching"),
    }


_STEPS = {
    "simulated": N_("Drawn by the simulation of the city"),
    "crs": N_("Coordinate system given by the user"),
    "nodata": N_("Value of missing pixels given by the user"),
    "infinite to missing": N_("Infinite values made missing"),
    "mosaic": N_("Put together from several layers"),
    "burn": N_("Burnt from an attribute of polygons"),
    "reproject": N_("Brought onto another grid"),
    "clip": N_("Clipped to the study area"),
    "fill": N_("Gaps filled"),
    "cog": N_("Written as a Cloud-Optimized GeoTIFF with overviews"),
}


def step_name(step: dict[str, Any]) -> str:
    """Return what one step of a layer's history did."""
    name = str(step.get("step", ""))
    return _(_STEPS.get(name, name))


def pixel_text(info: RasterInfo) -> str:
    """Write the size of a pixel in its own unit; one in degrees in seconds of arc."""
    if info.unit == "degree":
        sides = [f"{side * 3600:.4g}″" for side in info.resolution]
    else:
        unit = {"metre": "m", "foot": "ft"}.get(info.unit, info.unit)
        sides = [value_text(round(side, 3), unit) for side in info.resolution]
    return sides[0] if sides[0] == sides[1] else " × ".join(sides)
