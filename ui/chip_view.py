"""What the Chips page shows, and how it stands in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.chips.selection import WARNINGS, Wanted

_Text = TypeVar("_Text", bound=str)
SHOWN = ("gallery", "scales", "statistics", "sets", "export", "cut", "import")


@dataclass(slots=True)
class ChipView:
    """What the Chips page shows in this session."""

    shown: str = "gallery"
    """One of `SHOWN`."""
    set_id: str = ""
    """Empty: the newest."""
    wanted: Wanted = field(default_factory=Wanted)
    bands: str = ""
    """What is drawn of the channels: `natural`, `infrared`, `classes`, or the number of one;
    empty: what the set looks best in."""
    size_px: int = 0
    """0: the chips' own size."""
    page: int = 0
    chip: int | None = None
    place: tuple[float, float] | None = None
    """Latitude and longitude of the place that is looked at as a chip."""
    clicked: tuple[float, float] | None = None
    """The last click that was taken over; the map tells it again at every run."""
    go: tuple[str, tuple[float, float, float, float]] | None = None
    """A view of the map to move to once: a token and west, south, east, north."""
    looked_through: str = ""
    """Digest of the set that was looked through for blur and near duplicates."""
    turn: int = 0
    """Counted up when filters are set elsewhere than in their boxes, which then start anew."""

    def choose(self, set_id: str) -> None:
        """Turn to another set: what was chosen of the last one is let go."""
        self.set_id, self.wanted, self.page = set_id, Wanted(), 0
        self.bands, self.size_px, self.chip, self.place = "", 0, None, None
        self.turn += 1

    def narrow(self, wanted: Wanted) -> None:
        """Filter anew, from the first page."""
        if wanted != self.wanted:
            self.wanted, self.page = wanted, 0

    def keep(self, index: NDArray[np.int64]) -> None:
        """Let go of the chosen chip where the filters hide it."""
        if self.chip is not None and self.chip not in index:
            self.chip = None

    def show(self, wanted: Wanted) -> None:
        """Turn to the gallery of the chips that are as wanted."""
        self.narrow(wanted)
        self.shown = "gallery"
        self.turn += 1


def address_of(view: ChipView) -> dict[str, str]:
    """Return what the address holds of a view; empty for what is as at first."""
    wanted = view.wanted
    cover = "" if wanted.cover is None else f"{wanted.cover}:{wanted.low:g}~{wanted.high:g}"
    return {
        "view": "" if view.shown == "gallery" else view.shown,
        "set": view.set_id,
        "split": wanted.split,
        "cover": cover,
        "cluster": "" if wanted.cluster is None else str(wanted.cluster),
        "label": wanted.label,
        "date": wanted.date,
        "warning": wanted.warning,
        "bands": view.bands,
        "px": str(view.size_px or ""),
        "page": str(view.page + 1) if view.page else "",
        "chip": "" if view.chip is None else str(view.chip),
        "place": f"{view.place[0]:.6f},{view.place[1]:.6f}" if view.place else "",
    }


def read_address(view: ChipView, found: Mapping[str, str]) -> None:
    """Take what a link holds. Anything that is no valid value is passed over."""
    view.shown = _one_of(found.get("view", ""), SHOWN, "gallery")
    view.set_id = found.get("set", "")
    cover, _, shares = found.get("cover", "").partition(":")
    low, _, high = shares.partition("~")
    view.wanted = Wanted(
        split=_one_of(found.get("split", ""), ("train", "test"), ""),
        cover=_whole(cover),
        cluster=_whole(found.get("cluster", "")),
        label=found.get("label", "")[:80],
        date=found.get("date", "")[:10],
        warning=_one_of(found.get("warning", ""), WARNINGS, ""),
    )
    limits = _share(low), _share(high)
    if limits[0] is not None and limits[1] is not None and limits[0] <= limits[1]:
        view.wanted = replace(view.wanted, low=limits[0], high=limits[1])
    view.bands = found.get("bands", "")[:20]
    view.size_px = _whole(found.get("px", "")) or 0
    view.page = max((_whole(found.get("page", "")) or 1) - 1, 0)
    view.chip = _whole(found.get("chip", ""))
    place = [_number(part, 180.0) for part in found.get("place", "").split(",")]
    if len(place) == 2 and place[0] is not None and place[1] is not None and abs(place[0]) <= 90:
        view.place = place[0], place[1]


def _one_of(text: str, known: tuple[_Text, ...], otherwise: _Text) -> _Text:
    return next((item for item in known if item == text), otherwise)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _share(text: str) -> float | None:
    value = _number(text, 1.0)
    return None if value is None or value < 0 else value


def _number(text: str, most: float) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= most else None
