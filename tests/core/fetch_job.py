"""A job that fetches in small pieces, so that it has many moments to be killed, and its killer."""

import os
import signal
import sys
import time
from pathlib import Path

from core import jobs, store
from core.connectors import windows


def kill_after(num_bytes, root, job_id, server):
    """Kill a job once the server has sent so many bytes of files."""

    def sent():
        return sum(one.sent for one in server.files())

    target = sent() + num_bytes
    deadline = time.monotonic() + 20
    while sent() < target and jobs.job(root, job_id).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if jobs.job(root, job_id).state == "running":
        pid = store.read_json(root / job_id / "process.json", kind="job-process", version=1)["pid"]
        os.kill(pid, signal.SIGKILL)
    jobs.wait(root, job_id, timeout_s=10)
    jobs._started.pop(job_id).wait()


if __name__ == "__main__":
    windows._PIECE_BYTES = 128 << 10
    jobs.run(Path(sys.argv[1]))
