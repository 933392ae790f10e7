"""The processes of `make up`: found by a mark, ended for sure, and their ports."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress

import psutil

from flows.services import HOST, Service, UpError

STOP_SECONDS = 20
_TELL_SECONDS = 2
MARK = "UNMASK_UP"  # in the environment of every process started: its project and service


def marked(mark: str) -> list[psutil.Process]:
    """The processes whose mark begins so, but neither this one nor those that started it."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid not in own and process.environ().get(MARK, "").startswith(mark):
                found.append(process)
    return found


def end(processes: list[psutil.Process]) -> None:
    """Ask processes to end, and kill those that do not."""
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                send(process)
        _, processes = psutil.wait_procs(processes, timeout=STOP_SECONDS)


def end_runs(worker: subprocess.Popen) -> None:
    """Ask a worker's flow runs to end, each by its process group, while the server still hears it.

    A worker that ends by itself kills them, and Prefect would hold them for running ever after.
    One that ends before its flow has begun cannot tell of it: the worker does, given the time.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while (
        worker.poll() is None
        and time.monotonic() < deadline
        and (runs := psutil.Process(worker.pid).children())
    ):
        for run in runs:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGTERM)
        psutil.wait_procs(runs, timeout=STOP_SECONDS)
        time.sleep(_TELL_SECONDS)  # the worker may start another run meanwhile


def check_free(service: Service) -> None:
    """Refuse a port on which something listens already.

    Raises:
        UpError: naming the port, what holds it and the variable that moves it.
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, service.port))
            return
        except OSError:
            pass
    holder = "another process"
    with suppress(psutil.AccessDenied):
        for link in psutil.net_connections("tcp"):
            here = link.laddr and link.laddr.port == service.port
            if here and link.status == psutil.CONN_LISTEN and link.pid:
                holder = f"process {link.pid}"
    raise UpError(
        f"port {service.port}, which {service.name} needs, is taken by {holder}: stop that, or "
        f"set {service.variable} to a free port."
    )
