"""The images that are here: what they are, on the map, as a layer, as a source of chips."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.connectors import shelf
from core.connectors.drawing import Drawn
from core.connectors.shelf import Failure, Image
from core.workspace import Area
from ui import cached
from ui.choice import choice, distinct
from ui.errors import plain, shown_errors
from ui.imagery_panel import start, start_fetch
from ui.imagery_words import failure_table, pixel_of, shelf_table, source_text
from ui.language import _
from ui.progress import is_running
from ui.quantities import share_text, size_text
from ui.server import workspace
from ui.state import ImageryView, app_state, draw_showing, widget_value


def drawn_of(images: Sequence[Image], view: ImageryView) -> Drawn | None:
    """Return the fetched image that is drawn on the map; None for none."""
    image = _looked(images, view)
    if image is None:
        return None
    with shown_errors():
        return cached.drawn_image(str(image.path), image.path.stat().st_mtime_ns)
    return None


def _id_of(image: Image) -> str:
    return f"{image.collection}/{image.key}"


def _looked(images: Sequence[Image], view: ImageryView) -> Image | None:
    if view.shelf is None:
        return images[0] if images else None
    return next((image for image in images if _id_of(image) == view.shelf), None)


def failed_panel(area: Area, failures: Sequence[Failure]) -> None:
    """Draw the images that could not be fetched, with the way to try them again."""
    if not failures:
        return
    with st.container(border=True):
        text = _("Could not be fetched: {count}. The others are here.")
        st.warning(text.format(count=len(failures)))
        st.dataframe(
            failure_table(failures),
            hide_index=True,
            width="stretch",
            height=min(240, 36 * (len(failures) + 1) + 4),
            column_config={
                _("Why it could not be fetched"): st.column_config.Column(width="large")
            },
        )
        # A job asks one catalogue; those of another one stay in the list.
        catalogue = failures[0].catalogue
        same = [row for row in failures if row.catalogue == catalogue]
        is_ready = app_state().outside and not is_running(f"imagery-{area.id}")
        again, away, _rest = st.columns([2, 1, 3])
        if again.button(
            _("Try the failed ones again"),
            type="primary",
            width="stretch",
            disabled=not is_ready,
            help=None if is_ready else _("The switch on the left must be on."),
        ):
            start_fetch(area, [row.image for row in same], catalogue, same[0].licence)
        if away.button(_("Dismiss"), key="failed-dismiss", width="stretch"):
            shelf.write_failures(workspace(), area.id, [row.image for row in failures], [])
            st.rerun()


def shelf_panel(area: Area, images: Sequence[Image], view: ImageryView) -> None:
    """Draw the list of images that are here, and one of them with what can be done with it."""
    if not images:
        st.info(_("No images are here yet. Search, choose, and fetch them."))
        return
    total = size_text(sum(image.num_bytes for image in images))
    st.caption(_("Images: {count}, {size} together").format(count=len(images), size=total))
    st.dataframe(
        shelf_table(images),
        hide_index=True,
        width="stretch",
        height=min(300, 36 * (len(images) + 1) + 4),
        column_config={
            _("Size"): st.column_config.NumberColumn(format="%.1f MB"),
            _("Covers"): st.column_config.NumberColumn(format="%.1f %%"),
        },
    )
    by_id = {_id_of(image): f"{image.date} · {image.title}" for image in images}
    names = distinct({"": _("None"), **by_id})
    widget = f"shelf-{area.id}"
    image = _looked(images, view)

    def look() -> None:
        view.shelf = str(widget_value(widget, ""))

    draw_showing(
        _id_of(image) if image else "",
        st.selectbox,
        _("Image on the map"),
        list(names),
        format_func=lambda one: names.get(one, one),
        key=widget,
        on_change=look,
    )
    if image is not None:
        _card(area, image, view)
    _for_chips(images)


def _card(area: Area, image: Image, view: ImageryView) -> None:
    left, right = st.columns([1, 2])
    with left, shown_errors():
        drawn = cached.drawn_image(str(image.path), image.path.stat().st_mtime_ns)
        st.image(drawn.picture, width="stretch")
    facts = image.facts
    rows = {
        _("Date"): image.date,
        _("Name"): image.title,
        _("Source"): source_text(image.source),
        _("Licence"): str(image.source.get("licence") or _("not told")),
        _("Pixel"): pixel_of(image),
        _("Rows × columns"): f"{facts['height']} × {facts['width']}",
        _("Bands"): ", ".join(image.source.get("bands") or ()) or str(facts["bands"]),
        _("Covers of the study area"): share_text(float(facts["cover"])),
        _("Size"): size_text(image.num_bytes),
        _("Fetched"): str(image.source.get("fetched", "")).replace("T", " ").removesuffix("Z"),
        _("File"): _shown_path(image.path),
    }
    lines = [f"- {name}: **{plain(text)}**" for name, text in rows.items() if text]
    right.markdown("\n".join(lines))
    as_layer, gone, _rest = right.columns([1, 1, 1])
    with as_layer.popover(_("Make a layer of a band"), width="stretch"):
        _layer_form(area, image)
    with gone.popover(_("Delete"), width="stretch"):
        st.markdown(_("It can be fetched again."))
        if st.button(_("Yes, delete this image"), key="delete-image"):
            with shown_errors():
                shelf.remove(workspace(), area.id, image.collection, image.key)
                view.shelf = None
                st.rerun()


def _shown_path(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(workspace().root.resolve()))
    except ValueError:
        return path.name


def _layer_form(area: Area, image: Image) -> None:
    told = list(image.source.get("bands") or ())
    bands = {
        str(number): f"{number} {told[number - 1] if number <= len(told) else ''}".strip()
        for number in range(1, int(image.facts["bands"]) + 1)
    }
    with st.form(f"layer-{_id_of(image)}", border=False):
        band = int(choice(_("Band"), bands, value=str(len(bands))))
        title = st.text_input(_("Name"), value=f"{image.title} {image.date}"[:80], max_chars=80)
        if st.form_submit_button(
            _("Make the layer"), type="primary", disabled=is_running(f"add-{area.id}")
        ):
            with shown_errors():
                start(
                    area, "image-layer", f"add-{area.id}",
                    collection=image.collection, key=image.key, band=band,
                    layer_id=shelf.free_layer_id(area, image, band), replaces="",
                    title=title, kind="values", role="cause", season=None, unit="",
                    colormap="viridis", legend=[],
                )  # fmt: skip
                st.rerun()


def _for_chips(images: Sequence[Image]) -> None:
    folders = Counter(_shown_path(image.path.parent) for image in images)
    heading = _("For training")
    st.markdown(f"**{heading}**")
    st.markdown(
        _(
            "Chips are cut from these files with all their bands, under “Raster files” on the Chips"
            " page. The command line takes them by their path, below the folder of study areas:"
        )
    )
    if st.button(_("Cut chips on the Chips page"), key="cut-fetched"):
        st.switch_page("pages/chips.py")
    st.code("\n".join(f"{name}/*.tif" for name in folders), language=None)
