"""Making a study area: from a file, from named zones, or from what a map shows."""

from typing import cast

import streamlit as st

from core import boundaries, intake, zones
from core.boundaries import Boundary
from core.errors import AppError, CrsError
from core.store import slug
from core.text import filled
from core.tiles import tile_url
from core.workspace import Area, Rule
from ui import cached
from ui.base_map import base_map_choice
from ui.choice import choice, switch
from ui.choose_file import choose_file
from ui.errors import plain, show_error, shown_errors, stopping_errors
from ui.frame import chosen_area
from ui.language import _
from ui.layer_words import rule_names
from ui.outline import outline_svg
from ui.quantities import area_text
from ui.server import base_path, workspace
from ui.state import app_state

_WHOLE = (-20.0, -40.0, 40.0, 60.0)


def new_area_form(areas: list[Area]) -> None:
    """Draw the three ways to a boundary and, once there is one, the form that makes the area."""
    ways = {
        "file": _("From a file"),
        "zones": _("From named zones"),
        "view": _("From the map's view"),
    }
    way = switch(_("Where does the boundary come from?"), ways, value="file", key="new-area-way")
    boundary, title = None, ""
    if way == "file":
        boundary, title = _from_file()
    elif way == "zones":
        boundary, title = _from_zones()
    elif way == "view":
        boundary, title = _from_view(areas)
    if boundary is not None:
        _confirm(boundary, title)


def _from_file() -> tuple[Boundary | None, str]:
    chosen = choose_file(
        "boundary",
        intake.VECTOR_SUFFIXES,
        label=_("Boundary: GeoJSON, GeoPackage, GeoParquet or a zipped Shapefile"),
    )
    if chosen is None:
        return None, ""
    path, name = chosen
    crs = app_state().boundary_crs.get(str(path), "")
    try:
        return cached.boundary_file(str(path), intake.stamp(path), crs, "", name), _stem(name)
    except CrsError as err:
        show_error(err)
        typed = st.text_input(
            _("Coordinate system of the file"),
            placeholder="EPSG:3435",
            help=_("An EPSG code; the file's own documentation names it."),
        ).strip()
        if typed and typed != crs:
            app_state().boundary_crs[str(path)] = typed
            st.rerun()
    except AppError as err:
        show_error(err)
    return None, ""


def _from_zones() -> tuple[Boundary | None, str]:
    sets = {entry.id: _(entry.title) for entry in zones.named_zone_sets()}
    set_id = choice(_("Set of zones"), sets)
    names = cached.zone_names(set_id)
    chosen = st.multiselect(
        _("Zones"), names, placeholder=_("All {count} zones").format(count=len(names))
    )
    with shown_errors():
        title = ", ".join(chosen[:2]) + (" …" if len(chosen) > 2 else "")
        return cached.zone_boundary(set_id, tuple(chosen)), title or sets[set_id]
    return None, ""


def _from_view(areas: list[Area]) -> tuple[Boundary | None, str]:
    from ui import maps  # leafmap takes seconds to import: only who draws a map pays

    text, online = st.columns([2, 1], vertical_alignment="bottom")
    text.caption(_("Move the map until it shows your area, then continue below."))
    with online:
        base_map_choice("new-area-base-map")
    bounds, outline, tiles = _WHOLE, None, maps.base_tiles(app_state().base_map)
    context = chosen_area(areas)
    if context:
        bounds = context.bounds_lonlat
        outline = cached.boundary_geojson(context.id, workspace().stamp(context.id))
        url = tile_url(context.id, context.layers[0], base=base_path()) if context.layers else ""
        tiles += [maps.TileSource(url, opacity=0.6)] if url else []
    group = maps.overlay(tiles=tiles, outline=outline)
    base = maps.new_map(bounds, view_key="new-area")
    answer = maps.show(base, group, key="new-area-map", height_px=360, bounds=True)
    view = answer.get("bounds") or {}
    corners = (view.get("_southWest") or {}, view.get("_northEast") or {})
    if None in (corners[0].get("lat"), corners[1].get("lat")):
        return None, ""
    with shown_errors():
        return (
            boundaries.from_bounds(
                corners[0]["lng"], corners[0]["lat"], corners[1]["lng"], corners[1]["lat"]
            ),
            "",
        )
    return None, ""


def _confirm(boundary: Boundary, title: str) -> None:
    with stopping_errors():
        proposed = boundaries.propose_crs(boundary.frame)
    picture, facts = st.columns([1, 2], vertical_alignment="center")
    picture.image(outline_svg(boundary.frame))
    rows = {
        _("Area"): area_text(boundary.area_km2),
        _("Polygons"): str(len(boundary.frame)),
        _("Proposed coordinate system"): f"{proposed.code} ({proposed.name})",
    }
    facts.markdown("\n".join(f"- {key}: **{plain(value)}**" for key, value in rows.items()))
    for template, values in boundary.notes:
        st.info(plain(filled(template, values, _)))
    with st.form("new-area"):
        # The suggestion is a placeholder: it may change while the user types, and must not win.
        name = st.text_input(
            _("Name of the study area"), key="new-area-name", placeholder=title, max_chars=80
        )
        name = name.strip() or title
        with st.expander(_("Coordinate system and quadrats")):
            left, middle, right = st.columns(3)
            crs = left.text_input(
                _("Coordinate system in metres"),
                value=proposed.code,
                help=_("The UTM zone of the place fits nearly always."),
            )
            side = middle.number_input(
                _("Side of a quadrat (m)"), 1.0, 100_000.0, 150.0, help=_("150 m in the source.")
            )
            rule = choice(_("Quadrats that count"), rule_names(), place=right)
        if st.form_submit_button(_("Create the study area"), type="primary"):
            with shown_errors():
                frame = boundaries.in_metres(boundary.frame, crs.strip() or None)
                area = workspace().create(
                    _free_id(name),
                    title=name,
                    boundary=frame,
                    boundary_source=boundary.source,
                    quadrat_m=side,
                    rule=cast(Rule, rule),
                )
                app_state().area = area.id
                app_state().notice = _("{area} was made. Bring in its layers.").format(
                    area=plain(area.title)
                )
                st.switch_page("pages/data.py")


def _free_id(title: str) -> str:
    taken = set(workspace().area_ids())
    base = slug(title, fallback="area")
    number = 2
    found = base
    while found in taken:
        found = f"{base}-{number}"
        number += 1
    return found


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0].replace("_", " ").strip()[:80]
