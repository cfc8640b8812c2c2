"""Work on chunks of rows, on one thread or several; results come in the order of the rows.

A chunk is always the same rows, whatever the number of threads, and sums are merged in their
order: so the bytes of a result do not hang on the threads.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from core.errors import StoppedError
from core.settings import settings
from core.text import N_

Result = TypeVar("Result")
ShouldStop = Callable[[], bool]
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Crew:
    """Some threads, and the question whether to stop."""

    pool: ThreadPoolExecutor | None
    should_stop: ShouldStop

    def over(
        self, num_rows: int, work: Callable[[int, int], Result], *, chunk: int
    ) -> Iterator[Result]:
        """Yield `work(first, last)` of each chunk of rows, in order.

        Raises:
            StoppedError: `should_stop` said so; asked before each chunk.
        """
        starts = range(0, num_rows, chunk)
        if self.pool is None:
            for first in starts:
                self.check()
                yield work(first, min(first + chunk, num_rows))
            return

        def body(first: int) -> Result:
            self.check()
            return work(first, min(first + chunk, num_rows))

        yield from self.pool.map(body, starts)

    def check(self) -> None:
        """Raise `StoppedError` where the work is to stop."""
        if self.should_stop():
            raise StoppedError(N_("Stopped. Nothing was changed."))


@contextmanager
def crew(threads: int | None, should_stop: ShouldStop = lambda: False) -> Iterator[Crew]:
    """Yield a crew of some threads; None takes the program's setting."""
    count = settings().threads if threads is None else threads
    if count <= 1:
        yield Crew(None, should_stop)
        return
    with ThreadPoolExecutor(count, thread_name_prefix="clusters") as pool:
        yield Crew(pool, should_stop)
