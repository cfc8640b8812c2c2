"""The visible language. `_` translates into the language of the session that asks.

Catalogues are read from their `.po` text when they are first needed, so there is no compiled copy
that could be out of step with it.
"""

import gettext
import io
from functools import cache
from pathlib import Path

import streamlit as st

from ui.state import app_state

LANGUAGES = {"en": "English", "zh_CN": "中文"}
_LOCALE = Path(__file__).parent.parent / "locale"


def language() -> str:
    """Return the session's language: chosen, else the browser's, else English."""
    state = app_state()
    if state.language not in LANGUAGES:
        preferred = (st.context.locale or "en").lower()
        state.language = "zh_CN" if preferred.startswith("zh") else "en"
    return state.language


def _(message: str) -> str:
    """Translate one message."""
    return _catalogue(language()).gettext(message) if message else ""


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    path = _LOCALE / name / "LC_MESSAGES" / "messages.po"
    if not path.is_file():
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo  # 0.1 s that an English session never pays
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        catalogue = read_po(file, locale=name)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
