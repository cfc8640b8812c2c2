"""Planning a set: what is cut, how large, how many, where; looked at before it runs."""

from dataclasses import replace
from typing import Any, Literal, cast

import streamlit as st

from core import intake
from core.chips.options import LARGEST_PX, LARGEST_SIDE_M, MOST_CHIPS, SMALLEST_PX, CutOptions
from core.chips.preview import TRIALS, Preview
from core.chips.requests import Request
from core.chips.sets import ChipSets, SetInfo
from core.connectors import shelf
from core.errors import AppError
from core.settings import settings
from core.store import checked_id
from core.text import N_
from core.workspace import Area
from ui import cached_chips
from ui.chip_grid import inline, picture_html
from ui.chip_map import plan_map
from ui.chip_sets import cut_name, simulated_seed, start_cut
from ui.chip_words import metres_text
from ui.choice import choice, switch
from ui.choose_file import choose_file
from ui.errors import show_error, shown_errors
from ui.language import _
from ui.layer_words import layer_title
from ui.progress import is_running
from ui.quantities import share_text, size_text
from ui.server import workspace

_WAITING_PX = 32
Source = Literal["simulated", "layers", "files"]


def cut_panel(area: Area | None, infos: list[SetInfo]) -> None:
    """Draw the form on the left, what would come out on the right, and the button."""
    left, right = st.columns([2, 3], gap="medium")
    with left, shown_errors():
        request = _request(area, infos)
        _start(request, infos)
    with right:
        if request is not None:
            _preview(request, area)


def _request(area: Area | None, infos: list[SetInfo]) -> Request | None:
    """Draw the form; return what it asks for, None while no source is chosen."""
    sources: dict[str, str] = {}
    if simulated_seed(area) is not None or area is None:
        sources["simulated"] = _("Simulated aerial imagery, 1 m")
    if area is not None and any(layer.file for layer in area.layers):
        sources["layers"] = _("Layers of the study area")
    sources["files"] = _("Raster files")
    key = area.id if area else ""
    source = choice(_("Cut from"), sources, key=f"cut-source-{key}", is_kept=True)
    given = _given(cast(Source, source), area, key)
    options = _options(key, is_place_known=area is not None)
    stem = area.id if area and source == "layers" else str(source)
    name = st.text_input(
        _("Name of the set"),
        value=cut_name(stem, [info.id for info in infos]),
        max_chars=64,
        key=f"cut-name-{key}-{source}-{len(infos)}",  # proposed anew once a set is made
        help=_("Small letters, digits, '_' and '-'."),
    )
    if given is None:
        return None
    inside = area is not None and st.checkbox(
        _("Only where the centre lies inside the study area"), value=True, key=f"cut-in-{key}"
    )
    is_known = area is not None and (inside or source == "layers")
    return Request(
        out=name.strip(), options=options, area=area.id if area and is_known else "", **given
    )


def _given(source: Source, area: Area | None, key: str) -> dict[str, Any] | None:
    """Draw the choice within a kind of source; return fields of the request."""
    if source == "simulated":
        return {"simulated": simulated_seed(area) or 0}
    if source == "layers" and area is not None:
        names = {layer.id: layer_title(layer) for layer in area.layers if layer.file}
        chosen = st.multiselect(
            _("Layers, a channel each; classes a channel a class"),
            list(names),
            default=list(names)[:1],
            format_func=lambda name: names[name],
            key=f"cut-layers-{key}",
        )
        return {"layers": tuple(chosen)} if chosen else None
    return _files(area, key)


