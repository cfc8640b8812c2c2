"""The sets of chips of the workspace: choose one, know it, verify it, delete it, make the first."""

from dataclasses import asdict

import pandas as pd
import streamlit as st

from core import jobs
from core.chips.requests import Request
from core.chips.sets import ChipSets, SetInfo
from core.errors import AppError
from core.store import slug
from core.text import filled
from core.workspace import Area
from models import runs
from models.sets import is_set
from ui.chip_view import ChipView
from ui.chip_words import channels_text, metres_text, split_names
from ui.choice import choice, switch
from ui.errors import plain, shown_errors
from ui.frame import area_title
from ui.language import _
from ui.progress import is_running
from ui.quantities import size_text
from ui.server import workspace
from ui.state import app_state
from ui.train_words import run_line

FIRST_COUNT = 2000
_MOST_RUNS = 5


def all_sets() -> list[SetInfo]:
    """Return the readable sets of the workspace, the newest first."""
    return ChipSets(workspace().root).sets()[::-1]


def chosen_set(infos: list[SetInfo], view: ChipView) -> SetInfo | None:
    """Return the set that is looked at: of a link or the last choice, else the newest."""
    by_id = {info.id: info for info in infos}
    if view.set_id and view.set_id not in by_id:
        if infos:
            text = _("There is no chip set {name}; {other} is shown.")
            st.info(text.format(name=plain(view.set_id[:80]), other=infos[0].id))
        view.choose("")
    if not infos:
        return None
    view.set_id = view.set_id or infos[0].id
    return by_id[view.set_id]


def set_choice(infos: list[SetInfo], view: ChipView) -> None:
    """Draw the choice of a set in the sidebar."""
    names = {info.id: f"{info.id} · {info.count:,}" for info in infos}
    with st.sidebar:
        # The key holds the choice: one that was made elsewhere on the page moves the box too.
        found = choice(_("Chip set"), names, value=view.set_id, key=f"chip-set-{view.set_id}")
        if st.button(_("Train on these chips"), key="chips-train", width="stretch"):
            train = app_state().train
            train.see, train.draft["data"] = "new", view.set_id
            st.switch_page("pages/train.py")
    if found != view.set_id:
        view.choose(found)
        st.rerun()


def area_of(info: SetInfo, areas: list[Area]) -> Area | None:
    """Return the study area that a set was cut in, None where it is gone or there was none."""
    return next((area for area in areas if area.id == info.area), None)


def view_choice(view: ChipView, *, has_sets: bool) -> str:
    """Draw the choice of what is looked at, and return it."""
    names = {
        "gallery": _("Gallery"),
        "scales": _("Scales"),
        "statistics": _("Statistics and warnings"),
        "sets": _("Sets"),
        "export": _("Export"),
        "cut": _("Cut a new set"),
        "import": _("Import images"),
    }
    if not has_sets:
        names = {name: names[name] for name in ("cut", "import")}
    value = view.shown if view.shown in names else next(iter(names))
    key = f"chip-view-{view.turn}-{has_sets}"
    found = switch(_("What to look at"), names, value=value, key=key)
    if found != value:
        view.shown = found
    return found


def key_figures(info: SetInfo, area: Area | None) -> None:
    """Draw the figures of a set in a row."""
    splits = split_names()
    parts = " / ".join(f"{info.splits.get(name, 0):,}" for name in splits)
    metres = info.metres_per_pixel(info.size_px)
    side = f"{info.size_px} px" + (
        "" if info.side_m is None else f" · {metres_text(info.side_m)} m"
    )
    figures = {
        _("Chips"): f"{info.count:,}",
        _("Train / test"): parts,
        _("Side of a chip"): side,
        _("A pixel means"): _("no place") if metres is None else f"{metres_text(metres)} m",
        _("On the disk"): size_text(info.num_bytes),
    }
    for column, (name, value) in zip(st.columns([4, 6, 6, 5, 5]), figures.items(), strict=True):
        column.metric(name, value)
    said = _("Channels: {names}").format(names=plain(channels_text(info.channels, area)))
    if info.made == "import" and "test" not in info.splits:
        said += " · " + _(
            "All are for training: images without a place are split by folders *train* and *test*."
        )
    st.caption(said)


