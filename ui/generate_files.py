"""Files of generated pictures that open again: latents with their settings, PNG with theirs."""

import shutil
import tempfile
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import AppError, InputError
from core.text import N_
from models.catalogue import Entry
from ui.choose_file import choose_file
from ui.errors import plain, show_error
from ui.generate_view import MOST_ID, MOST_TEXT, GenerateView, number_text, tidy
from ui.language import _
from ui.server import workspace
from ui.state import app_state

if TYPE_CHECKING:
    from models.latents import Latents

_FILE = "latents"


def given_latents(entry: Entry, view: GenerateView) -> "Latents | None":
    """Return the latents of the file that stands in for seeds; None where seeds are used, and where
    it cannot be read, which is said.
    """
    from models import latents

    if not view.latents:
        return None
    try:
        found, _settings = latents.kept_latents(
            workspace().root, view.latents, entry.networks.latent
        )
    except AppError as err:
        show_error(err)
        found = None
    if st.button(
        _("✕ latents {name}").format(name=plain(view.latents[:8])), type="tertiary",
        help=_("Go back to seeds."),
    ):  # fmt: skip
        view.latents, view.picture = "", None
        st.rerun()
    if found is not None:
        st.caption(_("{count} latents of a file").format(count=len(found)))
    return found


def latents_download(entry: Entry, settings: dict[str, Any], *, place: Any = st) -> None:
    """Draw the button that saves latents with the settings of their pictures."""
    place.download_button(
        _("Latents, NPZ"),
        partial(_file_of, entry.networks.latent, settings),
        file_name=f"latents-{entry.digest[:8]}.npz",
        width="stretch",
        on_click="ignore",
        key="generate-latents",
        help=_("The numbers that the pictures are made of; opened again here or by --latents."),
    )


def _file_of(size: int, settings: dict[str, Any]) -> bytes:
    from models import latents, remade

    folder = workspace().root / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=folder))
    try:
        z = remade.latents_of(settings, size, workspace().root)
        latents.write_latents(place / "latents.npz", z, settings)
        return (place / "latents.npz").read_bytes()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def open_again(entry: Entry, view: GenerateView) -> None:
    """Take in a file of latents, or a PNG of this program: what it was made of is shown again."""
    st.caption(
        _("Latents (NPZ, or NPY of n × {size}), or a PNG that this page or the command line wrote.")
        .format(size=entry.networks.latent)
    )  # fmt: skip
    file = choose_file(
        _FILE, (".npz", ".npy", ".png"), label=_("File to open"), is_upload_only=True
    )
    if file is None:
        return
    app_state().uploads.pop(_FILE, None)
    path, name = file
    try:
        restore(entry, view, path)
    except AppError as err:
        show_error(err)
        return
    app_state().notice = _("{name} is opened.").format(name=plain(name))
    st.rerun(scope="app")


def restore(entry: Entry, view: GenerateView, path: Path) -> None:
    """Set the view to what a file says that it was made of.

    Raises:
        RefusedFileError: The file holds neither latents nor settings.
        InputError: Its latents are of another size, or its settings cannot be shown.
    """
    from models import exports, latents

    kept_id = ""
    if path.suffix == ".png":
        settings = exports.settings_in(path)
    else:
        root = workspace().root
        kept_id = latents.keep_latents(root, path, entry.networks.latent)
        settings = latents.kept_latents(root, kept_id, entry.networks.latent)[1]
    found = replace(view)
    try:
        apply_settings(found, settings)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as err:
        raise InputError(N_("The settings in {name} cannot be read."), name=path.name) from err
    if kept_id:
        found.shown, found.latents = "grid", kept_id
    elif found.shown == "grid" and found.latents:
        latents.kept_latents(workspace().root, found.latents, entry.networks.latent)
    _check_shown(found, settings, path.name)
    tidy(found)
    for field in fields(view):  # only now: a file that is refused changes nothing
        setattr(view, field.name, getattr(found, field.name))


