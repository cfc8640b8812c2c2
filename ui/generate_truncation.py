"""Truncation: seeds by psi, and what changes with psi, measured."""

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from models.catalogue import Entry
from models.generating import psis as psis_of
from ui import cached_models, charts
from ui.generate_draw import Labels, draw, figure_of, said, sheet_download, told
from ui.generate_inputs import held, look_of, more_settings, seeds_input, typed
from ui.generate_models import channels_of
from ui.generate_view import MEASURED, GenerateView
from ui.language import _
from ui.quantities import left_text, share_text
from ui.theme import ACCENT

if TYPE_CHECKING:
    from models.generate import Look
    from models.loaded import Loaded
    from models.measured import Curve


def truncation_panel(model: "Loaded", entry: Entry, view: GenerateView) -> None:
    """Draw seeds in rows and psi in columns, the mean marked, and curves beneath."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        seeds = seeds_input(_("Seeds, one a row"), view, "rows")
        values = typed(
            _("psi, one a column"), view, "psis", psis_of, max_chars=120,
            help=_("From:to:step with both ends, such as -1:1:0.2, or a list: -1,0,0.7."),
        )  # fmt: skip
        held(
            st.select_slider, _("Seeds to measure with"), view, "measured", options=list(MEASURED),
            help=_("The curves beneath are measured on the pictures of so many seeds."),
        )  # fmt: skip
        more_settings(entry, view)
    with right:
        look = look_of(view, has_psi=False)
        settings = told("truncation", model, entry, look, seeds=seeds, psis=values)
        figure = figure_of(model, settings)
        zero = mean_words(figure.look)
        # Where some layers stay as they are, each seed has a picture of its own at psi 0.
        is_mean = 0.0 in values and zero == _("mean")
        mean = values.index(0.0) if is_mean else None
        above = [f"{psi:g}" if psi or not zero else f"0 · {zero}" for psi in values]
        titles = [_("seed {seed}, psi {psi}").format(seed=seed, psi=f"{psi:g}")
                  for seed in seeds for psi in values]  # fmt: skip
        labels = Labels(above=above, left=[str(seed) for seed in seeds], titles=titles, marked=mean)
        draw(model, entry, figure, labels)
        layers = _("all layers") if view.cutoff is None else _("layers below {cutoff}").format(
            cutoff=view.cutoff
        )  # fmt: skip
        said(entry, figure, psi=_("psi moves {layers}").format(layers=layers))
        sheet_download(entry, settings, place=st.columns(3)[0])
        if len(values) > 1:
            _measured(model, entry, view, values, look)


def _measured(
    model: "Loaded", entry: Entry, view: GenerateView, values: list[float], look: "Look"
) -> None:
    from models import generate, measured

    st.markdown("#### " + _("What changes with psi"))
    look = generate.checked(model, look)
    kept, channels = cached_models.measures(), channels_of(entry)
    if not measured.is_measured(entry.networks.channels, channels):
        st.caption(_("What the channels of this model mean is not known: nothing is measured."))
        return
    told_by = (model.digest, look, tuple(values), channels)
    seeds = range(view.measured)
    missing = [seed for seed in seeds if kept.get((*told_by, seed)) is None]
    if missing:
        pace = cached_models.finished().seconds(model, look.depth or 0) or 0.05
        needed = pace * len(missing) * len(values)
        words = _("Measure {count} seeds").format(count=len(missing))
        if needed > 2:
            words += " · " + _("about {seconds} s").format(seconds=5 * math.ceil(needed / 5))
        place = st.empty()
        pressed = place.button(
            words, type="primary", key="generate-measure",
            help=_("It can be broken off by any click, and goes on where it stood."),
        )  # fmt: skip
        if not pressed:
            return
        line, began = st.empty(), time.monotonic()
        for done, seed in enumerate(missing):
            found = measured.psi_values(model, [seed], values, look, channels=channels)
            kept.put((*told_by, seed), found)
            left = (time.monotonic() - began) / (done + 1) * (len(missing) - done - 1)
            words = _("Measuring seed {seed}").format(seed=seed)
            line.progress((done + 1) / len(missing), text=f"{words} · {left_text(left)}")
        place.empty()
        line.empty()
    whole = [one for seed in seeds if (one := kept.get((*told_by, seed))) is not None]
    curves = measured.curves(
        {name: np.concatenate([one[name] for one in whole]) for name in whole[0]}
    )
    places = [place for _row in range(0, len(curves), 3) for place in st.columns(3)]
    for place, curve in zip(places, curves, strict=False):
        place.plotly_chart(
            psi_chart(curve, values, mean_words(look)), config=charts.config(), width="stretch",
            key=f"psi-{curve.name}",
        )  # fmt: skip
        place.caption(_sentence(curve, values, len(whole)))
    st.caption(_method(curves))


def mean_words(look: "Look") -> str:
    """Write what psi 0 is: the mean, the mean in the layers below the cutoff, or nothing."""
    assert look.depth is not None
    if look.cutoff is None or look.cutoff >= 2 * (look.depth + 1):
        return _("mean")
    return _("mean below layer {cutoff}").format(cutoff=look.cutoff) if look.cutoff else ""


def psi_chart(curve: "Curve", values: list[float], zero: str) -> go.Figure:
    """Draw a measure over psi: its mean and the middle eighty of a hundred seeds.

    `zero` says what psi 0 is; see `mean_words`.
    """
    from models.measured import CLASS

    titles = {
        "brightness": (_("Brightness of the visible bands"), _("Mean, 0 to 255")),
        "edges": (_("Pixels on an edge"), _("Share (%)")),
        "green": (_("Green pixels"), _("Share (%)")),
        "borders": (_("Borders between classes"), _("Share (%)")),
    }
    scale = 1.0 if curve.name == "brightness" else 100.0
    order = np.argsort(values, kind="stable")
    x = np.asarray(values)[order]
    low, mean, high = (scale * part[order] for part in (curve.low, curve.mean, curve.high))
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]), y=np.concatenate([high, low[::-1]]), fill="toself",
        fillcolor="rgba(11,110,110,0.18)", line={"width": 0}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=mean, mode="lines+markers", line={"color": ACCENT, "width": 2},
        hovertemplate="psi %{x:g}: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    title, unit = titles.get(curve.name, (curve.name.removeprefix(CLASS), _("Share (%)")))
    charts.frame(figure, title=title, x="psi", y=unit, height=260)
    if min(values) <= 0 <= max(values):
        figure.add_vline(x=0, line={"dash": "dot", "width": 1}, annotation_text=zero)
    return figure


def _sentence(curve: "Curve", values: list[float], count: int) -> str:
    text = _(
        "From psi {first} to {last} it rises for {rises} and falls for {falls} of {count} seeds."
    )
    return text.format(
        first=f"{values[0]:g}", last=f"{values[-1]:g}", rises=share_text(curve.rises),
        falls=share_text(curve.falls), count=count,
    )  # fmt: skip


def _method(curves: list["Curve"]) -> str:
    from models.measured import CLASS, EDGE_STEP, GREEN_EXCESS, GREEN_NDVI

    parts = [_("Line: mean over the seeds; band: from the tenth to the ninetieth percentile.")]
    if any(curve.name == "edges" for curve in curves):
        text = _("Edge: brightness has a gradient of {step} of 255 a pixel or more.")
        parts.append(text.format(step=f"{EDGE_STEP:g}"))
    if any(curve.name == "green" for curve in curves):
        text = _(
            "Green: NDVI of {ndvi} or more where there is near infrared, else excess green of"
            " {excess} or more."
        )
        parts.append(text.format(ndvi=GREEN_NDVI, excess=GREEN_EXCESS))
    if any(curve.name.startswith(CLASS) for curve in curves):
        parts.append(
            _(
                "A pixel has the class whose channel is the strongest. Borders: share of"
                " neighbouring pixels whose classes differ."
            )
        )
    return " ".join(parts)
