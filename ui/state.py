"""The only module that reads or writes `st.session_state` and the address's parameters.

One `AppState` a browser session: ids and small values, never arrays. The address holds what a link
must restore: area, page, layers, style, point, language.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.errors import AppError
from ui import generate_view
from ui.chip_view import ChipView, read_address
from ui.generate_view import GenerateView

_KEY = "app_state"


@dataclass(slots=True)
class LayerView:
    """How one layer is drawn in this session. None means: the layer's own default."""

    opacity: float = 1.0
    colormap: str | None = None
    low: float | None = None
    high: float | None = None
    scale: str = "linear"


@dataclass(slots=True)
class MapView:
    """What the Data page shows of one area."""

    shown: list[str] = field(default_factory=list)
    """Layer ids, the topmost first."""
    active: str = ""
    """The layer whose style, figures and problems are shown."""
    swipe: str = ""
    """The layer on the right of the swipe line; empty: no swipe."""
    styles: dict[str, LayerView] = field(default_factory=dict)
    point: tuple[float, float] | None = None
    """Latitude and longitude of the place whose values are shown."""
    clicked: tuple[float, float] | None = None
    """The last click that was taken over; the map tells it again at every run."""
    go: tuple[str, tuple[float, float, float, float]] | None = None
    """A view to move to once: a token and west, south, east, north."""


@dataclass(slots=True)
class QuadratView:
    """What the Quadrats page shows of one area."""

    column: str = ""
    is_normalised: bool = False
    colormap: str = ""
    only: tuple[float, float] | None = None
    """The range of values that lights up on the map."""
    brushed: tuple[float, float] | None = None
    """The last range that was taken over; the chart tells it again at every run."""
    square: int | None = None
    """Position of the clicked quadrat in the table."""
    held: int | None = None
    """Position of the quadrat that is held beside it."""
    clicked: tuple[float, float] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of `core.quadrat_table.Options` that differ from its defaults."""


@dataclass(slots=True)
class ClusterView:
    """What the Clusters page shows of one area."""

    k: int = 0
    """0: the suggested one."""
    picked: int | None = None
    """The cluster that is picked out on the map."""
    listed: int | None = None
    """The last one chosen in the list; the chart tells it again at every run."""
    grouping: str = ""
    """Title of the grouping that is shown; empty: the clusters themselves."""
    edges: str = "0, 0.3, 0.6, 1"
    """Of the bins of the signatures."""
    reading: str = ""
    """Of the signatures and distances; empty: the area's method."""
    marks: str = "typical"
    """Which squares of the picked cluster are outlined: typical or unusual."""
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of the job's `clusters` that differ from the defaults."""
    clicked: tuple[float, float] | None = None
    square: int | None = None


