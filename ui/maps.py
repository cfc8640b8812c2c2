"""The map: leafmap's folium map without its controls, drawn with assets from our own port.

What changes travels in a feature group, which the map exchanges without being made anew; so the
view stays. Importing this module imports leafmap (2.5 s): only what shows a map does.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import folium
import leafmap.foliumap as leafmap
import xyzservices.providers as providers
from branca.element import MacroElement
from folium.template import Template
from streamlit_folium import st_folium

from ui.server import base_path
from ui.theme import ACCENT

_BASE_PANE, _SWIPE_PANE = "base", "swipe"
_ALL_OFF = {
    "draw_control": False,
    "measure_control": False,
    "fullscreen_control": False,
    "locate_control": False,
    "search_control": False,
    "latlon_control": False,
    "minimap_control": False,
    "layers_control": False,
    "toolbar_control": False,
}

_BASE_MAPS = {
    "osm": providers.OpenStreetMap.Mapnik,
    "light": providers.CartoDB.Positron,
    "satellite": providers.Esri.WorldImagery,
}
Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


@dataclass(frozen=True, slots=True)
class TileSource:
    """One layer of tiles: an address with {z}, {x} and {y}, and how it is laid on the map."""

    url: str
    opacity: float = 1.0
    pane: Literal["layers", "swipe", "base"] = "layers"
    """`swipe` lies right of the swipe line, `base` below everything and on both of its sides."""
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """The clicked point and the lines of text beside it, plain text."""

    lat: float
    lon: float
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Square:
    """A chosen quadrat: its corners as latitude and longitude, and a label."""

    corners: list[tuple[float, float]]
    label: str = ""


class StudioMap(leafmap.Map):  # type: ignore[misc]  # leafmap has no types
    """leafmap's map whose scripts come from this server."""

    default_js: list[tuple[str, str]] = []  # noqa: RUF012  (folium reads it from the class)
    default_css: list[tuple[str, str]] = []  # noqa: RUF012


def new_map(bounds: Bounds, *, view_key: str) -> StudioMap:
    """Return an empty map over `bounds`.

    The view that the user leaves is kept in the browser under `view_key` and taken up again when
    the page is opened another time.
    """
    assets = f"{base_path()}/assets"
    StudioMap.default_js = [
        ("leaflet", f"{assets}/leaflet/leaflet.js"),
        ("jquery", f"{assets}/jquery/jquery.min.js"),
    ]
    StudioMap.default_css = [("leaflet_css", f"{assets}/leaflet/leaflet.css")]
    west, south, east, north = bounds
    made = StudioMap(
        center=[(south + north) / 2, (west + east) / 2],
        zoom=10,
        max_zoom=20,
        tiles=None,
        basemap=None,
        **_ALL_OFF,
    )
    made.add_child(folium.map.CustomPane(_BASE_PANE, z_index=140, pointer_events=False))
    made.add_child(folium.map.CustomPane("context", z_index=150, pointer_events=False))
    made.add_child(folium.map.CustomPane(_SWIPE_PANE, z_index=210, pointer_events=True))
    made.add_child(folium.map.CustomPane("outline", z_index=350, pointer_events=False))
    made.add_child(_View(bounds, view_key))
    made.add_child(_SwipeLine())
    return made


def overlay(
    *,
    tiles: Sequence[TileSource] = (),
    outline: dict[str, Any] | None = None,
    legend_html: str = "",
    marker: Marker | None = None,
    squares: Sequence[Square] = (),
    go: tuple[str, Bounds] | None = None,
) -> folium.FeatureGroup:
    """Return what lies on the map now; `tiles` from the bottom to the top."""
    group = folium.FeatureGroup("overlay")
    if outline is not None:
        group.add_child(_outline(outline, "context"))
    for source in tiles:
        options = {} if source.pane == "layers" else {"pane": source.pane}
        folium.TileLayer(
            source.url,
            attr=source.attribution or " ",
            opacity=source.opacity,
            max_zoom=20,
            max_native_zoom=19 if source.pane == _BASE_PANE else 20,
            **options,
        ).add_to(group)
    if outline is not None:
        group.add_child(_outline(outline, "outline"))
    group.add_child(_Furniture(legend_html, go))
    for square in squares:
        for child in _square(square):
            group.add_child(child)
    if marker is not None:
        for child in _marker(marker):
            group.add_child(child)
    return group


