"""The table of the quadrats, what was done to get it, and its files for other programs."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from core.export import FORMATS
from core.normalise import Filled, Normalised
from core.quadrat_table import Options, QuadratTable
from core.workspace import Area
from ui import cached
from ui.choice import distinct
from ui.columns import Column, column_title, column_unit, columns_of
from ui.errors import plain, shown_errors
from ui.language import _
from ui.layer_words import layer_title
from ui.quantities import share_text

_FIRST = 6


def quadrat_list(
    made: QuadratTable, table: pd.DataFrame, columns: Sequence[Column], mapped: Column
) -> None:
    """Draw the table; its own tools search, sort and download it."""
    by_name = {column.name: column for column in columns}
    titles = distinct({column.name: column_title(column) for column in columns})
    first = dict.fromkeys([mapped.name, *(c.name for c in columns if not c.is_class)])
    chosen = st.multiselect(
        _("Columns"),
        list(by_name),
        default=list(first)[:_FIRST],
        format_func=lambda name: titles[name],
    )
    shown = table[chosen].copy()
    shown.insert(0, "row", made.lattice.rows)
    shown.insert(1, "col", made.lattice.cols)
    # Two layers may have one title: the columns keep their short names and only show titles.
    names: dict[str, str] = {"row": _("Row"), "col": _("Column")}
    for name in chosen:
        unit = column_unit(by_name[name], is_normalised=False)
        names[name] = column_title(by_name[name]) + (f" ({unit})" if unit else "")
    st.dataframe(shown, width="stretch", height=380, column_config=dict(names))


def method_panel(
    area: Area, made: QuadratTable, filled: Filled, normal: Normalised, options: Options
) -> None:
    """Say how every number came about."""
    readings = {
        "recommended": _("recommended: nodata of each layer honoured, coarse layers by area"),
        "document": _("document: as published, its flaws included"),
    }
    st.markdown(_("Method: **{method}**.").format(method=readings[area.method]))
    rows = []
    columns = columns_of(area, made.table)
    for layer in area.layers:
        note = made.notes.get(layer.id)
        if note is None:
            continue
        own = [column.name for column in columns if column.layer.id == layer.id]
        rows.append(
            {
                _("Layer"): layer_title(layer),
                _("Role"): _("Cause") if layer.role == "cause" else _("Effect"),
                _("Engine"): note["engine"],
                _("Rule"): _("by area (coarse pixels)") if note["is_coarse"] else note["rule"],
                _("Mean valid cover"): share_text(note["coverage"]),
                _("Squares without a value"): note["empty"],
                _("Filled"): sum(filled.filled.get(name, 0) for name in own),
                _("Codes not in the legend"): ", ".join(
                    f"{code:g}" for code, _count in note["unknown_codes"][:8]
                ),
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    reach = 5 * area.quadrat_m if options.fill_m is None else options.fill_m
    if reach > 0 and area.method == "recommended":
        text = _(
            "Gaps of values are filled from the 8 nearest squares with a value, weighted by inverse"
            " squared distance, up to {reach:g} m; classes are never filled."
        )
        st.caption(text.format(reach=reach))
    else:
        st.caption(_("Gaps are not filled; squares without a value stay without one."))
    if normal.constant:
        names = plain(", ".join(normal.constant))
        st.warning(_("The same value in every square: {names}.").format(names=names))
    if normal.missing:
        names = plain(", ".join(f"{name} ({count})" for name, count in normal.missing.items()))
        st.warning(_("Squares still without a value: {names}.").format(names=names))


def export_panel(
    area: Area, stamp: int, options: Options, column: Column, *, is_normalised: bool
) -> None:
    """Draw the files; each is written when it is asked for. They hold what the map shows."""
    what = "normalised" if is_normalised else "quadrats"
    boxes = st.columns(len(FORMATS) + 1)
    for box, (kind, title) in zip(boxes, FORMATS.items(), strict=False):
        with box, shown_errors():
            st.download_button(
                _(title),
                partial(cached.exported_quadrats, area.id, stamp, options, kind, is_normalised),
                file_name=f"{area.id}-{what}.{kind}",
                width="stretch",
                on_click="ignore",
            )
    with boxes[-1], shown_errors():
        st.download_button(
            _("GeoTIFF of the mapped column"),
            partial(cached.exported_column, area.id, stamp, options, column.name, is_normalised),
            file_name=f"{area.id}-{column.name}{'-normalised' if is_normalised else ''}.tif",
            width="stretch",
            on_click="ignore",
        )
    st.caption(_("All columns with their short names, as the command line writes them."))
