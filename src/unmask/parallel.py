"""An ordered map over processes, and progress with the remaining time."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

import cv2

#: processors that this process may use
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Item = TypeVar("Item")
Result = TypeVar("Result")


def _begin_worker() -> None:
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, which would wait for it for ever."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, chunk: int = 32
) -> Iterator[Result]:
    """Yield work(item) in the order of the items, whatever the number of workers.

    OpenCV computes in one thread per process. At most three chunks per worker are submitted or wait
    to be consumed, so that a large data set is never held in memory as a whole; joblib's generator
    has no such bound where the consumer is the slower one.

    Args:
        work: picklable function of one item.
        items: picklable inputs, consumed lazily.
        workers: number of processes; 1 runs in the calling process.
        chunk: number of items that a worker gets at once.
    """
    if workers == 1:
        cv2.setNumThreads(1)
        yield from map(work, items)
        return
    iterator = iter(items)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin_worker
    ) as pool:
        pending: list[Future[list[Result]]] = []
        try:
            while True:
                while len(pending) < 3 * workers and (part := list(islice(iterator, chunk))):
                    pending.append(pool.submit(_each, work, part))
                if not pending:
                    return
                yield from pending.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def _each(work: Callable[[Item], Result], part: list[Item]) -> list[Result]:
    return [work(item) for item in part]


def with_progress(results: Iterable[Result], total: int, label: str) -> Iterator[Result]:
    """Pass results on, printing count and remaining time every five seconds.

    Args:
        results: what is passed on.
        total: how many results are expected.
        label: what is counted, as printed before the count.
    """
    start = shown = time.monotonic()
    done = 0
    for done, result in enumerate(results, 1):
        yield result
        now = time.monotonic()
        if now - shown >= 5:
            shown = now
            remaining = (now - start) / done * (total - done)
            print(f"{label}: {done}/{total}, {remaining:.0f} s left", flush=True)
    print(f"{label}: {done} in {time.monotonic() - start:.0f} s", flush=True)