def first_set(area: Area | None) -> None:
    """Say that there is no set yet, with one click that makes one."""
    if is_running("cut"):
        st.info(_("The first set is being cut. It is shown here as soon as it is whole."))
        return
    st.info(
        _(
            "There is no set of chips yet. A chip is a small square of ground, cut from imagery or"
            " layers; networks learn from thousands of them."
        )
    )
    label = _("Cut {count:,} chips of the simulated imagery").format(count=FIRST_COUNT)
    if st.button(label, type="primary", help=_("64 px of 1 m, train and test in blocks apart.")):
        start_cut(first_request(area, [info.id for info in all_sets()]))


def first_request(area: Area | None, taken: list[str]) -> Request:
    """Return what the one click cuts: the simulated city's imagery, inside its area if chosen."""
    seed = simulated_seed(area)
    return Request(
        out=cut_name("simulated", taken),
        area=area.id if area and seed is not None else "",
        simulated=0 if seed is None else seed,
    )


def simulated_seed(area: Area | None) -> int | None:
    """Return the seed of an area of the simulated city, None of any other."""
    seed = area.boundary_source.get("seed") if area and area.is_simulated else None
    return int(seed) if seed is not None else None


def free_name(name: str, taken: list[str]) -> str:
    """Return a name for a set that is not taken: `name`, `name-2`, `name-3` …"""
    base = slug(name, fallback="chips")
    names = (base if number == 1 else f"{base[:58]}-{number}" for number in range(1, 10_000))
    return next(found for found in names if found not in taken)


def cut_name(source: str, taken: list[str]) -> str:
    """Return a name for a set that is to be cut from a source."""
    return free_name(f"{source[:40]}-chips", taken)


def start_cut(request: Request) -> None:
    """Start cutting a set as a job."""
    root = workspace().root
    config = {"workspace": str(root.resolve()), "area": request.area, "request": asdict(request)}
    app_state().jobs["cut"] = jobs.submit(root / "jobs", "cut-chips", config)
    st.rerun()


def made_set(job: jobs.Job) -> str:
    """Turn to the set that a job made, and return what to say."""
    info = ChipSets(workspace().root).info(str(job.result["set"]))
    view = app_state().chips
    view.choose(info.id)
    view.shown = "gallery"
    said = _("{name} is there: {count:,} chips.").format(name=plain(info.id), count=info.count)
    if left := info.options.get("left_out"):
        said += " " + _("Images left out: {count:,}. See Sets for the reason.").format(count=left)
    return said


def sets_panel(infos: list[SetInfo], info: SetInfo, area: Area | None, view: ChipView) -> None:
    """Draw the list of all sets and what is known of the chosen one."""
    rows = [_row(each, each.id == info.id) for each in infos]
    found = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key=f"chip-sets-{view.turn}",
    )
    picked = [infos[row].id for row in found["selection"]["rows"] if row < len(infos)]
    if picked and picked[0] != info.id:
        view.choose(picked[0])
        st.rerun()
    st.caption(_("Tick a row to choose its set."))
    for name, error in ChipSets(workspace().root).broken().items():
        st.error(f"**{plain(name)}**: {plain(error.message(_))}")
        _delete(name, view)
    st.markdown(f"**{plain(info.id)}**")
    facts = _facts(info, area).items()
    st.markdown("\n".join(f"- {key}: {plain(value)}" for key, value in facts))
    for text, values in info.notes:
        st.warning(plain(filled(text, _translated(values), _)))
    left, right, _rest = st.columns([2, 2, 3])
    with left:
        _verify(info)
    with right:
        _delete(info.id, view)


