"""Turn expected errors into one sentence; let bugs reach the log and the screen."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal

import streamlit as st

from core.errors import AppError
from ui.language import _


class _Shown(AbstractContextManager[None]):
    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(err, AppError):
            show_error(err)
            return True
        return False


class _ShownAndStopped(AbstractContextManager[None]):
    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if isinstance(err, AppError):
            show_error(err)
            st.stop()
        return False


def shown_errors() -> _Shown:
    """Show an `AppError` raised in this block as a message, and go on below the block."""
    return _Shown()


def stopping_errors() -> _ShownAndStopped:
    """Show an `AppError` raised in this block as a message, and end the page there."""
    return _ShownAndStopped()


def show_error(err: AppError) -> None:
    """Show one error in the session's language, as plain text."""
    st.error(plain(err.message(_)))


def plain(text: str) -> str:
    """Escape what Streamlit's Markdown would read as markup: file names hold such characters."""
    for character in "\\`*_[]<>#$:|~":
        text = text.replace(character, "\\" + character)
    return text
