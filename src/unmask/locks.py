"""Locks that say whom they wait for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock among processes; where another holds it, say so and wait.

    The lock ends with its process, however that ends.

    Args:
        path: the lock's file; its folder is made.
        what: is done meanwhile, in words, e.g. 'a retraining'.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_name(f"{path.name}.holder")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for {what} of process {_text_of(holder)}", flush=True)
        lock.acquire()
    try:
        holder.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def _text_of(file: Path) -> str:
    try:
        return file.read_text() or "unknown"
    except OSError:  # it has only just begun
        return "unknown"