def _files(area: Area | None, key: str) -> dict[str, Any] | None:
    known: dict[str, str] = {}
    if area is not None:
        for image in shelf.fetched(workspace(), area.id):
            known[str(image.path.resolve())] = " · ".join(t for t in (image.title, image.date) if t)
    for name in intake.data_files(intake.RASTER_SUFFIXES):
        known[str((settings().data / name).resolve())] = name
    chosen: list[str] = []
    if known:
        chosen = st.multiselect(
            _("Fetched images and files of the server's data folder"),
            list(known),
            format_func=lambda path: known[path],
            key=f"cut-files-{key}",
        )
    uploaded = choose_file(
        f"chips-{key}", intake.RASTER_SUFFIXES, label=_("Or upload one"), is_upload_only=True
    )
    if uploaded:
        text = _(
            "An upload is kept for a day. To look at places of the set later, upload it again."
        )
        st.caption(text)
    paths = tuple(dict.fromkeys([*chosen, *([str(uploaded[0].resolve())] if uploaded else [])]))
    if not paths:
        st.caption(_("Choose one file or several of one kind: other places, or other dates."))
        return None
    kinds = {
        "": _("as guessed"),
        "image": _("Image"),
        "values": _("Values"),
        "classes": _("Classes"),
    }
    kind = choice(_("The bands hold"), kinds, key=f"cut-kind-{key}")
    return {"files": paths, "kind": kind or None}


def _options(key: str, *, is_place_known: bool) -> CutOptions:
    """Draw sizes, number and, folded, all else."""
    left, right = st.columns(2)
    size = int(_number(left, _("Side (px)"), (SMALLEST_PX, LARGEST_PX), 64, key="px", step=16))
    metres = _number_or_none(
        right, _("Side (m)"), (0.01, LARGEST_SIDE_M), _("auto"), key="m",
        said=_("Empty: as many of the source's pixels as the side in px."),
    )  # fmt: skip
    ways = {"random": _("At random"), "grid": _("Side by side")}
    way = switch(_("Places"), ways, value="random", key=f"cut-way-{key}", is_kept=True)
    is_grid = way == "grid"
    left, right = st.columns(2)
    label, limits = _("Number"), (1, MOST_CHIPS)
    count: float | None
    if is_grid:
        said = _("Empty: all that fit.")
        count = _number_or_none(
            left, label, limits, _("all"), key="count-grid", step=100, said=said
        )
    else:
        count = _number(left, label, limits, 2000, key="count-random", step=100)
    said = _("The same seed, the same set.")
    seed = int(_number(right, _("Seed"), (0, 2**31 - 1), 0, key="seed", said=said))
    with st.expander(_("More choices")):
        more = _more(way, key, is_place_known)
    return CutOptions(
        size_px=size,
        metres=metres,
        count=None if count is None else int(count),
        grid=is_grid,
        seed=seed,
        **more,
    )


def _more(way: str, key: str, is_place_known: bool) -> dict[str, Any]:
    is_grid = way == "grid"
    left, right = st.columns(2)
    valid = _number(left, _("Least valid pixels (%)"), (0, 100), 100, key="valid")
    label = _("Least distance of centres (m)")
    distance = _number(right, label, (0.0, LARGEST_SIDE_M), 0.0, key="apart", step=10.0)
    overlap = _number(
        left, _("Overlap, at most (%)"), (0, 90 if is_grid else 100), 0 if is_grid else 100,
        key=f"overlap-{way}", said=_("Share of a chip that another one may repeat."),
    )  # fmt: skip
    balances = {"": _("None")}
    if is_place_known:
        balances |= {"clusters": _("Clusters"), "cover": _("Land cover")}
    balance = choice(
        _("Balance by"), balances, place=right, key=f"cut-balance-{key}", is_kept=True,
        help=_("About as many chips of each kind."),
    )  # fmt: skip
    splits = {"place": _("By place, in blocks"), "none": _("None: all for training")}
    split = choice(
        _("Train and test"), splits, key=f"cut-split-{key}", is_kept=True,
        help=_("Never chip by chip: neighbours look alike."),
    )  # fmt: skip
    options: dict[str, Any] = {
        "min_valid": valid / 100,
        "min_distance_m": distance,
        "overlap": None if not is_grid and overlap == 100 else overlap / 100,
        "balance": balance,
        "split": split,
    }
    if split == "place":
        first, second, third = st.columns(3)
        share = _number(first, _("For the test (%)"), (1, 90), 20, key="share")
        block = _number_or_none(
            second, _("Block (m)"), (0.01, LARGEST_SIDE_M), _("auto"), key="block",
            said=_("Empty: from 2 to 8 chips a side."),
        )  # fmt: skip
        gap = _number(third, _("Gap (m)"), (0.0, LARGEST_SIDE_M), 0.0, key="gap", step=10.0)
        options |= {"test_share": share / 100, "block_m": block, "gap_m": gap}
    return options


