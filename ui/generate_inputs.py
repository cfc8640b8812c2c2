"""Inputs of the Generate page. What is typed or moved lies in the session, not in widgets."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import streamlit as st

from core.errors import AppError, InputError
from core.text import N_
from models.catalogue import Entry
from models.generating import numbers, psis
from models.latents import check_seeds
from ui.errors import plain, show_error
from ui.generate_view import MOST_TEXT, GenerateView, resolved
from ui.generate_words import depth_words
from ui.language import _
from ui.state import draw_showing, widget_value

if TYPE_CHECKING:
    from models.generate import Look, Way

Read = TypeVar("Read")

MOST_PAGE = 400
"""Pictures of one figure on the page."""


def held(widget: Any, label: str, view: GenerateView, name: str, *args: Any, **options: Any) -> Any:
    """Draw a widget whose value is a field of the view, which may also be changed elsewhere."""
    key = f"generate-{name}"

    def changed() -> None:
        found = widget_value(key)
        # A choice whose words have changed meanwhile comes back as the words.
        if widget is st.selectbox and found not in args[0]:
            return
        setattr(view, name, found)
        if name in ("seeds", "columns"):
            view.picture = None

    return draw_showing(
        getattr(view, name), widget, label, *args, key=key, on_change=changed, **options
    )


def typed(
    label: str, view: GenerateView, name: str, read: Callable[[str], Read], *,
    max_chars: int = MOST_TEXT, empty: str = "", **options: Any,
) -> Read:  # fmt: skip
    """Draw a line of text and return what `read` makes of it.

    What it refuses is said beneath, and the last line that could be read stands in, or the one
    that the page begins with: so that a slip takes nothing else away.

    Args:
        label: Of the line.
        view: Holds the text as a field.
        name: Of that field.
        read: Raises an `AppError` of what cannot be read.
        max_chars: That can be typed.
        empty: What an empty line stands for, in words.
        options: Of the text input.
    """
    text = held(st.text_input, label, view, name, max_chars=max_chars, **options)
    try:
        found = read(text)
    except AppError as err:
        show_error(err)
        text, found = _standing_in(view, name, read)
        said = _("Until then the pictures are of {text}.")
        st.caption(said.format(text=plain(text or empty)))
    view.read[name] = text
    return found


def _standing_in(view: GenerateView, name: str, read: Callable[[str], Read]) -> tuple[str, Read]:
    first = getattr(GenerateView(), name)
    try:
        last = view.read.get(name, first)
        return last, read(last)
    except AppError:  # such as layers that another model had
        return first, read(first)


def seeds_input(label: str, view: GenerateView, name: str, *, least: int = 1) -> list[int]:
    """Draw a line of seeds and return them, so many at least."""

    def read(text: str) -> list[int]:
        found = numbers(text)
        if len(found) < least:
            raise InputError(N_("{count} seeds at least are needed here."), count=least)
        check_seeds(found)
        check_count(len(found))
        return found

    return typed(label, view, name, read,
                 help=_("Numbers such as 0-15 or 3,8,20-25; each is a picture."))  # fmt: skip


def check_count(count: int) -> None:
    """Refuse more pictures than the page shows.

    Raises:
        InputError: There are more.
    """
    if count > MOST_PAGE:
        raise InputError(
            N_("A page shows at most {most} pictures, not {count:,}."),
            hint=N_("The command line makes more: python -m models sample."),
            most=MOST_PAGE, count=count,
        )  # fmt: skip


def psis_input(label: str, view: GenerateView, name: str, count: int) -> list[float]:
    """Draw a line of psi, one for all or one each, and return as many as are needed."""

    def read(text: str) -> list[float]:
        found = psis(text)
        if len(found) not in (1, count):
            raise InputError(
                N_("{given} values of psi were given for {count} pictures."),
                hint=N_("Write one for all, or one each."), given=len(found), count=count,
            )  # fmt: skip
        return found * count if len(found) == 1 else found

    return typed(label, view, name, read,
                 help=_("One for all, or one each: -0.5,0.7. 0 is the mean picture."))  # fmt: skip


def psi_slider(view: GenerateView) -> float:
    """Draw the slider of psi."""
    found: float = held(
        st.slider, _("psi, distance from the mean"), view, "psi", -2.0, 2.0, step=0.05,
        help=_("0 is the mean picture, 1 the style as it is; less is more usual, negative is its"
               " opposite. With a cutoff this holds for the layers below it."),
    )  # fmt: skip
    return found


def more_settings(entry: Entry, view: GenerateView, *, has_cutoff: bool = True) -> None:
    """Draw what is seldom changed: depth, cutoff, noise, the way of computing."""
    with st.expander(_("More settings")):
        if entry.metres_per_px is None:
            held(
                st.number_input, _("A pixel of the full size on the ground (m)"), view, "metres",
                min_value=0.01, max_value=10000.0, placeholder=_("not known"),
                help=_("The file does not say it; scales in metres follow from it."),
            )  # fmt: skip
        _depth_input(entry, view)
        _alpha_input(entry, view)
        if has_cutoff:
            _cutoff_input(entry, view)
        _noise_input(view)
        ways = {
            "exact": _("quick and exact"),
            "plain": _("layer by layer, as in training"),
        }
        held(
            st.selectbox, _("Way of computing"), view, "way", list(ways),
            format_func=lambda one: ways[one],
            help=_("Both give the same pictures but for rounding; the second is slower."),
        )  # fmt: skip


def _depth_input(entry: Entry, view: GenerateView) -> None:
    depths = {at: depth_words(entry, at, view.metres) for at in range(entry.networks.depths)}

    def changed() -> None:
        found = widget_value("generate-depth")
        if found in depths:  # else the words of a choice that has changed meanwhile
            view.depth = None if found == entry.depth else found
            view.alpha = None

    draw_showing(
        resolved(view, entry).depth, st.selectbox, _("Depth"), list(depths), key="generate-depth",
        on_change=changed,
        format_func=lambda at: depths[at] + ("" if at <= entry.depth else " · " + _("not trained")),
        help=_("How far layers are used, from 4 px up. At first as far as was trained."),
    )  # fmt: skip


def _alpha_input(entry: Entry, view: GenerateView) -> None:
    now = resolved(view, entry)
    if not now.depth:
        return  # nothing lies below 4 px

    def changed() -> None:
        view.alpha = widget_value("generate-alpha") / 100

    draw_showing(
        100 * (now.alpha or 0.0), st.slider,
        _("Newest layers, how far in"), 0.0, 100.0, step=5.0, key="generate-alpha",
        on_change=changed, format="%.0f %%",
        help=_("100 %: the finest layers alone draw; 0 %: the size below them, enlarged. At first"
               " as far as training had come."),
    )  # fmt: skip


def _cutoff_input(entry: Entry, view: GenerateView) -> None:
    def changed() -> None:
        found = widget_value("generate-cutoff")
        view.cutoff = None if found == entry.networks.layers else found

    layers = entry.networks.layers
    draw_showing(
        layers if view.cutoff is None else view.cutoff, st.slider,
        _("Cutoff"), 0, layers, key="generate-cutoff", on_change=changed,
        help=_("psi moves the layers below this one; at the right end all of them."),
    )  # fmt: skip


def _noise_input(view: GenerateView) -> None:
    def switched() -> None:
        view.noise = 0 if widget_value("generate-has-noise") else None

    draw_showing(
        view.noise is not None, st.toggle, _("Noise"), key="generate-has-noise", on_change=switched,
        help=_("Fine variation in every layer, the same at each visit."),
    )  # fmt: skip
    if view.noise is not None:
        held(st.number_input, _("Seed of the noise"), view, "noise", min_value=0,
             max_value=2**32 - 1, step=1)  # fmt: skip


def look_of(view: GenerateView, *, has_psi: bool = True, has_cutoff: bool = True) -> "Look":
    """Return how pictures are made, as the view says."""
    from models.generate import Look

    return Look(
        psi=view.psi if has_psi else 1.0,
        cutoff=view.cutoff if has_cutoff else None,
        depth=view.depth,
        alpha=view.alpha,
        noise_seed=view.noise,
        way=cast("Way", view.way),
    )


def psi_words(view: GenerateView) -> str:
    """Write psi and the layers that it moves."""
    text = f"psi {view.psi:g}"
    if view.cutoff is None:
        return text + " " + _("on all layers")
    return text + " " + _("on layers below {cutoff}").format(cutoff=view.cutoff)
