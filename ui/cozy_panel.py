"""The left column of the Cozy zones page: seasons, significance, neighbourhood, and the job."""

from dataclasses import replace

import streamlit as st

from core import cozy_steps, jobs
from core.cozy_steps import Options
from core.errors import InputError
from core.quadrat_table import QuadratTable
from core.workspace import Area, Season
from ui.choice import choice, switch
from ui.columns import column_title, columns_of
from ui.language import _
from ui.quadrat_panel import options_of
from ui.server import workspace
from ui.state import CozyView, app_state

_LEVELS = (0.01, 0.20)
_SEASONS: tuple[Season, ...] = ("summer", "winter")


def cozy_options(view: CozyView) -> Options:
    """Return how this session finds the zone; what a link got wrong falls back to the default."""
    found = Options()
    given = view.options
    if _LEVELS[0] <= float(given.get("level") or 0) <= _LEVELS[1]:
        found = replace(found, level=float(given["level"]))
    if given.get("correction") in ("bh", "none"):
        found = replace(found, correction=given["correction"])
    if given.get("weights") in ("queen", "rook"):
        found = replace(found, weights=given["weights"])
    for key in ("summer", "winter", "permutations", "seed", "engine", "zeros_stay"):
        if key in given:
            found = replace(found, **{key: given[key]})
    return found


def cozy_panel(area: Area, made: QuadratTable, view: CozyView) -> None:
    """Draw the controls; they change `view.options`."""
    options = cozy_options(view)
    with st.sidebar:
        names = {"zone": _("Cozy zone"), "seasons": _("Two seasons"),
                 "stability": _("How sure"), "rank": _("Ranks of what lies under")}  # fmt: skip
        view.shown = choice(_("Map"), names, value=view.shown, key=f"cozy-map-{area.id}")
        level = st.slider(
            _("Level of significance"),
            *_LEVELS,
            options.level,
            0.01,
            key=f"level-{area.id}",
            help=_("With the correction: at most this share of the found spots is chance."),
        )
        is_document = area.method == "document"
        corrections = {"none": _("None")}
        if not is_document:
            corrections = {"bh": _("Benjamini–Hochberg"), **corrections}
        correction = choice(
            _("Correction for many tests"),
            corrections,
            value=options.correction or ("none" if is_document else "bh"),
            key=f"correction-{area.id}",
        )
        weights = switch(
            _("Neighbours"),
            {"queen": _("Queen (8)"), "rook": _("Rook (4)")},
            value=options.weights,
            key=f"weights-{area.id}",
        )
        view.options |= {"level": level, "correction": correction, "weights": weights}
        lacks = not all(_own_column(area, made, season) for season in _SEASONS)
        with st.expander(_("Seasons and permutations"), expanded=lacks):
            _seasons(area, made, view, options)
            _permutations(area, view, options)
            if is_document:
                view.options["zeros_stay"] = st.checkbox(
                    _("Squares without a value count as 0 K, as in the source"),
                    value=options.zeros_stay,
                    key=f"zeros-{area.id}",
                    help=_("They were taken for the coldest of all; it colours the winter map."),
                )


def _seasons(area: Area, made: QuadratTable, view: CozyView, options: Options) -> None:
    columns = {
        column.name: column_title(column)
        for column in columns_of(area, made.table)
        if not column.is_class
    }
    for season, label in zip(_SEASONS, (_("Summer"), _("Winter")), strict=True):
        own = _own_column(area, made, season)
        # Without a layer of that season nothing is taken for it silently.
        known = columns if own else {"": _("None"), **columns}
        current = getattr(options, season) or own
        view.options[season] = (
            choice(label, known, value=current, key=f"{season}-{area.id}") or None
        )


def _own_column(area: Area, made: QuadratTable, season: Season) -> str:
    try:
        return cozy_steps.season_column(area, made.table, season)
    except InputError:
        return ""


def _permutations(area: Area, view: CozyView, options: Options) -> None:
    default = 999 if area.method == "document" else 99_999
    permutations = st.number_input(
        _("Permutations"), 99, 10_000_000, options.permutations or default, key=f"perm-{area.id}"
    )
    view.options["permutations"] = int(permutations)
    view.options["seed"] = int(
        st.number_input(_("Seed"), 0, 2**31 - 1, options.seed, key=f"seed-{area.id}")
    )
    engines = {"ranks": _("own, exact"), "esda": "esda"}
    view.options["engine"] = choice(
        _("Engine"), engines, value=options.engine, key=f"cozy-engine-{area.id}"
    )


def start_cozy(area: Area, view: CozyView) -> None:
    """Start the permutations of both seasons, and show how far they are."""
    root = workspace().root
    quadrats = app_state().quadrat_view(area.id).options
    config = {
        "workspace": str(root.resolve()),
        "area": area.id,
        "options": {key: value for key, value in view.options.items() if value is not None},
        "quadrats": quadrats,
    }
    app_state().jobs[f"cozy-{area.id}"] = jobs.submit(root / "jobs", "cozy-zone", config)
    st.rerun()


def draws_as_usual(options: Options) -> bool:
    """Tell whether neighbours, seed and engine of the permutations are the default ones."""
    usual = Options()
    own = (options.weights, options.seed, options.engine)
    return own == (usual.weights, usual.seed, usual.engine)


def is_ready(area: Area, made: QuadratTable, options: Options) -> bool:
    """Tell whether the permutations for these options are there."""
    squares = options_of(area, app_state().quadrat_view(area.id))
    return cozy_steps.is_made(workspace(), area, made, options, squares)
