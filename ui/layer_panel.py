"""The left column of the Data page: which layers are shown, in which order and how."""

import uuid

import streamlit as st

from core.jobs import Job
from core.rendering import COLORMAPS, ValueStyle
from core.text import filled
from core.workspace import Area, Layer
from ui import cached
from ui.base_map import base_map_choice
from ui.choice import choice, distinct, switch
from ui.errors import plain, shown_errors
from ui.language import _
from ui.layer_words import layer_title
from ui.legend import drawn_style
from ui.server import workspace
from ui.state import LayerView, MapView, app_state, set_widget, widget_value


def prepare_view(area: Area) -> MapView:
    """Return the session's view of `area` with ids that exist; the first layer if none is shown."""
    view = app_state().view(area.id)
    known = {layer.id for layer in area.layers}
    view.shown = list(dict.fromkeys(item for item in view.shown if item in known))
    if not view.shown and area.layers:
        view.shown = [area.layers[0].id]
    if view.active not in view.shown:
        view.active = view.shown[0] if view.shown else ""
    if view.swipe not in known:
        view.swipe = ""
    return view


def show_new_layer(job: Job) -> str:
    """Put the layer that a job has brought in on the map, and say so."""
    area = workspace().area(job.result["area"])
    layer = area.layer(job.result["layer"])
    view = app_state().view(area.id)
    view.shown = [layer.id, *(shown for shown in view.shown if shown != layer.id)]
    view.active = layer.id
    told = [filled(text, values, _) for text, values in job.result.get("notes", ())]
    shown = _("{layer} is on the map.").format(layer=layer_title(layer))
    return plain(" ".join([shown, *told]))


def style_of(view: MapView, layer_id: str) -> LayerView:
    """Return how a layer is drawn in this session."""
    return view.styles.setdefault(layer_id, LayerView())


def layer_panel(area: Area, view: MapView) -> None:
    """Draw the panel into the sidebar; it changes `view`."""
    with st.sidebar:
        heading = _("Layers on the map")
        st.markdown(f"**{heading}**", help=_("The upper one covers the lower ones."))
        for place, layer_id in enumerate(view.shown):
            _row(area.layer(layer_id), view, place)
        _add_row(area, view)
        if view.active:
            st.divider()
            _style(area, area.layer(view.active), view)
        st.divider()
        _compare(area, view)
        with st.expander(_("Place and base map")):
            _go_to(view)
            base_map_choice("base-map")


def _row(layer: Layer, view: MapView, place: int) -> None:
    name, up, off = st.columns([6, 1, 1], gap="small", vertical_alignment="center")
    if name.button(
        plain(layer_title(layer)),
        key=f"row-{layer.id}",
        type="primary" if layer.id == view.active else "secondary",
        width="stretch",
        help=_("Show the style, figures and problems of this layer"),
    ):
        view.active = layer.id
        st.rerun()
    if up.button(
        "▲", key=f"up-{layer.id}", disabled=place == 0, help=_("Move up"), type="tertiary"
    ):
        view.shown.insert(place - 1, view.shown.pop(place))
        st.rerun()
    if off.button("✕", key=f"off-{layer.id}", help=_("Take off the map"), type="tertiary"):
        view.shown.remove(layer.id)
        st.rerun()


def _add_row(area: Area, view: MapView) -> None:
    titles = distinct({layer.id: layer_title(layer) for layer in area.layers})
    hidden = {item: title for item, title in titles.items() if item not in view.shown}
    if not hidden:
        return

    def show() -> None:
        chosen = widget_value("show-layer")
        if chosen:
            view.shown.insert(0, chosen)
            view.active = chosen
            set_widget("show-layer", None)

    st.selectbox(
        _("Show another layer"),
        list(hidden),
        index=None,
        format_func=lambda layer_id: hidden.get(layer_id, layer_id),
        placeholder=_("Show another layer…"),
        key="show-layer",
        on_change=show,
        label_visibility="collapsed",
    )


def _style(area: Area, layer: Layer, view: MapView) -> None:
    style = style_of(view, layer.id)
    opacity = st.slider(
        _("Opacity of “{layer}” (%)").format(layer=plain(layer_title(layer))),
        0,
        100,
        round(100 * style.opacity),
        step=5,
        key=f"opacity-{area.id}-{layer.id}",
    )
    style.opacity = opacity / 100
    if layer.kind == "values":
        _value_style(area, layer, style)
    if st.button(_("Zoom to layer"), key=f"zoom-{layer.id}", width="stretch"):
        with shown_errors():
            bounds = cached.layer_file(area.id, layer.id, layer.digest).bounds_lonlat
            view.go = (uuid.uuid4().hex, bounds or area.bounds_lonlat)


def _value_style(area: Area, layer: Layer, style: LayerView) -> None:
    own, drawn = drawn_style(layer, LayerView()), drawn_style(layer, style)
    assert isinstance(own, ValueStyle)
    assert isinstance(drawn, ValueStyle)
    # Another file of the same layer has widgets of its own, which start at its own range.
    key = f"{area.id}-{layer.id}-{layer.digest[:12]}"
    colormap = choice(
        _("Colours"),
        {name: _(title) for name, title in COLORMAPS.items()},
        value=drawn.colormap,
        key=f"colormap-{key}",
    )
    # What equals the layer's own stays unsaid, so that it follows the layer.
    style.colormap = None if colormap == own.colormap else colormap
    unit = f" ({plain(layer.unit)})" if layer.unit else ""
    left, right = st.columns(2)
    low = left.number_input(_("From") + unit, value=drawn.low, format="%.6g", key=f"low-{key}")
    high = right.number_input(_("To") + unit, value=drawn.high, format="%.6g", key=f"high-{key}")
    style.low = None if low >= high or low == own.low else low
    style.high = None if low >= high or high == own.high else high
    if low >= high:
        st.caption(_("“From” must be below “To”; the layer's own range is drawn."))
    style.scale = switch(
        _("Scale"),
        {"linear": _("Linear"), "log": _("Logarithmic")},
        value=drawn.scale,
        key=f"scale-{key}",
        help=_("The range starts as the 2nd to 98th percentile of the layer."),
    )
    if style.scale == "log" and low <= 0:
        st.caption(_("A logarithmic scale must start above 0; the linear one is drawn."))


def _compare(area: Area, view: MapView) -> None:
    titles = {"": _("None"), **{layer.id: layer_title(layer) for layer in area.layers}}
    view.swipe = choice(
        _("Swipe: right of the line"),
        titles,
        value=view.swipe,
        key=f"swipe-{area.id}",
        help=_("Drag the line on the map to compare this layer with the others."),
    )


def _go_to(view: MapView) -> None:
    with st.form("go-to", border=False):
        left, right = st.columns(2)
        lat = left.number_input(_("Latitude (°)"), -85.0, 85.0, 0.0, format="%.5f")
        lon = right.number_input(_("Longitude (°)"), -180.0, 180.0, 0.0, format="%.5f")
        if st.form_submit_button(_("Go to this place"), width="stretch"):
            view.point = (lat, lon)
            view.go = (uuid.uuid4().hex, (lon - 0.01, lat - 0.0075, lon + 0.01, lat + 0.0075))
