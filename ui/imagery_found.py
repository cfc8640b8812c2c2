"""What a search found: a table to choose from, and one image looked at closely."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.connectors import addresses, previews
from core.connectors import kept as kept_searches
from core.connectors.items import Found
from core.connectors.kept import Kept
from core.connectors.shelf import Image
from core.connectors.signing import catalogue_of
from core.workspace import Area
from ui import cached
from ui.choice import distinct
from ui.errors import plain, show_error, shown_errors
from ui.imagery_words import covered_share, found_facts, found_table, image_label
from ui.language import _
from ui.quantities import share_text, size_text
from ui.server import workspace
from ui.state import ImageryView, app_state, draw_showing, widget_value

_TABLE_PX = 96
_PREVIEW_S = 12.0


def shown_search(area: Area, view: ImageryView) -> Kept | None:
    """Return the answer that the page shows: the link's, else the last one; None for none."""
    space = workspace()
    written = kept_searches.stamp(space, area.id, view.search)
    if not written:
        view.search = kept_searches.latest(space, area.id)
        written = kept_searches.stamp(space, area.id, view.search)
    if not view.search:
        return None
    with shown_errors():
        return cached.imagery_search(area.id, view.search, written)
    return None


def imagery_figures(
    area: Area, stamp: int, found: Sequence[Found], chosen: Sequence[Found], images: Sequence[Image]
) -> None:
    """Draw the strip of key figures."""
    figures = st.columns(4)
    figures[0].metric(_("Images found"), str(len(found)))
    figures[1].metric(_("Chosen"), str(len(chosen)))
    with shown_errors():
        share = covered_share(chosen, cached.boundary_shape(area.id, stamp))
        figures[2].metric(_("Area covered by the chosen"), share_text(share))
    size = size_text(sum(image.num_bytes for image in images))
    figures[3].metric(_("Here already"), f"{len(images)} · {size}")


def chosen_keys(area: Area, stamp: int, view: ImageryView) -> list[str]:
    """Return the keys of the images to fetch: at first those that cover the area."""
    if view.search not in view.chosen:
        written = kept_searches.stamp(workspace(), area.id, view.search)
        view.chosen = {view.search: cached.suggested_images(area.id, stamp, view.search, written)}
    return view.chosen[view.search]


def found_panel(area: Area, stamp: int, kept: Kept, view: ImageryView, here: set[str]) -> None:
    """Draw the table; ticked rows are chosen, a click on a cell looks at its image."""
    found = kept.results.found
    catalogue = catalogue_of(kept.query.catalogue).title
    facts = [catalogue, kept.results.title, kept.results.licence, _asked(kept)]
    st.caption(" · ".join(plain(fact) for fact in facts if fact))
    if kept.results.is_cut:
        st.warning(_("The catalogue has more: narrow the search by dates."))
    if not found:
        st.info(
            _("There are no images of {collection} of this study area in this time.").format(
                collection=plain(kept.query.collection)
            )
        )
        return
    # Another choice than that of its rows is another table: its own would be told once more.
    key = f"found-{area.id}-{view.search}-{view.turn}"
    place = {image.key: number for number, image in enumerate(found)}
    written = kept_searches.stamp(workspace(), area.id, view.search)
    suggested = cached.suggested_images(area.id, stamp, view.search, written)

    def choose(keys: list[str]) -> None:
        view.chosen[view.search] = keys
        view.turn += 1

    newest = [image.key for image in found if not image.newer]
    helps = {
        _("Suggested"): (suggested, _("The fewest and newest that cover the study area")),
        _("Newest"): (newest, _("The newest of each place")),
        _("All"): (list(place), _("Older images of the same places too")),
        _("None"): ([], _("Let all go")),
    }
    for box, (text, (keys, what)) in zip(st.columns(len(helps)), helps.items(), strict=True):
        box.button(
            text,
            on_click=partial(choose, keys),
            key=f"choose-{area.id}-{text}",
            width="stretch",
            help=what,
        )
    table = found_table(
        found, licence=kept.results.licence, here=here, pictures=_pictures(area, found)
    )
    at_first = [place[one] for one in view.chosen[view.search] if one in place]
    st.dataframe(
        table,
        key=key,
        hide_index=True,
        width="stretch",
        height=min(430, 44 * len(found) + 40),
        row_height=44,
        on_select=lambda: _take_selection(found, view, widget_value(key)),
        selection_mode=("multi-row", "single-cell"),
        selection_default={"selection": {"rows": at_first, "columns": [], "cells": []}},
        column_config=_columns(),
    )
    _refused(kept)


