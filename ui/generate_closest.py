"""Closest real places: the training chips nearest to a picture, and where they lie."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import shapely
import streamlit as st
from numpy.typing import NDArray

from core.chips.channels import Channel
from core.chips.display import to_pictures
from core.chips.sets import ChipSet, ChipSets, SetInfo
from core.workspace import Area
from models.catalogue import Entry
from models.sets import source_name
from ui import cached_chips, cached_models
from ui.errors import plain, shown_errors
from ui.frame import all_areas
from ui.generate_models import channels_of, has_other_set, is_of_scale, set_of
from ui.generate_view import GenerateView
from ui.language import _
from ui.picture_table import Table, table_html
from ui.quantities import value_text
from ui.server import workspace
from ui.state import draw_showing, widget_value

if TYPE_CHECKING:
    from models.figures import Picture

_COUNT = 5
_KEY = "generate-picture"


def closest_panel(
    entry: Entry, view: GenerateView, names: list[str], made: list["Picture"]
) -> None:
    """Draw the choice of a picture, its nearest training chips and a map of them."""

    def chosen() -> None:
        found = widget_value(_KEY)
        # Where the pictures have changed meanwhile, the browser's choice is none of them.
        view.picture, view.sought = names.index(found) if found in names else None, ""

    draw_showing(
        None if view.picture is None else names[view.picture], st.selectbox,
        _("Closest real places of"), list(dict.fromkeys(names)), key=_KEY, on_change=chosen,
        placeholder=_("choose a picture"),
        help=_("The training chips nearest to it, pixel by pixel: is it a copy?"),
    )  # fmt: skip
    if view.picture is None:
        return
    picture = made[view.picture]
    info = set_of(entry) or _other_set(entry, picture.shape[1])
    if info is None or not _is_asked(view, picture):
        return
    with shown_errors(), st.spinner(_("Looking through the chips")):
        chips = cached_chips.chip_set(info.id, info.digest)
        found = cached_models.closest_chips(
            info.id, info.digest, picture.shape, picture.tobytes(), _COUNT
        )
        usual = cached_models.usual_distance(info.id, info.digest, picture.shape[1])
        _strip(chips, picture, found.chips, found.distances, names[view.picture])
        if usual is not None:
            text = _(
                "Half of the chips held back for the test lie within {far} of a training chip."
            )
            st.caption(text.format(far=f"{usual:.1f}"))
        own = next((area for area in all_areas() if area.id == info.area), None)
        if info.crs:
            _map(chips, found.chips, own)


def _other_set(entry: Entry, size_px: int) -> SetInfo | None:
    """Say that the model's own chips are not here; return a set that was chosen in their place."""
    st.info(_missing_words(entry))
    wanted = [_meaning(one) for one in channels_of(entry)]
    alike = {
        info.id: info
        for info in ChipSets(workspace().root).sets()
        if size_px in info.sizes
        and len(info.channels) == entry.networks.channels
        and is_of_scale(entry, info)
        and wanted in ([], [_meaning(one) for one in info.channels])
    }
    if not alike:
        st.caption(
            _("Chips of any place that are alike will do too, such as of the simulated city.")
        )
        if st.button(_("Cut chips on the Chips page"), key="generate-cut"):
            st.switch_page("pages/chips.py")
        return None
    chosen = st.selectbox(
        _("Look among other chips instead"), list(alike), index=None, key="generate-other-set",
        placeholder=_("choose a chip set"),
        help=_("All sets with the same channels, size and scale. How near they are says what is"
               " alike, not what is copied."),
    )  # fmt: skip
    return alike.get(chosen) if chosen else None


def _meaning(channel: Channel) -> tuple[str, str, int | None]:
    return channel.name, channel.kind, channel.code


def _missing_words(entry: Entry) -> str:
    text = _("The chips that this model was trained on ({name}) are not in this workspace.")
    if has_other_set(entry):
        text = _(
            "The chips called {name} in this workspace are not those that this model was trained"
            " on: they were cut anew, or are of another place."
        )
    return text.format(name=plain(source_name(entry.data)) or _("not known"))


def _is_asked(view: GenerateView, picture: "Picture") -> bool:
    """Tell whether the chips nearest to this very picture are wanted; draw how to want them.

    A choice asks once: while a slider changes the picture, no search holds it up.
    """
    digest = hashlib.blake2b(picture.tobytes(), digest_size=8).hexdigest()
    if view.sought not in ("", digest):
        st.caption(_("The picture has changed since its closest places were looked for."))
        if not st.button(_("Look for the closest places of this one"), key="generate-seek"):
            return False
    view.sought = digest
    return True


def _strip(
    chips: ChipSet, picture: "Picture", numbers: NDArray[np.int64], far: NDArray[np.float64],
    name: str,
) -> None:  # fmt: skip
    from models import figures

    size = picture.shape[1]
    pixels = chips.read(numbers, size)
    drawn = to_pictures(pixels, chips.info.channels)
    images = [one[..., None] if one.ndim == 2 else one for one in drawn]
    own = figures.as_shown(picture, chips.info.channels)
    above = [
        name,
        *(
            _("{rank}. chip {chip}: {far:.1f}").format(rank=rank + 1, chip=chip, far=value)
            for rank, (chip, value) in enumerate(zip(numbers, far, strict=True))
        ),
    ]
    st.html(table_html(Table(rows=[[own, *images]], titles=[above], above=above, marked=0)))
    said = _(
        "Distance: root of the mean squared difference of pixels, 0 to 255, over all channels"
        " at {size} px. Near 0 is a copy; it says nothing of likeness of kind."
    ).format(size=size)
    if (metres := chips.info.metres_per_pixel(size)) is not None:
        said += " " + _("A pixel of all of them is {metres} m.").format(metres=value_text(metres))
    st.caption(said)


def _map(chips: ChipSet, numbers: NDArray[np.int64], area: Area | None) -> None:
    """Draw the outlines of chips on the map of their area."""
    from ui import maps  # 2.5 s that a page without a map does not pay
    from ui.chip_map import chip_ring, chips_overlay

    rings = [ring for number in numbers if (ring := chip_ring(chips, int(number))) is not None]
    if not rings:
        return
    squares = [maps.Square(ring, label=str(rank + 1)) for rank, ring in enumerate(rings)]
    lats = [lat for ring in rings for lat, _lon in ring]
    lons = [lon for ring in rings for _lat, lon in ring]
    around = shapely.box(min(lons), min(lats), max(lons), max(lats)).buffer(0.004).bounds
    bounds = (around[0], around[1], around[2], around[3])
    group = chips_overlay(chips.info, area, squares=squares)
    base = maps.new_map(bounds, view_key="-".join(map(str, numbers)))
    maps.show(base, group, key=f"closest-map-{chips.info.id}", height_px=320)
