"""Runs of training on disk: made, listed, stopped, gone on with. No PyTorch is loaded for that.

    runs/<UTC time>-<name>/   config.json     what is asked for; written first
                              process.json    process id and its start time
                              slot.json       where it runs; absent while it waits for its turn
                              data.json       what the pictures were
                              log.txt         what the process printed
                              metrics.jsonl   a row of figures a line
                              samples/        <step>.png, reals.png
                              nearest/        <step>.png: samples and the chips nearest to them
                              checkpoints/    <step>/, see models/checkpoint.py
                              stop            exists once somebody asked to stop
                              result.json or error.json   written last

State is read from these files, so it survives a reload, a second browser and a restart of the
server. A run that has ended in whatever way goes on from its newest whole checkpoint.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock

from core import processes, store
from core.chips.sets import ChipSets
from core.errors import AppError, BusyError, InputError
from core.record import code_version
from core.settings import settings
from core.text import N_
from models import sets
from models.config import RunConfig
from models.plan import Plan
from models.progressive import largest_batch

State = Literal["queued", "running", "stopped", "done", "failed"]
KIND, VERSION = "urban-pattern-run", 1
_GRACE_S = 5.0
_LONGEST_NAME = 40

_started: dict[Path, "subprocess.Popen[bytes]"] = {}
"""Children of this process by their folders; they still tell how they ended."""


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that differs from what the run was made with."""

    name: str
    before: object
    after: object
    is_possible: bool
    """False where the checkpoint could not be used any more: that is a new run."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder, as it stands now."""

    id: str
    folder: Path
    config: RunConfig
    state: State
    sessions: tuple[dict[str, Any], ...]
    """When and with which code it was started and gone on with, oldest first."""
    result: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    """Why it failed: a template as in `AppError`, to be filled with `values`."""
    hint: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        return self.state in {"queued", "running"}

    @property
    def started(self) -> float:
        """Seconds since 1970 of the newest session."""
        return float(self.sessions[-1]["started"])


def folder_of(root: Path, run_id: str) -> Path:
    """Return the folder of a run.

    Raises:
        InputError: There is no such run, or the name is none.
    """
    folder = store.inside(root, store.checked_id(run_id, what=N_("run")))
    if not (folder / "config.json").is_file():
        raise InputError(N_("There is no run {id!r}."), id=run_id)
    return folder


def create(root: Path, config: RunConfig) -> Path:
    """Make the folder of a new run, named after the time and its title, and return it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%S%f")[:-3]
    name = store.slug(config.title, fallback="run")[:_LONGEST_NAME].strip("-_")
    return create_at(root / f"{stamp}-{name}", config)


def create_at(folder: Path, config: RunConfig) -> Path:
    """Make the folder of a new run at a given place.

    Raises:
        InputError: Something stands there already.
        StoreError: The place is read-only.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise InputError(
            N_("{name} exists already; a run needs a folder of its own."), name=folder.name
        ) from None
    except OSError as err:
        store.refuse_write(err, folder.name)
        raise
    _write_config(folder, config, sessions=[_session(())])
    return folder


def start(folder: Path) -> None:
    """Start a run, or go on with it, in a process of its own; return at once."""
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "models.worker", str(folder.resolve())],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    for path, child in list(_started.items()):
        if child.poll() is not None and not path.is_dir():
            _started.pop(path)
    _started[folder.resolve()] = process
    write_process(folder, process.pid)


def write_process(folder: Path, pid: int) -> None:
    """Write down which process a run is in."""
    body = processes.identity(pid)
    store.write_json(folder / "process.json", body, kind="run-process", version=VERSION)


def run(folder: Path) -> Run:
    """Read one run.

    Raises:
        StoreError: Its files are damaged.
    """
    body = store.read_json(folder / "config.json", kind=KIND, version=VERSION)
    sessions = tuple(body["sessions"])
    # Asked before the outcome is looked for: a run files its outcome before it ends.
    alive, code = _process_state(folder, float(sessions[-1]["started"]))
    base: dict[str, Any] = {
        "id": folder.name,
        "folder": folder,
        "config": RunConfig.from_body(body["config"]),
        "sessions": sessions,
    }
    if (folder / "result.json").exists():
        result = store.read_json(folder / "result.json", kind="run-result", version=VERSION)
        state: State = "done" if result.get("outcome") == "finished" else "stopped"
        return Run(**base, state=state, result=result)
    if (folder / "error.json").exists():
        error = store.read_json(folder / "error.json", kind="run-error", version=VERSION)
        error.pop("traceback", None)
        return Run(**base, state="failed", **error)
    if alive:
        waits = not (folder / "slot.json").exists()
        return Run(**base, state="queued" if waits else "running")
    name = processes.signal_name(code)
    return Run(
        **base,
        state="failed",
        problem=N_("The run was killed by the signal {signal}.") if name
        else N_("The run ended without a result."),
        hint=N_("Go on from its last checkpoint."),
        values={"signal": name} if name else {},
    )  # fmt: skip


def runs(root: Path) -> list[Run]:
    """Return all readable runs, newest first."""
    found = []
    for path in sorted(root.glob("[a-z0-9]*/config.json"), reverse=True):
        with suppress(AppError):
            found.append(run(path.parent))
    return found


def stop(folder: Path) -> None:
    """Ask a run to save a checkpoint and stop."""
    (folder / "stop").touch()


def differences(folder: Path, config: RunConfig) -> list[Change]:
    """Return how a run would differ if it went on with `config`, for the caller to ask about.

    More fits at the end are what going on is for, and no difference. Code that has changed since
    the newest session is one, named `code`.
    """
    body = store.read_json(folder / "config.json", kind=KIND, version=VERSION)
    before = _flat(RunConfig.from_body(body["config"]).body())
    after = _flat(config.body())
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
    start(folder)


