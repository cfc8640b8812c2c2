"""The gallery: filters, a page of chips, and everything known of the chosen one or of a place."""

import html
import uuid
from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.chips.selection import Wanted, Warned, clusters_of, covers_of, dates_of
from core.chips.sets import ChipSet, SetInfo
from core.chips.sheets import sheet_url
from core.chips.tables import SHARE
from core.workspace import Area
from ui import cached_chips
from ui.chip_grid import Sheet, chip_grid, inline, picture_html
from ui.chip_map import Ring, chip_ring, ring_bounds
from ui.chip_view import ChipView
from ui.chip_words import (
    band_choices,
    bands_of,
    cover_name,
    scale_text,
    shown_size,
    split_names,
    warning_names,
)
from ui.choice import choice, switch
from ui.errors import shown_errors
from ui.language import _
from ui.quantities import share_text
from ui.server import base_path
from ui.state import app_state

PAGE = 60
_PAGE_PX = 1_000_000
_ON_SCALES = 8
_SOME = 0.01


def picture_panel(info: SetInfo, area: Area | None, view: ChipView) -> tuple[int, ...]:
    """Draw the choice of channels and of the size; return the channels to draw."""
    with st.sidebar:
        names = band_choices(info.channels, area)
        key = f"{info.id}-{info.digest[:8]}"
        bands = choice(_("Channels to draw"), names, value=view.bands, key=f"bands-{key}")
        view.bands = "" if bands == next(iter(names)) else bands  # not the default in the address
        if len(info.sizes) > 1 and view.shown == "gallery":
            sizes = {str(size): scale_text(info, size) for size in info.sizes}
            shown = str(shown_size(info, view.size_px))
            found = choice(_("Size to draw"), sizes, value=shown, key=f"px-{key}")
            if found != shown:  # the default stays out of the address
                view.size_px, view.page = int(found), 0
    return bands_of(view.bands, info.channels)


def filter_panel(chips: ChipSet, view: ChipView) -> None:
    """Draw the filters in the sidebar; only those that part the set."""
    info, table, wanted = chips.info, chips.table, view.wanted
    key = f"{info.id}-{info.digest[:8]}-{view.turn}"
    with st.sidebar.expander(_("Filter"), expanded=not wanted.is_all):
        if len(info.splits) > 1:
            splits = {"": _("All"), **split_names()}
            found = switch(_("Split"), splits, value=wanted.split, key=f"fs-{key}")
            wanted = replace(wanted, split=found)
        wanted = _cover_filter(chips, wanted, key)
        clusters = {str(n): str(n + 1) for n in clusters_of(table)}
        own = "" if wanted.cluster is None else str(wanted.cluster)
        cluster = _one_of(_("Cluster"), clusters, own, f"fn-{key}")
        labels = {text: text for text in info.labels}
        dates = {text: text for text in dates_of(table)}
        warnings = {"": _("None"), **warning_names()}
        wanted = replace(
            wanted,
            cluster=int(cluster) if cluster else None,
            label=_one_of(_("Label"), labels, wanted.label, f"fl-{key}"),
            date=_one_of(_("Date"), dates, wanted.date, f"fd-{key}"),
            warning=cast(
                Warned,
                choice(_("Warning"), warnings, value=wanted.warning, key=f"fw-{key}"),
            ),
        )
    view.narrow(wanted)


def _one_of(label: str, values: dict[str, str], chosen: str, key: str) -> str:
    """Draw the choice of one of some values; none where there is nothing to choose from."""
    if len(values) < 2 and not chosen:
        return ""
    names = {"": _("All"), **values}
    if chosen not in names:  # a link may ask for what the set has not
        names[chosen] = chosen
    return choice(label, names, value=chosen, key=key)


def _cover_filter(chips: ChipSet, wanted: Wanted, key: str) -> Wanted:
    info = chips.info
    codes = covers_of(chips.table)
    if not codes:
        return replace(wanted, cover=None)
    names = {"": _("All"), **{str(code): cover_name(info, code) for code in codes}}
    value = "" if wanted.cover is None else str(wanted.cover)
    text = choice(_("Land cover"), names, value=value, key=f"fc-{key}")
    if not text:
        return replace(wanted, cover=None, low=0.0, high=1.0)
    low = _SOME if wanted.cover is None else wanted.low  # who chooses a class wants to see it
    span = st.slider(
        _("Its share of the chip (%)"),
        0,
        100,
        (round(100 * low), round(100 * wanted.high)),
        key=f"fr-{key}",
    )
    return replace(wanted, cover=int(text), low=span[0] / 100, high=span[1] / 100)


