"""What StyleGAN.pytorch left behind: its log as curves, its folder as a table of samples."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core import intake, store
from core.settings import settings
from models.config import Row
from models.old_runs import OldSample, by_depth
from models.progressive import size_of_depth
from models.scales import Image
from models.series import curve
from ui import cached, charts, train_charts
from ui.errors import plain, shown_errors
from ui.language import _
from ui.picture_table import Table, table_html
from ui.quantities import value_text

_WIDEST_PX = 240
_MANY = 40
"""Lines from which on the few largest losses are left out of a chart's range."""


def style_log(title: str, rows: Sequence[Row], *, key: str) -> None:
    """Draw the losses of a log over its steps, where depths begin, and what each depth took."""
    steps = _steps(rows)
    shown = [{**row, "step": step} for row, step in zip(rows, steps, strict=True)]
    curves = [
        (words, curve(shown, name))
        for name, words in (("critic", _("discriminator")), ("generator", _("generator")))
    ]
    figure = train_charts.compared(
        curves, title=_("Losses of the log of {title}").format(title=title), x=_("Step"),
        y=_("Loss"),
    )  # fmt: skip
    depths = [row.get("depth") for row in rows]
    begins = [steps[at] for at in range(1, len(rows)) if depths[at] != depths[at - 1]]
    figure.update_layout(
        shapes=[
            {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": at, "x1": at,
             "line": {"color": "#9AA5A5", "width": 1, "dash": "dot"}}
            for at in begins
        ]
    )  # fmt: skip
    values = np.concatenate([found.y for _name, found in curves])
    if len(values) > _MANY:
        low, high = np.quantile(values, [0.01, 0.99])
        margin = 0.1 * max(high - low, 1e-6)
        figure.update_yaxes(range=[low - margin, high + margin])
    st.plotly_chart(figure, config=charts.config(), width="stretch", key=key)
    st.caption(
        _(
            "One point a line of the log, means where there are many; dotted: the next depth"
            " begins. The largest and smallest hundredth may lie outside the chart."
        )
    )
    st.dataframe(_depth_table(rows), hide_index=True, width="stretch")


def _steps(rows: Sequence[Row]) -> list[int]:
    """Return the steps of a log; one that goes back is of a run that went on, counted on."""
    found: list[int] = []
    before = last = 0
    for row in rows:
        step = int(row["step"])
        if step < last:
            before += last
        last = step
        found.append(before + step)
    return found


def _depth_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return lines, epochs, time and last losses of each depth that a log tells of."""
    depths = dict.fromkeys(row.get("depth") for row in rows)
    table = []
    for depth in depths:
        own = [row for row in rows if row.get("depth") == depth]
        epochs = {row["epoch"] for row in own if "epoch" in row}
        last = own[-max(1, len(own) // 10) :]
        table.append({
            _("Depth"): "–" if depth is None else str(depth),
            _("Pixels of a side"): "–" if depth is None else str(size_of_depth(depth)),
            _("Lines"): len(own),
            _("Epochs"): str(len(epochs) or "–"),
            _("Minutes"): f"{max(0, own[-1]['seconds'] - own[0]['seconds']) / 60:.1f}",
            _("Loss D, last tenth"): _mean(last, "critic"),
            _("Loss G, last tenth"): _mean(last, "generator"),
        })  # fmt: skip
    return pd.DataFrame(table)


def _mean(rows: Iterable[Row], name: str) -> str:
    values = [row[name] for row in rows if name in row]
    return value_text(float(np.mean(values))) if values else "–"


def style_folder() -> None:
    """Draw the choice of a folder of StyleGAN.pytorch, and what lies in it."""
    st.markdown(_("#### A folder of StyleGAN.pytorch"))
    root = settings().data.resolve()
    names = cached.old_style_folders(str(root))
    chosen = st.selectbox(
        _("A folder of the server's data folder"), names, index=None, key="old-style-folder",
        placeholder=_("{count} folders").format(count=len(names)) if names
        else _("None holds samples (gen_….png) or weights (GAN_GEN_….pth)"),
        disabled=not names,
        help=_("The folder is {folder}.").format(folder=plain(str(root))),
    )  # fmt: skip
    if chosen is None:
        return
    with shown_errors():
        found = cached.old_style_run(str(store.inside(root, chosen) if chosen != "." else root))
        text = _(
            "Sheets of samples: {sheets}. Files of weights: {weights}. Lines of the log: {lines}."
        )
        st.caption(
            text.format(
                sheets=value_text(len(found.samples)), weights=value_text(len(found.weights)),
                lines=value_text(len(found.rows)),
            )
        )  # fmt: skip
        if found.samples:
            _sheets(found.samples)
        if found.rows:
            style_log(chosen, found.rows, key="old-style-curves")


def _sheets(samples: Sequence[OldSample]) -> None:
    """Draw the sheets by depth and quarter of its epochs, and one of all in full."""
    table = by_depth(samples)
    rows, titles, left = [], [], []
    for depth, chosen in table.items():
        rows.append([None if one is None else _small(one) for one in chosen])
        titles.append(["" if one is None else _words(one) for one in chosen])
        last = max(one.epoch for one in samples if one.depth == depth)
        epochs = _("epochs: {count}").format(count=value_text(last))
        left.append(f"{_('{size} px').format(size=size_of_depth(depth))} · {epochs}")
    above = [_("a quarter of the epochs"), _("half"), _("three quarters"), _("all")]
    if rows:
        shown = Table(rows=rows, titles=titles, above=above, left=left, most_px=_WIDEST_PX)
        st.html(table_html(shown))
        st.caption(
            _(
                "The last sheet of each quarter of a depth's epochs; StyleGAN.pytorch draws the"
                " same latents each time."
            )
        )
    at = len(samples) - 1
    if at > 0:
        at = st.select_slider(
            _("One sheet in full"), range(len(samples)), at, key="old-style-sheet",
            format_func=lambda number: _words(samples[number]),
        )  # fmt: skip
    left_place, _right = st.columns(2)
    image = _small(samples[at])
    if image is None:
        left_place.caption(_("This sheet cannot be read."))
    else:
        left_place.image(image if image.shape[2] == 3 else image[..., 0], width="stretch")
        left_place.caption(_words(samples[at]))


def _small(one: OldSample) -> Image | None:
    try:
        return cached.old_sheet(str(one.path), intake.stamp(one.path))
    except OSError:
        return None


def _words(one: OldSample) -> str:
    return _("{size} px, epoch {epoch}, batch {batch}").format(
        size=size_of_depth(one.depth), epoch=one.epoch, batch=one.batch
    )
