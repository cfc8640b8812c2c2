"""What stands around every page: the menu, the top line with area and language, messages."""

import json

import streamlit as st

from core.workspace import Area
from ui.chip_view import ChipView, address_of
from ui.choice import distinct
from ui.errors import plain
from ui.language import LANGUAGES, _, language
from ui.server import set_modules_aside, warm_up, workspace
from ui.state import (
    ClusterView,
    CozyView,
    MapView,
    QuadratView,
    app_state,
    draw_showing,
    style_text,
    widget_value,
    write_address,
)

_CSS = """
<style>
.ups-title h1 { font-size: 1.45rem; margin: 0; padding: 0; display: inline; }
.ups-title span { color: color-mix(in srgb, currentColor 65%, transparent); margin-left: .8rem; }
[data-testid="stMainBlockContainer"] { padding: 4.2rem 2rem 2rem; }
[data-testid="stSidebarHeader"] { height: 2.2rem; min-height: 2.2rem; margin-bottom: 0; }
[data-testid="stSidebarUserContent"] [data-testid="stVerticalBlock"] { gap: .55rem; }
[data-testid="stSidebarUserContent"] hr { margin: .4rem 0; }
[data-testid="stMetricValue"] { font-size: 1.25rem; }
[data-testid="stMetric"] * { white-space: normal; overflow: visible; text-overflow: clip; }
@media (max-width: 1000px) { [data-testid="stMetricValue"] { font-size: 1.05rem; } }
@media (max-width: 1000px) { .ups-title span { display: block; margin-left: 0; } }
.ups-card { height: 220px; border-radius: 6px; overflow: hidden; background: #EEF1F1;
  display: flex; align-items: center; justify-content: center; color: #5A6868; }
.ups-card img { width: 100%; height: 100%; object-fit: contain; }
</style>
"""


def run_pages() -> None:
    """Name the pages, run the chosen one."""
    st.set_page_config(page_title="Urban Pattern Studio", page_icon="🏙️", layout="wide")
    city = [
        st.Page("pages/start.py", title=_("Start"), url_path="start", default=True),
        st.Page("pages/data.py", title=_("Data"), url_path="data"),
        st.Page("pages/quadrats.py", title=_("Quadrats"), url_path="quadrats"),
        st.Page("pages/clusters.py", title=_("Clusters"), url_path="clusters"),
        st.Page("pages/cozy.py", title=_("Cozy zones"), url_path="cozy"),
    ]
    training = [
        st.Page("pages/imagery.py", title=_("Imagery"), url_path="imagery"),
        st.Page("pages/chips.py", title=_("Chips"), url_path="chips"),
    ]
    networks = [
        st.Page("pages/train.py", title=_("Train"), url_path="train"),
        st.Page("pages/generate.py", title=_("Generate"), url_path="generate"),
    ]
    groups = {"": city, _("Training data"): training, _("Networks"): networks}
    page = st.navigation(groups, position="top")
    sections = list(groups.values())[1:]
    app_state().section = next((n for n, pages in enumerate(sections) if page in pages), None)
    st.html(_CSS + _own_words() + _marked_in_menu(len(city), len(sections)))
    try:
        page.run()
    finally:  # a page may end itself, or run again
        set_modules_aside()
    warm_up()


def _marked_in_menu(first: int, sections: int) -> str:
    """Return CSS that shows the section one is in as Streamlit shows the page one is on.

    Which one that is the title of the page tells. The rules are the same on all pages: those of a
    page that was left may stay a while.
    """
    rules = []
    for number in range(sections):
        item = f'[data-testid="stTopNav"] > :nth-child({first + number + 1})'
        section = f'body:has(.ups-section-{number}) {item} > [data-testid="stTopNavSection"]'
        rules.append(f"{section} {{ background: rgb(166 181 181 / .25); }}")
        rules.append(f"{section} p {{ font-weight: 600; }}")
    return "<style>\n" + "\n".join(rules) + "\n</style>\n"


def _own_words() -> str:
    """Return CSS that puts our words in place of Streamlit's own, which it cannot translate."""
    upload = _("Upload")
    if upload == "Upload":
        return ""
    button = '[data-testid="stFileUploaderDropzone"] button [data-testid="stMarkdownContainer"]'
    return f"""
<style>
{button} p {{ font-size: 0; }}
{button} p::after {{ content: {json.dumps(upload, ensure_ascii=False)}; font-size: 1rem; }}
[data-testid="stFileUploaderDropzoneInstructions"] {{ display: none; }}
</style>
"""


