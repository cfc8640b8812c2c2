"""Pictures in rows and columns, with what is said of each row and column, as HTML."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core import png
from ui.chip_grid import inline
from ui.theme import ACCENT

MOST_SHOWN_PX = 256
"""Larger pictures are shown smaller, each pixel the mean of those it covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of pictures (h, w, 3 or 1); None: an empty place."""

    rows: Sequence[Sequence[NDArray[np.uint8] | None]]
    titles: Sequence[Sequence[str]] = ()
    """Plain text of each picture, as its row: for a pointer that rests on it and for readers."""
    above: Sequence[str] = ()
    """Plain text above each column."""
    left: Sequence[str] = ()
    """Plain text on the left of each row."""
    marked: int | None = None
    """A column with a frame around it."""
    chosen: tuple[int, int] | None = None
    """Row and column of the chosen picture."""
    most_px: int = 168
    """Widest that a picture is drawn."""
    beneath: bool = False
    """Whether the text of each picture is also read beneath it."""


def table_html(table: Table, *, note: str = "") -> str:
    """Return a table of pictures as HTML; a note lies over its lower right, where no labels are."""
    columns = max(len(row) for row in table.rows)
    left = "max-content " if table.left else ""
    grid = f"grid-template-columns:{left}repeat({columns},minmax(0,{table.most_px}px))"
    cells = []
    if table.above:
        cells += ["<span></span>"] if table.left else []
        cells += [
            f'<span class="above{" mean" if at == table.marked else ""}">{html.escape(text)}</span>'
            for at, text in enumerate(table.above)
        ]
    for number in range(len(table.rows)):
        if table.left:
            cells.append(f'<span class="left">{html.escape(table.left[number])}</span>')
        cells += [_cell(table, number, at) for at in range(columns)]
    said = f'<div class="note">{html.escape(note)}</div>' if note else ""
    return (
        f'{_STYLE}<div class="ups-pictures">{said}<div style="{grid}">{"".join(cells)}</div></div>'
    )


def shown_picture(image: NDArray[np.uint8]) -> bytes:
    """Return an image (h, w, 3 or 1) as PNG, not larger than is worth showing."""
    times = max(1, len(image) // MOST_SHOWN_PX)
    if times > 1:
        side = len(image) // times
        wide = image[: side * times, : side * times].astype(np.float32)
        means = wide.reshape(side, times, side, times, -1).mean(axis=(1, 3))
        image = np.round(means).astype(np.uint8)
    return png.truecolour(image[..., 0] if image.shape[-1] == 1 else image)


def _cell(table: Table, row: int, column: int) -> str:
    images = table.rows[row]
    image = images[column] if column < len(images) else None
    if image is None:
        return "<span></span>"
    title = html.escape(table.titles[row][column]) if table.titles else ""
    kinds = ["mean"] if column == table.marked else []
    kinds += ["chosen"] if (row, column) == table.chosen else []
    kinds += ["smooth"] if len(image) >= MOST_SHOWN_PX else []
    source = inline(shown_picture(image))
    drawn = f'<img src="{source}" alt="{title}" title="{title}" class="{" ".join(kinds)}">'
    return f"<div>{drawn}<span>{title}</span></div>" if table.beneath else drawn


_STYLE = f"""<style>
.ups-pictures {{ position: relative; }}
.ups-pictures > div:last-child {{ display: grid; gap: 3px; align-items: center; }}
.ups-pictures img {{ width: 100%; image-rendering: pixelated; display: block; }}
.ups-pictures img.smooth {{ image-rendering: auto; }}
.ups-pictures img.mean {{ outline: 2px solid {ACCENT}; outline-offset: -1px; }}
.ups-pictures img.chosen {{ outline: 3px solid {ACCENT}; box-shadow: 0 0 0 5px #fff; z-index: 1;
  position: relative; }}
.ups-pictures span {{ font-size: .8rem; line-height: 1.15; text-align: center;
  overflow-wrap: anywhere; }}
.ups-pictures div > img + span {{ display: block; padding: .4rem 0 .3rem; }}
.ups-pictures span.left {{ text-align: right; padding-right: .4rem; }}
.ups-pictures span.mean {{ font-weight: 700; color: {ACCENT}; }}
.ups-pictures .note {{ position: absolute; bottom: 4px; right: 4px; z-index: 2;
  background: #1F2424CC; color: #fff; font-size: .75rem; padding: 1px 7px; border-radius: 3px; }}
</style>"""
