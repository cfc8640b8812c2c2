"""Panels of a watched run, all at the step of the one slider."""

import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from models import runs
from models.config import Row
from models.follow import Figures
from models.plan import Plan
from models.series import at_or_before, at_step
from ui import charts, train_charts
from ui.language import _
from ui.quantities import value_text
from ui.train_words import config_words, loss_words, setting_words, value_words


@dataclass(frozen=True, slots=True)
class Seen:
    """What the monitor shows of a run at one moment."""

    run: runs.Run
    figures: Figures
    slot: dict[str, Any]
    """Where it computes; empty while it waits."""
    plan: Plan | None
    """How its steps are laid out; None while it waits."""
    reals: dict[str, Any]
    """What was measured of the real pictures; empty before the first step."""
    data: dict[str, Any]
    """Which pictures it learns from; empty before it has opened them."""
    step: int | None
    """Where the slider stands; None before the first sheet."""

    @property
    def ends(self) -> tuple[int, ...]:
        """Steps at which fits end, all but the last."""
        return () if self.plan is None else tuple(self.plan.ends()[:-1])

    @property
    def measured(self) -> Row | None:
        """The measurement that belongs to the slider's step; before the first one, that one."""
        measured = self.figures.measured
        return at_step(measured, self.step or 0) or next(iter(measured), None)


def panel_names(*, by_scale: bool) -> dict[str, str]:
    """Return the ids and names of the panels, in order."""
    return {
        "losses": _("Losses"),
        **({"scales": _("By scale")} if by_scale else {}),
        "scores": _("Scores"),
        "judgement": _("Judgement"),
        "pace": _("Rate and speed"),
        "log": _("Log and settings"),
    }


def _losses(seen: Seen) -> None:
    rows, adversary = seen.figures.training, seen.run.config.adversary
    marks: dict[str, Any] = {"at": seen.step, "ends": seen.ends}
    left, right = st.columns(2)
    _draw(left, train_charts.losses(rows, adversary, **marks), "losses")
    if adversary.objective == "wasserstein":
        _draw(right, train_charts.distance(rows, **marks), "distance")
    else:
        _draw(right, train_charts.mean_scores(rows, **marks), "mean-scores")
    st.caption(loss_words(adversary))
    if any(row.get("is_best") for row in rows):
        best = [row for row in rows if row.get("is_best")][-1]
        rule = value_words(seen.run.config.training.better)
        text = _("Best epoch so far: {epoch}, by the rule “{rule}”; its checkpoint is kept.")
        st.caption(text.format(epoch=best["epoch"] + 1, rule=rule))


def _scores(seen: Seen) -> None:
    row = seen.measured
    if row is None:
        _not_measured()
        return
    _told_later(seen, row)
    left, right = st.columns(2)
    _draw(left, train_charts.score_distributions(row), "scores")
    over = train_charts.score_distance(seen.figures.measured, at=seen.step, ends=seen.ends)
    _draw(right, over, "score-distance")
    st.caption(
        _(
            "Scores of the critic for 256 real pictures and 256 samples, both as in training (−1"
            " to 1), drawn from 41 quantiles. Apart: the 1-D earth mover's distance of the two,"
            " free of the sign a critic's scores happen to have."
        )
    )


def _judgement(seen: Seen) -> None:
    row = seen.measured
    if row is None:
        _not_measured()
        return
    _told_later(seen, row)
    measured = seen.figures.measured
    marks: dict[str, Any] = {"at": seen.step, "ends": seen.ends}
    left, right = st.columns(2)
    _draw(left, train_charts.sliced(measured, **marks), "sliced")
    _draw(right, train_charts.ratios(measured, **marks), "ratios")
    left, right = st.columns(2)
    if seen.reals:
        metres = seen.data.get("metres_per_px")
        side = metres * seen.data["size_px"] if metres else None
        chart = train_charts.spectrum(seen.reals["spectrum"], row, side_m=side)
        _draw(left, chart, "spectrum")
    with right:
        _nearest(seen)
    st.caption(
        _(
            "256 samples of latents that never change against 256 real ones that never change."
            " There is no Fréchet inception distance (FID) here: its network is a download, and it"
            " was taught on photographs of things, not on ground seen from above."
        )
    )


