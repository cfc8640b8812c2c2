"""The left column of the Imagery page: what is searched for, what is chosen, what it would take."""

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st

from core import jobs
from core.connectors import items
from core.connectors.imagery import plan_fetch
from core.connectors.items import Found
from core.connectors.kept import Kept, Query
from core.connectors.search import checked_dates
from core.connectors.shelf import Image
from core.connectors.signing import CATALOGUES, catalogue_of
from core.workspace import Area
from ui.choice import choice
from ui.errors import plain, shown_errors
from ui.imagery_words import estimate_lines
from ui.language import _
from ui.outside import ask_anew, is_reachable, outside_switch
from ui.progress import is_running
from ui.server import workspace
from ui.state import ImageryView, app_state, write_address

_OTHER = "other"


def search_panel(area: Area, view: ImageryView, kept: Kept | None) -> None:
    """Draw the switch and the search, at first as `kept`; its button starts it as a job."""
    if kept is not None and not view.catalogue:
        view.catalogue, view.collection = kept.query.catalogue, kept.query.collection
        view.asset, (view.first, view.last) = kept.query.asset, kept.query.dates
    with st.sidebar:
        is_on = outside_switch("outside-imagery")
        # Without its publisher, which the column is too narrow for; the table names that too.
        known = {catalogue.url: catalogue.title.partition(" (")[0] for catalogue in CATALOGUES}
        current = view.catalogue or CATALOGUES[0].url
        chosen = choice(
            _("Catalogue"),
            {**known, _OTHER: _("Another STAC API")},
            value=current if current in known else _OTHER,
            key=f"catalogue-{area.id}",
        )
        with st.form(f"search-{area.id}", border=False):
            url = chosen
            if chosen == _OTHER:
                own = "" if current in known else current
                url = st.text_input(
                    _("Address of a STAC API"),
                    value=own,
                    placeholder="https://…/stac/v1",
                    key=f"stac-{area.id}",  # else another address would be another box
                )
            collection = st.text_input(
                _("Collection"),
                value=view.collection,
                max_chars=100,
                key=f"collection-{area.id}",
                help=_("naip: aerial images of the United States, 0.3 to 1 m, every two years."),
            )
            left, right = st.columns(2)
            first = left.text_input(
                _("From"), value=view.first, placeholder="2019", help=_("A year, month or day"),
                key=f"first-day-{area.id}",
            )  # fmt: skip
            last = right.text_input(
                _("To"), value=view.last, placeholder="2023-08", key=f"last-day-{area.id}"
            )
            with st.expander(_("More")):
                asset = st.text_input(
                    _("File of each image"),
                    value=view.asset,
                    max_chars=100,
                    key=f"asset-{area.id}",
                    help=_("Name of an asset; empty: the first GeoTIFF."),
                )
            is_busy = is_running(f"search-{area.id}")
            pressed = st.form_submit_button(
                _("Search"), type="primary", width="stretch", disabled=not is_on or is_busy
            )
        if not is_on:
            st.caption(_("Nothing is asked of the internet while the switch is off."))
        if pressed and is_on:
            view.catalogue, view.collection, view.asset = url, collection.strip(), asset.strip()
            view.first, view.last = first.strip(), last.strip()
            ask_anew("imagery", f"search-{area.id}")
            with shown_errors():
                _start_search(area, view)


def _start_search(area: Area, view: ImageryView) -> None:
    query = Query(
        catalogue=catalogue_of(view.catalogue).url,
        collection=view.collection,
        asset=view.asset,
        dates=(view.first, view.last),
    )
    checked_dates(query.dates)
    if is_reachable(query.catalogue, "imagery"):
        start(area, "search-imagery", f"search-{area.id}", query=asdict(query))
        view.search = ""  # its answer is the latest, also where it is cancelled after that
    st.rerun()


def start(area: Area, work: str, purpose: str, **config: object) -> None:
    """Start a job that may ask the internet, and watch it."""
    root = workspace().root
    config = {
        "workspace": str(root.resolve()),
        "area": area.id,
        "outside": app_state().outside,
        **config,
    }
    app_state().jobs[purpose] = jobs.submit(root / "jobs", work, config)


def fetch_panel(
    area: Area, view: ImageryView, kept: Kept, chosen: Sequence[Found], images: Sequence[Image]
) -> None:
    """Draw what the chosen images would take, with the button that fetches them."""
    with st.sidebar:
        st.divider()
        heading = _("Fetch the chosen images")
        st.markdown(f"**{heading}**")
        if not chosen:
            st.caption(_("Choose images in the table."))
            return
        estimate = None
        with shown_errors():
            estimate = plan_fetch(
                workspace(), area.id, chosen, catalogue=kept.query.catalogue, images=images,
                mbit_s=view.mbit_s,
            )  # fmt: skip
        if estimate is None:
            return
        st.caption("  \n".join(plain(line) for line in estimate_lines(estimate)))
        if not estimate.num:
            return
        view.mbit_s = st.number_input(
            _("Speed of the connection (Mbit/s)"), 0.1, 10_000.0, view.mbit_s, step=10.0,
            format="%g", key=f"mbit-{area.id}",
        )  # fmt: skip
        is_ready = app_state().outside and estimate.fits and not is_running(f"imagery-{area.id}")
        if st.button(
            _("Fetch the chosen ({count})").format(count=estimate.num),
            type="primary",
            width="stretch",
            disabled=not is_ready,
            help=None if is_ready else _("The switch above must be on, and nothing else fetched."),
        ):
            start_fetch(area, chosen, kept.query.catalogue, kept.results.licence)


def start_fetch(area: Area, images: Sequence[Found], catalogue: str, licence: str) -> None:
    """Fetch images as a job, if the catalogue answers."""
    ask_anew("imagery", f"imagery-{area.id}")
    with shown_errors():
        if is_reachable(catalogue, "imagery"):
            start(
                area,
                "fetch-imagery",
                f"imagery-{area.id}",
                catalogue=catalogue,
                licence=licence,
                found=[items.to_row(image) for image in images],
            )
    st.rerun()


def remember_imagery(area: Area, view: ImageryView) -> None:
    """Make the address restore what the Imagery page shows."""
    write_address(
        area=area.id,
        search=view.search,
        image=view.looked,
        lang=app_state().language,
    )
