"""The study areas as cards: a picture, key facts, open, rename, delete."""

import html

import streamlit as st

from core import default_area
from core.default_area import DEFAULT_AREA
from core.errors import AppError
from core.tiles import thumb_url
from core.workspace import Area, Layer
from ui import cached
from ui.errors import plain, shown_errors
from ui.frame import area_title
from ui.language import _
from ui.quantities import area_text
from ui.server import base_path, workspace
from ui.state import app_state

_COLUMNS = 3


def area_cards(areas: list[Area]) -> None:
    """Draw one card an area."""
    for start in range(0, len(areas), _COLUMNS):
        row = st.columns(_COLUMNS)
        for column, area in zip(row, areas[start : start + _COLUMNS], strict=False):
            with column, st.container(border=True):
                _card(area)


def broken_cards(broken: dict[str, AppError]) -> None:
    """Draw the areas that cannot be read, with the reason and a way to delete them."""
    for area_id, error in broken.items():
        with st.container(border=True):
            st.error(f"**{plain(area_id)}**: {plain(error.message(_))}")
            sure = st.checkbox(
                _("Yes, delete {area} with all its layers").format(area=plain(area_id)),
                key=f"sure-{area_id}",
            )
            if st.button(_("Delete"), key=f"delete-{area_id}", disabled=not sure):
                _delete(area_id, area_id)


def _card(area: Area) -> None:
    stamp = workspace().stamp(area.id)
    picture = next((layer for layer in area.layers if not layer.url), None)
    try:
        st.html(_picture(area, picture))
        size = area_text(cached.boundary_km2(area.id, stamp))
    except AppError as err:
        st.warning(plain(err.message(_)))
        size = ""
    st.markdown(f"**{plain(area_title(area))}**")
    facts = [size, _("{count} layers").format(count=len(area.layers))]
    if area.is_simulated:
        facts.append(_("simulated, no data of the real city"))
    st.caption(" · ".join(fact for fact in facts if fact))
    left, right = st.columns([3, 1])
    if left.button(_("Open"), key=f"open-{area.id}", type="primary", width="stretch"):
        app_state().area = area.id
        st.switch_page("pages/data.py")
    with right.popover("⋯", width="stretch"):
        _rename_form(area)
        _delete_form(area)


def _picture(area: Area, layer: Layer | None) -> str:
    """Return the card's picture as HTML; a quiet box where there is no layer yet."""
    if layer is None:
        empty = html.escape(_("no layers yet"))
        return f'<div class="ups-card">{empty}</div>'
    url = html.escape(thumb_url(area.id, layer, size=480, base=base_path()))
    title = html.escape(area_title(area))
    return f'<div class="ups-card"><img src="{url}" alt="{title}"></div>'


def _rename_form(area: Area) -> None:
    title = st.text_input(_("Name"), value=area_title(area), key=f"title-{area.id}", max_chars=80)
    if st.button(_("Rename"), key=f"rename-{area.id}", disabled=area.is_simulated):
        with shown_errors():
            workspace().rename(area.id, title)
            st.rerun()
    if area.is_simulated:
        st.caption(_("The simulated area keeps its name, so that it is never taken for data."))


def _delete_form(area: Area) -> None:
    sure = st.checkbox(
        _("Yes, delete {area} with all its layers").format(area=plain(area_title(area))),
        key=f"sure-{area.id}",
    )
    if st.button(_("Delete"), key=f"delete-{area.id}", disabled=not sure):
        _delete(area.id, area_title(area))
    if area.id == DEFAULT_AREA:
        st.caption(_("It can be made again on this page, the same to the byte."))


def _delete(area_id: str, title: str) -> None:
    with shown_errors():
        workspace().delete(area_id)
        if area_id == DEFAULT_AREA:
            default_area.leave_out(workspace().root)
        app_state().views.pop(area_id, None)
        app_state().notice = _("{area} was deleted.").format(area=plain(title))
        st.rerun()
