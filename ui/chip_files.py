"""Sets in and out: images of others taken in, chips written as image files."""

from pathlib import Path
from typing import Any

import streamlit as st

from core import jobs
from core.chips.display import is_classes
from core.chips.export import QUALITY, zips_of
from core.chips.options import LARGEST_PX, SMALLEST_PX
from core.chips.sets import ChipSets, SetInfo
from core.store import checked_id
from core.text import N_, filled
from core.workspace import Area
from ui import cached_chips
from ui.chip_sets import free_name
from ui.chip_words import band_choices, bands_of, scale_text, split_names
from ui.choice import choice, switch
from ui.choose_file import choose_file
from ui.errors import plain, shown_errors
from ui.language import _
from ui.progress import is_running
from ui.quantities import size_text
from ui.server import workspace
from ui.state import app_state

_SUFFIXES = (".zip", ".gz", "-ubyte")
_MOST_DOWNLOADED = 300_000_000
"""A download passes through the server's memory; what is larger is fetched from the disk."""


def import_panel(infos: list[SetInfo]) -> None:
    """Draw the choice of a zip of images or an IDX file, and the button that takes it in."""
    st.markdown(
        _(
            "A zip of PNG or JPEG images: all in one folder, or a folder a class, or folders"
            " *train* and *test* of them. Or images of MNIST as an IDX file, with its labels."
        )
    )
    st.caption(_("Such images have no place: they cannot be shown on the map or split by place."))
    chosen = choose_file("chip-images", _SUFFIXES, label=_("Images: a zip, or an IDX file"))
    if chosen is None:
        return
    path, name = chosen
    labels = None
    if path.suffix.lower() != ".zip":
        labels = choose_file(
            "chip-labels", _SUFFIXES[1:], label=_("Labels of the IDX file, if any")
        )
    left, right = st.columns(2)
    title = left.text_input(
        _("Name of the set"),
        value=free_name(Path(name).name.split(".")[0], [info.id for info in infos]),
        max_chars=64,
        help=_("Small letters, digits, '_' and '-'."),
    )
    size = right.number_input(
        _("Side (px)"),
        SMALLEST_PX,
        LARGEST_PX,
        None,
        placeholder=_("as the first image"),
        help=_("Empty: the shorter side of the first image."),
    )
    if st.button(_("Take the images in"), type="primary", disabled=is_running("import")):
        with shown_errors():
            set_id = checked_id(title.strip(), what=N_("chip set"))
            root = workspace().root
            ChipSets(root).check_free(set_id, is_replaced=False)
            config: dict[str, Any] = {
                "workspace": str(root.resolve()),
                "out": set_id,
                "source": str(path.resolve()),
                "size_px": size,
                "labels": str(labels[0].resolve()) if labels else None,
            }
            app_state().jobs["import"] = jobs.submit(root / "jobs", "import-chips", config)
            st.rerun()


def export_panel(info: SetInfo, area: Area | None) -> None:
    """Draw what is written, what JPEG does to it, and the zips that are there."""
    left, right = st.columns(2)
    forms = {"png": "PNG"} if is_classes(info.channels) else {"png": "PNG", "jpeg": "JPEG"}
    form = switch(_("Format"), forms, value="png", place=left, key=f"export-form-{info.id}")
    names = band_choices(info.channels, area)
    chosen = choice(_("Channels to draw"), names, place=right, key=f"export-bands-{info.id}")
    bands = bands_of(chosen, info.channels)
    sizes = left.multiselect(
        _("Scales"),
        list(info.sizes),
        default=[info.size_px],
        format_func=lambda size: scale_text(info, size),
        key=f"export-sizes-{info.id}",
    )
    splits = {"": _("Both, test in a folder of its own"), **split_names()}
    there = {name: text for name, text in splits.items() if not name or name in info.splits}
    split = choice(_("Split"), there, place=right, key=f"export-split-{info.id}")
    options: dict[str, Any] = {
        "form": form,
        "sizes": sizes,
        "split": split or None,
        "bands": list(bands) or None,
    }
    if form == "jpeg":
        options["quality"] = st.slider(_("Quality of JPEG"), 50, QUALITY, QUALITY)
        with shown_errors():
            found = cached_chips.chip_jpeg(info.id, info.digest, options["quality"], bands)
            text, values = found.note()
            st.warning(plain(filled(text, values, _)))
    else:
        st.caption(_("PNG keeps every pixel of the channels that are drawn."))
    count = info.splits[split] if split else info.count
    most = count * sum(size**2 for size in sizes) * (1 if len(bands) == 1 else 3)
    said = _("{count:,} files, at most {size}.")
    st.caption(said.format(count=count * len(sizes), size=size_text(most)))
    if st.button(_("Write the images"), type="primary", disabled=not sizes or is_running("export")):
        root = workspace().root
        config = {"workspace": str(root.resolve()), "set": info.id, "options": options}
        app_state().jobs["export"] = jobs.submit(root / "jobs", "export-chips", config)
        st.rerun()
    _zips(info)


def exported(job: jobs.Job) -> str:
    """Return what to say of an export that is done."""
    text = _("{count:,} images are written: see Export.")
    return text.format(count=int(job.result["files"]))


def _zips(info: SetInfo) -> None:
    """Draw the zips of a set that are there: a download, or the path where they are large."""
    for path in zips_of(workspace().root, info.id):
        with st.container(border=True):
            left, right = st.columns([4, 1.4], vertical_alignment="center")
            size = path.stat().st_size
            left.markdown(f"{plain(path.name)} · {size_text(size)}")
            left.caption(_("On the server: {path}").format(path=plain(str(path))))
            if size <= _MOST_DOWNLOADED:
                right.download_button(
                    _("Download"),
                    path.read_bytes,
                    file_name=path.name,
                    mime="application/zip",
                    key=f"zip-{path.name}",
                    on_click="ignore",
                    width="stretch",
                )
            else:
                right.caption(_("Too large to download here: take it from there."))