def base_tiles(name: str) -> list[TileSource]:
    """Return the online base map of that name; nothing for none."""
    if name not in _BASE_MAPS:
        return []
    chosen = _BASE_MAPS[name]
    return [TileSource(chosen.build_url(), pane="base", attribution=chosen.html_attribution)]


def show(
    base: StudioMap, group: folium.FeatureGroup, *, key: str, height_px: int, bounds: bool = False
) -> dict[str, Any]:
    """Show the map and return `last_clicked` (and `bounds` where asked for)."""
    found = st_folium(
        base,
        key=key,
        height=height_px,
        use_container_width=True,
        returned_objects=["last_clicked", "bounds"] if bounds else ["last_clicked"],
        feature_group_to_add=group,
        wrap_longitude=True,
    )
    return dict(found or {})


def _outline(geojson: dict[str, Any], pane: str) -> folium.GeoJson:
    is_context = pane == "context"
    style = {
        "fill": is_context,
        "fillColor": "#9AA5A5",
        "fillOpacity": 0.12,
        "color": "#1F2D2D",
        "weight": 0 if is_context else 1.4,
        "interactive": False,
    }
    return folium.GeoJson(
        geojson, pane=pane, style_function=lambda _: style, smooth_factor=1.0, zoom_on_click=False
    )


def _marker(marker: Marker) -> list[MacroElement]:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><th>{html.escape(value)}</th></tr>"
        for name, value in marker.lines
    )
    place = [marker.lat, marker.lon]
    ring = folium.CircleMarker(
        place, radius=7, color="#FFFFFF", weight=5, fill=False, interactive=False
    )
    dot = folium.CircleMarker(place, radius=7, color=ACCENT, weight=2.5, fill=False)
    # folium writes the text into a JavaScript template literal: ` and ${ would end it.
    table = f'<table class="ups-point">{rows}</table>'.replace("`", "&#96;").replace("$", "&#36;")
    dot.add_child(
        folium.Tooltip(table, permanent=True, direction="auto", offset=(12, 0), sticky=False)
    )
    return [ring, dot]


def _square(square: Square) -> list[MacroElement]:
    halo = folium.Polygon(square.corners, color="#FFFFFF", weight=6, fill=False, interactive=False)
    line = folium.Polygon(square.corners, color=ACCENT, weight=3, fill=False)
    # A ring of a fixed size: from afar the square itself is a few pixels.
    middle = [sum(corner[axis] for corner in square.corners) / 4 for axis in (0, 1)]
    rings = [
        folium.CircleMarker(middle, radius=9, color=colour, weight=weight, fill=False)
        for colour, weight in (("#FFFFFF", 5), (ACCENT, 2.5))
    ]
    if square.label:
        text = html.escape(square.label).replace("`", "&#96;").replace("$", "&#36;")
        line.add_child(folium.Tooltip(text, permanent=True, direction="right", sticky=False))
    return [halo, *rings, line]


class _View(MacroElement):  # type: ignore[misc]
    """Start at the view the user left, else at the area; remember where the user goes."""

    _template = Template("""{% macro script(this, kwargs) %}
(function () {
  var map = {{ this._parent.get_name() }}, key = {{ this.key }}, bounds = {{ this.bounds }};
  var is_own = false, set = null;
  function view() {
    var center = map.getCenter();
    return JSON.stringify({center: [center.lat, center.lng], zoom: map.getZoom()});
  }
  function whole() { map.fitBounds(bounds, {animate: false, padding: [12, 12]}); }
  function restore() {
    try {
      var saved = JSON.parse(sessionStorage.getItem(key));
      if (saved) { map.setView(saved.center, saved.zoom, {animate: false}); }
      else { whole(); }
    } catch (error) { sessionStorage.removeItem(key); whole(); }
    set = view();
  }
  restore();
  // The frame gets its size after the map was made.
  // Hidden for a moment, or beside a panel that came or went: back to where the user was.
  new ResizeObserver(function () {
    if (!map.getContainer().clientWidth || !map.getContainer().clientHeight) { return; }
    is_own = true;  // these moves are not the user's
    map.invalidateSize({animate: false, pan: false});
    restore();
    is_own = false;
  }).observe(map.getContainer());
  map.on('moveend', function (event) {
    // Leaflet tells of a changed size a moment later, perhaps of a frame half grown: no view that
    // was set here is the user's.
    if (!map.ups_user || is_own || view() === set) { return; }
    sessionStorage.setItem(key, view());
  });
  ['mousedown', 'wheel', 'touchstart', 'keydown'].forEach(function (name) {
    map.getContainer().addEventListener(name, function () { map.ups_user = true; },
      {passive: true, capture: true});
  });
  if (map.attributionControl) { map.attributionControl.setPrefix(false); }
})();
{% endmacro %}""")

    def __init__(self, bounds: Bounds, key: str) -> None:
        super().__init__()
        self._name = "View"
        west, south, east, north = bounds
        self.key = json.dumps(f"view:{key}")
        self.bounds = json.dumps([[south, west], [north, east]])


