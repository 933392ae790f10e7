"""A Dask scheduler with workers on loopback, started by Dask's own commands."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from distributed import Client
from team.services import HOST, free_port


class Dask:
    """A scheduler, and workers of it.

    Attributes:
        port: of the scheduler.
        address: of the scheduler.
        scheduler: its process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self.address = f"tcp://{HOST}:{self.port}"
        self._processes: list[psutil.Popen] = []
        self.scheduler = self._start("scheduler", "--host", HOST, "--port", str(self.port))

    def _start(self, *command: str) -> psutil.Popen:
        with (self._folder / "dask.log").open("a") as log:
            process = psutil.Popen(
                [str(Path(sys.executable).with_name("dask")), *command],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_OURS)},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def worker(self, threads: int = 1) -> psutil.Popen:
        """A worker without a nanny, that nobody starts again."""
        alone = ("--no-nanny", "--no-dashboard", "--local-directory", str(self._folder))
        return self._start("worker", self.address, "--nthreads", str(threads), *alone)

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers are there."""
        with Client(self.address, timeout=60) as client:
            client.wait_for_workers(workers, timeout=120)

    def stop(self) -> None:
        """SIGKILL."""
        for process in self._processes:
            if process.is_running():
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


#: where workers find the modules of tests, and the package where it is not the installed one
_OURS = (str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")]))


@contextmanager
def dask_with(workers: int, folder: Path) -> Iterator[tuple[Dask, list[psutil.Popen]]]:
    """A scheduler and so many workers of one thread, whose log goes to a folder."""
    dask = Dask(folder)
    try:
        started = [dask.worker() for _ in range(workers)]
        if started:
            dask.wait_for(workers)
        yield dask, started
    finally:
        dask.stop()
