"""Run the permutations in blocks, on one thread or several: the same counts either way."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError, StoppedError, TooLargeError
from core.hotspots import kernels
from core.settings import settings
from core.text import N_
from core.weights import Neighbours

Engine = Literal["ranks", "esda"]
ENGINES: tuple[Engine, ...] = ("ranks", "esda")
OnProgress = Callable[[float, str], None]
ShouldStop = Callable[[], bool]
_MOST_SECONDS = 300.0
_BLOCK = 1 << 14
_GLOBAL_BLOCK = 32
_MOST_THREADS = 32


def fixed_point(z: NDArray[np.float64], most_neighbours: int) -> NDArray[np.int64]:
    """Return z as whole numbers, as fine as sums of `most_neighbours` of them fit 64 bits.

    At most 44 bits follow the point: an error below 3e-14 standard deviations.
    """
    largest = float(np.max(np.abs(z), initial=0.0)) * (most_neighbours + 1)
    bits = min(44, 61 - max(0, int(np.ceil(np.log2(max(largest, 1.0))))))
    return np.rint(np.ldexp(z, bits)).astype(np.int64)


def estimate_seconds(neighbours: Neighbours, permutations: int, engine: Engine) -> float:
    """Return about how long conditional permutation takes on one busy core, without doing it."""
    n, width = len(neighbours), int(neighbours.counts.max(initial=0)) + 1
    if engine == "esda":
        return permutations * n * (2e-8 + 4e-9 * width)
    return permutations * width * (2e-7 + 5e-10 * width) + permutations / _BLOCK * n * 2e-8


def check_permutations(
    neighbours: Neighbours, permutations: int, engine: Engine, *, seed: int
) -> None:
    """Refuse what cannot be done, before anything is done.

    Raises:
        InputError: No whole number above 0, a negative seed, or an unknown engine.
        TooLargeError: It would take longer than five minutes; the message holds the estimate.
    """
    if engine not in ENGINES:
        raise InputError(
            N_("There is no engine {name!r}."),
            hint=N_("There are: {known}."),
            name=str(engine)[:40],
            known=", ".join(ENGINES),
        )
    if permutations < 1 or not 0 <= seed < 2**63:
        raise InputError(
            N_("{permutations} permutations from seed {seed} cannot be drawn."),
            hint=N_("Give 1 permutation or more, and a seed from 0 on."),
            permutations=permutations,
            seed=seed,
        )
    refuse_long(permutations, estimate_seconds(neighbours, permutations, engine))


def refuse_long(permutations: int, seconds: float) -> None:
    """Refuse more than five minutes.

    Raises:
        TooLargeError: With the estimate.
    """
    if seconds > _MOST_SECONDS:
        raise TooLargeError(
            N_("{permutations:,} permutations would take about {seconds:,.0f} s."),
            hint=N_("At most {most:,} can be made here."),
            permutations=permutations,
            seconds=seconds,
            most=int(permutations * _MOST_SECONDS / seconds),
        )


def count_permutations(
    values: NDArray[np.int64],
    neighbours: Neighbours,
    *,
    permutations: int,
    seed: int,
    threads: int | None = None,
    on_progress: OnProgress = lambda _share, _text: None,
    should_stop: ShouldStop = lambda: False,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many draws of neighbours sum up to at least, and to at most, a square's own sum.

    Both (N,); 0 on islands. A draw that equals the square's own sum is in both counts.

    Args:
        values: Whole numbers (N,), see `fixed_point`.
        neighbours: Of the N squares.
        permutations: Number of draws.
        seed: Same seed, same draws, on any number of threads.
        threads: None takes the settings'.
        on_progress: Told the share that is done, ten times a second.
        should_stop: Asked as often.

    Raises:
        StoppedError: `should_stop` said so.
    """
    counts = neighbours.counts
    ends = np.concatenate([[0], np.cumsum(values[neighbours.ids])])
    own = ends[neighbours.starts[1:]] - ends[neighbours.starts[:-1]]
    members = []
    for k in np.unique(counts[counts > 0]):
        of_k = np.flatnonzero(counts == k)
        members.append((int(k) - 1, of_k[np.argsort(own[of_k], kind="stable")]))
    width = int(counts.max(initial=0)) + 1
    totals = np.zeros((2, len(values)), np.int64)
    if not members:
        return totals[0], totals[1]
    lock = threading.Lock()

    def work(first: int) -> None:
        num = min(_BLOCK, permutations - first)
        table = kernels.draw(seed, first, num, len(values), width)
        drawn = kernels.sums(table, values)
        found = np.zeros_like(totals)
        kernels.put_right(table, drawn, values, own, counts, found[0], found[1])
        for at, of_k in members:
            kernels.count_ranks(np.sort(drawn[at]), of_k, own, found[0], found[1])
        with lock:
            np.add(totals, found, out=totals)

    run_blocks(work, permutations, _BLOCK, threads, on_progress, should_stop)
    return totals[0], totals[1]