def page_top(title: str, subtitle: str, *, areas: list[Area] | None = None) -> None:
    """Draw the top line: title, the page's question, the study area, the language."""
    state = app_state()
    left, middle, right = st.columns([5, 3, 1.9], vertical_alignment="center")
    section = "" if state.section is None else f" ups-section-{state.section}"
    left.html(f'<div class="ups-title{section}"><h1>{title}</h1><span>{subtitle}</span></div>')
    if areas:
        titles = distinct({area.id: area_title(area) for area in areas})
        draw_showing(
            state.area,
            middle.selectbox,
            _("Study area"),
            list(titles),
            format_func=lambda area_id: titles.get(area_id, area_id),
            key="area-chip",
            on_change=_area_chosen,
            label_visibility="collapsed",
        )
    draw_showing(
        language(),
        right.selectbox,
        _("Language"),
        list(LANGUAGES),
        format_func=lambda name: LANGUAGES[name],
        key="language-chip",
        on_change=_language_chosen,
        label_visibility="collapsed",
    )
    if state.notice:
        st.toast(state.notice)
        state.notice = ""


def chosen_area(areas: list[Area]) -> Area | None:
    """Return the session's study area; the first one where it has none that exists."""
    state = app_state()
    by_id = {area.id: area for area in areas}
    if state.area not in by_id:
        # A link without an area, or to one that is gone: what it shows is taken over.
        view = state.views.pop(state.area, None)
        quadrats = state.quadrats.pop(state.area, None)
        clusters = state.clusters.pop(state.area, None)
        cozy = state.cozy.pop(state.area, None)
        if state.area and areas:
            state.notice = _("There is no study area {name}; {other} is shown.").format(
                name=plain(state.area), other=plain(area_title(areas[0]))
            )
        state.area = areas[0].id if areas else ""
        if view is not None:
            state.views.setdefault(state.area, view)
        if quadrats is not None:
            state.quadrats.setdefault(state.area, quadrats)
        if clusters is not None:
            state.clusters.setdefault(state.area, clusters)
        if cozy is not None:
            state.cozy.setdefault(state.area, cozy)
    return by_id.get(state.area)


def area_title(area: Area) -> str:
    """Return an area's title; the simulated area's is translated."""
    return _(area.title) if area.is_simulated else area.title


def _area_chosen() -> None:
    app_state().area = widget_value("area-chip")


def _language_chosen() -> None:
    app_state().language = widget_value("language-chip")


def all_areas() -> list[Area]:
    """Return the study areas of the workspace, oldest first."""
    return workspace().areas()


def empty_state(text: str, action: str, page: str) -> None:
    """Say what a page needs, with the button that leads to it."""
    st.info(text)
    if st.button(action, type="primary"):
        st.switch_page(page)


def remember_area() -> None:
    """Make the address restore the language and the study area."""
    write_address(area=app_state().area, lang=app_state().language)


def remember(area: Area, view: MapView) -> None:
    """Make the address restore what the Data page shows."""
    point = view.point
    write_address(
        area=area.id,
        layers=",".join(view.shown),
        layer=view.active,
        swipe=view.swipe,
        style=style_text(view),
        at=f"{point[0]:.6f},{point[1]:.6f}" if point else "",
        lang=app_state().language,
    )


def remember_quadrats(area: Area, view: QuadratView) -> None:
    """Make the address restore what the Quadrats page shows."""
    shown = "normalised" if view.is_normalised else "counted"
    write_address(
        area=area.id,
        column=f"{view.column}:{shown}",
        only=f"{view.only[0]:.6g}~{view.only[1]:.6g}" if view.only else "",
        lang=app_state().language,
    )


def remember_cozy(area: Area, view: CozyView) -> None:
    """Make the address restore what the Cozy zones page shows."""
    chosen = {key: view.options.get(key, "") for key in ("level", "correction", "weights")}
    write_address(
        area=area.id,
        map=view.shown,
        groups=view.groups,
        lang=app_state().language,
        **{key: str(value or "") for key, value in chosen.items()},
    )


def remember_chips(view: ChipView) -> None:
    """Make the address restore what the Chips page shows."""
    write_address(area=app_state().area, lang=app_state().language, **address_of(view))


def remember_clusters(area: Area, view: ClusterView) -> None:
    """Make the address restore what the Clusters page shows."""
    write_address(
        area=area.id,
        k=str(view.k or ""),
        pick="" if view.picked is None else str(view.picked),
        lang=app_state().language,
    )
