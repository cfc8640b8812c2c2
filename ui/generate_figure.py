"""The part of the Generate page that is drawn anew while something moves, and its address."""

from typing import TYPE_CHECKING

import streamlit as st

from models.catalogue import Entry
from ui import cached_models
from ui.errors import plain, shown_errors, stopping_errors
from ui.generate_mixing import mixing_panel
from ui.generate_panels import depths_panel, grid_panel, sum_panel, walk_panel
from ui.generate_truncation import truncation_panel
from ui.generate_view import GenerateView, address_of, bent_now, fit, resolved
from ui.language import _
from ui.state import app_state, draw_showing, widget_value, write_address

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_SHOWN = "generate-shown"
_PANELS = {
    "grid": grid_panel,
    "truncation": truncation_panel,
    "mixing": mixing_panel,
    "walk": walk_panel,
    "sum": sum_panel,
    "depths": depths_panel,
}


def view_choice(view: GenerateView) -> None:
    """Draw the choice between the parts of the page."""
    views = {
        "grid": _("Grid"),
        "truncation": _("Truncation"),
        "mixing": _("Mixing"),
        "walk": _("Walk"),
        "sum": _("Sum"),
        "depths": _("Depths"),
        "models": _("Models"),
    }

    def chosen() -> None:
        view.shown = widget_value(_SHOWN)

    draw_showing(
        view.shown, st.segmented_control, _("Show"), list(views), key=_SHOWN, on_change=chosen,
        required=True, label_visibility="collapsed", format_func=lambda name: views[name],
    )  # fmt: skip


def part_place(view: GenerateView) -> "DeltaGenerator":
    """Return the place of the chosen part, emptied first where another one was drawn there.

    Else what that one left would stand among the new until the figure is finished.
    """
    if view.drawn == view.shown:
        return st.container()
    view.drawn = view.shown
    place = st.empty()
    # Of two containers of one kind at one place Streamlit keeps what stands in the first, and of
    # an emptying between them it tells the browser nothing: one of another kind stands between.
    place.expander("")
    return place.container()


@st.fragment
def figure_panel(entry: Entry) -> None:
    """Draw the controls and the figure of the chosen part; only this runs while sliders move."""
    view = app_state().generate
    if view.shown not in _PANELS:
        return
    fit(view, entry)
    _say_bent(view, entry)
    with stopping_errors(), st.spinner(_("Loading the model")):
        model = cached_models.loaded(entry)
    with shown_errors():
        _PANELS[view.shown](model, entry, view)
    remember_generate(entry)


def _say_bent(view: GenerateView, entry: Entry) -> None:
    """Say what a link asks for and the page shows otherwise."""
    found = bent_now(view, entry)
    if found:
        text = _("The link asks for {asked}, which cannot be shown here: {shown} instead.")
        asked, shown = (
            ", ".join(f"{name}={pair[at][:40]}" for name, pair in found.items()) for at in (0, 1)
        )
        st.warning(plain(text.format(asked=asked, shown=shown)))


def remember_generate(entry: Entry) -> None:
    """Make the address restore what the page shows, to the pixel."""
    state = app_state()
    write_address(**address_of(resolved(state.generate, entry)), lang=state.language)
