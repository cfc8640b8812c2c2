"""The left column of the Quadrats page: which column is mapped, and how the squares are made."""

from dataclasses import replace
from typing import cast

import streamlit as st

from core import jobs
from core.quadrat_table import Options, made_layers
from core.rendering import COLORMAPS
from core.workspace import Area, Method, Rule
from ui import cached
from ui.choice import choice, switch
from ui.columns import STATISTICS, Column, column_part
from ui.errors import plain, shown_errors
from ui.language import _
from ui.layer_words import layer_title, rule_names
from ui.progress import is_watched
from ui.server import workspace
from ui.state import QuadratView, app_state


def options_of(area: Area, view: QuadratView) -> Options:
    """Return how this session sums layers up.

    A layer that came later leaves what was summed up before in place: then the options name the
    layers that are there. While they are being summed up, parts are not shown for the whole.
    """
    options = Options(**view.options)
    if is_watched(f"quadrats-{area.id}", "default-area"):
        return options
    made = made_layers(workspace(), area, options)
    return replace(options, layers=made) if 0 < len(made) < _count(area) else options


def newer_layers_panel(area: Area, view: QuadratView) -> None:
    """Say which layers came after the squares were summed up, with the button to add them."""
    options = options_of(area, view)
    if not options.layers:
        return
    newer = [layer for layer in area.layers if layer.file and layer.id not in options.layers]
    text, button = st.columns([4, 1], vertical_alignment="center")
    names = ", ".join(layer_title(layer) for layer in newer)
    text.info(_("Not summed up in squares yet: {layers}.").format(layers=plain(names)))
    if button.button(_("Sum up"), key=f"newer-{area.id}", width="stretch"):
        start_job(area, view)


def _count(area: Area) -> int:
    return sum(bool(layer.file) for layer in area.layers)


def column_panel(area: Area, view: QuadratView, columns: list[Column]) -> Column:
    """Draw the choice of the mapped column into the sidebar and return it."""
    by_name = {column.name: column for column in columns}
    chosen = by_name.get(view.column, columns[0])
    with st.sidebar:
        roles = {"cause": _("Cause"), "effect": _("Effect")}
        layers = {
            column.layer.id: f"{layer_title(column.layer)} ({roles[column.layer.role]})"
            for column in columns
        }
        layer_id = choice(_("Layer"), layers, value=chosen.layer.id, key=f"ql-{area.id}")
        parts = {c.name: column_part(c) for c in columns if c.layer.id == layer_id}
        name = choice(_("What of it"), parts, value=chosen.name, key=f"qc-{area.id}-{layer_id}")
        if name != view.column:
            view.column, view.only = name, None
            view.is_normalised = by_name[name].is_class
        chosen = by_name[name]
        shown = switch(
            _("Shown as"),
            {"counted": _("Counted"), "normalised": _("Normalised 0–1")},
            value="normalised" if view.is_normalised else "counted",
            key=f"qn-{name}",
            help=_(
                "Normalised: classes as share of the square, values between minimum and maximum."
            ),
        )
        if (shown == "normalised") != view.is_normalised:
            view.is_normalised, view.only = shown == "normalised", None
        view.colormap = choice(
            _("Colours"),
            {name: _(title) for name, title in COLORMAPS.items()},
            value=view.colormap or chosen.layer.colormap,
            key=f"qm-{name}",
        )
    return chosen


def square_panel(area: Area, view: QuadratView, *, is_open: bool) -> None:
    """Draw how the squares are made and summed up, with the button that computes them."""
    stamp = workspace().stamp(area.id)
    options = options_of(area, view)
    with st.sidebar.expander(_("Squares and statistics"), expanded=is_open):
        side = st.number_input(
            _("Side of a square (m)"), 1.0, 100_000.0, area.quadrat_m, key=f"side-{area.id}"
        )
        is_possible = False
        with shown_errors():
            count = cached.estimated_quadrats(area.id, stamp, side)
            is_possible = True
            st.caption(_("About {count} squares.").format(count=f"{count:,}"))
        rule = choice(_("Squares that count"), rule_names(), value=area.rule, key=f"rule-{area.id}")
        methods = {"recommended": _("Recommended"), "document": _("As in the document")}
        method = choice(
            _("Method"),
            methods,
            value=area.method,
            key=f"method-{area.id}",
            help=_("The document's reading repeats published figures, with their flaws."),
        )
        stats = st.multiselect(
            _("Statistics of values"),
            list(STATISTICS),
            default=list(options.value_stats),
            format_func=lambda name: _(STATISTICS[name]),
            key=f"stats-{area.id}",
        )
        zonal_rules = {"centre": _("pixel centre inside"), "exact": _("exact share of each pixel")}
        zonal_rule = choice(
            _("A pixel counts by"), zonal_rules, value=options.zonal_rule, key=f"zr-{area.id}"
        )
        fill_m = st.number_input(
            _("Fill gaps of values up to (m)"),
            0.0,
            100_000.0,
            float(5 * side if options.fill_m is None else options.fill_m),
            step=50.0,
            key=f"fill-{area.id}-{side:g}",  # it starts at five sides
            help=_("From neighbouring squares; 0 leaves every gap. Filled squares are counted."),
        )
        engines = {
            "lattice": _("own, one pass"),
            "exactextract": "exactextract",
            "rasterstats": _("rasterstats (minutes on large layers)"),
        }
        engine = choice(
            _("Engine"), engines, value=options.engine or "lattice", key=f"engine-{area.id}"
        )
        if st.button(
            _("Compute statistics"), type="primary", width="stretch", disabled=not is_possible
        ):
            view.options = {
                "value_stats": tuple(stats) or ("mean",),
                "zonal_rule": zonal_rule,
                "engine": None if engine == "lattice" else engine,
                "fill_m": None if fill_m == 5 * side else fill_m,
            }
            with shown_errors():
                # Asked first: a side that is refused must not become the area's own.
                cached.estimated_quadrats(area.id, stamp, side)
                changed = workspace().set_quadrats(
                    area.id, side_m=side, rule=cast(Rule, rule), method=cast(Method, method)
                )
                start_job(changed, view)


def start_job(area: Area, view: QuadratView) -> None:
    """Start summing up the layers of an area, and show how far it is."""
    # Positions among the old squares, a range of the old values: they would mean others now.
    view.square = view.held = view.only = view.brushed = None
    app_state().cozy_view(area.id).square = None
    root = workspace().root
    config = {"workspace": str(root.resolve()), "area": area.id, "options": view.options}
    app_state().jobs[f"quadrats-{area.id}"] = jobs.submit(root / "jobs", "quadrats", config)
    st.rerun()
