import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import store
from core.errors import AppError, BusyError, InputError, JobError
from core.settings import settings
from core.text import filled
from models import checkpoint, resuming, runs, worker
from models.resuming import differences, extended, prepare_to_resume, resume
from models.runs import (
    create,
    delete,
    folder_of,
    rows,
    run,
    samples,
    start,
    stop,
)
from models.worker import work
from tests.models.small import chips, run_config

LONG = 100_000


@pytest.fixture
def root(workspace):
    return workspace / "runs"


def wait_until(claim, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def ended(folder, seconds=30):
    return wait_until(lambda: None if run(folder).is_active else run(folder), seconds)


def figures(folder):
    """Return all figures of a run but those that tell of the machine."""
    machine = {"seconds", "memory_mb"}
    return [{k: v for k, v in row.items() if k not in machine} for row in rows(folder)]


def kill(folder):
    os.kill(store.read_json(folder / "process.json", kind="run-process", version=1)["pid"], 9)
    return ended(folder)


def test_a_finished_run_holds_everything_it_promises(root, tmp_path):
    folder = create(root, run_config(tmp_path))
    assert run(folder).state in {"queued", "failed"}  # nobody has started it yet
    found = work(folder)
    assert (found.state, found.result["outcome"], found.result["step"]) == ("done", "finished", 10)
    # 44 chips, batches of 8: 5 steps an epoch, 2 epochs.
    assert [row["step"] for row in rows(folder) if row.get("ends_epoch")] == [5, 10]
    measured = [row for row in rows(folder) if "diversity" in row]
    assert [row["step"] for row in measured] == [5, 10]
    assert measured[0]["clipped"] is None
    assert len(measured[0]["real_scores"]) == 41
    assert list(samples(folder)) == [0, 5, 10]
    assert list(samples(folder, "nearest")) == [5, 10]
    nearest = measured[0]["nearest"]
    assert len(nearest) == 8
    assert all(0 <= one["chip"] < 44 and 0 <= one["sample"] < 64 for one in nearest)
    assert [one["distance"] for one in nearest] == sorted(one["distance"] for one in nearest)
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in samples(folder).values())
    assert (folder / "samples/reals.png").exists()
    assert checkpoint.latest(folder / "checkpoints")[0].step == 10
    facts = json.loads((folder / "slot.json").read_text())
    assert (facts["device"], facts["precision"], facts["threads"]) == ("cpu", "float32", 1)
    assert "finished at step 10" in runs.log_tail(folder)
    names = {path.name for path in folder.rglob("*.json")}
    assert all("kind" in json.loads(p.read_text()) for p in folder.rglob("*.json")), names


def test_a_run_gone_on_with_after_a_stop_equals_one_never_stopped(root, tmp_path, monkeypatch):
    """Row 19: to the bit, figures, measurements and weights."""
    config = run_config(tmp_path, objective="wgan", flips=True)
    whole = create(root, config)
    work(whole)

    parted = create(root, replace(config, title="Parted"))
    calls = iter(range(LONG))
    monkeypatch.setattr(worker.Stop, "__call__", lambda self: next(calls) == 4)
    assert work(parted).state == "stopped"
    assert run(parted).result["step"] == 4
    monkeypatch.undo()
    monkeypatch.setenv("URBAN_PATTERN_WORKSPACE", str(root.parent))
    monkeypatch.setenv("URBAN_PATTERN_THREADS", "1")
    prepare_to_resume(parted)
    assert work(parted).state == "done"
    assert figures(parted) == figures(whole)
    first, second = (checkpoint.latest(f / "checkpoints")[0] for f in (whole, parted))
    assert first.facts["digests"] == second.facts["digests"]


def test_a_process_is_stopped_by_the_file_with_its_work_saved(root, tmp_path):
    """Seen from another server: no child of it, only files."""
    folder = create(root, run_config(tmp_path, fits=(LONG,), checkpoint_every=0))
    start(folder)
    wait_until(lambda: len(rows(folder)) > 3)
    own, runs._started = runs._started, {}  # as after a restart
    try:
        assert run(folder).state == "running"
        begun = time.monotonic()
        stop(folder)
        found = ended(folder)
        assert time.monotonic() - begun < 2
    finally:
        runs._started = own
    assert found.state == "stopped"
    assert checkpoint.latest(folder / "checkpoints")[0].step == found.result["step"] > 0


