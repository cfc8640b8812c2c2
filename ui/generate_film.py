"""Pictures that move: a sheet of frames, which the browser shows one after the other.

Every frame stands in one PNG, row by row, with its own colours. A GIF's colours would have to be
chosen anew at each move of a slider: it is made when somebody saves it.
"""

import html
from collections.abc import Sequence

import numpy as np

from core import png
from core.chips.display import mosaic
from models.scales import Image, shrunk
from ui.chip_grid import inline

_FRAME_S = 0.08
_MOST_PX = 128
"""Larger frames are shown smaller, each pixel the mean of those it covers."""


def film_html(frames: Sequence[Image], columns: int, *, alt: str) -> str:
    """Return frames (h, h, 3 or 1), whole rows of `columns` of them, as HTML that moves endlessly.

    Who asked their system for less movement sees the first frame.
    """
    images = np.stack(frames)
    images = shrunk(images, min(_MOST_PX, images.shape[1]))
    rows = -(-len(images) // columns)
    sheet = mosaic(images, columns, gap_px=0)
    source = inline(png.truecolour(sheet[..., 0] if sheet.shape[-1] == 1 else sheet))
    name = f"ups-film-{rows}-{columns}"
    moves = [
        f"{name}-{axis} {_FRAME_S * length:.2f}s steps({count}) infinite"
        for axis, count, length in (("x", columns, columns), ("y", rows, rows * columns))
        if count > 1
    ]
    keys = "".join(
        f"@keyframes {name}-{axis} {{ to {{ background-position-{axis}: {_far(count)}%; }} }}"
        for axis, count in (("x", columns), ("y", rows))
        if count > 1
    )
    style = (
        f"{keys} .{name} {{ width: 100%; max-width: 320px; aspect-ratio: 1;"
        f" background-size: {100 * columns}% {100 * rows}%; background-position: 0 0;"
        f" image-rendering: pixelated; animation: {', '.join(moves) or 'none'}; }}"
        f" @media (prefers-reduced-motion: reduce) {{ .{name} {{ animation: none; }} }}"
    )
    return (
        f'<style>{style}</style><div class="{name}" role="img" aria-label="{html.escape(alt)}"'
        f" style=\"background-image:url('{source}')\"></div>"
    )


def _far(count: int) -> float:
    """Return the position in % that would lie one frame beyond the last of `count`."""
    return round(100 * count / (count - 1), 6)
