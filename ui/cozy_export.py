"""How the cozy zone was found, and its files for other programs."""

import shutil
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from core.cozy import Stability
from core.cozy_steps import CozyZone, Options, cozy_frame
from core.export import FORMATS, write_quadrats
from core.quadrat_table import QuadratTable
from core.workspace import Area
from ui import charts
from ui.frame import area_title
from ui.groups import Labels
from ui.language import _
from ui.server import workspace


def cozy_method(area: Area, options: Options) -> None:
    """Say how the zone came about."""
    if area.method == "document":
        st.markdown(
            _(
                "**As in the document**: esda's folded p below the level, no correction. A folded"
                " p is at most 0.5, so about twice as many squares as the level says are chance."
            )
        )
    else:
        st.markdown(
            _(
                "**Recommended**: local Moran's I with conditional permutations, two-sided p,"
                " corrected for many tests by Benjamini and Hochberg. Islands and missing squares"
                " are classes of their own."
            )
        )
    if options.zeros_stay and area.method == "document":
        st.warning(_("Squares without a value count as 0 K here, as in the source."))
    st.markdown(
        _(
            "The cozy zone: cold spots of the summer that are no cold spots of the winter. Patches"
            " hang together as the neighbours do. The quotient is the share of a group that is"
            " cozy over the share of all squares."
        )
    )


def cozy_export(
    area: Area,
    stamp: int,
    made: QuadratTable,
    found: CozyZone,
    stability: Stability,
    under: pd.DataFrame | None,
    labels: Labels | None,
    report: Callable[[str], str],
) -> None:
    """Draw the files; each is written when it is asked for."""
    del stamp
    boxes = st.columns(len(FORMATS) + 1)

    def squares(kind: str) -> bytes:
        frame = cozy_frame(made, found, groups=labels, under=under, stability=stability)
        folder = workspace().scratch(area.id)
        try:
            return write_quadrats(frame, folder / f"cozy.{kind}").read_bytes()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    for box, (kind, title) in zip(boxes, FORMATS.items(), strict=False):
        box.download_button(
            _(title),
            partial(squares, kind),
            file_name=f"{area.id}-cozy.{kind}",
            width="stretch",
            on_click="ignore",
        )
    if under is not None:
        boxes[-1].download_button(
            _("What lies under, as CSV"),
            under.to_csv,
            file_name=f"{area.id}-under.csv",
            width="stretch",
            on_click="ignore",
        )
    title = f"{area_title(area)}: " + _("Cozy zones")
    st.download_button(
        _("All charts as one HTML file"),
        partial(report, title),
        file_name=f"{area.id}-cozy.html",
        on_click="ignore",
        help=_("It opens by itself, without this program and without the internet."),
    )
    charts.picture_choice()
