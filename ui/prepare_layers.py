"""Making a layer out of others: mosaic, burn, reproject, clip, fill; seen before it is made."""

from dataclasses import asdict, replace
from typing import Any

import streamlit as st

from core import intake, jobs
from core.operations.catalogue import operation_from
from core.operations.making import Plan, plan
from core.operations.sources import about_like, find_source
from core.prepare import About
from core.store import checked_id, slug
from core.workspace import Area
from ui.choice import choice, distinct
from ui.choose_file import choose_file
from ui.errors import plain, shown_errors
from ui.language import _
from ui.layer_words import layer_title
from ui.quantities import size_text, value_text
from ui.server import workspace
from ui.state import app_state


def prepare_form(area: Area) -> None:
    """Draw the choice of an operation, its preview, and the button that starts it."""
    names = {
        "mosaic": _("Mosaic: several layers as one"),
        "fill": _("Fill gaps"),
        "clip": _("Clip to the study area"),
        "reproject": _("Reproject or change the pixel"),
        "burn": _("Burn an attribute of polygons"),
    }
    name = choice(_("What is to be done?"), names, key=f"operation-{area.id}")
    parameters = _FORMS[name](area)
    if parameters is None:
        return
    about = _about(area, name, parameters)
    with shown_errors():
        operation = operation_from(name, parameters)
        _preview(plan(workspace(), area.id, operation, about.kind))
        _confirm(area, name, parameters, about)


def _about(area: Area, name: str, parameters: dict[str, Any]) -> About:
    """Propose what the new layer is: like its first source; burnt values are new."""
    if name == "burn":
        attribute = slug(parameters["attribute"], fallback="burnt")
        return About(layer_id=attribute, title=parameters["attribute"] or "?", kind="values")
    first = parameters["sources"][0] if name == "mosaic" else parameters["source"]
    made = {
        "mosaic": _("mosaic"),
        "fill": _("filled"),
        "clip": _("clipped"),
        "reproject": _("reprojected"),
    }
    source = find_source(workspace(), area, first)
    title = f"{_(area.layer(first).title)} ({made[name]})"
    return about_like(source, f"{first}-{name}"[:64], title[:80])


def _layers(area: Area) -> dict[str, str]:
    return distinct({layer.id: layer_title(layer) for layer in area.layers if not layer.url})


def _mosaic(area: Area) -> dict[str, Any] | None:
    layers = _layers(area)
    chosen = st.multiselect(
        _("Layers, the first on top"),
        list(layers),
        format_func=lambda layer_id: layers[layer_id],
        key=f"mosaic-{area.id}",
    )
    rules = {
        "first": _("the first"),
        "last": _("the last"),
        "min": _("the smallest value"),
        "max": _("the largest value"),
        "mean": _("the mean"),
    }
    left, right = st.columns(2, vertical_alignment="bottom")
    rule = choice(_("Where they overlap"), rules, place=left, key=f"mosaic-rule-{area.id}")
    reproject = right.checkbox(
        _("Bring other coordinate systems into that of the first"), key=f"mosaic-crs-{area.id}"
    )
    if len(chosen) < 2:
        st.caption(_("Choose two layers or more."))
        return None
    return {"sources": tuple(chosen), "rule": rule, "reproject": reproject}


def _fill(area: Area) -> dict[str, Any] | None:
    source = _source(area)
    left, right = st.columns(2)
    distance = left.number_input(
        _("How far values may reach into a gap (m)"), 1.0, 1_000_000.0, 2000.0, step=100.0
    )
    methods = {
        "auto": _("by kind: nearest for classes, inverse distance for values"),
        "idw": _("inverse distance"),
        "nearest": _("nearest value"),
    }
    method = choice(_("Filled with"), methods, place=right, key=f"fill-method-{area.id}")
    return {"source": source, "distance_m": distance, "method": method}


def _clip(area: Area) -> dict[str, Any] | None:
    source = _source(area)
    left, right = st.columns(2, vertical_alignment="bottom")
    margin = left.number_input(_("Margin around the boundary (m)"), 0.0, 100_000.0, 0.0)
    mask = right.checkbox(_("Make pixels outside the boundary missing"), key=f"mask-{area.id}")
    return {"source": source, "margin_m": margin, "mask": mask}


