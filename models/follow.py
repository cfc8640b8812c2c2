"""The figures of a run as they come: only what is new is read, and what is held stays small."""

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.config import Row

_MOST_TRAINING = 6000
_MOST_MEASURED = 1500


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run has written down so far, in order of the steps."""

    training: tuple[Row, ...] = ()
    """Rows of losses."""
    measured: tuple[Row, ...] = ()
    """Rows of measurements."""

    @property
    def step(self) -> int:
        """The newest step that any row tells of; 0 before the first."""
        return max((rows[-1]["step"] for rows in (self.training, self.measured) if rows), default=0)


class Follower:
    """Reads `metrics.jsonl` of one run from where it stopped the last time.

    The file is append-only but where a run goes on from a checkpoint: then it is another file, and
    reading begins anew. Of long runs the older half of the rows is halved again and again, so that
    memory is bounded and the newest rows are all there. Safe for threads.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._lock = threading.Lock()
        self._forget()

    def read(self) -> Figures:
        """Take in what is new and return all that is held."""
        with self._lock:
            try:
                self._take_in()
            except OSError:  # not written yet, or deleted with its run
                self._forget()
            return Figures(tuple(self._training), tuple(self._measured))

    def _forget(self) -> None:
        self._file, self._offset = 0, 0
        self._training: list[Row] = []
        self._measured: list[Row] = []

    def _take_in(self) -> None:
        found = self._path.stat()
        if found.st_ino != self._file or found.st_size < self._offset:
            self._forget()
            self._file = found.st_ino
        if found.st_size == self._offset:
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            body = file.read(found.st_size - self._offset)
        whole = body[: body.rfind(b"\n") + 1]  # a line that is still being written waits
        self._offset += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and isinstance(row.get("step"), int):
                    (self._measured if "swd" in row else self._training).append(row)
        self._training = _thinned(self._training, _MOST_TRAINING)
        self._measured = _thinned(self._measured, _MOST_MEASURED)


def _thinned(rows: list[Row], most: int) -> list[Row]:
    """Leave out every second row of the older half until there are at most `most`.

    Ends of epochs are left out once there is little else, those of the best ones last of all.
    """
    while len(rows) > most:
        half = len(rows) // 2
        older = rows[:half]
        ranks = [bool(row.get("ends_epoch")) + bool(row.get("is_best")) for row in older]
        alike = ([at for at in range(half) if ranks[at] == rank] for rank in range(3))
        out = next((set(one[1::2]) for one in alike if len(one) > 1), {0})
        rows = [*(row for at, row in enumerate(older) if at not in out), *rows[half:]]
    return rows
