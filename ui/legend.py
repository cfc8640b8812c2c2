"""Legends as HTML, for the map and beside it. Every name is escaped: files hold such things."""

import html

from core.rendering import COLORMAPS, Scale, Style, ValueStyle, colormap_stops
from core.tiles import default_style
from core.workspace import Layer
from ui.language import _
from ui.layer_words import layer_title
from ui.quantities import share_text, value_text
from ui.state import LayerView

_MOST_ROWS = 24


def legend_html(layers: list[tuple[Layer, LayerView]], *, unfolded: set[str] | None = None) -> str:
    """Return the legends of the layers on the map, the topmost first.

    Only those of the layer ids in `unfolded` are open; None opens all.
    """
    return "".join(
        _one(layer, view, is_open=unfolded is None or layer.id in unfolded)
        for layer, view in layers
    )


def drawn_style(layer: Layer, view: LayerView) -> Style:
    """Return the colours of a layer in this session: chosen, else the layer's own."""
    own = default_style(layer)
    if not isinstance(own, ValueStyle):
        return own
    low = own.low if view.low is None else view.low
    high = own.high if view.high is None else view.high
    if low >= high:
        low, high = own.low, own.high
    colormap = view.colormap if view.colormap in COLORMAPS else own.colormap
    scale: Scale = "log" if view.scale == "log" and low > 0 else "linear"
    return ValueStyle(colormap=colormap or "viridis", low=low, high=high, scale=scale)


def _one(layer: Layer, view: LayerView, *, is_open: bool) -> str:
    unit = f" ({layer.unit})" if layer.unit else ""
    head = html.escape(layer_title(layer) + unit)
    style = drawn_style(layer, view)
    body = _bar(style) if isinstance(style, ValueStyle) else _classes(layer)
    missing = 1 - layer.summary.valid_share
    if missing > 0:
        note = html.escape(_("{share} missing in the area").format(share=share_text(missing)))
        body += f'<div class="note">{note}</div>'
    state = " open" if is_open else ""
    return f"<details{state}><summary>{head}</summary>{body}</details>"


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


def _bar(style: ValueStyle) -> str:
    is_log = style.scale == "log"
    middle = (style.low * style.high) ** 0.5 if is_log else (style.low + style.high) / 2
    ends = "".join(
        f"<span>{html.escape(value_text(value))}</span>"
        for value in (style.low, middle, style.high)
    )
    colours = ",".join(colormap_stops(style.colormap, 12))
    words = _("logarithmic scale")
    note = f'<div class="note">{html.escape(words)}</div>' if is_log else ""
    return (
        f'<div class="bar" style="background:linear-gradient(to right,{colours})"></div>'
        f'<div class="ends">{ends}</div>{note}'
    )
