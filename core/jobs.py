"""Run long work in its own process, with its whole state in one folder.

    jobs/<UTC time>-<work>-<random>/   config.json    the request, written first
                                       process.json   process id and its start time
                                       progress.json  the latest report, replaced as a whole
                                       log.txt        what the process printed
                                       cancel         exists once somebody asked to stop
                                       result.json or error.json   written last

State is read from these files, so it survives a reload, a second browser and a restart of the
server. A process id alone may be used again by another program: its start time is compared too.

At most as many jobs as threads compute at a time, and four fetch; the others wait. Who works holds
a lock of `slots/`, which the system takes back from a process that dies.
"""

import importlib
import shutil
import signal
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import filelock

from core import processes, store
from core.errors import AppError, InputError, JobError, StoppedError
from core.settings import bound_threads, settings
from core.text import N_, as_json, filled

State = Literal["running", "done", "failed", "cancelled"]
ShouldStop = Callable[[], bool]


class Report(Protocol):
    """Takes how far a work has come: a share from 0 to 1, and a template with its values."""

    def __call__(self, share: float, text: str, /, **values: object) -> None: ...


Work = Callable[[dict[str, Any], Report, ShouldStop], dict[str, Any]]

# What may run as a job, and where it lives. A module is imported only in the job's own process.
WORKS = {
    "default-area": "core.works:default_area",
    "add-layer": "core.works:add_layer",
    "clusters": "core.works:clusters",
    "make-layer": "core.works:make_layer",
    "quadrats": "core.works:quadrats",
    "cozy-zone": "core.works:cozy_zone",
    "cut-chips": "core.works:cut_chips",
    "import-chips": "core.works:import_chips",
    "export-chips": "core.works:export_chips",
    "search-imagery": "core.works:search_imagery",
    "image-layer": "core.works:image_layer",
    "fetch-imagery": "core.works:fetch_imagery",
    "fetch-layers": "core.works:fetch_layers",
    "import-weights": "models.imports:import_weights",
}
_FETCHES = {"search-imagery", "fetch-imagery", "fetch-layers"}
"""Works that wait for others' servers for most of their time, which may be hours."""
_MOST_FETCHES = 4
_VERSION = 1
_KEPT = 50
_ASKS_S = 0.2

_started: dict[str, subprocess.Popen[bytes]] = {}
"""By job id, until each has ended; a process id may come back."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come: `share` from 0 to 1 and what it is doing (marked with `N_`)."""

    share: float
    text: str
    seconds_left: float | None = None
    """None until enough is done to tell."""
    values: dict[str, Any] = field(default_factory=dict)
    """What `text` is to be filled with."""

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return what it is doing, in words."""
        return filled(self.text, self.values, translate) if self.values else translate(self.text)


@dataclass(frozen=True, slots=True)
class Job:
    """One job folder, as it stands now."""

    id: str
    work: str
    config: dict[str, Any]
    state: State
    progress: Progress
    started: float
    """Seconds since 1970."""
    result: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    """Why it failed: a template as in `AppError`, to be filled with `values`."""
    hint: str = ""
    values: dict[str, Any] = field(default_factory=dict)


def submit(root: Path, work: str, config: dict[str, Any]) -> str:
    """Start `work` in its own process and return the job's id at once.

    Args:
        root: The folder of all jobs.
        work: A key of `WORKS`.
        config: The request; anything JSON can hold.
    """
    module_and_name(work)
    # To the millisecond: folders are listed by name, newest first.
    stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%S%f")[:-3]
    job_id = f"{stamp}-{work}-{uuid.uuid4().hex[:6]}"
    folder = root / job_id
    folder.mkdir(parents=True)
    store.write_json(
        folder / "config.json",
        {"work": work, "config": config, "started": time.time()},
        kind="job-config",
        version=_VERSION,
    )
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            _command(folder.resolve()),
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _drop_ended(root)
    _started[job_id] = process
    _write_process(folder, process.pid)
    _forget_old(root)
    return job_id


def job(root: Path, job_id: str) -> Job:
    """Read one job.

    Raises:
        InputError: There is no such job.
        StoreError: Its files are damaged.
    """
    folder = _folder(root, job_id)
    request = store.read_json(folder / "config.json", kind="job-config", version=_VERSION)
    # Asked before the outcome is looked for: a job files its outcome before it ends.
    alive, code = _process_state(folder, request["started"])
    base: dict[str, Any] = {
        "id": job_id,
        "work": request["work"],
        "config": request["config"],
        "started": request["started"],
        "progress": _progress(folder),
    }
    if (folder / "result.json").exists():
        result = store.read_json(folder / "result.json", kind="job-result", version=_VERSION)
        state: State = "cancelled" if result.pop("cancelled", False) else "done"
        return Job(**base, state=state, result=result)
    if (folder / "error.json").exists():
        error = store.read_json(folder / "error.json", kind="job-error", version=_VERSION)
        error.pop("traceback", None)
        return Job(**base, state="failed", **error)
    if alive:
        return Job(**base, state="running")
    problem, values = _death(code)
    return Job(
        **base,
        state="failed",
        problem=problem,
        hint=N_("Nothing half-done was kept. Start it again."),
        values=values,
    )


def jobs(root: Path, work: str = "*") -> list[Job]:
    """Return all readable jobs, of one work where it is named, newest first."""
    found = []
    for path in sorted(root.glob(f"*-{work}-*/config.json"), reverse=True):
        try:
            found.append(job(root, path.parent.name))
        except AppError:
            continue
    return found


def cancel(root: Path, job_id: str) -> None:
    """Ask a job to stop at its next safe point."""
    (_folder(root, job_id) / "cancel").touch()


def wait(root: Path, job_id: str, *, timeout_s: float) -> Job:
    """Return the job once it has ended.

    Raises:
        JobError: It still runs after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while (found := job(root, job_id)).state == "running":
        if time.monotonic() > deadline:
            raise JobError(N_("The job {id} still runs."), id=job_id)
        time.sleep(0.05)
    return found