def _asked(kept: Kept) -> str:
    first, last = kept.query.dates
    period = f"{first or '…'} – {last or '…'}" if first or last else _("all years")
    when = kept.when.replace("T", " ").removesuffix("Z")
    return _("{period}, asked on {when} UTC").format(period=period, when=when)


def _columns() -> dict[str, ColumnConfig | str | None]:
    number = st.column_config.NumberColumn
    return {
        _("Picture"): st.column_config.ImageColumn(width=70),
        _("Overlap"): number(format="%.1f %%", help=_("Share of the study area it covers")),
        _("Pixel"): number(format="%.2f m", help=_("Side of a pixel on the ground")),
        _("Size"): number(format="%.0f MB", help=_("Of the whole file")),
        _("Clouds"): number(format="%.0f %%"),
    }


def _pictures(area: Area, found: tuple[Found, ...]) -> dict[str, bytes]:
    paths = previews.preview_paths(workspace(), area.id, found)
    return {key: _small(path, _TABLE_PX) for key, path in paths.items()}


def _small(path: Path, side_px: int) -> bytes:
    return cached.small_picture(str(path), path.stat().st_mtime_ns, side_px)


def _take_selection(found: tuple[Found, ...], view: ImageryView, told: Any) -> None:
    """Take over what was ticked and clicked in the table."""
    selection = told["selection"]
    view.chosen[view.search] = [found[row].key for row in selection["rows"] if row < len(found)]
    cells = selection.get("cells") or []
    if cells and (row := int(cells[0][0])) < len(found):
        view.looked = found[row].key


def _refused(kept: Kept) -> None:
    refused = kept.results.refused
    if not refused:
        return
    title = _("Entries of the catalogue that were passed over: {count}").format(count=len(refused))
    with st.expander(title):
        lines = [f"- {plain(row.id)}: {plain(row.message(_))}" for row in refused[:50]]
        st.markdown("\n".join(lines))


def looked_panel(area: Area, kept: Kept, view: ImageryView) -> None:
    """Draw the picture and the facts of one image."""
    found = kept.results.found
    if not found:
        return
    by_key = {image.key: image_label(image) for image in found}
    names = {"": _("None: click the map or a row"), **by_key}
    widget = f"looked-{area.id}-{view.search}"

    def look() -> None:
        view.looked = str(widget_value(widget, ""))

    labels = distinct(names)
    draw_showing(
        view.looked if view.looked in by_key else "",
        st.selectbox,
        _("Image to look at"),
        list(names),
        format_func=lambda key: labels.get(key, key),
        key=widget,
        on_change=look,
    )
    image = kept.image(view.looked)
    if image is None:
        return
    left, right = st.columns([1, 2])
    with left:
        _picture(area, kept, image)
    catalogue = catalogue_of(kept.query.catalogue).title
    facts = found_facts(image, found, kept.results.licence, catalogue)
    pairs = [fact.partition("\t") for fact in facts]
    right.markdown("\n".join(f"- {name}: **{plain(text)}**" for name, _tab, text in pairs))
    right.code(addresses.shown(image.href), language=None, wrap_lines=True)


def _picture(area: Area, kept: Kept, image: Found) -> None:
    path = previews.preview_paths(workspace(), area.id, [image]).get(image.key)
    if path is not None:
        text = _("Small picture from the catalogue")
        st.image(path.read_bytes(), caption=text, width="stretch")
        return
    st.caption(_("There is no small picture of it here."))
    if image.thumbnail and st.button(
        _("Fetch its small picture"), key="one-preview", disabled=not app_state().outside
    ):
        failed = {}
        with shown_errors(), st.spinner(_("Fetching the picture…")):
            failed = previews.fetch_previews(
                workspace(), area.id, [image], catalogue=catalogue_of(kept.query.catalogue),
                outside=app_state().outside, most_s=_PREVIEW_S,
            )  # fmt: skip
        if image.key in failed:
            show_error(failed[image.key])
        else:
            st.rerun()
