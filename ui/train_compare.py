"""Several runs, and old tables, side by side: curves, samples at one step, settings."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import streamlit as st

from models import history, runs
from models.config import Row
from models.series import By, Curve, at_or_before, curve
from ui import cached, charts, train_charts
from ui.choice import distinct, held_choice
from ui.errors import plain
from ui.language import _
from ui.quantities import value_text
from ui.server import workspace
from ui.state import TrainView, draw_showing, widget_value
from ui.train_words import run_line, setting_words, told_apart, unlike_note

_MOST = 8
_STEP = "compare-step"
_CHOSEN = "compare-chosen"


def compare(found: list[runs.Run], view: TrainView) -> None:
    """Draw the comparison of the chosen runs and tables."""
    # A StyleGAN's log tells neither epochs nor smoothed losses that could be laid beside others.
    tables = (one for one in history.old_runs(workspace().root) if not one.is_style)
    old = {one.id: one for one in tables}
    by_id = {one.id: one for one in found}
    chosen = _choice(by_id, old, view)
    if len(chosen) < 2:
        st.info(_("Choose at least two runs, or a run and an old table."))
    if not chosen:
        return
    left, right = st.columns(2)
    names = _figures()
    ours = [by_id[name] for name in chosen if name in by_id]
    kinds = [one.config.adversary.objective for one in ours]
    kinds += ["wasserstein" for name in chosen if name in old]
    # Losses of different kinds say nothing beside each other: what was measured alike comes first.
    first = "swd_mean" if len(set(kinds)) > 1 and ours else "critic_smooth"
    figure = held_choice(_("Figure"), names, view.draft, "figure", value=first, place=left)
    clocks = {str(name): train_charts.x_words(name) for name in _CLOCKS}
    by = _clock(held_choice(_("Against"), clocks, view.draft, "by", place=right))
    titles = _titles(chosen, by_id, old)
    curves = []
    for name in chosen:
        if name in by_id:
            rows: Sequence[Row] = _rows(by_id[name], figure)
            found_curve = curve(rows, figure, by=by, plan=runs.plan_of(by_id[name]))
        else:
            found_curve = curve(old[name].rows, figure, by=by)
        curves.append((titles[name], found_curve))
    _curves(curves, names[figure], train_charts.x_words(by))
    if figure in _LOSSES:
        unlike_note(kinds)
    _samples(ours, titles, view)
    _settings(ours, titles)


_LOSSES = {"critic_smooth", "generator_smooth", "distance_smooth"}
_CLOCKS: tuple[By, ...] = ("epoch", "step", "images", "minutes")


def _clock(name: str) -> By:
    return next(one for one in _CLOCKS if one == name)


def _figures() -> dict[str, str]:
    return {
        "critic_smooth": _("Critic's loss, smoothed"),
        "generator_smooth": _("Generator's loss, smoothed"),
        "distance_smooth": _("Estimated earth mover's distance, smoothed"),
        "swd_mean": _("Sliced Wasserstein distance (thousandths)"),
        "diversity": _("Diversity (1: as real pictures)"),
        "nearest_ratio": _("Distance to the nearest training picture (1: as among these)"),
        "score_distance": _("Distance of the scores"),
        "lr": _("Learning rate"),
    }


def _choice(
    by_id: dict[str, runs.Run], old: dict[str, history.OldRun], view: TrainView
) -> list[str]:
    lines = {name: run_line(one) for name, one in by_id.items()}
    text = _("{title} · old table, {count} epochs")
    lines |= {name: text.format(title=one.title, count=len(one.rows)) for name, one in old.items()}
    lines = distinct(lines)
    view.compared = list(dict.fromkeys(one for one in view.compared if one in lines))[:_MOST]
    if not view.compared:
        view.compared = list(lines)[:2]

    def changed() -> None:
        view.compared = list(widget_value(_CHOSEN))

    draw_showing(
        view.compared, st.multiselect, _("Runs and old tables"), list(lines), key=_CHOSEN,
        on_change=changed, format_func=lambda name: lines[name], max_selections=_MOST,
    )  # fmt: skip
    return view.compared


def _titles(
    chosen: Sequence[str], by_id: dict[str, runs.Run], old: dict[str, history.OldRun]
) -> dict[str, str]:
    return distinct({n: by_id[n].config.title if n in by_id else old[n].title for n in chosen})


def _rows(run: runs.Run, figure: str) -> list[Row]:
    """Return the rows of a figure; a measurement takes its clocks from the losses before it."""
    figures = cached.follower(str(run.folder.resolve())).read()
    clocks: Row = {}
    found = []
    for row in sorted([*figures.training, *figures.measured], key=lambda one: int(one["step"])):
        if "images" in row:
            clocks = {"images": row["images"], "seconds": row["seconds"]}
        elif figure in row:
            row = {**clocks, **row}
        found.append(row)
    return found


def _curves(curves: Sequence[tuple[str, Curve]], title: str, x: str) -> None:
    without = [name for name, found in curves if not len(found.x)]
    figure = train_charts.compared(
        [pair for pair in curves if len(pair[1].x)], title=title, x=x, y=title
    )
    st.plotly_chart(figure, config=charts.config(), width="stretch", key="compare-curves")
    if without:
        text = _("This figure, or this clock, is not known of: {names}.")
        st.caption(text.format(names=plain(", ".join(without))))


def _samples(ours: Sequence[runs.Run], titles: dict[str, str], view: TrainView) -> None:
    """Draw the sheets of all runs at one step, or the newest before it."""
    sheets = {one.id: runs.samples(one.folder) for one in ours}
    steps = sorted({step for found in sheets.values() for step in found})
    if not steps:
        return

    def moved() -> None:
        view.step = int(widget_value(_STEP))

    shown = steps[-1] if view.step is None else at_or_before(steps, view.step)
    if len(steps) > 1:
        draw_showing(
            shown, st.select_slider, _("Step of the samples"), steps, key=_STEP, on_change=moved,
            format_func=lambda step: value_text(step),
        )  # fmt: skip
    boxes = st.columns(min(max(len(ours), 2), 4))
    for number, one in enumerate(ours):
        step = at_or_before(list(sheets[one.id]), shown or 0)
        if step is None:
            continue
        box = boxes[number % len(boxes)]
        with suppress(OSError):
            box.image(sheets[one.id][step].read_bytes(), width="stretch")
        text = _("{title}, step {step}")
        box.caption(text.format(title=plain(titles[one.id]), step=value_text(step)))


def _settings(ours: Sequence[runs.Run], titles: dict[str, str]) -> None:
    """Draw the settings in which the runs differ."""
    if len(ours) < 2:
        return
    settings = {titles[one.id]: runs.settings_of(one.config) for one in ours}
    names = dict.fromkeys(name for found in settings.values() for name in found if name != "title")
    rows: list[dict[str, Any]] = []
    for name in names:
        values = [found.get(name) for found in settings.values()]
        if any(value != values[0] for value in values):
            words = dict(zip(settings, told_apart(values), strict=True))
            rows.append({_("Setting"): setting_words(name), **words})
    st.markdown(_("Settings in which they differ"))
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    else:
        st.caption(_("None: the runs differ by chance alone, if at all."))