class _SwipeLine(MacroElement):  # type: ignore[misc]
    """A line that is there while a tile layer lies in the swipe pane; right of it that layer."""

    _template = Template("""{% macro script(this, kwargs) %}
(function () {
  var map = {{ this._parent.get_name() }};
  var left = map.getPane('tilePane'), right = map.getPane('swipe'), used = false;
  var box = map.getContainer(), share = 0.5;
  var bar = L.DomUtil.create('div', 'ups-swipe', box);
  var handle = L.DomUtil.create('div', 'ups-swipe-handle', bar);
  handle.textContent = '\\u2039 \\u203a';
  handle.tabIndex = 0;
  handle.setAttribute('role', 'slider');
  handle.setAttribute('aria-valuemin', 0);
  handle.setAttribute('aria-valuemax', 100);
  bar.style.display = 'none';
  function clip() {
    var size = map.getSize(), x = size.x * share;
    var from = map.containerPointToLayerPoint([x, 0]), to = map.containerPointToLayerPoint(size);
    right.style.clip =
      'rect(' + from.y + 'px,' + to.x + 'px,' + to.y + 'px,' + from.x + 'px)';
    var edge = map.containerPointToLayerPoint([0, 0]).x;
    left.style.clip = !used ? '' :
      'rect(' + from.y + 'px,' + from.x + 'px,' + to.y + 'px,' + edge + 'px)';
    bar.style.left = x + 'px';
    handle.setAttribute('aria-valuenow', Math.round(share * 100));
  }
  function look() {
    used = false;
    map.eachLayer(function (layer) { if (layer.options.pane === 'swipe') { used = true; } });
    bar.style.display = used ? 'block' : 'none';
    clip();
  }
  function moveTo(clientX) {
    var frame = box.getBoundingClientRect();
    share = Math.min(0.98, Math.max(0.02, (clientX - frame.left) / frame.width));
    clip();
  }
  L.DomEvent.disableClickPropagation(bar);
  bar.addEventListener('pointerdown', function (event) {
    event.preventDefault(); event.stopPropagation(); bar.setPointerCapture(event.pointerId);
    map.dragging.disable();
    function move(e) { moveTo(e.clientX); }
    function up() { bar.removeEventListener('pointermove', move); map.dragging.enable(); }
    bar.addEventListener('pointermove', move);
    bar.addEventListener('pointerup', up, {once: true});
    bar.addEventListener('pointercancel', up, {once: true});
  });
  handle.addEventListener('keydown', function (event) {
    var step = {ArrowLeft: -0.02, ArrowRight: 0.02}[event.key];
    if (!step) { return; }
    share = Math.min(0.98, Math.max(0.02, share + step)); clip();
    event.preventDefault(); event.stopPropagation();
  });
  map.on('layeradd layerremove', look);
  map.on('move zoom zoomend resize viewreset', clip);
  look();
})();
{% endmacro %}""")

    def __init__(self) -> None:
        super().__init__()
        self._name = "SwipeLine"