@dataclass(slots=True)
class CozyView:
    """What the Cozy zones page shows of one area."""

    shown: str = "zone"
    """Which map: zone, seasons, stability or rank."""
    groups: str = ""
    """What the zone is compared with: a layer of classes, or a number of clusters."""
    square: int | None = None
    clicked: tuple[float, float] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of `core.cozy_steps.Options` that differ from its defaults."""
    picked: tuple[float, float, float, float] | None = None
    """The box drawn in the Moran scatter plot: z from, z to, lag from, lag to."""
    season: str = "summer"


@dataclass(slots=True)
class ImageryView:
    """What the Imagery page shows of one area."""

    search: str = ""
    """Id of the search whose answer is shown; empty: the last one."""
    looked: str = ""
    """Key of the image that is looked at."""
    chosen: dict[str, list[str]] = field(default_factory=dict)
    """Keys of the images to fetch, by search; the suggested ones where a search is not in it."""
    turn: int = 0
    """How often they were chosen by a button: each time another table is shown."""
    clicked: tuple[float, float] | None = None
    shelf: str | None = None
    """`collection/key` of the fetched image that is drawn on the map; None: the first."""
    catalogue: str = ""
    """Address of a STAC API; empty: the first known one."""
    collection: str = "naip"
    asset: str = ""
    first: str = ""
    last: str = ""
    mbit_s: float = 20.0


@dataclass(slots=True)
class TrainView:
    """What the Train page shows."""

    see: str = "watch"
    """watch, new, compare or old."""
    run: str = ""
    """Id of the run that is watched; empty: the newest."""
    panel: str = "losses"
    step: int | None = None
    """Where the slider through time stands; None: at the newest sheet, and it follows."""
    compared: list[str] = field(default_factory=list)
    """Ids of runs and of old tables."""
    asked: str = ""
    """What the user is asked to confirm."""
    draft: dict[str, str] = field(default_factory=dict)
    """Choices that outlive a visit of the page, by name: `figure` and `by` of the comparison,
    `data`, `model`, `preset` and `size` of a new run, `table` of old work."""


@dataclass(slots=True)
class AppState:
    """What one browser session remembers between pages."""

    area: str = ""
    language: str = ""
    base_map: str = ""
    picture: str = "svg"
    """What the camera of a chart saves."""
    views: dict[str, MapView] = field(default_factory=dict)
    quadrats: dict[str, QuadratView] = field(default_factory=dict)
    clusters: dict[str, ClusterView] = field(default_factory=dict)
    cozy: dict[str, CozyView] = field(default_factory=dict)
    imagery: dict[str, ImageryView] = field(default_factory=dict)
    outside: bool = False
    """Whether the user lets the server ask the internet; never part of a link."""
    no_access: dict[str, AppError] = field(default_factory=dict)
    """Why the internet could not be asked the last time, by where that was tried."""
    dismissed: str = ""
    """Id of the job whose missed layers are not told of any more."""
    chips: ChipView = field(default_factory=ChipView)
    """Sets belong to the workspace, not to an area."""
    train: TrainView = field(default_factory=TrainView)
    generate: GenerateView = field(default_factory=GenerateView)
    jobs: dict[str, str] = field(default_factory=dict)
    """Job ids that this session watches, by what they are for."""
    uploads: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Files that were uploaded, by what they are for: their name and where they lie."""
    upload_turns: dict[str, int] = field(default_factory=dict)
    """How often a file was uploaded, by what for: each time another uploader is shown."""
    boundary_crs: dict[str, str] = field(default_factory=dict)
    """Coordinate systems that the user gave for files that name none."""
    section: int | None = None
    """Number of the menu's section that the page is in; None: it stands in the menu itself."""
    notice: str = ""
    """One sentence to show after the next rerun."""

    def view(self, area_id: str) -> MapView:
        """Return what this session shows of an area; made on first use."""
        return self.views.setdefault(area_id, MapView())

    def quadrat_view(self, area_id: str) -> QuadratView:
        """Return what this session shows of an area's quadrats; made on first use."""
        return self.quadrats.setdefault(area_id, QuadratView())

    def cluster_view(self, area_id: str) -> ClusterView:
        """Return what this session shows of an area's clusters; made on first use."""
        return self.clusters.setdefault(area_id, ClusterView())

    def cozy_view(self, area_id: str) -> CozyView:
        """Return what this session shows of an area's cozy zone; made on first use."""
        return self.cozy.setdefault(area_id, CozyView())

    def imagery_view(self, area_id: str) -> ImageryView:
        """Return what this session shows of an area's imagery; made on first use."""
        return self.imagery.setdefault(area_id, ImageryView())


def app_state() -> AppState:
    """Return this session's state; on first use it starts from the address."""
    if _KEY not in st.session_state:
        state = AppState()
        st.session_state[_KEY] = state
        _read_address(state)
    found: AppState = st.session_state[_KEY]
    return found


def write_address(**values: str) -> None:
    """Make the address hold exactly `values`; empty ones are left out."""
    wanted = {key: value for key, value in values.items() if value}
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)


def widget_value(key: str, default: Any = None) -> Any:
    """Return the value of a widget by its key.

    The browser tells the words of an option. Where these have changed since it drew them (a run's
    state, the language), Streamlit hands them on as they are; they are read as what they meant.
    """
    found = st.session_state.get(key, default)
    now, words = st.session_state.get(_WORDS, {}).get(key, ({}, {}))
    options = list(now.values())

    def meant(one: Any) -> Any:
        return words.get(one, one) if isinstance(one, str) and one not in options else one

    return type(found)(map(meant, found)) if isinstance(found, list | tuple) else meant(found)


def set_widget(key: str, value: Any) -> None:
    """Set the value of a widget that has been drawn before.

    One that has it is left alone: a value that is set goes to the browser, and would put back a
    slider that was moved on meanwhile.
    """
    if key in st.session_state and st.session_state[key] != value:
        st.session_state[key] = value


_WORDS = "words_of_options"
_MOST_WORDS, _MOST_WIDGETS = 2000, 64
_DEFAULT_OF = {"selectbox": "index", "segmented_control": "default", "multiselect": "default"}


def draw_showing(value: Any, widget: Callable[..., Any], *args: Any, key: str, **more: Any) -> Any:
    """Draw a widget that shows `value`, and return what it returns.

    The value is its default as well: one that is only set is told to the browser once, and is lost
    where another run of the page begins before that; the widget then showed its first option, and
    told it back as the user's choice.
    """
    if "format_func" in more:
        follow_words(key, args[1], more["format_func"])
    set_widget(key, value)
    name = _DEFAULT_OF.get(widget.__name__, "value")
    if name == "index":
        options = list(args[1])
        value = options.index(value) if value in options else None
    return widget(*args, key=key, **{name: value}, **more)


