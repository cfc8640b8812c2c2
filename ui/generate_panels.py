"""Grids, walks, sums and depths: one panel each, controls on the left, the figure on the right."""

import html
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from models.catalogue import Entry
from models.progressive import size_of_depth
from ui.chip_grid import inline
from ui.generate_closest import closest_panel
from ui.generate_draw import (
    Labels,
    draw,
    figure_of,
    made_of,
    said,
    sheet_download,
    told,
)
from ui.generate_files import given_latents, latents_download, open_again
from ui.generate_film import film_html
from ui.generate_inputs import (
    held,
    look_of,
    more_settings,
    psi_slider,
    psi_words,
    seeds_input,
    typed,
)
from ui.generate_models import channels_of
from ui.generate_view import GenerateView, sum_read
from ui.generate_words import depth_words, metres_at, scale_words
from ui.language import _
from ui.picture_table import shown_picture
from ui.quantities import value_text

if TYPE_CHECKING:
    from models.figures import Figure, Picture
    from models.loaded import Loaded


def grid_panel(model: "Loaded", entry: Entry, view: GenerateView) -> None:
    """Draw pictures of seeds or of a file of latents."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        kept = given_latents(entry, view)
        seeds: list[int] = []
        if not view.latents:
            seeds = seeds_input(_("Seeds"), view, "seeds")
        psi_slider(view)
        held(
            st.number_input, _("Columns (0: automatic)"), view, "columns", min_value=0,
            max_value=64, step=1, help=_("0: as many as fill the width well."),
        )  # fmt: skip
        more_settings(entry, view)
    if view.latents and kept is None:
        return
    with right:
        names = [_("seed {seed}").format(seed=seed) for seed in seeds] or [
            _("latent {number}").format(number=at) for at in range(0 if kept is None else len(kept))
        ]
        source = {"seeds": seeds} if kept is None else {"latents": view.latents}
        settings = told("sample", model, entry, look_of(view), **source, columns=view.columns)
        figure = figure_of(model, settings)
        if view.picture is not None and view.picture >= len(figure):
            view.picture = None
        labels = Labels(titles=names, chosen=view.picture, beneath=True)
        made = draw(model, entry, figure, labels)
        said(entry, figure, psi=psi_words(view))
        places = st.columns(3)
        sheet_download(entry, settings, place=places[0])
        latents_download(entry, settings, place=places[1])
        with places[2].popover(_("Open a file"), width="stretch"):
            open_again(entry, view)
        closest_panel(entry, view, names, made)


def walk_panel(model: "Loaded", entry: Entry, view: GenerateView) -> None:
    """Draw the pictures on the way from seed to seed, still and moving."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        stops = seeds_input(_("Seeds on the way"), view, "stops", least=2)
        held(
            st.slider, _("Pictures from one to the next"), view, "frames", 1, 24,
            help=_("Even steps from style to style, and from the last back to the first."),
        )  # fmt: skip
        psi_slider(view)
        more_settings(entry, view)
    with right:
        settings = told("walk", model, entry, look_of(view), seeds=stops, frames=view.frames)
        figure = figure_of(model, settings)
        count = len(figure)
        view.frame = min(view.frame, count - 1)
        moving, still, film = st.columns([1, 1, 2], gap="small")
        with film:
            labels = Labels(
                left=[_("from {seed}").format(seed=seed) for seed in stops],
                titles=[f"{at + 1}/{count}" for at in range(count)], chosen=view.frame,
            )  # fmt: skip
            made = draw(model, entry, figure, labels)
        _film(entry, figure, made, view, moving=moving, still=still)
        said(entry, figure, psi=psi_words(view))
        places = st.columns(3)
        sheet_download(entry, settings, place=places[0])
        places[1].download_button(
            _("GIF"), partial(_gif, entry, settings), file_name=f"walk-{entry.digest[:8]}.gif",
            mime="image/gif", width="stretch", on_click="ignore", key="generate-gif",
            help=_("Endless; at most 256 colours a frame, so the PNG is the exact one."),
        )  # fmt: skip