def _check_shown(view: GenerateView, settings: dict[str, Any], name: str) -> None:
    """Refuse what the page would draw otherwise than it was made."""
    tame = replace(view)
    tidy(tame)
    wrong = [
        f"{field} {getattr(view, field)}" for field in ("psi", "alpha", "noise", "frames", "one")
        if getattr(view, field) != getattr(tame, field)
    ]  # fmt: skip
    if settings.get("noise"):
        wrong.append(_("the noise of a file"))
    if settings.get("command") == "mixing" and settings.get("look", {}).get("cutoff") is not None:
        wrong.append(_("a mixing with a cutoff"))
    if wrong:
        raise InputError(
            N_("{name} was made with what this page does not show: {wrong}."),
            hint=N_("The command line makes it again: python -m models."),
            name=name, wrong=", ".join(wrong)[:200],
        )  # fmt: skip


def apply_settings(view: GenerateView, settings: dict[str, Any]) -> None:
    """Set the view to settings that a PNG or a file of latents holds."""
    command = settings.get("command")
    if digest := str(settings.get("model", "")):
        view.model, view.digest = str(settings.get("model_id", ""))[:MOST_ID], digest[:16]
    if look := settings.get("look"):
        if command not in ("truncation", "mixing"):  # these have psis of their own
            view.psi = float(look["psi"])
        view.cutoff = None if look["cutoff"] is None else int(look["cutoff"])
        view.depth = None if look["depth"] is None else int(look["depth"])
        view.alpha = None if look.get("alpha") is None else float(look["alpha"])
        view.noise = None if look["noise_seed"] is None else int(look["noise_seed"])
        view.way = "plain" if look["way"] == "plain" else "exact"
    view.picture = None
    if command == "sample":
        view.shown, view.columns = "grid", int(settings.get("columns", 0))
        view.latents = str(settings.get("latents", ""))
        view.seeds = _list(settings.get("seeds", [])) or view.seeds
    elif command == "truncation":
        view.shown, view.rows = "truncation", _list(settings["seeds"])
        view.psis = _list(settings["psis"])
    elif command == "mixing":
        view.shown, view.sources, view.destinations = (
            "mixing", _list(settings["src"]), _list(settings["dst"])
        )  # fmt: skip
        view.source_psis = _list(settings.get("src_psi") or [1.0])
        view.destination_psis = _list(settings.get("dst_psi") or [1.0])
        view.reading = "tuples" if settings.get("reading") == "tuples" else "ranges"
        layers = [[int(at) for at in one] for one in settings["layers"]]
        view.written = ",".join(f"{one[0]}-{one[-1]}" for one in layers)
    elif command == "walk":
        view.shown, view.stops = "walk", _list(settings["seeds"])
        view.frames = int(settings["frames"])
    elif command == "sum":
        view.shown = "sum"
        pairs = zip(settings["weights"], settings["seeds"], strict=True)
        view.terms = " ".join(
            f"{'-' if weight < 0 else '+'} {number_text(abs(weight))}*{int(seed)}"
            for weight, seed in pairs
        ).removeprefix("+ ")
    elif command == "depths":
        view.shown, view.one = "depths", int(settings["seeds"][0])


def _list(values: list[float]) -> str:
    """Write numbers as they are typed; whole numbers one after another as a range.

    Raises:
        ValueError: The line would be longer than can be typed.
    """
    text = _typed(values)
    if len(text) > MOST_TEXT:
        raise ValueError(text[:20])
    return text


def _typed(values: list[float]) -> str:
    parts: list[str] = []
    if values and all(isinstance(value, int) for value in values):
        first = last = int(values[0])
        for value in [*values[1:], None]:
            if value is not None and value == last + 1:
                last = int(value)
                continue
            parts.append(str(first) if first == last else f"{first}-{last}")
            first = last = int(value or 0)
        return ",".join(parts)
    return ",".join(number_text(value) for value in values)
