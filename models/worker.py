"""The process of a run: wait for a device, train, write everything down, file the outcome.

python -m models.worker FOLDER
"""

import json
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

from core import store
from core.errors import AppError, BusyError, JobError
from core.record import code_version, peak_rss_mb, versions
from core.settings import settings
from core.text import N_, filled
from models import checkpoint, pictures, resuming, runs, slots
from models.adversary import Adversary
from models.config import AdversaryConfig, Row, RunConfig
from models.data import Feeder
from models.engine import Engine, engine
from models.judgement import Judge
from models.plan import Best, Plan
from models.progressive import corrected, largest_batch
from models.sets import Chips, bands_of, check_chips, open_chips
from models.stop import Stop
from models.style_config import StyleAdversary, StyleNetworks
from models.style_task import StyleTask
from models.train import Draws, Memory, Watcher, train

Report = Callable[[float, str], None]

_STATE_DRAWS = "draws"


def work(folder: Path, *, report: Report = lambda _share, _text: None) -> runs.Run:
    """Do a run, from its newest checkpoint if there is one, and return it as it ended.

    Raises:
        BusyError: Another process is at it.
    """
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BusyError(N_("The run {id} has not ended yet."), id=folder.name) from None
    try:
        with Stop(folder / "stop") as stop:
            _filed(folder, stop, report)
    finally:
        lock.release()
    return runs.run(folder)


def check(config: RunConfig) -> tuple[Engine, Chips]:
    """Return where a run computes and what it sees; worth asking before a run is made.

    Raises:
        InputError: There is no such device or set, or the set does not fit the networks.
    """
    # One core stays free for the app and the browser: threads that wait for each other at every
    # layer stand still where one of them must share its core. On two busy cores one thread trained
    # two to three times as fast as two.
    threads = config.threads or max(1, settings().threads - 1)
    place = engine(config.device, config.precision, threads, exact=config.exact)
    chips = open_chips(config.data, size_px=config.networks.size_px)
    check_chips(
        chips,
        batch=largest_batch(config),
        size_px=config.networks.size_px,
        channels=config.networks.channels,
    )
    return place, chips


def task_of(config: RunConfig, place: Engine) -> Adversary | StyleTask:
    """Make what a run trains."""
    networks, adversary, seed = config.networks, config.adversary, config.training.seed
    if isinstance(networks, StyleNetworks):
        assert isinstance(adversary, StyleAdversary)
        return StyleTask(networks, adversary, place, seed=seed)
    assert isinstance(adversary, AdversaryConfig)
    return Adversary(networks, adversary, place, seed=seed)


def _filed(folder: Path, stop: Stop, report: Report) -> None:
    """Do the work and write its outcome, whatever it is."""
    try:
        outcome = _work(folder, stop, report)
    except AppError as err:
        store.write_json(folder / "error.json", err.body(), kind="run-error", version=runs.VERSION)
        _say(folder, str(err))
        return
    except Exception as err:  # nobody above can report it
        body = {
            "problem": N_("The run failed with an error of the program: {reason}"),
            "hint": N_("Its log says more."),
            "values": {"reason": f"{type(err).__name__}: {err}"[:300]},
            "traceback": traceback.format_exc(),
        }
        store.write_json(folder / "error.json", body, kind="run-error", version=runs.VERSION)
        raise
    store.write_json(folder / "result.json", outcome, kind="run-result", version=runs.VERSION)
    _say(folder, f"{outcome['outcome']} at step {outcome['step']:,}")


def _work(folder: Path, stop: Stop, report: Report) -> dict[str, Any]:
    body = store.read_json(folder / "config.json", kind=runs.KIND, version=runs.VERSION)
    config = RunConfig.from_body(body["config"])
    begun = slots.ticket(folder)

    def is_ahead(other: Path) -> bool:
        with suppress(AppError):
            found = runs.run(other)
            return (
                found.state == "queued"
                and found.config.device == config.device
                and (found.started, found.id) < (begun, folder.name)
            )
        return False

    with slots.slot(folder, _devices(config.device), is_ahead=is_ahead, should_stop=stop) as device:
        if device is None:
            saved = checkpoint.steps(folder / "checkpoints")
            return {"outcome": "stopped", "step": saved[-1] if saved else 0}
        return _Session(folder, config, device, stop, report).train()


def _devices(wanted: str) -> list[str]:
    if wanted in {"auto", "cuda"} and torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu"] if wanted == "auto" else [wanted]


