"""Legends as HTML, for the map and beside it. Every name is escaped: files hold such things."""

import html

from core.tiles import colormap_stops

from core.workspace import Layer
from ui.language import _
from ui.layer_words import layer_title
from ui.quantities import share_text, value_text
from ui.state import LayerView

_MOST_ROWS = 24


def legend_html(layers: list[tuple[Layer, LayerView]]) -> str:
    """Return the legends of the layers on the map, the topmost first."""
    return "".join(_one(layer, view) for layer, view in layers)


def value_range(layer: Layer, view: LayerView) -> tuple[float, float]:
    """Return the values at the two ends of the colours: chosen, else 2nd to 98th percentile."""
    low = view.low if view.low is not None else layer.summary.low
    high = view.high if view.high is not None else layer.summary.high
    low, high = (0.0 if low is None else low), (1.0 if high is None else high)
    return (low, high) if high > low else (low, low + (abs(low) * 1e-6 or 1.0))


def _one(layer: Layer, view: LayerView) -> str:
    unit = f" ({layer.unit})" if layer.unit else ""
    head = f"<h4>{html.escape(layer_title(layer) + unit)}</h4>"
    body = _classes(layer) if layer.kind == "classes" else _bar(layer, view)
    missing = 1 - layer.summary.valid_share
    note = _("{share} missing").format(share=share_text(missing)) if missing > 0 else ""
    return head + body + (f'<div class="note">{html.escape(note)}</div>' if note else "")


def _classes(layer: Layer) -> str:
    present = {code for code, _count in layer.summary.counts}
    shown = [e for e in layer.legend if e.colour and (e.code in present or not present)]
    rows = [
        f'<div class="row"><span class="box" style="background:{entry.colour}"></span>'
        f"<span>{html.escape(_(entry.name))}</span></div>"
        for entry in shown[:_MOST_ROWS]
    ]
    if len(shown) > _MOST_ROWS:
        more = _("and {count} more classes").format(count=len(shown) - _MOST_ROWS)
        rows.append(f'<div class="note">{html.escape(more)}</div>')
    return "".join(rows)


def _bar(layer: Layer, view: LayerView) -> str:
    low, high = value_range(layer, view)
    colours = colormap_stops(view.colormap or layer.colormap, 12)
    middle = (low * high) ** 0.5 if view.scale == "log" and low > 0 else (low + high) / 2
    ends = "".join(f"<span>{html.escape(value_text(v))}</span>" for v in (low, middle, high))
    scale = f'<div class="note">{html.escape(_("log scale"))}</div>' if view.scale == "log" else ""
    return (
        f'<div class="bar" style="background:linear-gradient(to right,{",".join(colours)})"></div>'
        f'<div class="ends">{ends}</div>{scale}'
    )
