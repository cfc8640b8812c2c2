"""The switch that lets the server ask the internet, and what works where it cannot.

Off at the start of every session, never part of a link. While it is on, too, nothing is asked
before a button is pressed.
"""

from collections.abc import Sequence

import streamlit as st

from core.connectors.access import WAYS, access
from core.connectors.signing import catalogue_of
from core.text import N_
from ui.errors import plain
from ui.language import _
from ui.server import outside_allowed
from ui.state import app_state, set_widget, widget_value

IMAGE_WAYS = (
    N_("Cut chips from the simulated aerial imagery, which needs no file at all."),
    N_("Cut chips from GeoTIFF files of your own, in the server's data folder or uploaded."),
    N_("Fetch on a machine that has internet, and copy the folder of the study area here."),
)
"""What works for images without the internet."""


def outside_switch(key: str) -> bool:
    """Draw the switch and return whether the internet may be asked."""
    state = app_state()
    if not outside_allowed():
        state.outside = False
        st.info(_("This server does not allow requests to the internet."))
        return False

    def chosen() -> None:
        state.outside = bool(widget_value(key))
        state.no_access = None

    set_widget(key, state.outside)
    st.toggle(
        _("Allow requests to the internet"),
        key=key,
        on_change=chosen,
        help=_(
            "This server then asks the catalogue when you press a button, and never before. Your"
            " browser asks nobody. What is sent: the outline of the study area and the dates."
        ),
    )
    return state.outside


def is_reachable(url: str) -> bool:
    """Ask whether a catalogue answers; if not, `no_access_panel` tells why.

    Raises:
        RefusedFileError: It is no plain address.
    """
    state = app_state()
    catalogue = catalogue_of(url)
    asking = _("Asking whether {catalogue} answers…").format(catalogue=plain(catalogue.title))
    with st.spinner(asking):
        state.no_access = access(catalogue, outside=state.outside).error
    return state.no_access is None


def no_access_panel(ways: Sequence[str] = WAYS) -> None:
    """Say why the internet cannot be asked and what works without it; nothing where it can."""
    state = app_state()
    if outside_allowed() and state.no_access is None:
        return
    with st.container(border=True):
        if state.no_access is not None:
            st.error(plain(state.no_access.message(_)))
        lines = [_("What works without the internet:"), ""]
        lines += [f"- {plain(_(way))}" for way in ways]
        st.markdown("\n".join(lines))
        own, simulated, _rest = st.columns([1, 1, 1])
        if own.button(_("Bring in a file"), key="way-own", width="stretch"):
            st.switch_page("pages/data.py")
        if simulated.button(_("Open the simulated city"), key="way-simulated", width="stretch"):
            st.switch_page("pages/start.py")
