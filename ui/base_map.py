"""The switch of the online base map. Off by default: then nothing leaves the browser."""

from ui.choice import choice
from ui.language import _
from ui.server import outside_allowed
from ui.state import app_state

BASE_MAPS = {
    "osm": "OpenStreetMap",
    "light": "CartoDB Positron",
    "satellite": "Esri World Imagery",
}


def base_map_choice(key: str) -> None:
    """Draw the choice and keep it for this session; nothing where the server forbids it."""
    if not outside_allowed():
        return
    state = app_state()
    state.base_map = choice(
        _("Online base map"),
        {"": _("None (offline)"), **BASE_MAPS},
        value=state.base_map,
        key=key,
        help=_("Your browser then asks the map's own server for tiles. Off, nothing leaves."),
    )
