"""Bringing a raster in: choose it, see what it is, confirm what it means, start the job."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from core import intake, jobs
from core.errors import AppError
from core.legends import PRESETS, Legend, numbered_legend, read_legend_csv
from core.raster_info import Guess, RasterInfo
from core.rendering import COLORMAPS
from core.store import checked_id
from core.workspace import Area
from ui import cached
from ui.choice import choice, switch
from ui.choose_file import choose_file
from ui.errors import plain, shown_errors, stopping_errors
from ui.language import _
from ui.layer_words import pixel_text, role_names, season_names
from ui.quantities import share_text, size_text
from ui.server import outside_allowed, workspace
from ui.state import app_state


def add_layer_form(area: Area) -> None:
    """Draw the way of a raster into `area`."""
    source, name, is_remote = _choose(area)
    if source is None:
        return
    with stopping_errors():
        stamp = 0 if is_remote else intake.stamp(Path(source))
        info = cached.inspected(source, stamp, is_remote)
    band = 1
    if len(info.bands) > 1:
        band = st.selectbox(
            _("Band"),
            range(1, len(info.bands) + 1),
            format_func=lambda number: f"{number} {info.bands[number - 1].description}".strip(),
            key=f"band-{area.id}-{is_remote}",
            disabled=is_remote,  # of a remote layer the first band is drawn
        )
    with stopping_errors():
        guess = cached.guessed(source, stamp, band, is_remote)
        picture = cached.raster_preview(source, stamp, band, is_remote, guess.kind)
    left, right = st.columns([1, 2])
    left.image(picture, caption=_("Preview of {name}").format(name=plain(name)), width="stretch")
    with right:
        _facts(info, band)
    _confirm(area, source, name, info, guess, band, is_remote)


def _choose(area: Area) -> tuple[str | None, str, bool]:
    ways = {"file": _("A file"), "url": _("An address on the internet")}
    way = "file"
    if outside_allowed():
        way = switch(_("Where is the raster?"), ways, value="file", key=f"way-{area.id}")
    if way == "url":
        return _choose_address(area)
    chosen = choose_file(
        f"layer-{area.id}",
        intake.RASTER_SUFFIXES,
        label=_("Raster: GeoTIFF or ERDAS Imagine (.tif, .tiff, .img)"),
    )
    return (str(chosen[0]), chosen[1], False) if chosen else (None, "", False)


def _choose_address(area: Area) -> tuple[str | None, str, bool]:
    allowed = st.toggle(
        _("Allow this server to read from the internet for this layer"),
        key=f"outside-{area.id}",
        help=_("Only the address below is asked, and only for the parts that are drawn."),
    )
    url = st.text_input(
        _("Address of a Cloud-Optimized GeoTIFF"),
        placeholder="https://…/layer.tif",
        disabled=not allowed,
        key=f"url-{area.id}",
    )
    if not (allowed and url):
        return None, "", False
    return url.strip(), url.strip().rsplit("/", 1)[-1][:80], True


def _facts(info: RasterInfo, band: int) -> None:
    chosen = info.bands[band - 1]
    size = size_text(info.unpacked_bytes)
    rows = {
        _("Coordinate system"): info.crs_title or _("none: say below which one it is in"),
        _("Rows × columns"): f"{info.height} × {info.width} ({size})",
        _("Pixel"): pixel_text(info),
        _("Bounds"): ", ".join(f"{value:.8g}" for value in info.bounds),
        _("Number type"): chosen.dtype,
        _("Value of missing pixels"): (
            _("none named") if chosen.nodata is None else f"{chosen.nodata:g}"
        ),
        _("Missing (estimated)"): share_text(info.missing_share),
    }
    st.markdown("\n".join(f"- {key}: **{plain(value)}**" for key, value in rows.items()))


def _confirm(
    area: Area, source: str, name: str, info: RasterInfo, guess: Guess, band: int, is_remote: bool
) -> None:
    st.caption(_("These are guesses from the file's name and values. Correct them if needed."))
    key = f"{area.id}-{name}-{band}"
    kinds = {"values": _("Values"), "classes": _("Classes")}
    kind = switch(
        _("The pixels hold"),
        kinds,
        value=guess.kind,
        key=f"kind-{key}",
        help=_("Values are measured (height, temperature); classes are codes with names."),
    )
    legend: Legend | None = ()
    if kind == "classes":
        legend = _legend(guess, key)
        if legend == guess.legend:
            legend = guess.kept_legend
    with st.form(f"add-{key}", border=True):
        left, middle, right = st.columns(3)
        title = left.text_input(_("Name"), value=guess.title, max_chars=80)
        layer_id = middle.text_input(
            _("Short name"),
            value=guess.layer_id,
            max_chars=64,
            help=_("Column names start with it: small letters, digits, '_' and '-'."),
        )
        unit = right.text_input(_("Unit"), value=guess.unit, max_chars=20)
        role = choice(_("Role"), role_names(), value=guess.role, place=left)
        season = choice(_("Season"), season_names(), value=guess.season or "", place=middle)
        colormaps = {name: _(title) for name, title in COLORMAPS.items()}
        colormap = choice(_("Colours of values"), colormaps, value=guess.colormap, place=right)
        crs = nodata = ""
        if not is_remote:  # a remote layer is drawn as it lies there; nothing is written anew
            if not info.crs:
                crs = left.text_input(_("Coordinate system"), placeholder="EPSG:4326")
            nodata = middle.text_input(
                _("Value of missing pixels"),
                placeholder=_("as in the file"),
                help=_("Only where the file does not name it, such as -9999."),
            )
        if (
            st.form_submit_button(_("Bring in the layer"), type="primary", disabled=legend is None)
            and legend is not None
        ):
            with shown_errors():
                checked_id(layer_id)
                _start(
                    area,
                    {
                        "source": source,
                        "source_name": name,
                        "outside": is_remote,
                        "layer_id": layer_id,
                        "title": title,
                        "kind": kind,
                        "role": role,
                        "season": season or None,
                        "unit": unit,
                        "colormap": colormap,
                        "legend": [[entry.code, entry.name, entry.colour] for entry in legend],
                        "band": band,
                        "crs": crs.strip() or None,
                        "nodata": nodata.strip() or None,
                    },
                )
    taken = [layer.id for layer in area.layers]
    if guess.layer_id in taken:
        st.caption(
            _("A layer {name} is there already; the same short name replaces it.").format(
                name=plain(guess.layer_id)
            )
        )


def _legend(guess: Guess, key: str) -> Legend | None:
    choices = {
        "guess": _("As found in the file"),
        **{name: _(title) for name, (title, _rows) in PRESETS.items()},
        "csv": _("A CSV of code, name, colour"),
    }
    chosen = choice(_("Legend"), choices, value=guess.preset or "", key=f"legend-{key}")
    legend = guess.legend or numbered_legend([])
    if chosen in PRESETS:
        legend = PRESETS[chosen][1]
    elif chosen == "csv":
        uploaded = st.file_uploader(_("Legend CSV"), type=["csv", "txt"], key=f"csv-{key}")
        # Without it the classes below would still be those found in the file.
        if uploaded is None:
            st.caption(_("The classes are read from this file. Pick it, or another legend above."))
            return None
        with stopping_errors():
            legend = read_legend_csv(uploaded.getvalue().decode("utf-8", errors="replace"))
    return legend_editor(legend, key=f"classes-{key}-{chosen}")


def legend_editor(legend: Legend, *, key: str) -> Legend | None:
    """Draw an editable table of classes and return what it holds; None where a row is wrong."""
    table = pd.DataFrame(
        [(entry.code, _(entry.name), entry.colour) for entry in legend],
        columns=["code", "name", "colour"],
    )
    edited = st.data_editor(
        table,
        key=key,
        hide_index=True,
        num_rows="dynamic",
        width="stretch",
        height=min(320, 38 * (len(table) + 2)),
        column_config={
            "code": st.column_config.NumberColumn(_("Code"), step=1, required=True),
            "name": st.column_config.TextColumn(_("Class"), required=True),
            "colour": st.column_config.TextColumn(
                _("Colour"),
                help=_("#RRGGBB; empty is transparent"),
                validate="^(#[0-9A-Fa-f]{6})?$",
            ),
        },
    )
    shown = {entry.code: entry for entry in legend}
    rows: Legend | None = None
    with shown_errors():
        text = edited.dropna(subset=["code"]).to_csv(index=False)
        rows = read_legend_csv(text) if len(edited) else ()
    if rows is None:
        return None
    # A name that was not touched stays the source text, so that it is shown in any language.
    return tuple(
        replace(row, name=shown[row.code].name)
        if row.code in shown and row.name == _(shown[row.code].name)
        else row
        for row in rows
    )


def _start(area: Area, request: dict[str, object]) -> None:
    root = workspace().root
    config = {"workspace": str(root.resolve()), "area": area.id, **request}
    try:
        job_id = jobs.submit(root / "jobs", "add-layer", config)
    except OSError as err:
        raise AppError("{reason}", reason=str(err)) from err
    app_state().jobs[f"add-{area.id}"] = job_id
    st.rerun()
