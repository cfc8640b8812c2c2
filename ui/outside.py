"""The switch that lets the server ask the internet, and what works where it cannot.

Off at the start of every session, never part of a link. While it is on, too, nothing is asked
before a button is pressed.
"""

import streamlit as st

from core.connectors.access import WAYS, access
from core.connectors.signing import catalogue_of
from core.text import N_
from ui.errors import plain
from ui.language import _
from ui.progress import forget_ended
from ui.server import outside_allowed
from ui.state import app_state, draw_showing, widget_value

IMAGE_WAYS = (
    N_("Cut chips from the simulated aerial imagery, which needs no file at all."),
    N_("Cut chips from GeoTIFF files of your own, in the server's data folder or uploaded."),
    N_("Fetch on a machine that has internet, and copy the folder of the study area here."),
)
"""What works for images without the internet."""
_OFFERS = {
    "layers": (
        WAYS,
        {"pages/data.py": N_("Bring in a file"), "pages/start.py": N_("Open the simulated city")},
    ),
    "imagery": (IMAGE_WAYS, {"pages/chips.py": N_("Cut chips on the Chips page")}),
}
"""By where the internet is asked: what works without it, and the pages where that is done."""


def outside_switch(key: str) -> bool:
    """Draw the switch and return whether the internet may be asked."""
    state = app_state()
    if not outside_allowed():
        state.outside = False
        st.info(_("This server does not allow requests to the internet."))
        return False

    def chosen() -> None:
        state.outside = bool(widget_value(key))
        state.no_access.clear()

    draw_showing(
        state.outside,
        st.toggle,
        _("Allow requests to the internet"),
        key=key,
        on_change=chosen,
        help=_(
            "This server then asks the catalogue when you press a button, and never before. Your"
            " browser asks nobody. What is sent: the outline of the study area and the dates."
        ),
    )
    return state.outside


def ask_anew(where: str, purpose: str) -> None:
    """Take away what was said of the last try, before another one."""
    app_state().no_access.pop(where, None)
    forget_ended(purpose)


def is_reachable(url: str, where: str) -> bool:
    """Ask whether a catalogue answers; if not, `no_access_panel` of `where` tells why.

    Raises:
        RefusedFileError: It is no plain address.
    """
    state = app_state()
    catalogue = catalogue_of(url)
    asking = _("Asking whether {catalogue} answers…").format(catalogue=plain(catalogue.title))
    with st.spinner(asking):
        error = access(catalogue, outside=state.outside).error
    state.no_access.pop(where, None)
    if error is not None:
        state.no_access[where] = error
    return error is None


def no_access_panel(where: str) -> None:
    """Say why the internet could not be asked here and what works without it, if that is so.

    `where` is `layers` or `imagery`.
    """
    error = app_state().no_access.get(where)
    if outside_allowed() and error is None:
        return
    ways, pages = _OFFERS[where]
    with st.container(border=True):
        if error is not None:
            st.error(plain(error.message(_)))
        lines = [_("What works without the internet:"), ""]
        lines += [f"- {plain(_(way))}" for way in ways]
        st.markdown("\n".join(lines))
        for (page, text), box in zip(pages.items(), st.columns(3), strict=False):
            if box.button(_(text), key=f"way-{where}-{page}", width="stretch"):
                st.switch_page(page)