def prepare_to_resume(folder: Path, config: RunConfig | None = None) -> None:
    """Do all of `resume` but start the process."""
    with _alone(folder):
        found = run(folder)
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
        sessions = [*found.sessions, _session(changes)]
        _write_config(folder, config or found.config, sessions=sessions)
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
    before = store.read_json(path, kind="run-data", version=VERSION)
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


def delete(root: Path, run_id: str) -> None:
    """Delete a run with all its files.

    Raises:
        BusyError: It still runs.
    """
    folder = folder_of(root, run_id)
    with _alone(folder):
        if run(folder).is_active:
            raise BusyError(
                N_("The run {id} has not ended yet."), hint=N_("Stop it first."), id=run_id
            )
        shutil.rmtree(folder)


def rows(folder: Path, *, after: int = -1) -> list[dict[str, Any]]:
    """Return the figures of a run in order of their steps, those after a step alone if asked.

    A line that was only half written is passed over.
    """
    found: list[dict[str, Any]] = []
    try:
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    except OSError:
        return found
    for line in text.splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and row.get("step", -1) > after:
                found.append(row)
    return found


def plan_of(found: Run) -> Plan | None:
    """Return how the steps of a run are laid out; None before it has opened its pictures."""
    try:
        slot = store.read_json(found.folder / "slot.json", kind="run-slot", version=VERSION)
        per_epoch = slot["per_epoch"]  # one number where an earlier version wrote it
        fits = found.config.training.fits
        return Plan(fits, per_epoch if isinstance(per_epoch, int) else tuple(per_epoch))
    except (AppError, KeyError, TypeError):
        return None


def samples(folder: Path, kind: Literal["samples", "nearest"] = "samples") -> dict[int, Path]:
    """Return the sheets of a run by their steps, in order.

    `samples`: of latents that never change. `nearest`: samples above the chips nearest to them.
    """
    return {
        int(path.stem): path
        for path in sorted((folder / kind).glob("*.png"))
        if path.stem.isdecimal()
    }


def log_tail(folder: Path, *, size: int = 20_000) -> str:
    """Return the end of what the process printed, at most `size` bytes of it."""
    try:
        with (folder / "log.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return all settings of a run by their names, such as `training.lr`."""
    return _flat(config.body())


def signature(root: Path) -> tuple[object, ...]:
    """Return what changes whenever a run comes, goes, or changes its state; cheap to ask often."""
    found = []
    for folder in sorted(path.parent for path in root.glob("[a-z0-9]*/config.json")):
        times = tuple(_changed(folder / name) for name in _TELLING)
        state = ""
        if not (times[-1] or times[-2]):  # no outcome: it may have been killed meanwhile
            with suppress(AppError):
                state = run(folder).state
        found.append((folder.name, times, state))
    return tuple(found)


_TELLING = ("config.json", "slot.json", "stop", "result.json", "error.json")


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def is_stopping(folder: Path) -> bool:
    """Tell whether somebody asked a run to stop."""
    return (folder / "stop").exists()


def queue_place(root: Path, found: Run) -> tuple[int, bool]:
    """Return the place of a waiting run among those that wait for its device, and if that is free.

    Free as far as the other runs' settings tell: one on `auto` may compute where another does.
    """
    others = [one for one in runs(root) if one.config.device == found.config.device]
    before = [
        one
        for one in others
        if one.state == "queued" and (one.started, one.id) < (found.started, found.id)
    ]
    return 1 + len(before), not any(one.state == "running" for one in others)


def _session(changes: "list[Change] | tuple[()]") -> dict[str, Any]:
    return {
        "started": time.time(),
        "code": code_version("models"),
        "changes": [asdict(change) for change in changes],
    }


def _write_config(folder: Path, config: RunConfig, *, sessions: list[dict[str, Any]]) -> None:
    body = {"config": config.body(), "sessions": sessions}
    store.write_json(folder / "config.json", body, kind=KIND, version=VERSION)


def _process_state(folder: Path, started: float) -> tuple[bool, int | None]:
    """Tell whether the run's process lives, and its exit code where this process knows it."""
    path = folder / "process.json"
    if not path.exists():  # between two lines of start(), or its process died there
        return time.time() - started < _GRACE_S, None
    saved = store.read_json(path, kind="run-process", version=VERSION)
    child = _started.get(folder.resolve())
    if child is not None and child.pid == saved["pid"]:
        return child.poll() is None, child.returncode
    return processes.is_alive(saved), None


def _flat(body: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{name}.")
        else:
            out[f"{prefix}{name}"] = value
    return out


# What a checkpoint holds, or counts in: the rest may change.
_FIXED = {
    "model", "training.batch", "training.batches", "training.seed", "training.fits",
    "training.samples",
    "adversary.optimiser", "adversary.objective", "adversary.structure", "adversary.start_depth",
    "start_from",
}  # fmt: skip


def _is_possible(name: str) -> bool:
    return name not in _FIXED and not name.startswith("networks.")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time decide about a run.

    Raises:
        BusyError: Somebody else is at it.
    """
    place = folder.parent / ".locks"
    place.mkdir(exist_ok=True)
    try:
        with filelock.FileLock(place / f"{folder.name}.lock", timeout=2):
            yield
    except filelock.Timeout:
        raise BusyError(
            N_("Somebody else is starting or deleting the run {id}."),
            hint=N_("Look again in a moment."),
            id=folder.name,
        ) from None
