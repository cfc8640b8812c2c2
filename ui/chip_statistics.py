"""Figures of a set as charts, and its warnings in words with numbers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from core.chips.channels import Channel
from core.chips.selection import WARNINGS, Wanted, cover_shares, covers_of, dates_of, warned
from core.chips.sets import ChipSet, SetInfo
from core.chips.statistics import ChannelFigures, Figures
from core.text import filled
from core.workspace import Area
from ui import cached_chips, charts
from ui.chip_view import ChipView
from ui.chip_words import SPLIT_COLOURS, channel_name, cover_name, split_names
from ui.errors import plain
from ui.language import _
from ui.quantities import value_text

_MOST_CHANNELS = 12
_CHIPS_A_SECOND = 8000
"""Looked through for blur and near duplicates; measured by benchmarks/chips.py."""


def statistics_panel(chips: ChipSet, area: Area | None, view: ChipView) -> None:
    """Draw warnings, channels, land cover and dates."""
    info = chips.info
    _warnings(info, view)
    found = cached_chips.chip_figures(info.id, info.digest)
    st.plotly_chart(
        channel_chart(found, area), config=charts.config(), width="stretch", key="chip-channels"
    )
    looked = ", ".join(
        _("{some:,} of {all:,} for {split}").format(
            some=count, all=info.splits[split], split=split_names()[split]
        )
        for split, count in found.looked_at.items()
    )
    st.caption(_("From the pixels of these chips: {looked}.").format(looked=looked))
    st.dataframe(pd.DataFrame(_rows(found, area)), hide_index=True, width="stretch")
    codes = covers_of(chips.table)
    if codes:
        st.plotly_chart(
            cover_chart(info, cover_shares(chips.table, codes), codes),
            config=charts.config(), width="stretch", key="chip-cover",
        )  # fmt: skip
    counts = dates_of(chips.table) or _sources(chips)
    if len(counts) > 1:
        st.plotly_chart(
            count_chart(counts), config=charts.config(), width="stretch", key="chip-dates"
        )


def _warnings(info: SetInfo, view: ChipView) -> None:
    st.markdown(_("**Warnings**"))
    if view.looked_through != info.digest:
        seconds = max(1, round(info.count / _CHIPS_A_SECOND))
        st.caption(_("About {time} s.").format(time=seconds))
        if st.button(_("Look for blur, near duplicates and missing pixels")):
            with st.spinner(_("Looking for blur and near duplicates")):
                cached_chips.chip_quality(info.id, info.digest)
            view.looked_through = info.digest
            st.rerun()
        return
    found = cached_chips.chip_quality(info.id, info.digest)
    notes = found.notes()
    if not notes:
        st.success(_("No chip is blurred, nearly like another one, or has missing pixels."))
    told = [name for name in WARNINGS if len(warned(name, found))]
    for name, (text, values) in zip(told, notes, strict=True):  # in the same order
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.warning(plain(filled(text, values, _)))
        if right.button(_("Show them"), key=f"warned-{name}", width="stretch"):
            view.show(Wanted(warning=name))
            st.rerun()


def channel_chart(found: Figures, area: Area | None) -> go.Figure:
    """Draw how often each value occurs, a panel a channel, train over test."""
    names = list(dict.fromkeys(row.channel for row in found.rows))[:_MOST_CHANNELS]
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    titles = [charts.as_text(_title(channel, area)) for channel in names]
    figure = make_subplots(rows=lines, cols=columns, subplot_titles=titles, horizontal_spacing=0.06)
    for row in found.rows:
        if row.channel not in names:
            continue
        at = names.index(row.channel)
        figure.add_trace(_line(row, at == 0), row=at // columns + 1, col=at % columns + 1)
    height = 110 + 190 * lines
    charts.frame(figure, title=_("Are train and test alike?"), x="", y="", height=height)
    figure.update_layout(showlegend=True, margin={"t": 80}, legend={
        "orientation": "h", "y": 1, "yref": "container", "yanchor": "top",
        "x": 1, "xanchor": "right"})  # fmt: skip
    figure.update_yaxes(title_text=_("Share of pixels (%)"), col=1)
    return figure


def _title(channel: Channel, area: Area | None) -> str:
    """Return the name of a channel with its unit, or the range of its numbers."""
    unit = channel.unit or f"{channel.low:g}–{channel.high:g}"
    return f"{channel_name(channel, area)} ({unit})"


def _line(row: ChannelFigures, is_named: bool) -> go.Scatter:
    low, high = row.channel.low, row.channel.high
    centres = low + (np.arange(len(row.counts)) + 0.5) / len(row.counts) * (high - low)
    return go.Scatter(
        x=centres,
        y=100 * row.counts / max(int(row.counts.sum()), 1),
        name=split_names()[row.split],
        legendgroup=row.split,
        showlegend=is_named,
        line={"color": SPLIT_COLOURS[row.split], "width": 1.6,
              "dash": "solid" if row.split == "train" else "dash"},
        hovertemplate="%{x:.4g}: %{y:.2f} %<extra></extra>",
    )  # fmt: skip


def cover_chart(info: SetInfo, shares: Mapping[str, list[float]], codes: list[int]) -> go.Figure:
    """Draw the mean share of each class in the chips of train beside those of test."""
    order = codes[::-1]
    figure = go.Figure()
    for split, values in shares.items():
        by_code = dict(zip(codes, values, strict=True))
        figure.add_trace(
            go.Bar(
                y=list(range(len(order))),
                x=[100 * by_code[code] for code in order],
                orientation="h",
                name=split_names()[split],
                marker={
                    "color": SPLIT_COLOURS[split],
                    "pattern": {
                        "shape": "" if split == "train" else "/",
                        "fgcolor": "#FFFFFF",
                        "fillmode": "replace",
                        "bgcolor": SPLIT_COLOURS[split],
                    },
                },
                hovertemplate="%{x:.1f} %<extra></extra>",
            )
        )
    title = _("What lies under the chips")
    charts.frame(figure, title=title, x=_("Mean share of a chip (%)"), y="",
                 height=110 + 34 * len(order))  # fmt: skip
    charts.name_rows(figure, [cover_name(info, code) for code in order])
    figure.update_layout(showlegend=True, barmode="group", yaxis={"automargin": True})
    return figure


def count_chart(counts: dict[str, int]) -> go.Figure:
    """Draw how many chips there are of each date or source."""
    names = list(counts)
    figure = go.Figure(
        go.Bar(x=list(range(len(names))), y=list(counts.values()), marker={"color": "#0B6E6E"},
               hovertemplate="%{y:,}<extra></extra>")
    )  # fmt: skip
    charts.frame(figure, title=_("Where the chips come from"), x="", y=_("Chips"))
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(names))),
        ticktext=[charts.as_text(name[:30]) for name in names],
    )  # fmt: skip
    return figure


def _sources(chips: ChipSet) -> dict[str, int]:
    if chips.info.made == "import":  # a row a file: nothing to count
        labels = chips.table.get("label")
        return {} if labels is None else labels.value_counts().sort_index().to_dict()
    return dict(chips.table["source"].value_counts().sort_index().to_dict())


def _rows(found: Figures, area: Area | None) -> list[dict[str, str]]:
    """Return a row a channel: mean and spread in train and in test."""
    names = split_names()
    rows: dict[Channel, dict[str, str]] = {}
    for row in found.rows:
        unit, split = row.channel.unit, names[row.split]
        own = rows.setdefault(row.channel, {_("Channel"): channel_name(row.channel, area)})
        own[_("Mean, {split}").format(split=split)] = value_text(row.mean, unit)
        own[_("Standard deviation, {split}").format(split=split)] = value_text(row.std, unit)
    return list(rows.values())
