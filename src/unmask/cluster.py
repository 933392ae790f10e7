"""A Dask cluster as the place where the work of a map is done.

Source: Rocklin, "Dask: parallel computation with blocked algorithms and task scheduling", SciPy
2015. Dask tries a task again elsewhere when its worker is gone.
"""

import importlib
import os
import pickle
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, nullcontext
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from unmask.config.cluster import LOCAL
from unmask.errors import UnmaskError
from unmask.extras import what_to_install

if TYPE_CHECKING:
    from distributed import Client, Future

_SECONDS = 30  # to reach a scheduler, and between two words about waiting for workers
_SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1 GiB",  # pictures go with the tasks
    "distributed.comm.timeouts.connect": f"{_SECONDS}s",
}


class Cluster:
    """A connected cluster whose workers can do the work.

    Args:
        client: of Dask.
        name: of the cluster, for messages.
        work: function of one item.
        folder: that work is done in; None where it reads and writes no files.
    """

    def __init__(self, client: "Client", name: str, work: Callable, folder: str | None) -> None:
        self._client, self._name, self._work, self._folder = client, name, work, folder

    @property
    def workers(self) -> int:
        """Processes that work now, at least 1."""
        with self._told():
            return max(1, len(self._client.nthreads()))

    def submit(self, part: list) -> "Future":
        """Begin with the results of a part of the items; Dask would look into each, unpickled."""
        packed = pickle.dumps((self._work, part))
        with self._told():
            return self._client.submit(_do, packed, _code(), self._folder, pure=False)

    def result(self, future: "Future") -> list:
        """Wait for a part's results, saying so while there is no worker.

        Raises:
            UnmaskError: when the scheduler is gone, or workers died of the part again and again.
            Exception: that the work raised.
        """
        from distributed import wait

        with self._told():
            while not future.done():
                try:
                    wait([future], timeout=_SECONDS)
                except TimeoutError:
                    if not self._client.nthreads():
                        print(f"no worker is at {self._name}: waiting for one", file=sys.stderr)
            return pickle.loads(future.result())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what Dask's errors mean."""
        from distributed import CancelledError, KilledWorker
        from distributed.client import FuturesCancelledError
        from distributed.comm.core import CommClosedError

        try:
            yield
        except KilledWorker as error:
            raise UnmaskError(
                f"workers of {self._name} died again and again of one part of the work, most "
                "likely since they have too little memory: give them more."
            ) from error
        except (CancelledError, FuturesCancelledError, CommClosedError) as error:
            raise UnmaskError(
                f"the Dask scheduler at {self._name} is gone: start it, and run this again."
            ) from error

    def cancel(self, futures: list["Future"]) -> None:
        """Take back what nobody waits for any more."""
        if self._client.status == "running":
            self._client.cancel(futures)


@contextmanager
def connected(name: str, work: Callable, reads: list[Path] | None) -> Iterator[Cluster]:
    """Connect to a cluster, or start one on this machine, and check that its workers can do a work.

    Args:
        name: as params.yaml's `cluster` has it.
        work: what they will do.
        reads: what they must find under the same path as this process, relative to where it works;
            without any they need none of its files.

    Raises:
        UnmaskError: when no scheduler is there, or a worker lacks the code, an extra or a path.
    """
    import dask

    folder = str(Path.cwd()) if reads else None
    paths = [str(path.absolute()) for path in reads or ()]
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        client = _client(name, stack)
        _check(client, name, work, [folder, *paths] if folder else paths)
        count, dashboard = len(client.nthreads()), client.dashboard_link
        print(f"{count} workers of Dask at {name}; what they do: {dashboard}", file=sys.stderr)
        yield Cluster(client, name, work, folder)


def _client(name: str, stack: ExitStack) -> "Client":
    """A client of the cluster, and where that is this machine's own, the cluster too."""
    from distributed import Client, LocalCluster

    if local := LOCAL.fullmatch(name):
        own = LocalCluster(n_workers=int(local[1]), threads_per_worker=1, dashboard_address=":0")
        return stack.enter_context(Client(stack.enter_context(own)))
    try:
        return stack.enter_context(Client(name, timeout=_SECONDS))
    except (OSError, TypeError, ValueError) as error:  # the latter two without what tls:// asks for
        raise UnmaskError(
            f"no Dask scheduler answers at {name} ({error}): start one by `dask scheduler`, or set "
            "cluster to null."
        ) from error


def _check(client: "Client", name: str, work: Callable, paths: list[str]) -> None:
    """Raise UnmaskError where a worker cannot do the work."""
    threads = client.nthreads()
    if not threads:
        raise UnmaskError(
            f"the Dask scheduler at {name} has no workers: start them by `dask worker {name} "
            "--nthreads 1`."
        )
    for worker, number in threads.items():
        if number != 1:
            raise UnmaskError(
                f"worker {worker} has {number} threads: start it with `--nworkers N --nthreads 1`, "
                "a process for each."
            )
    modules = sorted({part.__module__ for part in _parts(work)})
    lacks = client.run(_lacks, modules, _code(), paths, on_error="return")
    for worker, lack in lacks.items():
        if isinstance(lack, BaseException):
            raise UnmaskError(
                f"worker {worker} cannot run unmask ({type(lack).__name__}: {lack}): install the "
                "same commit and Python there, by `pip install 'unmask[cluster]'`."
            )
        if lack:
            raise UnmaskError(f"worker {worker} {lack}")


def _parts(work: Any) -> Iterator[Any]:
    """The functions and types that a work is made of, whose modules workers need."""
    if hasattr(work, "func"):
        yield from _parts(work.func)
    else:
        yield work if hasattr(work, "__qualname__") else type(work)
        for part in getattr(work, "__dict__", {}).values():
            if callable(part):
                yield from _parts(part)


def _lacks(modules: list[str], code: str, paths: list[str]) -> str:
    """What keeps this worker from the work, as the end of a sentence; empty where nothing does."""
    if _code() != code:
        return (
            "runs other code of unmask or another Python: install the same commit there, and start "
            "it again."
        )
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"lacks {error.name}: {what_to_install(error) or error}"
    for path in paths:
        if not os.path.exists(path):
            return f"sees no {path}: keep it on storage that all workers share under that path."
    return ""


@cache
def _code() -> str:
    """What the package's code and Python's version come down to."""
    top = Path(__file__).parent
    digest = md5(platform.python_version_tuple()[1].encode())
    for file in sorted(file for file in top.rglob("*") if file.suffix in (".py", ".npz", ".onnx")):
        digest.update(f"{file.relative_to(top)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _do(packed: bytes, code: str, folder: str | None) -> bytes:
    """The pickled results of a part, on a worker; one that came late was not checked before."""
    from distributed import get_worker

    lack = _lacks([], code, [folder] if folder else [])
    if lack or get_worker().state.nthreads != 1:
        lack = lack or "has more than one thread: start it with `--nthreads 1`."
        raise UnmaskError(f"a worker that came meanwhile {lack}")
    work, part = pickle.loads(packed)
    cv2.setNumThreads(1)
    with chdir(folder) if folder else nullcontext():
        return pickle.dumps([work(item) for item in part])
