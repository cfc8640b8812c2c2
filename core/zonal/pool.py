"""Run a function over the windows of one raster, on one thread or several, in a fixed order."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.zonal.footprint import Task
from core.zonal.pixels import ArrayPixels, Grid, Pixels, RasterSource, opened

Result = TypeVar("Result")

# Results that may wait for an earlier one, a thread: bounds the memory.
_WAITING = 3


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """A raster and the number of threads that may work on it.

    Each thread opens the file for itself: GDAL's handles are not made to be shared.
    """

    source: RasterSource
    grid: Grid
    threads: int = 1
    array: ArrayPixels | None = None
    """Read from here instead of from the file."""
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    """Told after each task how many of how many are done; what it raises ends the run."""

    @property
    def key(self) -> str:
        return self.source.key

    def open(self) -> AbstractContextManager[Pixels]:
        """Open the raster for the calling thread."""
        return nullcontext(self.array) if self.array else opened(self.source, self.grid)

    def run(self, work: Callable[[Pixels, Task], Result], tasks: list[Task]) -> Iterator[Result]:
        """Yield the results in the order of the tasks.

        An error in a thread is raised here; the other threads then stop at their next task.
        """
        for done, result in enumerate(self._results(work, tasks), start=1):
            yield result
            self.on_progress(done, len(tasks))

    def _results(
        self, work: Callable[[Pixels, Task], Result], tasks: list[Task]
    ) -> Iterator[Result]:
        if min(self.threads, len(tasks)) <= 1:
            with self.open() as pixels:
                for task in tasks:
                    yield work(pixels, task)
            return
        shared = _Shared[Result](len(tasks), _WAITING * self.threads)

        def body() -> None:
            try:
                with self.open() as pixels:
                    while (i := shared.take()) is not None:
                        shared.put(i, work(pixels, tasks[i]))
            except BaseException as err:  # noqa: BLE001  (raised again by the caller's thread)
                shared.fail(err)

        crew = [
            threading.Thread(target=body, name=f"zonal-{n}", daemon=True)
            for n in range(min(self.threads, len(tasks)))
        ]
        for thread in crew:
            thread.start()
        try:
            for i in range(len(tasks)):
                yield shared.wait(i)
        finally:
            shared.stop()
            for thread in crew:
                thread.join()


@dataclass(slots=True)
class _Shared(Generic[Result]):
    """What the threads of one run know of each other."""

    num_tasks: int
    waiting: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    results: dict[int, Result] = field(default_factory=dict)
    error: BaseException | None = None
    next_task: int = 0
    consumed: int = 0

    def take(self) -> int | None:
        with self.changed:
            self.changed.wait_for(
                lambda: (
                    self.next_task >= self.num_tasks
                    or self.next_task < self.consumed + self.waiting
                )
            )
            if self.next_task >= self.num_tasks:
                return None
            self.next_task += 1
            return self.next_task - 1

    def put(self, i: int, result: Result) -> None:
        with self.changed:
            self.results[i] = result
            self.changed.notify_all()

    def fail(self, error: BaseException) -> None:
        with self.changed:
            self.error = self.error or error
            self.next_task = self.num_tasks
            self.changed.notify_all()

    def stop(self) -> None:
        with self.changed:
            self.next_task = self.num_tasks
            self.changed.notify_all()

    def wait(self, i: int) -> Result:
        with self.changed:
            self.changed.wait_for(lambda: i in self.results or self.error is not None)
            if self.error is not None:
                raise self.error
            self.consumed = i + 1
            self.changed.notify_all()
            return self.results.pop(i)
