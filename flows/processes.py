"""The processes of `make up`: finding and stopping them, and checking their ports.

Each carries an environment variable that names its project and service, so that it is found even
after the process that started it was killed.
"""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress

import psutil

from flows.services import HOST, Service, ServiceError

STOP_SECONDS = 20  # that a process has to end by itself
_REPORT_SECONDS = 2  # that a worker has to report the end of its runs
MARK = "UNMASK_UP"  # the environment variable; its value is PROJECT:SERVICE:


def marked_processes(prefix: str) -> list[psutil.Process]:
    """The processes whose mark begins with a prefix, without this one and its ancestors."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    marked = processes_with(MARK)
    return [p for p, mark in marked if p.pid not in own and mark.startswith(prefix)]


def processes_with(variable: str) -> list[tuple[psutil.Process, str]]:
    """The processes whose environment has a variable, each with its value."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if value := process.environ().get(variable):
                found.append((process, value))
    return found


def stop_processes(processes: list[psutil.Process]) -> None:
    """Terminate processes, and kill those that have not ended after STOP_SECONDS."""
    for signal_process in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                signal_process(process)
        _, processes = psutil.wait_procs(processes, timeout=STOP_SECONDS)


def stop_flow_runs(worker: subprocess.Popen) -> None:
    """Terminate a worker's flow runs, each with its process group, while the server still runs.

    A worker that is stopped first kills them, and Prefect would show them as 'Running' for ever.
    A run that ends before its flow has started cannot report that itself: the worker does, if it
    lives long enough.
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
        time.sleep(_REPORT_SECONDS)  # the worker may start another run meanwhile


def check_free(service: Service) -> None:
    """Check that nothing listens on a service's port yet.

    Raises:
        ServiceError: naming the port, the process that uses it and the variable that moves it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, service.port))
            return
        except OSError:
            pass
    holder = "another process"
    with suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == service.port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                holder = f"process {connection.pid}"
    raise ServiceError(
        f"port {service.port}, which {service.name} needs, is taken by {holder}: stop that, or "
        f"set {service.variable} to a free port."
    )