def test_row_21_a_killed_run_is_failed_with_its_signal_within_five_seconds(root, tmp_path):
    """Row 21; and no lock is left: it goes on at once."""
    folder = create(root, run_config(tmp_path, fits=(LONG,)))
    start(folder)
    wait_until(lambda: checkpoint.steps(folder / "checkpoints"))
    begun = time.monotonic()
    found = kill(folder)
    assert time.monotonic() - begun < 5
    saved = checkpoint.latest(folder / "checkpoints")[0].step
    assert (found.state, found.values) == ("failed", {"signal": "SIGKILL", "kept": saved})
    assert found.is_broken_off
    resume(folder)
    wait_until(lambda: any(row["step"] > saved for row in rows(folder)))
    assert run(folder).state == "running"
    stop(folder)
    assert ended(folder).state == "stopped"


def killed_at_random(root, tmp_path, times, seed):
    """Kill a run again and again; each time its newest checkpoint loads and little is lost."""
    chance, every = random.Random(seed), 4
    config = run_config(
        tmp_path, objective="wgan", fits=(LONG,), checkpoint_every=every, log_every=1
    )
    config = replace(
        config, training=replace(config.training, sample_every=LONG, measure_every=LONG)
    )
    folder = create(root, config)
    before = moved = 0
    for time_of_kill in range(times):
        if time_of_kill:
            prepare_to_resume(folder)
        start(folder)
        # From the import of PyTorch to some steps after a checkpoint: any moment.
        if chance.random() < 0.8:
            # Figures of the killed session still lie there until the new one has its slot.
            wait_until(
                lambda before=before: (
                    (folder / "slot.json").exists()
                    and any(row["step"] > before + every for row in rows(folder))
                )
            )
        time.sleep(chance.uniform(0, 0.3))
        told = max((row["step"] for row in rows(folder)), default=0)
        kill(folder)
        found, refused = checkpoint.latest(folder / "checkpoints")
        assert not refused
        step = found.step if found else 0
        assert step >= before
        moved += step > before
        assert step > told - every - 1
        before = step
    assert moved > times / 2  # most kills hit a run that was at work
    return folder, config


def test_row_19_a_run_killed_at_random_loses_no_more_than_an_interval(root, tmp_path):
    """Row 19."""
    folder, config = killed_at_random(root, tmp_path, times=3, seed=0)
    # What it was is what an unbroken run is: the same chips, numbers and order to the bit.
    last = checkpoint.latest(folder / "checkpoints")[0]
    whole = create(root, replace(config, title="Whole"))
    start(whole)
    wait_until(lambda: any(row["step"] >= last.step for row in rows(whole)), 60)
    stop(whole)
    ended(whole)
    kept = [row for row in figures(folder) if row["step"] <= last.step]
    assert kept == [row for row in figures(whole) if row["step"] <= last.step]


@pytest.mark.slow
def test_row_19_fifty_kills(root, tmp_path):
    """Row 19: 50 random moments."""
    killed_at_random(root, tmp_path, times=50, seed=1)


def test_a_process_id_used_again_is_not_taken_for_the_run(root, tmp_path):
    folder = create(root, run_config(tmp_path))
    own = os.getpid()
    body = {"pid": own, "begun": psutil.Process(own).create_time() - 1000}
    store.write_json(folder / "process.json", body, kind="run-process", version=1)
    assert run(folder).state == "failed"
    assert "process ended before the run did" in run(folder).problem
    assert not run(folder).is_broken_off  # there is nothing to go on from
    assert "begin anew" in run(folder).hint


def test_a_run_waits_until_the_one_before_it_has_ended(root, tmp_path):
    """Row 22: one run on the processors, whoever starts how many."""
    first, second, third = (
        create(root, replace(run_config(tmp_path, fits=(LONG,)), title=name)) for name in "abc"
    )
    for folder in (first, second, third):
        start(folder)
        wait_until(lambda folder=folder: run(folder).state == "running" or folder is not first)
    wait_until(lambda: rows(first))
    assert [run(folder).state for folder in (first, second, third)] == [
        "running",
        "queued",
        "queued",
    ]
    stop(second)  # a run that waits can be stopped too
    assert ended(second).result["outcome"] == "stopped"
    assert run(third).state == "queued"
    kill(first)
    wait_until(lambda: run(third).state == "running")
    stop(third)
    ended(third)