def _number(
    place: Any,
    label: str,
    limits: tuple[float, float],
    value: float,
    *,
    key: str,
    step: float | None = None,
    said: str | None = None,
) -> float:
    """Draw a number that stays while another view is looked at."""
    found: float = place.number_input(
        label, *limits, value, step, _plain_format(limits), key=f"cut-{key}", help=said,
        persist_state="session",
    )  # fmt: skip
    return found


def _number_or_none(
    place: Any,
    label: str,
    limits: tuple[float, float],
    empty: str,
    *,
    key: str,
    step: float = 10.0,
    said: str | None = None,
) -> float | None:
    """Draw a number as `_number` does, which may be left out; `empty` says what that means."""
    found: float | None = place.number_input(
        label, *limits, None, step, _plain_format(limits), key=f"cut-{key}", help=said,
        placeholder=empty, persist_state="session",
    )  # fmt: skip
    return found


def _plain_format(limits: tuple[float, float]) -> str | None:
    """Return a format that writes 100 and 0.5 and not 100.00; None for whole numbers."""
    return "%g" if isinstance(limits[1], float) else None


def _start(request: Request | None, infos: list[SetInfo]) -> None:
    if request is None:
        return
    taken = request.out in [info.id for info in infos]
    if taken and st.checkbox(_("Replace the set of that name")):
        request = replace(request, replace=True)
    if st.button(_("Cut the set"), type="primary", width="stretch", disabled=is_running("cut")):
        checked_id(request.out, what=N_("chip set"))
        ChipSets(workspace().root).check_free(request.out, is_replaced=request.replace)
        start_cut(request)


def _preview(request: Request, area: Area | None) -> None:
    """Draw what would come out; what cannot be cut is said here, before it is tried."""
    asked = replace(request, out="preview", replace=False)
    try:
        # Its place is there at all times: a map that jumps is clicked at the wrong place.
        with st.container(height=_WAITING_PX, border=False), st.spinner(_("Looking for places")):
            found = cached_chips.chip_preview(asked)
            picture = cached_chips.trial_picture(asked)
    except AppError as err:
        show_error(err)
        return
    st.markdown(sentence(found))
    if request.options.balance:
        st.caption(_("Which of these places are taken is decided by the balance, while it runs."))
    plan_map(found, area if request.area else None, height_px=430)
    if picture:
        st.caption(_("Cut on trial:"))
        width = round(100 * len(found.trial) / TRIALS)
        st.html(picture_html(inline(picture), style=f"width:{width}%"))


def sentence(found: Preview) -> str:
    """Say what a plan would give: how many, how large, how long."""
    total = sum(found.found.values())
    parts = [_fit(found, total)]
    if total and len(found.found) > 1 and found.block_m is not None:
        text = _("{train:,} for training, {test:,} ({share}) for the test, in blocks of {side} m.")
        parts.append(
            text.format(
                train=found.found["train"],
                test=found.found["test"],
                share=share_text(found.found["test"] / total),
                side=metres_text(found.block_m),
            )
        )
    text = _("A chip is {side} m wide. On the disk: {size} of {free} free.")
    parts.append(
        text.format(
            side=metres_text(found.side_m),
            size=size_text(found.num_bytes),
            free=size_text(found.free_bytes),
        )
    )
    if found.seconds is not None and total:
        parts.append(
            _("It takes about {time}, told from a few chips cut on trial.").format(
                time=time_text(found.seconds)
            )
        )
    return " ".join(parts)


def _fit(found: Preview, total: int) -> str:
    if not found.is_whole:
        return _("**At least {count:,} chips fit**; the search was broken off.").format(count=total)
    if found.wanted is None:
        return _("**{count:,} chips fit.**").format(count=total)
    if total < found.wanted:
        text = _("**Only {count:,} of {wanted:,} chips fit.**")
        return text.format(count=total, wanted=found.wanted)
    return _("**All {count:,} chips fit.**").format(count=total)


def time_text(seconds: float) -> str:
    """Write how long something takes: "20 s", "3 min"."""
    if seconds < 90:
        return _("{seconds} s").format(seconds=max(5, 5 * round(seconds / 5)))
    return _("{minutes} min").format(minutes=round(seconds / 60))
