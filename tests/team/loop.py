"""`make up` for a test: started in a project of its own, on free ports."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from team.prefect_api import PrefectApi
from team.services import free_port, until

_PORTS = ("MLFLOW_PORT", "PREFECT_SERVER_API_PORT", "PREFECT_WORKER_WEBSERVER_PORT", "UNMASK_PORT")
_UNSET = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "UNMASK_PIPELINE_ID")


def settings_of(project: Path, **settings: str) -> dict[str, str]:
    """The environment of a user who moved every port to a free one, in a project."""
    inherited = {key: value for key, value in os.environ.items() if key not in _UNSET}
    own = {"PREFECT_HOME": str(project / ".unmask" / "prefect"), "OMP_NUM_THREADS": "1"}
    return {**inherited, **own, **{name: str(free_port()) for name in _PORTS}, **settings}


class Loop:
    """A running `python -m flows.up`."""

    def __init__(self, project: Path, names: tuple[str, ...], environment: dict[str, str]) -> None:
        self.project, self.output = project, project / "up.log"
        self.mlflow = f"http://127.0.0.1:{environment['MLFLOW_PORT']}"
        self.prefect = PrefectApi(f"http://127.0.0.1:{environment['PREFECT_SERVER_API_PORT']}/api")
        self.serve = f"http://127.0.0.1:{environment['UNMASK_PORT']}"
        self.clients = {
            **environment,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "PREFECT_API_URL": self.prefect.url,
        }
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.up", *names],
                cwd=project,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> str:
        """What a service has printed."""
        return (self.project / ".unmask" / "logs" / f"{name}.log").read_text(errors="replace")

    def ready(self) -> bool:
        """Whether all is up.

        Raises:
            AssertionError: when it ended instead.
        """
        assert self.process.poll() is None, self.output.read_text()
        return "ready" in self.output.read_text()

    def children(self) -> list[psutil.Process]:
        """Every process below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Press Ctrl-C, as the terminal does it for the whole group; returns the exit status."""
        os.killpg(self.process.pid, number)
        return self.process.wait(timeout=180)


@contextmanager
def running(project: Path, *names: str, **settings: str) -> Iterator[Loop]:
    """`make up` in a project, with the services named or all, ended afterwards."""
    loop = Loop(project, names, settings_of(project, **settings))
    try:
        until(loop.ready, "make up is ready", seconds=600)
        yield loop
    finally:
        if loop.process.poll() is None:
            loop.interrupt()
