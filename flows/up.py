"""`make up`: the servers, a worker, the deployments and the web page, until Ctrl-C.

A service that dies is restarted; when it does not come back, or dies at its first start, all are
stopped. State is kept in the project (mlflow.db, mlartifacts, .unmask/prefect) or where the
settings in flows/services.py say; logs are in .unmask/logs.
"""

import argparse
import signal
import subprocess
import time
from collections import deque
from contextlib import suppress
from itertools import chain
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from flows.lost_runs import LostRuns
from flows.processes import (
    MARK,
    STOP_SECONDS,
    check_free,
    marked_processes,
    stop_flow_runs,
    stop_processes,
)
from flows.services import (
    ALERTS,
    DEPLOY,
    NAMES,
    Service,
    ServiceError,
    pools,
    services,
    settings,
    worker_name,
)
from unmask.errors import exit_with_message
from unmask.project import project_root

_LOOK_SECONDS = 30  # between two looks after flow runs
_START_SECONDS = 300  # that a service has to start; the first time on a busy machine takes long
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServiceManager:
    """Starts, watches and stops the services of a project.

    Args:
        root: the project's folder.
        environment: of every service.
    """

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self._root, self._environment = root, environment
        self._logs = root / ".unmask" / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, tuple[Service, subprocess.Popen]] = {}

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _mark(self, name: str = "") -> str:
        return f"{self._root}:{name}"

    def _popen(self, name: str, command: tuple[str, ...], **variables: str) -> subprocess.Popen:
        """Start a command with its output in its log, in a session that Ctrl-C does not reach."""
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._root,
                env={**self._environment, **variables, MARK: self._mark(f"{name}:")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _death(self, name: str, code: int) -> str:
        """A sentence on a process that ended."""
        with self._log(name).open(errors="replace") as log:
            last = " | ".join(deque((line.strip() for line in log if line.strip()), 6))
        return f"{name} ended with {code}, its last lines (all in {self._log(name)}): {last}"

    def spawn(self, service: Service) -> None:
        """Start a service without waiting for it."""
        check_free(service)
        process = self._popen(service.name, service.command, **service.environment)
        self._running[service.name] = service, process

    def wait(self, service: Service) -> None:
        """Wait until a service answers.

        Raises:
            ServiceError: when it ends, or does not answer in time.
        """
        _, process = self._running[service.name]
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{service.address}{service.health}", timeout=5).is_success:
                    return
            if (code := process.poll()) is not None:
                raise ServiceError(self._death(service.name, code))
            time.sleep(0.2)
        raise ServiceError(
            f"{service.name} does not answer at {service.address}{service.health} after "
            f"{_START_SECONDS} s, see {self._log(service.name)}."
        )

    def deploy(self) -> None:
        """Create the work pools and deployments of prefect.yaml and the alerts, or update them.

        Without its alerts, which it says, the loop runs all the same.

        Raises:
            ServiceError: with Prefect's last lines, when it refuses one.
        """
        for pool in pools(self._root):
            answer = httpx.post(
                f"{self._environment['PREFECT_API_URL']}/work_pools/",
                json={"name": pool, "type": "process"},
                timeout=60,
            )
            if answer.status_code != httpx.codes.CONFLICT:  # it exists
                answer.raise_for_status()
        if (code := self._popen("deploy", DEPLOY).wait()) != 0:
            raise ServiceError(self._death("deploy", code))
        if "worker" in self._running and (code := self._popen("alerts", ALERTS).wait()) != 0:
            print(self._death("alerts", code), flush=True)

    def start(self, waves: list[list[Service]]) -> None:
        """Start the services of each wave once those of the wave before answer.

        Processes that an earlier, killed `make up` left are stopped first.

        Raises:
            ServiceError: when a port is taken or a service does not start.
        """
        stop_processes(marked_processes(self._mark()))
        for service in chain(*waves):
            check_free(service)
            if self._log(service.name).exists():
                self._log(service.name).replace(self._logs / f"{service.name}.before.log")
        for wave in waves:
            for service in wave:
                self.spawn(service)
            for service in wave:
                self.wait(service)

    def restart(self, service: Service) -> None:
        """Start a service that died, repeatedly, until it answers.

        Raises:
            ServiceError: when it still does not after _START_SECONDS.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if not service.pool:
                stop_processes(marked_processes(self._mark(f"{service.name}:")))
            self.spawn(service)
            try:
                return self.wait(service)
            except ServiceError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(5)

    def watch(self) -> None:
        """Restart services that die, and look after the workers' flow runs, for ever.

        Raises:
            ServiceError: when a service does not come back.
        """
        started = [service for service, _ in self._running.values() if service.pool]
        workers = {service.pool: worker_name(service.pool) for service in started}
        runs = LostRuns(self._environment["PREFECT_API_URL"], workers) if workers else None
        due = time.monotonic()
        while True:
            if runs is not None and time.monotonic() >= due:
                try:
                    for sentence in runs.look_after():
                        print(sentence, flush=True)
                except httpx.HTTPError as error:
                    print(f"flow runs could not be looked after: {error}", flush=True)
                due = time.monotonic() + _LOOK_SECONDS
            for service, process in list(self._running.values()):
                if (code := process.poll()) is not None:
                    print(self._death(service.name, code), flush=True)
                    self.restart(service)
                    print(f"{service.name} is up again", flush=True)
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop all services, the last first, each with the processes that it started."""
        for name, (service, process) in reversed(self._running.items()):
            if service.pool:
                stop_flow_runs(process)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            stop_processes(marked_processes(self._mark(f"{name}:")))
            process.wait()
        stop_processes(marked_processes(self._mark()))


def run(root: Path, names: tuple[str, ...]) -> None:
    """Run services until SIGINT, SIGTERM or SIGHUP, then stop them.

    Args:
        root: the project's folder.
        names: of the services, out of NAMES.

    Raises:
        ServiceError: when a service does not start or does not come back.
    """
    environment, waves = settings(root, names), services(root, names)
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    manager = ServiceManager(root, environment)
    try:
        manager.start(waves)
        if {"prefect", "worker"} & set(names):
            manager.deploy()
        for service in chain(*waves):
            print(f"{service.name:<10} {'' if service.pool else service.address}", flush=True)
        for variable in {"MLFLOW_TRACKING_URI", "PREFECT_API_URL"} & set(environment):
            print(f"export {variable}={environment[variable]}", flush=True)
        print("ready; Ctrl-C stops all", flush=True)
        manager.watch()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        manager.stop()


@exit_with_message
def main() -> None:
    """The command `python -m flows.up`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    names = tuple(parser.parse_args().services) or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        raise ServiceError(f"there is no service {unknown[0]!r}: choose from {', '.join(NAMES)}.")
    root = project_root()
    (root / ".unmask").mkdir(exist_ok=True)
    try:
        with FileLock(root / ".unmask" / "up.lock", timeout=0):
            run(root, names)
    except Timeout as error:
        raise ServiceError(f"`make up` runs already in {root}.") from error


if __name__ == "__main__":
    main()
