"""Runs of training on disk: made, listed, stopped, deleted. No PyTorch is loaded for that.

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock

from core import processes, store
from core.errors import AppError, BusyError, InputError
from core.record import code_version
from core.text import N_
from models.config import RunConfig
from models.plan import Plan

State = Literal["queued", "running", "stopped", "done", "failed"]
KIND, VERSION = "urban-pattern-run", 1
_GRACE_S = 5.0
_LONGEST_NAME = 40

_started: dict[Path, "subprocess.Popen[bytes]"] = {}
"""Children of this process by their folders; they still tell how they ended."""


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
    is_broken_off: bool = False
    """Whether it failed because its process ended half-way, and it goes on from a checkpoint."""

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
    write_config(folder, config, sessions=[session()])
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
    name, kept = processes.signal_name(code), newest_checkpoint(folder)
    values: dict[str, Any] = {"signal": name} if name else {}
    return Run(
        **base,
        state="failed",
        problem=N_("The run was killed by the signal {signal}.") if name
        else N_("The run's process ended before the run did."),
        hint=N_("Go on to begin anew: there is no checkpoint yet.") if kept is None
        else N_("It has all up to step {kept:,}. Go on from there."),
        values=values if kept is None else {**values, "kept": kept},
        is_broken_off=kept is not None,
    )  # fmt: skip


def newest_checkpoint(folder: Path) -> int | None:
    """Return the step of a run's newest checkpoint, whole or not."""
    found = (path.parent.name for path in (folder / "checkpoints").glob("*/checkpoint.json"))
    return max((int(name) for name in found if name.isdecimal()), default=None)


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


def delete(root: Path, run_id: str) -> None:
    """Delete a run with all its files.

    Raises:
        BusyError: It still runs.
    """
    folder = folder_of(root, run_id)
    with alone(folder):
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
        training = found.config.training
        if isinstance(per_epoch, int):
            # It was that of one fit: of no use where fits have batches of their own.
            return None if len(set(training.batches)) > 1 else Plan(training.fits, per_epoch)
        return Plan(training.fits, tuple(per_epoch))
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


def session(changes: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return the note of a session that begins now, with the settings that change."""
    return {
        "started": time.time(),
        "code": code_version("models"),
        "changes": list(changes),
    }


def write_config(folder: Path, config: RunConfig, *, sessions: list[dict[str, Any]]) -> None:
    """Write down what is asked of a run, and its sessions so far."""
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


@contextmanager
def alone(folder: Path) -> Iterator[None]:
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
