"""What a run's rows say, as numbers to be drawn: curves, distributions, pace. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.config import AdversaryConfig, Row, Schedule
from models.plan import Plan, learning_rate
from models.style_config import StyleAdversary

By = Literal["step", "epoch", "images", "minutes"]
Numbers = NDArray[np.float64]
_MOST_POINTS = 400
_PACE_ROWS = 20
_SURE_ROWS = 8
"""Rows of a session after which its own pace is taken: its first steps are slow."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over a run; both arrays have one entry a point, in order."""

    x: Numbers
    y: Numbers


@dataclass(frozen=True, slots=True)
class Ideal:
    """The value that a loss has when the critic cannot tell; a line of the chart."""

    name: Literal["critic", "generator"]
    value: float


def curve(rows: Sequence[Row], name: str, *, by: By = "step", plan: Plan | None = None) -> Curve:
    """Return a quantity over the rows that have it, against the step or another clock.

    Args:
        rows: Rows of a run in order of their steps, or of an old table (which counts epochs).
        name: Of the figure. `distance` is minus the critic's loss.
        by: `step`; `epoch` (a fraction within one); `images` shown; `minutes` of training.
        plan: How the steps of the run are laid out; without it steps tell no epochs.
    """
    key, sign = ("critic", -1.0) if name == "distance" else (name, 1.0)
    if name == "distance_smooth":
        key, sign = "critic_smooth", -1.0
    having = [row for row in rows if row.get(key) is not None]
    if by == "step":  # what a live page asks for again and again
        x = [row.get("step") for row in having]
    elif by == "epoch" and plan is not None:
        x = list(plan.epochs_at([row["step"] for row in having]))
    else:
        x = [clock(row, by) for row in having]
    y = [row[key] for row in having]
    if None in x:
        y = [value for value, at in zip(y, x, strict=True) if at is not None]
        x = [at for at in x if at is not None]
    return Curve(np.array(x, float), sign * np.array(y, float))


def clock(row: Row, by: By) -> float | None:
    """Return where a row stands; None where it does not tell."""
    if by == "epoch":  # of a table; steps of a run need its plan
        return float(row["epoch"] + 1) if "epoch" in row and "step" not in row else None
    if by == "minutes":
        return row["seconds"] / 60 if "seconds" in row else None
    found = row.get(by)
    return None if found is None else float(found)


def thinned(found: Curve, most: int = _MOST_POINTS) -> Curve:
    """Return at most `most` points: means of equally many neighbours, the newest point as it is."""
    num = len(found.x)
    if num <= most:
        return found
    edges = np.linspace(0, num - 1, most).astype(int)
    counts = np.diff(edges)
    means = [np.add.reduceat(part[:-1], edges[:-1]) / counts for part in (found.x, found.y)]
    return Curve(np.append(means[0], found.x[-1]), np.append(means[1], found.y[-1]))


def ideals(config: AdversaryConfig | StyleAdversary) -> tuple[Ideal, ...]:
    """Return the losses of an objective when the critic cannot tell real from generated.

    BCE, and StyleGAN's logistic loss without its penalty, which is the same: ln 2 for each half,
    2 ln 2 for the critic's two. Least squares: 0.25 for each half. Hinge: 1 for each half. The
    Wasserstein losses have none: 0 says that the critic cannot tell, or has not learnt to.
    """
    if config.objective in {"bce", "logistic"}:
        return Ideal("critic", 2 * math.log(2)), Ideal("generator", math.log(2))
    if config.objective == "least-squares":
        return Ideal("critic", 0.5), Ideal("generator", 0.25)
    if config.objective == "relativistic-hinge":
        return Ideal("critic", 2.0), Ideal("generator", 2.0)
    if config.objective == "hinge":
        return (Ideal("critic", 2.0),)
    return ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """A density as steps: `heights[i]` between `edges[i]` and `edges[i + 1]`; its area is 1."""

    edges: Numbers
    heights: Numbers


def distributions(*quantiles: Sequence[float], bins: int = 48) -> tuple[Distribution, ...]:
    """Return densities of numbers of which only evenly spaced quantiles are known.

    The mass between two quantiles is spread evenly; equal quantiles are a spike of one bin. All
    get the same bins, from the smallest to the largest number of any.
    """
    lowest = min(one[0] for one in quantiles)
    highest = max(one[-1] for one in quantiles)
    size = max(abs(lowest), abs(highest))
    if highest - lowest <= max(1e-9 * size, 1e-100):  # as good as one number
        margin = 0.05 * size if size > 1e-100 else 0.5
        lowest, highest = lowest - margin, highest + margin
    edges = np.linspace(lowest, highest, bins + 1)
    found = []
    for one in quantiles:
        values = np.asarray(one, float)
        # A step of the cumulative shares is a slope too steep to divide by: a hair's breadth apart.
        values = np.maximum.accumulate(values)
        values = values + np.arange(len(values)) * (highest - lowest) * 1e-9
        shares = np.interp(edges, values, np.linspace(0, 1, len(values)), left=0, right=1)
        shares[-1] = 1  # a spike at the very end too
        heights = np.diff(shares) / np.diff(edges)
        found.append(Distribution(edges, heights))
    return tuple(found)


def at_step(rows: Sequence[Row], step: int) -> Row | None:
    """Return the newest row at or before a step; None where all come later."""
    before = [row for row in rows if row["step"] <= step]
    return before[-1] if before else None


def at_or_before(steps: Sequence[int], step: int) -> int | None:
    """Return the largest of the `steps` that is not above `step`; else the first, if any."""
    before = [one for one in steps if one <= step]
    return max(before) if before else min(steps, default=None)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run goes."""

    images_per_s: float | None
    """While it trains, measuring and saving left out; None before two rows."""
    seconds_left: float | None
    """To the end of its last fit, at the pace since it was started, measuring and all; at first,
    while that tells little, at the pace of the newest steps."""


def pace(rows: Sequence[Row], *, from_step: int, total: int, elapsed_s: float) -> Pace:
    """Return how fast a run goes.

    Args:
        rows: Its rows of losses.
        from_step: Where the newest session began.
        total: Steps of all fits.
        elapsed_s: Seconds from the beginning of the session to the newest row.
    """
    images = None
    last = rows[-_PACE_ROWS:]
    if len(last) > 1 and last[-1]["seconds"] > last[0]["seconds"]:
        shown = last[-1]["images"] - last[0]["images"]
        images = shown / (last[-1]["seconds"] - last[0]["seconds"])
    left = max(0, total - rows[-1]["step"]) if rows else 0
    if sum(row["step"] > from_step for row in rows[-_SURE_ROWS:]) == _SURE_ROWS:
        return Pace(images, left * elapsed_s / (rows[-1]["step"] - from_step))
    steps = last[-1]["step"] - last[0]["step"] if last else 0
    if not steps:
        return Pace(images, None)
    return Pace(images, left * (last[-1]["seconds"] - last[0]["seconds"]) / steps)


def rates(schedule: Schedule, peak: float, fits: Sequence[int], *, points: int = 60) -> Curve:
    """Return the learning rate over the epochs of all fits, some `points` a fit."""
    x: list[float] = []
    y: list[float] = []
    before = 0
    for epochs in fits:
        shares = np.linspace(0, 1, points)
        x += list(before + shares * epochs)
        y += [learning_rate(schedule, float(share), peak) for share in shares]
        before += epochs
    return Curve(np.array(x), np.array(y))
