"""Going on with a run that has ended: what would differ, whether it can, and doing it.

What cannot go on stays as it was: all is looked at before anything is written.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core import store
from core.chips.sets import ChipSets
from core.errors import BusyError, InputError
from core.record import code_version
from core.settings import settings
from core.text import N_
from models import runs, sets
from models.config import RunConfig
from models.progressive import largest_batch

# What a checkpoint holds, or counts in: the rest may change.
_FIXED = {
    "model", "training.batch", "training.batches", "training.seed", "training.fits",
    "training.samples",
    "adversary.optimiser", "adversary.objective", "adversary.structure", "adversary.start_depth",
    "start_from",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that differs from what the run was made with."""

    name: str
    before: object
    after: object
    is_possible: bool
    """False where the checkpoint could not be used any more: that is a new run."""


def differences(folder: Path, config: RunConfig) -> list[Change]:
    """Return how a run would differ if it went on with `config`, for the caller to ask about.

    More fits at the end are what going on is for, and no difference. Code that has changed since
    the newest session is one, named `code`.
    """
    body = store.read_json(folder / "config.json", kind=runs.KIND, version=runs.VERSION)
    before = runs.settings_of(RunConfig.from_body(body["config"]))
    after = runs.settings_of(config)
    fits = list(before["training.fits"])
    if list(after["training.fits"])[: len(fits)] == fits:
        after["training.fits"] = before["training.fits"]
    changes = [
        Change(name, before.get(name), after.get(name), _is_possible(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    code = body["sessions"][-1]["code"]
    if code != code_version("models"):
        changes.append(Change("code", code, code_version("models"), is_possible=True))
    return changes


def resume(folder: Path, config: RunConfig | None = None) -> None:
    """Go on with a run that has ended, from its newest checkpoint, in a process of its own.

    With a `config` its settings change; ask `differences` first what that means.

    Raises:
        BusyError: It still runs, or somebody else is going on with it.
        InputError: A change that the checkpoint cannot follow, or see `check_pictures`. The run
            stays as it was.
    """
    prepare_to_resume(folder, config)
    runs.start(folder)


def prepare_to_resume(folder: Path, config: RunConfig | None = None) -> None:
    """Do all of `resume` but start the process."""
    with runs.alone(folder):
        found = runs.run(folder)
        if found.is_active:
            raise BusyError(
                N_("The run {id} has not ended yet."), hint=N_("Stop it first."), id=found.id
            )
        changes = differences(folder, config) if config else []
        impossible = [change.name for change in changes if not change.is_possible]
        if impossible:
            raise InputError(
                N_("A run cannot go on with another {names}: its checkpoint would not fit."),
                hint=N_("Start a new run with these settings, from the weights of this one."),
                names=", ".join(impossible),
            )
        if found.state == "done" and sum((config or found.config).training.fits) == sum(
            found.config.training.fits
        ):
            raise InputError(
                N_("The run {id} is finished."), hint=N_("Add epochs to go on."), id=found.id
            )
        check_pictures(folder, config or found.config)
        sessions = [*found.sessions, runs.session([asdict(change) for change in changes])]
        runs.write_config(folder, config or found.config, sessions=sessions)
        for name in ("stop", "slot.json", "process.json", "result.json", "error.json"):
            (folder / name).unlink(missing_ok=True)


def check_source(config: RunConfig) -> None:
    """Refuse settings whose pictures are not there or do not fit; of a file the head alone is read.

    Raises:
        InputError: They are not, or do not.
        RefusedFileError: A file of them is damaged.
        TooLargeError: They take more than the memory limit.
    """
    sets.check_source(
        config.data,
        batch=largest_batch(config),
        size_px=config.networks.size_px,
        channels=config.networks.channels,
    )


def check_pictures(folder: Path, config: RunConfig) -> None:
    """Refuse to go on where the pictures of a run are gone, are others, or do not fit.

    That a file is another only the run's own process notices: it is read whole for that.

    Raises:
        InputError: They are; see also `check_source`.
    """
    check_source(config)
    if sets.is_set(config.data):
        info = ChipSets(settings().workspace).info(config.data)
        check_same(folder, config.data, info.digest)


def check_same(folder: Path, source: str, digest: str) -> None:
    """Refuse other pictures under the name of those that a run began with.

    Raises:
        InputError: They are others.
    """
    path = folder / "data.json"
    if not path.exists():
        return
    before = store.read_json(path, kind="run-data", version=runs.VERSION)
    if before["source"] == source and before["digest"] != digest:
        raise InputError(
            N_("The chips at {source} are not those that the run {id} began with."),
            hint=N_("Put the old ones back, or name the new ones as another set."),
            source=source, id=folder.name,
        )  # fmt: skip


def extended(config: RunConfig, epochs: int) -> RunConfig:
    """Return the settings of a run with one more fit of `epochs` at its end."""
    fits = (*config.training.fits, epochs)
    return replace(config, training=replace(config.training, fits=fits))


def _is_possible(name: str) -> bool:
    return name not in _FIXED and not name.startswith("networks.")