def _nearest(seen: Seen) -> None:
    """Show the samples that lie nearest to a training picture, above those."""
    sheets = runs.samples(seen.run.folder, "nearest")
    step = at_or_before(list(sheets), seen.step or 0)
    row = next((one for one in seen.figures.measured if one["step"] == step), None)
    if step is None or row is None or not row.get("nearest"):
        return
    st.markdown(_("Above: samples nearest to a training picture. Below: that picture."))
    with suppress(OSError):
        st.image(sheets[step].read_bytes(), width="stretch")
    usual = seen.reals.get("nearest_other") or 0.0
    text = _(
        "Step {step}. Differences {distances} of 255 (root mean square); between a training picture"
        " and its own nearest it is usually {usual}."
    )
    distances = ", ".join(f"{one['distance']:.0f}" for one in row["nearest"])
    st.caption(text.format(step=value_text(step), distances=distances, usual=f"{usual:.0f}"))


def _pace(seen: Seen) -> None:
    training, rows = seen.run.config.training, seen.figures.training
    left, right = st.columns(2)
    done = float(seen.plan.epochs_at(seen.figures.step)) if seen.plan else None
    chart = train_charts.learning_rates(training.schedule, training.lr, training.fits, done=done)
    _draw(left, chart, "rates")
    marks: dict[str, Any] = {"at": seen.step, "ends": seen.ends}
    _draw(right, train_charts.gradients(rows, **marks), "gradients")
    left, right = st.columns(2)
    speeds = [
        {"step": new["step"], "speed": shown / spent}
        for old, new in itertools.pairwise(rows)
        if (spent := new["seconds"] - old["seconds"]) > 0
        and (shown := new["images"] - old["images"]) > 0
    ]
    title, y = _("Pictures a second, while it trains"), _("Pictures a second")
    _draw(left, train_charts.single(speeds, "speed", title=title, y=y, **marks), "speed")
    memory = [row for row in rows if row.get("memory_mb") is not None]
    title, y = _("Most memory so far"), _("Memory (MB)")
    _draw(right, train_charts.single(memory, "memory_mb", title=title, y=y, **marks), "memory")


def _log(seen: Seen) -> None:
    left, right = st.columns(2)
    with left:
        st.markdown(_("What the process said"))
        text = runs.log_tail(seen.run.folder, size=6000)
        st.code(text or _("Nothing yet."), language=None, height=420)
        with suppress(OSError):
            st.download_button(
                _("Figures of the run (JSON lines)"),
                (seen.run.folder / "metrics.jsonl").read_bytes(),
                f"{seen.run.id}.jsonl",
                "application/jsonl",
                on_click="ignore",
            )
    with right:
        st.markdown(_("Settings"))
        names, values = zip(*config_words(seen.run.config), strict=True)
        table = pd.DataFrame({_("Setting"): names, _("Value"): values})
        st.dataframe(table, hide_index=True, width="stretch", height=300)
        st.markdown(_("Started and gone on with"))
        st.dataframe(sessions_table(seen.run), hide_index=True, width="stretch")


def sessions_table(found: runs.Run) -> pd.DataFrame:
    """Return when a run was started and gone on with, and what changed each time."""
    rows = []
    for session in found.sessions:
        changes = [
            f"{setting_words(one['name'])}: {value_words(one['before'])}"
            f" → {value_words(one['after'])}"
            for one in session["changes"]
        ]
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(session["started"]))
        rows.append({_("Started"): started, _("Changed"): "; ".join(changes) or "–"})
    return pd.DataFrame(rows)


def _told_later(seen: Seen, row: Row) -> None:
    """Say it where what is shown of one step is of a later one."""
    if row["step"] > (seen.step or 0):
        text = _("At step {step} nothing was judged yet. Judged first, at step {first}:")
        st.caption(text.format(step=value_text(seen.step or 0), first=value_text(row["step"])))


def _not_measured() -> None:
    st.info(_("Nothing was measured yet: that happens at the end of an epoch."))


def _draw(place: Any, figure: Any, key: str) -> None:
    place.plotly_chart(figure, config=charts.config(), width="stretch", key=f"train-{key}")


PANELS: dict[str, Callable[[Seen], None]] = {
    "losses": _losses,
    "scores": _scores,
    "judgement": _judgement,
    "pace": _pace,
    "log": _log,
}
