"""A select box over ids and their visible names: what every form needs."""

from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any

import streamlit as st

from ui.state import draw_showing, follow_words, widget_value


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
    if key is not None:
        follow_words(key, ids, names.__getitem__)
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


def held_choice(
    label: str,
    options: Mapping[str, str],
    held: MutableMapping[str, Any],
    name: str,
    *,
    value: str = "",
    place: Any = st,
    help: str | None = None,  # noqa: A002
) -> str:
    """Draw a select box whose choice is `held[name]`, which may also be changed elsewhere.

    `value` is chosen at first, and whenever what is held is no option any more.
    """
    key = f"held-{name}"
    if held.get(name) not in options:
        held[name] = value if value in options else next(iter(options))

    def chosen() -> None:
        held[name] = widget_value(key)

    names = distinct(options)
    draw_showing(
        held[name],
        place.selectbox,
        label,
        list(options),
        format_func=lambda item: names.get(item, item),
        key=key,
        on_change=chosen,
        help=help,
    )
    return str(held[name])


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
    if key is not None:
        follow_words(key, options, options.__getitem__)
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
