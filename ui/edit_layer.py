"""Changing what is said of a layer, checking its file, taking it out."""

from dataclasses import replace
from typing import cast

import streamlit as st

from core import prepare
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
    legend = layer.legend
    if layer.kind == "classes":
        legend = legend_editor(layer.legend, key=f"edit-legend-{area.id}-{layer.id}")
    with st.form(f"edit-{area.id}-{layer.id}"):
        left, middle, right = st.columns(3)
        title = left.text_input(_("Name"), value=layer_title(layer), max_chars=80)
        unit = middle.text_input(_("Unit"), value=layer.unit, max_chars=20)
        role = choice(_("Role"), role_names(), value=layer.role, place=left)
        season = choice(_("Season"), season_names(), value=layer.season or "", place=middle)
        if right.form_submit_button(_("Save"), type="primary", width="stretch"):
            with shown_errors():
                kept = layer.title if title == layer_title(layer) else checked_title(title)
                changed = replace(
                    layer,
                    title=kept,
                    unit=unit,
                    role=cast(Role, role),
                    season=cast(Season, season) if season else None,
                    legend=legend,
                )
                workspace().change_layer(area.id, layer.id, lambda _old: changed)
                st.rerun()
    left, middle, right = st.columns(3)
    if left.button(_("Check the file against its digest"), width="stretch"):
        with shown_errors():
            prepare.verify(workspace(), area.id, layer.id)
            st.success(_("The file is as it was written."))
    sure = middle.checkbox(
        _("Yes, delete {layer}").format(layer=plain(layer_title(layer))), key=f"sure-{layer.id}"
    )
    if right.button(_("Delete the layer"), disabled=not sure, width="stretch"):
        with shown_errors():
            workspace().remove_layer(area.id, layer.id)
            app_state().notice = _("{layer} was deleted.").format(layer=plain(layer_title(layer)))
            st.rerun()
