"""An ordered map over processes, with progress and the time that remains."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

import cv2

Item, Result = TypeVar("Item"), TypeVar("Result")


def _one_thread() -> None:
    cv2.setNumThreads(1)


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, chunk: int = 32
) -> Iterator[Result]:
    """Yield work(item) in the order of the items, whatever the number of workers.

    `work` and the items must be picklable. At most a few chunks a worker are under way, so that
    a large data set never lies in memory as a whole.
    """
    if workers == 1:
        _one_thread()
        yield from map(work, items)
        return
    iterator = iter(items)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_one_thread
    ) as pool:
        under_way = []
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
    sys.stdout.flush()
