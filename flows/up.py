"""`make up`: the servers, a worker, the deployments and the web page, until Ctrl-C.

A service that dies while the loop runs is started again, and all are stopped when it does not
come back; one that dies at the first start stops all at once. State is kept in the project
(mlflow.db, mlartifacts, .unmask/prefect) or where the settings in flows/services.py say; logs are
in .unmask/logs.
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

from flows.processes import MARK, STOP_SECONDS, check_free, end, end_runs, marked
from flows.services import DEPLOY, NAMES, Service, UpError, pools, services, settings
from unmask.errors import exit_with_message
from unmask.project import project_root

_START_SECONDS = 300  # the first start on a busy machine
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Up:
    """The services of a project while they run."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self._root, self._environment = root, environment
        self._logs = root / ".unmask" / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, tuple[Service, subprocess.Popen]] = {}

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _mark(self, name: str = "") -> str:
        return f"{self._root}:{name}"

    def _popen(self, name: str, command: tuple[str, ...], **more: str) -> subprocess.Popen:
        """Start a command whose output goes to its log, out of reach of the terminal's Ctrl-C."""
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._root,
                env={**self._environment, **more, MARK: self._mark(f"{name}:")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _death(self, name: str, code: int) -> str:
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
            UpError: when it ends, or does not answer in time.
        """
        _, process = self._running[service.name]
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{service.address}{service.health}", timeout=5).is_success:
                    return
            if (code := process.poll()) is not None:
                raise UpError(self._death(service.name, code))
            time.sleep(0.2)
        raise UpError(
            f"{service.name} does not answer at {service.address}{service.health} after "
            f"{_START_SECONDS} s, see {self._log(service.name)}."
        )

    def deploy(self) -> None:
        """Make the work pools and deployments of prefect.yaml, as it stands now.

        Raises:
            UpError: with Prefect's last lines, when it refuses one.
        """
        for pool in pools(self._root):
            answer = httpx.post(
                f"{self._environment['PREFECT_API_URL']}/work_pools/",
                json={"name": pool, "type": "process"},
                timeout=60,
            )
            if answer.status_code != httpx.codes.CONFLICT:  # there already
                answer.raise_for_status()
        code = self._popen("deploy", DEPLOY).wait()
        if code != 0:
            raise UpError(self._death("deploy", code))

    def start(self, waves: list[list[Service]]) -> None:
        """Start the services of each wave once those before answer."""
        end(marked(self._mark()))  # of one that was killed before it could stop them
        for service in chain(*waves):
            check_free(service)
            if self._log(service.name).exists():
                self._log(service.name).replace(self._logs / f"{service.name}.before.log")
        for wave in waves:
            for service in wave:
                self.spawn(service)
            for service in wave:
                self.wait(service)

    def start_again(self, service: Service) -> None:
        """Start a service that died, until it answers or the time is over."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if not service.works:
                end(marked(self._mark(f"{service.name}:")))
            self.spawn(service)
            try:
                return self.wait(service)
            except UpError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(5)

    def watch(self) -> None:
        """Start again what dies, for ever.

        Raises:
            UpError: when a service does not come back.
        """
        while True:
            for service, process in list(self._running.values()):
                if (code := process.poll()) is not None:
                    print(self._death(service.name, code), flush=True)
                    self.start_again(service)
                    print(f"{service.name} is up again", flush=True)
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop all, the last first, each with everything it started."""
        for name, (service, process) in reversed(self._running.items()):
            if service.works:
                end_runs(process)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            end(marked(self._mark(f"{name}:")))
            process.wait()
        end(marked(self._mark()))


def run(root: Path, names: tuple[str, ...]) -> None:
    """Run the services named until SIGINT, SIGTERM or SIGHUP, then stop them."""
    environment, waves = settings(root, names), services(root, names)
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    up = Up(root, environment)
    try:
        up.start(waves)
        if {"prefect", "worker"} & set(names):
            up.deploy()
        for service in chain(*waves):
            print(f"{service.name:<10} {'' if service.works else service.address}", flush=True)
        for variable in {"MLFLOW_TRACKING_URI", "PREFECT_API_URL"} & set(environment):
            print(f"export {variable}={environment[variable]}", flush=True)
        print("ready; Ctrl-C stops all", flush=True)
        up.watch()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        up.stop()


@exit_with_message
def main() -> None:
    """The command `python -m flows.up`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    names = tuple(parser.parse_args().services) or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        raise UpError(f"there is no service {unknown[0]!r}: choose from {', '.join(NAMES)}.")
    root = project_root()
    (root / ".unmask").mkdir(exist_ok=True)
    try:
        with FileLock(root / ".unmask" / "up.lock", timeout=0):
            run(root, names)
    except Timeout as error:
        raise UpError(f"`make up` runs already in {root}.") from error


if __name__ == "__main__":
    main()
