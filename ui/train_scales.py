"""A StyleGAN's run by scale: what is trained now, and the same latents depth by depth."""

from pathlib import Path

import streamlit as st

from core import intake
from core.text import filled
from models import runs
from models.config import Row, RunConfig
from models.progressive import corrected, size_of_depth
from models.scales import Image, by_depth, row_of
from ui import cached
from ui.errors import plain
from ui.language import _
from ui.picture_table import Table, table_html
from ui.quantities import value_text
from ui.state import app_state
from ui.train_panels import Seen

_WIDEST_PX = 150


def scale_figures(seen: Seen) -> None:
    """Draw size, ground length of a pixel and share of the newest layers at the slider's step."""
    step = app_state().train.step
    row = _row(seen, seen.figures.step if step is None else step)
    if row is None:
        return
    boxes = st.columns(5)
    boxes[0].metric(
        _("Trains pictures of"), _("{size} px").format(size=row["size_px"]),
        help=_("Depth {depth}, counted from 0 at 4 px; the full size is {full} px.").format(
            depth=row["depth"], full=seen.run.config.networks.size_px
        ),
    )  # fmt: skip
    metres = row.get("metres_per_px")
    boxes[1].metric(
        _("Metres a pixel"),
        "–" if metres is None else value_text(metres),
        help=_("Ground length of a pixel of these pictures."),
    )
    boxes[2].metric(
        _("Newest layers"), f"{row['alpha']:.0%}",
        help=_("How far they have come in (alpha). The rest of a picture is that of the size below,"
               " enlarged."),
    )  # fmt: skip


def scale_words(seen: Seen) -> str:
    """Write what the slider's step trained, to stand after a caption; empty for other models."""
    row = _row(seen, seen.step or 0)
    if row is None:
        return ""
    parts = [_size_words(row["size_px"], row.get("metres_per_px"))]
    return " · ".join(["", *parts, *_fading(row)])


def real_at_scale(seen: Seen) -> tuple[Image, int] | None:
    """Return the sheet of real pictures as of the size that the slider's step trained, and that.

    None for other models and where there is no such sheet.
    """
    row, full = _row(seen, seen.step or 0), seen.run.config.networks.size_px
    path = seen.run.folder / "samples" / "reals.png"
    if row is None:
        return None
    try:
        found = cached.coarser_sheet(str(path), intake.stamp(path), full, row["size_px"])
    except OSError:  # taken away by a run that goes on from an earlier checkpoint
        return None
    return None if found is None else (found, row["size_px"])


def by_scale(seen: Seen) -> None:
    """Draw the same latents at each depth, over the quarters of its epochs, up to the slider."""
    config = seen.run.config
    sheets = {step: path for step, path in runs.samples(seen.run.folder).items()
              if step <= (seen.step or 0)}  # fmt: skip
    found = by_depth(config, seen.figures.training, sheets)
    if not found:
        st.info(_("No epoch has ended yet: pictures by scale come then."))
        return
    full, real = config.networks.size_px, seen.run.folder / "samples" / "reals.png"
    rows, titles, left = [], [], []
    for one in found:
        size = size_of_depth(one.depth)
        images = [None if step is None else _corner(sheets[step], full) for step in one.sheets]
        rows.append([*images, _corner(real, full, size)])
        said = ["" if step is None else _title(seen, step) for step in one.sheets]
        titles.append([*said, _("real pictures")])
        metres = seen.data.get("metres_per_px")
        ground = None if metres is None else metres * full / size
        epochs = _("epochs: {count}").format(count=value_text(one.epochs))
        left.append(f"{_size_words(size, ground)} · {epochs}")
    above = [
        _("a quarter of the epochs"), _("half"), _("three quarters"), _("all"),
        _("real, at this scale"),
    ]  # fmt: skip
    table = Table(rows=rows, titles=titles, above=above, left=left, marked=4, most_px=_WIDEST_PX)
    st.html(table_html(table))
    st.caption(
        _(
            "The same four latents in every place: the last sheet of each quarter of a depth's"
            " epochs, up to the slider. A place without a picture has no sheet yet."
        )
    )


def notes_before(config: RunConfig) -> None:
    """Say what would be done otherwise than was asked, and what to think of, before a run."""
    notes = [plain(filled(template, values, _)) for template, values in corrected(config)[1]]
    if notes:
        st.info("\n\n".join(notes))


def _row(seen: Seen, step: int) -> Row | None:
    """Return the row of a step where the model learns by scale."""
    row = row_of(seen.figures.training, step)
    return row if row is not None and "depth" in row else None


def _corner(path: Path, side_px: int, size_px: int | None = None) -> Image | None:
    try:
        stamp = intake.stamp(path)
    except OSError:  # taken away by a run that goes on from an earlier checkpoint
        return None
    return cached.sheet_corner(str(path), stamp, side_px, size_px or side_px)


def _size_words(size_px: int, metres: float | None) -> str:
    text = _("{size} px").format(size=size_px)
    if metres is None:
        return text
    return text + " · " + _("{metres} m a pixel").format(metres=value_text(metres))


def _fading(row: Row) -> list[str]:
    if row["alpha"] == 1:
        return []
    return [_("newest layers {share} in").format(share=f"{row['alpha']:.0%}")]


def _title(seen: Seen, step: int) -> str:
    row = _row(seen, step)
    assert row is not None
    text = _("epoch {epoch}, step {step}")
    said = text.format(epoch=value_text(row["epoch"] + 1), step=value_text(step))
    return " · ".join([said, *_fading(row)])
