"""One way to choose a file: upload it, or take one from the server's data folder."""

from pathlib import Path

import streamlit as st

from core import intake
from core.settings import settings
from ui.errors import plain, shown_errors, stopping_errors
from ui.language import _
from ui.server import workspace
from ui.state import app_state


def choose_file(purpose: str, suffixes: tuple[str, ...], *, label: str) -> tuple[Path, str] | None:
    """Draw the choice; return the file's path and the name to call it by, None until chosen."""
    waiting = app_state().uploads
    left, right = st.columns(2)
    uploaded = left.file_uploader(
        label,
        type=[suffix.lstrip(".") for suffix in suffixes if suffix != ".shp"],
        key=f"upload-{purpose}",
        help=_("Up to {most} MB. Larger files: the server's data folder.").format(
            most=settings().upload_mb
        ),
    )
    if uploaded is not None:
        known = waiting.get(purpose)
        if known is None or known[0] != uploaded.file_id:
            with stopping_errors():
                path = intake.save_upload(workspace().root, uploaded.name, uploaded)
            waiting[purpose] = (uploaded.file_id, str(path))
        path = Path(waiting[purpose][1])
        if path.is_file():
            return path, uploaded.name
        right.info(_("This upload was taken in already. Choose another file."))
        return None
    waiting.pop(purpose, None)
    names = intake.data_files(suffixes)
    chosen = right.selectbox(
        _("Or a file of the server's data folder"),
        names,
        index=None,
        key=f"path-{purpose}",
        placeholder=_("{count} files").format(count=len(names))
        if names
        else _("The folder is empty"),
        disabled=not names,
        help=_("The folder is {folder}.").format(folder=plain(str(settings().data.resolve()))),
    )
    if chosen:
        with shown_errors():
            return intake.data_file(chosen), Path(chosen).name
    return None
