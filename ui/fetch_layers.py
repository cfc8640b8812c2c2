"""Layers of any place, made of what others publish: chosen, estimated, fetched as a job."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import streamlit as st

from core import jobs
from core.connectors.layers import Missed, Wish, is_layer_there, own_id
from core.connectors.planning import LayerEstimate
from core.connectors.recipes import USUAL, Recipe, layer_recipes, recipe
from core.connectors.signing import PLANETARY_COMPUTER, catalogue_of
from core.jobs import Job
from core.workspace import Area
from ui import cached
from ui.errors import plain, shown_errors
from ui.imagery_words import time_text
from ui.language import _
from ui.outside import ask_anew, is_reachable, no_access_panel, outside_switch
from ui.progress import is_running, job_panel, submit_again
from ui.quantities import size_text, value_text
from ui.server import workspace
from ui.state import app_state

_MBIT_S = 20.0


def fetch_job_panel(area: Area) -> None:
    """Show the fetch that runs for this area, and afterwards what it could not make."""
    job_panel(
        f"layers-{area.id}",
        title=_("Fetching layers"),
        area=area.id,
        on_done=show_fetched_layers,
        retry=(lambda: submit_again(f"layers-{area.id}")) if app_state().outside else None,
        watched_area=area.id,
        is_kept=True,
        names={known.id: _(known.title) for known in layer_recipes()},
    )


def show_fetched_layers(job: Job) -> str:
    """Put the layers that a job has made on the map, and say so."""
    area = workspace().area(job.result["area"])
    made = [layer.id for layer in area.layers if layer.id in job.result["made"]]
    view = app_state().view(area.id)
    view.shown = [*made, *(shown for shown in view.shown if shown not in made)]
    view.active = made[0] if made else view.active
    text = _("Layers made and on the map: {count}.").format(count=len(made))
    if job.result["missed"]:
        missed = len(job.result["missed"])
        text += " " + _("Not made: {count}, see Fetch layers.").format(count=missed)
    return text


def is_there(area: Area, known: Recipe) -> bool:
    """Tell whether an area has the layer of a recipe."""
    return is_layer_there(area, own_id(area, known), known.id)


def fetch_layers_form(area: Area) -> None:
    """Draw the switch, the layers to choose from, what they would take, and the button."""
    is_on = outside_switch("outside-layers")
    no_access_panel("layers")
    _missed_panel(area)
    years, again, catalogue, mbit_s = _more(area)
    estimates: Sequence[LayerEstimate] = ()
    with shown_errors():
        wishes = tuple(Wish(recipe=known.id, years=years, again=again) for known in layer_recipes())
        stamp = workspace().stamp(area.id)
        estimates = cached.planned_layers(area.id, stamp, wishes, mbit_s)
    if not estimates:
        return
    chosen = []
    heading = _("What an analysis needs")
    st.markdown(f"**{heading}**")
    for known, estimate in zip(layer_recipes(), estimates, strict=True):
        if known.id in USUAL and _row(area, known, estimate):
            chosen.append((known, estimate))
    with st.expander(_("Other sources of the same")):
        for known, estimate in zip(layer_recipes(), estimates, strict=True):
            if known.id not in USUAL and _row(area, known, estimate):
                chosen.append((known, estimate))
    _confirm(area, chosen, wishes, catalogue, is_on)


def _more(area: Area) -> tuple[tuple[int, int] | None, bool, str, float]:
    """Draw what is seldom changed: years, making anew, catalogue, speed."""
    with st.expander(_("Years, catalogue, speed")):
        boxes = st.columns(4, vertical_alignment="bottom")
        first = boxes[0].number_input(
            _("From year"), 1980, 2100, None, placeholder=_("newest"), key=f"first-{area.id}",
            help=_("Empty: the last three years that are over, or the newest there is."),
        )  # fmt: skip
        last = boxes[1].number_input(
            _("To year"), 1980, 2100, None, placeholder=_("newest"), key=f"last-{area.id}"
        )
        mbit_s = boxes[2].number_input(
            _("Speed of the connection (Mbit/s)"), 0.1, 10_000.0, _MBIT_S, step=10.0, format="%g"
        )
        again = boxes[3].checkbox(_("Make anew what is there"), key=f"anew-{area.id}")
        catalogue = st.text_input(
            _("Address of a STAC API"),
            value=PLANETARY_COMPUTER.url,
            key=f"layers-catalogue-{area.id}",
            help=_("Another one must have the same collections. Night lights and GHS come from"
                   " their publishers' own servers."),
        )  # fmt: skip
    years = None
    if first is not None or last is not None:
        years = int(first or last or 0), int(last or first or 0)
    return years, again, catalogue.strip(), float(mbit_s)


def _row(area: Area, known: Recipe, estimate: LayerEstimate) -> bool:
    """Draw one layer; return whether it is to be fetched."""
    with st.container(border=True):
        facts, size = st.columns([9, 3], vertical_alignment="center")
        there = is_there(area, known)
        chosen = facts.checkbox(
            plain(_(known.title)),
            value=known.id in USUAL and not there,
            key=f"fetch-{area.id}-{known.id}-{there}",
            disabled=estimate.is_there,
        )
        pixel = _("pixel {side}").format(side=value_text(known.resolution_m, "m"))
        values = _("values in {unit}").format(unit=known.unit) if known.unit else ""
        source = [known.provider, pixel, values, _(known.region), _(known.licence)]
        told = plain(" · ".join(part for part in source if part))
        about = _("About the data")
        link = f"[{about}]({known.homepage})"
        facts.caption(f"{_(known.about)}  \n{told} · {link}")
        if estimate.is_there:
            size.markdown("✓ " + _("is there already"))
        else:
            text = _("at most {size}  \nfiles: {files}, about {time}")
            size.caption(
                text.format(
                    size=size_text(estimate.download_bytes),
                    files=estimate.num_files,
                    time=time_text(estimate.seconds),
                )
            )
    return bool(chosen) and not estimate.is_there


def _confirm(
    area: Area,
    chosen: Sequence[tuple[Recipe, LayerEstimate]],
    wishes: Sequence[Wish],
    catalogue: str,
    is_on: bool,
) -> None:
    download = sum(estimate.download_bytes for _known, estimate in chosen)
    disk = max((estimate.disk_bytes for _known, estimate in chosen), default=0)
    seconds = sum(estimate.seconds for _known, estimate in chosen)
    if chosen:
        text = _(
            "Chosen layers: {count}. At most {size} to download, about {time}, up to {disk} of disk"
            " while a layer is made."
        )
        st.markdown(
            text.format(
                count=len(chosen), size=size_text(download), time=time_text(seconds),
                disk=size_text(disk),
            )
        )  # fmt: skip
    is_ready = bool(chosen) and is_on and not is_running(f"layers-{area.id}")
    if st.button(
        _("Fetch the chosen layers ({count})").format(count=len(chosen)),
        type="primary",
        disabled=not is_ready,
        help=None if is_ready else _("The switch above must be on, and nothing else fetched."),
    ):
        ids = {known.id for known, _estimate in chosen}
        _start(area, [wish for wish in wishes if wish.recipe in ids], catalogue)


def _start(area: Area, wishes: Sequence[Wish], catalogue: str) -> None:
    root = workspace().root
    ask_anew("layers", f"layers-{area.id}")
    with shown_errors():
        if is_reachable(catalogue, "layers"):
            config = {
                "workspace": str(root.resolve()),
                "area": area.id,
                "outside": app_state().outside,
                "catalogue": catalogue_of(catalogue).url,
                "wishes": [asdict(wish) for wish in wishes],
            }
            job_id = jobs.submit(root / "jobs", "fetch-layers", config)
            app_state().jobs[f"layers-{area.id}"] = job_id
        st.rerun()


def last_missed(area: Area) -> tuple[Job, tuple[Missed, ...]] | None:
    """Return the last fetch for an area and what it could not make and is not there still."""
    for job in jobs.jobs(workspace().root / "jobs", "fetch-layers"):
        if job.config.get("area") != area.id or job.state == "running":
            continue
        if job.state != "done":
            return None
        missed = tuple(Missed(**row) for row in job.result["missed"])
        left = tuple(row for row in missed if not is_there(area, recipe(row.recipe)))
        return (job, left) if left else None
    return None


def _missed_panel(area: Area) -> None:
    """Draw what the last fetch could not make, with the reasons and the way to try again."""
    found = last_missed(area)
    if found is None or app_state().dismissed == found[0].id or is_running(f"layers-{area.id}"):
        return
    job, missed = found
    with st.container(border=True):
        text = _("Layers that could not be made: {count}. The others are there.")
        st.warning(text.format(count=len(missed)))
        lines = [
            f"- **{plain(_(recipe(row.recipe).title))}**: {plain(row.message(_))}" for row in missed
        ]
        st.markdown("\n".join(lines))
        again, away, _rest = st.columns([2, 1, 3])
        if again.button(
            _("Try the missed ones again"),
            key="missed-again",
            type="primary",
            width="stretch",
            disabled=not app_state().outside,
            help=None if app_state().outside else _("The switch above must be on."),
        ):
            ids = {row.recipe for row in missed}
            wishes = [_wish_from(row) for row in job.config["wishes"] if row["recipe"] in ids]
            _start(area, wishes, str(job.config["catalogue"]))
        if away.button(_("Dismiss"), key="missed-dismiss", width="stretch"):
            app_state().dismissed = job.id
            st.rerun()


def _wish_from(row: dict[str, Any]) -> Wish:
    years = row.get("years")
    return replace(Wish(**{**row, "years": None}), years=tuple(years) if years else None)
