import json
import os
import signal
import subprocess
import sys
import time

import filelock
import psutil
import pytest

from core import jobs, store
from core.errors import InputError, JobError, TooLargeError
from tests.core import fake_job


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setitem(jobs.WORKS, "fake", fake_job.WORK)
    monkeypatch.setattr(
        jobs, "_command", lambda folder: [sys.executable, "-m", "tests.core.fake_job", str(folder)]
    )
    return tmp_path / "jobs"


def ended(root, mode, **config):
    job_id = jobs.submit(root, "fake", {"mode": mode, **config})
    return jobs.wait(root, job_id, timeout_s=20)


def wait_until(claim, seconds=10):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_done_job_holds_its_result_and_its_request(root):
    job = ended(root, "ok", answer=7)
    assert (job.state, job.result, job.config["mode"]) == ("done", {"answer": 7}, "ok")
    assert (job.progress.share, job.progress.text) == (0.25, "A quarter")


def test_a_users_mistake_comes_back_as_a_template_with_its_values(root):
    job = ended(root, "mistake")
    assert job.state == "failed"
    assert (job.problem, job.hint, job.values) == (
        "{name} is wrong.", "Choose another.", {"name": "x.tif"}
    )  # fmt: skip


def test_a_bug_names_its_kind_and_keeps_its_traceback_in_the_folder(root):
    job = ended(root, "bug")
    assert job.state == "failed"
    assert job.values["reason"] == "ZeroDivisionError: boom"
    assert "fake_job.py" in json.loads((root / job.id / "error.json").read_text())["traceback"]


def test_a_killed_job_is_failed_with_its_signal_within_five_seconds(root):
    """Row 21."""
    begun = time.monotonic()
    job = ended(root, "die")
    assert time.monotonic() - begun < 5
    assert (job.state, job.values) == ("failed", {"signal": "SIGKILL"})


def test_four_sessions_at_once_never_use_more_threads_than_the_machine_bears(root, monkeypatch):
    """Row 22: as many jobs as threads work at a time, the first with all threads, the rest one."""
    monkeypatch.setenv("URBAN_PATTERN_THREADS", "2")
    ids = [jobs.submit(root, "fake", {"mode": "busy"}) for _ in range(4)]
    done = [jobs.wait(root, job_id, timeout_s=30) for job_id in ids]
    assert [job.state for job in done] == ["done"] * 4
    results = [job.result for job in done]
    moments = [result["begun"] for result in results]
    together = [
        [other["threads"] for other in results if other["begun"] <= moment < other["ended"]]
        for moment in moments
    ]
    assert max(len(threads) for threads in together) == 2
    assert max(sum(threads) for threads in together) <= 3
    assert {result["threads"] for result in results} == {1, 2}


def test_fetches_that_wait_for_the_network_hold_up_no_computing(root, monkeypatch):
    """Row 22. They have slots of their own, and one thread each."""
    monkeypatch.setenv("URBAN_PATTERN_THREADS", "1")
    fetches = [jobs.submit(root, "fetch-layers", {"mode": "wait"}) for _ in range(2)]
    wait_until(lambda: all(jobs.job(root, one).progress.share > 0 for one in fetches))
    assert ended(root, "busy").state == "done"
    assert [jobs.job(root, one).state for one in fetches] == ["running"] * 2
    for one in fetches:
        jobs.cancel(root, one)
        assert jobs.wait(root, one, timeout_s=10).state == "cancelled"


@pytest.mark.parametrize("work", ["search-imagery", "fetch-imagery", "fetch-layers"])
def test_more_fetches_than_there_are_slots_for_wait(root, work):
    """The slots are of all fetches together; those who wait can be cancelled."""
    (root / "slots").mkdir(parents=True)
    locks = [filelock.FileLock(root / "slots" / f"fetch-{number}.lock") for number in range(4)]
    for lock in locks:
        lock.acquire()
    job_id = jobs.submit(root, work, {"mode": "busy"})
    wait_until(lambda: jobs.job(root, job_id).progress.text == "Waiting for other work to end")
    locks[3].release()
    job = jobs.wait(root, job_id, timeout_s=10)
    assert (job.state, job.result["threads"]) == ("done", 1)
    for lock in locks:
        lock.release()


def test_a_job_that_waits_says_so_and_can_be_cancelled(root, monkeypatch):
    monkeypatch.setenv("URBAN_PATTERN_THREADS", "1")
    first = jobs.submit(root, "fake", {"mode": "wait"})
    wait_until(lambda: jobs.job(root, first).progress.share > 0)
    second = jobs.submit(root, "fake", {"mode": "ok"})
    wait_until(lambda: jobs.job(root, second).progress.text == "Waiting for other work to end")
    jobs.cancel(root, second)
    assert jobs.wait(root, second, timeout_s=5).state == "cancelled"
    third = jobs.submit(root, "fake", {"mode": "ok"})
    os.kill(jobs._started[first].pid, signal.SIGKILL)  # its slot is free at once
    assert jobs.wait(root, third, timeout_s=10).state == "done"


