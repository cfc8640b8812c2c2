"""A figure drawn on the page: a quick preview first where it takes time, then picture by picture.

Between two pictures Streamlit looks whether something was moved meanwhile: then this run ends there
and the newest request is drawn. What was finished is kept.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from models.catalogue import Entry
from models.progressive import size_of_depth
from ui import cached_models
from ui.generate_inputs import check_count
from ui.generate_models import channels_of
from ui.generate_words import classes_html
from ui.language import _
from ui.picture_table import Table, table_html
from ui.quantities import left_text
from ui.server import workspace

if TYPE_CHECKING:
    from models.figures import Figure, Picture
    from models.generate import Look
    from models.loaded import Loaded

PREVIEW_FROM_S = 0.4
"""A figure that takes longer is drawn as a preview first."""
COARSE_FROM_S = 2.0
"""From here on the preview is the coarsest."""
_LEAST_PX, _TALLEST_PX = 64, 540
_UNKNOWN_S = 0.05
"""What a picture is taken to need before the first was made."""
_PAINT_S = 0.7
"""Between two looks at what is finished of a figure."""
_PENDING = np.full((1, 1, 1), 228, np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What stands around the pictures of a figure, plain text."""

    above: Sequence[str] = ()
    left: Sequence[str] = ()
    titles: Sequence[str] = ()
    """Of each picture, by its number."""
    marked: int | None = None
    """A column to frame."""
    chosen: int | None = None
    """Number of the chosen picture."""
    beneath: bool = False
    """Whether the titles are also read beneath the pictures."""
    most_px: int = 256
    """Widest that a picture is drawn; less where many rows are to be seen at once."""


def draw(model: "Loaded", entry: Entry, figure: "Figure", labels: Labels) -> list["Picture"]:
    """Draw a figure and return its finished pictures.

    Raises:
        InputError: It has more pictures than a page shows.
        TooLargeError: They take more room than there is for finished pictures.
    """
    from models import figures, previews

    check_count(len(figure))
    finished = cached_models.finished()
    figures.check_room(model, figure, finished)
    place, line = st.empty(), st.empty()
    missing = figures.missing(model, figure, finished)
    paces = {at: finished.seconds(model, figure.depths[at]) or _UNKNOWN_S for at in missing}
    needed = sum(paces.values())
    if needed <= PREVIEW_FROM_S:
        made = dict(figures.drawn(model, figure, finished))
    else:
        made = _in_time(model, entry, figure, labels, place, line, missing=missing, needed=needed)
    place.html(table_html(_table(entry, figure, made, labels)))
    line.empty()
    if needed > PREVIEW_FROM_S:
        previews.learn(model, figure, made, most_px=_preview_px(needed))
    return [made[at] for at in range(len(figure))]


def _preview_px(needed: float) -> int:
    return 16 if needed > COARSE_FROM_S else 32


def _in_time(
    model: "Loaded", entry: Entry, figure: "Figure", labels: Labels, place: Any, line: Any, *,
    missing: list[int], needed: float,
) -> dict[int, "Picture"]:  # fmt: skip
    """Make a figure that takes time, a preview first; what is finished is shown as it comes."""
    from models import figures, previews

    finished = cached_models.finished()
    known = [at for at in range(len(figure)) if at not in set(missing)]
    made = dict(figures.drawn(model, figure, finished, only=known))
    rough, note = {}, ""
    quick = previews.preview(model, figure, finished, most_px=_preview_px(needed))
    if quick is not None:
        for at, picture in figures.drawn(model, quick, finished, only=missing):
            rough[at] = picture
            line.progress(len(rough) / len(missing), text=_("Preview"))
        note = _("Preview") + f" · {quick.size_px} px"

    def painted() -> float:
        began = time.monotonic()
        place.html(table_html(_table(entry, figure, rough | made, labels), note=note))
        # However long the table takes to pack, pictures take most of the time.
        return time.monotonic() + max(_PAINT_S, 5 * (time.monotonic() - began))

    due = painted()
    for at, picture in figures.drawn(model, figure, finished, only=missing):
        made[at] = picture
        done = (len(made) - len(known)) / len(missing)
        left = left_text(needed * (1 - done)) if needed > 1 else ""
        words = _("Making the pictures")
        text = f"{words} · {len(made)}/{len(figure)} {left}"
        line.progress(len(made) / len(figure), text=text)
        if time.monotonic() >= due:
            due = painted()
    return made


