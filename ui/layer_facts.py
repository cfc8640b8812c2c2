"""What is known of one layer: key figures, values at a point, metadata, problems."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from core.problems import Problem

from core.workspace import Area, Layer
from ui.errors import plain
from ui.language import _
from ui.layer_map import Reading
from ui.legend import layer_title
from ui.quantities import share_text, size_text, value_text


def key_figures(layer: Layer, problems: Sequence[Problem]) -> None:
    """Draw the strip of key figures of the active layer."""
    summary, source = layer.summary, layer.source
    columns = st.columns(4)
    if layer.kind == "classes":
        columns[0].metric(_("Classes found"), str(len(summary.counts)))
    else:
        columns[0].metric(
            _("2nd to 98th percentile"),
            f"{value_text(summary.low)} – {value_text(summary.high, layer.unit)}",
        )
    columns[1].metric(_("Pixel"), _pixel_text(source))
    columns[2].metric(_("Missing pixels"), share_text(1 - summary.valid_share))
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


def metadata(area: Area, layer: Layer) -> None:
    """Draw the layer's metadata and its history."""
    source = layer.source
    west, south, east, north = source.get("bounds_lonlat") or area.bounds_lonlat
    facts = {
        _("Coordinate system"): source.get("crs_name", ""),
        _("Bounds (° west, south, east, north)"): (
            f"{west:.5f}, {south:.5f}, {east:.5f}, {north:.5f}"
        ),
        _("Rows × columns"): f"{source.get('height', '')} × {source.get('width', '')}",
        _("Pixel"): _pixel_text(source),
        _("Number type"): str(source.get("dtype", "")),
        _("Value of missing pixels"): str(source.get("nodata", "")),
        _("Tile shape (px)"): "256 × 256 × 4",
        _("Role"): _("Cause") if layer.role == "cause" else _("Effect"),
        _("Season"): {"summer": _("Summer"), "winter": _("Winter")}.get(layer.season or "", "–"),
        _("Made from"): str(source.get("file", source.get("url", ""))),
        _("Brought in"): str(source.get("when", "")),
        _("Size of the source"): size_text(source["bytes"]) if "bytes" in source else "–",
        _("Digest (SHA-256)"): layer.digest[:16],
    }
    frame = pd.DataFrame({_("Property"): list(facts), _("Value"): list(facts.values())})
    left, right = st.columns(2)
    left.dataframe(frame, hide_index=True, width="stretch", height=36 * (len(facts) + 1))
    right.markdown(f"**{_('What was done to it')}**")
    for number, step in enumerate(layer.steps, start=1):
        details = ", ".join(f"{key} {value}" for key, value in step.items() if key != "step")
        right.markdown(f"{number}. {plain(_(str(step.get('step', ''))))}  \n{plain(details)}")


def _pixel_text(source: dict[str, object]) -> str:
    size = source.get("resolution")
    if not isinstance(size, list | tuple) or not size:
        return "–"
    unit = str(source.get("resolution_unit", ""))
    if unit == "degree":
        return f"{float(size[0]) * 3600:.4g}″"
    return value_text(float(size[0]), {"metre": "m", "foot": "ft"}.get(unit, unit))
