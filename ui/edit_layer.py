"""Changing what is said of a layer, checking its file, taking it out."""

from dataclasses import replace
from typing import Any, cast

import streamlit as st

from core import prepare
from core.errors import BusyError
from core.legends import Legend
from core.text import N_
from core.workspace import Area, Layer, Role, Season, checked_title
from ui.add_layer import legend_editor
from ui.choice import choice
from ui.errors import plain, shown_errors
from ui.language import _
from ui.layer_words import layer_title, role_names, season_names
from ui.server import workspace
from ui.state import app_state


def edit_layer_form(area: Area, layer: Layer) -> None:
    """Draw the form for the active layer."""
    # Of another area, or of another file, these are other widgets: nothing typed carries over.
    key = f"{area.id}-{layer.id}-{layer.digest[:12]}"
    legend: Legend | None = layer.legend
    if layer.kind == "classes":
        legend = legend_editor(layer.legend, key=f"edit-legend-{key}")
    with st.form(f"edit-{key}"):
        left, middle, right = st.columns(3)
        title = left.text_input(_("Name"), value=layer_title(layer), max_chars=80)
        unit = middle.text_input(_("Unit"), value=layer.unit, max_chars=20)
        role = choice(_("Role"), role_names(), value=layer.role, place=left)
        season = choice(_("Season"), season_names(), value=layer.season or "", place=middle)
        if right.form_submit_button(
            _("Save"), type="primary", width="stretch", disabled=legend is None
        ):
            with shown_errors():
                _save(
                    area,
                    layer,
                    title=layer.title if title == layer_title(layer) else checked_title(title),
                    unit=unit,
                    role=cast(Role, role),
                    season=cast(Season, season) if season else None,
                    legend=legend,
                )
                st.rerun()
    left, middle, right = st.columns(3)
    if left.button(_("Check the file against its digest"), width="stretch"):
        with shown_errors():
            prepare.verify(workspace(), area.id, layer.id)
            st.success(_("The file is as it was written."))
    sure = middle.checkbox(
        _("Yes, delete {layer}").format(layer=plain(layer_title(layer))), key=f"sure-{key}"
    )
    if right.button(_("Delete the layer"), disabled=not sure, width="stretch"):
        with shown_errors():
            workspace().remove_layer(area.id, layer.id)
            app_state().notice = _("{layer} was deleted.").format(layer=plain(layer_title(layer)))
            st.rerun()


def _save(area: Area, layer: Layer, **said: Any) -> None:
    """Change what is said of a layer; its file stays the one that lies there now.

    Raises:
        BusyError: Somebody has replaced the file meanwhile; what was said may not fit it.
    """

    def changed(old: Layer) -> Layer:
        if old.digest != layer.digest:
            raise BusyError(
                N_("The study area {name} is being changed by somebody else."),
                hint=N_("Nothing was changed. Try again in a moment."),
                name=area.title,
            )
        return replace(old, **said)

    workspace().change_layer(area.id, layer.id, changed)
