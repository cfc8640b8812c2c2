"""One way to choose a file: upload it, or take one from the server's data folder."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import intake
from core.settings import settings
from ui.errors import plain, shown_errors, stopping_errors
from ui.language import _
from ui.server import workspace
from ui.state import app_state


def choose_file(
    purpose: str, suffixes: tuple[str, ...], *, label: str, is_upload_only: bool = False
) -> tuple[Path, str] | None:
    """Draw the choice; return the file's path and the name to call it by, None until chosen."""
    state = app_state()
    turn = state.upload_turns.get(purpose, 0)
    left, right = (st.container(), None) if is_upload_only else st.columns(2)
    uploaded = left.file_uploader(
        label,
        type=_types(suffixes),
        key=f"upload-{purpose}-{turn}",
        help=_("Up to {most} MB. Larger files: the server's data folder.").format(
            most=settings().upload_mb
        ),
    )
    if uploaded is not None:
        with stopping_errors():
            path = intake.save_upload(workspace().root, uploaded.name, uploaded)
        state.uploads[purpose] = (uploaded.name, str(path))
        # The bytes lie on disk now: an empty uploader takes this one's place.
        state.upload_turns[purpose] = turn + 1
        _let_go(uploaded.file_id)
        st.rerun()
    if purpose in state.uploads:
        name, written = state.uploads[purpose]
        drop = f"✕ {plain(name)}"
        if Path(written).is_file() and not left.button(
            drop, key=f"drop-{purpose}", help=_("Choose another file."), type="tertiary"
        ):
            return Path(written), name
        del state.uploads[purpose]  # taken in by a job, or turned down by the user
        st.rerun()
    if right is None:
        return None
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


def _types(suffixes: tuple[str, ...]) -> list[str] | None:
    """Return what an uploader may take; anything where a name may end without a dot."""
    if not all(suffix.startswith(".") for suffix in suffixes):
        return None
    return [suffix.lstrip(".") for suffix in suffixes if suffix != ".shp"]


def _let_go(file_id: str) -> None:
    """Take an upload out of the server's memory, where Streamlit keeps it while a session lasts."""
    context = get_script_run_ctx()
    manager = context.uploaded_file_mgr if context else None
    if context and isinstance(manager, MemoryUploadedFileManager):
        manager.remove_file(session_id=context.session_id, file_id=file_id)
