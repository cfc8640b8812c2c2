"""What the Generate page shows, and how it stands in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.catalogue import Entry

SHOWN = ("grid", "truncation", "mixing", "walk", "sum", "depths", "models")
_OWN = {
    "grid": ("seeds", "latents", "psi", "cutoff", "columns", "picture"),
    "truncation": ("rows", "psis", "cutoff", "measured"),
    "mixing": ("sources", "destinations", "source_psis", "destination_psis", "first", "last",
               "written", "reading"),
    "walk": ("stops", "frames", "frame", "psi", "cutoff"),
    "sum": ("terms", "psi", "cutoff"),
    "depths": ("one", "psi", "cutoff"),
    "models": (),
}  # fmt: skip
_ALWAYS = ("depth", "alpha", "noise", "way", "metres")
MEASURED = (8, 16, 32, 64, 128, 256)
"""Of how many seeds curves are measured."""
MOST_ID = 160
"""Characters of a model's id."""
MOST_TEXT = 2000
"""Characters of a typed list of seeds."""
_LIMITS: dict[str, tuple[float, float]] = {
    "noise": (0, 2**32 - 1), "one": (0, 2**32 - 1), "psi": (-2.0, 2.0), "metres": (0.01, 10_000.0),
    "alpha": (0.0, 1.0),
    "columns": (0, 64), "frames": (1, 24),
}  # fmt: skip