def follow_words(key: str, options: Iterable[Any], words_of: Callable[[Any], str]) -> None:
    """Let a widget keep its choice where the words of its options change: before it is drawn.

    What the words meant at its last drawing is remembered too. A choice whose words are others now
    is set, so that the browser shows and tells the new ones.
    """
    kept = st.session_state.setdefault(_WORDS, {})
    if key not in kept and len(kept) >= _MOST_WIDGETS:
        kept.pop(next(iter(kept)))
    now = {words_of(one): one for one in options}
    chosen = widget_value(key)
    last, before = kept.pop(key, ({}, {}))
    words = before | now
    kept[key] = (now, words if len(words) <= _MOST_WORDS else now)
    options = list(now.values())
    if chosen not in options or not last:
        return
    if now.get(_words(last, chosen)) != chosen or st.session_state[key] != chosen:
        st.session_state[key] = chosen


def _words(words: dict[str, Any], chosen: Any) -> str:
    return next((text for text, one in words.items() if one == chosen), "")


def style_text(view: MapView) -> str:
    """Write the styles that differ from the defaults as one parameter of the address."""
    parts = []
    for layer_id in view.shown:
        style = view.styles.get(layer_id)
        if style is None or style == LayerView():
            continue
        numbers = ["" if n is None else f"{n:.6g}" for n in (style.low, style.high)]
        opacity, colormap = f"{style.opacity:.2g}", style.colormap or ""
        parts.append(":".join([layer_id, opacity, colormap, *numbers, style.scale]))
    return ",".join(parts)


def _read_address(state: AppState) -> None:
    """Take what a link holds. Anything that is no valid value is passed over."""
    found = st.query_params
    state.area = found.get("area", "")
    state.language = found.get("lang", "")
    view = state.view(state.area)
    view.shown = [part for part in found.get("layers", "").split(",") if part]
    view.active = found.get("layer", "")
    view.swipe = found.get("swipe", "")
    for part in found.get("style", "").split(","):
        _read_style(view, part)
    _read_quadrats(state.quadrat_view(state.area), found.get("column", ""), found.get("only", ""))
    clusters = state.cluster_view(state.area)
    clusters.k = int(found["k"]) if found.get("k", "").isdecimal() else 0
    clusters.picked = int(found["pick"]) if found.get("pick", "").isdecimal() else None
    cozy = state.cozy_view(state.area)
    cozy.shown = found.get("map", "zone")
    cozy.groups = found.get("groups", "")
    for key, kind in (("level", float), ("correction", str), ("weights", str)):
        if key in found:
            with suppress(ValueError):
                cozy.options[key] = kind(found[key])
    imagery = state.imagery_view(state.area)
    imagery.search, imagery.looked = found.get("search", ""), found.get("image", "")
    read_address(state.chips, found)
    _read_train(state.train, found.to_dict())
    generate_view.read_address(state.generate, found)
    point = _numbers(found.get("at", "").split(","))
    if len(point) == 2 and None not in point and abs(point[0] or 0) <= 90:
        view.point = (point[0] or 0.0, point[1] or 0.0)


def _read_quadrats(view: QuadratView, column: str, only: str) -> None:
    view.column, _, shown = column.partition(":")
    view.is_normalised = shown == "normalised"
    limits = _numbers(only.split("~"))
    if len(limits) == 2 and None not in limits:
        view.only = (limits[0] or 0.0, limits[1] or 0.0)


def _read_train(view: TrainView, found: dict[str, str]) -> None:
    view.see, view.run = found.get("see", view.see), found.get("run", "")
    view.panel = found.get("panel", view.panel)
    view.draft |= {name: found[name] for name in ("figure", "by") if name in found}
    view.step = int(found["step"]) if found.get("step", "").isdecimal() else None
    view.compared = [part for part in found.get("with", "").split(",") if part]


def _read_style(view: MapView, text: str) -> None:
    fields = text.split(":")
    if len(fields) != 6:
        return
    layer_id, opacity, colormap, low, high, scale = fields
    numbers = _numbers([opacity, low, high])
    view.styles[layer_id] = LayerView(
        opacity=min(max(1.0 if numbers[0] is None else numbers[0], 0.0), 1.0),
        colormap=colormap or None,
        low=numbers[1],
        high=numbers[2],
        scale="log" if scale == "log" else "linear",
    )


def _numbers(texts: list[str]) -> list[float | None]:
    values: list[float | None] = []
    for text in texts:
        try:
            value = float(text)
        except ValueError:
            values.append(None)
        else:
            values.append(value if abs(value) < 1e30 else None)
    return values
