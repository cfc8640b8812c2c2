"""Charts of the Train page. Each marks the step that the slider through time stands at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from models.config import AdversaryConfig, Row, Schedule
from models.series import By, Curve, curve, distributions, ideals, rates, thinned
from models.style_config import StyleAdversary
from ui import charts
from ui.language import _
from ui.theme import ACCENT

COLOURS = ("#0B6E6E", "#CC6677", "#332288", "#DDCC77", "#88CCEE", "#882255", "#117733", "#999933")
"""Paul Tol's muted set, as the theme has it."""
REAL, FAKE = "#332288", "#CC6677"
DASHES = ("solid", "dash", "dot", "dashdot")
_LEGEND = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font_size": 11}


@dataclass(frozen=True, slots=True)
class Level:
    """A line across a chart, with what it says."""

    value: float
    text: str
    colour: str
    is_above: bool
    """Whether the words stand above the line."""


def losses(
    rows: Sequence[Row], config: AdversaryConfig | StyleAdversary, *, at: int | None,
    ends: Sequence[int],
) -> go.Figure:  # fmt: skip
    """Draw both losses with the lines at which the critic cannot tell; `ends` are ends of fits."""
    figure = go.Figure()
    for name, title, colour in (
        ("critic", _("Critic"), COLOURS[0]),
        ("generator", _("Generator"), COLOURS[1]),
    ):
        _line(figure, thinned(curve(rows, name)), title, colour, width=1, opacity=0.35)
        smooth = thinned(curve(rows, f"{name}_smooth"))
        _line(figure, smooth, title, colour, is_named=True, dash=_dash(name))
    levels = [
        Level(
            one.value,
            (
                _("critic cannot tell: {value:.3f}")
                if one.name == "critic"
                else _("generator, then: {value:.3f}")
            ).format(value=one.value),
            COLOURS[0] if one.name == "critic" else COLOURS[1],
            is_above=one.name == "critic",
        )
        for one in ideals(config)
    ]
    charts.frame(figure, title=_("Losses"), x=_("Step"), y=_("Loss"))
    return _finished(figure, at, ends, levels=levels)


def distance(rows: Sequence[Row], *, at: int | None, ends: Sequence[int]) -> go.Figure:
    """Draw the estimate of the earth mover's distance, minus the critic's loss."""
    figure = go.Figure()
    _line(figure, thinned(curve(rows, "distance")), "", ACCENT, width=1, opacity=0.35)
    smooth = thinned(curve(rows, "distance_smooth"))
    _line(figure, smooth, _("smoothed"), ACCENT)
    best = [row for row in rows if row.get("is_best")]
    if best:
        figure.add_scatter(
            x=[row["step"] for row in best], y=[-row["critic_smooth"] for row in best],
            mode="markers", marker={"symbol": "diamond", "size": 8, "color": COLOURS[5]},
            name=_("best so far"), hovertemplate="%{x}: %{y:.4g}",
        )  # fmt: skip
    charts.frame(
        figure,
        title=_("Estimated distance (−critic loss)"),
        x=_("Step"),
        y=_("Earth mover's distance, up to a factor"),
    )
    return _finished(figure, at, ends, has_legend=bool(best))


def mean_scores(rows: Sequence[Row], *, at: int | None, ends: Sequence[int]) -> go.Figure:
    """Draw the critic's mean scores of real and generated pictures."""
    figure = go.Figure()
    for name, title, colour, dash in _both_kinds():
        _line(figure, thinned(curve(rows, name)), title, colour, is_named=True, dash=dash)
    charts.frame(figure, title=_("What the critic says on average"), x=_("Step"), y=_("Mean score"))
    return _finished(figure, at, ends)


def score_distributions(row: Row) -> go.Figure:
    """Draw how the critic's scores of real and generated pictures are distributed at a step."""
    figure = go.Figure()
    found = distributions(row["real_scores"], row["fake_scores"])
    for one, (_name, title, colour, dash) in zip(found, _both_kinds(), strict=True):
        figure.add_scatter(
            x=one.edges, y=[*one.heights, one.heights[-1]], mode="lines", name=title,
            line={"shape": "hv", "color": colour, "width": 2, "dash": dash}, fill="tozeroy",
            fillcolor=f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},"
                      f"{int(colour[5:], 16)},0.18)",
            hovertemplate="%{x:.3g}",
        )  # fmt: skip
    title = _("Scores at step {step}: {distance:.3g} apart")
    charts.frame(
        figure,
        title=title.format(step=row["step"], distance=row["score_distance"]),
        x=_("Score of the critic, before any sigmoid"),
        y=_("Density"),
    )
    return _finished(figure, None, ())