def _table(
    entry: Entry, figure: "Figure", pictures: Mapping[int, "Picture"], labels: Labels
) -> Table:
    """Return the table of a figure; a picture that was not made yet is a grey place."""
    from models import figures

    channels = channels_of(entry)
    images = [
        figures.as_shown(pictures[at], channels) if at in pictures else _PENDING
        for at in range(len(figure))
    ]
    titles = list(labels.titles) or [""] * len(images)
    chosen = None
    for row, cells in enumerate(figure.cells):
        if labels.chosen is not None and labels.chosen in cells:
            chosen = row, cells.index(labels.chosen)
    return Table(
        rows=[[None if at is None else images[at] for at in row] for row in figure.cells],
        titles=[["" if at is None else titles[at] for at in row] for row in figure.cells],
        above=labels.above,
        left=labels.left,
        marked=labels.marked,
        chosen=chosen,
        beneath=labels.beneath,
        most_px=max(_LEAST_PX, min(labels.most_px, _TALLEST_PX // len(figure.cells))),
    )


def told(command: str, model: "Loaded", entry: Entry, look: "Look", **more: Any) -> dict[str, Any]:
    """Return what a figure is made of, as the command line writes it, with versions.

    Raises:
        InputError: A value of the look is out of what the model can do.
    """
    from core.record import code_version, versions
    from models import generate

    known = versions()
    return {
        "command": command,
        "model": entry.digest,
        "model_id": entry.id,
        "look": generate.checked(model, look).body(),
        **more,
        "code": code_version("models"),
        "versions": {name: known[name] for name in ("python", "numpy", "torch") if name in known},
    }


def figure_of(model: "Loaded", settings: dict[str, Any]) -> "Figure":
    """Return the figure of settings as `told` returns them; see `remade.figure_of`."""
    from models import remade

    return remade.figure_of(model, settings, workspace().root)


def made_of(entry: Entry, settings: dict[str, Any]) -> tuple["Figure", list["Picture"]]:
    """Return a figure and its pictures: those that are kept, and what is missing made now."""
    from models import figures

    model = cached_models.loaded(entry)
    figure = figure_of(model, settings)
    made = dict(figures.drawn(model, figure, cached_models.finished()))
    return figure, [made[at] for at in range(len(figure))]


def sheet_download(entry: Entry, settings: dict[str, Any], *, place: Any = st) -> None:
    """Draw the button that saves the figure as a PNG with its settings inside.

    As long as it stands Streamlit keeps what it was given: settings, no pictures.
    """
    place.download_button(
        _("PNG with its settings"),
        partial(_sheet, entry, settings),
        file_name=f"{settings['command']}-{entry.digest[:8]}.png",
        mime="image/png",
        width="stretch",
        on_click="ignore",
        help=_("Every pixel as it was made; the file says what it was made of and opens again."),
        key="generate-png",
    )


def _sheet(entry: Entry, settings: dict[str, Any]) -> bytes:
    from models import exports, figures

    figure, pictures = made_of(entry, settings)
    return exports.png_bytes(figures.sheet(figure, pictures, channels_of(entry)), settings)


def said(entry: Entry, figure: "Figure", *, psi: str) -> None:
    """Write beneath a figure how it was made."""
    look = figure.look
    smallest = size_of_depth(min(figure.depths))
    size = f"{figure.size_px}" if smallest == figure.size_px else f"{smallest}–{figure.size_px}"
    noise = (
        _("without noise")
        if look.noise_seed is None
        else _("noise of seed {seed}").format(seed=look.noise_seed)
    )
    way = _("layer by layer") if look.way == "plain" else _("exact")
    parts = [
        _("{count} pictures of {size} px").format(count=len(figure), size=size),
        psi, noise, way, _("weights {digest}").format(digest=entry.digest[:16]),
    ]  # fmt: skip
    if legend := classes_html(channels_of(entry)):
        st.html(legend)
    st.caption(" · ".join(part for part in parts if part))