def shuffled_sums(
    z: NDArray[np.float64],
    neighbours: Neighbours,
    *,
    permutations: int,
    seed: int,
    threads: int | None = None,
    should_stop: ShouldStop = lambda: False,
) -> NDArray[np.float64]:
    """Return (permutations,): the sum of z times its neighbours' mean, z dealt out anew each time.

    Raises:
        TooLargeError: It would take longer than five minutes.
        StoppedError: `should_stop` said so.
    """
    refuse_long(permutations, permutations * (len(z) + len(neighbours.ids)) * 6e-9)
    out = np.empty(permutations)
    owners = np.repeat(np.arange(len(z)), neighbours.counts)
    once = neighbours.ids > owners
    starts = np.concatenate([[0], np.cumsum(np.bincount(owners[once], minlength=len(z)))])
    ids, share = neighbours.ids[once], 1.0 / np.maximum(neighbours.counts, 1)

    def work(first: int) -> None:
        num = min(_GLOBAL_BLOCK, permutations - first)
        out[first : first + num] = kernels.global_sums(seed, first, num, z, starts, ids, share)

    run_blocks(work, permutations, _GLOBAL_BLOCK, threads, lambda _s, _t: None, should_stop)
    return out


def run_blocks(
    work: Callable[[int], None],
    total: int,
    block: int,
    threads: int | None,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    """Call `work` with the first number of each block; the caller's thread watches over it.

    Raises:
        StoppedError: `should_stop` said so; blocks already begun are finished first.
    """
    firsts = iter(range(0, total, block))
    lock, stop = threading.Lock(), threading.Event()
    done: list[int] = []

    def crew() -> None:
        while not stop.is_set():
            with lock:
                first = next(firsts, None)
            if first is None:
                return
            work(first)
            done.append(first)

    num = max(1, min(threads or settings().threads, -(-total // block), _MOST_THREADS))
    with ThreadPoolExecutor(num) as pool:
        running = [pool.submit(crew) for _ in range(num)]
        try:
            for future in running:
                while not _finished(future):
                    if should_stop():
                        raise StoppedError(N_("Stopped. Nothing was changed."))
                    on_progress(min(1.0, len(done) * block / total), N_("Permuting"))
                future.result()
        finally:
            stop.set()


def _finished(future: Any) -> bool:
    try:
        future.exception(timeout=0.1)
    except TimeoutError:
        return False
    return True


def esda_folded(
    values: NDArray[np.float64], neighbours: Neighbours, *, permutations: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return esda's local I and folded p, both (N,). It cannot be stopped half way."""
    import warnings

    import esda

    weights = neighbours.to_libpysal()
    with warnings.catch_warnings():
        # esda announces another default of its p; the folded one is what is asked for here.
        warnings.simplefilter("ignore")
        found = esda.Moran_Local(
            values,
            weights,
            permutations=permutations,
            seed=seed,
            n_jobs=1,
            keep_simulations=False,
        )
    return cast(NDArray[np.float64], found.Is), np.asarray(found.p_sim, np.float64)