def score_distance(measured: Sequence[Row], *, at: int | None, ends: Sequence[int]) -> go.Figure:
    """Draw the 1-D earth mover's distance of the scores over time."""
    figure = go.Figure()
    found = thinned(curve(measured, "score_distance"))
    _line(figure, found, "", ACCENT, markers=True)
    charts.frame(
        figure,
        title=_("How far the scores are apart"),
        x=_("Step"),
        y=_("1-D distance of scores"),
    )
    return _finished(figure, at, ends, has_legend=False)


def sliced(measured: Sequence[Row], *, at: int | None, ends: Sequence[int]) -> go.Figure:
    """Draw the sliced Wasserstein distance of each scale over time."""
    figure = go.Figure()
    # A StyleGAN is judged up to the size it draws by then: not all rows have all sizes.
    scales = {scale["size_px"]: scale for row in measured for scale in row["swd"]}
    for number, size_px in enumerate(sorted(scales, reverse=True)):
        scale = scales[size_px]
        rows = [
            {"step": row["step"], "value": one["distance"]}
            for row in measured
            for one in row["swd"]
            if one["size_px"] == size_px
        ]
        _line(
            figure, thinned(curve(rows, "value")), scale_words(scale),
            COLOURS[number % len(COLOURS)],
            is_named=True, dash=DASHES[number % 4], markers=True,
        )  # fmt: skip
    charts.frame(
        figure,
        title=_("Distance to real pictures, by scale"),
        x=_("Step"),
        y=_("Sliced Wasserstein (thousandths)"),
    )
    figure.update_yaxes(rangemode="tozero")
    return _finished(figure, at, ends)


def scale_words(scale: Mapping[str, Any]) -> str:
    """Name a scale by its pixels, and by metres of ground where there is ground."""
    if scale["metres"] is None:
        return _("{size} px").format(size=scale["size_px"])
    return _("{size} px, {metres:g} m a pixel").format(
        size=scale["size_px"], metres=round(scale["metres"], 3)
    )


def ratios(measured: Sequence[Row], *, at: int | None, ends: Sequence[int]) -> go.Figure:
    """Draw diversity and nearness to training pictures over time; 1 is as among real ones."""
    figure = go.Figure()
    for name, title, colour, dash in (
        ("diversity", _("Diversity"), COLOURS[0], "solid"),
        ("nearest_ratio", _("Distance to the nearest training picture"), COLOURS[5], "dash"),
    ):
        found = thinned(curve(measured, name))
        _line(figure, found, title, colour, is_named=True, dash=dash, markers=True)
    charts.frame(
        figure,
        title=_("Do samples vary, and are they new?"),
        x=_("Step"),
        y=_("Ratio to real pictures"),
    )
    figure.update_yaxes(rangemode="tozero")
    level = Level(1, _("as among real pictures"), "#6B7676", is_above=True)
    return _finished(figure, at, ends, levels=[level])


def spectrum(real: Sequence[float], row: Row, *, side_m: float | None) -> go.Figure:
    """Draw the mean power of each spatial frequency of real pictures and samples."""
    figure = go.Figure()
    for values, (_name, title, colour, dash) in zip(
        (real, row["spectrum"]), _both_kinds(), strict=True
    ):
        figure.add_scatter(
            x=list(range(1, len(values))), y=list(values[1:]), mode="lines", name=title,
            line={"color": colour, "width": 2, "dash": dash}, hovertemplate="%{x}: %{y:.3g}",
        )  # fmt: skip
    x = _("Waves across a picture")
    if side_m is not None:
        x = _("Waves across a picture of {side:g} m").format(side=side_m)
    charts.frame(
        figure,
        title=_("Spectrum at step {step}").format(step=row["step"]),
        x=x,
        y=_("Mean power"),
    )
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log", exponentformat="power")
    return _finished(figure, None, ())


def learning_rates(
    schedule: Schedule, peak: float, fits: Sequence[int], *, done: float | None = None
) -> go.Figure:
    """Draw the learning rate over the epochs of all fits; `done` marks where a run stands."""
    found = rates(schedule, peak, fits)
    figure = go.Figure()
    _line(figure, found, "", ACCENT)
    ends = [sum(fits[: number + 1]) for number in range(len(fits) - 1)]
    title = (
        _("Learning rate: up and down once a fit")
        if schedule == "one-cycle"
        else _("Learning rate: constant")
    )
    charts.frame(figure, title=title, x=_("Epoch"), y=_("Learning rate"), height=240)
    figure.update_yaxes(rangemode="tozero", exponentformat="power")
    return _finished(figure, done, ends, has_legend=False)


