"""Whether somebody asked a run to stop."""

import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

_STOP_POLL_S = 0.2


class Stop:
    """Whether somebody asked to stop: by the file, or by a signal from a terminal."""

    def __init__(self, path: Path) -> None:
        self._path, self._asked, self._looked = path, False, 0.0
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stop":
        with suppress(ValueError):  # not in the main thread: the file still counts
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._asked and now - self._looked > _STOP_POLL_S:
            self._looked = now
            self._asked = self._path.exists()
        return self._asked