def _row(info: SetInfo, is_chosen: bool) -> dict[str, str]:
    metres = info.metres_per_pixel(info.size_px)
    return {
        _("Chosen"): "✓" if is_chosen else "",
        _("Set"): info.id,
        _("Chips"): f"{info.count:,}",
        _("Train"): f"{info.splits.get('train', 0):,}",
        _("Test"): f"{info.splits.get('test', 0):,}",
        _("Side (px)"): str(info.size_px),
        _("Side (m)"): "" if info.side_m is None else metres_text(info.side_m),
        _("A pixel (m)"): "" if metres is None else metres_text(metres),
        _("Channels"): channels_text(info.channels),
        _("On the disk"): size_text(info.num_bytes),
        _("Made (UTC)"): info.created[:16].replace("T", " "),
    }


def _facts(info: SetInfo, area: Area | None) -> dict[str, str]:
    options = info.options
    names = [_(str(source.get("name", ""))) for source in info.sources]
    more = _("{count} more").format(count=len(names) - 5)
    found = {
        _("Made"): _("cut from") if info.made == "cut" else _("imported from"),
        _("Channels"): channels_text(info.channels, area),
        _("Scales (px)"): ", ".join(map(str, info.sizes)),
    }
    found[_("Made")] += " " + ", ".join(names[:5] + ([more] if len(names) > 5 else []))
    if info.area:
        found[_("Study area")] = area_title(area) if area else info.area
    if options.get("block_m"):
        text = _("blocks of {side} m, {test:,} of them for the test, gap {gap} m")
        found[_("Train and test apart")] = text.format(
            side=metres_text(options["block_m"]),
            test=options.get("test_blocks", 0),
            gap=metres_text(options.get("gap_m", 0.0)),
        )
    if "seed" in options:
        found[_("Seed")] = str(options["seed"])
    found[_("Fingerprint (SHA-256)")] = info.digest[:16] + " …"
    return found


def _translated(values: dict[str, object]) -> dict[str, object]:
    """Translate the reason and the names of splits among a note's values."""
    names = split_names()
    found = {key: names.get(str(value), value) for key, value in values.items()}
    return found | ({"reason": _(str(found["reason"]))} if "reason" in found else {})


def _verify(info: SetInfo) -> None:
    if st.button(_("Verify the files"), width="stretch"):
        with shown_errors(), st.spinner(_("Reading {size}").format(size=size_text(info.num_bytes))):
            ChipSets(workspace().root).verify(info.id)
            st.success(_("{name} is as it was written.").format(name=plain(info.id)))


def _delete(set_id: str, view: ChipView) -> None:
    with st.popover(_("Delete"), width="stretch"):
        _warn_of_runs(set_id)
        sure = st.checkbox(
            _("Yes, delete {name} with all its chips").format(name=plain(set_id)),
            key=f"sure-set-{set_id}",
        )
        if st.button(_("Delete the set"), key=f"delete-set-{set_id}", disabled=not sure):
            with shown_errors():
                _deleted(set_id, view)


def _warn_of_runs(set_id: str) -> None:
    """Name the runs that learn from a set: the files alone would let it go without a word."""
    found = [
        run
        for run in runs.runs(workspace().root / "runs")
        if run.config.data == set_id and is_set(set_id)
    ]
    if not found:
        return
    lines = [plain(run_line(run)) for run in found[:_MOST_RUNS]]
    if len(found) > _MOST_RUNS:
        lines.append(_("{count} more").format(count=len(found) - _MOST_RUNS))
    said = _("These runs learn from it. Without it they can be looked at, but not go on:")
    st.warning("\n".join([said, "", *(f"- {line}" for line in lines)]))


def _deleted(set_id: str, view: ChipView) -> None:
    try:
        ChipSets(workspace().root).delete(set_id)
    except OSError as err:
        raise AppError("{reason}", reason=str(err)) from err
    if view.set_id == set_id:
        view.choose("")
    app_state().notice = _("{name} was deleted.").format(name=plain(set_id))
    st.rerun()