def module_and_name(work: str) -> tuple[str, str]:
    """Return where the function of `work` lives.

    Raises:
        InputError: No such work.
    """
    if work not in WORKS:
        raise InputError(N_("There is no job named {work!r}."), work=work[:80])
    module, name = WORKS[work].split(":")
    return module, name


def run(folder: Path) -> None:
    """Body of a job's process: do the work of `folder` and file its outcome."""
    request = store.read_json(folder / "config.json", kind="job-config", version=_VERSION)
    module, name = module_and_name(request["work"])

    begun = time.time()

    def report(share: float, text: str, /, **values: object) -> None:
        body: dict[str, Any] = {"share": min(max(share, 0.0), 1.0), "text": text}
        body |= {"begun": begun, "time": time.time(), "values": as_json(values)}
        with suppress(AppError, OSError):  # a report that is lost must not end the work
            store.write_json(folder / "progress.json", body, kind="job-progress", version=_VERSION)

    def should_stop() -> bool:
        return (folder / "cancel").exists()

    try:
        with _slot(folder.parent, request["work"], report, should_stop):
            begun = time.time()
            work: Work = getattr(importlib.import_module(module), name)
            outcome = work(request["config"], report, should_stop)
    except StoppedError:
        outcome = {"cancelled": True}
    except AppError as err:
        store.write_json(folder / "error.json", err.body(), kind="job-error", version=_VERSION)
        return
    except Exception as err:  # nobody above can report it
        body = {
            "problem": N_("The job failed with an error of the program: {reason}"),
            "hint": N_("Its log is in {log}."),
            "values": {"reason": f"{type(err).__name__}: {err}"[:300], "log": folder.name},
            "traceback": traceback.format_exc(),
        }
        store.write_json(folder / "error.json", body, kind="job-error", version=_VERSION)
        raise
    store.write_json(folder / "result.json", outcome, kind="job-result", version=_VERSION)


@contextmanager
def _slot(root: Path, work: str, report: Report, should_stop: ShouldStop) -> Iterator[None]:
    """Wait until one of as many slots as there are threads is free, and hold it.

    Who holds the first slot may use every thread, the others one each: together fewer than twice
    the threads of the settings. Fetches have slots of their own and one thread each, which hardly
    computes: a silent server keeps nobody else waiting. Results do not depend on the number of
    threads.
    """
    folder = root / "slots"
    folder.mkdir(exist_ok=True)
    is_fetch = work in _FETCHES
    kind, most = ("fetch-", _MOST_FETCHES) if is_fetch else ("", settings().threads)
    paths = [folder / f"{kind}{number}.lock" for number in range(most)]
    slots = [filelock.FileLock(path, timeout=0) for path in paths]
    while not (held := _first_free(slots)):
        if should_stop():
            raise StoppedError(N_("Stopped before it began."))
        report(0.0, N_("Waiting for other work to end"))
        time.sleep(_ASKS_S)
    try:
        if is_fetch or held is not slots[0]:
            bound_threads(1)
        yield
    finally:
        held.release()


def _first_free(slots: list[filelock.FileLock]) -> filelock.FileLock | None:
    for slot in slots:
        with suppress(filelock.Timeout):
            slot.acquire()
            return slot
    return None


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "core.jobs", str(folder)]


def _folder(root: Path, job_id: str) -> Path:
    folder = store.inside(root, store.checked_id(job_id, what=N_("job")))
    if not (folder / "config.json").is_file():
        raise InputError(N_("There is no job {id!r}."), id=job_id)
    return folder


def _write_process(folder: Path, pid: int) -> None:
    body = processes.identity(pid)
    store.write_json(folder / "process.json", body, kind="job-process", version=_VERSION)


def _process_state(folder: Path, started: float) -> tuple[bool, int | None]:
    """Tell whether the job's process lives, and its exit code where this process knows it."""
    path = folder / "process.json"
    if not path.exists():  # between two lines of submit(), or its process died there
        return time.time() - started < 5, None
    saved = store.read_json(path, kind="job-process", version=_VERSION)
    child = _started.get(folder.name)
    if child is not None:
        return child.poll() is None, child.returncode
    return processes.is_alive(saved), None


def _death(code: int | None) -> tuple[str, dict[str, Any]]:
    if name := processes.signal_name(code):
        return N_("The job was killed by the signal {signal}."), {"signal": name}
    return N_("The job ended without a result."), {}


def _progress(folder: Path) -> Progress:
    try:
        body = store.read_json(folder / "progress.json", kind="job-progress", version=_VERSION)
    except AppError:
        return Progress(0.0, N_("Starting"))
    share, elapsed = body["share"], body["time"] - body.get("begun", body["time"])
    left = None
    if share > 0.05 and elapsed > 1:
        left = max(0.0, elapsed * (1 - share) / share - (time.time() - body["time"]))
    return Progress(share, body["text"], left, body.get("values", {}))


def _drop_ended(root: Path) -> None:
    """Let go of the children whose folders were forgotten; the others still tell how they ended."""
    for job_id, child in list(_started.items()):
        if child.poll() is not None and not (root / job_id).is_dir():
            _started.pop(job_id, None)


def _forget_old(root: Path) -> None:
    """Keep the newest 50 job folders; never touch one that still runs."""
    for old in jobs(root)[_KEPT:]:
        if old.state != "running":
            shutil.rmtree(root / old.id, ignore_errors=True)


if __name__ == "__main__":
    # A closed terminal must not end the work.
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run(Path(sys.argv[1]))
