"""An ordered map over processes or a cluster, and progress with the remaining time."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from math import ceil
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import cv2

from unmask.cluster import connected

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container


def _cores() -> int:
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        return min(cores, max(1, ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # there is none, or it is 'max'
        return cores


#: processors that this process may use
CORES = _cores()

_TASK = 64  # items of a task of a cluster

Item = TypeVar("Item")
Result = TypeVar("Result")


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, which would wait for it for ever."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def ordered_map(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    chunk: int = 32,
    *,
    cluster: str | None = None,
    reads: list[Path] | None = None,
) -> Iterator[Result]:
    """Yield work(item) in the order of the items, whoever does it and however often it is tried.

    OpenCV computes in one thread per process. At most three chunks per worker are submitted or wait
    to be consumed, so that a large data set is never held in memory as a whole; joblib's generator
    has no such bound where the consumer is the slower one.

    Args:
        work: picklable function of one item.
        items: picklable inputs, consumed lazily.
        workers: number of processes of this machine; 1 runs in the calling process.
        chunk: number of items that a worker gets at once.
        cluster: of Dask, that does the work in place of this machine's processes, in tasks of 64
            items, see `unmask.cluster`.
        reads: files and folders that the work needs, and a cluster's workers must have.

    Raises:
        UnmaskError: before any work is done, when the cluster cannot do it.
    """
    if cluster is not None:
        with connected(cluster, work, reads) as dask:
            yield from _in_order(
                items, _TASK, dask.submit, dask.result, lambda: dask.workers, dask.cancel
            )
    elif workers == 1:
        cv2.setNumThreads(1)
        yield from map(work, items)
    else:
        with _pool(workers) as pool:
            yield from _in_order(
                items,
                chunk,
                lambda part: pool.submit(_each, work, part),
                Future.result,
                lambda: workers,
                lambda _: pool.shutdown(cancel_futures=True),
            )


def _in_order(
    items: Iterable[Item],
    chunk: int,
    submit: Callable[[list[Item]], Any],
    result: Callable[[Any], list[Result]],
    workers: Callable[[], int],
    cancel: Callable[[list], object],
) -> Iterator[Result]:
    iterator, pending = iter(items), deque[Any]()
    try:
        while True:
            while len(pending) < 3 * workers() and (part := list(islice(iterator, chunk))):
                pending.append(submit(part))
            if not pending:
                return
            yield from result(pending.popleft())
    finally:
        cancel(list(pending))


def _each(work: Callable[[Any], Any], part: list) -> list:
    return [work(item) for item in part]


def called_alone(work: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a process of its own, which the system may kill alone.

    Args:
        work: picklable function.
        arguments: picklable too.

    Raises:
        BrokenProcessPool: when that process was killed.
    """
    with _pool(1) as pool:
        return pool.submit(work, *arguments).result()


def with_progress(results: Iterable[Result], total: int | None, label: str) -> Iterator[Result]:
    """Pass results on, printing count and remaining time every five seconds.

    Args:
        results: what is passed on.
        total: how many results are expected; None where nobody knows.
        label: what is counted, as printed before the count.
    """
    start = shown = time.monotonic()
    done = 0
    for done, result in enumerate(results, 1):
        yield result
        now = time.monotonic()
        if now - shown >= 5:
            shown = now
            if total is None:
                print(f"{label}: {done}, {done / (now - start):.2f} a second", flush=True)
            else:
                remaining = (now - start) / done * (total - done)
                print(f"{label}: {done}/{total}, {remaining:.0f} s left", flush=True)
    print(f"{label}: {done} in {time.monotonic() - start:.0f} s", flush=True)
