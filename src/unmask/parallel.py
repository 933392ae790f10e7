"""An ordered map over processes, with progress and the time that remains."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

import cv2

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

    OpenCV computes in one thread a process. At most three chunks a worker are under way or wait to
    be consumed, so that a large data set never lies in memory as a whole; joblib's generator has
    no such bound where the consumer is the slower one.

    Args:
        work: what is done with an item; picklable, as the items are.
        items: read as they are needed.
        workers: processes; with 1 all is done in this one.
        chunk: items sent to a worker at once.
    """
    if workers == 1:
        cv2.setNumThreads(1)
        yield from map(work, items)
        return
    iterator = iter(items)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin_worker
    ) as pool:
        under_way: list[Future[list[Result]]] = []
        try:
            while True:
                while len(under_way) < 3 * workers and (part := list(islice(iterator, chunk))):
                    under_way.append(pool.submit(_each, work, part))
                if not under_way:
                    return
                yield from under_way.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def _each(work: Callable[[Item], Result], part: list[Item]) -> list[Result]:
    return [work(item) for item in part]


def with_progress(results: Iterable[Result], total: int, label: str) -> Iterator[Result]:
    """Pass results on, printing count and remaining time every five seconds."""
    start = shown = time.monotonic()
    done = 0
    for done, result in enumerate(results, 1):
        yield result
        now = time.monotonic()
        if now - shown >= 5:
            shown = now
            left = (now - start) / done * (total - done)
            print(f"{label}: {done}/{total}, {left:.0f} s left", flush=True)
    print(f"{label}: {done} in {time.monotonic() - start:.0f} s", flush=True)