def test_a_run_is_gone_on_with_once(root, tmp_path):
    """Row 18."""
    folder = create(root, run_config(tmp_path, fits=(LONG,)))
    start(folder)
    wait_until(lambda: rows(folder))
    with pytest.raises(BusyError, match="not ended yet"):
        resume(folder)
    with pytest.raises(BusyError, match="not ended yet"):
        work(folder)
    with pytest.raises(BusyError):
        delete(root, folder.name)
    # A signal, as a terminal sends it, is a graceful stop.
    pid = store.read_json(folder / "process.json", kind="run-process", version=1)["pid"]
    os.kill(pid, signal.SIGTERM)
    found = ended(folder)
    assert found.state == "stopped"
    assert checkpoint.latest(folder / "checkpoints")[0].step == found.result["step"]
    delete(root, folder.name)
    assert not folder.exists()


def test_a_finished_run_is_made_longer_and_its_beginning_stays(root, tmp_path):
    folder = create(root, run_config(tmp_path, fits=(1,)))
    work(folder)
    before = figures(folder)
    with pytest.raises(InputError, match="is finished"):
        prepare_to_resume(folder)
    longer = extended(run(folder).config, 2)
    assert longer.training.fits == (1, 2)
    assert differences(folder, longer) == []
    prepare_to_resume(folder, longer)
    found = work(folder)
    assert (found.state, found.result["step"]) == ("done", 15)
    assert figures(folder)[: len(before)] == before
    assert 5 in checkpoint.steps(folder / "checkpoints")  # the end of a fit stays
    assert len(found.sessions) == 2


def test_a_finished_run_that_cannot_go_on_stays_finished(root, tmp_path):
    config = run_config(tmp_path)
    folder = create(root, config)
    work(folder)
    before = run(folder)
    longer = extended(config, 1)
    Path(config.data).rename(tmp_path / "away.npy")
    for wrong, match in ((longer, "no set of chips"), (replace(longer, data="town"), "chip set")):
        with pytest.raises(InputError, match=match):
            prepare_to_resume(folder, wrong)
    np.save(config.data, chips(44, channels=3))
    with pytest.raises(InputError, match="3 channels, the networks 1"):
        prepare_to_resume(folder, longer)
    np.save(config.data, chips(4))
    with pytest.raises(InputError, match="fewer than one batch"):
        prepare_to_resume(folder, longer)
    with pytest.raises(InputError, match="no device"):
        replace(longer, device="banana")
    assert run(folder) == before
    assert before.state == "done"


def test_other_chips_under_the_name_of_a_set_leave_a_run_finished(root, tmp_path, monkeypatch):
    """Row 26."""
    config = run_config(tmp_path)
    folder = create(root, config)
    work(folder)
    facts = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({**facts, "source": "city"}))
    info = SimpleNamespace(digest="0" * 64)
    monkeypatch.setattr(resuming.ChipSets, "info", lambda _self, _name: info)
    monkeypatch.setattr(resuming.sets, "check_source", lambda *_given, **_how: None)
    with pytest.raises(InputError, match="not those that the run"):
        prepare_to_resume(folder, replace(extended(config, 1), data="city"))
    assert run(folder).state == "done"


def test_a_longer_run_equals_one_that_was_planned_so(root, tmp_path):
    config = run_config(tmp_path, objective="wgan", fits=(1,), schedule="one-cycle")
    grown = create(root, config)
    work(grown)
    prepare_to_resume(grown, extended(config, 1))
    work(grown)
    planned = create(root, replace(extended(config, 1), title="Planned"))
    work(planned)
    training = [row for row in figures(grown) if "diversity" not in row]
    assert training == [row for row in figures(planned) if "diversity" not in row]


def test_differences_name_what_changes_and_what_cannot(root, tmp_path):
    config = run_config(tmp_path)
    folder = create(root, config)
    work(folder)
    other = replace(
        config,
        training=replace(config.training, lr=0.5, batch=4),
        networks=replace(config.networks, latent=9),
    )
    found = {change.name: change for change in differences(folder, other)}
    assert found.keys() == {"training.lr", "training.batch", "networks.latent"}
    assert (found["training.lr"].before, found["training.lr"].after) == (1e-3, 0.5)
    possible = {name for name, change in found.items() if change.is_possible}
    assert possible == {"training.lr"}
    with pytest.raises(InputError, match=r"networks\.latent, training\.batch"):
        prepare_to_resume(folder, other)
    assert run(folder).config == config


