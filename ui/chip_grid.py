"""Chips as a grid that is clicked: sheets of many chips, cut up by the browser.

One picture holds a page of chips; each chip is a button that shows its part of it. So a page of the
gallery is one request, which the browser keeps, and a click names a chip.
"""

import base64
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui.state import widget_value

_SMOOTH_FROM_PX = 48
_HTML = """
<div class="sheets"></div>
"""
_CSS = """
.sheets { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.85rem; }
.row { display: grid; gap: 4px; margin-bottom: 6px; }
.name { margin: 8px 0 3px; font-weight: 600; }
button { aspect-ratio: 1; width: 100%; padding: 0; border: 0; border-radius: 2px; cursor: pointer;
  background-color: var(--st-secondary-background-color); background-repeat: no-repeat; }
button:hover { outline: 2px solid var(--st-border-color); }
button:focus-visible { outline: 3px solid var(--st-text-color); }
button[aria-pressed="true"] { outline: 3px solid var(--st-primary-color); outline-offset: 1px;
  box-shadow: 0 0 0 5px #fff; z-index: 1; position: relative; }
"""
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".sheets");
  if (!root || !data) { return; }
  const rows = data.sheets.map((sheet) => {
    const row = document.createElement("div");
    row.className = "row";
    row.setAttribute("role", "group");
    row.style.gridTemplateColumns = sheet.fixed
      ? `repeat(${sheet.columns}, minmax(0, 1fr))`
      : `repeat(auto-fill, minmax(${data.side}px, 1fr))`;
    const lines = Math.ceil(sheet.chips.length / sheet.columns);
    sheet.chips.forEach((chip, at) => {
      const button = document.createElement("button");
      const column = at % sheet.columns, line = Math.floor(at / sheet.columns);
      const part = (number, count) => count > 1 ? 100 * number / (count - 1) : 0;
      button.type = "button";
      button.title = chip.title;
      button.setAttribute("aria-label", chip.title);
      button.setAttribute("aria-pressed", String(chip.number === data.chosen));
      button.style.backgroundImage = `url("${sheet.url}")`;
      button.style.backgroundSize = `${100 * sheet.columns}% ${100 * lines}%`;
      button.style.backgroundPosition =
        `${part(column, sheet.columns)}% ${part(line, lines)}%`;
      button.style.imageRendering = sheet.smooth ? "auto" : "pixelated";
      button.onclick = () => setTriggerValue("chosen", chip.number);
      row.append(button);
    });
    if (!sheet.name) { return [row]; }
    const name = document.createElement("div");
    name.className = "name";
    name.textContent = sheet.name;
    return [name, row];
  });
  root.replaceChildren(...rows.flat());
}
"""
_PICTURE = "image-rendering:pixelated;border-radius:3px"
_grid = st.components.v2.component("chip_grid", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Chips of one size: the address of their picture, and a line of plain text on each."""

    url: str
    size_px: int
    columns: int
    """Of the picture."""
    chips: tuple[tuple[int, str], ...]
    """Number and what is said of it."""
    name: str = ""
    """Said above; such a sheet keeps its columns, others fill the width."""


def inline(png: bytes) -> str:
    """Return a small picture as an address that holds its bytes.

    Streamlit's own pictures may be packed as JPEG, and are gone where a page runs again at once.
    """
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def picture_html(url: str, *, style: str, alt: str = "") -> str:
    """Return a picture as HTML, its pixels as they are."""
    return f'<img src="{html.escape(url)}" alt="{html.escape(alt)}" style="{_PICTURE};{style}">'


def chip_grid(
    sheets: Sequence[Sheet],
    *,
    chosen: int | None,
    on_choice: Callable[[int], None],
    key: str,
    side_px: int = 84,
) -> None:
    """Draw sheets one below another; a click on a chip calls `on_choice` with its number."""

    def taken() -> None:
        found: Any = widget_value(key)
        if found is not None and found.chosen is not None:
            on_choice(int(found.chosen))

    _grid(
        data={
            "chosen": chosen,
            "side": side_px,
            "sheets": [
                {
                    "url": sheet.url,
                    "columns": sheet.columns,
                    "smooth": sheet.size_px >= _SMOOTH_FROM_PX,
                    "name": sheet.name,
                    "fixed": bool(sheet.name),
                    "chips": [{"number": number, "title": title} for number, title in sheet.chips],
                }
                for sheet in sheets
            ],
        },
        key=key,
        on_chosen_change=taken,
    )
