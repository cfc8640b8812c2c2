"""Is a process that was started earlier still the same one, and how did it end?

A process id alone may be used again by another program: its start time is compared too.
"""

import signal

import psutil

# create_time() is rounded differently by some systems after a suspend.
_START_SLACK_S = 2.0


def identity(pid: int) -> dict[str, float]:
    """Return what tells a process from a later one of the same id; begun is 0 if it has ended."""
    try:
        return {"pid": pid, "begun": psutil.Process(pid).create_time()}
    except psutil.Error:
        return {"pid": pid, "begun": 0.0}


def is_alive(saved: dict[str, float]) -> bool:
    """Tell whether the process with this `identity` still runs."""
    try:
        process = psutil.Process(int(saved["pid"]))
        same = abs(process.create_time() - saved["begun"]) < _START_SLACK_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def signal_name(code: int | None) -> str | None:
    """Return the signal that ended a process with this exit code; None where none did."""
    if code is None or code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return str(-code)