def test_changed_code_is_a_difference(root, tmp_path, monkeypatch):
    folder = create(root, run_config(tmp_path))
    monkeypatch.setattr(resuming, "code_version", lambda _package: "0.1.0+00000000")
    (change,) = differences(folder, run(folder).config)
    assert (change.name, change.after) == ("code", "0.1.0+00000000")


def test_other_pictures_under_the_same_name_are_refused(root, tmp_path):
    """Row 26."""
    config = run_config(tmp_path)
    folder = create(root, config)
    work(folder)
    np.save(config.data, chips(44, seed=9))
    prepare_to_resume(folder, extended(config, 1))
    found = work(folder)
    assert found.state == "failed"
    assert "are not those that the run" in found.problem


def test_a_newest_checkpoint_that_has_rotted_costs_one_interval(root, tmp_path):
    config = run_config(tmp_path)
    folder = create(root, config)
    work(folder)
    whole = figures(folder)
    path = checkpoint.place(folder / "checkpoints", 10) / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    (folder / "result.json").unlink()
    body = {"pid": os.getpid(), "begun": 0.0}  # as after a kill
    store.write_json(folder / "process.json", body, kind="run-process", version=1)
    prepare_to_resume(folder)
    assert work(folder).state == "done"
    assert figures(folder) == whole
    assert "bytes have changed" in runs.log_tail(folder)
    assert checkpoint.latest(folder / "checkpoints")[0].step == 10


@pytest.mark.parametrize("spoil", ["newer", "cut"])
def test_a_run_whose_checkpoints_cannot_be_read_keeps_all_it_has(root, tmp_path, spoil):
    folder = create(root, run_config(tmp_path))
    work(folder)
    for step in checkpoint.steps(folder / "checkpoints"):
        place = checkpoint.place(folder / "checkpoints", step)
        if spoil == "newer":
            facts = json.loads((place / "checkpoint.json").read_text())
            (place / "checkpoint.json").write_text(json.dumps({**facts, "version": 99}))
        else:
            (place / "weights.safetensors").write_bytes(b"cut")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    prepare_to_resume(folder, extended(run(folder).config, 1))
    found = work(folder)
    assert found.state == "failed"
    told = filled(found.problem, found.values)
    assert told.startswith("None of the 2 checkpoints of this run can be read: ")
    assert told.endswith({"newer": "reads up to 1.", "cut": "bytes have changed."}[spoil])
    kept = ("metrics.jsonl", "samples", "nearest", "checkpoints", "reals.json", "data.json")
    now = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path, body in before.items():
        if path.relative_to(folder).parts[0] in kept:
            assert now[path] == body, path
    (root / folder.name / "checkpoints").rename(tmp_path / "away")  # wanted so: begun anew
    prepare_to_resume(folder)
    assert work(folder).state == "done"


def test_a_loss_that_is_no_number_fails_the_run_and_its_last_state_is_whole(
    root, tmp_path, monkeypatch
):
    folder = create(root, run_config(tmp_path, checkpoint_every=3, log_every=1))
    write = worker._Session.row

    def fails(self, row):
        write(self, row)
        if row["step"] == 7:
            raise JobError("At step {step} the losses were no longer numbers.", step=7)

    monkeypatch.setattr(worker._Session, "row", fails)
    found = work(folder)
    assert (found.state, found.values) == ("failed", {"step": 7})
    assert checkpoint.latest(folder / "checkpoints")[0].step == 6


def test_row_20_a_disk_that_fills_up_ends_the_run_with_its_last_checkpoint_whole(
    root, tmp_path, monkeypatch
):
    """Row 20."""
    folder = create(root, run_config(tmp_path, checkpoint_every=3))
    write = checkpoint.safetensors.torch.save
    sizes = iter(range(LONG))

    def full(tensors):
        if next(sizes) >= 3:
            raise OSError(28, "No space left on device")
        return write(tensors)

    monkeypatch.setattr(checkpoint.safetensors.torch, "save", full)
    found = work(folder)
    assert found.state == "failed"
    assert "no room to write" in found.problem
    assert checkpoint.latest(folder / "checkpoints")[0].step == 3


def test_row_20_a_run_that_would_not_fit_is_refused_before_it_starts(root, tmp_path, monkeypatch):
    """Row 20."""
    disk = SimpleNamespace(free=64 << 20)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _path: disk)
    found = work(create(root, run_config(tmp_path)))
    assert found.state == "failed"
    assert "needs about" in found.problem
    assert not rows(found.folder)