def _film(
    entry: Entry, figure: "Figure", made: list["Picture"], view: GenerateView, *, moving: Any,
    still: Any,
) -> None:  # fmt: skip
    """Draw the moving walk, and beside it one of its pictures, at hand by a slider."""
    from models import figures

    channels = channels_of(entry)
    frames = [figures.as_shown(one, channels) for one in made]
    moving.html(film_html(frames, len(figure.cells[0]), alt=_("The walk, moving")))
    moving.caption(_("The walk, moving"))
    with still:
        place = st.empty()
        if len(made) > 1:
            held(st.slider, _("Picture of the walk"), view, "frame", 0, len(made) - 1)
        image = shown_picture(frames[view.frame])
        place.html(_whole(inline(image), _("The picture that the slider stands at")))


def _whole(source: str, alt: str) -> str:
    style = "width:100%;max-width:320px;image-rendering:pixelated"
    return f'<img alt="{html.escape(alt)}" style="{style}" src="{source}">'


def _gif(entry: Entry, settings: dict[str, Any]) -> bytes:
    from models import exports, figures

    channels = channels_of(entry)
    _figure, made = made_of(entry, settings)
    return exports.gif_of([figures.as_shown(one, channels) for one in made])


def sum_panel(model: "Loaded", entry: Entry, view: GenerateView) -> None:
    """Draw a sum of seeds: its terms and what comes out."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        terms = typed(
            _("Sum of seeds"), view, "terms", sum_read, max_chars=120,
            help=_("Such as 3 - 8 + 20 or 0.5*3 + 0.5*8. Each seed stands for its style's way"
                   " from the mean style; the ways are added."),
        )  # fmt: skip
        psi_slider(view)
        more_settings(entry, view)
    with right:
        weights, seeds = [weight for weight, _seed in terms], [seed for _weight, seed in terms]
        settings = told("sum", model, entry, look_of(view), seeds=seeds, weights=weights)
        figure = figure_of(model, settings)
        above = [_term(weight, seed, at) for at, (weight, seed) in enumerate(terms)] + ["="]
        labels = Labels(above=above, titles=above, marked=len(terms))
        draw(model, entry, figure, labels)
        said(entry, figure, psi=psi_words(view))
        sheet_download(entry, settings, place=st.columns(3)[0])


def _term(weight: float, seed: int, at: int) -> str:
    sign = "−" if weight < 0 else "+" if at else ""
    size = "" if abs(weight) == 1 else f"{abs(weight):g} × "
    return f"{sign} {size}" + _("seed {seed}").format(seed=seed)


def depths_panel(model: "Loaded", entry: Entry, view: GenerateView) -> None:
    """Draw one seed at every depth that was trained."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        held(st.number_input, _("Seed"), view, "one", min_value=0, max_value=2**32 - 1, step=1)
        psi_slider(view)
        more_settings(entry, view)
    with right:
        settings = told("depths", model, entry, look_of(view), seeds=[view.one])
        figure = figure_of(model, settings)
        above = [depth_words(entry, depth, view.metres) for depth in figure.depths]
        draw(model, entry, figure, Labels(above=above, titles=above))
        said(entry, figure, psi=psi_words(view))
        if len(figure) < entry.depth + 1:
            st.caption(_("Depths whose colours were never trained are left out."))
        st.caption(
            _(
                "The layers below are the same in every picture; the colours of a smaller depth"
                " are as they were when the training moved on from it."
            )
        )
        st.dataframe(_scales(entry, figure, view), hide_index=True, width="stretch")
        sheet_download(entry, settings, place=st.columns(3)[0])


def _scales(entry: Entry, figure: "Figure", view: GenerateView) -> list[dict[str, Any]]:
    rows = []
    for depth in figure.depths:
        metres = metres_at(entry, depth, view.metres)
        rows.append(
            {
                _("Depth"): depth,
                _("Pixels of a side"): size_of_depth(depth),
                _("Layers"): f"{2 * depth}, {2 * depth + 1}",
                _("A pixel on the ground (m)"): "–" if metres is None else value_text(metres),
                _("About as large"): scale_words(metres) or "–",
            }
        )
    return rows
