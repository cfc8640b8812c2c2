"""Mark text for translation where it is written; translate it where it is shown.

`core` speaks English. A page translates what `N_` has marked with its own language: a template, and
those of the values that fill it that are marked themselves or are sentences of their own. Other
values, such as names of files, are shown as they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

Translate = Callable[[str], str]


class Marked(str):
    """A text that the catalogue holds."""

    __slots__ = ()


def N_(message: str) -> str:  # noqa: N802  (the customary name of gettext's no-op marker)
    """Return `message` marked; the catalogue tool finds it by this call."""
    return Marked(message)


def filled(template: str, values: Mapping[str, Any], translate: Translate = str) -> str:
    """Return a template filled with values, passed through `translate` as far as it is marked."""
    said = {name: _said(value, translate) for name, value in values.items()}
    try:
        return translate(template).format(**said)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        return template  # of a file that was changed by hand


def sentences(
    problem: str, hint: str, values: Mapping[str, Any], translate: Translate = str
) -> str:
    """Return what is wrong and what to do about it as one text."""
    return " ".join(filled(part, values, translate) for part in (problem, hint) if part)


def as_json(values: Mapping[str, object]) -> dict[str, Any]:
    """Return values as JSON can hold them and `filled` takes them.

    Marked text becomes an object with the one key `marked`; a sentence of its own is one already,
    with the keys `problem`, `hint` and `values`. Numbers and other text stay, the rest is written
    out.
    """
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    if isinstance(value, Marked):
        return {"marked": str(value)}
    if isinstance(value, int | float | str) or _keys(value):
        return value
    return str(value)


def _said(value: Any, translate: Translate) -> Any:
    if isinstance(value, Marked):
        return translate(value)
    keys = _keys(value)
    if keys == {"marked"}:
        return translate(value["marked"])
    return sentences(**value, translate=translate) if keys else value


def _keys(value: Any) -> set[str]:
    """Return the keys of a value that `as_json` or an error has written; none of any other."""
    keys = set(value) if isinstance(value, Mapping) else set()
    if keys == {"marked"}:
        return keys if isinstance(value["marked"], str) else set()
    if keys != {"problem", "hint", "values"} or not isinstance(value["values"], Mapping):
        return set()
    return keys if all(isinstance(value[name], str) for name in ("problem", "hint")) else set()