def single(
    rows: Sequence[Row], name: str, *, title: str, y: str, at: int | None, ends: Sequence[int]
) -> go.Figure:
    """Draw one figure of a run over its steps."""
    figure = go.Figure()
    _line(figure, thinned(curve(rows, name)), "", ACCENT)
    charts.frame(figure, title=title, x=_("Step"), y=y, height=240)
    figure.update_yaxes(rangemode="tozero")
    return _finished(figure, at, ends, has_legend=False)


def gradients(rows: Sequence[Row], *, at: int | None, ends: Sequence[int]) -> go.Figure:
    """Draw the norms of the gradients of both networks."""
    figure = go.Figure()
    for name, title, colour in (
        ("critic", _("Critic"), COLOURS[0]),
        ("generator", _("Generator"), COLOURS[1]),
    ):
        found = thinned(curve(rows, f"{name}_gradient"))
        _line(figure, found, title, colour, is_named=True, dash=_dash(name))
    charts.frame(
        figure, title=_("Size of the gradients"), x=_("Step"), y=_("Norm (log scale)"), height=240
    )
    figure.update_yaxes(type="log", exponentformat="power")
    return _finished(figure, at, ends)


def compared(
    curves: Sequence[tuple[str, Curve]], *, title: str, x: str, y: str, height: int = 420
) -> go.Figure:
    """Draw one figure of several runs, each told apart by colour and dashes."""
    figure = go.Figure()
    for number, (name, found) in enumerate(curves):
        _line(
            figure, thinned(found), name, COLOURS[number % len(COLOURS)], is_named=True,
            dash=DASHES[number % 4], markers=len(found.x) < 40,
        )  # fmt: skip
    charts.frame(figure, title=title, x=x, y=y, height=height)
    places = [at for _name, found in curves for at in found.x]
    if all(at == int(at) for at in places) and max(places, default=0) <= 12:
        figure.update_xaxes(dtick=1)  # a table of two epochs has no epoch 1.2
    _finished(figure, None, ())
    figure.update_layout(legend={**_LEGEND, "y": -0.18, "yanchor": "top"}, margin_t=44)
    return figure


def x_words(by: By) -> str:
    """Name a clock that curves are laid against."""
    return {
        "step": _("Step"),
        "epoch": _("Epoch"),
        "images": _("Pictures shown"),
        "minutes": _("Minutes of training"),
    }[by]


def _both_kinds() -> tuple[tuple[str, str, str, str], ...]:
    return ("real", _("Real pictures"), REAL, "solid"), ("fake", _("Generated"), FAKE, "dash")


def _dash(name: str) -> str:
    return "solid" if name == "critic" else "dash"


def _line(
    figure: go.Figure, found: Curve, name: str, colour: str, *, width: float = 2,
    opacity: float = 1, is_named: bool = False, dash: str = "solid", markers: bool = False,
) -> None:  # fmt: skip
    few = len(found.x) < (60 if markers else 3)
    figure.add_scatter(
        x=found.x, y=found.y, mode="lines+markers" if few else "lines",
        name=charts.as_text(name), showlegend=is_named, opacity=opacity,
        line={"color": colour, "width": width, "dash": dash}, marker={"size": 5},
        hovertemplate="%{x:.6g}: %{y:.4g}",
    )  # fmt: skip


def _finished(
    figure: go.Figure, at: float | None, ends: Sequence[float], *, has_legend: bool = True,
    levels: Sequence[Level] = (),
) -> go.Figure:  # fmt: skip
    """Mark where the slider stands, where fits end, and levels; name the lines above the chart.

    All shapes at once: plotly's `add_vline` takes some 20 ms each.
    """
    shapes = [_upright(end, "#9AA5A5", width=1, dash="dot") for end in ends]
    if at is not None:
        shapes.append(_upright(at, "#6B7676", width=1.5, dash="solid"))
    shapes += [
        {
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": one.value, "y1": one.value,
            "line": {"color": one.colour, "width": 1.5, "dash": "dot"},
        }
        for one in levels
    ]  # fmt: skip
    annotations = [
        {
            "xref": "paper", "x": 1, "xanchor": "right", "y": one.value, "text": one.text,
            "yanchor": "bottom" if one.is_above else "top", "showarrow": False,
            "font": {"size": 11},
        }
        for one in levels
    ]  # fmt: skip
    figure.update_layout(
        shapes=shapes, annotations=annotations, showlegend=has_legend, legend=_LEGEND,
        title_y=0.98, title_yanchor="top", margin_t=64 if has_legend else 44,
    )  # fmt: skip
    return figure


def _upright(x: float, colour: str, *, width: float, dash: str) -> dict[str, Any]:
    return {
        "type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x,
        "line": {"color": colour, "width": width, "dash": dash},
    }  # fmt: skip
