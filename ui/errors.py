"""Turn expected errors into one sentence; let bugs reach the log and the screen."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.errors import AppError
from ui.language import _


@contextmanager
def shown_errors(*, stop: bool = True) -> Iterator[None]:
    """Show an `AppError` as a message with its hint; stop the page there unless `stop` is off."""
    try:
        yield
    except AppError as err:
        show_error(err)
        if stop:
            st.stop()


def show_error(err: AppError) -> None:
    """Show one error in the session's language, as plain text."""
    st.error(plain(err.message(_)))


def plain(text: str) -> str:
    """Escape what Streamlit's Markdown would read as markup: file names hold such characters."""
    for character in "\\`*_[]<>#$:|~":
        text = text.replace(character, "\\" + character)
    return text
