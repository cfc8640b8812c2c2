"""A figure drawn on the page: a quick preview first where it takes time, then picture by picture.

Between two pictures Streamlit looks whether something was moved meanwhile: then this run ends there
and the newest request is drawn. What was finished is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import InputError
from core.text import N_
from models.catalogue import Entry
from ui import cached_models
from ui.generate_inputs import MOST_PAGE
from ui.generate_models import channels_of
from ui.language import _
from ui.picture_table import Table, table_html
from ui.quantities import left_text

if TYPE_CHECKING:
    from models.figures import Figure, Picture
    from models.loaded import Loaded

PREVIEW_FROM_S = 0.4
"""A figure that takes longer is drawn as a preview first."""
COARSE_FROM_S = 2.0
"""From here on the preview is the coarsest."""
_LEAST_PX, _TALLEST_PX = 64, 540
_UNKNOWN_S = 0.05
"""What a picture is taken to need before the first was made."""


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
    most_px: int = 256
    """Widest that a picture is drawn; less where many rows are to be seen at once."""


def draw(model: "Loaded", entry: Entry, figure: "Figure", labels: Labels) -> list["Picture"]:
    """Draw a figure and return its finished pictures.

    Raises:
        InputError: It has more pictures than a page shows.
    """
    from models import figures

    if len(figure) > MOST_PAGE:
        raise InputError(
            N_("A page shows at most {most} pictures, not {count:,}."),
            hint=N_("The command line makes more: python -m models sample."),
            most=MOST_PAGE, count=len(figure),
        )  # fmt: skip
    finished = cached_models.finished()
    place, line = st.empty(), st.empty()
    missing = figures.missing(model, figure, finished)
    paces = [finished.seconds(model, figure.depths[at]) or _UNKNOWN_S for at in missing]
    if sum(paces) > PREVIEW_FROM_S:
        quick = figures.preview(model, figure, most_px=16 if sum(paces) > COARSE_FROM_S else 32)
        _drawn(model, entry, quick, labels, place, line, note=_("Preview"))
    made = _drawn(model, entry, figure, labels, place, line, paces=paces)
    line.empty()
    return made


def _drawn(
    model: "Loaded", entry: Entry, figure: "Figure", labels: Labels, place: Any, line: Any, *,
    note: str = "", paces: Sequence[float] = (),
) -> list["Picture"]:  # fmt: skip
    from models import figures

    made: dict[int, Picture] = {}
    is_slow = bool(note) or sum(paces) > PREVIEW_FROM_S
    for at, picture in figures.drawn(model, figure, cached_models.finished()):
        made[at] = picture
        if is_slow:
            done = len(made) / len(figure)
            left = left_text(sum(paces) * (1 - done)) if sum(paces) > 1 else ""
            words = note or _("Making the pictures")
            line.progress(done, text=f"{words} · {len(made)}/{len(figure)} {left}")
    pictures = [made[at] for at in range(len(figure))]
    if note:
        note += f" · {max(len(one[0]) for one in pictures)} px"
    place.html(table_html(_table(entry, figure, pictures, labels), note=note))
    return pictures


def _table(entry: Entry, figure: "Figure", pictures: Sequence["Picture"], labels: Labels) -> Table:
    from models import figures

    channels = channels_of(entry)
    images = [figures.as_shown(one, channels) for one in pictures]
    titles = list(labels.titles) or [""] * len(pictures)
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
        most_px=max(_LEAST_PX, min(labels.most_px, _TALLEST_PX // len(figure.cells))),
    )


def told(command: str, entry: Entry, figure: "Figure", **more: Any) -> dict[str, Any]:
    """Return what a figure was made of, as the command line writes it, with versions."""
    from core.record import code_version, versions

    known = versions()
    return {
        "command": command,
        "model": entry.digest,
        "model_id": entry.id,
        "look": figure.look.body(),
        **more,
        "code": code_version("models"),
        "versions": {name: known[name] for name in ("python", "numpy", "torch") if name in known},
    }


def sheet_download(
    entry: Entry, figure: "Figure", pictures: Sequence["Picture"], settings: dict[str, Any],
    *, place: Any = st,
) -> None:  # fmt: skip
    """Draw the button that saves the figure as a PNG with its settings inside."""
    place.download_button(
        _("PNG with its settings"),
        partial(_sheet, entry, figure, pictures, settings),
        file_name=f"{settings['command']}-{entry.digest[:8]}.png",
        mime="image/png",
        width="stretch",
        on_click="ignore",
        help=_("Every pixel as it was made; the file says what it was made of and opens again."),
        key="generate-png",
    )


def _sheet(
    entry: Entry, figure: "Figure", pictures: Sequence["Picture"], settings: dict[str, Any]
) -> bytes:
    from models import exports, figures

    return exports.png_bytes(figures.sheet(figure, pictures, channels_of(entry)), settings)


def said(entry: Entry, figure: "Figure", *, psi: str) -> None:
    """Write beneath a figure how it was made."""
    look = figure.look
    noise = (
        _("without noise")
        if look.noise_seed is None
        else _("noise of seed {seed}").format(seed=look.noise_seed)
    )
    way = _("layer by layer") if look.way == "plain" else _("exact")
    parts = [
        _("{count} pictures of {size} px").format(count=len(figure), size=figure.size_px),
        psi, noise, way, _("weights {digest}").format(digest=entry.digest[:16]),
    ]  # fmt: skip
    st.caption(" · ".join(part for part in parts if part))