def found_chips(info: SetInfo, view: ChipView) -> NDArray[np.int64]:
    """Return the chips that the filters leave; a warning looks through the set first."""
    is_looked = view.looked_through == info.digest
    if view.wanted.warning and not is_looked:
        with st.spinner(_("Looking for blur and near duplicates")):
            cached_chips.chip_quality(info.id, info.digest)
        view.looked_through, is_looked = info.digest, True
    return cached_chips.matching(info.id, info.digest, view.wanted, is_looked)


def gallery(chips: ChipSet, index: NDArray[np.int64], view: ChipView,
            bands: tuple[int, ...]) -> None:  # fmt: skip
    """Draw a page of the chips; a click chooses one."""
    info = chips.info
    if not len(index):
        st.info(_("No chip is like that."))
        if st.button(_("Show all chips")):
            view.show(Wanted())
            st.rerun()
        return
    size = shown_size(info, view.size_px)
    on_page = max(1, min(PAGE, _PAGE_PX // size**2))
    pages = -(-len(index) // on_page)
    view.page = min(view.page, pages - 1)
    some = index[view.page * on_page : (view.page + 1) * on_page]
    _pager(view, pages, len(index), info.count)
    columns = min(10, len(some))
    url = sheet_url(
        info.id, info.digest, [int(n) for n in some],
        size_px=size, columns=columns, bands=bands, base=base_path(),
    )  # fmt: skip
    titles = _titles(chips, some)
    sheet = Sheet(url=url, size_px=size, columns=columns, chips=tuple(titles))
    chip_grid([sheet], chosen=view.chip, on_choice=_choose, key="chip-gallery")


def _choose(number: int) -> None:
    view = app_state().chips
    view.chip, view.place = number, None


def _pager(view: ChipView, pages: int, count: int, all_of_them: int) -> None:
    said = _count_text(count, all_of_them)
    if pages > 1:
        said += " · " + _("page {page} of {pages}").format(page=view.page + 1, pages=pages)
    with st.container(horizontal=True, vertical_alignment="center"):
        if pages > 1 and st.button("◀", help=_("Page before"), disabled=view.page == 0):
            view.page -= 1
            st.rerun()
        if pages > 1 and st.button("▶", help=_("Next page"), disabled=view.page == pages - 1):
            view.page += 1
            st.rerun()
        st.markdown(said)


def _count_text(count: int, all_of_them: int) -> str:
    if count == all_of_them:
        return _("All {count:,} chips").format(count=count)
    return _("{count:,} of {all:,} chips").format(count=count, all=all_of_them)


def _titles(chips: ChipSet, some: NDArray[np.int64]) -> list[tuple[int, str]]:
    """Return what is said of each chip when the pointer rests on it."""
    table, info, names = chips.table.iloc[some], chips.info, split_names()
    codes = covers_of(table)
    shares = table[[f"{SHARE}{code}" for code in codes]].to_numpy(float)
    found = []
    for at, number in enumerate(some):
        row = table.iloc[at]
        parts = [f"{number}", names.get(str(row["split"]), "")]
        parts += [str(row[name]) for name in ("date", "label") if name in table and row[name]]
        if codes:
            most = int(shares[at].argmax())
            parts.append(f"{cover_name(info, codes[most])} {share_text(float(shares[at, most]))}")
        found.append((int(number), " · ".join(part for part in parts if part)))
    return found


def scales(chips: ChipSet, index: NDArray[np.int64], view: ChipView,
           bands: tuple[int, ...]) -> None:  # fmt: skip
    """Draw the same chips at every scale, from the coarsest to the finest."""
    info = chips.info
    st.markdown(
        _(
            "The same ground at every scale: each pixel is the mean of what it covers. A network"
            " that grows step by step learns from the coarse to the fine."
        )
    )
    some = index[:_ON_SCALES]
    if view.chip is not None and view.chip < info.count:
        some = np.concatenate([[view.chip], some[some != view.chip]])[:_ON_SCALES]
    if not len(some):
        st.info(_("No chip is like that."))
        return
    said = _count_text(len(index), info.count)
    if len(some) < len(index):
        said += " · " + _("{count} are drawn").format(count=len(some))
    st.markdown(said)
    titles = tuple(_titles(chips, some))
    numbers = [int(n) for n in some]
    sheets = [
        Sheet(
            url=sheet_url(info.id, info.digest, numbers, size_px=size, columns=len(numbers),
                          bands=bands, base=base_path()),
            size_px=size, columns=len(numbers), chips=titles, name=scale_text(info, size),
        )
        for size in info.sizes
    ]  # fmt: skip
    chip_grid(sheets, chosen=view.chip, on_choice=_choose, key="chip-scales")


def chip_panel(chips: ChipSet, view: ChipView, bands: tuple[int, ...]) -> None:
    """Draw what is known of the chosen chip, or of the place that was clicked."""
    info = chips.info
    if view.place is not None:
        with shown_errors():
            _place(info, view.place, bands)
        return
    if view.chip is None or view.chip >= info.count:
        text = _("Click a chip to see what is known of it.")
        if info.crs:
            text += " " + _("Click the map to see any place as a chip.")
        st.info(text)
        return
    row = chips.table.iloc[view.chip]
    ring = chip_ring(chips, view.chip)
    url = sheet_url(info.id, info.digest, [view.chip], size_px=info.size_px, columns=1,
                    bands=bands, base=base_path())  # fmt: skip
    facts = {
        _("Split"): split_names().get(str(row["split"]), ""),
        _("Date"): str(row.get("date") or ""),
        _("Label"): str(row.get("label") or ""),
        _("Cut from") if info.made == "cut" else _("Image"): _(str(row.get("source") or "")),
        _("Valid pixels"): "" if "valid" not in row else share_text(float(row["valid"])),
        _("Cluster"): "" if pd.isna(row.get("cluster", pd.NA)) else str(int(row["cluster"]) + 1),
        _("Centre"): "" if ring is None else _centre(ring),
    }
    codes = covers_of(chips.table.iloc[[view.chip]])
    st.markdown(_("**Chip {number}**").format(number=view.chip))
    _facts(info, url, facts, {code: float(row[f"{SHARE}{code}"]) for code in codes})
    if ring:
        st.button(_("Go there on the map"), width="stretch", on_click=_go, args=(ring,))


def _go(ring: Ring) -> None:
    app_state().chips.go = (uuid.uuid4().hex, ring_bounds(ring))


def _place(info: SetInfo, place: tuple[float, float], bands: tuple[int, ...]) -> None:
    found = cached_chips.place_chip(info.id, info.digest, *place)
    facts = {
        _("Cut from"): _(found.source),
        _("Date"): found.date,
        _("Valid pixels"): share_text(found.valid),
        _("Centre"): f"{place[0]:.5f}°, {place[1]:.5f}°",
    }
    st.markdown(_("**This place as a chip**"))
    picture = cached_chips.place_picture(info.id, info.digest, place, bands)
    _facts(info, inline(picture), facts, found.shares)


def _facts(info: SetInfo, picture: str, facts: dict[str, str], shares: dict[int, float]) -> None:
    """Draw a picture with a table beside it, or below where it is narrow; all of it plain text."""
    most = sorted(shares.items(), key=lambda item: -item[1])[:5]
    rows = [(name, value) for name, value in facts.items() if value]
    rows += [(cover_name(info, code), share_text(share)) for code, share in most]
    lines = "".join(
        f'<tr><td style="opacity:.7;padding-right:.8em">{html.escape(name)}</td>'
        f'<td style="overflow-wrap:anywhere">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    image = picture_html(picture, style="flex:1 1 120px;max-width:180px;align-self:flex-start")
    st.html(
        f'<div style="display:flex;flex-wrap:wrap;gap:14px">{image}'
        f'<table style="flex:2 1 190px;font-size:.85rem;line-height:1.35">{lines}</table></div>'
    )


def _centre(ring: list[tuple[float, float]]) -> str:
    lat, lon = (sum(corner[axis] for corner in ring) / len(ring) for axis in (0, 1))
    return f"{lat:.5f}°, {lon:.5f}°"
