"""Whose turn it is to compute: one run a GPU, one on the processors, the rest wait in order.

A slot is a lock file that the system lets go of when its holder ends, however it ends: nothing is
left behind by a killed run. Runs wait in their own processes, so the queue outlives the server.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from core import store
from core.errors import AppError
from core.settings import settings

_POLL_S = 0.3
_PAST_WAITING = ("slot.json", "result.json", "error.json")


@contextmanager
def slot(
    folder: Path, devices: list[str], *, is_ahead: Callable[[Path], bool],
    should_stop: Callable[[], bool],
) -> Iterator[str | None]:  # fmt: skip
    """Wait until one of `devices` is free and yield it; yield None if asked to stop before.

    Args:
        folder: The run's; its neighbours are the queue.
        devices: Those that the run may have, such as `cuda:0` and `cuda:1`.
        is_ahead: Whether a neighbour waits for one of the same devices, and came earlier.
        should_stop: Asked while waiting.
    """
    place = settings().workspace / "runs" / ".slots"
    place.mkdir(parents=True, exist_ok=True)
    locks = {name: filelock.FileLock(place / f"{name.replace(':', '-')}.lock") for name in devices}
    while not should_stop():
        if not any(is_ahead(other) for other in _waiting(folder)):
            taken = next((name for name, lock in locks.items() if _taken(lock)), None)
            if taken is not None:
                try:
                    yield taken
                finally:
                    locks[taken].release()
                return
        time.sleep(_POLL_S)
    yield None


def _taken(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return False
    return True


def _waiting(folder: Path) -> list[Path]:
    """Return the neighbours that have begun and have neither a slot nor an outcome."""
    return [
        path.parent
        for path in folder.parent.glob("*/process.json")
        if path.parent.name != folder.name
        and not any((path.parent / name).exists() for name in _PAST_WAITING)
    ]


def ticket(folder: Path) -> float:
    """Return when a run joined the queue, in seconds since 1970; infinity where it never did."""
    try:
        body = store.read_json(folder / "config.json", kind="urban-pattern-run", version=1)
        return float(body["sessions"][-1]["started"])
    except (AppError, KeyError, IndexError, TypeError):
        return float("inf")
