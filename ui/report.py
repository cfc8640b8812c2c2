"""A page's figures as one HTML file that opens by itself, without this program or the internet."""

import html
from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_STYLE = """
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif;
  max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #1F2424; }
h1 { color: #0B6E6E; } figure { margin: 1.5rem 0; }
"""


def html_report(sentence: str, figures: Callable[[], Sequence[go.Figure]], title: str) -> str:
    """Return figures under a title and a sentence as one HTML document.

    The chart library is inside, once (some 4.5 MB); every chart has a camera that saves a PNG.
    """
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
        for figure in figures()
    ]
    charts = "".join(f"<figure>{part}</figure>" for part in parts)
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><h1>{html.escape(title)}</h1><p>{html.escape(sentence)}</p>{charts}</body></html>"
    )