def test_a_bug_names_its_kind_and_keeps_its_traceback(root, tmp_path, monkeypatch):
    folder = create(root, run_config(tmp_path))
    monkeypatch.setattr(worker, "check_chips", lambda *_given, **_how: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(folder)
    found = run(folder)
    assert found.state == "failed"
    assert "ZeroDivisionError" in found.values["reason"]
    assert "traceback" in json.loads((folder / "error.json").read_text())


def test_half_a_line_of_figures_is_passed_over(root, tmp_path):
    folder = create(root, run_config(tmp_path))
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "cri')
    assert rows(folder) == [{"step": 1}]
    assert rows(folder, after=1) == []


def test_weights_of_another_run_are_a_beginning(root, tmp_path):
    first = create(root, run_config(tmp_path))
    work(first)
    start_from = checkpoint.place(first / "checkpoints", 10)
    config = replace(run_config(tmp_path, lr=1e-9), title="Second", start_from=str(start_from))
    second = create(root, config)
    work(second)
    old = checkpoint.read_checkpoint(start_from).weights["generator.1.0.weight"]
    new = checkpoint.latest(second / "checkpoints")[0].weights["generator.1.0.weight"]
    assert abs(old - new).max() < 1e-6


@given(st.text(min_size=1, max_size=30))
def test_row_4_no_name_leads_out_of_the_folder_of_runs(tmp_path_factory, name):
    """Row 4."""
    place = tmp_path_factory.mktemp("hostile")
    (place / "config.json").write_text("{}")
    root = place / "runs"
    root.mkdir()
    with pytest.raises(AppError):
        folder_of(root, name)


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a/../..", "x\x00", ".locks", "CON", "con"])
def test_row_4_hostile_names_are_refused(root, name):
    """Row 4."""
    root.mkdir(parents=True)
    with pytest.raises(InputError):
        folder_of(root, name)
    with pytest.raises(InputError):
        delete(root, name)


def test_any_title_makes_a_folder_that_can_be_asked_for(root, tmp_path):
    for title in ("Münster (west)", "上海", "../../etc", "x" * 80):
        folder = create(root, replace(run_config(tmp_path), title=title))
        assert folder.parent == root
        assert folder_of(root, folder.name) == folder.resolve()


def test_runs_are_listed_newest_first_and_a_damaged_one_is_left_out(root, tmp_path):
    folders = [create(root, replace(run_config(tmp_path), title=name)) for name in "ab"]
    broken = root / "20200101t000000000-broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    assert [found.folder for found in runs.runs(root)] == folders[::-1]


def test_a_folder_that_is_there_is_not_taken_for_a_new_run(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="exists already"):
        runs.create_at(tmp_path / "run", run_config(tmp_path))


def test_the_signature_changes_with_each_change_of_state_and_only_then(root, tmp_path):
    seen = [runs.signature(root)]
    folder = create(root, run_config(tmp_path))
    seen.append(runs.signature(root))
    assert runs.signature(root) == seen[-1]
    start(folder)
    wait_until(lambda: run(folder).state == "running" or not run(folder).is_active)
    seen.append(runs.signature(root))
    ended(folder)
    seen.append(runs.signature(root))
    assert runs.signature(root) == seen[-1]
    delete(root, folder.name)
    seen.append(runs.signature(root))
    assert len(set(seen)) == len(seen) - 1  # at the end it is as at the beginning
    assert seen[0] == seen[-1]


def test_a_killed_run_changes_the_signature(root, tmp_path):
    folder = create(root, run_config(tmp_path, fits=(LONG,)))
    start(folder)
    wait_until(lambda: run(folder).state == "running")
    before = runs.signature(root)
    kill(folder)
    assert runs.signature(root) != before


def test_a_run_leaves_one_core_to_others_unless_it_is_told_how_many(tmp_path, monkeypatch):
    import torch

    def threads_of(allowed, wanted):
        monkeypatch.setenv("URBAN_PATTERN_THREADS", str(allowed))
        settings.cache_clear()
        worker.check(replace(run_config(tmp_path), threads=wanted))
        return torch.get_num_threads()

    try:
        assert (threads_of(1, None), threads_of(4, None)) == (1, 3)
        assert (threads_of(4, 2), threads_of(4, 99)) == (2, 4)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        torch.set_num_threads(1)
