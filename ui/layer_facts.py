"""What is known of one layer: key figures, values at a point, metadata, problems."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.problems import Problem
from core.raster_info import RasterInfo
from core.tiles import TILE_PX
from core.workspace import Layer
from ui.errors import plain
from ui.language import _
from ui.layer_map import Reading
from ui.layer_words import layer_title, pixel_text, role_names, season_names, step_name
from ui.quantities import share_text, size_text, value_text


def key_figures(layer: Layer, info: RasterInfo | None, problems: Sequence[Problem]) -> None:
    """Draw the strip of key figures of the active layer; `info` None: its file cannot be read."""
    summary = layer.summary
    columns = st.columns(4)
    if layer.kind == "classes":
        columns[0].metric(_("Classes found"), str(len(summary.counts)))
    else:
        columns[0].metric(
            _("2nd to 98th percentile"),
            f"{value_text(summary.low)} – {value_text(summary.high, plain(layer.unit))}",
        )
    columns[1].metric(_("Pixel"), plain(pixel_text(info)) if info else "–")
    columns[2].metric(_("Missing inside the area"), share_text(1 - summary.valid_share))
    columns[3].metric(_("Problems"), str(len(problems)))


def values_at(point: tuple[float, float] | None, found: Sequence[Reading]) -> None:
    """Draw the table of all layers at the clicked place."""
    if point is None:
        st.info(_("Click the map to read every layer at that place."))
        return
    st.caption(
        _("Nearest pixel of each layer at latitude {lat:.5f}°, longitude {lon:.5f}°.").format(
            lat=point[0], lon=point[1]
        )
    )
    rows = [
        {
            _("Layer"): layer_title(layer),
            _("Reading"): text,
            _("Value"): "" if value is None else f"{value:.10g}",
            _("Unit"): layer.unit or ("code" if layer.kind == "classes" else ""),
        }
        for layer, value, text in found
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def problem_list(problems: Sequence[Problem]) -> None:
    """Draw the layer's problems in words."""
    if not problems:
        st.success(_("No problem was found in this layer."))
    for problem in problems:
        show = st.warning if problem.severity == "warning" else st.info
        show(plain(problem.message(_)))


def metadata(layer: Layer, info: RasterInfo) -> None:
    """Draw the layer's metadata and its history."""
    source = layer.source
    degrees = "–"
    if info.bounds_lonlat:
        degrees = ", ".join(f"{value:.5f}" for value in info.bounds_lonlat)
    nodata = info.bands[0].nodata
    facts = {
        _("Coordinate system"): info.crs_title,
        _("Bounds (W, S, E, N)"): ", ".join(f"{v:.8g}" for v in info.bounds),
        _("Bounds in degrees"): degrees,
        _("Rows × columns"): f"{info.height} × {info.width}",
        _("Pixel"): pixel_text(info),
        _("Number type"): info.bands[0].dtype,
        _("Value of missing pixels"): _("none named") if nodata is None else f"{nodata:g}",
        _("Map tiles (px)"): f"{TILE_PX} × {TILE_PX}",
        _("Role"): role_names()[layer.role],
        _("Season"): season_names()[layer.season or ""],
        _("Made from"): str(source.get("url") or source.get("name", "–")),
        _("Brought in"): str(source.get("added", "–")),
        _("Size of the source"): size_text(source["bytes"]) if "bytes" in source else "–",
        _("Digest (SHA-256)"): layer.digest[:16],
    }
    frame = pd.DataFrame({_("Property"): list(facts), _("Value"): list(facts.values())})
    left, right = st.columns([3, 2])
    left.dataframe(frame, hide_index=True, width="stretch", height=36 * (len(facts) + 1))
    done = _("What was done to it")
    right.markdown(f"**{done}**")
    for number, step in enumerate(layer.steps, start=1):
        details = ", ".join(f"{key} {value}" for key, value in step.items() if key != "step")
        right.markdown(f"{number}. {plain(step_name(step))}  \n{plain(details)}")