@dataclass(slots=True)
class GenerateView:
    """What the Generate page shows in this session: small numbers and texts as they were typed."""

    shown: str = "grid"
    """One of `SHOWN`."""
    model: str = ""
    """Id of the model; empty: the first at hand."""
    digest: str = ""
    """How the model's digest began when a link was made."""
    depth: int | None = None
    """None: the largest that was trained."""
    alpha: float | None = None
    """Share of the newest layers; None: as far as they have come in."""
    noise: int | None = 0
    """Seed of the noise; None: no noise."""
    way: str = "exact"
    """`exact` or `plain`; a preview is never in a link."""
    metres: float | None = None
    """Ground length of a pixel of the full size, where the model does not know its own."""
    seeds: str = "0-17"
    latents: str = ""
    """Id of a kept file of latents that stands in for the seeds."""
    psi: float = 0.7
    cutoff: int | None = None
    """None: all layers."""
    columns: int = 0
    """0: as many as fill the width well."""
    picture: int | None = None
    """Number of the picture whose closest chips are shown."""
    rows: str = "0-3"
    psis: str = "-1:1:0.2"
    measured: int = 32
    """Seeds that the curves are measured with."""
    sources: str = "1-5"
    destinations: str = "11-13"
    source_psis: str = "0.7"
    destination_psis: str = "0.7"
    first: int = 0
    """First and last layer that come from the sources."""
    last: int = 3
    written: str = ""
    """Layers as text, one range a row; empty: the first and the last."""
    reading: str = "ranges"
    stops: str = "0-3"
    frames: int = 8
    frame: int = 0
    terms: str = "1 - 2 + 3"
    one: int = 0
    sought: str = ""
    """Digest of the picture whose closest chips were looked for; empty: of the next that is drawn.
    """
    gone: str = ""
    """The model that was asked for and is not here; another is shown."""
    read: dict[str, str] = field(default_factory=dict)
    """Of each typed line by its name what the pictures are made of: itself, or where it cannot be
    read the last that could."""
    drawn: str = field(default="", compare=False)
    """The part that was drawn last."""
    asked: dict[str, str] = field(default_factory=dict, compare=False)
    """What a link says, until it was brought into what the model has."""
    bent: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of what a link says and the page cannot show, by name: that, and what it shows instead."""

    def turn_to(self, model: str) -> None:
        """Take another model, by its id, with all that it was trained to."""
        self.model, self.digest, self.gone = model, "", ""
        self.depth, self.alpha, self.picture, self.asked = None, None, None, {}


def address_of(view: GenerateView) -> dict[str, str]:
    """Return what the address holds of a view: all that the shown figure follows from."""
    view, first = replace(view, **view.read), GenerateView()  # type: ignore[arg-type]
    own = {name: _written(getattr(view, name)) for name in (*_OWN[view.shown], *_ALWAYS)}
    optional = {"picture", "frame", "written", "latents", "columns", "metres", "depth", "alpha"}
    kept = {
        name: text for name, text in own.items()
        if name not in optional or getattr(view, name) != getattr(first, name)
    }  # fmt: skip
    return {"show": view.shown, "model": view.model, "digest": view.digest, **kept}


def read_address(view: GenerateView, found: Mapping[str, str]) -> None:
    """Take what a link holds. Anything that is no valid value is passed over."""
    if found.get("show") in SHOWN:
        view.shown = found["show"]
    if "model" not in found and "digest" not in found:
        return  # the names below are those of other pages too
    view.model, view.digest = found.get("model", "")[:MOST_ID], found.get("digest", "")[:64]
    kinds = {one.name: getattr(one.type, "__name__", str(one.type)) for one in fields(GenerateView)}
    for name in (*_OWN[view.shown], *_ALWAYS):
        if name in found:
            view.asked[name] = found[name]
            _take(view, name, kinds[name], found[name])
    tidy(view)


def fit(view: GenerateView, entry: "Entry") -> None:
    """Bring what another model or a link said into what this model has."""
    if view.depth is not None:
        view.depth = min(view.depth, entry.networks.depths - 1)
    if view.depth == entry.depth:
        view.depth = None
    if view.alpha == resolved(replace(view, alpha=None), entry).alpha:
        view.alpha = None
    if view.cutoff is not None and view.cutoff >= entry.networks.layers:
        view.cutoff = None
    view.last = min(view.last, 2 * (entry.depth if view.depth is None else view.depth) + 1)
    view.first = min(view.first, view.last)
    if view.asked:
        shown = resolved(view, entry)
        pairs = {name: (text, _written(getattr(shown, name))) for name, text in view.asked.items()}
        view.bent = {name: pair for name, pair in pairs.items() if not _is_same(*pair)}
        if entry.networks.layers <= (_number(view.asked.get("cutoff", "")) or 0):
            view.bent.pop("cutoff", None)  # all layers, whatever the number
        view.asked = {}


def bent_now(view: GenerateView, entry: "Entry") -> dict[str, tuple[str, str]]:
    """Return what of a link is shown otherwise, as long as nobody has changed it."""
    shown = resolved(view, entry)
    return {
        name: pair for name, pair in view.bent.items() if pair[1] == _written(getattr(shown, name))
    }


def _is_same(one: str, other: str) -> bool:
    return one == other or (_number(one) is not None and _number(one) == _number(other))


def resolved(view: GenerateView, entry: "Entry") -> GenerateView:
    """Return a view that names depth and share: the same weights may lie elsewhere with others."""
    depth = entry.depth if view.depth is None else view.depth
    alpha = entry.alpha if depth == entry.depth else 1.0
    return replace(view, depth=depth, alpha=alpha if view.alpha is None else view.alpha)


def tidy(view: GenerateView) -> None:
    """Bring what came from outside into what the inputs can show."""
    view.way = view.way if view.way in ("exact", "plain") else "exact"
    view.reading = view.reading if view.reading in ("ranges", "tuples") else "ranges"
    view.measured = view.measured if view.measured in MEASURED else 32
    for name, (least, most) in _LIMITS.items():
        value = getattr(view, name)
        if value is not None:
            setattr(view, name, type(value)(min(max(value, least), most)))


def _written(value: float | str | None) -> str:
    if value is None:
        return "off"
    return number_text(value) if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """Write a number so that it is read as the very same, without an exponent."""
    return np.format_float_positional(value, trim="-")


def _take(view: GenerateView, name: str, kind: str, text: str) -> None:
    if text == "off" and "None" in kind:
        setattr(view, name, None)
    elif kind.startswith("str"):
        setattr(view, name, text[:MOST_TEXT])
    elif kind.startswith("float"):
        value = _number(text)
        if value is not None and abs(value) <= 1e6:
            setattr(view, name, value)
    elif text.isascii() and text.isdigit() and len(text) <= 10:
        setattr(view, name, int(text))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value else None


def sum_read(text: str) -> list[tuple[float, int]]:
    """Read a sum of seeds such as 3 - 8 + 0.5*20: weights and seeds in order.

    Raises:
        InputError: It is written otherwise, or has more than twelve terms.
    """
    import re

    from core.errors import InputError
    from core.text import N_

    plain = re.sub(r"\s*([-+*])\s*", r"\1", text.replace("−", "-").replace("×", "*").strip())
    term = r"([+-]?)(?:(\d+(?:\.\d+)?)\*)?(\d+)"
    whole = re.fullmatch(rf"{term}(?:[+-](?:\d+(?:\.\d+)?\*)?\d+)*", plain)
    found = [
        ((-1.0 if sign == "-" else 1.0) * float(weight or 1), int(seed))
        for sign, weight, seed in re.findall(term, plain)
    ]
    if not whole or len(found) > 12 or any(abs(weight) > 10 for weight, _seed in found):
        raise InputError(
            N_("{text!r} is no sum of seeds."),
            hint=N_("Write 3 - 8 + 20 or 0.5*3 + 0.5*8, at most 12 terms."), text=text[:60],
        )  # fmt: skip
    return found
