"""The services that `make up` starts: their commands, addresses and settings.

Every setting is an environment variable, the tool's own where it has one: MLFLOW_PORT,
PREFECT_SERVER_API_PORT, PREFECT_WORKER_WEBSERVER_PORT and UNMASK_PORT move the ports;
MLFLOW_BACKEND_STORE_URI, MLFLOW_ARTIFACTS_DESTINATION and PREFECT_SERVER_DATABASE_CONNECTION_URL
name PostgreSQL and a bucket in place of the project's own files (compose.yaml uses them all).
"""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from unmask.errors import UnmaskError

HOST = "127.0.0.1"
POOL, GPU_POOL = "unmask", "gpu"
NAMES = ("mlflow", "prefect", "worker", "worker-gpu", "serve")
_PORTS = {
    "mlflow": ("MLFLOW_PORT", 5000),
    "prefect": ("PREFECT_SERVER_API_PORT", 4200),
    "worker": ("PREFECT_WORKER_WEBSERVER_PORT", 4210),
    "serve": ("UNMASK_PORT", 8000),
}


class ServiceError(UnmaskError):
    """A service that cannot run; the message says which, why and what to do."""


@dataclass(frozen=True)
class Service:
    """One service, a process that listens on a port of loopback.

    Attributes:
        name: of the service and of its log file.
        command: to run in the project's root.
        port: that it listens on.
        variable: the environment variable that moves the port.
        health: path of the URL that answers 200 once the service is ready.
        pool: of a Prefect worker, which has no page, and whose flow runs go on when it dies; ''
            of other services.
        environment: variables that it gets besides `settings`.
    """

    name: str
    command: tuple[str, ...]
    port: int
    variable: str
    health: str
    pool: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The service's URL."""
        return f"http://{HOST}:{self.port}"


def port_of(name: str) -> int:
    """The port of a service, from its environment variable or the default.

    Raises:
        ServiceError: when the variable holds no port.
    """
    variable, default = _PORTS[name]
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ServiceError(
            f"{variable} is {text!r}: set it to a port between 1 and 65535, or unset it."
        )
    return int(text)


def _has_worker(names: tuple[str, ...]) -> bool:
    return any(name.startswith("worker") for name in names)


def settings(root: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The environment of every service and of every flow that a worker starts.

    MLFLOW_TRACKING_URI and PREFECT_API_URL name the servers that are not among `names`.

    Args:
        root: the project's folder.
        names: of the services that are started.

    Raises:
        ServiceError: when there is a worker and a server is neither started nor named.
    """
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": binaries, "PYTHONUNBUFFERED": "1"}
    environment.setdefault("PREFECT_HOME", str(root / ".unmask" / "prefect"))
    if "mlflow" in names:
        environment["MLFLOW_TRACKING_URI"] = f"http://{HOST}:{port_of('mlflow')}"
    if "prefect" in names:
        environment["PREFECT_API_URL"] = f"http://{HOST}:{port_of('prefect')}/api"
    for variable in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        if _has_worker(names) and variable not in environment:
            raise ServiceError(f"set {variable} to the server's address, or start the server too.")
    return environment


def _mlflow_store(root: Path) -> dict[str, str]:
    """Variables for the store that the user names, else for the project's own.

    The project's own is laid out as commands use it that run without a server.
    """
    if "MLFLOW_BACKEND_STORE_URI" in os.environ:
        return {
            "MLFLOW_ARTIFACTS_DESTINATION": os.environ.get(
                "MLFLOW_ARTIFACTS_DESTINATION", (root / "mlartifacts").as_uri()
            )
        }
    own = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{root / 'mlflow.db'}"}
    if "MLFLOW_ARTIFACTS_DESTINATION" not in os.environ:
        own["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = (root / "mlartifacts").as_uri()
    return own


def pools(root: Path) -> list[str]:
    """The work pools that prefect.yaml names, `unmask` first.

    Raises:
        ServiceError: when the file is missing or names none.
    """
    path = root / "prefect.yaml"
    try:
        deployments = YAML(typ="safe").load(path)["deployments"]
        named = {deployment["work_pool"]["name"] for deployment in deployments}
        if not named:
            raise KeyError("deployments")
    except (OSError, YAMLError, KeyError, TypeError) as error:
        raise ServiceError(
            f"{path} gives no deployments with their work pools ({error!r})."
        ) from error
    return [POOL, *sorted(named - {POOL})]


_PREFECT_SETTINGS = {  # where the environment does not say otherwise
    # so that the leases that free what killed runs held outlive the server
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(7 * 86400),  # seconds, of flow runs
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "PT6H",  # automations have read them by then
}
_PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")
DEPLOY = (*_PREFECT, "deploy", "--all")
ALERTS = (sys.executable, "-m", "flows.alerts")


def _mlflow(root: Path) -> Service:
    return Service(
        "mlflow",
        (sys.executable, "-m", "mlflow", "server", "--host", HOST, "--workers", "1"),
        port_of("mlflow"),
        _PORTS["mlflow"][0],
        "/health",
        environment={
            "MLFLOW_PORT": str(port_of("mlflow")),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 2 processes in place of 15
            **_mlflow_store(root),
        },
    )


def _prefect(port: int) -> Service:
    command = (*_PREFECT, "server", "start", "--host", HOST, "--port", str(port))
    environment = {
        **_PREFECT_SETTINGS,
        **{n: os.environ[n] for n in _PREFECT_SETTINGS if n in os.environ},
    }
    return Service(
        "prefect", command, port, _PORTS["prefect"][0], "/api/health", environment=environment
    )


def worker_name(pool: str) -> str:
    """What the worker of a pool on this machine is called, which its flow runs say."""
    return f"{pool}@{socket.gethostname()}"


def _worker(pool: str, port: int) -> Service:
    named = ("--name", worker_name(pool), "--pool", pool, "--type", "process")
    limit = ("--limit", "1") if pool == GPU_POOL else ()  # a training uses every GPU
    variable = _PORTS["worker"][0]
    return Service(
        "worker" if pool == POOL else f"worker-{pool}",
        (*_PREFECT, "worker", "start", *named, *limit, "--with-healthcheck"),
        port,
        variable,
        "/health",
        pool=pool,
        environment={variable: str(port), "PREFECT_WORKER_WEBSERVER_HOST": HOST},
    )


def _serve(port: int) -> Service:
    command = ("unmask", "serve", "--port", str(port))
    return Service("serve", command, port, _PORTS["serve"][0], "/health")


def services(root: Path, names: tuple[str, ...] = NAMES) -> list[list[Service]]:
    """The services to start, in waves: those of one wave start together, once the last answers.

    Args:
        root: the project's folder.
        names: out of NAMES; a worker is only made for a work pool that prefect.yaml names.
    """
    servers, clients = [], []
    if "mlflow" in names:
        servers.append(_mlflow(root))
    if "prefect" in names:
        servers.append(_prefect(port_of("prefect")))
    if _has_worker(names):
        workers = [_worker(pool, port_of("worker") + i) for i, pool in enumerate(pools(root))]
        clients += [worker for worker in workers if worker.name in names]
    if "serve" in names:
        clients.append(_serve(port_of("serve")))
    return [servers, clients]
