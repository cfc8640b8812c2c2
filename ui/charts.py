"""Charts in the theme's own text and background colours, with titles and axes to be read."""

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.ranges import widened
from core.workspace import Layer
from ui.choice import switch
from ui.language import _
from ui.layer_words import class_name, layer_title
from ui.quantities import share_text
from ui.state import app_state
from ui.theme import ACCENT

_PNG_SCALE = 3


def config() -> dict[str, Any]:
    """Return what every chart is shown with; its camera saves the format of the session."""
    picture = {"format": app_state().picture, "scale": _PNG_SCALE}
    return {"displaylogo": False, "toImageButtonOptions": picture}


def picture_choice() -> None:
    """Draw the choice of what the cameras of the charts save."""
    formats = {"svg": "SVG", "png": "PNG"}
    state = app_state()
    state.picture = switch(
        _("The camera of a chart saves"), formats, value=state.picture, key="picture-format"
    )


def histogram(layer: Layer) -> go.Figure:
    """Draw how often each value occurs, from the layer's summary."""
    summary = layer.summary
    low, high = summary.minimum or 0.0, summary.maximum or 0.0
    if len(summary.histogram) == 1:  # of one value: the bin lies around it
        low, high = widened(low, high)
    width = (high - low) / max(len(summary.histogram), 1) or 1.0
    total = sum(summary.histogram) or 1
    centres = [low + (i + 0.5) * width for i in range(len(summary.histogram))]
    figure = go.Figure(
        go.Bar(
            x=centres,
            y=[100 * count / total for count in summary.histogram],
            width=width,
            marker={"color": ACCENT, "line": {"width": 0}},
            hovertemplate="%{x:.4g} " + as_text(layer.unit) + "<br>%{y:.2f} %<extra></extra>",
        )
    )
    unit = f" ({layer.unit})" if layer.unit else ""
    frame(
        figure,
        title=_("How often each value of “{layer}” occurs").format(layer=layer_title(layer)),
        x=f"{layer_title(layer)}{unit}",
        y=_("Share of the area's pixels (%)"),
    )
    for value, name in ((summary.low, "2 %"), (summary.high, "98 %")):
        if value is not None:
            figure.add_vline(x=value, line={"dash": "dot", "width": 1}, annotation_text=name)
    return figure


def class_shares(layer: Layer) -> go.Figure:
    """Draw the share of each class, in its own colour, the largest on top."""
    total = sum(count for _code, count in layer.summary.counts) or 1
    rows = sorted(layer.summary.counts, key=lambda pair: pair[1])
    colours = {entry.code: entry.colour or "#D9DEDE" for entry in layer.legend}
    shares = [100 * count / total for _code, count in rows]
    figure = go.Figure(
        go.Bar(
            y=list(range(len(rows))),
            x=shares,
            orientation="h",
            marker={
                "color": [colours.get(code, "#FF00FF") for code, _count in rows],
                "line": {"width": 0.5, "color": "#6B7676"},
            },
            text=[share_text(share / 100) for share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        )
    )
    frame(
        figure,
        title=_("What “{layer}” is made of").format(layer=layer_title(layer)),
        x=_("Share of the area's pixels (%)"),
        y="",
    )
    name_rows(figure, [class_name(layer, code) for code, _count in rows])
    figure.update_layout(height=max(260, 90 + 26 * len(rows)), yaxis={"automargin": True})
    figure.update_xaxes(range=[0, max(shares, default=1) * 1.15])
    return figure


def frame(figure: go.Figure, *, title: str, x: str, y: str, height: int = 300) -> None:
    """Give a figure its title, its axes and the margins that all charts share; plain text."""
    title, x, y = (as_text(part) for part in (title, x, y))
    figure.update_layout(
        title={"text": title, "x": 0, "font": {"size": 15}},
        xaxis_title=x,
        yaxis_title=y,
        height=height,
        margin={"l": 10, "r": 30, "t": 44, "b": 10},
        bargap=0.15,
        modebar={"orientation": "v"},
        showlegend=False,
    )


def name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    """Write names beside the rows 0, 1, … of a chart: two rows may have the same name."""
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=[as_text(name) for name in names],
        range=[-0.6, len(names) - 0.4],
    )


def as_text(text: str) -> str:
    """Escape what Plotly would read as its own HTML: titles and class names hold such things."""
    return html.escape(text, quote=False)
