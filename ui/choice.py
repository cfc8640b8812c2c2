"""A select box over ids and their visible names: what every form needs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import streamlit as st


def choice(
    label: str,
    options: Mapping[str, str],
    *,
    value: str = "",
    place: Any = st,
    key: str | None = None,
    help: str | None = None,  # noqa: A002  (Streamlit's own name for it)
    is_kept: bool = False,
) -> str:
    """Draw a select box at `place` and return the chosen id; `value` is chosen at first.

    With `is_kept`, which needs a key, the choice outlives a while in which the box is not drawn.
    """
    ids, names = list(options), distinct(options)
    chosen: str = place.selectbox(
        label,
        ids,
        index=ids.index(value) if value in ids else 0,
        format_func=lambda item: names.get(item, item),
        key=key,
        help=help,
        persist_state="session" if is_kept else None,
    )
    return chosen


def distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Return ids and names in which equal names also say their id.

    Streamlit's boxes tell their options apart by the visible name alone.
    """
    often = Counter(names.values())
    return {item: name if often[name] == 1 else f"{name} ({item})" for item, name in names.items()}


def switch(
    label: str,
    options: Mapping[str, str],
    *,
    value: str,
    place: Any = st,
    key: str | None = None,
    help: str | None = None,  # noqa: A002
    is_kept: bool = False,
) -> str:
    """Draw a row of buttons of which one is always chosen, and return its id; see `choice`."""
    chosen: str | None = place.segmented_control(
        label,
        list(options),
        format_func=lambda item: options.get(item, item),
        default=value,
        key=key,
        help=help,
        persist_state="session" if is_kept else None,
    )
    return chosen or value