def _reproject(area: Area) -> dict[str, Any] | None:
    source = _source(area)
    left, middle, right = st.columns(3)
    crs = left.text_input(_("Coordinate system"), value=area.crs[:40], key=f"to-crs-{area.id}")
    side = middle.number_input(
        _("Pixel (units of it); 0 keeps its size"), 0.0, 1e6, 0.0, key=f"to-side-{area.id}"
    )
    methods = {
        "auto": _("by kind"),
        "nearest": _("nearest"),
        "bilinear": _("bilinear"),
        "average": _("average"),
    }
    method = choice(_("Resampling"), methods, place=right, key=f"to-method-{area.id}")
    return {"source": source, "crs": crs or None, "resolution": side or None, "method": method}


def _burn(area: Area) -> dict[str, Any] | None:
    chosen = choose_file(
        f"burn-{area.id}",
        intake.VECTOR_SUFFIXES,
        label=_("Polygons: GeoJSON, GeoPackage, GeoParquet or a zipped Shapefile"),
    )
    if chosen is None:
        return None
    columns = st.columns(4)
    attribute = columns[0].text_input(_("Attribute"), value="stories", key=f"attribute-{area.id}")
    cell = columns[1].number_input(_("Pixel (m)"), 0.1, 100_000.0, 10.0, key=f"cell-{area.id}")
    outside = columns[2].number_input(_("Value outside polygons"), value=0.0, key=f"out-{area.id}")
    rules = {"last": _("the last"), "max": _("the largest value")}
    rule = choice(_("Where they overlap"), rules, place=columns[3], key=f"burn-rule-{area.id}")
    crs = st.text_input(
        _("Coordinate system of the file, if it names none"), key=f"burn-crs-{area.id}"
    )
    return {
        "file": str(chosen[0]),
        "attribute": attribute,
        "cell_m": cell,
        "outside": outside,
        "rule": rule,
        "crs": crs.strip() or None,
    }


def _source(area: Area) -> str:
    return choice(_("Layer"), _layers(area), key=f"source-{area.id}")


_FORMS = {
    "mosaic": _mosaic,
    "fill": _fill,
    "clip": _clip,
    "reproject": _reproject,
    "burn": _burn,
}


def _preview(made: Plan) -> None:
    rows = {
        _("Rows × columns"): f"{made.height} × {made.width}",
        _("Pixel"): " × ".join(value_text(round(side, 6)) for side in made.resolution),
        _("Number type"): made.dtype,
        _("Size, unpacked"): size_text(made.num_bytes),
        _("Coordinate system"): made.crs[:60],
    }
    text = " · ".join(f"{key}: **{plain(value)}**" for key, value in rows.items())
    st.markdown(_("What would come out:") + " " + text)
    for note in made.notes:
        st.caption(plain(note.message(_)))


def _confirm(area: Area, name: str, parameters: dict[str, Any], about: About) -> None:
    with st.form(f"prepare-{area.id}-{name}"):
        left, right = st.columns(2)
        title = left.text_input(_("Name of the new layer"), value=about.title, max_chars=80)
        layer_id = right.text_input(_("Short name"), value=about.layer_id, max_chars=64)
        if st.form_submit_button(_("Make the layer"), type="primary"):
            with shown_errors():
                checked_id(layer_id)
                _start(area, name, parameters, replace(about, title=title, layer_id=layer_id))


def _start(area: Area, name: str, parameters: dict[str, Any], about: About) -> None:
    root = workspace().root
    config = {
        "workspace": str(root.resolve()),
        "area": area.id,
        "operation": name,
        "parameters": parameters,
        "uploads": [parameters["file"]] if name == "burn" else [],
        **asdict(about),
        "legend": [[entry.code, entry.name, entry.colour] for entry in about.legend],
    }
    app_state().jobs[f"add-{area.id}"] = jobs.submit(root / "jobs", "make-layer", config)
    st.rerun()