class _Furniture(MacroElement):  # type: ignore[misc]
    """The legend, and a move of the view that is made once."""

    _template = Template("""{% macro script(this, kwargs) %}
(function () {
  var map = map_div;
  if (window.ups_legend) { map.removeControl(window.ups_legend); window.ups_legend = null; }
  if ({{ this.legend }}) {
    var legend = L.control({position: 'bottomright'});
    legend.onAdd = function () {
      var box = L.DomUtil.create('div', 'ups-legend');
      box.innerHTML = {{ this.legend }};
      L.DomEvent.disableClickPropagation(box);
      L.DomEvent.disableScrollPropagation(box);
      return box;
    };
    legend.addTo(map);
    window.ups_legend = legend;
  }
  if (!document.getElementById('ups-style')) {
    var style = document.createElement('style');
    style.id = 'ups-style';
    style.textContent = {{ this.css }};
    document.head.appendChild(style);
  }
  var go = {{ this.go }};
  if (go && sessionStorage.getItem('ups-go') !== go.token) {
    sessionStorage.setItem('ups-go', go.token);
    map.ups_user = true;
    map.fitBounds(go.bounds, {animate: false, padding: [12, 12], maxZoom: 18});
  }
})();
{% endmacro %}""")

    def __init__(self, legend_html: str, go: tuple[str, Bounds] | None) -> None:
        super().__init__()
        self._name = "Furniture"
        self.legend = _script_text(legend_html)
        self.css = _script_text(_CSS)
        self.go = "null"
        if go is not None:
            token, (west, south, east, north) = go
            self.go = json.dumps({"token": token, "bounds": [[south, west], [north, east]]})


def _script_text(text: str) -> str:
    """Write `text` as a JavaScript string that cannot end the script it stands in."""
    return json.dumps(text).replace("<", "\\u003c")


_CSS = f"""
html, body {{ margin: 0; }}
.leaflet-container {{ background: #EEF1F1; font: 12px/1.4 "Source Sans", "Noto Sans CJK SC",
  "Microsoft YaHei", "PingFang SC", sans-serif; }}
.leaflet-tile {{ image-rendering: pixelated; }}
.ups-legend {{ background: rgba(255,255,255,.94); color: #1F2D2D; padding: 8px 10px;
  border-radius: 6px; box-shadow: 0 1px 4px rgba(0,0,0,.25); max-width: 230px; max-height: 330px;
  overflow: auto; }}
.ups-legend summary {{ font-weight: 600; cursor: pointer; margin: 0 0 4px; }}
.ups-legend details:not(:first-child) {{ margin-top: 8px; }}
@media (max-width: 640px) {{ .ups-legend {{ max-width: 190px; max-height: 190px;
  font-size: 11px; padding: 5px 7px; }} .ups-legend .bar, .ups-legend .ends {{ width: 170px; }} }}
/* No room beside the scale: above it. */
@media (max-width: 340px) {{ .leaflet-bottom .ups-legend.leaflet-control {{ margin-bottom: 52px;
  max-height: 150px; }} }}
.ups-legend .row {{ display: flex; gap: 7px; align-items: center; }}
.ups-legend .box {{ width: 14px; height: 14px; border-radius: 2px; flex: none;
  border: 1px solid rgba(0,0,0,.25); }}
.ups-legend .bar {{ height: 12px; width: 190px; border-radius: 2px; }}
.ups-legend .ends {{ display: flex; justify-content: space-between; width: 190px; }}
.ups-legend .note {{ color: #5A6868; }}
.ups-swipe {{ position: absolute; z-index: 800; top: 0; bottom: 0; width: 26px; margin-left: -13px;
  cursor: ew-resize; touch-action: none; }}
.ups-swipe::before {{ content: ""; position: absolute; left: 12px; top: 0; bottom: 0; width: 2px;
  background: #fff; box-shadow: 0 0 3px rgba(0,0,0,.6); }}
.ups-swipe-handle {{ position: absolute; top: 45%; left: -3px; width: 32px; height: 32px;
  border-radius: 50%; background: {ACCENT}; color: #fff; text-align: center; line-height: 30px;
  font-size: 15px; box-shadow: 0 1px 4px rgba(0,0,0,.4); }}
.ups-point td {{ color: #5A6868; padding-right: 8px; white-space: nowrap; }}
.ups-point th {{ text-align: left; font-weight: 600; white-space: nowrap; }}
"""