def test_cancel_is_obeyed_within_a_second_and_is_no_failure(root):
    job_id = jobs.submit(root, "fake", {"mode": "wait"})
    wait_until(lambda: jobs.job(root, job_id).progress.share > 0)
    begun = time.monotonic()
    jobs.cancel(root, job_id)
    assert jobs.wait(root, job_id, timeout_s=5).state == "cancelled"
    assert time.monotonic() - begun < 1.0 + 0.7  # the machine may be busy


def test_a_job_outlives_the_server_that_started_it(root, monkeypatch):
    job_id = jobs.submit(root, "fake", {"mode": "wait"})
    wait_until(lambda: jobs.job(root, job_id).progress.share > 0)
    process = dict(jobs._started)
    monkeypatch.setattr(jobs, "_started", {})  # as after a restart: nobody's child any more
    assert jobs.job(root, job_id).state == "running"
    jobs.cancel(root, job_id)
    assert jobs.wait(root, job_id, timeout_s=5).state == "cancelled"
    for child in process.values():
        child.wait(5)


def test_a_process_id_used_again_is_not_taken_for_the_job(root, monkeypatch):
    job_id = jobs.submit(root, "fake", {"mode": "die"})
    jobs.wait(root, job_id, timeout_s=10)
    monkeypatch.setattr(jobs, "_started", {})
    own = os.getpid()
    body = {"pid": own, "begun": psutil.Process(own).create_time() - 1000}
    store.write_json(root / job_id / "process.json", body, kind="job-process", version=1)
    assert jobs.job(root, job_id).state == "failed"


def test_a_job_of_an_unknown_name_is_refused(root):
    with pytest.raises(InputError, match="no job named 'rm'"):
        jobs.submit(root, "rm", {})


@pytest.mark.parametrize("name", ["../x", "nope", "a/b", "\x00"])
def test_only_jobs_below_the_root_can_be_asked_for(root, name):
    with pytest.raises(InputError):
        jobs.job(root, name)


def test_waiting_has_an_end(root):
    job_id = jobs.submit(root, "fake", {"mode": "wait"})
    with pytest.raises(JobError):
        jobs.wait(root, job_id, timeout_s=0.1)
    jobs.cancel(root, job_id)
    jobs.wait(root, job_id, timeout_s=10)


def test_old_folders_are_forgotten_but_never_a_running_one(root, monkeypatch):
    monkeypatch.setattr(jobs, "_KEPT", 1)
    running = jobs.submit(root, "fake", {"mode": "wait"})
    done = [ended(root, "ok").id for _ in range(3)]
    assert running in {job.id for job in jobs.jobs(root)}
    assert done[0] not in {job.id for job in jobs.jobs(root)}
    jobs.cancel(root, running)
    jobs.wait(root, running, timeout_s=10)


def test_a_job_is_known_by_its_id_and_not_by_a_number_that_comes_back(root):
    first = jobs.submit(root, "fake", {"mode": "wait"})
    wait_until(lambda: jobs.job(root, first).progress.share > 0)
    dead = ended(root, "die")
    body = store.read_json(root / first / "process.json", kind="job-process", version=1)
    store.write_json(root / dead.id / "process.json", body, kind="job-process", version=1)
    assert jobs.job(root, dead.id).state == "failed"
    jobs.cancel(root, first)
    jobs.wait(root, first, timeout_s=10)


def test_ended_children_are_let_go_of_with_their_folders(root, monkeypatch):
    monkeypatch.setattr(jobs, "_KEPT", 1)
    done = [ended(root, "ok").id for _ in range(4)]
    assert done[0] not in jobs._started
    assert done[-1] in jobs._started


def test_a_lost_report_of_progress_ends_no_job(root, monkeypatch):
    folder = root / "20260101t000000000-fake-000000"
    folder.mkdir(parents=True)
    config = {"work": "fake", "config": {"mode": "ok"}, "started": time.time()}
    store.write_json(folder / "config.json", config, kind="job-config", version=1)
    write = store.write_json

    def full(path, *given, **how):
        if path.name == "progress.json":
            raise TooLargeError("There is no room.")
        write(path, *given, **how)

    monkeypatch.setattr(store, "write_json", full)
    jobs.run(folder)
    assert (folder / "result.json").is_file()


def test_jobs_of_one_work_alone_can_be_listed(root):
    job = ended(root, "ok")
    assert [found.id for found in jobs.jobs(root, "fake")] == [job.id]
    assert jobs.jobs(root, "default-area") == []


def test_every_work_names_a_function_that_exists():
    listed = subprocess.run(
        [sys.executable, "-c",
         "import importlib; from core import jobs\n"
         "for w in jobs.WORKS: m, n = jobs.module_and_name(w); "
         "assert callable(getattr(importlib.import_module(m), n))"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr
