"""Work that does what its config says. Run by test_jobs.py in a process of its own."""

import os
import signal
import sys
import time
from pathlib import Path

from core import jobs
from core.errors import InputError, StoppedError
from core.settings import settings

WORK = "tests.core.fake_job:work"


def work(config, report, should_stop):
    report(0.25, "A quarter")
    mode = config["mode"]
    if mode == "mistake":
        raise InputError("{name} is wrong.", hint="Choose another.", name="x.tif")
    if mode == "bug":
        raise ZeroDivisionError("boom")
    if mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "busy":
        begun = time.time()
        time.sleep(0.3)
        return {"begun": begun, "ended": time.time(), "threads": settings().threads}
    if mode == "wait":
        for _ in range(1000):
            if should_stop():
                raise StoppedError("stopped")
            time.sleep(0.01)
    return {"answer": config.get("answer", 42)}


if __name__ == "__main__":
    jobs.WORKS = dict.fromkeys([*jobs.WORKS, "fake"], WORK)
    jobs.run(Path(sys.argv[1]))