class _Session(Watcher):
    """One stretch of a run in one process."""

    def __init__(
        self, folder: Path, config: RunConfig, device: str, stop: Stop, report: Report
    ) -> None:
        self._folder, self._config, self._stop, self._report = folder, config, stop, report
        for template, values in corrected(config)[1]:
            _say(folder, filled(template, values))
        config = self._config = corrected(config)[0]
        training = config.training
        self._engine, self._chips = check(replace(config, device=device))
        self._check_data()
        self._task = task_of(config, self._engine)
        self._memory = Memory(
            draws=Draws(training.seed),
            best=Best(training.better, config.adversary.objective == "wasserstein"),
        )
        self._root = folder / "checkpoints"
        self._kept: set[int] = set()
        """Steps of the checkpoints at the end of a fit; they stay."""
        self._best: int | None = None
        self._restore()
        fits = range(len(training.fits))
        batch = [training.batch_of(fit) for fit in fits] if training.batches else training.batch
        self._feeder = Feeder(self._chips, batch=batch, seed=training.seed, engine=self._engine)
        self._plan = Plan(training.fits, self._feeder.per_epoch)
        self._judge = Judge(
            self._chips, self._task, latent=config.networks.latent, seed=training.seed,
            samples=training.samples,
        )  # fmt: skip
        self._metrics: TextIOWrapper | None = None
        self._write_slot()

    def train(self) -> dict[str, Any]:
        """Train to the end or to a stop, and return the outcome."""
        step = self._memory.step
        _say(self._folder, f"step {step:,} of {self._plan.total:,} on {self._engine.device}, "
             f"{self._engine.precision}, {torch.get_num_threads()} threads")  # fmt: skip
        self._need_space()
        if step == 0:
            self._first_pictures()
        with _told("metrics.jsonl"), (self._folder / "metrics.jsonl").open("a") as self._metrics:
            outcome = train(self._task, self._feeder, self._config.training, self._memory, self)
        return {
            "outcome": outcome,
            "step": self._memory.step,
            "seconds": round(self._memory.seconds, 3),
            "best": self._best,
        }

    # What the loop tells

    def should_stop(self) -> bool:
        return self._stop()

    def row(self, row: Row) -> None:
        self._write_row({**row, **self._scale(), "memory_mb": self._memory_mb()})
        share = row["step"] / self._plan.total
        figures = ", ".join(
            f"{name} {row[key]:.4g}"
            for name, key in (("critic", "critic_smooth"), ("generator", "generator_smooth"))
            if row[key] is not None
        )
        self._report(share, f"epoch {row['epoch'] + 1}, {figures}")
        if row.get("ends_epoch"):
            better = ", better than before" if row["is_best"] else ""
            _say(self._folder, f"step {row['step']:,}, epoch {row['epoch'] + 1}: {figures}{better}")

    def sample(self, step: int) -> None:
        pictures.write_sheet(self._folder / "samples" / f"{step:08d}.png", self._judge.sheet())

    def measure(self, step: int) -> None:
        row, pairs = self._judge.measured(step)
        place = self._folder / "nearest" / f"{step:08d}.png"
        pictures.write_sheet(place, pairs, columns=len(pairs) // 2)
        self._write_row({**row, **self._scale()})

    def checkpoint(self, memory: Memory, *, is_best: bool) -> None:
        if is_best:
            self._best = memory.step
        if memory.step in self._plan.ends():
            self._kept.add(memory.step)
        if self._metrics is not None:
            os.fsync(self._metrics.fileno())
        checkpoint.write_checkpoint(
            checkpoint.place(self._root, memory.step),
            self._facts(memory),
            self._task.weights(),
            {**self._task.state(), _STATE_DRAWS: memory.draws.state()},
        )
        best = () if self._best is None else (self._best,)
        checkpoint.prune(self._root, {*self._kept, *best})

    # What it is made of

    def _scale(self) -> Row:
        """Return what a row says of the scale that is trained, in metres where there is ground."""
        facts = self._task.facts()
        metres = self._chips.metres_per_px
        if facts and metres is not None:
            facts["metres_per_px"] = metres * self._chips.size_px / self._task.size_px
        return facts

    def _facts(self, memory: Memory) -> dict[str, Any]:
        config = self._config
        body = config.body()
        return {
            "step": memory.step,
            "images": self._plan.images(memory.step, config.training.batch_of),
            "model": config.model,
            "metres_per_px": self._chips.metres_per_px,
            "bands": list(bands_of(self._chips)),
            **self._task.facts(),
            "optimiser": config.adversary.optimiser,
            "networks": body["networks"],
            "seed": config.training.seed,
            "data": self._data_facts()["digest"],
            "code": code_version("models"),
            "task": self._task.notes(),
            "memory": memory.notes(),
            "kept": sorted(self._kept),
            "best": self._best,
        }

    def _restore(self) -> None:
        """Take up the newest whole checkpoint, and forget the figures that came after it."""
        found, refused = checkpoint.latest(self._root)
        for err in refused:
            _say(self._folder, str(err))
        if found is None:
            if refused:  # begun anew, the run would wipe what it has done so far
                raise JobError(
                    N_("None of the {count} checkpoints of this run can be read: {reason}"),
                    hint=N_("Nothing was changed. Start a new run, or bring the files back."),
                    count=len(refused),
                    reason={**refused[0].body(), "hint": ""},
                )
            if self._config.start_from:
                self._begin_from(Path(self._config.start_from))
            self._forget_after(0)
            return
        self._task.load_weights(found.weights)
        draws: Tensor = found.state.pop(_STATE_DRAWS)
        self._task.load_state(found.state)
        self._task.load_notes(found.facts["task"])
        self._memory.load(found.facts["memory"], draws)
        self._kept, self._best = set(found.facts["kept"]), found.facts["best"]
        self._forget_after(found.step)

    def _begin_from(self, place: Path) -> None:
        """Take over weights, and the optimiser's state where the kind is the same."""
        begun = checkpoint.read_checkpoint(place)
        self._task.load_weights(begun.weights)
        begun.state.pop(_STATE_DRAWS, None)
        if begun.facts.get("optimiser") == self._config.adversary.optimiser:
            self._task.load_state(begun.state)

    def _forget_after(self, step: int) -> None:
        path = self._folder / "metrics.jsonl"
        if path.exists():
            kept = [row for row in runs.rows(self._folder) if row["step"] <= step]
            with store.atomic_path(path) as tmp:
                tmp.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        for sheets in (runs.samples(self._folder), runs.samples(self._folder, "nearest")):
            for at, sheet in sheets.items():
                if at > step:
                    sheet.unlink(missing_ok=True)

    def _data_facts(self) -> dict[str, Any]:
        return {
            "source": self._config.data,
            "digest": self._chips.digest,
            "count": len(self._chips),
            "channels": self._chips.channels,
            "size_px": self._chips.size_px,
            "metres_per_px": self._chips.metres_per_px,
        }

    def _check_data(self) -> None:
        """Refuse other pictures than those that the run began with, unless they were chosen."""
        resuming.check_same(self._folder, self._config.data, self._chips.digest)
        path = self._folder / "data.json"
        store.write_json(path, self._data_facts(), kind="run-data", version=runs.VERSION)

    def _need_space(self) -> None:
        tensors = [*self._task.weights().values(), *self._task.state().values()]
        # Before the first step the optimisers have no state yet: at most as much again, twice.
        size = 3 * sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        count = 4 + len(self._config.training.fits)
        store.require_space(self._folder, count * size, what=N_("The run"))

    def _first_pictures(self) -> None:
        real = self._judge.real[: self._config.training.samples]
        pictures.write_sheet(self._folder / "samples" / "reals.png", real)
        facts = self._judge.facts()
        store.write_json(self._folder / "reals.json", facts, kind="run-reals", version=runs.VERSION)
        self.sample(0)

    def _write_slot(self) -> None:
        device = self._engine.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
        body = {
            "device": str(device),
            "name": name,
            "precision": self._engine.precision,
            "threads": torch.get_num_threads(),
            "resident": self._feeder.is_resident,
            "from_step": self._memory.step,
            "total": self._plan.total,
            "per_epoch": [self._plan.batches_of(fit) for fit in range(len(self._plan.fits))],
            "versions": versions(),
        }
        store.write_json(self._folder / "slot.json", body, kind="run-slot", version=runs.VERSION)

    def _memory_mb(self) -> float | None:
        """Return the most memory so far: of the GPU where it computes, else of the process."""
        if self._engine.device.type == "cuda":
            most: int = torch.cuda.max_memory_allocated(self._engine.device)
            return round(most / (1 << 20), 1)
        return peak_rss_mb()

    def _write_row(self, row: Row) -> None:
        if self._metrics is None:
            return
        with _told("metrics.jsonl"):
            self._metrics.write(json.dumps(row, allow_nan=False) + "\n")
            self._metrics.flush()


class _told:  # noqa: N801  (reads as a word where it is used)
    """Turns a refused write into a sentence."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, err: BaseException | None, _trace: object) -> None:
        if isinstance(err, OSError):
            store.refuse_write(err, self._name)


def _say(folder: Path, text: str) -> None:
    """Write a line of the log; a line that is lost must not end the work."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    with suppress(OSError), (folder / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"{stamp} {text}\n")


if __name__ == "__main__":
    # A closed terminal must not end the work.
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        work(Path(sys.argv[1]))
    except BusyError as busy:
        _say(Path(sys.argv[1]), str(busy))
