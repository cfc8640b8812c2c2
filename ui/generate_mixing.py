"""Mixing: styles of sources in some layers of destinations, the layers chosen by ground scale."""

from typing import TYPE_CHECKING

import streamlit as st

from core.errors import InputError
from core.text import N_
from models.catalogue import Entry
from ui.generate_draw import Labels, draw, figure_of, said, sheet_download, told
from ui.generate_inputs import held, look_of, more_settings, psis_input, seeds_input, typed
from ui.generate_view import GenerateView
from ui.generate_words import strip_html
from ui.language import _
from ui.state import draw_showing, widget_value

if TYPE_CHECKING:
    from models.generate import Reading
    from models.loaded import Loaded

_RANGE = "generate-layers"


def mixing_panel(model: "Loaded", entry: Entry, view: GenerateView) -> None:
    """Draw sources above, destinations on the left, and each destination mixed with each source."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        sources = seeds_input(_("Sources, seeds of the columns"), view, "sources")
        source_psis = psis_input(_("psi of the sources"), view, "source_psis", len(sources))
        destinations = seeds_input(_("Destinations, seeds of the rows"), view, "destinations")
        own_psis = psis_input(
            _("psi of the destinations"), view, "destination_psis", len(destinations)
        )
        more_settings(entry, view, has_cutoff=False)
    with right:
        layers = _layers(entry, view, len(destinations))
        settings = told(
            "mixing", model, entry, look_of(view, has_psi=False, has_cutoff=False), src=sources,
            dst=destinations, src_psi=source_psis, dst_psi=own_psis,
            reading=view.reading if view.written else "ranges",
            layers=[list(one) for one in layers],
        )  # fmt: skip
        figure = figure_of(model, settings)
        draw(model, entry, figure, _labels(sources, destinations, source_psis, own_psis))
        said(entry, figure, psi=_("layers {layers} from the sources").format(
            layers=", ".join(_range_text(one) for one in layers)))  # fmt: skip
        sheet_download(entry, settings, place=st.columns(3)[0])


def _layers(entry: Entry, view: GenerateView, rows: int) -> list[tuple[int, ...]]:
    """Draw the strip of layers; return those from the sources, for all rows or for each."""
    from models.generate import layers_read

    depth = entry.depth if view.depth is None else view.depth
    count = 2 * (depth + 1)

    def moved() -> None:
        found = widget_value(_RANGE)
        # A browser that leaves before the range was drawn sends one end alone: nobody moved it.
        if isinstance(found, tuple):
            view.first, view.last = int(found[0]), int(found[1])
            view.written = ""

    # Each number of the slider stands above its box of the strip, which says what it means.
    _left, middle, _right = st.columns([0.5, count - 1, 0.5], gap=None)
    with middle:
        draw_showing(
            (view.first, view.last), st.select_slider,
            _("Layers that come from the source, coarse to fine"), list(range(count)), key=_RANGE,
            on_change=moved,
        )  # fmt: skip

    def read(text: str) -> list[tuple[int, ...]]:
        if not text.strip():
            return [tuple(range(view.first, view.last + 1))]
        reading: Reading = "tuples" if view.reading == "tuples" else "ranges"
        found = layers_read(text, reading=reading, count=count)
        if len(found) not in (1, rows):
            raise InputError(
                N_("{given} ranges of layers were given for {count} rows."),
                hint=N_("Write one for all, or one each."), given=len(found), count=rows,
            )  # fmt: skip
        return found

    place = st.empty()
    with st.expander(_("A range for each row, or the reading of the study"),
                     expanded=bool(view.written)):  # fmt: skip
        text_place, reading_place = st.columns([2, 1])
        with text_place:
            slider = f"{view.first}-{view.last}"
            layers = typed(
                _("Layers of each row"), view, "written", read, max_chars=120, empty=slider,
                placeholder=slider,
                help=_("Such as 0-4,5-9: both ends are in; one for all rows or one each. Empty: the"
                       " slider."),
            )  # fmt: skip
        readings = {"ranges": _("ranges: from – to"), "tuples": _("tuples: the two ends alone")}
        with reading_place:
            held(
                st.selectbox, _("Read as"), view, "reading", list(readings),
                format_func=lambda one: readings[one],
                help=_("The study's figure was made with pairs such as (0, 5), which NumPy reads as"
                       " two layers: 0 and 5."),
            )  # fmt: skip
    chosen = {at for one in layers for at in one}
    says = _("Layers {layers} come from the source.").format(
        layers=", ".join(_range_text(one) for one in layers)
    )
    place.html(strip_html(entry, depth, view.metres, chosen, says=says))
    return layers


def _range_text(layers: tuple[int, ...]) -> str:
    if layers == tuple(range(layers[0], layers[-1] + 1)) and len(layers) > 1:
        return f"{layers[0]}–{layers[-1]}"
    return " + ".join(map(str, layers))


def _labels(
    sources: list[int], destinations: list[int], source_psis: list[float], own_psis: list[float]
) -> Labels:
    columns = [f"{seed} · psi {psi:g}" for seed, psi in zip(sources, source_psis, strict=True)]
    rows = [f"{seed} · psi {psi:g}" for seed, psi in zip(destinations, own_psis, strict=True)]
    titles = [_("source {seed}").format(seed=seed) for seed in sources]
    titles += [_("destination {seed}").format(seed=seed) for seed in destinations]
    titles += [
        _("{destination} with layers of {source}").format(destination=own, source=seed)
        for own in destinations
        for seed in sources
    ]
    return Labels(above=["", *columns], left=["", *rows], titles=titles)
